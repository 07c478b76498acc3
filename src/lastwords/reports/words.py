"""Values in words, the same in every report for people."""

from __future__ import annotations

import re
import time
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.model import Case, Proof
from lastwords.verdict import Verdict, Wish

EPOCH = "seconds since the epoch, UTC"
COMMAND_WIDTH = 40
"""Characters of a command that is shown whole as the place of a proof."""
COMMAND_CUT = 24
"""Characters of a longer one that are shown, to the last whole word."""
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters but tab and newline, what reorders or hides others, and what UTF-8 cannot hold."""


def plain(text: Any) -> str:
    """Return text from a host without control characters: it may hold escape codes for a terminal."""
    return CONTROL.sub("\ufffd", str(text)).replace("\n", " ").replace("\t", " ")


def cut(text: Any, width: int) -> str:
    """Return text as :func:`plain` makes it, no longer than *width*.

    >>> cut("out of memory", 8)
    'out o...'
    """
    clean = plain(text)
    return clean if len(clean) <= width else clean[: max(1, width - 3)] + "..."


def moment(seconds: Optional[float]) -> str:
    """Return a time in UTC.

    >>> moment(1772445600.0)
    '2026-03-02 10:00:00 UTC'
    """
    if seconds is None:
        return "time unknown"
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return "time unknown"


def duration(seconds: Optional[float]) -> str:
    """Return a duration in its two greatest units.

    >>> duration(93600)
    '1d 2h'
    """
    if seconds is None:
        return "?"
    left = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts[:2])


def when(time: Optional[float], monotonic: Optional[float]) -> str:
    """Return when something happened: in UTC, or since boot where only that is known."""
    if time is None and monotonic is not None:
        return f"{monotonic:.3f} s after boot"
    return moment(time)


def short_place(path: str) -> str:
    """Return a path as it is, and of a long command its first words.

    >>> short_place("$ journalctl --no-pager -o short-iso -n 200000 _TRANSPORT=kernel")
    '$ journalctl --no-pager ...'
    """
    if path.startswith("$ ") and len(path) > COMMAND_WIDTH:
        cut = path[: COMMAND_CUT + 1].rpartition(" ")[0]
        return (cut if cut != "$" else path[:COMMAND_CUT]) + " ..."
    return path


def place(item: Proof) -> str:
    """Return where a proof stands: its path, or its command cut short, and its line."""
    return short_place(plain(item.path)) + (f":{item.line}" if item.line else "")


def proof(item: Proof) -> str:
    """Return a proof as one line: where, what it said, what was expected."""
    at = place(item)
    said = (
        plain(item.excerpt)
        if item.excerpt is not None
        else plain(item.value)
        if item.value is not None
        else ""
    )
    expected = f" (expected {plain(item.threshold)})" if item.threshold is not None else ""
    return f"{at}: {said}{expected}" if said or expected else at


INPUTS = {
    "live": "this host",
    "directory": "the tree of a disk",
    "vmcore": "crash dump",
    "log": "log",
    "files": "some files of a host: what is not among them is not known",
}
"""Kinds of roots, as people call them."""


TOPICS = {
    "host": "the machine",
    "kernel": "the kernel",
    "oom": "the settings of OOM killers",
    "memory": "the use of memory",
    "processes": "the processes",
    "kernel_log": "the kernel log",
    "kdump": "the set-up of kdump",
    "crash_dumps": "what crashes left",
    "boot": "/boot and the boot loader",
    "initramfs": "the initramfs images",
    "crash dump": "the crash dump",
    "more": "more of the log",
}
"""Topics of wishes, as people call them."""


def topics(wish: Wish) -> str:
    """Return what is wished for, in words."""
    return ", ".join(TOPICS.get(name, name) for name in wish.topic.split(", "))


def input_kind(case: Case) -> str:
    """Return what the input is."""
    return INPUTS.get(case.root_kind, case.root_kind)


def as_of(case: Case) -> str:
    """Return of which time the input is; of a log it is but when its file was written."""
    if case.taken_at is None:
        return ""
    return f"{', its file written' if case.root_kind == 'log' else ' of'} {moment(case.taken_at)}"


def tried(verdict: Verdict) -> str:
    """Return how many rules a verdict rests on."""
    tried = len(verdict.clear) + len({finding.id for finding in verdict.findings})
    skipped = f"; {len(verdict.skipped)} could not be, for want of input" if verdict.skipped else ""
    return f"{tried} rules were tried{skipped}"


def times(count: int) -> str:
    """Return how often, in words.

    >>> times(3)
    '3 times'
    """
    return "once" if count == 1 else f"{count} times"


def measured(value: Any, unit: Optional[str]) -> str:
    """Return a value of a fact in words.

    :param unit: ``bytes``, ``seconds since the epoch, UTC``, or None
    """
    if unit == "bytes":
        return size(value)
    return moment(value) if unit == EPOCH else plain(value)
