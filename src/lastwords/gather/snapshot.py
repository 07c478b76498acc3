"""What a prediction needs of a running host, read at once and in this very process: for screens that refresh.

The same readers as in a bundle, but for the least that will do: no child, no command, nothing that takes the
lock of another process or makes the kernel sum up counters.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from lastwords.collectors.memory_groups import control_groups
from lastwords.collectors.processes import ProcessesCollector
from lastwords.formats.memory.meminfo import parse_meminfo
from lastwords.formats.memory.psi import parse_pressure
from lastwords.formats.system.mounts import parse_mounts
from lastwords.model import Facts
from lastwords.roots.base import Root

SYSCTLS = ("vm.panic_on_oom", "vm.oom_kill_allocating_task", "vm.swappiness")


def snapshot(root: Root) -> dict[str, Facts]:
    """Return those parts of the facts of processes, memory, kernel, oom and host that a prediction uses.

    :raises NoData: there are no processes
    """
    *_, processes = ProcessesCollector().collect(root)
    meminfo = parse_meminfo(root.text("/proc/meminfo") or "")
    mounts = parse_mounts(root.text("/proc/self/mounts") or "")
    groups = control_groups(root, mounts, only=_groups_of(processes["records"]))
    release = (root.text("/proc/sys/kernel/osrelease") or "").strip() or None
    return {
        "processes": processes,
        "memory": {
            "page_size": os.sysconf("SC_PAGE_SIZE"),
            "meminfo": meminfo.sizes,
            "cgroups": groups,
            "pressure": {"memory": parse_pressure(root.text("/proc/pressure/memory") or "") or None},
        },
        "kernel": {"release": release},
        "oom": {"sysctls": {name: {"runtime": _sysctl(root, name)} for name in SYSCTLS}},
        "host": {"hostname": os.uname().nodename, "architecture": os.uname().machine},
    }


def _groups_of(records: list[dict[str, Any]]) -> set[str]:
    """Return the groups that processes are in, and those above."""
    found: set[str] = set()
    for record in records:
        path = record["cgroup"] or ""
        # Seen from inside a container a group outside of it is called /..
        while path not in ("", "/") and path not in found and not path.startswith("/.."):
            found.add(path)
            path = path.rpartition("/")[0]
    return found


def _sysctl(root: Root, name: str) -> Optional[int]:
    text = (root.text("/proc/sys/" + name.replace(".", "/")) or "").strip()
    return int(text) if text.isdigit() else None
