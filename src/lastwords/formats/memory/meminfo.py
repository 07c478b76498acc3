"""/proc/meminfo and its twin for each NUMA node, /sys/devices/system/node/node*/meminfo."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(r"^(?:Node\s+\d+\s+)?([A-Za-z][\w()]*):\s+(\d+)( kB)?\s*$", re.MULTILINE)


class Meminfo(NamedTuple):
    """The two kinds of lines that meminfo has."""

    sizes: dict[str, int]
    """Bytes."""
    counts: dict[str, int]
    """Numbers of huge pages of the default size: HugePages_Total, _Free, _Rsvd, _Surp."""


def parse_meminfo(text: str) -> Meminfo:
    """Return the lines by name (fs/proc/meminfo.c, drivers/base/node.c); other lines are passed over.

    >>> parse_meminfo('''MemTotal:       16087436 kB
    ... HugePages_Total:       4
    ... Hugepagesize:       2048 kB''')
    Meminfo(sizes={'MemTotal': 16473534464, 'Hugepagesize': 2097152}, counts={'HugePages_Total': 4})
    >>> parse_meminfo("Node 1 MemFree:        1024 kB").sizes
    {'MemFree': 1048576}
    """
    sizes: dict[str, int] = {}
    counts: dict[str, int] = {}
    for name, value, unit in _LINE.findall(text):
        if unit:
            sizes[name] = int(value) * 1024
        else:
            counts[name] = int(value)
    return Meminfo(sizes, counts)
