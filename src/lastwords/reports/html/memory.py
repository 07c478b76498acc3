"""Memory at the time the host was seen: what holds it, what is left, how long tasks waited for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.reports.html.charts import Part, bar, in_bytes, legend, share
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, table, text
from lastwords.verdict import Verdict

USES = (
    ("AnonPages", "processes (anonymous)", "anon"),
    ("Shmem", "shared memory and tmpfs", "shmem"),
    ("file", "page cache", "file"),
    ("SReclaimable", "slab, reclaimable", "slab"),
    ("SUnreclaim", "slab, unreclaimable", "slabu"),
    ("KernelStack", "kernel stacks", "stack"),
    ("PageTables", "page tables", "tables"),
    ("Percpu", "per-CPU", "percpu"),
    ("Hugetlb", "huge pages", "huge"),
    ("MemFree", "free", "free"),
)
"""Counters of /proc/meminfo that do not overlap; ``file`` is Cached and Buffers without Shmem."""


def section(verdict: Verdict) -> Optional[Markup]:
    """Return how memory and swap are used."""
    facts = verdict.case.facts.get("memory") or {}
    meminfo = facts.get("meminfo") or {}
    total = meminfo.get("MemTotal")
    if not total:
        return None
    parts = uses(meminfo)
    available = meminfo.get("MemAvailable")
    left = f", {size(available)} available" if available is not None else ""
    return join(
        tag("h3", f"{size(total)} of memory{left}"),
        bar(parts, total, "Memory: " + ", ".join(f"{part.label} {part.note}" for part in parts)),
        legend(parts, total),
        _swap(meminfo),
        _pressure((facts.get("pressure") or {}).get("memory")),
        _commit(meminfo),
    )


def uses(meminfo: Mapping[str, Any]) -> list[Part]:
    """Return what memory is used for; what no counter owns is the last but free."""
    values = dict(meminfo)
    values["file"] = max(
        0, (meminfo.get("Cached") or 0) + (meminfo.get("Buffers") or 0) - (meminfo.get("Shmem") or 0)
    )
    if values.get("Hugetlb") is None and meminfo.get("Hugepagesize"):
        values["Hugetlb"] = (meminfo.get("HugePages_Total") or 0) * meminfo["Hugepagesize"]
    parts = [Part(label, values[key], css) for key, label, css in USES if values.get(key)]
    rest = meminfo["MemTotal"] - sum(part.value for part in parts)
    if rest > 0:
        lost = Part("in no counter", rest, "lost")
        parts.insert(-1 if parts and parts[-1].css == "free" else len(parts), lost)
    return in_bytes(parts)


def _swap(meminfo: Mapping[str, Any]) -> Content:
    total, free = meminfo.get("SwapTotal"), meminfo.get("SwapFree")
    if not total or free is None:
        return tag("p", "No swap.", class_="none") if total == 0 else None
    used = total - free
    said = f"{size(used)} of {size(total)} swap used ({share(used, total)})"
    parts = [Part("used", used, "swap", size(used)), Part("free", free, "free", size(free))]
    return tag("h3", said), bar(parts, total, said)


def _pressure(pressure: Optional[Mapping[str, Any]]) -> Content:
    if not pressure:
        return None
    columns = [Column("Waiting"), *(Column(name, number=True) for name in ("10 s", "1 min", "5 min"))]
    rows = [
        [
            word,
            *(
                text(f"{line[key]:.2f} %") if line.get(key) is not None else ""
                for key in ("avg10", "avg60", "avg300")
            ),
        ]
        for kind, word in (("some", "some tasks"), ("full", "all tasks"))
        if (line := pressure.get(kind))
    ]
    return table(columns, rows, caption="Time spent waiting for memory", css="small") if rows else None


def _commit(meminfo: Mapping[str, Any]) -> Content:
    limit, committed = meminfo.get("CommitLimit"), meminfo.get("Committed_AS")
    if not limit or committed is None:
        return None
    said = f"{size(committed)} of a commit limit of {size(limit)} ({share(committed, limit)})"
    return tag("p", f"Promised to processes: {said}.", class_="held")
