"""Banner, taint, configuration and modules of kernels."""

from __future__ import annotations

import gzip
import os
import platform
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.boot.kconfig import parse_option
from lastwords.formats.crash.taint import decode_taint, vendor_of
from lastwords.formats.system.modules import Module, parse_lsmod, parse_modules
from lastwords.formats.system.proc_version import Build, parse_proc_version, parse_uname, parse_uts_version

RHEL7 = (
    "Linux version 3.10.0-1160.el7.x86_64 (mockbuild@build.example.com) "
    "(gcc version 4.8.5 20150623 (Red Hat 4.8.5-44) (GCC) ) #1 SMP Tue Aug 18 14:50:17 EDT 2020\n"
)


def test_the_compiler_may_hold_parentheses() -> None:
    assert parse_proc_version(RHEL7) == Build(
        release="3.10.0-1160.el7.x86_64",
        builder="mockbuild@build.example.com",
        compiler="gcc version 4.8.5 20150623 (Red Hat 4.8.5-44) (GCC)",
        number="1",
        flags=("SMP",),
        date="Tue Aug 18 14:50:17 EDT 2020",
    )


@pytest.mark.parametrize(
    "text, expected",
    [
        ("#1 SMP PREEMPT_RT Debian (2024-02-01)", ("1", ("SMP", "PREEMPT_RT"), "Debian (2024-02-01)")),
        ("#41~22.04.2-Ubuntu SMP x", ("41~22.04.2-Ubuntu", ("SMP",), "x")),
        ("#7", ("7", (), None)),
        ("", (None, (), None)),
    ],
)  # fmt: skip
def test_parts_of_the_version(text: str, expected: tuple[object, ...]) -> None:
    assert parse_uts_version(text) == expected


def test_this_kernel() -> None:
    build = parse_proc_version(Path("/proc/version").read_text())
    assert build.release == os.uname().release
    assert f"#{build.number}" == os.uname().version.split()[0]
    assert build.builder is not None and build.compiler is not None
    name = os.uname()
    line = f"Linux {name.nodename} {name.release} {name.version} {platform.machine()} GNU/Linux"
    assert parse_uname(line) == (name.release, name.version)


@pytest.mark.parametrize(
    "tail", ["x86_64 GNU/Linux", "x86_64 x86_64 x86_64 GNU/Linux", "i686 i386 GNU/Linux"]
)
def test_uname_with_and_without_the_platform(tail: str) -> None:
    line = "Linux h 6.1.0 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01) " + tail
    assert parse_uname(line) == ("6.1.0", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)")


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_garbage_is_no_banner(text: str) -> None:
    parse_uname(text)
    parse_uts_version(text)
    build = parse_proc_version(text)
    assert build.release is None or text.find("Linux version ") >= 0


def test_each_letter_of_an_oops_has_its_bit() -> None:
    # tainted-kernels.rst, "More detailed explanation": letters in the order of their bits.
    letters = "".join(each.letter or "?" for each in decode_taint((1 << 20) - 1))
    assert letters == "PFSRMBUDAWCIOELKXTNJ"
    assert [each.bit for each in decode_taint((1 << 20) - 1)] == list(range(20))


def test_bits_of_vendors() -> None:
    assert vendor_of(RHEL7) == "redhat"
    assert vendor_of("Linux version 6.1.0-18-amd64 (a@b) (gcc-12)") is None
    tech_preview = 1 << 29
    assert decode_taint(tech_preview, "redhat")[0].letter == "T"
    assert decode_taint(tech_preview)[0].letter is None
    assert decode_taint(1 << 31, "suse")[0].letter == "N"
    assert decode_taint(0) == decode_taint(-1) == []


@pytest.mark.parametrize(
    "line, expected",
    [
        ("CONFIG_KEXEC=y", ("KEXEC", "y")),
        ("CONFIG_ZRAM=m\n", ("ZRAM", "m")),
        ("# CONFIG_PSI is not set", ("PSI", "n")),
        ('CONFIG_LOCALVERSION="-a \\"b\\""', ("LOCALVERSION", '-a "b"')),
        ('CONFIG_PSTORE_BLK_BLKDEV=""', ("PSTORE_BLK_BLKDEV", "")),
        ("CONFIG_MAGIC_SYSRQ_DEFAULT_ENABLE=0x01b6", ("MAGIC_SYSRQ_DEFAULT_ENABLE", "0x01b6")),
        ("# CONFIG_PSI is set", None),
        ("# Linux/x86 6.1.76 Kernel Configuration", None),
        ("", None),
    ],
)
def test_options(line: str, expected: object) -> None:
    assert parse_option(line) == expected


@pytest.mark.skipif(
    not Path("/proc/config.gz").exists(), reason="this kernel does not hold its configuration"
)
def test_the_configuration_of_this_kernel_is_understood_line_by_line() -> None:
    lines = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines()
    options = dict(option for line in lines if (option := parse_option(line)))
    assert len(options) == sum("CONFIG_" in line for line in lines)
    assert options["IKCONFIG_PROC"] == "y"
    assert (options["MODULES"] == "y") == Path("/proc/modules").exists()


def test_modules_that_come_go_and_stay() -> None:
    text = (
        "a 16384 0 - Live 0xffffffffc0000000\n"
        "b 16384 2 a,c, Loading 0x0000000000000000 (OE+)\n"
        "c 20480 1 [permanent], Unloading 0x0 (-)\n"
        "d 4096 - - Live 0xc0000000 (P)\n"
        "cut 163\n"
    )
    assert parse_modules(text) == [
        Module("a", 16384, 0, (), False, "live", ""),
        Module("b", 16384, 2, ("a", "c"), False, "loading", "OE"),
        Module("c", 20480, 1, (), True, "unloading", ""),
        Module("d", 4096, None, (), False, "live", "P"),
    ]


def test_lsmod() -> None:
    text = "Module                  Size  Used by\nnf_tables  356352  62 nft_ct,nft_x\ntls  135168  -2\n"
    assert parse_lsmod(text) == [
        Module("nf_tables", 356352, 62, ("nft_ct", "nft_x"), False, None, None),
        Module("tls", 135168, None, (), False, None, None),
    ]


@pytest.mark.skipif(not Path("/proc/modules").exists(), reason="this kernel has no modules")
def test_modules_of_this_host() -> None:
    text = Path("/proc/modules").read_text()
    assert len(parse_modules(text)) == len(text.splitlines())
