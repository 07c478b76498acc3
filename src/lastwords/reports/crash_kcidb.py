"""The deaths of logs as KCIDB: as :mod:`lastwords.reports.kcidb`, with all that the logs tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lastwords.analyzer.crash_log import CrashLog
from lastwords.hookspecs import Look
from lastwords.reports.kcidb import document, incident, issue, without_nul

_MISC = (
    "cpu",
    "pid",
    "comm",
    "release",
    "taint",
    "hardware",
    "line",
    "last_line",
    "stage",
    "class",
    "device",
)


def kcidb(logs: Sequence[CrashLog], look: Look) -> str:
    """Return one KCIDB report of all logs."""
    issues: dict[str, dict[str, Any]] = {}
    incidents: list[dict[str, Any]] = []
    for log in logs:
        for entry in log.reports:
            told = {name: entry[name] for name in ("signature", "alt_titles", "kind")}
            its = issue(entry["title"], entry["signature"]["split"], entry["event"], told)
            issues.setdefault(its["id"], its)
            misc = {name: entry[name] for name in _MISC if entry.get(name) is not None}
            misc.update(log=log.path, excerpt=[without_nul(line) for line in entry["excerpt"]])
            incidents.append(incident(its["id"], entry["title"], (log.path, str(entry["line"])), misc))
    return document(issues.values(), incidents)
