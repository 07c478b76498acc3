"""The title of a report, by which it can be searched, and its other titles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.crash.frame_pick import PICKS
from lastwords.formats.crash.kinds import Kind
from lastwords.formats.crash.trace import Trace

LENGTH = 120
"""Characters of a title."""

_PLACE = r"[\w./+-]+\.(?:[chS]|rs):\d+"
_CHANGING = (
    (re.compile(r"\(ptrval\)|\b0x[0-9a-f]{6,}\b|\b[0-9a-f]{6,}\b(?=[^\w]|$)"), "ADDR"),
    (re.compile(rf"(?<=\w) \((?:{_PLACE}(?: \(discriminator \d+\))? ?)+\)"), ""),
    (re.compile(r"\b([\w./-]+\.[chS]):\d+(?::\d+)?"), r"\1:LINE"),
    (re.compile(r"\b([A-Za-z_][\w.]*)\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?"), r"\1"),
    (re.compile(r"(?<=\w)(?:\.(?:cold|constprop|isra|llvm|part)(?:\.\w+)?)+(?![\w./-])"), ""),
    (re.compile(r"(?<=\bbpf_prog_)[0-9a-f]{16}"), "ADDR"),
    (re.compile(r"\bkworker/\d+(?=:)"), "kworker/NUM"),
    (re.compile(r"(\bkworker/\w+):\d+"), r"\1:NUM"),
    (re.compile(r"CPU#\d+"), "CPU"),
    (re.compile(r"\d{7,}"), "NUM"),
    (re.compile(r"(?<![\w./-])-?(?:0x[0-9a-f]+|\d+)(?![\w./-])"), "NUM"),
)
_HEAD = (
    (re.compile(r"^\[ "), ""),
    (re.compile(r"^BUG: (?=KASAN|KMSAN|KCSAN|KFENCE)"), ""),
    (re.compile(r"^-+\[ cut here \]-+\s*"), ""),
)


@dataclass(frozen=True)
class Titled:
    """What a report is called."""

    title: str
    alts: tuple[str, ...]
    frame: Optional[str]
    corrupted: Optional[str]
    """Why title and frame cannot be trusted, or None."""


def normalize(text: str) -> str:
    """Return a line without what differs each time: addresses, line numbers, offsets, numbers.

    >>> normalize("INFO: Freed in fasync_free_rcu+0x14/0x20 age=57 cpu=0 pid=18338")
    'INFO: Freed in fasync_free_rcu age=NUM cpu=NUM pid=NUM'
    >>> normalize("KCSAN: data-race in acme_poll.part.0.isra.0 / acme_write.llvm.8140952178")
    'KCSAN: data-race in acme_poll / acme_write'
    """
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text[:LENGTH].rstrip()


def title_of(kind: Kind, header: re.Match[str], body: str, trace: Trace) -> Titled:
    """Return the title of a report.

    :param header: the match of its first line
    :param body: its lines, the header among them
    """
    for form in kind.forms:
        needed = form.needs.search(body) if form.needs is not None else None
        if form.needs is not None and needed is None:
            continue
        groups = {**header.groupdict(), **(needed.groupdict() if needed else {})}
        words = {name: (value or "").strip() for name, value in groups.items()}
        pick = PICKS[form.pick]
        found = pick.find(trace, words.get("function") or None, form.spares)
        if found is None and pick.all_count:
            continue
        corrupted = None
        if pick.needs_trace and not trace.has_calls():
            corrupted = "only guessed frames in the call trace" if trace.is_guessed() else "no call trace"
        elif pick.needs_frame and found is None:
            corrupted = "no frame to blame"
        if pick.needs_frame and found is None:
            found = "corrupted"
        names: list[Optional[str]] = [*pick.names(found)] if found else [None]
        templates = (form.title, *form.alts)
        titles = [normalize(template.format(frame=name, **words)) for name in names for template in templates]
        return Titled(
            titles[0], tuple(dict.fromkeys(t for t in titles[1:] if t != titles[0])), names[0], corrupted
        )
    line = header.string[header.start() :].strip()
    for pattern, instead in _HEAD:
        line = pattern.sub(instead, line)
    return Titled(normalize(line), (), None, "an incomplete report")
