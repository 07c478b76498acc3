"""A crash dump: its headers and its log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Optional

from lastwords.formats.vmcore.dump import Dump, open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.printk import KernelLog, Record
from lastwords.formats.vmcore.source import DumpError
from lastwords.model import LastwordsError
from lastwords.roots.images import FileImage, open_image

MAX_LOG = 96 << 20
"""Bytes of the log that are held; the greatest buffer of a distribution's kernel is some MiB."""
_UTS = 65
"""Bytes of a field of struct new_utsname (include/uapi/linux/utsname.h)."""


class NoDump(LastwordsError):
    """The file is no crash dump, or of a kind that is not read."""


@dataclass
class Vmcore:
    """A dump with its log, as far as it can be read."""

    path: str
    image: FileImage
    dump: Dump
    kernel: Optional[Kernel] = None
    log: list[Record] = field(default_factory=list)
    log_kind: Optional[str] = None
    lost: int = 0
    missing: list[dict[str, Optional[str]]] = field(default_factory=list)

    def lacks(self, what: str, why: object, remedy: Optional[str] = None) -> None:
        """Note that *what* cannot be told."""
        self.missing.append({"what": what, "why": str(why), "remedy": remedy})

    @property
    def uptime(self) -> Optional[float]:
        """Seconds from boot to the last message."""
        return max((record.time for record in self.log), default=0) / 1e9 or None

    @property
    def booted(self) -> Optional[float]:
        """When it booted, seconds since the epoch: the crash was when its last message was."""
        crashed, uptime = self.dump.crash_time, self.uptime
        return crashed - uptime if crashed and uptime else None

    @property
    def damage(self) -> list[str]:
        """How the file is known to be cut, unfinished or damaged."""
        return [*([self.image.damage] if self.image.damage else []), *self.dump.damage]

    @property
    def names(self) -> dict[str, Optional[str]]:
        """``version`` (uname -v) and ``hostname``: the header's, else those in the kernel's memory."""
        head, info = self.dump.head, self.dump.info
        names = {"version": head.build, "hostname": head.hostname}
        at = info.find_symbol("init_uts_ns")
        if self.kernel is not None and at is not None and not all(names.values()):
            try:
                at += info.offset("uts_namespace.name")
                names = {
                    "version": self.kernel.string(at + 3 * _UTS, _UTS),
                    "hostname": self.kernel.string(at + _UTS, _UTS),
                }
            except DumpError:
                pass
        return {key: value if value != "(none)" else None for key, value in names.items()}

    def close(self) -> None:
        """Close the file."""
        self.image.close()


def open_vmcore(path: str) -> Vmcore:
    """Open a dump and read its log.

    :raises LastwordsError: it is none, or its headers make no sense; one clear line
    """
    image = open_image(path)
    try:
        dump = open_dump(image)
    except DumpError as problem:
        image.close()
        raise NoDump(f"{path}: {problem}{f' (inside {image.wrapped})' if image.wrapped else ''}") from None
    except BaseException:
        image.close()
        raise
    core = Vmcore(path, image, dump)
    try:
        core.kernel = Kernel(dump)
        log = KernelLog(core.kernel)
        core.log_kind = log.kind
    except DumpError as problem:
        core.lacks("the kernel log", problem)
        return core
    try:
        size = 0
        for record in log:
            core.log.append(record)
            size += len(record.text) + 200
            if size > MAX_LOG:
                core.lacks("the rest of the kernel log", f"longer than {MAX_LOG} bytes")
                break
    except DumpError as problem:
        core.lacks("the rest of the kernel log" if core.log else "the kernel log", problem)
    core.lost = log.lost
    if log.lost:
        core.lacks(f"{log.lost} records of the kernel log", "their pages are not in the dump")
    return core


def log_text(log: Iterable[Record], caller: bool = False) -> Iterator[bytes]:
    """Yield the lines of a log as ``makedumpfile --dump-dmesg`` prints them, each with its end."""
    for record in log:
        yield record.line(caller) + b"\n"
