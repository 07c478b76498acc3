"""A sifted log reads, around what is searched for, as the log itself."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.analyzer.opening import open_tree
from lastwords.collectors.kernel_log import KernelLogCollector
from lastwords.hookspecs import Collector
from lastwords.roots import lines, sift
from lastwords.roots.archive import ArchiveTree
from lastwords.roots.lines import Blank, Line, Search, SiftedLog, read_lines
from lastwords.roots.sift import Sieve
from lastwords.roots.streams import Chunks

WORD = b"panic"
SIEVE = Sieve(("/var/log/messages",), (), (WORD,), before=2, after=5)
QUIET = b"Mar  1 10:00:00 db01 app[7]: all is well\n"


def sifted(data: bytes, sieve: Sieve = SIEVE) -> list[bytes | Blank]:
    """Return the parts of a log after sifting."""
    parts: list[bytes | Blank] = []
    sift.sift(io.BytesIO(data), sieve, parts.append)
    return parts


def content(parts: list[bytes | Blank]) -> bytes:
    return b"".join(part.content() if isinstance(part, Blank) else part for part in parts)


def found(log: bytes | list[bytes | Blank], follow: int = 5) -> tuple[list[Line], Search]:
    """Return the lines that a reader gets of a log, given as bytes or in parts."""
    stream = io.BytesIO(log) if isinstance(log, bytes) else SiftedLog(iter(log))
    search = Search(words=(WORD,), before=2)
    out = []
    for line in read_lines(stream, search):  # type: ignore[arg-type]
        search.follow = max(search.follow, follow if WORD in line.data else 0)
        out.append(line)
    return out, search


PIECES = st.sampled_from([b"panic\n", b"\n", b"a line\n", b"x" * 30, b"y" * 100 + b"\n", b"pan", b"ic"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=80))
def test_lines_numbers_and_ends_are_those_of_the_log(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 64)
        patch.setattr(lines, "LINE_LIMIT", 48)
        patch.setattr(sift, "LINE_LIMIT", 48)
        parts = sifted(data)
        (ours, search), (theirs, other) = found(parts), found(data)
    assert ours == theirs
    assert (search.lines, search.first, search.last) == (other.lines, other.first, other.last)
    if max(map(len, data.split(b"\n"))) <= 48:  # of longer lines a search does not count all bytes
        assert search.size == other.size


PARTS = st.lists(
    st.one_of(
        PIECES, st.tuples(st.integers(0, 90), st.integers(0, 9)).filter(lambda each: each[0] >= each[1])
    )
)


@settings(max_examples=300, deadline=None)
@given(PARTS, st.integers(0, 9))
def test_blank_parts_are_passed_over_as_if_they_were_read(
    drawn: list[bytes | tuple[int, int]], follow: int
) -> None:
    parts = [each if isinstance(each, bytes) else Blank(*each) for each in drawn]
    parts = [part for part in parts if len(part)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 64)
        assert found(parts, follow) == found(content(parts), follow)


def test_a_log_in_parts_is_a_stream() -> None:
    parts = [b"one\n", Blank(5, 2), b"two"]
    stream = SiftedLog(iter(parts))
    assert (stream.read(2), stream.part(), stream.part(), stream.read()) == (
        b"on",
        b"e\n",
        Blank(5, 2),
        b"two",
    )
    assert stream.part() == b""


def test_the_quiet_parts_of_a_large_log_are_blank() -> None:
    data = QUIET * 100_000 + b"kernel panic\n" + QUIET * 100_000
    parts = sifted(data)
    assert sum(map(len, parts)) == len(data)
    assert sum(isinstance(part, Blank) for part in parts) >= len(data) // lines.BLOCK - 6
    assert found(parts) == found(content(parts)) == found(data)


def archive(folder: Path, log: bytes) -> str:
    top = folder / "sosreport-x"
    for name, content in (("version.txt", b"sos\n"), ("sos_commands/x", b""), ("var/log/messages", log)):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    path = folder / "x.tar.xz"
    with tarfile.open(path, "w:xz", preset=0) as out:
        out.add(top, top.name)
    return str(path)


def test_a_log_in_an_archive_is_whole_for_whoever_does_not_search_it(tmp_path: Path) -> None:
    log = os.urandom(16).hex().encode() + b"\n" + QUIET * 60_000 + b"kernel: panic\n"
    path = archive(tmp_path, log)
    tree = open_tree(path, {"kernel_log": KernelLogCollector()})
    with tree.open("/var/log/messages") as stream:
        assert stream.read() == log
    with tree.open_log("/var/log/messages") as stream:
        blanked = stream.read()
    assert (len(blanked), blanked.count(b"\n")) == (len(log), log.count(b"\n"))
    assert blanked.count(QUIET) < log.count(QUIET) // 2


def test_a_log_that_another_collector_reads_is_held_whole(tmp_path: Path) -> None:
    class Other(Collector):
        name = "other"
        reads = ("/var/log/mess*",)

    log = QUIET * 60_000
    tree = open_tree(archive(tmp_path, log), {"kernel_log": KernelLogCollector(), "other": Other()})
    with tree.open_log("/var/log/messages") as stream:
        assert stream.read() == log


def test_a_packed_log_is_held_as_it_is(tmp_path: Path) -> None:
    log = b"\x1f\x8b\x08" + os.urandom(sift.SMALL)
    path = archive(tmp_path, log)
    tar = lzma.decompress(Path(path).read_bytes())
    # However little of it comes at once.
    first = [tar[at : at + 3] for at in range(0, 15_000, 3)]
    for pieces in ([tar], [*first, tar[15_000:]]):
        stream = cast(BinaryIO, Chunks(iter(pieces)))
        tree = ArchiveTree(path, lambda _: True, sieve=lambda _: SIEVE, first=stream)
        with tree.open_log("/var/log/messages") as stream:
            assert stream.read() == log
