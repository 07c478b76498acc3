"""Records of pstore: the last kernel messages, cut into parts that fit where they are stored.

Part 1 holds the newest lines: the log is the parts from the highest number down. Each begins with a line
``Panic#2 Part1``. Source: fs/pstore/platform.c (``pstore_dump``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

HEAD = 64
"""Bytes that are enough to tell."""
_HEAD = re.compile(rb"(?P<reason>[A-Z][a-z]{2,15})#(?P<count>\d{1,9}) Part(?P<part>\d{1,9})\r?\n")


@dataclass(frozen=True)
class Part:
    """What the first line of a part says."""

    reason: str
    """``Panic``, ``Oops``, ``Emergency``, ``Shutdown``, ``Unknown``."""
    count: int
    """Which dump since boot."""
    number: int
    """Which part, from 1: the newest lines."""
    size: int
    """Bytes of that line."""


def part_of(head: bytes) -> Optional[Part]:
    """Return what the beginning of a file says, or None when it is no part of a record.

    >>> part_of(b"Oops#1 Part2\\n<6>[    0.000000] Linux version")
    Part(reason='Oops', count=1, number=2, size=13)
    >>> part_of(b"[    0.000000] Linux version") is None
    True
    """
    match = _HEAD.match(head)
    if match is None:
        return None
    return Part(str(match["reason"], "ascii"), int(match["count"]), int(match["part"]), match.end())
