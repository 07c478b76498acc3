"""Next victim: the processes in the order in which the kernel would kill them, and why."""

from __future__ import annotations

from typing import Optional

from lastwords.analyzer.candidates import Candidate
from lastwords.analyzer.prediction import Arena, NotPredictable, Prediction, predict
from lastwords.formats.sizes import size
from lastwords.reports.html.charts import Part, bar, share
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, amount, fold, table, text
from lastwords.verdict import Verdict

SHOWN = 12
FOLDED = 60
GROUPS = 12
COLUMNS = (
    Column("Process"),
    Column("PID", number=True),
    Column("Points", css="chart"),
    Column("oom_score", number=True),
    Column("adj", number=True),
    Column("Resident", number=True),
    Column("Swap", number=True),
    Column("Unit"),
)
OUTCOMES = {
    "kill": "would be killed",
    "kill group": "would be killed with its whole group",
    "kill caller": "Whoever asks for memory would be killed",
    "panic": "The kernel would panic",
    "wait": "Nobody would be killed: tasks would wait",
    "nothing to kill": "There is nothing that may be killed",
}


def section(verdict: Verdict) -> Optional[Markup]:
    """Return the ranking of the host, and of the groups that have a limit."""
    if not (verdict.case.facts.get("processes") or {}).get("records"):
        return None
    try:
        prediction = predict(verdict.case.facts)
    except NotPredictable as problem:
        return tag("p", text(problem), class_="none")
    groups = prediction.groups[:GROUPS]
    return join(
        _verdict(prediction.host),
        _ranking(prediction.host, "Processes in the order in which the kernel would take them", FOLDED),
        _trust(prediction),
        tag("h3", "If a memory limit is met") if groups else None,
        [_group(group) for group in groups],
    )


def _verdict(arena: Arena) -> Content:
    victim = arena.victim
    said: Content = OUTCOMES.get(arena.outcome, arena.outcome)
    if victim is not None:
        said = ["If memory ran out, ", tag("strong", text(victim.comm)), f" (PID {victim.pid}) {said}"]
    return tag("p", said, ": ", text(arena.why), ".", class_="lead")


def _ranking(arena: Arena, caption: str, folded: int = 0) -> Content:
    killable = [each for each in arena.ranking if each.points is not None]
    most = max((each.points or 0 for each in killable), default=0)
    rows = [_row(each, most) for each in killable[: SHOWN + folded]]
    left_out = len(killable) - len(rows)
    spared = len(arena.ranking) - len(killable)
    notes = [
        f"{left_out} more with fewer points" if left_out else "",
        f"{spared} never taken" if spared else "",
    ]
    after = rows[SHOWN:]
    return (
        table(COLUMNS, rows[:SHOWN], caption=caption) if rows else None,
        fold(f"The next {len(after)}", table(COLUMNS, after, caption="Then come")) if after else None,
        tag("p", ", ".join(filter(None, notes)) + ".", class_="none") if any(notes) else None,
    )


def _row(each: Candidate, most: int) -> list[Content]:
    points = each.points or 0
    part = Part("points", max(points, 0), "anon" if each.task.adj <= 0 else "warn", f"{points:,}")
    chart = bar([part], max(most, 1), f"{points} points")
    return [
        text(each.comm, 64),
        each.pid,
        (points, [chart, tag("span", f"{points:,}", class_="beside")]),
        each.score,
        each.task.adj or "",
        amount(each.task.rss),
        amount(each.task.swap) if each.task.swap else (0, ""),
        text(each.unit or "", 100),
    ]


def _trust(prediction: Prediction) -> Content:
    said = f"By the formula of kernels {prediction.era.name}"
    if prediction.compared:
        said += f"; {prediction.equal} of {prediction.compared} scores equal the kernel's own"
    return tag("p", said, ". ", [text(note) + ". " for note in prediction.notes], class_="none")


def _group(arena: Arena) -> Markup:
    used = arena.used or 0
    said = f"{size(arena.used)} of {size(arena.limit)} ({share(used, arena.limit)})"
    css = "crit" if used >= 0.9 * arena.limit else "warn" if used >= 0.75 * arena.limit else "anon"
    return fold(
        [
            tag("code", text(arena.path, 200)),
            bar([Part("used", used, css, size(used))], arena.limit, said),
            tag("span", said, class_="beside"),
        ],
        _verdict(arena),
        _ranking(arena, f"Processes of {text(arena.path, 200)}"),
    )
