"""Tables and small parts that several sections share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional, Union

from lastwords.formats.sizes import column as in_column
from lastwords.reports import words
from lastwords.reports.html.markup import Content, Markup, tag

CELL = 400
"""Characters of a value that are shown in a table."""


class Amount(NamedTuple):
    """A size in bytes as the content of a cell: those of one table are compared, and share a unit."""

    value: Optional[float]


class Column:
    """A column: its head, and whether it holds numbers.

    :param title: head
    :param number: numbers are set to the right; a cell given as (number, text) is sorted by the number
    """

    def __init__(self, title: str, *, number: bool = False, css: str = "") -> None:
        self.title = title
        self.css = " ".join(filter(None, ("number" if number else "", css)))


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Union[Content, Amount]]],
    *,
    caption: str,
    css: str = "",
    head: bool = True,
) -> Markup:
    """Return a table that the page's script makes sortable.

    :param caption: what it shows, for those who do not see it
    :param css: ``titled`` when a heading says what it shows already
    :param head: whether the first cell of a row names the row
    """
    headings = [tag("th", column.title, scope="col", class_=column.css or None) for column in columns]
    listed = [list(row) for row in rows]
    texts = iter(in_column([cell.value for row in listed for cell in row if isinstance(cell, Amount)]))
    body = [
        tag(
            "tr",
            [
                _cell(column, _sized(cell, next(texts)) if isinstance(cell, Amount) else cell, head and not n)
                for n, (column, cell) in enumerate(zip(columns, row))
            ],
        )
        for row in listed
    ]
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", headings)),
        tag("tbody", body),
        class_=css or None,
    )
    return tag("div", made, class_="scroll", tabindex="0", role="group", aria_label=caption)


def _sized(amount: Amount, said: str) -> Content:
    return (-1, "") if amount.value is None else (amount.value, said)


def _cell(column: Column, content: Content, head: bool) -> Markup:
    value = None
    if isinstance(content, tuple):
        value, content = content
    name, scope = ("th", "row") if head else ("td", None)
    return tag(name, content, class_=column.css or None, scope=scope, data_v=value)


def amount(value: Optional[float]) -> Amount:
    """Return a cell with a size in bytes, sorted by its number, in the unit of its table."""
    return Amount(value)


def text(value: Any, limit: int = CELL) -> str:
    """Return a value from a host as text of bounded length, on one line."""
    said = words.plain(str(value)[: limit + 1])
    return said if len(said) <= limit else said[: limit - 1] + "…"


def prose(value: Any, limit: int = 2000) -> Content:
    """Return a sentence of a finding; what stands between backticks in it is code."""
    parts = re.split(r"`([^`]{1,300})`", text(value, limit))
    return [tag("code", part) if number % 2 else part for number, part in enumerate(parts)]


def place(path: Any, line: Optional[int] = None) -> Markup:
    """Return where something was read; of a long command its beginning, the rest when it is pointed at."""
    said = text(path, 300)
    short = words.short_place(said)
    where = f":{line}" if line else None
    return tag("code", short, tag("b", where), class_="place", title=said if short != said else None)


def command(*lines: str) -> Markup:
    """Return shell commands, one a line."""
    return tag("pre", tag("code", "\n".join(map(words.plain, lines))), class_="command")


def badge(word: str, css: str) -> Markup:
    """Return a word on a coloured ground."""
    return tag("span", word, class_=f"badge {css}")


def state(good: Optional[bool], yes: str, no: str, unknown: str = "not known") -> Markup:
    """Return a state in a word and a colour."""
    if good is None:
        return badge(unknown, "unknown")
    return badge(yes, "good") if good else badge(no, "critical")


def fold(summary: Content, *content: Content, opened: bool = False, id_: Optional[str] = None) -> Markup:
    """Return something that can be folded away."""
    return tag("details", tag("summary", summary), *content, open=opened, id=id_)
