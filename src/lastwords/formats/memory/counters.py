"""Lines of a name and a number: /proc/vmstat, and memory.stat, memory.events and memory.oom_control of a
control group."""

from __future__ import annotations

import re

_LINE = re.compile(r"^([A-Za-z][\w().:-]*)[ \t]+(-?\d+)[ \t]*$", re.MULTILINE)


def parse_counters(text: str) -> dict[str, int]:
    """Return the numbers by name, as the kernel names them; other lines are passed over.

    >>> parse_counters('''oom_kill 3
    ... pgscan_direct 12''')
    {'oom_kill': 3, 'pgscan_direct': 12}
    """
    return {name: int(value) for name, value in _LINE.findall(text)}
