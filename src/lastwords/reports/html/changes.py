"""What changed since an older input of the same host, where one was given (``--compare``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.model import Finding
from lastwords.reports import words
from lastwords.reports.html.findings import NAMES, numbers
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, badge, table, text
from lastwords.verdict import Change, Verdict

SHOWN = 200


def section(verdict: Verdict) -> Optional[Markup]:
    """Return findings that came and went, facts that differ, and what happened since."""
    compared = verdict.compared
    if compared is None:
        return None
    known = numbers(verdict)
    kinds = Counter(str(event["kind"]) for event in compared.events)
    happened = ", ".join(f"{kind} ({n} times)" if n > 1 else kind for kind, n in kinds.most_common(20))
    rows = [
        *_findings("new", "critical", compared.appeared, known),
        *_findings("graver", "critical", compared.graver, known),
        *_findings("milder", "good", compared.milder, known),
        *_findings("gone", "good", compared.gone, {}),
    ]
    changes = [_change(change) for change in compared.changes[:SHOWN]]
    columns = [Column("Fact"), Column("Then"), Column("Now")]
    return join(
        tag("p", f"Since {words.moment(compared.taken_at)} ({text(compared.path, 200)}).", class_="lead"),
        tag("p", badge("These are two different machines", "warning"))
        if compared.same_host is False
        else None,
        table([Column("Finding"), Column("Is")], rows, caption="Findings") if rows else None,
        table(columns, changes, caption="Facts that differ") if changes else None,
        tag("p", f"Happened since: {text(happened)}.") if happened else None,
        None if rows or changes or happened else tag("p", "Nothing changed.", class_="none"),
    )


def _findings(word: str, css: str, findings: Sequence[Finding], known: dict[str, int]) -> list[list[Content]]:
    rows: list[list[Content]] = []
    for finding in findings[:SHOWN]:
        number = known.get(finding.fingerprint)
        title = f"{NAMES[finding.severity]}: {text(finding.title, 300)}"
        rows.append([tag("a", title, href=f"#finding-{number}") if number else title, badge(word, css)])
    return rows


def _change(change: Change) -> list[Content]:
    def said(value: Any) -> str:
        return size(value) if change.unit == "bytes" and isinstance(value, (int, float)) else text(value, 200)

    return [text(change.name, 200), said(change.old), said(change.new)]
