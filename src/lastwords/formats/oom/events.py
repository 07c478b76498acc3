"""From the messages of a log to its OOM events.

Reports of several hosts and, where printk tells its caller, of several tasks may be interleaved: each line
goes to the report of its own. A kill that was not reported (the kernel limits the rate of reports, excerpts
lack lines) is an event of its own, without a trigger.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Optional

from lastwords.formats.log.klog import Clock
from lastwords.formats.log.messages import DROPPED, Message
from lastwords.formats.oom.kills import Victim, parse_kill, parse_reaper
from lastwords.formats.oom.report import (
    OomEvent,
    ReportReader,
    is_sysrq,
    parse_nodemask,
    parse_panic,
    parse_trigger,
)
from lastwords.formats.oom.user import UserKillers

WORDS = (
    b"oom-kill",
    b"Killed process ",
    b"OOM killed process ",
    b"no killable process",
    b"VM: killing process ",
    b"oomd kill: ",
    b"Killed /",
    b" for killing due to ",
    b"ending SIG",
    b"panic_on_oom is ",
    b"deadlocked on memory",
)
"""Byte strings of which each event has one in a line."""
STEMS = (b"kill", b"Kill", b"ending SIG", b"panic_on_oom is ", b"deadlocked on memory")
"""Fewer ones, of which each word holds one."""
BEFORE = 150
"""Messages before such a line that may belong to its event, when the first line of its report was lost."""
REACH = 400
"""Messages after the last line of a report within which more of it may come."""
AFTER_KILL = 60
"""The same after a kill: the reaper's lines, the rest of a group."""
_WRAPPED = 4
"""Messages that the rest of a wrapped one may take."""
_PANIC_NEAR = 60.0
"""Seconds between an OOM event and a panic that may have to do with it."""
_SYSRQ_MESSAGES = 8
_SYSRQ_SECONDS = 5.0
OF_MEMORY = ("compulsory", "system-wide", "no killable", "deadlocked")
"""Kinds of panic that are an OOM event by themselves."""
_MIXED = 3
"""Messages after a line of a report within which another may begin without ending it."""
_CUT = 40
"""Lines at the beginning of a log that may be the rest of a report: allocation failures print the like."""
_REMEMBERED = 64
"""Processes killed that are remembered: those that could not be reaped stay in the table."""
_MOST_OPEN = 64
_HOSTS = 64

# Where a line begins that has not been wrapped; what follows a wrapped line begins otherwise.
_START = re.compile(
    r"\s|.{1,64} invoked oom-killer|oom-kill|oom_reaper|(?:Out of|Memory cgroup|No available)"
    r"|Kill(?:ed)? process|Mem-[Ii]nfo|Node \d|(?:DMA32|DMA|Normal|HighMem|Movable|Device)[: ]|lowmem_reserve"
    r"|\d+ (?:total )?pages|Swap |Free swap|Total swap|Tasks state|\[ *(?:\d+|pid) *\]|Tasks? in"
    r"|memory(?:\+swap)?: |swap: |kmem: "
    r"|Memory |CPU|Pid: |Hardware name|Call Trace|Kernel panic|[Ss]ys[Rr]q|VM: |Unreclaimable"
)
_FIELD = re.compile(r"(?!=)[^\s=]{0,200}=")
_LONG = re.compile(
    r".{1,64} invoked oom-killer|oom-kill:|(?:[^:]{1,80}: )?Kill(?:ed)? process|(?:Node \d+ )?[A-Z]\w+ free:"
    r"|\[ *\d+\] +\d|Node \d+ active_anon:|CPU: \d+ |Pid: |\[ {1,4}pid|Tasks? in |Memory cgroup stats"
    r"|Hardware name"
)
"""Lines long enough to be wrapped, in a log without prefixes."""
_REST = re.compile(
    r"(?:gfp_mask|order|oom_score_adj|oom_adj|nodemask|cpuset|mems_allowed|oom_memcg|task_memcg|task|pid|uid)="
    r"|,|global_oom|[a-z_]+(?:\([a-z]+\))?:\s?\d+\s?[kK]B\b|(?:total-vm|anon-rss|file-rss|shmem-rss|UID|pgtables|rss|vm)"
    r"[: ]\s?\d|GFP_|__GFP|limit of /|score -?\d"
)
"""How the rest of a wrapped line begins, there."""


