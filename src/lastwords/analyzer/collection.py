"""Every host in an input: in archives of ``sos collect``, in archives of archives, in directories of them.

An archive in an archive is read while the outer one streams by: nothing is extracted to disk, and no more
than one host is held in memory.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO, Optional, Union

from lastwords.analyzer.opening import (
    EXPECTED,
    NotOurs,
    Progress,
    SubTree,
    case_in,
    case_of_file,
    case_of_log,
    open_archive,
    open_tree,
)
from lastwords.bundle.read import is_bundle
from lastwords.hookspecs import Collector
from lastwords.model import Case, LastwordsError
from lastwords.roots.archive import MAX_MEMBERS, ArchiveTree, BadArchive, opened
from lastwords.roots.base import join
from lastwords.roots.sosreport import MARKS, is_sosreport
from lastwords.roots.streams import Chunks, CompressionError, open_decompressed
from lastwords.roots.tar import TarError, TarReader
from lastwords.roots.trees import DirectoryTree, Tree, names_in

ARCHIVE = re.compile(r"\.(?:tar|tar\.(?:gz|xz|zst|bz2|lzma)|tgz|txz|tbz2?|tzst)\Z", re.IGNORECASE)
MAX_DEPTH = 3
"""Archives in archives, or directories in directories."""
MAX_HOSTS = 1000
MAX_LOGS = 200
"""Files in an archive that may be logs: one that is too large to be held costs a pass over the archive."""
MAX_PASSES = 500
"""Passes over an archive for what lies in archives in it and was not held in memory."""
MAX_NAMES = 20_000
"""Names in directories that are looked at."""

Item = tuple[str, Union[Case, LastwordsError]]
Found = Iterator[Item]
Opener = Callable[[], BinaryIO]


def open_cases(
    path: str,
    collectors: Mapping[str, Collector],
    *,
    recollect: bool = False,
    progress: Progress = None,
) -> Found:
    """Yield the case of every host in *path*, each with its name; one that cannot be read as its error.

    A bundle, a sosreport or the tree of a host is called by its path; those inside of something else are
    called by the path of that and their own.

    :raises LastwordsError: *path* cannot be read, or there is no host in it
    """
    search = _Search(collectors, recollect, progress)
    silent = True
    for each in search.all_in(path):
        silent = False
        yield each
    if silent:
        raise NotOurs(f"{path}: {EXPECTED}")


class _Search:
    """One search; counts what it finds, for a hostile input may hold any number."""

    def __init__(self, collectors: Mapping[str, Collector], recollect: bool, progress: Progress) -> None:
        self._run = collectors
        self._recollect = recollect
        self._progress = progress
        self._names = 0
        self._passes = 0
        self.found = 0

    def all_in(self, path: str) -> Found:
        """Yield the hosts in a file or directory of this machine."""
        alone = case_of_file(path, self._run, self._progress)
        if alone is not None:
            self.found += 1
            yield path, alone
            return
        tree = open_tree(path, self._run)
        if isinstance(tree, ArchiveTree):
            yield from self._in_tree(tree, path, partial(opened, path), 1)
            return
        case = self._case(tree, path)
        if case is not None:
            yield path, case
            return
        yield from self._in_directory(path, 1)

    def _in_tree(self, tree: ArchiveTree, path: str, opener: Opener, depth: int) -> Found:
        """Yield the host that an archive is, or the hosts and logs in it."""
        case = self._case(tree, path)
        if case is not None:
            yield path, case
            return
        before = self.found
        hosts = yield from self._in_subdirectories(tree, path)
        nested = depth <= MAX_DEPTH and _holds_archives(tree)
        if nested:
            yield from self._in_archive(path, opener, depth)
        yield from self._logs_in(tree, path, hosts)
        if tree.damage and self.found == before:
            yield path, BadArchive(f"{path}: no host in what can be read of the archive: {tree.damage}")
        elif tree.damage and not nested:
            yield path, BadArchive(f"{path}: {tree.damage}; what was read before is shown")

    def _case(self, tree: Tree, name: str) -> Optional[Case]:
        if _is_collection(tree):
            return None
        case = case_in(tree, name, self._run, recollect=self._recollect, progress=self._progress)
        self.found += case is not None
        return case

    def _in_directory(self, path: str, depth: int) -> Found:
        """Yield the hosts, logs and crash dumps that lie in a directory. Links are not followed."""
        for name in sorted(os.listdir(path)):
            self._names += 1
            inner = os.path.join(path, name)
            if self._names > MAX_NAMES or self.found >= MAX_HOSTS:
                yield inner, NotOurs(f"{inner}: not read: more than {MAX_NAMES} names or {MAX_HOSTS} hosts")
                return
            if os.path.islink(inner) or name in MARKS:
                continue
            try:
                if os.path.isdir(inner):
                    case = self._case(DirectoryTree(inner), inner)
                    if case is not None:
                        yield inner, case
                    elif depth < MAX_DEPTH:
                        yield from self._in_directory(inner, depth + 1)
                elif ARCHIVE.search(name):
                    yield from self.all_in(inner)
                elif (case := case_of_file(inner, self._run, self._progress)) is not None:
                    self.found += 1
                    yield inner, case
            except (LastwordsError, OSError) as problem:
                yield inner, _error(inner, problem)

    def _in_subdirectories(self, tree: Tree, path: str) -> Generator[Item, None, set[str]]:
        """Yield the hosts that lie unpacked in an archive; return the names of their directories."""
        hosts = set()
        for name in tree.names("/"):
            if self.found >= MAX_HOSTS:
                break
            inner = f"{path}/{name}"
            try:
                case = self._case(SubTree(tree, "/" + name), inner)
            except (LastwordsError, OSError) as problem:
                yield inner, _error(inner, problem)
            else:
                if case is not None:
                    hosts.add(name)
                    yield inner, case
        return hosts

    def _logs_in(self, tree: ArchiveTree, path: str, hosts: set[str]) -> Found:
        """Yield the kernel logs that lie in an archive beside its hosts, each as a host of its own."""
        apart = {*hosts, *MARKS}
        files = [place for place in _files(tree, "/", MAX_DEPTH) if place.split("/")[1] not in apart]
        if not files:
            return
        held = tree.holding(frozenset(files).__contains__)
        for count, place in enumerate(files):
            inner = path + place
            if count >= MAX_LOGS or self.found >= MAX_HOSTS:
                yield inner, NotOurs(f"{inner}: not read: more than {MAX_LOGS} files or {MAX_HOSTS} hosts")
                return
            try:
                case = case_of_log(held, place, inner, self._run, self._progress)
            except (LastwordsError, OSError) as problem:
                yield inner, _error(inner, problem)
                continue
            if case is not None:
                self.found += 1
                yield inner, case

    def _in_archive(self, path: str, opener: Opener, depth: int) -> Found:
        """Yield the hosts whose archives lie in an archive, in one pass."""
        try:
            with opener() as raw, open_decompressed(raw) as stream:
                reader = TarReader(stream)
                for count, member in enumerate(reader):
                    if count >= MAX_MEMBERS or self.found >= MAX_HOSTS:
                        yield path, BadArchive(f"{path}: more than {MAX_HOSTS} hosts: the rest is not read")
                        return
                    if member.kind == "file" and ARCHIVE.search(member.name):
                        name = f"{path}/{member.name}"
                        content = io.BufferedReader(Chunks(reader.content()), 1 << 16)
                        again = partial(self._again, partial(_reopen, opener, member.name))
                        yield from self._member(name, content, again, depth)
        except (TarError, CompressionError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            yield path, BadArchive(f"{path}: the archive is damaged after {self.found} hosts: {reason}")

    def _again(self, opener: Opener) -> BinaryIO:
        """Open an archive in an archive again, which is another pass over the outer one."""
        self._passes += 1
        if self._passes > MAX_PASSES:
            raise OSError(errno.EMFILE, f"the archive around it was read {MAX_PASSES} times already")
        return opener()

    def _member(self, name: str, content: BinaryIO, opener: Opener, depth: int) -> Found:
        """Yield the host of an archive that streams by, or, when it is no host, those in it."""
        try:
            tree = open_archive(name, self._run, opener=opener, first=content)
            yield from self._in_tree(tree, name, opener, depth + 1)
        except (LastwordsError, OSError) as problem:
            yield name, _error(name, problem)


def _is_collection(tree: Tree) -> bool:
    """Return whether a tree is what ``sos collect`` makes: logs of sos itself beside the reports of hosts."""
    names = names_in(tree, "/")
    if "sos_commands" in names or "version.txt" in names:
        return False
    return any(ARCHIVE.search(name) or _is_host(SubTree(tree, "/" + name)) for name in names)


def _is_host(tree: Tree) -> bool:
    return is_bundle(tree) or is_sosreport(tree)


def _holds_archives(tree: Tree) -> bool:
    """Return whether an archive has archives in it, two directories deep at most."""
    folders: Sequence[str] = ["/"]
    for _ in range(2):
        below = []
        for folder in folders:
            names = sorted(names_in(tree, folder))
            if any(ARCHIVE.search(name) for name in names):
                return True
            below += [folder.rstrip("/") + "/" + name for name in names[:MAX_HOSTS]]
        folders = below[:MAX_HOSTS]
    return False


def _files(tree: Tree, folder: str, depth: int) -> Iterator[str]:
    """Yield the files in a tree that are no archives, so many directories deep."""
    for name in tree.names(folder):
        path = join(folder, name)
        kind = tree.lookup(path).type
        if kind == "dir" and depth > 1:
            yield from _files(tree, path, depth - 1)
        elif kind == "file" and not ARCHIVE.search(name):
            yield path


def _reopen(opener: Opener, name: str) -> BinaryIO:
    """Return the content of a member of an archive, from another pass over it."""
    return io.BufferedReader(Chunks(_content(opener, name)), 1 << 16)


def _content(opener: Opener, name: str) -> Iterator[bytes]:
    try:
        with opener() as raw, open_decompressed(raw) as stream:
            reader = TarReader(stream)
            for member in reader:
                if member.name == name:
                    yield from reader.content()
                    return
    except TarError as problem:
        raise CompressionError(5, f"damaged archive: {problem}") from None


def _error(name: str, problem: Exception) -> LastwordsError:
    if isinstance(problem, LastwordsError):
        return problem
    return NotOurs(f"{name}: {(getattr(problem, 'strerror', None) or str(problem)).lower()}")
