"""The words of the project as types: severity, outcome, event, finding, verdict, exit code.

Stands below everything else: imports nothing of the project and nothing heavy.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords import __version__

Facts = dict[str, Any]
"""One JSON document: what a collector found. Described by a JSON Schema in ``lastwords.schemas``."""

Event = dict[str, Any]
"""Something that happened at a time. Described by ``schemas/event.json``; made by :func:`event`."""

NEWS = 7 * 86400.0
"""Seconds for which a death is news."""

BUNDLE_VERSION = "1.0"
"""MAJOR.MINOR of the bundle format. Readers accept every bundle of the same MAJOR."""

FINDINGS_SCHEMA = "urn:lastwords:schema:findings:1.0"
"""The ``$id`` of the schema of verdicts."""


class ExitCode(enum.IntEnum):
    """What the exit status of every command means."""

    OK = 0
    """Done; no finding at or above ``--fail-on``."""
    FINDINGS = 1
    """At least one finding at or above ``--fail-on``."""
    USAGE = 2
    """The command line could not be understood."""
    PARTIAL = 3
    """Something was gathered, but not all of it; the bundle says what is missing and why."""
    BAD_INPUT = 4
    """The input is not what it claims to be, or the output could not be written. One line says why."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; nothing is left under a final name."""


class LastwordsError(Exception):
    """An error for people: one clear line (what, where, what was expected) and the exit code it leads to."""

    exit_code = ExitCode.BAD_INPUT


class Severity(enum.IntEnum):
    """How much a finding matters. Ordered, so that ``--fail-on warning`` is a comparison."""

    INFO = 0
    """Good to know; a healthy machine may have it."""
    WARNING = 1
    """Will hurt when something else goes wrong, or hurt already and is over."""
    CRITICAL = 2
    """The machine is dying, will not boot, or would lose its last words."""

    @property
    def word(self) -> str:
        """The name used in JSON and on the command line, in lower case."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> Severity:
        """Return the severity called *word*; raise ValueError for any other."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"severity {word!r}: expected info, warning or critical") from None


class Outcome(str, enum.Enum):
    """How a collector ended."""

    OK = "ok"
    PARTIAL = "partial"
    """Facts were gathered, but something that exists could not be read."""
    NO_DATA = "no_data"
    """The root holds nothing on this topic."""
    SKIPPED = "skipped"
    """Not run: the collector does not apply to this root or was not asked for."""
    DENIED = "denied"
    """Nothing could be read for want of privilege."""
    TIMEOUT = "timeout"
    """The deadline passed. Facts yielded before it are kept."""
    ERROR = "error"
    """The collector failed. Facts yielded before it are kept."""


class NoData(Exception):
    """Raised by a collector: this root holds nothing on its topic. The message says what was looked for."""


class Skipped(Exception):
    """Raised by a collector: it does not apply to this root. The message says why."""


