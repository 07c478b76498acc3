"""Judges a case: every rule in turn, each isolated, into one verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Optional

from lastwords import schemas
from lastwords.analyzer.causes import PATTERNS
from lastwords.analyzer.story import tell
from lastwords.hookspecs import Rule
from lastwords.model import Case, Finding
from lastwords.plugins import describe
from lastwords.verdict import Verdict


def judge(path: str, case: Case, rules: Iterable[Rule]) -> Verdict:
    """Return the verdict of *rules* on *case*.

    A rule that fails is listed with those skipped; as is one that meets facts of an older version, without a
    field that it reads: then a note says how to get it.
    """
    older = 0
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
        except KeyError as problem:
            field = _lacking(case, rule, problem.args[0] if problem.args else None)
            older += field is not None
            skipped.append((rule.id, field or f"the rule failed: {describe(problem)}"))
            continue
        except Exception as problem:
            skipped.append((rule.id, f"the rule failed: {describe(problem)}"))
            continue
        findings += found
        if not found:
            clear.append(rule.id)
    if older:
        told = (
            f"an older version of lastwords made this bundle; it lacks fields that {older} rules read: "
            "open --recollect, or a new bundle, brings them"
        )
        case = replace(case, notes=[*case.notes, told])
    findings.sort(key=lambda finding: (-finding.severity, finding.id, finding.subject))
    return Verdict(path, case, findings, skipped, clear, tell(case, findings, PATTERNS, shows))


def _lacking(case: Case, rule: Rule, name: Any) -> Optional[str]:
    """Return what a rule misses, if it is a field that facts of today have and those of a bundle do not."""
    if case.root_kind not in ("bundle", "sosreport") or not isinstance(name, str):
        return None
    topic = next((topic for topic in (*rule.needs, "event") if _describes(topic, name)), None)
    return f"{topic}: the bundle is from an older version, without the field {name!r}" if topic else None


def _describes(topic: str, name: str) -> bool:
    """Return whether the schema of a topic has a property of that name, at any depth."""
    try:
        waiting: list[Any] = [schemas.load(topic)]
    except (OSError, KeyError, ValueError):
        return False
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if name in (item.get("properties") or ()):
                return True
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return False


def _why_missing(case: Case, name: str) -> str:
    entry = case.outcomes.get(name)
    if not entry:
        return f"{name}: was not gathered"
    return f"{name}: {entry.get('reason') or entry.get('outcome')}"
