"""What a report without the lastwords command holds is read as if the files had been copied."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lastwords.roots.bundle import locate
from lastwords.roots.sos_tables import parse_table
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree


def report(tmp_path: Path, **tables: str) -> Path:
    folder = tmp_path / "sos_commands" / "lastwords"
    folder.mkdir(parents=True)
    (tmp_path / "version.txt").write_text("sos report: 4.12.0\n")
    for name, text in tables.items():
        (folder / name).write_text(text)
    return tmp_path


def test_processes_come_from_the_tables(tmp_path: Path) -> None:
    top = report(
        tmp_path,
        proc_oom="/proc/1/oom_score:0\n/proc/1/oom_score_adj:-1000\n/proc/4711/oom_score:668\n",
        proc_status="/proc/1/status:Name:\tinit\n/proc/1/status:State:\tS (sleeping)\n",
    )
    root = sosreport_root(DirectoryTree(str(top)), "report")
    assert root.text("/proc/1/status") == "Name:\tinit\nState:\tS (sleeping)\n"
    rows = {
        row.name: row.files for row in root.table("/proc", ("oom_score", "oom_score_adj"), match="[0-9]*")
    }
    assert rows == {
        "1": {"oom_score": "0\n", "oom_score_adj": "-1000\n"},
        "4711": {"oom_score": "668\n"},
    }
    assert root.listdir("/proc/1") is None, "a table does not tell what else is in a directory"


def test_a_copied_file_comes_before_the_table(tmp_path: Path) -> None:
    top = report(tmp_path, proc_oom="/proc/1/oom_score:7\n")
    (top / "proc" / "1").mkdir(parents=True)
    (top / "proc" / "1" / "oom_score").write_text("0\n")
    root = sosreport_root(DirectoryTree(str(top)), "report")
    assert root.text("/proc/1/oom_score") == "0\n"


def test_colons_in_the_names_of_directories(tmp_path: Path) -> None:
    text = "/var/crash/127.0.0.1-2026-02-20-04:05:06/vmcore-dmesg.txt:[    0.000000] Linux: x\n"
    path = "/var/crash/127.0.0.1-2026-02-20-04:05:06/vmcore-dmesg.txt"
    assert parse_table("crash_text", text.encode()) == {path: b"[    0.000000] Linux: x\n"}
    group = "/sys/fs/cgroup/a.slice:cri:0123/memory.max"
    assert parse_table("cgroup_memory", f"{group}:max\n".encode()) == {group: b"max\n"}


@pytest.mark.parametrize(
    "junk", [b"", b"\n\n", b"grep: x: Permission denied\n", b"/proc/1/oom_scor\xff:1\n", b":::"]
)
def test_what_is_no_table_gives_no_files(junk: bytes) -> None:
    assert parse_table("proc_oom", junk) == {}


def test_a_table_that_lost_its_start_gives_the_rest() -> None:
    files = parse_table("proc_oom", b"m_score:3\n/proc/9/oom_score:5\n")
    assert files == {"/proc/9/oom_score": b"5\n"}


def test_a_name_that_lost_an_underscore_is_found(tmp_path: Path) -> None:
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "kernel_log.json").write_text("{}")
    tree = DirectoryTree(str(tmp_path))
    assert locate(tree, "facts/kernellog.json") == "/facts/kernel_log.json"
    with pytest.raises(OSError) as caught:
        tree.open(locate(tree, "facts/other.json"))
    assert caught.value.errno == errno.ENOENT
