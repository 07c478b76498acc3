"""Configuration directories of a root: what lies in them, where links lead, which files count."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Optional

from lastwords.formats.system.conf_dirs import Chosen, merge_directories
from lastwords.roots.base import Root
from lastwords.roots.trees import Node

NOTHING = "/dev/null"
"""A link to it masks: the file counts as empty and hides those of its name elsewhere."""
_MAX_LINKS = 8


def entries(root: Root, directory: str) -> Optional[list[Node]]:
    """Return what lies in a directory, links not followed; None when the root does not tell.

    A sosreport that holds some files of the directory gives those.
    """
    nodes = root.listdir(directory)
    if nodes is not None:
        return nodes
    found = [root.stat(path, follow=False) for path in root.glob(f"{directory}/*")]
    return [node for node in found if node] or ([] if root.exists(directory) is False else None)


def is_link(root: Root, path: str) -> bool:
    """Return whether a path is a symbolic link, as /lib is where it was merged into /usr."""
    node = root.stat(path, follow=False)
    return node is not None and node.type == "link"


def unmerged(root: Root, directories: Sequence[str]) -> list[str]:
    """Return the directories without those below /lib, where /lib is but a link to /usr/lib."""
    if is_link(root, "/lib"):
        return [each for each in directories if not each.startswith("/lib/")]
    return list(directories)


def target_of(root: Root, node: Node) -> Optional[str]:
    """Return where a node's link leads in the end, ``/dev/null`` included; None when to nothing.

    What is read must be read there: a bundle holds the link as a link, and the content at its place.
    """
    for _ in range(_MAX_LINKS):
        if node.type != "link":
            return node.path
        path = posixpath.normpath(posixpath.join(posixpath.dirname(node.path), node.target or ""))
        if path == NOTHING:
            return path
        following = root.stat(path, follow=False)
        if following is None:
            return None
        node = following
    return None


class ConfDirs:
    """The files that count of a set of directories, with where each is to be read."""

    def __init__(self, root: Root, directories: Sequence[str], suffix: str = ".conf") -> None:
        self._root = root
        self._nodes: dict[str, Node] = {}
        listings = []
        self.known = True
        """False when at least one of the directories could not be listed."""
        for directory in unmerged(root, directories):
            nodes = entries(root, directory)
            self.known = self.known and nodes is not None
            files = [node for node in nodes or () if node.type in ("file", "link")]
            self._nodes.update((node.path, node) for node in files)
            listings.append((directory, [node.name for node in files]))
        self.chosen: list[Chosen] = merge_directories(listings, suffix)

    def place(self, path: str) -> Optional[str]:
        """Return the path where a chosen file's content lies, ``/dev/null`` when it is masked."""
        return target_of(self._root, self._nodes[path])
