"""The verdict as SARIF 2.1.0, for viewers and gates that read the results of analysers.

Source: OASIS Standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". A run is an input,
a result a finding; what the finding is known by over time is its partial fingerprint.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from lastwords import __version__
from lastwords.hookspecs import Report, Whole
from lastwords.model import Finding, Proof, Severity
from lastwords.reports import words
from lastwords.verdict import Verdict

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
BASE = "HOST"
"""Name that stands for the root of the host, wherever it lies."""


class SarifReport(Report):
    """One log with a run for each input."""

    name = "sarif"
    title = "SARIF 2.1.0, a run an input"

    def whole(self) -> Whole:
        return _Log()


class _Log(Whole):
    def __init__(self) -> None:
        self._runs: list[dict[str, Any]] = []

    def add(self, verdict: Verdict) -> None:
        self._runs.append(_run(verdict))

    def finish(self) -> str:
        return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": self._runs}, indent=2) + "\n"


def _run(verdict: Verdict) -> dict[str, Any]:
    ids = list(dict.fromkeys(finding.id for finding in verdict.findings))
    causes = {f.fingerprint: cause.id for cause in verdict.story.causes for f in cause.findings}
    titles = {finding.id: finding.title for finding in reversed(verdict.findings)}
    driver = {
        "name": "lastwords",
        "semanticVersion": __version__,
        "rules": [{"id": name, "shortDescription": _text(titles[name])} for name in ids],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"lastwords/{quote(words.plain(verdict.path))}"},
        "originalUriBaseIds": {BASE: {"description": _text("The root of the host that was looked at.")}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, ids, causes) for finding in verdict.findings],
        "properties": {
            "host": verdict.host,
            "takenAt": verdict.case.taken_at,
            "headline": words.plain(verdict.story.headline),
            "skippedRules": [name for name, _ in verdict.skipped],
        },
    }


def _result(finding: Finding, ids: list[str], causes: dict[str, str]) -> dict[str, Any]:
    message = f"{finding.title}. {finding.why}"
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": ids.index(finding.id),
        "level": LEVELS[finding.severity],
        "message": _text(message),
        "locations": [_location(item) for item in finding.evidence],
        "partialFingerprints": {"lastwords/v1": finding.fingerprint},
        "properties": {"subject": words.plain(finding.subject), "fix": [words.plain(s) for s in finding.fix]},
    }
    if finding.fingerprint in causes:
        result["properties"]["cause"] = causes[finding.fingerprint]
    return result


def _location(proof: Proof) -> dict[str, Any]:
    said = _text(words.proof(proof))
    if not proof.path.startswith("/"):
        return {"logicalLocations": [{"fullyQualifiedName": words.plain(proof.path)}], "message": said}
    artifact = {"uri": quote(words.plain(proof.path).lstrip("/")), "uriBaseId": BASE}
    place: dict[str, Any] = {"artifactLocation": artifact}
    if proof.line is not None:
        place["region"] = {"startLine": proof.line}
        if proof.excerpt is not None:
            place["region"]["snippet"] = _text(proof.excerpt)
    return {"physicalLocation": place, "message": said}


def _text(text: str) -> dict[str, str]:
    return {"text": words.plain(text)}
