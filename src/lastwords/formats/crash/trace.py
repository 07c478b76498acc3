"""The stack traces of one report, and ways through them.

A report holds several traces: of the fault, of who allocated an object, of a chain of locks. A :class:`Trace`
is the list of their frames and of the marks between them, in the order in which the kernel wrote them. A walk
goes from mark to mark and then takes the frames until the next trace begins, so that a few words say for each
kind of report which of its frames count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

from lastwords.formats.crash.frames import (
    Frame,
    frames_of,
    is_candidate,
    is_pointer,
    lock_of,
    stack_label,
)

FRAMES = 1000
"""Frames of a report that are kept, at most: a recursion may have thousands."""
REST = "rest"
"""Last step of a walk: the frames that follow, until another trace begins."""


@dataclass(frozen=True)
class Mark:
    """A line between frames that says what those after it are."""

    name: str
    begins: bool = False
    """Whether a trace begins: frames before and after are not of one stack."""


Item = Union[Frame, Mark]

_ORIGIN = Mark("origin")
_CALLS = Mark("calls", begins=True)
_INJECTED = Mark("injected")  # fault injection printed a trace of its own in between
_POINTER = Mark("pointer")  # of user space, or of no function: the fault is not there
_MARKS = (
    (
        Mark("aside", begins=True),  # who had the object before, where a value came from
        re.compile(
            r"(?:[Aa]llocated|[Ff]reed)(?: by task \d+.*| in .*)?:\s*$|Uninit was stored to memory at"
            r"|\] allocated by task "
        ),
    ),
    (Mark("leak", begins=True), re.compile(r"^\s*backtrace(?: \(crc \w+\))?:\s*$")),
    (_ORIGIN, re.compile(r"Uninit was created at:|^Local variable .*created at:")),
    (Mark("owner"), re.compile(r"page last allocated")),
    (Mark("became"), re.compile(r"which became \S+ at:")),
    (Mark("exception"), re.compile(r"Exception stack")),
)
_OF_FAULT = (_CALLS.name, "leak")
# One of the words of which every mark holds one: one search instead of many.
_MARKED = re.compile(r"llocated|reed|Uninit|backtrace|Local variable|became|Exception stack|last allocated")
_CALL_TRACE = re.compile(r"Call [Tt]race:|Backtrace:")
_TICK = re.compile(r"apic_timer_interrupt")
_INTERRUPT = re.compile(
    r"apic_timer_interrupt|^el1h_64_irq$|^el1_irq$|^__irq_svc$|^(?:ext|io)_int_handler$|^handle_(?:int|vint)$"
    r"|^ret_from_exception$"
)
_TICKS = {"tick": _TICK, "interrupt": _INTERRUPT}
"""Frames after which a stack goes on where the timer interrupted it; they are no part of it."""


def _is_step(item: Item, step: str) -> bool:
    """Return whether a walk steps on an item: a mark by its name, a frame by its source, ``frame`` on any."""
    if isinstance(item, Mark):
        return item.name == step or (step == "interrupt" and item.name == "exception")
    if step in _TICKS:
        return _TICKS[step].search(item.name) is not None
    return step in ("frame", item.source)


@dataclass
class Trace:
    """The traces of one report. Feed it every line after the header."""

    items: list[Item] = field(default_factory=list)
    _stack: str = "TASK"
    _left: int = FRAMES

    @property
    def _last(self) -> Optional[str]:
        last = self.items[-1] if self.items else None
        return last.name if isinstance(last, Frame) else None

    def feed(self, text: str) -> None:
        """Take one line in."""
        label, rest = stack_label(text)
        if label is not None:
            self._stack = label
        # Most lines are frames, and no mark tells an offset.
        if not is_candidate(text):
            self._mark(text, label)
        elif "at:" in text and (lock := lock_of(text)) is not None:
            self._add([lock])
        else:
            found = frames_of(rest, self._stack)
            self._add(found)
            if not found and is_pointer(rest):
                self.items.append(_POINTER)

    def _mark(self, text: str, label: Optional[str]) -> None:
        """Take in a line that is no frame: it may begin another trace, or be of another report."""
        if _CALL_TRACE.search(text):
            self.items.append(_CALLS)
            self._stack = label or "TASK"
        elif _MARKED.search(text) and (mark := _mark_of(text)) is not None:
            self.items.append(mark)
        elif is_pointer(text):
            self.items.append(_POINTER)

    def _add(self, found: Iterable[Frame]) -> None:
        for frame in found:
            if frame.source == "callee":
                if frame.name == self._last:
                    continue  # it is the caller of the line before
                if not self._is_announced():
                    self.items.append(_CALLS)  # one of arm's two unwinders announces nothing
            if frame.reliable and frame.name.startswith("should_fail"):
                self.items.append(_INJECTED)
            elif self._left > 0:
                self.items.append(frame)
                self._left -= 1

    def walk(self, steps: Sequence[str]) -> list[Frame]:
        """Return the reliable frames that a walk meets: those stepped on, and the rest if it ends so.

        >>> trace = Trace()
        >>> for line in ("RIP: 0010:acme+0x1/0x2", "Call Trace:", " ? b+0x1/0x2", " c+0x1/0x2", "Allocated:"):
        ...     trace.feed(line)
        >>> [frame.name for frame in trace.walk(("pointer", "calls", "rest"))]
        ['acme', 'c']
        """
        found: list[Frame] = []
        items = iter([item for item in self.items if isinstance(item, Mark) or item.reliable])
        for step in steps:
            if step == _CALLS.name and found and not self._is_announced():
                continue
            if step == REST:
                for each in items:
                    if isinstance(each, Mark):
                        if each.begins or each in (_ORIGIN, _INJECTED):
                            break
                    elif each.source in ("trace", "callee"):
                        found.append(each)
                return found
            item = next((item for item in items if item is _INJECTED or _is_step(item, step)), None)
            if isinstance(item, Frame) and step not in _TICKS:
                found.append(item)
        return found

    def _is_announced(self) -> bool:
        """Return whether a line says that a trace begins: some kernels print it right after the registers."""
        return any(isinstance(item, Mark) and item.begins for item in self.items)

    def frames(self, guilty: Optional[str] = None) -> list[Frame]:
        """Return the frames of the fault: instruction pointer and first call trace, in order.

        :param guilty: a function that must be in the call trace, if it is in any
        """
        before: list[Frame] = []
        traces: list[tuple[str, list[Frame]]] = [("", before)]
        for item in self.items:
            if isinstance(item, Mark):
                if item.begins:
                    traces.append((item.name, []))
            elif item.source != "lock":
                traces[-1][1].append(item)
        pointers = [frame for frame in before if frame.source == "pointer"]
        calls = [frames for name, frames in traces if name in _OF_FAULT and frames]
        if not calls:
            return before
        chosen = next((frames for frames in calls if any(f.name == guilty for f in frames)), calls[0])
        # x86 prints the instruction pointer once more at the end.
        return [*pointers, *(f for f in chosen if f.source != "pointer" or not pointers)]

    def is_guessed(self) -> bool:
        """Return whether there is a call trace without a reliable frame: of a kernel without an unwinder."""
        calls = [frame.reliable for frame in self.frames() if frame.source == "trace"]
        return bool(calls) and not any(calls)

    def has_calls(self) -> bool:
        """Return whether there is a call trace with at least one reliable frame."""
        in_calls, announced = False, self._is_announced()
        for item in self.items:
            if isinstance(item, Mark):
                in_calls = item.name in _OF_FAULT if item.begins else in_calls
            elif item.source == "pointer" and not announced:
                in_calls = True
            elif in_calls and item.reliable and item.source not in ("pointer", "lock"):
                return True
        return False


def _mark_of(text: str) -> Optional[Mark]:
    return next((mark for mark, pattern in _MARKS if pattern.search(text)), None)
