"""What ``lastwords oops`` prints: by name, each a function of the logs that were read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lastwords.analyzer.crash_log import CrashLog
from lastwords.hookspecs import Look
from lastwords.reports.crash_junit import junit
from lastwords.reports.crash_kcidb import kcidb
from lastwords.reports.crash_markdown import markdown
from lastwords.reports.crash_terminal import terminal


@dataclass(frozen=True)
class CrashFormat:
    """One way to write down what was found."""

    render: Callable[[Sequence[CrashLog], Look], str]
    title: str
    whole: bool = False
    """It is one document of all inputs; the others are written input by input."""


def _json(logs: Sequence[CrashLog], look: Look) -> str:
    return "".join(json.dumps(log.to_json(), indent=2) + "\n" for log in logs)


def _json_lines(logs: Sequence[CrashLog], look: Look) -> str:
    return "".join(json.dumps(log.to_json()) + "\n" for log in logs)


FORMATS = {
    "terminal": CrashFormat(terminal, "for people"),
    "json": CrashFormat(_json, "one JSON object an input, indented"),
    "jsonl": CrashFormat(_json_lines, "one JSON object a line, one line an input"),
    "markdown": CrashFormat(markdown, "Markdown, for a ticket"),
    "junit": CrashFormat(junit, "JUnit XML, for CI", whole=True),
    "kcidb": CrashFormat(kcidb, "KCIDB issues and incidents (v5.3)", whole=True),
}
