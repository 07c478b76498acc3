"""Follows an initramfs image to its end without holding or extracting it: is it whole, and what is in it.

The rules are the kernel's (init/initramfs.c, 6.1): entries one after the other, each at a multiple of four
bytes; zero bytes between them; anything else must be compressed data with entries in it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Optional

from lastwords.formats import FormatError
from lastwords.formats.boot.pe import HEAD, Section, parse_pe
from lastwords.formats.initrd.cpio import CpioError, CpioReader, Member
from lastwords.formats.initrd.head import Segment, compression_of, is_microcode
from lastwords.formats.initrd.inside import Inside, bytes_wanted
from lastwords.roots.initrd_decoders import Damaged, Unsupported, decoder_of
from lastwords.roots.streams import CHUNK, Chunks

UNPACKED_LIMIT = 2 << 30
"""Bytes of content that are looked at; dracut's largest images unpack to some 400 MB."""
MAX_MEMBERS = 250_000
MAX_SEGMENTS = 64
INVALID = "invalid magic at start of compressed archive"
PADDING = "broken padding"
AFTER = "junk at the end of compressed archive"

Visit = Callable[[Member, int], None]


@dataclass
class Contents:
    """What was found in an image."""

    complete: Optional[bool] = None
    """True when every archive was read to its end, False when one is damaged, None when not known."""
    damage: Optional[str] = None
    """What is wrong with it, when not complete."""
    kernel: Optional[str] = None
    """What the kernel prints of the damage after "Initramfs unpacking failed:"; None when it says nothing."""
    unknown: Optional[str] = None
    """Why it is not known whether it is complete."""
    segments: list[Segment] = field(default_factory=list)
    members: int = 0
    unpacked: int = 0
    """Bytes of the archives, decompressed."""
    inside: Inside = field(default_factory=Inside)


class _Stop(Exception):
    """The rest is not looked at. The message says why."""


def examine(
    stream: BinaryIO,
    size: int,
    *,
    deadline: float,
    whole: bool = True,
    unpacked_limit: int = UNPACKED_LIMIT,
    visit: Optional[Visit] = None,
) -> Contents:
    """Return what an image holds.

    :param stream: the image, from its start
    :param size: how long it is said to be, in bytes
    :param deadline: time.monotonic() after which to stop
    :param whole: go to the end; otherwise stop as soon as the kernel release is known
    :param visit: called with each entry and the number of its segment
    :raises OSError: the stream cannot be read
    """
    return _Examination(stream, size, deadline, whole, unpacked_limit, visit).run()


def unified_sections(stream: BinaryIO) -> Optional[list[Section]]:
    """Return the sections of a unified kernel image, None when it is another file; leaves it anywhere."""
    head = b""
    while len(head) < HEAD and (more := stream.read(HEAD - len(head))):
        head += more
    try:
        sections = parse_pe(head)
    except FormatError:
        return None
    return sections if any(each.name in (".linux", ".initrd") for each in sections) else None


def part_of(stream: BinaryIO, offset: int, size: int) -> BinaryIO:
    """Return a part of a stream that stands at its start, as a stream of its own."""
    return io.BufferedReader(Chunks(_part(stream, offset, size)), CHUNK)


