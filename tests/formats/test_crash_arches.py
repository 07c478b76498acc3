"""Reports as other architectures, kernels built otherwise, and tools that work on logs print them."""

from __future__ import annotations

import pytest

from lastwords.formats.crash.reports import Report, find_reports
from lastwords.formats.log.messages import messages

CUT = "------------[ cut here ]------------\n"
WARNED = "WARNING: CPU: 0 PID: 7 at drivers/acme/x.c:7 acme_probe+0x1c/0x40\nModules linked in:\n"

X86 = """\
CPU: 1 PID: 7 Comm: acmed Not tainted 6.19.0 #1
RIP: 0010:{0}+0x1/0x20
Code: 0f 0b 48 89
RSP: 0018:ffffc90000a17b60 EFLAGS: 00010246
Call Trace:
 <TASK>
 {1}+0x1/0x20
 vfs_write+0x1/0x20
 do_syscall_64+0x5c/0x90
"""
ARM64 = """\
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : {0}+0x1c/0x40
lr : {0}+0x18/0x40
Call trace:
 {0}+0x1c/0x40 (P)
 {1}+0x18/0x40
 el0t_64_sync+0x1a4/0x1a8
"""
ARM_UNWINDER = """\
Hardware name: ARM-Versatile Express
 unwind_backtrace from show_stack+0x10/0x14
 show_stack from dump_stack_lvl+0x40/0x4c
 dump_stack_lvl from __warn+0xc8/0x1a0
 __warn from warn_slowpath_fmt+0xa8/0xb8
 warn_slowpath_fmt from {0}+0x1/0x20
 {0} from {1}+0x5c/0xb0
"""
PPC = """\
NIP:  c0000000000d0000 LR: c0000000000cfff0 CTR: c0000000000d0000
NIP [c0000000000d0000] {0}+0x1c/0x40
LR [c0000000000cfff0] {1}+0x1c/0x40
Call Trace:
[c00000000b5cfab0] [c0000000000cfff0] {1}+0x1c/0x40 (unreliable)
[c00000000b5cfb50] [c0000000000dfff0] {1}+0x88/0x120
"""
PPC_DOTS = PPC.replace("{0}", ".{0}").replace("{1}", ".{1}")
RISCV = """\
epc : {0}+0x1c/0x40
 ra : {1}+0x18/0x40
epc : ffffffff80a1b2c4 ra : ffffffff80a1b2c0 sp : ff20000000
status: 0000000200000120 badaddr: 0000000000000000 cause: 0000000000000003
[<ffffffff80a1b2c4>] {0}+0x1c/0x40
[<ffffffff80a1c2c4>] {1}+0x1c/0x40
"""
S390 = """\
Krnl PSW : 0704c00180000000 00000000001b5e3c ({0}+0x1c/0x40)
           R:0 T:1 IO:0 EX:0 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3
Call Trace:
 [<00000000001b5e3c>] {0}+0x1c/0x40
([<00000000001b5e38>] {0}+0x18/0x40)
 [<00000000001c5e38>] {1}+0x18/0x40
"""
LOONGARCH = """\
pc 9000000002b4c9a0 ra 9000000002b4c980 tp 9000000100a34000 sp 9000000100a37d10
    ra: 9000000002b4c980 {1}+0x20/0x80
   ERA: 9000000002b4c9a0 {0}+0x40/0x80
Call Trace:
[<9000000002b4c9a0>] {0}+0x40/0x80
[<9000000002b4d9a0>] {1}+0x40/0x80
"""
MIPS = """\
epc   : 801234ac {0}+0x40/0x80
ra    : 801234a0 {1}+0x20/0x80
Call Trace:
[<801234ac>] {0}+0x40/0x80
[<801244ac>] {1}+0x40/0x80
"""
NULL = "BUG: unable to handle kernel NULL pointer dereference in acme_get"
PAGING = "BUG: unable to handle kernel paging request in acme_get"


def found(text: str) -> list[Report]:
    return find_reports(messages((n, 0, line.encode()) for n, line in enumerate(text.split("\n"), 1)))


@pytest.mark.parametrize("trace", [X86, ARM64, ARM_UNWINDER, PPC, PPC_DOTS, RISCV, S390, LOONGARCH, MIPS])
def test_a_warning_names_its_function(trace: str) -> None:
    report = found(CUT + WARNED + trace.format("acme_probe", "platform_probe"))[0]
    assert (report.title, report.corrupted) == ("WARNING in acme_probe", None)


@pytest.mark.parametrize(
    ("title", "header", "trace"),
    [
        (NULL, "BUG: kernel NULL pointer dereference, address: 08\nOops: Oops: 0000 [#1] SMP NOPTI\n", X86),
        (NULL, "Unable to handle kernel NULL pointer dereference at virtual address 08\nMem abort info:\n"
         "Internal error: Oops: 0000000096000004 [#1]  SMP\n", ARM64),
        (NULL, "8<--- cut here ---\nUnable to handle kernel NULL pointer dereference at virtual address 08 when read\n"
         "[00000008] *pgd=00000000\nInternal error: Oops: 5 [#1] SMP ARM\nPC is at acme_get+0x1c/0x40\n"
         "LR is at acme_do+0x18/0x40\n", ARM_UNWINDER),
        (NULL, "BUG: Kernel NULL pointer dereference on read at 0x00000008\nFaulting instruction address: 0xc0\n"
         "Oops: Kernel access of bad area, sig: 11 [#1]\n", PPC),
        (PAGING, "Unable to handle kernel paging request for data at address 0x00000008\n"
         "Faulting instruction address: 0xc0\nOops: Kernel access of bad area, sig: 11 [#1]\n", PPC_DOTS),
        (NULL, "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\nOops [#1]\n", RISCV),
        (PAGING, "Unable to handle kernel pointer dereference in virtual kernel address space\n"
         "Failing address: 0000000000000000 TEID: 0000000000000483\nOops: 0004 ilc:2 [#1] SMP\n", S390),
        (PAGING, "CPU 0 Unable to handle kernel paging request at virtual address 0008, era == 90, ra == 90\nOops[#1]:\n",
         LOONGARCH),
        (PAGING, "CPU 0 Unable to handle kernel paging request at virtual address 0008, epc == 80, ra == 80\nOops[#1]:\n",
         MIPS),
    ],
)  # fmt: skip
def test_a_fault_names_its_function(title: str, header: str, trace: str) -> None:
    reports = found(header + trace.format("acme_get", "acme_do"))
    assert [(report.title, report.frame) for report in reports] == [(title, "acme_get")]


