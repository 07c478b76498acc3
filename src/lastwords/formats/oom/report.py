"""One OOM event: what the kernel printed from "invoked oom-killer" to the last kill, put together.

Lines are told by what they say, so that a report that lost some is read as far as it goes; :attr:`missing`
names what it lost. Sources: mm/oom_kill.c, mm/page_alloc.c, mm/memcontrol.c, drivers/tty/sysrq.c of 2.4.5 to
7.1, of RHEL 5, 6 and 8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

from lastwords.formats.oom.gfp import Version, decode
from lastwords.formats.oom.kills import Victim, parse_kill
from lastwords.formats.oom.memcg import GroupReader, MemoryGroup
from lastwords.formats.oom.memory import PAGE_SIZES, MemoryInfo, MemoryReader
from lastwords.formats.oom.tasks import TaskRow, is_row, parse_header, parse_row

MOST_TASKS = 1 << 18
"""Rows of one table that are kept: more processes than any machine has had in a report."""
MOST_VICTIMS = 10_000

# comm is 15 bytes at most, or none. It may hold blanks, colons, commas, brackets and line ends. What a
# program wrote on the console may stand before it, and printk's time between. A sentence is no report.
_TRIGGER = re.compile(
    r"(?:.{0,300}?\[ *\d{1,11}\.\d{6}\](?:\[ *[TC]\d+\])? )?(?:(?P<comm>\S.{0,14}?) )?invoked oom-killer"
    r"(?P<rest>: gfp_mask=0x[0-9a-f].*|:? ?(?:g(?:f(?:p(?:_(?:m(?:a(?:s(?:k(?:=(?:0x?)?)?)?)?)?)?)?)?)?)?$)"
)
# On a console without printk's times, where only the end of the line tells it from a sentence.
_TRIGGER_BEHIND = re.compile(
    r".{1,200}?(?P<comm>[^\s.]{1,15}) invoked oom-killer"
    r"(?P<rest>: gfp_mask=0x[0-9a-f]{1,16}(?:\([\w|]{0,400}\))?,"
    r"(?: nodemask=\S{1,64},)? {1,2}order=-?\d{1,2}(?:, oom\w{3,10}=-?\d{1,5}){1,2})$"
)
# OpenVZ, whose containers are beancounters.
_TRIGGER_UB = re.compile(
    r"(?P<pid>\d{1,10}) \((?P<comm>.{0,15})\) invoked oom-killer in ub (?P<ub>\d{1,10})"
    r"(?P<rest>(?: generation \d{1,10})? gfp 0x[0-9a-f]{1,16})"
)
_TRIGGER_OLD = re.compile(r"oom-killer: (?P<rest>gfp_mask=0x[0-9a-f]{1,16}(?:, order=\d{1,2})?)\s*$")
_MASK = re.compile(r"gfp(?:_mask=| )(?P<mask>0x[0-9a-f]{1,16})(?:\((?P<flags>[^)]{0,400})\)?)?")
_ORDER = re.compile(r"\border=(-?\d{1,2})(?!\d)")
_ADJ = re.compile(r"\b(oom_score_adj|oom_adj|oomkilladj)=(-?\d{1,10})")
_NODEMASK = re.compile(r"\bnodemask=(\d[\d,-]{0,200}?),? ")
_CPU = re.compile(
    r"(?:CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: |Pid: (?P<pid_old>\d+), comm: )(?P<rest>.*)"
)
_TAINT = re.compile(
    r"(?P<comm>.{0,64}?)\s+(?:Kdump: loaded )?(?:Not tainted|Tainted: (?P<taint>[A-Z ]{1,40}?)"
    r"(?: *-[- A-Za-z]{0,40})?) +(?P<release>(?:\(?)?\d+\.\d+[^\s#,]*)"
)
_CPUSET = re.compile(r"(?P<comm>\S.{0,63}?) cpuset=(?P<cpuset>\S+) mems_allowed=(?P<mems>\S*)")
_SUMMARY = re.compile(r"oom-kill:\s*constraint=CONSTRAINT_(?P<constraint>[A-Z_]+)(?P<rest>.*)", re.DOTALL)
_SUMMARY_FIELD = re.compile(
    r",(?=(?:nodemask|cpuset|mems_allowed|oom_memcg|task_memcg|task|pid|uid)=|global_oom\b)"
)
_CHOICE = re.compile(
    r"(?P<why>[^:]{0,80}(?:[Oo]ut of [Mm]emory|No available memory)[^:]{0,60}): [Kk]ill process (?P<pid>\d+)"
    r" \((?P<comm>.*)\) score (?P<score>-?\d+)",
    re.DOTALL,
)
_GROUP = re.compile(
    r"Tasks in (?P<group>/.{0,4000}?) are going to be ?(?:killed due to memory\.oom\.group set|k|$)"
)
_EXITING = re.compile(r"(?:OOM victim|.{0,40}) (?P<pid>\d{1,10}) \((?P<comm>.*)\) is already exiting")
_PANIC = re.compile(r"(?<!end )Kernel panic - not syncing: ?(?P<reason>.*)|Kernel panic: (?P<old>.*)")
_NOBODY = re.compile(r"(?:sysrq: )?(?:Out of memory and no killable processes|OOM request ignored)")
_FRAME = re.compile(
    r"\s*(?:\[<[0-9a-f]{8,16}>\] ?|\[[0-9a-f]{8,16}\] ?){0,2}(?:\? )?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x"
)
_SYSRQ = re.compile(r"[Ss]ys[Rr]q ?: (?:SysRq : )?Manual OOM execution")
_OTHER = re.compile(
    r"Mem-[Ii]nfo:|Tasks state \(|Call Trace:|Hardware name:|Workqueue:| ?</?(?:TASK|IRQ|NMI)>|Code: "
    r"|[A-Z]{2,3}[0-9]{0,2}: |COMPACTION is disabled|CPU +\d+: +(?:Hot|hi)|.{0,30} per-cpu:"
    r"|Swap cache|Free pages:|[0-9]+ pages (?:non-shared|dirty|writeback|mapped|pagetables)"
)
_MEMCG_FRAMES = ("mem_cgroup_out_of_memory", "mem_cgroup_oom_synchronize", "mem_cgroup_oom")

LEGACY = (2, 6, 18)
"""What an old kernel is taken for that does not tell its version (RHEL 5)."""


@dataclass
class Trigger:
    """The allocation that failed."""

    comm: Optional[str]
    """None where the kernel does not say who (up to 2.6.18)."""
    pid: Optional[int] = None
    gfp_mask: Optional[str] = None
    gfp_flags: Optional[str] = None
    """As kernels print them from 4.6 on; decoded where they did not."""
    order: Optional[int] = None
    """log2 of the pages asked for; -1 for SysRq-f."""
    oom_score_adj: Optional[int] = None
    """On the scale of oom_adj up to 2.6.35."""
    legacy: bool = False
    """The words are those of 2.6.35 or before."""


@dataclass
class OomEvent:
    """An OOM event, as far as the log tells it."""

    line: int
    """Line of the log it begins on."""
    offset: int
    time: Optional[float] = None
    time_source: Optional[str] = None
    monotonic: Optional[float] = None
    host: Optional[str] = None
    killer: str = "kernel"
    reason: Optional[str] = None
    """Why a userspace killer killed, in its words."""
    last_line: int = 0
    trigger: Optional[Trigger] = None
    manual: bool = False
    """Asked for by SysRq-f."""
    constraint: Optional[str] = None
    printed: Optional[str] = None
    """The constraint as the kernel printed it (from 5.0 on)."""
    constraint_note: Optional[str] = None
    """How the constraint is known, where the kernel's word is not taken for it."""
    memcg: Optional[str] = None
    task_memcg: Optional[str] = None
    cpuset: Optional[str] = None
    mems_allowed: Optional[str] = None
    nodemask: Optional[str] = None
    cpu: Optional[int] = None
    release: Optional[str] = None
    taint: Optional[str] = None
    chosen: Optional[tuple[int, Optional[str], Optional[int]]] = None
    """pid, comm and printed score of the task that the kernel chose; a child may have died for it."""
    allocating_task: bool = False
    """vm.oom_kill_allocating_task: nobody was weighed."""
    oom_group: Optional[str] = None
    victims: list[Victim] = field(default_factory=list)
    already_exiting: list[tuple[int, str]] = field(default_factory=list)
    nobody: bool = False
    """Nothing could be killed."""
    panic: Optional[str] = None
    """The kernel's panic message around this event."""
    panic_kind: Optional[str] = None
    frames: list[str] = field(default_factory=list)
    """Functions of the call trace."""
    memory: MemoryInfo = field(default_factory=MemoryInfo)
    group: Optional[MemoryGroup] = None
    columns: Optional[tuple[str, ...]] = None
    tasks: list[TaskRow] = field(default_factory=list)
    damaged: int = 0
    """Lines of the report that were damaged and left out."""
    dropped: bool = False
    """Messages were lost within the report, as printk or a logging daemon says."""
    mixed: bool = False
    """Another report was printed at the same time, and lines of one may be taken for the other's."""
    passed_over: frozenset[int] = frozenset()
    """Processes that earlier events had killed: if they are still there, they are not taken again."""

    @property
    def version(self) -> Optional[Version]:
        """Version of the kernel, or None. A report of old words is told from them."""
        match = re.match(r"\(?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", self.release or "")
        if match is None and self.trigger is not None and self.trigger.legacy:
            return LEGACY
        return tuple(int(part) for part in match.groups("0")) if match else None

    @property
    def page_size(self) -> int:
        """Bytes of a page: as the report shows it, else the usual."""
        if self.memory.page_size:
            return self.memory.page_size
        rows = {row.pid: row for row in self.tasks}
        for victim in self.victims:
            parts = (victim.anon_rss, victim.file_rss, victim.shmem_rss)
            held = sum(part for part in parts if part is not None)
            row = rows.get(victim.pid or 0)
            if row is not None and held and (pages := row.values.get("rss")):
                return min(PAGE_SIZES, key=lambda size: abs(pages * size - held))
        return PAGE_SIZES[0]

    @property
    def unfinished(self) -> bool:
        """Whether another report was printed at the same time, and the kill of this one is still to come."""
        return self.mixed and not self.victims

    def asked_by(self, text: str) -> bool:
        """Return whether a line tells of the task that asked, which this event lacks so far."""
        trigger, match = self.trigger, _CPU.match(text)
        if trigger is None or trigger.pid is not None or match is None:
            return False
        named = _TAINT.match(match["rest"])
        return named is not None and named["comm"] == trigger.comm

    def waits_for(self, pid: int) -> int:
        """Return how likely a process is the victim that this event lacks: 2 it asked, 1 it is listed."""
        if self.victims:
            return 0
        if self.trigger is not None and self.trigger.pid == pid:
            return 2
        return int(any(row.pid == pid for row in self.tasks))

    @property
    def kind(self) -> str:
        """``oom_kill`` when something was killed, else ``oom_report``."""
        return "oom_kill" if self.victims or self.killer != "kernel" else "oom_report"

    @property
    def missing(self) -> list[str]:
        """What a whole report of this kernel has and this one has not; empty when it is complete."""
        if self.killer != "kernel":
            return []
        lost = [] if self.trigger is not None else ["trigger"]
        in_group = self.constraint == "memcg"
        if not (self.group and self.group.usage) and (in_group or not self.memory.zones):
            lost.append("memory")
        # Printed by default from 2.6.34 on, and by RHEL 6.
        if self.columns is None and ((self.version or (4,)) >= (2, 6, 34) or ".el6" in (self.release or "")):
            lost.append("tasks")
        if not (self.victims or self.panic or self.nobody or self.already_exiting):
            lost.append("outcome")
        lost += ["dropped lines"] if self.dropped else []
        return lost + (["damaged lines"] if self.damaged else [])

    def settle(self) -> None:
        """Draw the conclusions that need all lines. Call once, at the end."""
        self.memory.settle_page_size()
        trigger = self.trigger
        if trigger is not None:
            if trigger.gfp_mask is not None and trigger.gfp_flags is None:
                trigger.gfp_flags = decode(int(trigger.gfp_mask, 16), self.version)
            self.manual = self.manual or trigger.order == -1
        if self.group is not None:
            self.memcg = self.memcg or self.group.path
            self.task_memcg = self.task_memcg or self.group.task_path
        if self.memcg and self.constraint in (None, "none"):
            self.constraint = "memcg"
        if (self.constraint, self.printed) == ("memcg", "none"):
            self.constraint_note = "the kernel printed CONSTRAINT_NONE, as 5.0 to 5.2 do for memory cgroups"
        if self.constraint is None and self.group is not None and self.group.usage:
            self.constraint = "memcg"
        if self.constraint is None and any(frame in _MEMCG_FRAMES for frame in self.frames):
            self.constraint, self.constraint_note = "memcg", "from the call trace"
        if self.constraint is None and self.printed is None and self.nodemask is not None:
            self.constraint, self.constraint_note = "memory_policy", "from the nodemask in its first line"
        if self.constraint is None and self.killer == "kernel":
            self.constraint = "none"


