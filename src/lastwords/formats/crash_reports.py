"""Finds every kernel report among the messages of a log, in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Optional

from lastwords.formats.crash_frame_pick import Trace
from lastwords.formats.crash_kinds import CORE, Kind
from lastwords.formats.crash_kinds_checks import CHECKS, LAST
from lastwords.formats.crash_title import Titled, title_of
from lastwords.formats.klog_messages import Message

KINDS = (*CHECKS[:-3], *CORE, *CHECKS[-3:], *LAST)
"""All rows; the first whose pattern matches a line counts."""
WORDS = tuple(sorted({word for kind in KINDS for word in kind.words}))
_WORD = re.compile("|".join(re.escape(word) for word in WORDS))

LINES = 1500
"""Most lines of one report that are read."""
_BODY = 1 << 16
_QUIET = 300
"""Messages of others after which a report is over."""


def find_header(text: str) -> Optional[tuple[Kind, re.Match[str]]]:
    """Return the kind of report that a line begins, or continues, and the match; None for any other line."""
    if _WORD.search(text) is None:
        return None
    text = text.strip()
    for kind in KINDS:
        if any(word in text for word in kind.words) and (match := kind.header.search(text)) is not None:
            return kind, match
    return None


@dataclass
class _Open:
    """A report that is being read."""

    kind: Kind
    header: re.Match[str]
    first: Message
    last: Message
    lines: list[str] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)
    kinds: list[str] = field(default_factory=list)
    fatal: bool = False
    size: int = 0
    whole: int = 0
    """Lines before those of another report came into it."""

    def feed(self, message: Message) -> None:
        text = message.text
        self.last = message
        if self.size < _BODY and len(self.lines) < LINES:
            self.lines.append(text.strip())
            self.size += len(text)
            self.trace.feed(text)
            if self.trace.alien is None:
                self.whole = len(self.lines)


@dataclass(frozen=True)
class Found:
    """A report as it was found."""

    kind: str
    event: str
    titled: Titled
    first: Message
    last: Message
    fatal: bool
    trace: Trace
    lines: tuple[str, ...]


class Reports:
    """Feed it every message; it yields the reports as they end."""

    def __init__(self) -> None:
        self._open: dict[tuple[Optional[str], Optional[str]], _Open] = {}
        self.found: list[Found] = []

    def feed(self, message: Message) -> int:
        """Take one message; return how many more are wanted, whatever they say."""
        if not message.is_kernel:
            return _QUIET if self._open else 0
        stream = message.stream
        current = self._open.get(stream)
        header = find_header(message.text)
        if header is not None:
            kind, match = header
            if current is not None and self._continues(kind, current):
                current.fatal |= kind.fatal
                current.kinds.append(kind.name)
            elif kind.alone and current is not None:
                self._finish(_Open(kind, match, message, message, [message.text.strip()], kinds=[kind.name]))
            else:
                self._close(stream)
                current = self._open[stream] = _Open(kind, match, message, message, kinds=[kind.name], fatal=kind.fatal)
        if current is not None:
            current.feed(message)
        if not self._open:
            return 0
        for key, each in list(self._open.items()):
            if message.number - each.last.number > _QUIET or len(each.lines) >= LINES:
                self._close(key)
        return _QUIET if self._open else 0

    def end(self) -> list[Found]:
        for key in list(self._open):
            self._close(key)
        return sorted(self.found, key=lambda f: f.first.number)

    def _close(self, stream: tuple[Optional[str], Optional[str]]) -> None:
        done = self._open.pop(stream, None)
        if done is None:
            return
        self._finish(done)

    @staticmethod
    def _continues(kind: Kind, current: _Open) -> bool:
        if "*" in kind.continues or kind.continues & {"mce", "nmi", "netdevice", "rcu_stall"} & {current.kinds[-1]}:
            return "rcu_stall" not in kind.continues or kind.name == "rcu_stall" or not current.trace.has_trace()
        return current.kinds[-1] in kind.continues and not current.trace.has_trace()

    def _finish(self, done: _Open) -> None:
        titled = title_of(done.kind, done.header, "\n".join(done.lines[: done.whole]), done.trace)
        self.found.append(
            Found(done.kinds[0], done.kind.event, titled, done.first, done.last, done.fatal, done.trace, tuple(done.lines))
        )


def find_reports(messages: Iterable[Message]) -> list[Found]:
    """Return all reports among the messages."""
    reports = Reports()
    for message in messages:
        reports.feed(message)
    return reports.end()
