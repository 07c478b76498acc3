"""Finds every kernel report among the messages of a log, in order.

Messages of several CPUs come mixed. Where the log tells who wrote each (printk's caller), a report takes
those of its own only; else it takes all until it ends: at ``end trace``, at the next report, or when
nothing that looks like a report has come for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Optional

from lastwords.formats.crash.facts import Facts, facts_of
from lastwords.formats.crash.frames import Frame
from lastwords.formats.crash.kinds import CORE, REBOOT, Kind
from lastwords.formats.crash.kinds_checks import CHECKS, LAST
from lastwords.formats.crash.title import title_of
from lastwords.formats.crash.trace import Trace
from lastwords.formats.kdump.crash_kernel import CRASH_KERNEL
from lastwords.formats.log.messages import Message

KINDS = (*CHECKS, *CORE, *LAST)
"""All rows; the first whose pattern matches a line counts."""
WORDS = tuple(sorted({word for kind in (*KINDS, REBOOT) for word in kind.words}))
"""Every line that begins a report holds one of these."""

_WORD = re.compile("|".join(re.escape(word) for word in WORDS))
_START = re.compile(r"^(?:Linux version \d|Booting Linux on physical CPU|Booting the kernel\.)")
_SHUTDOWN = re.compile(
    r"^reboot: |^kexec_core: Starting|^Starting (?:new|crashdump) kernel|^sysrq: Reset|^SysRq : Reset"
    r"|^Restarting system|^Power down|^machine restart|^Rebooting in \d|^Rebooting automatically|^Bye!"
)
_END = re.compile(r"^---\[ end (?:trace|Kernel panic)")
_ALIEN = re.compile(
    r"FAULT_INJECTION: forcing a failure|: vmalloc: allocation failure|FAULT_FLAG_ALLOW_RETRY missing"
)
_RULE = re.compile(r"^={24,}$")  # that of i386 up to 2.6.29, after the trace, is of 23
# Tools that add places in the source repeat the first line for every function that was inlined.
_INLINED = re.compile(r"^BUG: K[A-Z]{3,5}: .* \[inline\]$")
# What lines of a report look like: indented, "Name: value", a frame, registers, brackets.
_LIKE = re.compile(r"^\s|^[A-Z#][\w #./'-]{0,40}:|\+0x|^[\w ]{1,12}: ?[\[0-9a-f]{4}|^[\[<(#-]|^$")
# Panics that end another report: the kernel was told to die of it.
_DERIVED = re.compile(
    r"Fatal (?:exception|machine check|hardware error)|panic_on_\w+ set|hung_task: |softlockup: "
    r"|Hard LOCKUP|RCU Stall|Machine halted"
    r"|Attempted to kill|NMI: |: Fatal|Timeout: Not all CPUs|stack guard|kernel: panic"
)

_RUNNING = 1.0
"""Seconds after which a kernel counts as one that ran."""

LINES = 1500
"""Most lines of one report that are read."""
LISTED = 500
"""Reports of one log that are listed; those after are counted."""
EXCERPT = 200
"""Most lines of a report that are kept."""
EXCERPT_SIZE = 24 << 10
"""Most characters of them."""
FRAMES = 100
LINE = 1000
"""Characters of a line that are looked at."""
LONG_LINE = 8000
"""Characters of a line that are kept: a list of modules is long."""
_BODY = 1 << 18
_NOISE = 150
"""Lines unlike a report's after which it is over; messages of others after which a panic is not its end."""
_CASCADE_LINES = 300
_CASCADE_SECONDS = 30.0


@dataclass(frozen=True)
class Report:
    """What the kernel said of one fault, check or hang."""

    kind: str
    """Name of the row of the table."""
    event: str
    title: str
    alts: tuple[str, ...]
    frame: Optional[str]
    """The guilty function; None when the kind has none or none was found."""
    corrupted: Optional[str]
    """Why title and frame cannot be trusted, or None."""
    fatal: bool
    """The kernel did not survive it."""
    frames: tuple[Frame, ...]
    facts: Facts
    lines: tuple[str, ...]
    """The report itself, without prefixes, at most :data:`EXCERPT` lines."""
    first: Message
    last: Message
    boot: int = 0
    """Line at which its boot begins; 0: the one that was running when the log begins."""
    cause: Optional[int] = None
    """Index of the report that this one followed from."""


