"""Output of ``ps``: the process list of a report that has no /proc/PID, or not of every process."""

from __future__ import annotations

import re
from functools import lru_cache

_NUMBERS = {"PID", "PPID", "LWP", "NLWP", "UID", "VSZ", "RSS", "SZ", "PGID", "SID", "PSR"}
_WIDE = {
    # lstart: "Mon Mar  2 09:00:00 2026"
    "STARTED": r"\w{3} +\w{3} +\d+ +[\d:]+ +\d{4}",
    # start_time: "10:00", "Mar02", "Mar 02", "2025"
    "START": r"\w{3} +\d{1,2}|\S+",
}


def parse_ps(text: str) -> list[dict[str, str]]:
    """Return, for each process, its columns by their heads; the last column keeps its blanks.

    Threads (``ps m``), whose PID is ``-``, and lines that do not fit the heads are passed over.

    >>> parse_ps('''  PID  PPID USER     NLWP COMMAND         CGROUP
    ...   812     1 root        1 tmux: server    0::/user.slice
    ... ''')  # doctest: +NORMALIZE_WHITESPACE
    [{'PID': '812', 'PPID': '1', 'USER': 'root', 'NLWP': '1',
      'COMMAND': 'tmux: server', 'CGROUP': '0::/user.slice'}]
    """
    found: list[dict[str, str]] = []
    heads: tuple[str, ...] = ()
    for line in text.splitlines():
        words = tuple(line.split())
        if "PID" in words and ("COMMAND" in words or "CMD" in words) and len(set(words)) == len(words):
            heads = words
        elif heads:
            match = _row(heads).match(line)
            if match:
                found.append(dict(zip(heads, (value.rstrip() for value in match.groups("")))))
    return found


@lru_cache(maxsize=16)
def _row(heads: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern of the lines below these heads: names of programs may hold blanks, numbers not."""
    parts = []
    for head in heads[:-1]:
        if head == "PID":
            parts.append(r"(\d+)")
        elif head in _NUMBERS:
            parts.append(r"(\d+|-)")
        elif head in ("COMMAND", "CMD"):
            parts.append(r"(\S.*?)")
        else:
            parts.append(f"({_WIDE.get(head, chr(92) + 'S+')})")
    # A cgroup column tells where a name with blanks before it ends.
    last = r"\s+(\d+:.*|-\s*)" if heads[-1] == "CGROUP" else r"(?:\s+(\S.*))?"
    return re.compile(r"\s*" + r"\s+".join(parts) + last + r"\s*$")
