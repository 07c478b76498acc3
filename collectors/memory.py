"""Where the memory is: counters of the kernel, zones, caches, swap, huge pages, pressure, control groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Optional, TypeVar

from lastwords.collectors.memory_groups import FILES as GROUP_FILES
from lastwords.collectors.memory_groups import control_groups
from lastwords.formats.memory.buddyinfo import FreeBlocks, parse_buddyinfo, parse_pagetypeinfo
from lastwords.formats.memory.counters import parse_counters
from lastwords.formats.memory.meminfo import Meminfo, parse_meminfo
from lastwords.formats.memory.psi import parse_pressure
from lastwords.formats.memory.slabinfo import parse_slabinfo
from lastwords.formats.memory.swaps import chosen, parse_swaps, parse_zram_mm_stat
from lastwords.formats.memory.zoneinfo import Zone, parse_zoneinfo
from lastwords.formats.system.mounts import Mount, parse_mounts
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root

MAX_CACHES = 1000
"""Slab caches kept, the largest first."""
MAX_TMPFS = 1000
"""Mounts of filesystems in memory asked for their usage; a container host has some for each container."""
MAX_FREE_BLOCKS = 2_000_000
"""Free blocks in one zone up to which /proc/pagetypeinfo is read. Before 5.5 the kernel walks the lists of
free blocks with interrupts off to make it (93b3a674485f): on a large idle host that alone trips watchdogs."""

PAGE_SIZES = (4096, 8192, 16384, 65536)
"""Of every architecture that Linux distributions have."""

POOL_FILES = (
    "nr_hugepages",
    "free_hugepages",
    "resv_hugepages",
    "surplus_hugepages",
    "nr_overcommit_hugepages",
)
NODE_POOL_FILES = ("nr_hugepages", "free_hugepages", "surplus_hugepages")
ZRAM_FILES = ("disksize", "comp_algorithm", "mm_stat", "backing_dev")
ZSWAP_PARAMETERS = (
    "enabled",
    "compressor",
    "zpool",
    "max_pool_percent",
    "accept_threshold_percent",
    "same_filled_pages_enabled",
    "non_same_filled_pages_enabled",
    "exclusive_loads",
    "shrinker_enabled",
)
ZSWAP_COUNTERS = (
    "pool_total_size",
    "stored_pages",
    "pool_limit_hit",
    "written_back_pages",
    "reject_reclaim_fail",
    "reject_alloc_fail",
    "reject_kmemcache_fail",
    "reject_compress_fail",
    "reject_compress_poor",
    "decompress_fail",
)
THP_FILES = ("enabled", "defrag", "shmem_enabled", "use_zero_page", "hpage_pmd_size")
KHUGEPAGED_FILES = (
    "defrag",
    "pages_to_scan",
    "scan_sleep_millisecs",
    "alloc_sleep_millisecs",
    "max_ptes_none",
    "max_ptes_swap",
    "max_ptes_shared",
    "pages_collapsed",
    "full_scans",
)
Parsed = TypeVar("Parsed")


class MemoryCollector(Collector):
    """Reads the small files first; control groups and mounts, which may be many or stuck, come after."""

    name = "memory"
    title = "memory: counters, zones, slab, swap, huge pages, pressure, control groups"
    reads = (
        *(f"/proc/{name}" for name in ("meminfo", "vmstat", "zoneinfo", "buddyinfo", "pagetypeinfo")),
        "/proc/slabinfo",
        "/proc/swaps",
        *(f"/proc/pressure/{name}" for name in ("memory", "io", "cpu")),
        "/proc/self/mounts",
        "/proc/mounts",
        "/sys/kernel/mm/transparent_hugepage/*",
        "/sys/kernel/mm/hugepages/hugepages-*/*",
        "/sys/devices/system/node/node[0-9]*/meminfo",
        "/sys/devices/system/node/node[0-9]*/hugepages/hugepages-*/*",
        *(f"/sys/block/zram[0-9]*/{name}" for name in ZRAM_FILES),
        "/sys/module/zswap/parameters/*",
        "/sys/kernel/debug/zswap/*",
        "/sys/fs/cgroup/cgroup.controllers",
        "/sys/fs/cgroup/memory.*",
        *(f"/sys/fs/cgroup/**/{name}" for name in GROUP_FILES),
    )
    runs = (("getconf", "PAGE_SIZE"),)
    needs_root = "slab caches, free blocks by migrate type, counters of zswap"

    def collect(self, root: Root) -> Iterator[Facts]:
        meminfo = _parsed(root, "/proc/meminfo", parse_meminfo)
        vmstat = _parsed(root, "/proc/vmstat", parse_counters)
        zones = _parsed(root, "/proc/zoneinfo", parse_zoneinfo)
        buddyinfo = _parsed(root, "/proc/buddyinfo", parse_buddyinfo)
        page_size = _page_size(root, meminfo, vmstat)
        mounts = _mounts(root)
        if meminfo is None and vmstat is None and zones is None:
            raise NoData("no /proc/meminfo, /proc/vmstat or /proc/zoneinfo")
        pools = _huge_page_pools(root)
        facts: Facts = {
            "page_size": page_size,
            "meminfo": meminfo.sizes if meminfo else None,
            "huge_page_counts": meminfo.counts if meminfo else None,
            "vmstat": vmstat,
            "zones": None if zones is None else [_zone(zone) for zone in zones],
            "buddyinfo": None if buddyinfo is None else [_free_blocks(each) for each in buddyinfo],
            "pagetypeinfo": None,
            "slab": _slab(root, page_size),
            "swaps": _swaps(root),
            "zram": _zram(root),
            "zswap": _zswap(root),
            "transparent_huge_pages": _transparent_huge_pages(root),
            "huge_pages": pools,
            "nodes": _nodes(root, [pool["page_size"] for pool in pools or ()]),
            "pressure": {
                name: _parsed(root, f"/proc/pressure/{name}", parse_pressure)
                for name in ("memory", "io", "cpu")
            },
            "tmpfs": None,
            "cgroups": None,
        }
        yield facts
        facts["cgroups"] = control_groups(root, mounts)
        yield facts
        if buddyinfo is not None and all(sum(each.free) <= MAX_FREE_BLOCKS for each in buddyinfo):
            facts["pagetypeinfo"] = _pagetypeinfo(root)
        facts["tmpfs"] = None if mounts is None else _tmpfs(root, mounts)
        yield facts


def _parsed(root: Root, path: str, parse: Callable[[str], Parsed]) -> Optional[Parsed]:
    """Return what a parser makes of a file; None when it cannot be read or holds nothing of the kind."""
    text = root.text(path)
    return None if text is None else parse(text) or None


def _page_size(root: Root, meminfo: Optional[Meminfo], vmstat: Optional[Mapping[str, int]]) -> Optional[int]:
    """Return the size of a page; where no command tells, by one number given in pages and in kilobytes.

    The two are read one after the other, and sizes of pages differ by two at least.
    """
    output = root.run(("getconf", "PAGE_SIZE"))
    if output:
        return _integer(output.text)
    size = meminfo.sizes.get("Mapped") if meminfo else None
    pages = vmstat.get("nr_mapped") if vmstat else None
    if not size or not pages:
        return None
    return next((each for each in PAGE_SIZES if 0.8 < size / pages / each < 1.25), None)


def _mounts(root: Root) -> Optional[list[Mount]]:
    text = root.text("/proc/self/mounts") or root.text("/proc/mounts")
    return parse_mounts(text) if text else None


def _zone(zone: Zone) -> dict[str, Any]:
    names = ("free", "boost", "min", "low", "high", "promo", "spanned", "present", "managed", "cma")
    return {
        "node": zone.node,
        "zone": zone.name,
        **{name: zone.get(name) for name in names},
        "protection": list(zone.protection),
    }


def _free_blocks(blocks: FreeBlocks) -> dict[str, Any]:
    return {"node": blocks.node, "zone": blocks.zone, "free": list(blocks.free)}


def _pagetypeinfo(root: Root) -> Optional[dict[str, Any]]:
    text = root.text("/proc/pagetypeinfo")
    if text is None:
        return None
    free, blocks = parse_pagetypeinfo(text)
    return {
        "free": [{**_free_blocks(each), "type": each.type} for each in free],
        "page_blocks": [each._asdict() for each in blocks],
    }


def _slab(root: Root, page_size: Optional[int]) -> Optional[dict[str, Any]]:
    text = root.text("/proc/slabinfo")
    if text is None:
        return None
    caches = sorted(parse_slabinfo(text), key=lambda cache: (-cache.pages, cache.name))
    return {
        "caches": [
            {
                "name": cache.name,
                "active_objects": cache.active_objects,
                "objects": cache.objects,
                "object_size": cache.object_size,
                "slabs": cache.slabs,
                "pages": cache.pages,
                "size": cache.pages * page_size if page_size else None,
            }
            for cache in caches[:MAX_CACHES]
        ],
        "total_pages": sum(cache.pages for cache in caches),
        "left_out": len(caches[MAX_CACHES:]),
    }


def _swaps(root: Root) -> Optional[list[dict[str, Any]]]:
    text = root.text("/proc/swaps")
    return None if text is None else [swap._asdict() for swap in parse_swaps(text)]


def _zram(root: Root) -> Optional[list[dict[str, Any]]]:
    found = []
    for row in root.table("/sys/block", ZRAM_FILES, match="zram*"):
        files = row.files
        found.append(
            {
                "device": row.name,
                "disksize": _integer(files.get("disksize")),
                "algorithm": chosen(files.get("comp_algorithm", "")),
                "backing_device": files.get("backing_dev", "").strip() or None,
                "counters": parse_zram_mm_stat(files["mm_stat"]) if "mm_stat" in files else None,
            }
        )
    return found if found or root.listdir("/sys/block") is not None else None


def _zswap(root: Root) -> Optional[dict[str, Any]]:
    """Return None where the kernel has no zswap, or the root does not tell."""
    parameters = _row(root, "/sys/module/zswap", "parameters", ZSWAP_PARAMETERS)
    if not parameters:
        return None
    # An ordinary user may not look into debugfs: that is noted once, not for every file.
    debug = root.exists("/sys/kernel/debug/zswap")
    counters = _row(root, "/sys/kernel/debug", "zswap", ZSWAP_COUNTERS) if debug else {}
    return {
        "parameters": {name: value.strip() for name, value in parameters.items()},
        "counters": {name: _integer(value) for name, value in counters.items()} or None,
    }


def _transparent_huge_pages(root: Root) -> Optional[dict[str, Any]]:
    files = _row(root, "/sys/kernel/mm", "transparent_hugepage", THP_FILES)
    if not files:
        return None
    khugepaged = _row(root, "/sys/kernel/mm/transparent_hugepage", "khugepaged", KHUGEPAGED_FILES)
    return {
        "enabled": chosen(files.get("enabled", "")),
        "defrag": chosen(files.get("defrag", "")),
        "shmem_enabled": chosen(files.get("shmem_enabled", "")),
        "use_zero_page": _switch(files.get("use_zero_page")),
        "page_size": _integer(files.get("hpage_pmd_size")),
        "khugepaged": {name: _integer(value) for name, value in khugepaged.items()} or None,
    }


def _huge_page_pools(root: Root) -> Optional[list[dict[str, Any]]]:
    """Return the pools of persistent huge pages; None where there are none, or the root does not tell."""
    found = [
        {"page_size": size, **_pool(row.files, "", POOL_FILES)}
        for row in root.table("/sys/kernel/mm/hugepages", POOL_FILES, match="hugepages-*kB")
        if (size := _pool_size(row.name)) is not None
    ]
    return sorted(found, key=lambda pool: pool["page_size"]) or None


def _nodes(root: Root, sizes: Iterable[int]) -> Optional[list[dict[str, Any]]]:
    folders = {size: f"hugepages/hugepages-{size // 1024}kB" for size in sizes}
    files = ["meminfo", *(f"{folder}/{name}" for folder in folders.values() for name in NODE_POOL_FILES)]
    found = []
    for row in root.table("/sys/devices/system/node", files, match="node[0-9]*"):
        meminfo: Optional[Meminfo] = parse_meminfo(row.files["meminfo"]) if "meminfo" in row.files else None
        found.append(
            {
                "node": int(row.name[4:]),
                "meminfo": meminfo.sizes if meminfo else None,
                "huge_page_counts": meminfo.counts if meminfo else None,
                "huge_pages": [
                    {"page_size": size, **_pool(row.files, folder + "/", NODE_POOL_FILES)}
                    for size, folder in folders.items()
                ],
            }
        )
    return found or None


def _tmpfs(root: Root, mounts: list[Mount]) -> dict[str, Any]:
    """Return how full the filesystems in memory are. No other mount is touched: a server may not answer."""
    wanted = {mount.mountpoint: mount for mount in mounts if mount.type in ("tmpfs", "devtmpfs", "ramfs")}
    shown = {mount.mountpoint: mount.type for mount in mounts}
    found = []
    for path, mount in list(wanted.items())[:MAX_TMPFS]:
        usage = root.usage(path) if shown[path] == mount.type else None
        if usage is not None and usage.mountpoint not in (None, path):
            usage = None  # df did not list it: this is the filesystem around it
        found.append(
            {
                "mountpoint": path,
                "type": mount.type,
                "size_option": mount.option("size"),
                "size": usage.size if usage else None,
                "used": usage.used if usage else None,
                "available": usage.available if usage else None,
            }
        )
    return {"mounts": found, "left_out": len(wanted) - len(found)}


def _row(root: Root, base: str, name: str, files: Iterable[str]) -> dict[str, str]:
    """Return the files of one directory that are there: one piece of evidence for all of them."""
    rows = list(root.table(base, tuple(files), match=name))
    return rows[0].files if rows else {}


def _pool(files: dict[str, str], prefix: str, names: Iterable[str]) -> dict[str, Optional[int]]:
    words = {
        "nr_hugepages": "total",
        "free_hugepages": "free",
        "resv_hugepages": "reserved",
        "surplus_hugepages": "surplus",
        "nr_overcommit_hugepages": "overcommit",
    }
    return {words[name]: _integer(files.get(prefix + name)) for name in names}


def _pool_size(name: str) -> Optional[int]:
    kilobytes = _integer(name[len("hugepages-") : -len("kB")])
    return None if kilobytes is None else kilobytes * 1024


def _switch(text: Optional[str]) -> Optional[bool]:
    return {"0": False, "1": True}.get(text.strip()) if text else None


def _integer(text: Optional[str]) -> Optional[int]:
    try:
        return int(text) if text else None
    except ValueError:
        return None
