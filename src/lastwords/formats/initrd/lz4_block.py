"""lz4 blocks, as the kernel's images hold them.

Source: lz4_Block_format.md of lz4.
"""

from __future__ import annotations

from lastwords.formats import FormatError


def decompress_lz4(data: bytes, limit: int) -> bytes:
    """Return the content of a block.

    :param limit: bytes that it may have
    :raises FormatError: it is damaged, or its content is longer

    >>> decompress_lz4(bytes.fromhex("4261626364 0400 105a"), 100)  # abcd, 6 bytes from 4 back, Z
    b'abcdabcdabZ'
    """
    out = bytearray()
    at, end = 0, len(data)
    try:
        while at < end:
            token = data[at]
            at += 1
            length = token >> 4
            if length == 15:
                more = 255
                while more == 255:
                    more = data[at]
                    at += 1
                    length += more
            if length:
                if at + length > end:
                    raise FormatError("lz4: a literal goes beyond the block")
                out += data[at : at + length]
                at += length
            if at == end:
                break
            distance = data[at] | data[at + 1] << 8
            at += 2
            length = (token & 15) + 4
            if length == 19:
                more = 255
                while more == 255:
                    more = data[at]
                    at += 1
                    length += more
            start = len(out) - distance
            if not distance or start < 0:
                raise FormatError("lz4: a copy from before the block")
            if len(out) + length > limit:
                raise FormatError(f"lz4: more than {limit} bytes")
            if length <= distance:
                out += out[start : start + length]
            else:
                pattern = out[start:]
                out += (pattern * (length // distance + 1))[:length]
    except IndexError:
        raise FormatError("lz4: the block ends too early") from None
    if len(out) > limit:
        raise FormatError(f"lz4: more than {limit} bytes")
    return bytes(out)
