"""Answers ``journalctl`` for a tree that has the files of a journal, but no journalctl to run.

A disk in rescue mode holds the journal of the dead system. What the analyst's own journalctl would make of
it depends on its version and compression libraries; here the files are read as they lie, damaged ones as far
as they go, and the output is what journalctl would print.
"""

from __future__ import annotations

import errno
import io
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Optional

from lastwords.formats.log.journal_file import JournalError, JournalFile
from lastwords.roots.base import CommandSource, Output, join
from lastwords.roots.journal_text import boots, entries, gathered, reader
from lastwords.roots.streams import PACKED, Chunks, spooled
from lastwords.roots.trees import Tree

PLACES = ("/var/log/journal", "/run/log/journal")
NAMES = re.compile(r"(?!user-).*\.journal~?")
MANY_FILES = 256
OUTPUT_LIMIT = 16 << 20


@dataclass(frozen=True)
class _Request:
    """What a command line asks for."""

    matches: tuple[bytes, ...]
    lines: Optional[int]
    boots: bool
    """Whether they are to be listed."""


def _request(argv: Sequence[str]) -> _Request:
    """Understand the command lines of the collectors; raise FileNotFoundError for any other."""
    words = list(argv[1:])
    matches, lines, listed = [], None, False
    while words:
        word = words.pop(0)
        if word == "--no-pager" or word == "+":
            continue
        if word == "--list-boots":
            listed = True
        elif word == "-o" and words and words[0] == "short-iso":
            words.pop(0)
        elif word == "-n" and words and words[0].isdigit():
            lines = int(words.pop(0))
        elif re.fullmatch(r"[A-Z_]+=.+", word):
            matches.append(word.encode())
        else:
            raise FileNotFoundError(errno.ENOENT, f"journal files are read without journalctl's {word}")
    return _Request(tuple(matches), lines, listed)


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
        return io.BufferedReader(Chunks(gathered(self._lines(request, paths, deadline))), 1 << 16)

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
                    files.append(JournalFile(reader(stream, deadline)))
                except (OSError, JournalError):
                    continue
            if not files:
                raise OSError(errno.EIO, "no journal file could be read")
            yield from boots(files) if request.boots else entries(files, request.matches, request.lines)
