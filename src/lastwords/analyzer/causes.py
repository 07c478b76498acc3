"""What explains what: every cause as a declaration, the more special before the more general.

A new kind of event joins by one mark in the step that it shows; a rule says itself what it shows. Where a
detail of an event is absent, a shorter text is taken.
"""

from __future__ import annotations

from typing import Any, Union

from lastwords.analyzer.story import Concluded, Happened, Link, Pattern
from lastwords.model import Severity


def on(kind: str, words: str = "", **details: str) -> Happened:
    """Return the events of a kind, narrowed by words (a regular expression) and details."""
    return Happened(kind, words, tuple(details.items()))


def found(shows: str, at_least: Severity = Severity.INFO) -> Concluded:
    """Return the findings of the rules that say they show that (``@rule(..., shows=...)``)."""
    return Concluded(shows, at_least)


def step(name: str, says: str, *marks: Union[Happened, Concluded], **more: Any) -> Link:
    """Return a step of a chain. Texts are separated by ``|``, the longest first."""
    return Link(name, tuple(says.split("|")), marks, **more)


REQUESTED = "sysrq triggered crash|[Tt]rigger a crash"
OUT_OF_MEMORY = "[Oo]ut of memory|panic_on_oom|deadlocked on memory|no killable process"
NO_ROOT = (
    "Unable to mount root|[Nn]o working init|No init found|Requested init|not initramfs|Cannot open root"
)
NO_BOOT = f"{NO_ROOT}|Attempted to kill init"
"""Of an init that dies a boot fails, but a machine that ran for long does too."""
STUCK = "hung_task|softlockup|[Ll]ockup|LOCKUP|RCU|rcu|blocked tasks"
HARDWARE = "[Mm]achine check|MCE|NMI|[Hh]ardware [Ee]rror"
GRAVE = Severity.CRITICAL
KILL = "{summary}; {count} kills in all|{summary}"
SHORTAGE = "{comm} asked for memory, and there was none|{summary}"
CROWDED = "{count} processes of {crowd} were killed, one after the other: there are always more"
GUILTY = "the fault lies in {frame}, of the module {module}|the fault lies in {frame}"
HUNG_IN = "it hung in {frame}, of the module {module}|it hung in {frame}"
LIMIT_MET = (
    "the limits of {several} control groups were reached, the last that of {memcg}, {limit}|"
    "the limit of {memcg}, {limit}, was reached|{comm} asked for more memory"
)
MET_AGAIN = "{comm} was killed {count} times: started again, it meets it again"
AGAIN = "{comm} was killed {count} times, in {several} control groups"
EATER = "{cause}; {eater} held the most, and {comm} was killed|{cause}"
RANKING = "who held the most: {ranking}"
KERNEL_LOOK = (
    "$ lastwords oops FILE  # the whole kernel log, or a console capture",
    "$ lastwords vmcore FILE  # a crash dump of it",
)

DUMPED = step("dump", "{summary}: {path}", on("dump"), told_by="crash_dumps")
NOT_DUMPED = step(
    "no-dump",
    "no dump of it was saved: {found}",
    found("no-dump", Severity.WARNING),
    unless="dump",
    told_by="kdump",
)
BOOTED = step("boot", "the machine was started again: {summary}", on("boot"))
AFTERMATH = (DUMPED, NOT_DUMPED, BOOTED)
FULL = step("full", "{title}", found("full"), told_by="boot")
IMAGE = step(
    "image",
    "{title}",
    found("image", GRAVE),
    proof=True,
    told_by="initramfs",
)
ROOT = step(
    "root",
    "{title}",
    found("root"),
    proof=True,
    told_by="boot",
)
CONSOLE = "$ lastwords oops FILE  # a console capture of the boot: serial, IPMI, hypervisor"

