"""The memory control group in an OOM report: its usage, limits and statistics, in bytes.

    Task in /docker/a1 killed as a result of limit of /docker
    memory: usage 31211520kB, limit 31211520kB, failcnt 83420
    swap: usage 0kB, limit 0kB, failcnt 0
    Memory cgroup stats for /docker: cache:844KB rss:521136KB ...            (up to 5.2)
    Memory cgroup stats for /docker:                                         (from 5.3, v1 and v2)
    anon 31154200576

Source: mm/memcontrol.c (``mem_cgroup_print_oom_context``, ``mem_cgroup_print_oom_meminfo``), 2.6.30 to 7.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

_TASK = re.compile(r"Task in (?P<task>/.{0,4000}?) killed as a result of limit of (?P<limit>/.{0,4000})$")
_REACHED = re.compile(r"Memory limit reached of cgroup (/.{0,4000})$")
_USAGE = re.compile(
    r"(memory\+swap|memory|swap|kmem): usage (\d{1,20})kB, limit (\d{1,20})kB(?:, failcnt (\d{1,20}))?"
)
_PROTECTION = re.compile(r"Memory cgroup min protection (\d{1,20})kB -- low protection (\d{1,20})kB")
_STATS = re.compile(r"Memory cgroup stats(?: for (?P<path>/.{0,4000}?))?:(?: (?=[a-z_]+:\d+KB)|\s?$)")
_VALUE = re.compile(r"([a-z_]+):(\d{1,20})KB")
_LINE = re.compile(r"\s{0,80}([a-z_0-9]{2,40}) (\d{1,20})$")
_UNLIMITED = 1 << 52
"""kB: PAGE_COUNTER_MAX and RES_COUNTER_MAX are above."""
_MOST_GROUPS = 4096
_MOST_FOREIGN = 8
"""Lines of others in a row between those of memory.stat."""


@dataclass
class MemoryGroup:
    """What a report tells of the group whose limit was hit."""

    path: Optional[str] = None
    task_path: Optional[str] = None
    """Group of the victim: the same, or one below."""
    usage: dict[str, dict[str, Optional[int]]] = field(default_factory=dict)
    """``memory``, ``swap`` (v2), ``memory+swap`` and ``kmem`` (v1): usage, limit and failcnt.

    The limit is None when there is none.
    """
    stats: dict[str, int] = field(default_factory=dict)
    """memory.stat as this kernel prints it: bytes, but for counters of events (``pgfault`` ...)."""
    below: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same of each group below it, where the kernel lists them (up to 5.2)."""
    protection: Optional[tuple[int, int]] = None
    """memory.min and memory.low in effect."""

    @property
    def version(self) -> Optional[int]:
        """Version of the control group interface, 1 or 2; None when nothing tells it."""
        if "memory+swap" in self.usage or "kmem" in self.usage or "rss" in self.stats:
            return 1  # from 5.3 on its statistics have the names of version 2
        return 2 if "swap" in self.usage or "anon" in self.stats else None


class GroupReader:
    """Reads the lines of the block."""

    def __init__(self) -> None:
        self.group = MemoryGroup()
        self._stats: Optional[dict[str, int]] = None
        """Where the ``name value`` lines go, while there are some."""
        self._foreign = 0

    def take(self, text: str) -> bool:
        """Take in a line; return whether it belongs to the block."""
        group = self.group
        if self._stats is not None and (match := _LINE.match(text)) is not None:
            self._foreign = 0
            if len(self._stats) < 256:
                self._stats.setdefault(match[1], int(match[2]))
            return True
        self._foreign += 1
        if self._foreign > _MOST_FOREIGN:
            self._stats = None
        if (match := _USAGE.match(text)) is not None:
            limit = int(match[3])
            group.usage[match[1]] = {
                "usage": int(match[2]) * 1024,
                "limit": limit * 1024 if limit < _UNLIMITED else None,
                "failcnt": int(match[4]) if match[4] is not None else None,
            }
        elif (match := _STATS.match(text)) is not None:
            self._statistics(match["path"], text[match.end() :])
        elif (match := _TASK.match(text)) is not None:
            group.task_path, group.path = match["task"], match["limit"]
        elif (match := _REACHED.match(text)) is not None:
            group.path = match[1]
        elif (match := _PROTECTION.match(text)) is not None:
            group.protection = int(match[1]) * 1024, int(match[2]) * 1024
        else:
            return False
        return True

    def _statistics(self, path: Optional[str], rest: str) -> None:
        values = {name: int(number) * 1024 for name, number in _VALUE.findall(rest)}
        if not values:
            self._stats, self._foreign = self.group.stats, 0
            self.group.path = self.group.path or path
            return
        # The group itself comes first, those below it after.
        if not self.group.stats and not self.group.below and self.group.path in (None, path):
            self.group.stats.update(values)
            self.group.path = path or self.group.path
        elif path and len(self.group.below) < _MOST_GROUPS:
            self.group.below[path] = values
