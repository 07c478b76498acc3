"""Pressure stall information: /proc/pressure/* and the *.pressure files of control groups."""

from __future__ import annotations

import re
from typing import TypedDict

_LINE = re.compile(
    r"^(some|full) avg10=(\d+\.\d+) avg60=(\d+\.\d+) avg300=(\d+\.\d+) total=(\d+)", re.MULTILINE
)


class Pressure(TypedDict):
    """How much of the time tasks waited."""

    avg10: float
    """Per cent of the last 10 seconds."""
    avg60: float
    avg300: float
    total: int
    """Microseconds since boot."""


def parse_pressure(text: str) -> dict[str, Pressure]:
    """Return the lines ``some`` (at least one task waited) and ``full`` (all did), as far as they are there.

    Source: Documentation/accounting/psi.rst. For cpu there is no ``full`` before 5.13.

    >>> parse_pressure("some avg10=1.50 avg60=0.20 avg300=0.00 total=4711")
    {'some': {'avg10': 1.5, 'avg60': 0.2, 'avg300': 0.0, 'total': 4711}}
    """
    return {
        kind: {"avg10": float(ten), "avg60": float(sixty), "avg300": float(more), "total": int(total)}
        for kind, ten, sixty, more, total in _LINE.findall(text)
    }
