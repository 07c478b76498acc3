"""Damaged images: what is wrong with each, and what the kernel would print of it.

The messages are those of init/initramfs.c and lib/decompress_*.c of 6.1; the lab's consoles of real boots
(truncated and flipped zstd, microcode only, no /init) say the same.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from initrds import PACKED, RELEASE, archive, end, entry, microcode, program, root_files

from lastwords.formats.initrd.inside import Start
from lastwords.roots.initrd import Contents, examine

EARLY = microcode()
MAIN = archive(root_files())
INVALID = "invalid magic at start of compressed archive"
AFTER = "junk at the end of compressed archive"
WITHIN = "junk within compressed archive"


def look(data: bytes) -> Contents:
    """Examine an image held in memory."""
    return examine(io.BytesIO(data), len(data), deadline=time.monotonic() + 60)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


CORRUPT = {
    "gzip": {"uncompression error", WITHIN, "no cpio magic", AFTER, None},
    "bzip2": {"Data integrity error when decompressing.", WITHIN, "no cpio magic", AFTER},
    "xz": {"XZ-compressed data is corrupt", WITHIN, "no cpio magic"},
    "lzma": {"LZMA data is corrupt", WITHIN, "no cpio magic", AFTER, "unexpected EOF"},
    "zstd": {"ZSTD-compressed data is corrupt", WITHIN, "no cpio magic"},
    "lz4": {"Decoding failed", WITHIN, "no cpio magic", AFTER, None},
    "lzo": {"Compressed data violation", "file corrupted", WITHIN, "no cpio magic", AFTER, None},
}
"""A flipped byte may break the compression or what it gives: which comes first depends on the byte."""
CUT = {
    "gzip": {"read error"},
    "bzip2": {"decompressor failed"},
    "xz": {"XZ-compressed data is corrupt"},
    "lzma": {"unexpected EOF"},
    "zstd": {"ZSTD-compressed data is truncated"},
    "lz4": {"Decoding failed"},
    "lzo": {"file corrupted"},
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("where", [0.3, 0.6, 0.98])
def test_cut_in_compressed_data(name: str, where: float) -> None:
    body = PACKED[name](MAIN)
    found = look(EARLY + body[: int(len(body) * where)])
    assert found.complete is False
    assert found.damage and found.damage.startswith(f"cut {name} data: the image ends ")
    assert found.kernel in CUT[name]
    assert found.segments[-1].size is None
    # What was unpacked before is known.
    assert found.inside.microcode == ["GenuineIntel"]


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("where", [0.4, 0.7])
def test_a_flipped_byte_in_compressed_data(name: str, where: float) -> None:
    body = PACKED[name](MAIN)
    found = look(EARLY + flipped(body, int(len(body) * where)))
    if name in ("lz4", "lzo") and found.complete:
        pytest.skip("this byte was content, and these formats have no checksum that the kernel looks at")
    assert found.complete is False
    assert found.kernel in CORRUPT[name]


@pytest.mark.parametrize("name", PACKED)
def test_zeros_in_place_of_the_end(name: str) -> None:
    body = PACKED[name](MAIN)
    half = len(body) // 2
    found = look(EARLY + body[:half] + bytes(len(body) - half))
    assert found.complete is False
    assert found.kernel in CORRUPT[name] | CUT[name]


@pytest.mark.parametrize("name", PACKED)
def test_something_else_after_compressed_data(name: str) -> None:
    found = look(PACKED[name](MAIN) + b"<html>404</html>")
    assert found.complete is False
    # An lz4 image has no end of its own: what follows is taken for its next block.
    assert found.kernel == ("Decoding failed" if name == "lz4" else INVALID)


@pytest.mark.parametrize("name", PACKED)
def test_compressed_data_that_is_no_archive(name: str) -> None:
    found = look(PACKED[name](b"#!/bin/sh\nexec reboot\n" * 20))
    assert (found.complete, found.kernel) == (False, "no cpio magic")
    found = look(EARLY + PACKED[name](b"#!/bin/sh\nexec reboot\n" * 20))
    assert (found.complete, found.kernel) == (False, WITHIN)


@pytest.mark.parametrize("name", PACKED)
def test_an_archive_that_ends_within_a_file(name: str) -> None:
    found = look(EARLY + PACKED[name](MAIN[: len(MAIN) // 2]))
    assert (found.complete, found.kernel) == (False, AFTER)


BODY = MAIN.index(b"echo boot")
HEADER_OF_INIT = MAIN.index(b"init\0") - 110
FIRST = len(entry("bin", mode=0o040755))
CRC = entry("a", b"\1\2\3", magic=b"070702", check=6) + end()

CASES: dict[str, tuple[bytes, Optional[bool], str, Optional[str]]] = {
    "empty": (b"", False, "empty file", None),
    "zeros": (bytes(70_000), False, "nothing but zero bytes", None),
    "ELF": (b"\x7fELF" + bytes(500), False, "unknown data at offset 0", INVALID),
    "web page": (b"<!DOCTYPE html>" * 50, False, "unknown data at offset 0", INVALID),
    "lz4 frame": (bytes.fromhex("04224d186040") + bytes(50), False, "lz4 frame", INVALID),
    "one byte of gzip": (b"\x1f", False, "unknown data", INVALID),
    "gzip header only": (b"\x1f\x8b\x08\0\0", False, "header", "Not a gzip file"),
    "not really gzip": (b"\x1f\x8b\x07" + bytes(50), False, "not gzip", "Not a gzip file"),
    "gzip name without end": (b"\x1f\x8b\x08\x08" + b"x" * 100, False, "header", "header error"),
    "gzip checksum wrong": (
        flipped(PACKED["gzip"](MAIN), -6 % len(PACKED["gzip"](MAIN))), False, "its checksum is wrong", None),
    "gzip checksum cut": (PACKED["gzip"](MAIN)[:-5], False, "its checksum is missing", None),
    "xz magic": (b"\xfd7zXY\0" + bytes(100), False, "damaged xz", "Input is not in the XZ format (wrong magic bytes)"),
    "xz with CRC64": (lzma.compress(MAIN), False, "a check that the kernel does not know",
                      "Input was encoded with settings that are not supported by this XZ decoder"),
    "zstd magic": (b"\x28\xb5\x2f\xfe" + bytes(100), False, "damaged zstd",
                   "Input is not in the ZSTD format (wrong magic bytes)"),
    "zstd header cut": (PACKED["zstd"](MAIN)[:7], False, "cut zstd", "ZSTD-compressed data has an incomplete frame header"),
    "lz4 magic": (b"\x02\x21\x4c\x19" + bytes(100), False, "not lz4", "invalid header"),
    "lz4 block too long": (b"\x02\x21\x4c\x18" + b"\xff\xff\xff\x7f" + bytes(90), False, "a block of", "Decoding failed"),
    "lzo magic": (b"\x89LZP" + bytes(100), False, "not lzo", "invalid header"),
    "lzo header cut": (b"\x89LZO\0\r\n\x1a\n" + bytes(9), False, "header is incomplete", "invalid header"),
    "cut in the first header": (MAIN[:60], False, "the image ends 60 bytes in", None),
    "cut in a name": (MAIN[: HEADER_OF_INIT + 112], False, "without the end", None),
    "cut in a file": (MAIN[:BODY], False, "bytes of 'init'", None),
    "cut between entries": (MAIN[:FIRST], False, "without the end of the archive", None),
    "zero tail": (MAIN[:BODY] + bytes(len(MAIN) - BODY), False, "goes on|ends|without", None),
    "first magic": (b"071701" + MAIN[6:], False, "no entry of an archive", "no cpio magic"),
    "old portable format": (b"070707" + MAIN[6:], False, "no entry", "incorrect cpio method used: use -H newc option"),
    "a later magic": (flipped(MAIN, HEADER_OF_INIT + 2), False, "after 'bin/sh'", "no cpio magic"),
    "a later first byte": (flipped(MAIN, HEADER_OF_INIT), False, "unknown data|goes on", None),
    "a size": (MAIN[: FIRST + 61] + b"9" + MAIN[FIRST + 62 :], False, "", None),
    "a name without its NUL": (MAIN[: HEADER_OF_INIT + 114] + b"x" + MAIN[HEADER_OF_INIT + 115 :], False, "after",
                               "malformed archive"),
    "checksum": (CRC.replace(b"\1\2\3", b"\1\2\4"), False, "no entry", "bad data checksum"),
    "no TRAILER": (entry("a", b"abc"), False, "TRAILER", None),
    "no TRAILER in gzip": (PACKED["gzip"](entry("a", b"abc")), False, "ends without", None),
    "junk within": (PACKED["gzip"](MAIN + b"junk"), False, "no entry of an archive", WITHIN),
    "unaligned within": (PACKED["gzip"](MAIN + b"\0" + entry("a") + end()), False, "no entry", "broken padding"),
    "unaligned after an archive": (EARLY + b"\0" + PACKED["gzip"](MAIN), False, "no multiple of 4", "broken padding"),
    "junk after an archive": (EARLY + b"junk", False, "unknown data", INVALID),
    "microcode only": (EARLY, True, "", None),
    "microcode last": (PACKED["gzip"](MAIN) + bytes(3 - len(PACKED["gzip"](MAIN)) % 4 + 1) + EARLY, True, "", None),
    "checksum right": (CRC, True, "", None),
    "unaligned after compressed": (PACKED["gzip"](MAIN) + PACKED["gzip"](MAIN), True, "", None),
    "two archives in one stream": (PACKED["xz"](MAIN + bytes(512) + MAIN), True, "", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_damage(name: str) -> None:
    data, complete, words, kernel = CASES[name]
    found = look(data)
    assert found.complete is complete, found
    assert (found.damage is None) is bool(complete)
    if words and not complete:
        assert any(word in str(found.damage) for word in words.split("|")), found.damage
    if name not in ("a size", "a later first byte"):
        assert found.kernel == kernel
    assert found.unknown is None


def test_microcode_that_does_not_come_first_is_told_by_the_order_of_the_segments() -> None:
    found = look(CASES["microcode last"][0])
    assert [segment.microcode for segment in found.segments] == [False, True]


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (lambda files: files, Start("file", "/bin/sh", True)),
        (lambda files: {**files, "bin/sh": "busybox"}, Start("file", "/bin/sh", False, "ENOENT", "/bin/sh")),
        (lambda files: {**files, "bin/sh": b""}, Start("file", "/bin/sh", True, "ENOEXEC", "/bin/sh")),
        (lambda files: {**files, "bin/sh": b"ls\n"}, Start("file", "/bin/sh", True, "ENOEXEC", "/bin/sh")),
        (lambda files: {**files, "bin/sh/": b""}, Start("file", "/bin/sh", True, "EACCES", "/bin/sh")),
        (lambda files: {**files, "bin/sh": b"#!/bin/sh\n"}, Start("file", "/bin/sh", True, "ELOOP", "/init")),
        (
            lambda files: {**files, "init": b"#!/bin/other\n", "bin/other": b"?"},
            Start("file", "/bin/other", True),
        ),
        (lambda files: {**files, "init": b"export PATH\n"}, Start("file", None, True, "ENOEXEC", "/init")),
        (lambda files: {**files, "init": b""}, Start("file", None, True, "ENOEXEC", "/init")),
        (lambda files: {**files, "init/": b""}, Start("file", None, True, "EACCES", "/init")),
        (lambda files: {n: c for n, c in files.items() if n != "init"}, Start(None)),
        (
            lambda files: {**files, "init": "usr/lib/systemd/systemd"},
            Start("link", "usr/lib/systemd/systemd", False),
        ),
        (lambda files: {**files, "init": "/bin/true"}, Start("link", "/bin/true", True)),
        (lambda files: {**files, "init": "init"}, Start("link", "init", False)),
        (lambda files: {**files, "init": b"\x7fELF..."}, Start("file", None, True)),
    ],
)
def test_whether_there_is_something_to_start(change: Callable[..., dict[str, bytes]], start: Start) -> None:
    files = change(root_files())
    # What is a directory now was a file before.
    files = {name: content for name, content in files.items() if f"{name}/" not in files}
    assert look(archive(files)).inside.start() == start


def test_what_may_not_be_executed_does_not_start() -> None:
    """Of a whole chain: a script, its shell by a link, the dynamic linker of that."""
    linker = "/lib64/ld-linux-x86-64.so.2"
    shell = program(linker)
    good = {"init": b"#!/bin/sh\n", "usr/": b"", "usr/bin/": b"", "usr/lib64/": b"", "usr/bin/dash": shell}
    good.update({"usr/bin/sh": "dash", "bin": "usr/bin", "lib64": "usr/lib64", f"usr{linker}": shell})
    assert look(archive(good)).inside.start() == Start("file", "/bin/sh", True)
    for name, at in (("init", "/init"), ("usr/bin/dash", "/bin/sh"), (f"usr{linker}", linker)):
        others = {each: content for each, content in good.items() if each != name}
        for extra, found, error in ((entry(name, good[name]), True, "EACCES"), (b"", False, "ENOENT")):
            start = look(archive(others, extra)).inside.start()
            expected = Start("file", None if name == "init" else "/bin/sh", found, error, at)
            assert start == (Start(None) if (name, found) == ("init", False) else expected)


def test_a_later_archive_replaces_what_an_earlier_one_starts() -> None:
    files = root_files()
    bad = archive({"init": b"echo\n"})
    assert look(archive(files) + bad).inside.start().error == "ENOEXEC"
    assert look(bad + archive(files)).inside.start().error is None


def test_hard_links_share_the_content_that_the_last_name_carries() -> None:
    mode = 0o100755
    first = entry("bin/sh", inode=7, links=2, mode=mode)
    linked = first + entry("bin/ash", b"\x7fELF", inode=7, links=2, mode=mode)
    broken = first + entry("bin/ash", b"\x7fELF", inode=9, links=2, mode=mode)
    lost = first + entry("bin/ash", program("/lib/ld.so"), inode=7, links=2, mode=mode)
    init = {"init": b"#!/bin/sh\n", "bin/": b""}
    for links, wrong in ((linked, None), (broken, "ENOEXEC"), (lost, "ENOENT")):
        inside = look(archive(init, links)).inside
        assert inside.start().error == wrong
        assert inside.hard_links == 2


def test_device_nodes_and_modules_of_every_compression_are_seen() -> None:
    files = {
        f"lib/modules/{RELEASE}/kernel/{n}": b"x"
        for n in ("a-b.ko", "c.ko.xz", "d.ko.zst", "e.ko.gz", "f.txt")
    }
    node = entry("dev/console", mode=0o020600, device=(5, 1))
    seen = []
    data = archive(files, node)
    found = examine(
        io.BytesIO(data), len(data), deadline=time.monotonic() + 9, visit=lambda m, _: seen.append(m)
    )
    assert sorted(found.inside.modules) == ["a_b", "c", "d", "e"]
    assert found.inside.devices == 1
    assert [member.device for member in seen if member.name == "dev/console"] == [(5, 1)]


def test_a_bomb_of_entries_is_stopped() -> None:
    data = gzip.compress(entry("a") * 300_000 + end(), 1)
    found = look(data)
    assert (found.complete, found.unknown) == (None, "more than 250000 entries")


def test_what_lz4_itself_says_of_a_real_block() -> None:
    data = b"".join(b"%d " % number for number in range(200_000)) + bytes(9_000_000)
    done = PACKED["lz4"](data)
    assert subprocess.run(["lz4", "-d", "-c"], input=done, capture_output=True, check=True).stdout == data
    found = look(PACKED["lz4"](archive({"big": data})))
    assert (found.complete, found.unpacked > len(data)) == (True, True)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_never_raise(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(PACKED) - {"lz4", "lzo"})))
    image = bytearray(EARLY[:800] + end() + PACKED[name](MAIN[:20_000]))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    found = look(bytes(image[: data.draw(st.integers(0, len(image)))]))
    assert found.complete in (True, False, None)


SAID = re.compile(
    r"Initramfs unpacking failed: ([^\r\n]+?)\s*$|rootfs image is not initramfs \(([^)\n]+)\)", re.MULTILINE
)
KNOWN = {
    *(message for messages in (*CORRUPT.values(), *CUT.values()) for message in messages if message),
    *(kernel for _, _, _, kernel in CASES.values() if kernel),
    "junk in compressed archive",  # Linux before 5.11, of three of them
    "write error",  # memory ran out: not told of an image
}


def test_what_real_kernels_print_are_messages_that_we_tell() -> None:
    corpus = Path(os.environ.get("LASTWORDS_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
    logs = [
        path for name in ("boot-lab", "boot") for path in (corpus / name).glob("*") if path.suffix != ".tsv"
    ]
    if not logs:
        pytest.skip("no corpus of logs beside the checkout")
    said = [a or b for path in logs for a, b in SAID.findall(path.read_text(errors="replace"))]
    assert said
    assert set(said) <= KNOWN


def test_what_follows_entries_without_an_end_is_looked_at_as_after_an_archive() -> None:
    """The kernel knows no archives: lab/damaged.py boots one whose entry tells a wrong size."""
    begun = entry("a", b"hello")
    found = look(begun + b"junk")
    assert (found.complete, found.kernel) == (False, INVALID)
    assert found.segments[0].size is None
    assert look(begun + PACKED["gzip"](MAIN)).complete is True
    assert look(begun).damage and look(begun).kernel is None