@dataclass
class _Open:
    """A report that is being read."""

    kind: Kind
    header: re.Match[str]
    first: Message
    last: Message
    boot: int
    kinds: list[str]
    fatal: bool
    lines: list[str] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    size: int = 0
    asks: bool = False
    """It told the other CPUs to print where they are."""
    cut: bool = False
    whole: int = 0
    """Lines before those of another trace came into it."""
    told: int = 0
    """Lines up to the last that looks like a report's."""
    noise: int = 0
    mixed: bool = False
    """Another began before its trace, and nothing tells whose lines are whose."""

    def feed(self, message: Message) -> None:
        text = message.text[:LONG_LINE]
        if self.size >= _BODY or len(self.lines) >= LINES:
            self.noise = _NOISE
            return
        self.lines.append(text.strip())
        self.size += len(text)
        self.asks = self.asks or "Sending NMI from CPU" in text
        # What prints a trace without being a report ends this where nothing tells whose frames are whose.
        self.cut = self.cut or (len(self.lines) > 1 and not message.line.caller and bool(_ALIEN.search(text)))
        if not self.cut:
            self.whole = len(self.lines)
            if self.whole > 1:
                self.trace.feed(text[:LINE])
        if len(self.lines) == 1 or (not message.bare and _LIKE.search(text[:LINE])):
            self.noise, self.told, self.last = 0, len(self.lines), message
        else:
            self.noise += 1

    def is_over(self, text: str) -> bool:
        """Return whether the line just read ends it."""
        if self.noise >= _NOISE or _END.match(text.strip()):
            return True
        return len(self.lines) > 3 and _RULE.match(text.strip()) is not None and self.trace.has_calls()


Stream = tuple[Optional[str], Optional[str]]


class Reports:
    """Feed it every message, in order; :attr:`found` holds the reports as they end.

    >>> from lastwords.formats.log.messages import messages
    >>> log = [b"kernel BUG at fs/inode.c:77!", b"RIP: 0010:evict+0x1a/0x2b",
    ...     b"Call Trace:", b" iput+0x3/0x9"]
    >>> reports = Reports()
    >>> for message in messages((n, 0, line) for n, line in enumerate(log, 1)):
    ...     wanted = reports.feed(message)
    >>> reports.end()[0].title
    'kernel BUG in evict'
    """

    def __init__(self) -> None:
        self.found: list[Report] = []
        self.unlisted = 0
        self._open: dict[Stream, _Open] = {}
        self._boot_line = 0
        self._ran = False
        """A kernel ran before this line, and it was not told to stop."""

    def feed(self, message: Message) -> int:
        """Take one message in; return how many more are wanted, whatever they say."""
        if not message.is_kernel:
            return _NOISE if self._open else 0
        text = message.text[:LINE]
        if (message.line.monotonic or 0.0) > _RUNNING:
            self._ran = not _SHUTDOWN.match(text)
        elif self._ran and _SHUTDOWN.match(text):
            self._ran = False
        header = find_header(text)
        if header is not None:
            self._header(message, *header)
        elif _START.match(text):
            self._close_all()
            self._boot(message, text)
            return _NOISE
        elif CRASH_KERNEL.match(text):
            self._taken_over(message)
        elif "[ cut here ]" in text or _INLINED.match(text.strip()) is not None:
            self._close(message.stream, only_with_trace=True)
        current = self._open.get(message.stream) or self._asking(message)
        if current is not None:
            current.feed(message)
            if current.is_over(text):
                self._close(current.first.stream)
        if len(self._open) > 1 or (self._open and current is None):
            for stream, each in list(self._open.items()):
                if message.number - each.last.number > 2 * _NOISE:
                    self._close(stream)
        return _NOISE if self._open else 0

    def end(self) -> list[Report]:
        """Return all reports, in the order of their first lines, followers linked to their cause."""
        self._close_all()
        return linked(self.found)

    def _header(self, message: Message, kind: Kind, match: re.Match[str]) -> None:
        stream = message.stream
        current = self._open.get(stream)
        if current is not None and _late(current.last, message):
            self._close(stream)
            current = None
        if current is not None and _continues(kind, match, current):
            current.fatal |= kind.fatal
            if current.kind.name in kind.replaces:
                current.kind, current.header, current.kinds = kind, match, []
            current.kinds.append(kind.name)
        elif kind.name == "panic" and current is None and self._ends_another(message, match):
            pass
        else:
            made = _Open(kind, match, message, message, self._boot_line, [kind.name], kind.fatal)
            if kind.alone and current is not None:
                made.feed(message)
                self._finish(made)
            else:
                if current is not None and _may_mix(current):
                    made.mixed = current.mixed = True
                self._close(stream)
                self._open[stream] = made

    def _asking(self, message: Message) -> Optional[_Open]:
        """Return the report for which another CPU prints its stack, if it is one's that was asked to."""
        if not (message.line.caller or "").startswith("C"):
            return None
        host = message.line.host
        return next((o for o in self._open.values() if o.asks and o.first.line.host == host), None)

    def _boot(self, message: Message, text: str) -> None:
        """Note that a kernel starts; where another ran, on a console, without an end, that is a report."""
        header = REBOOT.header.match(text.strip())
        dead = bool(self.found) and self.found[-1].fatal
        if header is not None and self._ran and not dead and message.line.tag is None:
            made = _Open(REBOOT, header, message, message, self._boot_line, [REBOOT.name], True)
            made.feed(message)
            self._finish(made)
        self._boot_line, self._ran = message.number, False

    def _taken_over(self, message: Message) -> None:
        """Note that the crash kernel starts: what was reported last is what the other died of."""
        reboot = bool(self.found) and self.found[-1].kind == REBOOT.name
        told = self.found[:-1] if reboot else self.found
        if not told or self.unlisted:
            return
        dead = told[-1]
        near = 0 < self._boot_line - dead.last.number <= _NOISE
        if near and dead.first.line.host == message.line.host:
            self.found = [*told[:-1], replace(dead, fatal=True)]

    def _ends_another(self, message: Message, match: re.Match[str]) -> bool:
        """Note the panic in the report that led to it; return False when none did."""
        for each in self._open.values():
            if each.first.line.host == message.line.host and _DERIVED.search(match["reason"]):
                each.fatal = True
                return True
        last = self.found[-1] if self.found else None
        if last is None or last.first.line.host != message.line.host or self.unlisted:
            return False
        near = message.number - last.last.number <= _NOISE and last.first.number > self._boot_line
        if near and not last.fatal and _DERIVED.search(match["reason"]):
            self.found[-1] = replace(
                last, fatal=True, last=message, lines=(*last.lines, message.text.strip())
            )
            return True
        return False

    def _close_all(self) -> None:
        for stream in list(self._open):
            self._close(stream)

    def _close(self, stream: Stream, *, only_with_trace: bool = False) -> None:
        current = self._open.get(stream)
        if current is not None and (current.trace.has_calls() or not only_with_trace):
            del self._open[stream]
            self._finish(current)

    def _finish(self, done: _Open) -> None:
        if len(self.found) >= LISTED:
            self.unlisted += 1
            return
        titled = title_of(done.kind, done.header, "\n".join(done.lines[: done.whole]), done.trace)
        lines = done.lines[: done.told]
        self.found.append(
            Report(
                done.kinds[0],
                done.kind.event,
                titled.title,
                titled.alts,
                titled.frame,
                "lines of several reports are mixed" if done.mixed else titled.corrupted,
                done.fatal,
                tuple(done.trace.frames(titled.frame)[:FRAMES]),
                facts_of(lines),
                tuple(_excerpt(lines)),
                done.first,
                done.last,
                done.boot,
            )
        )


