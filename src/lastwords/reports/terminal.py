"""The verdict on one screen: the story, its causes with what they explain, the timeline, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from lastwords.formats.sizes import size
from lastwords.hookspecs import Look, Report
from lastwords.model import Finding, Outcome, Proof, Severity
from lastwords.reports import words
from lastwords.reports.pages import page_of
from lastwords.reports.screen import STYLES, Screen, hard, styled
from lastwords.verdict import Boot, Cause, Comparison, Moment, Step, Verdict

if TYPE_CHECKING:
    from rich.text import Text

BOOTS_SHOWN = 5
DATE = len("2026-03-02 ")
EVIDENCE_SHOWN = 4
MOMENTS_SHOWN = 8
"""Rows of the timeline in one boot."""
ENDS = {
    "panic": ("ended in a panic", "red"),
    "shutdown": ("was shut down", "dim"),
    "running": ("running", "green"),
}
SAID = {"amd64": "x86_64", "arm64": "aarch64"}
"""Architectures by the last word of a kernel release that tells them in its own way."""
Rows = list["tuple[Text, Text]"]
PARTIAL = Outcome.PARTIAL.value
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
        story = verdict.story
        if not any(cause.title == story.headline for cause in story.causes):
            screen.line()
            screen.line(story.headline, worst_style(verdict))
            if (verdict.worst() or Severity.INFO) is Severity.INFO:
                screen.line(words.tried(verdict), "dim")
        told = _places(verdict)
        for cause in story.causes:
            if cause.severity is Severity.INFO and not look.full:
                _past(screen, cause)
            else:
                _cause(screen, cause, told, look.full)
        notes = [] if look.full else [each for each in story.others if each.severity is Severity.INFO]
        for finding in story.others:
            if finding not in notes:
                print_finding(screen, finding, look.full)
        if verdict.compared is not None:
            _compared(screen, verdict.compared)
        _asks(screen, verdict)
        _timeline(screen, verdict)
        _missing(screen, verdict, look.full)
        _notes(screen, notes)
        return screen.text()


def heading(screen: Screen, verdict: Verdict) -> None:
    """Add who the machine is, and what is known of the input."""
    host, case = verdict.host, verdict.case
    screen.ends(host["hostname"] or verdict.path, "bold", *tally(verdict))
    facts = case.facts.get("host", {})
    release, machine = host["kernel_release"], host["architecture"]
    parts = [
        host["distribution"],
        f"kernel {release}" if release else None,
        None if machine and machine in SAID.get(str(release).rpartition("-")[2], str(release)) else machine,
        f"{size(host['memory_total'])} of memory" if host["memory_total"] else None,
        f"up {words.duration(facts['uptime'])}" if facts.get("uptime") else None,
        words.input_kind(case) + words.as_of(case),
    ]
    screen.line(", ".join(hard(part) for part in parts if part), "dim")
    for note in case.notes:
        screen.line(f"note: {note}", "yellow")


def tally(verdict: Verdict) -> list[tuple[str, str]]:
    """Return how many findings there are of each severity, as parts of a line."""
    parts: list[tuple[str, str]] = []
    for severity in reversed(Severity):
        number = verdict.count(severity)
        parts += [("   ", "")] * bool(parts)
        parts.append((f"{number} {severity.word}", STYLES[severity] if number else "dim"))
    return parts


def worst_style(verdict: Verdict) -> str:
    """Return the style of the gravest thing that is told; green is for what was seen whole."""
    worst = verdict.worst() or Severity.INFO
    if worst is not Severity.INFO:
        return STYLES[worst]
    read = (verdict.case.outcomes.get("kernel_log") or {}).get("outcome")
    return "bold green" if read == Outcome.OK.value else "bold yellow"


def _places(verdict: Verdict) -> set[Place]:
    """Return where the events stand that causes explain: their chains tell of them."""
    told: set[Place] = set()
    for event, its in zip(verdict.case.events, verdict.story.of_events):
        if its is not None:
            for place in (event, *((event.get("details") or {}).get("also") or ())):
                told.add((place["path"], place.get("line")))
    return told


def _cause(screen: Screen, cause: Cause, told: set[Place], full: bool) -> None:
    """Add a cause.

    :param told: places of evidence of which the chain tells already
    """
    rows: Rows = [
        (
            styled((cause.severity.word.upper(), STYLES[cause.severity])),
            styled((cause.title, "bold")),
        ),
        (styled(), styled((f"{_when(cause)}confidence {cause.confidence}  [{cause.id}]", "dim"))),
    ]
    brief = [] if full else [finding for finding in cause.findings if _is_told(finding, cause, told)]
    whole = [finding for finding in cause.findings if finding not in brief]
    below = {finding.fingerprint: finding for finding in whole if full or not _in_passing(finding, cause)}
    shown: set[Optional[Proof]] = set()
    for step in cause.chain:
        finding = below.get(step.finding or "")
        if step.finding and step.text in cause.title:
            continue
        if finding is not None and step.text in finding.title:
            continue
        rows.append(_step(step, cause, step.proof not in shown))
        shown.add(step.proof)
    # What would make it surer is asked for below, with what other causes need.
    for wish in cause.raised_by if full else ():
        for number, how in enumerate(wish.how):
            rows.append((styled(("surer by" if number == 0 else "", "dim")), _step_text(how)))
    steps = dict.fromkeys(step for finding in brief for step in finding.fix)
    rows += _fix(list(steps))
    for finding in whole:
        rows += _folded(finding, cause, full)
        if finding.fingerprint in below and not steps.keys() >= set(finding.fix):
            rows += _fix(finding.fix)
            steps.update(dict.fromkeys(finding.fix))
    screen.line()
    screen.block(rows)


def _past(screen: Screen, cause: Cause) -> None:
    """Add a cause that is no news: what happened in a few lines."""
    chain = " > ".join(dict.fromkeys(step.text for step in cause.chain if step.text not in cause.title))
    fix = next((step for finding in cause.findings for step in finding.fix), None)
    rows: Rows = [
        (styled((cause.severity.word.upper(), STYLES[cause.severity])), styled((cause.title, "bold"))),
        (styled(), styled((f"{_when(cause)}confidence {cause.confidence}  [{cause.id}]", "dim"))),
    ]
    rows += [(styled(), styled((chain, "")))] * bool(chain)
    rows += _fix([fix] if fix else [])
    screen.line()
    screen.block(rows)


def _is_told(finding: Finding, cause: Cause, told: set[Place]) -> bool:
    """Return whether the title of the cause or the chains tell all of a finding but how to mend it."""
    return finding.title == cause.title or all((item.path, item.line) in told for item in finding.evidence)


def _in_passing(finding: Finding, cause: Cause) -> bool:
    """Return whether a finding is only named: it is good to know, and its cause is graver."""
    return finding.severity is Severity.INFO < cause.severity


def _when(cause: Cause) -> str:
    if not cause.count:
        return ""
    last = "" if cause.time is None else f", {'last ' if cause.count > 1 else ''}{words.moment(cause.time)}"
    return f"{words.times(cause.count)}{last}; "


def _step(step: Step, cause: Cause, placed: bool) -> tuple[Text, Text]:
    place = "" if step.proof is None else hard(words.place(step.proof))
    if place and step.text in cause.title:
        return styled((step.link, "cyan")), styled((f"see {place}", "dim"))
    parts = [(step.text, "")]
    if placed and step.proof is not None and step.proof.path not in step.text:
        parts.append((f"  {place}", "dim"))
    return styled((step.link, "cyan")), styled(*parts)


def print_finding(screen: Screen, finding: Finding, full: bool = True) -> None:
    """Add a finding that stands alone, with an empty line before it."""
    rows: Rows = [
        (
            styled((finding.severity.word.upper(), STYLES[finding.severity])),
            styled((finding.title, "bold"), (f"  [{finding.id}]", "dim")),
        ),
        (styled(), styled((finding.why, ""))),
        *_evidence(finding, full),
        *_fix(finding.fix),
    ]
    screen.line()
    screen.block(rows)


def _folded(finding: Finding, cause: Cause, full: bool) -> Rows:
    """Return the rows of a finding under its cause, without what its title tells and how to mend it."""
    mark = (f"  [{finding.id}]", "dim")
    if not full and _in_passing(finding, cause):
        also = [] if any(finding.title in step.text for step in cause.chain) else [finding.title]
        return [(styled(("also", "dim")), styled((title, ""), mark)) for title in also]
    if finding.title in cause.title:
        rows: Rows = [(styled(("found", "dim")), styled((finding.why, ""), mark))]
    else:
        rows = [
            (styled(("found", "dim")), styled((finding.title, ""), mark)),
            (styled(), styled((finding.why, ""))),
        ]
    return rows + _evidence(finding, full)


def _notes(screen: Screen, findings: Sequence[Finding]) -> None:
    """Add what is only good to know, a line each."""
    if not findings:
        return
    screen.head("Good to know (more of each with -v)")
    for finding in findings:
        screen.parts((finding.title, ""), (f"  [{finding.id}]", "dim"))


def _evidence(finding: Finding, full: bool) -> Rows:
    shown = finding.evidence if full else finding.evidence[:EVIDENCE_SHOWN]
    lines = [(words.proof(item), "") for item in shown]
    left = len(finding.evidence) - len(shown)
    lines += [(f"... and {left} more", "dim")] * bool(left)
    return [
        (styled(("seen in" if number == 0 else "", "dim")), styled(line)) for number, line in enumerate(lines)
    ]


def _fix(steps: Sequence[str]) -> Rows:
    return [
        (styled(("to mend" if number == 0 else "", "dim")), _step_text(step))
        for number, step in enumerate(steps)
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
    kinds = max((len(m.kind) for boot in shown for m in boot.moments[-MOMENTS_SHOWN:]), default=0)
    for boot in shown:
        _boot(screen, boot, kinds)


def _boot(screen: Screen, boot: Boot, kinds: int) -> None:
    """Add a boot.

    :param kinds: characters of the longest kind of all that are shown
    """
    kernel = f", kernel {boot.kernel}" if boot.kernel else ""
    seen = next((moment.time for moment in boot.moments if moment.time is not None), None)
    start = "a boot without dates" if seen is None else f"a boot seen from {words.moment(seen)}"
    lead = f"boot of {words.moment(boot.started)}" if boot.started else start
    end, style = ENDS.get(boot.end or "", ("how it ended is not told", "dim"))
    screen.parts((lead + kernel, "dim"), (", ", "dim"), (end, style))
    if len(boot.moments) > MOMENTS_SHOWN:
        screen.line(f"  ... {len(boot.moments) - MOMENTS_SHOWN} more before", "dim")
    day = words.moment(boot.started or seen)[:DATE] if boot.started or seen else None
    rows = [_moment(moment, day, kinds) for moment in boot.moments[-MOMENTS_SHOWN:]]
    if rows:
        screen.columns(rows, indent=2)


def _moment(moment: Moment, day: Optional[str], kinds: int) -> list[Text]:
    style = STYLES[moment.severity] if moment.severity > Severity.INFO else "dim"
    count = f"{moment.count} x " if moment.count > 1 else ""
    until = ""
    if moment.count > 1 and moment.last_time is not None:
        until = " " + hard(f"(last {_short(moment.last_time, moment.monotonic, day)})")
    return [
        styled((_short(moment.time, moment.monotonic, day), "dim")),
        styled((hard(moment.kind.ljust(kinds)), style)),
        styled((count, "bold"), (moment.summary, ""), (until, "dim")),
    ]


def _short(time: Optional[float], monotonic: Optional[float], day: Optional[str]) -> str:
    """Return when something happened; without the date on the day on which the boot began."""
    text = words.when(time, monotonic)
    return text[DATE:].removesuffix(" UTC") if day and text.startswith(day) else text


def _asks(screen: Screen, verdict: Verdict) -> None:
    """Add what to ask for, where the verdict would gain by it."""
    rows: Rows = []
    for wish in verdict.story.asks:
        rows.append(
            (styled(("ask for", "yellow")), styled((words.topics(wish), ""), (f": {wish.reason}", "dim")))
        )
        rows += [(styled(), _step_text(how)) for how in wish.how]
    if rows:
        screen.line()
        screen.block(rows)


def _missing(screen: Screen, verdict: Verdict, full: bool) -> None:
    asked = {name for wish in verdict.story.asks for name in wish.topic.split(", ")}
    brief = [
        wish
        for wish in ([] if full else verdict.story.missing)
        if wish.reason.startswith(PARTIAL) or asked >= set(wish.topic.split(", "))
    ]
    if verdict.story.missing:
        screen.head("Not in the input, or not all of it")
    if brief:
        names = ", ".join(wish.topic for wish in brief)
        screen.parts((names, ""), (": what is missing, and what brings it, with -v", "dim"))
    for wish in verdict.story.missing:
        if wish in brief:
            continue
        reason = wish.reason if full else words.cut(wish.reason, 2 * screen.width)
        screen.parts((wish.topic, ""), (f": {reason}", "dim"))
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
