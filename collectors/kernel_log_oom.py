"""The events of a bundle that one OOM event of a log is: the report, and each kill.

Each is a line of the log, as its neighbours in the list of events are; what the whole report means is
derived from its lines when a case is opened (:mod:`lastwords.analyzer.oom.reports`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from lastwords.formats.oom.kills import Victim
from lastwords.formats.oom.report import OomEvent
from lastwords.formats.sizes import size
from lastwords.model import Event, event

_VICTIM = ("pid", "comm", "uid", "total_vm", "anon_rss", "file_rss", "shmem_rss", "pgtables")
_TRIGGER = ("comm", "gfp_mask", "gfp_flags", "order", "oom_score_adj")
REQUESTED = "asked for by SysRq-f"
_PRINTED = ("gfp_mask", "order", "oom_score_adj")


def oom_events(found: OomEvent, path: str, boot: Optional[str]) -> Iterator[Event]:
    """Yield what an OOM event of a log is in a bundle, in the order of its lines."""
    more: dict[str, Any] = {"boot": boot, "path": path}
    if found.killer != "kernel":
        details: dict[str, Any] = {**_by_daemon(found), "time_source": found.time_source}
        yield event("oom_kill", _killed(details), **more, **_begin(found), details=_known(details))
        return
    context = {
        "scope": "manual" if found.manual else "memcg" if found.constraint == "memcg" else "global",
        "constraint": found.constraint,
        "memcg": found.memcg,
        "task_memcg": found.task_memcg,
        "time_source": found.time_source,
    }
    # A panic alone is an event of its own kind.
    bare = found.panic is not None and not (found.memory.zones or found.tasks or found.group)
    if found.trigger is not None or not (found.victims or bare):
        asked = {name: getattr(found.trigger, name, None) for name in _TRIGGER}
        details = {**asked, **context, "outcome": _outcome(found)}
        yield event("oom_report", _asked(found), **more, **_begin(found), details=_known(details))
    for victim in found.victims:
        details = {"killer": "kernel", **_of(victim), **context, "oom_group": found.oom_group}
        details["reason"] = REQUESTED if found.manual else None
        place: dict[str, Any] = {"line": victim.line, "time": victim.time, "monotonic": victim.monotonic}
        yield event("oom_kill", _killed(details), **more, **place, details=_known(details))


def _outcome(found: OomEvent) -> Optional[str]:
    """What the kernel did, where it killed nothing."""
    if found.victims:
        return None
    if found.nobody:
        return "no process could be killed"
    return "the one chosen was exiting already" if found.already_exiting else None


def _begin(found: OomEvent) -> dict[str, Any]:
    return {"line": found.line, "time": found.time, "monotonic": found.monotonic}


def _of(victim: Victim) -> dict[str, Any]:
    details: dict[str, Any] = {
        name: getattr(victim, name) for name in (*_VICTIM, "oom_score_adj", "score", "signal")
    }
    return {**details, "rss": victim.rss if victim.anon_rss is None else None}


def _by_daemon(found: OomEvent) -> dict[str, Any]:
    """A daemon kills a process, or a cgroup: whose processes it may tell, and may not."""
    details: dict[str, Any] = {"killer": found.killer, "reason": found.reason}
    if found.task_memcg is None:
        return {**details, **(_of(found.victims[0]) if found.victims else {})}
    held = [victim.rss for victim in found.victims if victim.rss is not None]
    return {**details, "cgroup": found.task_memcg, "rss": sum(held) if held else None}


def _known(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if value is not None}


def _asked(found: OomEvent) -> str:
    """The first line of a report, as the kernel prints it: the same in every log that has it."""
    trigger = found.trigger
    if trigger is None:
        return "an OOM report whose first line is lost"
    values = ((name, getattr(trigger, name)) for name in _PRINTED)
    printed = ", ".join(f"{name}={value}" for name, value in values if value is not None)
    return f"{trigger.comm} invoked oom-killer: {printed}" if trigger.comm else f"oom-killer: {printed}"


def _killed(details: dict[str, Any]) -> str:
    """Who was killed by whom and why, in one line.

    >>> _killed({"killer": "kernel", "comm": "java", "pid": 7, "anon_rss": 3 << 20, "scope": "memcg"})
    'the kernel killed java (pid 7), 3.0 MiB: memory cgroup out of memory'
    """
    who = details.get("comm") or details.get("cgroup") or "a process"
    pid = f" (pid {details['pid']})" if details.get("pid") is not None else ""
    held = details.get("anon_rss") if details.get("anon_rss") is not None else details.get("rss")
    much = f", {size(held)}" if held is not None else ""
    killer = "the kernel" if details["killer"] == "kernel" else details["killer"]
    memcg = "memory cgroup " if details.get("scope") == "memcg" else ""
    return f"{killer} killed {who}{pid}{much}: {details.get('reason') or memcg + 'out of memory'}"
