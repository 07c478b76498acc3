"""All deaths that one log tells of: kernel reports, boots that failed, crash dumps that could not be made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords.analyzer.kdump.advice import with_size
from lastwords.formats.crash import reports as crash_reports
from lastwords.formats.crash.frames import Frame
from lastwords.formats.crash.reports import Report, Reports
from lastwords.formats.crash.signature import signature_of_failure, signature_of_report
from lastwords.formats.failures import reader as failures
from lastwords.formats.failures.reader import Failure, Failures
from lastwords.formats.failures.texts import TEXTS
from lastwords.formats.log.klog import Clock
from lastwords.formats.log.messages import Message
from lastwords.roots.logfile import LogReader, open_log, open_parts

SCHEMA = "urn:lastwords:schema:crash_log:1.0"


def _shortest(words: Iterable[str]) -> tuple[bytes, ...]:
    """Return the words that hold no other: what holds one of all words holds one of these."""
    kept: list[str] = []
    for word in sorted(set(words), key=len):
        if not any(other in word for other in kept):
            kept.append(word)
    return tuple(word.encode() for word in kept)


WORDS = _shortest((*crash_reports.WORDS, *failures.WORDS))
"""Byte strings of which every line that begins a report, or tells of a failure, holds at least one."""
GATES = {
    b"kernel:": _shortest((*crash_reports.WORDS, *failures.KERNEL)),
    b"kdump": _shortest(failures.WORDS),
    b"mergency": (b"mergency",),
}
"""Who writes such lines, in a log that tells who wrote each; the lines before them come too."""

_NOTHING: dict[str, Any] = {
    "frame": None,
    "corrupted": False,
    "corrupted_reason": None,
    "cause": None,
    **dict.fromkeys(("cpu", "pid", "comm", "release", "build", "taint", "hardware", "code")),
    "modules": [],
    "registers": [],
    "frames": [],
    **dict.fromkeys(("stage", "class", "device", "why")),
    "fix": [],
}
"""What a report has when it does not tell."""

Entry = dict[str, Any]
"""One report, as ``schemas/crash_log.json`` describes it."""


@dataclass
class CrashLog:
    """What was found in one log."""

    path: str
    reports: list[Entry] = field(default_factory=list)
    """In the order of the log."""
    lines: int = 0
    size: int = 0
    unlisted: int = 0
    """Reports beyond those that are listed."""
    problem: Optional[str] = None
    """Why the log could not be read to its end."""

    def to_json(self) -> Entry:
        """Return it as the JSON object of ``schemas/crash_log.json``."""
        return {
            "schema": SCHEMA,
            "path": self.path,
            "reports": self.reports,
            "lines": self.lines,
            "bytes": self.size,
            "unlisted": self.unlisted,
            "problem": self.problem,
        }

    def death(self) -> Optional[Entry]:
        """Return the report of what the machine died of: the cause of the last fatal one, else the first."""
        if not self.reports:
            return None
        fatal = [entry for entry in self.reports if entry["fatal"] and not self._of_crash_kernel(entry)]
        found = (fatal or self.reports[:1])[-1]
        return found if found["cause"] is None else self.reports[found["cause"]]

    def _of_crash_kernel(self, entry: Entry) -> bool:
        """Return whether not the machine died of it, but the crash kernel that should save its dump."""
        return entry["cause"] is not None and bool(self.reports[entry["cause"]]["event"] == "kdump")


class CrashLogReader:
    """Feed it every message of a log; :meth:`end` gives what was found."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._reports = Reports()
        self._failures = Failures()

    def feed(self, message: Message) -> int:
        """Take one message in; return how many more are wanted, whatever they say."""
        self._failures.feed(message)
        return self._reports.feed(message)

    def end(self, clock: Clock) -> CrashLog:
        """Return what was found, causes before what followed from them."""
        reports = self._reports.end()
        found: list[tuple[int, Entry, Optional[Report]]] = [
            (report.first.number, _report_entry(report, clock), report) for report in reports
        ]
        release = next((each.facts.release for each in reversed(reports) if each.facts.release), None)
        failed = self._failures.end()
        found += [
            (failure.proofs[0].message.number, _failure_entry(failure, clock, release), None)
            for failure in failed
        ]
        found.sort(key=lambda item: (item[0], item[1]["event"] != "kdump"))
        place = {id(report): index for index, (_, _, report) in enumerate(found) if report is not None}
        for _, entry, report in found:
            if report is not None and report.cause is not None:
                entry["cause"] = place[id(reports[report.cause])]
        _link_boots(found)
        _link_crash_kernels(found)
        return CrashLog(self.path, [entry for _, entry, _ in found], unlisted=self._reports.unlisted)


