"""Lines of logs: the quick search gives what looking at each line gives, with right numbers and places."""

from __future__ import annotations

import gzip
import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.roots import lines as module
from lastwords.roots.base import Root
from lastwords.roots.lines import BLOCK, LINE_LIMIT, Line, Search, iter_lines, read_lines, seek_last
from lastwords.roots.live import directory_root, live_root

WORDS = (b"oom", b"panic")
CHUNKS = st.lists(
    st.sampled_from(
        [
            b"a",
            b"\n",
            b"kernel: oom\n",
            b"oom",
            b"kernel: ",
            b"panic\n",
            b"\n\n",
            b"x" * 30,
            b"panic kernel:\n",
            b"kernel: word 7\n",
            b"kernel: o",
            b"1",
            b"4",
            b"0m 12",
        ]
    ),
    max_size=60,
).map(b"".join)


def found(data: bytes, search: Search, follow: int, quick: bool) -> tuple[list[Line], Search]:
    """Return the lines given to a reader who wants *follow* more after each line that holds "oom"."""
    stream = io.BytesIO(data)
    blocks = module._limited(module._blocks(stream), search)
    lines = (
        module._searched(blocks, search)
        if quick
        else module._filtered(module._numbered(blocks, (), 0), search)
    )
    out = []
    for line in lines:
        out.append(line)
        if b"oom" in line.data:
            search.follow = max(search.follow, follow)
    return out, search


MANY = (*WORDS, b"4", b"o0m", b"m 12", *(b"word %d" % number for number in range(20)))


@given(
    CHUNKS,
    st.integers(0, 4),
    st.integers(0, 3),
    st.sampled_from(("", "gated", "stems", "many", "many gated")),
    st.integers(1, 40),
)
def test_quick_and_plain_search_agree(data: bytes, before: int, follow: int, how: str, block: int) -> None:
    words = MANY if "many" in how else WORDS
    gates = {b"kernel:": words, b"x": WORDS} if "gated" in how else {}
    stems = (b"o", b"pan") if how == "stems" else ()
    old, module.BLOCK = module.BLOCK, block
    try:
        quick, one = found(data, Search(words, gates, before, stems=stems), follow, True)
        plain, other = found(data, Search(words, gates, before, stems=stems), follow, False)
    finally:
        module.BLOCK = old
    assert quick == plain
    assert (one.lines, one.size, one.first, one.last) == (other.lines, other.size, other.first, other.last)
    for line in plain:
        assert data[line.offset :].startswith(line.data)
        assert data.count(b"\n", 0, line.offset) == line.number - 1


def test_lines_longer_than_the_limit_are_cut_and_the_next_is_right() -> None:
    data = b"first\n" + b"y" * (BLOCK * 3) + b"oom\n" + b"z" * (LINE_LIMIT + 5) + b"\noom\nlast"
    lines = list(read_lines(io.BytesIO(data), Search()))
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    assert [len(line.data) for line in lines] == [5, LINE_LIMIT, LINE_LIMIT, 3, 4]
    assert [data[line.offset :][:3] for line in lines] == [b"fir", b"yyy", b"zzz", b"oom", b"las"]
    quick = list(read_lines(io.BytesIO(data), Search(WORDS, before=1)))
    assert quick == lines[2:4]
    assert list(iter_lines(io.BytesIO(data))) == [line.data for line in lines]


def test_secrets_are_removed_from_what_is_given() -> None:
    data = b"password=hunter2 a\nquiet\nkernel: oom password=hunter2\nquiet\npassword=hunter2 z"
    search = Search(WORDS)
    assert [line.data for line in read_lines(io.BytesIO(data), search)] == [b"kernel: oom password=<removed>"]
    assert search.first is not None and search.last is not None
    assert b"hunter2" not in search.first.data + search.last.data
    assert search.last.number == 5


