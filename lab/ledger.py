"""What was scored, a row for each scenario, and the page that is made of the rows.

Runs take gigabytes and stay on the machine that played them; their rows are kept with the project, so that
what one machine played stands beside what another did. A row is replaced when its scenario is scored again.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Optional

from lab.common import REPOSITORY, run, write_measured
from lab.scenario import Scenario
from lab.score import Scored, differing

LEDGER = os.path.join(REPOSITORY, "lab", "ledger.jsonl")
REPORT = os.path.join(REPOSITORY, "docs", "accuracy.md")
VERDICTS = ("found", "missed", "false", "not covered", "cannot know")
WRONG = ("missed", "false", "not covered")


@dataclass(frozen=True)
class Row:
    """What became of one scenario."""

    scenario: str
    kernel: str
    accel: str
    date: str
    seconds: float
    version: str
    """Of lastwords, when the run was scored."""
    proof: Optional[dict[str, str]]
    """The first line that was seen of each pattern; empty: there is no fault to prove; null: not proved."""
    counts: dict[str, int]
    """Answers by verdict."""
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """Answers, ``INPUT: WHAT``, by each verdict of WRONG."""
    prediction: Optional[list[str]] = None
    """Whom lastwords named before the fault, and whom the kernel killed."""
    differing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def row_of(scored: Scored, version: str) -> Row:
    """Return what is kept of a run that was scored."""
    record = scored.record
    wrong = {
        verdict: sorted({f"{each.input}: {each.what}" for each in scored.answers if each.verdict == verdict})
        for verdict in WRONG
    }
    proof = {pattern: seen.partition("\n")[0] for pattern, seen in (record["proof"] or {}).items()}
    return Row(
        scored.scenario.name,
        record["kernel"],
        record["accel"],
        record["date"],
        round(record["seconds"]),
        version,
        None if record["error"] else proof,
        {verdict: scored.count(verdict) for verdict in VERDICTS},
        {verdict: answers for verdict, answers in wrong.items() if answers},
        list(scored.prediction) if scored.prediction else None,
        differing(scored),
        [problem.replace(f"{REPOSITORY}/", "") for problem in scored.problems],
    )


def rows() -> list[Row]:
    """Return the rows that are kept."""
    if not os.path.exists(LEDGER):
        return []
    with open(LEDGER, encoding="utf-8") as lines:
        return [Row(**json.loads(line)) for line in lines]


def keep(new: Iterable[Row], scenarios: Sequence[Scenario]) -> list[Row]:
    """Replace the rows of what was scored again, drop those of scenarios that are no more; return all."""
    by_name = {row.scenario: row for row in (*rows(), *new)}
    kept = [by_name[scenario.name] for scenario in scenarios if scenario.name in by_name]
    with open(LEDGER, "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in kept)
    return kept


def ratio(part: int, whole: int) -> str:
    """Return a share as people read it."""
    return f"{part}/{whole} ({100 * part / whole:.0f} %)" if whole else "none"


def table(kept: Sequence[Row]) -> str:
    """Return the table of runs as Markdown."""
    lines = [
        "| scenario | kernel | fault proved | found | missed | false | not yet covered | cannot know | s |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in kept:
        proof = "no" if row.proof is None else "yes" if row.proof else "no fault"
        counts = [str(row.counts[verdict]) for verdict in VERDICTS]
        lines.append(f"| {' | '.join([row.scenario, row.kernel, proof, *counts])} | {row.seconds:.0f} |")
    return "\n".join(lines)


def complaints(kept: Sequence[Row]) -> list[str]:
    """Return a line for each answer that is wrong, each difference and each problem."""
    return [
        *(f"{v}: {row.scenario}, {each}" for row in kept for v in WRONG for each in row.wrong.get(v, ())),
        *(line for row in kept for line in row.differing),
        *(f"{row.scenario}: {problem}" for row in kept for problem in row.problems),
    ]


def report(kept: Sequence[Row], scenarios: int) -> str:
    """Return what docs/accuracy.md says of the lab.

    :param scenarios: how many there are
    """
    totals: Counter[str] = Counter()
    for row in kept:
        totals.update(row.counts)
    found, missed, false, absent = (totals[v] for v in ("found", "missed", "false", "not covered"))
    dates = sorted({row.date for row in kept})
    predictions = [row.prediction for row in kept if row.prediction]
    right = sum(named == killed for named, killed in predictions)
    parts = [
        "Made by `python -m lab score` from runs of `make lab`: real kernels that were killed in a known way,"
        " and what lastwords said of what they left. Not written by hand.",
        f"{', '.join(sorted({row.version for row in kept}))}; machines run on"
        f" {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"
        f" under {', '.join(sorted({row.accel.upper() for row in kept}))};"
        f" {len(kept)} of {scenarios} scenarios run,"
        f" {sum(row.seconds for row in kept) / 60:.0f} minutes in all.",
        "\n".join(
            [
                "| | |",
                "|---|---|",
                f"| precision: of what was said, true | {ratio(found, found + false)} |",
                f"| recall: of what lastwords has a rule for, found | {ratio(found, found + missed)} |",
                f"| the same, counting what is not yet covered as missed |"
                f" {ratio(found, found + missed + absent)} |",
                f"| victim named before the fault | {ratio(right, len(predictions))} |",
            ]
        ),
        "One answer is one finding, event or victim on one input: a bundle made inside the machine, a"
        " sosreport made inside it with our plugin, the same after `sos clean`, the disk afterwards, the"
        " serial console, and the crash dump."
        " *Cannot know*: the input lacks what the rule needs, and lastwords says so.",
        "### Scenarios",
        table(kept),
    ]
    for title, verdict in (("Missed", "missed"), ("False", "false"), ("Not yet covered", "not covered")):
        wrong = sorted(f"- {row.scenario}, {each}" for row in kept for each in row.wrong.get(verdict, ()))
        parts += [f"### {title}", "\n".join(wrong) or "Nothing."]
    differences = [f"- {line}" for row in kept for line in row.differing]
    parts += ["### Inputs of one machine that disagree", "\n".join(differences) or "None."]
    problems = [f"- {row.scenario}: {problem}" for row in kept for problem in row.problems]
    parts += ["### Could not be scored", "\n".join(problems) or "Nothing."]
    proofs = [
        f"- {row.scenario}: `{seen if seen != 'succeeded' else pattern}`"
        for row in kept
        for pattern, seen in (row.proof or {}).items()
    ]
    return "\n\n".join([*parts, "### Proofs", "\n".join(proofs)]) + "\n"


def write_report(kept: Sequence[Row], scenarios: Sequence[Scenario]) -> None:
    """Put the report into its place in docs/accuracy.md."""
    write_measured(REPORT, "lab", report(kept, len(scenarios)))


def version() -> str:
    """Return the version of lastwords."""
    return run([sys.executable, "-m", "lastwords", "--version"]).stdout.strip()
