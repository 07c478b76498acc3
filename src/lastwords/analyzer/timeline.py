"""The timeline of a case: its events by boot, alike ones counted, each boot with how it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords.analyzer.titles import event_title
from lastwords.model import Case, Event, Severity, event_order
from lastwords.verdict import Boot, Moment

GRAVITY = {
    "panic": Severity.CRITICAL,
    "oops": Severity.CRITICAL,
    "bug": Severity.CRITICAL,
    "boot_failure": Severity.CRITICAL,
    "oom_kill": Severity.WARNING,
    "oom_report": Severity.WARNING,
    "hang": Severity.WARNING,
    "mce": Severity.WARNING,
    "nmi": Severity.WARNING,
    "io_error": Severity.WARNING,
    "filesystem_error": Severity.WARNING,
    "kdump": Severity.WARNING,
}
"""How much a kind of event matters in the timeline; others are good to know."""
ENDS = {"panic": "panic", "shutdown": "shutdown"}
"""Kinds of events after which a boot is over, and how it ended."""
OF_NO_BOOT = ("dump",)
"""Kinds of events that are told with the boot that died: its log lies beside, or it is the one before."""
SAME_OOM = 600.0
"""Seconds in which the report of an OOM and the kills it led to lie, in a log that may be stamped late."""
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+")
"""What differs between alike events: numbers, and names that are made up of hexadecimal digits."""


@dataclass
class _Chapter:
    id: Optional[str] = None
    events: list[Event] = field(default_factory=list)
    ended: bool = False


def timeline(case: Case, causes: Mapping[int, str]) -> tuple[tuple[Boot, ...], int]:
    """Return the boots in which something happened, oldest first, and the number of quiet ones.

    :param causes: the cause that an event belongs to, by ``id()`` of the event
    """
    known = {boot["id"]: boot for boot in _known_boots(case)}
    chapters = _chapters(case.events)
    running = (case.facts.get("kernel_log") or {}).get("boot_id")
    boots = [_boot(chapter, known.get(chapter.id), running, causes) for chapter in chapters]
    boots.sort(key=lambda boot: boot.started or boot.ended or 0.0)
    return tuple(boots), len(set(known) - {boot.id for boot in boots})


def _known_boots(case: Case) -> list[dict[str, Any]]:
    return (case.facts.get("kernel_log") or {}).get("boots") or []


def _chapters(events: Sequence[Event]) -> list[_Chapter]:
    """Return the events by boot: by its id where it is told, else by what stands between two starts."""
    by_id: dict[str, _Chapter] = {}
    chapters: list[_Chapter] = []
    current: Optional[_Chapter] = None
    places: dict[str, _Chapter] = {}
    logged = {_folder(event) for event in events if event["kind"] not in OF_NO_BOOT}
    beside = []
    for event in sorted(events, key=_order):
        if event["kind"] in OF_NO_BOOT and event["path"] in logged:
            beside.append(event)
            continue
        if event.get("boot"):
            chapter = by_id.get(event["boot"])
            if chapter is None:
                chapter = by_id[event["boot"]] = _Chapter(event["boot"])
                chapters.append(chapter)
            current = chapter
        elif current is None or (event["kind"] == "boot" and current.events) or _is_over(current, event):
            current = _Chapter()
            chapters.append(current)
        current.events.append(event)
        current.ended = current.ended or event["kind"] in ENDS
        places[_folder(event)] = current
    for event in beside:
        places[event["path"]].events.append(event)
    return chapters


def _folder(event: Event) -> str:
    return str(event["path"]).rpartition("/")[0]


def _order(event: Event) -> tuple[Any, ...]:
    """Sort key: names of dumps tell minutes, and a dump does not come before its panic."""
    time, *rest = event_order(event)
    return (time + 60.0 if event["kind"] in OF_NO_BOOT and time else time, *rest)


def _is_over(chapter: _Chapter, event: Event) -> bool:
    """Return whether a boot had ended before an event whose boot is not told."""
    if not chapter.ended or event["kind"] in OF_NO_BOOT or event["kind"] in ENDS:
        return False
    last = chapter.events[-1]
    # The line of the end may tell more than that it is one.
    return (last["path"], last["line"]) != (event["path"], event["line"])


def _boot(
    chapter: _Chapter, known: Optional[dict[str, Any]], running: Optional[str], causes: Mapping[int, str]
) -> Boot:
    events = chapter.events
    starts = [event for event in events if event["kind"] == "boot"]
    times = [event["time"] for event in events if event.get("time") is not None]
    kernel = starts[-1]["details"].get("release") if starts else None
    ends = [ENDS[event["kind"]] for event in events if event["kind"] in ENDS]
    end = "panic" if "panic" in ends else ends[-1] if ends else None
    if end is None and running is not None and chapter.id == running:
        end = "running"
    started = starts[0].get("time") if starts else (known or {}).get("first_time") or _begun(events)
    ended = max([*times, (known or {}).get("last_time") or 0.0]) or None
    return Boot(chapter.id, kernel, started, ended, end, tuple(_moments(events, causes)))


def _begun(events: Sequence[Event]) -> Optional[float]:
    """Return when a boot began whose start was not logged: by a time and the uptime of one event."""
    for event in events:
        if event.get("time") is not None and event.get("monotonic"):
            return float(event["time"] - event["monotonic"])
    return None


def _moments(events: Sequence[Event], causes: Mapping[int, str]) -> list[Moment]:
    groups: dict[tuple[str, str], list[Event]] = {}
    told = answered(events, ("oom_kill",))
    for event in events:
        if event["kind"] == "boot" or id(event) in told:
            continue
        groups.setdefault((event["kind"], _alike(event)), []).append(event)
    return [_moment(group, causes) for group in groups.values()]


def answered(events: Sequence[Event], answers: Sequence[str]) -> set[int]:
    """Return the ``id()`` of the OOM reports after which what came of it is told in the same log.

    :param answers: kinds of events that tell it
    """
    logs: dict[str, list[tuple[int, Event]]] = {}
    for event in events:
        if event["kind"] == "oom_report" or event["kind"] in answers:
            for place in (event, *(event["details"].get("also") or ())):
                if place.get("line"):
                    logs.setdefault(place["path"], []).append((place["line"], event))
    told = set()
    for log in logs.values():
        log.sort(key=lambda entry: entry[0])
        for (_, one), (_, after) in zip(log, log[1:]):
            near = abs((after.get("time") or 0.0) - (one.get("time") or 0.0)) <= SAME_OOM
            if near and one["kind"] == "oom_report" and after["kind"] in answers:
                told.add(id(one))
    return told


def _alike(event: Event) -> str:
    """Return what alike events have in common: a title, the killed program, or the words without numbers."""
    details = event.get("details") or {}
    if event["kind"] == "oom_kill":
        return _NUMBERS.sub("#", f"{details.get('comm')} {details.get('memcg')} {details.get('cgroup')}")
    return str(details.get("title") or _NUMBERS.sub("#", event["summary"]))


def _moment(group: Sequence[Event], causes: Mapping[int, str]) -> Moment:
    first, last = group[0], group[-1]
    return Moment(
        kind=first["kind"],
        summary=event_title(last),
        severity=GRAVITY.get(first["kind"], Severity.INFO),
        time=first.get("time"),
        last_time=last.get("time"),
        monotonic=first.get("monotonic"),
        count=len(group),
        path=last["path"],
        line=last.get("line"),
        cause=next((causes[id(event)] for event in group if id(event) in causes), None),
    )