_BEGINNINGS = (
    "oom-kill:",
    "Task in /",
    "memory: usage ",
    "Memory cgroup stats for ",
    "Tasks state (",
    "[ pid",
    "[  pid",
)
_WIDTH = 42
"""Where a message is wrapped at the earliest, the next word included: mails are, behind a syslog's prefix."""
_NAME_BEGUN = re.compile(r"(?:[^:]{1,80}: )?Kill(?:ed)? process \d{1,10}(?:, UID \d{1,10},)? \([^)]{0,15}$")
_NAME_ENDED = re.compile(r".{0,15}\)(?:,? total-vm:|, UID |\.?$| score -?\d)")
_TASK_BEGUN = re.compile(r"oom-kill:(?!.*,pid=).*,task=[^\n]{0,15}$")
_TASK_ENDED = re.compile(r".{0,15},pid=\d")
_CHOSEN = re.compile(r"(?:oom-kill:.*,pid=|[^:]{1,80}: [Kk]ill process )(\d{1,10})\b", re.DOTALL)
_MEMORY = re.compile(
    r"\s?(?:active_anon|active_file|unevictable|slab_reclaimable|mapped|free|Active):\d|Mem-[Ii]nfo:"
    r"|(?:Node \d+ )?(?:DMA32|DMA|Normal|HighMem|Movable) free:\d|Node \d+ active_anon:"
)
_LONGEST = 8192
"""Characters of a message that are looked at: the kernel's are shorter than 1,024, most of them."""


@dataclass
class _Open:
    """An event that more lines may belong to."""

    reader: ReportReader
    caller: Optional[str]
    count: int
    sure: bool
    """False while only memory or tasks were seen, which others print too."""
    ended: bool = False


@dataclass
class _Host:
    """What is known of one host."""

    events: list[_Open] = field(default_factory=list)
    pending: Optional[Message] = None
    daemons: UserKillers = field(default_factory=UserKillers)
    sysrq: tuple[int, Optional[float]] = (-1000, None)
    panic: Optional[tuple[str, str, Optional[float], int]] = None
    killed: list[int] = field(default_factory=list)


