"""The built-in plans, one module each, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Plan, hookimpl


@hookimpl
def register_plans(register: Callable[[Plan], None]) -> None:
    """Register the built-in plans."""
    from lastwords.analyzer.plans.limit import LimitPlan
    from lastwords.analyzer.plans.oom_to_vmcore import OomToVmcorePlan
    from lastwords.analyzer.plans.protect import ProtectPlan

    for plan in (ProtectPlan(), LimitPlan(), OomToVmcorePlan()):
        register(plan)
