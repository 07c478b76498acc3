"""Reads logs line by line, in bounded memory, and quickly passes over what nobody asked for.

Python looks at a line in about a microsecond, and searches 2 GB of a block in a second. So lines are made
only of what a :class:`Search` wants; the rest is searched as blocks, for byte strings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Optional, Union

from lastwords.formats import text_of
from lastwords.formats.redact.secrets import redact
from lastwords.roots.streams import Chunks
from lastwords.roots.words import Finder

LINE_LIMIT = 64 << 10
"""Bytes of one line that are looked at; a longer line is cut."""
BLOCK = 128 << 10
"""Small enough for the processor's cache: a block is searched many times."""


@dataclass(frozen=True)
class Line:
    """One line of a log."""

    number: int
    """From 1, in the file as it lies on the host (after decompression)."""
    offset: int
    """Byte offset of its start, after decompression."""
    data: bytes
    """Without the line end."""

    @property
    def text(self) -> str:
        """The line as text."""
        return text_of(self.data)


@dataclass(frozen=True)
class Blank:
    """Stands for a part of a log in which nothing was found: as many bytes, with as many line ends."""

    size: int
    lines: int

    def __len__(self) -> int:
        return self.size

    def content(self) -> bytes:
        """Return spaces and line ends, the last byte one: lines of one length, but the first is longer.

        >>> Blank(8, 3).content()
        b'   \\n \\n \\n'
        """
        last = self.last(self.lines)
        return b" " * (self.size - len(last)) + last

    def last(self, lines: int) -> bytes:
        """Return its last lines, so many."""
        return (b" " * (self._width - 1) + b"\n") * lines

    def split(self) -> tuple[bytes, Blank]:
        """Return its first line, and a blank for those after it."""
        rest = (self.lines - 1) * self._width
        return b" " * (self.size - rest - 1) + b"\n", Blank(rest, self.lines - 1)

    @property
    def _width(self) -> int:
        return self.size // self.lines if self.lines else 0


class SiftedLog(Chunks):
    """A log as a stream, whose reader can pass over the parts of it that are blank."""

    def __init__(self, parts: Iterator[Union[bytes, Blank]]) -> None:
        super().__init__(part.content() if isinstance(part, Blank) else part for part in parts)
        self._parts = parts

    def part(self) -> Union[bytes, Blank]:
        """Return what is left of the current part, or the next one; no bytes at the end."""
        rest, self._chunk, self._at = self._chunk[self._at :], b"", 0
        return rest or next(self._parts, b"")


_Placed = tuple[int, Union[bytes, Blank]]
"""A block, and its offset."""


@dataclass
class Search:
    """Which lines of a log are wanted, and what was seen of it.

    Wanted are lines that hold one of *words*, some lines *before* each, and as many after it as the
    reader asks for through *follow*. Without words every line is wanted.
    """

    words: Sequence[bytes] = ()
    gates: Mapping[bytes, Sequence[bytes]] = field(default_factory=dict)
    """When given, a word counts only after its gate in the same line: ``kernel:`` -> words, in a syslog."""
    before: int = 0
    redacted: bool = True
    """Whether secrets are removed from the lines: False only where none of them is ever shown."""
    stems: Sequence[bytes] = ()
    """Few byte strings of which each word holds one: looked for first, then the words in their lines."""
    limit: Optional[int] = None
    """Bytes to look at: the last ones of a plain file, the first ones of a stream."""

    follow: int = 0
    """Set by the reader: so many lines more are wanted, whatever they hold."""
    lines: int = 0
    """Lines seen so far."""
    size: int = 0
    """Bytes seen so far, after decompression."""
    skipped: int = 0
    """Bytes at the start that were not looked at; lines are counted from there."""
    limited: bool = False
    """Whether the limit ended it."""
    first: Optional[Line] = None
    last: Optional[Line] = None
    """The first and the last line seen, set at the end of each block."""

    def hit(self, line: bytes) -> bool:
        """Return whether a line holds what is searched for."""
        if not self.words:
            return True
        if not self.gates:
            return any(word in line for word in self.words)
        for gate, words in self.gates.items():
            at = line.find(gate)
            if at >= 0 and any(line.find(word, at) >= 0 for word in words):
                return True
        return False


