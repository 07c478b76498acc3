"""cpio archives as the kernel unpacks them for its initramfs: ``newc`` and ``crc``, fed piece by piece.

Source: Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c (6.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from lastwords.formats import FormatError

MAGIC = (b"070701", b"070702")
HEADER = 110
MAX_NAME = 4096
"""PATH_MAX: the kernel passes over entries with longer names."""
TRAILER = "TRAILER!!!"
_FIELDS = re.compile(rb"07070[12][0-9A-Fa-f]{104}\Z")


@dataclass(frozen=True)
class Member:
    """One entry of an archive."""

    name: str
    size: int
    """Bytes of content. Of hard links only the last one has any."""
    mode: int
    """As st_mode: type and permission bits."""
    inode: int
    links: int
    mtime: int


class CpioReader:
    """Reads one archive from pieces of it, holding no more than one header.

    >>> head = b"070701" + b"%08X" * 13
    >>> hello = head % (1, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 6, 0) + b"hello\\0hi\\n\\0"
    >>> end = head % (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0) + b"TRAILER!!!\\0\\0\\0\\0"
    >>> reader = CpioReader()
    >>> [(member.name, member.size) for member in reader.feed(hello + end + b"next")]
    [('hello', 3)]
    >>> reader.done, reader.rest
    (True, b'next')
    """

    def __init__(self) -> None:
        self.done = False
        """True once the entry that ends an archive was read."""
        self.rest = b""
        """What was fed beyond the end of the archive."""
        self.member: Optional[Member] = None
        """The entry read last."""
        self._held = b""
        self._skip = 0

    def feed(self, data: bytes) -> list[Member]:
        """Return the entries whose headers are complete now.

        :raises FormatError: what stands where a header should is none
        """
        found: list[Member] = []
        if self.done:
            self.rest += data
            return found
        if self._skip >= len(data):
            self._skip -= len(data)
            return found
        data = self._held + data
        at, self._skip, self._held = self._skip, 0, b""
        while at < len(data):
            member, end = _header(data, at)
            if member is None:
                self._held = data[at:]
                return found
            if member.name == TRAILER:
                self.done = True
                self.rest = data[end:]
                return found
            found.append(member)
            self.member = member
            at = end + _padded(member.size)
        self._skip = at - len(data)
        return found

    @property
    def needs(self) -> str:
        """What is missing, in words, when no more data comes before the archive ends."""
        if self._skip and self.member:
            return f"{self._skip} bytes after the start of {self.member.name!r}"
        return "the end of the archive (TRAILER!!!)"


def read_header(data: bytes) -> tuple[Optional[Member], int]:
    """Return the entry whose header starts *data*, and where its content begins; None for too little data.

    :raises FormatError: it is no header
    """
    return _header(data, 0)


def _header(data: bytes, at: int) -> tuple[Optional[Member], int]:
    head = data[at : at + HEADER]
    if len(head) < HEADER and not (MAGIC[0][:5]).startswith(head[:5]):
        raise FormatError(f"expected a cpio header, found {head[:6]!r}")
    if len(head) < HEADER:
        return None, at
    if not _FIELDS.match(head):
        raise FormatError(f"expected a cpio header, found {head[:6]!r}")
    inode, mode, _, _, links, mtime, size, _, _, _, _, length, _ = (
        int(head[index : index + 8], 16) for index in range(6, HEADER, 8)
    )
    if not 0 < length <= MAX_NAME:
        raise FormatError(f"expected a name of at most {MAX_NAME} bytes, found one of {length}")
    raw = data[at + HEADER : at + HEADER + length]
    if len(raw) < length:
        return None, at
    name = raw.partition(b"\0")[0].decode("utf-8", "replace")
    return Member(name, size, mode, inode, links, mtime), at + _padded(HEADER + length)


def _padded(size: int) -> int:
    return (size + 3) & ~3
