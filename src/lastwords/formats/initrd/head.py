"""What an initramfs image is made of: archives one after the other, plain or compressed.

An image begins with as many uncompressed archives as its builder liked (microcode, ACPI tables, on newer
Ubuntu also modules) and usually ends with a compressed one; zero bytes may stand between. Until the
first compressed archive the segments can be told from headers alone.

Source: init/initramfs.c and lib/decompress.c (6.1), Documentation/x86/microcode.rst.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from lastwords.formats import FormatError
from lastwords.formats.initrd.cpio import HEADER, MAGIC, MAX_NAME, TRAILER, read_header

MAX_MEMBERS = 20000
"""Headers that are read of an image; Ubuntu's largest have some 3000."""
MAX_PADDING = 1 << 20
HEAD = 512
# Two bytes are all that the kernel looks at before it chooses.
_MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9e", "gzip"),
    (b"\xfd7", "xz"),
    (b"\x5d\0", "lzma"),
    (b"BZ", "bzip2"),
    (b"\x28\xb5", "zstd"),
    (b"\x02\x21", "lz4"),
    (b"\x04\x22\x4d\x18", "lz4-frame"),
    (b"\x89L", "lzo"),
)
_MICROCODE = re.compile(r"(?:\./)?kernel/x86/microcode/")
_MODULES = re.compile(r"(?:\./|/)?(?:usr/)?lib/modules/(\d[^/]*)(?:/|\Z)")


@dataclass(frozen=True)
class Segment:
    """One archive of an image."""

    offset: int
    kind: str
    """``cpio``, ``compressed`` or ``unknown``."""
    compression: Optional[str] = None
    size: Optional[int] = None
    """Bytes in the image; None when its end was not seen."""
    members: Optional[int] = None
    """Entries, without the one that marks the end; None when its end was not seen."""
    microcode: Optional[bool] = None
    """Whether it holds early microcode; None when its end was not seen."""
    unpacked: Optional[int] = None
    """Bytes of it, decompressed; None when its end was not seen."""


def compression_of(head: bytes) -> Optional[str]:
    """Return the compression whose magic starts *head*, in the kernel's names, or None.

    ``lz4-frame`` is what lz4(1) writes without ``-l``: the kernel cannot unpack it.

    >>> compression_of(bytes.fromhex("02214c18"))
    'lz4'
    """
    return next((name for magic, name in _MAGICS if head.startswith(magic)), None)


def is_microcode(name: str) -> bool:
    """Return whether a member is microcode that the kernel loads before all else."""
    return bool(_MICROCODE.match(name))


def module_version(name: str) -> Optional[str]:
    """Return the kernel release whose modules directory the member is or lies in, or None.

    >>> module_version("usr/lib/modules/6.1.0-18-amd64/modules.dep"), module_version("lib/modules")
    ('6.1.0-18-amd64', None)
    """
    match = _MODULES.match(name)
    return match[1] if match else None


def recognise(read_at: Callable[[int, int], bytes], size: int) -> list[Segment]:
    """Return the segments of an image up to its first compressed archive, or to its end.

    The last one has no size when it is compressed, cut, unknown, or has too many members to follow.

    :param read_at: gives up to so many bytes from an offset; called with growing offsets

    >>> data = bytes.fromhex("00000000 1f8b0800")
    >>> recognise(lambda offset, length: data[offset : offset + length], len(data))
    [Segment(offset=4, kind='compressed', compression='gzip', size=None, members=None, microcode=None, ...]
    """
    found: list[Segment] = []
    at, budget = 0, MAX_MEMBERS
    while at < size:
        at = _skip_zeros(read_at, at, size)
        head = read_at(at, len("070701")) if at < size else b""
        if not head:
            break
        if head not in MAGIC:
            compression = compression_of(head)
            found.append(Segment(at, "compressed" if compression else "unknown", compression))
            break
        segment, budget = _plain(read_at, at, size, budget)
        found.append(segment)
        if segment.size is None:
            break
        at += segment.size
    return found


def _skip_zeros(read_at: Callable[[int, int], bytes], at: int, size: int) -> int:
    limit = at + MAX_PADDING
    while at < min(size, limit):
        block = read_at(at, HEAD)
        left = block.lstrip(b"\0")
        at += len(block) - len(left)
        if left or not block:
            break
    return at


def _plain(read_at: Callable[[int, int], bytes], start: int, size: int, budget: int) -> tuple[Segment, int]:
    """Follow the headers of the archive that starts at *start*; return it and the headers left to read."""
    at, members, microcode = start, 0, False
    while at < size and budget > 0:
        data = read_at(at, HEAD)
        try:
            member, body = read_header(data)
            if member is None and len(data) >= HEADER:
                member, body = read_header(read_at(at, HEADER + MAX_NAME))
        except FormatError:
            break
        if member is None:
            break
        budget -= 1
        if member.name == TRAILER:
            return Segment(start, "cpio", None, at + body - start, members, microcode), budget
        members += 1
        microcode = microcode or is_microcode(member.name)
        at += body + ((member.size + 3) & ~3)
    # Microcode that was seen is there; that none was seen says nothing of the rest.
    return Segment(start, "cpio", None, None, None, microcode or None), budget
