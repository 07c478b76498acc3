"""Values of a crash report in words, the same in every format for people."""

from __future__ import annotations

from typing import Any, Optional

from lastwords.analyzer.crash_log import CrashLog, Entry
from lastwords.formats.crash.frames import plain_name
from lastwords.formats.crash.skip import TELLS_LITTLE
from lastwords.reports import words

FRAMES_SHOWN = 6


def headline(log: CrashLog) -> str:
    """Return in one line what a log tells."""
    total = len(log.reports) + log.unlisted
    if not total:
        return "no kernel report, no boot or crash dump that failed"
    fatal = sum(bool(entry["fatal"]) for entry in log.reports)
    parts = [f"{total} report{'s' if total != 1 else ''}"]
    if fatal:
        parts.append(f"{fatal} fatal")
    if log.unlisted:
        parts.append(f"the first {len(log.reports)} are listed")
    return ", ".join(parts)


def place(entry: Entry) -> str:
    """Return when and where a report stands in the log."""
    parts = []
    if entry["time"] is not None:
        parts.append(words.moment(entry["time"]))
    if entry["monotonic"] is not None:
        parts.append(f"{entry['monotonic']:.3f} s after boot")
    lines = f"line {entry['line']}"
    if entry["last_line"] != entry["line"]:
        lines = f"lines {entry['line']} to {entry['last_line']}"
    return ", ".join([*parts, lines])


def machine(entry: Entry) -> Optional[str]:
    """Return kernel, CPU, process, taint and hardware of a kernel report, as far as it tells."""
    parts = []
    if entry["release"]:
        parts.append(f"kernel {entry['release']}")
    if entry["cpu"] is not None:
        parts.append(f"CPU {entry['cpu']}")
    if entry["comm"]:
        pid = f" (pid {entry['pid']})" if entry["pid"] is not None else ""
        parts.append(f"{entry['comm']}{pid}")
    taint = entry["taint"]
    if taint and taint["letters"]:
        parts.append(f"tainted {taint['letters']}")
    if entry["hardware"]:
        parts.append(entry["hardware"])
    return ", ".join(parts) or None


def trace(entry: Entry, full: bool = False) -> Optional[str]:
    """Return the frames from the guilty one on, the one that called after the one that was called.

    :param full: all frames, not only those that tell the most
    """
    frames = [frame for frame in entry["frames"] if frame["reliable"]]
    names = [plain_name(frame["function"]) for frame in frames]
    if full:
        first = 0
    elif entry["frame"] in names:
        first = names.index(entry["frame"])
    else:
        first = next((at for at, name in enumerate(names) if not TELLS_LITTLE.search(name)), 0)
    last = len(frames) if full else first + FRAMES_SHOWN
    shown = [_frame(frame) for frame in frames[first:last]]
    more = " ..." if len(names) > last else ""
    return " < ".join(shown) + more if shown else None


def doubt(entry: Entry) -> Optional[str]:
    """Return why a title cannot be trusted, or None."""
    reason = entry["corrupted_reason"]
    return f"title uncertain: {reason}" if reason else None


def _frame(frame: dict[str, Any]) -> str:
    module = f" [{frame['module']}]" if frame["module"] else ""
    return f"{frame['function']}{module}"
