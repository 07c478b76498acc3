"""The mount table of the kernel, as /proc/self/mounts shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Mount:
    """One line of /proc/PID/mounts."""

    source: str
    mountpoint: str
    type: str
    options: tuple[str, ...]

    def option(self, name: str) -> str | None:
        """Return the value of an option, empty for a switch, or None when it is not set."""
        for option in self.options:
            key, _, value = option.partition("=")
            if key == name:
                return value
        return None


def parse_mounts(text: str) -> list[Mount]:
    """Return the mounts in order; a later one hides an earlier one at the same place (proc(5)).

    >>> parse_mounts("tmpfs /dev/shm tmpfs rw,size=1024k 0 0")
    [Mount(source='tmpfs', mountpoint='/dev/shm', type='tmpfs', options=('rw', 'size=1024k'))]
    >>> parse_mounts("x /mnt/a\\\\040b tmpfs rw 0 0")[0].mountpoint
    '/mnt/a b'
    """
    found = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4 and fields[1].startswith("/"):
            source, mountpoint, kind = (unescape(field) for field in fields[:3])
            found.append(Mount(source, mountpoint, kind, tuple(unescape(fields[3]).split(","))))
    return found


def unescape(field: str) -> str:
    """Undo the octal escapes of blanks, tabs, line ends and backslashes (mangle_path, fs/seq_file.c)."""
    if "\\" not in field:
        return field
    raw = re.sub(
        rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), field.encode("utf-8", "replace")
    )
    return raw.decode("utf-8", "replace")
