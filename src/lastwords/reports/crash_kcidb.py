"""The deaths of logs as KCIDB v5.3: an issue for each bug, an incident for each time it was met.

Ids are made of the signature, so that the same bug found by anybody, on any machine, is the same issue.
Source: kcidb-io, schema v5.3.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from lastwords.analyzer.crash_log import CrashLog, Entry
from lastwords.formats.crash_signature import VERSION
from lastwords.hookspecs import Look

ORIGIN = "lastwords"
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
            issue = _issue(entry)
            issues.setdefault(issue["id"], issue)
            incidents.append(_incident(log.path, entry, issue["id"]))
    document = {
        "version": {"major": 5, "minor": 3},
        "issues": list(issues.values()),
        "incidents": incidents,
    }
    return json.dumps(document, indent=2) + "\n"


def _issue(entry: Entry) -> dict[str, Any]:
    title, signature = _plain(entry["title"]), entry["signature"]
    return {
        "id": f"{ORIGIN}:{_hash(title, signature['split'])}",
        "version": VERSION,
        "origin": ORIGIN,
        "categories": [f"runtime.{entry['event']}"],
        "report_subject": title,
        "culprit": {"code": entry["event"] not in ("mce", "nmi"), "tool": False, "harness": False},
        "comment": title,
        "misc": {"signature": signature, "alt_titles": entry["alt_titles"], "kind": entry["kind"]},
    }


def _incident(path: str, entry: Entry, issue: str) -> dict[str, Any]:
    misc = {name: entry[name] for name in _MISC if entry.get(name) is not None}
    misc["log"] = path
    misc["excerpt"] = [_plain(line) for line in entry["excerpt"]]
    return {
        "id": f"{ORIGIN}:{_hash(issue, path, str(entry['line']))}",
        "origin": ORIGIN,
        "issue_id": issue,
        "issue_version": VERSION,
        "present": True,
        "comment": _plain(entry["title"]),
        "misc": misc,
    }


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _plain(text: str) -> str:
    return text.replace("\0", "?")
