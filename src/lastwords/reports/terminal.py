"""The verdict on one screen: the story, its causes with what they explain, the timeline, what is missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Optional

from lastwords.formats.sizes import size
from lastwords.hookspecs import Look, Report
from lastwords.model import Boot, Cause, Comparison, Finding, Moment, Severity, Step, Verdict
from lastwords.reports import words
from lastwords.reports.pages import page_of
from lastwords.reports.screen import STYLES, Screen, styled

if TYPE_CHECKING:
    from rich.text import Text

BOOTS_SHOWN = 5
DATE = len("2026-03-02 ")
MOMENTS_SHOWN = 8
"""Rows of the timeline in one boot."""
ENDS = {
    "panic": ("ended in a panic", "red"),
    "shutdown": ("was shut down", "dim"),
    "running": ("running", "green"),
}
Rows = list["tuple[Text, Text]"]
Place = tuple[str, Optional[int]]


class TerminalReport(Report):
    """For people at a terminal; with ``--color never`` or in a pipe it is plain text."""

    name = "terminal"
    title = "one screen, for people"
    for_people = True

    def render(self, verdict: Verdict, look: Look) -> str:
        screen = Screen(look)
        heading(screen, verdict)
        if look.sections:
            for name in look.sections:
                _page(screen, verdict, name)
            return screen.text()
        _headline(screen, verdict)
        for cause in verdict.story.causes:
            _cause(screen, cause)
        for finding in verdict.story.others:
            print_finding(screen, finding)
        if verdict.compared is not None:
            _compared(screen, verdict.compared)
        _timeline(screen, verdict)
        _missing(screen, verdict)
        return screen.text()


def heading(screen: Screen, verdict: Verdict) -> None:
    """Add who the machine is, and what is known of the input."""
    host, case = verdict.host, verdict.case
    taken = "" if case.taken_at is None else f", {words.moment(case.taken_at)}"
    screen.ends(host["hostname"] or verdict.path, f"{case.root_kind}{taken}", "bold")
    facts = case.facts.get("host", {})
    parts = [
        host["distribution"],
        f"kernel {host['kernel_release']}" if host["kernel_release"] else None,
        host["architecture"],
        size(host["memory_total"]) if host["memory_total"] else None,
        f"up {words.duration(facts['uptime'])}" if facts.get("uptime") else None,
    ]
    screen.line(", ".join(str(part) for part in parts if part), "dim")
    for note in case.notes:
        screen.line(f"note: {note}", "yellow")


def tally(verdict: Verdict) -> list[tuple[str, str]]:
    """Return how many findings there are of each severity, as parts of a line."""
    parts = []
    for severity in reversed(Severity):
        number = verdict.count(severity)
        parts.append((f"{number} {severity.word}   ", STYLES[severity] if number else "dim"))
    return parts


def worst_style(verdict: Verdict) -> str:
    """Return the style of the gravest thing that is told."""
    worst = verdict.worst() or Severity.INFO
    return "bold green" if worst is Severity.INFO else STYLES[worst]


def _headline(screen: Screen, verdict: Verdict) -> None:
    screen.line()
    if not any(cause.title == verdict.story.headline for cause in verdict.story.causes):
        screen.line(verdict.story.headline, worst_style(verdict))
    screen.parts(*tally(verdict))


def _cause(screen: Screen, cause: Cause) -> None:
    rows: Rows = [
        (
            styled((cause.severity.word.upper(), STYLES[cause.severity])),
            styled((cause.title, "bold"), (f"  [{cause.id}]", "dim")),
        ),
        (styled(), styled((f"{_when(cause)}confidence {cause.confidence}", "dim"))),
    ]
    if len(cause.chain) > 1 or not cause.chain[0].finding:
        rows += [_step(step) for step in cause.chain]
    for wish in cause.raised_by:
        for number, how in enumerate(wish.how):
            rows.append((styled(("surer by" if number == 0 else "", "dim")), _step_text(how)))
    told: set[Place] = {
        (step.proof.path, step.proof.line) for step in cause.chain if step.proof and step.proof.line
    }
    for finding in cause.findings:
        rows += _folded(finding, told)
    screen.line()
    screen.block(rows)


def _when(cause: Cause) -> str:
    if not cause.count:
        return ""
    last = "" if cause.time is None else f", {'last ' if cause.count > 1 else ''}{words.moment(cause.time)}"
    return f"{words.times(cause.count)}{last}; "


def _step(step: Step) -> tuple[Text, Text]:
    parts = [(step.text, "")]
    if step.proof is not None and step.proof.path not in step.text:
        parts.append((f"  {words.place(step.proof)}", "dim"))
    return styled((step.link, "cyan")), styled(*parts)


def print_finding(screen: Screen, finding: Finding) -> None:
    """Add a finding that stands alone, with an empty line before it."""
    rows: Rows = [
        (
            styled((finding.severity.word.upper(), STYLES[finding.severity])),
            styled((finding.title, "bold"), (f"  [{finding.id}]", "dim")),
        ),
        (styled(), styled((finding.why, ""))),
        *_evidence(finding),
        *_fix(finding),
    ]
    screen.line()
    screen.block(rows)


def _folded(finding: Finding, told: set[Place]) -> Rows:
    """Return the rows of a finding under its cause, without what the chain tells."""
    rows: Rows = [(styled(("found", "dim")), styled((finding.title, ""), (f"  [{finding.id}]", "dim")))]
    if not all((proof.path, proof.line) in told for proof in finding.evidence):
        rows += [(styled(), styled((finding.why, ""))), *_evidence(finding)]
    return rows + _fix(finding)


def _evidence(finding: Finding) -> Rows:
    return [
        (styled(("seen in" if number == 0 else "", "dim")), styled((words.proof(item), "")))
        for number, item in enumerate(finding.evidence)
    ]


def _fix(finding: Finding) -> Rows:
    return [
        (styled(("to mend" if number == 0 else "", "dim")), _step_text(step))
        for number, step in enumerate(finding.fix)
    ]


def _step_text(step: str) -> Text:
    return styled((step, "green" if step.startswith("$ ") else ""))


def _timeline(screen: Screen, verdict: Verdict) -> None:
    boots = [boot for boot in verdict.story.boots if boot.moments or boot is verdict.story.boots[-1]]
    if not boots:
        return
    shown = boots[-BOOTS_SHOWN:]
    quiet = verdict.story.quiet_boots + len(verdict.story.boots) - len(boots)
    notes = [f"the last {len(shown)} of {len(boots)} boots"] if len(shown) < len(boots) else []
    notes += [f"{quiet} quiet boots are left out"] if quiet > 1 else []
    notes += ["a quiet boot is left out"] if quiet == 1 else []
    screen.head("What happened" + (f" ({'; '.join(notes)})" if notes else ""))
    for boot in shown:
        _boot(screen, boot)


def _boot(screen: Screen, boot: Boot) -> None:
    kernel = f", kernel {boot.kernel}" if boot.kernel else ""
    seen = next((moment.time for moment in boot.moments if moment.time is not None), None)
    start = "a boot whose start is not known" if seen is None else f"a boot seen from {words.moment(seen)}"
    lead = f"boot of {words.moment(boot.started)}" if boot.started else start
    end, style = ENDS.get(boot.end or "", ("how it ended is not told", "dim"))
    screen.parts((lead + kernel, "dim"), (", ", "dim"), (end, style))
    if len(boot.moments) > MOMENTS_SHOWN:
        screen.line(f"  ... {len(boot.moments) - MOMENTS_SHOWN} more before", "dim")
    day = words.moment(boot.started or seen)[:DATE] if boot.started or seen else None
    rows = [_moment(moment, day) for moment in boot.moments[-MOMENTS_SHOWN:]]
    if rows:
        screen.columns(rows, indent=2)


def _moment(moment: Moment, day: Optional[str]) -> list[Text]:
    style = STYLES[moment.severity] if moment.severity > Severity.INFO else "dim"
    count = f"{moment.count} x " if moment.count > 1 else ""
    until = ""
    if moment.count > 1 and moment.last_time is not None:
        until = f" (last {_short(moment.last_time, moment.monotonic, day)})"
    return [
        styled((_short(moment.time, moment.monotonic, day), "dim")),
        styled((moment.kind, style)),
        styled((count, "bold"), (moment.summary, ""), (until, "dim")),
    ]


def _short(time: Optional[float], monotonic: Optional[float], day: Optional[str]) -> str:
    """Return when something happened; without the date on the day on which the boot began."""
    text = words.when(time, monotonic)
    return text[DATE:].removesuffix(" UTC") if day and text.startswith(day) else text


def _missing(screen: Screen, verdict: Verdict) -> None:
    if not verdict.story.missing:
        return
    screen.head("Not in the input, or not all of it")
    for wish in verdict.story.missing:
        screen.parts((wish.topic, ""), (f": {wish.reason}", "dim"))
        rows: Rows = []
        for number, how in enumerate(wish.how):
            rows.append((styled(("bring by" if number == 0 else "", "dim")), _step_text(how)))
        screen.block(rows)


def _compared(screen: Screen, compared: Comparison) -> None:
    screen.head(f"Since {words.moment(compared.taken_at)} ({compared.path})")
    if compared.same_host is False:
        screen.line("These are two different machines.", "yellow")
    rows: Rows = []
    for lead, findings, style in (
        ("new", compared.appeared, "red"),
        ("graver", compared.graver, "red"),
        ("milder", compared.milder, "green"),
        ("gone", compared.gone, "green"),
    ):
        for finding in findings:
            rows.append((styled((lead, style)), styled((finding.title, ""), (f"  [{finding.id}]", "dim"))))
    for change in compared.changes:
        old, new = (words.measured(value, change.unit) for value in (change.old, change.new))
        rows.append((styled(("changed", "yellow")), styled((f"{change.name}: {old} -> {new}", ""))))
    kinds = Counter(event["kind"] for event in compared.events)
    if kinds:
        told = ", ".join(f"{kind} ({number})" if number > 1 else kind for kind, number in kinds.items())
        rows.append((styled(("happened", "")), styled((told, ""))))
    if rows:
        screen.block(rows)
    else:
        screen.line("Nothing changed.", "green")


def _page(screen: Screen, verdict: Verdict, name: str) -> None:
    """Add one page of facts."""
    page = page_of(name, verdict)
    screen.head(page.title)
    for block in page.blocks:
        if block.title:
            screen.line()
            screen.line(block.title, "underline")
        head = [[styled((cell, "dim")) for cell in block.head]] if block.head else []
        body = [
            [styled((cell.text, "" if cell.severity is None else STYLES[cell.severity])) for cell in row]
            for row in block.rows
        ]
        if head or body:
            screen.columns(head + body, right=block.numbers)
        for note in block.notes:
            screen.line(note, "dim")
