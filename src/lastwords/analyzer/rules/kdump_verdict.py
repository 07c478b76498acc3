"""Would the next kernel crash be caught: the verdict, and the deaths that start no capture kernel."""

from __future__ import annotations

from collections.abc import Iterator

from lastwords.analyzer.again import plan_of
from lastwords.analyzer.kdump import readiness as ready
from lastwords.analyzer.kdump.setup import in_container, loaded, reserved, sysctl, wanted
from lastwords.analyzer.kdump.triggers import triggers
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

OPEN = {
    "able": "whether the kernel can load another",
    "reserved": "whether memory is reserved",
    "configured": "how kdump is configured",
    "initramfs": "whether the capture initramfs is whole",
    "loaded": "whether a crash kernel is loaded",
    "target": "whether the target is there",
    "room": "whether the target has room",
}
"""What is not known when a stage is not, by its name."""


COMMON = {
    "a hang": {"a soft lockup", "a hard lockup", "a hung task"},
    "running out of memory": {"running out of memory"},
}
"""The deaths that people expect a dump of, by what they call them."""


@rule("kdump-readiness", needs=("kdump",), shows="no-dump")
def readiness(case: Case) -> Iterator[Finding]:
    """Whether the next kernel crash would leave a dump, stage by stage, with what is known of each.

    The stages: the kernel is able, memory is reserved, the configuration is in order, the capture
    initramfs fits, a capture kernel is loaded, the target is there, and has room. One that fails decides;
    one that is unknown leaves the verdict open. Then the kinds of death that would panic the kernel and
    so start it. Only where kdump was set up; each thing that is wrong has a finding of its own.
    """
    if in_container(case) or not (wanted(case) or reserved(case) or loaded(case)):
        return
    stages = ready.readiness(case)
    verdict = ready.caught(stages)
    failing = next((stage for stage in stages if stage.state is verdict and verdict is not True), None)
    found = triggers(case)
    lost = [each.death for each in found if each.caught is False]
    silent = [word for word, deaths in COMMON.items() if deaths & set(lost)]
    spared = f", {' or '.join(silent)} would not" if silent else ""
    titles = {
        True: f"The next kernel crash would leave a dump{spared}",
        False: f"The next kernel crash would leave no dump: {failing.said if failing else ''}",
        None: "Whether the next kernel crash would leave a dump is not known: nothing tells "
        f"{OPEN.get(failing.name, failing.name) if failing else 'it'}",
    }
    known = ", ".join(f"{each.key} {each.value}" for each in found if each.value is not None)
    dumped = [each.death for each in found if each.caught]
    why = f"What starts the crash kernel: a panic{''.join(', ' + each for each in dumped)}."
    if lost:
        why += f" What does not, since it does not panic: {', '.join(lost)}."
    fixes = {
        True: ("Crash it once when nobody needs it, as a test: $ echo c > /proc/sysrq-trigger",),
        False: (plan_of(case, "kdump"),),
        None: ("$ lastwords check --section kdump  # on the machine, while it runs",),
    }
    yield Finding(
        "kdump-readiness",
        Severity.INFO,
        titles[verdict],
        why,
        evidence=(
            *(stage.proof for stage in stages),
            *((Proof("/proc/sys/kernel", value=known),) if known else ()),
        ),
        fix=fixes[verdict],
    )


@rule("panic-hangs", needs=("kernel", "kdump"), shows="stays-down")
def panic_hangs(case: Case) -> Iterator[Finding]:
    """``kernel.panic`` is 0 and nothing catches a crash: after a panic the machine stays down.

    With a capture kernel loaded the sysctl does not matter.
    """
    if sysctl(case, "kernel.panic") == 0 and loaded(case) is False and not in_container(case):
        yield Finding(
            "panic-hangs",
            Severity.INFO,
            "After a panic this machine stays down until somebody resets it",
            "kernel.panic is 0, and no capture kernel would take over.",
            evidence=(Proof("/proc/sys/kernel/panic", value=0, threshold="seconds until reboot"),),
            fix=(
                "$ echo kernel.panic = 10 > /etc/sysctl.d/90-panic.conf",
                "$ sysctl -p /etc/sysctl.d/90-panic.conf",
            ),
        )


@rule("oops-not-caught", needs=("kernel", "kdump"), shows="not-caught")
def oops_not_caught(case: Case) -> Iterator[Finding]:
    """A capture kernel is loaded, but an oops does not panic, so kdump does not see it.

    The process that hit it is killed and the kernel goes on with whatever locks that held.
    """
    if sysctl(case, "kernel.panic_on_oops") == 0 and loaded(case):
        yield Finding(
            "oops-not-caught",
            Severity.INFO,
            "An oops would not be dumped: kernel.panic_on_oops is 0",
            "kdump acts on a panic; most kernel bugs are an oops first, and a hang later.",
            evidence=(Proof("/proc/sys/kernel/panic_on_oops", value=0, threshold=1),),
            fix=(
                "$ echo kernel.panic_on_oops = 1 > /etc/sysctl.d/90-panic.conf",
                "$ sysctl -p /etc/sysctl.d/90-panic.conf",
            ),
        )
