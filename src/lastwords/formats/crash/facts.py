"""What a kernel report tells besides its trace: CPU, process, kernel, taint, hardware, modules, registers.

Sources: lib/dump_stack.c (``dump_stack_print_info``), kernel/panic.c (``print_tainted``),
kernel/module/main.c (``print_modules``), ``show_regs`` and ``__show_regs`` of each architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional

from lastwords.formats.crash.taint import Taint, taint_of_letters

# Red Hat writes a dash for every flag of its own that is not set, and some of those in small letters.
_TAINT = (
    r"(?P<taint>Not tainted|Tainted:(?: +(?:[A-Zu]{1,24}|\[\w\]=\w+,?)(?=[ -]))*)"
    r"(?: *-[- A-Za-z]{0,40}(?= ))?"
)
_CPU = re.compile(
    r"^CPU: ?(?P<cpu>\d+)(?: UID: \d+)? PID: ?(?P<pid>\d+) Comm: (?P<comm>.{1,64}?)(?: Kdump: \w+)? "
    rf"{_TAINT} +(?P<release>[^\s-]\S*)"
    r"(?: (?P<build>\(.+?\)|#\S.{0,80}))?"
)
_OLD_PID = re.compile(
    r"^(?:Pid: (?P<pid>\d+), )?comm: (?P<comm>.{1,64}?)(?: xid: #\d+)? "
    rf"{_TAINT}"
    r" +\(?(?P<release>\d\S+?)\)? #?"
)
_OLD_CPU = re.compile(r"^CPU:? ?(?P<cpu>\d+) +(?:Not tainted|Tainted)|^CPU (?P<alone>\d+) ?$")
_BETWEEN = re.compile(r"^(?P<release>\d\S+) (?P<build>#\S+) (?P<taint>Not tainted|Tainted: .{0,60})$")
_STUCK = re.compile(r"(?:CPU#(?P<cpu>\d+) .{0,40}\[|INFO: task )(?P<comm>.{1,64}?):(?P<pid>\d+)(?:\]| )")
_BY_TASK = re.compile(r"by task (?P<comm>.{1,64}?)/(?P<pid>\d+)(?: on cpu (?P<cpu>\d+))?")
_NAMED = re.compile(
    r"^(?:.{0,40} on CPU#(?P<cpu>\d+), |.{0,80}\bcode: )?(?P<comm>\S{1,64})/(?P<pid>\d+)(?:/0x\d+)?$"
)
_HARDWARE = re.compile(r"^Hardware name: (?P<name>.+?)\s*$")
_MODULES = re.compile(r"^Modules linked in:(?P<names>.*)")
_MODULE = re.compile(r"^(?P<name>[A-Za-z0-9_][\w-]*)(?:\((?P<flags>[A-Z+-]+)\))?$")
_REGISTER = re.compile(
    r"^(?:RIP|RSP|R[A-D]X|R[0-9]{2}|RBP|FS|CS|CR\d|DR\d|EIP|ESP|E[A-D]X|ESI|EFLAGS|DS|PC is at|LR is at"
    r"|pc|lr|sp|x\d+|r\d+"
    r"|pstate|psr|Flags|Control|NIP|MSR|GPR\d+|CFAR|DAR|CTR|XER|Krnl PSW|Krnl GPRS|epc|gp|tp|t\d|s\d+"
    r"|a\d|status|PKRU|IP"
    r"|ra|badaddr|cause)\b ?(?::|\[|at|is)"
)
_CODE = re.compile(r"^(?:Code|Krnl Code|Code disassembly|Instruction dump): ?(?P<code>.*)")
_LAST_UNLOADED = re.compile(r"\[last unloaded: (?P<name>[\w-]+)")
REGISTER_LINES = 60
MODULES = 600


@dataclass
class Facts:
    """What is known of the machine at the time of a report; None is what it did not tell."""

    cpu: Optional[int] = None
    pid: Optional[int] = None
    comm: Optional[str] = None
    release: Optional[str] = None
    build: Optional[str] = None
    taint: Optional[str] = None
    """The letters, without blanks; ``""`` when the kernel is not tainted."""
    hardware: Optional[str] = None
    modules: tuple[str, ...] = ()
    """With their flags: ``nvidia(PO)``."""
    registers: list[str] = field(default_factory=list)
    """Raw lines."""
    code: Optional[str] = None

    @property
    def taints(self) -> list[Taint]:
        """The letters decoded."""
        return taint_of_letters(self.taint or "")


def facts_of(lines: Sequence[str]) -> Facts:
    """Return what the lines of a report tell; the first that tells of something counts.

    >>> line = "CPU: 1 PID: 77 Comm: kworker/1:2 Kdump: loaded Tainted: G        W  OE  6.1.0-18 #1 Debian"
    >>> found = facts_of([line])
    >>> (found.cpu, found.pid, found.comm, found.taint, found.release)
    (1, 77, 'kworker/1:2', 'GWOE', '6.1.0-18')
    """
    facts = Facts()
    for at, line in enumerate(lines):
        if (match := _CPU.match(line) or _OLD_PID.match(line)) is not None or (
            match := _BETWEEN.match(line)
        ) is not None:
            _take(facts, match)
        elif (match := _OLD_CPU.match(line)) is not None:
            number = match["cpu"] or match["alone"]
            facts.cpu = int(number) if facts.cpu is None and len(number) < 9 else facts.cpu
        elif facts.hardware is None and (match := _HARDWARE.match(line)) is not None:
            facts.hardware = match["name"]
        elif not facts.modules and (match := _MODULES.match(line)) is not None:
            facts.modules = tuple(_modules(match["names"], lines[at + 1 : at + 40]))
        elif facts.code is None and (match := _CODE.match(line)) is not None:
            facts.code = match["code"][:400]
        elif _REGISTER.match(line) is not None and len(facts.registers) < REGISTER_LINES:
            facts.registers.append(line)
    for line in lines[:3]:
        for pattern in (_STUCK, _BY_TASK, _NAMED):
            if (match := pattern.search(line)) is not None:
                _take(facts, match)
    return facts


def _take(facts: Facts, match: re.Match[str]) -> None:
    for name, value in match.groupdict().items():
        if value is None or getattr(facts, name) is not None:
            continue
        if name in ("cpu", "pid"):
            setattr(facts, name, int(value) if len(value) < 10 else None)
        elif name == "taint":
            facts.taint = "" if value.startswith("Not") else _letters(value)
        else:
            setattr(facts, name, value.strip())


def _letters(text: str) -> str:
    """Return the letters of ``Tainted: G        W  O`` or of ``Tainted: [W]=WARN, [O]=OOT_MODULE``."""
    text = text.partition(":")[2]
    marked = re.findall(r"\[(\w)\]=", text)
    return "".join(marked) if marked else "".join(text.split())


def _modules(first: str, rest: Iterable[str]) -> list[str]:
    """Return the modules of a line, and of the lines after it where a log wrapped it."""
    found: list[str] = []
    for line in (first, *rest):
        words = line.partition("[last unloaded")[0].split()
        if line is not first and (
            not words or _OLD_CPU.match(line) or not all(_MODULE.match(word) for word in words)
        ):
            break
        found += [word for word in words if _MODULE.match(word)]
        if "[last unloaded" in line or len(line) < 60:
            break
    return found[:MODULES]
