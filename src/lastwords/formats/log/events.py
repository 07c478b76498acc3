"""What a kernel message tells of: a panic, an oops, a hang, a boot ...

Works on the text of one line, without its prefix (:mod:`lastwords.formats.log.klog`). Finds the line that
*begins* a report; taking the report apart is the work of deeper parsers. OOM kills, which take several lines,
are found by :mod:`lastwords.formats.oom.events`.

Sources: kernel/panic.c, arch/*/kernel/traps.c and die(), lib/bug.c,
kernel/watchdog.c, kernel/hung_task.c, kernel/rcu/tree_stall.h, kernel/workqueue.c, arch/x86/kernel/nmi.c,
arch/x86/kernel/cpu/mce, kernel/locking/lockdep.c, fs/{ext4,xfs,btrfs,jbd2}, block/blk-core.c,
kernel/kexec_core.c, kernel/crash_reserve.c, init/{initramfs,do_mounts,main}.c, drivers/tty/sysrq.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Optional

KINDS = {
    "oom_report": "the kernel ran out of memory and printed a report",
    "oom_kill": "a process or a cgroup was killed for want of memory, by the kernel or a daemon",
    "panic": "the kernel gave up",
    "oops": "a fault in kernel code: page fault, protection fault, invalid instruction ...",
    "bug": "a check in the kernel failed: BUG(), sanitizers, bad page state, sleeping while atomic ...",
    "warning": "WARN(), lockdep, UBSAN",
    "hang": "soft or hard lockup, hung task, RCU stall, workqueue lockup",
    "mce": "an error reported by hardware: machine check, APEI, EDAC",
    "nmi": "an NMI of unknown reason, or one that tells of a hardware error",
    "io_error": "a block device failed to read or write",
    "filesystem_error": "a filesystem found damage, went read-only or shut down",
    "boot_failure": "initramfs, root filesystem or init could not be used; found by several lines (failures)",
    "boot": "a kernel started",
    "shutdown": "a kernel restarted, halted or powered off in order",
    "kdump": "crashkernel reservation or kexec failed, or a crash kernel was started",
    "sysrq": "somebody asked by SysRq for a crash, an OOM kill or a reset",
    "segfault": "a program died of a fault the kernel reports",
}
"""Kinds of events found in logs, with what each means."""


@dataclass(frozen=True)
class Found:
    """What a line tells of."""

    kind: str
    """One of :data:`KINDS`."""
    summary: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Rule:
    word: str
    """Bytes that every line of the kind holds: what is searched for first."""
    kind: str
    pattern: re.Pattern[str]
    fixed: dict[str, Any] = field(default_factory=dict)


def _rule(kind: str, word: str, pattern: str, **fixed: Any) -> _Rule:
    return _Rule(word, kind, re.compile(pattern), fixed)


# Longest comm is 15 bytes (TASK_COMM_LEN), kernel threads' 63; names may hold blanks, colons and brackets.
_COMM = r"(?P<comm>.{1,64}?)"

_RULES = (
    # -- the end
    _rule("panic", "Kernel panic", r"(?<!end )Kernel panic(?: - not syncing)?: ?(?P<reason>.*)"),
    # -- hangs
    _rule(
        "hang",
        "BUG",
        r"BUG: soft lockup(?:.*?CPU#(?P<cpu>\d+))?(?: stuck for (?P<seconds>\d+)s!)?"
        r"(?: \[(?P<comm>.*):(?P<pid>\d+)\])?",
        hang="soft_lockup",
    ),
    _rule(
        "hang",
        "hard LOCKUP",
        r"(?:CPU ?(?P<cpu>\d+):? )?.*[Dd]etected hard LOCKUP(?: on cpu (?P<cpu_after>\d+))?",
        hang="hard_lockup",
    ),
    _rule(
        "hang",
        "INFO: ",
        rf"INFO: task {_COMM}:(?P<pid>\d+) (?:blocked|can't die|is blocked).*? for more than"
        r" (?P<seconds>\d+) seconds",
        hang="task",
    ),
    _rule("hang", "INFO: ", r"INFO: (?:rcu\S* .*stall|RCU detected)", hang="rcu_stall"),
    _rule("hang", "BUG", r"BUG: workqueue lockup", hang="workqueue"),
    _rule(
        "hang",
        "BUG",
        r"BUG: \w+ lockup suspected on CPU#(?P<cpu>\d+), (?P<comm>.+)/(?P<pid>\d+)",
        hang="spinlock",
    ),
    _rule(
        "hang",
        "unregister_netdevice:",
        r"unregister_netdevice: waiting for (?P<device>\S+) to become free",
        hang="netdevice",
    ),
    # -- programs; before the faults of the kernel, whose words they share
    _rule(
        "segfault",
        "segfault at",
        rf"^{_COMM}\[(?P<pid>\d+)\]: segfault at (?P<address>\S+) ip (?P<ip>\S+)"
        r" .*?error (?P<error>[0-9a-f]+)(?: in (?P<object>[^\[]+)\[)?",
    ),
    _rule(
        "segfault",
        "traps: ",
        rf"^traps: {_COMM}\[(?P<pid>\d+)\] (?P<trap>.*?) ip:(?P<ip>\S+)"
        r"(?:.* in (?P<object>[^\[]+)\[)?",
    ),
    _rule(
        "segfault",
        ": unhandled ",
        rf"^{_COMM}\[(?P<pid>\d+)\]: unhandled (?P<trap>.*) at (?P<address>0x\S+)",
    ),
    # -- faults in the kernel
    _rule("bug", "ernel BUG", r"[Kk]ernel BUG at (?P<where>[^!]+)!?"),
    _rule("oops", "nable to handle", r"[Uu]nable to handle .*"),
    _rule("oops", "NULL pointer dereference", r"(?:BUG: |^)[Kk]ernel NULL pointer dereference.*"),
    _rule("oops", "[#", r"^(?P<reason>[A-Za-z].*?)(?:: [0-9a-f]{2,16})?(?: ilc:\d+)? ?\[#(?P<number>\d+)\]"),
    _rule("oops", "general protection fault", r"^general protection fault(?:,|:)"),
    _rule("oops", "double fault", r"^(?:traps: )?PANIC: double fault"),
    _rule("oops", "Unhandled ", r"^Unhandled (?:fault|prefetch abort)"),
    _rule("bug", "BUG", r"(?:^|[\]>] ?|: |\[ )BUG(?:: (?P<reason>.*)|(?: \S.*)? \((?:Not t|T)ainted)"),
    # -- warnings
    _rule(
        "warning",
        "WARNING:",
        # Not every line that says so: pr_warn() may, of small things.
        r"^WARNING: (?:(?:CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) )?at (?P<where>[\w./-]+:\d+)?"
        r"|(?P<where_first>[\w./-]+:\d+) at |possible |suspicious |inconsistent |bad unlock |held lock"
        r"|lock held |\S+ still has locks|(?:HARD|SOFT)IRQ|kernel stack |stack recursion)",
    ),
    _rule(
        "warning",
        "INFO: ",
        r"(?:^|\[ )INFO: (?:possible|suspicious|inconsistent|trying to register|.*lock order)",
    ),
    _rule("warning", "UBSAN:", r"^UBSAN: "),
    # -- hardware
    _rule("mce", "Hardware Error]", r"\[Hardware Error\]"),
    _rule("mce", "achine ", r"Machine [Cc]heck(?:: | [Ee]xception: | events| in | interrupt)"),
    _rule("mce", "EDAC ", r"EDAC (?P<controller>\w+): (?P<errors>\d+) (?P<error>[CU]E)\b"),
    _rule("nmi", "NMI", r"Uhhuh\. NMI received(?:.*reason (?P<reason>[0-9a-f]+) on CPU (?P<cpu>\d+))?"),
    _rule("nmi", "NMI", r"^NMI: (?:PCI system error|IOCK error|Not continuing)|^NMI: .* for reason"),
    # -- disks
    _rule(
        "io_error",
        "error, dev ",
        r"(?P<error>[\w/ ]+ error), dev (?P<device>[\w!-]+), sector (?P<sector>\d+)",
    ),
    _rule("io_error", "I/O error", r"Buffer I/O error on (?:dev(?:ice)? )?(?P<device>[\w!-]+)"),
    _rule("io_error", "rejecting I/O", r"rejecting I/O to "),
    _rule("io_error", "timeout, ", r"^nvme (?P<device>nvme\d+): I/O .*timeout, "),
    _rule("filesystem_error", "-fs error", r"^[\w-]+-fs error \(device (?P<device>[^)]+)\)"),
    _rule(
        "filesystem_error",
        "Remounting filesystem",
        r"^[\w-]+-fs(?: \((?P<device>[^)]+)\))?: Remounting filesystem read-only",
    ),
    _rule("filesystem_error", "Aborting journal", r"Aborting journal on device (?P<device>[\w!-]+)"),
    _rule(
        "filesystem_error",
        "XFS (",
        r"^XFS \((?P<device>[^)]+)\): .*"
        r"(?:[Cc]orruption|[Ss]hut(?:ting)? ?down|I/O [Ee]rror|Unmount and run)",
    ),
    _rule("filesystem_error", "BTRFS", r"^BTRFS:? ?(?:error|critical) \(device (?P<device>[^)]+)\)"),
    _rule("filesystem_error", "forced readonly", r"^BTRFS:? .*\(device (?P<device>[^)]+)\).*forced readonly"),
    # -- boot, kexec, requests
    _rule("boot", "Linux version ", r"^Linux version (?P<release>\S+)"),
    _rule(
        "kdump",
        "crashkernel",
        r"(?i)^(?!.*command line:).*crashkernel.*(?:fail|expected|cannot|unable|invalid|ignor|must)",
    ),
    _rule(
        "kdump",
        "kexec",
        r"^(?!.*ommand line:).*kexec.*(?:fail|restricted|denied|not (?:available|allowed|supported))",
    ),
    _rule("kdump", "Starting ", r"^(?:kexec\w*: )?Starting (?:new|crashdump) kernel"),
    _rule(
        "sysrq",
        "ys",
        r"^[Ss]ys[Rr]q ?: (?P<request>Trigger a crash|Manual OOM execution|Resetting|Power Off)",
    ),
    _rule("shutdown", "reboot: ", r"^reboot: (?P<how>Restarting system|Power down|System halted)"),
)


def _words() -> tuple[bytes, ...]:
    # "ys" alone is in every other line: the two spellings of SysRq stand for it.
    given = [rule.word for rule in _RULES]
    words = [word for word in given if word not in ("ys", "Starting ", "achine ")]
    words += [
        "sysrq: ",
        "SysRq : ",
        "Starting new kernel",
        "Starting crashdump",
        "achine check",
        "achine Check",
    ]
    shortest = sorted(set(words), key=len)
    kept: list[str] = []
    for word in shortest:
        if not any(other in word for other in kept):
            kept.append(word)
    return tuple(word.encode() for word in kept)


WORDS = _words()
"""Byte strings of which every line that :func:`detect` knows holds at least one."""

_NUMBERS = {"pid", "seconds", "cpu", "number", "errors", "sector"}


def detect(text: str) -> Optional[Found]:
    """Return what a message of the kernel tells of, or None.

    >>> detect("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:88]").details["hang"]
    'soft_lockup'
    >>> detect("the agent says BUGS: none") is None
    True
    """
    text = text.strip()
    for rule in _RULES:
        if rule.word in text and (match := rule.pattern.search(text)) is not None:
            return _found(rule, match, text)
    return None


def _found(rule: _Rule, match: re.Match[str], text: str) -> Found:
    details: dict[str, Any] = dict(rule.fixed)
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    for plain, other in (("cpu", "cpu_after"), ("where", "where_first")):
        if other in groups:
            groups[plain] = groups.pop(other)
    for name, value in groups.items():
        details[name] = int(value) if name in _NUMBERS else value.strip()
    return Found(rule.kind, _summary(rule.kind, details, text), details)


def _summary(kind: str, details: dict[str, Any], text: str) -> str:
    """One line for people. Most messages are just that."""
    if kind == "boot":
        return f"kernel {details['release']} started"
    return " ".join(text.split())[:200]
