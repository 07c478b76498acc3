"""Pages on memory and those who use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Optional

from lastwords.formats.sizes import alike, size
from lastwords.model import Severity, dig
from lastwords.reports import words
from lastwords.reports.page_parts import Block, Bytes, Cell, Rows, Value, alarm, each, said, table
from lastwords.verdict import Verdict

BAR = 24
"""Characters of a full bar."""
GROUPS_SHOWN = 8
PROCESSES_SHOWN = 12
KILLS_SHOWN = 12
SPLIT = (
    ("free", ("MemFree",)),
    ("page cache", ("Cached", "Buffers", "SwapCached"), ("Shmem",)),
    ("anonymous", ("AnonPages",)),
    ("shared, tmpfs", ("Shmem",)),
    ("slab, reclaimable", ("SReclaimable",)),
    ("slab, not reclaimable", ("SUnreclaim",)),
    ("page tables", ("PageTables", "SecPageTables")),
    ("kernel stacks", ("KernelStack",)),
    ("per CPU", ("Percpu",)),
    ("huge pages", ("Hugetlb",)),
)
"""What memory is split into: name, counters of /proc/meminfo that are added, those that are taken off."""
SETTINGS = (
    "vm.panic_on_oom",
    "vm.oom_kill_allocating_task",
    "vm.oom_dump_tasks",
    "vm.overcommit_memory",
    "vm.overcommit_ratio",
    "vm.swappiness",
    "vm.min_free_kbytes",
    "vm.admin_reserve_kbytes",
)


def oom(verdict: Verdict) -> Iterable[Block]:
    """Yield how memory is split, who is near a limit, what was killed, and what is set."""
    facts = verdict.case.facts
    memory = facts.get("memory")
    if memory:
        yield _split(memory.get("meminfo") or {})
        yield from _swap(memory)
        yield from _pressure(memory)
        yield _groups(memory)
    yield _kills(verdict)
    if "oom" in facts:
        yield _settings(facts["oom"])
        yield _daemons(facts["oom"])


def _split(counters: dict[str, int]) -> Block:
    total = counters.get("MemTotal") or 0
    rows: Rows = []
    left = total
    for name, added, *taken in SPLIT:
        if not any(counter in counters for counter in added):
            continue
        part = sum(counters.get(counter) or 0 for counter in added)
        part -= sum(counters.get(counter) or 0 for counter in (taken[0] if taken else ()))
        left -= part
        rows.append([name, Bytes(part), _percent(part, total), _bar(part, total)])
    if rows and total:
        odd = Severity.WARNING if left > total // 10 else None
        rows.append(["nobody's", Bytes(left, odd), _percent(left, total), _bar(left, total)])
    available = counters.get("MemAvailable")
    if available is not None and total:
        low = Severity.WARNING if available < total // 20 else None
        rows.append(["", "", "", ""])
        rows.append(["available", Bytes(available, low), _percent(available, total), ""])
        rows.append(["all", Bytes(total), "", ""])
    return table("Where memory is", rows, numbers=(1, 2))


def _swap(memory: dict[str, Any]) -> Iterable[Block]:
    if memory.get("swaps") is None:
        return
    rows = [
        [
            said(swap.get("name")),
            *alike((swap.get("size"), swap.get("used"))),
            _percent(swap.get("used"), swap.get("size")),
        ]
        for swap in each(memory, "swaps")
    ]
    yield table("Swap", rows, "device|size|used|", (1, 2, 3))


def _pressure(memory: dict[str, Any]) -> Iterable[Block]:
    rows: Rows = []
    for resource, lines in (memory.get("pressure") or {}).items():
        for kind in lines or {}:
            values = [dig(lines, kind, name) for name in ("avg10", "avg60", "avg300")]
            high = resource == "memory" and kind == "full" and max(value or 0 for value in values) >= 5
            rows.append([resource, kind, *(alarm(f"{said(value, '?')} %", high) for value in values)])
    if rows:
        yield table("Time lost to waiting (PSI)", rows, "for||10 s|60 s|300 s", (2, 3, 4))


def _groups(memory: dict[str, Any]) -> Block:
    rows = []
    for group in each(memory, "cgroups", "groups"):
        limit, used = group.get("max"), group.get("current")
        kills = dig(group, "events", "oom_kill") or 0
        if isinstance(limit, int) and isinstance(used, int) and limit:
            rows.append((used / limit, kills, group))
        elif kills:
            rows.append((0.0, kills, group))
    rows.sort(key=lambda row: (-row[1], -row[0]))
    return table(
        "Control groups with a limit, or killed in, those first",
        [
            [
                alarm(str(kills), kills > 0),
                *_used_of(group.get("current"), group.get("max")),
                alarm(f"{100 * share:.0f} %" if share else "", share > 0.95),
                said(group.get("path")),
            ]
            for share, kills, group in rows[:GROUPS_SHOWN]
        ],
        "kills|used|limit||group",
        (0, 1, 2, 3),
    )


def _used_of(used: Any, limit: Any) -> Sequence[str]:
    """Return what a group uses and its limit, in one unit."""
    if not isinstance(limit, int):
        return size(used), "none"
    return alike((used, limit))


def _kills(verdict: Verdict) -> Block:
    kills = [event for event in verdict.case.events if event["kind"] == "oom_kill"]
    rows: Rows = []
    for event in kills[-KILLS_SHOWN:]:
        details = event.get("details") or {}
        held = details.get("anon_rss", details.get("rss"))
        scope = details.get("memcg") or details.get("cgroup") or details.get("scope")
        rows.append(
            [
                words.when(event.get("time"), event.get("monotonic")),
                said(details.get("killer"), ""),
                Cell(said(details.get("comm"), ""), Severity.WARNING),
                said(details.get("pid"), ""),
                Bytes(held) if held is not None else "",
                said(scope, ""),
            ]
        )
    of = f", the last {len(rows)} of {len(kills)}" if len(rows) < len(kills) else ""
    return table(f"Killed for want of memory{of}", rows, "when|killer|program|pid|held|where", (3, 4))


def _settings(facts: dict[str, Any]) -> Block:
    rows: Rows = []
    for name in SETTINGS:
        setting = dig(facts, "sysctls", name) or {}
        persisted = setting.get("persisted") or {}
        rows.append(
            [
                name,
                alarm(said(setting.get("runtime")), setting.get("differs") is True),
                f"{persisted.get('value')}  ({persisted.get('file')}:{persisted.get('line')})"
                if persisted
                else "",
            ]
        )
    return table("Settings", rows, "sysctl|now|at boot", (1,))


def _daemons(facts: dict[str, Any]) -> Block:
    rows = []
    for daemon in each(facts, "daemons"):
        units = each(daemon, "units")
        running = any(unit.get("running") for unit in units)
        enabled = any(unit.get("enabled") for unit in units)
        state = (
            "running"
            if running
            else "enabled"
            if enabled
            else "installed"
            if daemon.get("installed")
            else "no"
        )
        rows.append([said(daemon.get("name")), state])
    return table("Userspace OOM killers", rows)


def processes(verdict: Verdict) -> Iterable[Block]:
    """Yield who holds the most memory, by process and by program, and whom the kernel would kill first."""
    facts = verdict.case.facts.get("processes")
    if not facts:
        return
    records = each(facts, "records")
    by_size = sorted(records, key=lambda record: -(record.get("rss") or 0))
    yield table(
        f"The largest of {len(records)}",
        [_process(record) for record in by_size[:PROCESSES_SHOWN]],
        "pid|user|rss|swap|score|adj|state|program",
        (0, 2, 3, 4, 5),
    )
    scored = [record for record in records if record.get("oom_score") is not None]
    scored.sort(key=lambda record: -record["oom_score"])
    yield table(
        "Whom the OOM killer would take first",
        [_process(record) for record in scored[:PROCESSES_SHOWN] if record["oom_score"] > 0],
        "pid|user|rss|swap|score|adj|state|program",
        (0, 2, 3, 4, 5),
    )
    yield _programs(records)
    stuck = [record for record in records if record.get("state") == "D"]
    yield table(
        "Waiting without being interruptible (state D)",
        [_process(record) for record in stuck[:PROCESSES_SHOWN]],
        "pid|user|rss|swap|score|adj|state|program",
        (0, 2, 3, 4, 5),
    )


def _process(record: dict[str, Any]) -> Sequence[Value]:
    adjusted = record.get("oom_score_adj")
    return [
        said(record.get("pid"), "?"),
        said(record.get("user") or record.get("uid"), "?"),
        Bytes(record.get("rss")),
        Bytes(record["swap"]) if record.get("swap") else "",
        said(record.get("oom_score"), "?"),
        alarm(said(adjusted, "?"), adjusted == -1000, Severity.INFO),
        alarm(said(record.get("state"), "?"), record.get("state") in ("D", "Z")),
        said(record.get("comm"), "?"),
    ]


def _programs(records: Sequence[dict[str, Any]]) -> Block:
    sums: dict[str, list[int]] = {}
    for record in records:
        if not record.get("kernel_thread"):
            sums.setdefault(said(record.get("comm"), "?"), []).append(record.get("rss") or 0)
    largest = sorted(sums.items(), key=lambda item: -sum(item[1]))
    rows: Rows = [[str(len(sizes)), Bytes(sum(sizes)), name] for name, sizes in largest[:PROCESSES_SHOWN]]
    return table("By program; shared pages are counted once a process", rows, "processes|rss|program", (0, 1))


def _percent(part: Optional[int], whole: Optional[int]) -> str:
    return f"{100 * part / whole:.1f} %" if part is not None and whole else ""


def _bar(part: int, whole: int) -> str:
    return "#" * max(0, min(BAR, round(BAR * part / whole))) if whole else ""
