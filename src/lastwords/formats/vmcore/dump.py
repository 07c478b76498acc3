"""Any dump, opened: what it is, whether it is whole, and the physical memory in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union

from lastwords.formats.vmcore.elf import ElfFile, Note, parse_notes
from lastwords.formats.vmcore.flat import FlatSource, ends_well
from lastwords.formats.vmcore.head import HEAD_SIZE, KINDS, VmcoreHead, parse_vmcore_head
from lastwords.formats.vmcore.info import VmcoreInfo
from lastwords.formats.vmcore.kdump import KdumpFile
from lastwords.formats.vmcore.source import DumpError, Source

_HEADERS = 64
"""Records of a stream among which the headers are."""
_OTHERS = {
    "empty": "an empty file",
    "zeros": "nothing but zero bytes at its start",
    "text": "text",
    "elf": "an ELF file, but no core",
    "luks": "a LUKS container: encrypted",
    "encrypted": "encrypted data",
    "libvirt": "a saved guest: take virsh dump --memory-only",
    "unknown": "data of an unknown kind",
}


@dataclass(frozen=True)
class Dump:
    """One dump. Fields that the file does not tell are None."""

    head: VmcoreHead
    size: int
    """Bytes of the file."""
    file: Union[KdumpFile, ElfFile]
    info: VmcoreInfo
    notes: tuple[Note, ...]
    damage: tuple[str, ...] = field(default=())
    """How it is known to be cut or unfinished; none when it is whole."""

    @property
    def level(self) -> Optional[int]:
        """What was left out (``-d``): 1 zero pages, 2 cache, 4 private cache, 8 user, 16 free."""
        return self.file.level

    @property
    def machine(self) -> Optional[str]:
        """The architecture as ``uname -m`` says it."""
        if self.head.machine:
            return self.head.machine
        # QEMU leaves the utsname of its kdump-compressed files empty.
        if self.info.has("NUMBER(kimage_voffset)"):
            return "aarch64"
        return "x86_64" if self.info.has("NUMBER(phys_base)") else None

    @property
    def release(self) -> Optional[str]:
        """Release of the kernel that crashed."""
        return self.info.release or self.head.release

    @property
    def crash_time(self) -> Optional[int]:
        """When it crashed, seconds since the epoch."""
        return self.info.crash_time or self.head.timestamp


def open_dump(source: Source, *, headers_only: bool = False) -> Dump:
    """Read the headers of a dump, whatever its size.

    :param headers_only: what needs more than a few reads is left out: of a stream, the memory itself
    :raises DumpError: it is none, of a kind that is not read, or its headers make no sense
    """
    head = parse_vmcore_head(source.read(0, HEAD_SIZE))
    damage = []
    inner = source
    if head.flattened:
        if not ends_well(source):
            damage.append(f"the stream has no end mark: it was cut at {source.size} bytes")
        flat = FlatSource(source, _HEADERS if headers_only else None)
        head, inner = _inside(flat), flat
        if flat.cut and not damage and not headers_only:
            damage.append(flat.cut)
    if head.kind not in KINDS:
        found = _OTHERS.get(head.kind, f"a file packed with {head.kind}")
        raise DumpError(f"expected a crash dump, found {found}{' in a stream' if head.flattened else ''}")
    file = KdumpFile(inner, head) if head.kind == "kdump" else ElfFile(inner, head)
    if head.incomplete:
        damage.append("marked as incomplete by makedumpfile, which had no room left")
    if not (head.flattened and headers_only) and (cut := file.damage()) is not None:
        damage.append(cut)
    notes = tuple(parse_notes(file.notes, head.order))
    return Dump(head, source.size, file, VmcoreInfo.parse(file.info), notes, tuple(damage))


def _inside(flat: FlatSource) -> VmcoreHead:
    found = parse_vmcore_head(flat.read(0, HEAD_SIZE))
    return VmcoreHead(**{**found.__dict__, "flattened": True})
