"""Whether two reports are of the same bug: keys that stay the same from machine to machine.

*merge*: the title and its alternatives. Two reports are of one bug when they have one of them in common;
these are the titles of the public dashboards, so that a bug can be searched there.

*split*: a hash over kind, guilty frame, the next reliable frames and their module: it tells apart what bears
the same title and dies on different ways. CPU, process, addresses, offsets, times, release and taint never
enter it. A report without frames is in a class of its own, ``EMPTY:<kind>``, never in one with a hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from lastwords.formats.crash.skip import ANCHORS, TELLS_LITTLE

if TYPE_CHECKING:  # They are costly to import, and whoever needs the version alone has none.
    from lastwords.formats.crash.frames import Frame
    from lastwords.formats.crash.reports import Report
    from lastwords.formats.failures.reader import Failure

VERSION = 1
"""Of the way the split key is made: keys of different versions cannot be compared."""
FRAMES = 3
"""Frames that enter the split key, after the guilty one."""


@dataclass(frozen=True)
class Signature:
    """The keys of one report."""

    merge: tuple[str, ...]
    """Title and alternatives, the title first."""
    split: str

    def to_json(self) -> dict[str, Any]:
        """Return it as the JSON object of ``schemas/crash_log.json``."""
        return {"version": VERSION, "merge": list(self.merge), "split": self.split}


def signature_of_report(report: Report) -> Signature:
    """Return the keys of a kernel report."""
    merge = (report.title, *report.alts)
    names = _names(report.frames, report.frame)
    if not names or report.frame == "corrupted":
        return Signature(merge, f"EMPTY:{report.kind}")
    module = next((f.module for f in report.frames if f.name == names[0] and f.module), None)
    return Signature(merge, _hash(report.kind, report.frame or "", *names, module or ""))


def signature_of_failure(failure: Failure, title: str) -> Signature:
    """Return the keys of a boot or a dump that failed: stage, class and what kind of device was meant."""
    return Signature((title,), _hash(failure.area, failure.stage, failure.name, device_class(failure.device)))


def device_class(device: Optional[str]) -> str:
    """Return what kind of device a name is of, without what differs between machines.

    >>> [device_class(name) for name in ("UUID=11-22", "/dev/nvme0n1p2", "/dev/mapper/vg-root", None)]
    ['UUID', 'nvme', 'mapper', '']
    """
    if not device:
        return ""
    if "=" in device:
        return device.partition("=")[0]
    last = device.removeprefix("/dev/") if device.startswith("/dev/") else device
    return "".join(c for c in last.partition("/")[0] if c.isalpha() or c == "-").partition("np")[0].strip("-")


def _names(frames: tuple[Frame, ...], guilty: Optional[str]) -> list[str]:
    """Return the guilty frame and those after it: reliable ones that say something."""
    names = [frame.name for frame in frames if frame.reliable]
    if guilty in names:
        names = names[names.index(guilty) :]
    telling = [name for name in names if not TELLS_LITTLE.search(name) and not ANCHORS.search(name)]
    return (telling or names)[: FRAMES + 1]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join((str(VERSION), *parts)).encode()).hexdigest()[:16]
