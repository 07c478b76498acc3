"""Keep a service or a process from being killed when memory runs out."""

from __future__ import annotations

import argparse
from typing import Optional

from lastwords.analyzer.plans.script import NothingToDo, NotPlannable, literal, remove_file, write_file
from lastwords.analyzer.plans.units import (
    CHECK,
    RELOAD,
    Target,
    drop_in_path,
    find,
    group_function,
    section_of,
)
from lastwords.formats.system.unit_files import unit_type
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case

DROP_IN = "90-lastwords-oom.conf"
DEFAULT = -900
"""Taken last, yet not never: a host where nothing may be killed panics instead."""
KEY = "OOMScoreAdjust"
SSHD = ("ssh.service", "sshd.service")


def adjustment(text: str) -> int:
    """Return an oom_score_adj that protects, for argparse."""
    try:
        value = int(text)
    except ValueError:
        value = 1
    if not -1000 <= value <= -1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from -1000 (never) to -1")
    return value


class ProtectPlan(Plan):
    """Writes ``OOMScoreAdjust=`` into a drop-in, and sets it at once."""

    name = "protect"
    title = "keep a service or a process from being killed when memory runs out"
    needs = ("host", "processes", "oom", "memory")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("target", metavar="UNIT|NAME|PID", help="what to protect")
        parser.add_argument(
            "--adj",
            type=adjustment,
            metavar="N",
            help=f"the oom_score_adj to set (default: {DEFAULT}, taken last; -1000 is never taken)",
        )

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        wanted: int = DEFAULT if arguments.adj is None else arguments.adj
        target = find(case, arguments.target, drop_in=DROP_IN, key=KEY)
        if target.unit is None:
            return _process(target, wanted)
        if unit_type(target.unit) == "scope":
            raise NotPlannable(
                f"{target.unit}: is made anew each time, by a container engine or a login: a drop-in does not"
                " last; protect it there, or one of its processes by its id"
            )
        if unit_type(target.unit) == "slice":
            raise NotPlannable(f"{target.unit}: a slice has no {KEY}=: protect a service in it")
        lowest = [each["oom_score_adj"] for each in target.records if each.get("oom_score_adj") is not None]
        if arguments.adj is None and lowest and max(lowest) <= DEFAULT:
            raise NothingToDo(
                f"{target.unit}: nothing to do: its processes have oom_score_adj {max(lowest)} already"
                " (--adj sets another one)"
            )
        return _unit(target, target.unit, wanted)


def _unit(target: Target, unit: str, wanted: int) -> Script:
    path = drop_in_path(unit, DROP_IN)
    before = _number(target.setting)
    why = [
        f"{KEY}={wanted} lasts over restarts and updates; its running processes are set at once, without a"
        " restart.",
        "Whatever it starts inherits the value. Of services that run jobs or sessions of users these are"
        " protected, too, unless they are reset.",
    ]
    if wanted == -1000:
        why.append(
            "-1000 is never: if it is this service that eats the memory, everything else dies first, and"
            " then the kernel panics."
        )
    if unit in SSHD:
        why.append(
            "OpenSSH sets itself to -1000 at each start where it may, and gives each session the value that"
            " it was started with: with this drop-in sessions have it. Reset them, for example by"
            " `choom -n 0 -p $$` in a file of /etc/profile.d."
        )
    functions = group_function(unit) + _SET_FUNCTION
    section = section_of(unit)
    apply = f"""\
{CHECK}

# 1. From the next start on, and for good.
{write_file(path, ("# lastwords plan protect", f"[{section}]", f"{KEY}={wanted}"))}
{RELOAD}

# 2. At once.
value={wanted}
each_process set_one"""
    undo = f"""\
{remove_file(path, directory_too=True)}
{RELOAD}

# What its unit says without the drop-in.
value={before}
each_process set_one"""
    return Script(f"Protect {unit} from the OOM killer", tuple(why), apply, undo, functions)


_SET_FUNCTION = """

# Set one process to $value; as choom(1) does, which is not everywhere.
set_one() {
    if echo "$value" 2>/dev/null > "/proc/$1/oom_score_adj"; then
        echo "process $1: oom_score_adj $value"
    else
        echo "process $1: not changed: it has ended, or CAP_SYS_RESOURCE is missing" >&2
    fi
}"""


def _process(target: Target, wanted: int) -> Script:
    record = target.records[0]
    pid, comm = record["pid"], str(record.get("comm") or "?")
    if record.get("kernel_thread") or record.get("rss") is None:
        raise NotPlannable(f"process {pid}: is a kernel thread or has no memory: it is never killed")
    before = record.get("oom_score_adj") or 0
    why = (
        "It belongs to no unit that lasts: this holds until the process ends. Let whoever starts it do the"
        f" same, for example by `choom -n {wanted} -- COMMAND`.",
    )
    functions = f"""\
pid={pid}
{literal("name", comm)}

# Set the process to $value, if that id still is the same program.
set_it() {{
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$name" ]; then
        echo "process $pid is not $name any more: nothing was changed" >&2
        return 1
    fi
    if command -v choom >/dev/null; then
        choom -n "$value" -p "$pid"
    else
        echo "$value" > "/proc/$pid/oom_score_adj"
    fi
}}"""
    return Script(
        f"Protect process {pid} ({comm}) from the OOM killer",
        why,
        f"value={wanted}\nset_it",
        f"value={before}\nset_it",
        functions,
    )


def _number(text: Optional[str]) -> int:
    try:
        return max(-1000, min(1000, int(text or 0)))
    except ValueError:
        return 0
