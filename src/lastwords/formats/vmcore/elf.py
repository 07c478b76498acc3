"""ELF cores of a kernel: /proc/vmcore, makedumpfile -E, QEMU's dump-guest-memory, virsh dump.

Sources: include/uapi/linux/elf.h; fs/proc/vmcore.c; dump/dump.c of QEMU, which puts the program headers
anywhere and, with paging, lets segments overlap.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.head import VmcoreHead
from lastwords.formats.vmcore.source import DumpError, Missing, Source, need

NOTES_LIMIT = 16 << 20
MAX_SEGMENTS = 1 << 20
_LOAD, _NOTE = 1, 4
_MANY = 0xFFFF
_BATCH = 4096


@dataclass(frozen=True)
class Note:
    """One note."""

    name: bytes
    type: int
    data: bytes


def parse_notes(data: bytes, order: str = "<") -> Iterator[Note]:
    """Yield the notes of a segment; what does not fit ends them."""
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from(order + "III", data, at)
        start = at + 12 + (name_size + 3 & ~3)
        if not (name_size or size) or start + size > len(data):
            return
        yield Note(data[at + 12 : at + 12 + name_size].rstrip(b"\0"), kind, data[start : start + size])
        at = start + (size + 3 & ~3)


class ElfFile:
    """The segments of one core, by physical and by virtual address."""

    level: Optional[int] = None
    page_size = 4096
    """What :attr:`pages` counts."""

    def __init__(self, source: Source, head: VmcoreHead) -> None:
        """Read the program headers. :raises DumpError: they make no sense"""
        self._source = source
        self._order, self._wide = head.order, head.bits == 64
        self._end = 0
        physical: list[tuple[int, int, int]] = []
        virtual: list[tuple[int, int, int]] = []
        notes = []
        for kind, offset, address, place, size in self._headers():
            if kind == _NOTE:
                if size > NOTES_LIMIT:
                    raise DumpError(f"notes of {size} bytes, expected at most {NOTES_LIMIT}")
                notes.append(need(source, offset, size, "the notes") if size else b"")
            elif kind == _LOAD and size:
                self._end = max(self._end, offset + size)
                physical.append((place, offset, size))
                if address:
                    virtual.append((address, place, size))
        self.notes = b"".join(notes)
        self.info = next(
            (n.data for n in parse_notes(self.notes, self._order) if n.name == b"VMCOREINFO"), b""
        )
        self._physical = _Spans(physical)
        self.virtual = _Spans(virtual)
        """Virtual addresses to physical ones, where the writer noted them."""

    def _headers(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield type, offset in the file, virtual and physical address and size in the file."""
        if self._wide:
            raw = need(self._source, 0, 64, "the ELF header")
            at, sections = struct.unpack_from(self._order + "QQ", raw, 32)
            size, count = struct.unpack_from(self._order + "HH", raw, 54)
            shape = struct.Struct(self._order + "IIQQQQQQ")
            pick = (0, 2, 3, 4, 5)
        else:
            raw = need(self._source, 0, 52, "the ELF header")
            at, sections = struct.unpack_from(self._order + "II", raw, 28)
            size, count = struct.unpack_from(self._order + "HH", raw, 42)
            shape = struct.Struct(self._order + "IIIIIIII")
            pick = (0, 1, 2, 3, 4)
        if count == _MANY:
            place = sections + (44 if self._wide else 28)
            count = struct.unpack(
                self._order + "I", need(self._source, place, 4, "the first section header")
            )[0]
        if not shape.size <= size <= 1024 or not 0 < count <= MAX_SEGMENTS:
            raise DumpError(f"ELF header: expected program headers, found {count} of {size} bytes each")
        for first in range(0, count, _BATCH):
            number = min(_BATCH, count - first)
            block = need(self._source, at + first * size, number * size, "the program headers")
            for i in range(number):
                fields = shape.unpack_from(block, i * size)
                yield fields[pick[0]], fields[pick[1]], fields[pick[2]], fields[pick[3]], fields[pick[4]]

    def read(self, address: int, size: int) -> bytes:
        """Return physical memory. :raises Missing: not all of it is there"""
        out = b""
        while len(out) < size:
            found = self._physical.find(address + len(out))
            if found is None:
                raise Missing(f"physical address {address + len(out):#x} is not in the dump")
            place, left = found
            want = min(left, size - len(out))
            data = self._source.read(place, want)
            if len(data) < want:
                raise Missing(f"physical address {address + len(out):#x} is cut off")
            out += data
        return out

    @property
    def pages(self) -> int:
        """How many pages are dumped."""
        return self._physical.total >> 12

    def damage(self) -> Optional[str]:
        """Return how the file is cut, or None."""
        if self._end > self._source.size:
            return f"cut off: its last segment would end at {self._end}, it is {self._source.size} bytes"
        return None


class _Spans:
    """Ranges of addresses, each leading to a place; where they overlap the first one counts."""

    def __init__(self, spans: list[tuple[int, int, int]]) -> None:
        self._starts, self._sizes, self._places = array("Q"), array("Q"), array("Q")
        end = 0
        for start, place, size in sorted(spans):
            skip = max(0, end - start)
            if skip >= size or start + size > 1 << 64 or place + size > 1 << 64:
                continue
            self._starts.append(start + skip)
            self._sizes.append(size - skip)
            self._places.append(place + skip)
            end = start + size
        self.total = sum(self._sizes)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def find(self, address: int) -> Optional[tuple[int, int]]:
        """Return the place of an address and how many bytes follow it there, or None."""
        i = bisect_right(self._starts, address) - 1
        if i < 0 or address >= self._starts[i] + self._sizes[i]:
            return None
        skip = address - self._starts[i]
        return self._places[i] + skip, self._sizes[i] - skip

    def first(self, start: int, size: int) -> Optional[tuple[int, int]]:
        """Return where *start* would be, told by the first range that begins within *size* bytes of it."""
        i = bisect_right(self._starts, start)
        if i == len(self._starts) or self._starts[i] >= start + size:
            return None
        return self._places[i] - (self._starts[i] - start), self._sizes[i]
