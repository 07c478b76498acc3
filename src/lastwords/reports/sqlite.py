"""Verdicts and facts as one SQLite database, for questions nobody thought of: ``--format sqlite``."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any, Optional

from lastwords.hookspecs import Report, Whole
from lastwords.model import Proof
from lastwords.verdict import Verdict

TABLES = """
CREATE TABLE inputs (input INTEGER PRIMARY KEY, path TEXT, kind TEXT, taken_at REAL, hostname TEXT,
    distribution TEXT, kernel_release TEXT, architecture TEXT, memory_total INTEGER, headline TEXT);
CREATE TABLE causes (input INTEGER REFERENCES inputs, cause TEXT, severity TEXT, confidence TEXT,
    title TEXT, time REAL, count INTEGER);
CREATE TABLE steps (input INTEGER REFERENCES inputs, cause TEXT, number INTEGER, link TEXT, text TEXT,
    time REAL, count INTEGER, path TEXT, line INTEGER);
CREATE TABLE findings (input INTEGER REFERENCES inputs, finding TEXT, severity TEXT, subject TEXT,
    title TEXT, why TEXT, fix TEXT, fingerprint TEXT, cause TEXT);
CREATE TABLE evidence (input INTEGER REFERENCES inputs, fingerprint TEXT, number INTEGER, path TEXT,
    line INTEGER, excerpt TEXT, value TEXT, threshold TEXT);
CREATE TABLE events (input INTEGER REFERENCES inputs, kind TEXT, time REAL, monotonic REAL, boot TEXT,
    summary TEXT, path TEXT, line INTEGER, details TEXT, cause TEXT);
CREATE TABLE collectors (input INTEGER REFERENCES inputs, collector TEXT, outcome TEXT, reason TEXT);
CREATE TABLE facts (input INTEGER REFERENCES inputs, collector TEXT, document TEXT);
CREATE INDEX events_by_time ON events (time);
CREATE INDEX findings_by_id ON findings (finding);
PRAGMA user_version = 1;
"""
"""``fix``, ``details`` and ``document`` are JSON, for the JSON functions of SQLite; so are values that are
not plain. Times are seconds since the epoch: ``datetime(time, 'unixepoch')``."""


class SqliteReport(Report):
    """One database with all inputs."""

    name = "sqlite"
    title = "SQLite database of verdicts, events and facts (with --output)"
    binary = True

    def whole(self) -> Whole:
        return _Database()


class _Database(Whole):
    def __init__(self) -> None:
        import sqlite3

        self._folder = tempfile.TemporaryDirectory(prefix="lastwords-")
        self._path = os.path.join(self._folder.name, "lastwords.sqlite")
        self._base = sqlite3.connect(self._path)
        self._base.executescript(TABLES)

    def add(self, verdict: Verdict) -> None:
        case, host = verdict.case, verdict.host
        number = self._row(
            "inputs", None, verdict.path, case.root_kind, case.taken_at, host["hostname"],
            host["distribution"], host["kernel_release"], host["architecture"], host["memory_total"],
            verdict.story.headline,
        )  # fmt: skip
        explained: dict[str, str] = {}
        for each in verdict.story.causes:
            explained.update((finding.fingerprint, each.id) for finding in each.findings)
            self._row("causes", number, each.id, each.severity.word, each.confidence, each.title, each.time,
                      each.count)  # fmt: skip
            for place, step in enumerate(each.chain, 1):
                proof = step.proof or Proof("")
                self._row("steps", number, each.id, place, step.link, step.text, step.time, step.count,
                          proof.path or None, proof.line)  # fmt: skip
        for finding in verdict.findings:
            mark = finding.fingerprint
            self._row("findings", number, finding.id, finding.severity.word, finding.subject, finding.title,
                      finding.why, list(finding.fix), mark, explained.get(mark))  # fmt: skip
            for place, proof in enumerate(finding.evidence, 1):
                self._row("evidence", number, mark, place, proof.path, proof.line, proof.excerpt, proof.value,
                          proof.threshold)  # fmt: skip
        for event, cause in zip(case.events, verdict.story.of_events):
            self._row("events", number, event["kind"], event["time"], event["monotonic"], event["boot"],
                      event["summary"], event["path"], event["line"], event["details"], cause)  # fmt: skip
        for name, entry in case.outcomes.items():
            self._row("collectors", number, name, entry.get("outcome"), entry.get("reason"))
        for name, document in case.facts.items():
            self._row("facts", number, name, dict(document))

    def finish(self) -> bytes:
        self._base.commit()
        self._base.execute("VACUUM")
        self._base.close()
        with open(self._path, "rb") as stream:
            content = stream.read()
        self._folder.cleanup()
        return content

    def _row(self, table: str, *values: Any) -> Optional[int]:
        marks = ", ".join("?" * len(values))
        return self._base.execute(
            f"INSERT INTO {table} VALUES ({marks})", [_plain(v) for v in values]
        ).lastrowid


def _plain(value: Any) -> Any:
    """Return a value as SQLite can hold it."""
    if value is None or (isinstance(value, float)):
        return value
    if isinstance(value, bool) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
        return int(value)
    if not isinstance(value, str):
        value = json.dumps(value)
    return value.encode("utf-8", "replace").decode()
