"""Initramfs images made in memory: entries, archives, and what the real tools make of them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterable
from typing import Union

import pytest
import zstandard

RELEASE = "6.1.0-18-amd64"
MODULES = ("virtio_blk", "virtio_pci", "ext4", "jbd2", "dm_mod", "nvme", "xfs")
Content = Union[bytes, str]


def entry(
    name: str,
    content: bytes = b"",
    *,
    mode: int = 0o100644,
    inode: int = 1,
    links: int = 1,
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"070701",
    check: int = 0,
) -> bytes:
    """Return one entry of an archive."""
    raw = name.encode("utf-8", "surrogateescape") + b"\0"
    numbers = (inode, mode, 0, 0, links, 1772323200, len(content), 0, 0, *device, len(raw), check)
    head = magic + b"".join(b"%08X" % number for number in numbers) + raw
    return padded(head) + padded(content)


def padded(data: bytes) -> bytes:
    """Return the data with zeros up to a multiple of four."""
    return data + bytes(-len(data) % 4)


def end() -> bytes:
    """Return what ends an archive, with its padding to 512 bytes left out."""
    return entry("TRAILER!!!", mode=0)


def archive(files: dict[str, Content], *extra: bytes) -> bytes:
    """Return an archive: bytes become files, text becomes a link to it, names that end in / directories."""
    made = []
    for number, (name, content) in enumerate(files.items(), 1):
        if isinstance(content, str):
            made.append(entry(name, content.encode(), mode=0o120777, inode=number))
        elif name.endswith("/"):
            made.append(entry(name.rstrip("/"), mode=0o040755, inode=number))
        else:
            made.append(entry(name, content, mode=0o100755, inode=number))
    data = b"".join((*made, *extra, end()))
    return data + bytes(-len(data) % 512)


def program(linker: str, *, wide: bool = True, order: str = "<") -> bytes:
    """Return an ELF file that names a dynamic linker: 64 or 32 bits wide, little (``<``) or big endian."""
    name = linker.encode() + b"\0"
    head = struct.calcsize("=16s2HI3QI6H" if wide else "=16s2HI3II6H")
    segment = "IIQQQQQQ" if wide else "IIIIIIII"
    body = head + 2 * struct.calcsize("=" + segment)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    fields = (ident, 3, 62, 1, 0, head, 0, 0, head, struct.calcsize("=" + segment), 2, 0, 0, 0)
    data = struct.pack(order + ("16s2HI3QI6H" if wide else "16s2HI3II6H"), *fields)
    first = (6, 4, head, 0, 0, 1, 1, 8) if wide else (6, head, 0, 0, 1, 1, 4, 4)
    second = (
        (3, 4, body, 0, 0, len(name), len(name), 1) if wide else (3, body, 0, 0, len(name), len(name), 4, 1)
    )
    return data + struct.pack(order + segment, *first) + struct.pack(order + segment, *second) + name


def microcode() -> bytes:
    """Return an archive of early microcode."""
    return archive({"kernel/x86/microcode/GenuineIntel.bin": random.Random(1).randbytes(3000)})


def root_files(release: str = RELEASE, modules: Iterable[str] = MODULES) -> dict[str, Content]:
    """Return the files of a small image as initramfs-tools would make it."""
    chance = random.Random(2)
    return {
        "bin/": b"",
        "bin/sh": b"\x7fELF" + chance.randbytes(4000),
        "init": b"#!/bin/sh\necho boot\n" * 40,
        "conf/initramfs.conf": b"MODULES=most\n",
        "bin/true": "sh",
        **{
            f"usr/lib/modules/{release}/kernel/{name}.ko": chance.randbytes(6000) + bytes(3000)
            for name in modules
        },
        f"usr/lib/modules/{release}/modules.dep": b"".join(
            b"kernel/%s.ko:\n" % name.encode() for name in modules
        ),
    }


def _tool(*argv: str) -> Callable[[bytes], bytes]:
    def run(data: bytes) -> bytes:
        if not shutil.which(argv[0]):
            pytest.skip(f"{argv[0]} is not installed")
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout

    return run


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "lz4": _tool("lz4", "-l", "-q", "-c"),
    "lzo": _tool("lzop", "-c"),
}
"""By the compression's name in the kernel: what packs data so that the kernel can unpack it."""
