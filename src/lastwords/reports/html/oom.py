"""Out of memory: every kill, what held the memory, who ate it, who was killed and why.

Of an event it shows as much as its details hold: victims always, and where the report was read to its end
(``explanation``, ``tasks``) the split of the memory, the programs, the kernel's choice and the causes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

from lastwords.formats.sizes import size
from lastwords.model import Event
from lastwords.reports import words
from lastwords.reports.html.charts import Part, bar, in_bytes, legend, share
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.story import steps
from lastwords.reports.html.tables import (
    Amount,
    Column,
    amount,
    badge,
    fold,
    place,
    prose,
    state,
    table,
    text,
)
from lastwords.verdict import Verdict

KINDS = ("oom_kill", "oom_report")
LISTED = 200
EXPLAINED = 20
OPEN = 2
PROGRAMS = 10
COLORS = {
    "anon": "anon",
    "file": "file",
    "lru": "file",
    "shmem": "shmem",
    "unevictable": "stack",
    "slab_reclaimable": "slab",
    "slab_unreclaimable": "slabu",
    "slab": "slab",
    "kernel": "slabu",
    "kernel_stacks": "stack",
    "page_tables": "tables",
    "hugetlb": "huge",
    "per_cpu": "percpu",
    "zsmalloc": "swap",
    "zswap": "swap",
    "balloon": "lost",
    "free": "free",
    "free_per_cpu": "free",
}
NAMES = {
    "anon": "processes (anonymous)",
    "file": "page cache",
    "shmem": "shared memory and tmpfs",
    "slab_reclaimable": "slab, reclaimable",
    "slab_unreclaimable": "slab, unreclaimable",
    "hugetlb": "huge pages",
    "per_cpu": "per-CPU",
    "free_per_cpu": "free, in CPU lists",
}
PARTS = ("anon_rss", "file_rss", "shmem_rss")
"""Of a victim's resident memory; some kernels tell the sum alone."""
Details = Mapping[str, Any]


def section(verdict: Verdict) -> Optional[Markup]:
    """Return the events in a table, then each that is explained."""
    events = [event for event in verdict.case.events if event["kind"] in KINDS]
    kills = [event for event in events if event["kind"] == "oom_kill"]
    if not events:
        return None
    explained = [event for event in reversed(events) if _details(event).get("explanation")]
    shown = explained[:EXPLAINED]
    return join(
        _programs(kills) if len(kills) > 3 else None,
        [_event(event, number < OPEN) for number, event in enumerate(shown)],
        _table(events),
    )


def _details(event: Event) -> Details:
    return event.get("details") or {}


def _when(event: Event) -> str:
    return words.when(event.get("time"), event.get("monotonic"))


def _victims(event: Event) -> list[Details]:
    details = _details(event)
    return list(
        details.get("victims") or ([details] if details.get("comm") and event["kind"] == "oom_kill" else [])
    )


def _weight(victim: Details) -> Optional[int]:
    rss = _bytes(victim.get("rss"))
    known = [value for name in PARTS if (value := _bytes(victim.get(name))) is not None]
    return rss if rss is not None else sum(known) if known else None


def _bytes(value: Any) -> Optional[int]:
    """Return a size, None when it is none: details are open to what plugins and old bundles say."""
    return value if isinstance(value, int) else None


def _programs(kills: Sequence[Event]) -> Content:
    """Return how often each program was killed."""
    counts: dict[tuple[str, str], int] = {}
    for event in kills:
        for victim in _victims(event):
            key = (str(victim.get("comm")), str(_details(event).get("memcg") or ""))
            counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])[:PROGRAMS]
    most = max(counts.values(), default=1)
    rows: list[list[Content]] = [
        [
            text(comm, 64),
            (
                count,
                [
                    bar([Part("kills", count, "crit")], most, f"{count} kills"),
                    tag("span", count, class_="beside"),
                ],
            ),
            place(memcg) if memcg else "",
        ]
        for (comm, memcg), count in ordered
    ]
    columns = [Column("Program"), Column("Kills", css="chart"), Column("Limit of")]
    return tag("h3", f"{sum(counts.values())} kills"), table(
        columns, rows, caption="Who was killed how often"
    )


