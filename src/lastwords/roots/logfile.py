"""A log that somebody hands us: any file or standard input, packed or not, searched for some words.

Gigabytes are searched as blocks (:mod:`lastwords.roots.lines`); messages are made only of the lines around a
word, for as long as the reader wants more.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Optional, cast

from lastwords.formats.log.klog import Clock
from lastwords.formats.log.messages import ENTRY_LINES, Message, Messages, is_tagged, lines_each
from lastwords.formats.log.pstore import HEAD as PART_HEAD
from lastwords.formats.log.pstore import Part, part_of
from lastwords.model import LastwordsError
from lastwords.roots.lines import BLOCK, LINE_LIMIT, Search, read_lines
from lastwords.roots.streams import HEAD, open_decompressed, sniff

BEFORE = 40
"""Messages before a word: who asked for the kill, what an excerpt begins with."""
_TEXT = re.compile(rb"[\t\n\r\x1b\x20-\x7e\x80-\xff]+")
_TAR = re.compile(rb"(?s).{257}ustar")
_STRAY, _STRAY_SHARE = 8, 0.03
"""Bytes that are no text, at the beginning of a log: of 700 real ones 0.002 at most, of other files 0.08."""
_DUMPS = (b"\x7fELF", b"KDUMP   ", b"makedumpfile\0")
"""How files begin that may be NULs for the most part, and are no logs."""
_PART_LIMIT = 4 << 20
"""Bytes of one part of a record of pstore that are read: they are as small as the firmware's variables."""


class LogReader:
    """The messages around some words of a log, in order.

    Iterate over it once. After a line that holds a word, the next :data:`ENTRY_LINES` come too; whoever
    reads a report asks for more with :meth:`want`, again and again while the report goes on.

    :param words: byte strings one of which a report's first line holds; few and long ones are fast, none
        at all means every line
    :param stems: still fewer, of which each word holds one (:class:`Search`)
    :param before: messages before a word that are wanted too
    :param gates: where lines of a long log tell who wrote them, a word counts only after its gate
    :param redacted: whether secrets are removed from lines; they need not be where no line is shown
    :param reference: when the log was written at the latest, seconds since the epoch: gives stamps a year
    """

    def __init__(
        self,
        stream: BinaryIO,
        words: Sequence[bytes] = (),
        *,
        stems: Sequence[bytes] = (),
        before: int = BEFORE,
        gates: Optional[Mapping[bytes, Sequence[bytes]]] = None,
        redacted: bool = True,
        reference: Optional[float] = None,
    ) -> None:
        self.stream = stream
        self._gates = gates or {}
        self._search = Search(words=words, stems=stems, before=before, redacted=redacted)
        self._messages = Messages()
        self._at = self._entry_ends = 0
        self._head: Optional[bytes] = None
        self._broken: Optional[OSError] = None
        self.clock = Clock(reference)
        self.problem: Optional[str] = None
        """Why the log could not be read to its end; known after iterating."""

    @property
    def lines(self) -> int:
        """Lines seen."""
        return self._search.lines

    @property
    def size(self) -> int:
        """Bytes seen, after decompression."""
        return self._search.size

    def head(self) -> bytes:
        """Return the beginning of the log, before it is iterated over; none when it cannot be read."""
        if self._head is None:
            self._head = b""
            try:
                self._head = self.stream.read(BLOCK)
            except OSError as problem:
                self._broken = problem
        return self._head

    def want(self, messages: int) -> None:
        """Ask for so many messages more, whatever they say; the last call counts."""
        self._search.follow = max(messages * self._messages.lines_each, self._entry_ends - self._at)

    def __iter__(self) -> Iterator[Message]:
        search, made = self._search, self._messages
        try:
            head = self.head()
            if self._broken is not None:
                raise self._broken
            made.lines_each = lines_each(head)
            search.before *= made.lines_each
            search.gates = self._gates if len(head) == BLOCK and is_tagged(head) else {}
            for line in read_lines(cast(BinaryIO, _Headed(head, self.stream)), search):
                self._at = line.number
                if search.words and search.follow < ENTRY_LINES and search.hit(line.data):
                    search.follow = ENTRY_LINES
                    self._entry_ends = line.number + ENTRY_LINES
                yield from made.feed(line.number, line.offset, line.data[:LINE_LIMIT])
            yield from made.end()
        except OSError as problem:  # CompressionError is one
            self.problem = problem.strerror or str(problem)


