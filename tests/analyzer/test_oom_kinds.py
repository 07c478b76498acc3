"""OOM events of every kind, from logs whose every number is known: what is told of each, and why it was."""

from __future__ import annotations

from functools import reduce

import oom_case_eaters
import oom_case_groups
import oom_case_kinds
import oom_case_logs
import oom_case_none
import pytest
from oom_corpus import events_of
from oom_told import Case, Told

from lastwords.analyzer.oom.explain import Explanation, explain

CASES = [
    *oom_case_kinds.CASES,
    *oom_case_groups.CASES,
    *oom_case_eaters.CASES,
    *oom_case_logs.CASES,
    *oom_case_none.CASES,
]


def told_wrong(case: Case) -> list[str]:
    """Return what is told wrongly of a log."""
    found = [explain(event) for event in events_of(case.data)]
    if len(found) != len(case.events):
        return [f"{len(found)} events: {[(each.event.trigger, each.event.victims) for each in found]}"]
    return [wrong for told, each in zip(case.events, found) for wrong in _wrong(told, each)]


def _wrong(told: Told, found: Explanation) -> list[str]:
    event = found.event
    trigger, victims = event.trigger, event.victims
    first = victims[0] if victims else None
    pairs: list[tuple[str, object, object]] = [
        ("killer", told.killer, event.killer),
        ("trigger", told.trigger, trigger.comm if trigger else None),
        ("order", told.order, trigger.order if trigger else None),
        ("constraint", told.constraint, event.constraint),
        ("victims", list(told.victims), [(victim.pid, victim.comm) for victim in victims]),
        ("panic", told.panic, event.panic_kind),
        ("manual", told.manual, event.manual),
    ]
    if first is not None:
        pairs += [("how", told.how, first.how), ("reaped", told.reaped, first.reaped)]
    if told.anon is not None:
        pairs.append(("anon", int(told.anon * 1024), (first.anon_rss or 0) >> 10 if first else None))
    if told.failure is not None:
        pairs.append(("failure", told.failure, found.failure.kind))
    pairs.append(("confirmed", told.confirmed, found.choice.confirmed if found.choice else None))
    pairs += [
        (name, value, reduce(lambda one, part: getattr(one, part), name.split("."), event))
        for name, value in told.more
    ]
    ids = [cause.id for cause in found.causes]
    pairs += [(f"cause {cause}", True, cause in ids) for cause in told.causes]
    pairs += [(f"cause {cause}", False, cause in ids) for cause in told.silent]
    return [f"{name}: {is_!r}, not {should!r}" for name, should, is_ in pairs if should != is_]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_kind_of_event_is_told_right(case: Case) -> None:
    assert told_wrong(case) == []
