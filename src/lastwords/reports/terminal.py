"""The verdict on one screen: who, what is wrong, how it is known, how to mend it, what happened."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from lastwords.formats.sizes import size
from lastwords.hookspecs import Look, Report
from lastwords.model import Finding, Severity, Verdict
from lastwords.reports import words

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
EVENTS_SHOWN = 8
MARGIN = 10


class TerminalReport(Report):
    """For people at a terminal; with ``--color never`` or in a pipe it is plain text."""

    name = "terminal"
    title = "one screen, for people"

    def render(self, verdict: Verdict, look: Look) -> str:
        from rich.console import Console

        page = io.StringIO()
        console = Console(
            file=page,
            width=look.width,
            force_terminal=look.color,
            no_color=not look.color,
            color_system="standard" if look.color else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        _head(console, verdict)
        for finding in verdict.findings:
            _finding(console, finding)
        if not verdict.findings:
            console.print("\nNothing to report.", style="green")
        _events(console, verdict)
        _not_seen(console, verdict)
        lines = [line.rstrip() for line in page.getvalue().splitlines()]
        return "\n".join(lines) + "\n"


def _head(console: Console, verdict: Verdict) -> None:
    from rich.text import Text

    host, case = verdict.host, verdict.case
    console.print(Text(words.plain(host["hostname"] or verdict.path), style="bold"))
    facts = case.facts.get("host", {})
    parts = [
        host["distribution"],
        f"kernel {host['kernel_release']}" if host["kernel_release"] else None,
        host["architecture"],
        size(host["memory_total"]) if host["memory_total"] else None,
        f"up {words.duration(facts['uptime'])}" if facts.get("uptime") else None,
    ]
    console.print(Text(", ".join(words.plain(part) for part in parts if part)))
    console.print(Text(f"{case.root_kind}, {words.moment(case.taken_at)}", style="dim"))
    for note in case.notes:
        console.print(Text("note: " + words.plain(note), style="yellow"))
    console.print()
    tally = Text()
    for severity in reversed(Severity):
        number = verdict.count(severity)
        tally.append(f"{number} {severity.word}", STYLES[severity] if number else "dim")
        tally.append("   ")
    console.print(tally)


def _finding(console: Console, finding: Finding) -> None:
    from rich.table import Table
    from rich.text import Text

    style = STYLES[finding.severity]
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=MARGIN - 1, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    title = Text(words.plain(finding.title), style="bold")
    title.append(f"  [{finding.id}]", style="dim")
    grid.add_row(Text(finding.severity.word.upper(), style=style), title)
    grid.add_row("", Text(words.plain(finding.why)))
    for number, item in enumerate(finding.evidence):
        grid.add_row(Text("seen in" if number == 0 else "", style="dim"), Text(words.proof(item)))
    for number, step in enumerate(finding.fix, 1):
        line = Text(words.plain(step), style="green" if step.startswith("$ ") else "")
        grid.add_row(Text("to mend" if number == 1 else "", style="dim"), line)
    console.print()
    console.print(grid)


def _events(console: Console, verdict: Verdict) -> None:
    from rich.table import Table
    from rich.text import Text

    events = verdict.case.events
    if not events:
        return
    shown = events[-EVENTS_SHOWN:]
    of = f" (the last {len(shown)} of {len(events)})" if len(shown) < len(events) else ""
    console.print(Text(f"\nWhat happened{of}", style="bold"))
    grid = Table.grid(padding=(0, 2))
    for column in range(3):
        grid.add_column(no_wrap=column < 2, overflow="fold")
    for event in shown:
        when, kind, summary = words.happened(event)
        grid.add_row(Text(when, style="dim"), Text(kind), Text(summary))
    console.print(grid)


def _not_seen(console: Console, verdict: Verdict) -> None:
    from rich.text import Text

    rows: list[tuple[str, Any]] = [
        (
            name,
            f"{entry.get('outcome')}: {entry.get('reason')}" if entry.get("reason") else entry.get("outcome"),
        )
        for name, entry in verdict.case.outcomes.items()
        if entry.get("outcome") not in ("ok", "no_data", "skipped")
    ]
    if not rows:
        return
    console.print(Text("\nNot seen, or not all of it", style="bold"))
    for name, reason in rows:
        console.print(Text(f"{name}: {words.plain(reason)}", style="dim"))
