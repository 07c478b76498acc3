"""Unified kernel images: kernel, initramfs and command line as sections of one EFI program.

Source: the UAPI group's Unified Kernel Image specification; Microsoft's PE/COFF specification 8.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from lastwords.formats import FormatError

HEAD = 16 << 10
"""Bytes from the start that hold all headers."""
MAX_SECTIONS = 96
_SECTION = struct.Struct("<8sIIII16x")


@dataclass(frozen=True)
class Section:
    """One section: ``.linux``, ``.initrd``, ``.cmdline``, ``.osrel``, ``.uname`` ..."""

    name: str
    offset: int
    size: int
    """Bytes that are meant; the file pads them."""


def parse_pe(head: bytes) -> list[Section]:
    """Return the sections of a PE program.

    :param head: the first :data:`HEAD` bytes of the file
    :raises FormatError: it is none

    >>> parse_pe(b"\\x7fELF")
    Traceback (most recent call last):
    ...
    lastwords.formats.FormatError: expected a PE program, found b'\\x7fE'
    """
    if head[:2] != b"MZ" or len(head) < 0x40:
        raise FormatError(f"expected a PE program, found {head[:2]!r}")
    start = struct.unpack_from("<I", head, 0x3C)[0]
    if head[start : start + 4] != b"PE\0\0" or len(head) < start + 24:
        raise FormatError("expected a PE program, found no PE header")
    number, optional = struct.unpack_from("<2xH12xH", head, start + 4)
    at = start + 24 + optional
    found = []
    for index in range(min(number, MAX_SECTIONS)):
        if len(head) < at + (index + 1) * _SECTION.size:
            break
        raw, virtual, _, stored, offset = _SECTION.unpack_from(head, at + index * _SECTION.size)
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        found.append(Section(name, offset, min(virtual, stored) if virtual else stored))
    return found
