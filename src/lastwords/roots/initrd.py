"""Follows an initramfs image to its end without holding or extracting it: is it whole, and for which kernel.

The rules are the kernel's (init/initramfs.c): archives one after the other, each at a multiple of four
bytes or compressed, zero bytes between them. lz4 and lzo need a decoder that Python does not bring.
"""

from __future__ import annotations

import errno
import lzma
import time
import zlib
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Optional

from lastwords.formats import FormatError
from lastwords.formats.cpio import MAGIC, CpioReader, Member
from lastwords.formats.initrd_head import Segment, compression_of, is_microcode, module_version
from lastwords.roots.streams import CHUNK, CompressionError, new_decoder

UNPACKED_LIMIT = 2 << 30
"""Bytes of content that are looked at; dracut's largest images unpack to some 400 MB."""
MAX_VERSIONS = 16
MAX_SEGMENTS = 64
_DECODERS = ("gzip", "xz", "lzma", "bzip2", "zstd")
_WORDS = {"lz4": "lz4", "lz4-frame": "lz4", "lzo": "lzo"}


@dataclass
class Contents:
    """What was found in an image."""

    complete: Optional[bool] = None
    """True when every archive was read to its end, False when one is damaged, None when not known."""
    damage: Optional[str] = None
    """What is wrong with it, when not complete."""
    unknown: Optional[str] = None
    """Why it is not known whether it is complete."""
    segments: list[Segment] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    """Kernel releases for which it holds modules, in the order found."""
    members: int = 0
    unpacked: int = 0
    """Bytes of the archives, decompressed."""


class _Stop(Exception):
    """The rest is not looked at. The message says why."""


class _Damage(Exception):
    """The kernel could not unpack it. The message says what is wrong."""


def examine(
    stream: BinaryIO,
    size: int,
    *,
    deadline: float,
    whole: bool = True,
    unpacked_limit: int = UNPACKED_LIMIT,
) -> Contents:
    """Return what an image holds.

    :param stream: the image, from its start
    :param size: how long it is said to be, in bytes
    :param deadline: time.monotonic() after which to stop
    :param whole: go to the end; otherwise stop as soon as the kernel release is known
    :raises OSError: the stream cannot be read
    """
    return _Examination(stream, size, deadline, whole, unpacked_limit).run()


class _Source:
    """The raw bytes, with a way to give back what was too much."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._rest = b""
        self._read = 0

    @property
    def offset(self) -> int:
        """Bytes taken so far."""
        return self._read - len(self._rest)

    def take(self) -> bytes:
        """Return the next bytes, at most CHUNK or what was given back; none at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        data = self._stream.read(CHUNK) or b""
        self._read += len(data)
        return data

    def give_back(self, data: bytes) -> None:
        """Return *data*, taken last, to the source."""
        self._rest = data + self._rest

    def head(self, length: int) -> bytes:
        """Return the next bytes without taking them; fewer at the end."""
        data = self.take()
        while 0 < len(data) < length:
            more = self.take()
            if not more:
                break
            data += more
        self.give_back(data)
        return data[:length]


