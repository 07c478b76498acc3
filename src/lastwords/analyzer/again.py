"""Commands that look at the input of a case once more, with its own path in them where there is one."""

from __future__ import annotations

import shlex

from lastwords.model import Case

FILE = "FILE"
DISK = "DIR"
"""What stands for a path that is not known: of a host inside an archive, or of another input."""


def look_at_memory(case: Case, why: str) -> str:
    """Return the step that shows who held the memory.

    :param why: what it tells, as a comment behind the command
    """
    return f"$ lastwords {_memory(case)}  # {why}"


def _memory(case: Case) -> str:
    if case.root_kind == "live":
        return "check --section oom"
    where = input_of(case)
    if case.root_kind == "log":
        return f"oom {where}"
    if case.root_kind == "vmcore":
        return f"vmcore --oom {where}"
    return f"open --section oom {where}"


def look_at_dump(case: Case) -> tuple[str, ...]:
    """Return the step that shows what more a crash dump holds, where the input is one."""
    if case.root_kind != "vmcore":
        return ()
    return (f"$ lastwords vmcore --bt --ps {input_of(case)}  # which task it was, its back trace, all tasks",)


def look_at_saved_dump(case: Case, path: str) -> str:
    """Return the step that tells what a crash dump holds which lies on the host.

    :param path: on the host
    """
    why = "why it died, its log, its tasks"
    if case.root_kind == "directory" and case.where:
        return f"$ lastwords vmcore {shlex.quote(case.where.rstrip('/') + path)}  # {why}"
    there = "" if case.root_kind == "live" else "; on that host, or a copy of it"
    return f"$ lastwords vmcore {shlex.quote(path)}  # {why}{there}"


def plan_on_disk(case: Case, plan: str) -> str:
    """Return the step that prints the script of a plan for a disk that is mounted in rescue mode.

    :param plan: its name, and options
    """
    if case.root_kind == "directory":
        return f"$ lastwords plan {plan} --root {disk_of(case)}  # a script: read it, then run it"
    return f"From rescue mode: lastwords plan {plan} --root {DISK} prints the script."


def plan_of(case: Case, plan: str) -> str:
    """Return the step that prints the script of a plan for the host of the case.

    :param plan: its name, and options
    """
    if case.root_kind == "directory":
        return plan_on_disk(case, plan)
    source = f" --from {input_of(case)}" if case.root_kind in ("bundle", "sosreport", "files") else ""
    return f"$ lastwords plan {plan}{source}"


def room_on(case: Case, path: str) -> str:
    """Return the step that tells how full a filesystem is, of the host or of its disk that is mounted."""
    disk = disk_of(case).rstrip("/") if case.root_kind == "directory" and case.where else ""
    return f"$ df -h {disk}{path}"


def input_of(case: Case) -> str:
    """Return the path of the input for a shell."""
    return shlex.quote(case.where) if case.where else FILE


def disk_of(case: Case) -> str:
    """Return where the disk is mounted, for a shell."""
    return shlex.quote(case.where) if case.where and case.root_kind == "directory" else DISK
