"""Virtual addresses to physical ones, by the page tables in the dump.

Sources: arch/x86/include/asm/pgtable_types.h, arch/arm64/include/asm/pgtable-hwdef.h and
arch/arm64/kernel/head.S; Intel SDM volume 3, chapter 4; Arm ARM, D8.3 (VMSAv8-64).
"""

from __future__ import annotations

import struct

from lastwords.formats.vmcore.dump import Dump
from lastwords.formats.vmcore.elf import ElfFile
from lastwords.formats.vmcore.source import DumpError, Memory, Missing

KERNEL_MAP = 0xFFFFFFFF80000000
"""__START_KERNEL_map of x86_64."""
_KERNEL_MAP_SIZE = 1 << 30
_ENTRY = struct.Struct("<Q")


class Paging:
    """Translates addresses. ``top_bit`` tells kernel addresses from those of processes."""

    def translate(self, address: int) -> tuple[int, int]:
        """Return the physical address, and how many bytes from it are mapped alike.

        :raises Missing: not mapped, or a table is not in the dump
        """
        raise NotImplementedError  # one for each architecture


class Tables(Paging):
    """Walks page tables of 8-byte entries, from the greatest part of an address to the smallest."""

    def __init__(
        self,
        memory: Memory,
        top: int,
        shifts: tuple[int, ...],
        last: int,
        mask: int,
        arm: bool,
        wide: int = 0,
    ) -> None:
        """Remember the shape of the tables.

        :param top: physical address of the first table
        :param shifts: how far each level's index is shifted
        :param last: bits of the first level's index
        :param mask: bits of an entry that are an address
        :param wide: 0, or which of Arm's two places for address bits 48 to 51 is used: 12 or 8
        """
        self._memory = memory
        self._top, self._shifts, self._mask, self._arm, self._wide = top, shifts, mask, arm, wide
        # Arm has another table for the addresses of processes, which a kernel's dump does not tell of.
        self._lowest = (1 << 64) - (1 << shifts[0] + last) if arm else 0
        self._page = shifts[-1]
        self._first = (1 << last) - 1
        self._rest = (1 << self._page - 3) - 1
        self._known: dict[int, int] = {}
        self._blocks: dict[int, tuple[int, int]] = {}
        self._block_shift = shifts[-2]

    def translate(self, address: int) -> tuple[int, int]:
        block = self._blocks.get(address >> self._block_shift)
        if block is not None:
            start, size = block
            skip = address & size - 1
            return start + skip, size - skip
        page = address >> self._page
        found = self._known.get(page)
        low = address & (1 << self._page) - 1
        if found is None:
            found, shift = self._walk(address)
            if shift != self._page:
                size = 1 << shift
                self._blocks[address >> self._block_shift] = (found, size)
                return found + (address & size - 1), size - (address & size - 1)
            if len(self._known) > 1 << 16:
                self._known.clear()
            self._known[page] = found
        return found + low, (1 << self._page) - low

    def _walk(self, address: int) -> tuple[int, int]:
        """Return where the page or block that holds an address starts, and its shift."""
        table, index_mask = self._top, self._first
        if not self._lowest <= address < 1 << 64:
            raise Missing(f"address {address:#x} is none of the kernel's")
        for shift in self._shifts:
            index = address >> shift & index_mask
            entry = _ENTRY.unpack(self._memory.read(table + 8 * index, 8))[0]
            if not entry & 1:
                raise Missing(f"address {address:#x} is not mapped")
            table = entry & self._mask
            if self._wide == 12:
                table |= (entry & 0xF000) << 36
            elif self._wide == 8:
                table |= (entry & 0x300) << 42
            leaf = entry & 2 == 0 if self._arm else entry & 0x80 and shift <= 30
            if shift == self._page or leaf:
                return table & ~((1 << shift) - 1), shift
            index_mask = self._rest
        raise Missing(f"address {address:#x} is not mapped")  # every walk ends at the last level


class Noted(Paging):
    """Uses the virtual addresses that /proc/vmcore notes in its segments: any architecture."""

    def __init__(self, file: ElfFile) -> None:
        self._spans = file.virtual

    def translate(self, address: int) -> tuple[int, int]:
        found = self._spans.find(address)
        if found is None:
            raise Missing(f"no segment holds address {address:#x}")
        return found


def paging_of(dump: Dump) -> Paging:
    """Return how addresses of the kernel in a dump are translated.

    :raises DumpError: VMCOREINFO does not tell enough, or the architecture is not known
    """
    if not dump.info:
        raise DumpError(
            "no VMCOREINFO: without it nothing in the memory can be found"
            " (QEMU: start the guest with -device vmcoreinfo, with qemu_fw_cfg loaded in it)"
        )
    if dump.machine == "x86_64":
        return _x86_64(dump)
    if dump.machine == "aarch64":
        return _aarch64(dump)
    if isinstance(dump.file, ElfFile) and dump.file.virtual:
        return Noted(dump.file)
    raise DumpError(f"the memory of architecture {dump.machine or 'unknown'} is not read, only the headers")


def _x86_64(dump: Dump) -> Paging:
    info = dump.info
    top = info.find_symbol("init_top_pgt") or info.symbol("swapper_pg_dir")
    base = info.find_number("phys_base")
    if base is None:
        base = _phys_base(dump)
    if base >= 1 << 63:
        base -= 1 << 64
    five = info.find_number("pgtable_l5_enabled") or 0
    mask = 0x000FFFFFFFFFF000 & ~(info.find_number("sme_mask") or 0)
    shifts = ((48,) if five else ()) + (39, 30, 21, 12)
    return Tables(dump.file, top - KERNEL_MAP + base, shifts, 9, mask, arm=False)


def _phys_base(dump: Dump) -> int:
    """Return where a kernel before 4.11 lies, whose VMCOREINFO does not tell."""
    if isinstance(dump.file, ElfFile):
        found = dump.file.virtual.find(KERNEL_MAP) or dump.file.virtual.first(KERNEL_MAP, _KERNEL_MAP_SIZE)
        return found[0] if found else 0
    return dump.file.phys_base


def _aarch64(dump: Dump) -> Paging:
    info = dump.info
    offset = info.find_number("kimage_voffset")
    if offset is None:
        raise DumpError("VMCOREINFO lacks NUMBER(kimage_voffset)")
    page = info.page_size or 4096
    if page not in (4096, 16384, 65536):
        raise DumpError(f"VMCOREINFO: expected a page size of 4, 16 or 64 KiB, found {page}")
    shift = page.bit_length() - 1
    bits = info.find_number("VA_BITS") or 48
    used = info.find_number("TCR_EL1_T1SZ")
    # A kernel built for 52 bits on a machine with 48: with 64 KiB pages the table keeps its shape.
    if used is not None and 12 <= used <= 39 and not (shift == 16 and bits == 52):
        bits = 64 - used
    if not 25 <= bits <= 52:
        raise DumpError(f"VMCOREINFO: expected 25 to 52 bits of virtual addresses, found {bits}")
    per_level = shift - 3
    shifts = tuple(range(shift + per_level * ((bits - shift - 1) // per_level), shift - 1, -per_level))
    mask = 0x0000FFFFFFFFFFFF & ~(page - 1)
    wide = 0
    if shift == 16:
        wide = 12
    elif bits == 52:
        wide, mask = 8, 0x0003FFFFFFFFFFFF & ~(page - 1)
    top = info.symbol("swapper_pg_dir") - offset
    return Tables(dump.file, top & (1 << 52) - 1, shifts, bits - shifts[0], mask, arm=True, wide=wide)
