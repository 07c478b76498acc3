"""Trees of files: what a root reads from. One for directories; archives have theirs in ``archive``.

A tree knows paths, types, links and bytes, nothing else. Links are resolved here, inside the tree: a
link on a mounted disk or in an upload can never lead to a file of the machine that analyses it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Optional, cast

from lastwords.formats import text_of

MAX_LINKS = 40
"""As the kernel's MAXSYMLINKS (include/linux/namei.h)."""
HOST_MARKS = ("etc", "usr", "boot", "var", "proc", "bin", "lib")
"""Directories at the top of a host's tree; two of them make one."""
_KERNEL = ("/proc/", "/sys/")
_RUNTIME = ("/proc", "/sys", "/run", "/dev")
_FOLDERS = 4096
"""Directories whose resolved paths are remembered."""
_CHUNK = 1 << 16
_SURELY_WHOLE = 2048


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
    damage: Optional[str] = None
    """Why the input could be read only in part, or None."""

    def damage_notes(self) -> list[str]:
        """Return what a reader must know of the input's damage, if it has any."""
        return [f"{self.damage}; what came before is judged: ask for it again"] if self.damage else []

    def lists(self, path: str) -> bool:
        """Return whether :meth:`names` of *path* is the whole directory as the host had it."""
        return True

    def knows_absence(self, path: str) -> bool:
        """Return whether not finding *path* means that the host did not have it."""
        parent = path.rpartition("/")[0] or "/"
        if self.lists(parent):
            return True
        try:
            self.lookup(parent)
        except FileNotFoundError:
            return self.knows_absence(parent)
        except OSError:
            pass
        return False

    def windows(self, path: str) -> Sequence[dict[str, int]]:
        """Return where the kept parts of *path* stood in the original; empty when it is whole.

        Each is ``{"line", "offset", "lines"}``: number and byte offset of its first line, and how many.
        """
        return ()

    def lookup(self, path: str) -> Node:
        """Return the node at *path*, not following a link in its last part. Raise OSError."""
        raise NotImplementedError

    def stat(self, path: str) -> Node:
        """Return the node that *path* leads to, links followed. Raise OSError."""
        return self.lookup(self.resolve(path))

    def names(self, path: str) -> list[str]:
        """Return the sorted names in directory *path*. Raise OSError."""
        raise NotImplementedError

    def open(self, path: str) -> BinaryIO:
        """Open the regular file at *path*, whose links are resolved already. Raise OSError."""
        raise NotImplementedError

    def open_log(self, path: str) -> BinaryIO:
        """Open the log at *path* to search it for the words that some collector announced (``Sieve``).

        As :meth:`open`, but what holds none of them may be blank. Raise OSError.
        """
        return self.open(path)

    def peek(self, path: str, size: int, offset: int) -> bytes:
        """Return up to *size* bytes from *offset* of the file at *path*, links resolved already."""
        with self.open(path) as stream:
            if stream.seekable():
                stream.seek(offset)
            else:
                while offset > 0:
                    offset -= len(stream.read(min(offset, _CHUNK))) or offset
            return _read_small(stream.read, size)

    def folders(self, path: str) -> list[str]:
        """Return the sorted names of the directories in directory *path*, without links. Raise OSError."""
        names = []
        for name in self.names(path):
            try:
                if self.lookup(f"{path.rstrip('/')}/{name}").type == "dir":
                    names.append(name)
            except OSError:
                continue  # gone since the directory was read
        return names

    def read_small(self, path: str, limit: int) -> bytes:
        """Return at most *limit* bytes of the small regular file at *path*, links resolved already.

        For tables of thousands of files. Raise OSError.
        """
        with self.open(path) as stream:
            return _read_small(stream.read, limit)

    def resolve(self, path: str) -> str:
        """Return *path* with every link resolved inside the tree.

        Works as the kernel does in a chroot: absolute targets start at the root of the tree, and ``..``
        at the root stays there. Raise OSError (ENOENT, ENOTDIR, ELOOP).
        """
        return self._walk("/", path)

    def _walk(self, folder: str, path: str) -> str:
        """Return *path* in *folder*, whose links are resolved already, with every link resolved."""
        todo = _parts(path)[::-1]
        done = _parts(folder)
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
            todo.extend(_parts(target)[::-1])
        return "/" + "/".join(done)


def names_in(tree: Tree, path: str) -> set[str]:
    """Return the names in a directory; none where there is no such directory, or it cannot be read."""
    try:
        return set(tree.names(path))
    except OSError:
        return set()


def _below(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(place + "/") for place in places)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


