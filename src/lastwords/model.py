"""The words of the project as types: severity, outcome, event, finding, case, exit code.

Stands below everything else: imports nothing of the project and nothing heavy.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

Facts = dict[str, Any]
"""One JSON document: what a collector found. Described by a JSON Schema in ``lastwords.schemas``."""

Event = dict[str, Any]
"""Something that happened at a time. Described by ``schemas/event.json``; made by :func:`event`."""

NEWS = 7 * 86400.0
"""Seconds for which a death is news."""

BUNDLE_VERSION = "1.0"
"""MAJOR.MINOR of the bundle format. Readers accept every bundle of the same MAJOR."""


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
    where: str = ""
    """The input as a path that commands on this machine can be given; empty when there is none."""

    def machine_events(self) -> list[Event]:
        """Return the events but for those of a crash kernel that failed: the dump not saved tells it."""
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
