"""The table that ``journalctl --list-boots`` prints.

Two forms: a dash between first and last entry (systemd 209 to 251), columns with a head line (252 on).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

_ROW = re.compile(
    r"^ *(?P<index>-?\d+) (?P<id>[0-9a-f]{32}) \w{3} (?P<first>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?P<zone>\S+?)"
    r"(?:—| )\w{3} (?P<last>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?P<last_zone>\S+)\s*$"
)


@dataclass(frozen=True)
class Boot:
    """One boot the journal knows."""

    index: int
    """0 the newest, -1 the one before ..."""
    id: str
    """As /proc/sys/kernel/random/boot_id writes it, with dashes."""
    first: Optional[float]
    """First entry, seconds since the epoch; None when the zone is not UTC."""
    last: Optional[float]


def parse_boots(text: str) -> list[Boot]:
    """Return the boots, oldest first; other lines are passed over.

    >>> line = " 0 8a5f1d0c52f34c369be10c0ffee00001 Sun 2026-03-01 08:00:04 UTC—Mon 2026-03-02 09:59:12 UTC"
    >>> parse_boots(line)[0].first
    1772352004.0
    """
    found = []
    for line in text.splitlines():
        match = _ROW.match(line)
        if match is None:
            continue
        raw = match["id"]
        dashed = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
        first, last = _time(match["first"], match["zone"]), _time(match["last"], match["last_zone"])
        found.append(Boot(int(match["index"]), dashed, first, last))
    return sorted(found, key=lambda boot: boot.index)


def _time(text: str, zone: str) -> Optional[float]:
    if zone not in ("UTC", "GMT"):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