class DirectoryTree(Tree):
    """A directory of this machine. With *top* ``/`` it is the running host itself.

    In any other directory no link is left to the operating system: paths are walked part by part, so
    that a link swapped in after its path was resolved is refused. Not all that the host had is on one
    disk: what a kernel makes up (/proc, /sys, /run, /dev) is not, and a filesystem of its own may not be
    mounted. An empty directory in such a place tells nothing, and what was mounted on it for a chroot
    shows this machine and not that host: both count as not in the input.
    """

    def __init__(self, top: str) -> None:
        self.top = os.path.realpath(top).rstrip("/")
        self.confined = bool(self.top)
        self._folders: dict[str, str] = {}
        self._hidden: tuple[str, ...] = ()
        if self.confined:
            places = (*_RUNTIME, *self._mountpoints())
            self._hidden = tuple(place for place in places if not self._has(place))

    def _mountpoints(self) -> list[str]:
        """Return the places, beside ``/``, where the host's fstab(5) mounts filesystems."""
        try:
            with self.open(self.resolve("/etc/fstab")) as stream:
                text = text_of(stream.read(_CHUNK))
        except OSError:
            return []
        places = re.findall(r"^[ \t]*[^#\s]\S*[ \t]+/(\S+)", text, re.MULTILINE)
        return ["/" + "/".join(_parts(place)) for place in places]

    def _has(self, place: str) -> bool:
        try:
            names = self.names(self.resolve(place))
            ours = place in _RUNTIME and os.path.samefile(self.top + place, place)
        except OSError:
            return False
        # A /dev without udev's links is what an installer left on the disk.
        return bool(names) and not ours and (place != "/dev" or "disk" in names)

    def lists(self, path: str) -> bool:
        return not _below(path, self._hidden)

    def knows_absence(self, path: str) -> bool:
        # /run is made anew at each boot: on a disk, what it does not have is not there.
        return (self.lists(path) or _below(path, ("/run",))) and super().knows_absence(path)

    def resolve(self, path: str) -> str:
        if not self.confined:
            return path
        folder, _, name = path.rpartition("/")
        known = self._folders.get(folder)
        if known is None:
            if len(self._folders) >= _FOLDERS:
                self._folders.clear()
            known = self._folders[folder] = self._walk("/", folder)
        return self._walk(known, name)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[Optional[int], str]]:
        """Open the directory that holds *path*, whose links are resolved already; yield it and the name."""
        if not self.confined:
            yield None, path
            return
        *folders, name = _parts(path) or ["."]
        if not self.lists(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if ".." in (*folders, name):
            raise OSError(errno.EINVAL, "not a resolved path", path)
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        here = os.open(self.top, flags)
        try:
            for folder in folders:
                below = os.open(folder, flags | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = below
            yield here, name
        finally:
            os.close(here)

    def _open(self, path: str, flags: int) -> int:
        flags |= os.O_CLOEXEC | (os.O_NOFOLLOW if self.confined else 0)
        with self._parent(path) as (folder, name):
            return os.open(name, flags, dir_fd=folder)

    def lookup(self, path: str) -> Node:
        with self._parent(path) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else None
        return _node(path, found, target)

    def stat(self, path: str) -> Node:
        # On the running host the system knows best: links in /proc lead where their text does not say.
        return super().stat(path) if self.confined else _node(path, os.stat(path))

    def usage(self, path: str) -> os.statvfs_result:
        """Return statvfs(3) of *path*, whose links are resolved already. Raise OSError."""
        descriptor = self._open(path, os.O_PATH)
        try:
            return os.statvfs(descriptor)
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        descriptor = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def folders(self, path: str) -> list[str]:
        # The kernel tells the type with the name: no lstat for each of the files of a cgroup.
        descriptor = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        finally:
            os.close(descriptor)

    def open(self, path: str) -> BinaryIO:
        with self._parent(path) as (folder, name):
            # Looked at first: opening a device can do things, the watchdog's starts it.
            found = os.stat(name, dir_fd=folder, follow_symlinks=not self.confined)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        # O_NONBLOCK: it may have become a FIFO since, which must not wait for anybody.
        descriptor = self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", path)
        return cast(BinaryIO, _Regular(descriptor, "rb"))

    def read_small(self, path: str, limit: int) -> bytes:
        if self.confined or not path.startswith(_KERNEL):
            return super().read_small(path, limit)
        # Three system calls and no object for each file of /proc and /sys, which are all regular.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            return _read_small(partial(os.read, descriptor), limit)
        finally:
            os.close(descriptor)


def _read_small(read: Callable[[int], bytes], limit: int) -> bytes:
    """Return up to *limit* bytes with as few calls of *read* as can be.

    A seq_file (fs/seq_file.c) hands out at least a page before it returns short, so a first read of less
    than half a page was the whole file.
    """
    data = read(min(limit, _CHUNK))
    chunk = data
    while chunk and len(data) >= _SURELY_WHOLE and len(data) < limit:
        chunk = read(min(limit - len(data), _CHUNK))
        data += chunk
    return data


class _Regular(io.FileIO):
    """A file whose reads fail, instead of giving nothing, when they would have to wait (/proc/kmsg)."""

    def read(self, size: Optional[int] = -1) -> bytes:
        data: Optional[bytes] = super().read(-1 if size is None else size)
        if data is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return data

    def readinto(self, buffer: Any) -> int:
        size: Optional[int] = super().readinto(buffer)
        if size is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return size


def _node(path: str, found: os.stat_result, target: Optional[str] = None) -> Node:
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


def _type_of(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"