def _part(stream: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    if stream.seekable():
        stream.seek(offset)
        offset = 0
    while offset and (skipped := len(stream.read(min(offset, CHUNK)))):
        offset -= skipped
    while size and (data := stream.read(min(size, CHUNK))):
        size -= len(data)
        yield data


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
        self,
        stream: BinaryIO,
        size: int,
        deadline: float,
        whole: bool,
        unpacked_limit: int,
        visit: Optional[Visit],
    ) -> None:
        self.source = _Source(stream)
        self.size = size
        self.deadline = deadline
        self.whole = whole
        self.unpacked_limit = unpacked_limit
        self.visit = visit
        self.found = Contents()
        self.microcode = False
        self.members_before = self.unpacked_before = 0

    def run(self) -> Contents:
        found = self.found
        try:
            self._segments()
            found.complete = True
        except (_Stop, Unsupported) as reason:
            found.unknown = str(reason)
        except Damaged as problem:
            found.complete, found.damage, found.kernel = False, str(problem), problem.kernel
        if not self.source.head(1) and self.source.offset < self.size and found.unknown is None:
            # Not the image but the reading of it ended early: it is being replaced, or only a part is here.
            found.complete = found.damage = found.kernel = None
            found.unknown = f"only {self.source.offset} of {self.size} bytes could be read"
        return found

    def _segments(self) -> None:
        first = True
        while self._skip_zeros():
            if len(self.found.segments) >= MAX_SEGMENTS:
                raise _Stop(f"more than {MAX_SEGMENTS} archives")
            head = self.source.head(8)
            at = self.source.offset
            if at % 4 and self.found.segments and self.found.segments[-1].kind == "cpio":
                raise Damaged(f"after an archive something goes on at offset {at}, no multiple of 4", PADDING)
            compression = compression_of(head)
            if head[:1] == b"0" and at % 4 == 0:
                self._begin(Segment(at, "cpio"))
                self._plain()
            elif compression == "lz4-frame" or compression is None:
                self._begin(Segment(at, "compressed" if compression else "unknown", compression))
                what = "lz4 frame (the kernel unpacks what lz4 -l makes)" if compression else "unknown data"
                raise Damaged(f"{what} at offset {at}: {head.hex()}", INVALID)
            else:
                self._begin(Segment(at, "compressed", compression))
                self._compressed(compression, first)
            first = False
        if not self.found.segments:
            raise Damaged("nothing but zero bytes" if self.source.offset else "empty file", None)

    def _begin(self, segment: Segment) -> None:
        self.found.segments.append(segment)
        self.microcode = False
        self.members_before, self.unpacked_before = self.found.members, self.found.unpacked

    def _end(self) -> None:
        segment = self.found.segments[-1]
        self.found.segments[-1] = replace(
            segment,
            size=self.source.offset - segment.offset,
            members=self.found.members - self.members_before,
            microcode=self.microcode,
            unpacked=self.found.unpacked - self.unpacked_before,
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
        reader = CpioReader(keep=bytes_wanted)
        while not reader.done:
            data = self._take()
            if not data:
                break
            self._feed(reader, data)
        self.source.give_back(reader.rest)
        if not reader.done and not (reader.resting and reader.ended):
            # Of a cut archive outside of compressed data the kernel takes what is there, and is silent.
            raise Damaged(f"the image ends {self.source.offset} bytes in, without {reader.needs}", None)
        if reader.ended:
            self._end()  # otherwise it goes on with something else, which the kernel is content with

    def _compressed(self, compression: str, first: bool) -> None:
        reader = CpioReader(compressed=True, first=first, keep=bytes_wanted)
        decoder = decoder_of(compression)
        while not decoder.done:
            data = self._take()
            try:
                for out in decoder.feed(data) if data else ():
                    self._feed(reader, out)
                if not data:
                    decoder.finish()
            except Damaged as problem:
                cut = f": the image ends {self.source.offset} bytes in" if not data else ""
                raise Damaged(f"{problem}{cut}", problem.kernel) from None
        self.source.give_back(decoder.rest)
        if not reader.resting:
            raise Damaged(f"the {compression} archive ends without {reader.needs}", AFTER)
        self._end()
        if not reader.ended:
            raise Damaged(f"the {compression} archive ends without {reader.needs}", None)
        if decoder.unnoticed:
            raise Damaged(decoder.unnoticed, None)

    def _feed(self, reader: CpioReader, data: bytes) -> None:
        found = self.found
        try:
            reader.feed(data)
        except CpioError as problem:
            after = f" after {reader.member.name!r}" if reader.member else ""
            raise Damaged(f"no entry of an archive where one should be{after}", str(problem)) from None
        finally:
            for member in reader.found:
                self._member(member)
            reader.found = []
            self._kept(reader)
        found.unpacked += len(data) - len(reader.rest)
        if found.unpacked > self.unpacked_limit:
            raise _Stop(f"more than {self.unpacked_limit} bytes unpacked")
        if found.members > MAX_MEMBERS:
            raise _Stop(f"more than {MAX_MEMBERS} entries")
        if found.inside.versions and not self.whole:
            raise _Stop(f"not followed to its end: {self.size} bytes are too many")

    def _kept(self, reader: CpioReader) -> None:
        """Hand on what was kept, but for the entry whose content may go on."""
        last = reader.member.name if reader.member and not reader.resting else None
        for name in list(reader.kept):
            if name != last:
                self.found.inside.content(name, reader.kept.pop(name))

    def _member(self, member: Member) -> None:
        self.found.members += 1
        self.microcode = self.microcode or is_microcode(member.name)
        segment = len(self.found.segments) - 1
        self.found.inside.add(member, segment)
        if self.visit:
            self.visit(member, segment)
