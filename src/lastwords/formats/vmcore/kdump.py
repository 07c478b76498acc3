"""The kdump-compressed container: makedumpfile's, diskdump's and QEMU's.

A header and a sub header of one block or more, two bitmaps of all page frames (RAM; dumped), a descriptor
for each dumped page, and the pages. Sources: IMPLEMENTATION, diskdump_mod.h and makedumpfile.h of
makedumpfile; diskdump.c of crash.
"""

from __future__ import annotations

import struct
from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import Optional

from lastwords.formats.vmcore import info
from lastwords.formats.vmcore.head import VmcoreHead
from lastwords.formats.vmcore.source import DumpError, Missing, Source, need
from lastwords.formats.vmcore.unpack import unpack

CACHE = 12 << 20
"""Bytes of unpacked pages that are kept."""
NOTES_LIMIT = 16 << 20
_BITS = 4096
"""Bytes of a bitmap that are read at a time."""
_BITS_KEPT = 256
_DESC = 24
_LATEST = 64
"""Descriptors from the end that are looked at to tell whether the file is cut."""
_NOT_WRITTEN = "not written before the dump was cut short"


class KdumpFile:
    """Finds and unpacks the pages of one file."""

    def __init__(self, source: Source, head: VmcoreHead) -> None:
        """Read the headers, nothing that grows with the dump. :raises DumpError: they make no sense"""
        self._source = source
        order = head.order
        if head.bits == 32:
            raise DumpError("a dump of a 32-bit machine in kdump-compressed form: only its header is read")
        raw = need(source, 0, 464, "the header")
        block, sub_blocks, bitmap_blocks, self.max_pfn = struct.unpack_from(order + "iiII", raw, 428)
        if block not in (4096, 8192, 16384, 32768, 65536):
            raise DumpError(f"header: expected a block size from 4096 to 65536, found {block}")
        if not 0 < sub_blocks < 1 << 16:
            raise DumpError(f"header: expected a sub header of 1 to 65535 blocks, found {sub_blocks}")
        if (1 + sub_blocks) * block > source.size:
            raise DumpError(f"cut off within its headers, at {source.size} bytes")
        self.page_size = block
        self._sub(need(source, block, 104, "the sub header"), order, head.version or 0)
        half = bitmap_blocks // 2 * block
        self._bitmap = (1 + sub_blocks) * block + half
        self._descs = (1 + sub_blocks + bitmap_blocks) * block
        self.max_pfn = min(self.max_pfn, half * 8)
        if self._descs > source.size:
            raise DumpError(f"cut off within its bitmaps: {source.size} bytes, expected over {self._descs}")
        self._ranks = array("q", [0])
        self._bits: OrderedDict[int, bytes] = OrderedDict()
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._pages_kept = max(1, CACHE // block)
        self._desc = struct.Struct(order + "qIIQ")
        self._first = 0
        if self.split:
            self._first = self._rank(min(self.pfns[0], self.max_pfn))

    def _sub(self, raw: bytes, order: str, version: int) -> None:
        fields = struct.unpack(order + "qii" + "QQ" + "qQ" * 3 + "QQQ", raw[:104])
        self.phys_base: int = fields[0]
        self.level: Optional[int] = fields[1] if version >= 1 and 0 <= fields[1] < 1 << 10 else None
        self.split = version >= 2 and fields[2] == 1
        self.pfns: tuple[int, int] = fields[3], fields[4]
        info_place, note_place = fields[5:7], fields[7:9]
        if version >= 6:
            self.pfns = fields[11], fields[12]
            self.max_pfn = fields[13]
        self.info = self._kept(info_place, info.LIMIT, "VMCOREINFO") if version >= 3 else b""
        self.notes = self._kept(note_place, NOTES_LIMIT, "the notes") if version >= 4 else b""

    def _kept(self, place: tuple[int, int], limit: int, what: str) -> bytes:
        offset, size = place
        if not size:
            return b""
        if size > limit:
            raise DumpError(f"sub header: {what} of {size} bytes, expected at most {limit}")
        return need(self._source, offset, size, what)

    def _block(self, number: int) -> bytes:
        """Return one piece of the bitmap of dumped pages."""
        found = self._bits.get(number)
        if found is None:
            found = need(self._source, self._bitmap + number * _BITS, _BITS, "the bitmap of dumped pages")
            self._bits[number] = found
            if len(self._bits) > _BITS_KEPT:
                self._bits.popitem(last=False)
        return found

    def _rank(self, pfn: int) -> int:
        """Return how many pages below *pfn* are dumped."""
        number, rest = divmod(pfn, _BITS * 8)
        while len(self._ranks) <= number:
            self._ranks.append(self._ranks[-1] + _ones(self._block(len(self._ranks) - 1)))
        if not rest:
            return self._ranks[number]
        bits = int.from_bytes(self._block(number)[: (rest + 7) >> 3], "little")
        return self._ranks[number] + _count(bits & (1 << rest) - 1)

    @property
    def pages(self) -> int:
        """How many pages are dumped. Reads the whole bitmap."""
        end = min(self.pfns[1], self.max_pfn) if self.split else self.max_pfn
        return max(0, self._rank(end) - self._first)

    def read(self, address: int, size: int) -> bytes:
        """Return physical memory. :raises Missing: not all of it is there"""
        pfn, skip = divmod(address, self.page_size)
        if skip + size <= self.page_size:
            return self._page(pfn)[skip : skip + size]
        out = bytearray()
        while len(out) < size + skip:
            out += self._page(pfn)
            pfn += 1
        return bytes(out[skip : skip + size])

    def _page(self, pfn: int) -> bytes:
        page = self._pages.get(pfn)
        if page is not None:
            self._pages.move_to_end(pfn)
            return page
        if not 0 <= pfn < self.max_pfn:
            raise Missing(f"page frame {pfn:#x} is beyond the dump's last, {self.max_pfn:#x}")
        if not self._block(pfn // (_BITS * 8))[pfn // 8 % _BITS] >> (pfn & 7) & 1:
            raise Missing(f"page frame {pfn:#x} was not dumped")
        if self.split and not self.pfns[0] <= pfn < self.pfns[1]:
            raise Missing(f"page frame {pfn:#x} is in another file of this split dump")
        place = self._descs + _DESC * (self._rank(pfn) - self._first)
        raw = self._source.read(place, _DESC)
        if len(raw) < _DESC:
            raise Missing(f"page frame {pfn:#x}: {_NOT_WRITTEN}")
        offset, size, flags, _ = self._desc.unpack(raw)
        if not size or not 0 < offset < self._source.size:
            raise Missing(f"page frame {pfn:#x}: {_NOT_WRITTEN}")
        if size > 2 * self.page_size:
            raise DumpError(f"page frame {pfn:#x}: {size} bytes, expected at most {2 * self.page_size}")
        data = self._source.read(offset, size)
        if len(data) < size:
            raise Missing(f"page frame {pfn:#x}: {_NOT_WRITTEN}")
        try:
            page = unpack(data, flags, self.page_size)
        except DumpError as problem:
            raise Missing(f"page frame {pfn:#x}: {problem}") from None
        self._pages[pfn] = page
        if len(self._pages) > self._pages_kept:
            self._pages.popitem(last=False)
        return page

    def damage(self) -> Optional[str]:
        """Return how the file is cut, or None: the descriptors and pages that come last tell."""
        try:
            pages = self.pages
        except DumpError as problem:
            return str(problem)
        first = max(0, pages - _LATEST)
        raw = self._source.read(self._descs + _DESC * first, _DESC * (pages - first))
        if len(raw) < _DESC * (pages - first):
            return f"cut off within the descriptors of its {pages} pages"
        for offset, size, _, _ in self._desc.iter_unpack(raw):
            if not size:
                return f"the last of its {pages} pages were not written"
            if not 0 < offset <= self._source.size - size:
                return (
                    f"cut off: its last pages would end at {offset + size}, it is {self._source.size} bytes"
                )
        return None


_count: Callable[[int], int] = getattr(int, "bit_count", lambda value: bin(value).count("1"))  # Python 3.10


def _ones(data: bytes) -> int:
    return _count(int.from_bytes(data, "little"))
