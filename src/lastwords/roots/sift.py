"""Large logs in an archive: what nobody will look at is blanked while they stream by, so that the rest fits.

A collector that searches logs for words says so as a :class:`Sieve`. A blank has as many bytes and lines as
what it stands for, so that lines keep their numbers and offsets.
"""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Union

from lastwords.roots.lines import BLOCK, LINE_LIMIT, Blank, Search, read_lines

SMALL = 4 * BLOCK
"""Logs up to this size are not sifted: of a few blocks most would stay."""


@dataclass(frozen=True)
class Sieve:
    """What a collector looks for in its large logs: lines that hold one of *words*, and those around them."""

    paths: tuple[str, ...]
    """Host paths (globs) of the logs."""
    runs: tuple[tuple[str, ...], ...]
    """Commands whose recorded output is such a log."""
    words: Sequence[bytes]
    gates: Mapping[bytes, Sequence[bytes]] = field(default_factory=dict)
    before: int = 0
    """Most lines before such a line that anybody will look at, and most lines after it."""
    after: int = 0


Out = Callable[[Union[bytes, Blank]], None]


class _Part:
    """A part of the log as it was read, and the lines of which it holds some, by their numbers."""

    def __init__(self, data: bytes, first: int, kept: bool) -> None:
        self.data = data
        self.first = first
        self.kept = kept
        self.lines = 0
        """Line ends in it; known once it was searched."""


class _Parts(io.RawIOBase):
    """A stream that remembers what was read of it until it is known whether it is kept.

    How many lines were searched is taken from the search that reads it: to count again costs as much.
    """

    def __init__(self, stream: BinaryIO, sieve: Sieve, search: Search, out: Out) -> None:
        self._stream = stream
        self._sieve = sieve
        self._search = search
        self._out = out
        self._parts: deque[_Part] = deque()
        self._until = 1  # The first line tells from when on the log is.
        self._long = False

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        whole = self._search.lines  # What follows them is a line that may go on.
        long = _may_be_cut(data)
        if self._parts:
            self._parts[-1].lines = whole + 1 - self._parts[-1].first
            self._parts[-1].kept |= long
        if data:
            self._parts.append(_Part(data, whole + 1, whole < self._until or long or self._long))
            self._long = long
        while self._parts and (self._parts[0].kept or self._last(0) + self._sieve.before < whole):
            self._let_go(self._parts.popleft())
        return data

    def hit(self, number: int) -> None:
        """Keep the lines around the one of that number."""
        self._until = number + self._sieve.after
        for at, part in enumerate(self._parts):
            if self._last(at) >= number - self._sieve.before and part.first <= self._until:
                part.kept = True

    def _last(self, at: int) -> float:
        """Return the number of the last line of a part."""
        return self._parts[at + 1].first if at + 1 < len(self._parts) else math.inf

    def end(self) -> None:
        """Let all go that is left; the last line tells until when the log is."""
        for part in list(self._parts)[-2:]:
            part.kept = True
        while self._parts:
            self._let_go(self._parts.popleft())

    def _let_go(self, part: _Part) -> None:
        self._out(part.data if part.kept else Blank(len(part.data), part.lines))


def _may_be_cut(data: bytes) -> bool:
    """Return whether a line that goes over an end of a part may be too long: a search counts it otherwise."""
    half = LINE_LIMIT // 2
    return data.find(b"\n", 0, half) < 0 or data.rfind(b"\n", max(0, len(data) - half)) < 0


def sift(stream: BinaryIO, sieve: Sieve, out: Out) -> None:
    """Give the parts of a log to *out*, in order: as they are, or as a blank.

    :raises OSError: it cannot be read
    """
    search = Search(words=sieve.words, gates=sieve.gates, redacted=False)
    parts = _Parts(stream, sieve, search, out)
    for line in read_lines(parts, search):  # type: ignore[arg-type]
        parts.hit(line.number)
    parts.end()
