"""Layouts of the kernel's structures, out of the kernel's own BTF.

Nothing is indexed but where each type is and which structures have names: the rest is looked up when
asked. Source: Documentation/bpf/btf.rst, include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.source import DumpError

MAGIC = 0xEB9F
HEAD = b"\x9f\xeb\x01\0\x18\0\0\0\0\0\0\0"
"""How all BTF begins: magic number, version, flags, size of the header, and types at once after it."""
_STRUCT, _UNION, _INT, _PTR, _ARRAY, _ENUM, _ENUM64 = 4, 5, 1, 2, 3, 6, 19
_RECORDS = (_STRUCT, _UNION)
_MODIFIERS = (8, 9, 10, 11, 18)
"""typedef, volatile, const, restrict, type tag."""
_FIXED = {1: 1, 3: 3, 14: 1, 17: 1}
_EACH = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}
"""Words that follow the three of every type: so many, or so many for each member."""
_KINDS = 20
_DEPTH = 32
_NAMELESS = 256
"""Structures without names that one may hold, those in others included."""


@dataclass(frozen=True)
class Member:
    """A member of a structure."""

    bit: int
    """Where it starts, in bits."""
    type: int
    bits: int
    """Width of a bit field, else 0."""

    @property
    def offset(self) -> int:
        """Where it starts, in bytes."""
        return self.bit // 8


class Types:
    """The types of one kernel."""

    def __init__(self, data: bytes) -> None:
        """Index the types. :raises DumpError: the data is no BTF"""
        if len(data) < 24:
            raise DumpError("BTF: cut off")
        magic, version, _, head, types_at, types, strings_at, strings = struct.unpack_from("<HBBIIIII", data)
        if (
            magic != MAGIC
            or version != 1
            or max(head + types_at + types, head + strings_at + strings) > len(data)
        ):
            raise DumpError("BTF: expected its magic number and parts that fit")
        self._strings = data[head + strings_at : head + strings_at + strings]
        self._words = array("I", data[head + types_at : head + types_at + types // 4 * 4])
        self._places = array("I", [0])
        self._named: dict[int, int] = {}
        self._enums: dict[int, int] = {}
        self._index()
        self._known: dict[tuple[str, str], Member] = {}

    def _index(self) -> None:
        words, places, named, enums = self._words, self._places, self._named, self._enums
        fixed = [3 + _FIXED.get(kind, 0) for kind in range(32)]
        each = [_EACH.get(kind, 0) for kind in range(32)]
        at, end = 0, len(words) - 2
        while at < end:
            info = words[at + 1]
            kind = info >> 24 & 31
            if kind in _RECORDS:
                named.setdefault(words[at], len(places))
            elif kind == _ENUM:
                enums.setdefault(words[at], len(places))
            elif kind >= _KINDS:
                raise DumpError(f"BTF: type {len(places)} is of unknown kind {kind}")
            places.append(at)
            at += fixed[kind] + each[kind] * (info & 0xFFFF)
        words.extend((0,) * max(_FIXED.values()))  # the last one may be cut

    def _type(self, number: int) -> tuple[int, int, int, int, int]:
        """Return kind, count of members, flag, size or type, and where the members are."""
        if not 0 < number < len(self._places):
            raise DumpError(f"BTF: there is no type {number}")
        at = self._places[number]
        info = self._words[at + 1]
        return info >> 24 & 31, info & 0xFFFF, info >> 31, self._words[at + 2], at + 3

    def _name(self, offset: int) -> bytes:
        return self._strings[offset : self._strings.find(b"\0", offset)]

    def struct(self, name: str) -> int:
        """Return the number of a structure or union. :raises DumpError: there is none of that name"""
        at = self._strings.find(b"\0" + name.encode() + b"\0")
        if at < 0 or at + 1 not in self._named:
            raise DumpError(f"this kernel has no struct {name}")
        return self._named[at + 1]

    def enumerators(self, name: str) -> dict[str, int]:
        """Return the values of an enum by their names. :raises DumpError: there is none of that name"""
        at = self._strings.find(b"\0" + name.encode() + b"\0")
        if at < 0 or at + 1 not in self._enums:
            raise DumpError(f"this kernel has no enum {name}")
        _, count, _, _, first = self._type(self._enums[at + 1])
        if first + 2 * count > len(self._words):
            raise DumpError("BTF: values beyond its end")
        pairs = zip(
            self._words[first : first + 2 * count : 2], self._words[first + 1 : first + 2 * count : 2]
        )
        return {self._name(name).decode("ascii", "replace"): value for name, value in pairs}

    def _plain(self, number: int) -> int:
        """Follow typedefs and qualifiers."""
        for _ in range(_DEPTH):
            kind, _, _, target, _ = self._type(number)
            if kind not in _MODIFIERS:
                return number
            number = target
        raise DumpError(f"BTF: type {number} leads to itself")

    def size(self, number: int) -> int:
        """Return the bytes of a type."""
        times = 1
        for _ in range(_DEPTH):
            kind, _, _, size, at = self._type(self._plain(number))
            if kind == _ARRAY:
                number, times = self._words[at], times * self._words[at + 2]
            elif kind == _PTR:
                return 8 * times
            elif kind in (_INT, _STRUCT, _UNION, _ENUM, _ENUM64):
                return size * times
            else:
                break
        raise DumpError(f"BTF: type {number} has no size")

    def signed(self, number: int) -> bool:
        """Return whether a type is a signed integer."""
        kind, _, _, _, at = self._type(self._plain(number))
        return kind == _INT and bool(self._words[at] >> 24 & 1)

    def find(self, name: str, path: str) -> Optional[Member]:
        """Return a member of a structure: ``thread_info.cpu``; None where there is none."""
        try:
            return self.member(name, path)
        except DumpError:
            return None

    def member(self, name: str, path: str) -> Member:
        """Return a member of a structure. :raises DumpError: it has none of that name"""
        known = self._known.get((name, path))
        if known is None:
            number, bit, bits = self.struct(name), 0, 0
            for part in path.split("."):
                found = self._search(self._plain(number), part.encode(), set())
                if found is None:
                    raise DumpError(f"this kernel's struct {name} has no member {path}")
                bit, number, bits = bit + found.bit, found.type, found.bits
            known = self._known[name, path] = Member(bit, number, bits)
        return known

    def _search(self, number: int, wanted: bytes, seen: set[int]) -> Optional[Member]:
        """Search a structure and those without a name in it.

        :param seen: those that were searched: damaged types may hold each other
        """
        kind, count, flag, _, first = self._type(number)
        if kind not in _RECORDS or number in seen or len(seen) > _NAMELESS:
            return None
        seen.add(number)
        words = self._words
        if first + 3 * count > len(words):
            raise DumpError("BTF: members beyond its end")
        for at in range(first, first + 3 * count, 3):
            name, bit = words[at], words[at + 2]
            bits = bit >> 24 if flag else 0
            bit = bit & 0xFFFFFF if flag else bit
            if name and self._strings.startswith(wanted + b"\0", name):
                return Member(bit, words[at + 1], bits)
            if not name or self._strings[name : name + 1] == b"\0":
                inner = self._search(self._plain(words[at + 1]), wanted, seen)
                if inner is not None:
                    return Member(bit + inner.bit, inner.type, inner.bits)
        return None
