"""What the kernel said: dmesg, journal, syslog files and pstore, searched for events.

Of a log only the lines around its events are kept as evidence, of a small dmesg all of it. The same event
in several places is one event. The journal of a disk in rescue mode is read from its files.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timezone, tzinfo
from typing import Any, Optional

from lastwords.collectors import kdump_config
from lastwords.collectors.kdump_config import ABRT, CRASH
from lastwords.collectors.kernel_log_boots import STOPS, endings
from lastwords.collectors.kernel_log_dumps import (
    MAX_DUMPS,
    READ,
    crash_places,
    crash_time_beside,
    dumps_without_log,
    head_of,
    log_in_dump,
    saved_logs,
)
from lastwords.collectors.kernel_log_join import EARLY, EventList
from lastwords.collectors.kernel_log_scan import KEPT_BYTES, LogScan
from lastwords.formats.failures import reader as failures
from lastwords.formats.log import events as kevents
from lastwords.formats.log.boots import Boot, parse_boots
from lastwords.formats.log.klog import Clock, parse_line
from lastwords.formats.oom import events as oom_events
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.evidence import command_path, reason_of
from lastwords.roots.lines import Line, Search
from lastwords.roots.sift import Sieve
from lastwords.roots.trees import Node

DMESG = ("dmesg",)
LIST_BOOTS = ("journalctl", "--no-pager", "--list-boots")
JOURNAL_LINES = 200_000
# Options of systemd 219 (RHEL 7) on: short-iso tells the zone, a match by transport takes all boots.
JOURNAL = (
    "journalctl",
    "--no-pager",
    "-o",
    "short-iso",
    "-n",
    str(JOURNAL_LINES),
    "_TRANSPORT=kernel",
    "+",
    "_SYSTEMD_UNIT=systemd-oomd.service",
    "+",
    "_SYSTEMD_UNIT=earlyoom.service",
)
# What systemd says of boots that end in emergency mode or do not. RESULT is JOB_RESULT before systemd 240.
JOBS = (
    "journalctl",
    "--no-pager",
    "-o",
    "short-iso",
    "-n",
    "2000",
    "UNIT=emergency.target",
    "+",
    "UNIT=multi-user.target",
    "+",
    "JOB_RESULT=timeout",
    "+",
    "JOB_RESULT=dependency",
    "+",
    "RESULT=timeout",
    "+",
    "RESULT=dependency",
)
# What sos records where it takes no whole journal. Never run where JOURNAL gave something.
SOS_JOURNALS = (
    ("journalctl", "--no-pager", "--catalog", "--boot"),
    ("journalctl", "--no-pager", "--catalog", "--boot", "-1"),
)
SYSLOGS = (
    "/var/log/messages*",
    "/var/log/kern.log*",
    "/var/log/syslog*",
)
FILES = (*SYSLOGS, "/var/log/dmesg*")
PSTORE = (
    "/sys/fs/pstore/*",
    "/var/lib/systemd/pstore/*",
    "/var/lib/systemd/pstore/*/*",
    "/var/lib/systemd/pstore/*/*/*",
)
WORDS = (*kevents.WORDS, *oom_events.WORDS)
GATES = (b"kernel:", b"oomd", b"earlyoom", b"nohang")
"""Byte strings one of which stands before the words where a log holds the lines of programs too."""
REPORT_LINES = 4000
"""Most lines of one report, its table of tasks included."""
_PACKED = re.compile(r"\.enc\.z$|\.z$")

WHOLE = 1 << 20
"""A log of one boot is kept whole up to so many bytes."""
FILE_LIMIT = 1 << 30
"""Bytes of one log that are searched: the newest, where a file lets us choose."""
TOTAL_LIMIT = 3 << 30
KEPT_TOTAL = 12 << 20
"""Bytes of windows kept of all logs together."""
MANY_FILES = 64
BOOTED = ("dmesg", "boot_log")
"""Logs that only a machine writes that has booted."""
ALONE = (*WORDS, *(word.encode() for word in failures.WORDS))
"""What is searched for in a log that has the lines of all programs, or a console's."""
_BY_WRITER = {**dict.fromkeys(GATES, WORDS), b"systemd[1]:": tuple(map(str.encode, failures.SYSTEMD))}


@dataclass(frozen=True)
class _Log:
    """A log to be searched."""

    path: str
    kind: str
    lines: Callable[[Search], Iterator[Line]]
    clock: Clock
    boot: Optional[str] = None
    one_boot: bool = False
    """Every line is the kernel's, of one boot: dmesg, pstore."""
    all_kernel: bool = False
    """A line without a program's tag is the kernel's."""


