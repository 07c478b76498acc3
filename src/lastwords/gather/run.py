"""Gathers: every collector in turn, on one root, into a bundle or into memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords import __version__
from lastwords.bundle import facts_files
from lastwords.bundle.validate import Validator
from lastwords.bundle.write import OutputError
from lastwords.gather.isolation import Deadline, Died, Send, run_in_child
from lastwords.hookspecs import Collector
from lastwords.model import BUNDLE_VERSION, Event, Facts, NoData, Outcome, Skipped, event_order, summary_of
from lastwords.plugins import describe
from lastwords.roots.base import Root
from lastwords.roots.evidence import Store

GAPS_SHOWN = 3


@dataclass
class Result:
    """How one collector ended, and what it sent until then."""

    outcome: Outcome
    reason: Optional[str] = None
    duration: float = 0.0
    document: Optional[bytes] = None
    """The facts, as the facts file holds them; None when it yielded none."""
    records: Optional[bytes] = None
    """JSON Lines, when the facts have ``records``."""
    events: list[Event] = field(default_factory=list)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    schema: Optional[str] = None

    @property
    def facts(self) -> Optional[Facts]:
        """The facts as they were yielded, less the events."""
        return None if self.document is None else facts_files.join(self.document, self.records)


@dataclass
class Gathered:
    """The results of one run, by collector, and when it ran."""

    root: Root
    started_at: float
    finished_at: float
    results: dict[str, Result]

    @property
    def partial(self) -> bool:
        """True when something that exists could not be gathered."""
        bad = {Outcome.PARTIAL, Outcome.DENIED, Outcome.TIMEOUT, Outcome.ERROR}
        return any(result.outcome in bad for result in self.results.values())

    @property
    def events(self) -> list[Event]:
        """All events, oldest first."""
        return sorted((e for result in self.results.values() for e in result.events), key=event_order)

    def manifest(
        self, identity: str, plugins: Iterable[Mapping[str, Any]], validated: bool
    ) -> dict[str, Any]:
        """Return the manifest of a bundle of this run.

        :param identity: the name of the bundle: UTC time and a random part
        :param validated: whether the facts were held against their schemas
        """
        host = self.results["host"].facts if "host" in self.results else None
        return {
            "format": "lastwords-bundle",
            "version": BUNDLE_VERSION,
            "tool_version": __version__,
            "id": identity,
            "started_at": round(self.started_at, 3),
            "finished_at": round(self.finished_at, 3),
            "taken_at": self.root.taken_at,
            "root": {"kind": self.root.kind, "notes": self.root.notes},
            "uid": os.geteuid(),
            "host": summary_of(host or {}),
            "validated": validated,
            "plugins": list(plugins),
            "collectors": {
                name: {
                    "outcome": result.outcome.value,
                    "reason": result.reason,
                    "duration": round(result.duration, 3),
                    "schema": result.schema,
                    "facts": facts_files.document_name(name) if result.document is not None else None,
                    "records": facts_files.records_name(name) if result.records is not None else None,
                    "evidence": result.evidence,
                }
                for name, result in self.results.items()
            },
        }


def gather(
    root: Root,
    collectors: Iterable[Collector],
    *,
    store: Optional[Store] = None,
    keep: Optional[Callable[[str, Result], None]] = None,
    progress: Optional[Callable[[Collector], None]] = None,
    timeout: Optional[float] = None,
    within: Optional[float] = None,
) -> Gathered:
    """Run *collectors* on *root*, one at a time, each in a child with its deadline.

    :param store: where evidence goes, or None to keep none
    :param keep: called in this process with each result as soon as it is there
    :param progress: called before each collector
    :param timeout: seconds for each collector, instead of its own
    :param within: seconds for all of them; those whose turn does not come say so
    :raises OutputError: the output cannot be written (disk full ...)
    """
    validator = Validator.load()
    started = time.time()
    results: dict[str, Result] = {}
    for collector in collectors:
        if progress:
            progress(collector)
        began = time.monotonic()
        own = timeout or collector.timeout
        left = own if within is None else within - (time.time() - started)
        if left > 0:
            result = _run_one(root, collector, store, validator, min(own, left))
        else:
            result = Result(Outcome.TIMEOUT, f"not begun: the {within:g} seconds for all were over")
        result.duration = time.monotonic() - began
        results[collector.name] = result
        if keep:
            keep(collector.name, result)
    return Gathered(root, started, time.time(), results)


def _run_one(
    root: Root,
    collector: Collector,
    store: Optional[Store],
    validator: Optional[Validator],
    timeout: float,
) -> Result:
    if collector.live_only and root.kind != "live":
        return Result(Outcome.SKIPPED, f"needs a running host, this is a {root.kind}")
    result = Result(Outcome.ERROR, "ended without a word")
    try:
        for kind, data in run_in_child(lambda send: _work(root, collector, store, validator, send), timeout):
            _take(result, kind, data)
    except Deadline as late:
        result.outcome, result.reason = Outcome.TIMEOUT, str(late)
    except Died as death:
        memory = "it reached its memory limit" if str(death) == "exit status 9" else str(death)
        result.outcome, result.reason = Outcome.ERROR, f"the collector's process died: {memory}"
    if result.document is None and result.outcome is Outcome.OK:
        result.outcome, result.reason = Outcome.NO_DATA, "it yielded no facts"
    return result


def _take(result: Result, kind: bytes, data: bytes) -> None:
    """Take one message of the child. Facts come first, the outcome last; a deadline may fall between."""
    if kind == b"FACT":
        result.document, result.records, result.events = data, None, []
    elif kind == b"RECS":
        result.records = data
    elif kind == b"EVTS":
        result.events = json.loads(data)
    elif kind == b"EVID":
        result.evidence.extend(json.loads(data))
    elif kind == b"FULL":
        raise OutputError(data.decode())
    else:
        end = json.loads(data)
        result.outcome, result.reason = Outcome(end["outcome"]), end["reason"]
        result.schema = end["schema"]


def _work(
    root: Root, collector: Collector, store: Optional[Store], validator: Optional[Validator], send: Send
) -> None:
    """What the child does: run the collector and send what it yields."""
    own = root.recording(collector.name, store)
    sent = 0
    yielded = False
    outcome, reason = Outcome.OK, None
    misfit: Optional[str] = None

    def send_evidence() -> None:
        nonlocal sent
        send(b"EVID", json.dumps(own.evidence.items[sent:]).encode())
        sent = len(own.evidence.items)

    try:
        for facts in collector.collect(own):
            document, records, events = facts_files.split(facts)
            if validator:
                misfit = validator.problem(collector, facts_files.without_events(facts), events)
            yielded = True
            send(b"FACT", document)
            if records is not None:
                send(b"RECS", records)
            send(b"EVTS", json.dumps(events).encode())
            send_evidence()
        own.evidence.finish()
    except OutputError as full:
        send(b"FULL", str(full).encode())
        return
    except NoData as nothing:
        outcome, reason = Outcome.NO_DATA, str(nothing)
    except Skipped as why:
        outcome, reason = Outcome.SKIPPED, str(why)
    except PermissionError as denied:
        outcome, reason = Outcome.DENIED, describe(denied)
    except MemoryError:
        raise
    except Exception as problem:
        outcome, reason = Outcome.ERROR, describe(problem)
    gaps = own.evidence.gaps
    if outcome is Outcome.OK and misfit:
        outcome, reason = Outcome.ERROR, f"the facts do not fit their schema: {misfit}"
    elif outcome in (Outcome.OK, Outcome.NO_DATA) and gaps:
        shown = ", ".join(f"{gap['path']} ({gap['reason']})" for gap in gaps[:GAPS_SHOWN])
        more = f" and {len(gaps) - GAPS_SHOWN} more" if len(gaps) > GAPS_SHOWN else ""
        outcome, reason = Outcome.PARTIAL if yielded else Outcome.DENIED, f"not read: {shown}{more}"
    send_evidence()
    schema = validator.schema_id(collector) if validator else None
    send(b"DONE", json.dumps({"outcome": outcome.value, "reason": reason, "schema": schema}).encode())
