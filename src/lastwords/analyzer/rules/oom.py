"""Out of memory: what was killed, and what is set to happen next time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lastwords.analyzer.again import look_at_memory
from lastwords.analyzer.rules.crash import proof
from lastwords.analyzer.timeline import answered
from lastwords.hookspecs import rule
from lastwords.model import Case, Event, Finding, Proof, Severity

SHOWN = 3
FIXES = 4
LOOK = "who held the memory at each kill, which need not be the victim"


@rule("oom-kill-happened", needs=("kernel_log",))
def kill_happened(case: Case) -> Iterator[Finding]:
    """The OOM killer, or a userspace one, killed a process. A warning for a week, then a note.

    Kills at the memory limits of control groups are a finding of their own: the machine had memory left.
    """
    kills = [event for event in case.machine_events() if event["kind"] == "oom_kill"]
    limited = [event for event in kills if event["details"].get("scope") == "memcg"]
    others = [event for event in kills if event["details"].get("scope") != "memcg"]
    yield from _killed(case, others, "for want of memory", "host")
    yield from _killed(case, limited, "at the memory limits of control groups", "memory limits")


def _killed(case: Case, kills: Sequence[Event], where: str, subject: str) -> Iterator[Finding]:
    """Yield the finding on some kills, if there are any."""
    if not kills:
        return
    last = kills[-1]
    yield Finding(
        "oom-kill-happened",
        Severity.WARNING if case.is_news(last["time"]) else Severity.INFO,
        f"Processes were killed {where}, {'once' if len(kills) == 1 else f'{len(kills)} times'}",
        "The last one: " + str(last["summary"]),
        subject=subject,
        evidence=tuple(map(proof, kills[-SHOWN:])),
        fix=(*_fix(kills), look_at_memory(case, LOOK)),
    )


def _fix(kills: Sequence[Event]) -> Sequence[str]:
    """Return what the report of the last kill that has one advises."""
    advised = (event["details"].get("fix") for event in reversed(kills))
    return next((fix[:FIXES] for fix in advised if fix), ())


@rule("oom-outcome-unknown", needs=("kernel_log",))
def outcome_unknown(case: Case) -> Iterator[Finding]:
    """The kernel called its OOM killer, and no log tells what came of it. A warning for a week, then a note.

    The log ends there: it was cut, the machine died over it, or its ring buffer was full of the report.
    """
    told = answered(case.events, ("oom_kill", "panic"))
    reports = [
        event for event in case.machine_events() if event["kind"] == "oom_report" and id(event) not in told
    ]
    # SysRq-f kills where nothing is short, and a report may tell itself why it killed nothing.
    unknown = [
        event
        for event in reports
        if not event["details"].get("outcome") and event["details"].get("scope") != "manual"
    ]
    if not unknown:
        return
    last = unknown[-1]
    yield Finding(
        "oom-outcome-unknown",
        Severity.WARNING if case.is_news(last["time"]) else Severity.INFO,
        "Memory ran out, and what the kernel did about it is not told",
        "The last time: " + str(last["summary"]),
        subject="memory",
        evidence=tuple(map(proof, unknown[-SHOWN:])),
        fix=(
            *_fix(reports),
            look_at_memory(case, LOOK),
            "A whole log tells whom the kernel took.",
        ),
    )


@rule("oom-sysctl-differs", needs=("oom",))
def sysctl_differs(case: Case) -> Iterator[Finding]:
    """Memory sysctls are not what the sysctl files say: the next boot will bring other values.

    What was tested is not what will run. One finding for all of them.
    """
    different = {
        key: setting
        for key, setting in case.facts["oom"]["sysctls"].items()
        if setting["differs"] is True and setting["persisted"]
    }
    if not different:
        return
    yield Finding(
        "oom-sysctl-differs",
        Severity.INFO,
        f"The next boot will change {', '.join(different)}",
        "What is in force was set by hand, or the files were changed since: tested is not what will run.",
        evidence=tuple(
            Proof(
                setting["persisted"]["file"],
                line=setting["persisted"]["line"],
                excerpt=f"{key} = {setting['persisted']['value']}, now {setting['runtime']}",
            )
            for key, setting in different.items()
        ),
        fix=("Decide for one value each, and set it in both places.",),
    )
