"""LZO1X blocks, as lzop(1) and the kernel write them.

Source: Documentation/staging/lzo.rst and lib/lzo/lzo1x_decompress_safe.c (6.1).
"""

from __future__ import annotations

from lastwords.formats import FormatError


def decompress_lzo(data: bytes, limit: int) -> bytes:
    """Return the content of a block.

    :param limit: bytes that it may have
    :raises FormatError: it is damaged, or its content is longer

    >>> decompress_lzo(bytes.fromhex("1561626364 110000"), 100)
    b'abcd'
    """
    try:
        out = _decompress(data, limit)
    except IndexError:
        raise FormatError("lzo: the block ends too early") from None
    if len(out) > limit:
        raise FormatError(f"lzo: more than {limit} bytes")
    return bytes(out)


def _decompress(data: bytes, limit: int) -> bytearray:
    out = bytearray()
    at = 0
    literals = 0
    """How many literals the last instruction ended with; 4 stands for four and more."""
    if data[0] > 17:
        count = data[0] - 17
        out += _literals(data, 1, count)
        at = 1 + count
        literals = min(count, 4)
    while True:
        code = data[at]
        at += 1
        if code >= 64:
            distance = (data[at] << 3) + (code >> 2 & 7) + 1
            count = (code >> 5) + 1
            at += 1
        elif code >= 32:
            count, at = _count(data, at, code & 31, 31)
            code = data[at]
            distance = (code >> 2) + (data[at + 1] << 6) + 1
            count += 2
            at += 2
        elif code >= 16:
            count, at = _count(data, at, code & 7, 7)
            distance = ((code & 8) << 11) + (data[at] >> 2) + (data[at + 1] << 6)
            code = data[at]
            count += 2
            at += 2
            if not distance:
                return out
            distance += 0x4000
        elif literals == 0:
            count, at = _count(data, at, code, 15)
            out += _literals(data, at, count + 3)
            at += count + 3
            literals = 4
            continue
        else:
            distance = (data[at] << 2) + (code >> 2) + (0x801 if literals == 4 else 1)
            count = 3 if literals == 4 else 2
            at += 1
        start = len(out) - distance
        if start < 0:
            raise FormatError("lzo: a copy from before the block")
        if len(out) + count > limit:
            raise FormatError(f"lzo: more than {limit} bytes")
        if count <= distance:
            out += out[start : start + count]
        else:
            out += (out[start:] * (count // distance + 1))[:count]
        literals = code & 3
        if literals:
            out += _literals(data, at, literals)
            at += literals


def _count(data: bytes, at: int, count: int, most: int) -> tuple[int, int]:
    """Return a length and where its code ends: 0 means that it goes on in bytes of 255 written as zero."""
    if count:
        return count, at
    while data[at] == 0:
        count += 255
        at += 1
    return count + most + data[at], at + 1


def _literals(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise FormatError("lzo: a literal goes beyond the block")
    return data[at : at + count]
