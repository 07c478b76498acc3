"""Kernel settings that decide whether memory runs out, what happens then, and what is left to see of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

COMMITTED = 0.9
"""Share of CommitLimit from which allocations are about to fail."""
STRICT_RESERVE = 128 << 10
"""kB that admin_reserve_kbytes should be under strict overcommit (admin-guide/sysctl/vm.rst)."""
BROKEN_MIN_FREE = 1024
"""kB below which the kernel is "subtly broken, and prone to deadlock under high loads" (vm.rst)."""
HIGH_MIN_FREE, HUGE_MIN_FREE = 0.10, 0.25
"""Shares of RAM. The kernel itself never reserves more than a twentieth."""
ZRAM_SWAPPINESS, ZRAM_UNUSED = 60, 10


def runtime(case: Case, name: str) -> Any:
    """Return the value in force of a memory sysctl; None where it is not known."""
    return case.facts["oom"]["sysctls"][name]["runtime"]


def _meminfo(case: Case) -> dict[str, int]:
    return case.facts["memory"].get("meminfo") or {}


def _proof(name: str, value: Any, threshold: Any) -> Proof:
    return Proof("/proc/sys/" + name.replace(".", "/"), value=value, threshold=threshold)


@rule("oom-panics", needs=("oom",), shows="panic-setting")
def oom_panics(case: Case) -> Iterator[Finding]:
    """``vm.panic_on_oom`` is set: instead of killing a process the kernel panics.

    Mode 1 panics when the host is out of memory; mode 2 even when a control group, a cpuset or a memory
    policy is, so that one container takes the host down. With a capture kernel loaded mode 1 is a way to
    learn who ate the memory, and a note; without one the machine goes down and leaves nothing.
    """
    value = runtime(case, "vm.panic_on_oom")
    if not value:
        return
    loaded = ((case.facts.get("kdump") or {}).get("kexec") or {}).get("crash_loaded")
    why = "vm.panic_on_oom takes the whole machine down instead of one process"
    if value == 2:
        why += ", even when only a container has reached its own limit"
    if loaded:
        why += "; the capture kernel that is loaded saves why."
    elif loaded is False:
        why += ", and no capture kernel would save why."
    else:
        why += "; whether a capture kernel would save why is not known."
    yield Finding(
        "oom-panics",
        Severity.INFO if loaded and value == 1 else Severity.WARNING,
        "The kernel panics when it runs out of memory",
        why,
        evidence=(_proof("vm.panic_on_oom", value, 0),),
        fix=("$ sysctl -w vm.panic_on_oom=0", "Take it out of the sysctl files that set it as well."),
    )


@rule("oom-overcommit", needs=("oom", "memory"), shows="memory-setting")
def overcommit(case: Case) -> Iterator[Finding]:
    """Memory is promised without bounds (mode 1, a note), or strictly and nearly all of it is promised.

    Under strict overcommit (``vm.overcommit_memory`` 2) an allocation fails once Committed_AS reaches
    CommitLimit, however much memory is free: a warning from 90 % on. Programs then fail where nothing is in
    the kernel log.
    """
    mode = runtime(case, "vm.overcommit_memory")
    if mode == 1:
        yield Finding(
            "oom-overcommit",
            Severity.INFO,
            "Every request for memory is granted",
            "With vm.overcommit_memory=1 a program is never told that there is no memory: it is killed"
            " instead, or another one is. Some programs ask for it (Redis, to save by fork).",
            evidence=(_proof("vm.overcommit_memory", 1, 0),),
            fix=("$ sysctl -w vm.overcommit_memory=0",),
        )
    limit, committed = _meminfo(case).get("CommitLimit"), _meminfo(case).get("Committed_AS")
    if mode != 2 or not limit or committed is None or committed < limit * COMMITTED:
        return
    fix = [
        "Raise vm.overcommit_ratio (or vm.overcommit_kbytes), add swap, or find in Committed_AS who reserves"
        " what he does not use."
    ]
    reserve = runtime(case, "vm.admin_reserve_kbytes")
    if isinstance(reserve, int) and reserve < STRICT_RESERVE:
        fix.append(
            f"$ sysctl -w vm.admin_reserve_kbytes={STRICT_RESERVE}  # else root cannot log in to mend it"
        )
    available = _meminfo(case).get("MemAvailable")
    free = f", while {size(available)} are available" if available is not None else ""
    yield Finding(
        "oom-overcommit",
        Severity.WARNING,
        f"{committed * 100 // limit} % of what may be promised is promised: allocations are about to fail",
        f"Under strict overcommit {size(committed)} of {size(limit)} are reserved{free}.",
        evidence=(
            _proof("vm.overcommit_memory", 2, None),
            Proof("/proc/meminfo", excerpt="Committed_AS", value=committed, threshold=int(limit * COMMITTED)),
        ),
        fix=tuple(fix),
    )


@rule("oom-min-free", needs=("oom", "memory"), shows="memory-setting")
def min_free(case: Case) -> Iterator[Finding]:
    """``vm.min_free_kbytes`` is far from what the kernel itself would choose.

    Below 1 MB, or half of the kernel's own formula (4 times the root of memory in kB), atomic allocations
    fail and the machine can deadlock. More than a tenth of memory is taken from everybody, a quarter makes
    the OOM killer run while memory is free: critical.
    """
    value, ram = runtime(case, "vm.min_free_kbytes"), _meminfo(case).get("MemTotal")
    if not isinstance(value, int) or not ram:
        return
    total = ram >> 10
    least = max(BROKEN_MIN_FREE, min(isqrt(total * 16), 65536) // 2)
    if value < least and total > 64 << 10:
        severity, title = Severity.WARNING, "Too little memory is kept free for the kernel"
        why = "Allocations that cannot wait (network, storage) fail under load, and the machine may deadlock."
        threshold: Any = least
    elif value > total * HIGH_MIN_FREE:
        severity = Severity.CRITICAL if value > total * HUGE_MIN_FREE else Severity.WARNING
        title = f"{value * 100 // total} % of memory is kept free, and nobody may use it"
        why = "The OOM killer runs while so much is still free."
        threshold = int(total * HIGH_MIN_FREE)
    else:
        return
    yield Finding(
        "oom-min-free",
        severity,
        title,
        f"vm.min_free_kbytes is {value}, with {size(ram)} of memory. {why}",
        evidence=(_proof("vm.min_free_kbytes", value, threshold),),
        fix=("Take vm.min_free_kbytes out of the sysctl files, and reboot: the kernel chooses well.",),
    )


@rule("oom-zram-swappiness", needs=("oom", "memory"), shows="memory-setting")
def zram_swappiness(case: Case) -> Iterator[Finding]:
    """All swap is compressed memory (zram), but the kernel is told to avoid swapping.

    To swap to zram is much cheaper than to read a file again: values above 100 are made for it. Up to 10 the
    kernel drops every cache before it compresses anything; a warning. Below 60, the default, a note.
    """
    value, swaps = runtime(case, "vm.swappiness"), case.facts["memory"].get("swaps")
    if not isinstance(value, int) or not swaps or value >= ZRAM_SWAPPINESS:
        return
    if not all(area["name"].rpartition("/")[2].startswith("zram") for area in swaps):
        return
    yield Finding(
        "oom-zram-swappiness",
        Severity.WARNING if value <= ZRAM_UNUSED else Severity.INFO,
        "Compressed swap is there and hardly used",
        f"vm.swappiness is {value}: the kernel drops caches and thrashes rather than compress what is idle.",
        evidence=(
            _proof("vm.swappiness", value, "100 to 200"),
            Proof("/proc/swaps", excerpt=", ".join(area["name"] for area in swaps)),
        ),
        fix=("$ sysctl -w vm.swappiness=150", "Set it in /etc/sysctl.d as well."),
    )


@rule("oom-no-task-list", needs=("oom",))
def no_task_list(case: Case) -> Iterator[Finding]:
    """``vm.oom_dump_tasks`` is 0: the next OOM report will not list the processes.

    Then nobody can tell afterwards who held the memory.
    """
    if runtime(case, "vm.oom_dump_tasks") != 0:
        return
    yield Finding(
        "oom-no-task-list",
        Severity.WARNING,
        "OOM reports come without the list of processes",
        "vm.oom_dump_tasks is 0: after a kill nobody can tell who held the memory.",
        evidence=(_proof("vm.oom_dump_tasks", 0, 1),),
        fix=("$ sysctl -w vm.oom_dump_tasks=1", "Take it out of the sysctl files that set it as well."),
    )


@rule("oom-kills-caller", needs=("oom",))
def kills_caller(case: Case) -> Iterator[Finding]:
    """``vm.oom_kill_allocating_task`` is set: whoever happens to ask for memory is killed.

    The process that ate the memory may live on, and oom_score_adj (but for -1000) protects nobody. It does
    not apply inside a control group that is out of its own memory, and vm.panic_on_oom takes precedence.
    """
    value: Optional[int] = runtime(case, "vm.oom_kill_allocating_task")
    if not value:
        return
    yield Finding(
        "oom-kills-caller",
        Severity.WARNING,
        "Out of memory, whoever asks next is killed",
        "vm.oom_kill_allocating_task takes the process that asks, not the one that holds the memory: it may"
        " be any service, protected by its oom_score_adj or not, and the culprit lives on.",
        evidence=(_proof("vm.oom_kill_allocating_task", value, 0),),
        fix=("$ sysctl -w vm.oom_kill_allocating_task=0", "Take it out of the sysctl files as well."),
    )
