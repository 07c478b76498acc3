"""The kernel's object caches in /proc/slabinfo."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(
    r"^(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*:\s*tunables\s[\s\d]*:\s*slabdata\s+(\d+)\s+(\d+)\s",
    re.MULTILINE,
)


class Cache(NamedTuple):
    """One cache."""

    name: str
    active_objects: int
    objects: int
    object_size: int
    """Bytes."""
    pages_per_slab: int
    slabs: int

    @property
    def pages(self) -> int:
        """Pages that the cache holds, in use or not."""
        return self.slabs * self.pages_per_slab


def parse_slabinfo(text: str) -> list[Cache]:
    """Return the caches of /proc/slabinfo, version 2 (slabinfo(5)); other lines are passed over.

    >>> parse_slabinfo('''slabinfo - version: 2.1
    ... dentry   83706  84168    192   21    1 : tunables    0    0    0 : slabdata   4008   4008      0''')
    ... # doctest: +NORMALIZE_WHITESPACE
    [Cache(name='dentry', active_objects=83706, objects=84168, object_size=192, pages_per_slab=1, slabs=4008)]
    """
    found = []
    for match in _LINE.finditer(text):
        numbers = [int(match[group]) for group in (2, 3, 4, 6, 8)]
        found.append(Cache(match[1], *numbers))
    return found
