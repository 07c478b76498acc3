"""What a kernel says at its start of its memory, and of what it keeps for a crash kernel."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

WORDS = ("K available (", "for crashkernel (System RAM", "crashkernel reserved: ")
"""Every such line holds one of these."""
_MEMORY = re.compile(r"^Memory: \d{1,15}[kK]/(\d{1,15})[kK] available \(")
_RESERVING = re.compile(
    r"^Reserving (\d{1,9})MB of memory at \d{1,15}MB for crashkernel \(System RAM: (\d{1,12})MB\)"
)
_RESERVED = re.compile(r"^crashkernel reserved: 0x[0-9a-f]{1,16} - 0x[0-9a-f]{1,16} \((\d{1,9}) MB\)")


class Told(NamedTuple):
    """What one line tells, in bytes; None what it does not."""

    memory: Optional[int] = None
    """All that the kernel has: of a crash kernel, what was reserved for it."""
    reserved: Optional[int] = None


def memory_told(text: str) -> Optional[Told]:
    """Return what a line of the kernel tells of its memory; None when it is another line.

    Sources: mm/mm_init.c (until 6.2 mm/page_alloc.c); the architectures' ``reserve_crashkernel()`` until 6.8,
    kernel/crash_reserve.c after.

    >>> memory_told("Memory: 11196K/65516K available (14343K kernel code, 2327K rwdata)").memory >> 10
    65516
    >>> memory_told("Reserving 64MB of memory at 432MB for crashkernel (System RAM: 511MB)").reserved >> 20
    64
    >>> memory_told("crashkernel reserved: 0x0000000017000000 - 0x000000001f000000 (128 MB)").reserved >> 20
    128
    >>> memory_told("Memory: low")
    """
    if match := _MEMORY.match(text):
        return Told(memory=int(match[1]) << 10)
    if match := _RESERVING.match(text):
        return Told(memory=int(match[2]) << 20, reserved=int(match[1]) << 20)
    if match := _RESERVED.match(text):
        return Told(reserved=int(match[1]) << 20)
    return None
