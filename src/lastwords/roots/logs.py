"""A bare log as a root: of the host it shows what its kernel said, and nothing else."""

from __future__ import annotations

import os
from typing import BinaryIO, Optional

from lastwords.formats import text_of
from lastwords.formats.failures.reader import Failures
from lastwords.formats.log.events import detect
from lastwords.formats.log.klog import parse_line
from lastwords.formats.log.messages import Message
from lastwords.formats.oom.events import tells
from lastwords.roots.base import Root
from lastwords.roots.logfile import is_tar, is_text
from lastwords.roots.streams import CompressionError, open_decompressed
from lastwords.roots.trees import DirectoryTree, Node, Tree

HEAD_SIZE = 256 << 10
"""Bytes of a file, unpacked, in which a line of a log must stand."""


def is_log(path: str) -> bool:
    """Return whether a file, packed or not, begins as a kernel log does; False when it cannot be read.

    It must be text, and have a line with the prefix of a log or one that a kernel writes, or tell of a boot.
    """
    boots = Failures()
    for number, line in enumerate(text_of(_text_of(path) or b"").splitlines(), 1):
        parsed = parse_line(line)
        prefixed = (parsed.monotonic, parsed.unix, parsed.stamp, parsed.priority)
        if any(value is not None for value in prefixed) or detect(parsed.text) or tells(parsed.text):
            return True
        if boots.feed(Message(parsed, number, 0)):
            return True
    return bool(boots.end())


def is_text_file(path: str) -> bool:
    """Return whether a file, packed or not, begins as text; False when it cannot be read."""
    return _text_of(path) is not None


def _text_of(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as raw, open_decompressed(raw) as stream:
            head = stream.read(HEAD_SIZE)
    except (OSError, CompressionError):
        return None
    if not head or is_tar(head) or not is_text(head):
        return None
    return head


class _OneFile(Tree):
    """A file of this machine as the only one of a host."""

    def __init__(self, path: str) -> None:
        folder, self._name = os.path.split(os.path.realpath(path))
        self._folder = DirectoryTree(folder)

    def lists(self, path: str) -> bool:
        return False

    def knows_absence(self, path: str) -> bool:
        return False

    def lookup(self, path: str) -> Node:
        if path == "/":
            return Node("/", "dir")
        if path == f"/{self._name}":
            return self._folder.lookup(path)
        raise FileNotFoundError(2, "not in a log")

    def names(self, path: str) -> list[str]:
        if path == "/":
            return [self._name]
        raise FileNotFoundError(2, "not in a log")

    def open(self, path: str) -> BinaryIO:
        self.lookup(path)
        return self._folder.open(path)


def log_root(path: str) -> Root:
    """Return a log as a root whose only file it is."""
    tree = _OneFile(path)
    name = os.path.basename(os.path.realpath(path))
    return Root("log", tree, taken_at=os.stat(path).st_mtime, where=path, logs=(f"/{name}",))