def _table(events: Sequence[Event]) -> Content:
    rows: list[list[Content]] = []
    for event in reversed(events[-LISTED:]):
        details, victims = _details(event), _victims(event)
        if event["kind"] == "oom_report" and not victims and _has_kill(event, events):
            continue
        names = ", ".join(f"{text(v.get('comm'), 64)} ({text(v.get('pid'), 20)})" for v in victims[:5])
        more = f" and {len(victims) - 5} more" if len(victims) > 5 else ""
        group = details.get("memcg") or details.get("cgroup")
        held = [weight for victim in victims if (weight := _weight(victim)) is not None]
        rows.append(
            [
                _when(event),
                (names + more) or text(event.get("summary"), 200),
                amount(sum(held) if held else None),
                text(details.get("killer") or "kernel", 40),
                place(group) if group else "",
                place(event.get("path"), event.get("line")),
            ]
        )
    columns = [Column("When", css="when"), Column("Killed"), Column("Held", number=True), Column("By")]
    columns += [Column("Limit of"), Column("Where")]
    left_out = len(events) - LISTED
    return (
        tag("h3", "Every event"),
        table(columns, rows, caption="OOM kills and reports, the newest first"),
        tag("p", f"{left_out} older ones are left out.", class_="none") if left_out > 0 else None,
    )


def _has_kill(report: Event, events: Sequence[Event]) -> bool:
    """Return whether the kill that a report led to is an event of its own, within seconds after it."""
    at = report.get("time") or report.get("monotonic") or 0.0
    return any(
        event["kind"] == "oom_kill" and 0 <= (event.get("time") or event.get("monotonic") or 0.0) - at < 5
        for event in events
    )


def _event(event: Event, opened: bool) -> Markup:
    details = _details(event)
    explanation = details.get("explanation") or {}
    trigger = details.get("trigger") or {}
    asked = (
        tag(
            "p",
            "Asked for memory: ",
            tag("strong", text(trigger["comm"], 64)),
            f" (order {text(trigger.get('order'), 10)}, ",
            tag("code", text(trigger.get("gfp_flags") or trigger.get("gfp_mask") or "?", 200)),
            ")",
        )
        if trigger.get("comm")
        else None
    )
    return fold(
        [_when(event), ": ", text(event.get("summary"), 300)],
        tag("p", place(event.get("path"), event.get("line")), class_="none"),
        asked,
        [_cause(cause) for cause in explanation.get("causes") or ()],
        _held(explanation.get("held")),
        _eaters(explanation.get("programs") or _by_program(details.get("tasks") or ())),
        _groups(explanation.get("memcgs")),
        _choice(explanation.get("choice"), _victims(event)),
        _zones((explanation.get("failure") or {}).get("zones")),
        opened=opened,
    )


def _cause(cause: Details) -> Markup:
    sure = {"high": "good", "medium": "warning"}.get(str(cause.get("confidence")), "unknown")
    return tag(
        "div",
        tag(
            "h4",
            text(cause.get("title"), 500),
            " ",
            badge(f"{text(cause.get('confidence'), 20)} confidence", sure),
        ),
        tag("p", prose(cause.get("why") or "")),
        steps([str(step) for step in cause.get("fix") or ()]),
        class_="cause",
    )


def _held(held: Optional[Details]) -> Content:
    """Return the split of the memory of the machine, or of the group that ran out."""
    if not held:
        return None
    shares = {
        str(name): size_ for name, value in (held.get("shares") or {}).items() if (size_ := _bytes(value))
    }
    parts = [
        Part(NAMES.get(name, name.replace("_", " ")), value, COLORS.get(name, "used"))
        for name, value in shares.items()
    ]
    lost = held.get("unaccounted") or 0
    if lost > 0:
        free = [part for part in parts if part.css == "free"]
        parts = [part for part in parts if part.css != "free"]
        parts += [Part("in no counter", lost, "lost"), *free]
    if not parts:
        return None
    parts = in_bytes(parts)
    whole = max(held.get("total") or 0, sum(part.value for part in parts))
    what = "the control group" if held.get("scope") == "memcg" else "the machine"
    return (
        tag("h4", f"What held the {size(whole)} of {what}"),
        bar(parts, whole, "Memory: " + ", ".join(f"{part.label} {part.note}" for part in parts)),
        legend(parts, whole),
        _swap(held.get("swap_total"), held.get("swap_free")),
    )


