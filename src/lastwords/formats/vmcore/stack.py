"""Back traces: from the registers of a CPU or the stack of a sleeping task up to where it began.

x86_64 by ORC; aarch64 by frame pointers, which its kernels always keep. Sources:
arch/x86/kernel/unwind_orc.c, arch/x86/include/asm/ptrace.h, arch/arm64/kernel/stacktrace.c, struct
elf_prstatus in include/linux/elfcore.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from lastwords.formats.vmcore import orc
from lastwords.formats.vmcore.elf import Note
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.modules import Module, list_modules
from lastwords.formats.vmcore.orc import OrcTable, Step
from lastwords.formats.vmcore.source import DumpError

MAX_FRAMES = 128
_SEARCHED = 2048
"""Bytes of stack searched for a return address where ORC knows nothing."""
_PRSTATUS = 1
_PID_AT, _REGISTERS_AT = 32, 112
X86_64 = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss"),
)
AARCH64 = (*(f"x{number}" for number in range(31)), "sp", "pc", "pstate")
_KERNEL = 1 << 63
_ALL = (1 << 64) - 1
_Caller = Optional[tuple[int, int, int, bool, bool]]
"""Address, stack and frame pointer; whether it called or was interrupted; whether that is exact."""


@dataclass(frozen=True)
class CpuState:
    """What a CPU was doing: its note."""

    cpu: int
    """In the order of the notes; CPUs that were offline have none."""
    pid: int
    """The task, as the kernel noted it; a guest dumped by QEMU has the number of the CPU there."""
    registers: dict[str, int]


@dataclass(frozen=True)
class Frame:
    """One frame."""

    address: int
    stack: int
    """The stack pointer in that frame."""
    symbol: Optional[str] = None
    offset: int = 0
    module: Optional[str] = None
    exact: bool = True
    """False for one that was guessed by searching the stack."""


def cpu_states(notes: tuple[Note, ...], machine: Optional[str]) -> list[CpuState]:
    """Return the registers of each CPU."""
    names = {"x86_64": X86_64, "aarch64": AARCH64}.get(machine or "")
    found: list[CpuState] = []
    for note in notes:
        if names is None or note.type != _PRSTATUS or note.name != b"CORE":
            continue
        if len(note.data) < _REGISTERS_AT + 8 * len(names):
            continue
        values = struct.unpack_from(f"<{len(names)}Q", note.data, _REGISTERS_AT)
        pid = struct.unpack_from("<i", note.data, _PID_AT)[0]
        found.append(CpuState(len(found), pid, dict(zip(names, values))))
    return found


class Unwinder:
    """Makes back traces."""

    def __init__(self, layout: Layout, machine: Optional[str]) -> None:
        """:raises DumpError: the architecture is not known"""
        if machine not in ("x86_64", "aarch64"):
            raise DumpError(f"back traces of architecture {machine or 'unknown'} are not made")
        self._layout = layout
        self._arm = machine == "aarch64"
        info = layout.kernel.info
        used, bits = info.find_number("TCR_EL1_T1SZ"), info.find_number("VA_BITS") or 48
        self._bits = 64 - used if used and 12 <= used <= 39 else min(max(bits, 25), 52)
        """Bits of an address on aarch64."""

    @cached_property
    def _modules(self) -> list[Module]:
        try:
            return list_modules(self._layout)
        except DumpError:
            return []

    @cached_property
    def _orc(self) -> OrcTable:
        return OrcTable.of_kernel(self._layout)

    @cached_property
    def _text(self) -> tuple[int, int]:
        symbols = self._layout.symbols
        return symbols.get("_stext"), symbols.get("_etext")

    def _module(self, address: int) -> Optional[Module]:
        return next((module for module in self._modules if module.holds(address)), None)

    def _is_code(self, address: int) -> bool:
        return self._text[0] <= address < self._text[1] or self._module(address) is not None

    def frame(self, address: int, stack: int, exact: bool = True, called: bool = True) -> Frame:
        """Return a frame with its symbol.

        :param called: the address is where a call returns to: it may be the first of the next function
        """
        inside = address - 1 if called else address
        module = None
        if self._text[0] <= address < self._text[1]:
            found = self._layout.symbols.name(inside)
        else:
            module = self._module(address)
            found = module.symbol(inside) if module else self._layout.symbols.name(inside)
        if found is None:
            return Frame(address, stack, module=module.name if module else None, exact=exact)
        return Frame(
            address, stack, found[0], found[1] + (address - inside), module.name if module else None, exact
        )

    def of_cpu(self, state: CpuState) -> list[Frame]:
        """Return the back trace of a CPU, innermost first."""
        registers = state.registers
        if self._arm:
            return list(self._by_pointers(registers["pc"], registers["x29"], registers["sp"], False))
        return list(self._by_orc(registers["rip"], registers["rsp"], registers["rbp"], False))

    def of_task(self, task: int) -> list[Frame]:
        """Return the back trace of a task that is not running. :raises DumpError: its layout is not known"""
        layout = self._layout
        if self._arm:
            place = "thread.cpu_context."
            at, pointer, stack = (
                layout.get(task, "task_struct", place + name) for name in ("pc", "fp", "sp")
            )
            return list(self._by_pointers(at, pointer, stack, True))
        stack = layout.get(task, "task_struct", "thread.sp")
        at = layout.get(stack, "inactive_task_frame", "ret_addr")
        pointer = layout.get(stack, "inactive_task_frame", "bp")
        size = layout.types.size(layout.types.struct("inactive_task_frame"))
        return list(self._by_orc(at, stack + size, pointer, True))

    def _by_pointers(self, at: int, pointer: int, stack: int, called: bool) -> Iterator[Frame]:
        kernel = self._layout.kernel
        yield self.frame(at, stack, called=called)
        seen: set[int] = set()
        while len(seen) < MAX_FRAMES:
            if pointer < _KERNEL or pointer % 8 or pointer in seen:
                return
            seen.add(pointer)
            try:
                raw = kernel.read(pointer, 16)
            except DumpError:
                return
            following, at = struct.unpack("<QQ", raw)
            if at >> 55 & 1:  # without the signature of pointer authentication
                at |= _ALL << self._bits & _ALL
            stack, pointer = pointer + 16, following
            if at < _KERNEL or at == _ALL:
                return
            yield self.frame(at, stack)

    def _by_orc(self, at: int, sp: int, bp: int, called: bool) -> Iterator[Frame]:
        exact = True
        seen = set()
        for _ in range(MAX_FRAMES):
            if at < _KERNEL or (at, sp) in seen:
                return
            seen.add((at, sp))
            yield self.frame(at, sp, exact, called)
            try:
                step = self._step(at - 1 if called else at)
                up = self._up(step, sp, bp) if step and step.kind else self._search(at, sp, bp)
            except DumpError:
                return
            if up is None:
                return
            at, sp, bp, called, exact = up

    def _step(self, address: int) -> Optional[Step]:
        if self._text[0] <= address < self._text[1]:
            return self._orc.step(address)
        module = self._module(address)
        table = module.orc(self._orc) if module else None
        return table.step(address) if table else None

    def _up(self, step: Step, sp: int, bp: int) -> _Caller:
        """Return the caller, by the tables."""
        if step.kind == orc.END:
            return None
        pointer = self._layout.kernel.pointer
        if step.sp_reg == orc.SP:
            frame = sp + step.sp_offset
        elif step.sp_reg == orc.BP:
            frame = bp + step.sp_offset
        elif step.sp_reg == orc.SP_INDIRECT:
            frame = pointer(sp) + step.sp_offset
        else:
            frame = pointer(bp + step.sp_offset)
        frame &= _ALL
        if step.kind == orc.CALL:
            at = pointer(frame - 8)
            if step.bp_reg == orc.PREVIOUS_SP:
                bp = pointer(frame + step.bp_offset)
            elif step.bp_reg == orc.BP:
                bp = pointer(bp + step.bp_offset)
            return at, frame, bp, True, True
        # An interrupt or exception: struct pt_regs stands here, or the part that the processor pushed.
        places = {name: frame + 8 * number for number, name in enumerate(X86_64)}
        if step.kind == orc.REGS_PARTIAL:
            places = {"rip": frame, "cs": frame + 8, "rsp": frame + 24}
        if pointer(places["cs"]) & 3:
            return None  # came from user space
        bp = pointer(places["rbp"]) if "rbp" in places else bp
        return pointer(places["rip"]), pointer(places["rsp"]), bp, False, True

    def _search(self, at: int, sp: int, bp: int) -> _Caller:
        """Search the stack for a return address after a call: for code that is written in assembler."""
        name = self.frame(at, sp).symbol or ""
        if name.startswith(("ret_from_fork", "entry_SYSCALL", "secondary_startup", "common_startup")):
            return None
        pointer = self._layout.kernel.pointer
        for place in range(sp, sp + _SEARCHED, 8):
            value = pointer(place)
            if self._returns_to(value):
                return value, place + 8, bp, True, False
        return None

    def _returns_to(self, address: int) -> bool:
        """Return whether an address is one that a call in the kernel returns to."""
        if address < _KERNEL or not self._is_code(address):
            return False
        before = self._layout.kernel.read(address - 5, 5)
        return before[0] == 0xE8 or 0xFF in (before[2], before[3])
