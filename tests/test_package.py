"""The frame of the project: setup.cfg names every package and file, and modules stay short."""

from __future__ import annotations

import configparser
from pathlib import Path

TOP = Path(__file__).parent.parent
SOURCE = TOP / "src"
LONGEST = 500
LONGER = {"sos_plugins/lastwords.py"}
"""One flat file, by the rules of sos."""
CONFIG = configparser.ConfigParser()
CONFIG.read(TOP / "setup.cfg")


def dotted(folder: Path) -> str:
    return ".".join(folder.relative_to(SOURCE).parts)


def test_every_package_is_named() -> None:
    named = set(CONFIG["options"]["packages"].split())
    found = {dotted(path.parent) for path in SOURCE.glob("lastwords/**/__init__.py")}
    found |= {f"lastwords.{name}" for name in ("collectors", "schemas", "sos_plugins")}
    assert named == found


def test_every_other_file_is_named() -> None:
    data = CONFIG["options.package_data"]
    for path in SOURCE.glob("lastwords/**/*.*"):
        if path.suffix not in (".py", ".pyc") and path.is_file():
            patterns = [each.strip() for each in data[dotted(path.parent)].split(",")]
            assert any(path.match(pattern) for pattern in patterns), path


def test_modules_are_short() -> None:
    modules = [*(TOP / "src" / "lastwords").rglob("*.py"), *(TOP / "collectors").glob("*.py")]
    modules += (TOP / "sos_plugins").glob("*.py")
    lengths = {str(path.relative_to(TOP)): len(path.read_text().splitlines()) for path in modules}
    assert {name for name, length in lengths.items() if length > LONGEST} == LONGER
