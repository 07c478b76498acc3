"""A process in the eyes of the OOM killer; why it is taken, or spared, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from lastwords.formats.oom.badness import INIT, NEVER, Era, Task
from lastwords.formats.sizes import size
from lastwords.formats.system.unit_files import units_of
from lastwords.model import Facts


@dataclass(frozen=True)
class Candidate:
    """A process and what the kernel makes of it."""

    record: Facts
    """As the collector ``processes`` has it."""
    task: Task
    points: Optional[int]
    """What is compared in this arena; None when it is never taken."""
    score: int
    """What /proc/PID/oom_score shows, recomputed."""
    ties: bool

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.task.pid

    @property
    def comm(self) -> str:
        """Its name."""
        return str(self.record.get("comm") or "?")

    @property
    def size(self) -> int:
        """What the OOM killer counts, in bytes: resident, in swap, page tables."""
        return self.task.rss + self.task.swap + self.task.page_tables

    @property
    def unit(self) -> Optional[str]:
        """The innermost unit it belongs to."""
        units = units_of(self.record.get("systemd_cgroup") or self.record.get("cgroup") or "")
        return units[-1] if units else None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``schemas/prediction.json`` has it."""
        record = self.record
        return {
            "pid": self.pid,
            "comm": record.get("comm"),
            "uid": record.get("uid"),
            "points": self.points,
            "oom_score": self.score,
            "oom_score_kernel": record.get("oom_score"),
            "oom_score_adj": self.task.adj,
            "rss": self.task.rss,
            "swap": self.task.swap,
            "page_tables": self.task.page_tables,
            "ties": self.ties,
            "spared": spared(self),
            "unit": self.unit,
            "cgroup": record.get("cgroup"),
        }


def spared(candidate: Candidate) -> Optional[str]:
    """Return why the kernel never takes a process, or None when it may."""
    if candidate.points is not None:
        return None
    if candidate.record.get("kernel_thread"):
        return "kernel thread"
    if candidate.record.get("rss") is None:
        return "has no memory"
    if candidate.pid == INIT and candidate.task.adj != NEVER:
        return "init"
    return f"oom_score_adj {candidate.task.adj}"


def reason(
    victim: Candidate,
    chosen: Candidate,
    ranking: Sequence[Candidate],
    era: Era,
    total: int,
    page_size: int,
) -> str:
    """Return why *victim* dies: what it holds, what its adjustment counts, who was spared for what.

    :param chosen: the one with the most points; another than *victim* where a child is sacrificed
    :param total: pages of the arena
    """
    if victim is not chosen:
        return (
            f"child of {name(chosen)}, which has the most points: this kernel takes a child in its place"
            f" ({name(victim)} holds {size(victim.size)}, {name(chosen)} {size(chosen.size)})"
        )
    said = [_weight(chosen, ranking, era, total * page_size)]
    if chosen.ties:
        others = sum(each.points == chosen.points for each in ranking) - 1
        which = "last" if era.last_wins else "first"
        said.append(f"{others} more have as many points: the {which} in the kernel's list is taken")
    return "; ".join(said)


def _weight(chosen: Candidate, ranking: Sequence[Candidate], era: Era, memory: int) -> str:
    if era.scale == "legacy":
        return f"most points by address space, age and children: {chosen.points}"
    held = size(chosen.size)
    heaviest = max((each for each in ranking), key=lambda each: each.size)
    if heaviest.size <= chosen.size:
        return f"holds the most memory: {held}" + _adjusted(chosen, memory)
    other = f"{name(heaviest)} holds {size(heaviest.size)}"
    if heaviest.points is None:
        return f"holds {held}{_adjusted(chosen, memory)}; {other}, but is never taken ({spared(heaviest)})"
    if chosen.task.adj > heaviest.task.adj:
        return f"holds only {held}{_adjusted(chosen, memory)}; {other}{_adjusted(heaviest, memory)}"
    return f"holds {held}; {other}, but this kernel favours root"


def _adjusted(candidate: Candidate, memory: int) -> str:
    adj = candidate.task.adj
    if not adj:
        return ""
    worth = size(abs(adj) * memory // 1000)
    return f" (oom_score_adj {adj} counts as {worth} {'more' if adj > 0 else 'less'})"


def name(candidate: Candidate) -> str:
    """Return name and pid."""
    return f"{candidate.comm} ({candidate.pid})"
