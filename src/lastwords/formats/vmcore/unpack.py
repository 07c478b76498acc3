"""One page of a dump, unpacked: zlib, LZO1X, snappy and zstd.

zlib is Python's, zstd that of the package zstandard; snappy is read here. Output is never more
than one page, whatever the data asks for.
"""

from __future__ import annotations

import zlib

from lastwords.formats.initrd.lzo import decompress_lzo
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
            out = decompress_lzo(data, size)
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
