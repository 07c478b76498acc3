"""The first bytes of a crash dump: what kind of file it is, before anything reads it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.unpack import NAMES

HEAD_SIZE = 4608
"""Bytes from the start that tell everything this module can: a flattened dump repeats its header at 4112."""
KINDS = ("kdump", "elf-core")
"""Kinds of heads (:class:`VmcoreHead`) whose dumps can be opened."""

_FLAT_HEADER = 4096
_FLAT_RECORD = 16
_KDUMP_HEADER = 428
_NARROW = ("i386", "i486", "i586", "i686", "arm", "armv5tel", "armv6l", "armv7l", "ppc", "mips")
_INCOMPLETE = 8
_UNTOLD = "Unknown"
"""What QEMU writes as the machine of most architectures (ELF_MACHINE_UNAME in dump/dump.c)."""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x89LZO\0\r\n\x1a\n", "lzop"),
    (b"LUKS\xba\xbe", "luks"),
    (b"LibvirtQemudSave", "libvirt"),
    (b"Salted__", "encrypted"),
    (b"age-encryption.org/", "encrypted"),
    (b"-----BEGIN PGP MESSAGE", "encrypted"),
)
_MACHINES = {
    3: "i386",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv",
}
_CORE = 4
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]+\Z")


@dataclass(frozen=True)
class VmcoreHead:
    """What the first bytes tell. Fields that this kind of file does not tell there are None."""

    kind: str
    """``kdump`` (compressed format of makedumpfile), ``elf-core``, ``elf`` (another ELF file), a wrapper
    (``gzip``, ``xz``, ``zstd``, ``bzip2``, ``lz4``, ``lzop``, ``luks``, ``encrypted``), ``libvirt`` (a saved
    guest), or no dump at all: ``text``, ``zeros``, ``empty``, ``unknown``."""
    flattened: bool = False
    """Written as a stream (``makedumpfile -F``): ``kind`` is that of the dump inside."""
    version: Optional[int] = None
    """Header version of the kdump format."""
    machine: Optional[str] = None
    bits: Optional[int] = None
    """32 or 64: width of its addresses."""
    byte_order: Optional[str] = None
    """``little`` or ``big``."""
    release: Optional[str] = None
    """Release of the kernel that crashed."""
    build: Optional[str] = None
    """Its build: ``uname -v``."""
    hostname: Optional[str] = None
    timestamp: Optional[int] = None
    """When it crashed, seconds since the epoch; None where the writer left it out."""
    compression: Optional[str] = None
    """How its pages are packed: ``zlib``, ``lzo``, ``snappy``, ``zstd``; None when they are not."""
    incomplete: Optional[bool] = None
    """True when makedumpfile itself marked it as cut short."""

    @property
    def order(self) -> str:
        """The byte order as the module struct writes it."""
        return ">" if self.byte_order == "big" else "<"


def parse_vmcore_head(data: bytes) -> VmcoreHead:
    """Return what the first bytes of a file tell; HEAD_SIZE of them are enough, fewer may do.

    Sources: diskdump_mod.h, makedumpfile.h and IMPLEMENTATION of makedumpfile (struct disk_dump_header,
    struct makedumpfile_header), include/uapi/linux/elf.h.

    >>> parse_vmcore_head(b"Usage: makedumpfile [OPTION]...").kind
    'text'
    >>> parse_vmcore_head(b"\\x1f\\x8b\\x08\\x00").kind
    'gzip'
    """
    if not data:
        return VmcoreHead("empty")
    if data.startswith(b"makedumpfile\0"):
        return _flattened(data)
    if data.startswith((b"KDUMP   ", b"DISKDUMP")):
        return _kdump(data, False)
    if data.startswith(b"\x7fELF"):
        return _elf(data, False)
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return VmcoreHead(kind)
    if not data.strip(b"\0"):
        return VmcoreHead("zeros")
    return VmcoreHead("text" if _TEXT.match(data) else "unknown")


def _flattened(data: bytes) -> VmcoreHead:
    """Look into the first record, which holds the start of the dump itself."""
    record = data[_FLAT_HEADER : _FLAT_HEADER + _FLAT_RECORD]
    inner = data[_FLAT_HEADER + _FLAT_RECORD :]
    if len(record) == _FLAT_RECORD and struct.unpack(">qq", record)[0] == 0:
        if inner.startswith((b"KDUMP   ", b"DISKDUMP")):
            return _kdump(inner, True)
        if inner.startswith(b"\x7fELF"):
            return _elf(inner, True)
    return VmcoreHead("unknown", flattened=True)


def _kdump(data: bytes, flattened: bool) -> VmcoreHead:
    if len(data) < _KDUMP_HEADER:
        return VmcoreHead("kdump", flattened)
    # Written in the byte order of the machine that crashed; versions are small numbers.
    order = "<" if struct.unpack_from("<i", data, 8)[0] < 0x10000 else ">"
    version = struct.unpack_from(order + "i", data, 8)[0]
    machine = _name(data, 12 + 4 * 65)
    wide = machine not in _NARROW
    shape, at = (order + "qqI", 408) if wide else (order + "iiI", 404)  # struct timeval, status
    timestamp, _, status = struct.unpack_from(shape, data, at)
    return VmcoreHead(
        "kdump",
        flattened,
        version=version,
        machine=None if machine == _UNTOLD else machine,
        bits=64 if wide else 32,
        byte_order="little" if order == "<" else "big",
        release=_name(data, 12 + 2 * 65),
        build=_name(data, 12 + 3 * 65),
        hostname=_name(data, 12 + 65),
        timestamp=timestamp if 0 < timestamp < 1 << 40 else None,
        compression=next((name for bit, name in NAMES if status & bit), None),
        incomplete=bool(status & _INCOMPLETE),
    )


def _elf(data: bytes, flattened: bool) -> VmcoreHead:
    if len(data) < 20:
        return VmcoreHead("elf", flattened)
    order = ">" if data[5] == 2 else "<"
    kind, machine = struct.unpack_from(order + "HH", data, 16)
    return VmcoreHead(
        "elf-core" if kind == _CORE else "elf",
        flattened,
        machine=_MACHINES.get(machine),
        bits={1: 32, 2: 64}.get(data[4]),
        byte_order="big" if order == ">" else "little",
    )


def _name(data: bytes, offset: int) -> Optional[str]:
    """Return one field of the utsname in the header; None when it is empty or no text."""
    raw = data[offset : offset + 65].partition(b"\0")[0]
    return raw.decode("ascii") if raw and _TEXT.match(raw) else None
