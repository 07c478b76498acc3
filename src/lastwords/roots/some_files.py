"""Some files of a host that somebody packed himself, as a root: what is not among them is not known.

Where they were taken from is seen by their names: a host's own directories, ``/var/log``, or the journal.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from typing import BinaryIO, Optional

from lastwords.roots.archive import ArchiveTree
from lastwords.roots.base import Root, join
from lastwords.roots.journal import NAMES as JOURNALS
from lastwords.roots.journal import PLACES, JournalCommands
from lastwords.roots.trees import HOST_MARKS, Node, Tree, names_in

TELLING = frozenset({"etc", "boot", "var", "proc"})
"""Directories that are of a host though no other is beside them; ``lib`` may be of anything."""
LOGS = "/var/log"
JOURNAL = PLACES[0]
IN_LOGS = (
    frozenset({"lastlog", "wtmp", "btmp", "journal"}),
    frozenset({"messages", "syslog", "kern.log", "dmesg", "secure", "auth.log", "boot.log"}),
)
"""Names in ``/var/log``: one of each set makes one."""
MACHINE = re.compile(r"[0-9a-f]{32}")
"""How the directory of a journal is called: by the machine's id."""


class SomeFiles(Tree):
    """Another tree, at the place of the host's that it was taken from."""

    def __init__(self, inner: Tree, place: str) -> None:
        self._inner = inner
        self._place = place

    def lists(self, path: str) -> bool:
        return False

    def knows_absence(self, path: str) -> bool:
        return False

    def lookup(self, path: str) -> Node:
        if self._leads_there(path):
            return Node(path, "dir")
        return replace(self._inner.lookup(self._inside(path)), path=path)

    def names(self, path: str) -> list[str]:
        if self._leads_there(path):
            return [self._place[len(path.rstrip("/")) + 1 :].partition("/")[0]]
        return self._inner.names(self._inside(path))

    def open(self, path: str) -> BinaryIO:
        return self._inner.open(self._inside(path))

    def open_log(self, path: str) -> BinaryIO:
        return self._inner.open_log(self._inside(path))

    def _leads_there(self, path: str) -> bool:
        return self._place.startswith(path.rstrip("/") + "/")

    def _inside(self, path: str) -> str:
        if not f"{path}/".startswith(f"{self._place}/"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return path[len(self._place) :] or "/"


def place_of(tree: Tree) -> Optional[str]:
    """Return from where in a host its files were taken, empty for its root; None when that cannot be told."""
    names = names_in(tree, "/")
    own = names & set(HOST_MARKS)
    if len(own) >= 2 or names_in(tree, LOGS) or (own == names and own & TELLING):
        return ""
    if names and all(map(is_journal, names)):
        return join(JOURNAL, "0" * 32)
    if any(MACHINE.fullmatch(name) and any(map(is_journal, names_in(tree, f"/{name}"))) for name in names):
        return JOURNAL
    if all(names & some for some in IN_LOGS) or any(map(MACHINE.fullmatch, names_in(tree, "/journal"))):
        return LOGS
    return None


def files_root(tree: Tree, place: str, where: str) -> Root:
    """Return some files of a host as a root.

    :param place: where in the host they were taken from (:func:`place_of`)
    :param where: what they are called
    """
    notes = tree.damage_notes()
    if isinstance(tree, ArchiveTree):
        tree = tree.holding(is_journal, place)
    tree = SomeFiles(tree, place)
    return Root("files", tree, commands=JournalCommands(tree), where=where, notes=notes)


def is_journal(path: str) -> bool:
    """Return whether a path is called as files of the system's journal, or a user's, are."""
    return JOURNALS.fullmatch(path.rpartition("/")[2]) is not None
