"""The deaths of hosts as KCIDB v5.3: an issue for each bug, an incident for each time it was met.

Ids are made of the signature, so that the same bug found by anybody, on any machine, is the same issue;
``lastwords oops --format kcidb`` gives the same. Source: kcidb-io, schema v5.3.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from lastwords.formats.crash.signature import VERSION
from lastwords.formats.failures.texts import TEXTS
from lastwords.hookspecs import Report, Whole
from lastwords.model import Event, Finding
from lastwords.reports import words
from lastwords.verdict import Verdict

ORIGIN = "lastwords"
FAILURES = {"boot_failure": "boot", "kdump": "kdump"}
"""Kinds of events that are failures of something else than the kernel, and of what."""
ABRUPT = "boot-ended-abruptly"
UNTOLD = "A boot ended without a word: reset, power loss, or a hang that nothing caught"
_MISC = ("frame", "release", "comm", "pid", "stage", "class", "device", "corrupted")


class KcidbReport(Report):
    """One report of all inputs: the events that have a signature."""

    name = "kcidb"
    title = "KCIDB v5.3: issues and incidents"

    def whole(self) -> Whole:
        return _Document()


class _Document(Whole):
    def __init__(self) -> None:
        self._issues: dict[str, dict[str, Any]] = {}
        self._incidents: dict[str, dict[str, Any]] = {}

    def add(self, verdict: Verdict) -> None:
        for event, cause in zip(verdict.case.events, verdict.story.of_events):
            title, details = title_of(event), event.get("details") or {}
            if title is None:
                continue
            signature = {"version": VERSION, "split": details["signature"]}
            its = issue(title, details["signature"], event["kind"], {"signature": signature})
            self._issues.setdefault(its["id"], its)
            misc = {name: details[name] for name in _MISC if details.get(name) is not None}
            misc.update({"host": words.plain(verdict.host["hostname"] or ""), "cause": cause or ""})
            misc.update({"log": words.plain(event["path"]), "line": event["line"], "time": event["time"]})
            place = (verdict.path, event["path"], str(event["line"]))
            made = incident(its["id"], title, place, misc)
            self._incidents.setdefault(made["id"], made)
        for finding in verdict.findings:
            if finding.id == ABRUPT:
                self._abrupt(finding, verdict)

    def _abrupt(self, finding: Finding, verdict: Verdict) -> None:
        """Add the boots that ended without a word: one issue for all hosts, for nothing tells them apart."""
        its = issue(UNTOLD, ABRUPT, "reset", {"rule": ABRUPT})
        its["culprit"]["code"] = False
        self._issues.setdefault(its["id"], its)
        for proof in finding.evidence:
            misc = {"host": words.plain(verdict.host["hostname"] or ""), "log": words.plain(proof.path)}
            misc["said"] = words.plain(proof.excerpt or "")
            place = (verdict.path, proof.path, str(proof.line), proof.excerpt or "")
            made = incident(its["id"], UNTOLD, place, misc)
            self._incidents.setdefault(made["id"], made)

    def finish(self) -> str:
        return document(self._issues.values(), self._incidents.values())


def title_of(event: Event) -> Optional[str]:
    """Return what the issue of an event is called, as in the report of its log; None when it has none."""
    details = event.get("details") or {}
    if not details.get("signature"):
        return None
    if event["kind"] in FAILURES and details.get("class") in TEXTS:
        return f"{FAILURES[event['kind']]} failure: {TEXTS[details['class']].title}"
    return str(details.get("title") or event["summary"])


def document(issues: Iterable[Mapping[str, Any]], incidents: Iterable[Mapping[str, Any]]) -> str:
    """Return a KCIDB report."""
    made = {
        "version": {"major": 5, "minor": 3},
        "issues": list(issues),
        "incidents": list(incidents),
    }
    return json.dumps(made, indent=2) + "\n"


def issue(title: str, signature: str, kind: str, misc: Mapping[str, Any]) -> dict[str, Any]:
    """Return the issue of a bug.

    :param signature: the one by which bugs of the same title are split
    :param kind: of the event that tells of it
    """
    title = without_nul(title)
    return {
        "id": f"{ORIGIN}:{_hash(title, signature)}",
        "version": VERSION,
        "origin": ORIGIN,
        "categories": [f"runtime.{kind}"],
        "report_subject": title,
        "culprit": {"code": kind not in ("mce", "nmi"), "tool": False, "harness": False},
        "comment": title,
        "misc": dict(misc),
    }


def incident(issue_id: str, title: str, place: Iterable[str], misc: Mapping[str, Any]) -> dict[str, Any]:
    """Return one time that a bug was met.

    :param place: what tells it from all other times
    """
    return {
        "id": f"{ORIGIN}:{_hash(issue_id, *place)}",
        "origin": ORIGIN,
        "issue_id": issue_id,
        "issue_version": VERSION,
        "present": True,
        "comment": without_nul(title),
        "misc": dict(misc),
    }


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def without_nul(text: str) -> str:
    """Return text that KCIDB can hold."""
    return text.replace("\0", "?")
