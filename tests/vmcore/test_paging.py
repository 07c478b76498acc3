"""Page tables of every shape, laid out as the architecture's manual says, and walked."""

from __future__ import annotations

import pytest
from machines import Machine
from vmcores import Bytes, Kdump, elf, note

from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.source import DumpError, Missing

ALL = (1 << 64) - 1


def x86(five: bool = False, encrypted: int = 0) -> Machine:
    levels = [(48, 9)] if five else []
    levels += [(39, 9), (30, 9), (21, 9), (12, 9)]
    return Machine(
        0x5000,
        levels,
        lambda place: place | 0x67 | encrypted,
        lambda place, shift: place | 0x163 | encrypted | (0x80 if shift > 12 else 0) | 1 << 63,
    )


def x86_info(five: bool = False, base: int = -0x3000, more: str = "") -> str:
    top = 0xFFFFFFFF80000000 + 0x5000 - base
    return f"PAGESIZE=4096\nSYMBOL(init_top_pgt)={top:x}\nNUMBER(phys_base)={base}\nNUMBER(pgtable_l5_enabled)={int(five)}\n{more}"


@pytest.mark.parametrize("five", [False, True])
@pytest.mark.parametrize("encrypted", [0, 1 << 47])
def test_x86_64(five: bool, encrypted: int) -> None:
    machine = x86(five, encrypted)
    direct = 0xFF11000000000000 if five else 0xFFFF888000000000
    machine.map(direct + 0x1000, 0x40000)
    machine.map(direct + 0x2000, 0x90000)
    machine.map(0xFFFFFFFF81000000, 0x200000, block=21)
    machine.map(direct + (5 << 30), 1 << 30, block=30)
    machine.write(0x40FFC, b"page")
    machine.write(0x90000, b"next")
    machine.write(0x234567, b"block of 2 MiB")
    machine.write((1 << 30) + 0x2ABCDEF, b"block of 1 GiB")
    kernel = machine.kernel(x86_info(five, more=f"NUMBER(sme_mask)={encrypted}\n"), machine=62)
    assert kernel.read(direct + 0x1FFC, 8) == b"pagenext"
    assert kernel.read(0xFFFFFFFF81034567, 14) == b"block of 2 MiB"
    assert kernel.read(direct + (5 << 30) + 0x2ABCDEF, 14) == b"block of 1 GiB"
    assert kernel.string(0xFFFFFFFF81034567) == "block of 2 MiB"
    for address in (0, 0x1000, direct, direct + 0x3000, 0xFFFFFFFF82000000):
        with pytest.raises(Missing):
            kernel.read(address, 1)
    with pytest.raises(DumpError, match="at most"):
        kernel.read(direct + 0x1000, 1 << 40)


def test_x86_64_before_vmcoreinfo_told_the_base() -> None:
    """Of a kernel before 4.11 the sub header, or a segment of /proc/vmcore, tells where it lies."""
    base = 0x1000000
    machine = Machine(
        base + 0x5000,
        [(39, 9), (30, 9), (21, 9), (12, 9)],
        lambda place: place | 0x67,
        lambda place, shift: place | 0x63,
    )
    machine.map(0xFFFF880000001000, base + 0x40000)
    machine.write(base + 0x40010, b"here")
    pages = {number: bytes(page) for number, page in machine.pages.items()}
    info = b"OSRELEASE=3.10.0-1160.el7.x86_64\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff80005000\n"
    kdump = Kdump(pages, info, phys_base=base).file()
    core = elf(
        pages, note(b"VMCOREINFO", 0, info), virtual=lambda address: address - base + 0xFFFFFFFF80000000
    )
    for data in (kdump, core):
        assert Kernel(open_dump(Bytes(data))).read(0xFFFF880000001010, 4) == b"here"


