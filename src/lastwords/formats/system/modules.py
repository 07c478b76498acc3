"""Loaded kernel modules: ``/proc/modules`` and the output of ``lsmod``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_PROC = re.compile(
    r"^(?P<name>\S+) (?P<size>\d+) (?P<count>-|\d+) (?P<users>\S+) (?P<state>Live|Loading|Unloading)"
    r"(?: 0x[0-9a-f]+)?(?: \((?P<taint>[A-Za-z+-]+)\))?\s*$"
)
_LSMOD = re.compile(r"^(?P<name>\S+)\s+(?P<size>\d+)\s+(?P<count>-?\d+)(?:\s+(?P<users>\S+))?\s*$")


@dataclass(frozen=True)
class Module:
    """One loaded module."""

    name: str
    size: int
    """Bytes."""
    refcount: Optional[int]
    """None when the kernel cannot unload modules and so does not count."""
    used_by: tuple[str, ...]
    permanent: bool
    """It has no exit function and can never be unloaded."""
    state: Optional[str]
    """``live``, ``loading`` or ``unloading``; None from lsmod, which does not tell."""
    taint: Optional[str]
    """Letters with which this module taints the kernel, often none; None from lsmod."""


def parse_modules(text: str) -> list[Module]:
    """Return the modules; lines of another form are passed over.

    Source: m_show() and print_unload_info() in kernel/module/procfs.c.

    >>> module = parse_modules("zfs 4153344 6 zunicode,zavl, Live 0x0000000000000000 (POE)")[0]
    >>> module.name, module.size, module.refcount, module.used_by, module.state, module.taint
    ('zfs', 4153344, 6, ('zunicode', 'zavl'), 'live', 'POE')
    """
    return _modules(text, _PROC)


def parse_lsmod(text: str) -> list[Module]:
    """Return the modules of lsmod(8).

    >>> parse_lsmod("Module                  Size  Used by\\nxfs                  1900544  2\\n")
    [Module(name='xfs', size=1900544, refcount=2, used_by=(), permanent=False, state=None, taint=None)]
    """
    return _modules(text, _LSMOD)


def _modules(text: str, pattern: re.Pattern[str]) -> list[Module]:
    found = []
    for line in text.splitlines():
        match = pattern.match(line)
        if match is None:
            continue
        given = match.groupdict()
        users = [user for user in (given["users"] or "").split(",") if user not in ("", "-")]
        state = given.get("state")
        # While it comes or goes, the kernel adds + or - to the letters (module_flags()).
        taint = (given.get("taint") or "").rstrip("+-") if pattern is _PROC else None
        found.append(
            Module(
                given["name"],
                int(given["size"]),
                int(given["count"]) if given["count"] not in ("-", "-1", "-2") else None,
                tuple(user for user in users if user != "[permanent]"),
                "[permanent]" in users,
                state.lower() if state else None,
                taint,
            )
        )
    return found
