"""The plugin under real sos: its own tests with every sos at hand, and reports taken in a chroot."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = "usr/lib/python3/dist-packages"


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sos_chroots", REPOSITORY / "lab" / "sos_chroots.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sos_chroots"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def at_hand() -> list[str]:
    """Return every sos on this machine; an empty one lets the tests look for themselves."""
    places = [*(REPOSITORY / ".cache" / "sos").glob(f"[a-z]*/{PACKAGES}"), Path("/") / PACKAGES]
    return [str(place) for place in places if (place / "sos" / "report").is_dir()] or [""]


@pytest.mark.parametrize("source", at_hand())
def test_the_plugins_own_tests(source: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "test_plugin_unit"],
        cwd=Path(__file__).parent,
        env={**os.environ, "LASTWORDS_SOS": source},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    if "skipped=" in done.stderr:
        pytest.skip(f"{source or 'no sos'}: this Python cannot import it")
    assert re.search(r"^Ran [1-9]\d+ tests", done.stderr, re.MULTILINE), done.stderr


def test_reports_of_debian_12(lab: ModuleType) -> None:
    """The whole set, of all releases, is ``make lab``."""
    try:
        lab.require()
        lab.build(lab.RELEASES["bookworm"])
    except lab.Unavailable as why:
        pytest.skip(str(why))
    names = []
    for name, _, problems in lab.check(lab.RELEASES["bookworm"], quick=True):
        assert not problems, f"{name}: {problems}"
        names.append(name)
    assert names == ["raw, alone", "lastwords sos-plugin install", "tool"]


def test_the_documentation_names_every_option() -> None:
    source = (REPOSITORY / "sos_plugins" / "lastwords.py").read_text()
    documented = (REPOSITORY / "docs" / "sos.md").read_text()
    options = re.findall(r"^        _option\('([\w-]+)'", source, re.MULTILINE)
    assert len(options) == 3
    for option in options:
        assert f"| `{option}` |" in documented
