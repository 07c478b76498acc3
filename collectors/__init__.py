"""The built-in collectors, one module each, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Collector, hookimpl


@hookimpl
def register_collectors(register: Callable[[Collector], None]) -> None:
    """Register the built-in collectors, in the order in which they run.

    The quick and telling ones come first: if the host dies meanwhile, they are in the bundle.
    """
    from lastwords.collectors.boot import BootCollector
    from lastwords.collectors.crash_dumps import CrashDumpsCollector
    from lastwords.collectors.host import HostCollector
    from lastwords.collectors.initramfs import InitramfsCollector
    from lastwords.collectors.kdump import KdumpCollector
    from lastwords.collectors.kernel import KernelCollector
    from lastwords.collectors.kernel_log import KernelLogCollector
    from lastwords.collectors.memory import MemoryCollector
    from lastwords.collectors.oom import OomCollector
    from lastwords.collectors.processes import ProcessesCollector

    register(HostCollector())
    register(KernelCollector())
    register(OomCollector())
    register(MemoryCollector())
    register(ProcessesCollector())
    register(KernelLogCollector())
    register(KdumpCollector())
    register(CrashDumpsCollector())
    register(BootCollector())
    register(InitramfsCollector())