class ReportReader:
    """Takes in the lines of one event."""

    def __init__(self, event: OomEvent) -> None:
        self.event = event
        self._memory = MemoryReader()
        self._group = GroupReader()
        self._in_table = False
        event.memory = self._memory.info

    def take(self, text: str) -> bool:
        """Take in a line; return whether it belongs to the report.

        Memory and processes are printed before the kill: what comes after it is of something else.
        """
        event = self.event
        text = text.strip()
        if event.victims:
            return self._take_outcome(text)
        if self._in_table and is_row(text):
            row = parse_row(text, event.columns) if event.columns else None
            if row is None:
                event.damaged += 1
            elif len(event.tasks) < MOST_TASKS:
                event.tasks.append(row)
            return True
        if text.startswith("[ ") and (" name" in text or "total_vm" in text):
            columns = parse_header(text)
            self._in_table = True
            event.damaged += columns is None
            event.columns = columns if event.columns is None else event.columns
            return True
        if (match := _SUMMARY.match(text)) is not None:
            self._summary(match)
        elif (match := _CPU.match(text)) is not None:
            self._cpu(match)
        elif (match := _CPUSET.match(text)) is not None:
            event.cpuset, event.mems_allowed = match["cpuset"], match["mems"] or None
        elif (match := _CHOICE.match(text)) is not None:
            event.chosen = int(match["pid"]), match["comm"], int(match["score"])
            self._why(match["why"])
        elif self._take_outcome(text):
            pass
        elif self._group.take(text):
            event.group = self._group.group
        elif self._memory.take(text) or _OTHER.match(text):
            pass
        elif (match := _FRAME.match(text)) is not None:
            if len(event.frames) < 64:
                event.frames.append(match[1])
        else:
            return False
        return True

    def _take_outcome(self, text: str) -> bool:
        event = self.event
        if (match := _GROUP.match(text)) is not None:
            event.oom_group = match["group"]
        elif (match := _EXITING.match(text)) is not None:
            event.already_exiting.append((int(match["pid"]), match["comm"]))
        elif _NOBODY.match(text):
            event.nobody = True
        else:
            return False
        return True

    def _summary(self, match: re.Match[str]) -> None:
        event, rest = self.event, match["rest"]
        word = match["constraint"].lower()
        event.printed = word
        event.constraint = event.constraint if event.constraint == "memcg" else word
        found = _summary_fields(rest)
        event.nodemask = found.get("nodemask")
        event.cpuset = found.get("cpuset", event.cpuset)
        event.mems_allowed = found.get("mems_allowed", event.mems_allowed)
        event.memcg = found.get("oom_memcg", event.memcg)
        event.task_memcg = found.get("task_memcg", event.task_memcg)
        if found.get("pid", "").isdecimal():
            event.chosen = int(found["pid"][:10]), found.get("task"), None

    def _cpu(self, match: re.Match[str]) -> None:
        event = self.event
        named = _TAINT.match(match["rest"])
        if event.trigger is not None and event.trigger.pid is None:
            event.trigger.pid = int((match["pid"] or match["pid_old"])[:10])
            event.cpu = int(match["cpu"][:6]) if match["cpu"] else None
            asked = event.trigger.comm
            # What stood before it on a console may have been taken for a part of it, or the other way round.
            if named is not None and (not asked or _same_end(asked, named["comm"])):
                event.trigger.comm = named["comm"]
        if named is not None and event.release is None:
            event.release, event.taint = named["release"], named["taint"]

    def _why(self, why: Optional[str]) -> None:
        event = self.event
        if not why:
            return
        if why.startswith("Memory cgroup"):
            event.constraint = "memcg"
        elif "MPOL_BIND" in why:
            event.constraint = "memory_policy"
        elif "cpuset" in why:
            event.constraint = "cpuset"
        elif re.search(r"in UB [1-9]", why):
            event.constraint = "beancounter"
        event.allocating_task = event.allocating_task or "oom_kill_allocating_task" in why

    def kill(self, text: str) -> bool:
        """Take in a line that tells of a kill; return whether it does."""
        victim, why = parse_kill(text)
        if victim is None:
            return False
        event = self.event
        self._in_table = False
        self._why(why)
        chosen = event.chosen
        if any(known.pid == victim.pid and known.comm == victim.comm for known in event.victims):
            return True  # said twice: a task killed with its group
        if victim.how == "chosen":
            if event.oom_group is not None:
                victim.how = "group"
            elif chosen is not None and victim.pid != chosen[0]:
                victim.how = "child"
            elif chosen is not None:
                victim.score = chosen[2]
        if len(event.victims) < MOST_VICTIMS:
            event.victims.append(victim)
        return True

    def reaped(self, pid: int, whether: bool) -> bool:
        """Note what the reaper said of a victim; return whether it is one of this event."""
        for victim in self.event.victims:
            if victim.pid == pid:
                victim.reaped = whether
                return True
        return False


