"""Joins all events and findings of one case into one account: causes with their chains, and a timeline.

What explains what is declared in :mod:`lastwords.analyzer.causes`. A rule says what its findings show
there; where it says nothing, a finding joins the cause whose events it gives as evidence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from lastwords.analyzer.missing import how_to_get, missing_inputs, to_ask
from lastwords.analyzer.timeline import timeline
from lastwords.analyzer.titles import event_title
from lastwords.model import Case, Event, Finding, Outcome, Proof, Severity, dig, event_order
from lastwords.verdict import Cause, Step, Story, Wish

NEAR = 3600.0
"""Seconds between a death and what led to it or came of it."""
LOOSE = 120.0
"""Seconds by which clocks differ: names of dumps tell minutes, journals are late."""


@dataclass(frozen=True)
class Happened:
    """A kind of event, narrowed by words of its summary or reason, and by details."""

    kind: str
    words: str = ""
    details: tuple[tuple[str, str], ...] = ()
    """Names and values; ``*`` means any, ``!`` before one any other than that, or none."""

    def fits(self, event: Event) -> bool:
        """Return whether an event is meant."""
        if event["kind"] != self.kind:
            return False
        details = event.get("details") or {}
        for name, value in self.details:
            if value.startswith("!"):
                if str(details.get(name)) == value[1:]:
                    return False
            elif details.get(name) is None or value not in ("*", str(details[name])):
                return False
        return not self.words or re.search(self.words, _words_of(event)) is not None


@dataclass(frozen=True)
class Concluded:
    """A finding, by what its rule says that it shows."""

    shows: str
    at_least: Severity = Severity.INFO


@dataclass(frozen=True)
class Link:
    """One step of a chain: how it is told, and what shows it."""

    name: str
    says: tuple[str, ...]
    """Templates over the details of the event or fields of the finding: the first that can be filled is
    taken. ``{summary}``, ``{title}``, ``{subject}``, ``{path}``, ``{count}`` and ``{several}`` are there
    besides, and ``{found}``: the title of a finding as it goes on a sentence."""
    marks: tuple[Union[Happened, Concluded], ...]
    core: bool = False
    """What makes the cause: without it there is none. Steps before it lead to it, those after follow."""
    proof: bool = False
    """Seeing it makes the cause sure."""
    at_least: int = 1
    """Events with the same ``comm`` that it takes."""
    first: bool = False
    """Told by the first of the last events in a row: what it looked like when it began."""
    unless: str = ""
    """Not told when the step of that name was seen."""
    told_by: str = ""
    """The collector that would tell; wished for when it has nothing."""


@dataclass(frozen=True)
class Pattern:
    """A cause as a declaration."""

    id: str
    titles: tuple[str, ...]
    """Templates, as ``Link.says``, over what shows the core."""
    chain: tuple[Link, ...]
    severity: Severity = Severity.WARNING
    """When it is news and no finding says more."""
    sure: bool = False
    """The core alone proves it."""
    risk: bool = False
    """It has not happened yet."""
    first_on_disk: bool = False
    """Told first of a disk that does not run: it is why the disk was mounted somewhere else."""
    more: tuple[str, ...] = ()
    """Steps that would make it surer, as templates over the core."""
    more_unless: str = ""
    """Kind of input that is already what they ask for."""
    apart: str = ""
    """Detail of its events; where it has several values, ``{several}`` is how many."""


@dataclass
class _Telling:
    """What is left to be explained while one cause after the other takes its part."""

    case: Case
    events: list[Event]
    findings: list[Finding]
    shows: Mapping[str, Optional[str]]
    """By the id of a rule: what its findings show."""
    causes: dict[int, str] = field(default_factory=dict)
    """Id of the cause, by ``id()`` of the event."""

    def meant(self, link: Link, taken: Sequence[Finding] = ()) -> list[Finding]:
        """Return the findings left that show a step, but for those taken."""
        marks = [mark for mark in link.marks if isinstance(mark, Concluded)]
        return [f for f in self.findings if f not in taken and any(self._fits(mark, f) for mark in marks)]

    def _fits(self, mark: Concluded, finding: Finding) -> bool:
        return finding.severity >= mark.at_least and self.shows.get(finding.id) == mark.shows


@dataclass
class _Draft:
    """A cause while findings may still join it."""

    pattern: Pattern
    steps: list[Step]
    findings: list[Finding]
    told: dict[str, Any]
    """What its templates are filled with."""
    time: Optional[float]
    count: int
    news: bool


class _Near:
    """Tells which events lie near the cores of a cause, before or after them."""

    def __init__(self, cores: Sequence[Event], order: Mapping[int, int]) -> None:
        self._times = sorted(event["time"] for event in cores if event.get("time") is not None)
        self._order = order
        self._boots: dict[str, list[int]] = {}
        for event in cores:
            if event.get("boot"):
                self._boots.setdefault(event["boot"], []).append(order[id(event)])

    def fits(self, event: Event, after: bool) -> bool:
        """Return whether an event led to a core, or followed one. Findings alone have no time."""
        if not self._times and not self._boots:
            return bool(event["kind"] != "boot")
        if event.get("boot") in self._boots and event["kind"] != "boot":
            places = self._boots[event["boot"]]
            place = self._order[id(event)]
            return place >= places[0] if after else place <= places[-1]
        time = event.get("time")
        if time is None:
            return False
        # The start of a boot follows only what was before it; that of the boot which died, nothing.
        loose = 0.0 if event["kind"] == "boot" else LOOSE
        first, last = (time - NEAR, time + loose) if after else (time - LOOSE, time + NEAR)
        at = bisect_left(self._times, first)
        return at < len(self._times) and bool(self._times[at] <= last)


def tell(
    case: Case,
    findings: Sequence[Finding],
    patterns: Iterable[Pattern],
    shows: Mapping[str, Optional[str]],
) -> Story:
    """Return the story of a case.

    :param patterns: in the order in which they may claim events and findings: the more special first
    :param shows: by the id of a rule: what its findings show
    """
    telling = _Telling(case, sorted(case.machine_events(), key=event_order), list(findings), shows)
    order = {id(event): number for number, event in enumerate(telling.events)}
    drafts = [draft for pattern in patterns if (draft := _explain(pattern, telling, order)) is not None]
    _join_by_evidence(telling, drafts)
    risks = {draft.pattern.id for draft in drafts if draft.pattern.risk}
    causes = [_finished(draft, case, list(findings)) for draft in drafts]
    first = {d.pattern.id for d in drafts if d.pattern.first_on_disk and case.root_kind == "directory"}
    causes.sort(
        key=lambda c: (
            c.severity is Severity.INFO,
            c.id not in first,
            c.id in risks,
            -c.severity,
            -(c.time or 0.0),
        )
    )
    asks = _asks(case, [draft for draft in drafts if _severity(draft) > Severity.INFO])
    boots, quiet = timeline(case, telling.causes)
    others = tuple(telling.findings)
    return Story(
        headline=_headline(case, causes, others),
        causes=tuple(causes),
        others=others,
        boots=boots,
        quiet_boots=quiet,
        missing=missing_inputs(case),
        asks=asks,
        of_events=tuple(telling.causes.get(id(event)) for event in case.events),
    )


def _explain(pattern: Pattern, telling: _Telling, order: Mapping[int, int]) -> Optional[_Draft]:
    """Return what a pattern finds in what is not yet explained, taking what it explains; or None."""
    core = next(link for link in pattern.chain if link.core)
    free = [event for event in telling.events if id(event) not in telling.causes]
    events = _repeated([e for e in free if _fits(core, e)], core.at_least)
    shown = telling.meant(core)
    if not events and not shown:
        return None
    near = _Near(events, order)
    last = max((event["time"] for event in events if event.get("time") is not None), default=None)
    news = telling.case.is_news(last)
    steps: list[Step] = []
    taken: list[Finding] = []
    after = False
    for link in pattern.chain:
        after = after or link.core
        if link.unless and (not news or any(step.link == link.unless for step in steps)):
            continue
        seen = events if link.core else _seen(link, telling.events, near, after)
        marks = telling.meant(link, taken)
        if not seen and not marks:
            continue
        steps.append(_step(link, seen, marks, pattern.apart))
        taken += marks
        for event in seen:
            telling.causes.setdefault(id(event), pattern.id)
    telling.findings = [finding for finding in telling.findings if finding not in taken]
    # Who dies with his group has no report of his own.
    telling_most = next((e for e in reversed(events) if (e.get("details") or {}).get("cause")), None)
    told = _fields(telling_most or (events[-1] if events else None), shown[0] if shown else None, len(events))
    told.update(_several(events, pattern.apart))
    return _Draft(pattern, steps, taken, told, last, len(events), news)


def _join_by_evidence(telling: _Telling, drafts: Sequence[_Draft]) -> None:
    """Give the findings that no cause names to the cause of the last event that is their evidence."""
    by_id = {draft.pattern.id: draft for draft in drafts}
    places: dict[tuple[str, Optional[int]], str] = {}
    for event in telling.events:
        cause = telling.causes.get(id(event))
        if cause is not None:
            for place in (event, *((event.get("details") or {}).get("also") or ())):
                places[place["path"], place.get("line")] = cause
    left = []
    for finding in telling.findings:
        proofs = [(proof.path, proof.line) for proof in reversed(finding.evidence)]
        proofs += [(path.rpartition("/")[0], None) for path, line in proofs if line is None]
        cause = next((places[place] for place in proofs if place in places), None)
        if cause is None:
            left.append(finding)
        else:
            by_id[cause].findings.append(finding)
    telling.findings = left


def _finished(draft: _Draft, case: Case, order: list[Finding]) -> Cause:
    pattern = draft.pattern
    confidence, because = _confidence(pattern, draft.steps)
    wishes = () if confidence == "high" else tuple(_wishes(draft, case))
    return Cause(
        id=pattern.id,
        title=_filled(pattern.titles, draft.told),
        severity=_severity(draft),
        confidence=confidence,
        because=because,
        chain=tuple(draft.steps),
        findings=tuple(sorted(draft.findings, key=order.index)),
        raised_by=wishes,
        time=draft.time,
        count=draft.count,
    )


def _fits(link: Link, event: Event) -> bool:
    return any(isinstance(mark, Happened) and mark.fits(event) for mark in link.marks)


def _seen(link: Link, events: Sequence[Event], near: _Near, after: bool) -> list[Event]:
    """Return the events that show a step that is not the core."""
    seen = [e for e in events if _fits(link, e) and near.fits(e, after)]
    return _repeated(seen, link.at_least)


def _repeated(events: list[Event], at_least: int) -> list[Event]:
    """Return the events of programs that have so many; who dies with his group did not die again."""
    if at_least == 1:
        return events
    apart = [event for event in events if not (event.get("details") or {}).get("oom_group")]
    counts = Counter(str((event.get("details") or {}).get("comm")) for event in apart)
    most = counts.most_common(1)
    if not most or most[0][1] < at_least:
        return []
    return [event for event in apart if str((event.get("details") or {}).get("comm")) == most[0][0]]


def _step(link: Link, events: Sequence[Event], findings: Sequence[Finding], apart: str) -> Step:
    event = (_began(events) if link.first else events[-1]) if events else None
    finding = findings[0] if findings else None
    # Of what is told by events of two kinds, as a report and its kill, each happened once.
    count = max(Counter(each["kind"] for each in events).values(), default=1)
    text = _filled(link.says, {**_fields(event, finding, count), **_several(events, apart)})
    if event is not None:
        proof: Optional[Proof] = Proof(event["path"], line=event.get("line"), excerpt=event["summary"])
    else:
        proof = finding.evidence[0] if finding and finding.evidence else None
    return Step(
        link=link.name,
        text=text,
        time=event.get("time") if event else None,
        count=count,
        proof=proof,
        finding=finding.fingerprint if finding else None,
    )


def _began(events: Sequence[Event]) -> Event:
    """Return the first of the last events between which no more than NEAR went by."""
    first = events[-1]
    for event in reversed(events):
        time, later = event.get("time"), first.get("time")
        if time is None or later is None or later - time > NEAR:
            break
        first = event
    return first


def _fields(event: Optional[Event], finding: Optional[Finding], count: int) -> dict[str, Any]:
    """Return what templates can be filled with."""
    fields: dict[str, Any] = {"count": count} if count > 1 else {}
    if finding is not None:
        fields.update(title=finding.title, subject=finding.subject, why=finding.why)
        fields["found"] = goes_on(finding.title)
        fields["path"] = finding.evidence[0].path if finding.evidence else finding.subject
    if event is not None:
        details = event.get("details") or {}
        fields.update({name: value for name, value in details.items() if value not in (None, "")})
        fields.update(summary=event_title(event), path=event["path"])
        if "title" in details:
            fields["title"] = event_title(event)
    return fields


def goes_on(title: str) -> str:
    """Return a title as it goes on a sentence: its first word small, unless that is a name.

    >>> goes_on("The crash kernel ran out of memory"), goes_on("Secure Boot is on")
    ('the crash kernel ran out of memory', 'Secure Boot is on')
    """
    first, _, rest = title.partition(" ")
    is_word = (first[1:].islower() or len(first) == 1) and not rest[:1].isupper()
    return title[:1].lower() + title[1:] if is_word else title


def _several(events: Sequence[Event], name: str) -> dict[str, Any]:
    """Return how many values a detail has among events, where there are several."""
    values = {(event.get("details") or {}).get(name) for event in events} - {None}
    return {"several": len(values)} if len(values) > 1 else {}


def _filled(templates: Sequence[str], fields: Mapping[str, Any]) -> str:
    """Return the first template for which there are all fields, filled; the last one unfilled if none."""
    for template in templates:
        names = re.findall(r"\{(\w+)\}", template)
        if all(name in fields for name in names):
            return re.sub(r"\{(\w+)\}", lambda match: str(fields[match[1]]), template)
    return re.sub(r"\{(\w+)\}", "?", templates[-1])


def _severity(draft: _Draft) -> Severity:
    if draft.findings:
        return max(finding.severity for finding in draft.findings)
    return draft.pattern.severity if draft.news else Severity.INFO


def _confidence(pattern: Pattern, steps: Sequence[Step]) -> tuple[str, tuple[str, ...]]:
    """Return how sure the cause is, and what that rests on."""
    names = {step.link for step in steps}
    core = next(link.name for link in pattern.chain if link.core)
    proofs = [link.name for link in pattern.chain if link.proof]
    seen = [name for name in proofs if name in names]
    lead = f"seen: {', '.join(step.link for step in steps)}"
    if pattern.sure or seen:
        return "high", (lead,)
    unseen = f"not seen: {', '.join(proofs)}" if proofs else ""
    because = tuple(text for text in (lead, unseen) if text)
    return ("medium" if names != {core} or not proofs else "low"), because


def _wishes(draft: _Draft, case: Case) -> Iterable[Wish]:
    """Yield what would make the cause surer: inputs that would show its other steps, then its own.

    Inputs that the same steps bring are one wish.
    """
    joined: dict[tuple[str, ...], dict[str, str]] = {}
    for link in _untold(draft):
        if link.told_by in case.facts:
            continue
        joined.setdefault(how_to_get(case, link.told_by), {}).setdefault(link.told_by, link.name)
    for how, steps in joined.items():
        yield Wish(", ".join(steps), f"it would tell of: {', '.join(steps.values())}", how)
    more = _more(draft, case)
    if more:
        yield Wish("more", "this input tells no more of it", more)


def _untold(draft: _Draft) -> Iterable[Link]:
    """Yield the steps that were not seen, and that some collector would tell of."""
    names = {step.link for step in draft.steps}
    instead = {link.unless for link in draft.pattern.chain if link.name in names}
    for link in draft.pattern.chain:
        if link.name not in names | instead and link.told_by and link.unless not in names:
            yield link


def _more(draft: _Draft, case: Case) -> tuple[str, ...]:
    if case.root_kind == draft.pattern.more_unless:
        return ()
    return tuple(_filled((text,), draft.told) for text in draft.pattern.more)


def _asks(case: Case, drafts: Sequence[_Draft]) -> tuple[Wish, ...]:
    """Return what to ask for, for the sake of the causes that are news."""
    untold: dict[str, None] = {}
    more: dict[str, None] = {}
    for draft in drafts:
        for link in _untold(draft):
            outcome = (case.outcomes.get(link.told_by) or {}).get("outcome")
            if link.told_by not in case.facts or outcome not in (None, Outcome.OK.value):
                untold.setdefault(link.told_by)
        if _confidence(draft.pattern, draft.steps)[0] != "high":
            more.update(dict.fromkeys(_more(draft, case)))
    dumped = any(step.link == "dump" for draft in drafts for step in draft.steps)
    return to_ask(case, untold, tuple(more), quiet=not drafts, dumped=dumped)


def _headline(case: Case, causes: Sequence[Cause], others: Sequence[Finding]) -> str:
    if causes and causes[0].severity > Severity.INFO:
        return causes[0].title
    grave = [finding for finding in others if finding.severity > Severity.INFO]
    if grave:
        return grave[0].title
    sources = dig(case.facts, "kernel_log", "sources") or ()
    if not any(source.get("lines") for source in sources):
        return "No kernel log in the input: what died, if anything, is not known"
    if case.root_kind == "log" and not case.events:
        return "No death and no boot in this log; it may not be the kernel's"
    if causes:
        return f"Nothing that is news; before: {goes_on(causes[0].title)}"
    outcome = (case.outcomes.get("kernel_log") or {}).get("outcome")
    if outcome != Outcome.OK.value:
        return "Not every log could be read: nothing died, and nothing threatens to, in what was"
    warned = [event for event in case.machine_events() if event["kind"] == "warning"]
    if warned:
        return f"Nothing died in what was seen; the kernel warned: {event_title(warned[-1])}"
    return "Nothing died, and nothing threatens to, in what was seen"


def _words_of(event: Event) -> str:
    details = event.get("details") or {}
    return f"{event['summary']} {details.get('reason', '')} {details.get('title', '')}"
