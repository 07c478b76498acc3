"""Goes through one log once: finds events, and keeps the lines around them.

Which lines are kept depends on what happened: an OOM report is whole from some lines before "invoked
oom-killer" to the last kill; an oops has its trace; a disk error has its neighbours. When a log has more
than may be kept, its newest windows and events stay.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Optional

from lastwords.collectors.kernel_log_oom import oom_events
from lastwords.formats.crash.reports import Report, Reports
from lastwords.formats.crash.signature import signature_of_failure, signature_of_report
from lastwords.formats.failures.reader import Failure, Failures
from lastwords.formats.failures.texts import TEXTS
from lastwords.formats.log.endings import ending_of
from lastwords.formats.log.events import Found, detect
from lastwords.formats.log.klog import Clock, LogLine
from lastwords.formats.log.messages import Message, Messages
from lastwords.formats.oom.events import BEFORE, OomEvents
from lastwords.formats.oom.report import OomEvent
from lastwords.model import Event, event
from lastwords.roots.lines import Line

_WINDOWS = {
    "oom_report": (20, 400),
    "oom_kill": (20, 30),
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
_OF_CRASH_KERNELS = ("panic", "oom_report", "oom_kill")
"""Kinds of events that are told as a dump that was not saved, where a crash kernel had them."""
_PANICS = ("kernel_panic", "out_of_memory")
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
    _held: deque[Line] = field(default_factory=deque)
    """Lines that may be of an OOM report: kept when it is known where that ends."""
    _held_size: int = 0
    _number: int = 0
    _behind: deque[Line] = field(default_factory=lambda: deque(maxlen=BEFORE))
    """The lines before this one, kept or not."""
    _until: int = 0
    _latest: dict[str, Event] = field(default_factory=dict)
    _shape: bytes = b""
    """The latest line of a flood, without its numbers."""
    _flood: str = ""
    _reports: Reports = field(default_factory=Reports)
    _messages: Messages = field(default_factory=Messages)
    _oom: OomEvents = field(init=False)
    _failures: Failures = field(default_factory=Failures)
    _flooded: dict[str, deque[Line]] = field(default_factory=dict)
    """The newest lines of floods, whose events are not made yet."""

    def __post_init__(self) -> None:
        self._oom = OomEvents(self.clock)

    def take(self, line: Line) -> int:
        """Look at one line; return how many of the following lines are needed, whatever they say."""
        shape = line.data.translate(None, _DIGITS)
        if self._flood and shape == self._shape:
            self.counts[self._flood] += 1
            self._flooded[self._flood].append(line)
            self._commit(line.number, self._flood)
            self._keep(line)
            return self._until - line.number
        if line.number > self._number + 1:
            self._oom.skip((line.number - self._number - 1) // self._messages.lines_each)
        self._number = line.number
        for message in self._messages.feed(line.number, line.offset, line.data):
            self._message(line, message)
        self._behind.append(line)
        wanted = self._oom.wanted * self._messages.lines_each
        if line.number <= self._until:
            self._keep(line)
        elif wanted:
            self._hold(line)
        else:
            self._recent.extend(self._held)
            self._held.clear()
            self._held_size = 0
            self._recent.append(line)
        return max(self._until - line.number, wanted)

    def _message(self, line: Line, message: Message) -> None:
        for over in self._oom.feed(message):
            self._settled(over)
        if not self.came_up and self._failures.feed(message):
            self._commit(message.number, "boot_failure")
        if message.is_kernel and (message.line.is_kernel or self.all_kernel):
            self._reports.feed(message)
            if (found := detect(message.text)) is not None:
                self._found(line, message.line, found)

    def events(self) -> list[Event]:
        """Return the listed events in the order of the log. Call once, at the end, before :meth:`kept`."""
        for message in self._messages.end():
            self._message(Line(message.number, message.offset, b""), message)
        for over in self._oom.end():
            self._settled(over)
        for lines in self._flooded.values():
            for line in lines:
                for message in Messages().feed(line.number, line.offset, line.data):
                    if (again := detect(message.text)) is not None:
                        self._list(self._made(line, message.line, again))
        self._flooded = {}
        for failure in self._failures.end():
            if failure.area == "boot" and failure.name not in _PANICS:
                self.counts["boot_failure"] += 1
                self._list(self._failed(failure, "boot_failure"))
            elif failure.area == "kdump":
                if failure.stage == "capture":
                    self._of_a_crash_kernel(failure)
                self._no_kdump(self._failed(failure, "kdump"))
        found = [item for items in self._events.values() for item in items]
        found.sort(key=lambda item: item["line"])
        _entitle(found, self._reports.end())
        return found

    def kept(self) -> list[Line]:
        """Return the lines to keep, in order."""
        return sorted(self._kept, key=lambda line: line.number)

    @property
    def unlisted(self) -> int:
        """How many events are counted, but not listed; known after :meth:`events`."""
        return sum(self.counts.values()) - sum(len(items) for items in self._events.values())

    def _settled(self, over: OomEvent) -> None:
        """List what an OOM event is that is over, and keep its lines."""
        for made in oom_events(over, self.path, self.boot):
            self.counts[made["kind"]] += 1
            self._list(made)
        before, after = _WINDOWS[over.kind]
        self._commit_lines(over.line - before, over.last_line + after)

    def _found(self, line: Line, parsed: LogLine, found: Found) -> None:
        self._commit(line.number, found.kind)
        if self._continues(line, parsed.epoch(self.clock)[0], found):
            return
        made = self._made(line, parsed, found)
        self.counts[found.kind] += 1
        self._latest[found.kind] = made
        self._list(made)
        if found.kind in _FLOODS:
            self._shape, self._flood = line.data.translate(None, _DIGITS), found.kind
            self._flooded.setdefault(found.kind, deque(maxlen=EVENTS[found.kind]))

    def _made(self, line: Line, parsed: LogLine, found: Found) -> Event:
        time, source = parsed.epoch(self.clock)
        details = {**found.details, "caller": parsed.caller, "time_source": source}
        if found.kind == "boot" and not self.path.startswith("$ "):  # of a journal the kernel's lines alone
            details["previous"] = self._ending(line.number)
        return event(
            found.kind,
            found.summary,
            path=self.path,
            time=time,
            line=line.number,
            monotonic=parsed.monotonic,
            boot=self.boot,
            details={key: value for key, value in details.items() if value is not None},
        )

    def _ending(self, number: int) -> Optional[str]:
        """Return how the boot ended whose last lines stand before a line."""
        behind = [line for line in self._behind if line.number >= number - BEFORE]
        return ending_of([line.data for line in behind])

    def _of_a_crash_kernel(self, failure: Failure) -> None:
        """Mark what a crash kernel died of, and its lack of memory: not the machine had them."""
        lines = {proof.message.number for proof in failure.proofs}
        own = range(failure.begun, max(lines) + 1) if failure.begun else ()
        for kind in _OF_CRASH_KERNELS:
            for each in self._events.get(kind, ()):
                if each["line"] in own or (kind == "panic" and each["line"] in lines):
                    each["details"]["crash_kernel"] = True

    def _no_kdump(self, made: Event) -> None:
        """List a failure of kdump, or add what it is to the event that the same line made by its words."""
        for known in self._events.get("kdump", ()):
            if known["line"] == made["line"]:
                known["details"].update(made["details"])
                return
        self.counts["kdump"] += 1
        self._list(made)

    def _failed(self, failure: Failure, kind: str) -> Event:
        """Return a failed boot, or a failure of kdump, as an event, at the line that tells its cause."""
        told = next((proof for proof in failure.proofs if proof.sign.name == failure.name), failure.proofs[0])
        time, source = told.message.line.epoch(self.clock)
        title = TEXTS[failure.name].title
        details = {
            "stage": failure.stage,
            "class": failure.name,
            "device": failure.device,
            "memory": failure.memory,
            "reserved": failure.reserved,
            "signature": signature_of_failure(failure, title).split,
            "said": told.text,
            "time_source": source,
        }
        return event(
            kind,
            f"{title} ({failure.device})" if failure.device else title,
            path=self.path,
            time=time,
            line=told.message.number,
            monotonic=told.message.line.monotonic,
            boot=self.boot,
            details={key: value for key, value in details.items() if value is not None},
        )

    def _list(self, made: Event) -> None:
        kind = made["kind"]
        self._events.setdefault(kind, deque(maxlen=EVENTS.get(kind, OTHER_EVENTS))).append(made)

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

    def _commit(self, number: int, kind: str) -> None:
        """Keep the lines around one that tells of an event."""
        before, after = _WINDOWS.get(kind, _OTHER)
        self._commit_lines(number - before, number + after)

    def _commit_lines(self, first: int, last: int) -> None:
        for waiting in (self._recent, self._held):
            lines = list(waiting)
            waiting.clear()
            for line in lines:
                if first <= line.number <= last:
                    self._keep(line)
                else:
                    waiting.append(line)
        self._held_size = sum(len(line.data) + 1 for line in self._held)
        self._until = max(self._until, last)

    def _hold(self, line: Line) -> None:
        self._held.append(line)
        self._held_size += len(line.data) + 1
        while self._held_size > self.kept_bytes and len(self._held) > 1:
            self._held_size -= len(self._held.popleft().data) + 1

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
        if report.frame not in (None, "corrupted"):
            item["details"]["frame"] = report.frame
            module = next((f.module for f in report.frames if f.name == report.frame and f.module), None)
            if module is not None:
                item["details"]["module"] = module
        if report.corrupted is not None:
            item["details"]["corrupted"] = report.corrupted
