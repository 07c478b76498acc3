"""Names of the kernel's symbols, out of the kernel's own table.

Since 6.0 VMCOREINFO tells where it is; of older kernels it is searched for. Names are packed as strings of
tokens, a length before each; the order is that of addresses. Sources: scripts/kallsyms.c, kernel/kallsyms.c.
"""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_right
from typing import Optional

from lastwords.formats.vmcore.kallsyms_search import Place, search
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.source import DumpError, Missing

MAX_SYMBOLS = 1 << 21
MAX_NAMES = 16 << 20
MAX_TEXT = 48 << 20
"""Bytes of all names unpacked; those of a distribution's kernel are some MiB."""
MAX_TOKEN = 512
"""No name is longer (KSYM_NAME_LEN)."""
_SEPARATOR, _NOTHING = 256, 257
_JOINED = 1 << 14
_NEAR = 1 << 21
"""A function is no longer than this: what lies further from a symbol is not in it."""


class Symbols:
    """The table, unpacked."""

    def __init__(self, kernel: Kernel) -> None:
        """Read the table. :raises DumpError: VMCOREINFO does not tell of it, or it is not in the dump"""
        place = _told(kernel) or search(kernel)
        count = self._count = place.count
        index = struct.unpack("<256H", kernel.read(place.index, 512))
        table = kernel.read(place.tokens, index[255] + 128)
        tokens = [table[at : table.find(b"\0", at)] for at in index]
        if max(map(len, tokens)) > MAX_TOKEN:
            raise DumpError(f"symbol table: a token of over {MAX_TOKEN} bytes")
        size = min(MAX_NAMES, place.tokens - place.names if place.tokens > place.names else count * 24)
        if not 0 < count <= MAX_SYMBOLS:
            raise DumpError(f"symbol table of {count} symbols: absurd")
        self._text = _unpacked(_read_up_to(kernel, place.names, size), count, tokens)
        self._lines: Optional[list[bytes]] = None
        self._found: dict[str, Optional[int]] = {}
        offsets = array("i", kernel.read(place.offsets, 4 * count))
        self._addresses = _addresses(place, offsets, self._index("_stext"), kernel.info.symbol("_stext"))

    def _index(self, name: str) -> Optional[int]:
        match = re.search(rb"\n." + re.escape(name.encode()) + rb"\n", self._text)
        index = self._text.count(b"\n", 0, match.start()) if match else self._count
        return index if index < self._count else None

    def find(self, name: str) -> Optional[int]:
        """Return the address of a symbol, or None."""
        if name not in self._found:
            index = self._index(name)
            self._found[name] = self._addresses[index] if index is not None else None
        return self._found[name]

    def get(self, name: str) -> int:
        """Return the address of a symbol. :raises DumpError: it is not in the table"""
        found = self.find(name)
        if found is None:
            raise DumpError(f"the kernel's symbol table lacks {name} (built without KALLSYMS_ALL?)")
        return found

    def name(self, address: int) -> Optional[tuple[str, int]]:
        """Return the symbol that holds an address, and how far in it is; None when none does."""
        if self._lines is None:
            self._lines = self._text.split(b"\n")[1:-1]
        i = bisect_right(self._addresses, address) - 1
        if i < 0 or address - self._addresses[i] > _NEAR:
            return None
        # Of several names of one place the first, as the kernel takes it.
        while i and self._addresses[i - 1] == self._addresses[i]:
            i -= 1
        return self._lines[i][1:].decode("ascii", "replace"), address - self._addresses[i]


_ALL = (1 << 64) - 1


def _addresses(place: Place, offsets: array[int], start: Optional[int], stext: int) -> array[int]:
    """Return the addresses that *offsets* stand for.

    With per-CPU symbols in the table (x86 before 6.15) all others are below zero, counted from the base;
    else they are above it; and in 7.x they are relative to their own places. _stext, which VMCOREINFO tells
    too, shows which.

    :param start: number of the symbol _stext
    :param stext: its address
    """
    if start is None:
        raise DumpError("symbol table: it lacks _stext")
    base, first, offset = place.base, place.offsets, offsets[start]
    if base is not None and base - 1 - offset == stext:
        found = [o if o >= 0 else base - 1 - o for o in offsets]
    elif base is not None and base + (offset & 0xFFFFFFFF) == stext:
        found = [base + (o & 0xFFFFFFFF) for o in offsets]
    elif first + 4 * start + offset == stext:
        found = [first + 4 * i + o for i, o in enumerate(offsets)]
    else:
        raise DumpError("symbol table: its addresses are of an unknown form")
    return array("Q", [address & _ALL for address in found])


def _told(kernel: Kernel) -> Optional[Place]:
    """Return where VMCOREINFO says that the table is, or None where it does not."""
    info = kernel.info
    if not info.find_symbol("kallsyms_names"):
        return None
    base = info.find_symbol("kallsyms_relative_base")
    return Place(
        info.symbol("kallsyms_names"),
        kernel.number(info.symbol("kallsyms_num_syms")),
        info.symbol("kallsyms_token_table"),
        info.symbol("kallsyms_token_index"),
        info.symbol("kallsyms_offsets"),
        kernel.pointer(base) if base else None,
    )


def _read_up_to(kernel: Kernel, address: int, size: int) -> bytes:
    """Return as much of a table as is there, for its end is only known by reading it."""
    parts = []
    for at in range(address, address + size, 1 << 16):
        try:
            parts.append(kernel.read(at, min(1 << 16, address + size - at)))
        except Missing:
            for page in range(at, min(at + (1 << 16), address + size), 4096):
                try:
                    parts.append(kernel.read(page, min(4096, address + size - page)))
                except Missing:
                    return b"".join(parts)
    return b"".join(parts)


def _unpacked(packed: bytes, count: int, tokens: list[bytes]) -> bytes:
    """Return all names, each with its type before and a newline around it.

    Done in a few passes over the whole, each in C: a loop over the names takes seconds.
    """
    codes = array("H")
    codes.extend(packed)
    at = 0
    for _ in range(count):
        if at >= len(packed):
            raise DumpError(f"symbol table: its names end after {at} bytes, before the last of {count}")
        length = packed[at]
        codes[at] = _SEPARATOR
        at += 1
        if length & 0x80 and at < len(packed):
            length = length & 0x7F | packed[at] << 7
            codes[at] = _NOTHING
            at += 1
        at += length
    words = [*tokens, b"\n", b""]
    # In parts: to join a sequence, Python holds 80 bytes for each of its items.
    out = bytearray()
    for i in range(0, at, _JOINED):
        out += b"".join([words[code] for code in codes[i : min(i + _JOINED, at)]])
        if len(out) > MAX_TEXT:
            raise DumpError(f"symbol table: over {MAX_TEXT} bytes of names")
    return bytes(out) + b"\n"