@pytest.mark.parametrize("trace", [X86, ARM64, PPC, RISCV, S390, LOONGARCH, MIPS])
def test_the_caller_is_to_blame_for_what_memcpy_met(trace: str) -> None:
    header = "Unable to handle kernel paging request at virtual address 0008\n"
    assert found(header + trace.format("__memcpy", "acme_do"))[0].frame == "acme_do"


@pytest.mark.parametrize(
    "header",
    [
        "WARNING: drivers/acme/x.c:7 at acme_probe+0x1/0x20, CPU#1: acmed/7\n",
        "WARNING: [acme->count == 0] drivers/acme/x.c:7 at acme_probe+0x1/0x20, CPU#1: acmed/7\n",
        "WARNING: drivers/acme/x.c:7 at 0x0, CPU#1: acmed/7\n",
        f"acme: 3 of 4 {WARNED}",
    ],
)
def test_warnings_of_all_ways_to_build(header: str) -> None:
    assert [r.title for r in found(CUT + header + X86.format("acme_probe", "a"))] == ["WARNING in acme_probe"]


def test_a_kernel_without_places_of_bugs_names_the_function() -> None:
    report = found(
        "Kernel BUG at acme_get+0x12/0x30 [verbose debug info unavailable]\ninvalid opcode: 0000 [#1] SMP\n"
        + X86.format("acme_get", "a")
    )[0]
    assert report.title == "kernel BUG at acme_get [verbose debug info unavailable]"
    assert report.alts == ("kernel BUG in acme_get",)


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("BUG: unable to handle kernel", "[    1.000000] BUG: unable to handle kernel \n[    1.000001] acme: up\n"),
        ("BUG: corrupted", "[    1.000000] BUG: \n[    1.000001]  acme_get+0x1/0x2\n"),
    ],
)  # fmt: skip
def test_a_first_line_that_is_torn_still_tells_of_a_report(title: str, text: str) -> None:
    report = found(text)[0]
    assert report.title == title
    assert report.corrupted


def test_first_lines_with_places_in_the_source_are_of_one_report() -> None:
    places = (
        "instrument_atomic_read include/linux/instrumented.h:82 [inline]",
        "atomic_read include/linux/atomic/atomic-instrumented.h:32 [inline]",
        "acme_get+0x1/0x20 drivers/acme/x.c:7",
    )
    text = "".join(f"BUG: KASAN: slab-use-after-free in {place}\n" for place in places)
    text += "Read of size 4 at addr ffff8881 by task acmed/7\n\n" + X86.format("acme_get", "a")
    assert [r.title for r in found(text)] == ["KASAN: slab-use-after-free Read in acme_get"]


def test_who_holds_the_lock_is_of_the_report_of_who_waits_for_it() -> None:
    trace = "Call Trace:\n <TASK>\n __schedule+0x1/0x2\n schedule+0x1/0x2\n __mutex_lock+0x1/0x2\n {}+0x1/0x2\n </TASK>\n"
    text = (
        "INFO: task acmed:7 blocked for more than 143 seconds.\n      Not tainted 6.17.0 #1\n"
        + trace.format("acme_open")
        + "INFO: task acmed:7 is blocked on a mutex likely owned by task holder:8.\n"
        + "task:holder          state:D stack:0     pid:8\n"
        + trace.format("acme_hold")
    )
    assert [r.title for r in found(text)] == ["INFO: task hung in acme_open"]


@pytest.mark.parametrize(
    "names",
    [
        ("smp_call_function_many_cond", "on_each_cpu_cond_mask", "flush_tlb_mm_range"),
        ("acme_ipi", "__flush_smp_call_function_queue", "__sysvec_call_function"),
    ],
)
def test_a_stall_in_calls_to_other_cpus_is_one_bug(names: tuple[str, ...]) -> None:
    text = "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [acmed:7]\nCall Trace:\n"
    text += "".join(f" {name}+0x1/0x20\n" for name in names)
    text = text.replace("Call Trace", f"RIP: 0010:{names[0]}+0x1/0x20\nCall Trace")
    assert found(text)[0].title == "BUG: soft lockup in smp_call_function"


def test_a_cpu_that_finds_itself_stalled_prints_where_the_timer_interrupted_it() -> None:
    text = "rcu: INFO: rcu_preempt self-detected stall on CPU\nrcu: \t1-....: (851 ticks this GP)\n"
    trace = X86.format("delay_tsc", "acme_spin").replace("vfs_write", "__do_sys_finit_module")
    report = found(text + trace)[0]
    assert report.title == "INFO: rcu detected stall in finit_module"
    assert "INFO: rcu detected stall in __do_sys_finit_module" in report.alts