def _swap(total: Optional[int], free: Optional[int]) -> Content:
    if total is None or free is None:
        return None
    if total == 0:
        return tag("p", "No swap.", class_="none")
    used = max(0, total - free)
    said = f"{size(used)} of {size(total)} swap used ({share(used, total)})"
    parts = [Part("used", used, "swap", size(used)), Part("free", free, "free", size(free))]
    return tag("p", said, class_="above"), bar(parts, total, said)


def _by_program(tasks: Sequence[Details]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for task in tasks:
        comm = str(task.get("comm"))
        entry = found.setdefault(comm, {"comm": comm, "processes": 0, "rss": 0, "swap": None})
        entry["processes"] += 1
        entry["rss"] += task.get("rss") or 0
        if task.get("swap") is not None:
            entry["swap"] = (entry["swap"] or 0) + task["swap"]
    return sorted(found.values(), key=lambda entry: -(entry["rss"] + (entry["swap"] or 0)))


def _eaters(programs: Sequence[Details]) -> Content:
    """Return a bar for each program: resident and in swap."""
    shown = programs[:PROGRAMS]
    most = max(((item.get("rss") or 0) + (item.get("swap") or 0) for item in shown), default=0)
    if not most:
        return None
    rows: list[list[Content]] = []
    for item in shown:
        rss, swap = item.get("rss") or 0, item.get("swap") or 0
        parts = [Part("resident", rss, "anon", size(rss)), Part("in swap", swap, "swap", size(swap))]
        said = f"{size(rss)} resident" + (f", {size(swap)} in swap" if swap else "")
        rows.append(
            [
                text(item.get("comm"), 64),
                item.get("processes"),
                (rss + swap, bar(parts, most, said)),
                amount(rss),
                amount(swap) if swap else (0, ""),
            ]
        )
    columns = [Column("Program"), Column("Processes", number=True), Column("Memory", css="chart wide")]
    columns += [Column("Resident", number=True), Column("Swap", number=True)]
    return table(columns, rows, caption="Who held the memory, by program (pages they share count for each)")


def _groups(groups: Optional[Sequence[Details]]) -> Content:
    if not groups:
        return None
    rows: list[list[Union[Content, Amount]]]
    rows = [[place(group.get("path")), amount(group.get("bytes"))] for group in groups[:PROGRAMS]]
    return table(
        [Column("Control group"), Column("Holds", number=True)], rows, caption="By control group", css="small"
    )


def _choice(choice: Optional[Details], victims: Sequence[Details]) -> Content:
    columns = [Column("Killed"), Column("PID", number=True), Column("Held", number=True)]
    columns += [Column("adj", number=True), Column("How")]
    rows = [
        [
            text(victim.get("comm"), 64),
            victim.get("pid"),
            amount(_weight(victim)),
            victim.get("oom_score_adj"),
            text(victim.get("how") or "", 60),
        ]
        for victim in victims[:20]
    ]
    said = None
    if choice:
        confirmed = state(
            choice.get("confirmed"), "confirmed by the formula", "not what the formula takes", "not checked"
        )
        said = tag("p", confirmed, " ", text(choice.get("why") or "", 1000))
    return table(columns, rows, caption="Who was killed", css="small") if rows else None, said


def _zones(zones: Optional[Sequence[Details]]) -> Content:
    if not zones:
        return None
    columns = [
        Column("Node", number=True),
        Column("Zone"),
        Column("Free", number=True),
        Column("Needed", number=True),
    ]
    columns += [Column("Reserved", number=True), Column("State")]
    rows = [
        [
            zone.get("node"),
            text(zone.get("name"), 20),
            amount(zone.get("free")),
            amount(zone.get("low_mark")),
            amount(zone.get("reserve")),
            badge(
                text(zone.get("verdict"), 40),
                "warning" if zone.get("verdict") not in ("enough", "not allowed") else "unknown",
            ),
        ]
        for zone in zones[:64]
    ]
    return fold("Zones", table(columns, rows, caption="What the allocation met in each zone", css="small"))