def parse_trigger(text: str) -> Optional[Trigger]:
    """Return the trigger in a line, or None.

    >>> found = parse_trigger("tmux: server invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=1")
    >>> found.comm, found.gfp_flags, found.order, found.gfp_mask
    ('tmux: server', 'GFP_KERNEL', 1, '0xcc0')
    """
    match = (
        _TRIGGER.match(text)
        or _TRIGGER_OLD.match(text)
        or _TRIGGER_UB.match(text)
        or _TRIGGER_BEHIND.match(text)
    )
    if match is None:
        return None
    rest, told = match["rest"], match.groupdict()
    mask, order, adj = _MASK.search(rest), _ORDER.search(rest), _ADJ.search(rest)
    last = list(_ADJ.finditer(rest))
    named = {found[1]: int(found[2]) for found in last}
    return Trigger(
        told["comm"] or "" if "comm" in told else None,
        pid=int(told["pid"]) if "pid" in told else None,
        gfp_mask=mask["mask"] if mask else None,
        gfp_flags=(mask["flags"] or None) if mask else None,
        order=int(order[1]) if order else None,
        oom_score_adj=named.get("oom_score_adj", int(adj[2]) if adj else None),
        legacy="comm" not in told or (adj is not None and "oom_score_adj" not in named),
    )


