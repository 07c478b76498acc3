"""What one crash dump says, as the JSON document of ``schemas/vmcore.json``.

What cannot be read is null, and ``missing`` says of it what is lacking and what would help. Nothing here
depends on the size of the dump, but the log and the lists of it are held in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional, Union

from lastwords import __version__
from lastwords.formats.vmcore.info import VmcoreInfo
from lastwords.formats.vmcore.vmlinux import how_to_get
from lastwords.model import Event, Facts
from lastwords.roots.vmcore import Vmcore, log_text

_WHO = re.compile(
    rb"CPU: (\d{1,5}) (?:UID: \d+ )?PID: (\d{1,7}) Comm: (.{1,15}?)(?: Kdump: | (?:Not t|T)ainted|$)"
)
"""dump_stack_print_info() of lib/dump_stack.c."""

if TYPE_CHECKING:
    from lastwords.analyzer.vmcore_drgn import DrgnInsides
    from lastwords.analyzer.vmcore_insides import Insides

SCHEMA = "urn:lastwords:schema:vmcore:1.0"
TAIL = 12
"""Last lines of the log that are always given."""


def events_of(core: Vmcore) -> list[Event]:
    """Return what the log of a dump tells of."""
    # Not at the top: who asks for nothing but the log need not wait for all those patterns.
    from lastwords.collectors.kernel_log_scan import LogScan
    from lastwords.formats.log.klog import Clock
    from lastwords.roots.lines import LINE_LIMIT, Line

    path = "$ dmesg"
    crashed = core.dump.crash_time
    clock = Clock(float(crashed) if crashed else None, None, core.booted, "time of the crash")
    scan = LogScan(path, clock, all_kernel=True)
    number = offset = 0
    for piece in log_text(core.log):
        for data in piece.splitlines():
            number += 1
            scan.take(Line(number, offset, data[:LINE_LIMIT]))
            offset += len(data) + 1
    return scan.events()


def describe(core: Vmcore, sections: Iterable[str] = (), vmlinux: Optional[str] = None) -> Facts:
    """Return the document of a dump.

    :param sections: what is read only when it is asked for: ``dmesg``, ``ps``, ``oom``, ``memory``, ``bt``,
        ``mount``
    :param vmlinux: debug symbols to use, or ``auto``
    :raises LastwordsError: there are none, they are of another kernel, or drgn is not installed
    """
    events = events_of(core)
    document: Facts = {
        "schema": SCHEMA,
        "tool_version": __version__,
        "path": core.path,
        "file": _file(core),
        "kernel": _kernel(core),
        "panic": next((item["summary"] for item in reversed(events) if item["kind"] == "panic"), None),
        "panic_task": _panic_task(core),
        "log": _log(core, "dmesg" in sections),
        "events": events,
        **_insides(core, sections, vmlinux),
        "missing": core.missing,
    }
    return document


def _panic_task(core: Vmcore) -> Optional[dict[str, Any]]:
    """Return who ran when the kernel died, as the log says it last."""
    for record in reversed(core.log):
        match = _WHO.search(record.text)
        if match is not None:
            comm = match[3].decode("utf-8", "replace")
            return {"cpu": int(match[1]), "pid": int(match[2]), "comm": comm}
    return None


def _insides(core: Vmcore, sections: Iterable[str], vmlinux: Optional[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"tasks": None, "memory": None, "backtraces": None, "mounts": None}
    wanted = [name for name in sections if name != "dmesg"]
    if not wanted:
        return found
    insides: Union[Insides, DrgnInsides]
    if vmlinux is not None:
        from lastwords.analyzer.vmcore_drgn import DrgnInsides, symbols_for

        insides = DrgnInsides(core, symbols_for(core, vmlinux))
    elif core.kernel is None:
        core.lacks("what the memory holds", "the kernel's memory cannot be found")
        return found
    else:
        from lastwords.analyzer.vmcore_insides import Insides

        insides = Insides(core.kernel, core.dump, _panic_task(core))
    if "bt" in wanted:
        found["backtraces"] = insides.backtraces()
    if "ps" in wanted or "oom" in wanted:
        found["tasks"] = insides.tasks()
    if "memory" in wanted:
        found["memory"] = insides.memory()
    if "mount" in wanted:
        found["mounts"] = insides.mounts()
    remedy = f"--vmlinux can: {how_to_get(core.dump.release, core.names['version'])}"
    for what, why, symbols_help in insides.missing:
        core.lacks(what, why, remedy if symbols_help else None)
    return found


def _file(core: Vmcore) -> dict[str, Any]:
    dump, head = core.dump, core.dump.head
    return {
        "kind": head.kind,
        "wrapped": core.image.wrapped,
        "flattened": head.flattened,
        "version": head.version,
        "size": dump.size,
        "compression": head.compression,
        "level": dump.level,
        "bits": head.bits,
        "byte_order": head.byte_order,
        "page_size": dump.info.page_size,
        "dumped": dump.file.pages * dump.file.page_size,
        "damage": core.damage,
    }


def _kernel(core: Vmcore) -> dict[str, Any]:
    dump, names = core.dump, core.names
    return {
        "release": dump.release,
        "version": names["version"],
        "hostname": names["hostname"],
        "machine": dump.machine,
        "build_id": dump.info.build_id,
        "crash_time": dump.crash_time,
        "uptime": core.uptime,
        "kaslr_offset": _kaslr(dump.info),
    }


def _kaslr(info: VmcoreInfo) -> Optional[int]:
    text = info.values.get("KERNELOFFSET", "")
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def _log(core: Vmcore, whole: bool) -> Optional[dict[str, Any]]:
    if core.log_kind is None:
        return None
    tail = [line for record in core.log[-TAIL:] for line in record.line().split(b"\n")]
    records = None
    if whole:
        records = [
            {
                "time": round(record.time / 1e9, 6) if record.stamped else None,
                "level": record.level,
                "caller": record.caller,
                "text": record.text.decode("utf-8", "replace"),
            }
            for record in core.log
        ]
    return {
        "kind": core.log_kind,
        "count": len(core.log),
        "lost": core.lost,
        "first": core.log[0].time / 1e9 if core.log and core.log[0].stamped else None,
        "last": core.uptime,
        "tail": [line.decode("ascii", "replace") for line in tail[-TAIL:]],
        "records": records,
    }
