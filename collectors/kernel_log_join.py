"""Joins what several logs say of the same events: dmesg, journal and syslog files repeat each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from lastwords.model import Event, event_order

LISTED = 2000
"""Newest events that are listed."""
_CLOSE = 2.0
"""Seconds between stamps of the same message: printk, journald and rsyslog stamp at different times."""
_DRIFT = 0.001
"""printk's clock is not corrected by NTP: seconds it may go wrong in a second."""
_LATE = 600.0
"""Seconds that journald or rsyslog may be behind with a kill: it starves with the rest of the machine."""
EARLY = 120.0
"""Seconds after boot in which messages may bear the time at which the logger started and read them."""
_QUARTER = 900.0
"""Time zones differ by multiples of it."""
_DAY = 14 * 3600.0


class EventList:
    """All events found so far, each once."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._alike: dict[tuple[Any, ...], list[Event]] = {}
        self.dropped = 0

    def add(self, events: list[Event]) -> None:
        """Add the events of one log; those already known are joined, each with the nearest in time."""
        groups: dict[tuple[Any, ...], list[Event]] = {}
        for item in events:
            groups.setdefault(_key(item), []).append(item)
        for key, items in groups.items():
            alike = self._alike.setdefault(key, [])
            pairs = [
                (_distance(known, item), at, place)
                for at, item in enumerate(items)
                for place, known in enumerate(alike)
                if _same(known, item)
            ]
            joined: set[int] = set()
            taken: set[int] = set()
            for _, at, place in sorted(pairs):
                if at not in joined and place not in taken:
                    joined.add(at)
                    taken.add(place)
                    _join(alike[place], items[at])
            new = [item for at, item in enumerate(items) if at not in joined]
            alike += new
            self._events += new

    def listed(self, boot_at: Callable[[float, bool], Optional[str]]) -> list[Event]:
        """Return the events, oldest first, each with its boot where its time tells that.

        :param boot_at: gives the boot of a time, and of whether the kernel had just begun then
        """
        for item in self._events:
            if item["boot"] is None and item["time"] is not None and _rank(item) < 3:
                item["boot"] = boot_at(item["time"], item["kind"] == "boot" or _is_early(item))
        found = sorted(self._events, key=event_order)
        self.dropped = max(0, len(found) - LISTED)
        return [{**item, "details": dict(item["details"])} for item in found[self.dropped :]]


def _key(item: Event) -> tuple[Any, ...]:
    """Return what two events must have in common to be the same."""
    details = item["details"]
    if item["kind"] == "oom_kill" and ("pid" in details or "cgroup" in details):
        # One log may have what led to it, and another not: their summaries differ.
        return (
            item["kind"],
            details["killer"],
            details.get("pid"),
            details.get("cgroup"),
            details.get("signal"),
        )
    return item["kind"], item["summary"]


def _rank(item: Event) -> int:
    """Return how good the time of an event is; 0 is best."""
    source = item["details"].get("time_source") or "unknown"
    if source == "stamp":
        return 0
    if "unknown" in source:
        return 3
    return 2 if source.endswith("printk clock") else 1


def _is_early(item: Event) -> bool:
    return item["monotonic"] is not None and item["monotonic"] < EARLY


def _distance(one: Event, other: Event) -> float:
    if one["time"] is None or other["time"] is None:
        return 0.0
    return abs(float(one["time"]) - float(other["time"]))


def _same(known: Event, item: Event) -> bool:
    """Return whether two events with the same words are the same event."""
    places = {known["path"], *(place["path"] for place in known["details"].get("also", ()))}
    if item["path"] in places:
        return False  # one log tells of one event once, whether it is read at once or in parts
    if known["boot"] and item["boot"] and known["boot"] != item["boot"]:
        return False
    if known["monotonic"] is not None and item["monotonic"] is not None:
        if abs(known["monotonic"] - item["monotonic"]) > 0.001:
            return False
        if known["time"] is None or item["time"] is None:
            return True
    if known["time"] is None or item["time"] is None:
        return False
    distance = _distance(known, item)
    if max(_rank(known), _rank(item)) == 3 and distance <= _DAY:
        distance = min(distance % _QUARTER, _QUARTER - distance % _QUARTER)
    # No process dies twice: a kill may be stamped late where all else of it agrees.
    return distance <= max(_close(known, item), _LATE if _same_kill(known, item) else 0.0)


def _close(known: Event, item: Event) -> float:
    """Return the seconds that may lie between what two logs stamp the same event with."""
    close = _CLOSE
    for one in (known, item):
        if _is_early(one):
            close = max(close, EARLY)
        elif _rank(one) == 2:
            close = max(close, _CLOSE + _DRIFT * (one["monotonic"] or 0.0))
    return close


def _same_kill(known: Event, item: Event) -> bool:
    """Return whether two kills of one pid are of a process that held the same memory."""
    held = [(one["details"].get("pid"), one["details"].get("anon_rss")) for one in (known, item)]
    return known["kind"] == "oom_kill" and None not in held[0] and held[0] == held[1]


def _join(known: Event, item: Event) -> None:
    """Take into a known event what another log says of it."""
    details: dict[str, Any] = known["details"]
    late = _distance(known, item) > _close(known, item)
    if _rank(item) < _rank(known) and not late and not (_rank(known) == 2 and _is_early(known)):
        known["time"] = item["time"]
        details["time_source"] = item["details"].get("time_source")
    if known["monotonic"] is None:
        known["monotonic"] = item["monotonic"]
    known["boot"] = known["boot"] or item["boot"]
    for name, value in item["details"].items():
        details.setdefault(name, value)
    details.setdefault("also", []).append({"path": item["path"], "line": item["line"]})
