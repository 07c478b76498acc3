"""Crash dumps: would the next crash be caught, is there room for its dump, what did earlier crashes leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.reports import words
from lastwords.reports.html.charts import Part, bar, legend, share
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, amount, badge, place, state, table, text
from lastwords.verdict import Verdict

SHOWN = 100
Facts = Mapping[str, Any]


def section(verdict: Verdict) -> Optional[Markup]:
    """Return kdump's readiness, its reservation, the room at its targets, and the dumps."""
    facts = verdict.case.facts
    kdump, crash_dumps = facts.get("kdump"), facts.get("crash_dumps")
    if kdump is None and crash_dumps is None:
        return None
    memory = (facts.get("host") or {}).get("memory_total")
    return join(
        _ready(kdump) if kdump else None,
        _reservation(kdump.get("kexec") or {}, memory) if kdump else None,
        _room((kdump or {}).get("targets"), (crash_dumps or {}).get("places"), _largest(crash_dumps)),
        _dumps(crash_dumps or {}),
    )


def _ready(kdump: Facts) -> Content:
    kexec, crashkernel = kdump.get("kexec") or {}, kdump.get("crashkernel") or {}
    reserved = kexec.get("crash_size")
    booted = " ".join(crashkernel.get("booted") or ())
    units = [
        unit
        for unit in kdump.get("units") or ()
        if unit.get("installed") or unit.get("active_state") == "failed"
    ]
    rows: list[list[Content]] = [
        [
            "Memory reserved",
            state(None if reserved is None else reserved > 0, size(reserved), "none"),
            tag("code", text(booted)) if booted else _no_crashkernel(crashkernel),
        ],
        [
            "Capture kernel loaded",
            state(kexec.get("crash_loaded"), "loaded", "not loaded"),
            "loading is disabled until the next boot" if kexec.get("load_disabled") else "",
        ],
    ]
    for unit in units:
        active = unit.get("active_state")
        good = None if active is None else active == "active"
        said = unit.get("result") if not good else unit.get("unit_file_state")
        rows.append(
            [tag("code", text(unit["unit"], 100)), state(good, "active", text(active, 20)), text(said or "")]
        )
    for image in kdump.get("images") or ():
        there = state(image.get("exists"), "there", "missing")
        rows.append([f"Capture {text(image.get('role'), 20)}", there, place(image.get("path"))])
    columns = [Column("Part"), Column("State"), Column("More")]
    return tag("h3", "Would the next crash be caught?"), table(
        columns, rows, caption="Parts of kdump", css="titled small"
    )


def _no_crashkernel(crashkernel: Facts) -> str:
    """Return what is to say where the command line of the kernel that runs has no crashkernel=."""
    return "" if crashkernel.get("booted") is None else "no crashkernel= on the command line"


def _reservation(kexec: Facts, memory: Optional[int]) -> Content:
    ranges = [item for item in kexec.get("reservations") or () if item.get("size")]
    reserved = sum(item["size"] for item in ranges) or kexec.get("crash_size")
    if not reserved or not memory:
        return None
    # MemTotal leaves out what is reserved.
    whole = memory + reserved
    parts = [Part("reserved for the capture kernel", reserved, "kdump", size(reserved))]
    parts.append(Part("left to the system", memory, "free", size(memory)))
    said = f"{size(reserved)} of {size(whole)} reserved ({share(reserved, whole)})"
    where = [f"{item['start']:#x}-{item['end']:#x} {size(item['size'])}" for item in ranges[:20]]
    return (
        tag("h3", "Reservation"),
        bar(parts, whole, said),
        legend(parts, whole),
        tag("p", "Crash kernel at ", [[tag("code", each), " "] for each in where], class_="held")
        if where
        else None,
    )


def _largest(crash_dumps: Optional[Facts]) -> Optional[int]:
    sizes = [dump.get("used") or dump.get("size") or 0 for dump in (crash_dumps or {}).get("dumps") or ()]
    return max(sizes, default=0) or None


def _room(
    targets: Optional[Sequence[Facts]], places: Optional[Sequence[Facts]], largest: Optional[int]
) -> Content:
    """Return a bar of used and free room for each place that dumps go to."""
    rows: list[tuple[str, int, int, Optional[str]]] = []
    for item in [
        *(targets or ()),
        *(p for p in places or () if p.get("origin") in ("configured", "default")),
    ]:
        total, free = item.get("size"), item.get("available")
        path = item.get("directory") or item.get("path")
        if total and free is not None and path and path not in [row[0] for row in rows]:
            rows.append((path, total, free, item.get("mountpoint")))
    if not rows:
        return None
    made: list[Content] = [tag("h3", "Room for a dump")]
    for path, total, free, mountpoint in rows[:10]:
        parts = [
            Part("used", total - free, "used", size(total - free)),
            Part("free", free, "free", size(free)),
        ]
        marks = []
        if largest:
            mark = Part(
                "largest dump so far, from where free room begins",
                total - free + largest,
                "crit",
                size(largest),
            )
            marks = [mark] if mark.value < total else []
        said = f"{size(free)} of {size(total)} free"
        on = f" on {mountpoint}" if mountpoint and mountpoint != path else ""
        made += [
            tag("p", place(path), text(on, 200), f": {said}", class_="above"),
            bar(parts, total, said, marks=marks),
        ]
    if largest:
        said = f"The largest dump so far took {size(largest)}: the red line is where another one would end."
        made.append(tag("p", said, class_="held"))
    return made


def _dumps(crash_dumps: Facts) -> Content:
    columns = [Column("Dump"), Column("When"), Column("Size", number=True), Column("Kernel"), Column("State")]
    rows: list[list[Content]] = []
    for dump in sorted(crash_dumps.get("dumps") or (), key=lambda each: -(each.get("time") or 0))[:SHOWN]:
        heads = [file["head"] for file in dump.get("files") or () if file.get("head")]
        release = next((head.get("release") for head in heads if head.get("release")), None)
        whole: Optional[bool] = bool(dump.get("cores")) and not dump.get("unfinished")
        if dump.get("cores") is None and not dump.get("unfinished"):
            whole = None
        if any(head.get("incomplete") for head in heads):
            whole = False
        word = "no core" if not dump.get("cores") and not dump.get("unfinished") else "incomplete"
        rows.append(
            [
                place(dump.get("path")),
                words.moment(dump.get("time")),
                amount(dump.get("size")),
                text(release or "", 100),
                state(whole, "complete", word),
            ]
        )
    for report in crash_dumps.get("apport") or ():
        kernel = (
            badge("kernel crash", "critical") if report.get("kernel") else badge("program crash", "unknown")
        )
        rows.append(
            [
                place(report.get("path")),
                words.moment(report.get("mtime")),
                amount(report.get("size")),
                "",
                kernel,
            ]
        )
    pstore = crash_dumps.get("pstore") or {}
    for record in [*(pstore.get("kernel") or ()), *(pstore.get("archived") or ())]:
        rows.append(
            [
                place(record.get("path")),
                words.moment(record.get("mtime")),
                amount(record.get("size")),
                "",
                badge("pstore", "unknown"),
            ]
        )
    if not rows:
        return tag("p", "No crash dump, pstore record or crash report was found.", class_="none")
    caption = "Crash dumps and reports"
    return tag("h3", "What crashes left"), table(columns, rows[:SHOWN], caption=caption, css="titled")
