"""Decompression: the same bytes as the tools give, a clear refusal of everything else."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastwords.roots import streams
from lastwords.roots.lines import iter_lines
from lastwords.roots.streams import CompressionError, TooLarge, ahead, open_decompressed, sniff

zstandard = pytest.importorskip("zstandard")

SKIPPABLE = b"\x50\x2a\x4d\x18\x05\0\0\0extra"
FORMATS = {
    "gzip": (lambda data: gzip.compress(data, 6), "gzip"),
    "xz": (lambda data: lzma.compress(data, preset=1), "xz"),
    "bzip2": (lambda data: bz2.compress(data, 1), "bzip2"),
    "zstd": (lambda data: zstandard.ZstdCompressor().compress(data), "zstd"),
    "lzma": (lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=1), "xz"),
}
EVERY = pytest.mark.parametrize("name", FORMATS)
CONCATENATING = pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])


def sample(size: int, seed: int = 1) -> bytes:
    """Return text that compresses about as a log does, with some noise that does not."""
    chance = random.Random(seed)
    out = io.BytesIO()
    while out.tell() < size:
        out.write(b"Mar  1 10:00:%02d db01 kernel: " % chance.randrange(60))
        out.write(bytes(chance.getrandbits(8) for _ in range(chance.randrange(40))) + b"\n")
    return out.getvalue()[:size]


def unpacked(data: bytes) -> bytes:
    with open_decompressed(io.BytesIO(data)) as stream:
        return stream.read()


def tool(name: str, data: bytes) -> tuple[bytes, bool]:
    """Return what the format's own tool makes of *data*, and whether it took all of it for good."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([name, "-dc"], input=data, capture_output=True, check=False)
    return done.stdout, done.returncode == 0


@EVERY
@pytest.mark.parametrize("size", [0, 1, 5, 6, 7, 65535, 65536, 65537, 400_000])
def test_gives_the_bytes_that_the_tool_gives(name: str, size: int) -> None:
    pack, program = FORMATS[name]
    data = sample(size)
    packed = pack(data)
    assert sniff(packed) == name
    assert unpacked(packed) == data
    assert tool(program, packed) == (data, True)


@CONCATENATING
@pytest.mark.parametrize("zeros_after", [0, 4, 512, 200_000])
def test_members_in_a_row_are_one_stream(name: str, zeros_after: int) -> None:
    pack, program = FORMATS[name]
    padding = bytes(zeros_after)
    parts = [sample(100_000, 1), b"", sample(70_000, 2), b"end"]
    between = padding if name == "xz" else b""
    packed = between.join(pack(part) for part in parts) + padding
    assert unpacked(packed) == b"".join(parts)
    if name in ("gzip", "xz") or not padding:
        assert tool(program, packed)[0] == b"".join(parts)


@CONCATENATING
def test_a_member_that_starts_at_the_edge_of_a_read_is_not_lost(name: str) -> None:
    """The first bytes of a header may come with one read, the rest with the next."""
    pack, _ = FORMATS[name]
    first, second = sample(3000, 3), sample(5000, 4)
    packed = pack(first)
    for left in range(8):
        source = Slow(packed + pack(second), [len(packed) + left])
        with open_decompressed(source) as stream:
            assert stream.read() == first + second, left


class Slow(io.BytesIO):
    """Gives no read beyond the given places."""

    def __init__(self, data: bytes, stops: list[int]) -> None:
        super().__init__(data)
        self.stops = stops

    def read(self, size: int | None = -1) -> bytes:
        size = len(self.getvalue()) if size is None or size < 0 else size
        for stop in self.stops:
            if self.tell() < stop:
                size = min(size, stop - self.tell())
        return super().read(size)


def test_zstd_frames_to_be_skipped_are_skipped() -> None:
    frame = FORMATS["zstd"][0]
    data = SKIPPABLE + frame(b"one") + SKIPPABLE + frame(b"two") + SKIPPABLE
    assert unpacked(data) == tool("zstd", data)[0] == b"onetwo"
    assert unpacked(SKIPPABLE) == b""


