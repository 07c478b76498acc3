"""ORC: how x86_64 kernels find the caller of a function without frame pointers.

A sorted table of addresses and, for each, how to get from the stack pointer there to that of the caller.
The tables lie in the kernel image; modules have theirs. Sources: arch/x86/include/asm/orc_types.h,
arch/x86/kernel/unwind_orc.c, Documentation/arch/x86/orc-unwinder.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.kernel import Region
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.source import DumpError

BP, SP, BP_INDIRECT, SP_INDIRECT, PREVIOUS_SP = "bp", "sp", "bp indirect", "sp indirect", "previous sp"
_NUMBERS = (
    {1: PREVIOUS_SP, 4: BP, 5: SP, 8: BP_INDIRECT, 9: SP_INDIRECT},
    {3: SP, 4: BP, 8: PREVIOUS_SP, 9: SP_INDIRECT, 10: BP_INDIRECT},
)
"""Registers as they were numbered first, and in 7.x. The others serve hand-written code only."""
_ENTRY = 8
"""At the first instruction of a function the caller's stack begins above the return address."""
END, CALL, REGS, REGS_PARTIAL = "end", "call", "regs", "partial"
_OLD = (CALL, REGS, REGS_PARTIAL)
_NEW = (None, END, CALL, REGS, REGS_PARTIAL)
"""Since 6.4: undefined and end of stack come first."""
MAX_ENTRIES = 1 << 22


@dataclass(frozen=True)
class Step:
    """How to get from one frame to the one above."""

    kind: Optional[str]
    """One of the constants above, or None: nothing is known, as of code written in assembler."""
    sp_reg: Optional[str]
    """One of the registers above, or None."""
    sp_offset: int
    bp_reg: Optional[str]
    bp_offset: int


class OrcTable:
    """One table: that of the kernel image, or of a module."""

    def __init__(self, layout: Layout, places: int, steps: int, count: int) -> None:
        """Remember where it is.

        :param places: address of the sorted table of relative addresses
        :param steps: address of the entries
        """
        if not 0 < count <= MAX_ENTRIES:
            raise DumpError(f"ORC table of {count} entries: absurd")
        types = layout.types
        self._size = types.size(types.struct("orc_entry"))
        self._fields = {
            name: types.member("orc_entry", name)
            for name in ("sp_offset", "bp_offset", "sp_reg", "bp_reg", "type")
        }
        end = types.find("orc_entry", "end")
        if end is not None:
            self._fields["end"] = end
        self._kinds = _NEW if self._fields["type"].bits > 2 else _OLD
        self._layout, self._numbers = layout, _NUMBERS[0]
        self._address, self._count = places, count
        self._places = Region(layout.kernel, places, 4 * count)
        self._steps = Region(layout.kernel, steps, self._size * count)

    @classmethod
    def of_kernel(cls, layout: Layout) -> OrcTable:
        """Return the table of the kernel image. :raises DumpError: it has none"""
        get = layout.symbols.get
        start = get("__start_orc_unwind_ip")
        table = cls(layout, start, get("__start_orc_unwind"), (get("__stop_orc_unwind_ip") - start) // 4)
        # No type tells how registers are numbered; how functions begin does.
        entry = table.values(get("panic"))
        for numbers in _NUMBERS:
            if numbers.get(entry["sp_reg"]) == SP and entry["sp_offset"] == _ENTRY:
                table._numbers = numbers
                return table
        raise DumpError("ORC: its registers are numbered in an unknown way")

    def other(self, places: int, steps: int, count: int) -> OrcTable:
        """Return the table of a module of the same kernel."""
        table = OrcTable(self._layout, places, steps, count)
        table._numbers = self._numbers
        return table

    def _place(self, i: int) -> int:
        return self._address + 4 * i + int.from_bytes(self._places.read(4 * i, 4), "little", signed=True)

    def values(self, address: int) -> dict[str, int]:
        """Return the fields of the entry that holds an address. :raises Missing: it is not in the dump"""
        low, high = 0, self._count
        while high - low > 1:
            middle = (low + high) // 2
            if self._place(middle) <= address:
                low = middle
            else:
                high = middle
        raw = int.from_bytes(self._steps.read(low * self._size, self._size), "little")
        found = {}
        for name, member in self._fields.items():
            width = member.bits or 16
            found[name] = raw >> member.bit & (1 << width) - 1
            if name.endswith("offset") and found[name] >> width - 1:
                found[name] -= 1 << width
        return found

    def step(self, address: int) -> Step:
        """Return how to get up from an address. :raises Missing: the table is not all in the dump"""
        value = self.values(address)
        kind = self._kinds[value["type"]] if value["type"] < len(self._kinds) else None
        sp_reg, bp_reg = self._numbers.get(value["sp_reg"]), self._numbers.get(value["bp_reg"])
        if value.get("end"):
            kind = END
        elif sp_reg in (None, PREVIOUS_SP) and kind != END:
            kind = None
        return Step(kind, sp_reg, value["sp_offset"], bp_reg, value["bp_offset"])
