"""Sizes in words, both ways: ``2G`` as systemd reads it, and bytes as people read them."""

from __future__ import annotations

import re
from typing import Optional

from lastwords.formats import FormatError

UNITS = "KMGTPE"
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?\s*(?:([KMGTPE])i?B?|B)?", re.IGNORECASE)


def size(value: Optional[float]) -> str:
    """Return a number of bytes in binary units.

    >>> size(16473534464)
    '15.3 GiB'
    """
    if value is None:
        return "?"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def short_size(value: Optional[float]) -> str:
    """Return a number of bytes in five characters at most, for tables.

    >>> short_size(16473534464), short_size(4096), short_size(0), short_size(1048051712)
    ('15.3G', '4K', '0', '1.0G')
    """
    if value is None:
        return "?"
    if abs(value) < 1024:
        return f"{value:.0f}"
    for unit in UNITS:
        value /= 1024
        if abs(value) < 999.5:
            return f"{value:.0f}{unit}" if abs(value) >= 99.95 or unit == "K" else f"{value:.1f}{unit}"
    return "huge"


def parse_size(text: str) -> int:
    """Return bytes; units count in 1024s, as in systemd.resource-control(5).

    >>> parse_size("2G"), parse_size("1.5 GiB"), parse_size("4096")
    (2147483648, 1610612736, 4096)

    :raises FormatError: it is no size
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise FormatError(f"{text!r}: expected a size such as 512M or 2G")
    whole, part, unit = match.groups()
    factor = 1024 ** (UNITS.index(unit.upper()) + 1) if unit else 1
    return int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)
