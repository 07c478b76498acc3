"""Listings that ``ls -l`` printed: the only word a sosreport has of files it did not copy.

Sources: coreutils src/ls.c, busybox coreutils/ls.c; names stand as they are, since ``ls`` quotes them
on a terminal only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

LINE_LIMIT = 16 << 10
"""Characters of a line that may be an entry: PATH_MAX is 4096."""
_EPOCH = datetime(1970, 1, 1)
_MONTHS = {
    m: i
    for i, m in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
# Owner and group may have spaces in them (winbind), and -Z adds a context: none is asked for here, so what
# stands between the links and the size is passed over, unless both are numbers (-n).
_ENTRY = re.compile(
    r"\s*(?:\d+ +)?(?P<type>[-dlbcpsD?])(?P<mode>[-rwxsStT?]{9})[.+@]? +(?:\d+|\?) +"
    r"(?:(?P<uid>\d+) +(?P<gid>\d+) +|\S+ +\S.*?(?<=\S) +)(?:[^\s:]+:\S+ +|\? +)?"
    r"(?:(?P<size>\d+(?:\.\d+)?)(?P<unit>[KMGTPE]?)|\d+, *\d+|\?) +"
    r"(?P<time>[A-Z][a-z]{2} +\d+ +(?:\d\d:\d\d(?::\d\d \d{4})?|\d{4})"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: [+-]\d{4})?|\?) (?P<name>.+)",
)
_TOTAL = re.compile(r"total \d+(?:\.\d+)?[KMGTPE]?$")
_UNREAD = re.compile(r"^ls: reading directory '?(.+?)'?: [A-Z]", re.MULTILINE)
_TYPES = {"-": "file", "d": "dir", "l": "link"}
_UNITS = {unit: 1 << 10 * power for power, unit in enumerate(("", *"KMGTPE"))}


@dataclass(frozen=True)
class Listed:
    """One entry of a listing. ``size`` is in bytes, rounded as ``ls -h`` printed it; ``time`` in seconds
    since the epoch (the host's zone taken as UTC), to the minute or the day as ``ls`` printed it; None when
    it did not or the year is not known."""

    directory: str
    name: str
    type: str
    size: Optional[int]
    mode: Optional[int]
    time: Optional[float]
    target: Optional[str]
    uid: Optional[int] = None
    gid: Optional[int] = None


@dataclass(frozen=True)
class Listing:
    """What an output of ``ls`` shows."""

    entries: list[Listed]
    whole: frozenset[str]
    """Directories whose whole content it shows: with hidden files, without a line that was not understood."""


def parse_ls(
    text: str, directory: Optional[str] = None, now: Optional[float] = None, *, cut: bool = False
) -> Listing:
    """Return the entries of ``ls -l`` output, with or without ``-R``, ``-a``, ``-Z``, ``-n``, ``-i``, ``-h``.

    :param directory: what was listed, when the output has no ``name:`` headers of its own
    :param now: when it ran, seconds since the epoch: ``ls`` leaves out the year of recent files
    :param cut: whether the end of the output is missing

    >>> text = "/boot:\\ntotal 4\\n-rw-r--r--. 1 0 0 u:object_r:boot_t:s0 4096 Mar  1  2024 vmlinuz-6.1"
    >>> parse_ls(text).entries[0].__dict__  # doctest: +NORMALIZE_WHITESPACE
    {'directory': '/boot', 'name': 'vmlinuz-6.1', 'type': 'file', 'size': 4096, 'mode': 420,
     'time': 1709251200.0, 'target': None, 'uid': 0, 'gid': 0}
    """
    entries: list[Listed] = []
    hidden: set[str] = set()
    broken = {match[1] for match in _UNREAD.finditer(text)}
    here, fresh = directory, True
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""]):
        if line.startswith("/") and line.endswith(":") and _TOTAL.match(following):
            here, fresh = "/" + line[:-1].strip("/"), True
        elif _TOTAL.match(line) and fresh:
            fresh = False
        elif len(line) <= LINE_LIMIT and (match := _ENTRY.fullmatch(line)):
            # Before the total only files stand that were arguments, or the end of what was cut off.
            place = None if fresh else here
            entry = _entry(match, place, now)
            if match["name"] == "." and place:
                hidden.add(place)
            elif entry and match["name"] != "..":
                entries.append(entry)
        elif line and not line.startswith("ls: ") and here:
            broken.add(here)
    if cut and here:
        broken.add(here)
    return Listing(entries, frozenset(hidden - broken))


def _entry(match: re.Match[str], here: Optional[str], now: Optional[float]) -> Optional[Listed]:
    name, target = match["name"], None
    size = int(float(match["size"]) * _UNITS[match["unit"]]) if match["size"] else None
    if match["type"] == "l":
        name, target = _link(name, size)
    if name.startswith("/"):
        # A file given as an argument is listed under its whole path.
        parent, _, name = name.rpartition("/")
        here = parent or "/"
    if here is None or not name:
        return None
    return Listed(
        here,
        name,
        _TYPES.get(match["type"], "other"),
        size,
        _mode(match["mode"]),
        _time(match["time"], now),
        target,
        int(match["uid"]) if match["uid"] else None,
        int(match["gid"]) if match["gid"] else None,
    )


def _link(text: str, size: Optional[int]) -> tuple[str, Optional[str]]:
    """Split ``name -> target`` by the size of the link, that of its target: either may have an arrow."""
    if size:
        raw = text.encode("utf-8", "surrogateescape")
        if raw[-size - 4 : -size] == b" -> ":
            return raw[: -size - 4].decode("utf-8", "surrogateescape"), raw[-size:].decode(
                "utf-8", "surrogateescape"
            )
    name, arrow, target = text.partition(" -> ")
    return name, target if arrow else None


def _mode(letters: str) -> Optional[int]:
    if "?" in letters:
        return None
    mode = 0
    for index, letter in enumerate(letters):
        if letter in "rwxst":
            mode |= 1 << (8 - index)
        if letter in "sStT":
            mode |= {2: 0o4000, 5: 0o2000, 8: 0o1000}.get(index, 0)
    return mode


def _time(text: str, now: Optional[float]) -> Optional[float]:
    iso = re.match(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?(?: ([+-])(\d\d)(\d\d))?", text)
    if iso:
        year, month, day, hour, minute = (int(part) for part in iso.groups()[:5])
        stamp = _seconds(year, month, day, hour, minute, int(iso[6] or 0))
        if stamp is not None and iso[7]:
            stamp -= (1 if iso[7] == "+" else -1) * (int(iso[8]) * 3600 + int(iso[9]) * 60)
        return stamp
    classic = re.match(r"([A-Z][a-z]{2}) +(\d+) +(?:(\d\d):(\d\d)(?::(\d\d) (\d{4}))?|(\d{4}))", text)
    if not classic or classic[1] not in _MONTHS:
        return None
    month, day = _MONTHS[classic[1]], int(classic[2])
    hour, minute, second = (int(part or 0) for part in classic.groups()[2:5])
    if classic[6] or classic[7]:
        return _seconds(int(classic[6] or classic[7]), month, day, hour, minute, second)
    if now is None:
        return None
    this = (_EPOCH + timedelta(seconds=now)).year
    # ls prints the time instead of the year for the last six months: the latest such day not after now.
    for year in range(this + 1, this - 9, -1):
        stamp = _seconds(year, month, day, hour, minute)
        if stamp is not None and stamp <= now + 86400:
            return stamp
    return None


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> Optional[float]:
    """Return seconds since the epoch, or None for a day that there is not."""
    try:
        return (datetime(year, month, day, hour, minute, second) - _EPOCH).total_seconds()
    except ValueError:
        return None
