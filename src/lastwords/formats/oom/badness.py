"""How the OOM killer of each kernel weighs a process, and which one it takes.

Works for processes of a live host and for the task table of an OOM report alike: give a :class:`Task` for
each, sizes in bytes, in the order in which the kernel lists them (live: by start, in a report: by row).

    era = era_of("5.10.0-28-amd64")
    total = total_pages(ram, swap, page_size=4096)
    ranking = rank(tasks, era, total)
    victim = ranking[0].task

Sources: mm/oom_kill.c, fs/proc/base.c and mm/memcontrol.c of 2.6.11, 2.6.18, 2.6.24, 2.6.39, 3.18, 4.19,
5.10, 6.12, 7.1. All arithmetic is C's: integers, cut towards zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import NamedTuple, Optional

NEVER = -1000
"""OOM_SCORE_ADJ_MIN: such a process is never taken."""
NEVER_LEGACY = -17
"""OOM_DISABLE, the same on the scale of oom_adj (up to 2.6.35)."""
INIT = 1


@dataclass(frozen=True)
class Era:
    """The kernels that share one formula."""

    name: str
    """The releases, as people say it."""
    scale: str
    """What a point is: ``legacy``, ``per mille`` of memory or ``pages``."""
    root_bonus: str = ""
    """What a process of root is given: ``30`` (per mille of memory), ``3%`` (of what it uses) or nothing."""
    signed: bool = False
    """Whether points may be negative. Where not, every process that would be has 1 point and they tie."""
    last_wins: bool = False
    """Of processes with equal points the last in the list is taken, else the first."""
    exact: bool = False
    """Whether resident memory is summed up over all CPUs; the quick counter is off by some pages."""
    sacrifices: bool = False
    """Whether the heaviest child of the chosen process that has memory of its own dies in its place."""


LEGACY = Era("up to 2.6.35", "legacy", sacrifices=True)
PER_MILLE = Era("2.6.36 to 3.4", "per mille", root_bonus="30", sacrifices=True)
ROOT_30 = Era("3.5 to 3.13", "pages", root_bonus="30", sacrifices=True)
ROOT_3_PERCENT = Era("3.14 to 4.16", "pages", root_bonus="3%", sacrifices=True)
NO_BONUS = Era("4.17 to 5.0", "pages", sacrifices=True)
NO_SACRIFICE = Era("5.1 to 5.2", "pages")
NO_BONUS_LAST = Era("5.3 to 5.8", "pages", last_wins=True)
SIGNED = Era("5.9 to 7.0", "pages", signed=True, last_wins=True)
EXACT = Era("7.1 on", "pages", signed=True, last_wins=True, exact=True)
"""Each is named for what is new in it."""

ERAS = (
    ((7, 1), EXACT),
    ((5, 9), SIGNED),
    ((5, 3), NO_BONUS_LAST),
    ((5, 1), NO_SACRIFICE),
    ((4, 17), NO_BONUS),
    ((3, 14), ROOT_3_PERCENT),
    ((3, 5), ROOT_30),
    ((2, 6, 36), PER_MILLE),
)
"""The first release of each, the newest first; what is older is :data:`LEGACY`."""
BACKPORTS = (((2, 6, 32), ".el6", PER_MILLE), ((4, 18, 0), ".el8", NO_SACRIFICE))
"""Kernels that are older than their formula: version, mark in the release, formula."""


class Task(NamedTuple):
    """A process as the OOM killer sees it; sizes in bytes."""

    pid: int
    rss: int
    swap: int = 0
    page_tables: int = 0
    adj: int = 0
    """oom_score_adj; for :data:`LEGACY` oom_adj."""
    root: bool = False
    """Whether it has CAP_SYS_ADMIN; its user id tells well enough."""
    killable: bool = True
    """False for init, kernel threads and what has no memory of its own."""
    exact_rss: Optional[int] = None
    """What VmRSS of /proc/PID/status shows, for :data:`EXACT`; None where only one is known."""
    # What follows matters to LEGACY only, and no report tells it.
    vm_size: int = 0
    children: Sequence[int] = ()
    """Address spaces of its children."""
    cpu_seconds: float = 0.0
    run_seconds: float = 0.0
    nice: int = 0


class Ranked(NamedTuple):
    """A process and its weight."""

    task: Task
    points: Optional[int]
    """What the kernel compares; None when it never takes this one."""
    ties: bool
    """Whether another one has as many points, so that their order in the list decides."""


def era_of(release: str) -> Optional[Era]:
    """Return the formula of a kernel release; None when it is not one.

    >>> era_of("6.12.0-55.el10.x86_64").name, era_of("2.6.18-419.el5").name
    ('5.9 to 7.0', 'up to 2.6.35')
    >>> era_of("2.6.32-754.el6.x86_64").name  # a backport: RHEL 6 has the formula of 2.6.36
    '2.6.36 to 3.4'

    A vendor may have backported more. On a running host its own scores show it: see :func:`fitting`.
    """
    match = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", release)
    if not match:
        return None
    version = tuple(int(part or 0) for part in match.groups())
    for old, mark, era in BACKPORTS:
        if version == old and mark in release:
            return era
    return next((era for first, era in ERAS if version >= first), LEGACY)


def total_pages(ram: int, swap: int, *, page_size: int) -> int:
    """Return the pages that a whole host shares out: MemTotal and SwapTotal, in bytes.

    Under a cpuset or a memory policy RAM is that of its nodes alone, and swap all there is.
    """
    return ram // page_size + swap // page_size


def memcg_total_pages(
    limit: int,
    host_swap: int,
    *,
    page_size: int,
    swap_max: Optional[int] = None,
    memsw_max: Optional[int] = None,
    swappiness: Optional[int] = None,
) -> int:
    """Return the pages that a memory cgroup shares out when its own limit is hit (mem_cgroup_get_max()).

    :param limit: memory.max (v1: memory.limit_in_bytes) in bytes
    :param host_swap: SwapTotal in bytes
    :param swap_max: memory.swap.max (v2), None without such a limit
    :param memsw_max: memory.memsw.limit_in_bytes (v1), None without such a limit
    :param swappiness: 0 leaves swap out (from 3.5 on)
    """
    swap = host_swap
    if swap_max is not None:
        swap = min(swap, swap_max)
    if memsw_max is not None:
        swap = min(swap, max(0, memsw_max - limit))
    if swappiness == 0:
        swap = 0
    return max(1, limit // page_size + swap // page_size)


def badness(task: Task, era: Era, total: int, page_size: int) -> Optional[int]:
    """Return the points that the kernel gives a process, or None when it never takes it.

    :param total: pages shared out, from :func:`total_pages` or :func:`memcg_total_pages`

    >>> badness(Task(7, rss=400 << 20, adj=-500), SIGNED, 1 << 20, 4096)
    -421600
    """
    if not task.killable:
        return None
    if era.scale == "legacy":
        return None if task.adj == NEVER_LEGACY else _legacy(task, page_size)
    if task.adj == NEVER:
        return None
    rss = task.exact_rss if era.exact and task.exact_rss is not None else task.rss
    points = (rss + task.swap + task.page_tables) // page_size
    adj = task.adj
    if task.root and era.root_bonus == "30":
        adj -= 30
    elif task.root and era.root_bonus == "3%":
        points -= points * 3 // 100
    if era.scale == "per mille":
        return min(1000, max(1, points * 1000 // max(1, total) + adj))
    points += adj * (total // 1000)
    return points if era.signed else max(1, points)


def _legacy(task: Task, page_size: int) -> int:
    """Return the points of badness() in 2.6.24: address space, halved for age, cut for root."""
    points = task.vm_size // page_size
    for child in task.children:
        points += child // page_size // 2 + 1
    # Time is counted in jiffies >> (SHIFT_HZ + 3): about 8 s; run time in units of 1,024 s.
    points //= max(1, isqrt(int(max(0.0, task.cpu_seconds) / 8.192)))
    points //= max(1, isqrt(isqrt(int(max(0.0, task.run_seconds)) >> 10)))
    if task.nice > 0:
        points *= 2
    if task.root:
        # Once for CAP_SYS_ADMIN, once for CAP_SYS_RAWIO: direct hardware access should not be cut off.
        points = points // 4 // 4
    if task.adj > 0:
        return max(1, points) << task.adj
    return points >> -task.adj


def proc_score(points: Optional[int], era: Era, total: int) -> int:
    """Return what /proc/PID/oom_score shows for the points of :func:`badness`, *total* being the host's.

    From 5.9 on an idle process has 666: the scale is 0 to 2000, cut to two thirds.

    >>> [proc_score(points, SIGNED, 1000000) for points in (None, -1000000, 0, 1000000)]
    [0, 0, 666, 1333]
    """
    if points is None:
        return 0
    if era.scale != "pages":
        return points
    total = max(1, total)
    if not era.signed:
        return points * 1000 // total
    share = abs(points) * 1000 // total
    return max(0, (1000 + (share if points >= 0 else -share)) * 2 // 3)


def printed_score(points: int, era: Era, total: int) -> int:
    """Return the score in ``Kill process N (NAME) score S or sacrifice child`` (up to 5.0)."""
    return points if era.scale != "pages" else points * 1000 // max(1, total)


def rank(tasks: Iterable[Task], era: Era, total: int, *, page_size: int = 4096) -> list[Ranked]:
    """Return the tasks in the order in which the kernel would take them, those it never takes last.

    :param tasks: in the kernel's own order: ties are settled by it
    :param total: pages shared out

    >>> tasks = [Task(4, 4096), Task(5, 4096), Task(6, 9 << 20, adj=-1000)]
    >>> [each.task.pid for each in rank(tasks, SIGNED, 9)]
    [5, 4, 6]
    """
    weighed = [(badness(task, era, total, page_size), task) for task in tasks]
    count: dict[Optional[int], int] = {}
    for points, _ in weighed:
        count[points] = count.get(points, 0) + 1
    if era.last_wins:
        weighed.reverse()
    taken = [(points, task) for points, task in weighed if points is not None]
    taken.sort(key=lambda pair: -pair[0])
    spared = [task for points, task in weighed if points is None]
    return [
        *(Ranked(task, points, count[points] > 1) for points, task in taken),
        *(Ranked(task, None, False) for task in spared),
    ]


def fitting(
    release: Optional[str], observed: Sequence[tuple[Task, int]], total: int, *, page_size: int = 4096
) -> tuple[Optional[Era], int]:
    """Return the era whose formula gives the scores that the kernel itself showed, and how many it gives.

    A kernel's number does not tell what its vendor backported; its scores do. The era of the release is
    kept unless another one explains clearly more of them.

    :param observed: tasks, each with its /proc/PID/oom_score
    """

    def hits(era: Era) -> int:
        return sum(
            proc_score(badness(task, era, total, page_size), era, total) == score for task, score in observed
        )

    known = era_of(release or "")
    mine = hits(known) if known else 0
    some = 2 + len(observed) // 20
    if known and mine + some >= len(observed):
        return known, mine
    counts = [(hits(era), era) for _, era in reversed(ERAS)]
    most, best = max(counts, key=lambda pair: pair[0]) if observed else (0, None)
    return (known, mine) if known and mine + some >= most else (best, most)


def score_adj_of(oom_adj: int) -> int:
    """Return the oom_score_adj that a write to /proc/PID/oom_adj sets, from 2.6.36 on (oom_adj_write).

    >>> [score_adj_of(value) for value in (15, 14, 8, 1, 0, -8, -16, -17)]
    [1000, 823, 470, 58, 0, -470, -941, -1000]
    """
    if oom_adj == 15:
        return 1000
    return _cut(oom_adj * 1000, 17)


def oom_adj_of(oom_score_adj: int) -> int:
    """Return what /proc/PID/oom_adj shows for an oom_score_adj, from 2.6.36 on (proc_oom_adj_read).

    >>> [oom_adj_of(value) for value in (1000, 999, 500, 0, -500, -900, -1000)]
    [15, 15, 8, 0, -8, -15, -17]
    """
    if oom_score_adj == 1000:
        return 15
    return min(15, _cut(oom_score_adj * 17, 1000))


def _cut(value: int, divisor: int) -> int:
    """Divide as C does: towards zero."""
    return abs(value) // divisor * (1 if value >= 0 else -1)
