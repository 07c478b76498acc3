"""A tar archive as a tree, read in one pass and never extracted to disk.

One pass builds the index (paths, types, sizes, times) and holds, compressed in memory, the members
that somebody said he would want, and small ones. Asking for another member later costs another pass up
to it. Everything is bounded: members, names, depth, bytes, growth, memory.
"""

from __future__ import annotations

import errno
import io
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import BinaryIO, Optional, Union, cast

from lastwords.model import LastwordsError
from lastwords.roots.lines import Blank, SiftedLog
from lastwords.roots.sift import SMALL as SMALL_LOG
from lastwords.roots.sift import Sieve, sift
from lastwords.roots.streams import (
    HEAD,
    Chunks,
    CompressionError,
    TooLarge,
    ahead,
    open_decompressed,
    sniff,
)
from lastwords.roots.tar import CHUNK, Member, TarError, TarReader
from lastwords.roots.trees import HOST_MARKS, MAX_LINKS, Node, Tree

MAX_MEMBERS = 300_000
"""Members, and directories that only their names tell of."""
MAX_PATH = 4096
"""As the kernel's PATH_MAX."""
MAX_DEPTH = 100
MAX_NAMES = 64 << 20
"""Characters of all paths and link targets."""
HELD_LIMIT = 96 << 20
"""Bytes of compressed member content held in memory; what exceeds it is read again when asked for."""
HELD_SIZE = 256 << 20
"""A larger member is not held: it is a dump."""
SMALL_SIZE = 8 << 10
SMALL_LIMIT = 16 << 20
"""Members up to SMALL_SIZE are held, wanted or not, until they fill SMALL_LIMIT bytes."""
MEMBER_LIMIT = 64 << 30
"""A larger file is not read: a few blocks of a sparse one can claim any size."""

_Entry = tuple[str, int, int, int, int, float, str]
"""Type, size, mode, uid, gid, mtime, target. Very many of these are held, so they are no objects."""


class BadArchive(LastwordsError):
    """The file is no archive, a damaged one, or one that no honest tool writes."""


def opened(path: str) -> BinaryIO:
    """Return the bytes of a file of this machine."""
    return open(path, "rb")


class NoTop(BadArchive):
    """The archive has no directory of its own around all that is in it."""


