"""Prefixes of kernel log lines: whoever wrote them, the message and its time come out the same."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.log.boots import parse_boots
from lastwords.formats.log.klog import Clock, LogLine, Stamp, parse_line

TEXT = "Out of memory: Killed process 812 (tmux: server) total-vm:40kB"
AT = 1772331247.0  # 2026-03-01T02:14:07Z
CLOCK = Clock(reference=1772445600.0, zone=timezone.utc, boot_time=AT - 511.25)


@pytest.mark.parametrize(
    "prefix",
    [
        "[  511.250000] ",
        "[  511.250000][ T1234] ",
        "[  511.250000] [    T1] ",
        "[  511.250000][   C12] ",
        "<4>[  511.250000] ",
        "<4>[  511.250000][    C0] ",
        "4,1234,511250000,-;",
        "4,1234,511250000,-,caller=T77;",
        "[Sun Mar  1 02:14:07 2026] ",
        "[So Mär  1 02:14:07 2026] ",
        "[dim. mars  1 02:14:07 2026] ",
        "[日 3月  1 02:14:07 2026] ",
        "[Sun Mar  1 02:14:07 2026] [ T812] ",
        "2026-03-01T02:14:07,000000+00:00 ",
        "2026-03-01T03:14:07,000000+01:00 ",
        "2026-03-01T02:14:07+0000 web kernel: ",
        "2026-02-28T21:14:07-0500 web kernel: ",
        "2026-03-01T02:14:07.000000+00:00 web kernel: [  511.250000] ",
        "2026-03-01T02:14:07Z web.example.com kernel: [  511.250000][ T812] ",
        "Mar  1 02:14:07 web kernel: ",
        "Mar 01 02:14:07 web kernel: ",
        "Mar 01 02:14:07.000000 web kernel: ",
        "Mar  1 02:14:07 web kernel: [  511.250000] ",
        "Sun 2026-03-01 02:14:07 UTC web kernel: ",
        "1772331247.000000 web kernel: ",
        "[  511.250000] web kernel: ",
        "[  511.250000] kernel: ",
        "[  511.250000 <    0.000012>] ",
        "kern  :err   : [Sun Mar  1 02:14:07 2026] ",
        "kern  :warn  : [  511.250000][ T812] ",
        "Mar  1 02:14:07 [  511.250000] ",
        "2026-03-01 02:14:07 web kernel: ",
        "2026-03-01T02:14:07.000000Z stdout F [  511.250000] ",
        "<4>1 2026-03-01T02:14:07.000000+00:00 web kernel - - - ",
        "Mar  1 2026 02:14:07 web kernel: ",
        "2026 Mar  1 02:14:07 web kernel: ",
        "Mar 01 02:14:07 kernel: ",
        "messages:Mar  1 02:14:07 web kernel: ",
        "/var/log/kern.log:812:Mar  1 02:14:07 web kernel: ",
        "kern.log-812-Mar  1 02:14:07 web kernel: ",
    ],
)
def test_every_prefix_gives_the_same_message_and_time(prefix: str) -> None:
    line = parse_line(prefix + TEXT + "\r\n")
    assert line.text == TEXT
    assert line.is_kernel is True
    assert line.epoch(CLOCK)[0] == AT
    if "511" in prefix:
        assert line.monotonic == 511.25


def test_callers_and_priorities_are_told() -> None:
    assert parse_line("<3>[    1.000000][   C3] x").caller == "C3"
    assert parse_line("<3>[    1.000000] x").priority == 3
    assert parse_line("12,5,99,-;systemd[1]: x").is_kernel is False  # facility user
    assert parse_line("6,5,99,c,caller=C1;x") == LogLine(
        "x", None, None, 99e-6, None, None, None, 6, "C1", True, record=True
    )


@pytest.mark.parametrize(
    "line",
    [
        "Mar  1 02:14:07 web app[99]: " + TEXT,
        "2026-03-01T02:14:07+0000 web earlyoom[12]: " + TEXT,
        "1772331247.000000 web app: " + TEXT,
        "[  511.250000] web app[12]: " + TEXT,
        "<30>1 2026-03-01T02:14:07Z web app 12 - - " + TEXT,
        "daemon:info  : [  511.250000] " + TEXT,
    ],
)
def test_a_programs_line_is_not_the_kernels(line: str) -> None:
    assert parse_line(line).is_kernel is False
    assert parse_line(line).text == TEXT


@pytest.mark.parametrize("carrier", ["x:<1>", "kern:err: ", "2026-03-01T02:14:07Z stdout F "])
def test_carriers_in_carriers_come_to_an_end(carrier: str) -> None:
    assert parse_line(carrier * 5000 + TEXT).text.endswith(TEXT)


def test_what_has_no_prefix_is_all_text() -> None:
    assert parse_line(TEXT) == LogLine(TEXT)
    assert (
        parse_line(" [<ffffffff81a8>] dump_stack+0x19/0x1b").text == " [<ffffffff81a8>] dump_stack+0x19/0x1b"
    )
    # a console shows half a line of a program before the kernel's
    assert parse_line("login: [   35.419377] sh invoked oom-killer").text == "sh invoked oom-killer"


def test_a_message_with_colons_is_not_taken_for_a_program() -> None:
    line = parse_line("[    3.904411] XFS (dm-0): Mounting V5 Filesystem")
    assert line.text == "XFS (dm-0): Mounting V5 Filesystem" and line.tag is None
    assert parse_line("[    1.0000] systemd[1]: Started x").text == "systemd[1]: Started x"


@pytest.mark.parametrize(
    ("stamp", "reference", "expected"),
    [
        # written on 31 December, rotated on 1 January
        (Stamp(None, 12, 31, 23, 0, 0.0), 1767229200.0, 1767222000.0),
        (Stamp(None, 1, 1, 0, 30, 0.0), 1767229200.0, 1767227400.0),
        # an analyst's clock that is a day behind does not move a year back
        (Stamp(None, 1, 2, 0, 30, 0.0), 1767229200.0, 1767313800.0),
        # the last 29 February before 2026 was in 2024
        (Stamp(None, 2, 29, 12, 0, 0.0), 1772445600.0, 1709208000.0),
        (Stamp(None, 2, 30, 12, 0, 0.0), 1772445600.0, None),
        (Stamp(2026, 13, 1, 0, 0, 0.0), 1772445600.0, None),
        (Stamp(2016, 12, 31, 23, 59, 60.0), None, 1483228800.0),
        (Stamp(None, 3, 1, 0, 0, 0.0), None, None),
    ],
)
def test_the_year_is_the_latest_that_is_not_in_the_future(
    stamp: Stamp, reference: float, expected: float
) -> None:
    assert stamp.epoch(Clock(reference)) == expected


def test_what_was_assumed_of_a_time_is_said() -> None:
    line = parse_line("Mar  1 02:14:07 web kernel: x")
    east = timezone(timedelta(hours=2), "EET")
    assert line.epoch(Clock(1772445600.0)) == (AT, "stamp, year inferred, zone unknown, taken as UTC")
    assert line.epoch(Clock(1772445600.0, east)) == (AT - 7200, "stamp, year inferred, zone EET")
    assert parse_line("[   10.000000] x").epoch(Clock(boot_time=5.0)) == (15.0, "boot time and printk clock")
    assert parse_line("[   10.000000] x").epoch(Clock()) == (None, None)


def test_real_dmesg_in_each_of_its_forms() -> None:
    if shutil.which("dmesg") is None:
        pytest.skip("no dmesg here")
    outputs = {}
    for option in ("--notime", "--reltime", "--raw", "--ctime", "--time-format=iso"):
        done = subprocess.run(["dmesg", option], capture_output=True, env={"LC_ALL": "C"}, text=True)
        outputs[option] = done.stdout.splitlines()
    plain = [line for line in outputs["--notime"] if line.strip()]
    if not plain:
        pytest.skip("dmesg shows nothing here")
    for option in ("--raw", "--ctime", "--time-format=iso"):
        texts = [parse_line(line).text for line in outputs[option]]
        shared = [text for text in texts if text.strip() and text in plain]
        assert len(shared) >= 0.98 * len(plain), option


@given(st.text(max_size=200))
def test_no_line_is_too_odd(text: str) -> None:
    line = parse_line(text)
    line.epoch(CLOCK)
    assert isinstance(line.text, str)


NUMBER = st.integers(0, 99999).map(str)


@given(
    st.lists(st.one_of(st.sampled_from(list("[]<>,;:T- .+Z")), NUMBER, st.sampled_from(["Mar", "kernel"])))
)
def test_no_prefix_is_too_odd(parts: list[str]) -> None:
    parse_line("".join(parts)).epoch(CLOCK)


def test_list_boots_old_and_new() -> None:
    old = "-1 0c94e2a1b7d64f3f8e5a6b7c8d9e0f10 Fri 2026-02-20 14:05:04 UTC—Sun 2026-03-01 06:58:20 UTC\n"
    new = (
        "IDX BOOT ID                          FIRST ENTRY                 LAST ENTRY                 \n"
        " -1 0c94e2a1b7d64f3f8e5a6b7c8d9e0f10 Fri 2026-02-20 14:05:04 UTC Sun 2026-03-01 06:58:20 UTC\n"
    )
    assert parse_boots(old) == parse_boots(new)
    (boot,) = parse_boots(new)
    assert (boot.index, boot.id, boot.first, boot.last) == (
        -1,
        "0c94e2a1-b7d6-4f3f-8e5a-6b7c8d9e0f10",
        1771596304.0,
        1772348300.0,
    )
    assert parse_boots(old.replace("UTC", "CET"))[0].first is None
    assert parse_boots("No journal files were found.\n") == []
