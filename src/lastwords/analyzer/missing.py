"""What an input lacks, said once, and what would bring it; and what of it to ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from lastwords.formats.sizes import size
from lastwords.model import Case, Outcome, dig
from lastwords.verdict import Wish

COLLECT = "$ lastwords collect"
SOS = "$ lastwords sos-plugin install && sos report"
FROM_SOS: Mapping[str, tuple[str, str]] = {
    "kernel_log": ("kernel,logs,systemd", "--all-logs"),
    "crash_dumps": ("kdump", ""),
    "kdump": ("kdump,kernel,boot", ""),
    "boot": ("boot,filesys,block", ""),
    "initramfs": ("boot", "-k boot.all-images=on"),
    "memory": ("memory,cgroups", ""),
    "processes": ("process", ""),
    "oom": ("kernel,system,systemd", ""),
}
"""What makes sos gather a topic: its plugins, and options."""
GAINS = {
    "kernel_log": "what died",
    "crash_dumps": "whether a dump was saved",
    "kdump": "why none was, and whether the next crash would leave one",
    "boot": "whether it can boot",
    "initramfs": "whether it can boot",
    "oom": "what is set to happen when memory runs out",
}
"""What a topic is good for."""
BESIDE_DUMP = (
    "The log that kdump saved beside the dump: vmcore-dmesg.txt, dmesg.*",
    "The dump once more, if it was cut on its way.",
)
"""What has the kernel log that a dump does not give."""
COPY_DUMP = "Copy the dump itself from the host (no report holds one): $ lastwords open vmcore"
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
    if case.root_kind == "vmcore" and topic == "kernel_log":
        return BESIDE_DUMP
    if case.root_kind == "sosreport":
        more = (COPY_DUMP,) if topic == "crash_dumps" else ()
        return (_sos((topic,)), *more, COLLECT)
    if outcome == Outcome.DENIED.value or (
        outcome == Outcome.PARTIAL.value and case.root_kind != "directory"
    ):
        return (f"{COLLECT}  # as root",)
    if outcome == Outcome.TIMEOUT.value:
        return (f"{COLLECT} --only {topic} --timeout 300",)
    if outcome == Outcome.SKIPPED.value:
        return (f"{COLLECT} --only {topic}",)
    return (COLLECT,)


def _sos(topics: Iterable[str]) -> str:
    """Return the one command that makes sos gather all of these topics."""
    rows = [FROM_SOS[topic] for topic in topics if topic in FROM_SOS]
    if not rows:
        return SOS
    plugins = dict.fromkeys(name for names, _ in rows for name in names.split(","))
    options = dict.fromkeys(option for _, option in rows if option)
    return " ".join((f"$ sos report -o {','.join(plugins)},lastwords", *options))


def to_ask(
    case: Case, untold: Iterable[str], more: Sequence[str], quiet: bool, dumped: bool
) -> tuple[Wish, ...]:
    """Return what to ask for: no more than what the verdict would gain by.

    :param untold: topics that are not, or only partly, in the input, and would tell of steps of causes
    :param more: further steps that would make causes surer
    :param quiet: whether no cause is news: then a log that could not be read may hold one
    :param dumped: whether a cause that is news left a crash dump
    """
    asked = list(_the_dump(case)) if dumped else []
    topics = dict.fromkeys(untold)
    if quiet and (case.outcomes.get("kernel_log") or {}).get("outcome") != Outcome.OK.value:
        topics.setdefault("kernel_log")
    for topic, entry in case.outcomes.items():
        if entry.get("outcome") == Outcome.DENIED.value:
            topics.setdefault(topic)
    joined: dict[tuple[str, ...], list[str]] = {}
    for topic in topics:
        joined.setdefault(_how_to_ask(case, topic, topics), []).append(topic)
    for how, names in joined.items():
        gains = dict.fromkeys(GAINS[name] for name in names if name in GAINS)
        reason = f"to see {', and '.join(gains)}" if gains else "nobody knows without"
        asked.append(Wish(", ".join(names), reason, how))
    if more:
        asked.append(Wish("more", "this input tells no more of it", tuple(more)))
    return tuple(asked)


def _how_to_ask(case: Case, topic: str, all_topics: Iterable[str]) -> tuple[str, ...]:
    """Return what whoever has the machine can do to bring a topic: of a sosreport, all topics at once."""
    if case.root_kind == "sosreport":
        return (_sos(all_topics), f"{COLLECT}  # or this, which holds all of it")
    if case.root_kind == "log" and topic in OF_DISKS:
        return (f"{COLLECT} --root DIR  # in a rescue system, with its disk mounted on DIR",)
    return how_to_get(case, topic)


def _the_dump(case: Case) -> Iterator[Wish]:
    """Yield the newest whole crash dump of the host, where the input only lists it."""
    if case.root_kind not in ("bundle", "sosreport", "files"):
        return
    dumps = [
        each
        for each in dig(case.facts, "crash_dumps", "dumps") or ()
        if each["cores"] and not each["unfinished"]
    ]
    for each in dumps[-1:]:
        path = f"{each['path']}/{each['cores'][0]}"
        held = f"{size(each['size'])}; it holds" if each["size"] else "it holds"
        yield Wish(
            "crash dump",
            f"{held} every task as it was, which no report does",
            (f"Copy {path} from the host.",),
        )


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
