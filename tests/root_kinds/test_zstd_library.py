"""libzstd of the system gives what the package zstandard gives, of whole and of damaged data."""

from __future__ import annotations

import ctypes
import io
import random
import time
from collections.abc import Iterator

import pytest
from initrds import PACKED, archive, microcode, root_files

from lastwords.roots import streams
from lastwords.roots.initrd import Contents, examine
from lastwords.roots.streams import CompressionError, new_decoder, open_decompressed
from lastwords.roots.zstd_library import LIBRARY, ZstdLibrary

zstandard = pytest.importorskip("zstandard")

try:
    ctypes.CDLL(LIBRARY)
except OSError:
    pytest.skip(f"no {LIBRARY} here", allow_module_level=True)


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(streams, "_Zstd", missing)
    yield


def test_large_data_comes_back_in_bounded_pieces(without_package: None) -> None:
    data = b"".join(b"line %d of a log\n" % n for n in range(200_000))
    packed = zstandard.ZstdCompressor().compress(data)
    with open_decompressed(io.BytesIO(packed)) as stream:
        assert stream.read() == data
    decoder = new_decoder("zstd")
    assert isinstance(decoder, ZstdLibrary)
    assert len(decoder.decompress(packed, 1000)) == 1000
    assert decoder.unused_data and not decoder.eof


def test_what_follows_a_frame_is_given_back(without_package: None) -> None:
    decoder = new_decoder("zstd")
    assert decoder.decompress(zstandard.ZstdCompressor().compress(b"hello") + b"rest", 100) == b"hello"
    assert (decoder.eof, decoder.unused_data) == (True, b"rest")


def test_a_window_that_is_too_large_is_refused(without_package: None) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with (
        pytest.raises(CompressionError, match="memory"),
        open_decompressed(io.BytesIO(packed.compress(b"x" * 100) + packed.flush())) as stream,
    ):
        stream.read()


def look(data: bytes) -> Contents:
    return examine(io.BytesIO(data), len(data), deadline=time.monotonic() + 60)


def test_damage_of_images_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = microcode() + PACKED["zstd"](archive(root_files()))
    chance = random.Random(5)
    variants = [whole]
    for _ in range(40):
        at = chance.randrange(3600, len(whole))
        variants.append(whole[:at])
        variants.append(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
    by_package = [look(data) for data in variants]

    def missing() -> None:
        raise ImportError

    monkeypatch.setattr(streams, "_Zstd", missing)
    by_library = [look(data) for data in variants]
    assert [(each.complete, each.kernel) for each in by_library] == [
        (each.complete, each.kernel) for each in by_package
    ]
    assert by_library[0].complete and by_library[0].members == by_package[0].members
