"""Findings: the gravest first, each with how it is known and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Optional

from lastwords.model import Finding, Proof, Severity
from lastwords.reports import words
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import badge, command, prose, text
from lastwords.verdict import Cause, Verdict

SHOWN = 200
FIXES = 5
"""Findings of which a cause tells how they are mended."""
EXCERPT = 2000
INLINE = 100
"""Characters of an excerpt without a line number that stands on the line of its place."""
Around = Callable[[str, int], Sequence[tuple[int, str]]]
NAMES = {Severity.CRITICAL: "Critical", Severity.WARNING: "Warning", Severity.INFO: "Info"}


def section(verdict: Verdict) -> Optional[Markup]:
    """Return all findings: below the cause that explains them, then the others."""
    if not verdict.findings:
        return tag("p", badge("Nothing to report", "good"), " No rule found anything wrong.", class_="none")
    known = numbers(verdict)
    groups: list[Content] = []
    told: set[str] = set()
    for cause in verdict.story.causes:
        mine = [finding for finding in cause.findings if finding.fingerprint in known]
        told |= {finding.fingerprint for finding in mine}
        if mine:
            link = tag("a", text(cause.title, 500), href=f"#cause-{cause.id}")
            cards = _cards(mine, known, verdict, frozenset(each.fix for each in mended_by(cause)))
            groups += [tag("h3", "Explained by: ", link, class_="group"), cards]
    others = [finding for finding in verdict.findings if finding.fingerprint not in told]
    shown = [finding for finding in others if finding.fingerprint in known]
    left_out = len(verdict.findings) - len(known)
    return join(
        groups,
        tag("h3", "Others", class_="group") if groups and shown else None,
        _cards(shown, known, verdict),
        tag("p", f"{left_out} more findings: see --json.", class_="none") if left_out > 0 else None,
    )


def numbers(verdict: Verdict) -> dict[str, int]:
    """Return the number of each finding that is shown, by its fingerprint."""
    return {finding.fingerprint: n for n, finding in enumerate(verdict.findings[:SHOWN], 1)}


def mended_by(cause: Cause) -> list[Finding]:
    """Return the findings whose steps a cause tells as its own: one of those that are mended alike."""
    alike: dict[tuple[str, ...], Finding] = {}
    for finding in cause.findings:
        if finding.fix:
            alike.setdefault(finding.fix, finding)
    return list(alike.values())[:FIXES]


def _cards(
    findings: Sequence[Finding],
    known: Mapping[str, int],
    verdict: Verdict,
    told: frozenset[tuple[str, ...]] = frozenset(),
) -> list[Markup]:
    around = verdict.case.around
    return [
        card(finding, known[finding.fingerprint], around, mended=finding.fix in told) for finding in findings
    ]


def card(finding: Finding, number: int, around: Around, *, mended: bool = False) -> Markup:
    """Return one finding.

    :param mended: how to mend it is told by its cause already
    """
    word = finding.severity.word
    about = [tag("code", finding.id)]
    if finding.subject != "host":
        about = [*about, tag("span", text(finding.subject, 300))]
    return tag(
        "article",
        tag("h3", badge(NAMES[finding.severity], word), " ", prose(finding.title, 500)),
        tag("p", prose(finding.why), class_="why"),
        evidence(finding.evidence, around),
        None if mended else fix(finding.fix),
        tag("p", about, class_="about"),
        class_=f"finding {word}",
        id=f"finding-{number}",
    )


def evidence(proofs: Sequence[Proof], around: Around) -> Content:
    """Return what was read where, and what it was held against."""
    if not proofs:
        return None
    return tag(
        "div",
        tag("h4", "How it is known"),
        tag("ul", [_proof(proof, around) for proof in proofs[:50]]),
        class_="evidence",
    )


def _proof(proof: Proof, around: Around) -> Markup:
    where = tag(
        "code", text(proof.path, 300), tag("b", f":{proof.line}") if proof.line else None, class_="place"
    )
    held: list[Content] = []
    if proof.value is not None:
        held = [": ", tag("code", text(_raw(proof.value)), class_="said")]
    if proof.threshold is not None:
        held += [", expected ", tag("code", text(_raw(proof.threshold)))]
    if proof.excerpt is None:
        return tag("li", where, held)
    excerpt = words.CONTROL.sub("\ufffd", proof.excerpt)[:EXCERPT].expandtabs(8)
    if proof.line is None and len(excerpt) <= INLINE and "\n" not in excerpt:
        return tag("li", where, held, ": ", tag("code", excerpt, class_="said"))
    lines = around(proof.path, proof.line) if proof.line else ()
    return tag("li", where, held, tag("pre", tag("code", excerpt)), _folded(lines, proof.line))


def _folded(lines: Sequence[tuple[int, str]], number: Optional[int]) -> Content:
    """Return the lines around one, folded."""
    if not lines:
        return None
    shown: list[Content] = []
    for each, line in lines:
        row = f"{each}  {words.CONTROL.sub(chr(0xFFFD), line)[:EXCERPT].expandtabs(8)}\n"
        shown.append(tag("b", row) if each == number else row)
    return tag(
        "details", tag("summary", "the lines around it"), tag("pre", tag("code", shown)), class_="around"
    )


def _raw(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def fix(steps: Sequence[str]) -> Content:
    """Return how to mend something, or None."""
    return tag("div", tag("h4", "To mend it"), fix_steps(steps), class_="fix") if steps else None


def fix_steps(steps: Sequence[str]) -> Markup:
    """Return the steps that mend it; commands that follow one another stand together."""
    items: list[Content] = []
    commands: list[str] = []
    for step in [*steps[:50], ""]:
        if step.startswith("$ "):
            commands.append(step[2:])
            continue
        if commands:
            items.append(tag("li", command(*commands)))
            commands = []
        if step:
            items.append(tag("li", prose(step)))
    return tag("ol", items)