class KernelLogCollector(Collector):
    """Searches every kernel log for events, the most telling first, newest files first."""

    name = "kernel_log"
    title = "kernel messages: OOM kills, panics, oopses, hangs, errors, boots"
    reads = (
        *FILES,
        *PSTORE,
        *kdump_config.FILES,
        *kdump_config.MOUNTS,
        CRASH + "/*/*",
        *(f"{folder}/vmcore-*/*" for folder in ABRT),
        "/etc/localtime",
        "/etc/timezone",
        "/proc/stat",
        "/proc/sys/kernel/random/boot_id",
    )
    runs = (DMESG, LIST_BOOTS, STOPS, JOURNAL, *SOS_JOURNALS, JOBS)
    sieve = Sieve(
        paths=SYSLOGS,
        runs=(JOURNAL, *SOS_JOURNALS),
        words=ALONE,
        gates=_BY_WRITER,
        before=oom_events.BEFORE,
        after=REPORT_LINES,
    )
    needs_root = "the kernel's ring buffer (kernel.dmesg_restrict), the system journal, /var/log, pstore"
    timeout = 120.0

    def collect(self, root: Root) -> Iterator[Facts]:
        gathering = _Gathering(root)
        for log in gathering.logs():
            gathering.search(log)
            yield gathering.facts()
        if not gathering.sources:
            raise NoData("no dmesg, journal, syslog file or record of a crash")
        yield gathering.facts()


