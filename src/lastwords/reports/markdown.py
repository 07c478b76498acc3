"""The verdict as Markdown, for a ticket: the story, its causes, findings, the timeline, what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lastwords.formats.sizes import size
from lastwords.hookspecs import Look, Report
from lastwords.model import Finding
from lastwords.reports import words
from lastwords.verdict import Boot, Cause, Comparison, Verdict

MOMENTS_SHOWN = 20
"""Rows of the timeline: the last ones."""


class MarkdownReport(Report):
    """Headings, one per cause and per finding without one; everything from the host is escaped."""

    name = "markdown"
    title = "Markdown, for a ticket"
    for_people = True

    def render(self, verdict: Verdict, look: Look) -> str:
        story = verdict.story
        lines = [*_head(verdict), f"**{escape(story.headline)}**", ""]
        for cause in story.causes:
            lines += _cause(cause)
        for finding in story.others:
            lines += [
                f"## {finding.severity.word.upper()}: {escape(finding.title)}",
                "",
                *_finding(finding),
            ]
        if verdict.compared is not None:
            lines += _compared(verdict.compared)
        if story.asks:
            lines += ["## To ask for", ""]
            for wish in story.asks:
                how = "; ".join(_step(step) for step in wish.how)
                lines.append(f"- {escape(words.topics(wish))}: {escape(wish.reason)}. {how}")
            lines.append("")
        lines += _timeline(story.boots)
        if story.missing:
            lines += ["## Not in the input", ""]
            for wish in story.missing:
                how = "; ".join(_step(step) for step in wish.how)
                lines.append(f"- {escape(wish.topic)}: {escape(wish.reason)}. {how}")
            lines.append("")
        return "\n".join(lines).rstrip("\n") + "\n"


def _head(verdict: Verdict) -> Iterable[str]:
    host = verdict.host
    yield f"# lastwords: {escape(host['hostname'] or verdict.path)}"
    yield ""
    yield (
        f"{escape(host['distribution'] or 'unknown distribution')}, "
        f"kernel {escape(host['kernel_release'] or 'unknown')}, {size(host['memory_total'])}; "
        f"{verdict.case.root_kind}, {words.moment(verdict.case.taken_at)}"
    )
    yield ""
    for note in verdict.case.notes:
        yield f"> {escape(note)}\n"


def _cause(cause: Cause) -> Iterable[str]:
    yield f"## {cause.severity.word.upper()}: {escape(cause.title)}"
    yield ""
    struck = f"{words.times(cause.count)}, last {words.moment(cause.time)}; " if cause.count else ""
    yield f"{struck}confidence {cause.confidence} (`{cause.id}`)"
    yield ""
    for number, step in enumerate(cause.chain, 1):
        place = f" {code(words.place(step.proof))}" if step.proof else ""
        yield f"{number}. {step.link}: {escape(step.text)}{place}"
    yield ""
    for wish in cause.raised_by:
        yield f"Surer by: {'; '.join(_step(step) for step in wish.how)}\n"
    for finding in cause.findings:
        yield f"### {escape(finding.title)}"
        yield ""
        yield from _finding(finding)


def _finding(finding: Finding) -> Iterable[str]:
    yield f"{escape(finding.why)} (`{finding.id}`, {escape(finding.subject)})"
    yield ""
    for item in finding.evidence:
        yield f"- {code(words.proof(item))}"
    if finding.evidence:
        yield ""
    for number, step in enumerate(finding.fix, 1):
        yield f"{number}. {_step(step)}"
    if finding.fix:
        yield ""


def _compared(compared: Comparison) -> Iterable[str]:
    yield f"## Since {words.moment(compared.taken_at)}"
    yield ""
    if compared.same_host is False:
        yield "> These are two different machines.\n"
    for word in ("appeared", "graver", "milder", "gone"):
        for finding in getattr(compared, word):
            yield f"- {word}: {escape(finding.title)} (`{finding.id}`)"
    for change in compared.changes:
        old, new = (words.measured(value, change.unit) for value in (change.old, change.new))
        yield f"- {escape(change.name)}: {escape(old)} -> {escape(new)}"
    yield f"- events since: {len(compared.events)}"
    yield ""


def _timeline(boots: Iterable[Boot]) -> Iterable[str]:
    rows = [(boot, moment) for boot in boots for moment in boot.moments][-MOMENTS_SHOWN:]
    if not rows:
        return
    yield "## What happened"
    yield ""
    yield "| boot of | when | what | |"
    yield "|---|---|---|---|"
    for boot, moment in rows:
        count = f"{moment.count} x " if moment.count > 1 else ""
        when = words.when(moment.time, moment.monotonic)
        what = f"{escape(moment.kind)} | {count}{escape(moment.summary)}"
        yield f"| {words.moment(boot.started)} | {when} | {what} |"
    yield ""


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
