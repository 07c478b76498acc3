"""The whole report behind each OOM event of a case: read again from the log that told of it, and explained.

Events are raw facts, of one line each; what the report around that line means is derived when a case is
opened, by today's analyzer, so that old bundles gain from it too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from lastwords.analyzer.oom.causes import CROWD, HOLDERS, limit_hit
from lastwords.analyzer.oom.eaters import Program, crowd
from lastwords.analyzer.oom.explain import Explanation, explain
from lastwords.analyzer.oom.picture import Cause
from lastwords.formats.log.klog import Clock
from lastwords.formats.log.messages import ENTRY_LINES, Messages
from lastwords.formats.oom.events import BEFORE, WORDS, OomEvents
from lastwords.formats.oom.report import OomEvent
from lastwords.formats.sizes import alike, size
from lastwords.model import Event
from lastwords.roots.base import Root
from lastwords.roots.lines import Line, Search
from lastwords.roots.logfile import LogReader

KINDS = ("oom_kill", "oom_report")
MOST_EXPLAINED = 100
"""Reports of one log that are explained: the newest."""
LOG_LIMIT = 1 << 30
"""Bytes of one log that are read again: the newest."""
RANKED = 10
"""Processes of a ranking that are kept."""
RANKED_IN_SHORT = 4
"""Programs that the story names."""
_OF_NOTE = 0.02
"""Part of what the first one holds that makes another worth a word."""
ALONE = frozenset(("one-process", "jvm", CROWD))
"""Causes whose title tells already who held the memory, and how much."""
COMMAND_DEADLINE = 45.0
EXPLAINED = ("trigger", "constraint", "constraint_note", "victims", "complete", "missing", "explanation")
"""What an event gains, as in ``schemas/oom_events.json``."""


def explained(events: Sequence[Event], root: Root) -> list[Event]:
    """Return events, those of OOM kills with what their reports tell in their details.

    A log that cannot be read again leaves its events as they are.
    """
    by_log: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["kind"] in KINDS and event.get("line"):
            by_log[event["path"]].append(event)
    more: dict[int, dict[str, Any]] = {}
    for path, mine in by_log.items():
        try:
            found = list(_reports(path, root))
        except OSError:
            continue
        for report in found[-MOST_EXPLAINED:]:
            told = _told_by(mine, report)
            if told is not None:
                document = report.to_json()
                if document["explanation"]["choice"]:
                    del document["explanation"]["choice"]["ranking"][RANKED:]
                more[id(told)] = {**{name: document[name] for name in EXPLAINED}, **_in_short(report)}
    return [
        {**event, "details": {**event["details"], **more[id(event)]}} if id(event) in more else event
        for event in events
    ]


def _in_short(report: Explanation) -> dict[str, Any]:
    """Return what the story tells of a report: who or what held the memory, and what to do about it.

    ``ranking`` tells the programs that held the most; ``eater`` is the first of them, where another was
    killed; ``crowd`` the one whose many processes held it together; ``limit`` the size of
    that of its control group.
    """
    ranking = ranked(report.programs)
    if not report.causes:
        return {"ranking": ranking} if ranking else {}
    lead = next((cause for cause in report.causes if cause.id in HOLDERS), report.causes[0])
    short: dict[str, Any] = {"cause": lead.title}
    if ranking and not (lead.id in ALONE and _is_one(report.programs)):
        short["ranking"] = ranking
    advising: list[Cause] = [lead] if lead is report.causes[0] else [report.causes[0], lead]
    short["fix"] = [step for cause in advising for step in cause.fix]
    hit = limit_hit(report.event) if report.event.constraint == "memcg" else None
    if hit is not None:
        short["limit"] = size(hit[1])
    victims = {victim.comm for victim in report.event.victims}
    many = crowd(report.programs, report.held.total or 0 if report.held else 0, len(report.event.tasks))
    if lead.id == CROWD and many is not None:
        short["crowd"] = many.comm
    elif report.programs and victims and report.programs[0].comm not in victims:
        short["eater"] = report.programs[0].comm
    return short


def _is_one(programs: Sequence[Program]) -> bool:
    """Return whether one program alone is worth a word, and no word of its swap."""
    return len(_most(programs)) == 1 and (programs[0].swap or 0) < programs[0].held * _OF_NOTE


def _most(programs: Sequence[Program]) -> list[Program]:
    return [each for each in programs[:RANKED_IN_SHORT] if each.held >= programs[0].held * _OF_NOTE > 0]


def ranked(programs: Sequence[Program]) -> str:
    """Return the programs that held the most in one line, with what each held, those that matter."""
    most = _most(programs)
    told = alike([size for each in most for size in (each.held, each.swap)])
    parts = []
    for each, held, swap in zip(most, told[::2], told[1::2]):
        name = f"{each.processes:,} x {each.comm}" if each.processes > 1 else each.comm
        swapped = f" ({swap} of it in swap)" if (each.swap or 0) >= each.held * _OF_NOTE else ""
        parts.append(f"{name} {held}{swapped}")
    return ", ".join(parts)


def events_in(log: LogReader) -> Iterator[OomEvent]:
    """Yield the OOM events of a log as they are found: it may hold more than memory does.

    :param log: opened for :data:`~lastwords.formats.oom.events.WORDS`
    """
    made = OomEvents(log.clock)
    for message in log:
        yield from made.feed(message)
        log.want(made.wanted)
    yield from made.end()


def _reports(path: str, root: Root) -> Iterator[Explanation]:
    """Yield the OOM reports of a log, oldest first. :raises OSError: it cannot be read"""
    search = Search(words=WORDS, before=BEFORE, limit=LOG_LIMIT)
    messages, made = Messages(), OomEvents(Clock(root.taken_at))
    for line in _lines(path, root, search):
        if search.hit(line.data):
            search.follow = max(search.follow, ENTRY_LINES)
        for message in messages.feed(line.number, line.offset, line.data):
            yield from map(explain, made.feed(message))
        search.follow = max(search.follow, made.wanted)
    yield from map(explain, made.end())


def _lines(path: str, root: Root, search: Search) -> Iterator[Line]:
    if path.startswith("$ "):
        return root.run_lines(tuple(path[2:].split(" ")), COMMAND_DEADLINE, search)
    return root.lines(path, search)


def _told_by(events: Sequence[Event], report: Explanation) -> Optional[Event]:
    """Return the event of a report: of those on its lines the kill, by its victim where there are several."""
    first, last = report.event.line, report.event.last_line
    inside = [event for event in events if first <= event["line"] <= last]
    victims = {victim.pid for victim in report.event.victims}
    kills = [event for event in inside if event["kind"] == "oom_kill"]
    right = [event for event in kills if (event.get("details") or {}).get("pid") in victims]
    return next(iter(right or kills or inside), None)
