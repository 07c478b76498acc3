"""Writes crash dumps as makedumpfile and QEMU do, of pages that tests choose; and finds the corpus."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest
import zstandard

from lastwords.formats.vmcore.dump import Dump, open_dump
from lastwords.formats.vmcore.kdump import KdumpFile

BLOCK = 4096
UTSNAME = ("Linux", "web12", "6.1.0-56-cloud-amd64", "#1 SMP Debian", "x86_64", "(none)")


class Bytes:
    """Bytes as a source."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        assert offset >= 0 and size >= 0
        return self.data[offset : offset + size]


def corpus(name: str) -> Path:
    """Return a file of the corpus of real dumps, or skip the test."""
    top = os.environ.get("LASTWORDS_CORPUS") or Path(__file__).parent.parent.parent / "shared" / "corpus"
    path = Path(top) / "vmcore" / name
    if not path.exists():
        pytest.skip(f"needs the corpus of real dumps: {name} is not beside this checkout")
    return path


def corpus_dump(name: str) -> Dump:
    return open_dump(Bytes(corpus(name).read_bytes()))


def pages_of(dump: Dump) -> dict[int, bytes]:
    """Return every page of a dump by its frame number."""
    assert isinstance(dump.file, KdumpFile)
    found = {}
    for pfn in range(dump.file.max_pfn):
        try:
            found[pfn] = dump.file.read(pfn * BLOCK, BLOCK)
        except ValueError:
            continue
    return found