@EVERY
def test_every_cut_is_told(name: str) -> None:
    pack, _ = FORMATS[name]
    data = sample(2000)
    packed = pack(data)
    for end in range(streams.HEAD, len(packed)):
        with pytest.raises(CompressionError) as caught:
            unpacked(packed[:end])
        assert "cut" in caught.value.strerror or "damaged" in caught.value.strerror
        assert name in caught.value.strerror and "\n" not in caught.value.strerror


@EVERY
def test_what_comes_before_damage_is_given(name: str) -> None:
    """By the stream, and by what reads a head or lines of it: the log of a cut upload is shown as far as it goes."""
    pack, _ = FORMATS[name]
    data = sample(1_000_000, 5)
    packed = pack(data)[:-40]
    got = b""
    with open_decompressed(io.BytesIO(packed)) as stream, pytest.raises(CompressionError):
        while chunk := stream.read(1 << 20):
            got += chunk
    assert got and data.startswith(got)
    with open_decompressed(io.BytesIO(packed)) as stream:
        assert streams.read_head(stream, 2 << 20) == got
    lines = []
    with open_decompressed(io.BytesIO(packed)) as stream, pytest.raises(CompressionError):
        for line in iter_lines(stream):
            lines.append(line)
    whole = got[: got.rfind(b"\n")]
    assert b"\n".join(lines) == whole


@CONCATENATING
def test_every_cut_of_a_second_member_is_told(name: str) -> None:
    pack, _ = FORMATS[name]
    first, second = pack(b"first"), pack(sample(300))
    for end in range(1, len(second)):
        with pytest.raises(CompressionError):
            unpacked(first + second[:end])


@EVERY
@pytest.mark.parametrize("garbage", [b"garbage after it", b"\0\0\0\0garbage", b"x", b"\x1f", b"BZ"])
def test_garbage_after_the_data_is_taken_as_the_tool_takes_it(name: str, garbage: bytes) -> None:
    pack, program = FORMATS[name]
    packed = pack(b"content\n") + garbage
    out, _ = tool(program, packed)
    tolerant = name in ("gzip", "bzip2")
    try:
        assert unpacked(packed) == out == b"content\n"
        assert tolerant
    except CompressionError as problem:
        cut = (name == "gzip" and garbage == b"\x1f") or (name == "bzip2" and garbage == b"BZ")
        assert not tolerant or cut, problem


@EVERY
def test_flipped_bits_give_the_right_bytes_or_a_clear_error(name: str) -> None:
    pack, _ = FORMATS[name]
    data = sample(3000)
    packed = pack(data)
    chance = random.Random(7)
    refused = 0
    for _ in range(400):
        broken = bytearray(packed)
        broken[chance.randrange(6, len(packed))] ^= 1 << chance.randrange(8)
        try:
            unpacked(bytes(broken))
        except CompressionError as problem:
            refused += 1
            assert problem.errno and problem.strerror
    # What these check: gzip, xz and bzip2 all of it. zstd was written without a checksum, lzma has none.
    assert refused > (380 if name in ("gzip", "xz", "bzip2") else 10)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8b", b"BZhello", b"BZh", b"]\0", b"\x28\xb5", b"plain\n" * 50_000, b"\0" * 100, b"\xfd7zX"],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_not_compressed_comes_as_it_is(data: bytes) -> None:
    assert unpacked(data) == data


def test_random_bytes_never_crash() -> None:
    chance = random.Random(11)
    for head in (
        b"",
        b"\x1f\x8b\x08",
        b"\xfd7zXZ\0",
        b"BZh91AY&SY",
        b"\x28\xb5\x2f\xfd",
        b"\x5d\0\0",
        SKIPPABLE,
    ):
        for _ in range(150):
            data = head + bytes(chance.getrandbits(8) for _ in range(chance.randrange(200)))
            try:
                unpacked(data)
            except CompressionError as problem:
                assert problem.strerror


