"""OOM events of every kind, from logs whose every number is known: what is told of each, and why it was."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import reduce
from pathlib import Path

import jsonschema
import oom_case_eaters
import oom_case_groups
import oom_case_kinds
import oom_case_logs
import oom_case_none
import pytest
from klog_forms import FORMS
from oom_corpus import events_of, texts_of
from oom_printk import dmesg, log, syslog
from oom_told import Case, Told

from lastwords import schemas
from lastwords.analyzer.oom.explain import Explanation, explain
from lastwords.cli.main import run

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


NOISE = (
    "usb 1-1: new high-speed USB device number 5",
    'audit: type=1400 audit(1.2:3): apparmor="DENIED" pid=4711 comm="java"',
    "IN=eth0 OUT= MAC=00 SRC=192.0.2.4 DST=192.0.2.8 LEN=40",
    "INFO: task kworker/0:1:99 blocked for more than 120 seconds.",
    "task:kworker/0:1 state:D stack:0 pid:99 ppid:2 flags:0x00004000",
    "TCP: out of memory -- consider tuning tcp_mem",
    "java[4711]: segfault at 0 ip 0 sp 0 error 4 in libc.so[0+1]",
    "Purging GPU memory, 0 pages freed, 0 pages still pinned.",
)
FRAGILE = ("mixed", "program", "dropped", "missed", "a line end", "a day later")
"""Cases whose neighbouring lines matter."""
PLAIN = [
    case
    for case in CASES
    if len(case.events) == 1
    and case.events[0].killer == "kernel"
    and not any(word in case.name for word in FRAGILE)
]


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_lines_of_others_in_between_change_nothing(case: Case) -> None:
    draw = random.Random(case.name)
    lines: list[str] = []
    for text in texts_of(case.data):
        while draw.random() < 0.12:
            lines.append(draw.choice(NOISE))
        lines.append(text)
    for write in (dmesg, syslog):
        assert told_wrong(replace(case, data=log(write(lines)))) == []


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_a_damaged_report_tells_less_and_nothing_wrong(case: Case) -> None:
    draw = random.Random(case.name)
    texts = texts_of(case.data)
    victims = {pid for pid, _ in case.events[0].victims}
    width = draw.randrange(60, 120)
    for left in (
        [text for text in texts if draw.random() > 0.15],
        [text[:width] for text in texts],
        texts[draw.randrange(len(texts)) :],
        texts[: draw.randrange(1, len(texts) + 1)],
    ):
        for event in events_of(log(dmesg(left))):
            found = explain(event)
            assert found.choice is None or found.choice.confirmed is not False
            assert {victim.pid for victim in event.victims} <= victims


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_is_told_right_in_every_form_of_log(form: str) -> None:
    for case in PLAIN[:: len(PLAIN) // 12]:
        assert told_wrong(replace(case, data=FORMS[form](texts_of(case.data)))) == [], case.name


def test_what_is_told_is_as_the_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{number}.log" for number in range(len(CASES))]
    for path, case in zip(paths, CASES):
        path.write_bytes(case.data)
    run(["oom", "--jsonl", *map(str, paths)])
    validator = jsonschema.Draft202012Validator(schemas.load("oom_events"))
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(documents) == len(CASES)
    for document in documents:
        validator.validate(document)


def told_of(name: str) -> Explanation:
    (case,) = (case for case in CASES if case.name == name)
    return explain(events_of(case.data)[0])


def test_what_the_groups_below_hold_is_held_by_the_group() -> None:
    held = told_of("v1 nested, el7").held
    assert held is not None
    assert held.share("anon") == (1024 * 1000 + 2048) << 10
    assert held.share("file") == (8192 + 100) << 10


def test_what_the_kernel_counts_by_itself_is_not_counted_twice() -> None:
    held = told_of("v2, per-CPU memory of the kernel").held
    assert held is not None
    assert held.share("kernel") == (900 - 700 - 90) << 20


def test_memory_of_nobody_cannot_be_told_of_lines_that_were_cut() -> None:
    (case,) = (case for case in CASES if case.name == "balloon, in its count")
    lines = [text[:110] for text in texts_of(case.data)]
    held = explain(events_of(log(dmesg(lines)))[0]).held
    assert held is not None
    assert held.unaccounted is None
