"""Not seen: what the input did not hold or could not be read, and what therefore could not be concluded."""

from __future__ import annotations

from typing import Optional

from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.story import wishes
from lastwords.reports.html.tables import Column, badge, fold, table, text
from lastwords.verdict import Verdict

COLORS = {
    "no_data": "unknown",
    "skipped": "unknown",
    "partial": "warning",
    "denied": "warning",
    "timeout": "critical",
    "error": "critical",
}
WORDS = {"no_data": "nothing there"}


def section(verdict: Verdict) -> Optional[Markup]:
    """Return topics that are not or only partly known, and rules that could not be tried."""
    rows: list[list[Content]] = []
    for name, entry in verdict.case.outcomes.items():
        outcome = str(entry.get("outcome"))
        if outcome != "ok":
            word = WORDS.get(outcome, outcome)
            rows.append([name, badge(word, COLORS.get(outcome, "unknown")), text(entry.get("reason") or "")])
    topics = [Column("Topic"), Column("Outcome"), Column("Why")]
    rules = [Column("Rule"), Column("Why it was not tried")]
    tried: list[list[Content]] = [
        [tag("code", id_, class_="place"), text(reason)] for id_, reason in verdict.skipped
    ]
    if not rows and not tried and not verdict.story.missing:
        return tag("p", "Everything that lastwords looks for was there and could be read.", class_="none")
    return join(
        table(topics, rows, caption="Topics of which nothing or not all was seen") if rows else None,
        fold(
            f"{len(tried)} {'rule' if len(tried) == 1 else 'rules'} could not be tried",
            table(rules, tried, caption="Rules that could not be tried", css="titled"),
        )
        if tried
        else None,
        wishes("What would bring it", verdict.story.missing),
    )
