"""Sizes in words, both ways: ``2G`` as systemd reads it, and bytes as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def alike(values: Sequence[Optional[float]]) -> list[str]:
    """Return sizes of one sentence in one unit, that of the largest or the next, to be compared.

    >>> alike([27380416512, 6227702579, 95420416])
    ['25.5 GiB', '5.8 GiB', '0.1 GiB']
    >>> alike([2199023255552, 644245094])
    ['2,048.0 GiB', '0.6 GiB']
    """
    unit, power = _unit(values)
    smallest = min((abs(value) for value in values if value), default=0.0)
    if power and 0 < smallest < 0.05 * 1024**power:
        unit, power = _BINARY[power - 1], power - 1
    return [_in(value, unit, power, 1) for value in values]


def column(values: Sequence[Optional[float]]) -> list[str]:
    """Return sizes of one column of a table in one unit, small enough for the small ones.

    >>> column([32427376640, 359976960, 15728640, 208896, 0])
    ['30,925 MiB', '343 MiB', '15 MiB', '<1 MiB', '0 MiB']
    >>> column([529320755, 81920])
    ['504.8 MiB', '0.1 MiB']
    """
    unit, power = _unit(values)
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if unit in ("GiB", "TiB") and largest < 100 * 1024**power:
        unit, power = _BINARY[power - 1], power - 1
    return [_in(value, unit, power, 0 if largest >= 1000 * 1024**power else 1) for value in values]


_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def _unit(values: Sequence[Optional[float]]) -> tuple[str, int]:
    """Return the unit of the largest value, and its power of 1024."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    power = next((power for power in range(len(_BINARY)) if largest < 1024 ** (power + 1)), len(_BINARY) - 1)
    return _BINARY[power], power


def _in(value: Optional[float], unit: str, power: int, digits: int) -> str:
    if value is None:
        return "?"
    number = value / 1024**power
    if power == 0 or value == 0:
        return f"{number:.0f} {unit}"
    least = 10**-digits
    return f"<{least:g} {unit}" if 0 < number < least / 2 else f"{number:,.{digits}f} {unit}"


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
