"""The stream form of a dump (``makedumpfile -F``, QEMU's kdump formats), read without rewriting it.

A header of 4096 bytes, then records of offset, size and data, big-endian, in the order in which they were
written: later ones overwrite earlier ones, and an offset of -1 ends them. Sources: struct
makedumpfile_header and makedumpfile_data_header in makedumpfile.h; dump/dump.c of QEMU.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from heapq import heappop, heappush
from typing import Optional

from lastwords.formats.vmcore.source import DumpError, Source

HEADER = 4096
MAX_RUNS = 1 << 20
"""Runs of records that are remembered; makedumpfile's are some MiB of the dump, QEMU's 16 KiB."""
MAX_RECORD = 1 << 40
_RECORD = struct.Struct(">qq")
_END = b"\xff" * 16


def ends_well(source: Source) -> bool:
    """Return whether the stream has its end mark: what was cut has none.

    makedumpfile writes -1 as offset and as size; QEMU the same.
    """
    return source.size >= HEADER + 16 and source.read(source.size - 16, 16) == _END


class FlatSource:
    """The dump inside a stream, as the source of its bytes."""

    def __init__(self, stream: Source, records: Optional[int] = None) -> None:
        """Read the heads of all records, or of the first *records*, which hold the headers of the dump.

        :raises DumpError: there are none, or far too many
        """
        self._stream = stream
        self._records = records
        self.cut: Optional[str] = None
        """What is wrong where the records end, or None."""
        # Of each run of like records in a row: where it starts in the dump, the size of a record, how many
        # there are, and where the first one's data is in the stream.
        self._begins, self._sizes, self._counts, self._places = (array("q") for _ in range(4))
        self._index()
        if not self._begins:
            raise DumpError(f"stream without records: {self.cut}")
        self._starts, self._ends, self._tellers = array("q"), array("q"), array("q")
        self._lay_out()
        self._size = self._ends[-1]

    @property
    def size(self) -> int:
        """Bytes of the dump inside, as far as the stream goes."""
        return self._size

    def _index(self) -> None:
        """Read the head of every record."""
        stream, at, size = self._stream, HEADER, self._stream.size
        following = length = -1
        while self._records is None or len(self._begins) < self._records:
            head = stream.read(at, 16)
            if len(head) < 16:
                self.cut = f"no end mark: the file ends at {size}"
                break
            start, count = _RECORD.unpack(head)
            if start < 0:
                break
            if not 0 < count <= MAX_RECORD or start > MAX_RECORD:
                self.cut = f"expected a record at {at}, found offset {start} and size {count}"
                break
            at += 16
            if at + count > size:
                self.cut = f"the record at {at - 16} is cut: the file ends at {size}"
                count = size - at
                if count == 0:
                    break
            if start == following and count == length:
                self._counts[-1] += 1
            else:
                if len(self._begins) == MAX_RUNS:
                    raise DumpError(f"more than {MAX_RUNS} records: rearrange it with makedumpfile -R")
                self._begins.append(start)
                self._sizes.append(count)
                self._counts.append(1)
                self._places.append(at)
            following, length = start + count, count
            at += count

    def _lay_out(self) -> None:
        """Cut the runs into pieces that do not overlap: of each byte, the last run that tells of it."""
        begins = self._begins
        waiting = sorted(range(len(begins)), key=begins.__getitem__, reverse=True)
        active: list[int] = []  # a heap, the last run first
        here = 0
        while waiting or active:
            if not active:
                here = begins[waiting[-1]]
            while waiting and begins[waiting[-1]] <= here:
                heappush(active, -waiting.pop())
            teller = -active[0]
            end = begins[teller] + self._sizes[teller] * self._counts[teller]
            if end <= here:
                heappop(active)
                continue
            stop = min(end, begins[waiting[-1]]) if waiting else end
            if self._tellers and self._tellers[-1] == teller and self._ends[-1] == here:
                self._ends[-1] = stop
            else:
                self._starts.append(here)
                self._ends.append(stop)
                self._tellers.append(teller)
            here = stop

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes there as the last record that tells of them has it; none told are zero."""
        size = min(size, self._size - offset)
        if size <= 0 or offset < 0:
            return b""
        out = bytearray(size)
        piece = max(0, bisect_right(self._starts, offset) - 1)
        while piece < len(self._starts) and self._starts[piece] < offset + size:
            first, end = max(offset, self._starts[piece]), min(offset + size, self._ends[piece])
            teller = self._tellers[piece]
            start, length, place = self._begins[teller], self._sizes[teller], self._places[teller]
            while first < end:
                number, skip = divmod(first - start, length)
                take = min(length - skip, end - first)
                data = self._stream.read(place + number * (length + 16) + skip, take)
                out[first - offset : first - offset + len(data)] = data
                first += take
            piece += 1
        return bytes(out)
