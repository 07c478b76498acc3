"""The record of every read: what was asked, what came back, and the bytes, kept at their host path.

An :class:`EvidenceLog` belongs to one collector's run. Its items go into the manifest; its bytes go to
a *store*, if there is one (``lastwords check`` keeps nothing).
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

from lastwords.roots.trees import Node

Store = Callable[[str, bytes], str]
"""Takes a name below the bundle and bytes; returns the name under which they were kept."""

EVIDENCE = "evidence"
NODES = "evidence/nodes"
"""Where ``stat`` and directory listings are kept, one JSON Lines file per collector."""
TABLES = "evidence/tables"
COMMANDS = "evidence/commands"

_TAKEN_FOR_BINARY = re.compile(r"(?:\.(?:gz|xz|bz2|bzip2|zst|txz|tgz|bin|journal)|\.tar\.[^/]*|~)$")
"""Names of files that ``sos clean`` removes unseen (sos/cleaner/archives, should_remove_file; since 4.2)."""

HEAD_LIMIT = 8 << 10
"""Bytes of a binary file that are kept at most."""

_ABSENT = (FileNotFoundError, NotADirectoryError)


class EvidenceLog:
    """Notes every read of one collector."""

    def __init__(self, name: str, store: Optional[Store] = None) -> None:
        self.name = name
        self.items: list[dict[str, Any]] = []
        self._store = store
        self._nodes: dict[str, dict[str, Any]] = {}
        self._failed: set[tuple[str, str]] = set()

    @property
    def gaps(self) -> list[dict[str, str]]:
        """What exists but could not be read whole: ``[{"path", "reason"}]``. Absence is no gap."""
        return [
            {"path": item["path"], "reason": item["error"]}
            for item in self.items
            if item.get("error") and not item.get("absent")
        ]

    def kept(
        self,
        path: str,
        data: bytes,
        *,
        stored: Optional[str] = None,
        truncated: bool = False,
        redacted: int = 0,
        error: Optional[str] = None,
        **extra: Any,
    ) -> None:
        """Note bytes that were read, after secrets were removed."""
        # What is kept is text, whatever it was: it must not be removed from a sosreport for its name.
        name = stored or EVIDENCE + path + (".txt" if _TAKEN_FOR_BINARY.search(path) else "")
        self.items.append(
            {
                "path": path,
                "stored": self._store(name, data) if self._store else None,
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "read_at": round(time.time(), 3),
                "truncated": truncated,
                "redacted": redacted,
                "error": error,
                **extra,
            }
        )

    def failed(self, path: str, problem: Exception, **extra: Any) -> None:
        """Note a read that gave nothing. The same failure of the same path is noted once."""
        reason = reason_of(problem)
        if (path, reason) in self._failed:
            return
        self._failed.add((path, reason))
        item: dict[str, Any] = {
            "path": path,
            "stored": None,
            "read_at": round(time.time(), 3),
            "error": reason,
            **extra,
        }
        if isinstance(problem, _ABSENT):
            item["absent"] = True
        if isinstance(problem, PermissionError):
            item["denied"] = True
        self.items.append(item)

    def saw(self, nodes: Iterable[Node]) -> None:
        """Note what lstat said."""
        for node in nodes:
            self._nodes[node.path] = {**self._nodes.get(node.path, {}), **_fields(node)}

    def saw_followed(self, node: Node) -> None:
        """Note what stat said of a path: what it leads to, which for a link is not what lstat says."""
        known = self._nodes.get(node.path, {"path": node.path})
        self._nodes[node.path] = {**known, "followed": _fields(node)}

    def listed(self, path: str) -> None:
        """Note that all that is in directory *path* was seen."""
        self._nodes[path] = {**self._nodes.get(path, {"path": path, "type": "dir"}), "listed": True}

    def peeked(self, path: str, data: bytes, offset: int) -> None:
        """Note a few bytes of a binary file, which the bundle keeps in hexadecimal, among the nodes."""
        if len(data) > HEAD_LIMIT:
            self.unkept(path)
            return
        known = self._nodes.get(path, {"path": path})
        self._nodes[path] = {**known, "heads": {**known.get("heads", {}), str(offset): data.hex()}}

    def unkept(self, path: str) -> None:
        """Note that a file was read of which nothing is kept: its facts cannot be derived again."""
        now = round(time.time(), 3)
        self.items.append({"path": path, "stored": None, "read_at": now, "error": None, "unkept": True})

    def failure(self, path: str) -> dict[str, Any]:
        """Return the item of a failed read of *path*, or an empty one."""
        return next((item for item in self.items if item["path"] == path and item.get("error")), {})

    def saw_usage(self, path: str, usage: dict[str, Any]) -> None:
        """Note how full the filesystem of *path* is."""
        self._nodes[path] = {**self._nodes.get(path, {"path": path}), "usage": usage}

    def finish(self) -> None:
        """Write what was collected piecemeal. Call once, when the collector is done."""
        if self._nodes:
            lines = "".join(json.dumps(node, sort_keys=True) + "\n" for node in self._nodes.values())
            stored = f"{NODES}/{self.name}.jsonl"
            self.kept("nodes:" + self.name, lines.encode(), stored=stored, nodes=True)


def _fields(node: Node) -> dict[str, Any]:
    return {key: value for key, value in node.__dict__.items() if value is not None}


def reason_of(problem: BaseException) -> str:
    """Return why a read failed, in the words of the C library where it was the system that refused."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return " ".join(str(problem).split()) or type(problem).__name__


def command_path(argv: Sequence[str]) -> str:
    """Return the name of a command's output among paths: ``$ lsblk -J``."""
    return "$ " + " ".join(argv)


def stored_command(argv: Sequence[str]) -> str:
    """Return the file name, below the bundle, of a command's output."""
    return f"{COMMANDS}/{mangle(argv)}.txt"


def mangle(argv: Sequence[str]) -> str:
    """Return a command line as a file name, by the rule of sos (``_mangle_command``).

    >>> mangle(["/usr/bin/lsblk", "-J", "-o", "NAME,SIZE"])
    'lsblk_-J_-o_NAME_SIZE'
    """
    text = re.sub(r"^/?(usr/)?s?bin/", "", " ".join(argv))
    text = re.sub(r"[^\w\-./]+", "_", text).replace("/", ".").strip(" ._-")
    return text[:200]
