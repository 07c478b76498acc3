"""Every host in an input: in archives of ``sos collect``, in archives of archives, in directories of them.

An archive in an archive is read while the outer one streams by: nothing is extracted to disk, and no more
than one host is held in memory.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO, Optional, Union

from lastwords.analyzer.opening import (
    EXPECTED,
    NotOurs,
    Progress,
    SubTree,
    case_in,
    case_of_file,
    open_archive,
    open_tree,
)
from lastwords.bundle.read import is_bundle
from lastwords.hookspecs import Collector
from lastwords.model import Case, LastwordsError
from lastwords.roots.archive import MAX_MEMBERS, ArchiveTree, BadArchive, ManyTops, opened
from lastwords.roots.sosreport import is_sosreport
from lastwords.roots.streams import Chunks, CompressionError, open_decompressed
from lastwords.roots.tar import TarError, TarReader
from lastwords.roots.trees import DirectoryTree, Tree

ARCHIVE = re.compile(r"\.(?:tar|tar\.(?:gz|xz|zst|bz2|lzma)|tgz|txz|tbz2?|tzst)\Z", re.IGNORECASE)
MAX_DEPTH = 3
"""Archives in archives, or directories in directories."""
MAX_HOSTS = 1000
MAX_NAMES = 20_000
"""Names in directories that are looked at."""

Found = Iterator[tuple[str, Union[Case, LastwordsError]]]
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
        self.found = 0

    def all_in(self, path: str) -> Found:
        """Yield the hosts in a file or directory of this machine."""
        alone = case_of_file(path, self._run, self._progress)
        if alone is not None:
            self.found += 1
            yield path, alone
            return
        packed = partial(opened, path)
        try:
            tree = open_tree(path, self._run)
        except ManyTops:
            yield from self._in_archive(path, packed, 1)
            return
        case = self._case(tree, path)
        if case is not None:
            yield path, case
        elif isinstance(tree, DirectoryTree):
            yield from self._in_directory(path, 1)
            yield from self._logs_in(path)
        else:
            yield from self._in_subdirectories(tree, path)
            if _holds_archives(tree):
                yield from self._in_archive(path, packed, 1)
            damage = tree.damage if isinstance(tree, ArchiveTree) else None
            if damage and not self.found:
                raise BadArchive(f"{path}: no host in what can be read of the archive: {damage}")

    def _case(self, tree: Tree, name: str) -> Optional[Case]:
        if _is_collection(tree):
            return None
        case = case_in(tree, name, self._run, recollect=self._recollect, progress=self._progress)
        self.found += case is not None
        return case

    def _in_directory(self, path: str, depth: int) -> Found:
        """Yield the hosts that lie in a directory, as files or directories. Links are not followed."""
        for name in sorted(os.listdir(path)):
            self._names += 1
            inner = os.path.join(path, name)
            if self._names > MAX_NAMES or self.found >= MAX_HOSTS:
                yield inner, NotOurs(f"{inner}: not read: more than {MAX_NAMES} names or {MAX_HOSTS} hosts")
                return
            if os.path.islink(inner):
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
            except (LastwordsError, OSError) as problem:
                yield inner, _error(inner, problem)

    def _logs_in(self, path: str) -> Found:
        """Yield the kernel logs and crash dumps that lie in a directory itself, each as a host of its own."""
        for name in sorted(os.listdir(path)):
            inner = os.path.join(path, name)
            if self.found >= MAX_HOSTS:
                return
            if os.path.islink(inner) or not os.path.isfile(inner) or ARCHIVE.search(name):
                continue
            try:
                case = case_of_file(inner, self._run, self._progress)
            except (LastwordsError, OSError) as problem:
                yield inner, _error(inner, problem)
                continue
            if case is not None:
                self.found += 1
                yield inner, case

    def _in_subdirectories(self, tree: Tree, path: str) -> Found:
        """Yield the hosts that lie unpacked in an archive."""
        for name in tree.names("/"):
            if self.found >= MAX_HOSTS:
                return
            inner = f"{path}/{name}"
            try:
                case = self._case(SubTree(tree, "/" + name), inner)
            except (LastwordsError, OSError) as problem:
                yield inner, _error(inner, problem)
            else:
                if case is not None:
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
                        yield from self._member(name, content, partial(_reopen, opener, member.name), depth)
        except (TarError, CompressionError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            yield path, BadArchive(f"{path}: the archive is damaged after {self.found} hosts: {reason}")

    def _member(self, name: str, content: BinaryIO, opener: Opener, depth: int) -> Found:
        """Yield the host of an archive that streams by, or, when it is no host, those in it."""
        case: Optional[Case] = None
        try:
            case = self._case(open_archive(name, self._run, opener=opener, first=content), name)
        except ManyTops:
            pass
        except (LastwordsError, OSError) as problem:
            yield name, _error(name, problem)
            return
        if case is not None:
            yield name, case
        elif depth < MAX_DEPTH:
            yield from self._in_archive(name, opener, depth + 1)


def _is_collection(tree: Tree) -> bool:
    """Return whether a tree is what ``sos collect`` makes: logs of sos itself beside the reports of hosts."""
    try:
        names = tree.names("/")
    except OSError:
        return False
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
            try:
                names = tree.names(folder)
            except OSError:
                continue
            if any(ARCHIVE.search(name) for name in names):
                return True
            below += [folder.rstrip("/") + "/" + name for name in names[:MAX_HOSTS]]
        folders = below[:MAX_HOSTS]
    return False


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
