"""How the host is set up for running out of memory: kernel settings, userspace killers, units, scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lastwords.collectors import oom_daemons, oom_writers, sysctls, tuned
from lastwords.collectors.oom_units import LOOKUP, MANAGER_KEYS, Units, configuration
from lastwords.collectors.sysctls import Persisted, Runtime, compare
from lastwords.hookspecs import Collector
from lastwords.model import Facts
from lastwords.roots.base import Root

SYSCTLS = (
    "vm.panic_on_oom",
    "vm.oom_kill_allocating_task",
    "vm.oom_dump_tasks",
    "vm.overcommit_memory",
    "vm.overcommit_ratio",
    "vm.overcommit_kbytes",
    "vm.min_free_kbytes",
    "vm.extra_free_kbytes",
    "vm.watermark_scale_factor",
    "vm.watermark_boost_factor",
    "vm.swappiness",
    "vm.page-cluster",
    "vm.admin_reserve_kbytes",
    "vm.user_reserve_kbytes",
    "vm.lowmem_reserve_ratio",
    "vm.extfrag_threshold",
    "vm.compaction_proactiveness",
    "vm.compact_unevictable_allowed",
    "vm.vfs_cache_pressure",
    "vm.pagecache_limit_mb",
    "vm.dirty_ratio",
    "vm.dirty_bytes",
    "vm.dirty_background_ratio",
    "vm.dirty_background_bytes",
    "vm.zone_reclaim_mode",
    "vm.min_unmapped_ratio",
    "vm.min_slab_ratio",
    "vm.nr_hugepages",
    "vm.nr_overcommit_hugepages",
    "vm.max_map_count",
    "kernel.pid_max",
    "kernel.threads-max",
)
"""Documentation/admin-guide/sysctl/vm.rst and kernel.rst; two of vendors: Android's and SUSE's."""


class OomCollector(Collector):
    """Gathers what decides when memory is exhausted, who is killed then, and by whom."""

    name = "oom"
    title = "out of memory: settings now and persisted, userspace killers, units, scripts"
    reads = (
        "/proc/sys/kernel/osrelease",
        *("/proc/sys/" + key.replace(".", "/") for key in SYSCTLS),
        *sysctls.FILES,
        *tuned.FILES,
        *(f"{directory}/*" for directory in LOOKUP),
        "/etc/systemd/system.conf",
        "/etc/systemd/system.conf.d/*",
        "/run/systemd/system.conf.d/*",
        "/usr/lib/systemd/system.conf",
        "/usr/lib/systemd/system.conf.d/*",
        "/lib/systemd/system.conf.d/*",
        *oom_daemons.FILES,
        *oom_writers.PLACES,
    )
    runs = (sysctls.SYSCTL, *oom_daemons.RUNS)
    needs_root = "crontabs of users"

    def collect(self, root: Root) -> Iterator[Facts]:
        release = (root.text("/proc/sys/kernel/osrelease") or "").strip() or None
        persisted = Persisted(root, release)
        facts: dict[str, Any] = {
            "sysctls": compare(Runtime(root), persisted, SYSCTLS),
            "sysctl_files": persisted.files if persisted.files or persisted.known else None,
            "sysctl_conf": persisted.sysctl_conf,
            "tuned": tuned.tuned_settings(root, frozenset(SYSCTLS)),
            "manager": None,
            "units": None,
            "units_limited": False,
            "daemons": None,
            "writers": None,
        }
        yield facts
        units = Units(root)
        facts["manager"] = configuration(root, "systemd/system.conf", MANAGER_KEYS)
        facts["units"] = list(units.settings())
        facts["units_limited"] = units.limited
        facts["daemons"] = oom_daemons.find_daemons(root, units)
        yield facts
        writers = oom_writers.find_writers(root)
        facts["writers"] = {**writers, "mentions": writers["mentions"] + units.mentions}
        yield facts
