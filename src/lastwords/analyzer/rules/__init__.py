"""The built-in rules, one module per topic, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Rule, hookimpl


@hookimpl
def register_rules(register: Callable[[Rule], None]) -> None:
    """Register every rule of the modules here."""
    from lastwords.analyzer.rules import (
        boot,
        boot_config,
        crash,
        dump_target,
        dumps,
        endings,
        initramfs,
        kdump,
        kdump_capture,
        kdump_verdict,
        oom,
        oom_protection,
        oom_settings,
    )

    ours = (kdump, kdump_capture, dump_target, kdump_verdict, dumps)
    for module in (oom, oom_settings, oom_protection, crash, endings, *ours, boot, initramfs, boot_config):
        for value in vars(module).values():
            if isinstance(value, Rule):
                register(value)
