"""Judges a case: every rule in turn, each isolated, into one verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords import __version__
from lastwords.gather.run import summary_of
from lastwords.hookspecs import Rule
from lastwords.model import Case, Finding, Severity
from lastwords.plugins import describe

SCHEMA = "urn:lastwords:schema:findings:1.0"


@dataclass
class Verdict:
    """All that reports show of one input."""

    path: str
    case: Case
    findings: list[Finding]
    """The gravest first."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Rules that could not be tried, and why."""

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
            "schema": SCHEMA,
            "tool_version": __version__,
            "path": self.path,
            "input": {
                "kind": self.case.root_kind,
                "taken_at": self.case.taken_at,
                "notes": list(self.case.notes),
            },
            "host": self.host,
            "summary": {severity.word: self.count(severity) for severity in reversed(Severity)},
            "findings": [finding.to_json() for finding in self.findings],
            "events": list(self.case.events),
            "collectors": {
                name: {"outcome": entry.get("outcome"), "reason": entry.get("reason")}
                for name, entry in self.case.outcomes.items()
            },
            "skipped_rules": [{"id": name, "reason": reason} for name, reason in self.skipped],
        }


def judge(path: str, case: Case, rules: Iterable[Rule]) -> Verdict:
    """Return the verdict of *rules* on *case*. A rule that fails is listed with those skipped."""
    findings: list[Finding] = []
    skipped: list[tuple[str, str]] = []
    for rule in rules:
        missing = [name for name in rule.needs if name not in case.facts]
        if missing:
            reasons = [_why_missing(case, name) for name in missing]
            skipped.append((rule.id, "; ".join(reasons)))
            continue
        try:
            findings += list(rule.check(case))
        except Exception as problem:
            skipped.append((rule.id, f"the rule failed: {describe(problem)}"))
    findings.sort(key=lambda finding: (-finding.severity, finding.id, finding.subject))
    return Verdict(path, case, findings, skipped)


def _why_missing(case: Case, name: str) -> str:
    entry = case.outcomes.get(name)
    if not entry:
        return f"{name}: was not gathered"
    return f"{name}: {entry.get('reason') or entry.get('outcome')}"
