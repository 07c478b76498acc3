"""What an input lacks, said once, and what would bring it."""

from __future__ import annotations

from typing import Optional

from lastwords.model import Case, Outcome
from lastwords.verdict import Wish

COLLECT = "$ lastwords collect"
SOS = "$ lastwords sos-plugin install && sos report"
FROM_SOS = {
    "kernel_log": ("$ sos report -o kernel,logs,systemd,lastwords --all-logs",),
    "crash_dumps": (
        "$ sos report -o kdump,lastwords",
        "Copy the dump itself from the host (no report holds one): $ lastwords open vmcore",
    ),
    "kdump": ("$ sos report -o kdump,kernel,boot,lastwords",),
    "boot": ("$ sos report -o boot,filesys,block,lastwords",),
    "initramfs": ("$ sos report -o boot,lastwords -k boot.all-images=on",),
    "memory": ("$ sos report -o memory,cgroups,lastwords",),
    "processes": ("$ sos report -o process,lastwords",),
    "oom": ("$ sos report -o kernel,system,systemd,lastwords",),
}
"""What makes sos gather a topic."""
FROM_DISK = {
    "memory": ("It is lost with the machine; a crash dump may hold it.", "$ lastwords vmcore VMCORE"),
    "processes": ("They are lost with the machine; a crash dump may hold them.", "$ lastwords vmcore VMCORE"),
    "kernel_log": (
        "Mount /var where it is a filesystem of its own.",
        "A console capture (serial, IPMI, hypervisor) holds what no disk does: lastwords oops FILE",
    ),
    "boot": ("Mount /boot where it is a filesystem of its own.",),
    "initramfs": ("Mount /boot where it is a filesystem of its own.",),
    "crash_dumps": ("Mount what kdump writes to.",),
}
"""What shows a topic on a disk in rescue mode."""
OF_DISKS = frozenset({"boot", "initramfs"})
"""Topics that a machine which no longer boots still has."""
GONE = frozenset({"memory", "processes"})
"""Topics that no machine leaves on its disk: their absence there goes without saying."""


def how_to_get(case: Case, topic: str) -> tuple[str, ...]:
    """Return the steps that would bring a topic that the input lacks."""
    outcome = (case.outcomes.get(topic) or {}).get("outcome")
    if case.root_kind == "directory" and topic in FROM_DISK:
        return FROM_DISK[topic]
    if case.root_kind == "log" and outcome == Outcome.PARTIAL.value:
        return ("Have the file sent again, whole.",)
    if case.root_kind == "log" and topic in OF_DISKS:
        return ("$ lastwords open --root DIR --log FILE  # with its disk, mounted by a rescue system",)
    if case.root_kind == "sosreport":
        return (*FROM_SOS.get(topic, (SOS,)), COLLECT)
    if outcome == Outcome.DENIED.value or (
        outcome == Outcome.PARTIAL.value and case.root_kind != "directory"
    ):
        return (f"{COLLECT}  # as root",)
    if outcome == Outcome.TIMEOUT.value:
        return (f"{COLLECT} --only {topic} --timeout 300",)
    if outcome == Outcome.SKIPPED.value:
        return (f"{COLLECT} --only {topic}",)
    return (COLLECT,)


def _goes_without_saying(case: Case, topic: str, outcome: Optional[str]) -> bool:
    """Return whether a topic is absent because the host has nothing on it, not for want of input."""
    if outcome != Outcome.NO_DATA.value:
        return False
    if case.root_kind == "directory":
        return topic in GONE
    return case.root_kind not in ("sosreport", "files")


def missing_inputs(case: Case) -> tuple[Wish, ...]:
    """Return the topics of which the input holds nothing, or not all; those that say the same joined."""
    joined: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for topic, entry in case.outcomes.items():
        outcome = entry.get("outcome")
        if outcome in (Outcome.OK.value, Outcome.SKIPPED.value) or _goes_without_saying(case, topic, outcome):
            continue
        reason = str(entry.get("reason") or outcome)
        if outcome != Outcome.NO_DATA.value:
            reason = f"{outcome}: {reason}"
        joined.setdefault(how_to_get(case, topic), []).append((topic, reason))
    wishes = []
    for how, topics in joined.items():
        names = ", ".join(topic for topic, _ in topics)
        reasons = list(dict.fromkeys(reason for _, reason in topics))
        wishes.append(Wish(names, "; ".join(reasons), how))
    return tuple(wishes)
