"""The memory in an OOM report: what show_mem() prints, in bytes.

    Mem-Info:
    active_anon:310908 inactive_anon:0 isolated_anon:0
    Node 0 DMA free:11260kB boost:0kB min:12kB low:24kB high:36kB ... managed:15360kB ... free_cma:0kB
    lowmem_reserve[]: 0 3168 64195 64195 64195
    Node 0 DMA: 1*4kB (U) 1*8kB (U) ... 2*4096kB (M) = 11260kB
    Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB
    Free swap  = 9227468kB
    16753710 pages RAM

Fields are read by their names: each kernel has its own. Sources: mm/page_alloc.c and mm/show_mem.c
(``show_free_areas``), lib/show_mem.c, arch/*/mm of 2.6.11 to 7.1; mm/slab_common.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

_FIELD = re.compile(r"([a-zA-Z_]+(?:\([a-z]+\))?(?:-[a-z]+)?):\s{0,6}(\d{1,20})(?:\s?([kK]B))?")
_ZONE = re.compile(r"(?:Node (\d+),? )?(DMA32|DMA|Normal|HighMem|Movable|Device) free:")
_NODE = re.compile(r"Node (\d+) (?=active_anon:)")
_RESERVE = re.compile(r"(?:lowmem_reserve|protections)\[\]: ?([\d ]+)")
_BUDDY = re.compile(r"(?:Node (\d+),? )?(DMA32|DMA|Normal|HighMem|Movable|Device): (?=\d+\*)")
_RUN = re.compile(r"(?<!\d)(\d{1,12})\*(\d{1,8})kB(?: \(([A-Z]{1,8})\))?")
_HUGE = re.compile(
    r"(?:Node (\d+) )?hugepages_total=(\d+) hugepages_free=(\d+) hugepages_surp=(\d+)"
    r"(?: hugepages_size=(\d+)kB)?"
)
_COUNTERS = re.compile(
    r"\s{0,40}(?:active_anon|active_file|Active|unevictable|slab_reclaimable|mapped|sec_pagetables|free"
    r"|kernel_misc_reclaimable|dirty|writeback|slab|shadow_call_stack|gpu_active):\s{0,6}\d"
)
_SWAP = re.compile(r"(Free|Total) swap {0,4}[=:] {0,20}(\d{1,15})kB")
_PAGES = re.compile(
    r"(\d{1,15}) (?:pages (?:of )?(RAM|HighMem/MovableOnly|HighMem|HIGHMEM|reserved|hwpoisoned|cma reserved"
    r"|slab|in swap cache|shared|swap cached)|(reserved) pages|(total pagecache) pages)"
)
_SLAB_HEAD = re.compile(r"Name +Used +Total")
_SLAB = re.compile(r"(\S.{0,60}?) +(\d{1,12})KB +(\d{1,12})KB\s*$")
_ALLOCATIONS = re.compile(r"Memory allocations(?: \([^)]*\))?:")
_ALLOCATION = re.compile(
    r"\s*(\d{1,15}(?:\.\d+)?) ?([KMGT]iB|B|kB|MB|GB)? +(\d{1,15}) (\S+:\d+)(?: \[(\S+)\])? func:(\S+)"
)
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "kB": 1000, "MB": 10**6}
_ABSURD = 1 << 62
PAGE_SIZES = (4096, 8192, 16384, 65536)


@dataclass
class Zone:
    """A memory zone; sizes in bytes."""

    node: Optional[int]
    """NUMA node; None on a kernel without nodes."""
    name: str
    values: dict[str, int]
    """By the kernel's names: ``free``, ``min``, ``boost``, ``managed``, ``free_cma`` ..."""
    reserve: list[Optional[int]] = field(default_factory=list)
    """lowmem_reserve in pages, kept from allocations that could use higher zones: one a zone, from DMA on."""
    free_lists: list[tuple[int, int, str]] = field(default_factory=list)
    """Free blocks: size in bytes, number, and the migration types that have some (``UME``; may be empty)."""


@dataclass
class MemoryInfo:
    """Everything show_mem() told, in bytes."""

    page_size: Optional[int] = None
    """As the free lists or the counters show it."""
    counters: dict[str, int] = field(default_factory=dict)
    """Counters of the whole machine, in pages: the size of a page may become known only later."""
    nodes: dict[int, dict[str, int]] = field(default_factory=dict)
    zones: list[Zone] = field(default_factory=list)
    hugepages: list[dict[str, Optional[int]]] = field(default_factory=list)
    swap_free: Optional[int] = None
    swap_total: Optional[int] = None
    pages: dict[str, int] = field(default_factory=dict)
    """Pages of RAM, reserved ..., as the end of the block counts them."""
    slabs: list[tuple[str, int, int]] = field(default_factory=list)
    """Unreclaimable slab caches: name, bytes used, bytes held."""
    cut: bool = False
    """A line of a node or a zone has lost its end."""
    allocations: list[dict[str, object]] = field(default_factory=list)
    """The largest allocations by place in the source, where the kernel profiles them."""

    def zone(self, node: Optional[int], name: str) -> Optional[Zone]:
        """Return a zone, or None."""
        return next((zone for zone in self.zones if (zone.node, zone.name) == (node, name)), None)

    def total(self, name: str) -> Optional[int]:
        """Return the sum over all zones of one of their values; None when no zone tells it."""
        known = [zone.values[name] for zone in self.zones if name in zone.values]
        return sum(known) if known else None

    def counter(self, name: str) -> Optional[int]:
        """Return a counter of the whole machine in bytes, or None."""
        return self.counters[name] * (self.page_size or PAGE_SIZES[0]) if name in self.counters else None

    @property
    def ram(self) -> Optional[int]:
        """Memory that the kernel manages."""
        managed = self.total("managed")
        if managed is not None:
            return managed
        if "RAM" in self.pages:
            return (self.pages["RAM"] - self.pages.get("reserved", 0)) * (self.page_size or PAGE_SIZES[0])
        return self.total("present")

    def settle_page_size(self) -> None:
        """Find the size of a page, if no free list told it: zones count in kB, counters in pages."""
        free, pages = self.total("free"), self.counters.get("free")
        if self.page_size is None and free and pages:
            near = min(PAGE_SIZES, key=lambda size: abs(pages * size - free))
            self.page_size = near if abs(pages * near - free) <= free // 4 else None


