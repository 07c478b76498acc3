"""What other projects expect of their own logs, held against the reports found in them.

Where a project says another thing on purpose, the difference has a name in :data:`REASONS` and a condition that
the log itself must meet; docs/accuracy.md explains each. A difference that meets none fails. The logs lie beside
the checkout and are never copied into it.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import pytest

from lastwords.formats.crash.reports import Report, find_reports
from lastwords.formats.crash.signature import signature_of_report
from lastwords.formats.crash.title import normalize
from lastwords.formats.failures.reader import Failures
from lastwords.formats.log.messages import messages

CORPUS = Path(os.environ.get("LASTWORDS_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
CRASHES = CORPUS / "crash"
needs_corpus = pytest.mark.skipif(not (CRASHES / "satyr").is_dir(), reason=f"no corpus at {CORPUS}")

REASONS = {
    "satyr: whole text": "its frames are those of all reports of the text, here each report has its own",
    "satyr: callee": "on arm it counts the callee of each line, here the caller of the last is a frame, too",
    "satyr: pointer": "on powerpc the instruction pointer is no frame there",
    "satyr: nameless": "addresses without a name are frames there",
    "satyr: torn line": "a frame behind something that was pasted into its line is none there",
    "abrt: another host": "a log that another host's name is in is not read there",
    "abrt: guessed frames": "an oops whose frames are all guessed is dropped there; here it is called corrupted",
    "abrt: escapes": "what rsyslog escaped (#012, \\x0a) is not read there",
    "telemetrics: not a death": "a driver's message with a trace is a report there",
    "telemetrics: two reports": "a report that another CPU's interrupts is one with it there",
    "lkp: not a death": "a suspicious line of a machine that goes on unharmed is an error there",
    "lkp: pointer alone": "an instruction pointer before, after or without a report is an error there",
    "lkp: one trace": "two reports after each other are one trace there",
    "lava: hard lockup": "a hard lockup is none of its kinds",
    "logspec: runs on": "what is printed after a report, other reports among it, is of its trace there",
    "logspec: not a death": "a driver that fails to probe, and a message of high priority, are errors there",
    "syzkaller: corrupted": "a report that its own reporter calls corrupted bears no title to compare with",
    "syzkaller: old warning": "its reporter takes the first line of warnings up to 3.9, here their function is named",
    "syzkaller: slab": "its reporter leaves cache and taint in the title of a slab's corruption",
    "syzkaller: decoded": "its reporter does not read traces that were decoded to places in the source",
    "syzkaller: not a death": "lines 'WARNING: ' and 'INFO: ' of firmware, drivers and programs are reports there",
    "syzkaller: unknown": "machine checks, double faults without 'PANIC' and CFI failures are none of its kinds",
    "syzkaller: lockup": "up to 4.2 a hard lockup is printed as a warning, and is one there",
}
_UNHARMED = re.compile(
    r"genirq: Flags mismatch|sysctl could not get|invoked oom-killer|Mem-Info|page allocation failure"
    r"|IP-Config: |nobody cared|WARNING: lkp |warn_alloc_failed"
)
_OLD_WARNING = re.compile(r"^WARNING: at ?\S+:")


@dataclass
class Tally:
    """What was held against each other: how much is right, what differs and why."""

    right: Counter[str] = field(default_factory=Counter)
    differs: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def hold(self, what: str, name: str, right: object, why: dict[str, bool], *, ours: object = None) -> None:
        """Count a comparison; where it is not right, the first of the reasons that holds explains it."""
        assert why.keys() <= REASONS.keys()
        if right:
            self.right[what] += 1
        elif (reason := next((reason for reason, holds in why.items() if holds), None)) is not None:
            self.differs[reason] += 1
        else:
            self.unexplained.append(f"{name}: {what}: {ours!r}")

    def end(self) -> None:
        print(dict(self.right), dict(self.differs), file=sys.stderr)
        assert self.unexplained == []
        assert self.right or self.differs


@dataclass
class Case:
    """One log, what its project expects, and what is found."""

    name: str
    row: dict[str, str]
    log: bytes
    reports: list[Report]

    @property
    def lines(self) -> set[str]:
        """All lines of all reports."""
        return {" ".join(line.split()) for report in self.reports for line in report.lines}


def find(log: bytes) -> list[Report]:
    return find_reports(messages((n, 0, line) for n, line in enumerate(log.split(b"\n"), 1)))


def cases(project: str) -> Iterator[Case]:
    """Yield the logs of a project that are there: a part of each corpus is held back."""
    with (CRASHES / project / "INDEX.tsv").open(encoding="utf-8", newline="\n") as index:
        for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = CRASHES / project / row["file"]
            if path.is_file() and row.get("role") not in ("expected", "other"):
                log = path.read_bytes().replace(b"\r", b"")
                # What the project's tests put their host's name in the place of.
                log = re.sub(rb":(?:FULL_)?HOSTNAME:", b"web", log)
                yield Case(row["file"], row, log, find(log))


@needs_corpus
def test_satyr() -> None:
    tally = Tally()
    for case in cases("satyr"):
        row, found = case.row, case.reports
        tally.hold("detection", case.name, found, {})
        if row["reason"] and not row["reason"].startswith("("):
            tally.hold("reason", case.name, found[0].title == row["reason"], {})
        if row["tested"] != "Y":
            continue
        frames = [frame for report in found for frame in report.frames]
        names = [frame.function for frame in frames]
        of_arm = row["arch"] == "arm"
        nameless = len(re.findall(rb"^(?:\[[ \d.]+\])?\s+0x[0-9a-f]{6,}\s*$", case.log, re.M))
        torn = len(re.findall(rb"^[^\[<\s].*\[ *\d+\.\d+\] .*\+0x", case.log, re.M))
        tally.hold(
            "frames",
            case.name,
            len(found[0].frames) == int(row["frames"]),
            {
                "satyr: callee": of_arm and sum(len(r.frames) - 1 for r in found) == int(row["frames"]),
                "satyr: pointer": "pointer" in (f.source for f in frames)
                and sum(f.source != "pointer" for f in frames) == int(row["frames"]),
                "satyr: nameless": nameless > 0 and len(frames) + nameless == int(row["frames"]),
                "satyr: whole text": len(found) > 1 and len(frames) == int(row["frames"]),
                "satyr: torn line": torn > 0 and len(frames) - torn == int(row["frames"]),
            },
            ours=len(frames),
        )
        if row["first_function"]:
            tally.hold("first function", case.name, names[0] == row["first_function"], {}, ours=names[0])
            tally.hold(
                "last function",
                case.name,
                names[-1] == row["last_function"],
                {"satyr: callee": of_arm and names[-2] == row["last_function"]},
                ours=names[-1],
            )
        facts = [report.facts for report in found]
        taints = max(len(each.taints) for each in facts)
        tally.hold("taint", case.name, taints == int(row["taint_count"]), {}, ours=taints)
        modules = max(len(each.modules) for each in facts)
        tally.hold("modules", case.name, modules == int(row["modules"]), {}, ours=modules)
        if row["first_stack"]:
            tally.hold("stack", case.name, frames[0].stack == row["first_stack"], {}, ours=frames[0].stack)
    tally.end()


_SILENT = re.compile(r"^(?:no_oops|not_oops)")
"""What abrt's tests call the logs in which it must find nothing."""


