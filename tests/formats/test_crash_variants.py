"""Reports as other kernels, architectures and tools print them: what is added, moved, renamed from time to time.

The title must be that of the plain form in test_crash_titles.py, whatever stands around it.
"""

from __future__ import annotations

import pytest
from crash_parts import HEAD, HELD, HUNG, arm64, calls, lock, rip

from lastwords.formats.crash.facts import facts_of
from lastwords.formats.crash.reports import Report, find_reports
from lastwords.formats.crash.signature import signature_of_report
from lastwords.formats.log.messages import messages

WHO = "CPU: 0 UID: 0 PID: 42 Comm: acmed Not tainted 6.14.0 #0 PREEMPT(full)\nHardware name: QEMU\n"
OF_INLINED = "in atomic_read include/linux/atomic.h:32 [inline]"


def found(text: str) -> list[Report]:
    return find_reports(messages((n, 0, line.encode()) for n, line in enumerate(text.split("\n"), 1)))


def hung(head: str, *names: str) -> str:
    return (
        f"INFO: task {head} seconds.\n      Not tainted 6.6.0 #1\ntask:acmed state:D stack:0 pid:7\n"
        + calls(*names)
    )


def ticked(*names: str) -> str:
    """A stall that the timer's interrupt found."""
    irq = ("nmi_cpu_backtrace", "rcu_dump_cpu_stacks", "rcu_sched_clock_irq", "update_process_times", "hrtimer_interrupt",
           "__sysvec_apic_timer_interrupt", "sysvec_apic_timer_interrupt")  # fmt: skip
    rest = "".join(f" {name}+0x1/0x2\n" for name in names)
    return (
        "Call Trace:\n <IRQ>\n" + "".join(f" {name}+0x1/0x2\n" for name in irq) + " </IRQ>\n <TASK>\n"
        f" asm_sysvec_apic_timer_interrupt+0x1/0x2\nRIP: 0010:acme_spin+0x1/0x2\nCode: 90\nRSP: 0018:ffff\n{rest}"
    )


