"""Why the victim was chosen: its weight recomputed by the formula of its kernel, and its rank by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.oom.eaters import Process, processes
from lastwords.formats.oom.badness import (
    INIT,
    LEGACY,
    NO_BONUS_LAST,
    PER_MILLE,
    SIGNED,
    Era,
    Ranked,
    Task,
    era_of,
    memcg_total_pages,
    printed_score,
    rank,
    total_pages,
)
from lastwords.formats.oom.report import OomEvent

SHOWN = 5


@dataclass(frozen=True)
class Choice:
    """What the recomputation says."""

    pid: int
    """Of the process that the kernel chose; a child may have died for it."""
    era: Optional[str]
    rank: Optional[int] = None
    """1 the heaviest; None when it cannot be told."""
    points: Optional[int] = None
    total: Optional[int] = None
    """Pages of RAM and swap that the weights are measured against."""
    ties: bool = False
    score: Optional[int] = None
    """Recomputed, on the kernel's scale of a thousand."""
    printed: Optional[int] = None
    confirmed: Optional[bool] = None
    """Whether the formula takes the same process; None when the report is not enough to tell."""
    why: str = ""
    ranking: tuple[Ranked, ...] = ()


def choice(event: OomEvent) -> Optional[Choice]:
    """Return how the kernel came to its victim; None when nothing was chosen."""
    victim = next((item for item in event.victims if item.pid is not None), None)
    if event.killer != "kernel" or (event.chosen is None and victim is None):
        return None
    listed = {row.pid for row in event.tasks}
    pid = event.chosen[0] if event.chosen else None
    if victim is not None and (pid is None or (pid not in listed and victim.pid in listed)):
        pid = victim.pid
    if pid is None:
        return None
    printed = event.chosen[2] if event.chosen else None
    if event.allocating_task:
        return Choice(pid, None, why="vm.oom_kill_allocating_task: whoever asks is killed, nobody is weighed")
    era = era_of(event.release or "") or _era_of_words(event)
    if era is None:
        return Choice(pid, None, printed=printed, why="the report does not tell the kernel's version")
    if era is LEGACY:
        return Choice(
            pid, era.name, printed=printed, why="this kernel weighs CPU time and age: not in a report"
        )
    if not event.tasks:
        return Choice(pid, era.name, printed=printed, why="the report has no table of processes")
    return _ranked(event, era, pid, printed)


def _ranked(event: OomEvent, era: Era, pid: int, printed: Optional[int]) -> Choice:
    page = event.page_size
    total, known = _total(event)
    listed = processes(event)
    # A process that was killed before and is still there could not be reaped: the kernel passes it over.
    gone = event.passed_over - {pid}
    order = rank((_task(item, item.pid in gone) for item in listed), era, total, page_size=page)
    at = next((n for n, item in enumerate(order, 1) if item.task.pid == pid), None)
    if at is None:
        return Choice(pid, era.name, total=total, printed=printed, why="it is not in the table", ranking=())
    mine, first = order[at - 1], order[0]
    score = printed_score(mine.points, era, total) if mine.points is not None else None
    shown = tuple(order[:SHOWN])
    no_swap = all(item.swap is None for item in listed)
    even = mine.points is not None and mine.points == first.points
    adjusted = any(item.oom_score_adj for item in listed if (item.oom_score_adj or 0) != -1000)
    confirmed: Optional[bool] = at == 1 or even
    why = "it weighed the most" if at == 1 else "others weighed as much: their order decided"
    if not confirmed:
        why = f"{first.task.pid} ({_name(listed, first.task.pid)}) weighs more by what the table tells"
        if mine.points is None:
            why = "by its oom_score_adj it may not be killed"
        elif _name(listed, pid) == "swapoff":
            confirmed, why = None, "swapoff is taken first, whatever it weighs: it needs the memory itself"
        elif no_swap:
            confirmed, why = None, why + "; the table of this kernel leaves out swap, which counts"
        elif adjusted and not known:
            confirmed, why = None, why + "; how much memory adjustments were measured against is unknown"
        elif event.damaged or event.dropped:
            confirmed, why = None, why + "; the table is damaged"
        elif era_of(event.release or "") is None:
            confirmed, why = None, why + "; the report does not tell the kernel's version"
        elif event.mixed:
            confirmed, why = None, why + "; another report was printed at the same time"
    if confirmed is False and printed is not None and score is not None:
        why += f"; the kernel printed {printed}, the table gives {score}"
    return Choice(pid, era.name, at, mine.points, total, mine.ties, score, printed, confirmed, why, shown)


def implied_swap(event: OomEvent, found: Choice) -> Optional[int]:
    """Return the bytes in swap that a printed score implies, where the table has no column for them.

    A score is a thousandth: the answer is good to as much of RAM and swap.
    """
    row = next((item for item in processes(event) if item.pid == found.pid), None)
    if row is None or row.swap is not None or found.printed is None or not found.total:
        return None
    points = (found.printed - (row.oom_score_adj or 0)) * found.total // 1000
    return max(0, points * event.page_size - row.rss - (row.page_tables or 0))


def _task(item: Process, gone: bool) -> Task:
    return Task(
        item.pid,
        item.rss,
        item.swap or 0,
        item.page_tables or 0,
        item.oom_score_adj or 0,
        root=item.uid == 0,
        killable=item.pid != INIT and not gone,
    )


def _total(event: OomEvent) -> tuple[int, bool]:
    """Return the pages that adjustments are measured against, and whether that is sure."""
    page, info = event.page_size, event.memory
    if event.constraint == "memcg" and event.group is not None:
        usage = event.group.usage
        limit = usage.get("memory", {}).get("limit")
        if limit is not None:
            swap = usage.get("swap", {}).get("limit")
            both = usage.get("memory+swap", {}).get("limit")
            bounded = swap if swap is not None else both - limit if both is not None else None
            known = bounded is not None or info.swap_total is not None
            host = info.swap_total if info.swap_total is not None else bounded or 0
            pages = memcg_total_pages(limit, host, page_size=page, swap_max=swap, memsw_max=both)
            return pages, known
    if info.ram is None:
        return 0, False
    return total_pages(info.ram, info.swap_total or 0, page_size=page), event.constraint == "none"


def _era_of_words(event: OomEvent) -> Optional[Era]:
    """Return the era that the words of the report allow, when only they tell the kernel."""
    if event.trigger is not None and event.trigger.legacy:
        return LEGACY
    columns = event.columns or ()
    if "rss_anon" in columns:
        return SIGNED
    if "pgtables_bytes" in columns:
        return NO_BONUS_LAST if event.printed is None else SIGNED
    return PER_MILLE if "oom_score_adj" in columns and "nr_ptes" not in columns else None


def _name(listed: list[Process], pid: int) -> str:
    return next((item.comm for item in listed if item.pid == pid), "?")
