"""Decompressors that follow the kernel's: where they stop, what they check, and what it prints then.

The kernel's own differ from the tools': gzip checksums are not looked at, xz must not use any check but
CRC32, lz4 is the old format without frames. What only the tools would notice is kept apart.

Source: lib/decompress_{inflate,bunzip2,unlzma,unxz,unlzo,unlz4,unzstd}.c (6.1), lib/decompress.c.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.formats import FormatError
from lastwords.formats.initrd.lz4_block import decompress_lz4
from lastwords.formats.initrd.lzo import decompress_lzo
from lastwords.roots.streams import CompressionError, new_decoder

FAILED = "decompressor failed"
OUT = 1 << 17
"""Bytes of output at a time."""
PIECE = 2048
"""Bytes of input at a time: what they give is lost when they are found to be damaged."""
LZ4_BLOCK = 8 << 20
LZ4_MAGIC = b"\x02\x21\x4c\x18"
LZO_BLOCK = 256 << 10
_XZ = b"\xfd7zXZ\0"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Damaged(Exception):
    """The data cannot be unpacked to its end."""

    def __init__(self, words: str, kernel: Optional[str]) -> None:
        super().__init__(words)
        self.kernel = kernel
        """What the kernel prints of it, after "Initramfs unpacking failed:"; None when nothing."""


class Unsupported(Exception):
    """It cannot be unpacked here, which says nothing of the kernel. The message says why."""


class Decoder:
    """Unpacks one compressed stream, piece by piece."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = False
        """True once the stream has ended."""
        self.rest = b""
        """What was fed beyond its end."""
        self.unnoticed: Optional[str] = None
        """Damage that the kernel does not look for."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* unpacks to, in bounded pieces.

        :raises Damaged: the kernel would stop here
        :raises Unsupported: it cannot be unpacked here
        """
        raise NotImplementedError  # every compression has its own

    def finish(self) -> None:
        """Be told that no more data comes.

        :raises Damaged: some is missing
        """
        raise Damaged(f"cut {self.name} data", _CUT.get(self.name, FAILED))

    def damaged(self, problem: object = "") -> Damaged:
        """Return the exception for data that is not what it should be."""
        words = f"damaged {self.name} data" + (f": {problem}" if problem else "")
        return Damaged(words, _CORRUPT.get(self.name, FAILED))


_CUT = {
    "gzip": "read error",
    "lzma": "unexpected EOF",
    "xz": "XZ-compressed data is corrupt",
    "zstd": "ZSTD-compressed data is truncated",
    "lz4": "data corrupted",
    "lzo": "file corrupted",
}
_CORRUPT = {
    "gzip": "uncompression error",
    "bzip2": "Data integrity error when decompressing.",
    "lzma": "LZMA data is corrupt",
    "xz": "XZ-compressed data is corrupt",
    "zstd": "ZSTD-compressed data is corrupt",
    "lz4": "Decoding failed",
    "lzo": "Compressed data violation",
}


def decoder_of(name: str) -> Decoder:
    """Return a decoder of a compression that :func:`~lastwords.formats.initrd.head.compression_of` names."""
    if name == "gzip":
        return _Gzip(name)
    return {"lz4": _Lz4, "lzo": _Lzo}.get(name, _Library)(name)


class _Gzip(Decoder):
    """As lib/decompress_inflate.c: a header of ten bytes and perhaps a name, no look at the trailer."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._held: Optional[bytes] = b""
        """The header, until it is complete."""
        self._crc = self._size = 0
        self._trailer: Optional[bytes] = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._held is not None:
            data = self._held + data
            length = self._header(data)
            self._held = None if length else data
            if not length:
                return
            data = data[length:]
        while data and self._trailer is None:
            before = self._inflate.copy()
            try:
                out = self._inflate.decompress(data, OUT)
            except zlib.error as problem:
                yield from self._until_damage(before, data)
                raise self.damaged(problem) from None
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._trailer, data = b"", self._inflate.unused_data
            if out:
                self._crc, self._size = zlib.crc32(out, self._crc), self._size + len(out)
                yield out
        if self._trailer is not None:
            self._end(data)

    def _until_damage(self, inflate: Any, data: bytes) -> Iterator[bytes]:
        """Yield what the kernel still gets to see, which may make it stop earlier and for another reason."""
        found = b""
        for at in range(len(data)):
            try:
                found += inflate.decompress(data[at : at + 1])
            except zlib.error:
                break
        if found:
            yield found

    def _header(self, data: bytes) -> int:
        if data[:3] != b"\x1f\x8b\x08"[: len(data)]:
            raise Damaged("not gzip data", "Not a gzip file")
        if len(data) < 10:
            return 0
        return data.find(b"\0", 10) + 1 if data[3] & 8 else 10

    def _end(self, data: bytes) -> None:
        assert self._trailer is not None
        taken = self._trailer + data
        self._trailer, self.rest = taken[:8], taken[8:]
        if len(taken) >= 8:
            self.done = True
            told = int.from_bytes(taken[:4], "little"), int.from_bytes(taken[4:8], "little")
            if told != (self._crc, self._size & 0xFFFFFFFF):
                self.unnoticed = "damaged gzip data: its checksum is wrong"

    def finish(self) -> None:
        if self._trailer is not None:
            self.unnoticed, self.done = "cut gzip data: its checksum is missing", True
        elif self._held is not None:
            words = "Not a gzip file" if len(self._held) < 10 else "header error"
            raise Damaged("cut gzip data: its header is incomplete", words)
        else:
            super().finish()


class _Library(Decoder):
    """bzip2, lzma, xz and zstd by their libraries, in small pieces of input."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._head = b""
        self._given = 0
        try:
            self._decoder: Any = new_decoder(name)
        except CompressionError as problem:
            raise Unsupported(problem.strerror) from None

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._given += len(data)
        self._head += data[: 8 - len(self._head)]
        if self._head.startswith(_XZ) and len(self._head) == 8 and self._head[7] > 1:
            raise Damaged(
                "xz data with a check that the kernel does not know (it knows xz --check=crc32)",
                "Input was encoded with settings that are not supported by this XZ decoder",
            )
        for start in range(0, len(data), PIECE):
            piece: Optional[bytes] = data[start : start + PIECE]
            while piece is not None:
                try:
                    out = self._decoder.decompress(piece, OUT)
                except (OSError, EOFError, ValueError, lzma.LZMAError) as problem:
                    if "memory" in str(problem).lower() and isinstance(problem, lzma.LZMAError):
                        raise Unsupported(f"{self.name} data asks for too much memory") from None
                    raise self._refused(problem) from None
                if out:
                    yield out
                if self._decoder.eof:
                    self.done = True
                    self.rest = self._decoder.unused_data + data[start + PIECE :]
                    return
                piece = b"" if out else None

    def _refused(self, problem: Exception) -> Damaged:
        damage = self.damaged(problem)
        if self.name == "xz" and not self._head.startswith(_XZ):
            damage.kernel = "Input is not in the XZ format (wrong magic bytes)"
        elif self.name == "zstd" and not self._head.startswith(_ZSTD):
            damage.kernel = "Input is not in the ZSTD format (wrong magic bytes)"
        elif self.name == "zstd" and "memory" in str(problem).lower():
            damage.kernel = "ZSTD-compressed data has too large a window size"
        return damage

    def finish(self) -> None:
        if self.name == "zstd" and self._given < 18:
            raise Damaged("cut zstd data", "ZSTD-compressed data has an incomplete frame header")
        super().finish()


