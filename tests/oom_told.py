"""What a test of OOM events knows of a log: the events that it holds, and what is to be told of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from oom_printk import Proc, Ram

MB = 1 << 20


@dataclass(frozen=True)
class Told:
    """What an event is."""

    trigger: Optional[str] = "java"
    order: Optional[int] = 0
    constraint: Optional[str] = "none"
    victims: tuple[tuple[Optional[int], Optional[str]], ...] = ()
    anon: Optional[float] = None
    """anon-rss of the first victim in MiB."""
    how: str = "chosen"
    panic: Optional[str] = None
    confirmed: Optional[bool] = None
    """The recomputed victim; None where nothing can be recomputed."""
    causes: tuple[str, ...] = ()
    """Causes that must be among those found; the first one must be the first that names a holder or limit."""
    silent: tuple[str, ...] = ()
    """Causes that must not."""
    failure: Optional[str] = None
    manual: bool = False
    killer: str = "kernel"
    reaped: Optional[bool] = None
    more: tuple[tuple[str, object], ...] = ()
    """Attributes of the event."""


@dataclass(frozen=True)
class Case:
    """A log and its events."""

    name: str
    data: bytes
    events: tuple[Told, ...] = ()


JAVA = Proc(4711, "java", 5200, 20, uid=1001, tables=12)
BASH = Proc(812, "bash", 3)
INIT = Proc(1, "systemd", 8, 2, uid=0)
JOURNAL = Proc(431, "systemd-journal", 4, 20, adj=-250, uid=0)
SSHD = Proc(633, "sshd", 2, 3, adj=-1000, uid=0)
SMALL = (INIT, JOURNAL, SSHD, BASH)
USUAL = (*SMALL, JAVA)
FULL = Ram(anon=7500)
"""8,000,000 kB are 7,812 MiB; free 29, slab 150, the rest 80."""
STATS = (("anon", 1000 * MB), ("file", 4 * MB), ("kernel_stack", MB), ("pagetables", 6 * MB), ("shmem", 0))