WORK = ("acme_loop", "process_one_work", "worker_thread", "kthread", "ret_from_fork")
PAGE = "page:00 refcount:0 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0xb12c\npage dumped because: nonzero mapcount\n"
OWNER = "page last allocated via order 0, migratetype Unmovable, pid 7, tgid 7 (acmed), ts 1, free_ts 2\n"
CASES = {
    "KASAN, functions inlined": (
        "KASAN: slab-use-after-free Read in acme_get",
        f"BUG: KASAN: slab-use-after-free {OF_INLINED}\nBUG: KASAN: slab-use-after-free in acme_get+0x8f/0x100 net/acme.c:2\n"
        f"Read of size 4 at addr ffff88802a2b0c48 by task kworker/u9:3/42\n\n{WHO}Workqueue: acme0 acme_work\n"
        + calls("dump_stack_lvl", "print_report", "kasan_report", "kasan_check_range", "acme_get"),
    ),
    "KASAN, tags of pointers": (
        "KASAN: slab-use-after-free Write in acme_get",
        "BUG: KASAN: slab-use-after-free in __lock_acquire+0x78/0xd0\nWrite of size 8 at addr f3ff0000 by task acmed/7\n"
        "Pointer tag: [f3], memory tag: [fe]\n\nCall trace:\n show_stack+0x2c/0x3c (C)\n kasan_report+0xd8/0x138\n"
        " __lock_acquire+0x78/0xd0\n _raw_spin_lock_irqsave+0x5c/0x7c\n acme_get+0x1c/0x40\n el0t_64_sync+0x1a4/0x1a8\n",
    ),
    "KMSAN, after free": (
        "KMSAN: kernel-infoleak-after-free in acme_read",
        "BUG: KMSAN: kernel-infoleak-after-free in instrument_copy_to_user include/linux/instrumented.h:1 [inline]\n"
        "BUG: KMSAN: kernel-infoleak-after-free in _copy_to_iter+0x1/0x2\n _copy_to_iter+0x1/0x2\n acme_read+0x1/0x2\n\n"
        "Uninit was created at:\n slab_free_hook+0x1/0x2\n kfree+0x1/0x2\n",
    ),
    "KCSAN, an interrupt": (
        "KCSAN: data-race in acme_a / acme_b",
        "BUG: KCSAN: data-race in acme_a / acme_b\n\nread-write to 0xffff8881 of 4 bytes by interrupt on cpu 1:\n acme_a+0x1/0x2\n\n"
        "read to 0xffff8881 of 4 bytes by task 7 on cpu 0:\n acme_b+0x1/0x2\n\nvalue changed: 0x1 -> 0x2\n",
    ),
    "lockdep, functions inlined": (
        "possible deadlock in acme_start",
        f"{HEAD}WARNING: possible circular locking dependency detected\n6.14.0 #0 Not tainted\n------\n"
        "kworker/u8:1/13 is trying to acquire lock:\n"
        "ffff888101a2b0a8 (&type->i_mutex_dir_key#3){++++}-{4:4}, at: inode_lock include/linux/fs.h:877 [inline]\n"
        "ffff888101a2b0a8 (&type->i_mutex_dir_key#3){++++}-{4:4}, at: acme_start+0x1/0x20 fs/acme.c:1\n"
        f"{HELD}{lock('&b->lock', 'acme_scan')}stack backtrace:\n{WHO}{HUNG}",
    ),
    "lockdep, wait context": (
        "WARNING: locking bug in acme_tick",
        f"=============================\n[ BUG: Invalid wait context ]\n6.14.0 #0 Not tainted\n-----------------------------\n"
        f"swapper/0/0 is trying to lock:\n{lock('&a->lock', 'acme_tick')}context-{{2:2}}\nstack backtrace:\n{WHO}"
        + calls("print_lock_invalid_wait_context", "check_wait_context", "__lock_acquire", "_raw_spin_lock", "acme_tick"),
    ),
    "RCU, a list": (
        "WARNING: suspicious RCU usage in acme_find",
        f"{HEAD}WARNING: suspicious RCU usage\n6.14.0 #0 Not tainted\n-----\nnet/acme.c:22 RCU-list traversed in non-reader section!!\n\n"
        f"stack backtrace:\n{WHO}" + calls("dump_stack_lvl", "lockdep_rcu_suspicious", "acme_find"),
    ),
    "hung, a name with colons": (
        "INFO: task hung in acme_open",
        hung("kworker/u8:3:46 blocked for more than 143", "__schedule", "schedule_preempt_disabled", "__mutex_lock", "acme_open"),
    ),
    "hung, real-time spin lock": (
        "INFO: task hung in acme_take",
        hung("acmed:7 blocked for more than 120", "schedule_rtlock", "rtlock_slowlock_locked", "rt_spin_lock", "acme_take"),
    ),
    "hung, real-time rwsem": (
        "INFO: task hung in acme_take",
        hung("acmed:7 blocked for more than 120", "__schedule", "__rwbase_read_lock", "rwbase_read_lock", "acme_take"),
    ),
    "RCU stall, the CPU itself": (
        "INFO: rcu detected stall in acme_loop",
        "rcu: INFO: rcu_preempt self-detected stall on CPU\nrcu: \t0-....: (10499 ticks this GP) idle=b6e4/1/0x4 softirq=1/2\n"
        "rcu: \t(t=10502 jiffies g=1 q=2 ncpus=2)\n" + ticked(*WORK),
    ),
    "RCU stall, expedited": (
        "INFO: rcu detected stall in acme_loop",
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 2637 jiffies s: 9 root: 0x2/.\n"
        f"Sending NMI from CPU 0 to CPUs 1:\nNMI backtrace for cpu 1\n{WHO}" + ticked(*WORK),
    ),
    "RCU stall, of tasks": (
        "INFO: rcu detected stall in acme_loop",
        "INFO: rcu_tasks detected stalls on tasks:\n00000000f0cacc1a: .. nvcsw: 1/2 holdout: 1 idle_cpu: -1/0\n"
        "task:acmed state:R  running task\n" + calls("__schedule", *WORK),
    ),
    "hard lockup, powerpc": (
        "BUG: hard lockup in acme_loop",
        "watchdog: CPU 5 self-detected hard LOCKUP @ acme_spin+0x1c/0x40\nNIP [c0000000000d0000] acme_spin+0x1c/0x40\n"
        "LR [c0000000000d0000] acme_loop+0x1c/0x40\nCall Trace:\n[c00000000b5cfab0] [c00800000f1c0c18] acme_loop+0x88/0x120\n"
        "[c00000000b5cfac0] [c00800000f1c0c28] process_one_work+0x88/0x120\n",
    ),
    "soft lockup, riscv": (
        "BUG: soft lockup in sys_acme",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [acmed:7]\nepc : acme_spin+0x1/0x2\n ra : acme_loop+0x1/0x2\n"
        "[<ffffffff80a1b2c4>] acme_spin+0x1/0x2\n[<ffffffff80a1b2c5>] __riscv_sys_acme+0x1/0x2\n"
        "[<ffffffff80a1b2c6>] do_trap_ecall_u+0x1/0x2\n[<ffffffff80a1b2c7>] handle_exception+0x1/0x2\n",
    ),
    "soft lockup, s390": (
        "BUG: soft lockup in sys_acme",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [acmed:7]\nKrnl PSW : 0704c00180000000 00000000005a1b2c (acme_spin+0x1/0x2)\n"
        "Call Trace:\n [<000000000005a1b2>] acme_spin+0x1/0x2\n [<000000000005a1b3>] __s390x_sys_acme+0x1/0x2\n"
        " [<000000000005a1b4>] __do_syscall+0x1/0x2\n [<000000000005a1b5>] system_call+0x1/0x2\n",
    ),
    "sleeping, real-time": (
        "BUG: sleeping function called from invalid context in acme_send",
        "BUG: sleeping function called from invalid context at kernel/locking/spinlock_rt.c:48\nin_atomic(): 1, irqs_disabled(): 1\n"
        f"RCU nest depth: 0, expected: 0\n{WHO}" + calls("dump_stack_lvl", "__might_resched", "rt_spin_lock", "acme_send"),
    ),
    "scheduling while atomic, real-time": (
        "BUG: scheduling while atomic in acme_send",
        f"BUG: scheduling while atomic: acmed/7/0x00000002\n{WHO}"
        + calls("__schedule_bug", "__schedule", "schedule_rtlock", "rtlock_slowlock_locked", "rt_spin_lock", "acme_send"),
    ),
    "UBSAN, a trap": (
        "UBSAN: array index out of bounds in acme_get",
        f"UBSAN: array index out of bounds at acme_get+0x1/0x2\nOops: invalid opcode: 0000 [#1] SMP\n{rip('acme_get')}"
        + calls("vfs_read"),
    ),
    "a page's owner": (
        "BUG: Bad page state in acme_map",
        f"BUG: Bad page state in process kworker/1:2  pfn:0b12c\n{PAGE}{OWNER} post_alloc_hook+0x1/0x2\n prep_new_page+0x1/0x2\n"
        f" get_page_from_freelist+0x1/0x2\n acme_map+0x1/0x2\n{WHO}" + calls("bad_page", "free_pages_prepare", "acme_drop"),
    ),
    "a page without an owner": (
        "BUG: Bad page state in acme_drop",
        f"BUG: Bad page state in process acmed  pfn:0b12c\n{PAGE}{WHO}"
        + calls("dump_stack_lvl", "bad_page.cold", "free_pages_prepare", "free_unref_page", "acme_drop"),
    ),
    "page table": (
        "Bad pagetable in acme_get",
        "acmed: Corrupted page table at address 7fffc0001000\nPGD 1 P4D 2 PUD 3 PMD 4 PTE ffffffffff\n"
        f"Oops: Bad pagetable: 000d [#1] SMP\n{rip('acme_get')}" + calls("vfs_read"),
    ),
    "alignment check": ("alignment check in acme_get", f"Oops: alignment check: 0000 [#1] SMP\n{rip('acme_get')}" + calls("vfs_read")),
    "oops since 6.10": (
        "BUG: unable to handle kernel paging request in acme_get",
        f"BUG: unable to handle page fault for address: ffffed1001\n#PF: supervisor write access\nOops: Oops: 0002 [#1] SMP\n{rip('acme_get')}"
        + calls("vfs_read"),
    ),
    "a jump into data": (
        "BUG: unable to handle kernel paging request in acme_run",
        "BUG: unable to handle kernel paging request at ffffffffa0000000\nIP: [<ffffffffa0000000>] 0xffffffffa0000000\n"
        "Oops: 0011 [#1] SMP\nRIP: 0010:[<ffffffffa0000000>]  [<ffffffffa0000000>] 0xffffffffa0000000\nCode: 90\n" + calls("acme_run"),
    ),
    "arm64, kinds of frames": (
        "BUG: unable to handle kernel paging request in acme_get",
        "Unable to handle kernel paging request at virtual address dfff800000000003\nKASAN: null-ptr-deref in range [0x18-0x1f]\n"
        "Internal error: Oops: 0000000096000005 [#1]  SMP\n" + arm64("acme_get", "acme_get", "vfs_read"),
    ),
    "riscv": (
        "kernel BUG in acme_get",
        "kernel BUG at fs/acme.c:7!\nKernel BUG [#1]\nepc : acme_get+0x1/0x2\n ra : acme_do+0x1/0x2\n[<ffffffff80a1b2c4>] acme_get+0x1/0x2\n",
    ),
    "powerpc, up to 2.6.37": (
        "WARNING in acme_probe",
        "Badness at drivers/char/acme.c:123\nNIP: c0000000000d0000 LR: c0000000000d0000 CTR: 0000000000000000\n"
        "NIP [c0000000000d0000] .acme_probe+0x1c/0x40\nCall Trace:\n[c00000000b5cfab0] [c00800000f1c0c18] .acme_init+0x88/0x120\n",
    ),
    "warning since 6.19": (
        "WARNING: refcount bug in acme_put",
        "refcount_t: addition on 0; use-after-free.\nWARNING: lib/refcount.c:25 at refcount_warn_saturate+0x1/0x2, CPU#1: kworker/u8:3/46\n"
        f"{rip('refcount_warn_saturate')}" + calls("__refcount_add", "acme_put"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_title_is_that_of_the_plain_form(name: str) -> None:
    title, text = CASES[name]
    (report,) = found(text)
    assert (report.title, report.corrupted) == (title, None)


def test_each_is_found_where_one_follows_the_other() -> None:
    lines: list[str] = []
    for at, (_, text) in enumerate(CASES.values()):
        lines += [
            f"[{1000.0 * (at + 1) + n / 1000:12.6f}] {line}"
            for n, line in enumerate(text.rstrip().split("\n"))
        ]
    assert [report.title for report in found("\n".join(lines))] == [title for title, _ in CASES.values()]


def test_the_work_that_left_something_locked_is_known_by_its_function() -> None:
    head = "BUG: workqueue leaked atomic, lock or RCU: kworker/u8:{0}[{0}6]\n     preempt=0x00000000 lock=0->1 RCU=0->0 workfn=acme_work\n"
    one, other = (found(head.format(n) + WHO + calls("process_one_work"))[0] for n in (2, 3))
    assert set(signature_of_report(one).merge) & set(signature_of_report(other).merge)
    assert one.corrupted is None


@pytest.mark.parametrize(
    ("line", "taint", "release"),
    [
        ("CPU: 5 PID: 1 Comm: a Kdump: loaded Tainted: G        W  OE    --------- -  - 4.18.0-553.el8_10.x86_64 #1", "GWOE", "4.18.0-553.el8_10.x86_64"),
        ("CPU: 5 PID: 1 Comm: a Tainted: G          IOE   --------r-  - 4.18.0-193.el8.x86_64 #1", "GIOE", "4.18.0-193.el8.x86_64"),
        ("CPU: 5 PID: 1 Comm: a Tainted: PF          O--------------   3.10.0-123.el7.x86_64 #1", "PFO", "3.10.0-123.el7.x86_64"),
        ("CPU: 5 PID: 1 Comm: a Tainted: G           OE     -------  ---  5.14.0-427.el9.x86_64 #1", "GOE", "5.14.0-427.el9.x86_64"),
        ("Pid: 7, comm: a Tainted: G      D    ---------------    2.6.32-431.el6.x86_64 #1 HP", "GD", "2.6.32-431.el6.x86_64"),
        ("CPU: 5 PID: 1 Comm: a Tainted: G    B   W          next-20240101 #1", "GBW", "next-20240101"),
    ],
)  # fmt: skip
def test_taint_and_release_of_red_hat(line: str, taint: str, release: str) -> None:
    facts = facts_of([line])
    assert (facts.taint, facts.release) == (taint, release)
