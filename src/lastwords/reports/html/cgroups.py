"""Control groups: a map of the memory that each holds, and how near each is to its limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.reports.html.charts import Box, share, treemap
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, amount, badge, fold, place, table, text
from lastwords.verdict import Verdict

MOST = 2000
"""Groups that are looked at."""
SMALL = 0.004
"""Of all memory held: what holds less is drawn together with its like."""
DEEPEST = 3
LISTED = 150
COLUMNS = (
    Column("Group"),
    Column("Holds", number=True),
    Column("Peak", number=True),
    Column("Limit", number=True),
    Column("Of it", number=True),
    Column("OOM kills", number=True),
    Column("Swap", number=True),
)

Group = Mapping[str, Any]


def section(verdict: Verdict) -> Optional[Markup]:
    """Return the map and the groups in a table."""
    cgroups = (verdict.case.facts.get("memory") or {}).get("cgroups") or {}
    groups = {str(group["path"]): group for group in (cgroups.get("groups") or [])[:MOST]}
    held = {path: group["current"] for path, group in groups.items() if group.get("current")}
    if not held:
        return None
    boxes = _children("/", groups, held, sum(held[path] for path in _below("/", held)), 0)
    key = [
        ("plain", "no limit near"),
        ("warn", "over 75 % of its limit"),
        ("crit", "over 90 %, or had an OOM kill"),
    ]
    limited = [group for group in groups.values() if _limit(group) is not None]
    ordered = sorted(groups.values(), key=lambda group: -(group.get("current") or 0))[:LISTED]
    return join(
        treemap(boxes, "Memory by control group, the greatest: " + _greatest(held)),
        tag("ul", [tag("li", _swatch(css), tag("span", word)) for css, word in key], class_="legend"),
        table(COLUMNS, [_row(group) for group in limited[:LISTED]], caption="Groups with a memory limit")
        if limited
        else tag("p", "No group has a memory limit.", class_="none"),
        fold(
            f"All groups ({len(groups)})", table(COLUMNS, map(_row, ordered), caption="Groups by memory held")
        ),
    )


def _children(
    path: str, groups: Mapping[str, Group], held: Mapping[str, int], whole: float, depth: int
) -> list[Box]:
    """Return the boxes below a group, the greatest first; small ones together."""
    boxes, small = [], []
    for child in sorted(_below(path, held), key=lambda name: -held[name]):
        value = held[child]
        if value < SMALL * whole:
            small.append(value)
            continue
        inner = _children(child, groups, held, whole, depth + 1) if depth < DEEPEST else []
        boxes.append(
            Box(text(child.rsplit("/", 1)[1], 80), value, _color(groups[child]), _said(groups[child]), inner)
        )
    if small:
        boxes.append(Box(f"{len(small)} smaller", sum(small), "plain", size(sum(small))))
    own = held.get(path, 0) - sum(box.value for box in boxes)
    if boxes and path != "/" and own > 0.02 * held[path]:
        boxes.append(Box("itself", own, "plain", size(own)))
        boxes.sort(key=lambda box: -box.value)
    return boxes


def _below(path: str, held: Mapping[str, int]) -> list[str]:
    top = path.rstrip("/") + "/"
    return [name for name in held if name.startswith(top) and name != "/" and "/" not in name[len(top) :]]


def _limit(group: Group) -> Optional[int]:
    limit = group.get("max")
    # v1 says "no limit" with the greatest number of pages.
    return limit if isinstance(limit, int) and limit < 1 << 62 else None


def _kills(group: Group) -> Optional[int]:
    return (group.get("events_local") or group.get("events") or {}).get("oom_kill")


def _color(group: Group) -> str:
    used, limit = group.get("current") or 0, _limit(group)
    if _kills(group) or (limit is not None and used >= 0.9 * limit):
        return "crit"
    return "warn" if limit is not None and used >= 0.75 * limit else "plain"


def _said(group: Group) -> str:
    limit = _limit(group)
    return size(group["current"]) + (f" of {size(limit)}" if limit is not None else "")


def _greatest(held: Mapping[str, int]) -> str:
    parents = {path.rpartition("/")[0] for path in held}
    leaves = [path for path in held if path not in parents]
    return ", ".join(f"{text(p, 80)} {size(held[p])}" for p in sorted(leaves, key=lambda p: -held[p])[:3])


def _swatch(css: str) -> Markup:
    box = tag("rect", class_=f"box {css}", width="100%", height="100%")
    return tag("svg", box, class_="swatch", aria_hidden="true")


def _row(group: Group) -> list[Content]:
    limit, used, kills = _limit(group), group.get("current"), _kills(group)
    return [
        place(group["path"]),
        amount(used),
        amount(group.get("peak")),
        amount(limit),
        (used / limit, share(used, limit)) if limit and used is not None else (-1, ""),
        (kills, badge(str(kills), "critical")) if kills else (0, "" if kills is None else "0"),
        amount(group.get("swap_current")) if group.get("swap_current") else (0, ""),
    ]
