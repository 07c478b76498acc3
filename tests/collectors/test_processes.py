"""The processes collector: on this host, in a sosreport and a bundle of it, and where it may not read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from hosttree import text_root

from lastwords import schemas
from lastwords.collectors.processes import PS, ProcessesCollector
from lastwords.model import NoData
from lastwords.roots.base import Root
from lastwords.roots.bundle import bundle_root
from lastwords.roots.evidence import mangle
from lastwords.roots.live import live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree

VALIDATOR = jsonschema.Draft202012Validator(schemas.load("processes"))
STATUS = "Name:\tmysqld\nState:\tS (sleeping)\nPPid:\t1\nUid:\t27\t27\t27\t27\nThreads:\t3\n"


def facts_of(root: Root, *options: str) -> dict[str, Any]:
    collector = ProcessesCollector()
    collector.on = frozenset(options)
    facts: dict[str, Any] = list(collector.collect(root))[-1]
    VALIDATOR.validate(facts)
    return facts


def by_pid(facts: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {record["pid"]: record for record in facts["records"]}


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Fifty processes that sleep; the first with a raised OOM score."""
    running = [subprocess.Popen(["sleep", "120"]) for _ in range(50)]
    Path(f"/proc/{running[0].pid}/oom_score_adj").write_text("500")
    yield running
    for process in running:
        process.kill()
        process.wait()


def test_every_process_of_this_host(sleepers: list[subprocess.Popen[bytes]]) -> None:
    before = time.time()
    facts = facts_of(live_root().recording("processes"))
    records = by_pid(facts)
    assert facts["count"] == len(facts["records"]) == len(records)
    assert before - 0.01 <= facts["snapshot_started"] <= facts["snapshot_finished"] <= time.time()
    assert {process.pid for process in sleepers} <= set(records)
    for process in (sleepers[0], sleepers[-1]):
        record, known = records[process.pid], psutil.Process(process.pid)
        assert (record["ppid"], record["comm"], record["uid"]) == (os.getpid(), "sleep", os.getuid())
        assert (record["state"], record["threads"], record["kernel_thread"]) == ("S", 1, False)
        assert record["rss"] == known.memory_info().rss
        assert record["rss"] == record["rss_anon"] + record["rss_file"] + record["rss_shmem"]
        assert record["start_time"] == pytest.approx(known.create_time(), abs=1.5)
        assert record["cgroup"] in Path(f"/proc/{process.pid}/cgroup").read_text()
        for name in ("oom_score", "oom_score_adj", "oom_adj"):
            assert record[name] == int(Path(f"/proc/{process.pid}/{name}").read_text()), name
    assert records[sleepers[0].pid]["oom_score_adj"] == 500


def test_kernel_threads_are_told_from_processes_by_their_flags() -> None:
    facts = facts_of(live_root().recording("processes"))
    threads = {record["pid"] for record in facts["records"] if record["kernel_thread"]}
    assert facts["kernel_threads"] == len(threads)
    assert os.getpid() not in threads
    for pid in threads:
        # A kernel thread has no program: the kernel answers ENOENT, or refuses an ordinary user.
        with pytest.raises(OSError):
            os.readlink(f"/proc/{pid}/exe")


def test_a_zombie_has_no_memory_and_that_is_null() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        record = by_pid(facts_of(live_root().recording("processes")))[pid]
    finally:
        os.waitpid(pid, 0)
    assert record["state"] == "Z"
    assert [record[key] for key in ("rss", "swap", "vm_size", "page_tables")] == [None] * 4
    assert record["kernel_thread"] is False


def test_no_file_that_may_hang_is_read_and_command_lines_come_last() -> None:
    collector = ProcessesCollector()
    collector.on = frozenset({"with_cmdline"})
    root = live_root().recording("processes")
    steps = collector.collect(root)
    first = next(steps)
    assert {record["command_line"] for record in first["records"]} == {None}
    seen = [item["table"]["files"] for item in root.evidence.items if "table" in item]
    assert seen == [["stat", "status", "oom_score", "oom_score_adj", "cgroup"]]
    last = list(steps)[-1]
    VALIDATOR.validate(last)
    assert by_pid(last)[os.getpid()]["command_line"] == " ".join(psutil.Process().cmdline())[:4096]


def test_secrets_of_command_lines_reach_neither_facts_nor_evidence() -> None:
    kept: dict[str, bytes] = {}

    def store(name: str, data: bytes) -> str:
        kept[name] = data
        return name

    script = [sys.executable, "-c", "import time; time.sleep(60)", "--password", "hunter2", "x" * 20000]
    with subprocess.Popen(script) as process:
        try:
            time.sleep(0.3)
            facts = facts_of(live_root().recording("processes", store), "with_cmdline")
        finally:
            process.kill()
    record = by_pid(facts)[process.pid]
    assert "--password <removed>" in record["command_line"]
    assert len(record["command_line"]) <= 4096
    assert "hunter2" not in json.dumps(facts)
    assert not [name for name, data in kept.items() if b"hunter2" in data]
    assert any(b"<removed>" in data for data in kept.values())


def test_a_bundle_gives_the_same_facts(tmp_path: Path) -> None:
    def store(name: str, data: bytes) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
        return name

    live = live_root().recording("processes", store)
    facts = facts_of(live, "with_cmdline")
    live.evidence.finish()
    again = bundle_root(DirectoryTree(str(tmp_path)), live.evidence.items, taken_at=1.0, where="x")
    found = facts_of(again, "with_cmdline")
    assert found["records"] == facts["records"]
    assert found["hidepid"] == facts["hidepid"]
    assert found["vanished"] == facts["vanished"]
    assert (found["snapshot_started"], found["snapshot_finished"]) == (1.0, 1.0)


