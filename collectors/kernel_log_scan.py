"""Goes through one log once: finds events, and keeps the lines around them.

Which lines are kept depends on what happened: an OOM report is whole from some lines before "invoked
oom-killer" to the last kill; an oops has its trace; a disk error has its neighbours. When a log has more
than may be kept, its newest windows and events stay.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords.formats import failures
from lastwords.formats.crash_reports import Report, Reports
from lastwords.formats.crash_signature import signature_of_report
from lastwords.formats.failure_texts import TEXTS
from lastwords.formats.failures import Failure, Failures
from lastwords.formats.kevents import USER_KILLERS, Found, detect, kill_summary
from lastwords.formats.klog import Clock, LogLine, parse_line
from lastwords.formats.klog_messages import Message, Messages
from lastwords.model import Event, event
from lastwords.roots.lines import Line

BEFORE = 30
"""Most lines that any window has before its event."""
_WINDOWS = {
    "oom_report": (20, 400),
    "oom_kill": (12, 30),
    "panic": (30, 200),
    "oops": (30, 200),
    "bug": (30, 200),
    "warning": (10, 120),
    "hang": (20, 200),
    "mce": (5, 60),
    "nmi": (5, 60),
    "boot": (0, 40),
}
"""Lines before and after, by kind."""
_OTHER = (5, 10)
REPORT_LINES = 4000
"""Longest OOM report: the task table has a line for each process."""
REPORT_SECONDS = 120.0
_CONTEXT_SECONDS = 5.0
EVENTS = {"io_error": 50, "filesystem_error": 50, "segfault": 50, "warning": 100, "mce": 100}
"""Newest events of a kind that are listed for one log; the others have :data:`OTHER_EVENTS`."""
OTHER_EVENTS = 200
_FLOODS = ("io_error", "filesystem_error", "segfault")
"""Kinds that a dying disk or program logs by the million: those after the first are only read at the end."""
_DIGITS = b"0123456789abcdef"
_ENTITLED = ("panic", "oops", "bug", "warning", "hang", "mce", "nmi")
"""Kinds of events that a kernel report tells of."""
KEPT_BYTES = 2 << 20
"""Bytes kept of one log."""

# One report says several things in a row: kind and following kind -> lines and seconds.
_SAME_REPORT = {
    ("oops", "oops"): (30, 2.0),
    ("bug", "oops"): (30, 2.0),
    ("bug", "bug"): (5, 0.0),
    ("mce", "mce"): (80, 5.0),
    ("nmi", "nmi"): (5, 1.0),
}
_SIGN = re.compile(b"|".join(re.escape(word.encode()) for word in failures.WORDS))
_PANICS = ("kernel_panic", "out_of_memory", "init_killed")
"""Failed boots that are told by the panic alone."""


@dataclass
class LogScan:
    """The state of going through one log. Feed it every line that comes; it says how many more it needs."""

    path: str
    clock: Clock
    all_kernel: bool = False
    """True for dmesg and pstore: lines without a program's tag are the kernel's."""
    boot: Optional[str] = None
    """Boot id, when all of the log is of one boot."""
    kept_bytes: int = KEPT_BYTES
    came_up: bool = False
    """True when whoever wrote the log has booted: no boot in it failed."""

    counts: Counter[str] = field(default_factory=Counter)
    """All events by kind, listed or not."""
    dropped_windows: int = 0
    _events: dict[str, deque[Event]] = field(default_factory=dict)
    _kept: deque[Line] = field(default_factory=deque)
    _size: int = 0
    _recent: deque[Line] = field(default_factory=lambda: deque(maxlen=BEFORE))
    _maybe: list[Line] = field(default_factory=list)
    """Lines of an OOM report that is too long to be kept unless it ends in a kill or panic."""
    _until: int = 0
    _maybe_until: int = 0
    _report_time: Optional[float] = None
    _context: dict[str, Any] = field(default_factory=dict)
    _latest: dict[str, Event] = field(default_factory=dict)
    _shape: bytes = b""
    """The latest line of a flood, without its numbers."""
    _flood: str = ""
    _reports: Reports = field(default_factory=Reports)
    _failures: Failures = field(default_factory=Failures)
    _flooded: dict[str, deque[Line]] = field(default_factory=dict)
    """The newest lines of floods, whose events are not made yet."""

    def take(self, line: Line) -> int:
        """Look at one line; return how many of the following lines are needed, whatever they say."""
        shape = line.data.translate(None, _DIGITS)
        if self._flood and shape == self._shape:
            self.counts[self._flood] += 1
            self._flooded[self._flood].append(line)
            self._commit(line, *_OTHER)
            self._keep(line)
            return self._until - line.number
        parsed = parse_line(line.data.decode("utf-8", "replace").lstrip("\0"))
        if self._counts_as_kernel(parsed):
            self._reports.feed(Message(parsed, line.number, line.offset))
            if (found := detect(parsed.text, parsed.tag)) is not None:
                self._found(line, parsed, found)
        if not self.came_up and _SIGN.search(line.data) is not None:
            for message in Messages().feed(line.number, line.offset, line.data):
                if self._failures.feed(message):
                    self._commit(line, *_OTHER)
        if line.number <= self._until:
            self._keep(line)
        elif line.number <= self._maybe_until and not self._report_is_over(parsed):
            self._maybe.append(line)
        else:
            if self._maybe:
                self._recent.extend(self._maybe[-BEFORE:])
                self._maybe, self._maybe_until = [], 0
            self._recent.append(line)
        return max(self._until, self._maybe_until) - line.number

    def events(self) -> list[Event]:
        """Return the listed events in the order of the log. Call once, at the end."""
        for kind, lines in self._flooded.items():
            for line in lines:
                parsed = parse_line(line.data.decode("utf-8", "replace"))
                if (again := detect(parsed.text, parsed.tag)) is not None:
                    self._list(kind, self._made(line, parsed, again))
        self._flooded = {}
        for failure in self._failures.end():
            if failure.area == "boot" and failure.name not in _PANICS:
                self.counts["boot_failure"] += 1
                self._list("boot_failure", self._failed(failure))
        found = [item for items in self._events.values() for item in items]
        found.sort(key=lambda item: item["line"])
        _entitle(found, self._reports.end())
        return found

    def kept(self) -> list[Line]:
        """Return the lines to keep, in order."""
        return list(self._kept)

    @property
    def unlisted(self) -> int:
        """How many events are counted, but not listed; known after :meth:`events`."""
        return sum(self.counts.values()) - sum(len(items) for items in self._events.values())

    def _counts_as_kernel(self, line: LogLine) -> bool:
        if line.tag in USER_KILLERS:
            return True
        return line.is_kernel or (line.is_kernel is None and self.all_kernel)

    def _found(self, line: Line, parsed: LogLine, found: Found) -> None:
        time = parsed.epoch(self.clock)[0]
        if found.kind == "context":
            self._context = {**self._fresh_context(line, time), **found.details, "_at": (line.number, time)}
            if self._until or self._maybe:
                self._commit(line, *_OTHER)
            return
        if self._continues(line, time, found):
            self._commit(line, *_WINDOWS.get(found.kind, _OTHER))
            return
        if found.kind == "oom_report":
            self._context = {}
        made = self._made(line, parsed, found)
        self.counts[found.kind] += 1
        self._latest[found.kind] = made
        self._list(found.kind, made)
        self._commit(line, *_WINDOWS.get(found.kind, _OTHER))
        if found.kind == "oom_report":
            self._maybe_until = line.number + REPORT_LINES
            self._report_time = time if time is not None else parsed.monotonic
        elif found.kind in ("oom_kill", "panic"):
            self._maybe_until = 0
        elif found.kind in _FLOODS:
            self._shape, self._flood = line.data.translate(None, _DIGITS), found.kind
            self._flooded.setdefault(found.kind, deque(maxlen=EVENTS[found.kind]))

    def _made(self, line: Line, parsed: LogLine, found: Found) -> Event:
        time, source = parsed.epoch(self.clock)
        details, summary = dict(found.details), found.summary
        if found.kind == "oom_kill" and details.get("killer") == "kernel":
            details = {**self._of_context(details, self._fresh_context(line, time)), **details}
            summary = kill_summary(details)
        if parsed.caller:
            details["caller"] = parsed.caller
        details["time_source"] = source
        return event(
            found.kind,
            summary,
            path=self.path,
            time=time,
            line=line.number,
            monotonic=parsed.monotonic,
            boot=self.boot,
            details={key: value for key, value in details.items() if value is not None},
        )

    def _failed(self, failure: Failure) -> Event:
        """Return a failed boot as an event, at the line that tells its cause."""
        told = next((proof for proof in failure.proofs if proof.sign.name == failure.name), failure.proofs[0])
        time, source = told.message.line.epoch(self.clock)
        title = TEXTS[failure.name].title
        details = {
            "stage": failure.stage,
            "class": failure.name,
            "device": failure.device,
            "said": told.text,
            "time_source": source,
        }
        return event(
            "boot_failure",
            f"{title} ({failure.device})" if failure.device else title,
            path=self.path,
            time=time,
            line=told.message.number,
            monotonic=told.message.line.monotonic,
            boot=self.boot,
            details={key: value for key, value in details.items() if value is not None},
        )

    def _list(self, kind: str, made: Event) -> None:
        self._events.setdefault(kind, deque(maxlen=EVENTS.get(kind, OTHER_EVENTS))).append(made)

    def _fresh_context(self, line: Line, time: Optional[float]) -> dict[str, Any]:
        """Return what the lines before said of the kill to come, unless that was too long ago."""
        number, then = self._context.get("_at", (line.number, time))
        late = time is not None and then is not None and time - then > _CONTEXT_SECONDS
        return {} if late or line.number - number > REPORT_LINES else self._context

    def _of_context(self, kill: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Return what is true of this kill: constraint, cgroups, score."""
        context = {name: value for name, value in context.items() if name != "_at"}
        meant = context.pop("pid", kill.get("pid"))
        if meant != kill.get("pid"):
            # A child was killed instead, or all of a group; else it was about another kill.
            if "score" not in context and "oom_group" not in context:
                return {}
            context.pop("score", None)
        return context

    def _continues(self, line: Line, time: Optional[float], found: Found) -> bool:
        """Return whether a line belongs to the report of an earlier one, and is no event of its own."""
        for kind, latest in self._latest.items():
            limits = _SAME_REPORT.get((kind, found.kind))
            if found.kind == kind == "hang" and found.details["hang"] == "rcu_stall":
                limits = (200, 5.0) if latest["details"]["hang"] == "rcu_stall" else None
            if limits is None or line.number - latest["line"] > limits[0]:
                continue
            if time is not None and latest["time"] is not None and time - latest["time"] > limits[1]:
                continue
            numbers = latest["details"].get("number"), found.details.get("number")
            if numbers[0] is not None and numbers[0] != numbers[1]:
                continue  # [#1] and after it another, or the head of another
            if numbers[1] is not None:
                latest["details"]["number"] = numbers[1]
            return True
        return False

    def _report_is_over(self, parsed: LogLine) -> bool:
        if self._report_time is None:
            return False
        time = parsed.epoch(self.clock)[0]
        time = parsed.monotonic if time is None else time
        return time is not None and time - self._report_time > REPORT_SECONDS

    def _commit(self, line: Line, before: int, after: int) -> None:
        """Keep the lines before this one, and so many after it."""
        for earlier in (*self._recent, *self._maybe):
            if self._maybe or earlier.number >= line.number - before:
                self._keep(earlier)
        self._recent.clear()
        self._maybe = []
        self._until = max(self._until, line.number + after)

    def _keep(self, line: Line) -> None:
        self._kept.append(line)
        self._size += len(line.data) + 1
        if self._size > self.kept_bytes:
            self._drop_window()

    def _drop_window(self) -> None:
        """Let the oldest window go; of a single one that is too long, its oldest lines."""
        self.dropped_windows += 1
        while len(self._kept) > 1:
            gone = self._kept.popleft()
            self._size -= len(gone.data) + 1
            if self._kept[0].number != gone.number + 1 and self._size <= self.kept_bytes:
                return
            if self._size <= self.kept_bytes // 2:
                return


def _entitle(events: list[Event], reports: list[Report]) -> None:
    """Tell events what the report is called that they are part of: both are in the order of the log."""
    starts = [report.first.number for report in reports]
    for item in events:
        at = bisect_right(starts, item["line"]) - 1
        if item["kind"] not in _ENTITLED or at < 0 or reports[at].last.number < item["line"]:
            continue
        report = reports[at]
        item["details"]["title"] = report.title
        item["details"]["signature"] = signature_of_report(report).split
        if report.frame is not None:
            item["details"]["frame"] = report.frame
        if report.corrupted is not None:
            item["details"]["corrupted"] = report.corrupted
