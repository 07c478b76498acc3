"""Kernel settings as they are written in sysctl.conf(5) and sysctl.d(5), and as ``sysctl -a`` prints them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

_MAGIC = re.compile(r"[*?\[]")
_PRINTED = re.compile(r"^([\w./@:-]+) =(?: (.*))?$")


@dataclass(frozen=True)
class Setting:
    """One assignment."""

    key: str
    """With dots, as ``sysctl -a`` prints it; may be a glob pattern."""
    value: Optional[str]
    """As written; None where the line only excludes the key from glob patterns (``-key``)."""
    line: int
    """From 1."""
    ignore_errors: bool
    """The key was written with a ``-`` before it."""
    file: str = ""


def parse_sysctl(text: str, file: str = "") -> list[Setting]:
    """Return the settings in order; comments and lines that are no setting are passed over.

    What follows the value on its line belongs to it: these files know no trailing comments.
    Source: parse_file() in src/sysctl/sysctl.c of systemd 255.

    >>> parse_sysctl("# c\\n-net/ipv4/conf/eth0.1/rp_filter = 1")
    [Setting(key='net.ipv4.conf.eth0/1.rp_filter', value='1', line=2, ignore_errors=True, file='')]
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        ignore_errors = key.startswith("-")
        key = canonical_key(key[1:] if ignore_errors else key)
        if key and (equals or ignore_errors):
            found.append(Setting(key, value.strip() if equals else None, number, ignore_errors, file))
    return found


def canonical_key(key: str) -> str:
    """Return a key as ``sysctl -a`` prints it.

    The first separator decides: with a slash first the key is a path below /proc/sys, whose dots are
    dots of names; with a dot first it is the other way round. Source: sysctl_normalize() of systemd.

    >>> canonical_key("vm/panic_on_oom"), canonical_key("net.ipv4.conf.eth0/1.rp_filter")
    ('vm.panic_on_oom', 'net.ipv4.conf.eth0/1.rp_filter')
    """
    key = re.sub(r"/+", "/", key).strip("/ \t")
    separator = re.search(r"[./]", key)
    if separator is None or separator[0] == ".":
        return key
    return key.translate(str.maketrans("./", "/."))


def effective(settings: Sequence[Setting], key: str) -> Optional[Setting]:
    """Return the setting that counts for a key after all files were read in order, or None.

    A setting of the very key beats every glob pattern, wherever it stands; among equals the last one
    counts. Source: parse_file() and apply_all() of systemd.

    >>> effective(parse_sysctl("vm.swappiness = 10\\nvm.* = 1"), "vm.swappiness").value
    '10'
    """
    own = [each for each in settings if each.key == key]
    globs = [each for each in settings if each.value is not None and is_glob_for(each.key, key)]
    chosen = (own or globs)[-1:]
    return chosen[0] if chosen and chosen[0].value is not None else None


def is_glob_for(pattern: str, key: str) -> bool:
    """Return whether a key is a glob pattern that matches *key*, part by part.

    >>> is_glob_for("vm.over*", "vm.overcommit_memory"), is_glob_for("*", "vm.overcommit_memory")
    (True, False)
    """
    if not _MAGIC.search(pattern):
        return False
    patterns, parts = pattern.split("."), key.split(".")
    try:
        return len(patterns) == len(parts) and all(map(fnmatch.fnmatchcase, parts, patterns))
    except re.error:  # before Python 3.10, of a range such as [1--]; fnmatch(3) matches nothing then
        return False


def parse_sysctl_output(text: str) -> dict[str, str]:
    """Return the values that ``sysctl -a`` printed, by key; of several lines of one key the first counts.

    >>> parse_sysctl_output("vm.lowmem_reserve_ratio = 256\\t256\\t32\\nsysctl: permission denied on key 'x'")
    {'vm.lowmem_reserve_ratio': '256\\t256\\t32'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _PRINTED.match(line)
        if match:
            found.setdefault(match[1], match[2] or "")
    return found


def typed(value: str) -> Union[int, str]:
    """Return a value as an integer where it is one, else as text with single spaces.

    >>> typed("256\\t256\\t32\\n"), typed("-1\\n"), typed("\\n")
    ('256 256 32', -1, '')
    """
    words = value.split()
    if len(words) == 1 and re.fullmatch(r"-?\d{1,20}", words[0]):
        return int(words[0])
    return " ".join(words)


def same_value(written: str, runtime: Union[int, str]) -> bool:
    """Return whether writing a value would leave what the kernel shows now.

    Numbers are compared as the kernel reads them, in octal after ``0`` and hexadecimal after ``0x``
    (strtoul_lenient() in kernel/sysctl.c); it ignores what follows as many numbers as it wants.

    >>> same_value("0x10 # sixteen", 16), same_value("256 256", "256\\t256"), same_value("1", 2)
    (True, True, False)
    """
    have = [_number(word) for word in str(runtime).split()]
    wanted = [_number(word) for word in written.split()]
    if have and all(isinstance(word, int) for word in have):
        wanted = wanted[: len(have)]
    return have == wanted


def _number(word: str) -> Union[int, str]:
    match = re.fullmatch(r"(-?)(?:0[xX]([0-9a-fA-F]{1,16})|(0[0-7]{0,24})|([1-9]\d{0,20}))", word)
    if match is None:
        return word
    digits, base = (match[2], 16) if match[2] else (match[3], 8) if match[3] else (match[4], 10)
    number = int(digits, base)
    return -number if match[1] else number
