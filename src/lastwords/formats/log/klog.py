"""One line of a kernel log without its prefix, whoever wrote the prefix.

Known prefixes: printk (``[ 12.345678]``, with caller id), ``dmesg -T`` in any language, ``dmesg --time-
format iso``, raw ``<n>`` priorities, /dev/kmsg and extended netconsole records, journalctl's short, short-
precise, short-full, short-iso, short-monotonic and short-unix, with a host or not, rsyslog's traditional,
ISO and RFC 5424 formats with the printk time inside or not, ``dmesg`` with ``--decode``, ``--human``,
``--show-delta``. Before any of these may stand what carried the line: ts(1), a container's runtime, grep.

Sources: kernel/printk/printk.c (``print_prefix``, ``info_print_ext_header``), util-linux dmesg.c, systemd
src/shared/logs-show.c, rsyslog's RSYSLOG_TraditionalFileFormat, RSYSLOG_FileFormat and
RSYSLOG_SyslogProtocol23Format, RFC 5424, Kubernetes' CRI logging format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Optional

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan gen ene janv",
            "feb fev févr fév",
            "mar mär mrz maa mars mrt",
            "apr abr avr avril",
            "may mai mag mei maj maio",
            "jun giu juin",
            "jul lug juil",
            "aug ago août aoû",
            "sep set sept",
            "oct okt ott out",
            "nov nov. listopad",
            "dec dez dic déc",
        ),
        start=1,
    )
    for name in names.split()
}
# A stamp this much later than the reference belongs to the year before: clocks of host and analyst differ.
_AHEAD = timedelta(days=2)


@dataclass(frozen=True)
class Clock:
    """What is needed to place the times of one log."""

    reference: Optional[float] = None
    """When its last line was written at the latest (the file's mtime): seconds since the epoch."""
    zone: Optional[tzinfo] = None
    """Zone of stamps that do not tell theirs; None when unknown (UTC is assumed and said)."""
    boot_time: Optional[float] = None
    """When the printk clock was 0: seconds since the epoch."""
    boot_time_source: str = "boot time"


@dataclass(frozen=True)
class Stamp:
    """A wall-clock time as it was written."""

    year: Optional[int]
    month: int
    day: int
    hour: int
    minute: int
    second: float
    offset: Optional[int] = None
    """Seconds east of UTC, when the line tells."""

    def epoch(self, clock: Clock) -> Optional[float]:
        """Return seconds since the epoch, or None: no such date, or no year and no reference.

        Without a year it is the latest one that does not lie after the clock's reference.
        """
        if self.offset is not None:
            zone: tzinfo = timezone(timedelta(seconds=self.offset))
        else:
            zone = clock.zone or timezone.utc
        if self.year is not None:
            return self._in(self.year, zone)
        if clock.reference is None:
            return None
        try:
            latest = datetime.fromtimestamp(clock.reference, zone) + _AHEAD
        except (OverflowError, ValueError, OSError):
            return None
        # 29 February may lie up to eight years back.
        for year in range(latest.year, latest.year - 9, -1):
            found = self._in(year, zone)
            if found is not None and found <= latest.timestamp():
                return found
        return None

    def _in(self, year: int, zone: tzinfo) -> Optional[float]:
        try:
            whole = datetime(year, self.month, self.day, self.hour, self.minute, 0, tzinfo=zone)
            return round(whole.timestamp() + self.second, 6)
        except (OverflowError, ValueError):
            return None


@dataclass(frozen=True)
class LogLine:
    """A line of a log, taken apart."""

    text: str
    """The message itself."""
    stamp: Optional[Stamp] = None
    unix: Optional[float] = None
    """Seconds since the epoch, where the line says that."""
    monotonic: Optional[float] = None
    """Seconds since boot, as printk or journald counts them."""
    host: Optional[str] = None
    tag: Optional[str] = None
    """Program that logged it: ``kernel``, ``systemd-oomd``."""
    pid: Optional[int] = None
    priority: Optional[int] = None
    """0 (emergency) to 7 (debug)."""
    caller: Optional[str] = None
    """printk caller id: ``T123`` a task, ``C0`` a CPU."""
    is_kernel: Optional[bool] = None
    """False for a program's line; None when the line does not tell."""
    record: bool = False
    """A record of /dev/kmsg or extended netconsole, in which bytes may be escaped."""

    def epoch(self, clock: Clock) -> tuple[Optional[float], Optional[str]]:
        """Return seconds since the epoch and how they were found; None and None when they cannot be."""
        if self.unix is not None:
            return self.unix, "stamp"
        if self.stamp is not None and (found := self.stamp.epoch(clock)) is not None:
            notes = ["stamp"]
            if self.stamp.year is None:
                notes.append("year inferred")
            if self.stamp.offset is None:
                notes.append(f"zone {clock.zone}" if clock.zone else "zone unknown, taken as UTC")
            return found, ", ".join(notes)
        if self.monotonic is not None and clock.boot_time is not None:
            return round(clock.boot_time + self.monotonic, 6), f"{clock.boot_time_source} and printk clock"
        return None, None


_PRIORITY = re.compile(r"<(\d{1,3})>")
# An extended netconsole may put the kernel's release first.
_KMSG = re.compile(r"(?:\d+\.\d[\w.+-]{0,64},)?(\d{1,4}),(\d{1,20}),(\d{1,20}),([^;]{0,120});")
# Behind the time: what dmesg --show-delta adds, the CPU of vendors' kernels.
_PRINTK = re.compile(r"\[[ \t]*(\d{1,11}\.\d{3,6})(?: <[ \d.]{1,20}>|[,@]\d{1,3})?\] ?")
_PRINTK_LATER = re.compile(r".{1,120}?\[ {0,8}(\d{1,11}\.\d{6})\] ?")
# printk's own; MediaTek's Android kernels tell CPU, pid and comm: (1)[812:kworker/1:0]
_CALLER = re.compile(r"\[ *([TC]\d+)\] ?| ?\(\d{1,3}\)\[(\d{1,10}):[^\]]{1,64}\]")
_DMESG_T = re.compile(r"\[(?:[^\W\d]\S* +)?(\S{1,12}?)[ .]+(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})\] ?")
# dmesg --human: a time at each full minute, in between what passed since the line before.
_HUMAN = re.compile(r"\[(?:([^\W\d]{3,6})(\d\d) (\d\d):(\d\d)|[ <]{0,10}\+?\d{1,10}\.\d{6}>?)\] ?")
_DECODED = re.compile(r"([a-z]{3,8}\d?) {0,6}:([a-z]{3,6}) {0,4}: ")
_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
_ISO = re.compile(
    r"(?:1 )?(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d(?:[.,]\d{1,9})?)(?:(Z)|([+-])(\d\d):?(\d\d))?[ \t]"
)
_SYSLOG = re.compile(
    r"(?:\w{3} (?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"|(?:(?P<before>\d{4}) )?(?P<name>\w{3,4}) +(?P<of>\d{1,2})(?: (?P<after>\d{4}))?)"
    r" (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d(?:\.\d{1,6})?)(?: (?P<zone>[A-Z]{3,5}))? "
)
_UNIX = re.compile(r"(\d{9,10}\.\d{3,6}) ")
# BusyBox's syslogd puts facility and severity before the tag: kern.warn; F5's severity alone.
_HOST_TAG = re.compile(
    r"(?:(\S*[^\s:]) )?(?:(?:[a-z]{2,8}\d?\.[a-z]{3,7}|emerg|alert|crit|err|warning|notice|info|debug) )?"
    r"([\w./@:\\-]{1,120}?)(?:\[(\d{1,10})\])?: ?"
)
# A relay puts its own stamp before that of the sender.
_RELAYED = re.compile(r"\S{1,255} (?=[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+: )")
# Android's logcat: pid and tid are 0 where the kernel wrote it, and its tag may be empty.
_LOGCAT = re.compile(
    r"(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d\.\d{3,6}) +(\d{1,10}) +\d{1,10} [VDIWEFS] (?: *: )?(.*)", re.DOTALL
)
_TAG_ONLY = re.compile(r"(kernel): ")
# RFC 5424: host, program, process, id of the message, structured data.
_FIELDS = re.compile(
    r"(\S{1,255}) (\S{1,48}) (\S{1,128}) \S{1,32} (?:-|(?:\[(?:[^\]\"\\]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+) ?"
)
_CARRIERS = 3
"""Most that is taken off a line before its prefix: each of the following, or ``dmesg --decode``."""
_CONTAINER = re.compile(r"std(?:out|err) [FP] |\d\d[OE][ +]|(?=<\d{1,3}>\[)")  # GitLab: 01O; LAVA: <4>[
_INDENTED = re.compile(
    r"(?:[ \t]{1,12}\d{1,9}[ \t:]{1,4}|\d{1,9}[:\t] ?|[ \t]{1,40})"
    r"(?=[^\W\d]{3,4} [ \d]\d \d\d:|\d{4}-\d\d-\d\d[T ])"
)
"""A line quoted in a text, or numbered."""
# grep names file and line.
_FOUND_IN = re.compile(r"[\w./+@-]{1,200}?[:-](?:\d{1,9}[:-])?(?=\[|<\d|\d{4}-|[^\W\d]{3,4} [ \d]\d \d\d:)")