class _Headed:
    """A stream whose beginning was read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        head, self._head = self._head, b""
        return head or self._stream.read(size)


@contextmanager
def open_log(path: str, words: Sequence[bytes] = (), **how: Any) -> Iterator[LogReader]:
    """Open a log by its path, or standard input as ``-``. The rest is what :class:`LogReader` takes.

    :raises LastwordsError: it cannot be opened, is a directory, or does not begin as text
    """
    if path == "-":
        # No file tells when it was written: its last line is from now, at the latest.
        stream = open_decompressed(sys.stdin.buffer)
        reader = LogReader(stream, words, reference=time.time(), **how)
        _expect_text(path, reader.head())
        yield reader
        return
    try:
        raw = io.FileIO(path)
    except IsADirectoryError:
        raise LastwordsError(f"{path}: is a directory; expected a log (lastwords open takes trees)") from None
    except OSError as problem:
        raise LastwordsError(f"{path}: {problem.strerror or problem}; expected a log") from None
    with raw:
        written = os.fstat(raw.fileno()).st_mtime
        reader = LogReader(raw, words, reference=written, **how)
        try:
            packed = not raw.seekable() or sniff(raw.read(HEAD)) is not None
            if raw.seekable():
                raw.seek(0)
            if packed:
                reader.stream = open_decompressed(raw)
        except OSError as problem:
            raise LastwordsError(f"{path}: {problem.strerror or problem}; expected a log") from None
        _expect_text(path, reader.head())
        yield reader


def is_text(head: bytes) -> bool:
    """Return whether a file that begins so is text: NULs are where a machine lost what it had not written.

    >>> is_text(b"\\0" * 4096 + b"Mar  1 03:14:07 app07 kernel: x"), is_text(b"\\x7fELF\\2\\1\\1")
    (True, False)
    """
    if head.startswith(_DUMPS):
        return False
    head = head.replace(b"\0", b"")
    return len(_TEXT.sub(b"", head)) <= max(_STRAY, _STRAY_SHARE * len(head))


def is_tar(head: bytes) -> bool:
    """Return whether a file that begins so is an archive of tar: of logs it may look like text."""
    return _TAR.match(head) is not None


def _expect_text(path: str, head: bytes) -> None:
    if is_tar(head):
        raise LastwordsError(f"{path}: is an archive; expected a log (lastwords open takes archives)")
    if is_text(head):
        return
    from lastwords.formats.vmcore.head import HEAD_SIZE, KINDS, parse_vmcore_head

    dump = parse_vmcore_head(head[:HEAD_SIZE]).kind in KINDS
    found = "a crash dump, which lastwords vmcore reads" if dump else "not text"
    raise LastwordsError(f"{path}: is {found}; expected a log")


@contextmanager
def open_parts(paths: Sequence[str], words: Sequence[bytes] = ()) -> Iterator[LogReader]:
    """Open the parts of a record of pstore, in the order that :func:`parts_together` gives, as one log.

    :raises LastwordsError: one of them cannot be read
    """
    whole = io.BytesIO()
    written = 0.0
    for path in paths:
        try:
            with open(path, "rb") as raw:
                written = max(written, os.fstat(raw.fileno()).st_mtime)
                data = raw.read(_PART_LIMIT)
        except OSError as problem:
            raise LastwordsError(f"{path}: {problem.strerror or problem}; expected a log") from None
        part = part_of(data[:PART_HEAD])
        whole.write(data[part.size if part is not None else 0 :])
        whole.write(b"" if data.endswith(b"\n") else b"\n")
    whole.seek(0)
    yield LogReader(whole, words, reference=written)


def parts_together(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the logs that paths are: parts of one record of pstore together, in the order of their lines."""
    logs: list[list[tuple[int, str]]] = []
    records: dict[tuple[str, str, int], list[tuple[int, str]]] = {}
    for path in paths:
        part = _part(path)
        if part is None:
            logs.append([(0, path)])
            continue
        key = os.path.dirname(path), part.reason, part.count
        if key not in records or any(number == -part.number for number, _ in records[key]):
            records[key] = []
            logs.append(records[key])
        records[key].append((-part.number, path))
    return [tuple(path for _, path in sorted(log)) for log in logs]


def _part(path: str) -> Optional[Part]:
    """Return which part of a record a file is. One that cannot be read is told when it is opened."""
    try:
        if path == "-" or not os.path.isfile(path):
            return None
        with open(path, "rb") as raw:
            return part_of(raw.read(PART_HEAD))
    except OSError:
        return None
