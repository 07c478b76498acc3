"""Listings: what ``ls`` of this machine printed is what lstat says, whatever the names."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.system.ls import Listed, parse_ls

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
ODD = [
    "plain", "with space", " leading", "trailing ", "two  spaces", "quo\"ted", "quo'ted", "back\\slash", "tab\there", "arrow -> here",
    "umlaut-ü", "-dash", "total 5", "colon:", "1 Jan  1 2020 x", "*", "\udcff-raw", "a" * 255, "\x0b\x0c\x1c\x85", "dots...", "ls: x",
]  # fmt: skip


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ls")
    now = time.time()
    for number, name in enumerate(ODD):
        path = folder / name
        path.write_bytes(b"x" * number * 1000)
        path.chmod((0o644, 0o600, 0o4755, 0o2711, 0o1777, 0o4644, 0o2644, 0o0000)[number % 8])
        os.utime(path, (now, now - number * 86400 * 37))
    (folder / "dir").mkdir(0o1755)
    (folder / "dir" / ".hidden").write_text("x")
    (folder / "dir" / "empty").mkdir()
    (folder / "dir" / "deep").mkdir()
    (folder / "dir" / "deep" / "file").write_text("x" * 5)
    (folder / "link").symlink_to("plain")
    (folder / "link -> link").symlink_to("x -> y")
    (folder / "dangling").symlink_to("/nowhere/at all")
    os.mkfifo(folder / "fifo")
    with (folder / "big").open("wb") as stream:
        stream.truncate(5 << 40)
    return folder


def run(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(
        argv, capture_output=True, check=False, env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    )
    if done.returncode and b"nvalid option" in done.stderr:
        pytest.skip(f"{argv} is not understood here")
    return done.stdout.decode("utf-8", "surrogateescape")


def check(entries: list[Listed], folder: Path, resolution: float = 60, rounded: bool = False) -> None:
    """Hold the entries of a directory against lstat."""
    mine = {entry.name: entry for entry in entries if entry.directory == str(folder)}
    assert sorted(mine) == sorted(os.listdir(folder))
    for name, entry in mine.items():
        real = os.lstat(folder / name)
        assert entry.type == TYPES.get(stat.S_IFMT(real.st_mode), "other"), name
        assert entry.mode == stat.S_IMODE(real.st_mode), name
        assert entry.target == (os.readlink(folder / name) if stat.S_ISLNK(real.st_mode) else None)
        assert entry.time is not None
        age = time.time() - real.st_mtime
        assert abs(entry.time - real.st_mtime) <= (
            resolution if age < 170 * 86400 or resolution < 60 else 86400
        ), name
        assert entry.size is not None
        if rounded:
            assert entry.size == pytest.approx(real.st_size, rel=0.1, abs=1)
        else:
            assert entry.size == real.st_size
        assert entry.uid in (None, real.st_uid) and entry.gid in (None, real.st_gid)


@pytest.mark.parametrize(
    "options", ["-lanR", "-alZR", "-alhR", "-laR", "-lanRi", "-alR --full-time", "-laR --time-style=long-iso"]
)
def test_a_tree_is_as_lstat_says(options: str, top: Path) -> None:
    listing = parse_ls(run("ls", *options.split(), str(top)), now=time.time())
    folders = [folder for folder, _, _ in os.walk(top)]
    assert listing.whole == set(folders)
    for folder in folders:
        check(
            listing.entries, Path(folder), 1 if "full" in options else 60, rounded="h" in options.split()[0]
        )
    if "n" in options.split()[0]:
        assert all(entry.uid == os.geteuid() for entry in listing.entries if entry.name != "..")


@pytest.mark.parametrize("options", ["-la", "-lan", "-alZ", "-alh"])
def test_one_directory_has_no_header(options: str, top: Path) -> None:
    text = run("ls", options, str(top))
    listing = parse_ls(text, str(top), time.time())
    check(listing.entries, top, rounded="h" in options)
    assert listing.whole == {str(top)}
    assert parse_ls(text, None, time.time()).entries == []


def test_without_hidden_files_it_is_not_all(top: Path) -> None:
    listing = parse_ls(run("ls", "-lR", str(top)), now=time.time())
    assert listing.whole == frozenset() and listing.entries
    listing = parse_ls(run("ls", "-l", "/proc/self/"), "/proc/self", time.time())
    assert "status" in {entry.name for entry in listing.entries}


@pytest.mark.parametrize("options", ["-laR", "-lanR"])
def test_busybox_prints_much_the_same(options: str, top: Path) -> None:
    text = run("busybox", "ls", options, str(top))
    listing = parse_ls(text, str(top), time.time())
    names = {entry.name for entry in listing.entries if entry.directory == str(top)}
    # It shows a question mark for what is not printable.
    assert len(names) == len(os.listdir(top))
    assert {"plain", "with space", "dir", "big"} <= names
    plain = next(entry for entry in listing.entries if entry.name == "big")
    assert (plain.size, plain.type) == (5 << 40, "file")


def test_several_arguments_and_files(top: Path) -> None:
    text = run("ls", "-la", f"{top}/plain", f"{top}/dir", f"{top}/dir/deep")
    listing = parse_ls(text, "/not/this", time.time())
    assert listing.whole == {f"{top}/dir", f"{top}/dir/deep"}
    assert {(e.directory, e.name) for e in listing.entries} == {
        (str(top), "plain"), (f"{top}/dir", ".hidden"), (f"{top}/dir", "empty"), (f"{top}/dir", "deep"), (f"{top}/dir/deep", "file"),
    }  # fmt: skip
    text = run("ls", "-ld", f"{top}/dir")
    assert [(e.directory, e.name, e.type) for e in parse_ls(text, "/not/this").entries] == [
        (str(top), "dir", "dir")
    ]


def test_the_devices_of_this_machine() -> None:
    listing = parse_ls(run("ls", "-lan", "/dev"), "/dev", time.time())
    null = next(entry for entry in listing.entries if entry.name == "null")
    assert (null.type, null.size, null.mode) == ("other", None, 0o666)
    assert len(listing.entries) >= len(os.listdir("/dev")) - 3


LISTING = """/boot:
total 190564
dr-xr-xr-x.  5 root root         system_u:object_r:boot_t:s0      4096 Jan 10 09:00 .
dr-xr-xr-x. 17 root root         system_u:object_r:root_t:s0       224 Jan  9  2025 ..
-rw-r--r--.  1 root domain users system_u:object_r:boot_t:s0    226249 Nov 30 10:00 config-5.14.0
-rw-------.  1 DOM\\joe root      system_u:object_r:boot_t:s0:c0.c9 9876 Mar  2 11:00 initramfs.img
brw-rw----+  1 root disk         system_u:object_r:boot_t:s0      8, 0 Mar  2 09:00 sda
l?????????   ? ?    ?            ?                                  ?            ? broken
-?????????   ? ?    ?            ?                                  ?            ? vanished

