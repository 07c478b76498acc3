"""Finds what crashed kernels had said: the logs that kdump saved, and those still inside the dumps alone.

Of a dump's memory nothing but its log gets out. The log counts as what ``lastwords vmcore --dmesg`` prints of
the file, and is kept as such.
"""

from __future__ import annotations

import errno
import io
import posixpath
from collections.abc import Callable, Iterator
from typing import Optional

from lastwords.collectors.kdump_config import (
    dump_directories,
    is_network,
    mount_of,
    read_config,
    read_mounts,
)
from lastwords.formats.kdump.dump_names import kind_of_dump_file
from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.head import HEAD_SIZE, VmcoreHead, parse_vmcore_head
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.printk import KernelLog
from lastwords.formats.vmcore.source import DumpError
from lastwords.roots.base import Root, join
from lastwords.roots.images import StreamSource
from lastwords.roots.lines import Line, Search, read_lines
from lastwords.roots.trees import Node

LOGS = ("vmcore-dmesg*.txt", "dmesg*")
"""Names of saved logs, in the directory of each dump."""
READ = ("lastwords", "vmcore", "--dmesg")
MAX_FOLDERS = 20
"""Directories that are looked into for dumps without a saved log; the newest by name."""
MAX_DUMPS = 4
"""Dumps whose logs are read out of them."""
STREAM_LIMIT = 8 << 30
"""Bytes of a dump in stream form whose log is looked for: of such a one, all is gone through."""
LOG_LIMIT = 32 << 20
"""Bytes of one log."""


def crash_places(root: Root) -> tuple[list[str], list[str]]:
    """Return the directories that hold dumps: those on this machine, and those that need another one."""
    mounts = read_mounts(root)
    found = list(dump_directories(root, read_config(root), mounts))
    far = [path for path in found if is_network(mount_of(path, mounts))]
    return [path for path in found if path not in far], far


def dumps_without_log(root: Root, place: str) -> list[Node]:
    """Return the dumps of a directory beside which no log was saved, newest first."""
    folders = [node for node in root.listdir(place) or () if node.type == "dir"]
    folders.sort(key=lambda node: node.name, reverse=True)
    found: list[Node] = []
    for folder in folders[:MAX_FOLDERS]:
        nodes = [node for node in root.listdir(folder.path) or () if node.type == "file" and node.size]
        kinds = {node.path: kind_of_dump_file(node.name) for node in nodes}
        if not {"dmesg", "dmesg-incomplete"} & set(kinds.values()):
            found += [node for node in nodes if kinds[node.path] in ("core", "core-incomplete")][:1]
    return found


def head_of(root: Root, dump: Node) -> VmcoreHead:
    """Return the head of a dump. Raise OSError."""
    return parse_vmcore_head(root.peek(dump.path, HEAD_SIZE))


def crash_time_beside(root: Root, log: str) -> Optional[float]:
    """Return when the kernel died whose log was saved, as the dump that lies beside tells it, or None.

    The log itself is written by the crash kernel, seconds to minutes later.
    """
    for node in root.listdir(posixpath.dirname(log)) or ():
        if node.type == "file" and node.size and kind_of_dump_file(node.name) in ("core", "core-incomplete"):
            try:
                return head_of(root, node).timestamp
            except OSError:
                continue
    return None


def log_in_dump(root: Root, dump: Node, head: VmcoreHead) -> Callable[[Search], Iterator[Line]]:
    """Return what yields the lines of the log inside a dump, without secrets, as :meth:`Root.lines` does.

    :raises OSError: it cannot be read, or holds no log that can be found
    """
    if root.kind == "bundle":
        return lambda search: root.run_lines((*READ, dump.path), search=search)
    if head.flattened and (dump.size or 0) > STREAM_LIMIT:
        raise OSError(errno.EFBIG, f"a stream of over {STREAM_LIMIT} bytes: lastwords vmcore reads it")
    with root.stream(dump.path) as stream:
        if not stream.seekable():
            raise OSError(errno.ESPIPE, "cannot be read here and there in this input")
        text = _text(StreamSource(stream))
    return lambda search: read_lines(io.BytesIO(text), search)


def _text(source: StreamSource) -> bytes:
    out = io.BytesIO()
    try:
        for record in KernelLog(Kernel(open_dump(source))):
            out.write(record.line() + b"\n")
            if out.tell() > LOG_LIMIT:
                break
    except DumpError as problem:
        if not out.tell():
            raise OSError(errno.EINVAL, str(problem)) from None
    return out.getvalue()


def saved_logs(place: str) -> tuple[str, ...]:
    """Return the patterns of the logs that were saved beside the dumps of a directory."""
    return tuple(join(place, f"*/{name}") for name in LOGS)
