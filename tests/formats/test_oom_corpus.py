"""OOM events of real logs: what the collection's index says, in every form of log, damaged or not."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from klog_forms import FORMS, WRAPPED
from oom_corpus import CORPUS, essence, events_of, index, needs_corpus, texts_of

INDEX = index()
KERNEL = [name for name in INDEX if "systemd-oomd" not in name and "earlyoom" not in name]


@needs_corpus
@pytest.mark.parametrize("name", INDEX)
def test_events_are_those_of_the_index(name: str) -> None:
    known = INDEX[name]
    found = events_of((CORPUS / name).read_bytes())
    triggers = [event.trigger for event in found if event.trigger is not None]
    assert len(triggers) == int(known["n_invoked"])
    assert {trigger.comm for trigger in triggers} == set(filter(None, known["trigger"].split(",")))
    if known["order"]:
        assert {str(trigger.order) for trigger in triggers} == set(known["order"].split(","))
    masks = set(re.findall(r"0x[0-9a-f]+", known["gfp"]))
    assert masks <= {trigger.gfp_mask for trigger in triggers}
    victims = {
        f"{victim.pid}/{victim.comm or '?'}"
        for event in found
        for victim in event.victims
        if event.killer == "kernel" and victim.pid is not None
    }
    assert victims == set(filter(None, known["killed"].split(";")))
    assert {event.panic for event in found if event.panic} == set(filter(None, [known["panic"].strip()]))
    for event in found:
        if event.constraint_note is None and event.killer == "kernel":
            expected = known["constraint"].strip("()").replace("CONSTRAINT_", "").lower()
            assert event.constraint == {"global/unknown": "none", "-": "none"}.get(expected, expected)


@needs_corpus
@pytest.mark.parametrize("name", KERNEL)
def test_every_form_of_log_gives_the_same_events(name: str) -> None:
    texts = texts_of((CORPUS / name).read_bytes())
    expected = [list(essence(event)) for event in events_of(FORMS["printk"](texts))]
    assert len(expected) == len(events_of((CORPUS / name).read_bytes()))
    for form, write in {**FORMS, **WRAPPED}.items():
        found = [list(essence(event)) for event in events_of(write(texts))]
        assert found == expected, form


@needs_corpus
@pytest.mark.parametrize("name", KERNEL)
def test_lines_of_another_task_in_between_change_nothing(name: str) -> None:
    texts = texts_of((CORPUS / name).read_bytes())
    alone = [f"[  511.{n:06d}][ T100] {text}" for n, text in enumerate(texts)]
    noise = (
        "Mem-Info:",
        "Node 0 Normal free:1kB min:2kB low:3kB high:4kB managed:5kB",
        " dump_stack+0x1/0x2",
        "memory: usage 5kB, limit 6kB, failcnt 1",
        "CPU: 1 PID: 7 Comm: other Not tainted 5.5.5 #1",
    )
    mixed = [
        line for n, text in enumerate(alone) for line in (text, f"[  511.{n:06d}][  T200] {noise[n % 5]}")
    ]
    expected = [list(essence(event)) for event in events_of(("\n".join(alone) + "\n").encode())]
    assert [list(essence(event)) for event in events_of(("\n".join(mixed) + "\n").encode())] == expected


def damaged(log: bytes, draw: random.Random) -> bytes:
    """Return a log with parts cut, doubled, shuffled or bits flipped."""
    lines = log.split(b"\n")
    for _ in range(draw.randrange(1, 5)):
        how = draw.choice(("cut", "double", "shuffle", "flip", "lines"))
        at, to = sorted(draw.randrange(len(lines) + 1) for _ in range(2))
        if how == "cut":
            joined = b"\n".join(lines)
            start, end = sorted(draw.randrange(len(joined) + 1) for _ in range(2))
            lines = (joined[:start] + joined[end:] if draw.random() < 0.5 else joined[start:end]).split(b"\n")
        elif how == "double":
            lines[at:at] = lines[at:to]
        elif how == "shuffle":
            part = lines[at:to]
            draw.shuffle(part)
            lines[at:to] = part
        elif how == "lines":
            del lines[at:to]
        elif joined := bytearray(b"\n".join(lines)):
            for _ in range(draw.randrange(1, 40)):
                joined[draw.randrange(len(joined))] ^= 1 << draw.randrange(8)
            lines = bytes(joined).split(b"\n")
    return b"\n".join(lines)


@needs_corpus
@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(INDEX) or [""]), st.randoms(use_true_random=False), st.sampled_from(sorted(FORMS))
)
def test_damaged_logs_are_read(name: str, draw: random.Random, form: str) -> None:
    log = (CORPUS / name).read_bytes()
    if draw.random() < 0.5:
        log = FORMS[form](texts_of(log)[:400])
    for event in events_of(damaged(log[:60_000], draw)):
        assert event.kind in ("oom_kill", "oom_report")
        for row in event.tasks:
            assert event.columns is not None
            assert set(row.values) == set(event.columns)
