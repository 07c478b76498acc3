"""Which lines begin a kernel report, what the report is called, and how its guilty frame is found.

One row for each kind of report: a new kind is a new row here or in :mod:`.kinds_checks` or
:mod:`.kinds_sanitizers`, no more.
Titles follow the convention of the kernel's mailing lists and public dashboards.

Sources: kernel/panic.c, arch/*/kernel/traps.c and mm/fault.c, lib/bug.c, kernel/watchdog.c,
kernel/hung_task.c, kernel/rcu/tree_stall.h, kernel/workqueue.c, arch/x86/kernel/nmi.c,
arch/x86/kernel/cpu/mce/core.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.crash.skip import family

SYMBOL = r"(?P<function>[A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?)?"
"""A function in a header line, with its offset or without."""


@dataclass(frozen=True)
class Form:
    """One way to call a report."""

    title: str
    """``{frame}`` is the guilty frame; other names are groups of the header or of *needs*."""
    alts: tuple[str, ...] = ()
    """Titles that other kinds of report of the same bug may bear."""
    needs: Optional[re.Pattern[str]] = None
    """What the report must hold besides the header, searched for line by line."""
    pick: str = "fault"
    """How the frame is found: one of :data:`lastwords.formats.crash.frame_pick.PICKS`."""
    spares: Optional[re.Pattern[str]] = None
    """Functions that are not to blame for this, besides :data:`lastwords.formats.crash.skip.COMMON`."""


@dataclass(frozen=True)
class Kind:
    """A row of the table."""

    name: str
    event: str
    """One of :data:`lastwords.formats.log.events.KINDS`."""
    words: tuple[str, ...]
    """Every header holds one of these."""
    header: re.Pattern[str]
    forms: tuple[Form, ...]
    """The first whose needs are met counts; when none is, the title is the header line itself.
    A kind without any is but a part of the reports that it continues."""
    continues: frozenset[str] = frozenset()
    """Kinds whose report this header may belong to; ``*``: any."""
    replaces: frozenset[str] = frozenset()
    """Kinds of which this header is the message: before its trace, their report becomes this one."""
    fatal: bool = False
    """Whether the kernel does not survive it."""

    @property
    def alone(self) -> bool:
        """Whether the header says all: no trace follows."""
        return all(form.pick == "none" for form in self.forms)


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


def kind(
    name: str,
    event: str,
    words: str,
    header: str,
    *forms: Form,
    continues: str = "",
    replaces: str = "",
    fatal: bool = False,
) -> Kind:
    """Make a row; words are separated by ``|``, kinds by blanks."""
    return Kind(
        name,
        event,
        tuple(words.split("|")),
        re.compile(header),
        forms,
        frozenset(continues.split()),
        frozenset(replaces.split()),
        fatal,
    )


def form(
    title: str, *alts: str, needs: Optional[str] = None, pick: str = "fault", spares: Optional[str] = None
) -> Form:
    """Make a form; *needs* is searched for in each line of the report, *spares* are words of a family."""
    return Form(title, alts, _line(needs) if needs else None, pick, family(spares) if spares else None)


_BAD_ACCESS = "bad-access in {frame}"
_STALL = "stall in {frame}"
_HANG = "hang in {frame}"
_TIMER = "~apic_timer_interrupt ~rcu"
_UNWINDING = "~rust_begin_unwind ~rust_helper_BUG"

_FAULTS = (
    kind(
        "page_fault_user",
        "oops",
        "access to user memory",
        r"Unable to handle kernel access to user memory",
        form("BUG: unable to handle kernel access to user memory in {frame}", _BAD_ACCESS),
    ),
    kind(
        "null_deref",
        "oops",
        "NULL pointer dereference",
        r"(?:^|BUG: |\bU|\bu)(?:[Uu]?nable to handle )?kernel NULL pointer dereference"
        r"|Kernel NULL pointer dereference",
        form("BUG: unable to handle kernel NULL pointer dereference in {frame}", _BAD_ACCESS),
    ),
    kind(
        "page_fault",
        "oops",
        "page fault for address|nable to handle kernel",
        r"[Uu]nable to handle (?:kernel|page fault)|Unable to handle kernel (?:paging|execute|unknown)",
        # Old kernels print it in two pieces, and what other CPUs print may come between.
        form("BUG: unable to handle kernel", needs=r"BUG: [Uu]nable to handle kernel ?$", pick="required"),
        form("BUG: unable to handle kernel paging request in {frame}", _BAD_ACCESS),
    ),
    kind(
        "stack_guard",
        "oops",
        "BUG: ",
        r"BUG: (?:\S+ )?stack guard page was hit",
        form("BUG: stack guard page was hit in {frame}", "stack-overflow in {frame}", pick="stall"),
        fatal=True,
    ),
    kind(
        "stack_overflow",
        "oops",
        "kernel stack overflow|stack overflow|Insufficient stack space",
        r"^(?:BUG: )?(?:Insufficient stack space to handle exception|kernel stack overflow"
        r"|Kernel stack overflow)",
        form(
            "kernel stack overflow in {frame}", "stack-overflow in {frame}", pick="stack", spares="~bad_stack"
        ),
        continues="stack_guard",
        fatal=True,
    ),
    kind(
        "gpf",
        "oops",
        "general protection",
        r"general protection fault(?:, |: [0-9a-f]{4} | maybe)",
        form("general protection fault in {frame}", _BAD_ACCESS),
    ),
    kind(
        "divide_error",
        "oops",
        "divide|Divide",
        r"^(?:traps: |Oops: )?[Dd]ivide[ _]error: ",
        form("divide error in {frame}", pick="pointer"),
    ),
    kind(
        "double_fault",
        "oops",
        "double fault|double-fault",
        r"^(?:traps: |Oops: )?double fault(?:,|:)|PANIC: double fault(?:,|:)",
        form("PANIC: double fault in {frame}", pick="pointer"),
        continues="double_fault stack_guard page_fault null_deref gpf oops kernel_bug",
        fatal=True,
    ),
    kind(
        "early_exception",
        "oops",
        "early exception",
        r"^PANIC: early exception 0x[0-9a-f]+ ",
        form("PANIC: early exception in {frame}"),
        fatal=True,
    ),
    kind(
        "stack_segment",
        "oops",
        "stack segment",
        r"^(?:Oops: )?stack segment(?:: |, )",
        form("stack segment fault in {frame}"),
    ),
    kind(
        "alignment_trap",
        "oops",
        "Alignment trap",
        r"Alignment trap: not handling instruction",
        form("Alignment trap in {frame}"),
    ),
    kind(
        "unhandled_fault",
        "oops",
        "Unhandled ",
        r"^Unhandled (?:fault|prefetch abort)(?!.*sigcode)",
        form("Unhandled fault in {frame}", _BAD_ACCESS),
        continues="alignment_trap",
    ),
    kind(
        "internal_error",
        "oops",
        "Internal error",
        r"^Internal error:? |Internal error: Oops",
        form("Internal error in {frame}", _BAD_ACCESS),
        continues="null_deref page_fault page_fault_user unhandled_fault alignment_trap kernel_bug "
        "usercopy list_corruption stack_overflow kasan ubsan cfi",
    ),
    kind(
        "oops",
        "oops",
        "[#",
        r"^(?:Oops: (?=[A-Za-z])(?![0-9a-f]+ \[#))?(?P<reason>[A-Za-z].{0,120}?)"
        r"(?:, sig: \d+)?(?:: [0-9a-f]{2,16})?(?: ilc:\d+)? ?\[#\d+\]",
        # A BUG() on mips; on loongarch and riscv, of kernels that were built without the places of them.
        form("kernel BUG in {frame}", needs=r"^Kernel (?:BUG|bug detected) ?\[#\d+\]", spares="^skb_"),
        form("invalid opcode in {frame}", needs=r"^(?:Oops: )?invalid opcode: ", pick="pointer"),
        form("unexpected kernel exception in {frame}", needs=r"^Unexpected kernel .{0,60}\[#\d+\]"),
        form("{reason} in {frame}"),
        continues="null_deref page_fault page_fault_user stack_guard stack_overflow kernel_bug usercopy "
        "list_corruption double_fault gpf divide_error stack_segment kasan slab_corruption ubsan cfi",
    ),
    kind(
        "rust_panic",
        "bug",
        "rust_kernel: panicked",
        r"rust_kernel: panicked at ",
        form(
            "{what} in {frame}",
            needs=r"rust_kernel: panicked at '(?P<what>.+)', \S+:\d+$",  # up to 6.6, of Rust before 1.73
            pick="calls",
            spares=_UNWINDING,
        ),
        form(
            "{what} in {frame}",
            needs=r"rust_kernel: panicked at .*\n(?P<what>.+)",
            pick="calls",
            spares=_UNWINDING,
        ),
    ),
    kind(
        "kernel_bug",
        "bug",
        "ernel BUG",
        r"[Kk]ernel BUG (?:at|in) (?P<where>[^!\s]+)",
        form(
            "BUG: bad usercopy in {frame}",
            needs=r"^kernel BUG at (?:\S*/)?mm/usercopy\.c",
            pick="calls",
            spares="~usercopy ~__check",
        ),
        form(
            "BUG: corrupted list in {frame}",
            _BAD_ACCESS,
            needs=r"^kernel BUG at (?:\S*/)?lib/list_debug\.c",
            pick="calls",
        ),
        # A kernel that was built without the places of its BUG()s.
        form("kernel BUG at {what}", "kernel BUG in {frame}", needs=r"Kernel BUG at (?P<what>\S+ \[.*)"),
        form("kernel BUG in {frame}", spares="^skb_"),
        continues="usercopy list_corruption slab_corruption rust_panic",
    ),
)

_PANICS = (
    kind(
        "panic",
        "panic",
        "ernel panic",
        r"(?<!end )Kernel panic(?: - not syncing)?: ?(?P<reason>.*)",
        form(
            "kernel panic: corrupted stack end in {frame}",
            "stack-overflow in {frame}",
            pick="stack",
            spares="~schedule ~retint_kernel",
            needs=r"Kernel panic - not syncing: corrupted stack end detected",
        ),
        form(
            "kernel stack overflow in {frame}",
            "stack-overflow in {frame}",
            pick="stack",
            spares="~bad_stack",
            needs=r"Kernel panic - not syncing: kernel stack overflow",
        ),
        form(
            "kernel panic: stack is corrupted in {frame}",
            needs=(
                r"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in:? "
                r"(?P<function>[A-Za-z_][\w.]*)(?:\+0x| \()"
            ),
            pick="named",
        ),
        form(
            "kernel panic: stack is corrupted in {frame}",
            needs=r"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in",
            pick="calls",
            spares="~stack_chk",
        ),
        form(
            "kernel panic: {what}",
            needs=r"Kernel panic - not syncing: (?P<what>Attempted to kill init!|Couldn't open N_TTY ldisc"
            r"|Fatal exception|panic_on_warn set|hung_task: blocked tasks)",
            pick="required",
        ),
        form("kernel panic: {reason}", pick="required"),
        continues="*",
        fatal=True,
    ),
)

_HANGS = (
    kind(
        "soft_lockup",
        "hang",
        "BUG: ",
        r"BUG: soft lockup",
        form("BUG: soft lockup in {frame}", _STALL, pick="stall"),
    ),
    kind(
        "hard_lockup",
        "hang",
        "LOCKUP",
        r"(?:Watchdog|watchdog|CPU).{0,40}[Dd]etected hard LOCKUP"
        r"|watchdog: CPU \d+ (?:self-)?detected (?:H|h)ard LOCKUP",
        form("BUG: hard lockup in {frame}", _STALL, pick="stall"),
        replaces="warning",  # up to 4.2
    ),
    kind(
        "task_stuck",
        "hang",
        "can't die for",
        r"INFO: task .{1,64}:\d+ can't die for more than \d+ seconds",
        form("INFO: task can't die in {frame}", _HANG, pick="calls", spares="~schedule"),
    ),
    kind(
        "hung_task",
        "hang",
        "INFO: task ",
        # What is said of the task that holds the lock ("is blocked on a mutex likely owned by") and its trace
        # are of the same report.
        r"INFO: task .{1,64}:\d+ blocked (?:in I/O wait )?for more than",
        form("INFO: task hung in {frame}", _HANG, pick="hang"),
    ),
    kind(
        "rcu_stall",
        "hang",
        "INFO: rcu|RCU detected|detected stall|detected expedited stalls",
        r"INFO: (?:rcu_?\w*|RCU) (?:self-)?detected (?:expedited )?stalls?|INFO: rcu_\w+ .{0,40}stall"
        r"|INFO: RCU detected",
        form(
            "INFO: rcu detected stall in {frame}",
            _STALL,
            pick="own rcu stall",
            spares=_TIMER,
            needs=r"\A.*self-detected",
        ),
        # A task that never sleeps; no timer finds out.
        form(
            "INFO: rcu detected stall in {frame}",
            _STALL,
            pick="stack",
            spares="~schedule ~context_switch",
            needs=r"\A.*rcu_tasks\w* detected",
        ),
        form("INFO: rcu detected stall in {frame}", _STALL, pick="rcu stall", spares=_TIMER),
        continues="rcu_stall",
    ),
    kind(
        "workqueue_lockup",
        "hang",
        "BUG: ",
        r"BUG: workqueue lockup",
        form("BUG: workqueue lockup", pick="none"),
    ),
    kind(
        "netdevice",
        "hang",
        "unregister_netdevice: waiting",
        r"unregister_netdevice: waiting for \S+ to become free",
        form("unregister_netdevice: waiting for DEV to become free", pick="none"),
        continues="netdevice",
    ),
)

REBOOT = kind(
    "reboot",
    "bug",
    "Booting the kernel.|Linux version ",
    r"^(?:Booting the kernel\.|Linux version \d.*)$",
    form("unexpected kernel reboot", pick="none"),
    fatal=True,
)
"""A kernel that starts where another ran and neither shut down nor died: somebody or something reset it."""

_HARDWARE = (
    kind(
        "mce",
        "mce",
        "achine check|achine Check|MACHINE CHECK|Hardware Error]|HARDWARE ERROR",
        r"Machine [Cc]heck(?:: | [Ee]xception)|MACHINE CHECK EXCEPTION|HARDWARE ERROR"
        r"|\[Hardware Error\]: (?:CPU \d+: Machine|event severity: (?:fatal|recoverable)"
        r"|Hardware error from APEI|Machine check events logged)",
        form(
            "hardware error: fatal machine check",
            needs=r"Fatal machine check|Machine check: Processor context corrupt",
            pick="none",
        ),
        form("hardware error: machine check events logged", needs=r"events logged", pick="none"),
        form("hardware error: reported by firmware (APEI)", needs=r"from APEI", pick="none"),
        form("hardware error: machine check", pick="none"),
        continues="mce",
    ),
    kind(
        "nmi",
        "nmi",
        "NMI",
        r"Uhhuh\. NMI received|^NMI: (?:PCI system error|IOCK error|Not continuing)|^NMI: IOCK"
        r"|An NMI occurred",
        form("NMI: {what}", needs=r"NMI: (?P<what>PCI system error|IOCK error)", pick="none"),
        form("NMI: received for unknown reason", pick="none"),
        continues="nmi",
    ),
)

CORE = (*_FAULTS, *_PANICS, *_HANGS, *_HARDWARE)
