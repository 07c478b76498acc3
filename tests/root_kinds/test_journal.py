"""Journal files, written by systemd itself, read by ours and by journalctl."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import random
import shutil
import struct
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lastwords import plugins
from lastwords.analyzer.collection import open_cases
from lastwords.analyzer.opening import open_case
from lastwords.collectors.kernel_log import JOURNAL, LIST_BOOTS
from lastwords.formats.log.boots import parse_boots
from lastwords.formats.log.journal_file import JournalError, JournalFile
from lastwords.model import Case, Event, LastwordsError
from lastwords.roots.lines import iter_lines
from lastwords.roots.live import directory_root
from lastwords.roots.streams import CompressionError, open_decompressed

WRITER = next(
    (
        path
        for path in ("/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote")
        if os.path.exists(path)
    ),
    None,
)
needs_systemd = pytest.mark.skipif(
    WRITER is None or shutil.which("journalctl") is None,
    reason="needs systemd-journal-remote and journalctl",
)
LONG = "x" * 3000 + " Killed process 99 (long)"
KERNEL = [
    "Linux version 6.1.0",
    "java invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
    "Out of memory: Killed process 4242 (java) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",
    LONG,
    "two\nlines",
]


def exported(boots: int = 2, entries: int = 300) -> bytes:
    """Return entries of programs and of the kernel in the export format of systemd."""
    out = []
    at = 1_772_352_004_000_000
    for boot in range(boots):
        for number in range(entries):
            at += 1_500_000
            fields = {
                "__REALTIME_TIMESTAMP": str(at),
                "__MONOTONIC_TIMESTAMP": str(number * 1_500_000 + 5),
                "_BOOT_ID": f"{boot + 1:032x}",
                "_MACHINE_ID": f"{7:032x}",
                "_HOSTNAME": "web7",
                "PRIORITY": "6",
            }
            if number % 3 == 0:
                fields |= {
                    "_TRANSPORT": "kernel",
                    "SYSLOG_IDENTIFIER": "kernel",
                    "MESSAGE": KERNEL[number // 3 % 5],
                }
            elif number % 30 == 1:
                fields |= {
                    "_TRANSPORT": "journal",
                    "_SYSTEMD_UNIT": "systemd-oomd.service",
                    "SYSLOG_IDENTIFIER": "systemd-oomd",
                    "_PID": "812",
                    "MESSAGE": f"Killed /user.slice/app{number} due to memory pressure",
                }
            else:
                fields |= {
                    "_TRANSPORT": "syslog",
                    "SYSLOG_IDENTIFIER": "app",
                    "MESSAGE": f"Killed process {number}",
                }
            for name, value in fields.items():
                raw = value.encode()
                if b"\n" in raw:
                    out.append(name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n")
                else:
                    out.append(name.encode() + b"=" + raw + b"\n")
            out.append(b"\n")
    return b"".join(out)


def write_journal(top: Path, content: bytes, **environment: str) -> Path:
    """Have systemd write a journal below *top*; return the file."""
    folder = top / "var/log/journal" / f"{7:032x}"
    folder.mkdir(parents=True)
    path = folder / "system.journal"
    assert WRITER
    subprocess.run(
        [WRITER, "-o", str(path), "-"],
        input=content,
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return path


VARIANTS = [
    {"SYSTEMD_JOURNAL_COMPACT": compact, "SYSTEMD_JOURNAL_COMPRESS": compress}
    for compact in ("0", "1")
    for compress in ("zstd", "lz4", "xz", "0")
]


@needs_systemd
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(v.values()))
def test_the_same_lines_as_journalctl(tmp_path: Path, variant: dict[str, str]) -> None:
    path = write_journal(tmp_path, exported(), **variant)
    command = [JOURNAL[0], "--file", str(path), *JOURNAL[1:]]
    wanted = subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    )
    ours = directory_root(str(tmp_path)).run(JOURNAL)
    assert ours is not None
    lines = [line for line in wanted.stdout.splitlines() if not line.startswith(b"-- Boot ")]
    assert ours.stdout.splitlines() == lines
    assert len(lines) > 200
    boots = directory_root(str(tmp_path)).run(LIST_BOOTS)
    assert boots is not None
    assert [(boot.index, boot.id[-1]) for boot in parse_boots(boots.text)] == [(-1, "1"), (0, "2")]


@needs_systemd
def test_only_the_newest_lines(tmp_path: Path) -> None:
    write_journal(tmp_path, exported())
    few = directory_root(str(tmp_path)).run(
        ["journalctl", "--no-pager", "-o", "short-iso", "-n", "7", "_TRANSPORT=kernel"]
    )
    every = directory_root(str(tmp_path)).run(
        ["journalctl", "--no-pager", "-o", "short-iso", "_TRANSPORT=kernel"]
    )
    assert few is not None and every is not None
    assert few.text and every.text.endswith(few.text)
    assert sum(not line.startswith(" ") for line in few.text.splitlines()) == 7


@needs_systemd
def test_a_damaged_file_gives_what_it_holds_and_never_raises(tmp_path: Path) -> None:
    whole = write_journal(tmp_path, exported(entries=60)).read_bytes()
    chance = random.Random(7)
    gave_something = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 8, 64))):
            data[chance.randrange(len(data) // 8 if chance.random() < 0.7 else len(data))] = chance.randrange(
                256
            )
        data = data[: chance.choice((len(data), chance.randrange(len(data))))]
        try:
            file = JournalFile(lambda at, size, data=data: bytes(data[at : at + size]))
        except JournalError:
            continue
        list(file.boots())
        for offset in file.entries_with([b"_TRANSPORT=kernel", b"_SYSTEMD_UNIT=systemd-oomd.service"]):
            try:
                gave_something += bool(file.fields(file.entry(offset), [b"MESSAGE"]))
            except JournalError:
                continue
    assert gave_something > 1000


def test_what_is_no_journal_is_said_to_be_none(tmp_path: Path) -> None:
    for content in (b"", b"LPKSHHRH", b"\0" * 4096):
        with pytest.raises(JournalError):
            JournalFile(lambda at, size, content=content: content[at : at + size])
    folder = tmp_path / "var/log/journal/x"
    folder.mkdir(parents=True)
    (folder / "system.journal").write_bytes(b"\0" * 4096)
    root = directory_root(str(tmp_path)).recording("kernel_log")
    assert root.run(JOURNAL) is None


@needs_systemd
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
def test_a_journal_file_that_was_handed_over_alone_is_a_log(tmp_path: Path, pack: Any) -> None:
    path = write_journal(tmp_path, exported())
    command = [JOURNAL[0], "--file", str(path), "--no-pager", "-o", "short-iso"]
    printed = subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    )
    lines = [line for line in printed.stdout.splitlines() if not line.startswith(b"-- Boot ")]
    lone = tmp_path / "system.journal.packed"
    lone.write_bytes(pack(path.read_bytes()))
    with open(lone, "rb") as raw, open_decompressed(raw) as stream:
        assert list(iter_lines(stream)) == lines
    case = open_case(str(lone), plugins.load().collectors())
    assert case.root_kind == "log"
    assert Counter(event["kind"] for event in case.events) == Counter(
        event["kind"] for event in of_disk(tmp_path)
    )


def of_disk(top: Path) -> list[Event]:
    """Return what a disk with that journal tells, read as collectors read it."""
    collectors = plugins.load().collectors()
    return list(open_case(str(top), {"kernel_log": collectors["kernel_log"]}, as_host=True).events)


@needs_systemd
def test_journals_are_found_wherever_somebody_packed_them_from(tmp_path: Path) -> None:
    host = tmp_path / "host"
    path = write_journal(host, exported())
    (host / "var/log/lastlog").touch()
    (host / "var/log/dmesg").write_text("[    0.000000] Linux version 6.1.0-18-amd64\n")
    told = Counter(event["kind"] for event in of_disk(host))
    collectors = {"kernel_log": plugins.load().collectors()["kernel_log"]}
    places = {"": host, "log": host / "var/log", "journal": path.parent.parent, "files": path.parent}
    for name, folder in places.items():
        archive = tmp_path / f"{name or 'host'}.tgz"
        flat = tmp_path / f"{name or 'host'}-flat.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, "x")
        with tarfile.open(flat, "w:gz") as tar:
            for each in sorted(folder.iterdir()):
                tar.add(each, each.name)
        for source in (folder, archive, flat):
            ((_, case),) = open_cases(str(source), collectors)
            assert isinstance(case, Case) and case.root_kind == "files", source
            kinds = Counter(event["kind"] for event in case.events)
            assert (str(source), kinds["oom_kill"]) == (str(source), told["oom_kill"])


@needs_systemd
@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_a_journal_file_that_is_cut_says_so(tmp_path: Path, part: float) -> None:
    data = write_journal(tmp_path, exported()).read_bytes()
    cut = io.BytesIO(data[: int(len(data) * part)])
    lines = []
    with (
        open_decompressed(cut) as stream,
        pytest.raises(CompressionError, match=r"cut journal file: \d+ of \d+ bytes"),
    ):
        for line in iter_lines(stream):
            lines.append(line)
    with open_decompressed(io.BytesIO(data)) as stream:
        assert set(lines) <= set(iter_lines(stream))
    with (
        open_decompressed(io.BytesIO(data[:100])) as stream,
        pytest.raises(CompressionError, match="header is not whole"),
    ):
        stream.read(1)


@pytest.mark.parametrize("content", [b"LPKSHHRH", b"LPKSHHRH" + bytes(5000), b"LPKSHHRH" + os.urandom(5000)])
def test_a_damaged_journal_file_gets_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "system.journal"
    path.write_bytes(content)
    with pytest.raises(LastwordsError) as caught:
        open_case(str(path), {})
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))
