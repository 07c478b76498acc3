"""Where the memory was when it ran out, to the last byte that the report tells.

What no counter owns is named as well: drivers, balloons, zram and leaks take memory that is on no list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.formats.oom.memcg import MemoryGroup
from lastwords.formats.oom.memory import MemoryInfo
from lastwords.formats.oom.report import OomEvent


@dataclass(frozen=True)
class Share:
    """A part of the memory."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Held:
    """What held the memory of a machine or of a memory cgroup."""

    scope: str
    """``machine`` or ``memcg``."""
    total: Optional[int]
    """All there is: RAM the kernel manages, or the usage of the group. None when unknown."""
    shares: tuple[Share, ...]
    """The parts, which do not overlap; free memory is one of them."""
    unaccounted: Optional[int]
    """What no part explains; None when it cannot be told."""
    swap_total: Optional[int]
    swap_free: Optional[int]

    def share(self, name: str) -> int:
        """Return the size of a part, 0 when there is none of that name."""
        return next((part.bytes for part in self.shares if part.name == name), 0)

    def portion(self, name: str) -> float:
        """Return a part's portion of the whole, from 0 to 1."""
        size = self.unaccounted or 0 if name == "unaccounted" else self.share(name)
        return size / self.total if self.total else 0.0


_OF_KERNEL = (
    "slab_reclaimable",
    "slab_unreclaimable",
    "kernel_stack",
    "pagetables",
    "percpu",
    "vmalloc",
    "zswap",
)
"""What memory.stat counts in ``kernel`` and by itself as well (from 5.18 on)."""


def held(event: OomEvent) -> Optional[Held]:
    """Return where the memory was, or None when the report does not tell."""
    if event.group is not None and event.group.usage and event.constraint == "memcg":
        return _of_group(event.group)
    return _of_machine(event.memory) if event.memory.zones or event.memory.counters else None


_IN_NODE = {"isolated_anon": "isolated(anon)", "isolated_file": "isolated(file)"}
"""What a node calls a counter of the machine."""


def _is_filtered(info: MemoryInfo) -> bool:
    """Whether the report leaves nodes out, as it does with those that a cpuset or a policy forbids.

    The counters of the machine are of all nodes nevertheless.
    """
    managed, page = info.total("managed"), info.page_size
    if not (info.nodes and managed and page and "RAM" in info.pages):
        return False
    return (info.pages["RAM"] - info.pages.get("reserved", 0)) * page > managed * 1.1


def _of_machine(info: MemoryInfo) -> Held:
    filtered = _is_filtered(info)

    def counter(*names: str) -> Optional[int]:
        if filtered:
            inside = [_IN_NODE.get(name, name) for name in names]
            known = [values[name] for values in info.nodes.values() for name in inside if name in values]
        else:
            known = [value for name in names if (value := info.counter(name)) is not None]
        return sum(known) if known else None

    def per_zone(name: str) -> Optional[int]:
        nodes = [values[name] for values in info.nodes.values() if name in values]
        return sum(nodes) if nodes else info.total(name)

    shmem = counter("shmem") or 0
    anon = counter("active_anon", "inactive_anon", "isolated_anon")
    file = counter("active_file", "inactive_file", "isolated_file")
    lru, mapped = counter("Active", "inactive"), counter("mapped-anon")
    if anon is None and lru is not None and mapped is not None:
        anon, file, lru = mapped, max(0, lru - mapped), None  # 2.6.18: one list for both
    huge = sum((row.get("total") or 0) * (row.get("size") or 2 << 20) for row in info.hugepages)
    parts = (
        # Pages of tmpfs and shared memory are on the lists of anonymous pages.
        ("anon", None if anon is None else max(0, anon - shmem)),
        ("file", file),
        ("shmem", shmem if anon is not None else None),
        ("lru", lru),
        ("unevictable", counter("unevictable")),
        ("slab reclaimable", counter("slab_reclaimable")),
        ("slab unreclaimable", counter("slab_unreclaimable")),
        ("slab", counter("slab")),
        ("kernel stacks", per_zone("kernel_stack")),
        ("page tables", counter("pagetables", "sec_pagetables")),
        ("hugetlb", huge),
        ("zsmalloc", per_zone("zspages")),
        ("balloon", per_zone("Balloon")),
        ("gpu", (per_zone("gpu_active") or 0) + (per_zone("gpu_reclaim") or 0)),
        ("free", info.total("free") if info.zones else counter("free")),
        ("free per cpu", info.total("free_pcp")),
    )
    shares = tuple(Share(name, size) for name, size in parts if size)
    ram = info.ram
    known = sum(part.bytes for part in shares)
    listed = any(size is not None for name, size in parts if name in ("anon", "lru"))
    rest = ram - known if ram is not None and listed and not (info.cut or filtered) else None
    if ram is not None and rest is not None and rest < -ram // 20:
        ram = rest = None  # zones are missing in the report, or its numbers contradict each other
    return Held("machine", ram, shares, rest, info.swap_total, info.swap_free)


def _of_group(group: MemoryGroup) -> Held:
    stats = group.stats
    usage = group.usage.get("memory", {}).get("usage")

    def stat(name: str) -> Optional[int]:
        if f"total_{name}" in stats:
            return stats[f"total_{name}"]
        # Up to 5.2 each group tells of itself alone, not of those below it.
        known = [values[name] for values in (stats, *group.below.values()) if name in values]
        return sum(known) if known else None

    if "anon" in stats:
        shmem = stats.get("shmem", 0)
        parts = [
            ("anon", stats["anon"]),
            ("file", max(0, stats.get("file", 0) - shmem)),
            ("shmem", shmem),
            ("slab reclaimable", stats.get("slab_reclaimable")),
            ("slab unreclaimable", stats.get("slab_unreclaimable")),
            ("kernel stacks", stats.get("kernel_stack")),
            ("page tables", stats.get("pagetables", 0) + stats.get("sec_pagetables", 0)),
            ("per cpu", stats.get("percpu")),
            ("sockets", stats.get("sock")),
            ("vmalloc", stats.get("vmalloc")),
            ("zswap", stats.get("zswap")),
            ("hugetlb", stats.get("hugetlb")),
        ]
        counted = sum(stats.get(name, 0) for name in _OF_KERNEL)
        parts.append(("kernel", max(0, stats.get("kernel", 0) - counted)))
    else:
        cache, shmem = stat("cache"), stat("shmem") or 0
        parts = [
            ("anon", stat("rss")),
            ("file", None if cache is None else max(0, cache - shmem)),
            ("shmem", shmem),
            ("kernel", group.usage.get("kmem", {}).get("usage")),
        ]
    shares = tuple(Share(name, size) for name, size in parts if size)
    rest = usage - sum(part.bytes for part in shares) if usage is not None and shares else None
    swap = group.usage.get("swap", {})
    both = group.usage.get("memory+swap", {})
    swap_total = swap.get("limit")
    used = swap.get("usage", stat("swap"))
    if swap_total is None and both.get("limit") is not None:
        limit = group.usage.get("memory", {}).get("limit")
        swap_total = both["limit"] - limit if limit is not None and both["limit"] is not None else None
    free = max(0, swap_total - used) if swap_total is not None and used is not None else None
    return Held("memcg", usage, shares, rest, swap_total, free)
