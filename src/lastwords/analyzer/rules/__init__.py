"""The built-in rules, one module per topic, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Rule, hookimpl


@hookimpl
def register_rules(register: Callable[[Rule], None]) -> None:
    """Register every rule of the modules here."""
    from lastwords.analyzer.rules import boot, crash, kdump, oom, oom_protection, oom_settings

    for module in (oom, oom_settings, oom_protection, crash, kdump, boot):
        for value in vars(module).values():
            if isinstance(value, Rule):
                register(value)
