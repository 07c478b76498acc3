"""Output of ``df``, with which a sosreport tells how full filesystems were.

Source: coreutils src/df.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_UNITS = {"": 1, **{unit: 1 << 10 * power for power, unit in enumerate("KMGTPE", 1)}}
_DECIMAL = {f"{unit}B": 1000**power for power, unit in enumerate("KMGTPE", 1)}
_HEAD = re.compile(r"Filesystem +(?P<type>Type +)?(?P<count>\d+)(?P<unit>[kKMGTPE]?B?)-blocks +Used +Avail")
_U = "[kKMGTPE]?B?"
"""With -BM and the like each number has its unit behind it."""
_NUMBERS = re.compile(
    rf"(?<=\S) +(?P<size>\d+){_U} +(?P<used>\d+){_U} +(?P<free>-?\d+){_U} +(?:\d+%|-) +(?P<mount>/.*)"
)
_TYPE = re.compile(r"(?<=\S) +\S+$")
LINE_LIMIT = 16 << 10


@dataclass(frozen=True)
class Filesystem:
    """One line of ``df``; sizes in bytes."""

    source: str
    size: int
    used: int
    available: int
    mountpoint: str


def parse_df(text: str) -> list[Filesystem]:
    """Return the filesystems of ``df`` output in blocks of any size, with ``-T``, ``-a``, ``-P`` or without.

    Lines of inode counts (``df -i``), of rounded sizes (``df -h``) and of pseudo filesystems without size
    are left out; a line that ``df`` broke after a long device name is joined again.

    >>> parse_df('''Filesystem  1K-blocks  Used Available Use% Mounted on
    ... /dev/vda1    10000     4000 6000      40%  /boot''')
    [Filesystem(source='/dev/vda1', size=10240000, used=4096000, available=6144000, mountpoint='/boot')]
    """
    found: list[Filesystem] = []
    unit: Optional[int] = None
    typed = False
    held = ""
    for line in text.split("\n"):
        if line.startswith("Filesystem "):
            head = _HEAD.match(line)
            unit = _block_size(head) if head else None
            typed = bool(head and head["type"])
            held = ""
            continue
        line = held + line if line.startswith(" ") else line
        held = ""
        match = _NUMBERS.search(line) if unit and len(line) <= LINE_LIMIT else None
        if match is None:
            held = line if " " not in line else ""
        elif unit and int(match["size"]):
            source = line[: match.start()]
            source = _TYPE.sub("", source) if typed else source
            size, used, free = (int(match[name]) * unit for name in ("size", "used", "free"))
            found.append(Filesystem(source, size, used, free, match["mount"]))
    return found


def _block_size(head: re.Match[str]) -> int:
    unit = head["unit"].upper()
    return int(head["count"]) * (_UNITS.get(unit) or _DECIMAL.get(unit) or 1)


def filesystem_of(path: str, filesystems: list[Filesystem]) -> Optional[Filesystem]:
    """Return the filesystem that holds *path*: the longest mountpoint that is a parent; the last wins."""
    best = None
    for each in filesystems:
        inside = path == each.mountpoint or path.startswith(each.mountpoint.rstrip("/") + "/")
        if inside and (best is None or len(each.mountpoint) >= len(best.mountpoint)):
            best = each
    return best
