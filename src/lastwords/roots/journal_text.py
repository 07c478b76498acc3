"""Entries of journal files as the text that ``journalctl -o short-iso`` makes of them, whatever its version.

Damaged files are read as far as they go.
"""

from __future__ import annotations

import errno
import heapq
import io
import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Optional

from lastwords.formats.log.journal_file import Entry, JournalError, JournalFile, Read

TRANSPORTS = tuple(b"_TRANSPORT=" + each for each in (b"kernel", b"syslog", b"stdout", b"journal", b"driver"))
"""All entries, but for the audit's."""
FILE_LINES = 200_000
"""The newest entries that are read of a file that was handed over alone."""
FILE_DEADLINE = 120.0
"""Seconds."""
SHOWN = (b"MESSAGE", b"SYSLOG_IDENTIFIER", b"_COMM", b"_PID", b"SYSLOG_PID", b"_HOSTNAME")
_UNPRINTABLE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")


def text_of_file(file: BinaryIO) -> Iterator[bytes]:
    """Yield pieces of what ``journalctl -o short-iso`` prints of a journal file's newest entries.

    :raises JournalError: it is no journal file; or it is cut, after what can be read of it
    :raises OSError: it cannot be read, or not in FILE_DEADLINE seconds
    """
    journal = JournalFile(reader(file, time.monotonic() + FILE_DEADLINE))
    yield from gathered(entries([journal], TRANSPORTS, FILE_LINES))
    there = file.seek(0, io.SEEK_END)
    if there < journal.size:
        raise JournalError(f"cut journal file: {there} of {journal.size} bytes are there")


def gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines in pieces of some hundred."""
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) == 512:
            yield b"".join(piece)
            piece = []
    yield b"".join(piece)


def reader(stream: BinaryIO, deadline: float) -> Read:
    """Return what reads a journal file here and there, until *deadline* (as time.monotonic())."""

    def read(offset: int, size: int) -> bytes:
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "the journal was not read to its end in time")
        if offset >= 1 << 62:
            return b""
        stream.seek(offset)
        return stream.read(size)

    return read


def entries(files: Sequence[JournalFile], matches: Sequence[bytes], most: Optional[int]) -> Iterator[bytes]:
    """Yield the entries that match, oldest first, as ``journalctl -o short-iso`` prints them.

    :param matches: ``FIELD=value``; one of them is enough
    :param most: so many of the newest; None for all
    """
    wanted = [(file, file.entries_with(matches)[-(most or 0) :]) for file in files]
    surplus = sum(len(offsets) for _, offsets in wanted) - most if most else 0
    merged = heapq.merge(
        *(_read(file, offsets) for file, offsets in wanted), key=lambda pair: pair[0].realtime
    )
    for entry, file in islice(merged, max(surplus, 0), None):
        fields = file.fields(entry, SHOWN)
        tag = fields.get(b"SYSLOG_IDENTIFIER") or fields.get(b"_COMM") or b"unknown"
        pid = fields.get(b"SYSLOG_PID") or fields.get(b"_PID")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(entry.realtime)).encode()
        head = b"%s %s %s%s: " % (stamp, fields.get(b"_HOSTNAME", b"-"), tag, b"[%s]" % pid if pid else b"")
        first, *rest = fields.get(b"MESSAGE", b"").split(b"\n")
        yield _printable(head + first)
        yield from (_printable(b" " * len(head) + line) for line in rest)


def _read(file: JournalFile, offsets: Sequence[int]) -> Iterator[tuple[Entry, JournalFile]]:
    for offset in offsets:
        try:
            yield file.entry(offset), file
        except JournalError:
            continue


def _printable(line: bytes) -> bytes:
    return _UNPRINTABLE.sub(b"?", line) + b"\n"


def boots(files: Sequence[JournalFile]) -> Iterator[bytes]:
    """Yield the boots, oldest first, as ``journalctl --list-boots`` of systemd 251 prints them."""
    spans: dict[str, tuple[float, float]] = {}
    for file in files:
        for boot, offsets in file.boots():
            ends = [entry.realtime for entry, _ in _read(file, offsets)]
            if ends:
                first, last = spans.get(boot, (ends[0], ends[0]))
                spans[boot] = min(first, *ends), max(last, *ends)
    ordered = sorted(spans.items(), key=lambda item: item[1])
    for index, (boot, span) in enumerate(ordered, start=1 - len(ordered)):
        stamps = [time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) for at in span]
        yield f"{index:3d} {boot} {stamps[0]}\u2014{stamps[1]}\n".encode()
