"""What has to be unpacked, decrypted or mounted first is told by name; what lastwords reads itself never is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile

import pytest

from lastwords.formats.foreign import HEAD_SIZE, foreign


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x", "y")
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (zipped(), "a ZIP archive: unpack it"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive: unpack it"),
        (b"\x8c\x0d\x04\x09\x03\x02" + bytes(40), "encrypted by GnuPG: decrypt it"),
        (b"\x85\x01\x0c\x03" + bytes(40), "encrypted by GnuPG: decrypt it"),
        (b"-----BEGIN PGP MESSAGE-----\n", "encrypted by GnuPG: decrypt it"),
        (b"QFI\xfb\x00\x00\x00\x03", "a disk image (qcow2): mount"),
        (bytes(1080) + b"\x53\xef", "a disk image (ext4): mount"),
        (b"\xeb\x63\x90" + bytes(507) + b"\x55\xaa", "a disk image: mount"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"SQLite format 3\0", "an SQLite database"),
    ],
)
def test_what_must_become_something_else_first(head: bytes, said: str) -> None:
    assert (foreign(head[:HEAD_SIZE]) or "").startswith(said)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"[    0.000000] Linux version 6.1.0\n",
        tarred(),
        gzip.compress(tarred()),
        bz2.compress(tarred()),
        lzma.compress(tarred()),
        b"\x28\xb5\x2f\xfd" + random.Random(1).randbytes(500) + b"\x55\xaa" * 300,
        lzma.compress(b"x")[:6] + bytes(504) + b"\x55\xaa" * 300,
        b"KDUMP   " + bytes(4000),
        b"\x7fELF\x02\x01\x01" + bytes(4000),
        b"LPKSHHRH" + bytes(400),
    ],
)
def test_what_lastwords_reads_is_none_of_them(head: bytes) -> None:
    assert foreign(head[:HEAD_SIZE]) is None
