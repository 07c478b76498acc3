"""Every process of the host in one quick snapshot: identity, memory, and how the kernel would score it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.formats import FormatError
from lastwords.formats.memory.proc_pid import (
    PF_KTHREAD,
    TICKS_PER_SECOND,
    Membership,
    Stat,
    Status,
    parse_membership,
    parse_stat,
    parse_status,
)
from lastwords.formats.oom.badness import oom_adj_of
from lastwords.formats.system.mounts import parse_mounts
from lastwords.formats.system.ps import parse_ps
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root, Row

FILES = ("stat", "status", "oom_score", "oom_score_adj", "cgroup")
"""The fewest that tell everything; none of them waits for a lock that a stuck process may hold."""
COMMAND_LINE_LIMIT = 4096
"""Bytes of each command line."""
PS = (
    ("ps", "axo", "pid,ppid,user,group,lwp,nlwp,start_time,comm,cgroup"),
    ("ps", "alxwww"),
    ("ps", "auxwww"),
    ("ps", "auxwwwm"),
)
"""What sos runs; later ones fill what earlier ones leave open."""
_NO_STATUS = Status(*(None,) * len(Status._fields))
_NO_MEMBERSHIP = Membership(None, None)

Record = dict[str, Any]


class ProcessesCollector(Collector):
    """Reads all processes, and their command lines only when asked to."""

    name = "processes"
    title = "every process: memory, OOM score and adjustment, control group"
    reads = (
        *(f"/proc/[0-9]*/{file}" for file in FILES),
        "/proc/stat",
        "/proc/self/mounts",
        "/proc/mounts",
    )
    runs = PS
    timeout = 60.0
    options = {"with_cmdline": "the command line of every process, secrets removed"}

    def collect(self, root: Root) -> Iterator[Facts]:
        boot_time = _boot_time(root)
        hidepid = _hidepid(root)
        started = root.now()
        vanished = 0
        records: list[Record] = []
        for row in root.table("/proc", FILES, match="[0-9]*"):
            if row.files or row.denied:
                records.append(_record(row, boot_time))
            else:
                vanished += 1
        finished = root.now()
        _mark_kernel_threads(records)
        if root.kind == "sosreport":
            records = _with_ps(records, root)
        if not records:
            raise NoData("no /proc/PID, and no output of ps")
        facts = {
            "snapshot_started": started,
            "snapshot_finished": finished,
            "count": len(records),
            "kernel_threads": sum(record["kernel_thread"] is True for record in records),
            "vanished": vanished if root.kind in ("live", "bundle") else None,
            "hidepid": hidepid,
            "gatherer": root.gatherer,
            "records": records,
        }
        yield facts
        if "with_cmdline" in self.on:
            # After the facts are out: reading a command line can hang on the target's memory map.
            by_pid = {str(record["pid"]): record for record in records}
            for row in root.table(
                "/proc", ("cmdline",), match="[0-9]*", names=list(by_pid), limit=COMMAND_LINE_LIMIT
            ):
                if "cmdline" in row.files:
                    words = row.files["cmdline"].rstrip("\0").replace("\0", " ")
                    by_pid[row.name]["command_line"] = words[:COMMAND_LINE_LIMIT]
            yield facts


def _record(row: Row, boot_time: Optional[int]) -> Record:
    files = row.files
    try:
        stat: Optional[Stat] = parse_stat(files["stat"])
    except (KeyError, FormatError):
        stat = None
    status = parse_status(files["status"]) if "status" in files else _NO_STATUS
    groups = parse_membership(files["cgroup"]) if "cgroup" in files else _NO_MEMBERSHIP
    adjustment = _integer(files.get("oom_score_adj"))
    start = stat.start if stat else None
    born = None if start is None or boot_time is None else round(boot_time + start / TICKS_PER_SECOND, 2)
    return {
        "pid": int(row.name),
        "ppid": stat.ppid if stat else status.ppid,
        "uid": status.uid,
        "user": None,
        "comm": stat.comm if stat else status.comm,
        "state": stat.state if stat else status.state,
        "threads": stat.threads if stat else status.threads,
        "nice": stat.nice if stat else None,
        "kernel_thread": bool(stat.flags & PF_KTHREAD) if stat else status.kernel_thread,
        "start_ticks": start,
        "start_time": born,
        "utime": stat.utime if stat else None,
        "stime": stat.stime if stat else None,
        "vm_size": status.vm_size,
        "rss": status.rss,
        "rss_pages": stat.rss_pages if stat and status.rss is not None else None,
        "rss_anon": status.rss_anon,
        "rss_file": status.rss_file,
        "rss_shmem": status.rss_shmem,
        "swap": status.swap,
        "page_tables": status.page_tables,
        "hugetlb": status.hugetlb,
        "oom_score": _integer(files.get("oom_score")),
        "oom_score_adj": adjustment,
        "oom_adj": None if adjustment is None else oom_adj_of(adjustment),
        "cgroup": groups.memory,
        "systemd_cgroup": groups.systemd,
        "command_line": None,
        "source": "proc",
    }


def _mark_kernel_threads(records: list[Record]) -> None:
    """Tell kernel threads where neither flags nor status do (a sosreport has no /proc/PID/stat).

    kthreadd is process 2 of every host, and parent of every kernel thread (kernel/kthread.c); only a
    helper program that the kernel starts is its child too, and has memory.
    """
    kthreadd = any(record["pid"] == 2 and record["comm"] == "kthreadd" for record in records)
    for record in records:
        if record["kernel_thread"] is None:
            if record["vm_size"] is not None:
                record["kernel_thread"] = False
            elif (
                kthreadd and 2 in (record["pid"], record["ppid"]) and record["state"] not in ("Z", "X", None)
            ):
                record["kernel_thread"] = True


def _with_ps(records: list[Record], root: Root) -> list[Record]:
    """Return the records with those that only ``ps`` saw, and what only ``ps`` tells of the others."""
    by_pid = {record["pid"]: record for record in records}
    for argv in PS:
        output = root.run(argv)
        for columns in parse_ps(output.text) if output else ():
            found = _ps_record(columns)
            known = by_pid.setdefault(found["pid"], found)
            for key, value in found.items():
                if known[key] is None:
                    known[key] = value
    return [by_pid[pid] for pid in sorted(by_pid)]


def _ps_record(columns: dict[str, str]) -> Record:
    state = columns.get("STAT", "-")[:1].strip("-") or None
    command = columns.get("COMMAND", "")
    size = _kilobytes(columns.get("VSZ"))
    bracketed = re.match(r"\[(.+?)\](?: <defunct>)?$", command)
    kernel_thread = None
    if size is not None:
        kernel_thread = size == 0 and bracketed is not None and state not in ("Z", "X", None)
    groups = _NO_MEMBERSHIP
    if columns.get("CGROUP", "-") != "-":
        groups = parse_membership(re.sub(r",(?=\d+:)", "\n", columns["CGROUP"]))
    record: Record = dict.fromkeys(_record(Row("0", {}), None))
    record.update(
        pid=int(columns["PID"]),
        ppid=_integer(columns.get("PPID")),
        uid=_integer(columns.get("UID")),
        user=columns.get("USER"),
        comm=bracketed[1] if bracketed else _program(command) if "STAT" in columns else _comm(command),
        state=state,
        threads=_integer(columns.get("NLWP")),
        nice=_integer(columns.get("NI")),
        kernel_thread=kernel_thread,
        vm_size=size or None,
        rss=_kilobytes(columns.get("RSS")) if size else None,
        cgroup=groups.memory,
        systemd_cgroup=groups.systemd,
        source="ps",
    )
    return record


def _comm(command: str) -> Optional[str]:
    return command.removesuffix(" <defunct>") or None


def _program(command: str) -> Optional[str]:
    """Return the name of the program in a command line, as far as comm would show it."""
    first = command.split(None, 1)[0] if command.strip() else ""
    return first.rpartition("/")[2].rstrip(":")[:15] or None


def _boot_time(root: Root) -> Optional[int]:
    match = re.search(r"^btime (\d+)", root.text("/proc/stat") or "", re.MULTILINE)
    return int(match[1]) if match else None


def _hidepid(root: Root) -> Optional[str]:
    text = root.text("/proc/self/mounts") or root.text("/proc/mounts")
    for mount in reversed(parse_mounts(text or "")):
        if mount.mountpoint == "/proc" and mount.type == "proc":
            return mount.option("hidepid") or "off"
    return None


def _kilobytes(text: Optional[str]) -> Optional[int]:
    value = _integer(text)
    return None if value is None else value * 1024


def _integer(text: Optional[str]) -> Optional[int]:
    try:
        return int(text) if text else None
    except ValueError:
        return None
