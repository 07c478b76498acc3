"""All that can be said of an OOM event, and its JSON (``schemas/oom_events.json``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Optional

from lastwords.analyzer.oom.accounting import Held, held
from lastwords.analyzer.oom.causes import causes
from lastwords.analyzer.oom.choice import Choice, choice, implied_swap
from lastwords.analyzer.oom.eaters import (
    Process,
    Program,
    groups,
    killed,
    largest,
    processes,
    programs,
)
from lastwords.analyzer.oom.failure import Failure, failure
from lastwords.analyzer.oom.picture import Cause, Picture
from lastwords.formats.oom.report import OomEvent

SCHEMA = "urn:lastwords:schema:oom_events:1.0"
_EVENT = (
    "kind",
    "killer",
    "reason",
    "time",
    "time_source",
    "monotonic",
    "host",
    "line",
    "last_line",
    "offset",
)
_ALLOCATION = ("gfp_mask", "gfp_flags", "order")
_CONTEXT = (
    "manual",
    "constraint",
    "constraint_note",
    "memcg",
    "task_memcg",
    "cpuset",
    "mems_allowed",
    "nodemask",
    "oom_group",
    "nobody",
    "panic",
    "panic_kind",
    "cpu",
    "release",
    "taint",
    "page_size",
    "damaged",
    "missing",
)


@dataclass(frozen=True)
class Explanation:
    """What an event means."""

    event: OomEvent
    failure: Failure
    held: Optional[Held]
    processes: list[Process]
    programs: list[Program]
    groups: list[tuple[str, int]]
    choice: Optional[Choice]
    implied_swap: Optional[int]
    causes: list[Cause]

    @property
    def complete(self) -> bool:
        """Whether the log holds all that the kernel printed of it."""
        return not self.event.missing

    def to_json(self) -> dict[str, Any]:
        """Return the event as the JSON object of the schema."""
        event = self.event
        found: dict[str, Any] = {name: getattr(event, name) for name in _EVENT}
        found["complete"] = self.complete
        asked = asdict(event.trigger) if event.trigger is not None else None
        if asked is not None:
            del asked["legacy"]
        named = asked is not None and asked["comm"] is not None
        found["trigger"] = asked if named else None
        found["allocation"] = {name: asked[name] for name in _ALLOCATION} if asked and not named else None
        found.update({name: getattr(event, name) for name in _CONTEXT})
        found["victims"] = [asdict(victim) for victim in event.victims]
        found["already_exiting"] = [{"pid": pid, "comm": comm} for pid, comm in event.already_exiting]
        found["call_trace"] = list(event.frames)
        found["memory"] = self._memory()
        found["memcg_memory"] = self._memcg()
        found["tasks"] = [dict(vars(item)) for item in processes(event)]
        found["explanation"] = {
            "failure": {"kind": self.failure.kind, "zones": [asdict(zone) for zone in self.failure.zones]},
            "held": self._held(),
            "programs": [asdict(item) for item in self.programs],
            "memcgs": [{"path": path, "bytes": size} for path, size in self.groups],
            "choice": self._choice(),
            "causes": [{**asdict(cause), "fix": list(cause.fix)} for cause in self.causes],
        }
        return found

    def _memory(self) -> Optional[dict[str, Any]]:
        info = self.event.memory
        if not (info.zones or info.counters or info.pages):
            return None
        page = self.event.page_size
        return {
            "ram": info.ram,
            "swap_total": info.swap_total,
            "swap_free": info.swap_free,
            "counters": {name: pages * page for name, pages in info.counters.items()},
            "nodes": [{"node": node, "values": values} for node, values in info.nodes.items()],
            "zones": [
                {
                    "node": zone.node,
                    "zone": zone.name,
                    "values": zone.values,
                    "lowmem_reserve": [None if pages is None else pages * page for pages in zone.reserve],
                    "free_lists": [
                        {"bytes": size, "blocks": number, "types": types or None}
                        for size, number, types in zone.free_lists
                    ],
                }
                for zone in info.zones
            ],
            "hugepages": list(info.hugepages),
            "unreclaimable_slabs": [
                {"name": name, "used": used, "held": size} for name, used, size in info.slabs
            ],
            "allocations": list(info.allocations),
        }

    def _memcg(self) -> Optional[dict[str, Any]]:
        group = self.event.group
        if group is None:
            return None
        protected, low = group.protection or (None, None)
        return {
            "version": group.version,
            "usage": group.usage,
            "stats": group.stats,
            "memory_min": protected,
            "memory_low": low,
        }

    def _held(self) -> Optional[dict[str, Any]]:
        if self.held is None:
            return None
        found = asdict(self.held)
        found["shares"] = {part.name.replace(" ", "_"): part.bytes for part in self.held.shares}
        return found

    def _choice(self) -> Optional[dict[str, Any]]:
        if self.choice is None:
            return None
        found = dict(vars(self.choice))
        found["ranking"] = [
            {"pid": item.task.pid, "points": item.points, "ties": item.ties} for item in self.choice.ranking
        ]
        found["implied_swap"] = self.implied_swap
        return found


def explain(event: OomEvent) -> Explanation:
    """Return what an event means."""
    listed = processes(event)
    most, names = largest(listed or killed(event)), programs(listed)
    why, where, chosen = failure(event), held(event), choice(event)
    picture = Picture(event, why, where, most, names, chosen)
    return Explanation(
        event,
        why,
        where,
        most,
        names,
        groups(event),
        chosen,
        implied_swap(event, chosen) if chosen is not None else None,
        causes(picture) if event.killer == "kernel" else [],
    )
