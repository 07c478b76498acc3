"""Boots that ended without a word: nothing was shut down, and no kernel told why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

from lastwords.analyzer.again import plan_of
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

TELLING = frozenset({"panic", "oops", "bug", "nmi", "mce", "boot_failure", "sysrq", "shutdown", "dump"})
"""Kinds of events that tell why a boot ended when they stand near its end."""
BEFORE, AFTER = 900.0, 600.0
"""Seconds before its last line, and after it, in which they do: a dump is begun after the next start."""
LIST_BOOTS = "$ journalctl --no-pager --list-boots"


@dataclass(frozen=True)
class _End:
    time: Optional[float]
    """Of the last line; None when it is not known."""
    proof: Proof
    next: Optional[float] = None
    """When the next boot began: what happened until then, happened in this one."""


@rule("boot-ended-abruptly", needs=("kernel_log",), shows="abrupt-end")
def ended_abruptly(case: Case) -> Iterator[Finding]:
    """An earlier boot ended without the messages of a shutdown, and its kernel did not say why.

    The machine was reset, lost power, or hung so hard that nothing could be written any more. Looks at the
    end of each boot that the journal has from its start, and at what stands before a kernel's start in a log
    into which programs write too. Silent where the kernel told (panic, oops, SysRq) or a dump was saved
    around that time, on the boot that runs, and where the log does not tell boots apart or was cut.
    """
    ends = [end for end in (*_in_journal(case), *_in_logs(case)) if not _is_told(case, end)]
    if not ends:
        return
    ends.sort(key=lambda end: end.time or 0.0)
    last = ends[-1]
    at = f" at {_clock(last.time)}" if last.time else ""
    others = f", as did {len(ends) - 1} before it" if len(ends) > 1 else ""
    yield Finding(
        "boot-ended-abruptly",
        Severity.WARNING if case.is_news(last.time) else Severity.INFO,
        f"A boot ended without a word{at}{others}",
        "Its log ends without a shutdown and without a report of the kernel: the machine was reset, lost "
        "power, or hung so hard that nothing was written any more. This input cannot tell which.",
        evidence=tuple(end.proof for end in ends[-3:]),
        fix=(
            "Ask who saw it from outside: the hypervisor, the console, the management controller.",
            "$ ipmitool sel list",
            "So that the next time tells: let kdump catch crashes, and hangs become crashes "
            "(kernel.softlockup_panic, kernel.hung_task_panic, the NMI watchdog).",
            plan_of(case, "kdump"),
            "Where kdump cannot run: a serial console or netconsole, or pstore (efi-pstore, ramoops).",
        ),
    )


def _in_journal(case: Case) -> Iterator[_End]:
    """Yield the ends of the boots that the journal has from their start."""
    begun = {event.get("boot") for event in case.events if event["kind"] == "boot"}
    boots = case.facts["kernel_log"].get("boots") or []
    for boot in boots:
        if boot.get("ended") == "abrupt" and boot["id"] in begun:
            said = f"boot {boot['id']}: last entry {_clock(boot['last_time'])}, no shutdown"
            after = next((each for each in boots if each["index"] == boot["index"] + 1), None)
            yield _End(boot["last_time"], Proof(LIST_BOOTS, excerpt=said), after and after["first_time"])


def _in_logs(case: Case) -> Iterator[_End]:
    """Yield the ends that stand before the start of a kernel, in logs of hosts whose journal tells none."""
    if any(boot.get("ended") for boot in case.facts["kernel_log"].get("boots") or ()):
        return
    for event in case.events:
        if event["kind"] == "boot" and (event.get("details") or {}).get("previous") == "abrupt":
            said = f"no shutdown before: {event['summary']}"
            yield _End(event["time"], Proof(event["path"], line=event["line"], excerpt=said))


def _is_told(case: Case, end: _End) -> bool:
    """Return whether something tells why a boot ended."""
    for event in case.events:
        crashed = event["kind"] == "kdump" and "Starting crash" in event["summary"]
        if crashed or event["kind"] in TELLING:
            if end.time is None or event.get("time") is None:
                return True
            # A machine with nothing to log may have been silent for hours when it died.
            if end.time - BEFORE <= event["time"] <= max(end.time + AFTER, end.next or 0.0):
                return True
    return False


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