class _Gathering:
    """One run of the collector."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.sources: list[dict[str, Any]] = []
        self.events = EventList()
        self.unlisted = 0
        self.boot_id = (root.text("/proc/sys/kernel/random/boot_id") or "").strip() or None
        self.boot_time = _boot_time(root)
        self.zone_name, self.zone = _zone(root)
        self.boots: Optional[list[Boot]] = None
        self.endings: Mapping[str, str] = {}
        self._searched = 0
        self._kept = 0

    # -- where to look ------------------------------------------------------------------------------

    def logs(self) -> Iterator[_Log]:
        """Yield the logs, in the order in which they are worth reading."""
        for path in self.root.logs:
            yield self._log(path)
        clock = Clock(self.root.taken_at, self.zone, self.boot_time)
        yield self._command(DMESG, "dmesg", 15.0, clock, boot=self.boot_id, one_boot=True)
        yield from self._records(PSTORE, "pstore")
        near, far = crash_places(self.root)
        for place in near:
            yield from self._records(saved_logs(place), "crash_dmesg")
        boots = self.root.run(LIST_BOOTS)
        self.boots = parse_boots(boots.text) if boots and boots.exit_code in (0, None) else None
        clock = Clock(self.root.taken_at, self.zone)
        self.endings = endings(self.root, self.boots or (), clock)
        yield self._command(JOURNAL, "journal", 45.0, clock)
        if not any(source["kind"] == "journal" for source in self.sources):
            for argv in SOS_JOURNALS:
                yield self._command(argv, "journal", 45.0, clock)
        yield self._command(JOBS, "journal", 15.0, clock)
        yield from self._files()
        for place in near:
            yield from self._dumps(place)
        # A server that is gone must cost nothing else.
        for place in far:
            yield from self._records(saved_logs(place), "crash_dmesg")
            yield from self._dumps(place)

    def _command(self, argv: tuple[str, ...], kind: str, timeout: float, clock: Clock, **more: Any) -> _Log:
        def lines(search: Search) -> Iterator[Line]:
            return self.root.run_lines(argv, timeout, search)

        return _Log(command_path(argv), kind, lines, clock, **more)

    def _files(self) -> Iterator[_Log]:
        for node in self._newest(FILES, "syslog"):
            is_dmesg = node.name.startswith("dmesg")
            clock = Clock(node.mtime or self.root.taken_at, self.zone)
            yield self._file(node, "boot_log" if is_dmesg else "syslog", clock, one_boot=is_dmesg)

    def _records(self, patterns: tuple[str, ...], kind: str) -> Iterator[_Log]:
        """Yield what was saved of the messages of kernels that died."""
        for node in self._newest(patterns, kind):
            if _PACKED.search(node.name):
                self.sources.append(_source(node.path, kind, error="compressed by the kernel"))
                continue
            died = crash_time_beside(self.root, node.path) if kind == "crash_dmesg" else None
            boot_time = self._boot_time_of_record(node, died)
            told_by = "time of the record" if died is None else "time of the dump"
            clock = Clock(node.mtime or self.root.taken_at, self.zone, boot_time, told_by)
            yield self._file(node, kind, clock, one_boot=True)

    def _dumps(self, place: str) -> Iterator[_Log]:
        """Yield the logs that are in dumps and nowhere else."""
        nodes = dumps_without_log(self.root, place)
        for node in nodes[MAX_DUMPS:]:
            self.sources.append(
                _source(node.path, "crash_dump", limit=f"not read: more than {MAX_DUMPS} dumps")
            )
        for node in nodes[:MAX_DUMPS]:
            try:
                yield self._in_dump(node)
            except OSError as problem:
                self.sources.append(_source(node.path, "crash_dump", error=reason_of(problem)))

    def _in_dump(self, node: Node) -> _Log:
        """Return the log in a dump. Raise OSError."""
        head = head_of(self.root, node)
        lines = log_in_dump(self.root, node, head)
        written = head.timestamp or node.mtime
        clock = Clock(
            written or self.root.taken_at, self.zone, self._boot_time_of(lines, written), "time of the dump"
        )
        return _Log(command_path((*READ, node.path)), "crash_dump", lines, clock, one_boot=True)

    def _log(self, path: str) -> _Log:
        """Return the log that is the input: of any form, of one boot or many, of the kernel alone or not."""

        def lines(search: Search) -> Iterator[Line]:
            return self.root.lines(path, search)

        return _Log(path, "log", lines, Clock(self.root.taken_at, self.zone), all_kernel=True)

    def _file(self, node: Node, kind: str, clock: Clock, *, one_boot: bool) -> _Log:
        def lines(search: Search) -> Iterator[Line]:
            return self.root.lines(node.path, search)

        return _Log(node.path, kind, lines, clock, one_boot=one_boot)

    def _newest(self, patterns: tuple[str, ...], kind: str) -> list[Node]:
        """Return the files that match, newest first."""
        nodes = [self.root.stat(path) for pattern in patterns for path in self.root.glob(pattern)]
        files = [node for node in nodes if node is not None and node.type == "file"]
        files.sort(key=lambda node: (-(node.mtime or 0.0), node.path))
        for node in files[MANY_FILES:]:
            self.sources.append(_source(node.path, kind, limit=f"not read: more than {MANY_FILES} files"))
        return files[:MANY_FILES]

    def _boot_time_of_record(self, node: Node, died: Optional[float]) -> Optional[float]:
        """Return when the kernel booted that left a record: its last line is as old as the record.

        :param died: when it died, where something tells it better than the record's own time
        """
        named = re.match(r"dmesg-efi(?:_pstore)?-(\d{10})\d{5}", node.name)
        written = died or (float(named[1]) if named else node.mtime)
        return self._boot_time_of(lambda search: self.root.lines(node.path, search), written)

    def _boot_time_of(
        self, lines: Callable[[Search], Iterator[Line]], written: Optional[float]
    ) -> Optional[float]:
        search = Search(limit=WHOLE)
        try:
            for _ in lines(search):
                pass
        except OSError:
            return None
        last = _parsed(search.last)
        return written - last.monotonic if written and last and last.monotonic is not None else None

    # -- looking ------------------------------------------------------------------------------------

    def search(self, log: _Log) -> None:
        """Search one log; note what it was, its events, and keep what matters of it."""
        left = TOTAL_LIMIT - self._searched
        if left <= 0:
            self.sources.append(
                _source(log.path, log.kind, limit=f"not read: {TOTAL_LIMIT} bytes were searched")
            )
            return
        search = Search(limit=min(FILE_LIMIT, left))
        if not log.one_boot:
            search.words, search.before = ALONE if log.all_kernel else WORDS, oom_events.BEFORE
            search.gates = {} if log.all_kernel else _BY_WRITER
        room = max(0, min(KEPT_BYTES, KEPT_TOTAL - self._kept))
        scan = LogScan(
            log.path,
            log.clock,
            all_kernel=log.one_boot or log.all_kernel,
            boot=log.boot,
            kept_bytes=room,
            came_up=log.kind in BOOTED,
        )
        whole: Optional[list[Line]] = [] if log.one_boot else None
        error = None
        try:
            for line in log.lines(search):
                search.follow = max(0, scan.take(line))
                if whole is not None:
                    whole.append(line)
                    whole = None if line.offset > min(WHOLE, room) else whole
        except FileNotFoundError:
            return
        except OSError as problem:
            error = reason_of(problem)
        events = scan.events()
        kept = whole if whole is not None else _with_ends(scan.kept(), search)
        if kept:
            self.root.keep(log.path, kept)
        self._kept += sum(len(line.data) + 1 for line in kept)
        self._searched += search.size
        self.events.add(events)
        self.unlisted += scan.unlisted
        limits = []
        if search.skipped:
            limits.append(f"the first {search.skipped} bytes were skipped")
        if search.limited:
            limits.append(f"stopped after {search.size} bytes")
        if log.kind == "journal" and search.lines >= JOURNAL_LINES:
            limits.append(f"the newest {JOURNAL_LINES} lines only")
        if scan.unlisted:
            limits.append(f"{scan.unlisted} older events are counted, but not listed")
        if whole is None and scan.dropped_windows:
            limits.append("older windows were not kept")
        self.sources.append(
            _source(
                log.path,
                log.kind,
                lines=search.lines,
                size=search.size,
                first_time=_time_of(search.first, log.clock),
                last_time=_time_of(search.last, log.clock),
                events=sum(scan.counts.values()),
                kept=len(kept),
                whole=whole is not None,
                limit="; ".join(limits) or None,
                error=error,
            )
        )

    def facts(self) -> Facts:
        """Return what is known so far."""
        listed = self.events.listed(self._boot_at)
        return {
            "sources": [dict(source) for source in self.sources],
            "boot_id": self.boot_id,
            "boot_time": self.boot_time,
            "timezone": self.zone_name,
            "boots": self.boots
            and [
                {
                    "id": boot.id,
                    "index": boot.index,
                    "first_time": boot.first,
                    "last_time": boot.last,
                    "ended": self.endings.get(boot.id),
                }
                for boot in self.boots
            ],
            "counts": dict(sorted(Counter(item["kind"] for item in listed).items())),
            "unlisted": self.unlisted + self.events.dropped,
            "events": listed,
        }

    def _boot_at(self, time: float, early: bool) -> Optional[str]:
        """Return the boot in which a time lies, or None. A journal begins some time after its kernel."""
        for boot in self.boots or ():
            if boot.first is not None and boot.first - 2.0 <= time <= (boot.last or 0.0) + 2.0:
                return boot.id
        for boot in reversed(self.boots or []):
            if boot.first is not None and time >= boot.first - (EARLY if early else 2.0):
                return boot.id if boot.index == 0 or time <= (boot.last or 0.0) + 300.0 else None
        if self.boot_time is not None and time >= self.boot_time - 2.0:
            return self.boot_id
        return None


def _source(path: str, kind: str, **known: Any) -> dict[str, Any]:
    return {
        "path": path,
        "kind": kind,
        "lines": known.get("lines"),
        "bytes": known.get("size"),
        "first_time": known.get("first_time"),
        "last_time": known.get("last_time"),
        "events": known.get("events"),
        "kept_lines": known.get("kept"),
        "whole": known.get("whole", False),
        "limit": known.get("limit"),
        "error": known.get("error"),
    }


def _with_ends(lines: list[Line], search: Search) -> list[Line]:
    """Return the lines with the first and the last of the log: they tell what time it covers."""
    ends = {line.number: line for line in (search.first, search.last) if line is not None}
    return [line for _, line in sorted({**ends, **{line.number: line for line in lines}}.items())]


def _parsed(line: Optional[Line]) -> Any:
    return parse_line(line.text.lstrip("\0")) if line else None


def _time_of(line: Optional[Line], clock: Clock) -> Optional[float]:
    parsed = _parsed(line)
    time: Optional[float] = parsed.epoch(clock)[0] if parsed else None
    return time


def _boot_time(root: Root) -> Optional[float]:
    match = re.search(r"^btime (\d+)", root.text("/proc/stat") or "", re.MULTILINE)
    return float(match[1]) if match else None


def _zone(root: Root) -> tuple[Optional[str], Optional[tzinfo]]:
    """Return the host's time zone and its rules, each None when unknown.

    By the name in /etc/localtime, a link (localtime(5)), or /etc/timezone (Debian).
    """
    node = root.stat("/etc/localtime", follow=False)
    if node is None:
        return ("UTC", timezone.utc) if root.exists("/etc/localtime") is False else (None, None)
    name = (node.target or "").partition("zoneinfo/")[2] or (root.text("/etc/timezone") or "").strip()
    if name in ("UTC", "Etc/UTC", "UCT", "Etc/UCT", "Zulu", "GMT", "Etc/GMT", "Universal"):
        return name, timezone.utc
    from zoneinfo import ZoneInfo

    try:
        if name:
            return name, ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        pass  # this machine has no such zone; the host's own file has it
    try:
        content = io.BytesIO(root.peek("/etc/localtime", 1 << 16))
        return name or None, ZoneInfo.from_file(content, key=name or "local")
    except (OSError, ValueError, KeyError):
        return name or None, None