class MemoryReader:
    """Reads the lines of the block, in any order and with gaps."""

    def __init__(self) -> None:
        self.info = MemoryInfo()
        self._list = ""
        """The list that the lines belong to: ``slabs`` or ``allocations``."""

    def take(self, text: str) -> bool:
        """Take in a line; return whether it belongs to the block."""
        info = self.info
        if (match := _ZONE.match(text)) is not None:
            self._zone(match, text)
        elif (match := _NODE.match(text)) is not None:
            info.nodes.setdefault(int(match[1]), _fields(text))
            info.cut = info.cut or "all_unreclaimable?" not in text
        elif (match := _RESERVE.match(text)) is not None:
            if info.zones and not info.zones[-1].reserve:
                info.zones[-1].reserve = [_pages(word) for word in match[1].split()]
        elif (match := _BUDDY.match(text)) is not None:
            self._buddy(match, text)
        elif (match := _HUGE.match(text)) is not None:
            names = ("node", "total", "free", "surplus", "size")
            sizes = [int(part) if part is not None else None for part in match.groups()]
            row = dict(zip(names, sizes))
            row["size"] = row["size"] * 1024 if row["size"] is not None else None
            info.hugepages.append(row)
        elif (match := _SWAP.match(text)) is not None:
            if match[1] == "Free":
                info.swap_free = int(match[2]) * 1024
            else:
                info.swap_total = int(match[2]) * 1024
        elif (match := _PAGES.match(text)) is not None:
            name = match[2] or match[3] or match[4]
            info.pages["HighMem" if name.lower().startswith("highmem") else name] = int(match[1])
        elif _COUNTERS.match(text):
            found = _FIELD.findall(text)
            for name, number, unit in found:
                if not unit:
                    info.counters.setdefault(name, int(number))
        else:
            return self._listed(text)
        return True

    def _zone(self, match: re.Match[str], text: str) -> None:
        node = int(match[1]) if match[1] is not None else None
        if self.info.zone(node, match[2]) is None:
            self.info.zones.append(Zone(node, match[2], _fields(text)))
            self.info.cut = self.info.cut or ("present:" not in text and "managed:" not in text)

    def _buddy(self, match: re.Match[str], text: str) -> None:
        zone = self.info.zone(int(match[1]) if match[1] is not None else None, match[2])
        runs = [(int(size) * 1024, int(number), types) for number, size, types in _RUN.findall(text)]
        sizes = [size for size, _, _ in runs]
        if not sizes or sizes != sorted(set(sizes)) or sizes[0] not in PAGE_SIZES:
            return  # damaged
        self.info.page_size = self.info.page_size or sizes[0]
        if zone is not None:
            zone.free_lists = runs

    def _listed(self, text: str) -> bool:
        """Slab caches and allocations: their lines are told by the head of the list."""
        if text.startswith("Unreclaimable slab info:") or _SLAB_HEAD.match(text):
            self._list = "slabs"
        elif _ALLOCATIONS.match(text):
            self._list = "allocations"
        elif self._list == "slabs" and (match := _SLAB.match(text)) is not None:
            self.info.slabs.append((match[1], int(match[2]) * 1024, int(match[3]) * 1024))
        elif self._list == "allocations" and (match := _ALLOCATION.match(text)) is not None:
            size = float(match[1]) * _UNITS.get(match[2] or "B", 1)
            self.info.allocations.append(
                {
                    "bytes": int(size),
                    "calls": int(match[3]),
                    "place": match[4],
                    "module": match[5],
                    "function": match[6],
                }
            )
        else:
            return False
        return True


def _fields(text: str) -> dict[str, int]:
    """Values of a zone or node in bytes; where the unit is missing, the line was cut within a number."""
    values = {}
    for name, number, unit in _FIELD.findall(text):
        if unit and int(number) < _ABSURD // 1024 and name not in values:
            values[name] = int(number) * 1024
    return values


def _pages(word: str) -> Optional[int]:
    number = int(word[:20])
    return number if number < _ABSURD >> 12 else None
