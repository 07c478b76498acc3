"""Holds what lastwords says of every input of every run against the truth."""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Optional

from lab.common import MACHINES_AT_ONCE, LabError
from lab.harvest import Input, inputs_of
from lab.runner import RUNS
from lab.scenario import Scenario
from lastwords import plugins
from lastwords.analyzer.kdump.readiness import caught, readiness
from lastwords.analyzer.opening import open_case
from lastwords.analyzer.prediction import predict
from lastwords.formats.log.events import KINDS
from lastwords.hookspecs import Rule

EVENT_KINDS = frozenset((*KINDS, "dump"))
"""What lastwords can tell of today."""


ALONE = ("console", "vmcore")
"""Inputs that show what the kernel said, and nothing else of the machine."""


@dataclass(frozen=True)
class Answer:
    """One thing that is true, or that was said, of one input."""

    scenario: str
    input: str
    what: str
    """``finding ID``, ``event KIND``, ``title TEXT``, ``failure STAGE/CLASS``, ``victim NAME``."""
    verdict: str
    """``found``, ``missed``, ``false``, ``not covered``, ``cannot know``."""


@dataclass
class Scored:
    """A run and what lastwords made of it."""

    scenario: Scenario
    record: dict[str, Any]
    answers: list[Answer] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    prediction: Optional[tuple[str, str]] = None
    """Whom lastwords named before the fault, and whom the kernel killed."""

    @property
    def problems(self) -> list[str]:
        """What kept inputs from being scored."""
        broken = [f"{each.kind}: {each.error}" for each in self.inputs if each.error]
        return [self.record["error"], *broken] if self.record["error"] else broken

    def count(self, verdict: str) -> int:
        """Return how many answers have this verdict."""
        return sum(answer.verdict == verdict for answer in self.answers)


def score(scenario: Scenario, record: dict[str, Any], rules: Mapping[str, Rule]) -> Scored:
    """Open every input of a run and compare with the truth.

    :param rules: the rules that lastwords has, by id
    """
    scored = Scored(scenario, record)
    if record["error"]:
        return scored
    with tempfile.TemporaryDirectory(prefix="lastwords-") as work:
        run_directory = os.path.join(RUNS, scenario.name)
        try:
            scored.inputs = inputs_of(run_directory, scenario.spare, work)
        except LabError as problem:
            record["error"] = str(problem)
            return scored
        for each in scored.inputs:
            if each.error is None and each.kind != "before":
                scored.answers += answers_on(scenario, each, rules)
            if each.kind == "before" and each.error is None:
                scored.prediction = _prediction(scenario, each)
                scored.answers += foretold_by(scenario, each, rules)
    return scored


def foretold_by(scenario: Scenario, each: Input, rules: Mapping[str, Rule]) -> list[Answer]:
    """Return found and missed of what should have been known before the fault."""
    found = {finding["id"] for finding in each.verdict["findings"]}
    answers = []
    dumped = scenario.truth.dumped
    if dumped is not None:
        case = open_case(each.path, plugins.load().collectors())
        verdict = caught(readiness(case)) if "kdump" in case.facts else None
        judged = "missed" if verdict is None else "found" if verdict is dumped else "false"
        answers.append(
            Answer(scenario.name, each.kind, "verdict dump" if dumped else "verdict no dump", judged)
        )
    return answers + [
        Answer(
            scenario.name,
            each.kind,
            f"finding {name}",
            "found" if name in found else "missed" if name in rules else "not covered",
        )
        for name in scenario.truth.findings_before
    ]


