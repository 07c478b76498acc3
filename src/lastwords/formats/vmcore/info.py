"""VMCOREINFO: the few symbols, sizes and offsets that a kernel notes for those who read its dump.

Source: kernel/crash_core.c (kernel/vmcore_info.c since 6.9) and the ``arch_crash_save_vmcoreinfo`` of each
architecture; Documentation/admin-guide/kdump/vmcoreinfo.rst.
"""

from __future__ import annotations

import re
from typing import Optional

from lastwords.formats.vmcore.source import DumpError

LIMIT = 1 << 20
"""Longest text that is read; the kernel writes at most a page."""
_LINE = re.compile(r"([A-Za-z_]+(?:\([\w.]+\))?|BUILD-ID)=(.*)")


class VmcoreInfo:
    """What the text says; asked for by the names that the kernel's macros have."""

    def __init__(self, text: str) -> None:
        self.values: dict[str, str] = {}
        for line in text.split("\n"):
            if (match := _LINE.fullmatch(line.strip("\0\r"))) is not None:
                self.values[match[1]] = match[2]

    @classmethod
    def parse(cls, data: bytes) -> VmcoreInfo:
        """Read the content of the note.

        >>> info = VmcoreInfo.parse(b"OSRELEASE=6.1.0-56\\nSYMBOL(prb)=ffffffff82a4\\nSIZE(prb_desc)=24\\n")
        >>> info.release, hex(info.symbol("prb")), info.size("prb_desc")
        ('6.1.0-56', '0xffffffff82a4', 24)
        """
        return cls(data.decode("ascii", "replace"))

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def release(self) -> Optional[str]:
        """Release of the kernel."""
        return self.values.get("OSRELEASE") or None

    @property
    def build_id(self) -> Optional[str]:
        """Build id of its vmlinux in lower case hexadecimal; kernels before 5.9 do not tell."""
        found = self.values.get("BUILD-ID", "").lower()
        return found if re.fullmatch("[0-9a-f]{16,64}", found) else None

    @property
    def crash_time(self) -> Optional[int]:
        """When it crashed, seconds since the epoch; only after a real crash, not in a dump of a guest."""
        return self._number("CRASHTIME", 10)

    @property
    def page_size(self) -> Optional[int]:
        """Bytes of a page."""
        return self._number("PAGESIZE", 10)

    def _number(self, key: str, base: int) -> Optional[int]:
        text = self.values.get(key, "").strip()
        try:
            return int(text, base) if 0 < len(text) <= 24 else None
        except ValueError:
            return None

    def has(self, key: str) -> bool:
        """Return whether it tells of *key*: ``SYMBOL(prb)``."""
        return key in self.values

    def find_symbol(self, name: str) -> Optional[int]:
        """Return the address of a symbol, or None."""
        return self._number(f"SYMBOL({name})", 16)

    def find_number(self, name: str) -> Optional[int]:
        """Return a number, or None; written in decimal or hexadecimal."""
        return self._number(f"NUMBER({name})", 0)

    def symbol(self, name: str) -> int:
        """Return the address of a symbol. :raises DumpError: it is not told"""
        return self._told(f"SYMBOL({name})", 16)

    def size(self, name: str) -> int:
        """Return the size of a structure in bytes. :raises DumpError: it is not told"""
        return self._told(f"SIZE({name})", 10, 1 << 16)

    def offset(self, name: str) -> int:
        """Return the offset of a member in bytes. :raises DumpError: it is not told"""
        return self._told(f"OFFSET({name})", 10, 1 << 16)

    def _told(self, key: str, base: int, most: int = 1 << 64) -> int:
        value = self._number(key, base)
        if value is None or not 0 <= value < most:
            told = self.values.get(key)
            raise DumpError(
                f"VMCOREINFO: expected {key}, found {told[:40]!r}" if told else f"VMCOREINFO lacks {key}"
            )
        return value