def parse_nodemask(text: str) -> Optional[str]:
    """Return the nodes in the first line of a report, where a memory policy gave some (4.10 to 4.20).

    >>> parse_nodemask("a invoked oom-killer: gfp_mask=0xd0, nodemask=0-1, order=0, oom_score_adj=0")
    '0-1'
    """
    match = _NODEMASK.search(text)
    return match[1] if match is not None else None


def parse_panic(text: str) -> Optional[tuple[str, str]]:
    """Return the message of a panic and its kind, or None.

    Kinds: ``compulsory`` and ``system-wide`` (vm.panic_on_oom), ``no killable``, ``deadlocked``, ``init``
    (it was killed), ``other``.

    >>> parse_panic("Kernel panic - not syncing: System is deadlocked on memory")[1]
    'deadlocked'
    """
    match = _PANIC.search(text)
    if match is None:
        return None
    reason = (match["reason"] or match["old"] or "").lower()
    for word, kind in (
        ("compulsory panic_on_oom", "compulsory"),
        ("panic_on_oom", "system-wide"),
        ("no killable", "no killable"),
        ("deadlocked on memory", "deadlocked"),
        ("attempted to kill init", "init"),
    ):
        if word in reason:
            return match[0].strip(), kind
    return match[0].strip(), "other"


def is_sysrq(text: str) -> bool:
    """Return whether somebody asked for an OOM kill by SysRq."""
    return _SYSRQ.match(text) is not None


def _same_end(one: str, other: str) -> bool:
    """Whether one is the other and whole words more before it."""
    return f" {one}".endswith(f" {other}") or f" {other}".endswith(f" {one}")


def _summary_fields(rest: str) -> dict[str, str]:
    """The ``name=value`` fields behind the constraint; cgroup names may hold commas."""
    found = {}
    for part in _SUMMARY_FIELD.split(rest):
        name, _, value = part.partition("=")
        if value:
            found[name.strip()] = value.strip()
    return found
