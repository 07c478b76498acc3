"""sysctl.d(5): what is written, which files count, what comes out of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lastwords.formats.system.conf_dirs import merge_directories
from lastwords.formats.system.sysctl_d import (
    canonical_key,
    effective,
    is_glob_for,
    parse_sysctl,
    parse_sysctl_output,
    same_value,
    typed,
)


@pytest.mark.parametrize(
    "key, expected",
    [
        ("vm.swappiness", "vm.swappiness"),
        ("vm/swappiness", "vm.swappiness"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net.ipv4.conf.eth0/100.rp_filter"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net.ipv4.conf.eth0/100.rp_filter"),
        (" /vm//swappiness ", "vm.swappiness"),
        ("vm", "vm"),
    ],
)
def test_the_first_separator_decides(key: str, expected: str) -> None:
    assert canonical_key(key) == expected


def test_lines_that_are_no_settings() -> None:
    text = "\n# vm.a = 1\n ; vm.b = 1\nvm.c\n= 1\nvm.d = 1 # two\n-vm.e\n- = 1\nvm.f=\n"
    found = [(each.key, each.value, each.line, each.ignore_errors) for each in parse_sysctl(text)]
    assert found == [("vm.d", "1 # two", 6, False), ("vm.e", None, 7, True), ("vm.f", "", 9, False)]


def value_of(text: str, key: str) -> object:
    found = effective(parse_sysctl(text), key)
    return found.value if found else None


def test_of_several_settings_the_last_counts_and_an_explicit_one_beats_patterns() -> None:
    assert value_of("vm.a = 1\nvm.a = 2", "vm.a") == "2"
    assert value_of("vm.a = 1\nvm.* = 2", "vm.a") == "1"
    assert value_of("vm.* = 1\nvm.?? = 2\nvm.? = 3", "vm.a") == "3"
    assert value_of("vm.* = 1", "vm.a.b") is None
    assert value_of("vm.b = 1", "vm.a") is None


def test_a_key_can_be_taken_out_of_patterns() -> None:
    assert value_of("net.*.rp = 2\n-net.all.rp", "net.all.rp") is None
    assert value_of("net.*.rp = 2\n-net.all.rp", "net.eth0.rp") == "2"
    assert value_of("vm.a = 1\n-vm.a", "vm.a") is None
    assert value_of("-vm.a\nvm.a = 1", "vm.a") == "1"


def test_patterns_match_part_by_part() -> None:
    assert is_glob_for("net.ipv4.conf.*.rp_filter", "net.ipv4.conf.eth0/1.rp_filter")
    assert not is_glob_for("vm.swappiness", "vm.swappiness")
    assert not is_glob_for("*", "vm.swappiness")


@pytest.mark.parametrize(
    "written, runtime, same",
    [
        ("0x1b6", 438, True),
        ("010", 8, True),
        ("08", 8, False),
        ("0", 0, True),
        ("1 # why", 1, True),
        ("-1", -1, True),
        ("256  256\t32", "256 256 32 0 0", False),
        ("256 256 32", "256 256 32", True),
        ("on", "on", True),
        ("on", "ratelimit", False),
        ("", 0, False),
    ],
)
def test_values_are_compared_as_the_kernel_reads_them(written: str, runtime: object, same: bool) -> None:
    assert same_value(written, runtime) is same  # type: ignore[arg-type]


def test_the_kernel_reads_octal_and_hexadecimal(tmp_path: Path) -> None:
    """Ask the kernel itself, in a namespace of its own."""
    script = "cd /proc/sys/kernel; for v in 0x10 010 '9 # x'; do echo \"$v\" > msgmni; cat msgmni; done"
    done = subprocess.run(
        ["unshare", "-Ur", "-i", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    got = done.stdout.split()
    if done.returncode or len(got) != 3:
        pytest.skip("no IPC namespace here: " + done.stderr.strip()[:80])
    for written, shown in zip(("0x10", "010", "9 # x"), got):
        assert same_value(written, int(shown)), (written, shown)


def test_what_sysctl_prints_is_what_the_kernel_shows() -> None:
    try:
        done = subprocess.run(["sysctl", "-a"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("sysctl is not installed")
    printed = parse_sysctl_output(done.stdout)
    for key in ("vm.overcommit_memory", "vm.lowmem_reserve_ratio", "kernel.printk", "kernel.core_pattern"):
        assert typed(printed[key]) == typed(Path("/proc/sys/" + key.replace(".", "/")).read_text())


def test_files_that_systemd_would_read(tmp_path: Path) -> None:
    """systemd-analyze lists the same files in the same order."""
    layout = {
        "etc": ["50-b.conf", "99-z.conf", "README"],
        "run": ["50-b.conf", "10-a.conf"],
        "usr/local/lib": ["60-c.conf", "99-z.conf"],
        "usr/lib": ["10-a.conf", "50-B.conf", "_x.conf", "é.conf"],
    }
    for base, names in layout.items():
        directory = tmp_path / base / "sysctl.d"
        directory.mkdir(parents=True)
        for name in names:
            (directory / name).write_text(f"# {base}\n")
    command = ["systemd-analyze", f"--root={tmp_path}", "--no-pager", "cat-config", "sysctl.d"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    if done.returncode:
        pytest.skip("systemd-analyze: " + done.stderr.strip()[:80])
    expected = [line[2:] for line in done.stdout.splitlines() if line.startswith("# /")]
    listings = [(f"{tmp_path}/{base}/sysctl.d", names) for base, names in layout.items()]
    assert [each.path for each in merge_directories(listings)] == expected


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="-#;= \nvm./*[!]ab1\0", max_size=60))
@example("[1--]=")
def test_garbage_is_passed_over(text: str) -> None:
    parsed = parse_sysctl(text)
    parse_sysctl_output(text)
    for each in parsed:
        assert each.key == each.key.strip()
        assert 1 <= each.line <= text.count("\n") + 1
        found = effective(parsed, each.key)
        assert found is None or found.value is not None
