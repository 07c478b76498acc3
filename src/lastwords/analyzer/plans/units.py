"""Which systemd unit somebody means, and the drop-ins that change it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from lastwords.analyzer.plans.script import NotPlannable, quote
from lastwords.formats.system.unit_files import unit_type, units_of
from lastwords.model import Case, Facts

_NAME = re.compile(r"[A-Za-z0-9:_.@\\-]{1,255}")
"""The characters that systemd allows (systemd.unit(5))."""
CONFIGURABLE = ("service", "slice", "mount", "socket", "swap", "scope")

CHECK = """\
# Be sure that there is such a unit, where systemd runs.
if [ -d /run/systemd/system ] && ! systemctl cat -- "$unit" >/dev/null 2>&1; then
    echo "$unit: there is no such unit here; nothing was changed" >&2
    return 1
fi"""

RELOAD = """\
# Tell systemd, if it runs here (it does not in a chroot).
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi"""


@dataclass(frozen=True)
class Target:
    """What is to be changed."""

    unit: Optional[str]
    """None for a process that belongs to no unit that lasts."""
    records: tuple[Facts, ...]
    """Its processes, as far as the facts have them."""
    setting: Optional[str] = None
    """Effective value of the setting that was asked for, outside of our own drop-in."""


def find(case: Case, wanted: str, *, drop_in: str, key: str) -> Target:
    """Return what *wanted* names: a unit, a process by its name, or one by its id.

    :param drop_in: name of the plan's own drop-in file, whose setting is not counted
    :param key: the setting whose value in force is wanted
    :raises NotPlannable: nothing or too much goes by that name, or systemd does not rule it
    """
    unit, records = _named(case, wanted)
    if unit is None:
        return Target(None, records)
    if not _NAME.fullmatch(unit):
        raise NotPlannable(f"{unit!r}: expected a unit: letters, digits and : _ . @ \\ - only")
    kind = unit_type(unit)
    if kind not in CONFIGURABLE:
        raise NotPlannable(f"{unit}: expected one of {', '.join(CONFIGURABLE)}")
    settings = [
        each["value"]
        for each in (case.facts.get("oom") or {}).get("units") or ()
        if each["unit"] == unit and each["key"] == key and not each["file"].endswith("/" + drop_in)
    ]
    return Target(unit, records, settings[-1] if settings else None)


def _named(case: Case, wanted: str) -> tuple[Optional[str], tuple[Facts, ...]]:
    every: list[Facts] = (case.facts.get("processes") or {}).get("records") or []
    if wanted.isdecimal():
        chosen = [each for each in every if each["pid"] == int(wanted)]
        if not chosen:
            raise NotPlannable(f"process {wanted}: there is none in this input")
        unit = _system_unit(chosen[0])
        if unit is None or unit.endswith(".scope") or unit.startswith("user@"):
            # A session or a container: nothing of it lasts, but the process itself can be set.
            return None, tuple(chosen)
        return unit, tuple(_of_unit(every, unit))
    if unit_type(wanted):
        own = _known_as(case, wanted)
        return own, tuple(_of_unit(every, own))
    by_name = {
        found
        for each in every
        if each.get("comm") == wanted[:15] and (found := _system_unit(each)) and not found.endswith(".scope")
    }
    own = _known_as(case, f"{wanted}.service")
    if own in by_name or own in _seen(case):
        by_name = {own}
    if len(by_name) > 1:
        raise NotPlannable(f"{wanted}: expected one unit, found {', '.join(sorted(by_name))}: name one")
    if by_name:
        (only,) = by_name
        return only, tuple(_of_unit(every, only))
    loose = [each for each in every if each.get("comm") == wanted[:15]]
    if loose:
        pids = ", ".join(str(each["pid"]) for each in loose[:8])
        raise NotPlannable(f"{wanted}: belongs to no service here: name one process: {pids}")
    # A service that does not run, or a disk that has no processes: the script itself looks for the unit.
    return own, ()


def _system_unit(record: Facts) -> Optional[str]:
    units = units_of(record.get("systemd_cgroup") or record.get("cgroup") or "")
    return units[0] if units else None


def _of_unit(records: list[Facts], unit: str) -> Iterator[Facts]:
    for each in records:
        path = (each.get("systemd_cgroup") or each.get("cgroup") or "").split("/")
        if unit in path:
            yield each


def _seen(case: Case) -> set[str]:
    """Return the units that the facts name."""
    found = {each["unit"] for each in (case.facts.get("oom") or {}).get("units") or ()}
    groups: list[dict[str, Any]] = ((case.facts.get("memory") or {}).get("cgroups") or {}).get("groups") or []
    for group in groups:
        found.update(part for part in group["path"].split("/") if unit_type(part))
    return found


def _known_as(case: Case, unit: str) -> str:
    """Return the name under which a unit runs: Debian's ssh.service is sshd.service, too."""
    if unit in ("ssh.service", "sshd.service"):
        seen = _seen(case)
        for name in (unit, "ssh.service", "sshd.service"):
            if name in seen:
                return name
        identity = (case.facts.get("host") or {}).get("distribution") or {}
        debian = {"debian", "ubuntu"} & set(f"{identity.get('id')} {identity.get('id_like')}".split())
        return "ssh.service" if debian else "sshd.service"
    return unit


def drop_in_path(unit: str, name: str) -> str:
    """Return where a drop-in of ours goes."""
    return f"/etc/systemd/system/{unit}.d/{name}"


def section_of(unit: str) -> str:
    """Return the section that memory settings of a unit go in.

    >>> section_of("user.slice"), section_of("a.service")
    ('Slice', 'Service')
    """
    return unit_type(unit).capitalize()


def group_function(unit: str) -> str:
    """Return a shell function ``each_process FUNCTION``, which calls it with each process id of the unit."""
    return f"""\
unit={quote(unit)}

# Call a function with each process of the unit; with none when it does not run.
each_process() {{
    [ -d /run/systemd/system ] || return 0
    group=$(systemctl show --property=ControlGroup -- "$unit")
    group=${{group#ControlGroup=}}
    if [ -z "$group" ] || [ "$group" = / ]; then
        return 0
    fi
    for top in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -r "$top$group/cgroup.procs" ] || continue
        while read -r pid; do
            "$1" "$pid"
        done < "$top$group/cgroup.procs"
        return 0
    done
}}"""
