"""What earlier crashes left behind: kdump's dumps, pstore records, reports of apport and abrt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Optional

from lastwords.collectors.kdump_config import (
    ABRT,
    CRASH,
    FILES,
    MOUNTS,
    dump_directories,
    mount_of,
    read_config,
    read_mounts,
)
from lastwords.formats.boot.fstab import Mount
from lastwords.formats.kdump.dump_names import kind_of_dump_file, parse_dump_name
from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.head import HEAD_SIZE, KINDS, parse_vmcore_head
from lastwords.formats.vmcore.source import DumpError
from lastwords.hookspecs import Collector
from lastwords.model import Event, Facts, NoData, event
from lastwords.roots.base import Root, join
from lastwords.roots.images import StreamSource
from lastwords.roots.trees import Node

PSTORE = "/sys/fs/pstore"
ARCHIVED = "/var/lib/systemd/pstore"
MAX_DUMPS = 200
"""Dumps of one place that are looked into; the newest by name, which is what people ask for."""
MAX_FILES = 200
"""Files of one directory that are listed."""
MAX_HEADS = 50
"""Dumps whose headers are read."""
_README_LIMIT = 1 << 16
_ZONES = 15 * 3600
"""Seconds by which a local time taken as UTC can be off, and a dump can take on top of it."""
_CORES = ("core", "core-incomplete")
_UNFINISHED = ("core-incomplete", "dmesg-incomplete")
_WRITTEN = (*_CORES, "dmesg", "dmesg-incomplete", "capture-log")
"""Kinds of files that kdump itself writes while it saves a dump."""


class CrashDumpsCollector(Collector):
    """Lists every crash dump on the host, without reading more of it than its headers and index."""

    name = "crash_dumps"
    title = "crash dumps: what kdump, pstore, apport and abrt have saved"
    reads = (
        *FILES,
        *MOUNTS,
        CRASH + "/*",
        CRASH + "/*/*",
        PSTORE + "/*",
        ARCHIVED + "/*",
        ARCHIVED + "/*/*",
        ARCHIVED + "/*/*/*",
        *(f"{folder}/vmcore-*/*" for folder in ABRT),
    )
    needs_root = "dumps, pstore records and crash reports of other users"
    timeout = 60.0

    def collect(self, root: Root) -> Iterator[Facts]:
        mounts = read_mounts(root)
        places = dump_directories(root, read_config(root), mounts)
        facts: Facts = {
            "places": [],
            "dumps": None,
            "used": None,
            "apport": None,
            "pstore": {"kernel": _records(root, PSTORE, 0), "archived": _records(root, ARCHIVED, 2)},
            "events": [],
        }
        yield dict(facts)
        heads = _Heads(root)
        for path in places:
            place, dumps = _place(root, path, places[path], mounts, heads)
            facts["places"] = [*facts["places"], place]
            if dumps or (dumps is not None and places[path] != "abrt"):
                facts["dumps"] = sorted([*(facts["dumps"] or []), *dumps], key=_order)
                facts["used"] = _total(facts["dumps"], "used")
                facts["events"] = [_event(each) for each in facts["dumps"]]
            if path == CRASH:
                facts["apport"] = _apport(root)
            yield dict(facts)
        nothing_known = facts["dumps"] is None and not any(
            each["exists"] is not None for each in facts["places"]
        )
        if nothing_known and facts["pstore"] == {"kernel": None, "archived": None}:
            raise NoData(f"neither {CRASH} nor pstore can be looked into")


class _Heads:
    """Reads the headers of dumps, of a bounded number of them: what each is, and whether it is whole."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.left = MAX_HEADS

    def of(self, path: str, size: Optional[int]) -> Optional[dict[str, Any]]:
        if self.left <= 0:
            return None
        self.left -= 1
        try:
            head = parse_vmcore_head(self.root.peek(path, HEAD_SIZE))
        except OSError:
            return None
        facts = {**asdict(head), "level": None, "build_id": None, "damage": None}
        if head.kind not in KINDS and not head.flattened:
            return facts
        try:
            with self.root.stream(path) as stream:
                source = StreamSource(stream) if stream.seekable() else None
                # Of what is here in part only, nothing but the head can be told.
                if source is not None and source.size >= (size or 0):
                    dump = open_dump(source, headers_only=True)
                    facts.update(asdict(dump.head))
                    facts.update(release=dump.release, machine=dump.machine, timestamp=dump.crash_time)
                    facts.update(level=dump.level, build_id=dump.info.build_id, damage=list(dump.damage))
        except DumpError as problem:
            facts["damage"] = [str(problem)]
        except OSError:
            pass
        return facts


