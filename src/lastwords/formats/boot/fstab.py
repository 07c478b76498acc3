"""Tables of filesystems: fstab(5) and /proc/self/mounts, which share one format.

Source: fstab(5), util-linux libmount; the kernel's escapes are those of fs/proc_namespace.c (mangle()).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")


@dataclass(frozen=True)
class Mount:
    """One line of a table."""

    spec: str
    """Device, ``UUID=``..., export or name, escapes undone."""
    file: str
    """Mount point, ``none`` or ``swap``, escapes undone."""
    type: str
    options: Optional[str]
    """As written, comma-separated; None when the line ends before."""
    dump: int
    passno: int
    """Order of fsck(8) at boot; 0 is never."""
    line: int
    """Line number, from 1."""


def parse_fstab(text: str) -> list[Mount]:
    """Return the entries in order; comments and lines without a type are passed over.

    >>> parse_fstab("# root\\nUUID=0a1b / ext4 errors=remount-ro 0 1\\n//nas/a\\\\040b /mnt/a\\\\040b cifs")
    ... # doctest: +NORMALIZE_WHITESPACE
    [Mount(spec='UUID=0a1b', file='/', type='ext4', options='errors=remount-ro', dump=0, passno=1, line=2),
     Mount(spec='//nas/a b', file='/mnt/a b', type='cifs', options=None, dump=0, passno=0, line=3)]
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        spec, file, kind = (_unescape(word) for word in words[:3])
        options = _unescape(words[3]) if len(words) > 3 else None
        found.append(Mount(spec, file, kind, options, _count(words, 4), _count(words, 5), number))
    return found


def mounted_on(path: str, mounts: Sequence[Mount]) -> Optional[Mount]:
    """Return what is mounted exactly on *path*, or None. The last one hides those before it.

    The kernel's first root, ``rootfs``, is passed over: something else is always mounted on it.

    >>> table = parse_fstab("rootfs / rootfs rw 0 0\\n/dev/vda1 / ext4 rw 0 0")
    >>> mounted_on("/", table).spec, mounted_on("/boot", table)
    ('/dev/vda1', None)
    """
    return next((each for each in reversed(mounts) if each.file == path and each.type != "rootfs"), None)


def nfs_version_of(kind: str, options: Optional[str]) -> Optional[str]:
    """Return the version of NFS that a mount asks for or has, or None (nfs(5)).

    >>> nfs_version_of("nfs", "rw,vers=4.2"), nfs_version_of("nfs4", None), nfs_version_of("nfs", "soft")
    ('4.2', '4', None)
    """
    if kind not in ("nfs", "nfs4"):
        return None
    found = re.search(r"(?:^|,)(?:(?:nfs)?vers=|v)([234](?:\.[012])?)(?=,|$)", options or "")
    minor = re.search(r"(?:^|,)minorversion=([012])(?=,|$)", options or "")
    version = found[1] if found else "4" if kind == "nfs4" else None
    return f"4.{minor[1]}" if version == "4" and minor else version


def _unescape(word: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)


def _count(words: Sequence[str], index: int) -> int:
    # isdecimal() alone takes digits of other scripts, and int() refuses very long numbers.
    word = words[index] if len(words) > index else ""
    return int(word) if re.fullmatch(r"[0-9]{1,9}", word) else 0
