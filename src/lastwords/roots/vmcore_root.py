"""A crash dump as a root: its log is what ``dmesg`` prints.

Of the memory nothing but that ever gets into a bundle.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from lastwords.formats.vmcore.printk import Record
from lastwords.roots.base import CommandSource, Output, Root
from lastwords.roots.trees import Node, Tree
from lastwords.roots.vmcore import log_text, open_vmcore

DMESG = ("dmesg",)


class _Files(Tree):
    """What /proc would have told, as far as the dump tells it."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = {path: text.encode() for path, text in files.items()}

    def lists(self, path: str) -> bool:
        return False

    def knows_absence(self, path: str) -> bool:
        return False

    def lookup(self, path: str) -> Node:
        if path in self._files:
            return Node(path, "file", size=len(self._files[path]))
        if any(each.startswith(path.rstrip("/") + "/") for each in self._files):
            return Node(path, "dir")
        raise FileNotFoundError(2, "not in a crash dump")

    def names(self, path: str) -> list[str]:
        top = path.rstrip("/") + "/"
        return sorted({each[len(top) :].partition("/")[0] for each in self._files if each.startswith(top)})

    def open(self, path: str) -> BinaryIO:
        if path not in self._files:
            raise FileNotFoundError(2, "not in a crash dump")
        return io.BytesIO(self._files[path])


class _Log(CommandSource):
    """``dmesg`` prints the log that is in the dump."""

    def __init__(self, log: list[Record]) -> None:
        self._log = log

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        if tuple(argv) != DMESG or not self._log:
            raise FileNotFoundError(2, "not in a crash dump")
        return Output(DMESG, b"".join(log_text(self._log)), 0)

    def stream(self, argv: Sequence[str], timeout: float) -> AbstractContextManager[BinaryIO]:
        return io.BytesIO(self.output(argv, timeout).stdout)


def vmcore_root(path: str) -> Root:
    """Return a dump as a root: of the host it shows the log, the kernel's name and when it booted.

    :raises LastwordsError: it is none, or cannot be read
    """
    core = open_vmcore(path)
    names = core.names
    core.close()
    told = {
        "/proc/sys/kernel/osrelease": core.dump.release,
        "/proc/sys/kernel/version": names["version"],
        "/proc/sys/kernel/hostname": names["hostname"],
        "/proc/sys/kernel/arch": core.dump.machine,
    }
    files = {path: text + "\n" for path, text in told.items() if text}
    if core.booted is not None:
        files["/proc/stat"] = f"btime {core.booted:.0f}\n"
    notes = [f"{each['what']}: {each['why']}" for each in core.missing]
    notes += core.damage
    return Root(
        "vmcore",
        _Files(files),
        commands=_Log(core.log),
        taken_at=float(core.dump.crash_time) if core.dump.crash_time else None,
        where=core.path,
        notes=notes,
    )
