"""Loaded modules: where their code is, its symbols, and their ORC tables.

Sources: include/linux/module.h (the code moved from ``core_layout`` to ``mem[]`` in 6.4; 4.4 and before had
``module_core``), arch/x86/include/asm/module.h.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from lastwords.formats.vmcore.kernel import Region
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.orc import OrcTable
from lastwords.formats.vmcore.source import DumpError

MAX_MODULES = 4096
MAX_SYMBOLS = 1 << 18
_ALL = (1 << 64) - 1
_SYMBOL = 24
"""Bytes of Elf64_Sym: name, info, other, section, value, size."""


@dataclass(frozen=True)
class Module:
    """One module."""

    layout: Layout
    address: int
    name: str
    base: int
    size: int
    """Of its code."""

    def holds(self, address: int) -> bool:
        """Return whether an address is in its code."""
        return self.base <= address < self.base + self.size

    def orc(self, kernel: OrcTable) -> Optional[OrcTable]:
        """Return its ORC table, or None.

        :param kernel: that of the kernel image
        """
        get = self.layout.get
        try:
            count = get(self.address, "module", "arch.num_orcs")
            places = get(self.address, "module", "arch.orc_unwind_ip")
            return kernel.other(places, get(self.address, "module", "arch.orc_unwind"), count)
        except DumpError:
            return None

    @cached_property
    def _functions(self) -> list[tuple[int, int]]:
        """Address of each symbol in the code, and where its name is, sorted; none where not all are there."""
        found = []
        try:
            table = self.layout.get(self.address, "module", "kallsyms")
            count = self.layout.get(table, "mod_kallsyms", "num_symtab")
            if not 0 < count <= MAX_SYMBOLS:
                return []
            start = self.layout.get(table, "mod_kallsyms", "symtab")
            symbols = Region(self.layout.kernel, start, count * _SYMBOL)
            for i in range(count):
                raw = symbols.read(i * _SYMBOL, _SYMBOL)
                value = int.from_bytes(raw[8:16], "little")
                if self.holds(value):
                    found.append((value, int.from_bytes(raw[:4], "little")))
        except DumpError:
            return []
        return sorted(found)

    def symbol(self, address: int) -> Optional[tuple[str, int]]:
        """Return the function that holds an address, and how far in it is."""
        try:
            below = bisect_right(self._functions, (address, _ALL))
            if not below:
                return None
            value, name = self._functions[below - 1]
            table = self.layout.get(self.address, "module", "kallsyms")
            text = self.layout.kernel.string(self.layout.get(table, "mod_kallsyms", "strtab") + name)
        except DumpError:
            return None
        return text, address - value


def list_modules(layout: Layout) -> list[Module]:
    """Return the loaded modules. :raises DumpError: names or layouts are not there"""
    found = []
    link, name_at = layout.offset("module", "list"), layout.offset("module", "name")
    for address in layout.entries(layout.symbols.get("modules"), link, MAX_MODULES):
        try:
            if layout.has("module", "mem"):
                # The first of mem[] is MOD_TEXT.
                base_at = address + layout.offset("module", "mem")
                base = layout.get(base_at, "module_memory", "base")
                size = layout.get(base_at, "module_memory", "size")
            else:
                base = layout.get(address, "module", "core_layout.base")
                size = layout.get(address, "module", "core_layout.text_size")
            found.append(Module(layout, address, layout.kernel.string(address + name_at, 64), base, size))
        except DumpError:
            continue
    return found
