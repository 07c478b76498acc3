"""A tar archive as a tree, read in one pass and never extracted to disk.

One pass builds the index (paths, types, sizes, times) and holds, compressed in memory, the members
that somebody said he would want. Asking for another member later costs another pass up to it.
Everything is bounded: members, path lengths, bytes, growth, memory.
"""

from __future__ import annotations

import errno
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Optional

from lastwords.model import LastwordsError
from lastwords.roots.streams import Chunks, CompressionError, open_decompressed
from lastwords.roots.trees import Node, Tree

MAX_MEMBERS = 500_000
MAX_PATH = 4096
MAX_HEADER = 1 << 20
"""Bytes of a pax or GNU long-name header: the tar format has no limit of its own."""
HELD_LIMIT = 96 << 20
"""Bytes of compressed member content held in memory; what exceeds it is read again when asked for."""
MEMBER_LIMIT = 4 << 30


class BadArchive(LastwordsError):
    """The file is no archive, a damaged one, or one that no honest tool writes."""


class _CarefulTarInfo(tarfile.TarInfo):
    """Refuses headers that would make tarfile allocate, or loop, without bound."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        extended = self.type in (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if self.size < 0 or (extended and self.size > MAX_HEADER):
            raise BadArchive(f"tar header of {self.size} bytes at offset {self.offset}: refused")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


class ArchiveTree(Tree):
    """The content of a tar archive, plain or compressed, below its single top directory.

    :param path: the archive, a file of this machine
    :param wanted: which host paths to hold in memory from the first pass
    :param strict: refuse links, devices and duplicate names (our own bundles have none)
    :raises BadArchive: on garbage, damage in the index pass, or hostility; one clear line
    """

    confined = True

    def __init__(self, path: str, wanted: Callable[[str], bool], *, strict: bool = False) -> None:
        self.path = path
        self.strict = strict
        self.damage: Optional[str] = None
        """Why the archive could be read only in part, or None."""
        self.top: Optional[str] = None
        self._nodes: dict[str, Node] = {"/": Node("/", "dir")}
        self._children: dict[str, set[str]] = {"/": set()}
        self._held: dict[str, list[bytes]] = {}
        self._hard: dict[str, str] = {}
        self._held_bytes = 0
        self._index(wanted)

    # -- the tree ---------------------------------------------------------------------------------

    def lookup(self, path: str) -> Node:
        try:
            return self._nodes[path]
        except KeyError:
            raise _absent(path) from None

    def names(self, path: str) -> list[str]:
        if path not in self._children:
            if path in self._nodes:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            raise _absent(path)
        return sorted(self._children[path])

    def open(self, path: str) -> BinaryIO:
        path = self._hard.get(path, path)
        if self.lookup(path).type != "file":
            raise OSError(errno.EINVAL, "not a regular file", path)
        content = self._unpack(path) if path in self._held else self._again(path)
        return io.BufferedReader(Chunks(content))

    # -- reading ----------------------------------------------------------------------------------

    def _unpack(self, path: str) -> Iterator[bytes]:
        decoder = zlib.decompressobj()
        for chunk in self._held[path]:
            yield decoder.decompress(chunk)

    def _members(self, stream: BinaryIO) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo, str]]:
        """Yield every member with its path in the archive, normalised; refuse paths that leave it."""
        with tarfile.open(
            fileobj=stream, mode="r|", tarinfo=_CarefulTarInfo, errorlevel=0, ignore_zeros=False
        ) as archive:
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise BadArchive(f"{self.path}: more than {MAX_MEMBERS} members: refused")
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if ".." in parts or member.name.startswith("/") or len(member.name) > MAX_PATH:
                    raise BadArchive(f"{self.path}: member {member.name[:80]!r} leaves the archive: refused")
                if "\0" in member.name or member.size > MEMBER_LIMIT:
                    raise BadArchive(f"{self.path}: member {member.name[:80]!r} is not sane: refused")
                archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps every header
                yield archive, member, "/".join(parts)

    def _index(self, wanted: Callable[[str], bool]) -> None:
        count = 0
        try:
            with open(self.path, "rb") as raw, open_decompressed(raw) as stream:
                for archive, member, name in self._members(stream):
                    count += 1
                    if name:
                        self._add(archive, member, name, wanted)
        except (tarfile.TarError, CompressionError, EOFError, UnicodeError) as problem:
            reason = " ".join(str(getattr(problem, "strerror", None) or problem).split())
            if "bomb" in reason or "larger than" in reason or count == 0 or self.strict:
                raise BadArchive(f"{self.path}: {reason}") from None
            self.damage = f"the archive is damaged after {count} members: {reason}"
        if count == 0:
            raise BadArchive(f"{self.path}: expected a tar archive, found none")

    def _add(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, wanted: Callable[[str], bool]
    ) -> None:
        top, _, rest = name.partition("/")
        if self.top is None:
            self.top = top
        elif top != self.top:
            raise BadArchive(
                f"{self.path}: expected one top directory, found {self.top[:60]!r} and {top[:60]!r}"
            )
        path = "/" + rest
        kind = _kind(member)
        if self.strict and kind not in ("file", "dir"):
            raise BadArchive(f"{self.path}: {rest[:80]!r} is a link or device: refused")
        if path != "/" and path in self._nodes and (self.strict or self._nodes[path].size is not None):
            if self.strict:
                raise BadArchive(f"{self.path}: {rest[:80]!r} appears twice: refused")
            return
        if member.islnk():
            target = member.linkname.partition("/")[2]
            self._hard[path] = "/" + target
        self._remember(path, kind, member)
        if kind == "file" and not member.islnk() and wanted(path) and self._held_bytes < HELD_LIMIT:
            self._hold(path, archive, member)

    def _remember(self, path: str, kind: str, member: tarfile.TarInfo) -> None:
        parent, _, name = path.rpartition("/")
        here = ""
        for part in [p for p in parent.split("/") if p]:
            self._children.setdefault(here or "/", set()).add(part)
            here += "/" + part
            self._nodes.setdefault(here, Node(here, "dir"))
            self._children.setdefault(here, set())
        self._children.setdefault(parent or "/", set())
        if name:
            self._children[parent or "/"].add(name)
        if kind == "dir":
            self._children.setdefault(path, set())
        self._nodes[path] = Node(
            path,
            kind,
            size=member.size,
            mode=member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            mtime=float(member.mtime),
            target=member.linkname if member.issym() else None,
        )

    def _hold(self, path: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        source = archive.extractfile(member)
        if source is None:
            return
        packer = zlib.compressobj(1)
        chunks: list[bytes] = []
        while True:
            data = source.read(1 << 18)
            if not data:
                break
            chunks.append(packer.compress(data))
            self._held_bytes += len(chunks[-1])
            if self._held_bytes > HELD_LIMIT:
                self._held_bytes -= sum(map(len, chunks))
                return
        chunks.append(packer.flush())
        self._held[path] = [chunk for chunk in chunks if chunk]

    def _again(self, path: str) -> Iterator[bytes]:
        """Yield the content of a member that was not held: another pass, up to it."""
        with open(self.path, "rb") as raw, open_decompressed(raw) as stream:
            try:
                for archive, member, name in self._members(stream):
                    if "/" + name.partition("/")[2] != path:
                        continue
                    source = archive.extractfile(member)
                    while source is not None:
                        data = source.read(1 << 16)
                        if not data:
                            return
                        yield data
            except (tarfile.TarError, EOFError) as problem:
                raise CompressionError(errno.EIO, f"damaged archive: {problem}") from None


def _kind(member: tarfile.TarInfo) -> str:
    if member.isreg() or member.islnk():
        return "file"
    if member.isdir():
        return "dir"
    return "link" if member.issym() else "other"


def _absent(path: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
