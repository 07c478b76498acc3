"""The map of physical addresses, ``/proc/iomem``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_RESOURCE = re.compile(r"^(?P<indent> *)(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) : (?P<name>.*)$")


@dataclass(frozen=True)
class Resource:
    """One range of physical addresses."""

    start: int
    end: int
    """The last address that belongs to it."""
    name: str
    depth: int
    """0 for a range of its own, 1 and more inside another one."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start + 1


def parse_iomem(text: str) -> Optional[list[Resource]]:
    """Return the ranges in order, or None when the kernel hid the addresses.

    It shows zeros to whoever lacks CAP_SYS_ADMIN (``r_show`` in kernel/resource.c): then neither sizes
    nor which names stand for something real can be told.

    >>> parse_iomem("00100000-3fffffff : System RAM\\n  17000000-1effffff : Crash kernel")[1]
    Resource(start=385875968, end=520093695, name='Crash kernel', depth=1)
    >>> parse_iomem("00000000-00000000 : System RAM\\n  00000000-00000000 : Crash kernel") is None
    True
    """
    found = []
    for line in text.splitlines():
        match = _RESOURCE.match(line)
        if match:
            start, end = int(match["start"], 16), int(match["end"], 16)
            found.append(Resource(start, end, match["name"], len(match["indent"]) // 2))
    return found if any(each.end for each in found) else None


def crash_kernel_ranges(resources: list[Resource]) -> list[Resource]:
    """Return what is reserved for the capture kernel; two ranges where some lies below 4 GiB."""
    return [each for each in resources if each.name.startswith("Crash kernel")]


def system_ram(resources: list[Resource]) -> int:
    """Return the bytes that the kernel takes as its memory: what ``crashkernel=`` ranges are held against."""
    return sum(each.size for each in resources if each.name == "System RAM")


def kernel_size(resources: list[Resource]) -> Optional[int]:
    """Return the bytes that the kernel itself takes: code, data and bss; None where it does not tell.

    >>> kernel_size(parse_iomem("00100000-3fffffff : System RAM\\n  01000000-01ffffff : Kernel code"))
    16777216
    """
    parts = ("Kernel code", "Kernel rodata", "Kernel data", "Kernel bss")
    return sum(each.size for each in resources if each.name in parts) or None
