"""What the kernel makes of ``crashkernel=``: how much memory it will try to reserve, and where.

The parameter is understood by kernel/crash_reserve.c (until 6.8 kernel/crash_core.c), the reservation is
made by the architecture; what differs between releases stands in :class:`Dialect`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

NAME = "crashkernel="
STEP = 128 << 20
"""Total memory is rounded up to it before ranges are looked at."""
GIB = 1 << 30
HIGH_FROM = {"x86_64": (3, 9), "aarch64": (6, 0), "riscv64": (6, 7), "loongarch64": (6, 9)}
"""First release whose architecture reserves ``,high`` and ``,low``."""

MOST_DIGITS = 64
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_MASK = (1 << 64) - 1
_RELEASE = re.compile(r"(\d+)\.(\d+)")


class _Refused(Exception):
    """The kernel refuses the parameter. The message is what it says."""


@dataclass(frozen=True)
class Dialect:
    """What differs from kernel to kernel."""

    suffixes: tuple[str, ...] = (",high", ",low", ",cma")
    """What the kernel knows as a suffix; an unknown one makes a plain parameter that it refuses."""
    high: bool = True
    """Whether ``,high`` and ``,low`` reserve anything on this architecture."""
    rounds: Optional[bool] = True
    """Whether total memory is rounded up to 128 MiB; None when not known."""
    auto: Optional[bool] = False
    """Whether ``auto`` means something: in Red Hat's kernels of the releases 6 to 8."""


CURRENT = Dialect()


@dataclass(frozen=True)
class Asked:
    """What a command line asks the kernel to reserve."""

    parameter: Optional[str]
    """The one that counts; None when there is none."""
    size: Optional[int] = None
    """Bytes; 0 when the kernel will reserve nothing, None when that cannot be told."""
    base: Optional[int] = None
    """Physical address that was asked for: the kernel then takes no other."""
    high: bool = False
    """Whether the memory shall lie above 4 GiB, with a smaller part below."""
    low: Optional[int] = None
    """Bytes below 4 GiB that were asked for; None when left to the kernel, which then takes some."""
    cma: int = 0
    """Bytes of reclaimable memory in addition (6.17)."""
    problem: Optional[str] = None
    """What the kernel says when it reserves nothing for it."""
    ignored: tuple[str, ...] = ()
    """Further parameters that do not count."""


def dialect_of(release: Optional[str], architecture: Optional[str]) -> Dialect:
    """Return how a kernel understands the parameter.

    :param release: as ``uname -r`` says; None is taken as a current one
    :param architecture: as ``uname -m`` says

    Rounding came with 6.0, and Red Hat had it before. ``,cma`` came with 6.17.

    >>> dialect_of("6.1.0-18-amd64", "x86_64").suffixes
    (',high', ',low')
    >>> dialect_of("4.18.0-553.el8_10.x86_64", "x86_64").auto
    True
    """
    number = _RELEASE.match(release or "")
    version = (int(number[1]), int(number[2])) if number else (999, 0)
    redhat = re.search(r"\.el(\d+)", release or "")
    since = HIGH_FROM.get(architecture or "", (9999, 0))
    suffixes = (",high", ",low", ",cma") if version >= (6, 17) else (",high", ",low")
    rounds: Optional[bool] = version >= (6, 0)
    if not rounds and redhat:
        rounds = None if int(redhat[1]) < 8 else True
    auto: Optional[bool] = False
    if redhat and int(redhat[1]) <= 8:
        auto = True
    elif version < (5, 14) and not re.search(r"-(?:generic|default|amd64|arm64)$|\.fc\d+", release or ""):
        auto = None  # some vendors carried Red Hat's patch
    high = version >= since or (architecture in HIGH_FROM and bool(redhat and int(redhat[1]) >= 9))
    return Dialect(suffixes if version >= (3, 9) else (), high, rounds, auto)


def evaluate(parameters: Sequence[str], ram: Optional[int], dialect: Dialect = CURRENT) -> Asked:
    """Return what the kernel makes of the ``crashkernel=`` parameters of a command line.

    The last one without a suffix wins; only without any the last ``,high`` and ``,low`` are looked at.

    :param parameters: all of them, in order, with their name
    :param ram: what the kernel takes as total memory, in bytes; None when not known

    >>> evaluate(["crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M"], 16 << 30).size >> 20
    256
    >>> evaluate(["crashkernel=2G-:256M"], 1 << 30).problem
    'crashkernel size resulted in zero bytes'
    >>> evaluate(["crashkernel=auto"], 1 << 30).problem
    'crashkernel: memory value expected'
    >>> asked = evaluate(["crashkernel=332M,high", "crashkernel=72M,low"], 32 << 30)
    >>> asked.size >> 20, asked.high, asked.low >> 20
    (332, True, 72)
    """
    plain = _last(parameters, None, dialect)
    high = _last(parameters, ",high", dialect)
    low = _last(parameters, ",low", dialect)
    chosen = plain if plain is not None else high if dialect.high else None
    if chosen is None:
        problem = None
        if parameters:
            problem = "no crashkernel= without a suffix, and the suffixes mean nothing to this kernel"
            if dialect.high:
                problem = "neither a plain crashkernel= nor one with ,high"
        return Asked(None, 0, problem=problem, ignored=tuple(parameters))
    counted = {chosen}
    size: Optional[int] = None
    base = lowest = None
    problem = None
    try:
        if plain is None:
            size = _suffixed(high, ",high")
            if low is not None:
                counted.add(low)
                lowest = _suffixed(low, ",low")
        elif plain == NAME + "auto" and dialect.auto is not False:
            size = None
        else:
            size, base = _plain(plain[len(NAME) :], ram, dialect)
        if size == 0:
            problem = "crashkernel size resulted in zero bytes"
        elif size is not None and ram is not None and size >= ram:
            raise _Refused("crashkernel: invalid size")
    except _Refused as refused:
        size, problem = 0, str(refused)
    cma = _last(parameters, ",cma", dialect) if dialect.high else None
    try:
        reclaimable = _suffixed(cma, ",cma") if cma else 0
    except _Refused:
        reclaimable = 0
    counted.add(cma or chosen)
    ignored = tuple(each for each in parameters if each not in counted)
    return Asked(chosen, size, base, plain is None, lowest, reclaimable, problem, ignored)


