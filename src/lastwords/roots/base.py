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
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Optional

from lastwords.formats.redact import redact
from lastwords.roots.evidence import (
    EvidenceLog,
    Store,
    command_path,
    stored_command,
)
from lastwords.roots.streams import open_decompressed
from lastwords.roots.trees import Node, Tree

READ_LIMIT = 8 << 20
"""Bytes that one ``read`` returns at most; the rest is noted as truncated."""
LINE_LIMIT = 64 << 10
"""Bytes of one line that are looked at; a longer line is cut."""
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
        return self.stdout.decode("utf-8", "replace")


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
class Line:
    """One line of a log."""

    number: int
    """From 1, in the file as it lies on the host (after decompression)."""
    offset: int
    """Byte offset of its start, after decompression."""
    data: bytes
    """Without the line end."""


@dataclass(frozen=True)
class Row:
    """One directory of a table: its name, and the contents of the files that could be read."""

    name: str
    files: dict[str, str]


class CommandSource:
    """Where the output of commands comes from. This one has none."""

    why_not = "this root has no command output"

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        """Return what *argv* prints. Raise OSError: FileNotFoundError when there is no such command or
        record, TimeoutError after *timeout* seconds."""
        raise FileNotFoundError(2, self.why_not)

    def lines(self, argv: Sequence[str], timeout: float) -> Iterator[bytes]:
        """Yield the lines of what *argv* prints, without holding all of it. Raise OSError."""
        yield from self.output(argv, timeout).stdout.splitlines()


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
        where: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        """``live``, ``directory``, ``sosreport`` or ``bundle``."""
        self.tree = tree
        self.taken_at = taken_at
        """When the state it shows was true: seconds since the epoch, or None."""
        self.where = where
        """What the user called it."""
        self.notes = list(notes)
        """What a reader must know of the input itself."""
        self._commands = commands or CommandSource()
        self._usage = usage or UsageSource()
        self.evidence = EvidenceLog("root")

    def recording(self, name: str, store: Optional[Store] = None) -> Root:
        """Return this root with an evidence log of its own, for the collector called *name*."""
        twin = copy.copy(self)
        twin.evidence = EvidenceLog(name, store)
        return twin

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
            return self.read(path, limit).decode("utf-8", "replace")
        except OSError:
            return None

    def peek(self, path: str, size: int, offset: int = 0) -> bytes:
        """Return up to *size* raw bytes of a file from *offset*; not kept as evidence.

        For binary files (images, dumps), whose headers are read but whose content never enters a bundle.

        :raises OSError: as the system said; noted as evidence
        """
        try:
            with self.tree.open(self.tree.resolve(path)) as stream:
                if stream.seekable():
                    stream.seek(offset)
                else:
                    while offset > 0:
                        offset -= len(stream.read(min(offset, 1 << 16))) or offset
                return read_up_to(stream, size)[0]
        except OSError as problem:
            self.evidence.failed(path, problem)
            raise

    def lines(self, path: str) -> Iterator[Line]:
        """Yield the lines of a file, decompressed by its content (gzip, xz, zstd, bzip2).

        Streams: no more than one line is held, and none is kept as evidence: see :meth:`keep`.
        Secrets are removed line by line.

        :raises OSError: when it cannot be opened or its compression is damaged; noted as evidence
        """
        try:
            with self.tree.open(self.tree.resolve(path)) as raw:
                windows = self.tree.windows(path)
                with open_decompressed(raw) as stream:
                    yield from _numbered(iter_lines(stream), windows)
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
            # The generic walk: the running host resolves links in open(), not in lookup().
            node = self.tree.lookup(Tree.resolve(self.tree, path) if follow else path)
        except OSError as problem:
            self.evidence.failed(path, problem)
            return None
        node = replace(node, path=path)
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
        """Return the sorted paths that match; ``*`` does not cross ``/``. Unreadable directories are noted."""
        found = ["/"]
        for part in pattern.strip("/").split("/"):
            following = []
            for base in found:
                if not _MAGIC.search(part):
                    if self._exists(join(base, part)):
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

    def _exists(self, path: str) -> bool:
        parent, _, name = path.rpartition("/")
        try:
            self.tree.lookup(join(self.tree.resolve(parent or "/"), name))
        except OSError:
            return False
        return True

    def table(self, base: str, files: Sequence[str], *, match: str = "*", depth: int = 1) -> Iterator[Row]:
        """Yield, for each directory below *base* whose name matches, the listed files that it has.

        For ``/proc/[0-9]*`` and the cgroup tree: thousands of small files that become one piece of
        evidence. ``depth`` 0 means *base* and everything below it; names are relative to *base* (``.``
        for itself). Directories and files that vanish meanwhile are left out; denied files are noted.
        """
        rows: list[bytes] = []
        removed = 0
        denied: dict[str, int] = {}
        for name in self._rows(base, match, depth):
            row: dict[str, str] = {}
            for file in files:
                path = join(base, file if name == "." else f"{name}/{file}")
                try:
                    with self.tree.open(self.tree.resolve(path)) as stream:
                        raw = read_small(stream)
                except PermissionError:
                    denied[file] = denied.get(file, 0) + 1
                    continue
                except OSError:
                    continue
                data, times = redact(raw)
                removed += times
                row[file] = data.decode("utf-8", "replace")
            if row:
                rows.append(json.dumps({"name": name, "files": row}).encode() + b"\n")
                yield Row(name, row)
        for file, times in denied.items():
            problem = PermissionError(13, f"permission denied ({times} of them)")
            self.evidence.failed(join(base, f"{match}/{file}"), problem)
        path = join(base, match if depth else "**")
        name = re.sub(r"[^\w]+", "_", base).strip("_") + "_" + "_".join(re.sub(r"\W", "", f) for f in files)
        self.evidence.kept(
            path,
            b"".join(rows),
            stored=f"evidence/tables/{name[:120]}.jsonl",
            redacted=removed,
            table={"base": base, "match": match, "depth": depth, "files": list(files)},
        )

    def _rows(self, base: str, match: str, depth: int) -> Iterator[str]:
        try:
            names = fnmatch.filter(self.tree.names(self.tree.resolve(base)), match)
        except OSError as problem:
            self.evidence.failed(base, problem)
            return
        if depth:
            yield from sorted(names, key=lambda name: (len(name), name))
            return
        yield "."
        todo = sorted(names, reverse=True)
        while todo:
            name = todo.pop()
            path = join(base, name)
            try:
                if self.tree.lookup(path).type != "dir":
                    continue
                below = self.tree.names(path)
            except OSError:
                continue
            yield name
            todo.extend(sorted((f"{name}/{child}" for child in below), reverse=True))

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

    def run_lines(self, argv: Sequence[str], timeout: float = 60.0) -> Iterator[Line]:
        """Yield the lines a command prints, without holding or keeping them: see :meth:`keep`.

        :raises OSError: when there is neither such a command nor a record of it; noted as evidence
        """
        try:
            yield from _numbered(self._commands.lines(argv, timeout), self.tree.windows(command_path(argv)))
        except OSError as problem:
            self.evidence.failed(command_path(argv), problem, command=list(argv))
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


