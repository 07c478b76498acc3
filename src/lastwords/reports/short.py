"""The verdict in ten lines, for many inputs at once."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lastwords.hookspecs import Look, Report
from lastwords.model import Severity
from lastwords.reports import words
from lastwords.reports.screen import MARGIN, STYLES, Screen, styled
from lastwords.reports.terminal import PARTIAL, tally, worst_style
from lastwords.verdict import Cause, Verdict

ROWS = 4
"""Causes and findings that are told; with them it is ten lines at most."""


class ShortReport(Report):
    """Who, the headline, the gravest causes and findings; every line is cut at the width of the page."""

    name = "short"
    title = "ten lines, for people"
    for_people = True

    def render(self, verdict: Verdict, look: Look) -> str:
        screen, story, host = Screen(look), verdict.story, verdict.host
        who = (
            host["hostname"] or os.path.basename(verdict.path.rstrip("/")) or verdict.path,
            host["distribution"],
            host["kernel_release"],
        )
        name = ", ".join(str(part) for part in who if part)
        counts = tally(verdict)
        screen.ends(words.cut(name, look.width - 2 - sum(len(text) for text, _ in counts)), "bold", *counts)
        told = [(cause.severity, cause.title, cause.id) for cause in story.causes]
        told += [(finding.severity, finding.title, finding.id) for finding in story.others]
        told.sort(key=lambda row: row[0] is Severity.INFO)
        if not told or told[0][1] != story.headline:
            screen.line(words.cut(story.headline, look.width), worst_style(verdict))
        for number, (severity, title, mark) in enumerate(told[:ROWS]):
            # The first is told in full, with its story and what to do.
            room = (look.width - MARGIN) * (2 if number == 0 else 1) - len(mark) - 4
            lead = styled((severity.word.upper(), STYLES[severity]))
            screen.block([(lead, styled((words.cut(title, room), ""), (f"  [{mark}]", "dim")))])
            if number == 0 and story.causes and mark == story.causes[0].id:
                for line, style in _told(story.causes[0]):
                    screen.line(" " * MARGIN + words.cut(line, look.width - MARGIN), style)
        rest = [f"{len(told) - ROWS} more"] if len(told) > ROWS else []
        partial = [wish.topic for wish in story.missing if wish.reason.startswith(PARTIAL)]
        lacking = [wish.topic for wish in story.missing if wish.topic not in partial]
        rest += [f"not in the input: {', '.join(lacking)}"] * bool(lacking)
        if story.asks:
            screen.line(
                words.cut(f"ask for: {'; '.join(map(words.topics, story.asks))}", look.width), "yellow"
            )
        rest += [f"in part: {', '.join(partial)}"] * bool(partial)
        if rest:
            screen.line(words.cut("; ".join(rest), look.width), "dim")
        return screen.text()


def _told(cause: Cause) -> Iterator[tuple[str, str]]:
    """Yield the chain of a cause, without what its title tells, and the first step that mends it."""
    steps = list(dict.fromkeys(step.text for step in cause.chain if step.text not in cause.title))
    if steps:
        yield " > ".join(steps), "dim"
    fix = next((step for finding in cause.findings for step in finding.fix), None)
    if fix is not None:
        yield f"to mend: {fix}", "green"
