"""How large a dump will be, and how much memory a capture kernel needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.kdump.setup import (
    capture_image,
    core_collector,
    facts_of,
    granted,
    host,
    inside,
    keeps_free_pages,
    ram,
)
from lastwords.formats.kdump.core_collector import CACHE, CACHE_PRIVATE, FREE, USER
from lastwords.model import Case

SHRINKS = {"zlib": 3.0, "zstd": 3.0, "lzo": 2.3, "snappy": 2.2, None: 1.0}
"""By how much kernel pages shrink. Seen on the lab's machines (-d 31): zlib 4.2, lzo 3.1, snappy 2.9; busy
ones hold less that is alike."""
EARLY = 16 << 20
"""What a kernel sets aside before it counts its memory, beside its code and data: in the lab 13 MiB of gaps,
tables of pages and of processors, and 3 MiB of code that is freed later."""
RUNTIME = 16 << 20
"""What kdumpctl adds for the programs that save the dump."""
PACKED = 3
"""An unpacked initramfs and its image together, in sizes of the image: what kdumpctl takes."""
FREE_SHRINKS = 5.0
"""By how much free pages shrink that makedumpfile takes for used ones: in the lab 400 MB to 70 MB."""
SMALLEST = 64 << 20
MEMMAP = 64
"""One part in so many of memory is taken by the kernel's table of pages, which is always dumped."""
UNCOUNTED = 48 << 20
"""The kernel itself and what it reserves early, which MemTotal leaves out."""
ROOM_SHARE = 20
"""Where nothing of its use is known: a dump without user pages is rarely more than a twentieth of memory."""


@dataclass(frozen=True)
class DumpSize:
    """How large a dump of the machine as it was seen would be."""

    likely: int
    """Bytes, compressed as kernel pages usually are."""
    most: int
    """Bytes if nothing could be compressed."""
    told_by: str


def dump_size(case: Case) -> DumpSize:
    """Return the size of a dump, from the use of memory and from what the dump level leaves out."""
    total = ram(case)
    meminfo = (case.facts.get("memory") or {}).get("meminfo") or {}
    collector = core_collector(case)
    if not total or "MemFree" not in meminfo:
        size = max((total or 0) // ROOM_SHARE, SMALLEST)
        return DumpSize(size, size, "a twentieth of memory, 64 MiB at least")
    total -= granted(case) or 0  # the capture kernel's own memory is not dumped
    if collector is not None and not collector.filters:
        return DumpSize(total, total, f"all of memory: {collector.program} leaves nothing out")
    level = collector.level if collector else 31

    def value(*keys: str) -> int:
        return sum(meminfo.get(key) or 0 for key in keys)

    left_out = 0
    if level & FREE:
        left_out += value("MemFree")
    if level & USER:
        left_out += value("AnonPages", "Hugetlb")
    if level & (CACHE | CACHE_PRIVATE):
        left_out += value("Cached", "Buffers", "SwapCached")
    if not facts_of(case)["kexec"].get("system_ram"):
        left_out -= UNCOUNTED + total // MEMMAP  # what the kernel took before it counted its memory
    most = max(total - left_out, total // MEMMAP)
    compression = collector.compression if collector else "lzo"
    mistaken = value("MemFree") if level & FREE and keeps_free_pages(case) else 0
    return DumpSize(
        int(most / SHRINKS[compression] + mistaken / (FREE_SHRINKS if compression else 1)),
        most + mistaken,
        f"pages that dump level {level} keeps, {compression or 'not'} packed"
        + (", and free pages, which makedumpfile takes for used ones" if mistaken else ""),
    )


@dataclass(frozen=True)
class Need:
    """Memory that the capture kernel cannot do without, in bytes."""

    kernel: int
    initramfs: int
    """Its image and what is unpacked from it: both are there at once."""

    @property
    def least(self) -> int:
        """Bytes without which it cannot even start."""
        return self.kernel + self.initramfs

    @property
    def total(self) -> int:
        """Bytes with what it sets aside early and what its programs take."""
        return self.least + EARLY + RUNTIME


def capture_need(case: Case) -> Optional[Need]:
    """Return what the capture kernel needs at least, or None when its parts are not known.

    Much as ``kdumpctl estimate`` reckons, but without what drivers will take, which only a run tells.
    """
    kernel = facts_of(case)["kexec"].get("kernel_size")
    image = capture_image(case, "initramfs")
    if not kernel or not image or not image["size"]:
        return None
    unpacked = inside(case).get("unpacked")
    return Need(kernel, image["size"] + unpacked if unpacked else PACKED * image["size"])


def mib(size: int) -> str:
    """Return a size for people."""
    return f"{size / (1 << 20):.0f} MiB" if size < 10 << 30 else f"{size / (1 << 30):.1f} GiB"


def memory_of(case: Case) -> str:
    """Return how much memory the machine has, for people."""
    total = ram(case) or host(case).get("memory_total")
    return mib(total) if total else "an unknown amount of memory"
