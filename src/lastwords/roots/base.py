"""The one interface that collectors see, whatever the bytes come from.

A root is a :class:`~lastwords.roots.trees.Tree` (files), a :class:`CommandSource` (commands run now, or
outputs recorded earlier) and a :class:`UsageSource` (how full a filesystem is). Everything a collector
reads passes here: secrets are removed, the read is noted as evidence, and what cannot be read is noted
with its reason.
"""

from __future__ import annotations

import copy
import errno
import fnmatch
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from json.encoder import encode_basestring_ascii as quote
from typing import Any, BinaryIO, Optional

from lastwords.formats import text_of
from lastwords.formats.redact.secrets import redact, suspicious
from lastwords.roots.evidence import (
    EvidenceLog,
    Store,
    command_path,
    stored_command,
)
from lastwords.roots.lines import Line, Search, SiftedLog, read_lines, seek_last
from lastwords.roots.streams import open_decompressed, sniff
from lastwords.roots.trees import Node, Tree

READ_LIMIT = 8 << 20
"""Bytes that one ``read`` returns at most; the rest is noted as truncated."""
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Output:
    """What a command printed."""

    argv: tuple[str, ...]
    stdout: bytes
    exit_code: Optional[int]
    """None when a recorded output does not tell."""
    truncated: bool = False
    source: Optional[str] = None
    """Host path of the recorded output, or None when it was run now."""

    @property
    def text(self) -> str:
        """Standard output as text."""
        return text_of(self.stdout)


@dataclass(frozen=True)
class Usage:
    """How full a filesystem is, in bytes."""

    size: int
    available: int
    """What an ordinary user may still write."""
    used: int
    mountpoint: Optional[str] = None
    filesystem: Optional[str] = None
    """The device or export, as ``df`` names it."""


@dataclass(frozen=True)
class Row:
    """One directory of a table: its name, and the contents of the files that could be read."""

    name: str
    files: dict[str, str]
    denied: tuple[str, ...] = ()
    """The files that are there, but not for us."""


class CommandSource:
    """Where the output of commands comes from. This one has none."""

    why_not = "this root has no command output"

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        """Return what *argv* prints. Raise OSError: FileNotFoundError when there is no such command or
        record, TimeoutError after *timeout* seconds."""
        raise FileNotFoundError(2, self.why_not)

    def stream(self, argv: Sequence[str], timeout: float) -> AbstractContextManager[BinaryIO]:
        """Open what *argv* prints, to be read without holding all of it. Raise OSError, also when read."""
        return io.BytesIO(self.output(argv, timeout).stdout)


class UsageSource:
    """Tells how full filesystems are. This one cannot."""

    def usage(self, path: str) -> Usage:
        """Return the usage of the filesystem that holds host path *path*. Raise OSError."""
        raise FileNotFoundError(2, "this root does not tell how full filesystems are")


