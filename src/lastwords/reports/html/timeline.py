"""The timeline: boots, how each ended, and what happened in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from lastwords.reports import words
from lastwords.reports.html.charts import lane
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import badge, place, text
from lastwords.verdict import Boot, Moment, Verdict

BOOTS = 60
MOMENTS = 400
LANES = (
    ("Out of memory", ("oom_kill", "oom_report")),
    ("Crashes", ("panic", "oops", "bug", "warning", "mce", "nmi", "segfault")),
    ("Hangs", ("hang",)),
    ("Storage", ("io_error", "filesystem_error", "boot_failure")),
    ("Dumps", ("dump", "kdump")),
)
ENDS = {
    "panic": ("panic", "critical"),
    "shutdown": ("shut down in order", "good"),
    "running": ("running", "default"),
}


def section(verdict: Verdict) -> Optional[Markup]:
    """Return boots and moments on a line of time, then in words."""
    story = verdict.story
    if not story.boots:
        return None
    boots = [_until_seen(boot, verdict.case.taken_at) for boot in story.boots[-BOOTS:]]
    quiet = story.quiet_boots
    notes = [
        f"{len(story.boots) - len(boots)} older boots are left out." if len(story.boots) > BOOTS else "",
        f"{quiet} more boots in which nothing happened." if quiet else "",
    ]
    return join(_lanes(boots), _table(boots), tag("p", " ".join(filter(None, notes)), class_="none"))


def _until_seen(boot: Boot, taken_at: Optional[float]) -> Boot:
    """Return a boot that was running when the host was seen, up to then."""
    return replace(boot, ended=taken_at) if boot.end == "running" and taken_at else boot


def _lanes(boots: Sequence[Boot]) -> Content:
    """Return a line for the boots, and one for each kind of trouble; None when all was at once."""
    times = [time for boot in boots for time in (boot.started, boot.ended) if time]
    times += [m.time for boot in boots for m in boot.moments if m.time]
    first, last = min(times, default=0.0), max(times, default=0.0)
    if last - first < 1.0:
        return None

    def at(time: float) -> float:
        return (time - first) / (last - first) * 100

    spans = [
        (at(boot.started), at(boot.ended), boot.end or "", _named(boot))
        for boot in boots
        if boot.started and boot.ended
    ]
    made: list[Content] = [tag("span", "Boots"), lane([], f"{len(spans)} boots", spans)]
    moments = [moment for boot in boots for moment in boot.moments if moment.time]
    for name, kinds in LANES:
        mine = [moment for moment in moments if moment.kind in kinds][-MOMENTS:]
        marks = [
            (at(time), moment.severity.word, f"{words.moment(time)}: {_said(moment)}")
            for moment in mine
            for time in dict.fromkeys((moment.time, moment.last_time))
            if time
        ]
        if marks:
            made += [tag("span", name), lane(marks, f"{name}: {len(marks)} moments")]
    ends = tag("div", tag("span", words.moment(first)), tag("span", words.moment(last)), class_="ends")
    return tag("div", made, tag("span"), ends, class_="lanes")


def _named(boot: Boot) -> str:
    return " ".join(
        filter(
            None,
            ("kernel", text(boot.kernel, 100) if boot.kernel else "not known", words.moment(boot.started)),
        )
    )


def _said(moment: Moment) -> str:
    return text(moment.summary, 300) + (f" ({moment.count} times)" if moment.count > 1 else "")


def _table(boots: Sequence[Boot]) -> Markup:
    left = MOMENTS
    bodies = []
    for boot in reversed(boots):
        shown = boot.moments[-left:] if left > 0 else ()
        left -= len(shown)
        rows = [_row(moment) for moment in shown]
        dropped = len(boot.moments) - len(shown)
        if dropped:
            rows.insert(
                0, tag("tr", tag("td", f"{dropped} earlier ones are left out", colspan=4, class_="none"))
            )
        bodies.append(
            tag("tbody", _heading(boot), rows or tag("tr", tag("td", "Nothing.", colspan=4, class_="none")))
        )
    head = [tag("th", title, scope="col") for title in ("When", "Kind", "What", "Where")]
    made = tag("table", tag("caption", "The newest boot first"), tag("thead", tag("tr", head)), bodies)
    return tag("div", made, class_="scroll", tabindex="0", role="group", aria_label="Timeline")


def _heading(boot: Boot) -> Markup:
    word, css = ENDS.get(boot.end or "", ("end not seen", "unknown"))
    begin = words.moment(boot.started) if boot.started else "start not seen"
    seconds = boot.ended - boot.started if boot.started and boot.ended else 0.0
    lasted = f", {words.duration(seconds)}" if seconds >= 1.0 else ""
    kernel = f"Kernel {text(boot.kernel, 100)}" if boot.kernel else "Boot"
    content = (f"{kernel}, {begin}{lasted} ", badge(word, css))
    return tag("tr", tag("th", content, colspan=4, scope="rowgroup"), class_="boot")


def _row(moment: Moment) -> Markup:
    when = words.when(moment.time, moment.monotonic).replace(" UTC", "")
    cause: Content = [" ", tag("a", "cause", href=f"#cause-{moment.cause}")] if moment.cause else None
    return tag(
        "tr",
        tag("td", when, class_="when"),
        tag("td", badge(text(moment.kind, 30).replace("_", " "), moment.severity.word)),
        tag("td", _said(moment), cause),
        tag("td", place(moment.path, moment.line)),
    )