def read_log(path: str, *more: str) -> CrashLog:
    """Return what a log tells that is given by its path, or as ``-`` for standard input.

    :param more: the later parts of a record of pstore, of which *path* is the first
    :raises lastwords.model.LastwordsError: it cannot be opened, or is a directory
    """
    opened = open_parts((path, *more), WORDS) if more else open_log(path, WORDS, gates=GATES)
    with opened as log:
        return read_opened(path, log)


def read_opened(path: str, log: LogReader) -> CrashLog:
    """Return what a log tells that was opened for :data:`WORDS`."""
    reader = CrashLogReader(path)
    for message in log:
        wanted = reader.feed(message)
        if wanted:
            log.want(wanted)
    found = reader.end(log.clock)
    found.lines, found.size, found.problem = log.lines, log.size, log.problem
    return found


def read_messages(path: str, messages: Iterable[Message], clock: Clock) -> CrashLog:
    """Return what all messages of a log tell."""
    reader = CrashLogReader(path)
    for message in messages:
        reader.feed(message)
    return reader.end(clock)


def _link_boots(found: list[tuple[int, Entry, Optional[Report]]]) -> None:
    """A panic within the lines of a failed boot is how that boot ended, not another death."""
    for index, (_, boot, report) in enumerate(found):
        if report is not None or boot["event"] != "boot_failure":
            continue
        for later in range(index + 1, len(found)):
            number, entry, other = found[later]
            if (
                other is None
                or other.kind != "panic"
                or number > boot["last_line"]
                or entry["cause"] is not None
            ):
                continue
            entry["cause"] = index


def _link_crash_kernels(found: list[tuple[int, Entry, Optional[Report]]]) -> None:
    """A panic that tells of a dump which was not saved is how the crash kernel ended, not another death."""
    for index, (_, failure, report) in enumerate(found):
        if report is None and failure["event"] == "kdump" and failure["stage"] == "capture":
            for number, entry, other in found:
                within = failure["line"] <= number <= failure["last_line"]
                if within and other is not None and other.kind == "panic" and entry["cause"] is None:
                    entry["cause"] = index


def _report_entry(report: Report, clock: Clock) -> Entry:
    facts = report.facts
    flags = [{"letter": each.letter, "meaning": each.meaning} for each in facts.taints]
    return {
        **_NOTHING,
        **_place(report.first, report.last, clock),
        "kind": report.kind,
        "event": report.event,
        "title": report.title,
        "alt_titles": list(report.alts),
        "frame": report.frame,
        "signature": signature_of_report(report).to_json(),
        "fatal": report.fatal,
        "corrupted": report.corrupted is not None,
        "corrupted_reason": report.corrupted,
        "cpu": facts.cpu,
        "pid": facts.pid,
        "comm": facts.comm,
        "release": facts.release,
        "build": facts.build,
        "taint": None if facts.taint is None else {"letters": facts.taint, "flags": flags},
        "hardware": facts.hardware,
        "modules": list(facts.modules),
        "registers": list(facts.registers),
        "code": facts.code,
        "frames": [_frame(frame) for frame in report.frames],
        "excerpt": list(report.lines),
    }


def _failure_entry(failure: Failure, clock: Clock, release: Optional[str]) -> Entry:
    text = TEXTS[failure.name]
    title = f"{failure.area} failure: {text.title}"
    return {
        **_NOTHING,
        **_place(failure.proofs[0].message, failure.proofs[-1].message, clock),
        "kind": f"{failure.area}_failure",
        "event": "boot_failure" if failure.area == "boot" else "kdump",
        "title": title,
        "alt_titles": [],
        "signature": signature_of_failure(failure, title).to_json(),
        "fatal": failure.area == "boot",
        "stage": failure.stage,
        "class": failure.name,
        "device": failure.device,
        "why": text.why,
        "fix": list(with_size(failure.name, failure.memory, failure.reserved, release)),
        "excerpt": [proof.text for proof in failure.proofs],
    }


def _place(first: Message, last: Message, clock: Clock) -> Entry:
    time, source = first.line.epoch(clock)
    return {
        "line": first.number,
        "last_line": last.number,
        "offset": first.offset,
        "last_offset": last.offset,
        "time": time,
        "time_source": source,
        "monotonic": first.line.monotonic,
        "host": first.line.host,
    }


def _frame(frame: Frame) -> Entry:
    return {
        "function": frame.function,
        "offset": frame.offset,
        "size": frame.size,
        "module": frame.module,
        "reliable": frame.reliable,
        "stack": frame.stack,
    }
