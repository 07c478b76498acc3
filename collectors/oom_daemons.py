"""The killers in userspace: systemd-oomd, earlyoom, nohang."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from lastwords.collectors.oom_units import Units, configuration
from lastwords.formats.system.shell_vars import parse_shell_vars
from lastwords.roots.base import Root
from lastwords.roots.lines import Line

CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
"""Where systemd's own hierarchy is: cgroup v2, the hybrid layout, v1."""
WANTS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
LIST_UNITS = ("systemctl", "list-units")
_STATES = (
    "active",
    "reloading",
    "refreshing",
    "activating",
    "deactivating",
    "inactive",
    "failed",
    "maintenance",
)
_RUNNING = ("active", "reloading", "refreshing", "deactivating")
MAX_SETTINGS = 200


@dataclass(frozen=True)
class Daemon:
    """One of them, and where its parts lie."""

    name: str
    units: tuple[str, ...]
    binaries: tuple[str, ...]
    systemd_configuration: Optional[str] = None
    shell_files: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """Globs of files of ``key = value`` lines."""


DAEMONS = (
    Daemon(
        "systemd-oomd",
        ("systemd-oomd.service",),
        ("/usr/lib/systemd/systemd-oomd", "/lib/systemd/systemd-oomd"),
        systemd_configuration="systemd/oomd.conf",
    ),
    Daemon(
        "earlyoom",
        ("earlyoom.service",),
        ("/usr/bin/earlyoom", "/usr/sbin/earlyoom", "/usr/local/bin/earlyoom"),
        shell_files=("/etc/default/earlyoom", "/etc/sysconfig/earlyoom"),
    ),
    Daemon(
        "nohang",
        ("nohang.service", "nohang-desktop.service"),
        ("/usr/sbin/nohang", "/usr/bin/nohang", "/usr/local/sbin/nohang", "/usr/local/bin/nohang"),
        shell_files=("/etc/default/nohang",),
        files=("/etc/nohang/*.conf",),
    ),
)
FILES = (
    *(path for daemon in DAEMONS for path in (*daemon.binaries, *daemon.shell_files, *daemon.files)),
    *(f"{base}/systemd/oomd.conf" for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")),
    *(f"{base}/systemd/oomd.conf.d/*" for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")),
    *(f"{top}/system.slice/{unit}*" for top in CGROUPS for daemon in DAEMONS for unit in daemon.units),
)
RUNS = (*(("systemctl", "is-active", unit) for daemon in DAEMONS for unit in daemon.units), LIST_UNITS)


def find_daemons(root: Root, units: Units) -> list[dict[str, Any]]:
    """Return what is known of each daemon: installed, enabled, running, configured."""
    return [_daemon(root, units, each) for each in DAEMONS]


def _daemon(root: Root, units: Units, daemon: Daemon) -> dict[str, Any]:
    binaries = {path: root.exists(path) for path in daemon.binaries}
    files = [units.fragments[unit].path for unit in daemon.units if unit in units.fragments]
    installed: Optional[bool] = True
    if True not in binaries.values() and not files:
        installed = None if None in binaries.values() or not units.known else False
    settings: list[dict[str, Any]] = []
    if daemon.systemd_configuration:
        settings += configuration(root, daemon.systemd_configuration, None)
    for path in daemon.shell_files:
        settings += _shell(root, path)
    for pattern in daemon.files:
        for path in root.glob(pattern):
            settings += _plain(root, path)
    return {
        "name": daemon.name,
        "installed": installed,
        "binary": next((path for path, there in binaries.items() if there), None),
        "units": [_unit(root, units, unit, installed) for unit in daemon.units],
        "settings": settings[:MAX_SETTINGS],
    }


def _unit(root: Root, units: Units, unit: str, installed: Optional[bool]) -> dict[str, Any]:
    node = units.fragments.get(unit)
    links = [
        path
        for base in WANTS
        for kind in ("wants", "requires", "upholds")
        for path in root.glob(f"{base}/*.{kind}/{unit}")
    ]
    for path in links:
        root.stat(path, follow=False)
    return {
        "unit": unit,
        "file": node.path if node else None,
        "masked": units.masked(unit) if node or units.known else None,
        "enabled": bool(links) if links or units.known else None,
        "enabled_by": sorted(links),
        "running": _running(root, unit, installed),
    }


def _running(root: Root, unit: str, installed: Optional[bool]) -> Optional[bool]:
    """Tell from the unit's cgroup; what that does not tell, from systemctl."""
    absent = False
    for top in CGROUPS:
        place = f"{top}/system.slice/{unit}"
        there = root.exists(place)
        if there:
            processes = root.text(f"{place}/cgroup.procs")
            if processes is not None:
                return bool(processes.strip())
        elif there is False and root.exists(f"{top}/system.slice"):
            absent = True
    if absent:
        return False
    if installed is False:
        return None
    output = root.run(("systemctl", "is-active", unit))
    state = output.text.strip() if output else ""
    if state in _STATES:
        return state in _RUNNING
    if root.kind == "live":
        return None
    output = root.run(LIST_UNITS)
    found = re.search(rf"^\W*{re.escape(unit)}\s+\S+\s+(\S+)", output.text if output else "", re.MULTILINE)
    return found[1] in _RUNNING if found else None


def _shell(root: Root, path: str) -> list[dict[str, Any]]:
    assignments, _ = parse_shell_vars(root.text(path) or "")
    return _judged(path, [(each.name, each.value, each.line) for each in assignments])


def _plain(root: Root, path: str) -> list[dict[str, Any]]:
    """Return the ``key = value`` lines of nohang's configuration; its ``@`` lines are lists, not settings."""
    kept: list[Line] = []
    found: list[tuple[str, str, int]] = []
    try:
        for line in root.lines(path):
            match = re.match(r"\s*(\w+)\s*=\s*(.*?)\s*$", line.text)
            if match and len(kept) < MAX_SETTINGS:
                kept.append(line)
                found.append((match[1], match[2], line.number))
    except OSError:
        return []
    root.keep(path, kept)
    return _judged(path, found)


def _judged(path: str, found: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    last = {key: line for key, _, line in found}
    return [
        {
            "section": None,
            "key": key,
            "value": value,
            "file": path,
            "line": line,
            "effective": last[key] == line,
        }
        for key, value, line in found
    ]
