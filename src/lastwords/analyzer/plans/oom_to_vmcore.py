"""Turn the next out-of-memory situation into a crash dump, so that its cause can be found."""

from __future__ import annotations

import argparse

from lastwords.analyzer.plans.script import NotPlannable, remove_file, write_file
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case

CONF = "/etc/sysctl.d/90-lastwords-oom.conf"
LOADED = "/sys/kernel/kexec_crash_loaded"


class OomToVmcorePlan(Plan):
    """Sets ``vm.panic_on_oom`` where a capture kernel waits for it, and nowhere else."""

    name = "oom-to-vmcore"
    title = "turn the next out-of-memory situation into a crash dump, so that its cause can be found"
    needs = ("host", "kdump", "oom")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--always",
            action="store_true",
            help="also when only a control group, a cpuset or a memory policy is out of memory (mode 2)",
        )

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        if ((case.facts.get("host") or {}).get("container") or {}).get("kind"):
            raise NotPlannable("a container has no crash dump of its own: plan this on its host")
        mode = 2 if arguments.always else 1
        sysctls = (case.facts.get("oom") or {}).get("sysctls") or {}
        before = _mode((sysctls.get("vm.panic_on_oom") or {}).get("runtime"))
        why = [
            f"vm.panic_on_oom={mode}: when memory runs out the kernel panics instead of killing a process;"
            " the capture kernel saves a dump, and the machine reboots. All its services are down meanwhile:"
            " undo this as soon as there is a dump.",
            "In the dump are all processes, slab caches and page tables as they were; the contents of user"
            " memory are left out by the usual dump level, and are not needed to tell who ate it.",
        ]
        if mode == 2:
            why.append("Mode 2 also panics when a mere container reaches its own limit.")
        kexec = (case.facts.get("kdump") or {}).get("kexec") or {}
        if kexec.get("crash_loaded") is False:
            why.append("NO CAPTURE KERNEL IS LOADED HERE: the script refuses until kdump works.")
        lines = (
            "# lastwords plan oom-to-vmcore",
            f"vm.panic_on_oom = {mode}",
            "# The list of processes goes to the kernel log as well.",
            "vm.oom_dump_tasks = 1",
        )
        apply = f"""\
# Without a capture kernel a panic leaves nothing: check first.
if [ "$(cat {LOADED} 2>/dev/null)" != 1 ]; then
    echo "no capture kernel is loaded: set kdump up first; nothing was changed" >&2
    return 1
fi
{write_file(CONF, lines)}
sysctl -q -p {CONF}
sysctl vm.panic_on_oom"""
        undo = f"""\
{remove_file(CONF)}
sysctl vm.panic_on_oom={before}"""
        return Script("Panic when memory runs out, so that kdump saves why", tuple(why), apply, undo)


def _mode(value: object) -> int:
    return value if isinstance(value, int) and value in (0, 1, 2) else 0
