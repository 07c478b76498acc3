"""The small files of /proc/PID: stat, status and cgroup.

Thousands of them are parsed while the host may be dying: plain searches instead of regular expressions.
Sources: proc(5), fs/proc/array.c (stat, status), fs/proc/task_mmu.c (Vm*).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Optional

from lastwords.formats import FormatError

TICKS_PER_SECOND = 100
"""USER_HZ: 100 in every port of Linux that still exists, whatever CONFIG_HZ is."""
PF_KTHREAD = 0x00200000
"""include/linux/sched.h, unchanged since 2.6.27."""


class Stat(NamedTuple):
    """What /proc/PID/stat says; times in ticks, sizes in bytes."""

    pid: int
    comm: str
    state: str
    ppid: int
    flags: int
    utime: int
    stime: int
    nice: int
    threads: int
    start: int
    """Ticks after boot."""
    vm_size: int
    rss_pages: int
    """The kernel's own quick counter, by which it also weighs; VmRSS of status is more exact (6.17 on)."""


class Status(NamedTuple):
    """What /proc/PID/status says; sizes in bytes. Kernel threads and zombies have none; old kernels fewer."""

    comm: Optional[str]
    state: Optional[str]
    ppid: Optional[int]
    uid: Optional[int]
    """The real one, by which the OOM killer names the owner."""
    vm_size: Optional[int]
    rss: Optional[int]
    rss_anon: Optional[int]
    """From 4.5 on, as the next two."""
    rss_file: Optional[int]
    rss_shmem: Optional[int]
    page_tables: Optional[int]
    """VmPTE, and VmPMD where the kernel counts it apart (4.0 to 4.14)."""
    swap: Optional[int]
    hugetlb: Optional[int]
    """From 4.4 on."""
    threads: Optional[int]
    kernel_thread: Optional[bool]
    """Only new kernels tell (Kthread)."""


class Membership(NamedTuple):
    """In which control groups a process is."""

    memory: Optional[str]
    """Where its memory is charged."""
    systemd: Optional[str]
    """Where the service manager put it, which names the unit."""


def parse_stat(text: str) -> Stat:
    """Return the fields of /proc/PID/stat.

    >>> parse_stat("42 (tmux: server) S 1 42 42 0 -1 4194560 9 0 0 0 7 3 0 0 20 0 1 0 5100 9437184 800 ...")
    ... # doctest: +NORMALIZE_WHITESPACE
    Stat(pid=42, comm='tmux: server', state='S', ppid=1, flags=4194560, utime=7, stime=3, nice=0, threads=1,
         start=5100, vm_size=9437184, rss_pages=800)

    :raises FormatError: it is something else
    """
    # The name may hold blanks, parentheses and line ends: it ends at the last parenthesis.
    head, _, rest = text.rpartition(") ")
    pid, _, comm = head.partition(" (")
    fields = rest.split(" ", 22)
    try:
        return Stat(
            int(pid),
            comm,
            fields[0],
            int(fields[1]),
            int(fields[6]),
            int(fields[11]),
            int(fields[12]),
            int(fields[16]),
            int(fields[17]),
            int(fields[19]),
            int(fields[20]),
            int(fields[21]),
        )
    except (ValueError, IndexError):
        raise FormatError(f"/proc/PID/stat: not understood: {text[:60]!r}") from None


