"""The running host, and a directory that holds the tree of another one."""

from __future__ import annotations

import os
import time

from lastwords.roots.base import Root, Usage, UsageSource
from lastwords.roots.commands import LiveCommands
from lastwords.roots.journal import JournalCommands
from lastwords.roots.trees import DirectoryTree


class LiveUsage(UsageSource):
    """statvfs(3) of paths in a tree of this machine."""

    def __init__(self, tree: DirectoryTree) -> None:
        self._tree = tree

    def usage(self, path: str) -> Usage:
        found = self._tree.usage(self._tree.resolve(path))
        return Usage(
            size=found.f_blocks * found.f_frsize,
            available=found.f_bavail * found.f_frsize,
            used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        )


def live_root() -> Root:
    """Return the running host as a root."""
    tree = DirectoryTree("/")
    root = Root(
        "live",
        tree,
        commands=LiveCommands(),
        usage=LiveUsage(tree),
        taken_at=time.time(),
        clock=time.time,
        where="this host",
    )
    root.gatherer = os.getpid()
    return root


def directory_root(path: str) -> Root:
    """Return a directory as a root: a disk mounted in rescue mode, or a plain copy of a tree.

    How full it is can be told only of a mounted filesystem: a copied tree lies on the analyst's disk.
    """
    tree = DirectoryTree(path)
    usage = LiveUsage(tree) if os.path.ismount(tree.top or "/") else None
    return Root("directory", tree, commands=JournalCommands(tree), usage=usage, where=path)
