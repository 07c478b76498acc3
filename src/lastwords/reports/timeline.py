"""All events, a JSON line each, oldest first: for lnav (docs/bots.md), jq and log stores."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from lastwords.analyzer.timeline import GRAVITY
from lastwords.hookspecs import Look, Report
from lastwords.model import Severity
from lastwords.verdict import Verdict


class TimelineReport(Report):
    """Events of every input, with the cause they belong to."""

    name = "timeline"
    title = "events, a JSON line each, ready for lnav"

    def render(self, verdict: Verdict, look: Look) -> str:
        host = verdict.host["hostname"] or verdict.path
        lines = []
        for event, cause in zip(verdict.case.events, verdict.story.of_events):
            time = event["time"]
            lines.append(
                {
                    # lnav shows only lines with a time: where none is known it is the epoch, and said so.
                    "timestamp": _iso(time or 0.0),
                    "time_known": time is not None,
                    "level": GRAVITY.get(event["kind"], Severity.INFO).word,
                    "host": host,
                    "kind": event["kind"],
                    "message": event["summary"],
                    "boot": event["boot"],
                    "path": event["path"],
                    "line": event["line"],
                    "cause": cause,
                }
            )
        return "".join(json.dumps(line) + "\n" for line in lines)


def _iso(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00.000000Z"
