"""crashkernel= is understood as each kernel understands it (kernel/crash_reserve.c)."""

from __future__ import annotations

import pytest

from lastwords.formats.kdump.core_collector import parse_core_collector
from lastwords.formats.kdump.crashkernel import Dialect, dialect_of, evaluate, memparse
from lastwords.formats.kdump.crashkernel_defaults import default_of

M, G = 1 << 20, 1 << 30
REDHAT = "1G-4G:192M,4G-64G:256M,64G-:512M"
NONE = "crashkernel size resulted in zero bytes"
NOT_A_NUMBER = "crashkernel: memory value expected"


@pytest.mark.parametrize(
    ("line", "ram", "size", "problem"),
    [
        ("256M", 8 * G, 256 * M, None),
        ("0x10000000", 8 * G, 256 * M, None),
        ("0400M", 8 * G, 256 * M, None),
        ("256m@16M", 8 * G, 256 * M, None),
        ("1G", None, G, None),
        ("16G", 8 * G, 0, "crashkernel: invalid size"),
        ("0", 8 * G, 0, NONE),
        ("", 8 * G, 0, NOT_A_NUMBER),
        ("auto", 8 * G, 0, NOT_A_NUMBER),
        ("256MB", 8 * G, 0, "crashkernel: unrecognized char: B"),
        ("256M,", 8 * G, 0, "crashkernel: unrecognized char: ,"),
        ("256M,hihg", 8 * G, 0, "crashkernel: unrecognized char: ,"),
        (REDHAT, 1023 * M, 192 * M, None),  # rounded up to 1 GiB
        (REDHAT, 4 * G, 256 * M, None),  # the end does not belong to the range
        (REDHAT, 4 * G - 100 * M, 256 * M, None),
        (REDHAT, 3 * G, 192 * M, None),
        (REDHAT, 1 << 42, 512 * M, None),
        (REDHAT, 768 * M, 0, NONE),
        (REDHAT, 512 * M, 0, "crashkernel: invalid size"),  # each size is checked before its range
        (REDHAT, None, None, None),
        ("1G-4G:192M,4G-:256M@64M", 8 * G, 256 * M, None),
        ("2G-:256M", 8 * G, 256 * M, None),
        ("2G:256M", 8 * G, 0, "crashkernel: '-' expected"),
        ("x-4G:1M", 8 * G, 0, "crashkernel: Memory value expected"),
        ("4G-2G:256M", 8 * G, 0, "crashkernel: end <= start"),
        ("1G-2G", 8 * G, 0, "crashkernel: unrecognized char: -"),
        ("1G-2G,4G:1M", 8 * G, 0, "crashkernel: ':' expected"),
        ("1G-:x", 8 * G, 0, "crashkernel: Memory value expected"),
        ("1G-:16G", 8 * G, 0, "crashkernel: invalid size"),
        # What stands behind the range that matches is not looked at.
        ("1G-:256M,nonsense", 8 * G, 256 * M, None),
        ("9G-:256M,nonsense", 8 * G, 0, "crashkernel: Memory value expected"),
    ],
)
def test_one_parameter(line: str, ram: int | None, size: int | None, problem: str | None) -> None:
    asked = evaluate(["crashkernel=" + line], ram)
    assert (asked.size, asked.problem) == (size, problem)
    assert asked.parameter == "crashkernel=" + line


@pytest.mark.parametrize(
    ("lines", "counts", "size", "low", "ignored"),
    [
        (["64M", "128M"], "128M", 128, None, ["64M"]),
        (["1G,high", "128M", "72M,low"], "128M", 128, None, ["1G,high", "72M,low"]),
        (["1G,high", "2G,high"], "2G,high", 2048, None, ["1G,high"]),
        (["1G,high", "72M,low"], "1G,high", 1024, 72, []),
        (["1G,high", "0,low"], "1G,high", 1024, 0, []),
        (["72M,low"], None, 0, None, ["72M,low"]),
        (["256M", "512M,cma"], "256M", 256, None, []),
        ([], None, 0, None, []),
    ],
)
def test_several(
    lines: list[str], counts: str | None, size: int, low: int | None, ignored: list[str]
) -> None:
    asked = evaluate([f"crashkernel={line}" for line in lines], 16 * G)
    assert asked.parameter == (f"crashkernel={counts}" if counts else None)
    assert (asked.size or 0) >> 20 == size
    assert (asked.low if asked.low is None else asked.low >> 20) == low
    assert list(asked.ignored) == [f"crashkernel={line}" for line in ignored]


def test_addresses_and_reclaimable_memory() -> None:
    assert evaluate(["crashkernel=256M@0x2000000"], 8 * G).base == 32 * M
    assert evaluate(["crashkernel=256M@0"], 8 * G).base is None
    assert evaluate(["crashkernel=1G-:256M@48M"], 8 * G).base == 48 * M
    assert evaluate(["crashkernel=256M", "crashkernel=512M,cma"], 8 * G).cma == 512 * M


