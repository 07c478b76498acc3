"""Decompression by content, bounded: gzip, xz, lzma, bzip2 and zstd as plain streams; UTF-16 as UTF-8, and
a journal file as the text that journalctl makes of it.

Input is hostile: a stream that grows more than :data:`MAX_RATIO` times beyond :data:`FREE_BYTES`, or past
its byte limit, is refused with a clear error; xz and zstd may not ask for more than
:data:`MEMORY_LIMIT` bytes of dictionary.

Several members in a row are one stream, zeros after them are padding. Anything else after them is
ignored or refused as the tool of that format does: gzip and bzip2 ignore it, xz and zstd refuse.
"""

from __future__ import annotations

import bz2
import codecs
import errno
import io
import lzma
import queue
import re
import tempfile
import threading
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any, BinaryIO, Optional, Protocol, Union, cast

MEMORY_LIMIT = 128 << 20
MAX_RATIO = 400
"""gzip cannot reach 1032; real logs stay below 100, so what exceeds this is a bomb."""
FREE_BYTES = 64 << 20
"""Output that is allowed whatever the ratio."""
TOTAL_LIMIT = 16 << 30
CHUNK = 1 << 16
"""Bytes that are unpacked at once. Smaller ones cost more of the processor's time, greater ones more of the
clock's: lzma asks for the interpreter's lock each time its output grows, while another thread searches."""
PACKED = 1 << 16
"""Bytes of a file that are read at once: after each it is judged what they grew to."""
AHEAD = 64
"""Chunks that a thread reads ahead."""
HEAD = 6
"""Bytes that tell a format from all others."""

SPOOL_LIMIT = 1 << 30
"""Bytes of a stream that are copied to a temporary file where it must be read here and there."""

UTF_16 = "utf-16"
JOURNAL = "journal"
_FORMATS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    # The block header (pi in BCD) or, when nothing was compressed, that of the end (its square root).
    "bzip2": re.compile(rb"BZh[1-9](?:1A|\x17r)"),
    # A frame, or one to be skipped: RFC 8878, 3.1.
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "lzma": re.compile(rb"\x5d\0\0"),
    JOURNAL: re.compile(rb"LPKSHH"),
    # What PowerShell makes of the output of a command.
    UTF_16: re.compile(rb"\xff\xfe[^\0]\0|\xfe\xff\0[^\0]"),
}
_MAGIC = {"gzip": b"\x1f\x8b\x08", "xz": b"\xfd7zXZ\0", "bzip2": b"BZh", "zstd": b"\x28\xb5\x2f\xfd"}
_TOLERANT = ("gzip", "bzip2")
"""Formats whose tools ignore garbage after the data."""


class CompressionError(OSError):
    """The compressed stream is damaged, cut, or refuses to stay within its limits."""


class TooLarge(CompressionError):
    """The compressed stream is a bomb, or larger than anything that is read here."""


class _Decoder(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, limit: int = ...) -> bytes: ...


def sniff(head: bytes) -> Optional[str]:
    """Return the name of the compression, UTF-16 or journal that starts with *head*, or None.

    >>> sniff(bytes.fromhex("28b52ffd"))
    'zstd'
    """
    return next((name for name, pattern in _FORMATS.items() if pattern.match(head)), None)


def open_decompressed(raw: BinaryIO, *, total_limit: int = TOTAL_LIMIT) -> BinaryIO:
    """Return a readable stream of the decompressed content; of the bytes themselves if not compressed.

    A read gives what is there of one chunk, mostly without copying it, so it may be short; and all that comes
    before damage is given before the error (a buffer would lose what it was filling itself with).

    :raises CompressionError: on the first read that meets damage or a limit, or at once when the
        decompressor is not installed
    """
    return cast(BinaryIO, Chunks(_chunks(raw, total_limit)))


def read_head(stream: BinaryIO, size: int) -> bytes:
    """Return the first *size* bytes of a stream; less where it ends, or is damaged, before.

    :raises OSError: nothing at all can be read
    """
    head = b""
    while len(head) < size:
        try:
            more = stream.read(size - len(head))
        except CompressionError:
            if head:
                break
            raise
        if not more:
            break
        head += more
    return head


def ahead(raw: BinaryIO, *, total_limit: int = TOTAL_LIMIT) -> BinaryIO:
    """As :func:`open_decompressed`, but a thread decompresses, which lets other threads run.

    Closing the stream ends the thread. Until then nothing else may read *raw*, and the process must not fork.
    """
    return cast(BinaryIO, _Closing(_ahead(_chunks(raw, total_limit))))


def _chunks(raw: BinaryIO, total_limit: int) -> Iterator[bytes]:
    head = _fill(raw, b"")
    name = sniff(head)
    if name is None:
        return _plain(raw, head)
    if name == UTF_16:
        return _recoded(_plain(raw, head))
    if name == JOURNAL:
        return _journal(raw) if raw.seekable() else _spooled_journal(_plain(raw, head))
    return _inside(_decompressed(raw, head, name, new_decoder(name), total_limit))