/boot/efi:
total 0
drwx------. 2 root root system_u:object_r:boot_t:s0 6 Jan 10 09:00 .
dr-xr-xr-x. 5 root root system_u:object_r:boot_t:s0 4096 Jan 10 09:00 ..
"""
NOW = 1772445600.0  # 2026-03-02T10:00:00Z


def test_owners_with_spaces_contexts_and_what_could_not_be_read() -> None:
    listing = parse_ls(LISTING, None, NOW)
    found = {entry.name: entry for entry in listing.entries}
    assert list(found) == ["config-5.14.0", "initramfs.img", "sda", "broken", "vanished"]
    assert found["config-5.14.0"].size == 226249
    assert found["config-5.14.0"].time == 1764496800.0  # 2025-11-30T10:00Z: not in the future
    assert found["initramfs.img"].time == 1772449200.0  # an hour ahead: the clock of another zone
    assert (found["sda"].type, found["sda"].size) == ("other", None)
    for name, kind in (("broken", "link"), ("vanished", "file")):
        entry = found[name]
        assert (entry.type, entry.size, entry.mode, entry.time, entry.target) == (
            kind,
            None,
            None,
            None,
            None,
        )
    assert listing.whole == {"/boot", "/boot/efi"}


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        (lambda text: text, {"/boot", "/boot/efi"}),
        (lambda text: text.replace("config-5.14.0", "config\n5.14.0"), {"/boot/efi"}),
        (lambda text: text.partition("-rw-r")[2], {"/boot/efi"}),  # the head is cut off: sos keeps the tail
        (lambda text: "ls: reading directory '/boot/efi': Input/output error\n" + text, {"/boot"}),
        (lambda text: "ls: cannot open directory '/boot/x': Permission denied\n" + text, {"/boot", "/boot/efi"}),
        (lambda text: text.replace("total 0\n", ""), {"/boot"} - {"/boot"}),
        (lambda text: text + "[output truncated]", {"/boot"}),
    ],
)  # fmt: skip
def test_all_is_said_only_when_it_is_certain(change: object, whole: set[str]) -> None:
    listing = parse_ls(change(LISTING), "/elsewhere", NOW)  # type: ignore[operator]
    assert listing.whole == whole
    assert not any(entry.directory == "/elsewhere" for entry in listing.entries)


def test_an_output_that_was_cut_is_not_all_of_its_last_directory() -> None:
    assert parse_ls(LISTING, None, NOW, cut=True).whole == {"/boot"}


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        ("Feb 29 2024", 1709164800.0), ("Feb 29 12:00", 1709208000.0), ("Feb 30 12:00", None), ("Xyz 10 12:00", None),
        ("Mar  2 10:00", NOW), ("Mar  3 09:59", NOW + 86340), ("Mar  5 10:00", NOW - 362 * 86400), ("Jan  1 9999", 253370764800.0),
        ("2026-03-02 10:00", NOW), ("2026-03-02 12:00:00.123456789 +0200", NOW), ("2026-13-02 12:00", None), ("Mar  2 10:00:00 2026", NOW),
    ],
)  # fmt: skip
def test_times(printed: str, seconds: float | None) -> None:
    listing = parse_ls(f"total 0\n-rw-r--r-- 1 0 0 5 {printed} name\n", "/x", NOW)
    assert [(entry.name, entry.time) for entry in listing.entries] == [("name", seconds)]


def test_the_year_is_not_guessed() -> None:
    assert parse_ls("total 0\n-rw-r--r-- 1 0 0 5 Mar  2 10:00 name\n", "/x", None).entries[0].time is None


PIECES = ["/boot:", "total 0", "total 4.0K", "\n", "-rw-r--r--", "d?????????", " 1 ", "root ", "4096 ", "8, 0 ", "Mar  2 10:00 ", "2024-01-01 00:00 ", "name",
          " -> ", "ls: ", ":", " ", "?", "\udcff", "9" * 30, "system_u:r:t:s0 ", "."]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_garbage_never_raises(pieces: list[str]) -> None:
    listing = parse_ls("".join(pieces), "/x", NOW)
    assert all(entry.directory.startswith("/") and entry.name for entry in listing.entries)


@pytest.mark.parametrize(
    "piece",
    [
        "-rw-r--r-- 1 ",
        " ",
        "a:",
        "1 ",
        "x" * 100 + " ",
        "/boot:\ntotal 0\n",
        ":",
        "9",
        "\n",
        "ls: reading directory '",
    ],
)
def test_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    text = (
        "/boot:\ntotal 0\n"
        + ("-rw-r--r-- 1 a " + piece * (15_000 // len(piece)) + "\n") * 60
        + piece * (500_000 // len(piece))
    )
    began = time.process_time()
    parse_ls(text, "/x", NOW)
    assert time.process_time() - began < 5
