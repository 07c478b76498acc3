"""What pages of facts are made of: tables of cells, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional, Union

from lastwords.formats.sizes import column
from lastwords.model import Severity, dig


@dataclass(frozen=True)
class Cell:
    """One value of a table; with a severity when it deserves a look."""

    text: str
    severity: Optional[Severity] = None


@dataclass(frozen=True)
class Bytes:
    """A size that is compared with the others of its table: all are shown in one unit."""

    value: Optional[float]
    severity: Optional[Severity] = None


@dataclass(frozen=True)
class Block:
    """A table with a title."""

    title: str
    rows: tuple[tuple[Cell, ...], ...] = ()
    head: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()
    """Columns that are numbers: to the right."""
    notes: tuple[str, ...] = ()


Value = Union[str, Cell, Bytes]
Rows = list[list[Union[str, Cell, Bytes]]]


def table(title: str, rows: Iterable[Iterable[Value]], head: str = "", numbers: Iterable[int] = ()) -> Block:
    """Return a table; its head is words separated by ``|``."""
    listed = [list(row) for row in rows]
    texts = iter(column([each.value for row in listed for each in row if isinstance(each, Bytes)]))
    made = tuple(
        tuple(Cell(next(texts), each.severity) if isinstance(each, Bytes) else cell(each) for each in row)
        for row in listed
    )
    words = tuple(head.split("|")) if head else ()
    return Block(title, made, words if made else (), frozenset(numbers), () if made else ("none",))


def cell(value: Union[str, Cell]) -> Cell:
    """Return a value as a cell."""
    return value if isinstance(value, Cell) else Cell(value)


def alarm(text: str, wrong: Optional[bool], severity: Severity = Severity.WARNING) -> Cell:
    """Return a cell that stands out when something is wrong with it."""
    return Cell(text, severity if wrong else None)


def each(facts: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a path of names in facts; none where there is no list."""
    found = dig(facts, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def said(value: Any, unknown: str = "not known") -> str:
    """Return a fact as text: what is null is not known."""
    if value is None:
        return unknown
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
