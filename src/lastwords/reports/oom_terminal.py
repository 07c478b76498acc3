"""OOM events on a screen: what happened, why, who held the memory, what to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from lastwords.analyzer.oom.explain import Explanation
from lastwords.analyzer.oom.failure import ZoneState
from lastwords.formats import sizes
from lastwords.formats.oom.kills import Victim
from lastwords.formats.oom.report import OomEvent
from lastwords.hookspecs import Look
from lastwords.reports import words
from lastwords.reports.screen import page_console, page_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

STYLES = {"high": "bold red", "medium": "yellow", "low": "cyan"}
MARGIN = 9
BAR = 30
SHARES_SHOWN = 6
EATERS_SHOWN = 5
PROGRAMS_SHOWN = 2
ZONES_SHOWN = 6
VICTIMS_SHOWN = 5
PIDS_SHOWN = 20
LISTED = 40
"""Events in the list at the top: the last ones."""
_CONSTRAINTS = {
    "none": "the whole machine",
    "memcg": "memory cgroup",
    "cpuset": "cpuset",
    "memory_policy": "memory policy",
}
_VERDICTS = {
    "below watermark": "below its watermark",
    "boosted": "below its watermark, because of its boost",
    "only CMA": "below its watermark, but for CMA",
    "reserved": "kept for what can use nothing else",
    "fragmented": "no block large enough",
    "near watermark": "just above its watermark again",
    "enough": "enough",
    "not allowed": "not for this allocation",
}


@dataclass
class Screen:
    """What is kept of a log while it is read: one line of each event, all of the few that are told."""

    event: Optional[int] = None
    """Number of the event to tell all about; None: the last one that has a report, of one or two both."""
    count: int = 0
    _rows: deque[tuple[int, str, str]] = field(default_factory=lambda: deque(maxlen=LISTED))
    _last: deque[tuple[int, Explanation]] = field(default_factory=lambda: deque(maxlen=2))
    _told: Optional[tuple[int, Explanation]] = None

    def add(self, item: Explanation) -> None:
        """Take in the next event."""
        self.count += 1
        cause = f": {item.causes[0].title}" if item.causes else ""
        self._rows.append((self.count, _when(item.event), summary(item) + words.plain(cause)))
        self._last.append((self.count, item))
        if self.count == self.event or (self.event is None and item.event.trigger is not None):
            self._told = self.count, item

    def told(self) -> list[tuple[int, Explanation]]:
        """Return the events to tell all about, with their numbers."""
        if self.event is None and self.count <= 2:
            return list(self._last)
        return [self._told] if self._told is not None else list(self._last)[-1:]

    def render(self, path: str, look: Look, note: str = "") -> str:
        """Return the screen of the log. *note* tells what went wrong while it was read."""
        page = Page(look)
        page.head(path, self.count, note)
        if self.count > 1:
            page.list(list(self._rows), self.count)
        for number, item in self.told():
            page.event(number, item)
        return page.text()


class Page:
    """Text for a screen of some width."""

    def __init__(self, look: Look) -> None:
        self._console = page_console(look)

    def text(self) -> str:
        """Return what was written."""
        return page_text(self._console)

    def head(self, path: str, count: int, note: str = "") -> None:
        """Write which log it is, and how many events it has."""
        from rich.text import Text

        title = Text(words.plain(path), style="bold")
        number = f"{count} OOM event{'s' if count != 1 else ''}" if count else "no OOM event"
        title.append(f"  {number}", style="" if count else "green")
        self._console.print(title)
        if note:
            self._console.print(Text(words.plain(note), style="yellow"))

    def list(self, rows: Sequence[tuple[int, str, str]], count: int) -> None:
        """Write a line for each of the last events."""
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        if count > len(rows):
            line = f"(the last {len(rows)}; the first {count - len(rows)} are left out)"
            self._console.print(Text(line, style="dim"))
        for number, when, what in rows:
            grid.add_row(Text(str(number)), Text(when, style="dim"), Text(what))
        self._console.print(grid)

    def event(self, number: int, item: Explanation) -> None:
        """Write all about an event."""
        _event(self._console, number, item)


def summary(item: Explanation) -> str:
    """Return an event in one line."""
    event = item.event
    if event.killer != "kernel":
        what = event.task_memcg or ", ".join(map(victim_words, event.victims[:VICTIMS_SHOWN])) or "?"
        return f"{event.killer} killed {words.plain(what)}"
    if event.victims:
        killed = ", ".join(map(victim_words, event.victims[:2]))
        more = f" and {len(event.victims) - 2} more" if len(event.victims) > 2 else ""
        return f"killed {killed}{more}"
    if event.panic_kind not in (None, "other"):
        return "the kernel panicked"
    if event.nobody:
        return "nothing could be killed"
    if event.chosen is not None:
        return f"chose {words.plain(event.chosen[1] or '?')} (pid {event.chosen[0]})"
    return "the log does not tell how it ended"


def victim_words(victim: Victim) -> str:
    """Return who was killed, in words."""
    held = f", {sizes.size(victim.rss)}" if victim.rss is not None else ""
    pid = f"pid {victim.pid}" if victim.pid is not None else "pid unknown"
    return f"{words.plain(victim.comm or '?')} ({pid}{held})"


def _when(event: OomEvent) -> str:
    if event.time is None and event.monotonic is not None:
        return f"{event.monotonic:.3f} s after boot"
    return words.moment(event.time)


def _event(console: Console, number: int, item: Explanation) -> None:
    from rich.table import Table
    from rich.text import Text

    event = item.event
    console.print()
    head = Text(f"{number}. {summary(item)}", style="bold")
    console.print(head)
    place = f"{_when(event)}, line {event.line}"
    parts = [place, event.host, f"kernel {event.release}" if event.release else None]
    console.print(Text(", ".join(words.plain(part) for part in parts if part), style="dim"))
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=MARGIN - 1, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    for cause in item.causes:
        line = Text(words.plain(cause.title), style="bold")
        line.append(f"  [{cause.id}, {cause.confidence}]", style="dim")
        grid.add_row(Text("cause", style=STYLES[cause.confidence]), line)
        grid.add_row("", Text(words.plain(cause.why)))
    _asked(grid, item)
    _outcome(grid, item)
    _memory(grid, item)
    _eaters(grid, item)
    _choice(grid, item)
    if event.missing:
        grid.add_row(_label("missing"), Text("the log lacks: " + ", ".join(event.missing), style="yellow"))
    steps = [step for cause in item.causes for step in cause.fix]
    for at, step in enumerate(dict.fromkeys(steps)):
        line = Text(words.plain(step), style="green" if step.startswith("$ ") else "")
        grid.add_row(_label("to mend" if at == 0 else ""), line)
    console.print(grid)


def _label(word: str) -> Text:
    from rich.text import Text

    return Text(word, style="dim")


def _asked(grid: Table, item: Explanation) -> None:
    from rich.text import Text

    event, trigger = item.event, item.event.trigger
    if event.killer != "kernel":
        if event.reason:
            grid.add_row(_label("because"), Text(words.plain(event.reason)))
        return
    if trigger is not None:
        pid = f" (pid {trigger.pid})" if trigger.pid is not None else ""
        block = f"{event.page_size << max(0, trigger.order or 0) >> 10} KiB"
        flags = f" as {trigger.gfp_flags}" if trigger.gfp_flags else ""
        who = trigger.comm or "a process"
        asked = "for a kill by SysRq-f" if event.manual else f"for {block}{flags}"
        grid.add_row(_label("asked"), Text(words.plain(f"{who}{pid} asked {asked}")))
    scope = _CONSTRAINTS.get(event.constraint or "", event.constraint or "unknown")
    limit = _limit(event)
    note = f" ({event.constraint_note})" if event.constraint_note else ""
    grid.add_row(_label("out of"), Text(words.plain(f"{scope}{limit}{note}")))
    for zone in _telling(item):
        grid.add_row("", Text(_zone(zone)))


def _limit(event: OomEvent) -> str:
    if event.constraint == "cpuset":
        return f" {event.cpuset or '?'}, nodes {event.mems_allowed or '?'}"
    if event.constraint == "memory_policy":
        return f", nodes {event.nodemask or '?'}"
    if event.constraint != "memcg":
        return ""
    parts = []
    for name, values in (event.group.usage if event.group is not None else {}).items():
        limit = f"of {sizes.size(values['limit'])}" if values["limit"] is not None else "without limit"
        parts.append(f"{name} {sizes.size(values['usage'])} {limit}")
    return f" {event.memcg or '?'}" + (f": {', '.join(parts)}" if parts else "")


def _telling(item: Explanation) -> list[ZoneState]:
    """The zones that tell why: those without room, else all that were tried; the small ones not."""
    if item.failure.kind in ("manual", "memcg"):
        return []
    tried = [zone for zone in item.failure.zones if zone.allowed and zone.low_mark is not None]
    short = [zone for zone in tried if zone.verdict not in ("enough", "near watermark", "reserved")]
    spared = [zone for zone in item.failure.zones if not zone.allowed and zone.free]
    return [*(short or tried), *(spared if item.failure.kind == "lowmem" else [])][:ZONES_SHOWN]


def _zone(zone: ZoneState) -> str:
    where = f"node {zone.node} {zone.name}" if zone.node is not None else zone.name
    cma = f" ({sizes.size(zone.free_cma)} of it CMA)" if zone.free_cma else ""
    boost = f" (boosted by {sizes.size(zone.boost)})" if zone.boost else ""
    reserve = f", {sizes.size(zone.reserve)} reserved" if zone.verdict == "reserved" else ""
    low = sizes.size(zone.low_mark)
    return f"{where}: {sizes.size(zone.free)} free{cma}, min {low}{boost}{reserve}: {_VERDICTS[zone.verdict]}"


def _outcome(grid: Table, item: Explanation) -> None:
    from rich.text import Text

    event = item.event
    unnamed = [str(victim.pid) for victim in event.victims if victim.comm is None]
    if unnamed:
        more = f" and {len(unnamed) - PIDS_SHOWN} more" if len(unnamed) > PIDS_SHOWN else ""
        grid.add_row(_label("killed"), Text(f"pid {', '.join(unnamed[:PIDS_SHOWN])}{more}", style="red"))
    named = [victim for victim in event.victims if victim.comm is not None]
    for at, victim in enumerate(named[:VICTIMS_SHOWN]):
        parts = [
            f"{name} {sizes.size(size)}"
            for name, size in (
                ("anon", victim.anon_rss),
                ("file", victim.file_rss),
                ("shmem", victim.shmem_rss),
                ("page tables", victim.pgtables),
            )
            if size
        ]
        if victim.oom_score_adj:
            parts.append(f"oom_score_adj {victim.oom_score_adj}")
        if victim.how not in ("chosen",):
            parts.append(victim.how)
        if victim.reaped is False:
            parts.append("its memory could not be taken at once")
        if victim.signal:
            parts.append(victim.signal)
        line = Text(victim_words(victim), style="red")
        line.append(f"  {words.plain(', '.join(parts))}", style="")
        grid.add_row(_label("killed" if at == 0 else ""), line)
    if len(named) > VICTIMS_SHOWN:
        grid.add_row("", _label(f"and {len(named) - VICTIMS_SHOWN} more"))
    if event.task_memcg and event.task_memcg not in ("/", event.memcg) and event.killer == "kernel":
        grid.add_row("", Text(words.plain(f"in {event.task_memcg}")))
    if event.panic:
        grid.add_row(Text("panic", style="bold red"), Text(words.plain(event.panic)))


def _memory(grid: Table, item: Explanation) -> None:
    from rich.text import Text

    held = item.held
    if held is None or not held.shares:
        return
    rows = sorted(((part.name, part.bytes) for part in held.shares), key=lambda row: -row[1])
    if held.unaccounted is not None and held.unaccounted > (held.total or 0) // 50:
        rows = sorted([*rows, ("nobody's", held.unaccounted)], key=lambda row: -row[1])
    whole = max(held.total or 0, max(size for _, size in rows)) or 1
    of, much = ("of RAM", "RAM there is") if held.scope == "machine" else ("in use", "is in use")
    swap = ""
    if held.scope == "machine" and held.swap_total is not None:
        there, left = sizes.alike((held.swap_total, held.swap_free))
        free = f", {left} free" if held.swap_free is not None and held.swap_total else ""
        swap = f"; swap {there}{free}" if held.swap_total else "; no swap"
    total = f"{sizes.size(held.total)} {of}" if held.total is not None else f"not told how much {much}"
    grid.add_row(_label("memory"), Text(total + swap))
    shown = rows[:SHARES_SHOWN]
    for (name, size), said in zip(shown, sizes.column([size for _, size in shown])):
        bar = "#" * max(1, round(BAR * size / whole))
        share = "" if held.total is None else f"{size / whole:.0%}"
        line = Text(f"{name:<18} {said:>10} {share:>4} ")
        line.append(
            bar, style="red" if name == "nobody's" else "green" if name.startswith("free") else "blue"
        )
        grid.add_row("", line)


def _eaters(grid: Table, item: Explanation) -> None:
    from rich.text import Text

    victims = {victim.pid for victim in item.event.victims}
    rows: list[tuple[int, Text]] = []
    processes = item.processes[:EATERS_SHOWN]
    programs = [program for program in item.programs if program.processes > 1][:PROGRAMS_SHOWN]
    held = [(each.rss, each.swap) for each in processes] + [(each.rss, each.swap) for each in programs]
    told = iter(sizes.column([size for pair in held for size in pair]))
    for process in processes:
        rss, swapped = next(told), next(told)
        swap = f", swap {swapped}" if process.swap else ""
        adj = f", oom_score_adj {process.oom_score_adj}" if process.oom_score_adj else ""
        name = f"{words.plain(process.comm)} (pid {process.pid})"
        line = Text(f"{name:<30} rss {rss:>10}{swap}{adj}")
        line.append("  killed" if process.pid in victims else "", style="red")
        rows.append((process.weight, line))
    for program in programs:
        rss, swapped = next(told), next(told)
        swap = f", swap {swapped}" if program.swap else ""
        name = f"{program.processes} x {words.plain(program.comm)}"
        line = Text(f"{name:<30} rss {rss:>10}{swap}")
        line.append("  shared pages counted by each", style="dim")
        rows.append((program.rss + (program.swap or 0), line))
    rows.sort(key=lambda row: -row[0])
    for at, (_, line) in enumerate(rows):
        grid.add_row(_label("by whom" if at == 0 else ""), line)
    for path, size in item.groups[:3]:
        grid.add_row("", Text(f"{sizes.size(size)} in {words.plain(path)}"))


def _choice(grid: Table, item: Explanation) -> None:
    from rich.text import Text

    found = item.choice
    if found is None:
        return
    verdict = {True: "confirmed", False: "not confirmed", None: "cannot be recomputed"}[found.confirmed]
    parts = [f"{verdict}: {found.why}"]
    if found.confirmed is not None and found.points is not None and item.event.constraint != "memcg":
        parts.append(f"rank {found.rank} of {len(item.event.tasks)}, score {found.score} of 1000")
    if item.implied_swap:
        parts.append(f"its score implies {sizes.size(item.implied_swap)} in swap")
    grid.add_row(_label("choice"), Text(words.plain("; ".join(parts))))
