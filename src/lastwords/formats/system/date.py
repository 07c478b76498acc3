"""What date(1) and timedatectl(1) print."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional

_DATE = re.compile(r"\w{3} +(\w{3} +\d+ +\d\d:\d\d:\d\d)(?: ([AP]M))? ([A-Za-z0-9+-]+) (\d{4})")
_OFFSET = re.compile(r"Time ?zone: .*\([\w+-]+, ([+-])(\d\d)(\d\d)\)")


def parse_date(text: str) -> Optional[tuple[float, str]]:
    """Return the time as seconds since the epoch, as if it were UTC, and the zone; None for anything else.

    >>> parse_date("Tue Nov 24 04:44:27 CET 2026\\n")
    (1795495467.0, 'CET')
    >>> parse_date("Mon Mar  2 10:00:00 PM UTC 2026")
    (1772488800.0, 'UTC')
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    clock = "%I:%M:%S %p" if match[2] else "%H:%M:%S "
    try:
        parsed = datetime.strptime(f"{match[1]} {match[2] or ''} {match[4]}", f"%b %d {clock} %Y")
    except ValueError:
        return None
    return parsed.replace(tzinfo=timezone.utc).timestamp(), match[3]


def parse_zone_offset(text: str) -> Optional[int]:
    """Return the seconds that the zone of ``timedatectl`` output is ahead of UTC, or None.

    >>> parse_zone_offset("       Time zone: America/St_Johns (NST, -0330)")
    -12600
    """
    match = _OFFSET.search(text)
    if match is None:
        return None
    return (1 if match[1] == "+" else -1) * (int(match[2]) * 3600 + int(match[3]) * 60)