@pytest.mark.parametrize(
    ("release", "machine", "suffixes", "high", "rounds", "auto"),
    [
        ("6.18.3", "x86_64", 3, True, True, False),
        ("6.12.9-amd64", "x86_64", 2, True, True, False),
        ("5.10.0-28-amd64", "x86_64", 2, True, False, False),
        ("5.14.0-427.13.1.el9_4.x86_64", "x86_64", 2, True, True, False),
        ("5.14.0-427.el9_4.aarch64", "aarch64", 2, True, True, False),
        ("5.15.0-101-generic", "aarch64", 2, False, False, False),
        ("4.18.0-553.el8_10.x86_64", "x86_64", 2, True, True, True),
        ("3.10.0-1160.el7.x86_64", "x86_64", 2, True, None, True),
        ("2.6.32-754.el6.x86_64", "x86_64", 0, False, None, True),
        ("4.19.90-2112.8.0.oe1.x86_64", "x86_64", 2, True, False, None),
        ("6.8.0", "ppc64le", 2, False, True, False),
        (None, None, 3, False, True, False),
    ],
)
def test_dialects(
    release: str | None,
    machine: str | None,
    suffixes: int,
    high: bool,
    rounds: bool | None,
    auto: bool | None,
) -> None:
    found = dialect_of(release, machine)
    assert (len(found.suffixes), found.high, found.rounds, found.auto) == (suffixes, high, rounds, auto)


def test_what_older_kernels_make_of_newer_parameters() -> None:
    old = dialect_of("6.12.9-amd64", "x86_64")
    asked = evaluate(["crashkernel=256M", "crashkernel=512M,cma"], 8 * G, old)
    assert asked.problem == "crashkernel: unrecognized char: ,", "the last plain one, and refused"
    power = dialect_of("6.8.0", "ppc64le")
    assert evaluate(["crashkernel=1G,high"], 8 * G, power).size == 0
    assert evaluate(["crashkernel=auto"], 8 * G, dialect_of("4.18.0-553.el8.x86_64", "x86_64")).size is None


def test_what_cannot_be_told_stays_unknown() -> None:
    unsure = Dialect(rounds=None)
    assert evaluate(["crashkernel=" + REDHAT], 4 * G - 50 * M, unsure).size is None
    assert evaluate(["crashkernel=" + REDHAT], 3 * G - 50 * M, unsure).size == 192 * M


def test_numbers() -> None:
    assert memparse("08M") == (0, 1)
    assert memparse("99999999999999999999E")[0] is not None
    assert memparse("9" * 100000)[1] == 100000
    assert memparse("12", 2) == (None, 2)


@pytest.mark.parametrize(
    ("distribution", "like", "version", "machine", "page", "ram", "size"),
    [
        ("debian", None, "12", "x86_64", 4096, 8 * G, 128),
        ("debian", None, "13", "x86_64", 4096, 8 * G, 192),
        ("debian", None, None, "x86_64", 4096, 8 * G, 192),
        ("debian", None, "12", "x86_64", 4096, 256 * M, 0),
        ("ubuntu", "debian", "24.04", "x86_64", 4096, 8 * G, 192),
        ("ubuntu", "debian", "24.10", "x86_64", 4096, 8 * G, 512),
        ("ubuntu", "debian", "26.04", "aarch64", 4096, 256 * G, 4096),
        ("rhel", "fedora", "8.10", "x86_64", 4096, 128 * G, 512),
        ("rocky", "rhel centos fedora", "9.4", "x86_64", 4096, 2 * G, 192),
        ("almalinux", "rhel centos fedora", "9.4", "aarch64", 4096, 8 * G, 320),
        ("rhel", "fedora", "9.4", "aarch64", 65536, 8 * G, 420),
        ("rhel", "fedora", "10.0", "x86_64", 4096, 8 * G, 256),
        ("fedora", None, "42", "s390x", 4096, 128 * G, 512),
        ("rhel", "fedora", "9.4", "ppc64le", 65536, 32 * G, 1024),
    ],
)
def test_defaults(
    distribution: str, like: str | None, version: str | None, machine: str, page: int, ram: int, size: int
) -> None:
    found = default_of(distribution, like, version, machine, page)
    assert found is not None and found.source
    assert (evaluate(["crashkernel=" + found.parameter], ram).size or 0) >> 20 == size


def test_no_default_is_invented() -> None:
    assert default_of("sles", "suse", "15.5", "x86_64") is None
    assert default_of("rhel", "fedora", "7.9", "x86_64") is None
    assert default_of("rhel", "fedora", "9.4", "riscv64") is None
    assert default_of("arch", None, None, "x86_64") is None
    power = default_of("rhel", "fedora", "9.4", "ppc64le", fadump=True)
    assert power is not None and evaluate(["crashkernel=" + power.parameter], 8 * G).size == 768 * M


@pytest.mark.parametrize(
    ("command", "level", "compression", "unknown"),
    [
        ("makedumpfile -c -d 31", 31, "zlib", ()),
        ("/usr/sbin/makedumpfile -ld31 --message-level 7", 31, "lzo", ()),
        ("makedumpfile -F -z -d 17,31 --num-threads=4", 31, "zstd", ()),
        ("makedumpfile --message-lev 7 -p", 0, "snappy", ()),
        ("makedumpfile -E -d 31", 31, None, ()),
        ("makedumpfile --nosuchopt -d 31", 31, None, ("--nosuchopt",)),
        ("makedumpfile -lq -d 31", 31, "lzo", ("-lq",)),
        ("makedumpfile -d", 0, None, ()),
        ("makedumpfile -d nonsense", 0, None, ()),
    ],
)
def test_core_collectors(command: str, level: int, compression: str | None, unknown: tuple[str, ...]) -> None:
    found = parse_core_collector(command)
    assert (found.level, found.compression, found.unknown) == (level, compression, unknown)


def test_other_collectors_leave_nothing_out() -> None:
    assert not parse_core_collector("scp").filters
    assert not parse_core_collector("").filters
    assert not parse_core_collector("makedumpfile -l").filters
