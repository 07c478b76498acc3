"""Groups logs by what their machines died of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords.analyzer.crash_log import CrashLog, Entry


@dataclass
class Group:
    """Logs that tell of one death."""

    title: Optional[str]
    """The title most of them have; None: no report at all."""
    titles: list[str] = field(default_factory=list)
    """All titles and alternatives by which they belong together."""
    paths: list[str] = field(default_factory=list)
    ways: dict[str, list[str]] = field(default_factory=dict)
    """Paths by split key: the ways in which it was reached."""
    uncertain: bool = False
    """All titles are of reports that were corrupted: they may not belong together."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "title": self.title,
            "titles": self.titles,
            "uncertain": self.uncertain,
            "paths": self.paths,
            "ways": self.ways,
        }


def grouped(logs: Sequence[CrashLog]) -> list[Group]:
    """Return the groups, the largest first; logs are of one death when a title of theirs is the same.

    Joining is transitive: A and B by one title, B and C by another, make one group.
    """
    owner: dict[str, int] = {}
    parents = list(range(len(logs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    deaths = [log.death() for log in logs]
    for index, death in enumerate(deaths):
        for title in _keys(death, index):
            if title in owner:
                parents[root(index)] = root(owner[title])
            else:
                owner[title] = index
    members: dict[int, list[int]] = {}
    for index in range(len(logs)):
        members.setdefault(root(index), []).append(index)
    groups = [_group([(logs[index], deaths[index]) for index in indexes]) for indexes in members.values()]
    return sorted(groups, key=lambda group: (-len(group.paths), group.title or "~"))


def _keys(death: Optional[Entry], index: int) -> list[str]:
    """Return what a death is joined by. A title without a frame tells nothing: it joins only its like."""
    if death is None:
        return ["\0none"]
    if death["frame"] == "corrupted":
        return [death["title"]]
    return list(death["signature"]["merge"])


def _group(members: list[tuple[CrashLog, Optional[Entry]]]) -> Group:
    made = Group(None)
    counts: dict[str, int] = {}
    certain = False
    for log, death in members:
        made.paths.append(log.path)
        if death is None:
            continue
        certain |= not death["corrupted"]
        counts[death["title"]] = counts.get(death["title"], 0) + 1
        for title in death["signature"]["merge"]:
            if title not in made.titles:
                made.titles.append(title)
        made.ways.setdefault(death["signature"]["split"], []).append(log.path)
    if counts:
        made.title = max(counts, key=lambda title: counts[title])
        made.uncertain = not certain
    return made