@needs_corpus
def test_abrt() -> None:
    tally = Tally()
    for case in cases("abrt"):
        row, found = case.row, case.reports
        if _SILENT.match(case.name):
            why = {
                "abrt: another host": b"nonexistent-hostname" in case.log,
                "abrt: guessed frames": all(
                    r.corrupted == "only guessed frames in the call trace" for r in found
                ),
            }
            tally.hold("silence", case.name, not found, why, ours=[r.title for r in found])
            continue
        tally.hold("detection", case.name, found, {})
        if not row["n_oops"]:
            continue
        tally.hold("oopses", case.name, len(found) == int(row["n_oops"]), {}, ours=[r.title for r in found])
        release = next((r.facts.release for r in found if r.facts.release), None)
        tally.hold("release", case.name, release == (row["version"] or None), {}, ours=release)
        first = " ".join(found[0].lines[0].split())
        tally.hold(
            "first line", case.name, first.endswith(" ".join(row["first_line"].split())), {}, ours=first
        )
        expected = (CRASHES / "abrt" / row["expected_file"]).read_text(encoding="utf-8").splitlines()
        for line in filter(None, (" ".join(line.split()) for line in expected)):
            if not line.startswith(("abrt-dump-oops: Found", "Version:")):
                escaped = {"abrt: escapes": "\\x0" in line or "#0" in line}
                tally.hold("line of the oops", case.name, line in case.lines, escaped, ours=line)
    tally.end()


@needs_corpus
def test_abrt_sees_the_same_death_of_two_machines() -> None:
    same = 0
    for path in sorted((CRASHES / "abrt").glob("*same-as-*.right")):
        name = path.name.replace("same-as-", "").replace("oops-oops", "oops")
        other = next(
            (p for p in (path.with_name(name), path.with_name("hash-gen-" + name)) if p.is_file()), None
        )
        if other is not None:
            one, two = (signature_of_report(find(p.read_bytes())[0]) for p in (path, other))
            assert set(one.merge) & set(two.merge), path.name
            same += 1
    assert same