def parse_line(line: str) -> LogLine:
    """Take one line apart; a line with no known prefix is all text.

    >>> parse_line("Mar  1 03:14:07 app07 kernel: [  511.250000] java invoked oom-killer: order=0").monotonic
    511.25
    >>> found = parse_line("6,1234,5678000,-,caller=T12;Linux version 6.1.0")
    >>> (found.priority, found.monotonic, found.caller, found.text)
    (6, 5.678, 'T12', 'Linux version 6.1.0')
    >>> parse_line("2026-03-01T03:14:07+0100 web app[12]: WARNING: retry").is_kernel
    False
    """
    return _parsed(line.rstrip("\r\n"), _CARRIERS)


def _parsed(line: str, carriers: int) -> LogLine:
    priority = None
    if line[:1] == "<" and (match := _PRIORITY.match(line)) is not None:
        priority = int(match[1]) & 7
        line = line[match.end() :]
    if line[:1].isdigit() and (match := _KMSG.match(line)) is not None:
        return _record(match, line)
    if carriers and (match := _DECODED.match(line)) is not None and match[2] in _LEVELS:
        found = _parsed(line[match.end() :], carriers - 1)
        return replace(found, priority=_LEVELS.index(match[2]), is_kernel=match[1] == "kern")
    if carriers and (match := _INDENTED.match(line)) is not None:
        return _parsed(line[match.end() :], carriers - 1)
    if line[2:3] == "-" and (match := _LOGCAT.match(line)) is not None:
        return _of_logcat(match, carriers)
    for pattern, make in ((_ISO, _iso), (_SYSLOG, _traditional)):
        if (match := pattern.match(line)) is not None and (stamp := make(match)) is not None:
            rest = line[match.end() :]
            if pattern is _ISO and "," in match[6]:  # dmesg's alone, which writes neither host nor tag
                caller, rest = _caller(rest)
                return LogLine(rest, stamp, priority=priority, caller=caller, is_kernel=True)
            if carriers and (match := _CONTAINER.match(rest)) is not None:
                found = _parsed(rest[match.end() :], carriers - 1)
                return found if found.stamp is not None else replace(found, stamp=stamp)
            if carriers and (match := _RELAYED.match(rest)) is not None:
                return _parsed(rest[match.end() :], carriers - 1)
            return _tagged(rest, priority, stamp=stamp, fields=line.startswith("1 "))
    if (match := _UNIX.match(line)) is not None:
        return _tagged(line[match.end() :], priority, unix=float(match[1]))
    if (match := _PRINTK.match(line)) is not None:
        monotonic = float(match[1])
        caller, rest = _caller(line[match.end() :])
        return _printk(rest, priority, monotonic, caller)
    for pattern, make in ((_DMESG_T, _bracketed), (_HUMAN, _minute)):
        if (match := pattern.match(line)) is not None:
            rest = line[match.end() :]
            if (inner := _PRINTK.match(rest)) is not None:  # a console's server and printk both tell the time
                caller, rest = _caller(rest[inner.end() :])
                return replace(_printk(rest, priority, float(inner[1]), caller), stamp=make(match))
            caller, rest = _caller(rest)
            return LogLine(rest, stamp=make(match), priority=priority, caller=caller, is_kernel=True)
    if carriers and (match := _FOUND_IN.match(line)) is not None:
        rest = line[match.end() :]
        found = _parsed(rest, carriers - 1)
        if found.text != rest:
            return found
    if (match := _PRINTK_LATER.match(line)) is not None:
        # A console shows what programs write too: a login prompt, half a line of output.
        caller, rest = _caller(line[match.end() :])
        return LogLine(rest, monotonic=float(match[1]), priority=priority, caller=caller)
    return LogLine(line, priority=priority, is_kernel=True if priority is not None else None)