class Root:
    """Reads files, lists directories and gives the output of commands; notes all of it as evidence."""

    def __init__(
        self,
        kind: str,
        tree: Tree,
        *,
        commands: Optional[CommandSource] = None,
        usage: Optional[UsageSource] = None,
        taken_at: Optional[float] = None,
        clock: Optional[Callable[[], float]] = None,
        where: str = "",
        notes: Sequence[str] = (),
        logs: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        """``live``, ``directory``, ``sosreport``, ``bundle``, ``vmcore`` or ``log``."""
        self.tree = tree
        self.taken_at = taken_at
        """When the state it shows was true: seconds since the epoch, or None."""
        self.where = where
        """What the user called it."""
        self.notes = list(notes)
        """What a reader must know of the input itself."""
        self.logs = tuple(logs)
        """Kernel logs that are not where hosts have theirs: the input itself, when it is a bare log."""
        self.gatherer: Optional[int] = None
        """Process that gathers, where it is one of those that it sees."""
        self._commands = commands or CommandSource()
        self._usage = usage or UsageSource()
        self._clock = clock
        self.evidence = EvidenceLog("root")

    def recording(self, name: str, store: Optional[Store] = None) -> Root:
        """Return this root with an evidence log of its own, for the collector called *name*."""
        twin = copy.copy(self)
        twin.evidence = EvidenceLog(name, store)
        return twin

    def now(self) -> Optional[float]:
        """Return the time of what is read now: the clock's on a running host, else ``taken_at``."""
        return round(self._clock(), 3) if self._clock else self.taken_at

    # -- files ------------------------------------------------------------------------------------

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """Return the content of a regular file, without secrets; at most *limit* bytes.

        :raises OSError: FileNotFoundError, PermissionError ... as the system said; noted as evidence
        """
        try:
            with self.tree.open(self.tree.resolve(path)) as stream:
                raw, truncated = read_up_to(stream, limit)
        except OSError as problem:
            self.evidence.failed(path, problem)
            raise
        data, removed = redact(raw)
        error = f"longer than {limit} bytes" if truncated else None
        self.evidence.kept(path, data, truncated=truncated, redacted=removed, error=error)
        return data

    def text(self, path: str, limit: int = READ_LIMIT) -> Optional[str]:
        """Return the content of a file as text, or None when it cannot be read (noted as evidence)."""
        try:
            return text_of(self.read(path, limit))
        except OSError:
            return None

    def peek(self, path: str, size: int, offset: int = 0) -> bytes:
        """Return up to *size* raw bytes of a binary file from *offset*: its head, a firmware variable.

        What is no longer than a page or two is kept as evidence, in hexadecimal.

        :raises OSError: as the system said; noted as evidence
        """
        try:
            data = self.tree.peek(self.tree.resolve(path), size, offset)
        except OSError as problem:
            self.evidence.failed(path, problem)
            raise
        self.evidence.peeked(path, data, offset)
        return data

    def stream(self, path: str) -> BinaryIO:
        """Open a file to read its raw bytes from the start; not kept as evidence, and noted as such.

        For images and dumps that are followed to their end. Not every root's streams can seek.

        :raises OSError: as the system said; noted as evidence
        """
        try:
            stream = self.tree.open(self.tree.resolve(path))
        except OSError as problem:
            self.evidence.failed(path, problem)
            raise
        self.evidence.unkept(path)
        return stream

    def lines(self, path: str, search: Optional[Search] = None) -> Iterator[Line]:
        """Yield the lines of a file, decompressed by its content (gzip, xz, zstd, bzip2).

        Streams: no more than a block is held, and none is kept as evidence: see :meth:`keep`.
        Secrets are removed line by line.

        :param search: yields only the lines it asks for, much faster; it tells what was seen
        :raises OSError: when it cannot be opened or its compression is damaged; noted as evidence
        """
        search = search or Search()
        try:
            opened = self.tree.open_log if search.words else self.tree.open
            with opened(self.tree.resolve(path)) as raw:
                windows = self.tree.windows(path)
                if search.limit and not windows and raw.seekable():
                    plain = sniff(raw.read(6)) is None
                    search.skipped = seek_last(raw, search.limit) if plain else raw.seek(0)
                with raw if isinstance(raw, SiftedLog) else open_decompressed(raw) as stream:
                    yield from read_lines(stream, search, windows)
        except OSError as problem:
            self.evidence.failed(path, problem)
            raise

    def keep(self, path: str, lines: Sequence[Line], **extra: Any) -> None:
        """Keep some lines of *path* (a host path or ``$ command``) as its evidence.

        Lines come in order; each run of consecutive ones becomes a window whose place is noted.
        """
        windows: list[dict[str, int]] = []
        for line in lines:
            if windows and line.number == windows[-1]["line"] + windows[-1]["lines"]:
                windows[-1]["lines"] += 1
            else:
                windows.append({"line": line.number, "offset": line.offset, "lines": 1})
        data = b"".join(line.data + b"\n" for line in lines)
        stored = stored_command(path[2:].split()) if path.startswith("$ ") else None
        self.evidence.kept(path, data, stored=stored, windows=windows, **extra)

    def stat(self, path: str, *, follow: bool = True) -> Optional[Node]:
        """Return what the path is, or None when it is not there or not reachable (noted)."""
        try:
            node = self.tree.stat(path) if follow else self._lstat(path)
        except OSError as problem:
            self.evidence.failed(path, problem)
            return None
        node = replace(node, path=path)
        if follow:
            self.evidence.saw_followed(node)
        else:
            self.evidence.saw([node])
        return node

    def exists(self, path: str) -> Optional[bool]:
        """Return whether the host has *path*, or None when this root cannot tell (noted)."""
        if self.stat(path):
            return True
        failure = self.evidence.failure(path)
        return False if failure.get("absent") and self.tree.knows_absence(path) else None

    def listdir(self, path: str) -> Optional[list[Node]]:
        """Return all that is in a directory, links not followed; None when that is not known (noted).

        A sosreport holds some files of a directory without telling what else was in it: such a
        directory can be searched with :meth:`glob`, but not listed.
        """
        try:
            resolved = self.tree.resolve(path)
            names = self.tree.names(resolved)
            if not self.tree.lists(resolved):
                raise OSError(errno.ENODATA, "not listed in this input")
            nodes = []
            for name in names:
                try:
                    nodes.append(replace(self.tree.lookup(join(resolved, name)), path=join(path, name)))
                except FileNotFoundError:
                    continue  # gone since the directory was read
        except OSError as problem:
            self.evidence.failed(path, problem)
            return None
        self.evidence.saw([Node(path, "dir"), *nodes])
        self.evidence.listed(path)
        return nodes

    def glob(self, pattern: str) -> list[str]:
        """Return the sorted paths that match; ``*`` does not cross ``/``. What cannot be read is noted."""
        found = ["/"]
        for part in pattern.strip("/").split("/"):
            following = []
            for base in found:
                if not _MAGIC.search(part):
                    try:
                        self._lstat(join(base, part))
                    except OSError:
                        continue
                    following.append(join(base, part))
                    continue
                try:
                    names = self.tree.names(self.tree.resolve(base))
                except NotADirectoryError:
                    continue
                except OSError as problem:
                    self.evidence.failed(base, problem)
                    continue
                shown = [n for n in names if not n.startswith(".") or part.startswith(".")]
                following.extend(join(base, name) for name in fnmatch.filter(shown, part))
            found = following
        return sorted(found)

    def _lstat(self, path: str) -> Node:
        parent, _, name = path.rpartition("/")
        return self.tree.lookup(join(self.tree.resolve(parent or "/"), name))

    def table(
        self,
        base: str,
        files: Sequence[str],
        *,
        match: str = "*",
        names: Optional[Sequence[str]] = None,
        depth: int = 1,
        limit: int = READ_LIMIT,
        most: int = 1 << 20,
    ) -> Iterator[Row]:
        """Yield, for each directory below *base* whose name matches, the listed files that it has.

        For ``/proc/[0-9]*`` and the cgroup tree: thousands of small files that become one piece of
        evidence. With *names* only these are looked at. ``depth`` 0 means *base* and everything below it;
        names are relative to *base* (``.`` for itself). Files that vanish meanwhile are left out, and of a
        directory that vanished comes a row without files; denied files are noted. Of each file *limit* bytes
        are read, and of rows *most*: more are noted, as a caller that stops early is.
        """
        rows = io.BytesIO()
        removed = 0
        denied: dict[str, int] = {}
        error: Optional[str] = "not read to its end"
        try:
            for count, name in enumerate(self._rows(base, match, depth) if names is None else names):
                if count == most:
                    error = f"more than {most} rows"
                    return
                path = base if name == "." else join(base, name)
                raw, refused = self._cells(path, files, limit)
                for file in refused:
                    denied[file] = denied.get(file, 0) + 1
                # One look at all files of a row: most hold no secret, and the rules are slow.
                if suspicious(b"\n".join(raw.values())):
                    for file, data in raw.items():
                        raw[file], times = redact(data)
                        removed += times
                row = {file: text_of(data) for file, data in raw.items()}
                if row or not refused:
                    rows.write(_row_line(name, row))
                yield Row(name, row, refused)
            error = None
        finally:
            for file, times in denied.items():
                problem = PermissionError(13, f"permission denied ({times} of them)")
                self.evidence.failed(join(base, f"{match if depth else '**'}/{file}"), problem)
            stored = "_".join(re.sub(r"\W+", "_", each).strip("_") for each in (base, *files))
            self.evidence.kept(
                join(base, match if depth else "**"),
                rows.getvalue(),
                stored=f"evidence/tables/{stored[:120]}.jsonl",
                truncated=error is not None,
                redacted=removed,
                error=error,
                table={"base": base, "match": match, "depth": depth, "files": list(files)},
            )

    def _cells(self, path: str, files: Sequence[str], limit: int) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """Return the content of the files in a directory that could be read, and which were denied."""
        cells: dict[str, bytes] = {}
        refused: tuple[str, ...] = ()
        tree = self.tree
        for file in files:
            try:
                cells[file] = tree.read_small(tree.resolve(f"{path}/{file}"), limit)
            except PermissionError:
                refused = (*refused, file)
            except OSError:
                continue
        return cells, refused

    def _rows(self, base: str, match: str, depth: int) -> Iterator[str]:
        try:
            resolved = self.tree.resolve(base)
            names = fnmatch.filter(self.tree.names(resolved), match) if depth else self.tree.folders(resolved)
        except OSError as problem:
            self.evidence.failed(base, problem)
            return
        if depth:
            yield from sorted(names, key=lambda name: (len(name), name))
            return
        yield "."
        todo = names[::-1]
        while todo:
            name = todo.pop()
            yield name
            try:
                below = self.tree.folders(join(resolved, name))
            except OSError:
                continue  # gone since its parent was read
            todo.extend(f"{name}/{child}" for child in reversed(below))

    # -- commands and filesystems -------------------------------------------------------------------

    def run(self, argv: Sequence[str], timeout: float = 20.0) -> Optional[Output]:
        """Return what a command prints, run now or recorded earlier; None when there is neither (noted).

        Secrets are removed. A non-zero exit code is no failure of the read: it is in the output.
        """
        path = command_path(argv)
        try:
            output = self._commands.output(argv, timeout)
        except OSError as problem:
            self.evidence.failed(path, problem, command=list(argv))
            return None
        data, removed = redact(output.stdout)
        self.evidence.kept(
            path,
            data,
            stored=stored_command(argv),
            truncated=output.truncated,
            redacted=removed,
            command=list(argv),
            exit_code=output.exit_code,
            **({"source": output.source} if output.source else {}),
        )
        return Output(tuple(argv), data, output.exit_code, output.truncated, output.source)

    def run_lines(
        self, argv: Sequence[str], timeout: float = 60.0, search: Optional[Search] = None
    ) -> Iterator[Line]:
        """Yield the lines a command prints, as :meth:`lines` does those of a file.

        :raises OSError: when there is neither such a command nor a record of it, when it fails without a
            word or takes longer than *timeout* seconds; noted as evidence
        """
        path = command_path(argv)
        try:
            with self._commands.stream(argv, timeout) as stream:
                yield from read_lines(stream, search or Search(), self.tree.windows(path))
        except OSError as problem:
            self.evidence.failed(path, problem, command=list(argv))
            raise

    def usage(self, path: str) -> Optional[Usage]:
        """Return how full the filesystem that holds *path* is, or None when the root cannot tell (noted)."""
        try:
            usage = self._usage.usage(path)
        except OSError as problem:
            self.evidence.failed(f"usage of {path}", problem)
            return None
        self.evidence.saw_usage(path, dict(usage.__dict__))
        return usage


def join(base: str, name: str) -> str:
    """Return the path of *name* in directory *base*."""
    return f"{base.rstrip('/')}/{name}"


def _row_line(name: str, files: dict[str, str]) -> bytes:
    """Return a row as ``{"name": ..., "files": {...}}``; json.dumps takes twice as long for it."""
    cells = ", ".join([f"{quote(file)}: {quote(text)}" for file, text in files.items()])
    return f'{{"name": {quote(name)}, "files": {{{cells}}}}}\n'.encode()


def read_up_to(stream: BinaryIO, limit: int) -> tuple[bytes, bool]:
    """Return up to *limit* bytes of a stream, and whether there were more."""
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0:
        chunk = stream.read(min(left, 1 << 16))
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    data = b"".join(chunks)
    return data[:limit], len(data) > limit
