"""The lines that tell of a kill: who was killed, what it held, and whether its memory could be taken at once.

    Out of memory: Killed process 812 (mysqld) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, ...
    oom_reaper: reaped process 812 (mysqld), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB

Sources: mm/oom_kill.c of 2.4.5 to 7.1, of RHEL 5, 6 and 8, of OpenVZ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

# comm is 15 bytes at most, and may hold anything: brackets and line ends too.
_KILLED = re.compile(
    r"(?:(?P<why>[^:]{0,80}(?:[Oo]ut of [Mm]emory|No available memory)[^:]{0,60}): |\S{1,16}: )?"
    r"(?:Killed|OOM killed) process (?P<pid>\d{1,10})(?:, UID (?P<uid>\d{1,10}),)?"
    r"(?P<rest>\s*$|\s*\(.*|,.{0,16}$)",
    re.DOTALL,
)
_NAMED = re.compile(
    r"\s*\((?P<comm>.{0,64}?)\)(?=(?:, UID \d+| score \d+)?[ ,.]*(?:total-vm:|vsz:|vm:|$))(?P<sizes>.*)",
    re.DOTALL,
)
_NAMED_CUT = re.compile(r"\s*\((?P<comm>.{1,15})\)(?P<sizes>,? ?(?:[UtvI].{0,12})?)$", re.DOTALL)
_CUT = re.compile(r"\s*(?:\([^)]{0,15})?$|,")
_SIZE = re.compile(r"\b(total-vm|vsz|anon-rss|file-rss|shmem-rss|pgtables|vm|rss|swap):\s?(\d{1,15})kB")
_SHARED = re.compile(r"Kill process (?P<pid>\d{1,10}) \((?P<comm>.*)\) sharing same memory")
_FAULT_KILL = re.compile(r"VM: killing process (?P<comm>.{1,64}?)\s*$")
_REAPED = re.compile(r"oom_reaper: reaped process (?P<pid>\d{1,10}) \((?P<comm>.*)\), now (?P<sizes>.*)")
_NOT_REAPED = re.compile(r"oom_reaper: unable to reap pid:(?P<pid>\d{1,10})")
_SHORT = {"total-vm": "total_vm", "vsz": "total_vm", "vm": "total_vm"}


@dataclass
class Victim:
    """A process that was killed; sizes in bytes, None where the kernel does not tell them."""

    pid: Optional[int]
    comm: Optional[str]
    uid: Optional[int] = None
    total_vm: Optional[int] = None
    anon_rss: Optional[int] = None
    file_rss: Optional[int] = None
    shmem_rss: Optional[int] = None
    pgtables: Optional[int] = None
    rss: Optional[int] = None
    swap: Optional[int] = None
    oom_score_adj: Optional[int] = None
    score: Optional[int] = None
    """The score that was printed with the choice (up to 5.0), or that a userspace killer gave."""
    how: str = "chosen"
    """``chosen``, ``child`` of the chosen, ``group`` (memory.oom.group), ``shared memory`` with the chosen,
    ``faulting`` (it asked for the page: 2.4)."""
    reaped: Optional[bool] = None
    """Whether the kernel could take its memory at once; None when it does not say."""
    signal: Optional[str] = None
    line: Optional[int] = None
    """Line of the log that tells of the kill."""
    time: Optional[float] = None
    monotonic: Optional[float] = None


def parse_kill(text: str) -> tuple[Optional[Victim], Optional[str]]:
    """Return the victim in a line and why it was killed, None and None when it tells of none.

    >>> victim, why = parse_kill("Killed process 812, UID 27, (mysqld) total-vm:8kB, anon-rss:4kB")
    >>> victim.pid, victim.comm, victim.uid, victim.anon_rss
    (812, 'mysqld', 27, 4096)
    """
    if (match := _FAULT_KILL.match(text)) is not None:
        return Victim(None, match["comm"], how="faulting"), None
    if (match := _SHARED.match(text)) is not None:
        return Victim(int(match["pid"]), match["comm"], how="shared memory"), None
    match = _KILLED.match(text)
    if match is None:
        return None, None
    rest = match["rest"]
    named = _NAMED.match(rest) or _NAMED_CUT.match(rest)
    if named is None and _CUT.match(rest) is None:
        return None, None  # a sentence
    victim = Victim(int(match["pid"]), named["comm"] if named else None)
    sizes = named["sizes"] if named else rest
    for name, number in _SIZE.findall(sizes):
        setattr(victim, _SHORT.get(name, name.replace("-", "_")), int(number) * 1024)
    parts = (victim.anon_rss, victim.file_rss, victim.shmem_rss)
    if victim.anon_rss is not None:
        victim.rss = sum(part for part in parts if part is not None)
    uid = match["uid"] or _number(r"\bUID[: ](\d{1,10})", sizes)
    victim.uid = int(uid) if uid is not None else None
    adj = _number(r"\boom_score_adj:(-?\d{1,5})", sizes)
    victim.oom_score_adj = int(adj) if adj is not None else None
    return victim, match["why"]


def parse_reaper(text: str) -> Optional[tuple[int, bool]]:
    """Return the pid that the reaper speaks of and whether it could take its memory, or None."""
    if (match := _REAPED.match(text)) is not None:
        return int(match["pid"]), True
    if (match := _NOT_REAPED.match(text)) is not None:
        return int(match["pid"]), False
    return None


def _number(pattern: str, text: str) -> Optional[str]:
    match = re.search(pattern, text)
    return match[1] if match else None
