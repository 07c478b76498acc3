"""Pages on crashes: those that happened, and whether the next one would be caught."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lastwords.analyzer.titles import event_title
from lastwords.formats.sizes import alike, size
from lastwords.model import Severity, dig
from lastwords.reports import words
from lastwords.reports.page_parts import Block, Rows, alarm, each, said, table
from lastwords.verdict import Verdict

DEATHS = (
    "panic",
    "oops",
    "bug",
    "hang",
    "mce",
    "nmi",
    "warning",
    "boot_failure",
    "filesystem_error",
    "io_error",
)
SHOWN = 15
TRIGGERS = (
    ("kernel.panic", "seconds until a reboot after a panic"),
    ("kernel.panic_on_oops", "an oops becomes a panic"),
    ("kernel.softlockup_panic", "so does a soft lockup"),
    ("kernel.hardlockup_panic", "a hard lockup"),
    ("kernel.hung_task_panic", "a hung task"),
    ("kernel.panic_on_rcu_stall", "an RCU stall"),
    ("kernel.unknown_nmi_panic", "an unknown NMI"),
    ("kernel.sysrq", "which SysRq keys work"),
)


def kdump(verdict: Verdict) -> Iterable[Block]:
    """Yield the reservation, what is loaded, services, targets and triggers."""
    facts = verdict.case.facts.get("kdump")
    if not facts:
        return
    reserved, loaded = dig(facts, "kexec", "crash_size"), dig(facts, "kexec", "crash_loaded")
    booted = dig(facts, "crashkernel", "booted")
    asked = " ".join(map(said, booted)) if booted else "no crashkernel=" if booted == [] else "not known"
    rows: Rows = [
        ["booted with", asked],
        ["reserved", alarm(size(reserved) if reserved is not None else "not known", reserved == 0)],
        ["capture kernel loaded", alarm(said(loaded), loaded is False, Severity.CRITICAL)],
        ["loading switched off", alarm(said(dig(facts, "kexec", "load_disabled")),
                                       dig(facts, "kexec", "load_disabled") is True)],
        ["set-up of", said(facts.get("family"))],
    ]  # fmt: skip
    yield table("Reservation", rows)
    yield table(
        "Configured",
        [
            [said(entry.get("parameter")), f"{entry.get('path')}:{entry.get('line')}"]
            for entry in each(facts, "crashkernel", "configured")
        ],
    )
    yield table(
        "Images",
        [
            [said(image.get("role")), alarm("there" if image.get("exists") else said(image.get("exists")),
                                            image.get("exists") is False),
             size(image.get("size")), words.moment(image.get("mtime")), said(image.get("path"))]
            for image in each(facts, "images")
        ],
        "what||size|made|path",
        (2,),
    )  # fmt: skip
    yield table(
        "Services",
        [
            [
                said(unit.get("unit")),
                alarm(
                    said(unit.get("active_state")), unit.get("active_state") == "failed", Severity.CRITICAL
                ),
                said(unit.get("unit_file_state")),
                said(unit.get("result"), ""),
            ]
            for unit in each(facts, "units")
            if unit.get("installed")
        ],
        "unit|state|at boot|result",
    )
    yield table(
        "Where dumps go",
        [
            [
                said(target.get("type"), ""),
                said(target.get("path") or target.get("directory")),
                *alike((target.get("available"), target.get("size"))),
                said(target.get("mounted"), ""),
            ]
            for target in each(facts, "targets")
        ],
        "type|path|free|size|device",
        (2, 3),
    )
    sysctls = dig(verdict.case.facts.get("kernel"), "sysctls") or {}
    yield table(
        "What leads to a panic",
        [[name, said(sysctls[name]), text] for name, text in TRIGGERS if name in sysctls],
        numbers=(1,),
    )
    yield _dumps(verdict)


def crash(verdict: Verdict) -> Iterable[Block]:
    """Yield the dumps that exist, and the deaths that logs tell of."""
    yield _dumps(verdict)
    pstore = dig(verdict.case.facts.get("crash_dumps"), "pstore") or {}
    records = [(where, entry) for where, entries in pstore.items() for entry in entries or ()]
    yield table("Records in pstore", [[where, _name(entry)] for where, entry in records[:SHOWN]])
    deaths = [event for event in verdict.case.events if event["kind"] in DEATHS]
    of = f", the last {SHOWN} of {len(deaths)}" if len(deaths) > SHOWN else ""
    yield table(
        f"What the kernel said{of}",
        [
            [
                words.when(event.get("time"), event.get("monotonic")),
                alarm(event["kind"], event["kind"] in DEATHS[:3], Severity.CRITICAL),
                event_title(event),
            ]
            for event in deaths[-SHOWN:]
        ],
        "when|kind|what",
    )


def _dumps(verdict: Verdict) -> Block:
    dumps = each(verdict.case.facts, "crash_dumps", "dumps")
    rows: Rows = []
    for dump in sorted(dumps, key=lambda dump: dump.get("time") or 0.0)[-SHOWN:]:
        heads = [file["head"] for file in each(dump, "files") if file.get("head")]
        head = heads[0] if heads else {}
        cut = bool(dump.get("unfinished")) or dump.get("cores") == [] or head.get("incomplete") is True
        rows.append(
            [
                words.moment(dump.get("time")),
                alarm("not whole" if cut else "", cut),
                size(dump.get("size")),
                said(head.get("release"), ""),
                said(dump.get("path")),
            ]
        )
    return table("Crash dumps", rows, "when||size|kernel|path", (2,))


def _name(entry: Any) -> str:
    return said(entry.get("path") or entry.get("name")) if isinstance(entry, dict) else said(entry)
