"""What changed between two verdicts on one host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from lastwords.model import Facts, dig
from lastwords.verdict import Change, Comparison, Verdict

HOST = (
    ("kernel", ("host", "kernel_release")),
    ("distribution", ("host", "distribution", "pretty_name")),
    ("memory", ("host", "memory_total")),
    ("CPUs", ("host", "cpus")),
    ("booted at", ("host", "boot_time")),
    ("kernel command line", ("kernel", "cmdline", "raw")),
    ("taint", ("kernel", "taint", "value")),
    ("lockdown", ("kernel", "lockdown", "mode")),
    ("Secure Boot", ("kernel", "secure_boot", "enabled")),
    ("crashkernel reserved", ("kdump", "kexec", "crash_size")),
    ("capture kernel loaded", ("kdump", "kexec", "crash_loaded")),
    ("boots by default", ("boot", "default_entry", "resolved", "linux")),
    ("swap", ("memory", "meminfo", "SwapTotal")),
)
"""Facts that are held against each other: name, and where they stand."""
UNITS = {
    "memory": "bytes",
    "crashkernel reserved": "bytes",
    "swap": "bytes",
    "booted at": "seconds since the epoch, UTC",
}
"""Units of those that are numbers."""
MEMORY_SHIFT = 0.01
"""Share by which memory differs from boot to boot, without a change of the machine."""


def compare(old: Verdict, new: Verdict) -> Comparison:
    """Return what changed from *old* to *new*.

    A fact that only one of them knows did not change, nor did what a rule says that only one could try.
    """
    before = {finding.fingerprint: finding for finding in old.findings}
    after = {finding.fingerprint: finding for finding in new.findings}
    both = [(before[mark], after[mark]) for mark in after if mark in before]
    known = {place for event in old.case.events for place in (_place(event), (*_place(event)[:2], None))}
    untried, unknown = ({name for name, _ in verdict.skipped} for verdict in (old, new))
    since = old.case.taken_at
    return Comparison(
        path=old.path,
        taken_at=since,
        same_host=same_host(old, new),
        appeared=tuple(
            finding for mark, finding in after.items() if mark not in before and finding.id not in untried
        ),
        gone=tuple(
            finding for mark, finding in before.items() if mark not in after and finding.id not in unknown
        ),
        graver=tuple(now for then, now in both if now.severity > then.severity),
        milder=tuple(now for then, now in both if now.severity < then.severity),
        changes=tuple(_changes(old.case.facts, new.case.facts)),
        events=tuple(
            event
            for event in new.case.events
            if _place(event) not in known and (since is None or (event.get("time") or since) >= since)
        ),
    )


def _place(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells an event from others, whatever log told of it."""
    time = event.get("time")
    return event["kind"], event["summary"], None if time is None else round(time / 10)


def same_host(old: Verdict, new: Verdict) -> Optional[bool]:
    """Return whether two verdicts are on one host; None when nothing tells."""
    for name in ("machine_id", "hostname"):
        one, other = (dig(each.case.facts, "host", name) for each in (old, new))
        if one and other:
            return bool(one == other)
    return None


def _changes(old: Mapping[str, Facts], new: Mapping[str, Facts]) -> Iterable[Change]:
    for name, path in HOST:
        yield from _change(name, dig(old, *path), dig(new, *path), UNITS.get(name))
    for topic in ("kernel", "oom"):
        yield from _sysctls(dig(old, topic, "sysctls") or {}, dig(new, topic, "sysctls") or {})
    yield from _kernels(dig(old, "boot", "kernels"), dig(new, "boot", "kernels"))


def _change(name: str, one: Any, other: Any, unit: Optional[str] = None) -> Iterable[Change]:
    if one is None or other is None or one == other:
        return
    if unit == "bytes" and one and abs(one - other) / max(one, other) < MEMORY_SHIFT:
        return
    yield Change(name, one, other, unit)


def _sysctls(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Change]:
    for name in sorted(set(old) & set(new)):
        one, other = (each[name].get("runtime") if isinstance(each[name], dict) else each[name]
                      for each in (old, new))  # fmt: skip
        yield from _change(name, one, other)


def _kernels(old: Any, new: Any) -> Iterable[Change]:
    if old is None or new is None:
        return
    before, after = ({kernel.get("version") for kernel in kernels} for kernels in (old, new))
    if before != after:
        yield Change(
            "kernels installed", " ".join(sorted(map(str, before))), " ".join(sorted(map(str, after)))
        )
