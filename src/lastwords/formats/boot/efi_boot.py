"""UEFI boot entries: the variables themselves, and what ``efibootmgr -v`` prints of them.

Source: UEFI specification 2.10, 3.1.3 (load options) and 10.3 (device paths); efibootmgr(8);
Documentation/filesystems/efivarfs.rst (four bytes of attributes before the data).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from lastwords.formats import FormatError

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The vendor of the variables that the specification defines: part of their file names."""
ACTIVE = 0x00000001


@dataclass(frozen=True)
class EfiEntry:
    """One Boot#### variable."""

    number: str
    """Four hexadecimal digits."""
    active: bool
    name: str
    path: Optional[str] = None
    """The program on its partition, with backslashes; None when the entry is no file."""
    partition: Optional[str] = None
    """GUID of the GPT partition."""


@dataclass(frozen=True)
class EfiBoot:
    """What the firmware would boot."""

    current: Optional[str]
    next: Optional[str]
    order: tuple[str, ...]
    entries: tuple[EfiEntry, ...]


def parse_efibootmgr(text: str) -> EfiBoot:
    r"""Return what ``efibootmgr -v`` printed; empty when it printed an error.

    >>> parse_efibootmgr('''BootCurrent: 0001
    ... BootOrder: 0001,0000
    ... Boot0001* debian\tHD(1,GPT,0fc63daf-8483-4772-8e79-3d69d8477de4,0x800,0x10000)/File(\\EFI\\a.efi)
    ... ''').entries  # doctest: +NORMALIZE_WHITESPACE
    (EfiEntry(number='0001', active=True, name='debian', path='\\EFI\\a.efi',
              partition='0fc63daf-8483-4772-8e79-3d69d8477de4'),)
    """
    single = dict(re.findall(r"^(BootCurrent|BootNext): ([0-9A-Fa-f]{4})\s*$", text, re.MULTILINE))
    order = re.search(r"^BootOrder: ([0-9A-Fa-f,]+)\s*$", text, re.MULTILINE)
    entries = []
    for number, star, rest in re.findall(r"^Boot([0-9A-Fa-f]{4})([* ]) ?(.*)$", text, re.MULTILINE):
        name, _, device = rest.partition("\t")
        # Version 18 no longer writes "File(...)".
        file = re.search(r"File\(([^)]*)\)|/(\\[^/]*?\.efi)", device, re.IGNORECASE)
        disk = re.search(r"GPT,([0-9a-f-]{36})", device, re.IGNORECASE)
        entries.append(
            EfiEntry(
                number.upper(),
                star == "*",
                name.strip(),
                (file[1] or file[2]) if file else None,
                disk[1].lower() if disk else None,
            )
        )
    return EfiBoot(
        single.get("BootCurrent"),
        single.get("BootNext"),
        tuple(number for number in order[1].upper().split(",") if number) if order else (),
        tuple(entries),
    )


def parse_numbers(data: bytes) -> tuple[str, ...]:
    """Return the entry numbers in a BootCurrent, BootNext or BootOrder file of efivarfs.

    >>> parse_numbers(bytes.fromhex("06000000 0100 0A00"))
    ('0001', '000A')
    """
    data = data[4:]
    return tuple(f"{number:04X}" for (number,) in struct.iter_unpack("<H", data[: len(data) // 2 * 2]))


def parse_load_option(number: str, data: bytes) -> EfiEntry:
    """Return the entry that a Boot#### file of efivarfs holds.

    :raises FormatError: shorter than its own lengths say

    >>> path = "04041400" + "\\\\g.efi\\0\\0".encode("utf-16-le").hex() + "7fff0400"
    >>> parse_load_option("0001", bytes.fromhex("07000000 01000000 1800") + "suse\\0".encode("utf-16-le")
    ...                   + bytes.fromhex(path))
    EfiEntry(number='0001', active=True, name='suse', path='\\\\g.efi', partition=None)
    """
    if len(data) < 12:
        raise FormatError(f"Boot{number}: expected 12 bytes at least, found {len(data)}")
    attributes, length = struct.unpack_from("<IH", data, 4)
    end = 10
    while data[end : end + 2] != b"\0\0":
        end += 2
        if end + 2 > len(data):
            raise FormatError(f"Boot{number}: its description has no end")
    name = data[10:end].decode("utf-16-le", "replace")
    path, partition = _device_path(data[end + 2 : end + 2 + length])
    return EfiEntry(number.upper(), bool(attributes & ACTIVE), name, path, partition)


def _device_path(data: Sequence[int]) -> tuple[Optional[str], Optional[str]]:
    nodes = bytes(data)
    path = partition = None
    at = 0
    while at + 4 <= len(nodes):
        kind, sub, length = struct.unpack_from("<BBH", nodes, at)
        if length < 4:
            break
        body = nodes[at + 4 : at + length]
        if (kind, sub) == (4, 1) and len(body) >= 38 and body[37] == 2:
            a, b, c = struct.unpack_from("<IHH", body, 20)
            rest = body[28:36].hex()
            partition = f"{a:08x}-{b:04x}-{c:04x}-{rest[:4]}-{rest[4:]}"
        elif (kind, sub) == (4, 4):
            path = (path or "") + body.decode("utf-16-le", "replace").rstrip("\0")
        at += length
    return path, partition
