"""Finds the guilty function of a report: which frames count, who is spared, and which of the rest it is.

The convention is that of the public dashboards, so that a title can be searched there. Mostly the guilty one
is the first function that is not spared. A kernel that spins or overflows its stack is caught anywhere in a
loop: there it is the last function before the kernel's ways in. A task that hangs waits for others: there it
is the first function that does not just wait, except where everybody waits for the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.crash.frames import Frame
from lastwords.formats.crash.skip import (
    ANCHORS,
    COMMON,
    HANG_BUCKETS,
    HUNG_IN,
    OUTERMOST,
    STALLED_IN,
    SYSCALL_PREFIXES,
    WAITING,
)
from lastwords.formats.crash.trace import REST, Trace

Choice = Callable[[Sequence[str]], Optional[int]]
"""Which of the functions that are not spared is guilty: its index."""


def _first(names: Sequence[str]) -> Optional[int]:
    return 0 if names else None


def _before_way_in(names: Sequence[str]) -> Optional[int]:
    for at, name in enumerate(names):
        if STALLED_IN[0].search(name):
            return at
        if ANCHORS.search(name):
            return max(at - 1, 0)
    outermost = next((at for at, name in enumerate(names) if OUTERMOST.search(name)), None)
    return max(outermost - 1, 0) if outermost is not None else None


def _not_waiting(names: Sequence[str]) -> Optional[int]:
    bucket = next((at for at, name in enumerate(names) if HANG_BUCKETS.search(name)), None)
    if bucket is not None:
        return bucket
    return next((at for at, name in enumerate(names) if not WAITING.search(name)), None)


@dataclass(frozen=True)
class Pick:
    """How the guilty function of a kind of report is found."""

    walks: tuple[tuple[str, ...], ...] = ()
    """Ways through the traces (:meth:`Trace.walk`); the first on which somebody is guilty counts."""
    all_count: bool = False
    """Nobody is spared: the report itself names the function."""
    choice: Choice = _first
    alias: Optional[tuple[re.Pattern[str], str]] = None
    """Functions in which it is one bug, and the name it is given."""
    needs_trace: bool = True
    """A report without a call trace is cut."""

    @property
    def needs_frame(self) -> bool:
        """Whether the kind of report has a guilty function at all."""
        return bool(self.walks)

    def find(self, trace: Trace, named: Optional[str], spares: Optional[re.Pattern[str]]) -> Optional[str]:
        """Return the guilty function, None when there is none.

        :param named: the function that the header names
        :param spares: who is not to blame for this kind of report, besides :data:`.crash_skip.COMMON`
        """
        if named is not None:
            trace = Trace([Frame(named, source="header"), *trace.items])
        for walk in self.walks:
            names = [frame.name for frame in trace.walk(walk)]
            if not self.all_count:
                names = [name for name in names if not COMMON.search(name)]
            if spares is not None:
                names = [name for name in names if not spares.search(name)]
            at = self.choice([function_names(name)[0] for name in names])
            if at is not None:
                return names[at]
        return None

    def names(self, function: str) -> list[str]:
        """Return what the guilty function may be called, the canonical name first."""
        if self.alias is not None and self.alias[0].search(function):
            return list(dict.fromkeys((self.alias[1], function)))
        return function_names(function)


_CALLS = ("calls", REST)
_FAULT = ("pointer", "calls", REST)
_TICKED = (("tick", "pointer", REST), ("interrupt", REST))

PICKS = {
    "none": Pick(needs_trace=False),
    "required": Pick(),
    "fault": Pick((_FAULT,)),
    "pointer": Pick((("pointer",),)),
    "calls": Pick((_CALLS,)),
    # A warning traps: old kernels print the calls right after the registers, new ones a trace of their own.
    # The header of those up to 3.9 is all that tells the place.
    "warned": Pick((("pointer", REST), _CALLS, ("header",))),
    "header": Pick((("header", "calls", REST),)),
    "access": Pick((("header", REST),)),
    "access only": Pick((("header", REST),), needs_trace=False),
    # Up to 5.14 it begins with a trace of the printing itself.
    "bare": Pick(((REST,), _CALLS), needs_trace=False),
    "named": Pick((("header",),), all_count=True, needs_trace=False),
    "lock": Pick((("lock",),), all_count=True),
    "lock only": Pick((("lock",),), all_count=True, needs_trace=False),
    "locks": Pick((("lock", "lock", REST),)),
    "unlock": Pick((("frame", "calls", REST),)),
    "became": Pick((("became", REST),)),
    # Few kernels know who had the page; the others tell only who gives it back.
    "owner": Pick((("owner", REST), _CALLS)),
    "leak": Pick((("leak", REST),)),
    "hang": Pick((_CALLS,), choice=_not_waiting, alias=HUNG_IN),
    # A hard lockup up to 4.2 is a warning, whose trace is all there is.
    "stall": Pick((_FAULT, _CALLS), choice=_before_way_in, alias=STALLED_IN),
    "stack": Pick((_CALLS,), choice=_before_way_in, alias=STALLED_IN),
    "rcu stall": Pick(_TICKED, choice=_before_way_in, alias=STALLED_IN),
    # Since 6.1 a CPU that finds itself stalled prints where the timer interrupted it, and no more.
    "own rcu stall": Pick((*_TICKED, _FAULT), choice=_before_way_in, alias=STALLED_IN),
}
"""By name, as the table of kinds has it."""


def function_names(function: str) -> list[str]:
    """Return the names of a function, the shortest first: a system call has several.

    >>> function_names("__x64_sys_rmdir")
    ['sys_rmdir', '__x64_sys_rmdir']
    >>> function_names("vfs_rmdir")
    ['vfs_rmdir']
    """
    names = {function, *(function[len(p) :] for p in SYSCALL_PREFIXES if function.startswith(p))}
    return sorted(filter(None, names), key=lambda name: (len(name), name))
