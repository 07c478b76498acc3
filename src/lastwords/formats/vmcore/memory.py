"""How the memory of the machine was used: what /proc/meminfo would have told, and the slab caches.

The kernel's own sums, as /proc/meminfo prints them: what a CPU had not yet added to them is not in them.
Sources: include/linux/mmzone.h (enum zone_stat_item and node_stat_item), fs/proc/meminfo.c,
mm/vmstat.c; mm/slab.h and mm/slub.c (struct kmem_cache, struct kmem_cache_node).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.source import DumpError

MAX_CACHES = 1 << 14
MAX_NODES = 1024
_ORDER_SHIFT, _OBJECTS = 16, 0xFFFF
"""Of struct kmem_cache_order_objects."""
COUNTERS = {
    "free": "NR_FREE_PAGES",
    "file": "NR_FILE_PAGES",
    "anonymous": "NR_ANON_MAPPED",
    "shared": "NR_SHMEM",
    "mapped": "NR_FILE_MAPPED",
    "dirty": "NR_FILE_DIRTY",
    "writeback": "NR_WRITEBACK",
    "unevictable": "NR_UNEVICTABLE",
    "slab_reclaimable": "NR_SLAB_RECLAIMABLE_B",
    "slab_unreclaimable": "NR_SLAB_UNRECLAIMABLE_B",
    "page_tables": "NR_PAGETABLE",
    "kernel_stacks": "NR_KERNEL_STACK_KB",
}
"""The kernel's counters by our names. Those of slab count pages since 5.9, in spite of their names."""


@dataclass(frozen=True)
class Cache:
    """A slab cache, all nodes together."""

    name: str
    object_size: int
    """Bytes."""
    objects: int
    """Room for so many, used or not."""
    bytes: int


@dataclass(frozen=True)
class Usage:
    """Memory in bytes. What this kernel does not count, or its symbols do not lead to, is None."""

    total: int
    swap_total: Optional[int]
    swap_free: Optional[int]
    counters: dict[str, Optional[int]]
    """By the names of :data:`COUNTERS`."""


def read_usage(layout: Layout, page_size: int) -> Usage:
    """Return how memory was used. :raises DumpError: names or layouts are not there"""
    kernel, symbols = layout.kernel, layout.symbols
    total = kernel.pointer(symbols.find("_totalram_pages") or symbols.get("totalram_pages"))
    arrays = [
        (layout.types.enumerators("zone_stat_item"), symbols.get("vm_zone_stat")),
        (layout.types.enumerators("node_stat_item"), symbols.get("vm_node_stat")),
    ]
    counters: dict[str, Optional[int]] = {}
    for name, counter in COUNTERS.items():
        place = next((at + 8 * items[counter] for items, at in arrays if counter in items), None)
        if place is None:
            counters[name] = None
            continue
        unit = 1024 if counter.endswith("_KB") else page_size
        # Below zero for a moment, where one CPU took what another has added: the kernel shows 0.
        counters[name] = max(0, kernel.number(place, 8, signed=True)) * unit

    def pages(name: str) -> Optional[int]:
        at = symbols.find(name)
        return max(0, kernel.number(at, 8, signed=True)) * page_size if at else None

    return Usage(total * page_size, pages("total_swap_pages"), pages("nr_swap_pages"), counters)


def read_caches(layout: Layout, page_size: int) -> list[Cache]:
    """Return the slab caches, the greatest first. :raises DumpError: names or layouts are not there"""
    get = layout.get
    link = layout.offset("kmem_cache", "list")
    if layout.has("kmem_cache", "node"):
        nodes_at, step = layout.offset("kmem_cache", "node"), layout.kernel.word
    else:  # since 7.1: pairs of pointers
        pair = "kmem_cache_per_node_ptrs"
        nodes_at = layout.offset("kmem_cache", "per_node") + layout.offset(pair, "node")
        step = layout.types.size(layout.types.struct(pair))
    known = layout.symbols.find("nr_node_ids")
    count = min(max(layout.kernel.number(known), 1), MAX_NODES) if known else 1
    found = []
    for cache in layout.entries(layout.symbols.get("slab_caches"), link, MAX_CACHES):
        try:
            slabs = objects = 0
            for number in range(count):
                node = layout.kernel.pointer(cache + nodes_at + step * number)
                if node:
                    slabs += get(node, "kmem_cache_node", "nr_slabs.counter")
                    objects += get(node, "kmem_cache_node", "total_objects.counter")
            order = get(cache, "kmem_cache", "oo.x") >> _ORDER_SHIFT
            if not 0 <= order <= 20 or min(slabs, objects) < 0:
                raise DumpError(f"{slabs} slabs of 2^{order} pages, {objects} objects: absurd")
            found.append(
                Cache(
                    layout.kernel.string(get(cache, "kmem_cache", "name")),
                    get(cache, "kmem_cache", "object_size"),
                    objects,
                    slabs * page_size << order,
                )
            )
        except DumpError:
            continue
    return sorted(found, key=lambda cache: (-cache.bytes, cache.name))
