"""Why the allocation failed: which zones it could use, and what stood against each.

Source: mm/page_alloc.c (``__zone_watermark_ok``): free pages, without those in CMA unless the allocation may
move, must exceed the low mark plus what is reserved against allocations that could use higher zones, and a
free block must be large enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.formats.oom.gfp import expand, highest_zone, zones_allowed
from lastwords.formats.oom.memory import Zone
from lastwords.formats.oom.report import OomEvent

_LOST_TYPES = set("CHI")
"""Free blocks of these migration types serve few: CMA, high-order atomic, isolated."""


@dataclass(frozen=True)
class ZoneState:
    """What an allocation met in a zone; sizes in bytes."""

    node: Optional[int]
    name: str
    allowed: bool
    """Whether the flags of the allocation let it use this zone."""
    free: int
    free_cma: int
    low_mark: Optional[int]
    """The watermark ``min``, boost included."""
    boost: int
    reserve: int
    """Kept from this allocation, since it could have used higher zones."""
    verdict: str
    """``not allowed``, ``below watermark``, ``boosted`` (above it but for the boost), ``only CMA``,
    ``reserved``, ``fragmented``, ``near watermark`` (freed since: the report is later), ``enough``."""


@dataclass(frozen=True)
class Failure:
    """Why it failed."""

    kind: str
    """``manual``, ``memcg``, ``nodes`` (cpuset, memory policy), ``lowmem``, ``fragmentation``, ``cma``,
    ``watermark`` or ``unclear``."""
    zones: tuple[ZoneState, ...] = ()


def failure(event: OomEvent) -> Failure:
    """Return why the allocation of an event failed."""
    zones = tuple(_state(event, zone) for zone in event.memory.zones)
    if event.manual:
        return Failure("manual", zones)
    if event.constraint == "memcg":
        return Failure("memcg")
    allowed = [zone for zone in zones if zone.allowed and zone.low_mark is not None]
    largest = max((zone.free for zone in allowed), default=0)
    tried = [zone for zone in allowed if zone.verdict != "enough"]
    if tried and any(zone.verdict == "enough" and zone.free == largest for zone in allowed):
        tried = []
    if event.trigger is None or not allowed:
        return Failure("unclear", zones)
    if event.constraint in ("cpuset", "memory_policy"):
        return Failure("nodes", zones)
    if any(zone.verdict == "fragmented" for zone in allowed) and not _only(allowed, "below watermark"):
        return Failure("fragmentation", zones)
    spared = [zone for zone in zones if not zone.allowed and zone.name in ("HighMem", "Movable", "Normal")]
    if tried and any(zone.verdict == "not allowed" and _above(zone) for zone in spared):
        return Failure("lowmem", zones)
    if any(zone.verdict == "only CMA" for zone in allowed):
        return Failure("cma", zones)
    return Failure("watermark" if tried else "unclear", zones)


def _only(zones: list[ZoneState], verdict: str) -> bool:
    return all(zone.verdict == verdict for zone in zones)


def _above(zone: ZoneState) -> bool:
    return zone.low_mark is not None and zone.free > zone.low_mark


def _state(event: OomEvent, zone: Zone) -> ZoneState:
    flags = expand(event.trigger.gfp_flags or "") if event.trigger is not None else frozenset()
    order = max(0, (event.trigger.order or 0) if event.trigger is not None else 0)
    page = event.page_size
    free, cma = zone.values.get("free", 0), zone.values.get("free_cma", 0)
    low, boost = zone.values.get("min"), zone.values.get("boost", 0)
    high = zone.values.get("high", 0)
    allowed = zone.name in zones_allowed(flags) or zone.name == "Device"
    if event.constraint in ("cpuset", "memory_policy") and zone.node is not None:
        nodes = _nodes(event.nodemask if event.constraint == "memory_policy" else event.mems_allowed)
        allowed = allowed and (nodes is None or zone.node in nodes)
    reserve = _reserve(event, zone, highest_zone(flags)) * page
    usable = free if "__GFP_MOVABLE" in flags else max(0, free - cma)
    if not allowed or zone.values.get("managed") == 0:
        verdict = "not allowed"
    elif low is None:
        verdict = "enough"
    elif free <= low:
        verdict = "boosted" if boost and free > low - boost and order == 0 else "below watermark"
    elif usable <= low or free - cma <= low:
        verdict = "only CMA"
    elif usable <= low + reserve:
        verdict = "reserved"
    elif order and not _has_block(zone, page << order):
        verdict = "fragmented"
    else:
        verdict = "near watermark" if usable <= high + reserve else "enough"
    return ZoneState(zone.node, zone.name, verdict != "not allowed", free, cma, low, boost, reserve, verdict)


def _has_block(zone: Zone, size: int) -> bool:
    if not zone.free_lists:
        return True  # the report does not tell
    return any(
        number and block >= size and not (types and set(types) <= _LOST_TYPES)
        for block, number, types in zone.free_lists
    )


def _reserve(event: OomEvent, zone: Zone, highest: str) -> int:
    """Return the pages of a zone that are kept from an allocation that could use *highest*."""
    count = len(zone.reserve)
    if count < 2:
        return 0
    names: tuple[str, ...]
    if any(other.name == "HighMem" for other in event.memory.zones):
        names = ("DMA", "Normal", "HighMem", "Movable")
    elif count >= 4:
        names = ("DMA", "DMA32", "Normal", "Movable", "Device")
    else:
        names = ("DMA", "Normal", "Movable")
    wanted = "Movable" if highest in ("HighMem", "Movable") else highest
    at = names.index(wanted) if wanted in names else count - 1
    return zone.reserve[min(at, count - 1)] or 0


def _nodes(text: Optional[str]) -> Optional[set[int]]:
    """Return the nodes in a list as kernels print it, None for no restriction.

    >>> sorted(_nodes("0-2,5")), _nodes("(null)")
    ([0, 1, 2, 5], None)
    """
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and len(first) < 6) or (last and not (last.isdecimal() and len(last) < 6)):
            return None
        found.update(range(int(first), min(int(last or first), int(first) + 4096) + 1))
    return found or None
