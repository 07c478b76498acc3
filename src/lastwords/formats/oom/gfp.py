"""What an allocation was allowed to do: the flags of a gfp mask.

From 4.6 on the kernel prints the names; older masks are decoded by the table of their era. Sources:
include/linux/gfp.h of 2.4.26, 2.6.11, 2.6.24, 2.6.32, 3.10, 3.18, 4.4, 4.5; include/trace/events/mmflags.h.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

Version = tuple[int, ...]

_COMMON = {
    0x01: "__GFP_DMA",
    0x02: "__GFP_HIGHMEM",
    0x04: "__GFP_DMA32",
    0x20: "__GFP_HIGH",
    0x40: "__GFP_IO",
    0x80: "__GFP_FS",
    0x100: "__GFP_COLD",
    0x200: "__GFP_NOWARN",
    0x400: "__GFP_REPEAT",
    0x800: "__GFP_NOFAIL",
    0x1000: "__GFP_NORETRY",
    0x4000: "__GFP_COMP",
    0x8000: "__GFP_ZERO",
    0x10000: "__GFP_NOMEMALLOC",
    0x20000: "__GFP_HARDWALL",
    0x40000: "__GFP_THISNODE",
}
_BEFORE_31 = {**_COMMON, 0x10: "__GFP_WAIT", 0x80000: "__GFP_RECLAIMABLE", 0x100000: "__GFP_MOVABLE"}
_BEFORE_44 = {
    **_COMMON,
    0x08: "__GFP_MOVABLE",
    0x10: "__GFP_WAIT",
    0x2000: "__GFP_MEMALLOC",
    0x80000: "__GFP_RECLAIMABLE",
    0x200000: "__GFP_NOTRACK",
    0x400000: "__GFP_NO_KSWAPD",
    0x800000: "__GFP_OTHER_NODE",
    0x1000000: "__GFP_WRITE",
}
_FROM_44 = {
    **_COMMON,
    0x08: "__GFP_MOVABLE",
    0x10: "__GFP_RECLAIMABLE",
    0x2000: "__GFP_MEMALLOC",
    0x80000: "__GFP_ATOMIC",
    0x100000: "__GFP_ACCOUNT",
    0x200000: "__GFP_NOTRACK",
    0x400000: "__GFP_DIRECT_RECLAIM",
    0x800000: "__GFP_OTHER_NODE",
    0x1000000: "__GFP_WRITE",
    0x2000000: "__GFP_KSWAPD_RECLAIM",
}
_24 = {
    0x01: "__GFP_DMA",
    0x02: "__GFP_HIGHMEM",
    0x10: "__GFP_WAIT",
    0x20: "__GFP_HIGH",
    0x40: "__GFP_IO",
    0x80: "__GFP_HIGHIO",
    0x100: "__GFP_FS",
}
_TABLES: tuple[tuple[Version, dict[int, str]], ...] = (
    ((4, 4), _FROM_44),
    ((2, 6, 31), _BEFORE_44),
    ((2, 5), _BEFORE_31),
    ((0,), _24),
)

# Names that stand for several, the largest first. __GFP_WAIT is what __GFP_RECLAIM was before 4.4.
_COMPOUND = {
    "GFP_TRANSHUGE": "GFP_HIGHUSER_MOVABLE __GFP_COMP __GFP_NOMEMALLOC __GFP_NOWARN __GFP_DIRECT_RECLAIM",
    "GFP_TRANSHUGE_LIGHT": "__GFP_IO __GFP_FS __GFP_HARDWALL __GFP_HIGHMEM __GFP_MOVABLE __GFP_COMP"
    " __GFP_NOMEMALLOC __GFP_NOWARN",
    "GFP_HIGHUSER_MOVABLE": "__GFP_RECLAIM __GFP_IO __GFP_FS __GFP_HARDWALL __GFP_HIGHMEM __GFP_MOVABLE",
    "GFP_HIGHUSER": "__GFP_RECLAIM __GFP_IO __GFP_FS __GFP_HARDWALL __GFP_HIGHMEM",
    "GFP_USER": "__GFP_RECLAIM __GFP_IO __GFP_FS __GFP_HARDWALL",
    "GFP_TEMPORARY": "__GFP_RECLAIM __GFP_IO __GFP_FS __GFP_RECLAIMABLE",
    "GFP_KERNEL_ACCOUNT": "__GFP_RECLAIM __GFP_IO __GFP_FS __GFP_ACCOUNT",
    "GFP_KERNEL": "__GFP_RECLAIM __GFP_IO __GFP_FS",
    "GFP_NOFS": "__GFP_RECLAIM __GFP_IO",
    "GFP_ATOMIC": "__GFP_HIGH __GFP_KSWAPD_RECLAIM",
    "GFP_NOIO": "__GFP_RECLAIM",
    "GFP_NOWAIT": "__GFP_KSWAPD_RECLAIM",
    "GFP_DMA": "__GFP_DMA",
    "GFP_DMA32": "__GFP_DMA32",
}
_SHORTENED = ("GFP_HIGHUSER_MOVABLE", "GFP_HIGHUSER", "GFP_USER", "GFP_KERNEL", "GFP_NOFS", "GFP_NOIO")
_SYNONYMS = {"__GFP_WAIT": "__GFP_RECLAIM"}


def decode(mask: int, version: Optional[Version] = None) -> str:
    """Return the flags of a mask as newer kernels print them.

    :param version: of the kernel; unknown, it is one that prints no names and has the most usual table

    >>> decode(0x201DA, (3, 10, 0)), decode(0x1201D2, (2, 6, 24)), decode(0)
    ('GFP_HIGHUSER_MOVABLE|__GFP_COLD', 'GFP_HIGHUSER_MOVABLE|__GFP_COLD', '0')
    """
    table = next(names for first, names in _TABLES if (version or (3,)) >= first)
    found = {name for bit, name in table.items() if mask & bit}
    unknown = mask & ~sum(table)
    if {"__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM"} <= found:
        found = found - {"__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM"} | {"__GFP_RECLAIM"}
    plain = {_SYNONYMS.get(name, name) for name in found}
    parts: list[str] = []
    for name in _SHORTENED:
        bits = set(_COMPOUND[name].split())
        if bits <= plain:
            parts, plain = [name], plain - bits
            break
    parts += [_SYNONYMS.get(name, name) for name in table.values() if _SYNONYMS.get(name, name) in plain]
    parts += ["__GFP_RECLAIM"] if "__GFP_RECLAIM" in plain and "__GFP_RECLAIM" not in parts else []
    if unknown:
        parts.append(f"{unknown:#x}")
    return "|".join(parts) or "0"


def expand(flags: str) -> frozenset[str]:
    """Return the single flags behind printed ones.

    >>> sorted(expand("GFP_NOFS|__GFP_ZERO"))
    ['__GFP_IO', '__GFP_RECLAIM', '__GFP_ZERO']
    """
    return frozenset(_expanded(flags.split("|")))


def _expanded(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        if name in _COMPOUND:
            yield from _expanded(_COMPOUND[name].split())
        elif name:
            yield name


def highest_zone(flags: frozenset[str]) -> str:
    """Return the highest zone that an allocation may use; lower ones are its fallback (gfp_zone()).

    >>> highest_zone(expand("GFP_KERNEL")), highest_zone(expand("GFP_HIGHUSER_MOVABLE"))
    ('Normal', 'Movable')
    """
    if "__GFP_DMA" in flags:
        return "DMA"
    if "__GFP_DMA32" in flags:
        return "DMA32"
    if "__GFP_HIGHMEM" in flags:
        return "Movable" if "__GFP_MOVABLE" in flags else "HighMem"
    return "Normal"


ZONES = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")
"""Zones from the lowest to the highest (enum zone_type)."""


def zones_allowed(flags: frozenset[str]) -> tuple[str, ...]:
    """Return the zones that an allocation may take memory of, the lowest first.

    >>> zones_allowed(expand("GFP_KERNEL"))
    ('DMA', 'DMA32', 'Normal')
    """
    return ZONES[: ZONES.index(highest_zone(flags)) + 1]
