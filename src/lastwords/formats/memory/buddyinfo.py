"""Free memory by block size: /proc/buddyinfo and /proc/pagetypeinfo."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

_BUDDY = re.compile(r"^Node\s+(\d+), zone\s+(\S+)((?:[ \t]+>?\d+)+)[ \t]*$", re.MULTILINE)
_TYPED = re.compile(r"^Node\s+(\d+), zone\s+(\S+), type\s+(\S+)((?:[ \t]+>?\d+)+)[ \t]*$", re.MULTILINE)
_BLOCKS_HEAD = re.compile(r"^Number of blocks type((?:[ \t]+\S+)+)[ \t]*$", re.MULTILINE)


class FreeBlocks(NamedTuple):
    """The free blocks of a zone, by order: block *n* of them is 2**n pages long."""

    node: int
    zone: str
    type: Optional[str]
    """Migrate type (Unmovable, Movable, Reclaimable, HighAtomic ...), or None for all together."""
    free: tuple[int, ...]


class PageBlocks(NamedTuple):
    """How many page blocks of each migrate type a zone has."""

    node: int
    zone: str
    blocks: dict[str, int]


def parse_buddyinfo(text: str) -> list[FreeBlocks]:
    """Return the free blocks of each zone.

    >>> parse_buddyinfo("Node 0, zone   Normal   7   0   1 ")
    [FreeBlocks(node=0, zone='Normal', type=None, free=(7, 0, 1))]
    """
    return [FreeBlocks(int(m[1]), m[2], None, _counts(m[3])) for m in _BUDDY.finditer(text)]


def parse_pagetypeinfo(text: str) -> tuple[list[FreeBlocks], list[PageBlocks]]:
    """Return the free blocks of each zone and migrate type, and the page blocks of each zone.

    From 5.5 on the kernel stops counting at 100,000 and prints ``>100000`` (mm/vmstat.c): it is
    returned as 100,000.

    >>> free, blocks = parse_pagetypeinfo('''Node    0, zone   Normal, type    Unmovable >100000     2
    ... Number of blocks type     Unmovable      Movable
    ... Node 0, zone   Normal            10           90''')
    >>> free
    [FreeBlocks(node=0, zone='Normal', type='Unmovable', free=(100000, 2))]
    >>> blocks
    [PageBlocks(node=0, zone='Normal', blocks={'Unmovable': 10, 'Movable': 90})]
    """
    free = [FreeBlocks(int(m[1]), m[2], m[3], _counts(m[4])) for m in _TYPED.finditer(text)]
    head = _BLOCKS_HEAD.search(text)
    if head is None:
        return free, []
    types = head[1].split()
    rows = parse_buddyinfo(text[head.end() :])
    return free, [PageBlocks(row.node, row.zone, dict(zip(types, row.free))) for row in rows]


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(number.lstrip(">")) for number in text.split())