def _ahead(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    ready: queue.Queue[Union[bytes, BaseException]] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def put(item: Union[bytes, BaseException]) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                pass

    def read() -> None:
        try:
            for chunk in chunks:
                if chunk:
                    put(chunk)
            put(b"")
        except BaseException as problem:  # it is the reader's to see, whatever it is
            put(problem)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while item := ready.get():
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


class Chunks(io.RawIOBase):
    """A readable, forward-only stream over an iterator of byte strings."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return up to *size* bytes, of one chunk: the chunk itself, where it is no larger."""
        if size < 0:
            return self.readall()
        while self._at == len(self._chunk):
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._chunk, self._at = chunk, 0
        data = self._chunk[self._at : self._at + size]
        self._at += len(data)
        return data


class _Closing(Chunks):
    """Closes its generator with itself."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        super().__init__(chunks)
        self._generator = chunks

    def close(self) -> None:
        self._generator.close()
        super().close()


def _fill(raw: BinaryIO, data: bytes) -> bytes:
    """Return *data* and what follows it, until a format can be told."""
    while len(data) < HEAD:
        more = raw.read(PACKED)
        if not more:
            break
        data += more
    return data


def _plain(raw: BinaryIO, head: bytes) -> Iterator[bytes]:
    chunk = head
    while chunk:
        yield chunk
        chunk = raw.read(PACKED)


def _recoded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield UTF-16 as UTF-8."""
    decoder = codecs.getincrementaldecoder(UTF_16)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def _inside(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what was packed as it is, but for a journal."""
    first = next(chunks, b"")
    if sniff(first) == JOURNAL:
        yield from _spooled_journal(chain((first,), chunks))
    else:
        yield first
        yield from chunks


def _spooled_journal(chunks: Iterator[bytes]) -> Iterator[bytes]:
    with spooled(chunks) as file:
        yield from _journal(file)


def _journal(file: BinaryIO) -> Iterator[bytes]:
    """Yield a journal file as text."""
    from lastwords.formats.log.journal_file import JournalError
    from lastwords.roots.journal_text import text_of_file

    try:
        yield from text_of_file(file)
    except JournalError as problem:
        raise CompressionError(errno.EIO, str(problem)) from None


def spooled(chunks: Iterator[bytes]) -> BinaryIO:
    """Return a temporary file with what a stream gives, of a damaged one what is there; it goes when closed.

    :raises TooLarge: it gives more than SPOOL_LIMIT bytes
    """
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        size = 0
        try:
            for chunk in chunks:
                size += len(chunk)
                if size > SPOOL_LIMIT:
                    raise TooLarge(errno.EFBIG, f"larger than {SPOOL_LIMIT} bytes")
                file.write(chunk)
        except TooLarge:
            raise
        except CompressionError:
            pass
        stack.pop_all()
    return cast(BinaryIO, file)


def _decompressed(
    raw: BinaryIO, data: bytes, name: str, decoder: _Decoder, total_limit: int
) -> Iterator[bytes]:
    read, written = len(data), 0
    while True:
        try:
            out = decoder.decompress(data, CHUNK)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as problem:
            raise CompressionError(errno.EIO, f"damaged {name} data: {problem}") from None
        data = b""
        if out:
            written += len(out)
            if written > total_limit:
                raise TooLarge(errno.EFBIG, f"{name} data is larger than {total_limit} bytes unpacked")
            if written > FREE_BYTES and written > MAX_RATIO * read:
                raise TooLarge(errno.EFBIG, f"{name} data grows over {MAX_RATIO} times: refused as a bomb")
            yield out
        if decoder.eof:
            data = _next_member(raw, decoder.unused_data, name)
            if not data:
                return
            read += len(data)
            decoder = new_decoder(name)
        elif not out:
            data = raw.read(PACKED)
            if not data:
                raise CompressionError(errno.EIO, f"cut {name} data: the end is missing")
            read += len(data)


def _next_member(raw: BinaryIO, rest: bytes, name: str) -> bytes:
    """Return the start of the next member of a stream, or nothing when the stream ends here."""
    rest = rest.lstrip(b"\0")
    while len(rest) < HEAD:
        more = raw.read(PACKED)
        if not more:
            break
        rest = (rest + more).lstrip(b"\0")
    if not rest or sniff(rest) == name:
        return rest
    magic = _MAGIC.get(name, b"")
    if len(rest) < HEAD and rest[: len(magic)] == magic[: len(rest)]:
        raise CompressionError(errno.EIO, f"cut {name} data: the end is missing")
    if name in _TOLERANT:
        return b""
    raise CompressionError(errno.EIO, f"damaged {name} data: something else follows it")


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
        import zstandard

        self._error = zstandard.ZstdError
        self._object = zstandard.ZstdDecompressor(max_window_size=MEMORY_LIMIT).decompressobj()
        self._ready = memoryview(b"")
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
            piece = self._input[self._at : self._at + 512]
            self._at += len(piece)
            try:
                self._ready = memoryview(self._object.decompress(piece))
            except self._error as problem:
                raise ValueError(problem) from None
        out, self._ready = self._ready[:limit], self._ready[limit:]
        return bytes(out)


def new_decoder(name: str) -> Any:
    """Return an incremental decoder: ``decompress(data, limit)``, ``eof``, ``unused_data``.

    :raises CompressionError: it is not installed
    """
    if name == "gzip":
        return _Gzip()
    if name in ("xz", "lzma"):
        return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=MEMORY_LIMIT)
    if name == "bzip2":
        return bz2.BZ2Decompressor()
    try:
        return _Zstd()
    except ImportError:
        return _zstd_of_the_system()


def _zstd_of_the_system() -> Any:
    try:
        from lastwords.roots.zstd_library import ZstdLibrary

        return ZstdLibrary(MEMORY_LIMIT.bit_length() - 1)
    except (ImportError, OSError):
        needs = "zstd data needs the Python package zstandard, or libzstd"
        raise CompressionError(errno.EOPNOTSUPP, needs) from None
