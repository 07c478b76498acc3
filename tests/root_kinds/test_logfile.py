"""Logs handed to us as files: packed or not, found quickly, read as far as the reader wants."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lastwords.model import LastwordsError
from lastwords.roots.logfile import LogReader, open_log

NOISE = b"Mar  1 02:14:07 web app[12]: all is well, nothing to see here\n"
REPORT = b"".join(
    b"Mar  1 02:14:08 web kernel: [  511.000000] " + text + b"\n"
    for text in (b"java invoked oom-killer: order=0", *(b"line %d" % n for n in range(300)), b"the end")
)
LOG = NOISE * 5000 + REPORT + NOISE * 5000


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gz", "xz", "bz2", "zst"],
)
def test_a_report_is_found_and_followed_to_its_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "messages"
    path.write_bytes(pack(LOG))
    with open_log(str(path), (b"invoked oom-killer",), before=2) as reader:
        found = []
        for message in reader:
            found.append(message)
            if message.is_kernel:
                reader.want(10)
    assert [message.text for message in found if message.is_kernel] == [
        "java invoked oom-killer: order=0",
        *(f"line {n}" for n in range(300)),
        "the end",
    ]
    assert len(found) == 2 + 302 + 10
    first = found[2]
    assert (first.number, first.offset) == (5001, 5000 * len(NOISE))
    assert (reader.lines, reader.size, reader.problem) == (10302, len(LOG), None)


def test_a_cut_archive_gives_what_it_holds_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "messages.gz"
    path.write_bytes(gzip.compress(REPORT)[:-20])
    with open_log(str(path)) as reader:
        found = list(reader)
    assert found[0].text == "java invoked oom-killer: order=0"
    assert reader.problem == "cut gzip data: the end is missing"


def test_what_cannot_be_opened_gets_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "is a directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(LastwordsError, match=reason), open_log(str(path)):
            pass


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_what_is_not_text_is_refused_before_anything_is_written(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "file"
    dump = b"KDUMP   " + bytes(4600)
    for data, reason in ((Path(sys.executable).read_bytes()[:99999], "is not text"), (dump, "vmcore reads")):
        path.write_bytes(pack(data))
        with pytest.raises(LastwordsError, match=reason), open_log(str(path), (b"word",)):
            pass


def test_a_log_with_holes_and_control_characters_is_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for data in (
        bytes(100_000) + LOG,
        b"\a\b\x7f",
        LOG.replace(b"all", b"\x01"),
        "\u00fc\u4e2d".encode() * 99,
    ):
        path.write_bytes(data)
        with open_log(str(path)) as reader:
            assert list(reader)


def test_an_empty_log_is_a_log() -> None:
    reader = LogReader(io.BytesIO(b""), (b"word",))
    assert (list(reader), reader.lines, reader.problem) == ([], 0, None)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_is_no_log(mode: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.tar"
    log = tmp_path / "messages"
    log.write_text("Mar  1 00:00:01 web kernel: x\n" * 99)
    with tarfile.open(path, mode) as archive:
        archive.add(log, "messages")
    with pytest.raises(LastwordsError, match="is an archive; expected a log"), open_log(str(path)):
        pass
