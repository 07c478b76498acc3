"""Kernel images: which kind, for which release, how long they must be, and whether they carry a signature.

Source: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst, Microsoft's PE/COFF 8.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Optional

HEAD = 1024
"""Bytes from the start that tell all but the release."""
VERSION = 128


@dataclass(frozen=True)
class KernelImage:
    """What the head of an image tells."""

    format: str
    """``bzImage``, ``arm64``, ``elf``, ``gzip``, ``efi`` or ``unknown``."""
    needed: Optional[int] = None
    """Bytes that the file must have at least; None when the head does not tell."""
    signed: Optional[bool] = None
    """Whether it carries a signature for Secure Boot; None when it is no EFI program."""
    version_at: Optional[int] = None
    """Where the text stands that starts with the kernel release."""


def parse_kernel_image(head: bytes) -> KernelImage:
    """Return what the first :data:`HEAD` bytes of an image tell.

    >>> parse_kernel_image(b"\\x7fELF")
    KernelImage(format='elf', needed=None, signed=None, version_at=None)
    """
    signed = _signed(head)
    if head[0x202:0x206] == b"HdrS" and len(head) >= 0x260:
        sectors = head[0x1F1] or 4
        paragraphs = struct.unpack_from("<I", head, 0x1F4)[0]
        version = struct.unpack_from("<H", head, 0x20E)[0]
        # Since protocol 2.12 the size counts all but the set-up code; alignment may add up to 16 bytes.
        return KernelImage(
            "bzImage", (sectors + 1) * 512 + paragraphs * 16, signed, version + 0x200 if version else None
        )
    if head[0x38:0x3C] == b"ARM\x64":
        return KernelImage("arm64", None, signed)
    if head.startswith(b"\x7fELF"):
        return KernelImage("elf")
    if head.startswith(b"\x1f\x8b"):
        return KernelImage("gzip")
    return KernelImage("efi", None, signed) if signed is not None else KernelImage("unknown")


def release_of(text: bytes) -> Optional[str]:
    """Return the kernel release at the start of a version text, or None.

    >>> release_of(b"6.1.0-18-amd64 (debian-kernel@lists.debian.org) #1 SMP\\0")
    '6.1.0-18-amd64'
    """
    word = text.partition(b"\0")[0].partition(b" ")[0].decode("utf-8", "replace")
    return word if word[:1].isdigit() else None


def _signed(head: bytes) -> Optional[bool]:
    """Return whether the directory of certificates is not empty; None for what is no PE program."""
    if head[:2] != b"MZ" or len(head) < 0x40:
        return None
    start = struct.unpack_from("<I", head, 0x3C)[0]
    if head[start : start + 4] != b"PE\0\0" or len(head) < start + 24 + 152:
        return None
    magic = struct.unpack_from("<H", head, start + 24)[0]
    directory = start + 24 + (112 if magic == 0x20B else 96) + 4 * 8
    return bool(struct.unpack_from("<I", head, directory + 4)[0])