def read_small(stream: BinaryIO) -> bytes:
    """Return the content of a small file, of the kernel's or not, with as few system calls as can be.

    A seq_file (fs/seq_file.c) hands out at least a page before it returns short, so a first read of less
    than half a page was the whole file.
    """
    data = stream.read(1 << 16)
    if len(data) < 2048:
        return data
    return data + read_up_to(stream, READ_LIMIT)[0]


def iter_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends, each cut at LINE_LIMIT, holding one at a time."""
    rest = b""
    skipping = False
    while True:
        chunk = stream.read(1 << 16)
        if not chunk:
            if rest and not skipping:
                yield rest
            return
        parts = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        rest = parts.pop()
        for part in parts:
            if skipping:
                skipping = False
            else:
                yield part[:LINE_LIMIT]
        if len(rest) > LINE_LIMIT:
            if not skipping:
                yield rest[:LINE_LIMIT]
            skipping, rest = True, b""


def _numbered(lines: Iterator[bytes], windows: Sequence[dict[str, int]] = ()) -> Iterator[Line]:
    number, offset = 1, 0
    ahead = list(reversed(windows))
    left = 0
    for raw in lines:
        if ahead and left == 0:
            window = ahead.pop()
            number, offset, left = window["line"], window["offset"], window["lines"]
        data = redact(raw)[0]
        yield Line(number, offset, data)
        number += 1
        offset += len(raw) + 1
        left -= 1 if left else 0