def _frame_names(report: Report) -> list[str]:
    return [("" if f.reliable else "? ") + f.function for f in report.frames if f.source != "pointer"]


@needs_corpus
def test_telemetrics() -> None:
    tally = Tally()
    for case in cases("telemetrics"):
        row, found = case.row, case.reports
        reason = " ".join(row["reason"].split())
        if not reason:
            tally.hold("detection", case.name, found or b"Call Trace" not in case.log, {})
            continue
        message = re.match(r"RTNL: |irq \d+: |sysctl table|ALSA ", reason)
        report = next((r for r in found if " ".join(r.lines[0].split()) == reason), None)
        tally.hold("reason", case.name, report, {"telemetrics: not a death": message is not None})
        if report is None:
            continue
        if row["frames"]:
            names = row["frames"].split(",")
            others = [_frame_names(r) for r in found if r is not report]
            mixed = report.corrupted == "lines of several reports are mixed" and names in others
            right = _frame_names(report) == names
            tally.hold(
                "frames", case.name, right, {"telemetrics: two reports": mixed}, ours=_frame_names(report)
            )
        letters = "" if row["tainted"] == "Not tainted" else "".join(row["tainted"].split())
        taint = report.facts.taint or ""
        # Its pattern of the letters ends at the second blank.
        tally.hold(
            "taint", case.name, taint == letters or (letters and taint.startswith(letters)), {}, ours=taint
        )
        release = report.facts.release or ""
        tally.hold("release", case.name, row["kernel"].split()[:1] == [release], {}, ours=release)
    tally.end()


