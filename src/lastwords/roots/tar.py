"""The members of a tar stream, one after the other, in one pass: ustar, pax and GNU headers.

Not ``tarfile``: that takes a damaged header, or none where one is due, for the end of the archive, and
releases in use can be made to loop for ever by a header (CVE-2024-6232, CVE-2025-8194). Here all but a
proper end is an error, and everything that a header claims is bounded.

Sources: POSIX.1-2017 pax(1), "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
"Basic Tar Format" and "Storing Sparse Files".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Optional

BLOCK = 512
CHUNK = 1 << 18
MAX_HEADER = 1 << 20
"""Bytes of a pax or GNU long-name header: the format has no limit of its own."""
MAX_TAIL = 16 << 20
"""Bytes that are read after the end of the archive."""
MAX_REGIONS = 1 << 16
"""Pieces of a sparse file."""

_KINDS = {b"1": "hard", b"2": "link", b"3": "other", b"4": "other", b"5": "dir", b"6": "other", b"D": "dir"}
_WITHOUT_DATA = b"123456"
_DECIMAL = re.compile(r"-?\d{1,20}(?:\.\d*)?")


class TarError(Exception):
    """The stream is no tar archive, or one that is cut, damaged or not sane. The message says what."""


@dataclass
class Member:
    """One member as its headers describe it."""

    name: str
    """As written; undecodable bytes are surrogates."""
    kind: str
    """``file``, ``dir``, ``link``, ``hard`` (link) or ``other`` (device, FIFO)."""
    size: int
    """Bytes of its content; of a sparse file with the holes."""
    mode: int
    uid: int
    gid: int
    mtime: float
    target: str
    regions: Optional[list[tuple[int, int]]] = None
    """Offset and length of the data of a sparse file; None for all others."""


@dataclass
class _Extended:
    """What extended headers say of the next member."""

    values: dict[str, str] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    """Offsets and lengths of a sparse map of GNU's version 0.0, in order."""

    def pax(self, data: bytes) -> None:
        """Take the records of a pax header, each ``length key=value`` and a newline."""
        at = 0
        while at < len(data) and data[at]:
            space = data.find(b" ", at, at + 10)
            length = data[at:space]
            end = at + int(length) if space > 0 and length.isdigit() else 0
            key, equals, value = data[space + 1 : end - 1].partition(b"=")
            if not (equals and space < end <= len(data)) or data[end - 1 : end] != b"\n":
                raise TarError("damaged pax header")
            name = _text(key)
            if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
                self.numbers.append(_text(value))
            elif value:
                self.values[name] = _text(value)
            else:
                self.values.pop(name, None)
            at = end