def bomb(name: str, total: int) -> Iterator[bytes]:
    """Yield *total* zero bytes, compressed as they are asked for: members of 64 MiB in a row."""
    member = FORMATS[name][0](bytes(64 << 20))
    for _ in range(total >> 26):
        yield member


@CONCATENATING
def test_a_bomb_is_refused_before_it_grows(name: str) -> None:
    got = 0
    stream = open_decompressed(io.BufferedReader(streams.Chunks(bomb(name, 10 << 30))))
    with stream, pytest.raises(TooLarge, match="bomb"):
        while block := stream.read(1 << 20):
            got += len(block)
    assert got <= streams.FREE_BYTES + (2 << 20)


@CONCATENATING
def test_more_than_the_limit_is_refused(name: str) -> None:
    packed = FORMATS[name][0](sample(300_000))
    stream = open_decompressed(io.BytesIO(packed), total_limit=200_000)
    with stream, pytest.raises(TooLarge, match="larger than 200000 bytes"):
        stream.read()


def test_a_dictionary_that_asks_for_too_much_memory_is_refused() -> None:
    packed = FORMATS["lzma"][0](b"small")
    dictionary = (1 << 30).to_bytes(4, "little")  # its size: bytes 1 to 4 of the header
    with pytest.raises(CompressionError, match="Memory usage limit"):
        unpacked(packed[:1] + dictionary + packed[5:])
    # A frame header that declares a window of 2 GiB (RFC 8878, 3.1.1.1.2), then a raw block of 1 byte.
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x09\0\0x"
    with pytest.raises(CompressionError, match="memory"):
        unpacked(frame)


def test_memory_stays_small_whatever_comes(tmp_path: Path) -> None:
    """Blocks of one repeated byte: four bytes of zstd stand for 128 KiB."""
    block = ((1 << 17) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([7 << 3]) + block * 100_000
    bomb = tmp_path / "bomb.zst"
    bomb.write_bytes(frame)
    code = (
        "import sys\n"
        "from lastwords.roots.streams import open_decompressed, CompressionError\n"
        "def peak():\n"
        "    return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "before = peak()\n"
        "try:\n"
        "    with open(sys.argv[1], 'rb') as raw, open_decompressed(raw) as stream:\n"
        "        while stream.read(1 << 16): pass\n"
        "except CompressionError as problem: print(problem.strerror)\n"
        "print(peak() - before)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(bomb)], capture_output=True, text=True, check=True)
    reason, grown = out.stdout.splitlines()
    assert "bomb" in reason
    assert int(grown) < 64 << 10  # KiB


class Broken(io.RawIOBase):
    """Gives some bytes, then fails."""

    def __init__(self, size: int, problem: BaseException) -> None:
        self._left = size
        self._problem = problem

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            raise self._problem
        size = min(self._left, len(buffer))
        buffer[:size] = b"x" * size
        self._left -= size
        return size


def test_what_a_thread_reads_ahead_is_the_same(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    with ahead(io.BytesIO(data)) as stream:
        assert stream.read() == data
    assert threading.active_count() == 1


@pytest.mark.parametrize(
    "problem", [OSError(5, "input/output error"), ValueError("odd"), KeyboardInterrupt()]
)
def test_a_failure_ahead_reaches_the_reader_after_what_was_read(problem: BaseException) -> None:
    with ahead(io.BufferedReader(Broken(1 << 20, problem))) as stream:
        size = 0
        with pytest.raises(type(problem)):
            while data := stream.read(1 << 19):
                size += len(data)
        assert size == 1 << 20
    assert threading.active_count() == 1


def test_who_stops_early_leaves_no_thread_behind() -> None:
    with ahead(io.BytesIO(bytes(64 << 20))) as stream:
        assert stream.read(10) == bytes(10)
    assert threading.active_count() == 1
