"""Raw facts: all that was gathered, as tables that the browser can search and a script can filter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, fold, table, text
from lastwords.verdict import Verdict

BUDGET = 600_000
"""Characters of facts in the whole page, with their tags; what would exceed them is named."""
TAGS = 25
"""Characters that a cell takes besides its text."""
ROWS = 600
"""Rows of one table."""
COLUMNS = 40
DEEPEST = 6


class _Budget:
    """Counts what was shown."""

    def __init__(self) -> None:
        self.left = BUDGET

    def cell(self, value: Any, limit: int = 300) -> str:
        said = text(_plain(value), limit)
        self.left -= len(said) + TAGS
        return said


def section(verdict: Verdict) -> Optional[Markup]:
    """Return the facts of each collector, folded."""
    facts = verdict.case.facts
    if not facts:
        return None
    budget = _Budget()
    # Small topics first, so that a host with endless processes costs the others nothing.
    order = sorted(facts, key=lambda name: len(str(facts[name])))
    made = {
        name: fold(tag("code", name), _value(facts[name], budget, 0), id_=f"facts-{name}") for name in order
    }
    return join(
        tag(
            "p",
            "As the collectors read them: sizes in bytes, times in seconds since 1970 UTC.",
            class_="none",
        ),
        tag("div", [made[name] for name in facts], class_="facts"),
    )


def _value(value: Any, budget: _Budget, depth: int) -> Content:
    if budget.left <= 0:
        return tag("p", "Left out to keep this file small.", class_="none")
    if isinstance(value, Mapping) and value:
        return _object(value, budget, depth)
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        return _records(value, budget)
    return tag("p", tag("code", budget.cell(value, 2000)))


def _object(value: Mapping[str, Any], budget: _Budget, depth: int) -> Content:
    """Return what is single in a table of two columns, then what is nested, each with its name."""
    nested = {key: each for key, each in value.items() if _is_nested(each) and depth < DEEPEST}
    single: list[Sequence[Content]] = []
    for key, each in value.items():
        if key not in nested:
            if budget.left <= 0 or len(single) >= ROWS:
                single.append([f"{len(value) - len(nested) - len(single)} more", "left out"])
                break
            single.append([budget.cell(key, 120), tag("code", budget.cell(each, 2000))])
    columns = [Column("Fact"), Column("Value")]
    return [
        table(columns, single, caption="Facts", css="small dense") if single else None,
        [
            tag("div", tag("h3", _named(key, each)), _value(each, budget, depth + 1), class_="nested")
            for key, each in nested.items()
        ],
    ]


def _named(key: str, value: Any) -> str:
    return text(key, 120) + (f" ({len(value)})" if isinstance(value, list) else "")


def _is_nested(value: Any) -> bool:
    """Return whether a value needs more than a cell."""
    if isinstance(value, Mapping):
        return len(_plain(value)) > 80
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _records(records: Sequence[Mapping[str, Any]], budget: _Budget) -> Content:
    names = list(dict.fromkeys(key for record in records[:ROWS] for key in record))[:COLUMNS]
    # A column in which nothing stands tells nothing.
    names = [name for name in names if any(record.get(name) is not None for record in records[:ROWS])]
    rows: list[Sequence[Content]] = []
    for record in records[:ROWS]:
        if budget.left <= 0:
            break
        rows.append([_cell(record.get(name), budget) for name in names])
    left_out = len(records) - len(rows)
    numbers = {name for name in names if all(_is_number(record.get(name)) for record in records[:ROWS])}
    columns = [Column(text(name, 60), number=name in numbers) for name in names]
    return [
        table(columns, rows, caption="Records", css="dense", head=False),
        tag("p", f"{left_out} more records are left out.", class_="none") if left_out else None,
    ]


def _cell(value: Any, budget: _Budget) -> Content:
    return "" if value is None else budget.cell(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
