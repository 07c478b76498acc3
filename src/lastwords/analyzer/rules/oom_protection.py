"""Who is protected from the OOM killer, who should be, and by what means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.analyzer.again import plan_of
from lastwords.analyzer.kdump.setup import in_container
from lastwords.analyzer.rules.crash import proof
from lastwords.formats.oom.badness import NEVER, score_adj_of
from lastwords.formats.sizes import size
from lastwords.formats.system.unit_files import units_of
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

VITAL = {
    "sshd": ("the way in", ("ssh.service", "sshd.service"), -1000),
    "systemd-udevd": ("devices", ("systemd-udevd.service",), -1000),
    "dbus-daemon": ("the system bus", ("dbus.service",), -900),
    "dbus-broker": ("the system bus", ("dbus.service", "dbus-broker.service"), -900),
    "multipathd": ("the paths to disks", ("multipathd.service",), -1000),
    "iscsid": ("the network disks", ("iscsid.service",), -1000),
    "corosync": ("the cluster", ("corosync.service",), -1000),
    "sbd": ("the cluster's fencing", ("sbd.service",), -1000),
}
"""Programs that protect themselves, or are protected by their units: what is lost, units, usual value."""
PROTECTED_SHARE, LEFT_SHARE = 0.5, 0.1
SHOWN = 5
FIRST = 1000
_ECHOED = re.compile(r"\b(?:echo|printf)\s+(?:-n\s+)?[\"']?(-?\d{1,2})\b")
_SESSION = re.compile(
    r"/session-[^/]*\.scope|/user@\d+\.service/?$|/user-\d+\.slice/?$|/vte-spawn|^/user\.slice/?$"
)


def _processes(case: Case) -> list[dict[str, Any]]:
    """Return the processes that have memory, but for process 1."""
    return [
        each
        for each in case.facts["processes"]["records"]
        if each["rss"] is not None and each["pid"] != 1 and not each["kernel_thread"]
    ]


def _size(record: dict[str, Any]) -> int:
    return (record["rss"] or 0) + (record["swap"] or 0) + (record["page_tables"] or 0)


@rule("oom-vital-unprotected", needs=("processes",))
def vital_unprotected(case: Case) -> Iterator[Finding]:
    """A service that the machine cannot do without is not protected, though it usually is.

    sshd sets its listener to -1000 by itself, systemd protects udevd and the bus, storage and cluster daemons
    protect themselves: 0 or more means that something undid it. Without sshd nobody gets in any more: a
    warning, the others are notes. Containers are left out: they may not lower the value.
    """
    if in_container(case):
        return
    for each in _processes(case):
        lost, units, usual = VITAL.get(each["comm"] or "", ("", (), 0))
        unit = (units_of(each["systemd_cgroup"] or "") or [""])[0]
        if unit not in units or each["ppid"] != 1 or each["oom_score_adj"] is None:
            continue
        if each["oom_score_adj"] < 0:
            continue
        yield Finding(
            "oom-vital-unprotected",
            Severity.WARNING if each["comm"] == "sshd" else Severity.INFO,
            f"{each['comm']} may be killed when memory runs out, and with it {lost}",
            f"Its oom_score_adj is {each['oom_score_adj']}; usually it is {usual}.",
            subject=f"process {each['pid']} ({each['comm']})",
            evidence=(
                Proof(f"/proc/{each['pid']}/oom_score_adj", value=each["oom_score_adj"], threshold=usual),
            ),
            fix=(plan_of(case, f"protect {unit}"), f"$ systemctl restart {unit}"),
        )


@rule("oom-nothing-to-kill", needs=("processes", "memory"))
def nothing_to_kill(case: Case) -> Iterator[Finding]:
    """What may be killed holds next to nothing: when memory runs out the kernel panics.

    Fires when processes with oom_score_adj -1000 hold half of memory or more, and all others together less
    than a tenth; or when there are no others. To kill what is left frees too little, and then comes "System
    is deadlocked on memory".
    """
    records = _processes(case)
    if not records or any(each["oom_score_adj"] is None for each in records):
        return
    ram = (case.facts["memory"].get("meminfo") or {}).get("MemTotal")
    protected = [each for each in records if each["oom_score_adj"] == NEVER]
    held, left = sum(map(_size, protected)), sum(map(_size, records)) - sum(map(_size, protected))
    if not ram or not protected or left > ram * LEFT_SHARE:
        return
    # Who asks to be taken first, as lastwords does while it looks, is no help for long.
    others = any(each["oom_score_adj"] not in (NEVER, FIRST) for each in records)
    if others and held < ram * PROTECTED_SHARE:
        return
    protected.sort(key=_size, reverse=True)
    yield Finding(
        "oom-nothing-to-kill",
        Severity.WARNING,
        "Nothing is left to kill: out of memory the kernel panics",
        f"Processes that may never be killed hold {size(held)}, all others {size(left)}.",
        evidence=tuple(
            Proof(f"/proc/{each['pid']}/oom_score_adj", excerpt=f"{each['comm']}: -1000, {size(_size(each))}")
            for each in protected[:SHOWN]
        ),
        fix=(
            "Give the large ones -900 instead of -1000: taken last, yet not never"
            " (`lastwords plan protect UNIT --adj -900`).",
            "Limit them: `lastwords plan limit UNIT SIZE`.",
        ),
    )


@rule("oom-adj-deprecated", needs=("oom",))
def adj_deprecated(case: Case) -> Iterator[Finding]:
    """A script still writes ``oom_adj``, which oom_score_adj replaced in 2.6.36.

    Values are translated (-17 is -1000, n is n*1000/17, 15 is 1000). A cron job that does it is a warning:
    until it runs, and for each process that starts meanwhile, there is no protection. ``OOMScoreAdjust=`` of
    systemd, or choom(1) where the process is started, does it at once.
    """
    writers = (case.facts["oom"].get("writers") or {}).get("mentions") or []
    found = [each for each in writers if each["writes"] and each["names"] == "oom_adj"]
    if not found:
        return
    by_cron = [each for each in found if "/cron" in each["path"] or each["path"] == "/etc/anacrontab"]
    values = {int(match[1]) for each in found if (match := _ECHOED.search(each["text"]))}
    told = ", ".join(f"{value} is {score_adj_of(value)}" for value in sorted(values) if -17 <= value <= 15)
    yield Finding(
        "oom-adj-deprecated",
        Severity.WARNING if by_cron else Severity.INFO,
        "oom_adj is still written" + (", by cron" if by_cron else ""),
        "oom_score_adj replaced it in 2.6.36, on another scale."
        + (f" Translated: {told}." if told else "")
        + (" Between two runs of the job new processes are not protected." if by_cron else ""),
        evidence=tuple(
            Proof(each["path"], line=each["line"], excerpt=each["text"])
            for each in (by_cron or found)[:SHOWN]
        ),
        fix=(
            "For a service: `lastwords plan protect UNIT` writes OOMScoreAdjust= into a drop-in.",
            "For a command: `choom -n VALUE -- COMMAND`.",
            "Then remove these lines.",
        ),
    )


@rule("oom-oomd-sessions", needs=("oom",), shows="pressure-setting")
def oomd_sessions(case: Case) -> Iterator[Finding]:
    """systemd-oomd may kill whole sessions: it kills control groups, not processes.

    A note where it runs and is set to (``ManagedOOMSwap=`` or ``ManagedOOMMemoryPressure=kill`` on user
    slices, user@.service or the root slice, as some distributions ship it); a warning when it killed a
    session or all of a user within the last week.
    """
    daemon = next(
        (each for each in case.facts["oom"].get("daemons") or () if each["name"] == "systemd-oomd"), None
    )
    if not daemon or not any(unit["running"] for unit in daemon["units"]):
        return
    settings = [
        each
        for each in case.facts["oom"].get("units") or ()
        if each["key"] in ("ManagedOOMSwap", "ManagedOOMMemoryPressure")
        and each["value"] == "kill"
        and each["effective"]
        and (each["unit"] == "-.slice" or each["unit"].startswith(("user.slice", "user-", "user@")))
    ]
    kills = [event for event in case.events if _killed_session(event) is not None]
    if not settings and not kills:
        return
    fresh = bool(kills) and case.is_news(kills[-1]["time"])
    yield Finding(
        "oom-oomd-sessions",
        Severity.WARNING if fresh else Severity.INFO,
        "systemd-oomd killed a whole session" if kills else "systemd-oomd may kill whole sessions",
        "It takes the control group under most pressure with all its processes; what runs directly in the"
        " scope of a session, as the programs of a terminal may, dies together.",
        evidence=(
            *map(proof, kills[-SHOWN:]),
            *(
                Proof(each["file"], line=each["line"], excerpt=f"{each['unit']}: {each['key']}=kill")
                for each in settings[:SHOWN]
            ),
        ),
        fix=(
            "Start what is large in a group of its own: `systemd-run --user --scope COMMAND`.",
            "To spare a session: ManagedOOMPreference=avoid in a drop-in of its unit.",
            "Raise SwapUsedLimit= or DefaultMemoryPressureLimit= in /etc/systemd/oomd.conf.d.",
        ),
    )


def _killed_session(event: dict[str, Any]) -> Optional[str]:
    details = event.get("details") or {}
    if event["kind"] != "oom_kill" or details.get("killer") != "systemd-oomd":
        return None
    path = str(details.get("cgroup") or "")
    return path if _SESSION.search(path) else None