def parse_status(text: str) -> Status:
    """Return the fields of /proc/PID/status that tell of identity and memory; what is not there is None.

    >>> parse_status('''Name:\\tsshd
    ... State:\\tS (sleeping)
    ... PPid:\\t1
    ... Uid:\\t0\\t0\\t0\\t0
    ... VmPeak:\\t   8200 kB
    ... VmSize:\\t   8192 kB
    ... VmRSS:\\t   2048 kB
    ... VmPTE:\\t     44 kB
    ... VmSwap:\\t      0 kB
    ... Threads:\\t1''')  # doctest: +NORMALIZE_WHITESPACE
    Status(comm='sshd', state='S', ppid=1, uid=0, vm_size=8388608, rss=2097152, rss_anon=None, rss_file=None,
           rss_shmem=None, page_tables=45056, swap=0, hugetlb=None, threads=1, kernel_thread=None)
    """
    # The sizes stand together, before the threads; to search only there costs a third of the time.
    sizes_at = text.find("\nVmPeak:")
    threads_at = text.find("\nThreads:", max(sizes_at, 0))
    head = text[: sizes_at if sizes_at >= 0 else threads_at if threads_at >= 0 else len(text)]
    block = text[sizes_at : threads_at if threads_at >= 0 else len(text)] if sizes_at >= 0 else ""
    comm = _field(head, "Name:") if head.startswith("Name:") else _field(head, "\nName:")
    state = _field(head, "\nState:")
    kernel_thread = _integer(_field(head, "\nKthread:"))
    vm_size, rss, anon, file, shmem, pte, pmd, swap, hugetlb = _sizes(block)
    return Status(
        _unescape(comm) if comm and "\\" in comm else comm,
        state[:1] if state else None,
        _integer(_field(head, "\nPPid:")),
        _integer(_field(head, "\nUid:")),
        vm_size,
        rss,
        anon,
        file,
        shmem,
        pte if pmd is None else (pte or 0) + pmd,
        swap,
        hugetlb,
        _integer(_field(text, "\nThreads:", threads_at)) if threads_at >= 0 else None,
        None if kernel_thread is None else bool(kernel_thread),
    )


_SIZES = (
    "\nVmSize:",
    "\nVmRSS:",
    "\nRssAnon:",
    "\nRssFile:",
    "\nRssShmem:",
    "\nVmPTE:",
    "\nVmPMD:",
    "\nVmSwap:",
    "\nHugetlbPages:",
)


@lru_cache(maxsize=4096)
def parse_membership(text: str) -> Membership:
    """Return the control groups named in /proc/PID/cgroup.

    Memory is charged where the version 1 controller is mounted, else in the unified hierarchy
    (cgroups(7)). Processes of one service have the same text: it is parsed once.

    >>> parse_membership('''5:memory:/
    ... 1:name=systemd:/system.slice/sshd.service''')
    Membership(memory='/', systemd='/system.slice/sshd.service')
    >>> parse_membership("0::/system.slice/sshd.service")
    Membership(memory='/system.slice/sshd.service', systemd='/system.slice/sshd.service')
    """
    unified = memory = named = None
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon or not number.isdigit():
            continue
        if number == "0" and not controllers:
            unified = path
        elif controllers == "name=systemd":
            named = path
        elif "memory" in controllers.split(","):
            memory = path
    return Membership(memory or unified, named or unified)


def _field(text: str, key: str, start: int = 0) -> Optional[str]:
    at = text.find(key, start)
    if at < 0:
        return None
    at += len(key)
    end = text.find("\n", at)
    return text[at : end if end >= 0 else len(text)].strip()


def _sizes(block: str) -> list[Optional[int]]:
    sizes: list[Optional[int]] = []
    for key in _SIZES if block else ():
        at = block.find(key)
        if at < 0:
            sizes.append(None)
            continue
        at += len(key)
        try:
            sizes.append(int(block[at : block.find(" kB", at)]) * 1024)
        except ValueError:
            sizes.append(None)
    return sizes or [None] * len(_SIZES)


def _integer(text: Optional[str]) -> Optional[int]:
    if not text:
        return None
    try:
        return int(text.split(None, 1)[0])
    except ValueError:
        return None


def _unescape(comm: str) -> str:
    """Undo what proc_task_name() does to line ends and backslashes (fs/proc/array.c)."""
    return re.sub(r"\\(n|\\)", lambda match: "\n" if match[1] == "n" else "\\", comm)
