"""Which deaths would make the kernel panic, and so start the capture kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.kdump.setup import sysctl
from lastwords.model import Case

SYSRQ_DUMP = 8
"""Bit of kernel.sysrq that allows ``c`` from the keyboard (Documentation/admin-guide/sysrq.rst)."""


@dataclass(frozen=True)
class Trigger:
    """One kind of death."""

    death: str
    key: str
    """The sysctl that decides."""
    value: Optional[int]
    caught: Optional[bool]
    """Whether the kernel would panic; None when not known."""


_SIMPLE = (
    ("an oops", "kernel.panic_on_oops"),
    ("running out of memory", "vm.panic_on_oom"),
    ("a soft lockup", "kernel.softlockup_panic"),
    ("a hard lockup", "kernel.hardlockup_panic"),
    ("a hung task", "kernel.hung_task_panic"),
    ("an RCU stall", "kernel.panic_on_rcu_stall"),
    ("a warning", "kernel.panic_on_warn"),
    ("an NMI of unknown reason (the NMI button)", "kernel.unknown_nmi_panic"),
    ("an NMI for a hardware error", "kernel.panic_on_unrecovered_nmi"),
    ("an NMI for an I/O error", "kernel.panic_on_io_nmi"),
)
_WATCHDOGS = {
    "kernel.softlockup_panic": ("kernel.watchdog", "kernel.soft_watchdog"),
    "kernel.hardlockup_panic": ("kernel.watchdog", "kernel.nmi_watchdog"),
}
"""Those that find the death at all: with one of them off, nobody notices."""


def triggers(case: Case) -> list[Trigger]:
    """Return every kind of death and whether it would be dumped. A panic always is.

    Source: Documentation/admin-guide/sysctl/kernel.rst and vm.rst.
    """
    found = []
    for death, key in _SIMPLE:
        value = sysctl(case, key)
        watched = all(sysctl(case, each) != 0 for each in _WATCHDOGS.get(key, ()))
        found.append(Trigger(death, key, value, None if value is None else value != 0 and watched))
    value = sysctl(case, "kernel.sysrq")
    allowed = None if value is None else value == 1 or bool(value & SYSRQ_DUMP)
    found.append(Trigger("SysRq-C from the keyboard", "kernel.sysrq", value, allowed))
    return found
