"""The crash dumps that lie on the host, together: which are of the same death, and which may go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.analyzer.kdump.estimate import mib
from lastwords.analyzer.kdump.setup import setting
from lastwords.analyzer.rules.crash import DEATHS
from lastwords.analyzer.titles import event_title
from lastwords.collectors.kernel_log_dumps import READ
from lastwords.hookspecs import rule
from lastwords.model import Case, Event, Finding, Proof, Severity
from lastwords.roots.evidence import command_path

DAY = 86400
OLD = 90 * DAY
"""Seconds after which nobody asks for a dump any more."""
_VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
_IN_DUMP = command_path(READ) + " "
PURGES = ("KDUMP_NUM_DUMPS", "KDUMP_KEEP_OLD_DUMPS")


def dumps_of(case: Case) -> list[dict[str, Any]]:
    """Return the dumps, oldest first."""
    return case.facts["crash_dumps"]["dumps"] or []


def deaths(case: Case) -> dict[str, Event]:
    """Return the first report of a death in the kernel log that lies in each folder, or in a dump there.

    The first counts: what follows is mostly its consequence.
    """
    found: dict[str, Event] = {}
    for each in case.events:
        if each["kind"] not in DEATHS:
            continue
        places = [each, *(each["details"].get("also") or ())]
        for folder in {str(place["path"]).replace(_IN_DUMP, "").rpartition("/")[0] for place in places}:
            if folder not in found or _moment(each) < _moment(found[folder]):
                found[folder] = each
    return found


def _moment(each: Event) -> tuple[float, int]:
    return (each.get("monotonic") or 0.0, each.get("line") or 0)


def groups(case: Case) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Return the dumps of each death, by what makes it the same: its title, and its dumps, oldest first."""
    found: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    told = deaths(case)
    for dump in dumps_of(case):
        death = told.get(dump["path"])
        if death is not None:
            title = event_title(death)
            same = str(death["details"].get("signature") or _VARYING.sub("#", title))
            found.setdefault(same, (title, []))[1].append(dump)
    return found


@rule("crash-dumps-same-death", needs=("crash_dumps", "kernel_log"))
def same_death(case: Case) -> Iterator[Finding]:
    """Several crash dumps are of the same death: a bug that comes back, and one dump to look at.

    By the first report in the kernel log that was saved beside each dump, or is in it. A warning while the
    last one is less than a week old.
    """
    for title, dumps in groups(case).values():
        if len(dumps) < 2:
            continue
        last = dumps[-1]
        yield Finding(
            "crash-dumps-same-death",
            Severity.WARNING if case.is_news(last["time"]) else Severity.INFO,
            f"{len(dumps)} crash dumps are of the same death",
            f"Each begins with: {title}",
            subject=title,
            evidence=tuple(Proof(dump["path"], value=_told(dump)) for dump in dumps),
            fix=(f"Look at one of them, best the newest whole one: {_newest_whole(dumps)['path']}.",),
        )


@rule("crash-dumps-kept", needs=("crash_dumps",))
def dumps_kept(case: Case) -> Iterator[Finding]:
    """Several crash dumps take room: how much, which of them may go, and whether kdump itself deletes them.

    May go: those that were never finished, those of a death of which there is a newer whole dump, and
    those older than three months. ``KDUMP_NUM_DUMPS`` (Debian) and ``KDUMP_KEEP_OLD_DUMPS`` (SUSE) let
    kdump delete the oldest when it writes the next.
    """
    dumps = dumps_of(case)
    if len(dumps) < 2:
        return
    reasons = dict(_may_go(case, dumps))
    used = case.facts["crash_dumps"]["used"]
    freed = sum(dump["used"] or 0 for dump in dumps if dump["path"] in reasons)
    limit = _limit(case)
    why = f"{len(reasons)} of them may go, which frees {mib(freed)}." if reasons else "None is superfluous."
    if limit and len(dumps) >= limit[1]:
        why += f" {limit[0]}={limit[1]} lets kdump delete the oldest when it writes the next."
    yield Finding(
        "crash-dumps-kept",
        Severity.INFO,
        f"{len(dumps)} crash dumps take {'an unknown amount of room' if used is None else mib(used)}",
        why,
        evidence=tuple(
            Proof(dump["path"], value=f"{_told(dump)}: {reasons.get(dump['path'], 'keep')}") for dump in dumps
        ),
        fix=tuple(f"$ rm -r {path}" for path in reasons if re.fullmatch(r"[\w/.:-]+", path))
        or ("Keep them as long as somebody may ask.",),
    )


def _may_go(case: Case, dumps: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    newer: dict[str, str] = {}
    for _, same in groups(case).values():
        best = _newest_whole(same)
        newer.update((dump["path"], best["path"]) for dump in same if dump is not best)
    for dump in dumps:
        age = case.taken_at - dump["time"] if case.taken_at and dump["time"] else 0.0
        if dump["unfinished"]:
            yield dump["path"], "never finished"
        elif dump["path"] in newer:
            yield dump["path"], f"same death as {newer[dump['path']]}"
        elif age > OLD:
            yield dump["path"], f"{age / DAY:.0f} days old"


def _newest_whole(dumps: list[dict[str, Any]]) -> dict[str, Any]:
    whole = [dump for dump in dumps if dump["cores"] and not dump["unfinished"]]
    return (whole or dumps)[-1]


def _limit(case: Case) -> Optional[tuple[str, int]]:
    if "kdump" not in case.facts:
        return None
    for name in PURGES:
        value = setting(case, name) or ""
        if value.isdigit() and int(value) > 0:
            return name, int(value)
    return None


def _told(dump: dict[str, Any]) -> str:
    state = "unfinished" if dump["unfinished"] else "no core" if dump["cores"] == [] else "finished"
    return f"{state}, {'unknown size' if dump['used'] is None else mib(dump['used'])}"
