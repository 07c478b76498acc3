"""A bare log as a root: of the host it shows what its kernel said, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import BinaryIO, Optional

from lastwords.formats import text_of
from lastwords.formats.failures.reader import Failures
from lastwords.formats.log.events import detect
from lastwords.formats.log.klog import parse_line
from lastwords.formats.log.messages import Message
from lastwords.formats.oom.events import tells
from lastwords.roots.base import Root
from lastwords.roots.logfile import is_tar, is_text
from lastwords.roots.streams import open_decompressed, read_head
from lastwords.roots.trees import DirectoryTree, Node, Tree

HEAD_SIZE = 256 << 10
"""Bytes of a file, unpacked, in which a line of a log must stand."""


def alone(path: str) -> tuple[Tree, str]:
    """Return the tree that a file of this machine lies in, and its path there, links followed."""
    folder, name = os.path.split(os.path.realpath(path))
    return DirectoryTree(folder), f"/{name}"


def is_log(tree: Tree, path: str) -> bool:
    """Return whether a file, packed or not, begins as a kernel log does; False when it cannot be read.

    It must be text, and have a line with the prefix of a log or one that a kernel writes, or tell of a boot.
    """
    boots = Failures()
    for number, line in enumerate(text_of(_text_of(tree, path) or b"").splitlines(), 1):
        parsed = parse_line(line)
        prefixed = (parsed.monotonic, parsed.unix, parsed.stamp, parsed.priority)
        if any(value is not None for value in prefixed) or detect(parsed.text) or tells(parsed.text):
            return True
        if boots.feed(Message(parsed, number, 0)):
            return True
    return bool(boots.end())


def is_text_file(tree: Tree, path: str) -> bool:
    """Return whether a file, packed or not, begins as text; False when it cannot be read."""
    return _text_of(tree, path) is not None


def _text_of(tree: Tree, path: str) -> Optional[bytes]:
    try:
        with tree.open(path) as raw, open_decompressed(raw) as stream:
            head = read_head(stream, HEAD_SIZE)
    except OSError:
        return None
    if not head or is_tar(head) or not is_text(head):
        return None
    return head


class _OneFile(Tree):
    """A file of another tree as the only one of a host."""

    def __init__(self, inner: Tree, path: str) -> None:
        self._inner = inner
        self._path = path
        self._name = path.rpartition("/")[2]

    def lists(self, path: str) -> bool:
        return False

    def knows_absence(self, path: str) -> bool:
        return False

    def lookup(self, path: str) -> Node:
        if path == "/":
            return Node("/", "dir")
        if path == f"/{self._name}":
            return replace(self._inner.lookup(self._path), path=path)
        raise FileNotFoundError(2, "not in a log")

    def names(self, path: str) -> list[str]:
        if path == "/":
            return [self._name]
        raise FileNotFoundError(2, "not in a log")

    def open(self, path: str) -> BinaryIO:
        self.lookup(path)
        return self._inner.open(self._path)


def log_root(tree: Tree, path: str, where: str) -> Root:
    """Return a log as a root whose only file it is.

    :param tree: what it lies in, at *path*
    :param where: what it is called
    """
    node = tree.lookup(path)
    return Root("log", _OneFile(tree, path), taken_at=node.mtime, where=where, logs=(f"/{node.name}",))
