"""Which kernel a file of debug symbols belongs to: its build id, and the package that brings it.

Sources: the note .note.gnu.build-id (ld --build-id), include/uapi/linux/elf.h; the archives of the
distributions.
"""

from __future__ import annotations

import re
import struct
from typing import Optional

from lastwords.formats.vmcore.elf import parse_notes
from lastwords.formats.vmcore.source import DumpError, Source, need

MAX_SECTIONS = 1 << 16
_NOTE = 7
_BUILD_ID = 3
_NOTES_LIMIT = 1 << 20
_BANNER = re.compile(rb"Linux version ([\w.+~-]{3,64}) \(")
"""linux_banner of init/version.c."""
_BANNER_LIMIT = 96 << 20
"""Bytes of a vmlinux in which it is searched: it stands behind the code."""
_PIECE = 1 << 20


def build_id_of(source: Source) -> Optional[str]:
    """Return the build id of an ELF file in lower case hexadecimal, or None when it has none.

    :raises DumpError: it is no 64-bit little-endian ELF file
    """
    head = need(source, 0, 64, "the ELF header")
    if head[:6] != b"\x7fELF\x02\x01":
        raise DumpError("expected a vmlinux: a 64-bit ELF file")
    at = struct.unpack_from("<Q", head, 40)[0]
    size, count = struct.unpack_from("<HH", head, 58)
    if not count:
        return None
    if size != 64 or count > MAX_SECTIONS:
        raise DumpError(f"ELF header: expected section headers of 64 bytes, found {count} of {size} bytes")
    table = need(source, at, size * count, "the section headers")
    for i in range(count):
        kind, offset, length = struct.unpack_from("<4xI16xQQ", table, 64 * i)
        if kind != _NOTE or not 0 < length <= _NOTES_LIMIT:
            continue
        for note in parse_notes(source.read(offset, length)):
            if note.name == b"GNU" and note.type == _BUILD_ID:
                return note.data.hex()
    return None


def release_of(source: Source) -> Optional[str]:
    """Return the release of the kernel whose vmlinux a file is; None where it does not tell."""
    for at in range(0, min(source.size, _BANNER_LIMIT), _PIECE):
        match = _BANNER.search(source.read(at, _PIECE + 128))
        if match is not None:
            return match[1].decode("ascii")
    return None


def usual_places(release: Optional[str], build_id: Optional[str]) -> list[str]:
    """Return where distributions put the vmlinux of a kernel, by its build id and its release.

    >>> usual_places("6.1.0-56-amd64", "3b43fa")[0]
    '/usr/lib/debug/.build-id/3b/43fa.debug'
    """
    found = [f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"] if build_id else []
    if release and re.fullmatch(r"[\w.+~-]+", release):
        found += [
            f"/usr/lib/debug/lib/modules/{release}/vmlinux",
            f"/usr/lib/debug/boot/vmlinux-{release}",
            f"/usr/lib/debug/usr/lib/modules/{release}/vmlinux",
            f"/usr/lib/debug/boot/vmlinux-{release}.debug",
            f"/lib/modules/{release}/vmlinux",
            f"/lib/modules/{release}/build/vmlinux",
            f"/boot/vmlinux-{release}",
        ]
    return found


def how_to_get(release: Optional[str], version: Optional[str]) -> str:
    """Return how to install the debug symbols of a kernel, as far as its names tell whose it is.

    :param version: ``uname -v``

    >>> how_to_get("6.1.0-56-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)")
    'apt install linux-image-6.1.0-56-cloud-amd64-dbg'
    >>> how_to_get("5.14.0-427.13.1.el9_4.x86_64", "#1 SMP PREEMPT_DYNAMIC Wed Apr 10 10:29:16 EDT 2024")
    'dnf debuginfo-install kernel-5.14.0-427.13.1.el9_4.x86_64'
    >>> how_to_get("5.14.0-427.13.1.el9_4.aarch64+64k", None)
    "dnf install --enablerepo='*debug*' kernel-64k-debuginfo-5.14.0-427.13.1.el9_4.aarch64"
    >>> how_to_get("5.15.0-204.147.6.2.el9uek.x86_64", None)
    "dnf install --enablerepo='*debug*' kernel-uek-debuginfo-5.15.0-204.147.6.2.el9uek.x86_64"
    >>> how_to_get("6.8.0-31-generic", "#31-Ubuntu SMP PREEMPT_DYNAMIC Sat Apr 20 00:40:06 UTC 2024")
    'apt install linux-image-6.8.0-31-generic-dbgsym (from ddebs.ubuntu.com)'
    >>> how_to_get("6.4.0-150600.21-default", None)
    'zypper install kernel-default-debuginfo=6.4.0-150600.21'
    """
    if not release:
        return "install the debug symbols of that very kernel"
    if "Ubuntu" in (version or ""):
        return f"apt install linux-image-{release}-dbgsym (from ddebs.ubuntu.com)"
    if "Debian" in (version or ""):
        return f"apt install linux-image-{release}-dbg"
    if re.search(r"\.(?:el|fc|amzn|oe|an|tl)\d", release):
        base, _, variant = release.partition("+")
        variant = variant or ("uek" if "uek" in release else "")
        if variant:
            return f"dnf install --enablerepo='*debug*' kernel-{variant}-debuginfo-{base}"
        return f"dnf debuginfo-install kernel-{release}"
    suse = re.fullmatch(r"(\S+)-(default|preempt|azure|rt|64kb)", release)
    if suse:
        return f"zypper install kernel-{suse[2]}-debuginfo={suse[1]}"
    return f"install the debug symbols of {release}"
