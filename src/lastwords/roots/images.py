"""Files that are read here and there, not from start to end: crash dumps.

A compressed one, or one from a pipe, is unpacked into a temporary file without a name, with holes for what
is zero; any other is read in place.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from typing import BinaryIO, Optional

from lastwords.model import LastwordsError
from lastwords.roots.evidence import reason_of
from lastwords.roots.streams import HEAD, CompressionError, open_decompressed, sniff

BLOCK = 1 << 16
_SPARE = 64 << 20
"""Bytes of the temporary filesystem that are left free."""


class ImageError(LastwordsError):
    """The file cannot be read, or there is no room to unpack it."""


class FileImage:
    """A file, read in place; not mapped, which would end us when somebody cuts the file meanwhile."""

    def __init__(
        self, path: str, descriptor: int, wrapped: Optional[str] = None, damage: Optional[str] = None
    ) -> None:
        self._path, self._descriptor = path, descriptor
        self.size = os.fstat(descriptor).st_size
        self.wrapped = wrapped
        """How it is compressed as a whole, or None."""
        self.damage = damage
        """How what it is wrapped in is damaged: what came before could be unpacked."""

    def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*; fewer where the file ends. :raises ImageError: I/O error"""
        if not 0 <= offset < self.size or size <= 0:
            return b""
        try:
            data = os.pread(self._descriptor, min(size, self.size - offset), offset)
        except OSError as problem:
            raise ImageError(f"{self._path}: cannot read at {offset}: {reason_of(problem)}") from None
        return data

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> FileImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class StreamSource:
    """A stream that can seek, as a source."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, os.SEEK_END)

    def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*; fewer where the stream ends. Raise OSError."""
        if offset >= self.size or size <= 0:
            return b""
        self._stream.seek(offset)
        return self._stream.read(min(size, self.size - offset))


def open_image(path: str) -> FileImage:
    """Open a file; ``-`` is standard input. Compressed ones (gzip, xz, zstd, bzip2) are unpacked.

    :raises ImageError: it cannot be read, is no file, or there is no room to unpack it
    """
    try:
        descriptor = os.dup(sys.stdin.fileno()) if path == "-" else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as problem:
        raise ImageError(
            f"{path}: {reason_of(problem) if isinstance(problem, OSError) else problem}"
        ) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{path}: expected a file, found a directory")
        regular = stat.S_ISREG(mode)
        if not regular and path != "-":
            raise ImageError(f"{path}: expected a file, found a device, FIFO or socket")
        wrapped = sniff(os.pread(descriptor, HEAD, 0)) if regular else None
        if regular and wrapped is None:
            kept, descriptor = descriptor, -1
            return FileImage(path, kept)
        with open(os.dup(descriptor), "rb") as raw:
            if regular:
                raw.seek(0)
            return _unpacked(path, raw, wrapped)
    except OSError as problem:
        raise ImageError(f"{path}: {reason_of(problem)}") from None
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _unpacked(path: str, raw: BinaryIO, wrapped: Optional[str]) -> FileImage:
    """Copy a stream, decompressed, into a temporary file that vanishes when it is closed."""
    folder = tempfile.gettempdir()
    damage = None
    with tempfile.TemporaryFile(dir=folder) as spool:
        usage = os.statvfs(folder)
        room = usage.f_bavail * usage.f_frsize - _SPARE
        end = written = 0
        try:
            with open_decompressed(raw) as stream:
                while block := stream.read(BLOCK):
                    end += len(block)
                    if not block.strip(b"\0"):
                        continue
                    written += len(block)
                    if written > room:
                        raise ImageError(
                            f"{path}: no room to unpack it in {folder}: set TMPDIR to another place"
                        )
                    spool.seek(end - len(block))
                    spool.write(block)
        except CompressionError as problem:
            if end == 0:
                raise ImageError(f"{path}: {reason_of(problem)}") from None
            damage = f"what it is packed in is damaged after {end} bytes unpacked: {reason_of(problem)}"
        spool.truncate(end)
        spool.flush()
        return FileImage(path, os.dup(spool.fileno()), wrapped, damage)
