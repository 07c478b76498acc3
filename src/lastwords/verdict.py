"""What the analyzer makes of a case, as types: causes, timeline, comparison, verdict.

Data alone: the analyzer fills them, reports show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords import __version__
from lastwords.model import Case, Event, Finding, Proof, Severity, summary_of

FINDINGS_SCHEMA = "urn:lastwords:schema:findings:1.0"
"""The ``$id`` of the schema of verdicts."""


@dataclass(frozen=True)
class Step:
    """One link in the chain of a cause: what happened or was so, and what shows it."""

    link: str
    """Its name within the cause, stable: ``kill``, ``panic``, ``dump`` ..."""
    text: str
    time: Optional[float] = None
    """Of the last time, seconds since the epoch; None when no event shows it or its time is not known."""
    count: int = 1
    proof: Optional[Proof] = None
    finding: Optional[str] = None
    """Fingerprint of the finding that shows it."""

    def to_json(self) -> dict[str, Any]:
        """Return the step as a JSON object."""
        proof = self.proof.to_json() if self.proof else None
        return {**self.__dict__, "proof": proof}


@dataclass(frozen=True)
class Wish:
    """What the input lacks, and what would bring it."""

    topic: str
    """Name of a collector, or what else is wanted."""
    reason: str
    how: tuple[str, ...]
    """Steps; those that start with ``$ `` are commands."""

    def to_json(self) -> dict[str, Any]:
        """Return the wish as a JSON object."""
        return {"topic": self.topic, "reason": self.reason, "how": list(self.how)}


@dataclass(frozen=True)
class Cause:
    """An explanation that several events and findings share."""

    id: str
    title: str
    severity: Severity
    confidence: str
    """``high``, ``medium`` or ``low``."""
    because: tuple[str, ...]
    """What the confidence rests on."""
    chain: tuple[Step, ...]
    """From the root of the trouble to what came of it."""
    findings: tuple[Finding, ...]
    """Those it explains."""
    raised_by: tuple[Wish, ...] = ()
    """What would make it surer."""
    time: Optional[float] = None
    """When it struck last, seconds since the epoch, or None."""
    count: int = 0
    """How many times it struck; 0 for what has not happened yet."""

    def to_json(self) -> dict[str, Any]:
        """Return the cause as a JSON object; findings by fingerprint."""
        return {
            **self.__dict__,
            "severity": self.severity.word,
            "because": list(self.because),
            "chain": [step.to_json() for step in self.chain],
            "findings": [finding.fingerprint for finding in self.findings],
            "raised_by": [wish.to_json() for wish in self.raised_by],
        }


@dataclass(frozen=True)
class Moment:
    """A row of the timeline: one event, or several alike in one boot."""

    kind: str
    summary: str
    """Of the last one."""
    severity: Severity
    time: Optional[float]
    """Of the first one."""
    last_time: Optional[float]
    monotonic: Optional[float]
    """Of the first one, seconds since that boot."""
    count: int
    path: str
    line: Optional[int]
    cause: Optional[str] = None
    """Id of the cause it belongs to."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {**self.__dict__, "severity": self.severity.word}


