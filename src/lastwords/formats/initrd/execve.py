"""What the kernel makes of a file that it is to start, by the file's first bytes.

Source: execve(2), elf(5), fs/exec.c, fs/binfmt_script.c and fs/binfmt_elf.c (6.1).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Optional

HEAD = 4096
"""Bytes that are enough to tell; of a script the kernel looks at the first 256."""
MAX_DEPTH = 5
"""Scripts that may be the interpreters of each other, and a program in the end."""
ERRORS = {"ENOENT": 2, "ENOEXEC": 8, "EACCES": 13, "ELOOP": 40}
_SCRIPT_HEAD = 256
_SCRIPT = re.compile(rb"#![ \t]*([^ \t\n\0]*)")
_PT_INTERP = 3
_MOST_SEGMENTS = 64


@dataclass(frozen=True)
class Format:
    """What a file is to the kernel."""

    kind: Optional[str]
    """``script``, ``elf``, or None for what it cannot start (ENOEXEC)."""
    interpreter: Optional[str] = None
    """The file that it starts in its stead, or which links it; None without one, or where it is not known."""


def format_of(head: bytes) -> Format:
    r"""Return what a file is, by its first bytes: :data:`HEAD` of them, or all.

    >>> format_of(b"#! /bin/sh -e\n")
    Format(kind='script', interpreter='/bin/sh')
    >>> format_of(b"export PATH=/bin\n"), format_of(b"#!\n")
    (Format(kind=None, interpreter=None), Format(kind=None, interpreter=None))
    """
    if head[:2] == b"#!":
        match = _SCRIPT.match(head[:_SCRIPT_HEAD])
        name = match[1] if match else b""
        # The kernel runs nothing by half of a name.
        cut = match is not None and match.end() == _SCRIPT_HEAD
        return Format("script", name.decode("utf-8", "surrogateescape")) if name and not cut else Format(None)
    if head[:4] == b"\x7fELF":
        return Format("elf", _linker(head))
    return Format(None)


def _linker(head: bytes) -> Optional[str]:
    """Return the dynamic linker that an ELF file names, or None."""
    wide, order = head[4:5] == b"\2", ">" if head[5:6] == b"\2" else "<"
    try:
        if wide:
            (start,) = struct.unpack_from(f"{order}Q", head, 32)
            length, number = struct.unpack_from(f"{order}2H", head, 54)
        else:
            (start,) = struct.unpack_from(f"{order}I", head, 28)
            length, number = struct.unpack_from(f"{order}2H", head, 42)
        for at in range(start, start + length * min(number, _MOST_SEGMENTS), length or 1):
            (kind,) = struct.unpack_from(f"{order}I", head, at)
            if kind == _PT_INTERP:
                offset, size = (
                    (struct.unpack_from(f"{order}Q", head, at + place)[0] for place in (8, 32))
                    if wide
                    else (struct.unpack_from(f"{order}I", head, at + place)[0] for place in (4, 16))
                )
                name, _, rest = head[offset : offset + size].partition(b"\0")
                # Behind what is known of the file, or malformed: it is not known.
                whole = offset + size <= len(head) and size and name and not rest
                return name.decode("utf-8", "surrogateescape") if whole else None
    except struct.error:
        return None
    return None
