"""The screen of ``lastwords top``: what memory is left, who dies next and why, and everybody after that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from lastwords.analyzer.candidates import Candidate
from lastwords.analyzer.prediction import Arena, Prediction
from lastwords.formats.oom.badness import NEVER
from lastwords.formats.sizes import short_size, size
from lastwords.reports.words import duration, plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

WIDE = 110
"""Columns from which there is room for more than the necessary."""
BAR = 20
GROUPS_SHOWN = 3
NAMES_SHOWN = 6
SOON = 3600.0
"""Seconds: an end of memory nearer than that is said."""
HIGH = 0.9
"""Share of a limit from which it is shown in red."""


@dataclass(frozen=True)
class Trend:
    """How things changed since earlier looks."""

    growth: Mapping[int, float] = field(default_factory=dict)
    """Bytes a second, by pid."""
    left: Optional[float] = None
    """Seconds until memory and swap are used up at this rate; None when they are not."""


@dataclass(frozen=True)
class Frame:
    """One look at a host."""

    host: str
    time: Optional[float]
    prediction: Prediction
    arena: Arena
    """The one whose ranking is shown."""
    trend: Trend = field(default_factory=Trend)
    live: bool = False


def screen(frame: Frame, console: Console, rows: Optional[int] = None) -> RenderableType:
    """Return the whole screen.

    :param rows: processes shown; None shows as many as fit on the console
    """
    from rich.console import Group

    above: list[RenderableType] = [*_head(frame), *_supplies(frame, console), *_next(frame)]
    if frame.arena.path is None:
        above += _groups(frame, console)
    below = _foot(frame)
    if rows is None:
        used = len(console.render_lines(Group(*above, *below), pad=False))
        rows = max(3, console.height - used - 2)
    return Group(*above, "", _table(frame, console, rows), *below)


def _head(frame: Frame) -> list[RenderableType]:
    from rich.text import Text

    prediction = frame.prediction
    when = "" if frame.time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(frame.time))
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(plain(frame.host), "bold")
    line.append(f"  Linux {plain(prediction.release or '?')}  {when}")
    check = Text(style="dim")
    check.append(f"formula of kernels {prediction.era.name}")
    if prediction.compared:
        right = prediction.equal == prediction.compared
        check.append(
            f", {prediction.equal} of {prediction.compared} scores equal the kernel's own",
            "" if right else "yellow",
        )
    return [line, check, *(Text("note: " + plain(note), "yellow") for note in prediction.notes)]


def _supplies(frame: Frame, console: Console) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    supply, arena = frame.prediction.supply, frame.arena
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=8)
    grid.add_column(width=BAR)
    grid.add_column(ratio=1)
    if supply.available is not None:
        text = f"{size(supply.ram - supply.available)} of {size(supply.ram)}, {size(supply.available)} left"
        grid.add_row("Memory", _bar(1 - supply.available / supply.ram, console), Text(text))
    if supply.swap and supply.swap_free is not None:
        text = f"{size(supply.swap - supply.swap_free)} of {size(supply.swap)}, {size(supply.swap_free)} left"
        grid.add_row("Swap", _bar(1 - supply.swap_free / supply.swap, console), Text(text))
    else:
        grid.add_row("Swap", "", Text("none", "dim"))
    if arena.path is not None:
        text = f"{size(arena.used)} of {size(arena.limit)} in {plain(arena.path)}"
        grid.add_row("Limit", _bar((arena.used or 0) / max(1, arena.limit), console), Text(text))
    grid.add_row("Pressure", *_pressure(frame, console))
    if frame.trend.left is not None and frame.trend.left < SOON:
        line = Text(f"used up in {duration(frame.trend.left)} at this rate", "bold red")
        grid.add_row("", "", line)
    return [grid]


def _pressure(frame: Frame, console: Console) -> tuple[RenderableType, RenderableType]:
    from rich.text import Text

    pressure = frame.prediction.supply.pressure
    if not pressure or "some" not in pressure:
        return "", Text("not told by this kernel", "dim")
    some, full = pressure["some"], pressure.get("full")
    text = Text(f"some wait {_averages(some)} %")
    if full:
        text.append(f", all {_averages(full)} %")
    text.append(" (10s/1m/5m)", "dim")
    return _bar(some["avg10"] / 100, console), text


def _averages(stall: Mapping[str, float]) -> str:
    return "/".join(f"{stall[key]:.0f}" for key in ("avg10", "avg60", "avg300"))


def _next(frame: Frame) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    arena = frame.arena
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=8)
    grid.add_column(ratio=1)
    if arena.victim:
        head = Text(f"{plain(arena.victim.comm)} ({arena.victim.pid})", "bold red")
        if arena.victim.unit:
            head.append(f" of {plain(arena.victim.unit)}", "not bold")
        if len(arena.dies) > 1:
            head.append(f" and {len(arena.dies) - 1} more", "bold red")
    else:
        head = Text(arena.outcome, "bold red")
    grid.add_row(Text("Next", "bold"), head)
    grid.add_row("", Text(plain(arena.why)))
    return ["", grid]


def _groups(frame: Frame, console: Console) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    groups = frame.prediction.groups
    if not groups:
        return []
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=8)
    grid.add_column(width=BAR)
    grid.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
    for number, group in enumerate(groups[:GROUPS_SHOWN]):
        dies = plain(f"{group.victim.comm} ({group.victim.pid})") if group.victim else group.outcome
        text = Text(f"{short_size(group.used)} of {short_size(group.limit)}: ")
        text.append(dies, "red")
        text.append(f" in {plain(_tail(group.path or '/', 1))}")
        bar = _bar((group.used or 0) / max(1, group.limit), console)
        grid.add_row("Limits" if number == 0 else "", bar, text)
    if len(groups) > GROUPS_SHOWN:
        grid.add_row("", "", Text(f"and {len(groups) - GROUPS_SHOWN} more groups with a limit", "dim"))
    return [grid]


def _table(frame: Frame, console: Console, rows: int) -> Table:
    from rich.table import Table

    wide = console.width >= WIDE
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="reverse")
    table.add_column("#", justify="right", width=3, no_wrap=True)
    table.add_column("PID", justify="right", width=7, no_wrap=True)
    table.add_column("NAME", width=15, no_wrap=True, overflow="ellipsis")
    table.add_column("SCORE", justify="right", width=5, no_wrap=True)
    if wide:
        table.add_column("WEIGHT", width=10, no_wrap=True)
    table.add_column("ADJ", justify="right", width=5, no_wrap=True)
    table.add_column("RSS", justify="right", width=5, no_wrap=True)
    table.add_column("SWAP", justify="right", width=5, no_wrap=True)
    if wide:
        table.add_column("TABLES", justify="right", width=6, no_wrap=True)
    if frame.live:
        table.add_column("GROWS/s", justify="right", width=7, no_wrap=True)
    if wide:
        table.add_column("UID", justify="right", width=6, no_wrap=True, overflow="ellipsis")
    table.add_column("GROUP" if wide else "UNIT", ratio=1, no_wrap=True, overflow="ellipsis")
    shown = [each for each in frame.arena.ranking if each.points is not None][:rows]
    most = max((each.points or 0 for each in shown), default=0)
    for number, each in enumerate(shown, 1):
        table.add_row(*_row(frame, console, number, each, most), style=_style(frame.arena, each))
    return table


def _row(frame: Frame, console: Console, number: int, each: Candidate, most: int) -> Sequence[RenderableType]:
    from rich.text import Text

    wide = console.width >= WIDE
    adj = each.task.adj
    growth = frame.trend.growth.get(each.pid, 0.0)
    # With control groups v1 memory may be charged to the root, while systemd knows the unit.
    group = each.record.get("cgroup") or ""
    group = (each.record.get("systemd_cgroup") or group) if group == "/" else group
    unit = (each.unit or "").removesuffix(".service") or _tail(group, 1)
    cells: list[Optional[RenderableType]] = [
        str(number),
        str(each.pid),
        Text(plain(each.comm)),
        str(each.score),
        _bar(max(0, each.points or 0) / max(1, most), console, 10, plainly=True) if wide else None,
        Text(str(adj), "yellow" if adj > 0 else "green" if adj < 0 else "dim"),
        short_size(each.task.rss),
        short_size(each.task.swap),
        short_size(each.task.page_tables) if wide else None,
        _growth(growth) if frame.live else None,
        str(each.record.get("uid", "?")) if wide else None,
        Text(plain(_tail(group, 3) if wide else unit)),
    ]
    return [cell for cell in cells if cell is not None]


def _growth(growth: float) -> Text:
    from rich.text import Text

    if abs(growth) < 1024:
        return Text("")
    return Text(f"{'+' if growth > 0 else '-'}{short_size(abs(growth))}", "red" if growth > 0 else "green")


def _style(arena: Arena, each: Candidate) -> str:
    if arena.victim and each.pid == arena.victim.pid:
        return "bold red"
    return "red" if each.pid in arena.dies else ""


def _foot(frame: Frame) -> list[RenderableType]:
    from rich.text import Text

    ranking = frame.arena.ranking
    protected = sorted({plain(each.comm) for each in ranking if each.task.adj == NEVER and each.task.rss})
    text = Text(style="dim", no_wrap=True, overflow="ellipsis")
    if frame.live:
        text.append("q", "bold reverse")
        text.append(" quits   ")
    if protected:
        more = f" and {len(protected) - NAMES_SHOWN} more" if len(protected) > NAMES_SHOWN else ""
        text.append(f"never killed (-1000): {', '.join(protected[:NAMES_SHOWN])}{more}")
    else:
        text.append("nothing here is protected with -1000")
    return [text]


def _bar(share: float, console: Console, width: int = BAR, *, plainly: bool = False) -> Text:
    """Return a bar; red from 90 % on, unless it compares one process with another."""
    from rich.text import Text

    share = min(1.0, max(0.0, share))
    full, empty = ("#", ".") if console.options.ascii_only else ("━", "─")
    filled = round(share * width)
    if share > 0 and filled == 0 and not plainly:
        filled = 1
    style = "" if plainly else "red" if share >= HIGH else "yellow" if share >= HIGH - 0.2 else "green"
    bar = Text(full * filled, style, no_wrap=True)
    bar.append(empty * (width - filled), "dim")
    return bar


def _tail(path: str, parts: int) -> str:
    """Return the end of a control group's path, which tells most."""
    found = path.strip("/").split("/")
    if parts == 1:
        return found[-1]
    return path if len(found) <= parts else "../" + "/".join(found[-parts:])
