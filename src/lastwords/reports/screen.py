"""A page for a terminal: rich behind it, plain text when no colours are wanted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from lastwords.hookspecs import Look
from lastwords.model import Severity
from lastwords.reports import words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
MARGIN = 11
"""Columns on the left that name the severity, or what a line is."""

HARD = "\ue000"
"""Stands for a blank at which no line is folded, until the page is printed: a character of private use."""


def page_console(look: Look) -> Console:
    """Return a console that keeps what is printed, with colours only where they are wanted."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=look.width,
        force_terminal=look.color,
        no_color=not look.color,
        color_system="standard" if look.color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def page_text(console: Console) -> str:
    """Return what was printed on a console of :func:`page_console`, no line ending in blanks."""
    page = console.file
    assert isinstance(page, io.StringIO)
    return "".join(line.rstrip() + "\n" for line in page.getvalue().replace(HARD, " ").splitlines())


class Screen:
    """Lines are added from top to bottom; everything that is printed is made harmless first."""

    def __init__(self, look: Look) -> None:
        self.width = look.width
        self.console = page_console(look)

    def line(self, text: Any = "", style: str = "") -> None:
        """Add a line of one style, folded where it is too long."""
        self.console.print(styled((text, style)))

    def parts(self, *parts: tuple[Any, str]) -> None:
        """Add a line of several styles: (text, style) each."""
        self.console.print(styled(*parts))

    def ends(self, left: Any, style: str, *right: tuple[Any, str]) -> None:
        """Add a line with something at its left end, and parts of several styles at its right end."""
        left = words.plain(left)
        space = self.width - len(left) - sum(len(words.plain(text)) for text, _ in right)
        if space < 2:
            self.line(left, style)
            self.parts(*right)
        else:
            self.parts((left, style), (" " * space, ""), *right)

    def head(self, text: str) -> None:
        """Add a headline, with an empty line before it."""
        self.console.print()
        self.line(text, "bold")

    def block(self, rows: list[tuple[Text, Text]], margin: int = MARGIN) -> None:
        """Add rows of two columns: a narrow one of fixed width, and the rest."""
        grid = _grid()
        grid.add_column(width=margin - 1, no_wrap=True)
        grid.add_column(ratio=1, overflow="fold")
        for left, right in rows:
            grid.add_row(left, right)
        self.console.print(grid)

    def columns(self, rows: list[list[Text]], right: frozenset[int] = frozenset(), indent: int = 0) -> None:
        """Add a table without lines; the last column takes what is left of the width."""
        from rich.padding import Padding

        grid = _grid(2, expand=bool(rows) and len(rows[0]) - 1 not in right)
        for column in range(len(rows[0]) if rows else 0):
            last = column == len(rows[0]) - 1
            grid.add_column(
                no_wrap=not last,
                overflow="fold" if last else "ellipsis",
                justify="right" if column in right else "left",
                ratio=1 if last and column not in right else None,
            )
        for row in rows:
            grid.add_row(*row)
        self.console.print(Padding(grid, (0, 0, 0, indent)))

    def text(self) -> str:
        """Return the page, without blanks at the ends of its lines."""
        return page_text(self.console)


def hard(text: Any) -> str:
    """Return text that is not folded where it fits on a line."""
    return words.plain(text).replace(" ", HARD)


def styled(*parts: tuple[Any, str]) -> Text:
    """Return parts of a line, each with its style, as one; text from a host is made harmless."""
    from rich.text import Text

    text = Text()
    for part, style in parts:
        text.append(words.plain(part), style)
    return text


def _grid(padding: int = 1, expand: bool = True) -> Table:
    from rich.table import Table

    return Table.grid(padding=(0, padding, 0, 0), expand=expand)
