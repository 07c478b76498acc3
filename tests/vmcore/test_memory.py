"""How memory was used: counters and slab caches laid out as a real 6.1 kernel has them, with known values.

The dump of the corpus holds that kernel's names and types, but not the pages of these counters; the lab holds
whole dumps against drgn and crash.
"""

from __future__ import annotations

import struct
from functools import cache

import pytest
from vmcores import BLOCK, Bytes, Kdump, corpus_dump, pages_of

from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.memory import Cache, read_caches, read_usage
from lastwords.formats.vmcore.source import DumpError

FULL = "6.1-sysrq-c-full.kdump"


@cache
def layout() -> Layout:
    return Layout(Kernel(corpus_dump(FULL)))


class Written:
    """Pages of the corpus, some of them written over at virtual addresses."""

    def __init__(self) -> None:
        self.pages = dict(pages_of(corpus_dump(FULL)))

    def write(self, address: int, data: bytes) -> None:
        for number, byte in enumerate(data):
            place, _ = layout().kernel._paging.translate(address + number)
            page = bytearray(self.pages.get(place // BLOCK, bytes(BLOCK)))
            page[place % BLOCK] = byte
            self.pages[place // BLOCK] = bytes(page)

    def put(self, address: int, *values: int) -> None:
        for number, value in enumerate(values):
            self.write(address + 8 * number, (value & (1 << 64) - 1).to_bytes(8, "little"))

    def layout(self) -> Layout:
        dump = corpus_dump(FULL)
        file = Kdump(self.pages, dump.file.info, phys_base=0).file()
        return Layout(Kernel(open_dump(Bytes(file))))


def counters() -> Written:
    written = Written()
    symbol, enumerators = layout().symbols.get, layout().types.enumerators
    zones, nodes = enumerators("zone_stat_item"), enumerators("node_stat_item")
    assert zones["NR_FREE_PAGES"] == 0 and nodes["NR_LRU_BASE"] == nodes["NR_INACTIVE_ANON"] == 0
    written.put(symbol("_totalram_pages"), 60000)
    written.put(symbol("total_swap_pages"), 5000)
    written.put(symbol("nr_swap_pages"), 4000)
    for table, items in (("vm_zone_stat", zones), ("vm_node_stat", nodes)):
        for name, number in items.items():
            # Each its own value; one that a CPU has yet to add to is below zero.
            value = -3 if name == "NR_WRITEBACK" else 100 + number
            if not name.endswith(("_ITEMS", "_BASE")):
                written.put(symbol(table) + 8 * number, value)
    return written


def test_usage() -> None:
    usage = read_usage(counters().layout(), 4096)
    nodes = layout().types.enumerators("node_stat_item")
    assert (usage.total, usage.swap_total, usage.swap_free) == (60000 * 4096, 5000 * 4096, 4000 * 4096)
    assert usage.counters["free"] == 100 * 4096 and usage.counters["writeback"] == 0
    assert usage.counters["file"] == (100 + nodes["NR_FILE_PAGES"]) * 4096
    assert usage.counters["kernel_stacks"] == (100 + nodes["NR_KERNEL_STACK_KB"]) * 1024
    assert None not in usage.counters.values()


def test_slab_caches() -> None:
    written, offset = counters(), layout().offset
    head = layout().symbols.get("slab_caches")
    # Memory of a task that nobody else here looks at serves for two caches and their nodes.
    room = layout().init_task
    link = offset("kmem_cache", "list")
    first, second, names, node = room, room + 0x200, room + 0x500, room + 0x600
    for at, order, size in ((first, 3, 192), (second, 0, 64)):
        written.write(at + offset("kmem_cache", "oo"), struct.pack("<I", order << 16 | 21))
        written.write(at + offset("kmem_cache", "object_size"), struct.pack("<I", size))
        written.put(at + offset("kmem_cache", "node"), node)
    written.put(first + offset("kmem_cache", "name"), names)
    written.put(second + offset("kmem_cache", "name"), names + 16)
    written.write(names, b"dentry".ljust(16, b"\0") + b"tiny\0")
    written.put(node + offset("kmem_cache_node", "nr_slabs"), 7)
    written.put(node + offset("kmem_cache_node", "total_objects"), 147)
    written.write(layout().symbols.get("nr_node_ids"), struct.pack("<I", 1))
    for at, following in ((head, second + link), (second + link, first + link), (first + link, head)):
        written.put(at, following)
    found = read_caches(written.layout(), 4096)
    assert found == [Cache("dentry", 192, 147, 7 * 8 * 4096), Cache("tiny", 64, 147, 7 * 4096)]
    # A list that leads nowhere ends in an error, and one that leads back to its middle in an end.
    written.put(first + link, second + link)
    assert len(read_caches(written.layout(), 4096)) == 2
    written.put(first + link, 0x1234)
    with pytest.raises(DumpError):
        read_caches(written.layout(), 4096)


def test_enums_that_are_not_there() -> None:
    with pytest.raises(DumpError, match="no enum no_such"):
        layout().types.enumerators("no_such")
    with pytest.raises(DumpError, match="no enum task_struct"):
        layout().types.enumerators("task_struct")


def test_a_dump_without_these_pages_says_so() -> None:
    with pytest.raises(DumpError, match="was not dumped"):
        read_usage(layout(), 4096)
