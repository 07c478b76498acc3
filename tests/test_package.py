"""What is installed is whole: setup.cfg names every package and every file that is no module."""

from __future__ import annotations

import configparser
from pathlib import Path

TOP = Path(__file__).parent.parent
SOURCE = TOP / "src"
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