class _Examination:
    def __init__(
        self, stream: BinaryIO, size: int, deadline: float, whole: bool, unpacked_limit: int
    ) -> None:
        self.source = _Source(stream)
        self.size = size
        self.deadline = deadline
        self.whole = whole
        self.unpacked_limit = unpacked_limit
        self.found = Contents()
        self.microcode = False
        self.members_before = 0

    def run(self) -> Contents:
        found = self.found
        try:
            self._segments()
            found.complete = True
        except _Stop as reason:
            found.unknown = str(reason)
        except _Damage as problem:
            found.complete, found.damage = False, str(problem)
        if found.complete is not None and not self.source.head(1) and self.source.offset < self.size:
            # Not the image but the reading of it ended early: it is being replaced, or only a part is here.
            found.complete = found.damage = None
            found.unknown = f"only {self.source.offset} of {self.size} bytes could be read"
        return found

    def _segments(self) -> None:
        while self._skip_zeros():
            if len(self.found.segments) >= MAX_SEGMENTS:
                raise _Stop(f"more than {MAX_SEGMENTS} archives")
            head = self.source.head(8)
            at = self.source.offset
            compression = compression_of(head)
            if head[:6] in MAGIC and at % 4 == 0:
                self._begin(Segment(at, "cpio"))
                self._plain()
            elif compression in _DECODERS:
                self._begin(Segment(at, "compressed", compression))
                self._compressed(str(compression))
            elif compression is not None:
                self._begin(Segment(at, "compressed", compression))
                raise _Stop(f"{_WORDS[compression]} data cannot be unpacked here")
            else:
                self._begin(Segment(at, "unknown"))
                raise _Damage(f"unknown data at offset {at}: {head.hex()}")
        if not self.found.segments:
            raise _Damage("nothing but zero bytes" if self.source.offset else "empty file")

    def _begin(self, segment: Segment) -> None:
        self.found.segments.append(segment)
        self.microcode = False
        self.members_before = self.found.members

    def _end(self) -> None:
        segment = self.found.segments[-1]
        self.found.segments[-1] = replace(
            segment,
            size=self.source.offset - segment.offset,
            members=self.found.members - self.members_before,
            microcode=self.microcode,
        )

    def _skip_zeros(self) -> bool:
        """Pass over zero bytes; return whether anything follows."""
        while True:
            data = self._take()
            left = data.lstrip(b"\0")
            if left or not data:
                self.source.give_back(left)
                return bool(left)

    def _take(self) -> bytes:
        if time.monotonic() > self.deadline:
            raise _Stop(f"no time left after {self.source.offset} of {self.size} bytes")
        return self.source.take()

    def _plain(self) -> None:
        reader = CpioReader()
        while not reader.done:
            data = self._take()
            if not data:
                raise _Damage(f"the image ends {self.source.offset} bytes in, without {reader.needs}")
            self._feed(reader, data)
        self.source.give_back(reader.rest)
        self._end()

    def _compressed(self, compression: str) -> None:
        reader: Optional[CpioReader] = None
        try:
            decoder = new_decoder(compression)
            data = self._take()
            while not decoder.eof:
                out = decoder.decompress(data, CHUNK)
                data = b""
                if out:
                    reader = self._content(reader, out)
                elif not decoder.eof:
                    data = self._take()
                    if not data:
                        raise _Damage(f"cut {compression} data: the image ends {self.source.offset} bytes in")
        except CompressionError as problem:
            if problem.errno == errno.EOPNOTSUPP:
                raise _Stop(problem.strerror) from None
            raise _Damage(problem.strerror) from None
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as problem:
            if getattr(problem, "errno", None):
                raise  # the stream's, not the decoder's
            if isinstance(problem, lzma.LZMAError) and "memory" in str(problem).lower():
                raise _Stop(f"{compression} data asks for too much memory") from None
            raise _Damage(f"damaged {compression} data: {problem}") from None
        self.source.give_back(decoder.unused_data)
        self._end()
        if reader is not None and not reader.done:
            raise _Damage(f"the {compression} archive ends without {reader.needs}")

    def _content(self, reader: Optional[CpioReader], data: bytes) -> Optional[CpioReader]:
        """Read decompressed bytes: archives one after the other, zero bytes between them."""
        while data:
            if reader is None or reader.done:
                left = data.lstrip(b"\0")
                self.found.unpacked += len(data) - len(left)
                data = left
                if not data:
                    break
                reader = CpioReader()
            self._feed(reader, data)
            data = reader.rest
        return reader

    def _feed(self, reader: CpioReader, data: bytes) -> None:
        found = self.found
        try:
            members = reader.feed(data)
        except FormatError as problem:
            after = f" after {reader.member.name!r}" if reader.member else ""
            raise _Damage(f"{problem}{after}") from None
        found.unpacked += len(data) - len(reader.rest)
        for member in members:
            self._member(member)
        if found.unpacked > self.unpacked_limit:
            raise _Stop(f"more than {self.unpacked_limit} bytes unpacked")
        if found.versions and not self.whole:
            raise _Stop(f"not followed to its end: {self.size} bytes are too many")

    def _member(self, member: Member) -> None:
        self.found.members += 1
        self.microcode = self.microcode or is_microcode(member.name)
        version = module_version(member.name)
        if version and version not in self.found.versions and len(self.found.versions) < MAX_VERSIONS:
            self.found.versions.append(version)