class _Blocks(Decoder):
    """A format of blocks: the kernel unpacks each as a whole."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._held = b""
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._held += data
        at = 0
        while not self.done:
            found = self._next(at)
            if found is None:
                break
            length, out = found
            at += length
            yield from (out[each : each + OUT] for each in range(0, len(out), OUT))
        held = self._held[at:]
        self._held, self.rest = (b"", held) if self.done else (held, b"")

    def _next(self, at: int) -> Optional[tuple[int, bytes]]:
        """Return the length of what stands at *at* and its content; None when it is not complete."""
        raise NotImplementedError


class _Lz4(_Blocks):
    def _next(self, at: int) -> Optional[tuple[int, bytes]]:
        if len(self._held) < at + 4:
            return None
        head = self._held[at : at + 4]
        if not self._started and head != LZ4_MAGIC:
            raise Damaged("not lz4 data", "invalid header")
        self._started = True
        if head == LZ4_MAGIC:
            return 4, b""
        size = int.from_bytes(head, "little")
        if not size:
            self.done = True
            return 0, b""
        if size > LZ4_BLOCK + LZ4_BLOCK // 255 + 16:
            raise self.damaged(f"a block of {size} bytes")
        if len(self._held) < at + 4 + size:
            return None
        return 4 + size, self._block(self._held[at + 4 : at + 4 + size])

    def _block(self, data: bytes) -> bytes:
        try:
            from lz4.block import LZ4BlockError, decompress
        except ImportError:
            try:
                return decompress_lz4(data, LZ4_BLOCK)
            except FormatError as problem:
                raise self.damaged(problem) from None
        try:
            return bytes(decompress(data, uncompressed_size=LZ4_BLOCK))
        except LZ4BlockError as problem:
            raise self.damaged(problem) from None

    def finish(self) -> None:
        if not self._started or len(self._held) >= 4:
            # The kernel decodes what is there and more; which of the two it notices first is chance.
            raise Damaged("cut lz4 data", "Decoding failed" if self._started else "invalid header")
        self.done = True


class _Lzo(_Blocks):
    def _next(self, at: int) -> Optional[tuple[int, bytes]]:
        held = self._held
        if not self._started:
            length = self._header(held)
            self._started = bool(length)
            return (length, b"") if length else None
        if len(held) < at + 4:
            return None
        size = int.from_bytes(held[at : at + 4], "big")
        if not size:
            self.done = True
            return 4, b""
        if size > LZO_BLOCK:
            raise Damaged(f"lzo data with a block of {size} bytes", "dest len longer than block size")
        if len(held) < at + 12:
            return None
        packed = int.from_bytes(held[at + 4 : at + 8], "big")
        if not 0 < packed <= size:
            raise Damaged("damaged lzo data", "file corrupted")
        if len(held) < at + 12 + packed:
            return None
        data = held[at + 12 : at + 12 + packed]
        if packed == size:
            return 12 + packed, data
        try:
            out = decompress_lzo(data, size)
        except FormatError as problem:
            raise self.damaged(problem) from None
        if len(out) != size:
            raise self.damaged(f"{len(out)} of {size} bytes")
        return 12 + packed, out

    def _header(self, data: bytes) -> int:
        """Return the length of lzop's header, 0 while it is incomplete."""
        if not data.startswith(b"\x89LZO\0\r\n\x1a\n"[: len(data)]):
            raise Damaged("not lzo data", "invalid header")
        if len(data) < 40:
            return 0
        newer = int.from_bytes(data[9:11], "big") >= 0x0940
        at = 17 if newer else 16
        filtered = int.from_bytes(data[at : at + 4], "big") & 0x800
        at += (8 if filtered else 4) + (12 if newer else 8)
        if len(data) < at + 1 or len(data) < at + 1 + data[at] + 4:
            return 0
        return at + 1 + data[at] + 4

    def finish(self) -> None:
        if not self._started:
            raise Damaged("cut lzo data: its header is incomplete", "invalid header")
        super().finish()
