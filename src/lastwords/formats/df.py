"""Output of ``df``, with which a sosreport tells how full filesystems were."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Filesystem:
    """One line of ``df``; sizes in bytes."""

    source: str
    size: int
    used: int
    available: int
    mountpoint: str


def parse_df(text: str) -> list[Filesystem]:
    """Return the filesystems of ``df`` output in 1 KiB (or ``-T``, or otherwise headed) blocks.

    Lines of inode counts (``df -i``) and of pseudo filesystems without size are left out; a line that
    ``df`` broke after a long device name is joined again.

    >>> parse_df('''Filesystem  1K-blocks  Used Available Use% Mounted on
    ... /dev/vda1    10000     4000 6000      40%  /boot''')
    [Filesystem(source='/dev/vda1', size=10240000, used=4096000, available=6144000, mountpoint='/boot')]
    """
    found: list[Filesystem] = []
    unit = 1024
    held = ""
    for line in text.splitlines():
        if line.startswith("Filesystem"):
            head = re.search(r"(\d+)([KMG]?)B?-blocks", line)
            inodes = "Inodes" in line
            factor = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
            unit = 0 if inodes else int(head[1]) * factor[head[2]] if head else 1024
            continue
        if not unit:
            continue
        line, held = held + line, ""
        match = re.match(
            r"^(?P<source>\S.*?)\s+(?:[a-z][\w.]*\s+)?(?P<size>\d+)\s+(?P<used>\d+)\s+(?P<free>-?\d+)\s+"
            r"(?:\d+%|-)\s+(?P<mount>/.*)$",
            line,
        )
        if match is None:
            held = line + " " if line.startswith("/") and " " not in line.strip() else ""
            continue
        size = int(match["size"]) * unit
        if size:
            found.append(
                Filesystem(
                    match["source"],
                    size,
                    int(match["used"]) * unit,
                    int(match["free"]) * unit,
                    match["mount"],
                )
            )
    return found


def filesystem_of(path: str, filesystems: list[Filesystem]) -> Filesystem | None:
    """Return the filesystem that holds *path*: the longest mountpoint that is a parent; the last wins."""
    best = None
    for each in filesystems:
        inside = path == each.mountpoint or path.startswith(each.mountpoint.rstrip("/") + "/")
        if inside and (best is None or len(each.mountpoint) >= len(best.mountpoint)):
            best = each
    return best
