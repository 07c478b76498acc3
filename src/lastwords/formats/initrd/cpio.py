"""cpio archives as the kernel unpacks its initramfs: ``newc`` and ``crc``, fed piece by piece.

The kernel knows no archives, only entries one after the other with zero bytes between them; TRAILER!!! is
an entry whose only effect is that hard links are forgotten. What it says of damage is kept word for word.

Source: init/initramfs.c (6.1 and, for names without a final NUL, 6.13),
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from lastwords.formats import FormatError

MAGIC = (b"070701", b"070702")
HEADER = 110
MAX_NAME = 4096
"""PATH_MAX: the kernel passes over entries with longer names, and links with longer targets."""
TRAILER = "TRAILER!!!"
_NUMBERS = struct.Struct(">12I")
_HEX = re.compile(rb"(?:0[xX])?([0-9A-Fa-f]+)")
_NONZERO = re.compile(rb"[^\0]")


class CpioError(FormatError):
    """The kernel would stop here; the message is what it prints after "Initramfs unpacking failed:"."""


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
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""


class CpioReader:
    """Reads entries from pieces of an archive, holding no more than one header and what is to be kept.

    >>> head = b"070701" + b"%08X" * 13
    >>> hello = head % (1, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 6, 0) + b"hello\\0hi\\n\\0"
    >>> end = head % (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0) + b"TRAILER!!!\\0\\0\\0\\0"
    >>> reader = CpioReader(keep=lambda member: 9)
    >>> [(member.name, member.size) for member in reader.feed(hello + end + b"next")]
    [('hello', 3)]
    >>> reader.done, reader.rest, reader.kept
    (True, b'next', {'hello': b'hi\\n'})
    """

    def __init__(
        self,
        *,
        compressed: bool = False,
        first: bool = True,
        keep: Optional[Callable[[Member], int]] = None,
    ) -> None:
        """Start reading.

        :param compressed: the bytes come out of a decompressor: then nothing but entries may follow
        :param first: the image starts here, so that the first byte must begin an entry
        :param keep: tells how many bytes of a file's content to keep in :attr:`kept`
        """
        self.done = False
        """True once an archive has ended, or something follows that is no entry: not in compressed data."""
        self.rest = b""
        """What was fed from there on."""
        self.member: Optional[Member] = None
        """The entry read last."""
        self.ended = False
        """Whether the entry read last was the one that ends an archive."""
        self.kept: dict[str, bytes] = {}
        self._compressed = compressed
        self._keep = keep
        self._resting = not first
        self._skip = 0
        self._body = 0
        self._wanted = 0
        self._sum: Optional[int] = None
        self._check = 0
        self._position = 0
        self._held = b""
        self.found: list[Member] = []
        """The entries of the last piece, also when it was refused."""

    def feed(self, data: bytes) -> list[Member]:
        """Return the entries whose headers are complete now.

        :raises CpioError: the kernel would stop here; the entries before it are in :attr:`found`
        """
        found: list[Member] = []
        if self.done:
            self.rest += data
            return found
        self.found = found
        data = self._held + data
        self._held = b""
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                taken = min(self._skip, end - at)
                if self._body:
                    self._content(data[at : at + min(taken, self._body)])
                at += taken
                self._skip -= taken
                self._position += taken
                self._resting = not self._skip
            elif self._resting:
                match = _NONZERO.search(data, at)
                stop = match.start() if match else end
                self._position += stop - at
                at = stop
                if match:
                    self._resting = False
                    if self._position & 3:
                        raise CpioError("broken padding")
                    if data[at] != 0x30 and self._compressed:
                        raise CpioError("junk within compressed archive")
                    if data[at] != 0x30:
                        self._resting = self.done = True
                        self.rest = data[at:]
                        return found
            else:
                length = self._header(data, at)
                if not length:
                    self._held = data[at:]
                    break
                at += length
                self._position += length
                if self.ended and not self._skip and not self._compressed:
                    self.done, self.rest = True, data[at:]
                    return found
        return found

    @property
    def resting(self) -> bool:
        """Whether the bytes so far end between two entries."""
        return self._resting and not self._held

    @property
    def needs(self) -> str:
        """What is missing, in words, when no more data comes."""
        if self._skip and self.member:
            return f"{self._skip} bytes of {self.member.name!r}"
        return "the end of the archive (TRAILER!!!)"

    def _header(self, data: bytes, at: int) -> int:
        """Take the header at *at* and its name; return their length, or 0 for too little data."""
        head = data[at : at + HEADER]
        if not any(magic.startswith(head[:6]) or head.startswith(magic) for magic in MAGIC):
            if head.startswith(b"070707"):
                raise CpioError("incorrect cpio method used: use -H newc option")
            if len(head) == HEADER:
                raise CpioError("no cpio magic")
        if len(head) < HEADER:
            return 0
        inode, mode, uid, gid, links, mtime, size, _, _, major, minor, length = _numbers(head)
        kind = stat.S_IFMT(mode)
        padded = _padded(HEADER + length)
        named = 0 < length <= MAX_NAME and not (kind == stat.S_IFLNK and size > MAX_NAME)
        if named and (kind in (stat.S_IFREG, stat.S_IFLNK) or not size):
            raw = data[at + HEADER : at + HEADER + length]
            if len(raw) < length or len(data) < at + padded:
                return 0
            if raw[-1]:
                raise CpioError("malformed archive")
            name = raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
            member = Member(name, size, mode & 0xFFFF, inode, links, mtime, uid, gid, (major, minor))
            self.ended = name == TRAILER
            if not self.ended:
                self._begin(member, head)
            self._skip = _padded(size)
            self._resting = not self._skip
            return padded
        # The kernel passes over it without a look at its name.
        self._skip = padded - HEADER + _padded(size)
        self._resting = not self._skip
        return HEADER

    def _begin(self, member: Member, head: bytes) -> None:
        self.member = member
        self.found.append(member)
        regular = stat.S_ISREG(member.mode)
        self._sum = 0 if head.startswith(MAGIC[1]) and regular and member.size else None
        self._check = _number(head[102:110])
        self._wanted = self._keep(member) if self._keep and not stat.S_ISDIR(member.mode) else 0
        self._body = member.size if self._wanted or self._sum is not None else 0
        if self._wanted:
            self.kept[member.name] = b""

    def _content(self, data: bytes) -> None:
        assert self.member is not None
        self._body -= len(data)
        if self._sum is not None:
            self._sum = (self._sum + sum(data)) & 0xFFFFFFFF
            if not self._body and self._sum != self._check:
                raise CpioError("bad data checksum")
        kept = self.kept.get(self.member.name, b"")
        if len(kept) < self._wanted:
            self.kept[self.member.name] = (kept + data)[: self._wanted]


def read_header(data: bytes) -> tuple[Optional[Member], int]:
    """Return the entry whose header starts *data*, and where its content begins; None for too little data.

    :raises FormatError: it is no header
    """
    reader = CpioReader()
    reader.feed(data[: HEADER + MAX_NAME + 3])
    ended = Member(TRAILER, 0, 0, 0, 0, 0) if reader.ended else None
    member = next(iter(reader.found), ended)
    return member, _padded(HEADER + _number(data[94:102])) if member else 0


def _numbers(head: bytes) -> tuple[int, ...]:
    try:
        return _NUMBERS.unpack(bytes.fromhex(head[6:102].decode("ascii")))
    except (ValueError, struct.error):
        return tuple(_number(head[at : at + 8]) for at in range(6, 102, 8))


def _number(digits: bytes) -> int:
    """Return what the kernel makes of eight digits: what is no digit ends the number (simple_strtoul)."""
    match = _HEX.match(digits)
    return int(match[1], 16) if match else 0


def _padded(size: int) -> int:
    return (size + 3) & ~3
