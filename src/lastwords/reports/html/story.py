"""The story: what happened and why, the most likely root first, with what that rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from lastwords.model import Finding
from lastwords.reports import words
from lastwords.reports.html.findings import NAMES, fix, fix_steps, mended_by, numbers
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import badge, command, fold, place, prose, text
from lastwords.verdict import Cause, Step, Verdict, Wish

SHOWN = 20
STEPS = 30


def section(verdict: Verdict) -> Optional[Markup]:
    """Return the headline and each cause with its chain."""
    story = verdict.story
    if not story.headline and not story.causes:
        return None
    known = numbers(verdict)
    told = story.causes and story.causes[0].title == story.headline
    return join(
        None if told else tag("p", prose(story.headline, 500), class_="headline"),
        [_cause(cause, known) for cause in story.causes[:SHOWN]],
        _asks(story.asks),
    )


def _asks(asked: Sequence[Wish]) -> Content:
    """Return what to ask for."""
    items = [
        tag(
            "li", tag("strong", text(words.topics(wish), 200)), ": ", prose(wish.reason, 500), steps(wish.how)
        )
        for wish in asked[:50]
    ]
    return tag("div", tag("h3", "To ask for"), tag("ul", items), class_="asks") if items else None


def _cause(cause: Cause, known: Mapping[str, int]) -> Markup:
    often = f", {cause.count} times" if cause.count > 1 else ""
    when = f"Last on {words.moment(cause.time)}{often}" if cause.time is not None else None
    chain = [step for step in cause.chain if not (step.finding and step.text in cause.title)]
    return tag(
        "article",
        tag("h3", badge(NAMES[cause.severity], cause.severity.word), " ", prose(cause.title, 500)),
        tag("ol", [_step(step, known) for step in chain[:STEPS]], class_="chain") if chain else None,
        tag(
            "p",
            badge(f"{text(cause.confidence, 20)} confidence", _sure(cause.confidence)),
            " ",
            "; ".join(text(each, 300) for each in cause.because),
            None if chain else [" ", _link(cause.chain[0], known)],
            class_="none",
        ),
        tag("p", when, class_="none") if when else None,
        _mend(mended_by(cause), known),
        wishes("What would make it surer", cause.raised_by),
        class_=f"finding {cause.severity.word}",
        id=f"cause-{cause.id}",
    )


def _mend(findings: Sequence[Finding], known: Mapping[str, int]) -> Content:
    """Return how to mend a cause: of several findings, what each of them needs."""
    if len(findings) < 2:
        return fix(findings[0].fix) if findings else None
    parts: list[Content] = []
    for finding in findings:
        number, title = known.get(finding.fingerprint), text(finding.title, 300)
        name = tag("a", title, href=f"#finding-{number}") if number else title
        parts += [tag("p", name, class_="for"), fix_steps(finding.fix)]
    return tag("div", tag("h4", "To mend it"), parts, class_="fix")


def _link(step: Step, known: Mapping[str, int]) -> Content:
    """Return a link to the finding that shows a step, or None."""
    number = known.get(step.finding or "")
    return tag("a", "finding", href=f"#finding-{number}") if number else None


def _step(step: Step, known: Mapping[str, int]) -> Markup:
    link = _link(step, known)
    told = str(step.count) in step.text
    often = f" ({step.count} times)" if step.count > 1 and not told else ""
    return tag(
        "li",
        tag("p", prose(step.text, 1000), often),
        tag(
            "p",
            [words.moment(step.time), " "] if step.time is not None else None,
            place(step.proof.path, step.proof.line) if step.proof else None,
            [" ", link] if link else None,
            class_="none",
        ),
    )


def _sure(confidence: str) -> str:
    return {"high": "good", "medium": "warning"}.get(confidence, "unknown")


def wishes(title: str, wished: Sequence[Wish]) -> Content:
    """Return what the input lacks and how to get it, folded."""
    if not wished:
        return None
    items = [
        tag("li", tag("strong", text(wish.topic, 200)), ": ", prose(wish.reason, 500), steps(wish.how))
        for wish in wished[:50]
    ]
    return fold(title, tag("ul", items))


def steps(how: Sequence[str]) -> Content:
    """Return steps, commands among them as such."""
    items = [
        tag("li", command(step[2:]) if step.startswith("$ ") else prose(step)) for step in how[:20] if step
    ]
    return tag("ul", items, class_="steps") if items else None