PATTERNS: tuple[Pattern, ...] = (
    # -- the kernel died
    Pattern(
        "crash-requested",
        ("Somebody asked the kernel to crash (SysRq)",),
        (
            step("request", "{summary}", on("sysrq", REQUESTED)),
            # Up to 5.4 a request was answered by a fault on purpose.
            step("panic", "{summary}", on("panic", REQUESTED), on("oops", frame="sysrq_handle_crash"),
                 core=True),
            *AFTERMATH,
        ),
        sure=True,
    ),
    Pattern(
        "oom-panic",
        ("Memory ran out, and the kernel panicked instead of killing a process",),
        (
            step("setting", "{title}", found("panic-setting"), told_by="oom"),
            step("shortage", SHORTAGE, on("oom_report")),
            step("why", EATER, on("oom_kill", cause="*"), on("oom_report", cause="*"), first=True),
            step("by-whom", RANKING, on("oom_kill", ranking="*"), on("oom_report", ranking="*"), first=True),
            step("kill", KILL, on("oom_kill")),
            step("panic", "{summary}", on("panic", OUT_OF_MEMORY), core=True),
            *AFTERMATH,
        ),
        severity=GRAVE,
        sure=True,
    ),
    # -- it did not boot
    Pattern(
        "boot-failure",
        ("It did not boot: {summary}",),
        (
            FULL,
            IMAGE,
            ROOT,
            step("failure", "{summary}, at the stage: {stage}|{summary}", on("boot_failure"),
                 found("boot-failed"), core=True),
            step("panic", "{summary}", on("panic", NO_BOOT)),
            BOOTED,
        ),
        severity=GRAVE,
        first_on_disk=True,
        more=(CONSOLE,),
        more_unless="log",
    ),
    Pattern(
        "no-root",
        ("It did not boot: the kernel found no root filesystem or no init",),
        (
            FULL,
            IMAGE,
            ROOT,
            step("panic", "{summary}", on("panic", NO_ROOT), core=True),
            BOOTED,
        ),
        severity=GRAVE,
        first_on_disk=True,
        more=(CONSOLE,),
        more_unless="log",
    ),
    Pattern(
        "cannot-boot",
        ("A boot would fail: {found}",),
        (
            FULL,
            step("boot", "{title}", *(found(thing, GRAVE) for thing in ("image", "root", "boot")), core=True),
        ),
        severity=GRAVE,
        first_on_disk=True,
        sure=True,
    ),
    # -- memory ran out
    Pattern(
        "kill-requested",
        ("Somebody asked the kernel to kill a process (SysRq-f), and {comm} was killed",),
        (
            step("request", "{summary}", on("sysrq", "Manual OOM")),
            step("report", "{summary}", on("oom_report", scope="manual")),
            step("kill", KILL, on("oom_kill", scope="manual"), core=True),
        ),
        sure=True,
    ),
    Pattern(
        "kill-refused",
        ("Somebody asked the kernel to kill a process (SysRq-f), and no kill is told",),
        (
            step("request", "{summary}", on("sysrq", "Manual OOM")),
            step("report", "{summary}", on("oom_report", scope="manual"), core=True),
        ),
        sure=True,
    ),
    Pattern(
        "memory-limit",
        (
            "Programs need more memory than the limits of {several} control groups allow, "
            "the last one {comm} in {memcg}",
            "So many processes of {crowd} run that {memcg} needs more memory than its limit of {limit}",
            "{comm} needs more memory than the limit of {memcg}, {limit}, allows",
            "{comm} needs more memory than the limit of {memcg} allows",
            "{comm} needs more memory than its control group allows",
            "A program needs more memory than its control group allows",
        ),
        (
            step("limit", "{title}", found("limit")),
            step("shortage", LIMIT_MET + "|{summary}", on("oom_report", scope="!global"),
                 on("oom_kill", scope="memcg", limit="*")),
            step("why", EATER, on("oom_kill", scope="memcg", cause="*"), first=True),
            step("by-whom", RANKING, on("oom_kill", scope="memcg", ranking="*"), first=True),
            step("kill", KILL, on("oom_kill", scope="memcg"), core=True),
            step("again", f"{AGAIN}|{CROWDED}|{MET_AGAIN}", on("oom_kill", scope="memcg"), at_least=2),
        ),
        sure=True,
        apart="memcg",
    ),
    Pattern(
        "memory-pressure",
        (
            "Under memory pressure, {killer} killed {cgroup}",
            "Under memory pressure, {killer} killed {comm}",
            "Under memory pressure, a program was killed",
        ),
        (
            step("setting", "{title}", found("pressure-setting")),
            step("kill", KILL, *(on("oom_kill", killer=name) for name in
                 ("systemd-oomd", "earlyoom", "oomd", "nohang")), core=True),
            step("again", "{comm} was killed {count} times", on("oom_kill", comm="*"), at_least=2),
        ),
        sure=True,
    ),
    Pattern(
        "out-of-memory",
        (
            "So many processes of {crowd} ran that the machine was out of memory",
            "The machine ran out of memory: {eater} held the most, and {comm} was killed",
            "The machine ran out of memory, and {comm} was killed",
            "The machine ran out of memory",
        ),
        (
            step("why", EATER, on("oom_kill", scope="global", cause="*"), proof=True, first=True),
            step("by-whom", RANKING, on("oom_kill", scope="global", ranking="*"), first=True),
            step("setting", "{title}", found("memory-setting", Severity.WARNING)),
            step("shortage", SHORTAGE, on("oom_report", scope="!memcg")),
            step("kill", KILL, on("oom_kill"), core=True),
            step("again", CROWDED + "|{comm} was killed {count} times: started again, it grows again",
                 on("oom_kill", comm="*", scope="!memcg"), at_least=2),
        ),
        more=("$ lastwords oom FILE  # the whole kernel log: what held the memory",),
    ),
    Pattern(
        "shortage",
        (
            "{comm} found no memory left, and nothing was killed: {outcome}",
            "{comm} found no memory left, and what the kernel did about it is not told",
            "Memory ran out, and what the kernel did about it is not told",
        ),
        (
            step("why", EATER, on("oom_report", cause="*"), first=True),
            step("by-whom", RANKING, on("oom_report", ranking="*"), first=True),
            step("shortage", "the limit of {memcg}, {limit}, was reached|" + SHORTAGE, on("oom_report"),
                 core=True),
        ),
        more=("$ journalctl -k -b all  # or another whole kernel log: what the kernel did then",),
    ),
    # -- the rest of the machine
    Pattern(
        "storage-failing",
        ("The filesystem on {device} is damaged or cannot be written", "A filesystem is damaged"),
        (
            step("error", "{summary}; {count} in all|{summary}", on("io_error"), proof=True),
            step("filesystem", "{summary}; {count} in all|{summary}", on("filesystem_error"), core=True),
            step("hang", "{summary}", on("hang", hang="task")),
            step("panic", "{summary}", on("panic")),
        ),
        more=("$ smartctl -a /dev/{device}",),
    ),
    Pattern(
        "hardware-error",
        ("The hardware reported errors: {summary}",),
        (
            step("error", "{summary}; {count} in all|{summary}", on("mce"), on("nmi"), core=True),
            step("panic", "{summary}", on("panic", HARDWARE)),
            *AFTERMATH,
        ),
        more=("$ ipmitool sel list", "$ ras-mc-ctl --errors"),
    ),
    Pattern(
        "kernel-bug",
        ("The kernel hit a bug in its own code: {title}", "The kernel hit a bug in its own code: {summary}"),
        (
            step("fault", "{title}|{summary}", on("oops"), on("bug"), core=True),
            step("guilty", GUILTY, on("oops", frame="*"), on("bug", frame="*"),
                 proof=True),
            step("panic", "{summary}", on("panic")),
            step("not-caught", "{title}", found("not-caught"), unless="panic"),
            *AFTERMATH,
        ),
        severity=GRAVE,
        more=KERNEL_LOOK,
    ),
    Pattern(
        "lockup",
        ("Something in the kernel hung: {title}", "Something in the kernel hung: {summary}"),
        (
            step("disk", "{summary}; {count} in all|{summary}", on("io_error"), proof=True),
            step("hang", "{summary}; {count} reports|{summary}", on("hang"), core=True),
            step("guilty", HUNG_IN, on("hang", frame="*"), proof=True),
            step("panic", "{summary}", on("panic", STUCK)),
            *AFTERMATH,
        ),
        more=KERNEL_LOOK,
    ),
    Pattern(
        "panic",
        ("The kernel panicked: {title}", "The kernel panicked: {reason}", "{summary}"),
        (step("panic", "{summary}", on("panic"), core=True), *AFTERMATH),
        severity=GRAVE,
        more=KERNEL_LOOK,
    ),
    Pattern(
        "ended-abruptly",
        ("The machine stopped without a word: reset, power loss, or a hang that nothing caught",),
        (step("end", "{title}", found("abrupt-end", Severity.WARNING), core=True), NOT_DUMPED),
        more=("$ lastwords oops FILE  # a console capture of that time: serial, IPMI, hypervisor",),
    ),
    Pattern(
        "crash-dumped",
        ("The kernel crashed and left a dump: {path}",),
        (step("dump", "{summary}: {path}", on("dump"), core=True), BOOTED),
        more=("$ lastwords vmcore {path}/vmcore", "Read the kernel log saved beside the dump."),
    ),
    # -- what has not happened yet
    Pattern(
        "crash-uncaught",
        ("The next kernel crash would leave no dump: {found}",),
        (
            step("refused", "{summary}", on("kdump", "fail|refus|denied|restricted|cannot|unable")),
            step("readiness", "{title}", found("no-dump", Severity.WARNING), core=True),
            step("also", "{title}", found("no-dump")),
            step("down", "{title}", found("stays-down")),
        ),
        sure=True,
        risk=True,
    ),
    Pattern(
        "boot-at-risk",
        ("The next boot or kernel update may fail: {found}",),
        (
            step("risk", "{title}",
                 *(found(thing, Severity.WARNING) for thing in ("image", "root", "boot", "full")),
                 core=True),
        ),
        sure=True,
        risk=True,
    ),
)  # fmt: skip
"""All causes."""
