"""Kernel command lines against the kernel: its own line here, and its algorithm on arbitrary text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.boot.cmdline import parse_cmdline


def pairs(text: str) -> list[tuple[str, Optional[str]]]:
    return [(each.key, each.value) for each in parse_cmdline(text).parameters]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("  quiet\t\n ro\n", [("quiet", None), ("ro", None)]),
        ("console=tty0 console=ttyS0,115200n8", [("console", "tty0"), ("console", "ttyS0,115200n8")]),
        ("root=UUID=1-2 ro", [("root", "UUID=1-2"), ("ro", None)]),
        ('dyndbg="file drivers/usb/* +p" x', [("dyndbg", "file drivers/usb/* +p"), ("x", None)]),
        ('"dyndbg=file a b" x', [("dyndbg", "file a b"), ("x", None)]),
        ('"quoted word"', [("quoted word", None)]),
        ('a=b"c d"e', [("a", 'b"c d"e')]),
        ("=x a=", [("=x", None), ("a", "")]),
        ('open="never closed ro', [("open", "never closed ro")]),
        ("a\xa0b", [("a", None), ("b", None)]),
        ("-- ro", []),
        ("--=1 ro", [("--", "1"), ("ro", None)]),
    ],
)
def test_splits_as_the_kernel_does(text: str, expected: list[tuple[str, Optional[str]]]) -> None:
    assert pairs(text) == expected


def test_what_follows_two_dashes_goes_to_init() -> None:
    line = parse_cmdline("ro -- single -- x=1")
    assert [each.key for each in line.parameters] == ["ro"]
    assert line.init_arguments == ("single", "--", "x=1")


def test_dashes_and_underscores_are_the_same_in_keys() -> None:
    line = parse_cmdline("hung_task_panic=1 log-buf-len=4M log_buf_len=8M")
    assert line.values("log_buf_len") == ["4M", "8M"]
    assert line.values("hung-task-panic") == ["1"]
    assert line.values("absent") == []


def next_arg(args: str) -> tuple[str, Optional[str], str]:
    """The kernel's scanner, one character at a time: the first parameter, its value, and the rest."""
    whole = args.startswith('"')
    if whole:
        args = args[1:]
    inside, equals, end = whole, 0, len(args)
    for at, char in enumerate(args):
        if char in " \t\n\v\f\r\xa0" and not inside:
            end = at
            break
        if equals == 0 and char == "=":
            equals = at
        if char == '"':
            inside = not inside
    text, rest = args[:end], args[end + 1 :].lstrip(" \t\n\v\f\r\xa0")
    if not equals:
        return (text[:-1] if whole and text.endswith('"') else text), None, rest
    key, value = text[:equals], text[equals + 1 :]
    if value.startswith('"'):
        value = value[1:]
        return key, value[:-1] if value.endswith('"') else value, rest
    return key, value[:-1] if whole and value.endswith('"') else value, rest


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=' \t"=-ab,.\xa0', max_size=40))
def test_agrees_with_the_scanner_of_the_kernel(text: str) -> None:
    expected = []
    rest = text.lstrip(" \t\n\v\f\r\xa0")
    while rest:
        key, value, rest = next_arg(rest)
        if (key, value) == ("--", None):
            break
        expected.append((key, value))
    assert pairs(text) == expected


@pytest.mark.skipif(not Path("/proc/cmdline").exists(), reason="no /proc")
def test_init_of_this_host_got_what_stands_behind_the_dashes() -> None:
    line = parse_cmdline(Path("/proc/cmdline").read_text())
    if not line.init_arguments or os.getuid() != 0:
        pytest.skip("nothing was given to init, or its arguments may not be read")
    init = Path("/proc/1/cmdline").read_bytes().decode().split("\0")
    if not set(line.init_arguments) <= set(init):
        pytest.skip("init replaced its own arguments")
    first = init.index(line.init_arguments[0])
    assert init[first : first + len(line.init_arguments)] == list(line.init_arguments)
