"""What kernels of other times print otherwise: reports that other projects' logs of RHEL 5 to 7 and Fedora hold."""

from __future__ import annotations

import pytest

from lastwords.formats.crash.reports import Report, find_reports
from lastwords.formats.log.messages import messages

RULE = "=" * 77
SLAB = (
    "-----------------------------------------------------------------------------\n\n"
    "INFO: 0xf2751962-0xf2751995. First byte 0x98 instead of 0x6b\n"
    "INFO: Allocated in acme_open+0x1/0x2 age=79 cpu=0 pid=7\n __slab_alloc+0x1/0x2\n acme_open+0x1/0x2\n"
    "INFO: Freed in acme_close+0x1/0x2 age=14 cpu=1 pid=7\n __slab_free+0x1/0x2\n acme_close+0x1/0x2\n"
    "INFO: Slab 0xf4d5ea20 objects=17 used=17 fp=0x  (null) flags=0x40000080\n"
)


def found(text: str) -> list[Report]:
    return find_reports(messages((n, 0, line.encode()) for n, line in enumerate(text.split("\n"), 1)))


def calls(*names: str) -> str:
    return "Call Trace:\n" + "".join(
        f" [<ffffffff8126{at:04x}>] {name}+0x1/0x20\n" for at, name in enumerate(names)
    )


def test_a_hard_lockup_is_the_message_of_a_warning_up_to_4_2() -> None:
    (report,) = found(
        "WARNING: at kernel/watchdog.c:245 watchdog_overflow_callback+0x9c/0xd0()\nHardware name: Bochs\n"
        "Watchdog detected hard LOCKUP on cpu 0\nModules linked in: acme\n"
        "Pid: 0, comm: swapper/0 Not tainted 3.8.9 #1\nCall Trace:\n"
        " <NMI>  [<ffffffff8105cd86>] warn_slowpath_common+0x66/0x80\n"
        " [<ffffffff810eb83c>] watchdog_overflow_callback+0x9c/0xd0\n [<ffffffff81645c41>] end_repeat_nmi+0x1e/0x2e\n"
        " <<EOE>>  [<ffffffff810944f0>] acme_spin+0x90/0xa0\n [<ffffffff810b6ae5>] acme_idle+0x165/0x1a0\n"
        " [<ffffffff8101c06b>] cpu_idle+0x11b/0x140\n [<ffffffff81629902>] rest_init+0x72/0x80\n"
    )
    assert (report.kind, report.event, report.title) == (
        "hard_lockup",
        "hang",
        "BUG: hard lockup in acme_idle",
    )
    stacks = {frame.function: frame.stack for frame in report.frames}
    assert (stacks["end_repeat_nmi"], stacks["acme_spin"], stacks["cpu_idle"]) == ("NMI", "TASK", "TASK")


@pytest.mark.parametrize(
    "entry",
    ["system_call_fastpath", "entry_SYSCALL_64_fastpath", "sysenter_do_call", "syscall_call", "el0_svc_naked",
     "__sys_trace_return", "kernel_thread_helper", "ret_from_kernel_thread", "cpu_idle"],
)  # fmt: skip
def test_a_stall_is_blamed_on_whom_the_way_in_called(entry: str) -> None:
    (report,) = found(
        "BUG: soft lockup - CPU#1 stuck for 67s! [acmed:7]\nModules linked in: acme\nCPU 1 \n"
        "Pid: 7, comm: acmed Not tainted 2.6.32 #1\nRIP: 0010:[<ffffffff8126cafe>]  [<ffffffff8126cafe>] acme_spin+0x1/0x2\n"
        + calls("acme_wait", "acme_top", entry)
    )
    assert (report.title, report.corrupted) == ("BUG: soft lockup in acme_top", None)


def test_the_line_of_the_cpu_is_no_module() -> None:
    names = [f"module_{n}" for n in range(20)]
    (report,) = found(
        f"kernel BUG at fs/inode.c:7!\nModules linked in: {' '.join(names)}\nCPU 1 \n"
        "Pid: 7, comm: acmed Not tainted 2.6.32 #1\nRIP: 0010:acme+0x1/0x2\n" + calls("acme")
    )
    assert report.facts.modules == tuple(names)
    assert report.facts.cpu == 1


@pytest.mark.parametrize(
    "head", ["BUG acme (Not tainted): Poison overwritten", "BUG acme: Poison overwritten"]
)
def test_a_slab_s_corruption_is_one_report_with_who_had_the_object(head: str) -> None:
    (report,) = found(
        f"{RULE}\n{head}\n{SLAB}Pid: 7, comm: acmed Not tainted 3.2.0 #1\n{calls('acme')}{RULE}\n"
    )
    assert (report.kind, report.title, report.corrupted) == (
        "slab_corruption",
        "BUG: Poison overwritten",
        None,
    )
    assert any("Freed in" in line for line in report.lines)


def test_objects_that_remain_are_listed_after_the_trace() -> None:
    (report,) = found(
        f"{RULE}\nBUG acme: Objects remaining on kmem_cache_close()\n----\n\nPid: 7, comm: rmmod Not tainted 3.2.0 #1\n"
        + calls("slab_err", "acme_exit")
        + "INFO: Object 0xffff8807c3aed280 @offset=21120\nINFO: Allocated in acme_open+0x1/0x2 age=7 cpu=2 pid=7\n"
    )
    assert report.title == "BUG: Objects remaining on kmem_cache_close()"


