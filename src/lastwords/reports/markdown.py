"""The verdict as Markdown, for a ticket."""

from __future__ import annotations

import re

from lastwords.formats.sizes import size
from lastwords.hookspecs import Look, Report
from lastwords.model import Verdict
from lastwords.reports import words

EVENTS_SHOWN = 20


class MarkdownReport(Report):
    """Headings, one per finding; everything from the host is escaped."""

    name = "markdown"
    title = "Markdown, for a ticket"

    def render(self, verdict: Verdict, look: Look) -> str:
        host = verdict.host
        lines = [
            f"# lastwords: {escape(host['hostname'] or verdict.path)}",
            "",
            f"{escape(host['distribution'] or 'unknown distribution')}, "
            f"kernel {escape(host['kernel_release'] or 'unknown')}, {size(host['memory_total'])}; "
            f"{verdict.case.root_kind}, {words.moment(verdict.case.taken_at)}",
            "",
        ]
        lines += [f"> {escape(note)}\n" for note in verdict.case.notes]
        if not verdict.findings:
            lines += ["No findings.", ""]
        for finding in verdict.findings:
            lines += [
                f"## {finding.severity.word.upper()}: {escape(finding.title)}",
                "",
                f"{escape(finding.why)} (`{finding.id}`, {escape(finding.subject)})",
                "",
            ]
            lines += [f"- {code(words.proof(item))}" for item in finding.evidence]
            lines += [""] if finding.evidence else []
            lines += [f"{n}. {_step(step)}" for n, step in enumerate(finding.fix, 1)]
            lines += [""] if finding.fix else []
        if verdict.case.events:
            lines += ["## Events", "", "| when | what | |", "|---|---|---|"]
            for event in verdict.case.events[-EVENTS_SHOWN:]:
                lines.append("| " + " | ".join(map(escape, words.happened(event))) + " |")
            lines.append("")
        missing = [
            f"- {name}: {entry.get('outcome')}: {escape(entry.get('reason') or '')}"
            for name, entry in verdict.case.outcomes.items()
            if entry.get("outcome") not in ("ok", "no_data")
        ]
        if missing:
            lines += ["## Not seen", "", *missing, ""]
        return "\n".join(lines).rstrip("\n") + "\n"


def escape(text: object) -> str:
    """Return text with everything escaped that Markdown or HTML would take for its own."""
    flat = words.plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", flat)


def code(text: str) -> str:
    """Return text as a code span, whatever backticks it holds."""
    text = words.plain(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"`{text}`"


def _step(step: str) -> str:
    return code(step[2:]) if step.startswith("$ ") else escape(step)