class TarReader:
    """Iterates over the members of a stream; :meth:`content` gives that of the current one.

    :raises TarError: while iterating, on anything but a whole archive
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = 0
        self._padding = 0
        self._global: dict[str, str] = {}
        self._member: Optional[Member] = None

    def __iter__(self) -> Iterator[Member]:
        extended = _Extended(dict(self._global))
        while True:
            self._skip()
            header = self._header()
            if header is None:
                return
            kind = header[156:157]
            if kind in (b"x", b"g", b"X", b"L", b"K"):
                self._extend(extended, header, kind)
            elif kind == b"V":
                self._expect(_number(header[124:136]))
            else:
                self._member = self._make(header, extended)
                extended = _Extended(dict(self._global))
                yield self._member

    def content(self) -> Iterator[bytes]:
        """Yield the content of the member that the iteration gave last."""
        member = self._member
        if member is None or member.regions is None:
            yield from self._data()
            return
        at = 0
        for offset, length in member.regions:
            yield from _zeros(offset - at)
            at = offset + length
            while length:
                data = self._read(min(length, CHUNK, self._left))
                if not data:
                    raise TarError("the archive is cut: a member is not whole")
                length -= len(data)
                yield data
        yield from _zeros(member.size - at)

    # -- blocks -----------------------------------------------------------------------------------

    def _header(self) -> Optional[bytes]:
        """Return the next header block, or None at the end of the archive."""
        block = self._block()
        if block.count(0) < BLOCK:
            if _checksum(block) != _number(block[148:156]):
                raise TarError("a header is damaged, or this is no tar archive")
            return block
        # Zeros are the end. What follows is padding, read for the checksum of the compression after it.
        for _ in range(MAX_TAIL // CHUNK):
            if not self._stream.read(CHUNK):
                break
        return None

    def _block(self) -> bytes:
        block = self._stream.read(BLOCK)
        while len(block) < BLOCK:
            more = self._stream.read(BLOCK - len(block))
            if not more:
                raise TarError("the archive is cut: its end is missing")
            block += more
        return block

    def _expect(self, size: int) -> None:
        if size < 0:
            raise TarError(f"a header claims {size} bytes")
        self._left = size
        self._padding = -size % BLOCK

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        return data

    def _data(self) -> Iterator[bytes]:
        while self._left:
            data = self._read(min(self._left, CHUNK))
            if not data:
                raise TarError("the archive is cut: a member is not whole")
            yield data

    def _skip(self) -> None:
        """Pass over what is left of a member, and the padding after it."""
        left, self._left, self._padding = self._left + self._padding, 0, 0
        while left:
            data = self._stream.read(min(left, CHUNK))
            if not data:
                raise TarError("the archive is cut: a member is not whole")
            left -= len(data)

    # -- headers ----------------------------------------------------------------------------------

    def _extend(self, extended: _Extended, header: bytes, kind: bytes) -> None:
        size = _number(header[124:136])
        if size > MAX_HEADER:
            raise TarError(f"an extended header claims {size} bytes")
        self._expect(size)
        data = b"".join(self._data())
        if kind in (b"L", b"K"):
            extended.values["path" if kind == b"L" else "linkpath"] = _text(data.rstrip(b"\0"))
        elif kind == b"g":
            glob = _Extended(self._global)
            glob.pax(data)
            extended.values.update(glob.values)
        else:
            extended.pax(data)

    def _make(self, header: bytes, extended: _Extended) -> Member:
        values = extended.values
        name = _cut(header[:100])
        if header[257:263] == b"ustar\0" and header[345]:
            name = _cut(header[345:500]) + "/" + name
        kind = header[156:157]
        size = int(_decimal(values["size"])) if "size" in values else _number(header[124:136])
        member = Member(
            name=values.get("path", name),
            kind=_KINDS.get(kind, "file"),
            size=size,
            mode=_number(header[100:108]) & 0o7777,
            uid=int(_decimal(values["uid"])) if "uid" in values else _number(header[108:116]),
            gid=int(_decimal(values["gid"])) if "gid" in values else _number(header[116:124]),
            mtime=_decimal(values["mtime"]) if "mtime" in values else float(_number(header[136:148])),
            target=values.get("linkpath", _cut(header[157:257])),
        )
        if kind == b"\0" and member.name.endswith("/"):
            member.kind = "dir"
        if kind in _WITHOUT_DATA:
            member.size = size = 0
        self._expect(size)
        if kind == b"S":
            self._old_sparse(member, header)
        elif member.kind == "file" and any(key.startswith("GNU.sparse.") for key in values):
            self._pax_sparse(member, extended)
        if member.kind == "dir":
            member.size = 0
        return member

    # -- sparse files -----------------------------------------------------------------------------

    def _old_sparse(self, member: Member, header: bytes) -> None:
        member.size = _number(header[483:495])
        fields, more = header[386:482], header[482]
        numbers = _pairs(fields)
        while more:
            block = self._block()
            fields, more = block[:504], block[504]
            numbers += _pairs(fields)
            if len(numbers) > 2 * MAX_REGIONS:
                raise TarError("a sparse file has too many pieces")
        member.regions = self._regions(member, numbers)

    def _pax_sparse(self, member: Member, extended: _Extended) -> None:
        values = extended.values
        member.name = values.get("GNU.sparse.name", member.name)
        member.size = int(_decimal(values.get("GNU.sparse.realsize", values.get("GNU.sparse.size", "-1"))))
        if values.get("GNU.sparse.major") == "1":
            numbers = self._map_in_data()
        else:
            given = extended.numbers or [n for n in values.get("GNU.sparse.map", "").split(",") if n]
            numbers = [int(_decimal(number)) for number in given]
        member.regions = self._regions(member, numbers)

    def _map_in_data(self) -> list[int]:
        """Return the sparse map that stands before the data: decimals, a line each, in whole blocks."""
        lines: list[bytes] = []
        rest = b""
        count: Optional[int] = None
        while count is None or len(lines) < 2 * count:
            if self._left < BLOCK:
                raise TarError("a sparse file has no whole map")
            block = self._block()
            self._left -= BLOCK
            *whole, rest = (rest + block).split(b"\n")
            lines += whole
            if count is None and lines:
                count = int(_decimal(_text(lines.pop(0))))
            if count is None or count > MAX_REGIONS or len(rest) > BLOCK:
                raise TarError("a sparse file has a map that is not sane")
        return [int(_decimal(_text(line))) for line in lines[: 2 * count]]

    def _regions(self, member: Member, numbers: list[int]) -> list[tuple[int, int]]:
        regions = list(zip(numbers[::2], numbers[1::2]))
        at = 0
        for offset, length in regions:
            if offset < at or length < 0:
                raise TarError(f"the sparse file {member.name[:80]!r} is not sane")
            at = offset + length
        if len(numbers) % 2 or at > member.size or sum(length for _, length in regions) > self._left:
            raise TarError(f"the sparse file {member.name[:80]!r} is not sane")
        return regions


def _pairs(fields: bytes) -> list[int]:
    numbers = []
    for at in range(0, len(fields), 24):
        if not fields[at]:
            break
        numbers += [_number(fields[at : at + 12]), _number(fields[at + 12 : at + 24])]
    return numbers


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield bytes(min(size, CHUNK))
        size -= CHUNK


def _checksum(block: bytes) -> int:
    return sum(block) - sum(block[148:156]) + 8 * ord(" ")


def _number(field: bytes) -> int:
    """Return a number of a header: octal digits, or base 256 when the first bit is set."""
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    if field[0] & 0x80:
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        raise TarError("a header is damaged, or this is no tar archive") from None


def _decimal(text: str) -> float:
    """Return a number of a pax header; whole numbers stay exact."""
    if not _DECIMAL.fullmatch(text):
        raise TarError(f"an extended header has {text[:40]!r} for a number")
    return float(text) if "." in text else int(text)


def _cut(field: bytes) -> str:
    return _text(field.partition(b"\0")[0])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
