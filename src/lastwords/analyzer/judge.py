"""Judges a case: every rule in turn, each isolated, into one verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from lastwords.analyzer.causes import PATTERNS
from lastwords.analyzer.story import tell
from lastwords.hookspecs import Rule
from lastwords.model import Case, Finding, Verdict
from lastwords.plugins import describe


def judge(path: str, case: Case, rules: Iterable[Rule]) -> Verdict:
    """Return the verdict of *rules* on *case*. A rule that fails is listed with those skipped."""
    findings: list[Finding] = []
    skipped: list[tuple[str, str]] = []
    clear: list[str] = []
    shows: dict[str, Optional[str]] = {}
    for rule in rules:
        shows[rule.id] = rule.shows
        missing = [name for name in rule.needs if name not in case.facts]
        if missing:
            reasons = [_why_missing(case, name) for name in missing]
            skipped.append((rule.id, "; ".join(reasons)))
            continue
        try:
            found = list(rule.check(case))
        except Exception as problem:
            skipped.append((rule.id, f"the rule failed: {describe(problem)}"))
            continue
        findings += found
        if not found:
            clear.append(rule.id)
    findings.sort(key=lambda finding: (-finding.severity, finding.id, finding.subject))
    return Verdict(path, case, findings, skipped, clear, tell(case, findings, PATTERNS, shows))


def _why_missing(case: Case, name: str) -> str:
    entry = case.outcomes.get(name)
    if not entry:
        return f"{name}: was not gathered"
    return f"{name}: {entry.get('reason') or entry.get('outcome')}"
