"""Output of df: what it says of this machine is what statvfs says."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.system.df import Filesystem, filesystem_of, parse_df


def run(*argv: str) -> str:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}
    )
    return done.stdout


@pytest.mark.parametrize(
    "options",
    ["-al", "-al -x autofs", "-l", "-T", "-P", "-aT", "-B1", "-BM", "-BMB", "-BKB", "-B4K", "-k", "--total"],
)
def test_sizes_are_those_of_the_filesystems(options: str) -> None:
    found = parse_df(run("df", *options.split()))
    root = filesystem_of("/", found)
    real = os.statvfs("/")
    unit = {"-BM": 1 << 20, "-BMB": 10**6}.get(options, 4096)
    assert root and root.mountpoint == "/"
    assert root.size == pytest.approx(real.f_blocks * real.f_frsize, abs=unit)
    assert root.used + root.available <= root.size + 2 * unit
    assert " " not in root.source
    assert all(each.size > 0 and each.mountpoint.startswith("/") for each in found)


@pytest.mark.parametrize("options", ["-ali", "-i", "-h", "-H", "-ih", "--output=source,target"])
def test_what_is_no_size_in_bytes_is_left_out(options: str) -> None:
    assert parse_df(run("df", *options.split())) == []


def test_busybox_prints_the_same() -> None:
    for options in ([], ["-P"], ["-T"], ["-k"]):
        root = filesystem_of("/", parse_df(run("busybox", "df", *options)))
        real = os.statvfs("/")
        assert root and root.size == real.f_blocks * real.f_frsize


def test_names_with_spaces_broken_lines_and_more() -> None:
    text = """df: /mnt/gone: Stale file handle
Filesystem           1K-blocks     Used Available Use% Mounted on
proc                         0        0         0    - /proc
-                            -        -         -    - /run/user/1000/doc
/dev/mapper/rhel_very-long-name-root
                      51474912 10000000  38836416  21% /
//nas/my share          100000    90000     10000  90% /mnt/my share
overfull                   100      100       -20 125% /over
/dev/vda2               10000     4000      6000  40% /boot
/dev/vdb                20000     4000     16000  20% /boot
"""
    assert parse_df(text) == [
        Filesystem(
            "/dev/mapper/rhel_very-long-name-root", 51474912 * 1024, 10000000 * 1024, 38836416 * 1024, "/"
        ),
        Filesystem("//nas/my share", 102400000, 92160000, 10240000, "/mnt/my share"),
        Filesystem("overfull", 102400, 102400, -20480, "/over"),
        Filesystem("/dev/vda2", 10240000, 4096000, 6144000, "/boot"),
        Filesystem("/dev/vdb", 20480000, 4096000, 16384000, "/boot"),
    ]
    typed = "Filesystem     Type 1024-blocks Used Available Capacity Mounted on\n//nas/my share cifs 10 4 6 40% /mnt\n"
    assert parse_df(typed) == [Filesystem("//nas/my share", 10240, 4096, 6144, "/mnt")]


def test_the_filesystem_of_a_path() -> None:
    found = parse_df("Filesystem 1K-blocks Used Available Use% Mounted on\n" + "".join(
        f"/dev/{n} {n + 1} 0 1 0% {mount}\n" for n, mount in enumerate(["/", "/var", "/var/crash", "/var/crash", "/boot"])
    ))  # fmt: skip
    assert [(each := filesystem_of(path, found)) and each.source for path in (
        "/", "/etc", "/var", "/variable", "/var/crash/1/2", "/boot/efi", "/bootx",
    )] == ["/dev/0", "/dev/0", "/dev/1", "/dev/0", "/dev/3", "/dev/4", "/dev/0"]  # fmt: skip
    assert filesystem_of("/x", []) is None


PIECES = [
    "Filesystem ",
    "1K-blocks ",
    "Used ",
    "Available ",
    "Use% Mounted on",
    "\n",
    "/dev/sda ",
    "100 ",
    "-5 ",
    "40% ",
    "- ",
    "/mnt",
    " ",
    "9" * 40,
    "Type ",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_garbage_never_raises(pieces: list[str]) -> None:
    assert all(each.size > 0 for each in parse_df("".join(pieces)))


@pytest.mark.parametrize("piece", [" ", "1 ", "x", "1", "- ", "/ ", "100 100 100 "])
def test_hostile_text_takes_no_longer_than_its_length(piece: str) -> None:
    text = "Filesystem 1K-blocks Used Available Use% Mounted on\n"
    text += (piece * (16_000 // len(piece)) + "\n") * 30 + piece * (500_000 // len(piece))
    began = time.process_time()
    parse_df(text)
    assert time.process_time() - began < 5
