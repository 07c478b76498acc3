"""The table of processes in an OOM report: every process that may be killed, and what it holds.

    Tasks state (memory values in pages):
    [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
    [    431]     0   431    12586     4625   118784        0          -250 systemd-journal

Columns came and went; a row is read by the header above it, and one that does not fit it is damaged: no value
ever moves into another column. Source: mm/oom_kill.c (``dump_tasks``), 2.6.25 to 7.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_HEADER = re.compile(r"\[ {1,4}pid {1,4}\] +((?:[a-z_]+ +){3,16})name\b")
_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII)
_ROW = re.compile(r"\[ {0,9}(\d{1,10})\] +(.+)")
COLUMNS = {
    "uid",
    "tgid",
    "total_vm",
    "rss",
    "rss_anon",
    "rss_file",
    "rss_shmem",
    "cpu",
    "nr_ptes",
    "nr_pmds",
    "nr_puds",
    "pgtables_bytes",
    "swapents",
    "oom_adj",
    "oom_score_adj",
}
"""All that kernels have had, but pid and name."""
_SIGNED = ("oom_adj", "oom_score_adj")
COMM = 15
_ABSURD = 1 << 52
"""No count of pages is that large: a counter went below 0."""


@dataclass(frozen=True)
class TaskRow:
    """A row of the table, as printed: sizes in pages, page tables in pages or bytes (:func:`page_tables`)."""

    pid: int
    name: str
    values: dict[str, int]

    def get(self, column: str) -> Optional[int]:
        """Return a value, None where this kernel has no such column."""
        return self.values.get(column)

    def page_tables(self, page_size: int) -> Optional[int]:
        """Return bytes of page tables; None when the kernel does not tell."""
        if "pgtables_bytes" in self.values:
            return self.values["pgtables_bytes"]
        levels = [self.values[name] for name in ("nr_ptes", "nr_pmds", "nr_puds") if name in self.values]
        return sum(levels) * page_size if levels else None


def parse_header(text: str) -> Optional[tuple[str, ...]]:
    """Return the columns between pid and name, or None: not a header, or one with unknown columns.

    >>> parse_header("[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name")
    ('uid', 'tgid', 'total_vm', 'rss', 'cpu', 'oom_adj', 'oom_score_adj')
    """
    match = _HEADER.match(text)
    if match is None:
        return None
    columns = tuple(match[1].split())
    return columns if set(columns) <= COLUMNS and len(set(columns)) == len(columns) else None


def parse_row(text: str, columns: tuple[str, ...]) -> Optional[TaskRow]:
    """Return a row of the table, or None when it does not fit the columns.

    >>> columns = ("uid", "tgid", "total_vm", "rss", "swapents", "oom_score_adj")
    >>> row = parse_row("[ 1801]  1000  1801    21843      132        0             0 tmux: server", columns)
    >>> row.pid, row.name, row.values["rss"]
    (1801, 'tmux: server', 132)
    >>> parse_row("[ 1801]  1000  1801    21843 journald", columns) is None
    True
    """
    match = _ROW.match(text)
    if match is None:
        return None
    parts = match[2].split(None, len(columns))
    if len(parts) < len(columns):
        return None
    values = {}
    for column, part in zip(columns, parts):
        if _NUMBER.fullmatch(part) is None or (part[0] == "-" and column not in _SIGNED):
            return None
        number = int(part)
        if number >= _ABSURD and column != "uid":
            return None
        values[column] = number
    if values.get("tgid", 1) == 0 or not -1000 <= values.get("oom_score_adj", 0) <= 1000:
        return None
    # comm is 15 bytes; what is more came from another line.
    name = parts[len(columns)][:COMM].strip() if len(parts) > len(columns) else ""
    return TaskRow(int(match[1]), name, values)


def is_row(text: str) -> bool:
    """Return whether a line looks like a row of a table, whole or not."""
    match = _ROW.match(text)
    return match is not None and match[2][:1].isdigit()
