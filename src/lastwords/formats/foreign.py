"""Files that have to become something else before they can be read: what they are, by their first bytes."""

from __future__ import annotations

import re
from typing import Optional

HEAD_SIZE = 1100
"""Bytes from the start that tell."""
_UNPACK = "unpack it, and open what was in it"
_DECRYPT = "decrypt it first"
_MOUNT = "mount what is in it read-only, and open that directory with --root"
_NO_EVIDENCE = "it holds nothing that a host left"
_FORMS = (
    (rb"PK(?:\x03\x04|\x05\x06)", "a ZIP archive", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (rb"!<arch>\n", "an ar archive", _UNPACK),
    (rb"\xed\xab\xee\xdb", "an RPM package", _NO_EVIDENCE),
    (rb"Salted__", "encrypted by openssl", _DECRYPT),
    (rb"-----BEGIN PGP MESSAGE", "encrypted by GnuPG", _DECRYPT),
    (rb"(?:\x8c[\x04-\x20]\x04|\x85[\x00-\x04].\x03|\xc3[\x04-\x20]\x04)", "encrypted by GnuPG", _DECRYPT),
    (rb"LUKS\xba\xbe", "an encrypted disk (LUKS)", _MOUNT),
    (rb"QFI\xfb", "a disk image (qcow2)", _MOUNT),
    (rb"KDMV|COWD|# Disk DescriptorFile", "a disk image (VMDK)", _MOUNT),
    (rb"vhdxfile|conectix", "a disk image (VHD)", _MOUNT),
    (rb"hsqs", "a squashfs image", _MOUNT),
    (rb"\x00{16}.{1064}\x53\xef", "a disk image (ext4)", _MOUNT),
    (rb"XFSB", "a disk image (XFS)", _MOUNT),
    (rb"(?=\xeb|\xfa|\x33\xc0|\x00{16}).{510}\x55\xaa", "a disk image", _MOUNT),
    (rb"SQLite format 3\0", "an SQLite database", _NO_EVIDENCE),
    (rb"%PDF-", "a PDF document", _NO_EVIDENCE),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", "a picture", "lastwords reads text: type off what it shows"),
)
_KNOWN = [(re.compile(pattern, re.DOTALL), what, do) for pattern, what, do in _FORMS]


def foreign(head: bytes) -> Optional[str]:
    """Return what a file is that has to become something else first, and how; None for all others.

    :param head: its first :data:`HEAD_SIZE` bytes

    >>> foreign(b"PK\\x03\\x04")
    'a ZIP archive: unpack it, and open what was in it'
    """
    return next((f"{what}: {do}" for pattern, what, do in _KNOWN if pattern.match(head)), None)
