"""Trees of files: what a root reads from. One for directories; archives have theirs in ``archive``.

A tree knows paths, types, links and bytes, nothing else. Links are resolved here, inside the tree: a
link on a mounted disk or in an upload can never lead to a file of the machine that analyses it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Optional

MAX_LINKS = 40
"""As the kernel's MAXSYMLINKS (include/linux/namei.h)."""


@dataclass(frozen=True)
class Node:
    """What lstat says of a path. Fields that a tree cannot know are None."""

    path: str
    type: str
    """``file``, ``dir``, ``link`` or ``other`` (FIFO, socket, device)."""
    size: Optional[int] = None
    """Bytes."""
    allocated: Optional[int] = None
    """Bytes on disk; less than ``size`` for sparse files."""
    mode: Optional[int] = None
    """Permission bits, 0o7777 at most."""
    uid: Optional[int] = None
    gid: Optional[int] = None
    mtime: Optional[float] = None
    """Seconds since the epoch, UTC."""
    target: Optional[str] = None
    """Where a link points, as written."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Tree:
    """The interface. Paths are host paths: absolute, normalised, ``/`` the root of the tree."""

    confined = True
    """True when links are resolved here and not by the operating system."""

    def lists(self, path: str) -> bool:
        """Return whether :meth:`names` of *path* is the whole directory as the host had it."""
        return True

    def knows_absence(self, path: str) -> bool:
        """Return whether not finding *path* means that the host did not have it."""
        return self.lists(path.rpartition("/")[0] or "/")

    def windows(self, path: str) -> Sequence[dict[str, int]]:
        """Return where the kept parts of *path* stood in the original; empty when it is whole.

        Each is ``{"line", "offset", "lines"}``: number and byte offset of its first line, and how many.
        """
        return ()

    def lookup(self, path: str) -> Node:
        """Return the node at *path*, not following a link in its last part. Raise OSError."""
        raise NotImplementedError

    def names(self, path: str) -> list[str]:
        """Return the sorted names in directory *path*. Raise OSError."""
        raise NotImplementedError

    def open(self, path: str) -> BinaryIO:
        """Open the regular file at *path*, whose links are resolved already. Raise OSError."""
        raise NotImplementedError

    def resolve(self, path: str) -> str:
        """Return *path* with every link resolved inside the tree.

        Works as the kernel does in a chroot: absolute targets start at the root of the tree, and ``..``
        at the root stays there. Raise OSError (ENOENT, ENOTDIR, ELOOP).
        """
        todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
                continue
            here = "/" + "/".join([*done, part])
            node = self.lookup(here)
            if node.type != "link":
                done.append(part)
                if todo and node.type != "dir":
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), here)
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = node.target or ""
            if target.startswith("/"):
                done = []
            todo.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
        return "/" + "/".join(done)


class DirectoryTree(Tree):
    """A directory of this machine. With *top* ``/`` it is the running host itself."""

    def __init__(self, top: str) -> None:
        self.top = os.path.realpath(top).rstrip("/")
        self.confined = bool(self.top)

    def resolve(self, path: str) -> str:
        return super().resolve(path) if self.confined else path

    def lookup(self, path: str) -> Node:
        full = self.top + path
        found = os.lstat(full)
        target = os.readlink(full) if stat.S_ISLNK(found.st_mode) else None
        return Node(
            path,
            _type_of(found.st_mode),
            size=found.st_size,
            allocated=found.st_blocks * 512,
            mode=stat.S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
            mtime=found.st_mtime,
            target=target,
        )

    def names(self, path: str) -> list[str]:
        return sorted(os.listdir(self.top + path))

    def open(self, path: str) -> BinaryIO:
        full = self.top + path
        # O_NONBLOCK: opening a FIFO or a device must not wait for anybody.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        if self.confined:
            flags |= os.O_NOFOLLOW
        descriptor = os.open(full, flags)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", full)
        return open(descriptor, "rb", buffering=0)


def _type_of(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"
