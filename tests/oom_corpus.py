"""The collection of real OOM logs beside the checkout, with what is known of each."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastwords.analyzer.oom.reports import events_in
from lastwords.formats.log.messages import messages
from lastwords.formats.oom.events import BEFORE, STEMS, WORDS
from lastwords.formats.oom.report import OomEvent
from lastwords.roots.logfile import LogReader

CORPUS = (
    Path(os.environ.get("LASTWORDS_CORPUS") or Path(__file__).parent.parent.parent / "shared" / "corpus")
    / "oom"
)
needs_corpus = pytest.mark.skipif(
    not (CORPUS / "INDEX.tsv").exists(), reason="no collection of real logs (../shared/corpus/oom)"
)


def index() -> dict[str, dict[str, str]]:
    """Return what is known of each log, by file name; empty without the collection."""
    try:
        text = (CORPUS / "INDEX.tsv").read_text()
    except OSError:
        return {}
    return {
        row["file"]: row for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    }


def events_of(log: bytes) -> list[OomEvent]:
    """Return the events of a log, found as the command finds them."""
    reader = LogReader(io.BytesIO(log), WORDS, stems=STEMS, before=BEFORE, reference=1772445600.0)
    return list(events_in(reader))


def texts_of(log: bytes) -> list[str]:
    """Return the kernel's messages in a log, wrapped ones made whole."""
    lines = log.split(b"\n")
    found: list[str] = []
    for message in messages((n, 0, line) for n, line in enumerate(lines, 1)):
        if message.bare and found and message.text.strip():
            found[-1] += " " + message.text
        elif message.is_kernel:
            found.append(message.text)
    return found


def essence(event: OomEvent) -> Iterator[object]:
    """Yield what must not depend on how the log was written down."""
    trigger = event.trigger
    yield trigger and (trigger.comm, trigger.pid, trigger.gfp_mask, trigger.gfp_flags, trigger.order)
    yield trigger and trigger.oom_score_adj
    yield event.constraint, event.memcg, event.task_memcg, event.panic, event.release, event.missing
    yield [
        (v.pid, v.comm, v.uid, v.total_vm, v.anon_rss, v.rss, v.score, v.how, v.reaped) for v in event.victims
    ]
    yield [(row.pid, row.name, row.values) for row in event.tasks]
    yield [(zone.node, zone.name, zone.values, zone.reserve, zone.free_lists) for zone in event.memory.zones]
    yield event.memory.counters, event.memory.swap_total, event.memory.pages, event.memory.slabs
    yield event.group and (event.group.usage, event.group.stats)