def test_what_only_looks_like_a_slab_s_corruption_is_none() -> None:
    assert found("BUG acme: the firmware is too old\nBUG 7: see the bug tracker\n") == []


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ("BUG: spinlock lockup on CPU#0, acmed/7", "BUG: spinlock lockup suspected in acme_take"),
        (
            "BUG: spinlock lockup on CPU#0, acmed/7, ffff88011a2b0c48",
            "BUG: spinlock lockup suspected in acme_take",
        ),
        (
            "BUG: write-lock lockup on CPU#0, acmed/7, c398cb2c",
            "BUG: write-lock lockup suspected in acme_take",
        ),
    ],
)
def test_a_lockup_of_a_lock_is_not_only_suspected_up_to_3_7(head: str, title: str) -> None:
    (report,) = found(
        f"{head}\n lock: c398cb2c, .magic: dead4ead\n"
        + calls("do_raw_spin_lock", "_raw_spin_lock", "acme_take")
    )
    assert (report.kind, report.title) == ("spinlock", title)


def test_a_rule_of_i386_ends_the_trace_but_not_the_report() -> None:
    (report,) = found(
        "BUG: unable to handle kernel NULL pointer dereference at 00000000\nIP: [<f88dec25>] :acme:acme_get+0x90/0x302\n"
        "Oops: 0000 [#1] SMP\nEIP is at acme_get+0x90/0x302 [acme]\nCall Trace:\n [<f88e11c7>] acme_resume+0x7d/0xbc [acme]\n"
        " =======================\nCode: 66 31 d2 09 c2\nEIP: [<f88dec25>] acme_get+0x90/0x302 [acme] SS:ESP 0068:f0a0cf08\n"
    )
    assert report.facts.code == "66 31 d2 09 c2"


def test_a_trace_without_an_unwinder_is_called_guessed() -> None:
    head = "kernel BUG at fs/inode.c:7!\nEIP is at acme_get+0x1/0x2\n"
    (report,) = found(
        head + "Call Trace:\n [<c0598bd2>] ? acme_load+0x1/0x2\n [<c0598bd3>] ? sys_acme+0x1/0x2\n"
    )
    assert (report.title, report.corrupted) == (
        "kernel BUG in acme_get",
        "only guessed frames in the call trace",
    )
    (report,) = found(head)
    assert report.corrupted == "no call trace"


def test_times_of_a_broken_clock_are_times() -> None:
    (report,) = found(
        "[18444175627.134970] general protection fault: 206c [#2] PTI\n"
        "[18444175627.139181] RIP: 0010:acme_get+0x1/0x2\n[18444175627.155048] Call Trace:\n[18444175627.155604]  acme+0x1/0x2\n"
    )
    assert (report.title, report.corrupted) == ("general protection fault in acme_get", None)


def test_a_warning_of_a_task_whose_number_is_overwritten() -> None:
    (report,) = found(
        "WARNING: CPU: 0 PID: -967707560 at kernel/kthread.c:83 kthread_probe_data+0x5e/0x80\n"
        + calls("acme_probe")
    )
    assert report.title == "WARNING in acme_probe"


def test_locks_in_a_report_that_was_decoded() -> None:
    (report,) = found(
        "WARNING: possible circular locking dependency detected\n5.10.0 #1 Not tainted\n-----\nacmed/7 is trying to acquire lock:\n"
        "4aa040ac (acme_lock){-...}-{0:0}, at: acme_flush (drivers/acme/x.c:1737 drivers/acme/y.c:7)\n\n"
        "but task is already holding lock:\ndabf8250 (&a->lock){-.-.}-{2:2}, at: acme_take (drivers/acme/x.c:7)\n"
        "stack backtrace:\nCall Trace:\n dump_stack (lib/dump_stack.c:1)\n acme_flush (drivers/acme/x.c:1737)\n"
    )
    assert report.title == "possible deadlock in acme_flush"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("CFI failure at acme_call+0x1/0x2 (target: acme_done+0x0/0x4; expected type: 0xd9421881)\n", ["cfi"]),
        ("CFI failure at acme_call+0x1/0x2 (no target information)\nOops: invalid opcode: 0000 [#1] SMP\n"
         "RIP: 0010:acme_call+0x1/0x2\n" + calls("acme"), ["cfi"]),
        ("CFI failure at acme_call+0x1/0x2 (no target information)\n"
         "WARNING: CPU: 1 PID: 7 at acme_call+0x1/0x2\nRIP: 0010:acme_call+0x1/0x2\n" + calls("acme"), ["cfi"]),
        ("CFI failure at acme_call+0x1/0x2 (no target information)\nInternal error: Oops - CFI: 00000000f2008228 [#1] SMP\n"
         "pc : acme_call+0x1/0x2\n" + calls("acme"), ["cfi"]),
    ],
)  # fmt: skip
def test_a_call_to_a_function_of_another_type(text: str, kinds: list[str]) -> None:
    reports = found(text)
    assert [report.kind for report in reports] == kinds
    assert reports[0].title == "CFI failure in acme_call"


def test_a_report_is_no_consequence_of_one_in_the_boot_before() -> None:
    warning = "[    1.500000] WARNING: CPU: 0 PID: 1 at fs/inode.c:7 acme+0x1/0x2\n[    1.500001] ---[ end trace 0 ]---\n"
    panic = "[    2.500000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(1,0)\n"
    boot = "[    0.000000] Linux version 6.1.0 (gcc-12)\n"
    reports = found(boot + warning + panic + boot + warning + panic)
    assert [report.kind for report in reports] == ["warning", "panic", "warning", "panic"]
    assert [report.cause for report in reports] == [None, 0, None, 2]
