"""The watermarks and sizes of memory zones in /proc/zoneinfo."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

_ZONE = re.compile(r"^Node\s+(\d+),\s+zone\s+(\S+)\s*$")
_SIZE = re.compile(r"^\s+(pages free|boost|min|low|high|promo|spanned|present|managed|cma)\s+(\d+)\s*$")
_PROTECTION = re.compile(r"^\s+protection: \(([\d, ]*)\)")


@dataclass(frozen=True)
class Zone:
    """One zone. Counts are pages."""

    node: int
    name: str
    pages: dict[str, int] = field(default_factory=dict)
    """``free``, the watermarks ``min``, ``low``, ``high`` (``boost`` from 5.14, ``promo`` from 6.1), and
    ``spanned``, ``present``, ``managed`` (3.9), ``cma`` (5.12)."""
    protection: tuple[int, ...] = ()
    """Pages kept from requests that could have used a higher zone, by that zone (lowmem_reserve)."""

    def get(self, name: str) -> Optional[int]:
        """Return a count of pages, or None when this kernel does not tell it."""
        return self.pages.get(name)


def parse_zoneinfo(text: str) -> list[Zone]:
    """Return the zones that have memory or could have (zoneinfo_show_print, mm/vmstat.c).

    The statistics of zones and nodes are left out: they add up to those in /proc/vmstat.

    >>> zone, = parse_zoneinfo('''Node 0, zone   Normal
    ...   pages free     5000
    ...         min      64
    ...         low      80
    ...         high     96
    ...         managed  90000
    ...         protection: (0, 0)
    ...       nr_free_pages 5000
    ...   pagesets
    ...     cpu: 0
    ...               high:  378''')
    >>> zone.pages, zone.protection
    ({'free': 5000, 'min': 64, 'low': 80, 'high': 96, 'managed': 90000}, (0, 0))
    """
    zones: list[Zone] = []
    within = False
    for line in text.splitlines():
        head = _ZONE.match(line)
        if head:
            zones.append(Zone(int(head[1]), head[2]))
            within = True
        elif "pagesets" in line:
            within = False  # each CPU's lists have lines called high, too
        elif zones and within:
            size = _SIZE.match(line)
            if size:
                zones[-1].pages[size[1].replace("pages free", "free")] = int(size[2])
                continue
            protection = _PROTECTION.match(line)
            if protection:
                numbers = tuple(int(number) for number in protection[1].split(",") if number.strip())
                zones[-1] = Zone(zones[-1].node, zones[-1].name, zones[-1].pages, numbers)
    return zones