def _place(
    root: Root, path: str, origin: str, mounts: Optional[list[Mount]], heads: _Heads
) -> tuple[dict[str, Any], Optional[list[dict[str, Any]]]]:
    """Return a directory that holds dumps, and the dumps; None when what it holds cannot be known."""
    mount = mount_of(path, mounts)
    exists = root.exists(path)
    usage = root.usage(path) if exists else None
    if exists is False and mount and origin != "abrt":
        usage = root.usage(mount.file)  # where the directory would be made
    nodes = root.listdir(path) if exists else None
    place = {
        "path": path,
        "origin": origin,
        "exists": exists,
        "listed": nodes is not None,
        "mountpoint": mount.file if mount else None,
        "mounted": mount.spec if mount else None,
        "size": usage.size if usage else None,
        "available": usage.available if usage else None,
        "truncated": False,
    }
    if exists is False:
        return place, []
    if nodes is not None:
        folders = [node for node in nodes if node.type == "dir"]
    else:
        # Not listed, but some files of it may have been copied: those of sosreports are.
        paths = {found.rpartition("/")[0] for found in root.glob(path + "/*/*")}
        folders = [Node(found, "dir") for found in sorted(paths)]
        if not folders:
            return place, None
    if origin == "abrt":
        folders = [node for node in folders if node.name.startswith("vmcore-")]
    # By name is by time for all names that kdump gives.
    chosen = sorted(folders, key=lambda node: node.name)[-MAX_DUMPS:]
    place["truncated"] = len(chosen) < len(folders)
    found = (_dump(root, node, origin, heads) for node in reversed(chosen))
    return place, [dump for dump in found if dump is not None]


def _dump(root: Root, folder: Node, origin: str, heads: _Heads) -> Optional[dict[str, Any]]:
    """Return one dump's directory, or None when it is something else."""
    nodes = root.listdir(folder.path)
    listed = nodes is not None
    if nodes is None:
        nodes = [node for path in root.glob(folder.path + "/*") if (node := root.stat(path, follow=False))]
    name = parse_dump_name(folder.name[len("vmcore-") :] if origin == "abrt" else folder.name)
    files = [_file(node) for node in nodes if node.type == "file"]
    if name is None and not any(each["kind"] in _WRITTEN for each in files):
        return None
    known = listed or bool(files)
    for each in files:
        # An empty file has no head, and one that was not copied has none here.
        if each["kind"] in _CORES and each["size"]:
            each["head"] = heads.of(join(folder.path, each["name"]), each["size"])
    cores = [each["name"] for each in files if each["kind"] in _CORES]
    unfinished = [each["name"] for each in files if each["kind"] in _UNFINISHED]
    dump: dict[str, Any] = {
        "path": folder.path,
        "layout": origin if origin == "abrt" else name.layout if name else None,
        "host": name.host if name else None,
        "named_at": name.time if name else None,
        "time": None,
        "time_from": None,
        "mtime": folder.mtime,
        "listed": listed,
        "files": files[:MAX_FILES] if known else None,
        "cores": cores if listed or cores else None,
        "unfinished": unfinished if listed or unfinished else None,
        "size": _total(files, "size") if listed else None,
        "used": (_total(files, "allocated") or _total(files, "size")) if listed else None,
        "readme": _readme(root, folder.path, files),
    }
    dump["time"], dump["time_from"] = _when(dump["named_at"], files)
    return dump