def answers_on(scenario: Scenario, each: Input, rules: Mapping[str, Rule]) -> list[Answer]:
    """Return found, missed and false for one input."""
    truth, verdict = scenario.truth, each.verdict
    found = {finding["id"]: finding["severity"] for finding in verdict["findings"]}
    gathered = {name for name, how in verdict["collectors"].items() if how["outcome"] in ("ok", "partial")}
    mended = bool(scenario.plan) and each.kind in ("bundle", "disk")
    expected = [] if mended else [*truth.findings]
    if each.kind not in ALONE and not mended:
        expected += truth.findings_live if each.live else truth.findings_disk
    if each.kind == "console":
        expected += truth.findings_console
    answers = []

    def add(what: str, judged: str) -> None:
        answers.append(Answer(scenario.name, each.kind, what, judged))

    for name in expected:
        if name in found:
            add(f"finding {name}", "found")
        elif name not in rules:
            add(f"finding {name}", "not covered")
        else:
            add(f"finding {name}", "missed" if gathered.issuperset(rules[name].needs) else "cannot know")
    known = {*expected, *truth.also}
    if not mended:
        known.update(truth.findings_live, truth.findings_disk)
    for name, severity in found.items():
        if name in truth.never or (severity != "info" and name not in known):
            add(f"finding {name} ({severity})", "false")
    kinds = Counter(event["kind"] for event in verdict["events"])
    seen = (
        scenario.ends != "reboot" or each.kind == "console"
    )  # of a boot that fails nothing reaches the disk
    for kind in truth.events if seen else ():
        if kind in kinds:
            add(f"event {kind}", "found")
        elif kind == "dump" and each.kind in ALONE:
            add(f"event {kind}", "cannot know")
        else:
            add(f"event {kind}", "missed" if kind in EVENT_KINDS else "not covered")
    titles = [str(event["details"].get("title")) for event in verdict["events"]]
    for title in (truth.title if seen else "", truth.title_saved if each.kind != "console" else ""):
        if title:
            told = any(re.fullmatch(title, each) for each in titles)
            add(f"title {title}", "found" if told else "missed")
    if truth.failure[1] and each.kind == "console":
        known_failures = {
            (event["details"].get("stage"), event["details"].get("class"))
            for event in verdict["events"]
            if event["kind"] == "boot_failure"
        }
        add(f"failure {'/'.join(truth.failure)}", "found" if truth.failure in known_failures else "missed")
    if truth.victim:
        victims = [event["details"].get("comm") for event in verdict["events"] if event["kind"] == "oom_kill"]
        add(f"victim {truth.victim}", "found" if truth.victim in victims else "missed")
        for other in sorted({str(name) for name in victims} - {truth.victim}):
            add(f"victim {other}", "false")
    return answers


def _prediction(scenario: Scenario, each: Input) -> Optional[tuple[str, str]]:
    """Whom lastwords names in the bundle before the fault, and whom the kernel took.

    The lab's own processes are left out: they are not there when memory runs out, or are protected.
    """
    if not scenario.truth.victim:
        return None
    case = open_case(each.path, plugins.load().collectors())
    processes = case.facts["processes"]
    others = [each for each in processes["records"] if "lab.service" not in str(each.get("cgroup"))]
    prediction = predict({**case.facts, "processes": {**processes, "records": others}})
    arena = prediction.host
    if scenario.truth.group:
        named = [group for group in prediction.groups if (group.path or "").endswith(scenario.truth.group)]
        if not named:
            return f"no group {scenario.truth.group}", scenario.truth.victim
        arena = named[0]
    return arena.victim.comm if arena.victim else arena.outcome, scenario.truth.victim


def differing(scored: Scored) -> list[str]:
    """Return where inputs of one machine that know as much lead to different findings."""
    by_kind: dict[str, set[str]] = {}
    for each in scored.inputs:
        if each.error is None and each.live and each.kind != "before":
            by_kind[each.kind] = {f"{finding['id']}" for finding in each.verdict["findings"]}
    if "bundle" not in by_kind:
        return []
    lines = []
    for kind, ids in by_kind.items():
        for name in sorted(ids ^ by_kind["bundle"]):
            side = "only in" if name in ids else "not in"
            lines.append(f"{scored.scenario.name}: {name} {side} {kind}, compared with the bundle")
    return lines


def score_all(scenarios: Sequence[Scenario], records: Sequence[dict[str, Any]]) -> list[Scored]:
    """Score every kept run of *scenarios*, in their order."""
    rules = plugins.load().rules()
    by_name = {record["scenario"]: record for record in records}
    # Threads: nearly all of it is waiting for other programs.
    with ThreadPoolExecutor(MACHINES_AT_ONCE) as pool:
        return list(
            pool.map(
                lambda scenario: score(scenario, by_name[scenario.name], rules),
                [scenario for scenario in scenarios if scenario.name in by_name],
            )
        )
