"""One page of a dump, unpacked: zlib, LZO1X, snappy and zstd.

zlib is Python's, zstd that of the package zstandard; LZO and snappy are read here. Output is never more
than one page, whatever the data asks for.
"""

from __future__ import annotations

import zlib

from lastwords.formats.vmcore.source import DumpError

ZLIB, LZO, SNAPPY, ZSTD = 1, 2, 4, 0x20
"""Flags of a page, and of the header's status (diskdump_mod.h of makedumpfile)."""
NAMES = ((ZLIB, "zlib"), (LZO, "lzo"), (SNAPPY, "snappy"), (ZSTD, "zstd"))


def unpack(data: bytes, flags: int, size: int) -> bytes:
    """Return a page of *size* bytes. :raises DumpError: it is damaged"""
    name = next((name for bit, name in NAMES if flags & bit), "plain")
    try:
        if flags & ZLIB:
            out = zlib.decompressobj().decompress(data, size)
        elif flags & LZO:
            out = _lzo(data, size)
        elif flags & SNAPPY:
            out = _snappy(data, size)
        elif flags & ZSTD:
            out = _zstd(data, size)
        else:
            out = data
    except (zlib.error, IndexError, ValueError) as problem:
        raise DumpError(f"damaged {name} data: {problem}") from None
    if len(out) != size:
        raise DumpError(f"damaged {name} data: {len(out)} bytes unpacked, expected {size}")
    return out


def _zstd(data: bytes, size: int) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise DumpError("zstd data needs the Python package zstandard") from None
    try:
        if zstandard.frame_content_size(data) > size:
            raise ValueError("more than a page")
        return bytes(zstandard.ZstdDecompressor().decompress(data, max_output_size=size))
    except zstandard.ZstdError as problem:
        raise ValueError(problem) from None


def _copy(out: bytearray, distance: int, count: int, size: int) -> None:
    """Append *count* bytes that stand *distance* back, where they may reach into themselves."""
    start = len(out) - distance
    if start < 0 or distance <= 0 or len(out) + count > size:
        raise ValueError("a copy from outside the page")
    if distance >= count:
        out += out[start : start + count]
    else:
        out += (out[start:] * (count // distance + 1))[:count]


def _lzo(data: bytes, size: int) -> bytes:
    """Unpack LZO1X (Documentation/staging/lzo.rst of the kernel tells the format)."""
    out = bytearray()
    at = literals = 0
    if data[0] > 17:
        at, literals = 1, data[0] - 17
        out += data[1 : 1 + literals]
        at += literals
        literals = min(literals, 4)
    while len(out) <= size:
        code = data[at]
        at += 1
        if code < 16 and literals == 0:
            count, at = _lzo_count(data, at, code, 15)
            out += data[at : at + count + 3]
            at += count + 3
            literals = 4
            continue
        if code < 16:
            extra, count = (2049, 3) if literals == 4 else (1, 2)
            distance = (code >> 2) + (data[at] << 2) + extra
            tail = code & 3
            at += 1
        elif code >= 64:
            count = (code >> 5) + 1
            distance = (data[at] << 3) + (code >> 2 & 7) + 1
            tail = code & 3
            at += 1
        else:
            mask = 31 if code >= 32 else 7
            count, at = _lzo_count(data, at, code & mask, mask)
            count += 2
            word = data[at] | data[at + 1] << 8
            at += 2
            tail = word & 3
            if code >= 32:
                distance = (word >> 2) + 1
            else:
                distance = ((code & 8) << 11) + (word >> 2)
                if distance == 0:
                    return bytes(out)
                distance += 16384
        _copy(out, distance, count, size)
        out += data[at : at + tail]
        at += tail
        literals = tail
    raise ValueError("more than a page")


def _lzo_count(data: bytes, at: int, count: int, most: int) -> tuple[int, int]:
    """Return a length and where the code goes on: 0 stands for one in the bytes that follow."""
    if count:
        return count, at
    count = most
    while data[at] == 0:
        count += 255
        at += 1
    return count + data[at], at + 1


def _snappy(data: bytes, size: int) -> bytes:
    """Unpack snappy (format_description.txt of google/snappy)."""
    at = 0
    while data[at] & 0x80:  # the length unpacked: a page
        at += 1
    at += 1
    out = bytearray()
    while at < len(data) and len(out) <= size:
        tag = data[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            count = (tag >> 2) + 1
            if count > 60:
                width = count - 60
                count = int.from_bytes(data[at : at + width], "little") + 1
                at += width
            out += data[at : at + count]
            at += count
            continue
        if kind == 1:
            count, distance = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at]
            at += 1
        else:
            width = 2 if kind == 2 else 4
            count, distance = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
            at += width
        _copy(out, distance, count, size)
    return bytes(out)
