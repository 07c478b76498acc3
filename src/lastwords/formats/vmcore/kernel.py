"""The virtual memory of the kernel that crashed: numbers, strings and bytes at its addresses."""

from __future__ import annotations

from typing import Optional

from lastwords.formats.vmcore.dump import Dump
from lastwords.formats.vmcore.paging import paging_of
from lastwords.formats.vmcore.source import DumpError, Missing

MOST = 32 << 20
"""Bytes that one read may ask for: more is a count gone wild."""
_CHUNK = 1 << 14
_CHUNKS = 256


class Kernel:
    """Reads the kernel's memory."""

    def __init__(self, dump: Dump) -> None:
        """Find the page tables. :raises DumpError: VMCOREINFO does not tell enough"""
        self.info = dump.info
        self._memory = dump.file
        self._paging = paging_of(dump)
        self._order = "big" if dump.head.byte_order == "big" else "little"
        self.word = 4 if dump.head.bits == 32 else 8
        """Bytes of a pointer and of a long."""

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes at a virtual address. :raises Missing: not all of them are there"""
        if not 0 <= size <= MOST:
            raise DumpError(f"expected to read at most {MOST} bytes at {address:#x}, not {size}")
        place, left = self._paging.translate(address)
        if size <= left:
            return self._memory.read(place, size)
        out = bytearray()
        while True:
            out += self._memory.read(place, min(left, size - len(out)))
            if len(out) == size:
                return bytes(out)
            place, left = self._paging.translate(address + len(out))

    def number(self, address: int, size: int = 4, signed: bool = False) -> int:
        """Return an integer of *size* bytes."""
        return self.integer(self.read(address, size), signed)

    def pointer(self, address: int) -> int:
        """Return a pointer or an unsigned long."""
        return self.integer(self.read(address, self.word))

    def integer(self, data: bytes, signed: bool = False) -> int:
        """Return bytes as an integer in the byte order of the dump."""
        return int.from_bytes(data, "little" if self._order == "little" else "big", signed=signed)

    def string(self, address: int, limit: int = 256) -> str:
        """Return the text that ends at a zero byte, at most *limit* bytes of it."""
        out = b""
        while len(out) < limit:
            piece = self.read(address + len(out), min(64 - (address + len(out)) % 64, limit - len(out)))
            head, end, _ = piece.partition(b"\0")
            out += head
            if end:
                break
        return out.decode("utf-8", "replace")


class Region:
    """A table in the kernel's memory that is read piece by piece, with what was read before kept."""

    def __init__(self, kernel: Kernel, address: int, size: int) -> None:
        self._kernel, self._address, self.size = kernel, address, size
        self._kept: dict[int, Optional[bytes]] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the table. :raises Missing: they are not in the dump, or beyond the table"""
        if not 0 <= offset <= self.size - size:
            raise Missing(f"{size} bytes at {offset} of a table of {self.size} bytes")
        number, skip = divmod(offset, _CHUNK)
        if skip + size > _CHUNK:
            return self._kernel.read(self._address + offset, size)
        if number not in self._kept:
            if len(self._kept) >= _CHUNKS:
                self._kept.clear()
            start = number * _CHUNK
            try:
                self._kept[number] = self._kernel.read(self._address + start, min(_CHUNK, self.size - start))
            except Missing:
                self._kept[number] = None
        chunk = self._kept[number]
        if chunk is None:  # some of it is missing, perhaps not this
            return self._kernel.read(self._address + offset, size)
        return chunk[skip : skip + size]
