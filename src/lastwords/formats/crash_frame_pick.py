"""Finds the guilty frame of a report: one way of walking its traces, with a few stops by kind.

A report holds several traces: of the fault, of who allocated an object, of a chain of locks. A :class:`Trace`
keeps them apart; a pick says which of them count, and where in them to stop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Optional

from lastwords.formats.crash_frames import Frame, frames_of, is_candidate, lock_of, stack_label
from lastwords.formats.crash_skip import (
    ALIASES,
    ALLOCATORS,
    ANCHORS,
    BASICS,
    COMMON,
    COMPAT,
    FREED,
    HANG_BUCKETS,
    LOCK_WRAPPERS,
    LOCKERS,
    SYSCALL_PREFIXES,
    WAITING,
)

FRAMES = 1000
"""Most frames of a report that are kept: a recursion may have thousands."""

_MARKS = (
    # What begins a trace of its own kind; "Call Trace:" after one of these belongs to it.
    ("kthread", re.compile(r"(?:RCU|rcu_\w+) (?:grace-period )?kthread stack dump|kthread starved for")),
    ("gp_cpu", re.compile(r"Stack dump where RCU")),
    ("nmi", re.compile(r"NMI backtrace for cpu|^Task dump for CPU|Sending NMI")),
    ("backtrace", re.compile(r"^\s*(?:stack )?backtrace(?: \(crc \w+\))?: *$", re.IGNORECASE)),
    (
        "other",
        re.compile(
            r"^\s*(?:(?:Last )?[Aa]llocated|(?:Last )?[Ff]reed)(?: by task.*| in .*)?:?\s*$"
            r"|\] allocated by task "
            r"|^freed by task |^Uninit was |^Local variable |^The buggy address|^Last potentially related"
            r"|^Preemption disabled at|^page (?:last|allocated|owner)|^last function"
        ),
    ),
    ("became", re.compile(r"which became \S+-safe at:")),
    (
        "chain",
        re.compile(
            r"existing dependency chain|irq-unsafe at:|\S+-unsafe at:|was registered at:"
            r"|dependencies between"
        ),
    ),
)
# One of the words of which every mark holds one: one search instead of many.
_MARKED = re.compile(
    r"kthread|Stack dump|NMI|Task dump|acktrace|llocated|reed|Uninit|Local var|buggy|Last pot|Preemption"
    r"|page |last fun|safe at:|dependency chain|registered at:|dependencies"
)
_ASIDE = ("other", "chain", "became")
"""Sections that do not tell of the fault itself."""
_CALL_TRACE = re.compile(r"Call [Tt]race:|^(?:\[.{0,20}\] )?Backtrace:|^Stack: *\(")
_ALIEN = re.compile(r"^FAULT_INJECTION: |^WARNING: kernel stack |: vmalloc: allocation failure")


@dataclass
class Section:
    """Frames that follow each other, of one trace."""

    name: str
    """``""`` before any trace, ``trace``, or what it is the trace of: :data:`_MARKS`."""
    frames: list[Frame] = field(default_factory=list)


@dataclass
class Trace:
    """The traces of one report. Feed it every line after the header."""

    sections: list[Section] = field(default_factory=lambda: [Section("")])
    locks: list[Frame] = field(default_factory=list)
    alien: Optional[str] = None
    """A line of another report that came into a trace."""
    _pending: str = "trace"
    _stack: str = "TASK"
    _left: int = FRAMES

    def feed(self, text: str) -> None:
        """Take one line in."""
        if self.alien is not None:
            return
        label, rest = stack_label(text)
        if label is not None:
            self._stack = label
        # Most lines are frames, and no mark of a section tells an offset.
        if not is_candidate(text):
            self._mark(text, label)
        elif ("at:" in text) and (lock := lock_of(text)) is not None:
            if len(self.locks) < FRAMES:
                self.locks.append(lock)
        else:
            self._add(frames_of(rest, self._stack))

    def _mark(self, text: str, label: Optional[str]) -> None:
        """Take in a line that is no frame: it may begin another trace, or be of another report."""
        if _CALL_TRACE.search(text):
            self.sections.append(Section(self._pending))
            self._pending, self._stack = "trace", label or "TASK"
            return
        if _MARKED.search(text):
            for name, pattern in _MARKS:
                if pattern.search(text):
                    is_section = name in (*_ASIDE, "backtrace")
                    if is_section:
                        self.sections.append(Section(name))
                    self._pending = "trace" if is_section and name != "backtrace" else name
                    return
        if "at:" in text and (lock := lock_of(text)) is not None:
            if len(self.locks) < FRAMES:
                self.locks.append(lock)
        elif self.sections[-1].name not in _ASIDE and _ALIEN.search(text):
            self.alien = text.strip()

    def _add(self, found: Iterable[Frame]) -> None:
        frames = self.sections[-1].frames
        for frame in found:
            if frame.source == "callee" and frames:
                continue  # it is the caller of the line before
            if frame.reliable and frame.name.startswith("should_fail"):
                self.alien = "fault injection"  # it prints a trace of its own
                return
            if self._left > 0:
                frames.append(frame)
                self._left -= 1

    def frames(self) -> list[Frame]:
        """Return the frames of the fault itself: instruction pointer and first call trace, in order."""
        found = [frame for frame in self.sections[0].frames if frame.source == "pointer"]
        for section in self.sections:
            if section.name in _FAULT and section.frames:
                # x86 prints the instruction pointer once more at the end.
                return [
                    *found,
                    *(frame for frame in section.frames if frame.source != "pointer" or not found),
                ]
        return self.sections[0].frames

    def has_trace(self) -> bool:
        """Return whether there is a call trace with at least one reliable frame."""
        counted = (s for s in self.sections if s.name not in (*_ASIDE, "kthread"))
        return any(f.reliable and f.source != "pointer" for s in counted for f in s.frames)

    def _of(self, *names: str, pointers: bool = False) -> Iterator[Frame]:
        """Yield the reliable frames of these sections, and the instruction pointers before them."""
        marked = any(section.frames for section in self.sections if section.name in names)
        for section in self.sections:
            if section.name in names or (not section.name and not marked):
                yield from (frame for frame in section.frames if frame.reliable)
            elif not section.name and pointers:
                yield from (frame for frame in section.frames if frame.source == "pointer")


_FAULT = ("trace", "nmi", "backtrace")


def _first(frames: Iterable[Frame], *skipped: re.Pattern[str]) -> Optional[str]:
    for frame in frames:
        if not any(pattern.search(frame.name) for pattern in skipped):
            return frame.name
    return None


def _trace(trace: Trace, named: Optional[str]) -> Optional[str]:
    frames = list(trace._of(*_FAULT, pointers=True))
    found = _first(frames, COMMON, LOCKERS)
    return found if found or trace.has_trace() else _first(frames, BASICS)


def _traced(trace: Trace, named: Optional[str]) -> Optional[str]:
    return _trace(trace, named) if trace.has_trace() else None


def _locker(trace: Trace, named: Optional[str]) -> Optional[str]:
    return _first(trace._of(*_FAULT, pointers=True), COMMON)


def _bare(trace: Trace, named: Optional[str]) -> Optional[str]:
    frames = [f for section in trace.sections if section.name in ("", *_FAULT) for f in section.frames]
    return _first((frame for frame in frames if frame.reliable), COMMON, LOCKERS)


def _backtrace(trace: Trace, named: Optional[str]) -> Optional[str]:
    return _first(trace._of("backtrace", "trace"), COMMON, LOCKERS)


def _header(trace: Trace, named: Optional[str]) -> Optional[str]:
    return (_trace(trace, None) if trace.has_trace() else None) or named


def _named(trace: Trace, named: Optional[str]) -> Optional[str]:
    return named


def _lock(trace: Trace, named: Optional[str]) -> Optional[str]:
    return _first(trace.locks, LOCK_WRAPPERS) or _bare(trace, named)


def _became(trace: Trace, named: Optional[str]) -> Optional[str]:
    return _first(
        (f for section in trace.sections if section.name == "became" for f in section.frames), COMMON
    )


def _freed(trace: Trace, named: Optional[str]) -> Optional[str]:
    return _first(trace._of(*_FAULT, pointers=True), COMMON, LOCKERS, ANCHORS, FREED)


def _leak(trace: Trace, named: Optional[str]) -> Optional[str]:
    frames = [f for section in trace.sections if section.name in ("", *_FAULT) for f in section.frames]
    return _first(frames, COMMON, ALLOCATORS)


def _anchor(trace: Trace, named: Optional[str]) -> Optional[str]:
    if not trace.has_trace():
        return None
    frames = list(trace._of(*_FAULT, pointers=True))
    for frame in frames:
        if frame.name.startswith("smp_call_function"):
            return frame.name
    for below, frame in zip(frames, frames[1:]):
        is_way_in = ANCHORS.search(frame.name) or COMPAT.search(frame.name)
        if is_way_in and not ANCHORS.search(below.name) and not COMMON.search(below.name):
            return below.name
    return _first(frames, COMMON, ANCHORS) or _first(frames, COMMON)


def _hang(trace: Trace, named: Optional[str]) -> Optional[str]:
    frames = list(trace._of("trace"))
    for frame in frames:
        if HANG_BUCKETS.search(frame.name):
            return frame.name
    return _first(frames, WAITING)


def _nothing(trace: Trace, named: Optional[str]) -> Optional[str]:
    return None


@dataclass(frozen=True)
class Pick:
    """How a frame is found, and whether a report without a trace is whole."""

    find: Callable[[Trace, Optional[str]], Optional[str]]
    needs_trace: bool = True
    needs_frame: bool = True
    has_aliases: bool = False
    """A family of functions counts as one: :data:`lastwords.formats.crash_skip.ALIASES`."""

    def names(self, function: str) -> list[str]:
        """Return what the guilty function may be called, the canonical name first."""
        alias = next((name for pattern, name in ALIASES if pattern.search(function)), None)
        if self.has_aliases and alias is not None:
            return [alias] if alias == function else [alias, function]
        return syscall_names(function)


PICKS = {
    "trace": Pick(_trace),
    "traced": Pick(_traced),
    "locker": Pick(_locker),
    "bare": Pick(_bare),
    "backtrace": Pick(_backtrace),
    "header": Pick(_header),
    "lock": Pick(_lock),
    "became": Pick(_became),
    "named": Pick(_named, needs_trace=False),
    "lock_only": Pick(_lock, needs_trace=False),
    "freed": Pick(_freed),
    "leak": Pick(_leak),
    "anchor": Pick(_anchor, has_aliases=True),
    "hang": Pick(_hang, has_aliases=True),
    "required": Pick(_nothing, needs_frame=False),
    "none": Pick(_nothing, needs_trace=False, needs_frame=False),
}
"""By name, as the table of kinds has it."""


def syscall_names(function: str) -> list[str]:
    """Return the names of a function that is a system call, the shortest first.

    >>> syscall_names("__x64_sys_rmdir")
    ['sys_rmdir', '__x64_sys_rmdir']
    >>> syscall_names("vfs_rmdir")
    ['vfs_rmdir']
    """
    names = {function}
    if "sys_" in function.lower() or function.startswith(("SyS_", "SYSC_", "C_SYSC_", "__se_", "__do_")):
        names |= {
            function[len(p) :]
            for p in SYSCALL_PREFIXES
            if function.startswith(p) and "sys" in function.lower()
        }
    return sorted(names, key=lambda name: (len(name), name))
