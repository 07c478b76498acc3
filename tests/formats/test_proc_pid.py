"""Parsers of /proc/PID and ps against the running kernel, psutil and ps itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats import FormatError
from lastwords.formats.memory.proc_pid import (
    PF_KTHREAD,
    TICKS_PER_SECOND,
    parse_membership,
    parse_stat,
    parse_status,
)
from lastwords.formats.oom.badness import oom_adj_of
from lastwords.formats.system.ps import parse_ps

ODD_NAMES = ["a) S 1 (b", "tmux: server", "x\n) y", "back\\slash", "(sd-pam)"]


def read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace")


def test_ticks_are_those_of_this_kernel() -> None:
    assert os.sysconf("SC_CLK_TCK") == TICKS_PER_SECOND


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_a_program_is_understood(name: str, tmp_path: Path) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen(["nice", "-n", "3", str(program), "60"]) as process:
        try:
            deadline = time.monotonic() + 10
            stat = parse_stat(read(process.pid, "stat"))
            while (stat.comm, stat.state) != (name, "S") and time.monotonic() < deadline:
                time.sleep(0.01)
                stat = parse_stat(read(process.pid, "stat"))
            status = parse_status(read(process.pid, "status"))
            known = psutil.Process(process.pid)
            assert (stat.pid, stat.comm, status.comm) == (process.pid, name, name)
            assert stat.ppid == status.ppid == os.getpid()
            assert stat.state == status.state == "S"
            assert stat.threads == status.threads == 1
            assert stat.nice == os.getpriority(os.PRIO_PROCESS, process.pid)
            assert status.uid == os.getuid()
            assert stat.vm_size == status.vm_size == known.memory_info().vms
            assert (status.rss_anon or 0) + (status.rss_file or 0) + (status.rss_shmem or 0) == status.rss
            assert psutil.boot_time() + stat.start / TICKS_PER_SECOND == pytest.approx(
                known.create_time(), abs=0.1
            )
            assert not stat.flags & PF_KTHREAD
            assert parse_membership(read(process.pid, "cgroup")).memory is not None
        finally:
            process.kill()


def test_every_process_of_this_host_is_understood() -> None:
    seen = 0
    for pid in psutil.pids():
        try:
            stat, status = parse_stat(read(pid, "stat")), parse_status(read(pid, "status"))
            membership = read(pid, "cgroup")
        except (FileNotFoundError, ProcessLookupError):
            continue
        seen += 1
        assert (stat.pid, stat.ppid, stat.threads) == (pid, status.ppid, status.threads)
        kernel_thread = bool(stat.flags & PF_KTHREAD)
        assert status.kernel_thread in (None, kernel_thread)
        assert (status.vm_size is None) == (kernel_thread or stat.state == "Z")
        for path in filter(None, parse_membership(membership)):
            assert f":{path}\n" in membership
    assert seen > 1


def test_oom_adj_is_what_the_kernel_shows() -> None:
    # To go below the present value takes a privilege that even root may lack.
    code = """
for value in [*range(-1000, 0, 7), *range(0, 1001)]:
    try:
        open("/proc/self/oom_score_adj", "wb", buffering=0).write(b"%d" % value)
    except OSError:
        continue
    print(value, open("/proc/self/oom_adj").read().strip())
"""
    output = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=True).stdout
    shown = {int(line.split()[0]): int(line.split()[1]) for line in output.splitlines()}
    assert len(shown) > 500
    assert {value: oom_adj_of(value) for value in shown} == shown


def test_page_tables_of_4_0_to_4_14_are_added_up() -> None:
    status = parse_status(
        "Name:\tx\nVmPeak:\t9 kB\nVmSize:\t9 kB\nVmPTE:\t 40 kB\nVmPMD:\t 12 kB\nThreads:\t1\n"
    )
    assert status.page_tables == 52 * 1024
    assert (status.rss, status.swap) == (None, None)


@pytest.mark.parametrize("text", ["", "1", "1 (x) S", "x (y) S 1 2 3", "1 (x) S " + "a " * 60])
def test_what_is_no_stat_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_stat(text)


@pytest.mark.parametrize(
    "options",
    [
        "alxwww",
        "auxwww",
        "auxwwwm",
        "axo pid,ppid,user,group,lwp,nlwp,start_time,comm,cgroup",
        "axo flags,state,uid,pid,ppid,pgid,sid,cls,pri,psr,addr,sz,wchan:20,lstart,tty,time,cmd",
    ],
)
def test_ps_of_this_host(options: str) -> None:
    output = subprocess.run(["ps", *options.split()], capture_output=True, text=True, check=True).stdout
    rows = {int(row["PID"]): row for row in parse_ps(output)}
    assert set(rows) >= {1, os.getpid()}
    own, known = rows[os.getpid()], psutil.Process()
    command = own.get("COMMAND") or own["CMD"]
    assert command == known.name()[:15] if "CGROUP" in own else command.startswith(known.cmdline()[0])
    if "PPID" in own:
        assert int(own["PPID"]) == os.getppid()
    if "NLWP" in own:
        assert int(own["NLWP"]) == known.num_threads()
    if "RSS" in own:
        assert int(own["RSS"]) * 1024 == pytest.approx(known.memory_info().rss, rel=0.2)


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet=" ()\n\t:-0123456789abkBNVmPTESizeState\\\x00é", max_size=300))
def test_garbage_is_refused_or_passed_over(text: str) -> None:
    try:
        parse_stat(text)
    except FormatError:
        pass
    parse_status(text)
    parse_status("Name:" + text + "\nVmPeak:" + text + "\nVmRSS:" + text)
    parse_membership(text)
    parse_ps("PID USER COMMAND CGROUP\n" + text)
