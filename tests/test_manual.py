"""Manual pages and completion, made of the parser, in the real tools that read them."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lastwords import plugins
from lastwords.cli.main import build_parser

TOP = Path(__file__).parents[1]
MAN = sorted((TOP / "docs" / "man").glob("*.1"))
COMPLETION = TOP / "packaging" / "completion"


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"needs {tool}")


@needs("man")
@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_pages_are_read_without_a_warning(page: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", str(page)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert page.stem in done.stdout
    assert "SYNOPSIS" in done.stdout
    assert "\\" not in done.stdout


def test_every_command_has_its_page_and_every_option_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTWORDS_NO_PLUGINS", "1")
    parser = build_parser(plugins.load())
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    commands = found[0].choices
    assert {f"lastwords-{name}" for name in commands} | {"lastwords"} == {page.stem for page in MAN}
    seen: set[str] = set()
    for name, command in commands.items():
        page = (TOP / "docs" / "man" / f"lastwords-{name}.1").read_text().replace("\\-", "-")
        usage = command.format_usage()
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", usage))
        seen |= options
        assert {option for option in options if f"\\fB{option}\\fR" not in page} == set()
    assert {"--fail-on", "--root", "--json"} <= seen


CASES = [
    ("lastwords ", {"open", "collect", "check", "plan"}, {"--json"}),
    ("lastwords op", {"open"}, {"collect"}),
    ("lastwords open --fai", {"--fail-on"}, {"--format"}),
    ("lastwords open --fail-on ", {"info", "warning", "critical"}, {"open"}),
    ("lastwords open --format ", {"sarif", "junit", "sqlite", "terminal"}, {"tar.zst"}),
    ("lastwords collect --format ", {"tar.zst", "dir"}, {"sarif"}),
    ("lastwords plan ", {"protect", "limit"}, {"open"}),
    ("lastwords plan protect --a", {"--adj"}, {"--always"}),
    ("lastwords sos-plugin ", {"install", "remove"}, {"open"}),
    ("lastwords schema ", {"findings", "event"}, set()),
]


def check(offered: set[str], wanted: set[str], absent: set[str]) -> None:
    assert wanted - offered == set()
    assert absent & offered == set()


@needs("bash")
@pytest.mark.parametrize(("line", "wanted", "absent"), CASES)
def test_bash_completes(line: str, wanted: set[str], absent: set[str]) -> None:
    words = line.split(" ")
    script = f"source {COMPLETION / 'lastwords.bash'}; COMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _lastwords; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20)
    assert done.stderr == ""
    check(set(done.stdout.split()), wanted, absent)


@needs("bash")
def test_bash_completes_lists_and_files(tmp_path: Path) -> None:
    (tmp_path / "a report.tar.xz").write_text("")

    def offered(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        script = f"source {COMPLETION / 'lastwords.bash'}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _lastwords; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
        ).stdout.splitlines()

    assert offered("lastwords", "open", "--section", "oom,kd") == ["oom,kdump"]
    assert offered("lastwords", "open", "a") == ["a report.tar.xz"]
    assert offered("lastwords", "open", "--compare", "") == ["a report.tar.xz"]


@needs("fish")
@pytest.mark.parametrize(("line", "wanted", "absent"), CASES)
def test_fish_completes(line: str, wanted: set[str], absent: set[str], tmp_path: Path) -> None:
    script = f"source {COMPLETION / 'lastwords.fish'}; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr == ""
    check({row.split("\t")[0] for row in done.stdout.splitlines()}, wanted, absent)


@needs("zsh")
def test_zsh_completes(tmp_path: Path) -> None:
    shutil.copy(COMPLETION / "_lastwords", tmp_path)
    start = f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump; LISTMAX=0; PS1='REA''DY> '"
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(HOME=str(tmp_path), ZDOTDIR=str(tmp_path), TERM="dumb", COLUMNS="100", LINES="60")
        os.chdir(tmp_path)
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        os.write(terminal, start.encode() + b"\n")
        heard(terminal, lambda text: "READY> " in text)
        for line, wanted, absent in CASES:
            typed = line.rpartition(" ")[2]

            def offered(text: str, line: str = line, typed: str = typed) -> set[str]:
                return set(re.findall(r"[\w.-]+", text.replace(line, "", 1))) | {typed}

            os.write(terminal, line.encode() + b"\t\t")
            text = heard(terminal, lambda text: wanted <= offered(text))  # noqa: B023
            check(offered(text), wanted, absent - set(line.split()))
            os.write(terminal, b"\x15\n")
            heard(terminal, lambda text: "READY> " in text)
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def heard(terminal: int, enough: Callable[[str], bool]) -> str:
    """Return what a terminal shows until it is enough, or for a minute."""
    text, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline and not enough(text):
        if select.select([terminal], [], [], 1.0)[0]:
            text += os.read(terminal, 65536).decode("utf-8", "replace")
    return text
