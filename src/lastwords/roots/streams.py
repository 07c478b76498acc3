"""Decompression by content, bounded: gzip, xz, lzma, bzip2 and zstd as plain readable streams.

Input is hostile: a stream that grows more than :data:`MAX_RATIO` times beyond :data:`FREE_BYTES`, or past
its byte limit, is refused with a clear error; xz and zstd may not ask for more than
:data:`MEMORY_LIMIT` bytes of dictionary.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Optional, Protocol

MEMORY_LIMIT = 128 << 20
MAX_RATIO = 400
"""gzip cannot reach 1032; real logs stay below 100, so what exceeds this is a bomb."""
FREE_BYTES = 64 << 20
"""Output that is allowed whatever the ratio."""
TOTAL_LIMIT = 16 << 30
CHUNK = 1 << 16


class CompressionError(OSError):
    """The compressed stream is damaged, cut, or refuses to stay within its limits."""


class _Decoder(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, limit: int = ...) -> bytes: ...


def sniff(head: bytes) -> Optional[str]:
    """Return the name of the compression that starts with *head*, or None.

    >>> sniff(bytes.fromhex("28b52ffd"))
    'zstd'
    """
    for magic, name in (
        (b"\x1f\x8b", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x5d\0\0", "lzma"),
    ):
        if head.startswith(magic):
            return name
    return None


def open_decompressed(raw: BinaryIO, *, total_limit: int = TOTAL_LIMIT) -> BinaryIO:
    """Return a readable stream of the decompressed content; of the bytes themselves if not compressed.

    :raises CompressionError: on the first read that meets damage or a limit, or at once when the
        decompressor is not installed
    """
    head = raw.read(6)
    name = sniff(head)
    if name is None:
        return io.BufferedReader(Chunks(_plain(raw, head)))
    return io.BufferedReader(Chunks(_decompressed(raw, head, name, total_limit)), CHUNK)


class Chunks(io.RawIOBase):
    """A readable, forward-only stream over an iterator of byte strings."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _plain(raw: BinaryIO, head: bytes) -> Iterator[bytes]:
    chunk = head
    while chunk:
        yield chunk
        chunk = raw.read(CHUNK)


def _decompressed(raw: BinaryIO, head: bytes, name: str, total_limit: int) -> Iterator[bytes]:
    read, written = len(head), 0
    decoder = new_decoder(name)
    data = head + raw.read(CHUNK)
    read = len(data)
    started = False
    while True:
        try:
            out = decoder.decompress(data, CHUNK)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as problem:
            if started and decoder.eof:
                return  # padding after the last member
            raise CompressionError(5, f"damaged {name} data: {problem}") from None
        data = b""
        started = True
        if out:
            written += len(out)
            if written > total_limit:
                raise CompressionError(27, f"{name} data is larger than {total_limit} bytes unpacked")
            if written > FREE_BYTES and written > MAX_RATIO * read:
                raise CompressionError(27, f"{name} data grows over {MAX_RATIO} times: refused as a bomb")
            yield out
            continue
        if decoder.eof:
            data = decoder.unused_data or raw.read(CHUNK)
            read += 0 if decoder.unused_data else len(data)
            data = data.lstrip(b"\0") or raw.read(CHUNK).lstrip(b"\0")
            if not data or sniff(data) != name:
                return
            decoder = new_decoder(name)
            continue
        data = raw.read(CHUNK)
        if not data:
            raise CompressionError(5, f"cut {name} data: the end is missing")
        read += len(data)


class _Gzip:
    """zlib's object with the interface of the others (which cap output without losing input)."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)

    eof = property(lambda self: self._zlib.eof)
    unused_data = property(lambda self: self._zlib.unused_data)

    def decompress(self, data: bytes, limit: int = CHUNK) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, limit)


class _Zstd:
    """zstandard's incremental object yields whole blocks (128 KiB at most): its output needs no cap."""

    def __init__(self) -> None:
        try:
            import zstandard
        except ImportError:
            raise CompressionError(95, "zstd data needs the Python package zstandard") from None
        self._error = zstandard.ZstdError
        self._object = zstandard.ZstdDecompressor(max_window_size=MEMORY_LIMIT).decompressobj()
        self._ready = b""
        self._input = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return bool(self._object.eof) and not self._ready

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data) + self._input[self._at :]

    def decompress(self, data: bytes, limit: int = CHUNK) -> bytes:
        if data:
            self._input, self._at = self._input[self._at :] + data, 0
        while not self._ready and self._at < len(self._input) and not self._object.eof:
            # Small pieces: a few bytes of input can stand for a block of 128 KiB of output.
            piece = self._input[self._at : self._at + 256]
            self._at += len(piece)
            try:
                self._ready = self._object.decompress(piece)
            except self._error as problem:
                raise CompressionError(5, f"damaged zstd data: {problem}") from None
        out, self._ready = self._ready[:limit], self._ready[limit:]
        return out


def new_decoder(name: str) -> Any:
    """Return an incremental decoder: ``decompress(data, limit)``, ``eof``, ``unused_data``."""
    if name == "gzip":
        return _Gzip()
    if name in ("xz", "lzma"):
        return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=MEMORY_LIMIT)
    if name == "bzip2":
        return bz2.BZ2Decompressor()
    return _Zstd()
