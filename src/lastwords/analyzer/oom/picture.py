"""What the causes of an OOM event look at, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.oom.accounting import Held
from lastwords.analyzer.oom.choice import Choice
from lastwords.analyzer.oom.eaters import Process, Program
from lastwords.analyzer.oom.failure import Failure
from lastwords.formats import sizes
from lastwords.formats.oom.report import OomEvent

MIB = 1 << 20
GIB = 1 << 30
SMALL = 4 * MIB
"""What is smaller is nobody's problem, whatever its portion."""


@dataclass(frozen=True)
class Cause:
    """Why memory ran out, as a finding."""

    id: str
    confidence: str
    """``high``, ``medium`` or ``low``."""
    title: str
    why: str
    fix: tuple[str, ...] = ()
    """Steps in order; those that start with ``$ `` are commands."""


@dataclass(frozen=True)
class Picture:
    """All that the causes look at."""

    event: OomEvent
    failure: Failure
    held: Optional[Held]
    processes: list[Process]
    """Those that hold the most first."""
    programs: list[Program]
    choice: Optional[Choice]

    def portion(self, name: str) -> float:
        """Return a part of the memory as a portion of the whole."""
        return self.held.portion(name) if self.held is not None else 0.0

    def size(self, name: str) -> str:
        """Return the size of a part in words."""
        return sizes.size(self.held.share(name) if self.held is not None else 0)

    @property
    def machine(self) -> bool:
        """Whether the whole machine ran out, not one memory cgroup."""
        return self.event.killer == "kernel" and self.event.constraint != "memcg"

    @property
    def whole(self) -> int:
        """RAM, or the limit of the group; 0 when unknown."""
        return (self.held.total or 0) if self.held is not None else 0


CauseFunction = Callable[[Picture], Iterator[Cause]]


def sure(portion: float, high: float, medium: float) -> str:
    """Return how sure a cause is by the portion of memory that it explains."""
    return "high" if portion >= high else "medium" if portion >= medium else "low"
