"""Listings that ``ls -l`` printed: the only word a sosreport has of files it did not copy."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_ENTRY = re.compile(
    r"^\s*(?:(?P<inode>\d+)\s+)?(?P<type>[-dlbcps?])(?P<mode>[-rwxsStT?]{9})[.+@]?\s+(?P<links>[\d?]+)\s+"
    r"(?P<owner>\S+)\s+(?P<group>\S+)\s+(?:(?P<context>[\w?]\S*:\S+|\?)\s+)?"
    r"(?:(?P<size>\d+)|(?P<major>\d+),\s*(?P<minor>\d+)|\?)\s+"
    r"(?P<time>[A-Z][a-z]{2}\s+\d+\s+(?:\d\d:\d\d|\d{4})|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+)?)?"
    r"(?: [+-]\d{4})?|\?)\s(?P<name>.*)$"
)
_TYPES = {"-": "file", "d": "dir", "l": "link"}


@dataclass(frozen=True)
class Listed:
    """One entry of a listing. ``time`` is in seconds since the epoch (the host's zone taken as UTC), to
    the minute or the day as ``ls`` printed it; None when it did not or the year is not known."""

    directory: str
    name: str
    type: str
    size: Optional[int]
    mode: Optional[int]
    time: Optional[float]
    target: Optional[str]


def parse_ls(text: str, directory: Optional[str] = None, now: Optional[float] = None) -> Iterator[Listed]:
    """Yield the entries of ``ls -l`` output; ``-R``, ``-a``, ``-Z``, ``-n`` and ``-i`` are understood.

    :param directory: what was listed, when the output has no ``name:`` headers of its own
    :param now: when it ran, seconds since the epoch: ``ls`` leaves out the year of recent files

    >>> line = "-rw-r--r--. 1 root root system_u:object_r:boot_t:s0 4096 Mar  1  2024 vmlinuz-6.1"
    >>> entry = next(parse_ls("/boot:\\ntotal 4\\n" + line))
    >>> entry.directory, entry.name, entry.size, oct(entry.mode), entry.time
    ('/boot', 'vmlinuz-6.1', 4096, '0o644', 1709251200.0)
    """
    here = directory
    for line in text.splitlines():
        if line.startswith("/") and line.endswith(":"):
            here = line[:-1].rstrip("/") or "/"
            continue
        match = _ENTRY.match(line)
        if match is None or here is None:
            continue
        name, target = match["name"], None
        if match["type"] == "l" and " -> " in name:
            name, _, target = name.partition(" -> ")
        if name in (".", ".."):
            continue
        if name.startswith("/"):
            # A file given as an argument is listed under its whole path.
            parent, _, name = name.rpartition("/")
        else:
            parent = here
        yield Listed(
            parent or "/",
            name,
            _TYPES.get(match["type"], "other"),
            int(match["size"]) if match["size"] else None,
            _mode(match["mode"]),
            _time(match["time"], now),
            target,
        )


def listed_directories(text: str, directory: Optional[str] = None) -> set[str]:
    """Return the directories whose whole content the output shows."""
    found = {
        line[:-1].rstrip("/") or "/"
        for line in text.splitlines()
        if line.startswith("/") and line.endswith(":")
    }
    if directory and not found and re.search(r"^total \d", text, re.MULTILINE):
        found.add(directory)
    return found


def _mode(letters: str) -> Optional[int]:
    if "?" in letters:
        return None
    mode = 0
    for index, letter in enumerate(letters):
        if letter in "rwxst":
            mode |= 1 << (8 - index)
        if letter in "sStT":
            mode |= {2: 0o4000, 5: 0o2000, 8: 0o1000}[index]
    return mode


def _time(text: str, now: Optional[float]) -> Optional[float]:
    iso = re.match(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?(?: ([+-])(\d\d)(\d\d))?", text)
    if iso:
        year, month, day, hour, minute = (int(part) for part in iso.groups()[:5])
        stamp = calendar.timegm((year, month, day, hour, minute, int(iso[6] or 0)))
        if iso[7]:
            stamp -= (1 if iso[7] == "+" else -1) * (int(iso[8]) * 3600 + int(iso[9]) * 60)
        return float(stamp)
    classic = re.match(r"([A-Z][a-z]{2})\s+(\d+)\s+(?:(\d\d):(\d\d)|(\d{4}))", text)
    if not classic or classic[1] not in _MONTHS:
        return None
    month, day = _MONTHS[classic[1]], int(classic[2])
    if classic[5]:
        return float(calendar.timegm((int(classic[5]), month, day, 0, 0, 0)))
    if now is None:
        return None
    clock = (int(classic[3]), int(classic[4]), 0)
    # ls prints the time instead of the year for the last six months: the latest such day not after now.
    for year in range(_year(now) + 1, _year(now) - 2, -1):
        stamp = calendar.timegm((year, month, day, *clock))
        if stamp <= now + 86400:
            return float(stamp)
    return None


def _year(now: float) -> int:
    return 1970 + int(now // 31556952)