def memparse(text: str, at: int = 0) -> tuple[Optional[int], int]:
    """Return the number that starts at *at* and where it ends; None when there is none.

    As in the kernel: hexadecimal behind ``0x``, octal behind ``0``, then one of K, M, G, T, P and E.
    Source: memparse() in lib/cmdline.c.

    >>> memparse("256M@16M"), memparse("0x10k"), memparse("auto")
    ((268435456, 4), (16384, 5), (None, 0))
    """
    match = _NUMBER.match(text, at)
    if match is None:
        return None, at
    digits = match[0]
    octal = digits.startswith("0") and digits[1:].isdigit()
    # More digits than any 64 bits need: Python takes its time over those, and refuses thousands.
    value, end = int(digits, 8 if octal else 0) if len(digits) <= MOST_DIGITS else _MASK, match.end()
    shift = _UNITS.get(text[end : end + 1].upper(), 0)
    return (value << shift) & _MASK, end + bool(shift)


def _last(parameters: Sequence[str], suffix: Optional[str], dialect: Dialect) -> Optional[str]:
    if suffix is not None and suffix not in dialect.suffixes:
        return None
    for each in reversed(parameters):
        found = next((known for known in dialect.suffixes if each.endswith(known)), None)
        if found == suffix:
            return each
    return None


def _suffixed(parameter: Optional[str], suffix: str) -> int:
    text = (parameter or NAME)[len(NAME) :]
    size, end = memparse(text)
    if size is None:
        raise _Refused("crashkernel: memory value expected")
    if text[end:] != suffix:
        raise _Refused(f"crashkernel: unrecognized char: {text[end : end + 1]}")
    return size


def _plain(text: str, ram: Optional[int], dialect: Dialect) -> tuple[Optional[int], Optional[int]]:
    if ":" in text:
        return _ranges(text, ram, dialect)
    size, end = memparse(text)
    if size is None:
        raise _Refused("crashkernel: memory value expected")
    if text[end : end + 1] == "@":
        base, _ = memparse(text, end + 1)
        return size, base or None
    if end < len(text):
        raise _Refused(f"crashkernel: unrecognized char: {text[end]}")
    return size, None


def _ranges(text: str, ram: Optional[int], dialect: Dialect) -> tuple[Optional[int], Optional[int]]:
    """Follow ``range:size,range:size...@offset`` as far as the kernel does: to the first that matches."""
    totals = _totals(ram, dialect)
    size = at = 0
    while True:
        start, at = memparse(text, at)
        if start is None:
            raise _Refused("crashkernel: Memory value expected")
        if text[at : at + 1] != "-":
            raise _Refused("crashkernel: '-' expected")
        at += 1
        end: Optional[int] = None
        if text[at : at + 1] != ":":
            end, at = memparse(text, at)
            if end is None:
                raise _Refused("crashkernel: Memory value expected")
            if end <= start:
                raise _Refused("crashkernel: end <= start")
        if text[at : at + 1] != ":":
            raise _Refused("crashkernel: ':' expected")
        given, at = memparse(text, at + 1)
        if given is None:
            raise _Refused("crashkernel: Memory value expected")
        if totals and given >= max(totals):
            raise _Refused("crashkernel: invalid size")
        matches = {start <= total and (end is None or total < end) for total in totals}
        if matches == {True}:
            size = given
            break
        if matches != {False}:
            return None, None  # this one or another: it cannot be told
        if text[at : at + 1] != ",":
            break
        at += 1
    offset = text.find("@", at)
    if size and offset >= 0:
        base, _ = memparse(text, offset + 1)
        if base is None:
            raise _Refused("crashkernel: Memory value expected after '@'")
        return size, base or None
    return size, None


def _totals(ram: Optional[int], dialect: Dialect) -> tuple[int, ...]:
    """Return what the kernel may take as total memory: nothing, one value, or two."""
    if ram is None:
        return ()
    rounded = (ram + STEP - 1) // STEP * STEP
    if dialect.rounds is None:
        return (ram, rounded)
    return (rounded,) if dialect.rounds else (ram,)
