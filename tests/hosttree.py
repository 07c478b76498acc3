"""Host trees written as text, one or more ``.txt`` files per host in tests/roots/<host>/.

    === /etc/os-release
    ID=debian
    === /boot/vmlinuz-6.1.0-18-amd64 size=8086400 mtime=2024-02-01T10:00:00Z mode=0644
    === /boot/initrd.img link=boot/initrd.img-6.1.0-18-amd64
    === /var/crash dir
    === /boot/initramfs.img hex size=30000000
    1f8b0800
    === /proc/iomem denied
    === $ df -k exit=0
    Filesystem ...
    === usage /boot size=1000 available=300 used=700 mountpoint=/boot

A file without attributes has the size of its content and a fixed time. What stands here is the whole
host: a directory that appears is completely listed.
"""

from __future__ import annotations

import calendar
import errno
import io
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from lastwords.roots.base import CommandSource, Output, Root, Usage, UsageSource
from lastwords.roots.trees import Node, Tree

ROOTS = Path(__file__).parent / "roots"
HOSTS = sorted(path.name for path in ROOTS.iterdir() if path.is_dir()) if ROOTS.is_dir() else []
TAKEN_AT = 1772445600.0
"""2026-03-02T10:00:00Z"""
DEFAULT_TIME = 1772323200.0
"""2026-03-01T00:00:00Z"""


class TextTree(Tree):
    """A host tree held in memory."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {"/": Node("/", "dir", mode=0o755)}
        self.content: dict[str, bytes] = {}
        self.denied: set[str] = set()
        self.commands: dict[str, tuple[int, bytes]] = {}
        self.usages: dict[str, Usage] = {}

    def add(self, text: str) -> TextTree:
        """Add the entries of one text; return the tree."""
        for head, body in re.findall(r"^=== (.*)\n((?:(?!=== ).*(?:\n|\Z))*)", text, re.MULTILINE):
            self._entry(head.strip(), body)
        return self

    def _entry(self, head: str, body: str) -> None:
        if head.startswith("$ "):
            line, _, code = head[2:].partition(" exit=")
            self.commands[line.strip()] = (int(code or 0), body.encode())
            return
        words = head.split()
        given = dict(word.partition("=")[::2] for word in words[1:])
        if words[0] == "usage":
            path = words[1]
            self.usages[path] = Usage(
                int(given["size"]),
                int(given["available"]),
                int(given["used"]),
                given.get("mountpoint"),
                given.get("filesystem"),
            )
            return
        path = words[0].rstrip("/") or "/"
        data = bytes.fromhex(body) if "hex" in given else body.encode()
        kind = (
            "link" if "link" in given else "dir" if "dir" in given else "other" if "fifo" in given else "file"
        )
        size = int(given["size"]) if "size" in given else len(data)
        self.nodes[path] = Node(
            path,
            kind,
            size=size if kind == "file" else 0,
            allocated=int(given.get("allocated", (size + 4095) // 4096 * 4096)) if kind == "file" else 0,
            mode=int(given["mode"], 8) if "mode" in given else 0o755 if kind == "dir" else 0o644,
            uid=int(given.get("uid", 0)),
            gid=int(given.get("gid", 0)),
            mtime=_time(given["mtime"]) if "mtime" in given else DEFAULT_TIME,
            target=given.get("link"),
        )
        if kind == "file":
            self.content[path] = data
        if "denied" in given:
            self.denied.add(path)
        while path != "/":
            path = path.rpartition("/")[0] or "/"
            self.nodes.setdefault(
                path, Node(path, "dir", size=0, allocated=0, mode=0o755, uid=0, gid=0, mtime=DEFAULT_TIME)
            )

    def lookup(self, path: str) -> Node:
        if path not in self.nodes:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.nodes[path]

    def names(self, path: str) -> list[str]:
        if self.lookup(path).type != "dir":
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if path in self.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        prefix = path.rstrip("/") + "/"
        return sorted(
            {p[len(prefix) :].split("/")[0] for p in self.nodes if p.startswith(prefix) and p != "/"}
        )

    def open(self, path: str) -> BinaryIO:
        if path in self.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if self.lookup(path).type != "file":
            raise OSError(errno.EINVAL, "not a regular file", path)
        return io.BytesIO(self.content[path])


class _Commands(CommandSource):
    def __init__(self, tree: TextTree) -> None:
        self.tree = tree

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        line = " ".join(argv)
        if line not in self.tree.commands:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), line)
        code, data = self.tree.commands[line]
        return Output(tuple(argv), data, code)


class _Usages(UsageSource):
    def __init__(self, tree: TextTree) -> None:
        self.tree = tree

    def usage(self, path: str) -> Usage:
        held = [m for m in self.tree.usages if path == m or path.startswith(m.rstrip("/") + "/")]
        if not held:
            return super().usage(path)
        return self.tree.usages[max(held, key=len)]


def host_tree(host: str) -> TextTree:
    """Return the tree of tests/roots/<host>/."""
    tree = TextTree()
    for path in sorted((ROOTS / host).glob("*.txt")):
        tree.add(path.read_text())
    return tree


def root_of(tree: TextTree, kind: str = "live") -> Root:
    """Return a tree as a root whose commands and usages are those written in it."""
    return Root(
        kind,
        tree,
        commands=_Commands(tree),
        usage=_Usages(tree),
        taken_at=TAKEN_AT,
        where="a host written as text",
    )


def text_root(text: str, kind: str = "live") -> Root:
    """Return a root of the entries in *text*: for the small trees of single tests."""
    return root_of(TextTree().add(text), kind)


def write_tree(tree: TextTree, top: Path) -> Path:
    """Write the files of a tree below *top*, with their times and, where sparse will do, sizes; return it."""
    for path, node in sorted(tree.nodes.items()):
        real = top / path.lstrip("/")
        if node.type == "dir":
            real.mkdir(parents=True, exist_ok=True)
        elif node.type == "link":
            real.symlink_to(node.target or "")
        elif node.type == "file":
            real.write_bytes(tree.content[path])
            if node.size and node.size > len(tree.content[path]):
                os.truncate(real, node.size)
            real.chmod(node.mode or 0o644)
            os.utime(real, (node.mtime or 0, node.mtime or 0))
    return top


def _time(text: str) -> float:
    return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