def test_only_the_end_of_a_big_file_is_searched(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"".join(b"line %07d oom\n" % number for number in range(100_000)))
    root = directory_root(str(tmp_path))
    search = Search(WORDS, limit=1900)
    lines = list(root.lines("/log", search))
    assert lines[-1].data == b"line 0099999 oom" and lines[0].data == b"line 0099889 oom"
    assert search.skipped == lines[0].offset == 99889 * 17
    assert lines[0].number == 1
    (tmp_path / "log.gz").write_bytes(gzip.compress((tmp_path / "log").read_bytes()))
    search = Search(WORDS, limit=1900)
    packed = list(root.lines("/log.gz", search))
    assert packed[0].data == b"line 0000000 oom" and search.limited and len(packed) < 100_000


def test_seek_last_lands_on_the_start_of_a_line() -> None:
    data = b"one\ntwo\nthree\n"
    assert seek_last(io.BytesIO(data), 100) == 0
    assert seek_last(io.BytesIO(data), 8) == 8
    assert seek_last(io.BytesIO(b"x" * 200_000), 100_000) == 200_000


def test_a_command_is_streamed_and_told_apart_from_a_failure() -> None:
    root = live_root()
    lines = list(root.run_lines(("seq", "1", "200000"), 20.0, Search((b"77777",), before=1)))
    assert [line.data for line in lines][:2] == [b"77776", b"77777"]
    assert lines[1].number == 77777
    with pytest.raises(FileNotFoundError):
        list(root.run_lines(("no-such-command-here",)))
    with pytest.raises(OSError, match="no-such-file"):
        list(root.run_lines(("cat", "/no-such-file")))
    with pytest.raises(PermissionError):
        list(
            root.run_lines(
                ("sh", "-c", "echo read kernel buffer failed: Operation not permitted >&2; exit 1")
            )
        )
    assert list(root.run_lines(("true",))) == []
    assert [line.data for line in root.run_lines(("sh", "-c", "echo x; exit 1"))] == [b"x"]
    assert [item["path"] for item in root.evidence.items if "denied" in item] == [
        "$ sh -c echo read kernel buffer failed: Operation not permitted >&2; exit 1"
    ]


def test_a_command_that_floods_its_complaints_does_not_block() -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo complaint >&2; i=$((i+1)); done; echo done"
    assert [line.data for line in live_root().run_lines(("sh", "-c", script), 30.0)] == [b"done"]


def test_a_command_that_hangs_meets_its_deadline_and_is_ended() -> None:
    started = time.monotonic()
    out = []
    with pytest.raises(TimeoutError):
        for line in live_root().run_lines(("sh", "-c", "echo one; exec sleep 4711.25"), 0.7):
            out.append(line.data)
    assert time.monotonic() - started < 5
    running = [
        path for path in os.listdir("/proc") if path.isdigit() and _cmdline(path) == b"sleep\x004711.25\x00"
    ]
    assert running == []


def test_stopping_early_ends_the_command() -> None:
    started = time.monotonic()
    generator = live_root().run_lines(("sh", "-c", "yes; sleep 60"), 60.0)
    assert next(iter(generator)).data == b"y"
    generator.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 5


def test_a_plain_log_is_searched_faster_than_its_lines_could_be_read(tmp_path: Path) -> None:
    line = (
        b"Mar  1 02:14:07 web app[12]: WARNING: request took long, retry of job number one hundred and two\n"
    )
    kernel = b"Mar  1 02:14:07 web kernel: [  511.250000] usb 1-1: new high-speed USB device number 12\n"
    (tmp_path / "log").write_bytes((line * 19 + kernel) * 20_000)
    root: Root = directory_root(str(tmp_path))
    started = time.process_time()
    words = (b"WARNING:", b"panic")
    search = Search(words, {b"kernel:": words}, before=30)
    assert list(root.lines("/log", search)) == []
    quick = time.process_time() - started
    started = time.process_time()
    with (tmp_path / "log").open("rb") as stream:
        assert sum(1 for raw in stream if b"kernel:" in raw and b"panic" in raw) == 0
    assert search.lines == 400_000
    assert quick < 3 * (time.process_time() - started) + 0.2


def _cmdline(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