def _lkp_errors(path: Path) -> Iterator[str]:
    """Yield the line of every error that LKP names."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("message:"):
            yield line.rpartition(": ")[2] if "] " not in line else line.partition("] ")[2]


@needs_corpus
def test_lkp() -> None:
    tally = Tally()
    for case in cases("lkp-tests"):
        expected = CRASHES / "lkp-tests" / f"{case.name}.expected.txt"
        text = "\n".join(case.lines)
        if case.row["error_ids"].startswith("("):
            continue
        for each in _lkp_errors(expected):
            line = " ".join(re.sub(r"^\[ *[TC]\d+\] ?", "", each).split())
            why = {
                "lkp: not a death": _UNHARMED.search(line) is not None,
                "lkp: pointer alone": re.match(r"[RE]IP: ", line) is not None,
            }
            tally.hold("error", case.name, line in text, why, ours=line)
    tally.end()


_IN_CHUNK = re.compile(
    r"^\[[ \d.]+\](?:\[ *[TC]\d+\])? +(?:\[<\w+>\] )?(?:\? )?([\w.]+)(?:\+0x\w+/0x\w+| \([\w./-]+:\d.*\)) *$",
    re.M,
)


@needs_corpus
def test_lkp_call_traces() -> None:
    """Each call trace that LKP cuts out of a log is of one report, whose frames are those of the trace."""
    tally = Tally()
    for case in cases("lkp-tests"):
        if not case.row["error_ids"].startswith("("):
            continue
        chunks = (CRASHES / "lkp-tests" / f"{case.name}.expected.txt").read_text().split("\n---\n")
        every = {frame.function for report in case.reports for frame in report.frames}
        fewer = {"lkp: one trace": len(case.reports) > len(chunks)}
        tally.hold("reports", case.name, len(case.reports) == len(chunks), fewer, ours=len(case.reports))
        for report, chunk in zip(case.reports, chunks):
            functions = _IN_CHUNK.findall(chunk)
            ours = [frame.function for frame in report.frames]
            missed = [name for name in functions if name not in ours]
            fewer["lkp: one trace"] &= every >= set(missed)
            tally.hold("frames", case.name, functions and not missed, fewer, ours=missed)
    tally.end()


@needs_corpus
def test_lava() -> None:
    tally = Tally()
    for case in cases("lava"):
        expected, found = case.row["expected"], case.reports
        if "JobError" in expected:
            tally.hold("panic", case.name, [r for r in found if r.kind == "panic"], {})
            continue
        kinds = dict(re.findall(r'results\[(\d+)\]\["kind"\], "(\w+)"', expected))
        every = re.search(r'\(res\["kind"\], "(\w+)"', expected)
        count = re.search(r"len\(results\), (\d+)", expected)
        if count is None:
            tally.hold("silence", case.name, not found or "results, []" not in expected, {})
            continue
        known = [r for r in found if r.kind != "hard_lockup"]
        lockups = {"lava: hard lockup": len(known) == int(count[1])}
        tally.hold("count", case.name, len(found) == int(count[1]), lockups, ours=len(found))
        for at, report in enumerate(known):
            kind = every[1] if every else kinds.get(str(at))
            if kind is not None:
                says = kind in " ".join(report.lines[:2]).lower()
                tally.hold("kind", case.name, says, {}, ours=(at, kind, report.title))
    tally.end()


_LOGSPEC = ("panic", "bug", "ubsan", "warning", "null_pointer_dereference")


@needs_corpus
def test_logspec() -> None:
    tally = Tally()
    for case in cases("logspec"):
        told = json.loads((CRASHES / "logspec" / f"{case.name}.expected.json").read_text())
        for error in told["errors"]:
            kind = error["error_type"].rpartition(".")[2]
            summary = " ".join(error.get("error_summary", "").split())
            # It may be made of two lines: what UBSAN found, and the values.
            pieces = summary.split(": ")
            texts = [" ".join(" ".join(report.lines).split()) for report in case.reports]
            of = [r for r, text in zip(case.reports, texts) if all(piece in text for piece in pieces)]
            why = {"logspec: not a death": kind not in _LOGSPEC}
            tally.hold(kind if kind in _LOGSPEC else "other", case.name, of, why, ours=summary)
            if not of or kind not in _LOGSPEC:
                continue
            frames = {frame.function for report in of for frame in report.frames}
            called = [re.match(r"(?:\? )?([\w.]+)", line) for line in error.get("call_trace", ())]
            theirs = [match[1] for match in called if match is not None and "+0x" in match.string]
            names = set(theirs)
            begins = (theirs[: len(r.frames)] == [f.function for f in r.frames] for r in of)
            runs_on = {"logspec: runs on": any(begins)}
            tally.hold("frames", case.name, names <= frames, runs_on, ours=names - frames)
            if error.get("hardware"):
                hardware = {report.facts.hardware for report in of}
                tally.hold("hardware", case.name, error["hardware"] in hardware, {}, ours=hardware)
        made = Failures()
        for message in messages((n, 0, line) for n, line in enumerate(case.log.split(b"\n"), 1)):
            made.feed(message)
        failed = [failure.stage for failure in made.end()]
        if told.get("linux.boot.prompt"):
            tally.hold("prompt", case.name, not failed, {}, ours=failed)
        if any(error["error_type"].endswith("panic") for error in told["errors"]):
            tally.hold("failed boot", case.name, failed or told.get("linux.boot.prompt"), {}, ours=failed)
    tally.end()


def _why_not_syzkaller(case: Case, title: Optional[str], corrupted: bool) -> dict[str, bool]:
    first = case.reports[0] if case.reports else None
    head = next((line for line in first.lines if "WARNING: at" in line), "") if first else ""
    return {
        "syzkaller: corrupted": corrupted,
        "syzkaller: lockup": first is not None and first.kind == "hard_lockup" and "WARNING: at" in head,
        "syzkaller: old warning": _OLD_WARNING.match(head) is not None
        and (title or "").startswith("WARNING: at"),
        "syzkaller: slab": first is not None and first.kind == "slab_corruption",
        "syzkaller: decoded": first is not None
        and any(" (" in line and ".c:" in line for line in first.lines),
        "syzkaller: unknown": title is None
        and first is not None
        and first.kind in ("mce", "double_fault", "cfi"),
        "syzkaller: not a death": re.match(r"WARNING: (?!CPU: |at)|INFO: (?!task|rcu)", title or "")
        is not None,
    }


@needs_corpus
@pytest.mark.parametrize("project", ["satyr", "abrt", "telemetrics", "lkp-tests", "lava", "logspec"])
def test_titles_are_those_of_syzkallers_reporter(project: str) -> None:
    told = {}
    for line in (CRASHES / project / "SYZ_ORACLE.jsonl").read_text().splitlines():
        answer = json.loads(line)
        told[answer["file"]] = answer
    tally = Tally()
    for case in cases(project):
        answer = told.get(case.name)
        if answer is None:
            continue
        title = normalize(answer["title"]) if answer.get("title") else None
        ours = case.reports[0].title if case.reports else None
        why = _why_not_syzkaller(case, title, bool(answer.get("corrupted")))
        tally.hold("title", case.name, ours == title, why, ours=(ours, title))
    tally.end()
