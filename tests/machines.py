"""Memory of a machine, with page tables laid out in it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Optional

from vmcores import Bytes, elf, note

from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kernel import Kernel


class Machine:
    """Physical memory with page tables in it, filled from the top level down.

    :param top: physical address of the first table
    :param levels: shift and bits of the index of each level
    :param table: makes an entry that leads to a table
    :param leaf: makes an entry that maps a page or block of a level
    """

    def __init__(
        self,
        top: int,
        levels: list[tuple[int, int]],
        table: Callable[[int], int],
        leaf: Callable[[int, int], int],
    ) -> None:
        self.pages: dict[int, bytearray] = {}
        self.top, self.levels, self.table, self.leaf = top, levels, table, leaf
        self.free = top + (1 << levels[-1][0])

    def write(self, place: int, data: bytes) -> None:
        for number, byte in enumerate(data):
            page = self.pages.setdefault(place + number >> 12, bytearray(4096))
            page[place + number & 4095] = byte

    def entry(self, place: int) -> int:
        page = self.pages.setdefault(place >> 12, bytearray(4096))
        return int(struct.unpack_from("<Q", page, place & 4095)[0])

    def map(self, address: int, place: int, block: Optional[int] = None) -> None:
        """Map one page, or a block of the level that has this shift."""
        table = self.top
        last = block if block is not None else self.levels[-1][0]
        for shift, bits in self.levels:
            at = table + 8 * (address >> shift & (1 << bits) - 1)
            if shift == last:
                self.write(at, struct.pack("<Q", self.leaf(place, shift)))
                return
            if not self.entry(at):
                self.write(at, struct.pack("<Q", self.table(self.free)))
                self.free += 1 << self.levels[-1][0]
            known = {self.table(each): each for each in range(self.top, self.free, 1 << self.levels[-1][0])}
            table = known[self.entry(at)]

    def kernel(self, info: str, machine: int = 183) -> Kernel:
        pages = {number: bytes(page) for number, page in self.pages.items()}
        data = elf(pages, note(b"VMCOREINFO", 0, f"OSRELEASE=6.12.0\n{info}".encode()), machine=machine)
        return Kernel(open_dump(Bytes(data)))
