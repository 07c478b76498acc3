"""The verdict for programs: one JSON object, indented or on one line."""

from __future__ import annotations

import json

from lastwords.hookspecs import Look, Report
from lastwords.verdict import Verdict


class JsonReport(Report):
    """One indented object, as ``schemas/findings.json`` describes it."""

    name = "json"
    title = "one JSON object, indented"

    def render(self, verdict: Verdict, look: Look) -> str:
        return json.dumps(verdict.to_json(), indent=2) + "\n"


class JsonLinesReport(Report):
    """The same object on one line, so that several inputs give several lines."""

    name = "jsonl"
    title = "one JSON object a line, one line an input"

    def render(self, verdict: Verdict, look: Look) -> str:
        return json.dumps(verdict.to_json()) + "\n"
