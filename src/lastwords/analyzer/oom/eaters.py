"""Who ate the memory: by process, by program, by control group. The victim need not be among them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.oom.report import OomEvent

SHOWN = 10
_MANY = 50
_SEVERAL = 4
"""Processes of one program that are worth a word: whatever they hold, or when they hold much."""


@dataclass(frozen=True)
class Process:
    """A process in the table; sizes in bytes."""

    pid: int
    comm: str
    uid: Optional[int]
    rss: int
    rss_anon: Optional[int]
    rss_shmem: Optional[int]
    swap: Optional[int]
    """None where the kernel's table does not tell (up to 3.6, RHEL 6)."""
    page_tables: Optional[int]
    total_vm: Optional[int]
    oom_score_adj: Optional[int]

    @property
    def weight(self) -> int:
        """Everything it holds."""
        return self.rss + (self.swap or 0) + (self.page_tables or 0)


@dataclass(frozen=True)
class Program:
    """All processes of one name. Pages that they share are counted once for each."""

    comm: str
    processes: int
    rss: int
    swap: Optional[int]

    @property
    def held(self) -> int:
        """In RAM and in swap."""
        return self.rss + (self.swap or 0)


def processes(event: OomEvent) -> list[Process]:
    """Return the processes of the table, in its order."""
    page = event.page_size

    def size(values: dict[str, int], name: str) -> Optional[int]:
        return values[name] * page if name in values else None

    return [
        Process(
            row.pid,
            row.name,
            row.values.get("uid"),
            row.values.get("rss", 0) * page,
            size(row.values, "rss_anon"),
            size(row.values, "rss_shmem"),
            size(row.values, "swapents"),
            row.page_tables(page),
            size(row.values, "total_vm"),
            row.values.get("oom_score_adj"),
        )
        for row in event.tasks
    ]


def killed(event: OomEvent) -> list[Process]:
    """Return the processes that were killed, as far as their sizes are told: where there is no table."""
    return [
        Process(
            victim.pid or 0,
            victim.comm or "?",
            victim.uid,
            victim.rss,
            victim.anon_rss,
            victim.shmem_rss,
            victim.swap,
            victim.pgtables,
            victim.total_vm,
            victim.oom_score_adj,
        )
        for victim in event.victims
        if victim.rss
    ]


def largest(found: list[Process], number: int = SHOWN) -> list[Process]:
    """Return the processes that hold the most."""
    return sorted(found, key=lambda item: -item.weight)[:number]


def programs(found: list[Process], number: int = SHOWN) -> list[Program]:
    """Return the programs that hold the most."""
    by_name: dict[str, list[Process]] = defaultdict(list)
    for item in found:
        by_name[item.comm].append(item)
    sums = []
    for comm, items in by_name.items():
        swaps = [item.swap for item in items if item.swap is not None]
        sums.append(Program(comm, len(items), sum(item.rss for item in items), sum(swaps) if swaps else None))
    return sorted(sums, key=lambda item: -item.held)[:number]


def crowd(found: list[Program], memory: int, listed: int) -> Optional[Program]:
    """Return the program whose number of processes is what matters, not one of them; None if there is none.

    :param memory: what they could hold, in bytes; 0 when unknown
    :param listed: processes there are
    """
    many = [
        item
        for item in found
        if item.processes >= _MANY or (item.processes >= _SEVERAL and memory and item.rss >= memory * 0.4)
    ]
    most = max(many, key=lambda item: item.held, default=None)
    if most is None or (most.held < memory * 0.2 and most.processes < 0.5 * listed):
        return None
    return most


def groups(event: OomEvent, number: int = SHOWN) -> list[tuple[str, int]]:
    """Return the control groups below the one that hit its limit, with what each holds: up to 5.2 only."""
    if event.group is None:
        return []
    held = [(path, stats.get("rss", 0) + stats.get("cache", 0)) for path, stats in event.group.below.items()]
    return sorted(held, key=lambda item: -item[1])[:number]