def _file(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "kind": kind_of_dump_file(node.name),
        "size": node.size,
        "allocated": node.allocated,
        "mtime": node.mtime,
        "head": None,
    }


def _total(files: list[dict[str, Any]], field: str) -> Optional[int]:
    sizes = [each[field] for each in files]
    return None if None in sizes else sum(sizes)


def _readme(root: Root, path: str, files: list[dict[str, Any]]) -> Optional[str]:
    """Return what SUSE's tool wrote of the dump: its word on whether it is complete."""
    if not any(each["kind"] == "readme" for each in files):
        return None
    text = root.text(path + "/README.txt", _README_LIMIT)
    return text.strip() if text is not None else None


def _when(named: Optional[int], files: list[dict[str, Any]]) -> tuple[Optional[float], Optional[str]]:
    """Return when the crash was, as exactly as can be told, and what told it.

    The dump's header holds the time of the crash. Else the first file was written within minutes of it;
    but files get copied, so its time counts only when the name, whose zone is not known, does not speak
    against it.
    """
    stamps = [each["head"]["timestamp"] for each in files if each["head"] and each["head"]["timestamp"]]
    if stamps:
        return stamps[0], "header"
    times = [each["mtime"] for each in files if each["mtime"] is not None and each["kind"] in _WRITTEN]
    if times and (named is None or abs(min(times) - named) <= _ZONES):
        return min(times), "files"
    return (named, "name") if named is not None else (None, None)


def _event(dump: dict[str, Any]) -> Event:
    size = dump["size"]
    told = "of unknown size" if size is None else f"of {size / (1 << 20):.1f} MiB"
    state = "unfinished crash dump" if dump["unfinished"] else "crash dump"
    if dump["cores"] == []:
        state = "crash dump without a core"
    head = next((each["head"] for each in dump["files"] or () if each["head"]), None)
    details = {
        "time_from": dump["time_from"],
        "named_at": dump["named_at"],
        "size": size,
        "cores": dump["cores"],
        "unfinished": dump["unfinished"],
        "release": head["release"] if head else None,
    }
    return event(
        "dump",
        f"{state} {told}",
        path=dump["path"],
        time=dump["time"],
        details={key: value for key, value in details.items() if value is not None},
    )


def _order(dump: dict[str, Any]) -> tuple[float, str]:
    return (dump["time"] or 0.0, dump["path"])


def _apport(root: Root) -> Optional[list[dict[str, Any]]]:
    """Return the reports of apport; ``linux-image-*`` are those of kernel crashes."""
    nodes = root.listdir(CRASH)
    if nodes is None:
        return [] if root.exists(CRASH) is False else None
    reports = [node for node in nodes if node.type == "file" and node.name.endswith(".crash")]
    return [
        {
            "path": node.path,
            "kernel": node.name.startswith(("linux-image-", "vmcore")),
            "size": node.size,
            "uid": node.uid,
            "mtime": node.mtime,
        }
        for node in reports[:MAX_FILES]
    ]


def _records(root: Root, path: str, depth: int) -> Optional[list[dict[str, Any]]]:
    """Return the files in a directory and *depth* levels below it; None when it cannot be listed."""
    nodes = root.listdir(path)
    if nodes is None:
        # Without /sys (a disk in rescue mode) a missing folder of it says nothing.
        absent = root.exists(path) is False and (path != PSTORE or root.exists("/sys/fs"))
        return [] if absent else None
    found = []
    for node in nodes[:MAX_FILES]:
        if node.type == "file":
            found.append({"path": node.path, "size": node.size, "mtime": node.mtime})
        elif node.type == "dir" and depth:
            found.extend(_records(root, node.path, depth - 1) or [])
    return found