def lzo(data: bytes) -> bytes:
    """Compress as LZO1X, with literals, long and short copies."""
    out = bytearray()
    pending = bytearray()
    at, tail = 0, -1  # tail: where the two bits of the last copy are that count literals

    def flush() -> None:
        nonlocal tail
        count = len(pending)
        if count == 0:
            return
        if not out and count <= 238:
            out.append(17 + count)
        elif tail >= 0 and count < 4:
            out[tail] |= count
        else:
            count -= 3
            if count <= 15:
                out.append(count)
            else:
                count -= 15
                out.append(0)
                out.extend(b"\0" * ((count - 1) // 255))
                out.append((count - 1) % 255 + 1)
        out.extend(pending)
        pending.clear()

    seen: dict[bytes, int] = {}
    while at < len(data):
        key = data[at : at + 4]
        start = seen.get(key)
        seen[key] = at
        if start is None or len(key) < 4 or (not out and len(pending) < 4):
            pending.append(data[at])
            at += 1
            continue
        count = 4
        while at + count < len(data) and data[start + count] == data[at + count]:
            count += 1
        if out and tail < 0 and 0 < len(pending) < 4:
            pending.append(data[at])
            at += 1
            continue
        flush()
        distance = at - start
        if count <= 8 and distance <= 2048:
            out.append((count - 1) << 5 | (distance - 1 & 7) << 2)
            tail = len(out) - 1
            out.append(distance - 1 >> 3)
            # The bits stand in the first byte of a short copy.
        else:
            length = count - 2
            if length <= 31:
                out.append(32 | length)
            else:
                length -= 31
                out.append(32)
                out.extend(b"\0" * ((length - 1) // 255))
                out.append((length - 1) % 255 + 1)
            tail = len(out)
            out += struct.pack("<H", (distance - 1) << 2)
        at += count
    flush()
    return bytes(out + b"\x11\0\0")


def snappy(data: bytes) -> bytes:
    """Compress as snappy, with literals and both kinds of copies that a page can need."""
    out = bytearray([len(data) & 127 | 128, len(data) >> 7])
    pending = bytearray()

    def flush() -> None:
        count = len(pending) - 1
        if count < 0:
            return
        out.extend([count << 2] if count < 60 else [61 << 2, count & 255, count >> 8])
        out.extend(pending)
        pending.clear()

    seen: dict[bytes, int] = {}
    at = 0
    while at < len(data):
        key = data[at : at + 4]
        start = seen.get(key)
        seen[key] = at
        if start is None or len(key) < 4:
            pending.append(data[at])
            at += 1
            continue
        flush()
        count = 4
        while count < 64 and at + count < len(data) and data[start + count] == data[at + count]:
            count += 1
        distance = at - start
        if count <= 11 and distance < 2048:
            out += bytes([distance >> 8 << 5 | (count - 4) << 2 | 1, distance & 255])
        else:
            out += bytes([(count - 1) << 2 | 2]) + struct.pack("<H", distance)
        at += count
    flush()
    return bytes(out)


PACKERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "plain": (0, bytes),
    "zlib": (1, zlib.compress),
    "lzo": (2, lzo),
    "snappy": (4, snappy),
    "zstd": (0x20, zstandard.ZstdCompressor().compress),
}


@dataclass
class Kdump:
    """What a kdump-compressed file is made of."""

    pages: Mapping[int, bytes]
    info: bytes = b""
    notes: bytes = b""
    packed: str = "zlib"
    version: int = 6
    level: int = 31
    status: int = 0
    utsname: tuple[str, ...] = UTSNAME
    timestamp: int = 1700000000
    max_pfn: Optional[int] = None
    phys_base: int = 0
    split: tuple[int, int] = (0, 0)
    order: str = "<"

    def file(self) -> bytes:
        """Return the file."""
        order, flag = self.order, PACKERS[self.packed][0]
        top = self.max_pfn or max(self.pages, default=0) + 1
        bitmap = bytearray((top + 8 * BLOCK - 1) // (8 * BLOCK) * BLOCK)
        for pfn in self.pages:
            bitmap[pfn >> 3] |= 1 << (pfn & 7)
        sub_blocks = 1 + (len(self.info) + len(self.notes) + 104 + BLOCK - 1) // BLOCK
        head = b"KDUMP   " + struct.pack(order + "i", self.version)
        head += b"".join(name.encode().ljust(65, b"\0") for name in self.utsname)
        head = head.ljust(408, b"\0") + struct.pack(
            order + "qqIiiIIIIIii",
            *(self.timestamp, 0, self.status | flag, BLOCK, sub_blocks, 2 * len(bitmap) // BLOCK),
            *(min(top, 0xFFFFFFFF), 0, 0, 0, 0, 1),
        )
        info_at = BLOCK + 104
        sub = struct.pack(
            order + "QiiQQqQqQqQQQQ",
            *(self.phys_base & (1 << 64) - 1, self.level, self.split != (0, 0), *self.split),
            *(info_at, len(self.info), info_at + len(self.info), len(self.notes), 0, 0),
            *(*self.split, top),
        )
        start = head.ljust(BLOCK, b"\0") + (sub + self.info + self.notes).ljust(sub_blocks * BLOCK, b"\0")
        start += bytes(bitmap) * 2
        written = [
            p for p in sorted(self.pages) if self.split == (0, 0) or self.split[0] <= p < self.split[1]
        ]
        at = len(start) + 24 * len(written)
        descs, data = bytearray(), bytearray()
        for pfn in written:
            page, flags = PACKERS[self.packed][1](self.pages[pfn]), flag
            if len(page) >= BLOCK:
                page, flags = self.pages[pfn], 0
            descs += struct.pack(order + "qIIQ", at + len(data), len(page), flags, 0)
            data += page
        return bytes(start + descs + data)


def flattened(data: bytes, record: int = 1 << 14, shuffle: Optional[int] = None, end: bool = True) -> bytes:
    """Return a dump as a stream of records; shuffled, with its first record written again at the end."""
    places = list(range(0, len(data), record))
    stale = b""
    if shuffle is not None:
        random.Random(shuffle).shuffle(places)
        stale = struct.pack(">qq", 0, 512) + b"\xaa" * 512
        places.remove(0)
        places.append(0)
    out = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
    out = out.ljust(4096, b"\0") + stale
    for place in places:
        piece = data[place : place + record]
        out += struct.pack(">qq", place, len(piece)) + piece
    return out + (b"\xff" * 16 if end else b"")


def note(name: bytes, kind: int, data: bytes) -> bytes:
    name += b"\0"
    out = struct.pack("<III", len(name), len(data), kind) + name.ljust((len(name) + 3) & ~3, b"\0")
    return out + data.ljust((len(data) + 3) & ~3, b"\0")


def runs(pages: Iterable[int]) -> list[tuple[int, int]]:
    """Return first frame and count of each run of pages."""
    found: list[tuple[int, int]] = []
    for pfn in sorted(pages):
        if found and pfn == found[-1][0] + found[-1][1]:
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((pfn, 1))
    return found


def elf(
    pages: Mapping[int, bytes],
    notes: bytes = b"",
    *,
    machine: int = 62,
    headers_at: int = 64,
    overlap: bool = False,
    sections: bool = False,
    virtual: Optional[Callable[[int], int]] = None,
) -> bytes:
    """Return a core with a segment for each run of pages.

    :param headers_at: where the program headers are: QEMU 7.2 puts them elsewhere
    :param overlap: a second segment over each run, from its second page on
    :param sections: the count of program headers in the first section header
    :param virtual: the virtual address that a physical one is noted with
    """
    segments = [(first, count) for first, count in runs(pages)]
    if overlap:
        segments += [(first + 1, count - 1) for first, count in segments if count > 1]
    count = len(segments) + 1
    header_end = headers_at + 56 * count + 64
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = ident + struct.pack(
        "<HHIQQQIHHHHHH",
        *(4, machine, 1, 0, headers_at, headers_at + 56 * count if sections else 0, 0),
        *(64, 56, 0xFFFF if sections else count, 64, int(sections), 0),
    )
    headers = struct.pack("<IIQQQQQQ", 4, 0, header_end, 0, 0, len(notes), len(notes), 0)
    data, at = bytearray(), header_end + len(notes)
    for first, number in segments:
        size, address = number * BLOCK, first * BLOCK
        noted = virtual(address) if virtual else 0
        headers += struct.pack("<IIQQQQQQ", 1, 7, at + len(data), noted, address, size, size, 0)
        data += b"".join(pages[pfn] for pfn in range(first, first + number))
    section = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, count, 0, 0)
    return (head.ljust(headers_at, b"\0") + headers + section + notes) + bytes(data)