def find_header(text: str) -> Optional[tuple[Kind, re.Match[str]]]:
    """Return the kind of report that a line begins, or continues, and the match; None for any other line."""
    if _WORD.search(text) is None:
        return None
    line = text.strip()
    for kind in KINDS:
        if any(word in text for word in kind.words) and (match := kind.header.search(line)) is not None:
            return kind, match
    return None


def _excerpt(lines: list[str]) -> Iterator[str]:
    """Yield the first lines of a report, within bounds."""
    left = EXCERPT_SIZE
    for line in lines[:EXCERPT]:
        if left <= 0:
            return
        yield line[: min(LINE, left)]
        left -= len(line) + 1


def find_reports(messages: Iterable[Message]) -> list[Report]:
    """Return all reports among the messages of one log."""
    reports = Reports()
    for message in messages:
        reports.feed(message)
    return reports.end()


def linked(found: list[Report]) -> list[Report]:
    """Return reports in the order of their first lines, each with the one that it followed from.

    What follows closely on a report is taken for its consequence: the first one is the cause.
    """
    ordered = sorted(found, key=lambda report: report.first.number)
    made: list[Report] = []
    for report in ordered:
        before = made[-1] if made else None
        if before is not None and _follows(before, report):
            cause = before.cause if before.cause is not None else len(made) - 1
            report = replace(report, cause=cause)
            if report.fatal and not made[cause].fatal:
                made[cause] = replace(made[cause], fatal=True)
        made.append(report)
    return made


def _follows(before: Report, report: Report) -> bool:
    if before.first.line.host != report.first.line.host or before.boot != report.boot:
        return False
    then, now = before.last.line.monotonic, report.first.line.monotonic
    if then is not None and now is not None:
        return -_CASCADE_SECONDS <= now - then <= _CASCADE_SECONDS
    return report.first.number - before.last.number <= _CASCADE_LINES


def _late(before: Message, message: Message) -> bool:
    """Return whether a message comes too long after another to be of the same report."""
    then, now = before.line.monotonic, message.line.monotonic
    return then is not None and now is not None and now - then > _CASCADE_SECONDS


def _continues(kind: Kind, header: re.Match[str], current: _Open) -> bool:
    """Return whether a header belongs to the report that is open: before its trace, or as its panic."""
    last = current.kinds[-1]
    if kind.name == "panic":
        return not current.trace.has_calls() or _DERIVED.search(header["reason"]) is not None
    if last in kind.continues and (kind.name == last or not kind.forms):
        return True
    return (last in kind.continues or last in kind.replaces) and not current.trace.has_calls()


def _may_mix(current: _Open) -> bool:
    """Return whether the trace of an open report may come after the header of the next."""
    return current.first.line.caller is None and not current.kind.alone and not current.trace.has_calls()
