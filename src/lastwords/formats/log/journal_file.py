"""A journal file of systemd-journald, read where it lies: only what is asked for, no index of its own.

The file holds each ``FIELD=value`` once, as a data object, and in it the list of the entries that have it. So
the kernel's messages are found without looking at those of programs.

Source: systemd docs/JOURNAL_FILE_FORMAT.md and src/libsystemd/sd-journal/journal-def.h: regular and compact
files, XZ, LZ4 and ZSTD. Hashes are not needed and not checked: fields are found by going through their table.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lastwords.formats import FormatError
from lastwords.formats.initrd.lz4_block import decompress_lz4

Read = Callable[[int, int], bytes]
"""Returns up to so many bytes from an offset."""

MAGIC = b"LPKSHHRH"
_XZ, _LZ4, _KEYED, _ZSTD, _COMPACT = 1, 2, 4, 8, 16
_DATA, _FIELD, _ENTRY, _ARRAY = 1, 2, 3, 6
_HEADER = struct.Struct("<8sII8x16s16s16s16s6Q")
_OBJECT = struct.Struct("<BB6xQ")
_DATA_LINKS = struct.Struct("<8x8xQQQQ")
_ENTRY_HEAD = struct.Struct("<QQQ16s8x")
VALUE_LIMIT = 64 << 10
"""Bytes of a value that are read, and made of a compressed one."""
ITEM_LIMIT = 4096
CHAIN_LIMIT = 1 << 20
"""Links followed of any one list: a damaged or hostile file may have circles."""


class JournalError(FormatError):
    """This is no journal file, or what was asked for lies in a damaged part of it."""


@dataclass(frozen=True)
class Entry:
    """An entry: where it is, when it was written, and where its fields are."""

    offset: int
    seqnum: int
    realtime: float
    """Seconds since the epoch."""
    monotonic: float
    """Seconds since boot."""
    boot_id: str
    """32 hex digits."""
    items: tuple[int, ...]
    """Offsets of its data objects."""


class JournalFile:
    """One file.

    :param read: the bytes of the file
    :raises JournalError: it is no journal file
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        head = read(0, _HEADER.size)
        if not head.startswith(MAGIC):
            raise JournalError("no journal file: it does not start with LPKSHHRH")
        if len(head) < _HEADER.size:
            raise JournalError("cut journal file: its header is not whole")
        _, _, flags, _, _, _, _, *numbers = _HEADER.unpack(head)
        if flags & ~(_XZ | _LZ4 | _KEYED | _ZSTD | _COMPACT):
            raise JournalError(f"journal file with unknown features ({flags:#x})")
        self.size = numbers[0] + numbers[1]
        """Bytes of the whole file, as its header says."""
        self._compact = bool(flags & _COMPACT)
        self._fields, self._fields_size = numbers[4:6]
        self._values: dict[int, bytes] = {}

    def entries_with(self, matches: Sequence[bytes]) -> list[int]:
        """Return the offsets of the entries that have one of ``FIELD=value``, oldest first.

        Of damaged lists as much as can be followed.
        """
        found: set[int] = set()
        for match in matches:
            try:
                for data in self._data_of(match.partition(b"=")[0]):
                    if self.value(data) == match:
                        found.update(self._entries_of(data))
            except JournalError:
                continue
        return sorted(found)

    def boots(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield every boot id, 32 hex digits, with the offsets of its first and its last entry."""
        try:
            for data in self._data_of(b"_BOOT_ID"):
                offsets = list(self._entries_of(data))
                if offsets:
                    yield (
                        self.value(data).partition(b"=")[2].decode("ascii", "replace"),
                        (min(offsets), max(offsets)),
                    )
        except JournalError:
            return

    def entry(self, offset: int) -> Entry:
        """Return the entry at *offset*. Raise JournalError when there is none."""
        size = self._object(offset, _ENTRY)
        item = 4 if self._compact else 16
        body = self._exact(offset + 16, min(size - 16, _ENTRY_HEAD.size + ITEM_LIMIT * item))
        if len(body) < _ENTRY_HEAD.size:
            raise JournalError(f"entry at {offset} is cut")
        seqnum, realtime, monotonic, boot = _ENTRY_HEAD.unpack_from(body)
        rest = body[_ENTRY_HEAD.size :]
        rest = rest[: len(rest) // item * item]
        pairs = struct.iter_unpack("<I" if self._compact else "<Q8x", rest)
        return Entry(
            offset, seqnum, realtime / 1e6, monotonic / 1e6, boot.hex(), tuple(at for (at,) in pairs if at)
        )

    def fields(self, entry: Entry, names: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of the named fields that the entry has; what is damaged is left out."""
        found: dict[bytes, bytes] = {}
        for at in entry.items:
            try:
                name, _, value = self.value(at).partition(b"=")
            except JournalError:
                continue
            if name in names:
                found.setdefault(name, value)
        return found

    def value(self, offset: int) -> bytes:
        """Return the ``FIELD=value`` of the data object at *offset*, cut at VALUE_LIMIT."""
        if offset in self._values:
            return self._values[offset]
        size = self._object(offset, _DATA)
        flags = self._exact(offset, 2)[1]
        start = 72 if self._compact else 64
        packed = self._exact(offset + start, min(max(size - start, 0), VALUE_LIMIT))
        data = _unpacked(packed, flags)
        if len(data) <= 256:  # short values are those that many entries share
            if len(self._values) > 4096:
                self._values.clear()
            self._values[offset] = data
        return data

    # -- the structure

    def _exact(self, offset: int, size: int) -> bytes:
        data = self._read(offset, size)
        if len(data) < size:
            raise JournalError(f"cut at {offset + len(data)}")
        return data

    def _object(self, offset: int, kind: int) -> int:
        """Return the size of the object at *offset*, which must be of that kind."""
        found, _, size = _OBJECT.unpack(self._exact(offset, _OBJECT.size))
        if found != kind or size < _OBJECT.size:
            raise JournalError(f"damaged at {offset}: object {found} where {kind} was expected")
        return int(size)

    def _links(self, data: int) -> tuple[int, int, int, int]:
        self._object(data, _DATA)
        next_data, entry, array, count = _DATA_LINKS.unpack(self._exact(data + 16, _DATA_LINKS.size))
        return next_data, entry, array, count

    def _data_of(self, field: bytes) -> Iterator[int]:
        """Yield the offsets of the data objects of a field."""
        table = self._exact(self._fields, min(self._fields_size, 1 << 20))
        for (head,) in struct.iter_unpack("<Q8x", table[: len(table) // 16 * 16]):
            at, links = head, 0
            while at and links < CHAIN_LIMIT:
                size = self._object(at, _FIELD)
                following, data = struct.unpack("<QQ", self._exact(at + 24, 16))
                name = self._exact(at + 40, min(max(size - 40, 0), 256))
                while name == field and data and links < CHAIN_LIMIT:
                    yield data
                    data, links = self._links(data)[0], links + 1
                at, links = following, links + 1

    def _entries_of(self, data: int) -> Iterator[int]:
        _, first, array, left = self._links(data)
        if first and left:
            yield first
            left -= 1
        links = 0
        while array and left > 0 and links < CHAIN_LIMIT:
            size = self._object(array, _ARRAY)
            (following,) = struct.unpack("<Q", self._exact(array + 16, 8))
            width = 4 if self._compact else 8
            count = min((size - 24) // width, left)
            block = self._exact(array + 24, count * width)
            for (at,) in struct.iter_unpack("<I" if self._compact else "<Q", block):
                if not at:
                    return
                yield at
            array, left, links = following, left - count, links + 1


def _unpacked(packed: bytes, flags: int) -> bytes:
    try:
        if flags & _XZ:
            return lzma.LZMADecompressor(memlimit=64 << 20).decompress(packed, VALUE_LIMIT)
        if flags & _LZ4:
            # The size stands before the block.
            return decompress_lz4(packed[8:], VALUE_LIMIT)
        if flags & 4:
            import zstandard

            reader = zstandard.ZstdDecompressor(max_window_size=64 << 20).stream_reader(packed)
            return bytes(reader.read(VALUE_LIMIT))
    except (lzma.LZMAError, FormatError, ImportError, MemoryError) as problem:
        raise JournalError(f"compressed value: {problem}") from None
    except Exception as problem:  # zstandard has an error class of its own, and may be absent
        if type(problem).__name__ != "ZstdError":
            raise
        raise JournalError(f"compressed value: {problem}") from None
    return packed