def _record(match: re.Match[str], line: str) -> LogLine:
    """A /dev/kmsg or netconsole record: ``priority,sequence,microseconds,flags[,caller=..];text``.

    The upper bits of the priority are the facility: what a program wrote to /dev/kmsg is not the kernel's.
    """
    priority = int(match[1])
    caller = re.search(r"\bcaller=([TC]\d+)", match[4])
    return LogLine(
        line[match.end() :],
        monotonic=int(match[3]) / 1e6,
        priority=priority & 7,
        caller=caller[1] if caller else None,
        is_kernel=priority >> 3 == 0,
        record=True,
    )


def _of_logcat(match: re.Match[str], carriers: int) -> LogLine:
    month, day, hour, minute = (int(match[group]) for group in range(1, 5))
    found = _parsed(match[7], carriers - 1) if carriers > 0 else LogLine(match[7])
    return replace(
        found,
        stamp=Stamp(None, month, day, hour, minute, float(match[5])),
        is_kernel=match[6] == "0",
    )


def _iso(match: re.Match[str]) -> Optional[Stamp]:
    offset: Optional[int] = None
    if match[7]:
        offset = 0
    elif match[8]:
        offset = (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == "-" else 1)
        if abs(offset) >= 86400:
            return None
    year, month, day, hour, minute = (int(match[group]) for group in range(1, 6))
    return Stamp(year, month, day, hour, minute, float(match[6].replace(",", ".")), offset)


