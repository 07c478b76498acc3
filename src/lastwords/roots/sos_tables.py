"""The tables of small files that our sos plugin gathers where the lastwords command is not installed.

One command output holds a file of every process: ``path:line``, as ``grep -H`` prints it. Here they
become the files again.
"""

from __future__ import annotations

import io
import os
import re
from typing import BinaryIO

from lastwords.roots.base import read_up_to
from lastwords.roots.trees import Node, Tree

FOLDER = "/sos_commands/lastwords"
LIMIT = 64 << 20
TABLES = {
    "proc_oom": "oom_score|oom_score_adj",
    "proc_stat": "stat",
    "proc_cgroup": "cgroup",
    "proc_status": "status",
    "cgroup_memory": r"memory\.(current|events|events\.local|failcnt|high|kmem\.limit_in_bytes"
    r"|kmem\.usage_in_bytes|limit_in_bytes|low|max|max_usage_in_bytes|memsw\.limit_in_bytes|memsw\.usage_in_bytes|min|oom\.group"
    r"|oom_control|peak|pressure|soft_limit_in_bytes|swap\.current|swap\.max|usage_in_bytes)|cgroup\.controllers",
    "cgroup_stat": r"memory\.stat",
    "hugepages": "[^/:]+",
    "units": r"[^/:]+\.(service|scope|slice|socket|mount|swap|conf)",
    "oom_writers": "[^/:]+",
    "crash_text": r"dmesg\.[^/:]+|vmcore-dmesg[^/:]*\.txt|kexec-dmesg\.log|kexec_cmd|"
    r"vmcore-creation\.status|README\.txt",
}
"""Name of the output -> what the files in it are called; as TABLES in ``sos_plugins/lastwords.py``."""


def parse_table(name: str, data: bytes) -> dict[str, bytes]:
    """Return the files of a table: host path -> content.

    >>> parse_table("proc_oom", b"/proc/1/oom_score:0\\n/proc/1/oom_score_adj:0\\n/proc/7/oom_score:668\\n")
    {'/proc/1/oom_score': b'0\\n', '/proc/1/oom_score_adj': b'0\\n', '/proc/7/oom_score': b'668\\n'}
    """
    # Directories may have colons in their names (crash dumps, control groups), the files have none.
    pattern = rb"^(?P<path>/(?:[^\n]*?/)?(?:" + TABLES[name].encode() + rb")):(?P<line>.*)$"
    files: dict[str, list[bytes]] = {}
    for match in re.finditer(pattern, data, re.MULTILINE):
        files.setdefault(os.fsdecode(match["path"]), []).append(match["line"])
    return {path: b"\n".join(lines) + b"\n" for path, lines in files.items()}


class TableTree(Tree):
    """A sosreport's tree with the files of the tables in their places; copied files come first."""

    def __init__(self, inner: Tree) -> None:
        self._inner = inner
        self._files: dict[str, bytes] = {}
        self._children: dict[str, set[str]] = {}
        for name in TABLES:
            try:
                with inner.open(inner.resolve(f"{FOLDER}/{name}")) as stream:
                    self._files.update(parse_table(name, read_up_to(stream, LIMIT)[0]))
            except OSError:
                continue
        for path in self._files:
            while path != "/":
                parent, _, child = path.rpartition("/")
                self._children.setdefault(parent or "/", set()).add(child)
                path = parent or "/"

    def lists(self, path: str) -> bool:
        return self._inner.lists(path)

    def lookup(self, path: str) -> Node:
        try:
            return self._inner.lookup(path)
        except FileNotFoundError:
            if path in self._files:
                return Node(path, "file", size=len(self._files[path]))
            if path in self._children:
                return Node(path, "dir")
            raise

    def names(self, path: str) -> list[str]:
        more = self._children.get(path, set())
        try:
            return sorted({*self._inner.names(path), *more})
        except FileNotFoundError:
            if more:
                return sorted(more)
            raise

    def open(self, path: str) -> BinaryIO:
        try:
            return self._inner.open(path)
        except FileNotFoundError:
            if path in self._files:
                return io.BytesIO(self._files[path])
            raise

    def open_log(self, path: str) -> BinaryIO:
        return self.open(path) if path in self._files else self._inner.open_log(path)


def with_tables(inner: Tree) -> Tree:
    """Return the tree with the files of its tables, or as it is when it has none."""
    tree = TableTree(inner)
    return tree if tree._files else inner
