"""Limit the memory of a unit, so that it runs out alone, and not the host with it."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from lastwords.analyzer.plans.script import NotPlannable, quote, remove_file, write_file
from lastwords.analyzer.plans.units import CHECK, RELOAD, drop_in_path, find, section_of
from lastwords.formats import FormatError
from lastwords.formats.sizes import parse_size, size
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case

DROP_IN = "90-lastwords-limit.conf"
LEAST = 1 << 20
FILES = {2: "memory.max", 1: "memory.limit_in_bytes"}


def amount(text: str) -> int:
    """Return a size, for argparse."""
    try:
        value = parse_size(text)
    except FormatError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return value


class LimitPlan(Plan):
    """Writes ``MemoryMax=`` into a drop-in."""

    name = "limit"
    title = "limit the memory of a unit, so that it runs out alone and not the host with it"
    needs = ("host", "memory", "oom", "processes")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("target", metavar="UNIT|NAME|PID", help="what to limit")
        parser.add_argument("limit", metavar="SIZE", type=amount, help="such as 512M or 2G")
        parser.add_argument("--swap", metavar="SIZE", type=amount, help="limit its swap, too (cgroup v2)")

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        memory = case.facts.get("memory") or {}
        version = (memory.get("cgroups") or {}).get("version")
        key = "MemoryLimit" if version == 1 else "MemoryMax"
        target = find(case, arguments.target, drop_in=DROP_IN, key=key)
        if target.unit is None:
            raise NotPlannable(
                f"process {arguments.target}: belongs to no unit that lasts; start it by"
                f" `systemd-run --scope -p {key}={arguments.limit} COMMAND`"
            )
        if arguments.limit < LEAST:
            raise NotPlannable(f"{size(arguments.limit)}: expected a limit of 1M or more")
        if arguments.swap is not None and version == 1:
            raise NotPlannable("--swap: with control groups of version 1 systemd cannot limit swap")
        if target.unit.endswith(".scope"):
            raise NotPlannable(f"{target.unit}: is made anew each time: limit it where it is started")
        return _script(target.unit, key, arguments, memory, version)


def _script(
    unit: str, key: str, arguments: argparse.Namespace, memory: Any, version: Optional[int]
) -> Script:
    path = drop_in_path(unit, DROP_IN)
    lines = ["# lastwords plan limit", f"[{section_of(unit)}]", f"{key}={_unit_size(arguments.limit)}"]
    if arguments.swap is not None:
        lines.append(f"MemorySwapMax={_unit_size(arguments.swap)}")
    why = [
        f"At {size(arguments.limit)} the kernel first takes back caches (and swaps, if it may); what then"
        " still does not fit gets a process of this unit killed. OOMPolicy= of the unit says what follows: by"
        " default a service is stopped then; Restart=on-failure starts it again.",
    ]
    used = _used(memory, unit)
    if used is not None:
        why.append(f"It used {size(used)} when the facts were gathered.")
        if used > arguments.limit:
            why.append("THAT IS MORE THAN THE LIMIT: a process of it may be killed at once.")
    ram = (memory.get("meminfo") or {}).get("MemTotal")
    if ram and arguments.limit >= ram:
        why.append(f"The host has {size(ram)}: such a limit protects nothing.")
    if version is None:
        why.append("Whether this host has control groups v2 is not known: MemoryMax= needs systemd 231.")
    apply = f"""\
{CHECK}

{write_file(path, tuple(lines))}
{RELOAD}
enforce
show"""
    undo = f"""\
{remove_file(path, directory_too=True)}
{RELOAD}
enforce
show"""
    return Script(
        f"Limit the memory of {unit} to {size(arguments.limit)}",
        tuple(why),
        apply,
        undo,
        _functions(unit, key),
    )


def _functions(unit: str, key: str) -> str:
    runtime = f"/run/systemd/system.control/{unit}.d"
    return f"""\
unit={quote(unit)}

# Bring the limit of systemd to the kernel: systemd 257 reads a changed one and goes on with the old.
enforce() {{
    [ -d /run/systemd/system ] && systemctl is-active --quiet -- "$unit" || return 0
    for limit in {key} MemorySwapMax; do
        # One that an administrator has set for this boot is his.
        [ ! -e {quote(runtime)}/50-$limit.conf ] || continue
        now=$(systemctl show --property=$limit -- "$unit")
        case ${{now#*=}} in "" | "[not set]") continue ;; 18446744073709551615) now=$limit=infinity ;; esac
        systemctl set-property --runtime -- "$unit" "$now" || continue
        rm -f {quote(runtime)}/50-$limit.conf
    done
    rmdir {quote(runtime)} 2>/dev/null || :
    systemctl daemon-reload
}}

# Say what the kernel enforces now.
show() {{
    [ -d /run/systemd/system ] || return 0
    group=$(systemctl show --property=ControlGroup -- "$unit")
    group=${{group#ControlGroup=}}
    if [ -z "$group" ]; then
        echo "$unit does not run: the limit holds from its next start on"
        return 0
    fi
    for file in "/sys/fs/cgroup$group/{FILES[2]}" "/sys/fs/cgroup/memory$group/{FILES[1]}"; do
        [ ! -r "$file" ] || echo "$file: $(cat "$file")"
    done
}}"""


def _unit_size(value: int) -> str:
    """Return bytes as systemd reads them, in the largest unit that is exact."""
    for unit, shift in (("G", 30), ("M", 20), ("K", 10)):
        if value and value % (1 << shift) == 0:
            return f"{value >> shift}{unit}"
    return str(value)


def _used(memory: Any, unit: str) -> Optional[int]:
    for group in (memory.get("cgroups") or {}).get("groups") or ():
        if group["path"].rpartition("/")[2] == unit and group.get("current") is not None:
            return int(group["current"])
    return None
