"""The frame of the project: what is easily forgotten."""

from __future__ import annotations

import configparser
from pathlib import Path

TOP = Path(__file__).parents[1]
LONGEST = 500
LONGER = {"sos_plugins/lastwords.py": "one flat file, by the rules of sos"}


def test_every_package_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    there = {
        ".".join(path.parent.relative_to(TOP / "src").parts)
        for path in (TOP / "src" / "lastwords").rglob("__init__.py")
    }
    assert there | {f"lastwords.{name}" for name in ("collectors", "schemas", "sos_plugins")} == listed


def test_modules_are_short() -> None:
    modules = [*(TOP / "src" / "lastwords").rglob("*.py"), *(TOP / "collectors").glob("*.py")]
    modules += (TOP / "sos_plugins").glob("*.py")
    lengths = {str(path.relative_to(TOP)): len(path.read_text().splitlines()) for path in modules}
    assert {name for name, length in lengths.items() if length > LONGEST} == set(LONGER)
