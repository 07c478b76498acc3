"""The deaths of a log as Markdown, for a ticket or a bug report."""

from __future__ import annotations

from collections.abc import Sequence

from lastwords.analyzer.crash_log import CrashLog, Entry
from lastwords.hookspecs import Look
from lastwords.reports import crash_words, words
from lastwords.reports.markdown import code, escape

SHOWN = 50
LINES = 60
"""Lines of an excerpt."""


def markdown(logs: Sequence[CrashLog], look: Look) -> str:
    """Return a heading for each log, one below for each report; what the log holds is escaped."""
    lines: list[str] = []
    for log in logs:
        lines += [f"# {escape(log.path)}", "", f"{escape(crash_words.headline(log))}.", ""]
        if log.problem:
            lines += [f"> not read to its end: {escape(log.problem)}", ""]
        for index, entry in enumerate(log.reports[:SHOWN]):
            lines += _report(index, entry)
        if len(log.reports) > SHOWN:
            lines += [f"... and {len(log.reports) - SHOWN} more.", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _report(index: int, entry: Entry) -> list[str]:
    fatal = " (fatal)" if entry["fatal"] else ""
    lines = [f"## {index + 1}. {escape(entry['title'])}{fatal}", ""]
    if entry["cause"] is not None:
        lines += [f"Followed from report {entry['cause'] + 1}.", ""]
    known = [
        ("where", crash_words.place(entry)),
        ("machine", crash_words.machine(entry)),
        ("trace", crash_words.trace(entry)),
        ("doubt", crash_words.doubt(entry)),
        ("device", entry["device"]),
        ("why", entry["why"]),
        ("signature", entry["signature"]["split"]),
    ]
    lines += [
        f"- {name}: {code(value) if name == 'trace' else escape(value)}" for name, value in known if value
    ]
    for number, step in enumerate(entry["fix"], 1):
        lines.append(f"{number}. {code(step[2:]) if step.startswith('$ ') else escape(step)}")
    shown = [words.plain(line) for line in entry["excerpt"][:LINES]]
    return [*lines, "", *("    " + line for line in shown), ""]
