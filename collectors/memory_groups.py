"""The part of ``memory`` that walks the control groups: who is limited, who is near it, who was killed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional

from lastwords.formats.memory.cgroup import parse_limit
from lastwords.formats.memory.counters import parse_counters
from lastwords.formats.memory.psi import parse_pressure
from lastwords.formats.system.mounts import Mount
from lastwords.roots.base import Root

MAX_GROUPS = 10_000
"""Control groups read; of more the evidence says so, and ``complete`` is false."""

V2_FILES = (
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.min",
    "memory.current",
    "memory.peak",
    "memory.swap.max",
    "memory.swap.current",
    "memory.events",
    "memory.events.local",
    "memory.oom.group",
    "memory.pressure",
    "memory.stat",
)
V1_FILES = (
    "memory.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.failcnt",
    "memory.memsw.limit_in_bytes",
    "memory.memsw.usage_in_bytes",
    "memory.kmem.limit_in_bytes",
    "memory.kmem.usage_in_bytes",
    "memory.oom_control",
    "memory.stat",
)
FILES = (*V2_FILES, *V1_FILES[:-1])
COSTLY = ("memory.stat", "memory.pressure")

V2_STAT = frozenset(
    (
        *(
            "anon",
            "file",
            "kernel",
            "kernel_stack",
            "pagetables",
            "sec_pagetables",
            "percpu",
            "sock",
            "vmalloc",
        ),
        *(
            "shmem",
            "zswap",
            "zswapped",
            "file_mapped",
            "file_dirty",
            "file_writeback",
            "swapcached",
            "anon_thp",
        ),
        *("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable"),
        *("slab_reclaimable", "slab_unreclaimable", "slab", "pgscan", "pgsteal", "pgmajfault"),
        *("workingset_refault_anon", "workingset_refault_file"),
    )
)
"""The parts of memory.stat that say where memory is and how hard it is sought."""
_V1_PARTS = (
    *("cache", "rss", "rss_huge", "shmem", "mapped_file", "dirty", "writeback", "swap", "unevictable"),
    *("inactive_anon", "active_anon", "inactive_file", "active_file", "pgmajfault"),
)
V1_STAT = frozenset(
    (
        *_V1_PARTS,
        *(f"total_{name}" for name in _V1_PARTS),
        *("hierarchical_memory_limit", "hierarchical_memsw_limit"),
    )
)
"""Without ``total_`` it is the group alone, with it the groups below, too."""


def control_groups(
    root: Root, mounts: Optional[Sequence[Mount]], *, only: Optional[Collection[str]] = None
) -> Optional[dict[str, Any]]:
    """Return the groups of the one hierarchy that the memory controller is in; None when there is none.

    :param only: paths of groups: no others are looked at, and of these no ``memory.stat`` or pressure,
        which cost the kernel a walk over its CPUs
    """
    found = _hierarchy(root, mounts or ())
    if found is None:
        return None
    version, top, layout = found
    groups = []
    rows = 0
    files: Sequence[str] = V1_FILES if version == 1 else V2_FILES
    names = None
    if only is not None:
        files = tuple(file for file in files if file not in COSTLY)
        names = sorted(path.lstrip("/") or "." for path in only)
    for row in root.table(top, files, names=names, depth=0, most=MAX_GROUPS):
        rows += 1
        if row.files:
            path = "/" if row.name == "." else "/" + row.name
            groups.append({"path": path, **(_v1(row.files) if version == 1 else _v2(row.files))})
    return {"version": version, "layout": layout, "top": top, "complete": rows < MAX_GROUPS, "groups": groups}


def _hierarchy(root: Root, mounts: Sequence[Mount]) -> Optional[tuple[int, str, str]]:
    """Return version, place and layout, which is called as systemd does: unified, legacy or hybrid."""
    unified = [mount.mountpoint for mount in mounts if mount.type == "cgroup2"]
    for mount in mounts:
        if mount.type == "cgroup" and "memory" in mount.options:
            return 1, mount.mountpoint, "hybrid" if unified else "legacy"
    for top in unified:
        if "memory" in (root.text(f"{top}/cgroup.controllers") or "").split():
            return 2, top, "unified" if top == "/sys/fs/cgroup" else "hybrid"
    if not mounts:
        # A report may hold the groups without the table of mounts.
        if root.exists("/sys/fs/cgroup/cgroup.controllers"):
            return 2, "/sys/fs/cgroup", "unified"
        if root.exists("/sys/fs/cgroup/memory"):
            return 1, "/sys/fs/cgroup/memory", "legacy"
    return None


def _v2(files: Mapping[str, str]) -> dict[str, Any]:
    return _group(
        max=_limit(files, "memory.max"),
        high=_limit(files, "memory.high"),
        low=_limit(files, "memory.low"),
        min=_limit(files, "memory.min"),
        current=_integer(files, "memory.current"),
        peak=_integer(files, "memory.peak"),
        swap_max=_limit(files, "memory.swap.max"),
        swap_current=_integer(files, "memory.swap.current"),
        events=_counters(files, "memory.events"),
        events_local=_counters(files, "memory.events.local"),
        oom_group=_switch(_integer(files, "memory.oom.group")),
        pressure=parse_pressure(files["memory.pressure"]) or None if "memory.pressure" in files else None,
        stat=_stat(files, V2_STAT),
    )


def _v1(files: Mapping[str, str]) -> dict[str, Any]:
    control = _counters(files, "memory.oom_control") or {}
    return _group(
        max=_limit(files, "memory.limit_in_bytes"),
        soft_limit=_limit(files, "memory.soft_limit_in_bytes"),
        current=_integer(files, "memory.usage_in_bytes"),
        peak=_integer(files, "memory.max_usage_in_bytes"),
        failcnt=_integer(files, "memory.failcnt"),
        memsw_max=_limit(files, "memory.memsw.limit_in_bytes"),
        memsw_current=_integer(files, "memory.memsw.usage_in_bytes"),
        kmem_max=_limit(files, "memory.kmem.limit_in_bytes"),
        kmem_current=_integer(files, "memory.kmem.usage_in_bytes"),
        events={"oom_kill": control["oom_kill"]} if "oom_kill" in control else None,
        oom_kill_disable=_switch(control.get("oom_kill_disable")),
        under_oom=_switch(control.get("under_oom")),
        stat=_stat(files, V1_STAT),
    )


_FIELDS = (
    *("max", "high", "low", "min", "soft_limit", "current", "peak", "failcnt", "swap_max", "swap_current"),
    *("memsw_max", "memsw_current", "kmem_max", "kmem_current", "events", "events_local", "oom_group"),
    *("oom_kill_disable", "under_oom", "pressure", "stat"),
)


def _group(**known: Any) -> dict[str, Any]:
    """Return a group with all fields: None stands for what its version of control groups does not have."""
    return {name: known.get(name) for name in _FIELDS}


def _limit(files: Mapping[str, str], name: str) -> Any:
    return parse_limit(files[name]) if name in files else None


def _integer(files: Mapping[str, str], name: str) -> Optional[int]:
    text = files.get(name, "").strip()
    return int(text) if text.isdigit() else None


def _counters(files: Mapping[str, str], name: str) -> Optional[dict[str, int]]:
    return parse_counters(files[name]) or None if name in files else None


def _stat(files: Mapping[str, str], names: frozenset[str]) -> Optional[dict[str, int]]:
    counters = _counters(files, "memory.stat")
    return None if counters is None else {name: value for name, value in counters.items() if name in names}


def _switch(value: Optional[int]) -> Optional[bool]:
    return None if value is None else bool(value)
