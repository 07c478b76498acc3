"""What a crash dump says, on one screen, in the order in which an engineer asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lastwords.formats import sizes
from lastwords.hookspecs import Look
from lastwords.model import Facts
from lastwords.reports import words
from lastwords.reports.screen import page_console, page_text

if TYPE_CHECKING:
    from rich.console import Console

KINDS = {"kdump": "kdump-compressed", "elf-core": "ELF core"}
LEVELS = ((1, "zero pages"), (2, "cache"), (4, "private cache"), (8, "user data"), (16, "free pages"))
EVENTS_SHOWN = 8
RANKED_SHOWN = 20


def render(document: Facts, sections: Sequence[str], look: Look) -> str:
    """Return the page: the sections asked for, or the summary when none was."""
    console = page_console(look)
    if not sections:
        _summary(console, document)
        _events(console, document)
        _last_lines(console, document)
    for name in sections:
        page = page_console(look)
        _SECTIONS[name](page, document)
        text = page_text(page)
        if text and len(sections) > 1:
            console.print(f"\n{name}", style="bold")
        console.file.write(text)
    _missing(console, document)
    return page_text(console)


def _summary(console: Console, document: Facts) -> None:
    from rich.table import Table
    from rich.text import Text

    file, kernel, log = document["file"], document["kernel"], document["log"]
    console.print(Text(words.plain(document["path"]), style="bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    names = [kernel["release"], kernel["machine"], kernel["version"]]
    rows = [
        ("kernel", ", ".join(words.plain(each) for each in names if each) or "not told"),
        ("host", words.plain(kernel["hostname"] or "not told")),
        ("crashed", _crashed(kernel)),
        ("build id", kernel["build_id"] or "not told"),
        ("file", _file(file)),
        ("whole", "no: " + "; ".join(file["damage"]) if file["damage"] else "yes"),
        ("log", _log(log)),
    ]
    for name, text in rows:
        grid.add_row(
            Text(name, style="dim"), Text(words.plain(text), style="red" if text[:3] == "no:" else "")
        )
    console.print(grid)
    if document["panic"]:
        console.print(Text("\n" + words.plain(document["panic"]), style="bold red"))
    if document["panic_task"]:
        who = document["panic_task"]
        console.print(Text(f"in {words.plain(who['comm'])} (PID {who['pid']}) on CPU {who['cpu']}"))


def _crashed(kernel: dict[str, Any]) -> str:
    up = f", {words.duration(kernel['uptime'])} after boot" if kernel["uptime"] else ""
    return words.moment(kernel["crash_time"]) + up


def _file(file: dict[str, Any]) -> str:
    parts = [KINDS[file["kind"]] + (f" v{file['version']}" if file["version"] else "")]
    parts += [f"pages packed with {file['compression']}"] if file["compression"] else []
    parts += ["a stream (makedumpfile -F)"] if file["flattened"] else []
    parts += [f"all of it packed with {file['wrapped']}"] if file["wrapped"] else []
    parts.append(sizes.size(file["size"]))
    parts.append(f"{sizes.size(file['dumped'])} of memory")
    if file["level"]:
        left_out = [name for bit, name in LEVELS if file["level"] & bit]
        parts.append(f"level {file['level']} (without {', '.join(left_out)})")
    return ", ".join(parts)


def _log(log: Any) -> str:
    if log is None or not log["count"]:
        return "not readable"
    span = f", {log['first'] or 0:.3f} to {log['last']:.3f} s" if log["last"] else ""
    lost = f", {log['lost']} lost" if log["lost"] else ""
    return f"{log['count']} messages{span}{lost}"


def _events(console: Console, document: Facts) -> None:
    from rich.table import Table
    from rich.text import Text

    events = document["events"]
    if not events:
        return
    shown = events[-EVENTS_SHOWN:]
    of = f" (the last {len(shown)} of {len(events)})" if len(shown) < len(events) else ""
    console.print(Text(f"\nWhat happened{of}", style="bold"))
    grid = Table.grid(padding=(0, 2))
    for column in range(3):
        grid.add_column(no_wrap=column < 2, overflow="fold")
    for event in shown:
        when = words.when(event["time"], event["monotonic"])
        summary = words.plain(event["summary"])
        grid.add_row(Text(when, style="dim"), Text(words.plain(event["kind"])), Text(summary))
    console.print(grid)


def _last_lines(console: Console, document: Facts) -> None:
    from rich.text import Text

    last = document["log"]["tail"] if document["log"] else ()
    if last:
        console.print(Text("\nThe last lines of the log", style="bold"))
    for line in last:
        console.print(Text(words.plain(line)), overflow="ellipsis", no_wrap=True)


def _dmesg(console: Console, document: Facts) -> None:
    from rich.text import Text

    for record in document["log"]["records"] if document["log"] else ():
        stamp = f"[{record['time']:12.6f}] " if record["time"] is not None else ""
        for line in record["text"].split("\n"):
            console.print(Text(stamp + words.plain(line)), soft_wrap=True)


def _tasks(console: Console, document: Facts) -> None:
    page = (document["file"]["page_size"] or 4096) // 1024
    rows = [
        (
            ">" if task["running"] else "",
            str(task["pid"]),
            str(task["parent"] if task["parent"] is not None else "?"),
            str(task["cpu"] if task["cpu"] is not None else "?"),
            task["state"] or "?",
            str(task["resident_pages"] * page) if task["resident_pages"] is not None else "-",
            str(task["oom_score_adj"] if task["oom_score_adj"] is not None else "-"),
            str(task["oom_share"] if task["oom_share"] is not None else "-"),
            f"[{task['comm']}]" if task["kernel_thread"] else task["comm"],
        )
        for task in document["tasks"] or ()
    ]
    _table(console, ("", "PID", "PPID", "CPU", "ST", "RSS KiB", "OOM ADJ", "OOM", "COMM"), rows, "<>>>^>>><")


def _oom(console: Console, document: Facts) -> None:
    page = (document["file"]["page_size"] or 4096) // 1024
    ranked = [task for task in document["tasks"] or () if task["oom_points"] is not None]
    ranked.sort(key=lambda task: -task["oom_points"])
    rows = [
        (
            str(task["pid"]),
            str(task["oom_points"] * page),
            str(task["oom_share"]),
            str(task["oom_score_adj"]),
            str(task["resident_pages"] * page),
            str(task["swap_pages"] * page),
            task["comm"],
        )
        for task in ranked[:RANKED_SHOWN]
    ]
    _table(console, ("PID", "POINTS KiB", "SHARE", "ADJ", "RSS KiB", "SWAP KiB", "COMM"), rows, ">>>>>><")


def _memory(console: Console, document: Facts) -> None:
    from rich.text import Text

    memory = document["memory"]
    if memory is None:
        return
    rows = [
        (name.replace("_", " "), sizes.size(value), f"{100 * value / max(memory['total'], 1):.1f} %")
        for name, value in memory.items()
        if isinstance(value, int)
    ]
    _table(console, ("MEMORY", "SIZE", "OF ALL"), rows, "<>>")
    caches = [
        (each["name"], sizes.size(each["bytes"]), str(each["objects"]), str(each["object_size"]))
        for each in memory["slab_caches"] or ()
    ]
    console.print(Text(""))
    _table(console, ("SLAB CACHE", "SIZE", "OBJECTS", "OF BYTES"), caches, "<>>>")


def _mounts(console: Console, document: Facts) -> None:
    rows = [
        (mount["device"], mount["filesystem"], "ro" if mount["read_only"] else "rw", mount["path"])
        for mount in document["mounts"] or ()
    ]
    _table(console, ("DEVICE", "TYPE", "", "PATH"), rows, "<<<<")


def _table(console: Console, heads: Sequence[str], rows: Sequence[tuple[str, ...]], sides: str) -> None:
    """Print rows in columns, none of them cut: what is wider than the page wraps at the terminal."""
    from rich.text import Text

    if not rows:
        return
    rows = [tuple(words.plain(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows)]
    for number, row in enumerate([tuple(heads), *rows]):
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths)]
        console.print(Text("  ".join(cells).rstrip(), style="" if number else "dim"), soft_wrap=True)


def _backtraces(console: Console, document: Facts) -> None:
    from rich.text import Text

    for number, trace in enumerate(document["backtraces"] or ()):
        where = f"CPU {trace['cpu']}" if trace["cpu"] is not None else f"state {trace['state']}"
        title = f"PID {trace['pid']}  {words.plain(trace['comm'] or '?')}  {where}"
        console.print(Text(("\n" if number else "") + title, style="bold"), soft_wrap=True)
        for depth, frame in enumerate(trace["frames"]):
            symbol = frame["symbol"] or frame["address"]
            symbol += f"+{frame['offset']:#x}" if frame["offset"] is not None else ""
            symbol += " (inlined)" if frame["inlined"] else ""
            symbol += f" at {frame['source']}" if frame["source"] else ""
            module = f" [{frame['module']}]" if frame["module"] else ""
            guess = "" if frame["exact"] else "  (found by searching the stack)"
            line = f"#{depth:<2} {frame['stack']}  {words.plain(symbol + module)}{guess}"
            console.print(Text(line), soft_wrap=True)


def _missing(console: Console, document: Facts) -> None:
    from rich.text import Text

    if not document["missing"]:
        return
    console.print(Text("\nNot read", style="bold"))
    for each in document["missing"]:
        remedy = f"; {each['remedy']}" if each["remedy"] else ""
        console.print(Text(f"{each['what']}: {words.plain(each['why'])}{remedy}", style="yellow"))


_SECTIONS = {
    "dmesg": _dmesg,
    "ps": _tasks,
    "oom": _oom,
    "memory": _memory,
    "bt": _backtraces,
    "mount": _mounts,
}