def make_report(top: Path, pids: list[int], *commands: tuple[str, ...]) -> Root:
    """Lay out what sos copies of this host: status and oom_* of some processes, and the output of ps."""
    for pid in pids:
        for name in ("status", "oom_score", "oom_score_adj", "oom_adj"):
            target = top / f"proc/{pid}/{name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(f"/proc/{pid}/{name}").read_bytes())
    folder = top / "sos_commands/process"
    folder.mkdir(parents=True)
    (top / "sos_logs").mkdir()
    for argv in commands:
        (folder / mangle(argv)).write_bytes(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)
    return sosreport_root(DirectoryTree(str(top)), str(top))


def test_a_sosreport_with_its_first_processes_is_completed_from_ps(
    tmp_path: Path, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    copied = [1, os.getpid(), sleepers[0].pid]
    kthreadd = Path("/proc/2/comm")
    if kthreadd.exists() and kthreadd.read_text() == "kthreadd\n":
        copied.append(2)
    root = make_report(tmp_path, copied, *PS).recording("processes")
    facts = facts_of(root)
    records = by_pid(facts)
    assert {process.pid for process in sleepers} <= set(records)
    assert {pid for pid, record in records.items() if record["source"] == "proc"} == set(copied)
    told, listed = records[sleepers[0].pid], records[sleepers[1].pid]
    assert (told["oom_score_adj"], told["oom_adj"], told["nice"]) == (500, 8, os.nice(0))
    assert (listed["comm"], listed["ppid"], listed["uid"], listed["threads"]) == (
        "sleep",
        os.getpid(),
        os.getuid(),
        1,
    )
    assert listed["rss"] == psutil.Process(sleepers[1].pid).memory_info().rss
    assert (listed["oom_score"], listed["command_line"], listed["start_ticks"]) == (None, None, None)
    assert listed["kernel_thread"] is False
    if 2 in copied:
        assert records[2]["kernel_thread"] is True and records[2]["source"] == "proc"
        listed_threads = [r for r in records.values() if r["ppid"] == 2 and r["state"] != "Z"]
        assert {record["kernel_thread"] for record in listed_threads} == {True}
    assert root.evidence.gaps == []


@pytest.mark.parametrize("argv", PS[1:])
def test_one_output_of_ps_alone_is_enough(argv: tuple[str, ...], tmp_path: Path) -> None:
    records = by_pid(facts_of(make_report(tmp_path, [], argv).recording("processes")))
    own = records[os.getpid()]
    assert own["comm"] == os.path.basename(psutil.Process().cmdline()[0])[:15]
    assert own["rss"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_what_is_denied_is_null_and_a_gap() -> None:
    entries = "".join(f"=== /proc/7/{name} denied\n" for name in ("stat", "status", "oom_score", "cgroup"))
    root = text_root(entries + "=== /proc/7/oom_score_adj\n-17\n").recording("processes")
    (record,) = facts_of(root)["records"]
    assert (record["pid"], record["oom_score_adj"], record["oom_adj"]) == (7, -17, 0)
    assert {
        record[key] for key in ("ppid", "uid", "comm", "rss", "oom_score", "cgroup", "kernel_thread")
    } == {None}
    assert [gap["path"] for gap in root.evidence.gaps] == [
        f"/proc/[0-9]*/{name}" for name in ("stat", "status", "oom_score", "cgroup")
    ]


def test_processes_that_vanish_are_counted() -> None:
    root = text_root(f"=== /proc/7/status\n{STATUS}=== /proc/8 dir\n=== /proc/irq/8 dir\n")
    facts = facts_of(root.recording("processes"))
    assert (facts["count"], facts["vanished"]) == (1, 1)
    (record,) = facts["records"]
    assert (record["comm"], record["uid"], record["threads"], record["source"]) == ("mysqld", 27, 3, "proc")
    assert (record["start_time"], record["kernel_thread"]) == (None, None)


@pytest.mark.parametrize(
    "options,expected", [("rw,hidepid=invisible,gid=5", "invisible"), ("rw,hidepid=2", "2"), ("rw", "off")]
)
def test_a_proc_that_hides_processes_is_told(options: str, expected: str) -> None:
    mounts = f"=== /proc/self/mounts\nproc /proc proc {options} 0 0\n"
    root = text_root(f"=== /proc/7/status\n{STATUS}{mounts}")
    assert facts_of(root.recording("processes"))["hidepid"] == expected


@pytest.mark.parametrize("text", ["", "7 (x", "garbage\x00\n", "7 (x) S 1 2"])
def test_garbage_is_null(text: str) -> None:
    root = text_root(f"=== /proc/7/stat\n{text}\n=== /proc/7/oom_score\nmuch\n=== /proc/7/status\n{text}\n")
    (record,) = facts_of(root.recording("processes"))["records"]
    assert {value for key, value in record.items() if key not in ("pid", "source")} == {None}


def test_no_processes_is_no_data() -> None:
    with pytest.raises(NoData):
        facts_of(text_root("=== /etc/os-release\nID=x\n").recording("processes"))


def test_the_benchmark_finds_every_process() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    bench = Path(__file__).parents[2] / "bench/processes.py"
    command = [sys.executable, str(bench), "--processes", "40", "--runs", "1"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "40 extra processes" in output and "missing from the facts: 0" in output
