"""Reports go where they were sent: whole or not at all, and never over or into what is looked at."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hosttree import host_tree, write_tree

from lastwords.cli.main import run
from lastwords.model import ExitCode


@pytest.fixture
def disk(tmp_path: Path) -> str:
    """A mounted disk."""
    return str(write_tree(host_tree("rhel9"), tmp_path / "disk"))


def opened(*argv: str) -> int:
    return run(["open", "--root", "--only", "host,boot", *argv])


def test_html_is_written_privately_and_replaces_its_like(disk: str, tmp_path: Path) -> None:
    path = tmp_path / "case.html"
    for _ in range(2):
        assert opened(disk, "--html", str(path)) == ExitCode.OK
        assert path.read_text().startswith("<!doctype html>\n")
        assert path.read_text().endswith("</html>\n")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert sorted(os.listdir(tmp_path)) == ["case.html", "disk"]


def test_both_ways_of_asking_give_the_same(
    disk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert opened(disk, "--html", str(tmp_path / "a.html")) == ExitCode.OK
    assert capsys.readouterr() == ("", "")
    assert opened(disk, "--format", "html", "--output", str(tmp_path / "b.html")) == ExitCode.OK
    assert opened(disk, "--html", "-") == ExitCode.OK
    text = (tmp_path / "a.html").read_text()
    assert text == (tmp_path / "b.html").read_text() == capsys.readouterr().out


def test_other_reports_share_a_file(disk: str, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    assert opened(disk, disk, "--jsonl", "--output", str(path)) == ExitCode.OK
    assert [json.loads(line)["path"] for line in path.read_text().splitlines()] == [disk, disk]


def test_several_documents_go_into_a_directory(
    disk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert opened(disk, disk, "--html", str(tmp_path / "one.html")) == ExitCode.USAGE
    assert "expected a directory for the html reports of several inputs" in capsys.readouterr().err
    out = tmp_path / "out"
    out.mkdir()
    assert opened(disk, disk, "--html", str(out)) == ExitCode.OK
    assert sorted(os.listdir(out)) == ["disk-2.html", "disk.html"]


def test_what_is_looked_at_is_never_written(
    disk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "sosreport.tar.xz"
    precious.write_bytes(b"\xfd7zXZ\0 precious")
    (tmp_path / "link.html").symlink_to(precious)
    cases = {
        disk: "expected a file outside of the input",
        f"{disk}/etc/x.html": "expected a file outside of the input",
        str(precious): "exists already and is no such report",
        str(tmp_path / "link.html"): "exists already and is no such report",
        str(tmp_path / "missing" / "x.html"): "cannot be written: no such file or directory",
    }
    for path, said in cases.items():
        assert opened(disk, "--html", path) == ExitCode.BAD_INPUT
        assert said in capsys.readouterr().err
    assert run(["open", str(precious), "--html", str(precious)]) == ExitCode.BAD_INPUT
    assert (
        run(["open", disk, "--root", "--compare", str(precious), "--html", str(precious)])
        == ExitCode.BAD_INPUT
    )
    assert precious.read_bytes() == b"\xfd7zXZ\0 precious"
    assert sorted(os.listdir(tmp_path)) == ["disk", "link.html", "sosreport.tar.xz"]


def test_nothing_is_left_when_the_input_is_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad").write_bytes(b"nothing that lastwords knows")
    assert run(["open", str(tmp_path / "bad"), "--html", str(tmp_path / "x.html")]) == ExitCode.BAD_INPUT
    assert os.listdir(tmp_path) == ["bad"]


def test_several_hosts_in_one_input_need_a_directory(
    disk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for name in ("a.tar", "b.tar"):
        run(["collect", "-q", "--root", disk, "--only", "host,boot", "-o", str(many / name)])
    assert run(["open", str(many), "--html", str(tmp_path / "one.html")]) == ExitCode.USAGE
    assert "one.html: expected a directory" in capsys.readouterr().err
    (tmp_path / "out").mkdir()
    assert run(["open", str(many), "--html", str(tmp_path / "out")]) == ExitCode.OK
    assert sorted(os.listdir(tmp_path / "out")) == ["a.tar.html", "b.tar.html"]
    assert not (tmp_path / "one.html").exists()