def _traditional(match: re.Match[str]) -> Optional[Stamp]:
    offset = 0 if match["zone"] in ("UTC", "GMT") else None
    clock = int(match["hour"]), int(match["minute"]), float(match["second"])
    if match["year"]:
        return Stamp(int(match["year"]), int(match["month"]), int(match["day"]), *clock, offset)
    month = _MONTHS.get(match["name"].lower())
    year = match["before"] or match["after"]
    return Stamp(int(year) if year else None, month, int(match["of"]), *clock, offset) if month else None


def _bracketed(match: re.Match[str]) -> Optional[Stamp]:
    number = re.fullmatch(r"(\d{1,2})\D?", match[1])  # Chinese, Japanese, Korean: 3月
    month = int(number[1]) if number else _MONTHS.get(match[1].lower())
    if month is None:
        return None
    return Stamp(int(match[6]), month, int(match[2]), int(match[3]), int(match[4]), float(match[5]))


def _minute(match: re.Match[str]) -> Optional[Stamp]:
    month = _MONTHS.get(match[1].lower()) if match[1] else None
    return Stamp(None, month, int(match[2]), int(match[3]), int(match[4]), 0.0) if month else None


def _caller(rest: str) -> tuple[Optional[str], str]:
    match = _CALLER.match(rest)
    return (match[1] or f"T{match[2]}", rest[match.end() :]) if match else (None, rest)


def _tagged(
    rest: str,
    priority: Optional[int],
    *,
    stamp: Optional[Stamp] = None,
    unix: Optional[float] = None,
    fields: bool = False,
) -> LogLine:
    """What follows a wall-clock stamp: ``host tag[pid]: text``, its *fields*, or the text at once (dmesg)."""
    if (match := _PRINTK.match(rest)) is not None:
        caller, text = _caller(rest[match.end() :])
        return replace(_printk(text, priority, float(match[1]), caller), stamp=stamp, unix=unix)
    match = (_FIELDS if fields else _HOST_TAG).match(rest)
    if match is None or (match[1] is None and match[2] != "kernel"):
        caller, rest = _caller(rest)
        return LogLine(rest, stamp, unix, None, priority=priority, caller=caller, is_kernel=True)
    text, monotonic, caller = rest[match.end() :], None, None
    is_kernel = match[2] == "kernel"
    if is_kernel and (inner := _PRINTK.match(text)) is not None:
        monotonic = float(inner[1])
        caller, text = _caller(text[inner.end() :])
    return LogLine(
        text,
        stamp,
        unix,
        monotonic,
        match[1],
        match[2],
        int(match[3]) if match[3] and match[3].isdigit() else None,
        priority,
        caller,
        is_kernel,
    )


def _printk(rest: str, priority: Optional[int], monotonic: float, caller: Optional[str]) -> LogLine:
    """What follows ``[   12.345678]``: the text, or ``[host] tag: text`` where journalctl wrote it."""
    if (match := _TAG_ONLY.match(rest)) is not None:
        rest = rest[match.end() :]
        return LogLine(rest, None, None, monotonic, None, "kernel", None, priority, caller, True)
    match = _HOST_TAG.match(rest)
    # printk texts have colons too; only journalctl puts a host before the tag, and only the kernel's own
    # tag or one with a pid can be told from a message.
    if match is not None and match[1] and (match[2] == "kernel" or match[3]) and not match[1].endswith(":"):
        text = rest[match.end() :]
        pid = int(match[3]) if match[3] else None
        kernel = match[2] == "kernel"
        return LogLine(text, None, None, monotonic, match[1], match[2], pid, priority, caller, kernel)
    return LogLine(rest, None, None, monotonic, None, None, None, priority, caller, True)