def read_lines(stream: BinaryIO, search: Search, windows: Sequence[dict[str, int]] = ()) -> Iterator[Line]:
    """Yield the wanted lines of a stream, without secrets, holding one block at a time.

    :param search: what is wanted; also told what was seen
    :param windows: where the parts of a piecewise kept log stood (see :meth:`Tree.windows`)
    """
    blocks = _limited(_blocks(stream), search)
    if windows or not search.words:
        for line in _filtered(_numbered(blocks, windows, search.skipped), search):
            yield _clean(line) if search.redacted else line
        if windows and search.last is not None:
            # The last line of a log is always kept: it tells how long the log was.
            search.lines = search.last.number
            search.size = search.last.offset + len(search.last.data) + 1
        return
    for line in _searched(blocks, search):
        yield _clean(line) if search.redacted else line


def iter_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends, each cut at LINE_LIMIT, holding one block at a time."""
    for _, block in _blocks(stream):
        for line in _split(block):
            yield line[:LINE_LIMIT]


def seek_last(stream: BinaryIO, size: int) -> int:
    """Place a plain stream at the first line that starts in its last *size* bytes; return the offset."""
    end = stream.seek(0, 2)
    if end <= size:
        stream.seek(0)
        return 0
    start = end - size
    stream.seek(start)
    while chunk := stream.read(1 << 16):
        at = chunk.find(b"\n")
        if at >= 0:
            start += at + 1
            break
        start += len(chunk)
    stream.seek(start)
    return start


def _blocks(stream: BinaryIO) -> Iterator[_Placed]:
    """Yield offset and bytes of blocks of whole lines. A line over the limit is cut, and ends its block."""
    offset, rest = 0, b""
    while chunk := stream.part() if isinstance(stream, SiftedLog) else stream.read(BLOCK):
        if isinstance(chunk, Blank):
            if chunk.lines > 1:
                line, chunk = chunk.split()
                yield offset, rest + line
                offset += len(rest) + len(line)
                yield offset, chunk
                offset, rest = offset + len(chunk), b""
                continue
            chunk = chunk.content()
        end = chunk.rfind(b"\n") + 1
        if end:
            # Copied once: the time of a search is that of memory.
            data = b"".join((rest, memoryview(chunk)[:end]))
            yield offset, data
            offset, rest = offset + len(data), chunk[end:]
        else:
            rest += chunk
        if len(rest) > LINE_LIMIT:
            yield offset, rest[:LINE_LIMIT] + b"\n"
            offset += len(rest)
            rest = b""
            while chunk := stream.read(BLOCK):
                end = chunk.find(b"\n") + 1
                if end:
                    offset, rest = offset + end, chunk[end:]
                    break
                offset += len(chunk)
    if rest:
        yield offset, rest


def _limited(blocks: Iterator[_Placed], search: Search) -> Iterator[_Placed]:
    for offset, block in blocks:
        if search.limit is not None and search.size >= search.limit:
            search.limited = True
            return
        yield offset, block
        search.size += len(block)


def _split(block: Union[bytes, Blank]) -> list[bytes]:
    block = block.content() if isinstance(block, Blank) else block
    lines = block.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return lines


def _numbered(blocks: Iterator[_Placed], windows: Sequence[dict[str, int]], skipped: int) -> Iterator[Line]:
    number = 1
    ahead = deque(windows)
    left, shift = 0, skipped
    for start, block in blocks:
        at = start
        for raw in _split(block):
            if ahead and left == 0:
                window = ahead.popleft()
                number, left = window["line"], window["lines"]
                shift = window["offset"] - at
            yield Line(number, at + shift, raw)
            number += 1
            at += len(raw) + 1
            left -= 1 if left else 0


def _filtered(lines: Iterator[Line], search: Search) -> Iterator[Line]:
    """The plain way: look at each line."""
    recent: deque[Line] = deque(maxlen=search.before)
    last: Optional[Line] = None
    try:
        for line in lines:
            last = line
            search.lines += 1
            search.first = search.first or _clean(line)
            if search.follow > 0:
                search.follow -= 1
            elif not search.hit(line.data):
                recent.append(line)
                continue
            yield from recent
            recent.clear()
            yield line
    finally:
        search.last = _clean(last) if last else None


class _Block:
    """A block of whole lines, and the place up to which they were looked at."""

    def __init__(self, number: int, start: int, data: bytes) -> None:
        self.first = self.number = number
        self.start = start
        self.data = data
        self.at = 0

    def take(self) -> Line:
        """Return the next line, and go past it."""
        end = self.data.find(b"\n", self.at)
        end = len(self.data) if end < 0 else end
        line = Line(self.number, self.start + self.at, self.data[self.at : end])
        self.at, self.number = end + 1, self.number + 1
        return line

    def skip_to(self, at: int) -> None:
        """Go to the line that starts at *at*."""
        self.number += self.data.count(b"\n", self.at, at)
        self.at = at

    def back(self, at: int, lines: int) -> int:
        """Return where the line starts that stands so many lines before *at*, or the first not looked at."""
        for _ in range(lines):
            if at <= self.at:
                break
            at = self.data.rfind(b"\n", self.at, at - 1) + 1 or self.at
        return at

    def tail(self, lines: int) -> Iterator[Line]:
        """Yield the last lines that were not looked at, so many at most."""
        self.skip_to(self.back(len(self.data), lines))
        while self.at < len(self.data):
            yield self.take()

    def last(self) -> Line:
        """Return the last line of the block."""
        start = self.data.rfind(b"\n", 0, len(self.data) - 1) + 1
        number = self.first + self.data.count(b"\n", 0, start)
        return _clean(Line(number, self.start + start, self.data[start:].rstrip(b"\n")))


def _searched(blocks: Iterator[_Placed], search: Search) -> Iterator[Line]:
    """The quick way: make lines only around hits. Yields what :func:`_filtered` would."""
    behind: list[_Block] = []  # that hold the last lines before this block
    block: Optional[_Block] = None
    finder = Finder(search.words, search.stems, search.gates)
    try:
        for start, data in blocks:
            if isinstance(data, Blank):
                if search.follow < 1 and search.first is not None:
                    # Of all that was passed over, only the last lines may be asked for.
                    tail = data.last(min(data.lines, max(1, search.before)))
                    search.lines += data.lines
                    number = search.lines - tail.count(b"\n") + 1
                    block = _Block(number, search.skipped + start + len(data) - len(tail), tail)
                    behind = [block] if data.lines >= search.before else [*behind, block]
                    continue
                data = data.content()
            block = _Block(search.lines + 1, search.skipped + start, data)
            if search.first is None:
                search.first = _clean(_Block(1, block.start, data).take())
            hits = iter(finder.starts(data))
            hit = next(hits, None)
            while True:
                if search.follow > 0 and block.at < len(data):
                    search.follow -= 1
                    behind = []
                    yield block.take()
                elif hit is None:
                    break
                elif hit < block.at:
                    hit = next(hits, None)
                else:
                    begin = block.back(hit, search.before)
                    if begin == 0 and behind:
                        yield from _last(behind, search.before - data.count(b"\n", 0, hit))
                    behind = []
                    block.skip_to(begin)
                    while block.at <= hit:
                        yield block.take()
            lines = _count(data, block.at) + (block.at < len(data) and not data.endswith(b"\n"))
            search.lines = block.number - 1 + lines
            behind = [block] if block.at or lines >= search.before else [*behind, block]
    finally:
        search.last = block.last() if block else None


def _count(data: bytes, at: int) -> int:
    """Return how many lines end from *at* on."""
    if at:
        return data.count(b"\n", at)
    # Taking them out is a memchr() for each: half the time that count() takes for its bytes.
    return len(data) - len(data.replace(b"\n", b""))


def _last(blocks: list[_Block], lines: int) -> Iterator[Line]:
    """Yield the last lines of some blocks, so many at most."""
    found: list[Line] = []
    for block in reversed(blocks):
        if lines > len(found):
            found = [*block.tail(lines - len(found)), *found]
    yield from found


def _clean(line: Line) -> Line:
    data = line.data[:LINE_LIMIT]
    clean, removed = redact(data)
    return Line(line.number, line.offset, clean) if removed or len(data) < len(line.data) else line
