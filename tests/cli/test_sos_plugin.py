"""``lastwords sos-plugin``: finds every sos of a host, writes and removes nothing but its own file."""

from __future__ import annotations

import argparse
import json
import os
import stat
from pathlib import Path

import pytest

from lastwords import plugins
from lastwords.cli import sos_plugin
from lastwords.model import LastwordsError

DEBIAN = "usr/lib/python3/dist-packages"
RHEL = "usr/lib/python3.9/site-packages"
SOURCE = Path(__file__).parents[2] / "sos_plugins" / "lastwords.py"


def with_sos(root: Path, *places: str) -> list[Path]:
    found = []
    for place in places:
        directory = root / place / "sos/report/plugins"
        directory.mkdir(parents=True)
        (directory / "__init__.py").touch()
        found.append(directory / "lastwords.py")
    return found


def run(root: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    sos_plugin.add_arguments(parser, plugins.load())
    arguments = parser.parse_args([*words, "--root", str(root)])
    return int(arguments.run(arguments))


def test_installs_into_every_sos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = with_sos(tmp_path, DEBIAN, RHEL, "usr/local/lib/python3.12/dist-packages")
    before = os.umask(0o077)
    try:
        assert run(tmp_path, "install") == 0
    finally:
        os.umask(before)
    for path in paths:
        assert path.read_bytes() == SOURCE.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert sorted(p.name for p in path.parent.iterdir()) == ["__init__.py", "lastwords.py"]
    assert sorted(capsys.readouterr().out.split()) == sorted(map(str, paths))


def test_installing_again_replaces_an_older_version(tmp_path: Path) -> None:
    [path] = with_sos(tmp_path, DEBIAN)
    old = SOURCE.read_bytes().replace(b"REMOVED = ", b"REMOVED  =  ")
    path.write_bytes(old)
    assert sos_plugin.find_places(str(tmp_path))[0].state == "outdated"
    run(tmp_path, "install")
    run(tmp_path, "install")
    assert path.read_bytes() == SOURCE.read_bytes()


def test_a_directory_reached_twice_is_one_place(tmp_path: Path) -> None:
    with_sos(tmp_path, DEBIAN)
    (tmp_path / "usr/lib/python3.11").symlink_to("python3")
    assert len(sos_plugin.find_places(str(tmp_path))) == 1


@pytest.mark.parametrize("words", [["install"], ["remove"]])
def test_a_foreign_file_of_that_name_stays(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other, foreign = with_sos(tmp_path, DEBIAN, RHEL)
    foreign.write_text("# somebody else's plugin\n")
    if words == ["install"]:
        with pytest.raises(LastwordsError, match="is not ours"):
            run(tmp_path, *words)
        assert not other.exists(), "all or nothing"
    else:
        assert run(tmp_path, *words) == 0
        assert "is not ours" in capsys.readouterr().err
    assert foreign.read_text() == "# somebody else's plugin\n"


def test_a_link_of_that_name_is_foreign(tmp_path: Path) -> None:
    [path] = with_sos(tmp_path, DEBIAN)
    path.symlink_to(SOURCE)
    with pytest.raises(LastwordsError, match="is not ours"):
        run(tmp_path, "install")
    assert path.is_symlink()


def test_removes_what_it_installed_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [path] = with_sos(tmp_path, DEBIAN)
    run(tmp_path, "install")
    cache = path.parent / "__pycache__"
    cache.mkdir()
    (cache / "lastwords.cpython-311.pyc").touch()
    (cache / "kernel.cpython-311.pyc").touch()
    capsys.readouterr()
    assert run(tmp_path, "remove") == 0
    assert capsys.readouterr().out.strip() == str(path)
    left = sorted(str(p.relative_to(path.parent)) for p in path.parent.rglob("*") if p.is_file())
    assert left == ["__init__.py", "__pycache__/kernel.cpython-311.pyc"]
    assert run(tmp_path, "remove") == 0, "nothing to remove is no error"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere: lab.sos_chroots tries a read-only mount")
    [path] = with_sos(tmp_path, DEBIAN)
    path.parent.chmod(0o555)
    with pytest.raises(LastwordsError, match="not writable"):
        run(tmp_path, "install")
    assert "run this as root" in capsys.readouterr().err
    path.parent.chmod(0o755)


def test_path_tells_the_state_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [path] = with_sos(tmp_path, DEBIAN)
    run(tmp_path, "path", "--json")
    assert json.loads(capsys.readouterr().out) == [{"path": str(path), "state": "absent", "writable": True}]
    run(tmp_path, "install", "--json")
    assert json.loads(capsys.readouterr().out)[0]["state"] == "installed"


@pytest.mark.parametrize("action", ["install", "remove", "path"])
def test_a_host_without_sos_is_one_clear_line(tmp_path: Path, action: str) -> None:
    with pytest.raises(
        LastwordsError, match=r"^no sos 4\.0 or later below .*install the package sos"
    ) as caught:
        run(tmp_path, action)
    assert caught.value.exit_code == 4


def test_a_missing_root_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LastwordsError, match="expected a directory"):
        run(tmp_path / "nowhere", "install")


def test_sos_3_is_not_taken_for_a_place(tmp_path: Path) -> None:
    old = tmp_path / "usr/lib/python3.6/site-packages/sos/plugins"
    old.mkdir(parents=True)
    (old / "__init__.py").touch()
    assert sos_plugin.find_places(str(tmp_path)) == []
