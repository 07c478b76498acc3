"""The deaths of a log on a screen: what died, of what, where that is written, what else followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from lastwords.analyzer.crash_log import CrashLog, Entry
from lastwords.hookspecs import Look
from lastwords.reports import crash_words, words
from lastwords.reports.screen import page_console, page_text

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 40
"""Reports of one log that a screen shows; the other formats have all."""
_PROOFS = 6


def terminal(logs: Sequence[CrashLog], look: Look) -> str:
    """Return the text for each log, causes first, what followed from them below and short."""
    console = page_console(look)
    for log in logs:
        _log(console, log, look.full)
    return page_text(console)


def _log(console: Console, log: CrashLog, full: bool) -> None:
    from rich.text import Text

    head = Text(words.plain(log.path), style="bold")
    head.append(": " + crash_words.headline(log), "" if log.reports else "green")
    console.print(head)
    if log.problem:
        console.print(Text(f"not read to its end: {words.plain(log.problem)}", style="yellow"))
    causes = [(index, entry) for index, entry in enumerate(log.reports) if entry["cause"] is None]
    shown = len(causes) if full else SHOWN
    for index, entry in causes[:shown]:
        followers = [each for each in log.reports if each["cause"] == index]
        _report(console, entry, followers, full)
    if len(causes) > shown:
        console.print(Text(f"\n... and {len(causes) - shown} more: see -v or --json", style="dim"))
    console.print()


def _report(console: Console, entry: Entry, followers: list[Entry], full: bool) -> None:
    from rich.text import Text

    fatal = entry["fatal"]
    title = Text("\n" + ("FATAL " if fatal else ""), style="bold red" if fatal else "bold yellow")
    title.append(words.plain(entry["title"]), "bold")
    if entry["device"]:
        title.append(f" ({words.plain(entry['device'])})")
    console.print(title)
    _line(console, crash_words.place(entry), "dim")
    _line(console, crash_words.machine(entry))
    _line(console, crash_words.doubt(entry), "yellow")
    _line(console, crash_words.trace(entry, full))
    if entry["why"]:
        _line(console, entry["why"])
        for proof in entry["excerpt"][: None if full else _PROOFS]:
            _line(console, "| " + proof, "dim")
        for step in entry["fix"]:
            _line(console, "- " + step, "cyan")
    told = followers if full else followers[:_PROOFS]
    for follower in told:
        _line(console, f"then, line {follower['line']}: {follower['title']}", "dim")
    if len(followers) > len(told):
        _line(console, f"then {len(followers) - len(told)} more", "dim")


def _line(console: Console, text: Optional[str], style: str = "") -> None:
    from rich.padding import Padding
    from rich.text import Text

    if text:
        console.print(Padding(Text(words.plain(text), style=style), (0, 0, 0, 2)))