class ArchiveTree(Tree):
    """The content of a tar archive, plain or compressed, below its single top directory.

    Of members of one name the first counts.

    :param path: the archive, a file of this machine
    :param wanted: which host paths to hold in memory from the first pass
    :param sieve: what is searched for in a log, when only that is ever looked at
    :param opener: opens it anew, when it is no file of its own but lies in another archive
    :param first: its bytes for the first pass, where these stream by already
    :param whole: give all that is in the archive, which need not have a single top directory
    :raises NoTop: it has none, and *whole* was not asked for
    :raises BadArchive: on garbage, hostility, or damage before the first member; one clear line
    """

    confined = True

    def __init__(
        self,
        path: str,
        wanted: Callable[[str], bool],
        *,
        sieve: Callable[[str], Optional[Sieve]] = lambda path: None,
        opener: Optional[Callable[[], BinaryIO]] = None,
        first: Optional[BinaryIO] = None,
        whole: bool = False,
    ) -> None:
        self.path = path
        self._whole = whole
        self._opener = opener or partial(opened, path)
        self._odd: Optional[str] = None
        self.top: Optional[str] = None
        self._entries: dict[str, Optional[_Entry]] = {"/": None}
        """None for a directory that only the names of others tell of."""
        self._children: dict[str, set[str]] = {"/": set()}
        self._held: dict[str, list[bytes]] = {}
        """Compressed content, in pieces: a large one would be copied whenever some of it is taken."""
        self._sifted: dict[str, list[Union[bytes, Blank]]] = {}
        """Large logs, compressed piece by piece or blank."""
        self._held_bytes = 0
        self._small_bytes = 0
        self._names = 0
        self._wanted = wanted
        self._sieve = sieve
        self._index(first)

    def holding(self, more: Callable[[str], bool], place: str = "") -> ArchiveTree:
        """Return the same archive, read anew to hold more of its members in memory.

        :param place: where in a host's tree its files belong
        """
        wanted, sieve = self._wanted, self._sieve
        return ArchiveTree(
            self.path,
            lambda path: more(path) or wanted(place + path),
            sieve=lambda path: sieve(place + path),
            opener=self._opener,
            whole=self._whole,
        )

    def refuse_oddities(self) -> None:
        """Refuse what no bundle of ours has: links, devices, sparse files, a name twice, damage.

        :raises BadArchive: naming the first of them
        """
        if self._odd or self.damage:
            again = "" if self._odd else "; ask for it again"
            raise BadArchive(f"{self.path}: {self._odd or self.damage}: refused{again}")

    # -- the tree ---------------------------------------------------------------------------------

    def lookup(self, path: str) -> Node:
        node = self._node(self._linked(path))
        return node if node.path == path else replace(node, path=path)

    def names(self, path: str) -> list[str]:
        if path not in self._children:
            if path in self._entries:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            raise _absent(path)
        return sorted(self._children[path])

    def open_log(self, path: str) -> BinaryIO:
        path = self._linked(path)
        if path not in self._sifted:
            return self.open(path)
        return cast(BinaryIO, SiftedLog(_parts(self._sifted[path])))

    def open(self, path: str) -> BinaryIO:
        path = self._linked(path)
        node = self._node(path)
        if node.type != "file":
            raise OSError(errno.EINVAL, "not a regular file", path)
        if (node.size or 0) > MEMBER_LIMIT:
            raise OSError(errno.EFBIG, f"larger than {MEMBER_LIMIT} bytes", path)
        content = _unpack(self._held[path]) if path in self._held else self._again(path)
        return io.BufferedReader(Chunks(content), 1 << 16)

    def _linked(self, path: str) -> str:
        """Return the path whose content a hard link shares, or *path* itself when it is none."""
        for _ in range(MAX_LINKS):
            entry = self._entries.get(path)
            if entry is None or entry[0] != "hard":
                return path
            path = entry[6]
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)

    def _node(self, path: str) -> Node:
        try:
            entry = self._entries[path]
        except KeyError:
            raise _absent(path) from None
        if entry is None:
            return Node(path, "dir")
        kind, size, mode, uid, gid, mtime, target = entry
        return Node(
            path,
            kind,
            size=size,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime=mtime,
            target=target if kind == "link" else None,
        )

    # -- reading ----------------------------------------------------------------------------------

    def _members(self, reader: TarReader) -> Iterator[tuple[Member, str]]:
        """Yield every member with its path in the archive, normalised; refuse paths that leave it."""
        for count, member in enumerate(reader):
            shown = f"{self.path}: member {member.name[:80]!r}"
            if count >= MAX_MEMBERS:
                raise BadArchive(f"{self.path}: more than {MAX_MEMBERS} members: refused")
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if ".." in parts or member.name.startswith("/"):
                raise BadArchive(f"{shown} leaves the archive: refused")
            if len(member.name) > MAX_PATH or len(parts) > MAX_DEPTH or len(member.target) > MAX_PATH:
                raise BadArchive(f"{shown} has too long a path: refused")
            if "\0" in member.name or "\0" in member.target or member.size < 0:
                raise BadArchive(f"{shown} is not sane: refused")
            yield member, "/".join(parts)

    def _index(self, first: Optional[BinaryIO]) -> None:
        count = 0
        try:
            with first or self._opener() as raw, ahead(raw) as stream:
                reader = TarReader(stream)
                for member, name in self._members(reader):
                    count += 1
                    if name:
                        self._add(reader, member, name)
        except TooLarge as problem:
            raise BadArchive(f"{self.path}: {problem.strerror}") from None
        except (TarError, CompressionError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            if count == 0:
                expected = "expected a bundle, a sosreport or a kernel log, found no archive that can be read"
                raise BadArchive(f"{self.path}: {expected}: {reason}") from None
            self.damage = f"the archive is damaged after {count} members: {reason}"
        except OSError as problem:
            raise BadArchive(f"{self.path}: {(problem.strerror or str(problem)).lower()}") from None
        if count == 0:
            raise BadArchive(f"{self.path}: expected a bundle or a sosreport, found an empty archive")

    def _add(self, reader: TarReader, member: Member, name: str) -> None:
        path = self._place(name)
        if not self._whole:
            self._expect_top(name.partition("/")[0], path == "/" and member.kind != "dir")
        shown = repr(path[1:81])
        if member.kind not in ("file", "dir") or member.regions is not None:
            self._odd = self._odd or f"{shown} is a link or device, or sparse"
        if self._entries.get(path) is not None:
            self._odd = self._odd or f"{shown} appears twice"
            return
        self._remember(path, member)
        if member.kind == "file":
            self._hold(path, reader, member)

    def _place(self, name: str) -> str:
        """Return the path in this tree of a member, by its path in the archive."""
        return "/" + (name if self._whole else name.partition("/")[2])

    def _expect_top(self, top: str, is_file: bool) -> None:
        """Note the top directory, and refuse what is none."""
        expected = f"{self.path}: expected one top directory, found {top[:60]!r}"
        if is_file:
            raise NoTop(f"{expected}, which is none")
        if self.top not in (None, top):
            raise NoTop(f"{expected} besides {str(self.top)[:60]!r}")
        if top in HOST_MARKS:
            raise NoTop(f"{expected}, which is of a host's own tree")
        self.top = top

    def _remember(self, path: str, member: Member) -> None:
        target = member.target if member.kind == "link" else ""
        if member.kind == "hard":
            target = self._place("/".join(part for part in member.target.split("/") if part not in ("", ".")))
        self._names += len(path) + len(target)
        parent, _, name = path.rpartition("/")
        while name and name not in self._children.setdefault(parent or "/", set()):
            self._children[parent or "/"].add(name)
            self._names += len(parent)
            if parent in self._entries:
                break
            if parent:
                self._entries[parent] = None
            parent, _, name = parent.rpartition("/")
        if member.kind == "dir":
            self._children.setdefault(path, set())
        size, mtime = member.size, float(member.mtime)
        self._entries[path] = (member.kind, size, member.mode, member.uid, member.gid, mtime, target)
        if len(self._entries) > MAX_MEMBERS or self._names > MAX_NAMES:
            raise BadArchive(f"{self.path}: more names than an honest archive has: refused")

    def _hold(self, path: str, reader: TarReader, member: Member) -> None:
        """Hold the content of a member, unless there is no room for it."""
        if self._held_bytes >= HELD_LIMIT or member.size > MEMBER_LIMIT:
            return
        sieve = self._sieve(path) if member.size > SMALL_LOG and member.regions is None else None
        if sieve is not None:
            content = reader.content()
            head = b""
            while len(head) < HEAD and (more := next(content, b"")):
                head += more
            if sniff(head) is None:
                self._sift(path, cast(BinaryIO, Chunks(chain((head,), content))), sieve)
            return
        if member.size > HELD_SIZE:
            return
        if not self._wanted(path):
            if member.size > SMALL_SIZE or self._small_bytes >= SMALL_LIMIT:
                return
            self._small_bytes += member.size
        if member.size <= CHUNK:
            packed = zlib.compress(b"".join(reader.content()), 1)
            self._held[path] = [packed]
            self._held_bytes += len(packed)
            return
        packer = zlib.compressobj(1)
        chunks: list[bytes] = []
        for data in reader.content():
            packed = packer.compress(data)
            if not packed:
                continue
            chunks.append(packed)
            self._held_bytes += len(packed)
            if self._held_bytes > HELD_LIMIT:
                self._held_bytes -= sum(map(len, chunks))
                return
        chunks.append(packer.flush())
        self._held_bytes += len(chunks[-1])
        self._held[path] = chunks

    def _sift(self, path: str, content: BinaryIO, sieve: Sieve) -> None:
        """Hold what is searched for in a log, and what stands around it."""
        pieces: list[Union[bytes, Blank]] = []

        def take(piece: Union[bytes, Blank]) -> None:
            if self._held_bytes >= HELD_LIMIT:
                return
            if not isinstance(piece, Blank):
                piece = zlib.compress(piece, 1)
                self._held_bytes += len(piece)
            pieces.append(piece)

        sift(content, sieve, take)
        if self._held_bytes < HELD_LIMIT:
            self._sifted[path] = pieces
        else:
            self._held_bytes -= sum(len(piece) for piece in pieces if not isinstance(piece, Blank))

    def _again(self, path: str) -> Iterator[bytes]:
        """Yield the content of a member that was not held: another pass, up to it."""
        try:
            with self._opener() as raw, open_decompressed(raw) as stream:
                reader = TarReader(stream)
                for _, name in self._members(reader):
                    if self._place(name) == path:
                        yield from reader.content()
                        return
        except TarError as problem:
            raise CompressionError(errno.EIO, f"damaged archive: {problem}") from None


def _unpack(chunks: list[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj()
    for packed in chunks:
        while packed:
            yield decoder.decompress(packed, 1 << 18)
            packed = decoder.unconsumed_tail
    yield decoder.flush()


def _parts(pieces: list[Union[bytes, Blank]]) -> Iterator[Union[bytes, Blank]]:
    for piece in pieces:
        yield piece if isinstance(piece, Blank) else zlib.decompress(piece)


def _absent(path: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
