"""The banner of the kernel: ``/proc/version``, and what ``uname -a`` repeats of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_BANNER = re.compile(
    r"^Linux version (?P<release>\S+)(?: \((?P<builder>[^()]*)\))?(?P<rest>.*)$", re.MULTILINE
)
_BUILD = re.compile(r"(?:^|\s)#(?P<number>\d\S*)(?:\s+(?P<rest>.*))?$")
_UNAME = re.compile(
    r"^Linux \S+ (?P<release>\S+) (?P<version>#.*?) (?:x86_64|i[3-6]86|aarch64|arm\w*|ppc\w*|s390x?|riscv\d+"
    r"|loongarch\d+|mips\w*)(?: \S+){0,2} GNU/Linux\s*$"
)
_FLAG = re.compile(r"^(?:SMP|PREEMPT(?:_\w+)?|RT)$")


@dataclass(frozen=True)
class Build:
    """Who built the kernel, with what, and which build it is. None where the text does not tell."""

    release: Optional[str]
    builder: Optional[str]
    """``user@host``."""
    compiler: Optional[str]
    """Compiler and, since 5.8, linker."""
    number: Optional[str]
    """What follows the ``#``; Ubuntu adds its name: ``31-Ubuntu``."""
    flags: tuple[str, ...]
    """``SMP``, ``PREEMPT_DYNAMIC`` ..."""
    date: Optional[str]
    """The rest, as written: a date in any timezone, with whatever the distribution adds."""


def parse_proc_version(text: str) -> Build:
    """Return the parts of the banner; all of them None for text that is none.

    The compiler's text may itself hold parentheses, so that it ends where the last balanced pair does.
    Source: linux_proc_banner in init/version-timestamp.c, UTS_VERSION from scripts/mkcompile_h.

    >>> build = parse_proc_version("Linux version 6.1.0-18-amd64 (a@b) (gcc-12 (Debian 12.2.0-14) 12.2.0, "
    ...     "GNU ld 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)")
    >>> build.compiler, build.number, build.flags
    ('gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40', '1', ('SMP', 'PREEMPT_DYNAMIC'))
    >>> build.date
    'Debian 6.1.76-1 (2024-02-01)'
    """
    match = _BANNER.search(text)
    if match is None:
        return Build(None, None, None, None, (), None)
    compiler, rest = _parenthesised(match["rest"].strip())
    number, flags, date = parse_uts_version(rest)
    return Build(match["release"], match["builder"], compiler, number, flags, date)


def parse_uts_version(text: str) -> tuple[Optional[str], tuple[str, ...], Optional[str]]:
    """Return number, flags and date of ``uname -v`` or /proc/sys/kernel/version.

    >>> parse_uts_version("#31-Ubuntu SMP PREEMPT_DYNAMIC Sat Apr 20 00:40:06 UTC 2024")
    ('31-Ubuntu', ('SMP', 'PREEMPT_DYNAMIC'), 'Sat Apr 20 00:40:06 UTC 2024')
    """
    match = _BUILD.search(text.strip())
    if match is None:
        return None, (), None
    words = (match["rest"] or "").split()
    count = next((at for at, word in enumerate(words) if not _FLAG.match(word)), len(words))
    return match["number"], tuple(words[:count]), " ".join(words[count:]) or None


def parse_uname(text: str) -> tuple[Optional[str], Optional[str]]:
    """Return release and version of ``uname -a``.

    >>> parse_uname("Linux h 5.14.0-427.el9 #1 SMP Wed Apr 10 10:29:16 2024 x86_64 x86_64 x86_64 GNU/Linux")
    ('5.14.0-427.el9', '#1 SMP Wed Apr 10 10:29:16 2024')
    >>> parse_uname("Linux h 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 (2024-02-01) x86_64 GNU/Linux")[1]
    '#1 SMP Debian 6.1.76-1 (2024-02-01)'
    """
    match = _UNAME.match(text.strip())
    return (match["release"], match["version"]) if match else (None, None)


def _parenthesised(text: str) -> tuple[Optional[str], str]:
    """Return what the parentheses at the start of *text* hold, and what follows them."""
    if not text.startswith("("):
        return None, text
    depth = 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[1:index].strip(), text[index + 1 :]
    return None, text
