"""cpio archives and the segments of images: held against cpio(1)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats import FormatError
from lastwords.formats.initrd.cpio import CpioError, CpioReader, Member
from lastwords.formats.initrd.head import Segment, compression_of, recognise

QUICK = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module", params=["newc", "crc"])
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, list[str]]:
    """An archive by cpio(1) with links, an empty file and a long name, and the names cpio(1) lists."""
    if not shutil.which("cpio"):
        pytest.skip("cpio is not installed")
    top = tmp_path_factory.mktemp("cpio")
    (top / "lib" / "modules" / "6.1.0-18-amd64").mkdir(parents=True)
    (top / "lib" / "modules" / "6.1.0-18-amd64" / "modules.dep").write_bytes(b"x" * 70001)
    (top / "empty").touch()
    (top / ("long" * 60)).write_text("abc")
    os.link(top / "empty", top / "hard")
    (top / "soft").symlink_to("nowhere")
    names = [".", *sorted(str(path.relative_to(top)) for path in top.rglob("*"))]
    made = subprocess.run(
        ["cpio", "-o", "-H", str(request.param), "--quiet"],
        input="\n".join(names).encode(),
        cwd=top,
        capture_output=True,
        check=True,
    ).stdout
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=made, capture_output=True, check=True).stdout
    return made, listed.decode().splitlines()


@pytest.mark.parametrize("step", [1, 7, 109, 110, 4096, 1 << 20])
def test_members_are_those_of_the_real_tool_however_it_is_fed(
    archive: tuple[bytes, list[str]], step: int
) -> None:
    data, listed = archive
    reader = CpioReader()
    members: list[Member] = []
    for at in range(0, len(data), step):
        members += reader.feed(data[at : at + step])
    assert [member.name for member in members] == listed
    assert reader.done
    assert reader.rest.strip(b"\0") == b""
    sizes = {member.name: member.size for member in members}
    assert sizes["lib/modules/6.1.0-18-amd64/modules.dep"] == 70001
    assert sizes["soft"] == len("nowhere")


def test_a_cut_archive_is_not_done_and_says_what_is_missing(archive: tuple[bytes, list[str]]) -> None:
    data = archive[0]
    inside = data.index(b"x" * 100) + 50
    for cut in (inside, data.index(b"TRAILER!!!") + 3):
        reader = CpioReader()
        reader.feed(data[:cut])
        assert not reader.done
    reader = CpioReader()
    reader.feed(data[:inside])
    assert "modules.dep" in reader.needs


def test_damaged_headers_are_refused_as_by_the_kernel(archive: tuple[bytes, list[str]]) -> None:
    data = archive[0]
    for at, byte, message in (
        (0, b"1", "no cpio magic"),
        (5, b"7", "incorrect cpio method used: use -H newc option"),
        (5, b"9", "no cpio magic"),
        (111, b"x", "malformed archive"),
    ):
        with pytest.raises(CpioError) as caught:
            CpioReader().feed(data[:at] + byte + data[at + 1 :])
        assert str(caught.value) == message


def test_digits_are_read_as_the_kernel_does() -> None:
    head = b"070701" + b"%08X" * 13
    good = head % (1, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 6, 0) + b"hello\0abc\0"
    # strtoul stops at what is no digit: 0000000g is 0, not an error.
    (member,) = CpioReader().feed(good[:13] + b"g" + good[14:])
    assert (member.name, member.inode, member.size) == ("hello", 0, 3)


def segments(data: bytes) -> list[Segment]:
    """Return the segments of an image held in memory."""
    return recognise(lambda offset, length: data[offset : offset + length], len(data))


def test_segments_up_to_the_first_compressed_one(archive: tuple[bytes, list[str]]) -> None:
    data, listed = archive
    image = data + data + bytes(512) + b"\x28\xb5\x2f\xfd" + b"rest"
    first, second, third = segments(image)
    assert (first.offset, first.kind, first.members, first.microcode) == (0, "cpio", len(listed), False)
    assert (second.offset, second.members) == (len(data), len(listed))
    assert (third.offset, third.kind, third.compression) == (2 * len(data) + 512, "compressed", "zstd")


def test_nothing_and_noise() -> None:
    assert segments(b"") == []
    assert segments(bytes(5000)) == []
    assert [(s.kind, s.offset) for s in segments(bytes(4) + b"noise")] == [("unknown", 4)]


def test_a_cut_archive_has_no_size(archive: tuple[bytes, list[str]]) -> None:
    (only,) = segments(archive[0][: len(archive[0]) // 2])
    assert (only.kind, only.size, only.members, only.microcode) == ("cpio", None, None, None)


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        (["gzip", "-c"], "gzip"),
        (["xz", "-c"], "xz"),
        (["xz", "--format=lzma", "-c"], "lzma"),
        (["bzip2", "-c"], "bzip2"),
        (["zstd", "-q", "-c"], "zstd"),
        (["lz4", "-l", "-q", "-c"], "lz4"),
        (["lz4", "-q", "-c"], "lz4-frame"),
        (["lzop", "-c"], "lzo"),
    ],
)
def test_compressions_by_the_real_tools(tool: list[str], name: str) -> None:
    if not shutil.which(tool[0]):
        pytest.skip(f"{tool[0]} is not installed")
    data = subprocess.run(tool, input=b"some text\n" * 100, capture_output=True, check=True).stdout
    assert compression_of(data) == name


@QUICK
@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 255))
def test_garbage_is_refused_or_read(noise: bytes, at: int, byte: int) -> None:
    head = b"070701" + b"%08X" * 13
    good = head % (1, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 6, 0) + b"hello\0abc\0"
    data = bytearray(good * 3 + noise)
    if at < len(data):
        data[at] = byte
    for candidate in (bytes(data), noise):
        segments(candidate)
        try:
            CpioReader().feed(candidate)
        except FormatError:
            pass


def test_a_name_that_claims_to_be_huge_does_not_stop_the_reader(tmp_path: Path) -> None:
    head = b"070701" + b"%08X" * 13
    reader = CpioReader()
    # The kernel passes over an entry whose name is longer than PATH_MAX.
    assert reader.feed(head % (1, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0xFFFFFFFF, 0) + bytes(1 << 20)) == []
    assert not reader.resting
    reader = CpioReader()
    reader.feed(head % (1, 0o100644, 0, 0, 1, 0, 0xFFFFFFFF, 0, 0, 0, 0, 2, 0) + b"a\0")
    assert reader.needs == "4294967296 bytes of 'a'"