@pytest.mark.parametrize(
    ("page", "bits", "levels", "told"),
    [
        (12, 48, [(39, 9), (30, 9), (21, 9), (12, 9)], ""),
        (12, 39, [(30, 9), (21, 9), (12, 9)], ""),
        (12, 48, [(39, 9), (30, 9), (21, 9), (12, 9)], "NUMBER(TCR_EL1_T1SZ)=0x10\n"),
        # A kernel for 52 bits that found a machine with 48.
        (12, 52, [(39, 9), (30, 9), (21, 9), (12, 9)], "NUMBER(TCR_EL1_T1SZ)=0x10\n"),
        (12, 52, [(48, 4), (39, 9), (30, 9), (21, 9), (12, 9)], "NUMBER(TCR_EL1_T1SZ)=0xc\n"),
        (14, 47, [(36, 11), (25, 11), (14, 11)], ""),
        (14, 48, [(47, 1), (36, 11), (25, 11), (14, 11)], ""),
        (14, 52, [(47, 5), (36, 11), (25, 11), (14, 11)], "NUMBER(TCR_EL1_T1SZ)=0xc\n"),
        (16, 42, [(29, 13), (16, 13)], ""),
        (16, 48, [(42, 6), (29, 13), (16, 13)], ""),
        (16, 52, [(42, 10), (29, 13), (16, 13)], "NUMBER(TCR_EL1_T1SZ)=0xc\n"),
        (16, 52, [(42, 10), (29, 13), (16, 13)], "NUMBER(TCR_EL1_T1SZ)=0x10\n"),
    ],
)
def test_aarch64(page: int, bits: int, levels: list[tuple[int, int]], told: str) -> None:
    used = 64 - int(told.split("=")[1], 16) if told else bits
    wide = used == 52 or page == 16

    def placed(place: int) -> int:
        """Bits 48 to 51 of an address are elsewhere in an entry."""
        if place < 1 << 48 or not wide:
            return place
        high, low = place >> 48, place & (1 << 48) - 1
        return low | high << 12 if page == 16 else place & (1 << 50) - 1 | place >> 50 << 8

    shared = 0x300 if not (used == 52 and page != 16) else 0
    machine = Machine(
        0x80000,
        levels,
        lambda place: placed(place) | 3,
        lambda place, shift: placed(place) | 0x401 | shared | (2 if shift == page else 0),
    )
    start = ALL - (1 << used) + 1  # the first address of the kernel's half
    size = 1 << page
    machine.map(start + size, 0x40000000)
    machine.map(start + 2 * size, 0x90000000)
    block = levels[-2][0]
    machine.map(start + (3 << block), 5 << block, block=block)
    machine.write(0x40000000 + size - 4, b"page")
    machine.write(0x90000000, b"next")
    machine.write((5 << block) + (1 << block - 1) + 3, b"block")
    if wide:
        machine.map(start + 7 * size, 0x5 << 49)
        machine.write((0x5 << 49) + 9, b"far")
    offset = 0xFFFF800000000000 - 0x80000 & ALL
    info = f"PAGESIZE={size}\nSYMBOL(swapper_pg_dir)=ffff800000000000\nNUMBER(VA_BITS)={bits}\n"
    kernel = machine.kernel(info + f"NUMBER(kimage_voffset)=0x{offset:x}\n{told}")
    assert kernel.read(start + 2 * size - 4, 8) == b"pagenext"
    assert kernel.read(start + (3 << block) + (1 << block - 1) + 3, 5) == b"block"
    if wide:
        assert kernel.read(start + 7 * size + 9, 3) == b"far"
    for address in (start, start + 4 * size, 0x1000):
        with pytest.raises(Missing):
            kernel.read(address, 1)


@pytest.mark.parametrize(
    ("info", "machine", "told"),
    [
        ("PAGESIZE=4096\n", 183, "kimage_voffset"),
        ("PAGESIZE=100\nNUMBER(kimage_voffset)=0x0\n", 183, "4, 16 or 64 KiB"),
        ("NUMBER(VA_BITS)=70\nNUMBER(kimage_voffset)=0x0\n", 183, "25 to 52 bits"),
        ("PAGESIZE=4096\n", 62, "SYMBOL.swapper_pg_dir"),
        ("PAGESIZE=4096\n", 22, "architecture s390x"),
    ],
)
def test_what_vmcoreinfo_must_tell(info: str, machine: int, told: str) -> None:
    with pytest.raises(DumpError, match=told):
        x86().kernel(info, machine=machine)
