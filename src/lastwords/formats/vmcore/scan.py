"""Searches the memory of a kernel, where nothing tells where a thing is."""

from __future__ import annotations

from collections.abc import Iterator

from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.source import Missing

_PIECE = 1 << 20
_PAGE = 4096


def scan(kernel: Kernel, start: int, size: int, pattern: bytes) -> Iterator[int]:
    """Yield the addresses in *size* bytes from *start* at which *pattern* stands."""
    start &= -_PAGE
    tail = b""
    for at in range(start, start + size, _PIECE):
        piece = tail + readable(kernel, at, _PIECE)
        hit = piece.find(pattern)
        while hit >= 0:
            yield at - len(tail) + hit
            hit = piece.find(pattern, hit + 1)
        tail = piece[-len(pattern) + 1 :]


def readable(kernel: Kernel, address: int, size: int) -> bytes:
    """Return memory, with zeros for pages that are not there."""
    try:
        return kernel.read(address, size)
    except Missing:
        if address // _PAGE == (address + size - 1) // _PAGE:
            return bytes(size)
    half = max(_PAGE - address % _PAGE, size // 2 & -_PAGE) if size > _PAGE else _PAGE - address % _PAGE
    return readable(kernel, address, half) + readable(kernel, address + half, size - half)
