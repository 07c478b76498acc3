"""A bundle as a root: today's collectors run again on the evidence gathered then.

Needs nothing but the manifest's evidence index: which path was stored where, what was listed, what
was absent.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, BinaryIO, Optional

from lastwords.roots.base import CommandSource, Output, Root, Usage, UsageSource, join, read_up_to
from lastwords.roots.evidence import command_path
from lastwords.roots.trees import Node, Tree

TABLE_LIMIT = 256 << 20
_NOTHING = Node("", "other")


def locate(tree: Tree, name: str) -> str:
    """Return the path of a file that the manifest names.

    ``sos clean`` up to 4.0 takes ``_word.json`` in a text for a host name and drops the underscore, but
    does not rename the file. The manifest is hostile: resolving keeps whatever it names in the bundle.

    :raises OSError: there is no such file
    """
    try:
        path = tree.resolve("/" + name)
        tree.lookup(path)
    except FileNotFoundError:
        folder, _, wanted = ("/" + name).rpartition("/")
        folder = tree.resolve(folder or "/")
        for other in tree.names(folder):
            if other.replace("_", "") == wanted.replace("_", ""):
                return tree.resolve(join(folder, other))
        raise
    return path


class BundleTree(Tree):
    """The host's files as far as a bundle holds them.

    :param inner: the tree of the bundle itself
    :param items: the evidence items of the manifest, in order; the first of a path counts
    """

    def __init__(self, inner: Tree, items: Iterable[dict[str, Any]]) -> None:
        self._inner = inner
        self._items: dict[str, dict[str, Any]] = {}
        self._nodes: dict[str, Node] = {"/": Node("/", "dir")}
        self._children: dict[str, set[str]] = {"/": set()}
        self._parts: dict[str, list[dict[str, Any]]] = {}
        """Of files that more than one collector has kept parts of: all of these."""
        self._joined: dict[str, tuple[bytes, list[dict[str, int]]]] = {}
        self._listed: set[str] = set()
        self._errors: dict[str, dict[str, Any]] = {}
        self._cells: dict[str, bytes] = {}
        self._followed: dict[str, Node] = {}
        self._heads: dict[str, dict[int, bytes]] = {}
        """Bytes of binary files by path and offset."""
        self.usages: dict[str, Usage] = {}
        for item in items:
            try:
                self._take(item)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # the manifest is hostile, or obfuscated: what cannot be understood is not there

    def _take(self, item: dict[str, Any]) -> None:
        path, stored = item["path"], item.get("stored")
        if stored is None:
            if item.get("error"):
                self._errors.setdefault(path, item)
        elif item.get("nodes"):
            for record in self._records(stored):
                self._take_node(record)
        elif item.get("table"):
            base = str(item["table"]["base"])
            for record in self._records(stored):
                row = base if record["name"] == "." else join(base, record["name"])
                self._place(Node(row, "dir"))
                for file, text in record["files"].items():
                    self._cells.setdefault(join(row, file), text.encode())
                    self._place(Node(join(row, file), "file"))
        else:
            known = self._items.get(path)
            # Two collectors may have kept one file: this one parts of it and that one all, or other parts.
            if known is None or ("windows" in known and "windows" not in item):
                self._items[path] = item
                self._parts[path] = [item]
            elif "windows" in known and "windows" in item:
                self._parts[path].append(item)
            if path.startswith("/"):
                self._place(Node(path, "file", size=item.get("size")))

    def _stored(self, name: str) -> BinaryIO:
        return self._inner.open(locate(self._inner, str(name)))

    def _records(self, stored: str) -> Iterable[dict[str, Any]]:
        try:
            with self._stored(stored) as stream:
                data, _ = read_up_to(stream, TABLE_LIMIT)
        except OSError:
            return
        for line in data.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record

    def _take_node(self, record: dict[str, Any]) -> None:
        path = record.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            return
        usage = record.pop("usage", None)
        if isinstance(usage, dict):
            self.usages[path] = Usage(**usage)
        heads = record.pop("heads", None)
        if isinstance(heads, dict):
            self._heads[path] = {int(offset): bytes.fromhex(head) for offset, head in heads.items()}
            self._place(Node(path, "file"))
        if record.pop("listed", False):
            self._listed.add(path)
        followed = record.pop("followed", None)
        if isinstance(followed, dict):
            self._followed[path] = _node(followed)
            self._place(Node(path, self._followed[path].type))
        if "type" in record:
            self._place(_node(record))

    def _place(self, node: Node) -> None:
        old = self._nodes.get(node.path)
        if old is None or old.size is None or old.mode is None:
            self._nodes[node.path] = node
        path = node.path
        while path != "/":
            parent, _, name = path.rpartition("/")
            parent = parent or "/"
            self._children.setdefault(parent, set()).add(name)
            self._nodes.setdefault(parent, Node(parent, "dir"))
            path = parent
        if node.type == "dir":
            self._children.setdefault(node.path, set())

    def lists(self, path: str) -> bool:
        return path in self._listed

    def knows_absence(self, path: str) -> bool:
        return bool(self._errors.get(path, {}).get("absent")) or super().knows_absence(path)

    def windows(self, path: str) -> Sequence[dict[str, int]]:
        if len(self._parts.get(path, ())) > 1:
            return self._join(path)[1]
        windows: Sequence[dict[str, int]] = self._items.get(path, {}).get("windows", ())
        return windows

    def lookup(self, path: str) -> Node:
        if path in self._nodes:
            return self._nodes[path]
        raise self._failure(path)

    def stat(self, path: str) -> Node:
        return self._followed.get(path) or super().stat(path)

    def resolve(self, path: str) -> str:
        # What was recorded under this very path counts, whatever links lead there.
        recorded = path in self._items or path in self._cells or path in self._heads
        return path if recorded or path in self._children else super().resolve(path)

    def names(self, path: str) -> list[str]:
        found = set(self._children.get(path, ()))
        if self._nodes.get(path, _NOTHING).type == "link":
            found |= self._children.get(super().resolve(path), set())
        if found or path in self._children:
            return sorted(found)
        raise self._failure(path)

    def open(self, path: str) -> BinaryIO:
        if path in self._cells:
            return io.BytesIO(self._cells[path])
        item = self._items.get(path)
        if item is None:
            if path in self._nodes and path not in self._errors:
                raise OSError(errno.ENODATA, "seen then, but not copied into the bundle", path)
            raise self._failure(path)
        if len(self._parts[path]) > 1:
            return io.BytesIO(self._join(path)[0])
        return self._stored(item["stored"])

    def _join(self, path: str) -> tuple[bytes, list[dict[str, int]]]:
        """Return the lines of all parts of a file, in order, and where each stood."""
        if path not in self._joined:
            lines: dict[int, tuple[int, bytes]] = {}
            for part in self._parts[path]:
                with self._stored(part["stored"]) as stream:
                    stored = io.BytesIO(read_up_to(stream, TABLE_LIMIT)[0])
                try:
                    for window in part["windows"]:
                        at, first = int(window["offset"]), int(window["line"])
                        for number, line in enumerate(islice(stored, int(window["lines"])), first):
                            lines.setdefault(number, (at, line))
                            at += len(line)
                except (ValueError, TypeError, KeyError):
                    continue  # hostile: what cannot be understood is not there
            found = sorted(lines.items())
            windows = [{"line": number, "offset": at, "lines": 1} for number, (at, _) in found]
            self._joined[path] = b"".join(line for _, (_, line) in found), windows
        return self._joined[path]

    def peek(self, path: str, size: int, offset: int) -> bytes:
        data = self._heads.get(path, {}).get(offset)
        return super().peek(path, size, offset) if data is None else data[:size]

    def _failure(self, path: str) -> OSError:
        """Return the error that the read had then: denied stays denied."""
        item = self._errors.get(path, {})
        if item.get("denied"):
            return PermissionError(errno.EACCES, item["error"], path)
        if item and not item.get("absent"):
            return OSError(errno.EIO, item["error"], path)
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def command(self, argv: Sequence[str]) -> Optional[dict[str, Any]]:
        """Return the evidence item of a command's output, or None."""
        return self._items.get(command_path(argv))


def _node(record: dict[str, Any]) -> Node:
    return Node(**{key: value for key, value in record.items() if key in Node.__dataclass_fields__})


class BundleCommands(CommandSource):
    """Command outputs kept in a bundle."""

    def __init__(self, tree: BundleTree) -> None:
        self._tree = tree

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        item = self._tree.command(argv)
        with self._tree.open(command_path(argv)) as stream:
            data, truncated = read_up_to(stream, 64 << 20)
        known = item or {}
        return Output(tuple(argv), data, known.get("exit_code"), truncated or bool(known.get("truncated")))


class BundleUsage(UsageSource):
    """How full filesystems were."""

    def __init__(self, tree: BundleTree) -> None:
        self._tree = tree

    def usage(self, path: str) -> Usage:
        try:
            return self._tree.usages[path]
        except KeyError:
            return super().usage(path)


def bundle_root(
    inner: Tree, items: Iterable[dict[str, Any]], *, taken_at: Optional[float], where: str
) -> Root:
    """Return the evidence of a bundle as a root."""
    tree = BundleTree(inner, items)
    return Root(
        "bundle",
        tree,
        commands=BundleCommands(tree),
        usage=BundleUsage(tree),
        taken_at=taken_at,
        where=where,
    )
