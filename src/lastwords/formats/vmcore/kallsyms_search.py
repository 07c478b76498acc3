"""Finds the symbol table of kernels that do not tell where it is: those before 6.0.

The table of tokens is known by the ten digits, each a token of its own, in a row. Before it lie the
markers (where each 256th name starts), the names, their number, the base and the offsets, in this order
from 4.6 to 6.3 (scripts/kallsyms.c). Each part is checked against its neighbours, so nothing is guessed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.scan import readable, scan
from lastwords.formats.vmcore.source import DumpError

SEARCHED = 96 << 20
"""Bytes from the start of the kernel's code that are searched."""
_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_LONGEST_TOKENS = 1 << 14
_EACH = 256
"""Names between two markers."""
_FEWEST = 4096
_LONGEST = (2 << 20, 8 << 20)
"""Bytes of the names of most kernels and of the greatest, with what lies between them and the tokens."""


@dataclass(frozen=True)
class Place:
    """Where the parts of the table are."""

    names: int
    count: int
    tokens: int
    index: int
    offsets: int
    base: Optional[int]
    """The value that offsets are relative to; None in 7.x, where each is relative to its own place."""


def search(kernel: Kernel) -> Place:
    """Return where the symbol table is. :raises DumpError: it was not found"""
    for hit in scan(kernel, kernel.info.symbol("_stext"), SEARCHED, _DIGITS):
        found = _around(kernel, hit)
        if found is not None:
            return found
    raise DumpError(
        "VMCOREINFO does not tell where the symbol table is (kernels since 6.0 do), nor was it found"
    )


def _around(kernel: Kernel, zero: int) -> Optional[Place]:
    """Return the table whose token ``0`` is at *zero*, or None when there is none around it."""
    try:
        before = readable(kernel, zero - _LONGEST_TOKENS // 4, _LONGEST_TOKENS // 4)
        # 48 tokens stand before that of the character "0".
        at = len(before) - 1
        for _ in range(ord("0")):
            at = before.rfind(b"\0", 0, at)
        tokens = zero - len(before) + at + 1
        table = readable(kernel, tokens, _LONGEST_TOKENS)
        places, at = [], 0
        for _ in range(256):
            places.append(at)
            at = table.index(b"\0", at) + 1
        index = tokens + (at + 7 & -8)
        if struct.unpack("<256H", kernel.read(index, 512)) != tuple(places):
            return None
        return next((found for size in _LONGEST if (found := _names(kernel, tokens, index, size))), None)
    except (DumpError, ValueError):
        return None


def _names(kernel: Kernel, tokens: int, index: int, size: int) -> Optional[Place]:
    """Return the table whose tokens these are: a number, so many names after it, and markers that fit."""
    start = tokens - size
    window = readable(kernel, start, size)
    for number, (count, zero) in enumerate(struct.iter_unpack("<II", window)):
        at = 8 * number
        names = len(window) - at - 8
        if zero or count < _FEWEST or not 5 * count < names < 40 * count:
            continue
        # The base before it is an address of the kernel.
        if window[at - 2 : at] == b"\xff\xff" and _fits(window, at + 8, count):
            offsets = start + at - 8 - (4 * count + 7 & -8)
            return Place(start + at + 8, count, tokens, index, offsets, kernel.pointer(start + at - 8))
    return None


def _fits(window: bytes, names: int, count: int) -> bool:
    """Return whether so many names lie there, and then markers: where the first and the 257th begin."""
    at, second = names, 0
    for i in range(count):
        if i == _EACH:
            second = at - names
        if at >= len(window):
            return False
        length = window[at]
        at += 1
        if length & 0x80 and at < len(window):
            length = length & 0x7F | window[at] << 7
            at += 1
        at += length
    after = names + (at - names + 7 & -8)
    # Since 4.20 markers are four bytes wide, before eight.
    return any(
        window[after : after + 2 * width] == bytes(width) + second.to_bytes(width, "little")
        for width in (4, 8)
    )