@dataclass(frozen=True)
class Proof:
    """Evidence of a finding: where it was read, what it said, and what it was held against."""

    path: str
    """Host path, ``$ command``, or ``facts:<collector>`` when no single file says it."""
    line: Optional[int] = None
    excerpt: Optional[str] = None
    value: Any = None
    threshold: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the proof as a JSON object without empty fields."""
        return {k: v for k, v in self.__dict__.items() if v is not None}


@dataclass(frozen=True)
class Finding:
    """A conclusion: what is wrong with what, why it matters, how it is known and how to mend it."""

    id: str
    severity: Severity
    title: str
    why: str
    subject: str = "host"
    """What it is about: ``host``, ``kernel 6.1.0-18-amd64``, ``process 4711 (mysqld)`` ..."""
    evidence: tuple[Proof, ...] = ()
    fix: tuple[str, ...] = ()
    """Steps in order; those that start with ``$ `` are commands, ready for a shell: what explains one is a
    comment after it."""

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits that stay the same for the same finding on the same subject."""
        return hashlib.sha256(f"{self.id}\0{self.subject}".encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the finding as the JSON object of ``schemas/findings.json``."""
        return {
            "id": self.id,
            "severity": self.severity.word,
            "subject": self.subject,
            "title": self.title,
            "why": self.why,
            "evidence": [proof.to_json() for proof in self.evidence],
            "fix": list(self.fix),
            "fingerprint": self.fingerprint,
        }


def event(
    kind: str,
    summary: str,
    *,
    path: str,
    time: Optional[float] = None,
    line: Optional[int] = None,
    monotonic: Optional[float] = None,
    boot: Optional[str] = None,
    details: Optional[Mapping[str, Any]] = None,
) -> Event:
    """Return an event.

    :param kind: ``oom_kill``, ``panic``, ``oops``, ``hang``, ``boot``, ``dump`` ... (``schemas/event.json``)
    :param summary: one line for people
    :param path: host path or ``$ command`` that told of it
    :param time: seconds since the epoch, UTC; None when only the order is known
    :param line: line number in *path*, from 1
    :param monotonic: seconds since that boot, as printk counts them
    :param boot: boot id, or None
    """
    return {
        "kind": kind,
        "summary": summary,
        "time": time,
        "monotonic": monotonic,
        "boot": boot,
        "path": path,
        "line": line,
        "details": dict(details or {}),
    }


def event_order(item: Event) -> tuple[float, float, str, int]:
    """Sort key: oldest first; events without a time come first, in the order of their source.

    That may tell of several boots, so seconds since boot order only what has the same time.
    """
    time = item.get("time") or 0.0
    return (
        time,
        (item.get("monotonic") or 0.0) if time else 0.0,
        item.get("path") or "",
        item.get("line") or 0,
    )


@dataclass
class Case:
    """Everything known of one host, as rules see it."""

    facts: Mapping[str, Facts]
    """Facts by collector name; a collector that gathered nothing is absent."""
    events: Sequence[Event]
    outcomes: Mapping[str, Mapping[str, Any]]
    """Per collector: ``outcome``, ``reason``, ``duration`` (seconds), ``evidence``."""
    root_kind: str
    taken_at: Optional[float]
    """When the evidence was gathered, seconds since the epoch, or None."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know of the input itself: obfuscated, recollected, files changed."""
    around: Callable[[str, int], Sequence[tuple[int, str]]] = lambda path, line: ()
    """Gives the lines around one of a file or ``$ command``, with their numbers, where the input has them."""

    def machine_events(self) -> list[Event]:
        """Return the events but for what a crash kernel died of: the dump that was not saved tells it."""
        return [item for item in self.events if not (item.get("details") or {}).get("crash_kernel")]

    def known_until(self) -> Optional[float]:
        """Return when the evidence was gathered; of a disk or a log, which do not tell, its latest event."""
        if self.taken_at is not None and self.root_kind != "log":
            return self.taken_at
        latest = max((item["time"] for item in self.events if item.get("time") is not None), default=None)
        return self.taken_at if latest is None else latest

    def is_news(self, time: Optional[float]) -> bool:
        """Return whether a time is within a week of what is known last; unknown times are taken as such."""
        until = self.known_until()
        return time is None or until is None or until - time < NEWS


def dig(facts: Any, *path: str) -> Any:
    """Return what stands at a path of names in facts, or None where it ends before.

    >>> dig({"kexec": {"crash_size": 7}}, "kexec", "crash_size")
    7
    """
    for name in path:
        if not isinstance(facts, Mapping):
            return None
        facts = facts.get(name)
    return facts


def summary_of(host: Facts) -> dict[str, Any]:
    """Return the few facts of the collector ``host`` by which people know a machine."""
    distribution = host.get("distribution") or {}
    return {
        "hostname": host.get("hostname"),
        "distribution": distribution.get("pretty_name"),
        "kernel_release": host.get("kernel_release"),
        "architecture": host.get("architecture"),
        "memory_total": host.get("memory_total"),
    }


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
