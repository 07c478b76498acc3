"""Makes the pictures of the guide from what the command really prints: docs/pictures/*.svg.

The machines are those of the lab whose consoles are kept with the tests, so that the pictures are the same
wherever they are made.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from lastwords.cli.main import run

TOP = Path(__file__).parent.parent
WIDTH = 100
CONSOLES = TOP / "tests" / "lab" / "consoles"
SENT = {
    "web12.log": "oom-memcg@bookworm.txt",
    "db01.log": "crash-bug@bookworm.txt",
    "app3.log": "oom-global@bookworm.txt",
    "mail.log": "initramfs-cut.txt",
}
"""What customers called what they sent, and the console that it is."""
TAKEN_AT = 1772445600
"""2026-03-02T10:00:00Z"""
THEME = TerminalTheme(
    (24, 26, 32),
    (214, 218, 226),
    [
        *((24, 26, 32), (240, 100, 100), (120, 200, 130), (230, 190, 90)),
        *((110, 160, 240), (200, 140, 220), (100, 200, 210), (214, 218, 226)),
    ],
    [
        *((128, 134, 146), (255, 130, 130), (150, 220, 160), (245, 210, 120)),
        *((140, 185, 255), (220, 170, 240), (140, 225, 230), (255, 255, 255)),
    ],
)
# As rich's own, without what loads a font from elsewhere.
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; \
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect fill="#181a20" width="{width}" height="{height}" rx="8"/>
<g transform="translate(9, 9)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def pictures() -> Iterator[tuple[str, str]]:
    """Yield the name of each picture's file, and what it holds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sent, console in SENT.items():
            (folder / sent).write_bytes((CONSOLES / console).read_bytes())
            os.utime(folder / sent, (TAKEN_AT, TAKEN_AT))
        yield "story.svg", drawn("story", folder, ["open", "web12.log"])
        yield "short.svg", drawn("short", folder, ["open", "--short", *sorted(SENT)])


def drawn(name: str, folder: Path, arguments: Sequence[str]) -> str:
    """Return what the command prints in *folder*, below the command, as SVG."""
    home, columns = os.getcwd(), os.environ.get("COLUMNS", "")
    os.environ["COLUMNS"] = str(WIDTH)
    os.chdir(folder)
    try:
        with redirect_stdout(io.StringIO()) as printed:
            run([*arguments, "--color", "always"])
    finally:
        os.chdir(home)
        os.environ["COLUMNS"] = columns
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text(f"$ lastwords {' '.join(arguments)}\n", style="bold"))
    console.print(Text.from_ansi(printed.getvalue().rstrip("\n")))
    return console.export_svg(theme=THEME, code_format=FRAME, unique_id=name)
