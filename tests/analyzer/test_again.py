"""Steps that look at the input once more name it, and take the command that reads it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hosttree import host_tree, write_tree

from lastwords import plugins
from lastwords.analyzer.again import (
    look_at_dump,
    look_at_memory,
    look_at_saved_dump,
    plan_of,
    plan_on_disk,
    room_on,
)
from lastwords.analyzer.collection import open_cases
from lastwords.analyzer.opening import open_case
from lastwords.cli.main import run
from lastwords.model import Case

COLLECTORS = plugins.load().collectors()
RUN = {name: COLLECTORS[name] for name in ("host", "kernel_log")}


def case(kind: str, where: str = "") -> Case:
    return Case({}, [], {}, kind, None, where=where)


@pytest.mark.parametrize(
    ("kind", "where", "command"),
    [
        ("log", "/tmp/my log", "oom '/tmp/my log'"),
        ("log", "", "oom FILE"),
        ("bundle", "b.tar.zst", "open --section oom b.tar.zst"),
        ("sosreport", "", "open --section oom FILE"),
        ("directory", "/mnt/sysimage", "open --section oom /mnt/sysimage"),
        ("vmcore", "vmcore", "vmcore --oom vmcore"),
        ("live", "", "check --section oom"),
    ],
)
def test_memory_is_looked_at_by_what_reads_the_input(kind: str, where: str, command: str) -> None:
    assert look_at_memory(case(kind, where), "why") == f"$ lastwords {command}  # why"


def test_a_dump_is_looked_at_where_it_lies() -> None:
    path = "/var/crash/1/vmcore"
    assert look_at_saved_dump(case("live"), path).startswith(f"$ lastwords vmcore {path}  #")
    assert look_at_saved_dump(case("directory", "/mnt/"), path).startswith(
        f"$ lastwords vmcore /mnt{path}  #"
    )
    assert look_at_saved_dump(case("bundle", "b.tar"), path).endswith("on that host, or a copy of it")
    assert look_at_dump(case("vmcore", "/x"))[0].startswith("$ lastwords vmcore --bt --ps /x  #")
    assert look_at_dump(case("log", "/x")) == ()


def test_a_plan_for_a_disk_names_where_it_is_mounted() -> None:
    assert plan_on_disk(case("directory", "/mnt"), "bootloader").startswith(
        "$ lastwords plan bootloader --root /mnt  #"
    )
    assert "plan bootloader --root DIR" in plan_on_disk(case("bundle", "/mnt/x"), "bootloader")


def test_every_input_that_is_a_file_here_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = write_tree(host_tree("rhel7"), tmp_path / "disk")
    bundle, log = tmp_path / "b.tar.gz", disk / "var/log/messages"
    run(["collect", "-q", "--root", str(disk), "--only", "host,kernel_log", "-o", str(bundle)])
    for path in (disk, bundle, log):
        assert open_case(str(path), RUN).where == str(path)
    assert open_case(str(bundle), RUN, recollect=True).where == str(bundle)
    capsys.readouterr()
    run(["open", "--json", str(bundle), "--only", "host,kernel_log"])
    fixes = [step for finding in json.loads(capsys.readouterr().out)["findings"] for step in finding["fix"]]
    assert any(f"lastwords open --section oom {shlex.quote(str(bundle))}  #" in step for step in fixes)


def test_a_host_inside_an_archive_has_no_path(tmp_path: Path) -> None:
    import tarfile

    disk = write_tree(host_tree("rhel7"), tmp_path / "disk")
    (tmp_path / "up").mkdir()
    for name in ("a", "b"):
        target = str(tmp_path / f"up/{name}.tar.gz")
        run(["collect", "-q", "--root", str(disk), "--only", "host,kernel_log", "-o", target])
    with tarfile.open(tmp_path / "up.tar", "w") as archive:
        archive.add(tmp_path / "up", "up")
    found = list(open_cases(str(tmp_path / "up.tar"), RUN))
    assert len(found) == 2
    assert [each.where for _, each in found if isinstance(each, Case)] == ["", ""]


@pytest.mark.parametrize(
    ("kind", "where", "plan", "room"),
    [
        ("live", "", "$ lastwords plan kdump", "$ df -h /boot"),
        ("bundle", "b.tar.zst", "$ lastwords plan kdump --from b.tar.zst", "$ df -h /boot"),
        ("sosreport", "", "$ lastwords plan kdump --from FILE", "$ df -h /boot"),
        (
            "directory",
            "/mnt/",
            "$ lastwords plan kdump --root /mnt/  # a script: read it, then run it",
            "$ df -h /mnt/boot",
        ),
    ],
)
def test_a_plan_is_made_for_the_host_of_the_input(kind: str, where: str, plan: str, room: str) -> None:
    assert plan_of(case(kind, where), "kdump") == plan
    assert room_on(case(kind, where), "/boot") == room
