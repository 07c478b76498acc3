"""The built-in collectors, one module each, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Collector, hookimpl


@hookimpl
def register_collectors(register: Callable[[Collector], None]) -> None:
    """Register the built-in collectors, in the order in which they run.

    The quick and telling ones come first: if the host dies meanwhile, they are in the bundle.
    """
    from lastwords.collectors.host import HostCollector

    register(HostCollector())
