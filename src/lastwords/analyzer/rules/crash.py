"""What died: crash dumps that lie on the host, and deaths and failed boots that its logs tell of."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.analyzer.again import DISK, disk_of, look_at_dump, look_at_memory, look_at_saved_dump
from lastwords.analyzer.causes import NO_BOOT, NO_ROOT, OUT_OF_MEMORY
from lastwords.analyzer.kdump.advice import with_size
from lastwords.analyzer.titles import CUT, event_title
from lastwords.formats.failures.texts import TEXTS, VERSION
from lastwords.formats.vmcore.vmlinux import how_to_get
from lastwords.hookspecs import rule
from lastwords.model import Case, Event, Facts, Finding, Proof, Severity

DEATHS = {
    "panic": ("The kernel panicked", Severity.CRITICAL),
    "oops": ("The kernel hit a bug in its own code (oops)", Severity.CRITICAL),
    "bug": ("The kernel hit a bug in its own code", Severity.CRITICAL),
    "hang": ("A CPU or a task hung", Severity.WARNING),
    "mce": ("The hardware reported a machine check", Severity.WARNING),
}
SHOWN = 3
NO_DUMPS = {"text": "text", "zeros": "zero bytes"}
"""Kinds of heads that no crash dump has; of an unknown kind it may be one all the same."""


@rule("crash-dump-exists", needs=("crash_dumps",))
def dump_exists(case: Case) -> Iterator[Finding]:
    """kdump saved a crash of this machine: somebody should look at it. Older ones are only mentioned."""
    for dump in case.facts["crash_dumps"]["dumps"] or ():
        if dump["unfinished"] or dump["cores"] == [] or _damaged(dump):
            continue
        core = (dump["cores"] or ["vmcore"])[0]
        yield Finding(
            "crash-dump-exists",
            Severity.WARNING if case.is_news(dump["time"]) else Severity.INFO,
            f"A crash dump lies in {dump['path']}",
            "This machine crashed, and the state of its kernel at that moment was saved.",
            subject=dump["path"],
            evidence=(Proof(f"{dump['path']}/{core}", value=_size(dump["size"])),),
            fix=(look_at_saved_dump(case, f"{dump['path']}/{core}"),),
        )


@rule("crash-dump-incomplete", needs=("crash_dumps",))
def dump_incomplete(case: Case) -> Iterator[Finding]:
    """A dump was begun and not finished: the target was full, or the capture kernel died too.

    What bears the name of a finished dump is held against its own headers.
    """
    for dump in case.facts["crash_dumps"]["dumps"] or ():
        damaged = _damaged(dump)
        names = list(dump["unfinished"] or ())
        if not names and dump["cores"] != [] and not damaged:
            continue
        yield Finding(
            "crash-dump-incomplete",
            Severity.WARNING,
            f"The crash dump in {dump['path']} is not complete",
            "A crash was not caught whole, and the next one may not be either.",
            subject=dump["path"],
            evidence=(
                *(Proof(f"{dump['path']}/{name}") for name in names if name not in damaged),
                *(Proof(f"{dump['path']}/{name}", excerpt=why) for name, why in damaged.items()),
            )
            or (Proof(dump["path"]),),
            fix=("See how full the target is, and the log of the capture kernel beside the dump.",),
        )


@rule("crash-dump-without-symbols", needs=("crash_dumps", "kernel"))
def without_symbols(case: Case) -> Iterator[Finding]:
    """A crash dump lies here, and debug symbols of the running kernel do not.

    ``lastwords vmcore`` reads the log, tasks and back traces without them; crash(8) and drgn need them. A
    dump of another kernel needs that one's.
    """
    dumps = case.facts["crash_dumps"]["dumps"] or ()
    kernel = case.facts["kernel"]
    if not dumps or kernel["debug_info"]["exists"] is not False:
        return
    release = kernel["release"]
    yield Finding(
        "crash-dump-without-symbols",
        Severity.INFO,
        f"No debug symbols of kernel {release} are installed",
        "crash and drgn need them to read a dump; they can be installed on any machine, beside a copy of it.",
        subject=f"kernel {release}",
        evidence=(
            Proof("/usr/lib/debug", value=f"no kernel {release}"),
            Proof(str(dumps[0]["path"]), value="a dump"),
        ),
        fix=(how_to_get(release, kernel["version"]),),
    )


_ASKED = re.compile("sysrq triggered|sysrq_handle_crash")


@rule("crash-happened", needs=("kernel_log",))
def crash_happened(case: Case) -> Iterator[Finding]:
    """The kernel log tells of a panic, an oops, a bug, a hang or a machine check. One finding a kind.

    It names the title under which each is known on the kernel's lists and dashboards.
    """
    booting = any(
        event["kind"] == "boot_failure" and event["details"].get("class") == "init_killed"
        for event in case.events
    )
    for kind, (title, severity) in DEATHS.items():
        events = [event for event in case.machine_events() if event["kind"] == kind]
        if not events:
            continue
        last = events[-1]
        grave = severity if case.is_news(last["time"]) else Severity.INFO
        times = "once" if len(events) == 1 else f"{len(events)} times"
        yield Finding(
            "crash-happened",
            grave,
            f"{title}, {times}",
            "The log says: " + str(last["summary"]),
            subject=kind,
            evidence=tuple(map(proof, events[-SHOWN:])),
            fix=(*_search(case, events, booting), *look_at_dump(case)),
        )


@rule("kernel-warned", needs=("kernel_log",))
def kernel_warned(case: Case) -> Iterator[Finding]:
    """The kernel warned (WARN_ON, lockdep and the like): something was not as its code expects.

    Good to know: mostly harmless, sometimes the first word of a death that comes later. One finding for all,
    with the titles under which they are known.
    """
    events = [event for event in case.machine_events() if event["kind"] == "warning"]
    if not events:
        return
    yield Finding(
        "kernel-warned",
        Severity.INFO,
        f"The kernel warned, {'once' if len(events) == 1 else f'{len(events)} times'}",
        f"The last time: {event_title(events[-1])}",
        subject="warning",
        evidence=tuple(map(proof, events[-SHOWN:])),
        fix=tuple(_search(case, events, False)),
    )


@rule("boot-failed", needs=("kernel_log",))
def boot_failed(case: Case) -> Iterator[Finding]:
    """A boot ended before the machine was up: the log tells at which stage, and mostly of what.

    Read from consoles (firmware, GRUB, kernel, initramfs-tools, dracut, systemd) and from what was saved of a
    kernel that died. Of several the last is told; a mere warning when the same log shows a later boot that
    does not fail.
    """
    failed = [each for each in case.events if each["kind"] == "boot_failure"]
    if not failed:
        return
    last = failed[-1]
    details, line = last["details"], last["line"] or 0
    text = TEXTS.get(str(details.get("class")))
    if text is None:
        return
    later = any(
        each["kind"] == "boot"
        and (
            each["time"] > last["time"]
            if each["time"] is not None and last["time"] is not None
            else each["path"] == last["path"] and (each["line"] or 0) > line
        )
        for each in case.events
    )
    severity = Severity.WARNING if later else Severity.CRITICAL
    yield Finding(
        "boot-failed",
        severity if case.is_news(last["time"]) else Severity.INFO,
        f"{'A' if later else 'The last'} boot failed: {last['summary']}",
        text.why,
        subject=str(details["class"]),
        evidence=(Proof(last["path"], line=last["line"], excerpt=details.get("said")),),
        fix=tuple(_filled(case, step, _release(case, last)) for step in text.fix),
    )


def _filled(case: Case, step: str, release: Optional[str]) -> str:
    """Return a step with the disk, where the input is one, and the kernel that did not boot, where told."""
    there = step.replace(f"--root {DISK}", f"--root {disk_of(case)}")
    return there.replace(VERSION, shlex.quote(release)) if release else there


@rule("kdump-failed", needs=("kernel_log",), shows="no-dump")
def kdump_failed(case: Case) -> Iterator[Finding]:
    """The log tells that kdump failed: no memory was reserved, no crash kernel loaded, or it saved nothing.

    One finding a stage, of its last failure. What was reserved and loaded is not told of where the machine's
    own state is known: its other rules judge that.
    """
    failed = {
        str(each["details"].get("stage")): each
        for each in case.events
        if each["kind"] == "kdump" and each["details"].get("class") in TEXTS
    }
    for stage, last in failed.items():
        if stage != "capture" and "kdump" in case.facts:
            continue
        text = TEXTS[str(last["details"]["class"])]
        yield Finding(
            "kdump-failed",
            Severity.WARNING if case.is_news(last["time"]) else Severity.INFO,
            text.headline,
            text.why,
            subject=stage,
            evidence=(Proof(last["path"], line=last["line"], excerpt=last["details"].get("said")),),
            fix=with_size(
                str(last["details"]["class"]),
                last["details"].get("memory"),
                last["details"].get("reserved"),
                _release(case, last),
            ),
        )


def _release(case: Case, event: Event) -> Optional[str]:
    """Return the release of the kernel that was started last before an event in its log, or None."""
    before = [
        each["details"]["release"]
        for each in case.events
        if each["kind"] == "boot"
        and each["details"].get("release")
        and each["path"] == event["path"]
        and (each["line"] or 0) <= (event["line"] or 0)
    ]
    return str(before[-1]) if before else None


def _search(case: Case, events: list[Event], booting: bool) -> Iterator[str]:
    """Yield what to search for: the titles of the last reports, each once; or whom to ask.

    Nobody's search tells why a machine does not find its root, or who held its memory.

    :param booting: a boot failed of an init that died, which is no other
    """
    known = NO_BOOT if booting else NO_ROOT
    events = [event for event in events if not re.search(known, event["summary"])]
    if not events:
        return
    if all(re.search(OUT_OF_MEMORY, event["summary"]) for event in events):
        yield look_at_memory(case, "who held the memory")
        return
    unasked = [
        event for event in events[-SHOWN:] if not _ASKED.search(f"{event['summary']} {event_title(event)}")
    ]
    if not unasked:
        yield "Ask who did it: the histories of shells, the audit log, whoever has the console."
        return
    titles = dict.fromkeys(
        event_title(e).removesuffix(CUT) if e["details"].get("title") else None for e in unasked
    )
    for title in titles:
        if title is not None:
            yield f'Search the kernel lists and the distribution\'s bugs for "{title}".'
    if not any(titles):
        yield "Search the kernel lists and the distribution's bugs for the words of the first report."


def proof(event: Event) -> Proof:
    """Return an event as a proof."""
    return Proof(event["path"], line=event["line"], excerpt=event["summary"])


def _damaged(dump: Facts) -> dict[str, str]:
    """Return the files that should be whole dumps and are not, and why, by their own headers."""
    found = {}
    for file in dump["files"] or ():
        head = file["head"]
        if head is None:
            continue
        if head["kind"] in NO_DUMPS:
            found[file["name"]] = f"no crash dump, but {NO_DUMPS[head['kind']]}"
        elif head.get("damage"):
            found[file["name"]] = head["damage"][0]
        elif head["incomplete"]:
            found[file["name"]] = "marked as incomplete by makedumpfile"
    return found


def _size(value: Any) -> str:
    return "of unknown size" if value is None else f"{value / (1 << 20):.1f} MiB"
