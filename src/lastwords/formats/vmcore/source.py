"""Bytes at an offset: all that the readers of this package need of a file."""

from __future__ import annotations

from typing import Protocol

from lastwords.formats import FormatError


class DumpError(FormatError):
    """The dump is damaged, or of a kind that is not read. The message says what and where."""


class Missing(DumpError):
    """The memory asked for is not in the dump: not dumped, cut off, or not mapped."""


class Source(Protocol):
    """A file, whoever opened it."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*; fewer where the file ends."""


class Memory(Protocol):
    """The physical memory that a dump holds."""

    def read(self, address: int, size: int) -> bytes:
        """Return *size* bytes of physical memory. :raises Missing: not all of them are there"""


def need(source: Source, offset: int, size: int, what: str) -> bytes:
    """Return exactly *size* bytes from *offset*.

    :raises DumpError: the file ends before
    """
    data = source.read(offset, size) if 0 <= offset < source.size else b""
    if len(data) < size:
        raise DumpError(
            f"cut off: expected {size} bytes of {what} at {offset}, but the file is {source.size} bytes long"
        )
    return data
