"""The built-in rules, one module per topic, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Rule, hookimpl


@hookimpl
def register_rules(register: Callable[[Rule], None]) -> None:
    """Register the built-in rules."""
