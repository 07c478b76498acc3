"""Pages of facts on one topic, as data: ``--section NAME`` shows them, without a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lastwords.reports import pages_crash, pages_memory, pages_system
from lastwords.reports.page_parts import Block
from lastwords.verdict import Verdict

Builder = Callable[[Verdict], Iterable[Block]]


@dataclass(frozen=True)
class Page:
    """All that is known on one topic."""

    title: str
    blocks: tuple[Block, ...]


PAGES: dict[str, tuple[str, Builder, tuple[str, ...]]] = {
    "oom": ("Memory", pages_memory.oom, ("memory", "oom", "kernel_log")),
    "kdump": ("kdump", pages_crash.kdump, ("kdump",)),
    "boot": ("Boot", pages_system.boot, ("boot", "initramfs")),
    "crash": ("Crashes", pages_crash.crash, ("crash_dumps", "kernel_log")),
    "kernel": ("Kernel", pages_system.kernel, ("kernel",)),
    "processes": ("Processes", pages_memory.processes, ("processes",)),
}
"""By name: title, what makes its blocks, and the collectors whose facts they show."""


def lacking(verdict: Verdict, *topics: str) -> Iterable[Block]:
    """Yield a note for each collector that gathered nothing."""
    for topic in topics:
        if topic not in verdict.case.facts:
            entry = verdict.case.outcomes.get(topic) or {}
            reason = entry.get("reason") or entry.get("outcome") or "was not gathered"
            yield Block("", notes=(f"{topic}: {reason}",))


def page_of(name: str, verdict: Verdict) -> Page:
    """Return one page of a case. :raises KeyError: there is none of that name"""
    title, build, topics = PAGES[name]
    return Page(title, (*build(verdict), *lacking(verdict, *topics)))


def page_names() -> tuple[str, ...]:
    """Return the names of all pages."""
    return tuple(PAGES)