@dataclass(frozen=True)
class Boot:
    """One boot in the timeline, or what happened in boots that are not known."""

    id: Optional[str]
    kernel: Optional[str]
    """Release of the kernel, where the log tells it."""
    started: Optional[float]
    ended: Optional[float]
    """The last that is known of it."""
    end: Optional[str]
    """``panic``, ``shutdown``, ``running``; None when no log tells how it ended."""
    moments: tuple[Moment, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the boot as a JSON object."""
        return {**self.__dict__, "moments": [moment.to_json() for moment in self.moments]}


@dataclass(frozen=True)
class Story:
    """All events and findings of one case as one account."""

    headline: str = ""
    causes: tuple[Cause, ...] = ()
    """The most likely root of the gravest trouble first."""
    others: tuple[Finding, ...] = ()
    """Findings that no cause explains."""
    boots: tuple[Boot, ...] = ()
    """The timeline, oldest first."""
    quiet_boots: int = 0
    """Boots the journal knows in which nothing happened."""
    missing: tuple[Wish, ...] = ()
    """What the input lacks."""
    asks: tuple[Wish, ...] = ()
    """What to ask for: what the causes that are news would gain by."""
    of_events: tuple[Optional[str], ...] = ()
    """Id of the cause that each event of the case belongs to, in their order."""

    def to_json(self) -> dict[str, Any]:
        """Return the story as in ``schemas/findings.json``."""
        return {
            "headline": self.headline,
            "causes": [cause.to_json() for cause in self.causes],
            "others": [finding.fingerprint for finding in self.others],
            "boots": [boot.to_json() for boot in self.boots],
            "quiet_boots": self.quiet_boots,
            "missing": [wish.to_json() for wish in self.missing],
            "asks": [wish.to_json() for wish in self.asks],
        }


@dataclass(frozen=True)
class Change:
    """A fact that differs between two inputs."""

    name: str
    old: Any
    new: Any
    unit: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        """Return the change as a JSON object."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Comparison:
    """What changed since an older input of the same host."""

    path: str
    """The older input."""
    taken_at: Optional[float]
    same_host: Optional[bool]
    """Whether both are of one machine; None when nothing tells."""
    appeared: tuple[Finding, ...] = ()
    gone: tuple[Finding, ...] = ()
    graver: tuple[Finding, ...] = ()
    milder: tuple[Finding, ...] = ()
    changes: tuple[Change, ...] = ()
    events: tuple[Event, ...] = ()
    """What happened since."""

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object; findings that are no more are given whole."""
        return {
            "path": self.path,
            "taken_at": self.taken_at,
            "same_host": self.same_host,
            "appeared": [finding.fingerprint for finding in self.appeared],
            "gone": [finding.to_json() for finding in self.gone],
            "graver": [finding.fingerprint for finding in self.graver],
            "milder": [finding.fingerprint for finding in self.milder],
            "changes": [change.to_json() for change in self.changes],
            "events": list(self.events),
        }


@dataclass
class Verdict:
    """All that reports show of one input."""

    path: str
    case: Case
    findings: list[Finding]
    """The gravest first."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Rules that could not be tried, and why."""
    clear: list[str] = field(default_factory=list)
    """Rules that were tried and found nothing."""
    story: Story = field(default_factory=Story)
    """The same as one account: causes, timeline, what is missing."""
    compared: Optional[Comparison] = None
    """What changed since an older input of the host, where one was given."""

    @property
    def host(self) -> dict[str, Any]:
        """The few facts by which people know the machine."""
        return summary_of(self.case.facts.get("host", {}))

    def count(self, severity: Severity) -> int:
        """Return the number of findings of that severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def worst(self) -> Optional[Severity]:
        """Return the gravest severity found, or None."""
        return max((finding.severity for finding in self.findings), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the JSON object of ``schemas/findings.json``."""
        return {
            "schema": FINDINGS_SCHEMA,
            "tool_version": __version__,
            "path": self.path,
            "input": {
                "kind": self.case.root_kind,
                "taken_at": self.case.taken_at,
                "notes": list(self.case.notes),
            },
            "host": self.host,
            "summary": {severity.word: self.count(severity) for severity in reversed(Severity)},
            "story": self.story.to_json(),
            "compared": self.compared.to_json() if self.compared else None,
            "findings": [finding.to_json() for finding in self.findings],
            "events": list(self.case.events),
            "collectors": {
                name: {"outcome": entry.get("outcome"), "reason": entry.get("reason")}
                for name, entry in self.case.outcomes.items()
            },
            "clear_rules": list(self.clear),
            "skipped_rules": [{"id": name, "reason": reason} for name, reason in self.skipped],
        }
