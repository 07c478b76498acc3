"""The program that writes a dump, and its arguments: ``core_collector``, ``MAKEDUMP_ARGS``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

ZERO, CACHE, CACHE_PRIVATE, USER, FREE = 1, 2, 4, 8, 16
"""Bits of the dump level: what is left out. makedumpfile(8), ``-d``."""

KNOWS = {(1, 6, 8): (5, 9), (1, 7, 2): (6, 0), (1, 7, 6): (6, 11), (1, 7, 8): (6, 17)}

_WITH_VALUE = frozenset("bdgix")
_SHORT = frozenset("bcdeghilpvxzDEFRXf")
_COMPRESSION = {"c": "zlib", "l": "lzo", "p": "snappy", "z": "zstd"}
_LONG = (
    "split",
    "reassemble",
    "version",
    "generate-vmcoreinfo",
    "rearrange-dumpdata",
    "cyclic-buffer",
    "xen-syms",
    "xen-vmcoreinfo",
    "xen_phys_start",
    "message-level",
    "vtop",
    "dump-dmesg",
    "partial-dmesg",
    "config",
    "help",
    "diskset",
    "non-cyclic",
    "non-mmap",
    "eppic",
    "mem-usage",
    "splitblock-size",
    "work-dir",
    "num-threads",
    "check-params",
    "dry-run",
    "show-stats",
    "excludevm",
    "exclude-unused-vm",
    "force",
)
_LONG_WITH_VALUE = frozenset(
    ("cyclic-buffer", "xen-syms", "xen-vmcoreinfo", "xen_phys_start", "message-level", "config", "diskset",
     "eppic", "splitblock-size", "work-dir", "num-threads")
)  # fmt: skip


@dataclass(frozen=True)
class CoreCollector:
    """How a dump will be written."""

    program: str
    """Its name without folder."""
    level: int = 0
    """What is left out (:data:`ZERO` ...); the highest of several levels to try."""
    compression: Optional[str] = None
    """``zlib``, ``lzo``, ``snappy`` or ``zstd``; None for none."""
    elf: bool = False
    flattened: bool = False
    unknown: tuple[str, ...] = ()
    """Options that makedumpfile does not know: it then prints its usage and writes no dump."""

    @property
    def filters(self) -> bool:
        """Whether it leaves pages out at all."""
        return self.program == "makedumpfile" and self.level > 0


def parse_core_collector(command: str) -> CoreCollector:
    """Return what a command line of makedumpfile, or of another program, will do.

    Source: main() and longopts of makedumpfile.c (1.7.7); getopt_long takes any unambiguous beginning of
    a long option.

    >>> parse_core_collector("makedumpfile -l --message-level 7 -d 31")
    CoreCollector(program='makedumpfile', level=31, compression='lzo', elf=False, flattened=False, unknown=())
    >>> parse_core_collector("makedumpfile --nosuchopt -d 31").unknown
    ('--nosuchopt',)
    >>> parse_core_collector("cp --sparse=always").program
    'cp'
    """
    words = command.split()
    program = words[0].rpartition("/")[2] if words else ""
    if program != "makedumpfile":
        return CoreCollector(program)
    flags: set[str] = set()
    unknown: list[str] = []
    level = 0
    rest = iter(words[1:])
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            name, equals, _ = word[2:].partition("=")
            matches = [known for known in _LONG if known.startswith(name)]
            if not matches:
                unknown.append(word)
            elif not equals and (name if name in matches else matches[0]) in _LONG_WITH_VALUE:
                next(rest, None)
            continue
        if not word.startswith("-") or word == "-":
            continue
        for index, letter in enumerate(word[1:], 1):
            if letter not in _SHORT:
                unknown.append(word)
                break
            if letter in _WITH_VALUE:
                value = word[index + 1 :] or next(rest, "")
                if letter == "d":
                    level = _level(value)
                break
            flags.add(letter)
    compression = next((kind for flag, kind in _COMPRESSION.items() if flag in flags), None)
    return CoreCollector(program, level, compression, "E" in flags, "F" in flags, tuple(unknown))


def supported_kernel(version: str) -> Optional[tuple[int, int]]:
    """Return the newest kernel that a makedumpfile of that version knows, at most; None when not known.

    On a newer one it says "The kernel version is not supported": it mostly works, but may leave out too
    much or too little. What is known: 1.6.8 said so on 5.10, 1.7.2 on 6.1, 1.7.6 on 6.12; 1.7.8 goes to
    6.17 (LATEST_VERSION in makedumpfile.h). Versions between are taken as the next one that is known.

    >>> supported_kernel("1:1.7.2-1"), supported_kernel("2.0")
    ((6, 0), None)
    """
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", version)
    if match is None:
        return None
    number = (int(match[1]), int(match[2]), int(match[3]))
    return next((kernel for known, kernel in KNOWS.items() if number <= known), None)


def _level(text: str) -> int:
    levels = [int(part) for part in text.split(",") if part.isdigit() and len(part) < 4]
    return max(levels, default=0)
