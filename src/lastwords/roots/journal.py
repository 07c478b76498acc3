"""Answers ``journalctl`` for a tree that has the files of a journal, but no journalctl to run.

A disk in rescue mode holds the journal of the dead system. What the analyst's own journalctl would make of
it depends on its version and compression libraries; here the files are read as they lie, damaged ones as far
as they go, and the output is what journalctl would print.
"""

from __future__ import annotations

import errno
import heapq
import io
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import BinaryIO, Optional

from lastwords.formats.log.journal_file import Entry, JournalError, JournalFile, Read
from lastwords.roots.base import CommandSource, Output, join
from lastwords.roots.streams import PACKED, Chunks, spooled
from lastwords.roots.trees import Tree

PLACES = ("/var/log/journal", "/run/log/journal")
NAMES = re.compile(r"(?!user-).*\.journal~?")
MANY_FILES = 256
OUTPUT_LIMIT = 16 << 20
TRANSPORTS = tuple(b"_TRANSPORT=" + each for each in (b"kernel", b"syslog", b"stdout", b"journal", b"driver"))
"""All entries, but for the audit's."""
FILE_LINES = 200_000
"""The newest entries that are read of a file that was handed over alone."""
FILE_DEADLINE = 120.0
"""Seconds."""
SHOWN = (b"MESSAGE", b"SYSLOG_IDENTIFIER", b"_COMM", b"_PID", b"SYSLOG_PID", b"_HOSTNAME")
_UNPRINTABLE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")


@dataclass(frozen=True)
class _Request:
    """What a command line asks for."""

    matches: tuple[bytes, ...]
    lines: Optional[int]
    boots: bool


def _request(argv: Sequence[str]) -> _Request:
    """Understand the command lines of the collectors; raise FileNotFoundError for any other."""
    words = list(argv[1:])
    matches, lines, boots = [], None, False
    while words:
        word = words.pop(0)
        if word == "--no-pager" or word == "+":
            continue
        if word == "--list-boots":
            boots = True
        elif word == "-o" and words and words[0] == "short-iso":
            words.pop(0)
        elif word == "-n" and words and words[0].isdigit():
            lines = int(words.pop(0))
        elif re.fullmatch(r"[A-Z_]+=.+", word):
            matches.append(word.encode())
        else:
            raise FileNotFoundError(errno.ENOENT, f"journal files are read without journalctl's {word}")
    return _Request(tuple(matches), lines, boots)


class JournalCommands(CommandSource):
    """``journalctl`` made of the journal files below /var/log/journal and /run/log/journal."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        with self.stream(argv, timeout) as stream:
            data = stream.read(OUTPUT_LIMIT + 1)
        return Output(tuple(argv), data[:OUTPUT_LIMIT], 0, len(data) > OUTPUT_LIMIT, PLACES[0])

    def stream(self, argv: Sequence[str], timeout: float) -> AbstractContextManager[BinaryIO]:
        if not argv or argv[0] != "journalctl":
            raise FileNotFoundError(errno.ENOENT, self.why_not)
        request = _request(argv)
        paths = self._paths()
        if not paths:
            raise FileNotFoundError(errno.ENOENT, "no journal files here")
        deadline = time.monotonic() + timeout
        return io.BufferedReader(Chunks(_gathered(self._lines(request, paths, deadline))), 1 << 16)

    def _paths(self) -> list[str]:
        """Return the journal files of the system, newest directories and names last."""
        found: list[str] = []
        for place in PLACES:
            for folder in self._names(place):
                within = join(place, folder)
                names = [name for name in self._names(within) if NAMES.fullmatch(name)]
                # The active file, then the archived ones from the newest: names end in a time, in hex.
                names.sort(key=lambda name: ("@" not in name, name), reverse=True)
                found += [join(within, name) for name in names]
        return found[:MANY_FILES]

    def _names(self, path: str) -> list[str]:
        try:
            return self._tree.names(self._tree.resolve(path))
        except OSError:
            return []

    def _lines(self, request: _Request, paths: Sequence[str], deadline: float) -> Iterator[bytes]:
        with ExitStack() as stack:
            files = []
            for path in paths:
                try:
                    stream = stack.enter_context(self._tree.open(self._tree.resolve(path)))
                    if not stream.seekable():
                        stream = stack.enter_context(spooled(iter(partial(stream.read, PACKED), b"")))
                    files.append(JournalFile(_reader(stream, deadline)))
                except (OSError, JournalError):
                    continue
            if not files:
                raise OSError(errno.EIO, "no journal file could be read")
            yield from _boots(files) if request.boots else _entries(files, request)


def text_of_file(file: BinaryIO) -> Iterator[bytes]:
    """Yield pieces of what ``journalctl -o short-iso`` prints of a journal file's newest entries.

    :raises JournalError: it is no journal file
    :raises OSError: it cannot be read, or not in FILE_DEADLINE seconds
    """
    journal = JournalFile(_reader(file, time.monotonic() + FILE_DEADLINE))
    yield from _gathered(_entries([journal], _Request(TRANSPORTS, FILE_LINES, False)))


def _gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) == 512:
            yield b"".join(piece)
            piece = []
    yield b"".join(piece)


def _reader(stream: BinaryIO, deadline: float) -> Read:
    def read(offset: int, size: int) -> bytes:
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "the journal was not read to its end in time")
        if offset >= 1 << 62:
            return b""
        stream.seek(offset)
        return stream.read(size)

    return read


def _entries(files: Sequence[JournalFile], request: _Request) -> Iterator[bytes]:
    """Yield the newest entries that match, oldest first, as ``journalctl -o short-iso`` prints them."""
    wanted = [(file, file.entries_with(request.matches)[-(request.lines or 0) :]) for file in files]
    surplus = sum(len(offsets) for _, offsets in wanted) - request.lines if request.lines else 0
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


def _boots(files: Sequence[JournalFile]) -> Iterator[bytes]:
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
