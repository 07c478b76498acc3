"""The swap areas in /proc/swaps, and the counters of compressed swap devices (zram)."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from lastwords.formats.system.mounts import unescape

_LINE = re.compile(
    r"^(/\S*(?: \(deleted\))?|\S+)\s+(partition|file)\s+(\d+)\s+(\d+)\s+(-?\d+)\s*$", re.MULTILINE
)
_MM_STAT = (
    "orig_data_size",
    "compr_data_size",
    "mem_used_total",
    "mem_limit",
    "mem_used_max",
    "same_pages",
    "pages_compacted",
    "huge_pages",
    "huge_pages_since",
)


class Swap(NamedTuple):
    """One swap area; sizes in bytes."""

    name: str
    type: str
    """``partition`` or ``file``."""
    size: int
    used: int
    priority: int


def parse_swaps(text: str) -> list[Swap]:
    """Return the active swap areas (swap_show, mm/swapfile.c).

    >>> parse_swaps('''Filename    Type  Size  Used  Priority
    ... /dev/dm-1   partition   2097148   1024   -2''')
    [Swap(name='/dev/dm-1', type='partition', size=2147479552, used=1048576, priority=-2)]
    """
    return [
        Swap(unescape(name), kind, int(size) * 1024, int(used) * 1024, int(priority))
        for name, kind, size, used, priority in _LINE.findall(text)
    ]


def parse_zram_mm_stat(text: str) -> dict[str, Optional[int]]:
    """Return the columns of /sys/block/zram*/mm_stat; those that the kernel does not have yet are None.

    Source: Documentation/admin-guide/blockdev/zram.rst; bytes, but for counts of pages in the last four.

    >>> parse_zram_mm_stat("8192 200 12288 0 12288 1 0")["compr_data_size"]
    200
    """
    numbers = [int(word) for word in text.split() if word.isdigit()]
    return {name: numbers[at] if at < len(numbers) else None for at, name in enumerate(_MM_STAT)}


def chosen(text: str) -> Optional[str]:
    """Return the chosen one of a list of choices as sysfs shows it, or the only word.

    >>> chosen("always [madvise] never"), chosen("lz4"), chosen("")
    ('madvise', 'lz4', None)
    """
    match = re.search(r"\[([^\]\s]+)\]", text)
    if match:
        return match[1]
    words = text.split()
    return words[0] if len(words) == 1 else None
