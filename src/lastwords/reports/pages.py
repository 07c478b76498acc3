"""Pages of facts on one topic, as data: ``--section NAME`` shows them, without a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Optional, Union

from lastwords.model import Severity, Verdict, dig


@dataclass(frozen=True)
class Cell:
    """One value of a table; with a severity when it deserves a look."""

    text: str
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


@dataclass(frozen=True)
class Page:
    """All that is known on one topic."""

    title: str
    blocks: tuple[Block, ...]


Value = Union[str, Cell]
Rows = list[list[Union[str, Cell]]]
Builder = Callable[[Verdict], Iterable[Block]]


def table(title: str, rows: Iterable[Iterable[Value]], head: str = "", numbers: Iterable[int] = ()) -> Block:
    """Return a table; its head is words separated by ``|``."""
    made = tuple(tuple(cell(value) for value in row) for row in rows)
    words = tuple(head.split("|")) if head else ()
    return Block(title, made, words if made else (), frozenset(numbers), () if made else ("none",))


def cell(value: Value) -> Cell:
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


def lacking(verdict: Verdict, *topics: str) -> Iterable[Block]:
    """Yield a note for each collector that gathered nothing."""
    for topic in topics:
        if topic not in verdict.case.facts:
            entry = verdict.case.outcomes.get(topic) or {}
            reason = entry.get("reason") or entry.get("outcome") or "was not gathered"
            yield Block("", notes=(f"{topic}: {reason}",))


def page_of(name: str, verdict: Verdict) -> Page:
    """Return one page of a case. :raises KeyError: there is none of that name"""
    title, build, topics = _pages()[name]
    return Page(title, (*build(verdict), *lacking(verdict, *topics)))


def page_names() -> tuple[str, ...]:
    """Return the names of all pages."""
    return tuple(_pages())


def _pages() -> dict[str, tuple[str, Builder, tuple[str, ...]]]:
    from lastwords.reports import pages_crash, pages_memory, pages_system

    return {
        "oom": ("Memory", pages_memory.oom, ("memory", "oom", "kernel_log")),
        "kdump": ("kdump", pages_crash.kdump, ("kdump",)),
        "boot": ("Boot", pages_system.boot, ("boot", "initramfs")),
        "crash": ("Crashes", pages_crash.crash, ("crash_dumps", "kernel_log")),
        "kernel": ("Kernel", pages_system.kernel, ("kernel",)),
        "processes": ("Processes", pages_memory.processes, ("processes",)),
    }
