"""How the lab compares what crash prints, and what a console got, with what lastwords reads of a dump."""

from __future__ import annotations

from typing import Any

from lab import micro, vmcore_insides
from lab.vmcore_insides import Compared

CRASH = """\
      KERNEL: /lab/vmlinux
    DUMPFILE: /lab/dump  [PARTIAL DUMP]
        DATE: Thu Nov  5 05:20:30 UTC 2026
     RELEASE: 6.1.0-56-cloud-amd64
       PANIC: "Kernel panic - not syncing: sysrq triggered crash"
PID: 324      TASK: ffff9d3b42a3b100  CPU: 0    COMMAND: "bash"
 #0 [ffffcd458074b850] machine_kexec at ffffffff8e27f1c7
 #1 [ffffcd458074b8c8] __crash_kexec at ffffffff8e3b1d2a
 #2 [ffffcd458074b988] panic at ffffffff8ec0d35d
 #3 [ffffcd458074ba08] sysrq_handle_crash at ffffffff8e8f5d96
      PID    PPID  CPU       TASK        ST  %MEM      VSZ      RSS  COMM
        0       0   0  ffffffff8fa1aa40  RU   0.0        0        0  [swapper/0]
>     324       1   0  ffff9d3b42a3b100  RU   0.9     4188     3044  bash
     MOUNT           SUPERBLK     TYPE   DEVNAME   DIRNAME
ffff9d3b411a3280 ffff9d3b41067000 rootfs none      /
ffff9d3b42a8f000 ffff9d3b42a02800 autofs systemd-1 /proc/sys/fs/binfmt_misc/
                 PAGES        TOTAL      PERCENTAGE
    TOTAL MEM    87547       342 MB         ----
         FREE    61759     241.2 MB   70% of TOTAL MEM
         SLAB     5802      22.7 MB    6% of TOTAL MEM
"""


def document(**changes: Any) -> dict[str, Any]:
    """Return what lastwords would say of that dump."""

    def task(pid: int, parent: int, comm: str, pages: Any) -> dict[str, Any]:
        return {
            "pid": pid,
            "parent": parent,
            "cpu": 0,
            "state": "R",
            "comm": comm,
            "resident_pages": pages,
        }

    frames = (
        ("__crash_kexec", "0xffffffff8e3b1d2a"),
        ("panic", "0xffffffff8ec0d35d"),
        ("sysrq_handle_crash", "0xffffffff8e8f5d96"),
    )
    return {
        "file": {"page_size": 4096},
        "kernel": {"release": "6.1.0-56-cloud-amd64", "crash_time": 1793856030},
        "panic": "Kernel panic - not syncing: sysrq triggered crash",
        "backtraces": [
            {"frames": [{"symbol": name, "address": at, "inlined": False} for name, at in frames]}
        ],
        "tasks": [task(0, 0, "swapper/0", None), task(324, 1, "bash", 761)],
        "mounts": [
            {"filesystem": "rootfs", "device": "none", "path": "/"},
            {"filesystem": "autofs", "device": "systemd-1", "path": "/proc/sys/fs/binfmt_misc"},
        ],
        "memory": {
            "total": 87547 * 4096,
            "free": 61759 * 4096,
            "slab_reclaimable": 5000 * 4096,
            "slab_unreclaimable": 802 * 4096,
        },
        **changes,
    }


def compared(**changes: Any) -> Compared:
    return vmcore_insides._with_crash(document(**changes), CRASH, "", "6.1")


def test_what_is_the_same() -> None:
    found = compared()
    assert found.wrong == [] and found.cells == ["same (2)", "same (2)", "same (3)", "same (2)", "same (3)"]


def test_what_differs() -> None:
    tasks = document()["tasks"]
    for key, value in (("tasks", tasks[:1]), ("mounts", []), ("panic", "another")):
        (wrong,) = compared(**{key: value}).wrong
        assert wrong.startswith(("tasks", "mounts", "names"))
    other = document()["backtraces"]
    other[0]["frames"][2]["address"] = "0xffffffff8e8f5d97"
    found = compared(backtraces=other)
    assert found.cells[0].startswith("**different**") and "sysrq_handle_crash" in found.wrong[0]


def test_a_peer_that_cannot_read_a_dump_is_not_wrong_nor_right() -> None:
    found = vmcore_insides._with_crash(document(), "\ncrash: invalid structure member offset\n", "", "7.2")
    assert found.wrong == [] and found.cells[0] == "it cannot: crash: invalid structure member offset"


def test_lines_of_the_log_on_a_console() -> None:
    console = (
        b"SeaBIOS\r\n[    0.000000] Linux version 6.1\r\n\r\nlab\r\n[   12.345678] sysrq: x\r\n[ 1.2] no\r\n"
    )
    assert micro.printed(console) == [b"[    0.000000] Linux version 6.1", b"[   12.345678] sysrq: x"]
