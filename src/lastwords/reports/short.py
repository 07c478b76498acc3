"""The verdict in ten lines, for many inputs at once."""

from __future__ import annotations

from lastwords.hookspecs import Look, Report
from lastwords.model import Severity, Verdict
from lastwords.reports import words
from lastwords.reports.screen import MARGIN, STYLES, Screen
from lastwords.reports.terminal import tally, worst_style

ROWS = 5
"""Causes and findings that are told; with them it is ten lines at most."""


class ShortReport(Report):
    """Who, the headline, the gravest causes and findings; every line is cut at the width of the page."""

    name = "short"
    title = "ten lines, for people"
    for_people = True

    def render(self, verdict: Verdict, look: Look) -> str:
        screen, story, host = Screen(look), verdict.story, verdict.host
        who = (host["hostname"], host["distribution"], host["kernel_release"])
        name = ", ".join(str(part) for part in who if part) or verdict.path
        screen.ends(_cut(name, look.width - 30), words.moment(verdict.case.taken_at), "bold")
        screen.parts(*tally(verdict))
        told = [(cause.severity, cause.title, cause.id) for cause in story.causes]
        told += [(finding.severity, finding.title, finding.id) for finding in story.others]
        told.sort(key=lambda row: row[0] is Severity.INFO)
        if not told or told[0][1] != story.headline:
            screen.line(_cut(story.headline, look.width), worst_style(verdict))
        for number, (severity, title, mark) in enumerate(told[:ROWS]):
            room = look.width - MARGIN - len(mark) - 4
            screen.parts(
                (severity.word.upper().ljust(MARGIN), STYLES[severity]),
                (_cut(title, room), ""),
                (f"  [{mark}]", "dim"),
            )
            if number == 0 and story.causes and len(story.causes[0].chain) > 1:
                chain = " > ".join(step.link for step in story.causes[0].chain)
                sure = f"{chain}; confidence {story.causes[0].confidence}"
                screen.line(" " * MARGIN + _cut(sure, look.width - MARGIN), "dim")
        rest = [f"{len(told) - ROWS} more"] if len(told) > ROWS else []
        rest += ["not in the input: " + ", ".join(wish.topic for wish in story.missing)] * bool(story.missing)
        if rest:
            screen.line(_cut("; ".join(rest), look.width), "dim")
        return screen.text()


def _cut(text: str, width: int) -> str:
    text = words.plain(text)
    return text if len(text) <= width else text[: max(1, width - 3)] + "..."