class OomEvents:
    """Feed it each message; it returns the events that are over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._hosts: dict[Optional[str], _Host] = {}

    @property
    def wanted(self) -> int:
        """How many messages more are needed, whatever they say."""
        wanted = 0
        for host in self._hosts.values():
            if host.pending is not None and "ill" in host.pending.text:
                wanted = max(wanted, _WRAPPED)  # it may be a kill: looked at when it is known to be whole
            for item in host.events:
                reach = AFTER_KILL if item.ended or item.reader.event.victims else REACH
                wanted = max(wanted, item.count + reach + 1 - self._count)
        return wanted

    def skip(self, messages: int) -> None:
        """Note that so many messages of the log were left out here."""
        self._count += messages

    def feed(self, message: Message) -> list[OomEvent]:
        """Take in a message; return the events that cannot go on."""
        self._count += 1
        host = self._hosts.get(message.line.host)
        if host is None:
            if len(self._hosts) >= _HOSTS:
                return [*self.end(), *self.feed(message)]
            host = self._hosts[message.line.host] = _Host()
        made = host.daemons.feed(message)
        if made is not None:
            self._dated(made, message)
            for victim in made.victims:
                self._told(victim, message)
            host.events.append(_Open(ReportReader(made), "daemon", self._count, True, True))
        if message.is_kernel:
            self._join(host, message)
        else:
            if host.pending is not None:
                pending, host.pending = host.pending, None
                self._take(host, pending)
            if _is_dropped(message.text):
                self._take(host, message)
        return [over for each in self._hosts.values() if each.events for over in self._over(each)]

    def end(self) -> list[OomEvent]:
        """Return all events that are still open, in the order of the log."""
        found = []
        for host in self._hosts.values():
            if host.pending is not None:
                self._take(host, host.pending)
                host.pending = None
            found += [item for item in host.events if _counts(item)]
        self._hosts = {}
        return [_settled(item) for item in sorted(found, key=lambda item: item.reader.event.line)]

    # -- lines that were wrapped ------------------------------------------------------------------------

    def _join(self, host: _Host, message: Message) -> None:
        pending = host.pending
        if len(message.text) > _LONGEST:
            message = replace(message, line=replace(message.line, text=message.text[:_LONGEST]))
        if pending is not None and self._continues(message, pending):
            glue = "" if pending.text.endswith(("-", "=", "|", "_")) else " "
            glue = "\n" if _name_goes_on(pending.text, message.text) else glue
            text = (pending.text.rstrip() + glue + message.text.strip())[:_LONGEST]
            host.pending = replace(pending, line=replace(pending.line, text=text))
            return
        if pending is not None:
            self._take(host, pending)
        host.pending = message

    @staticmethod
    def _continues(message: Message, pending: Message) -> bool:
        text = message.text
        if _name_goes_on(pending.text, text):
            return True
        if _is_dropped(text):
            return False
        if message.bare:
            first = text.split(None, 1)[:1]
            long = bool(first) and len(pending.text) + len(first[0]) >= _WIDTH
            return long and not _START.match(text)
        line = message.line
        if line.stamp is None and line.unix is None and line.monotonic is None and line.tag is None:
            if _REST.match(text) is not None:
                return _LONG.match(pending.text) is not None
            return _is_end(text, pending.text) and not _START.match(text)
        return text.startswith(",") and pending.text.startswith("oom-kill:")

    # -- whose line is it -------------------------------------------------------------------------------

    def _take(self, host: _Host, message: Message) -> None:
        text, caller = message.text.strip("\n"), message.line.caller
        bare = text.strip()
        if "oom-killer" in text and (trigger := parse_trigger(bare)) is not None:
            event = self._opened(host, message, sure=True).reader.event
            event.trigger, event.nodemask = trigger, parse_nodemask(bare)
            count, then = host.sysrq
            now = event.monotonic or event.time
            event.manual = self._count - count <= _SYSRQ_MESSAGES and _near(then, now, _SYSRQ_SECONDS)
            if host.panic is not None and _near(host.panic[2], event.monotonic or event.time, _PANIC_NEAR):
                event.panic, event.panic_kind = host.panic[:2]
            return
        if is_sysrq(bare):
            host.sysrq = self._count, message.line.monotonic or self._time(message)
            return
        if "panic" in text and (panic := parse_panic(text)) is not None:
            before, now = host.panic, message.line.monotonic or self._time(message)
            host.panic = (*panic, now, self._count)
            current = self._current(host, caller)
            again = before is not None and before[0] == panic[0] and _near(before[2], now, _PANIC_NEAR)
            if current is None and panic[1] in OF_MEMORY and bare.startswith("Kernel panic") and not again:
                current = self._opened(host, message, sure=True)  # its report was lost
            if current is not None and self._led_to(current, panic[1], host.panic[2]):
                event = current.reader.event
                event.panic, event.panic_kind = panic
                self._touch(current, message)
                current.ended = True
            return
        if bare.startswith("oom_reaper: ") and (reaped := parse_reaper(bare)) is not None:
            for item in reversed(host.events):
                if item.reader.reaped(*reaped):
                    self._touch(item, message)
                    break
            return
        victim, why = parse_kill(bare)
        # Without the prefix that the lines around it have it is a program's, unless it says more.
        if victim is not None and (not message.bare or why is not None or victim.total_vm is not None):
            self._kill(host, message, bare)
            return
        current = self._current(host, caller, _pid_chosen(bare), bare)
        if current is not None and _is_dropped(bare):
            current.reader.event.dropped = current.reader.event.dropped or not current.reader.event.victims
            return
        if current is not None and current.reader.event.victims and _begins(bare):
            current = None  # of the next kill, whose first lines were lost
        if current is not None and current.reader.take(text):
            self._touch(current, message)
            current.sure = current.sure or current.reader.event.chosen is not None
        elif current is None and (_begins(bare) or (message.number <= _CUT and _is_memory(bare))):
            current = self._opened(host, message, sure=bare.startswith("oom-kill:") or " score " in bare)
            current.reader.take(text)

    def _kill(self, host: _Host, message: Message, text: str) -> None:
        victim = parse_kill(text)[0]
        assert victim is not None
        chosen = [
            item
            for item in host.events
            if not item.ended and item.reader.event.chosen and item.reader.event.chosen[0] == victim.pid
        ]
        current = chosen[-1] if chosen else self._current(host, message.line.caller, victim.pid)
        event = current.reader.event if current is not None else None
        again = event is not None and any(known.pid == victim.pid for known in event.victims)
        goes_on = event is not None and (
            not event.victims or event.oom_group or again or victim.how == "shared memory"
        )
        if current is None or not goes_on:
            if current is not None:
                current.ended = True
            current = self._opened(host, message, sure=True)
        host.killed = [*host.killed[-_REMEMBERED:], *([victim.pid] if victim.pid is not None else [])]
        known = len(current.reader.event.victims)
        current.reader.kill(text)
        for new in current.reader.event.victims[known:]:
            self._told(new, message)
        current.sure = True
        self._touch(current, message)

    def _current(
        self, host: _Host, caller: Optional[str], pid: Optional[int] = None, text: str = ""
    ) -> Optional[_Open]:
        """The report that a line of this caller goes on with: the one that waits for *pid*, if it names one.

        Up to 4.1, two memory cgroups may print their reports at the same time, and no line tells whose it is.
        """
        mine = [
            item
            for item in reversed(host.events)
            if not item.ended and (caller is None or item.caller is None or item.caller == caller)
        ]
        if pid is not None and len(mine) > 1:
            return max(mine, key=lambda item: item.reader.event.waits_for(pid))
        if len(mine) > 1 and mine[0].reader.event.victims and not text.startswith("Tasks in "):
            # The later one has ended; the earlier one, which it was mixed with, goes on.
            return next((item for item in mine if item.reader.event.unfinished), mine[0])
        if len(mine) > 1 and "omm: " in text:
            return next((item for item in mine if item.reader.event.asked_by(text)), mine[0])
        return mine[0] if mine else None

    def _opened(self, host: _Host, message: Message, *, sure: bool) -> _Open:
        before = self._current(host, message.line.caller)
        if before is not None and (before.reader.event.victims or self._count - before.count > _MIXED):
            before.ended = True
        event = OomEvent(message.number, message.offset, passed_over=frozenset(host.killed))
        if before is not None and not before.ended:
            before.reader.event.mixed = event.mixed = True
        self._dated(event, message)
        made = _Open(ReportReader(event), message.line.caller, self._count, sure)
        host.events.append(made)
        return made

    def _dated(self, event: OomEvent, message: Message) -> None:
        line = message.line
        event.time, event.time_source = line.epoch(self._clock)
        event.monotonic, event.host, event.last_line = line.monotonic, line.host, message.number

    def _led_to(self, item: _Open, kind: str, panicked: Optional[float]) -> bool:
        """Whether an event and a panic may belong together: it says so, or came right after."""
        event = item.reader.event
        last = event.victims[-1] if event.victims else event
        return kind in OF_MEMORY or _near(last.monotonic or last.time, panicked, _PANIC_NEAR)

    def _told(self, victim: Victim, message: Message) -> None:
        victim.line, victim.time = message.number, self._time(message)
        victim.monotonic = message.line.monotonic

    def _time(self, message: Message) -> Optional[float]:
        return message.line.epoch(self._clock)[0]

    def _touch(self, item: _Open, message: Message) -> None:
        item.count = self._count
        item.reader.event.last_line = max(item.reader.event.last_line, message.number)

    def _over(self, host: _Host) -> list[OomEvent]:
        """Let events go that are over; only from the oldest on, so that they come in order."""
        for item in host.events:
            reach = AFTER_KILL if item.reader.event.victims else REACH
            item.ended = item.ended or self._count - item.count > reach
        found = []
        while host.events:
            item = host.events[0]
            late = self._count - item.count > AFTER_KILL
            if not (item.ended and late) and len(host.events) <= _MOST_OPEN:
                break
            host.events.pop(0)
            if _counts(item):
                found.append(_settled(item))
        return found


def tells(text: str) -> bool:
    """Return whether a message alone tells of an OOM event.

    >>> tells("java invoked oom-killer: gfp_mask=0xd0, order=0"), tells("the agent Killed process 12 (x)")
    (True, False)
    """
    text = text.strip()
    return parse_trigger(text) is not None or parse_kill(text)[0] is not None


def _is_end(text: str, pending: str) -> bool:
    """Whether a line is the end that a wrapped one lacks, in a log without prefixes."""
    if pending.startswith("Task in /"):
        return "limit of /" not in pending and "limit of /" in text
    lacks = "uid=" if pending.startswith("oom-kill:") else "adj=" if "invoked oom-killer" in pending else None
    return lacks is not None and lacks not in pending and _FIELD.match(text) is not None


def _name_goes_on(pending: str, text: str) -> bool:
    """Whether a line ends the name of a process in the line before: names may hold line ends.

    >>> _name_goes_on("Out of memory: Killed process 12 (a", "b) total-vm:4kB")
    True
    """
    if "ill" not in pending:
        return False
    for begun, ended in ((_NAME_BEGUN, _NAME_ENDED), (_TASK_BEGUN, _TASK_ENDED)):
        if begun.match(pending) is not None and ended.match(text) is not None:
            return True
    return False


def _is_memory(text: str) -> bool:
    return _MEMORY.match(text) is not None


def _is_dropped(text: str) -> bool:
    return "essages" in text and DROPPED.match(text) is not None


def _pid_chosen(text: str) -> Optional[int]:
    """The process that a line says was chosen, None when it is none of those lines."""
    match = _CHOSEN.match(text) if text.startswith("oom-kill:") or " score " in text else None
    return int(match[1]) if match else None


def _begins(text: str) -> bool:
    """Whether a line is the first of an event whose beginning was lost."""
    return text.startswith(_BEGINNINGS) or (
        " score " in text and re.match(r"[^:]{1,80}: [Kk]ill process \d", text) is not None
    )


def _counts(item: _Open) -> bool:
    event = item.reader.event
    return item.sure or bool(event.victims or event.chosen or event.nobody)


def _settled(item: _Open) -> OomEvent:
    item.reader.event.settle()
    return item.reader.event


def _near(one: Optional[float], other: Optional[float], seconds: float) -> bool:
    return one is None or other is None or abs(one - other) <= seconds
