"""Whom would the kernel kill now? The facts of a host, ranked as its own OOM killer would rank them.

For the host as a whole and for each memory cgroup with a limit; the formula is held against the scores that
the kernel itself shows. What-if: other adjustments, growing processes, another size of swap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from lastwords.analyzer.candidates import Candidate, reason
from lastwords.formats.oom.badness import (
    EXACT,
    INIT,
    LEGACY,
    Era,
    Task,
    badness,
    era_of,
    fitting,
    memcg_total_pages,
    proc_score,
    rank,
    total_pages,
)
from lastwords.model import Facts, LastwordsError

MISMATCHES_SHOWN = 20
BIG_PAGES = ("ppc64", "ppc64le")
"""Architectures whose kernels have pages of 64 KiB when nothing tells."""


class NotPredictable(LastwordsError):
    """The input does not hold what a prediction needs."""


@dataclass(frozen=True)
class WhatIf:
    """What to suppose otherwise."""

    adj: Mapping[int, int] = field(default_factory=dict)
    """oom_score_adj by pid."""
    grow: Mapping[int, int] = field(default_factory=dict)
    """Bytes of resident memory more, by pid."""
    swap: Optional[int] = None
    """SwapTotal in bytes."""


@dataclass(frozen=True)
class Arena:
    """Where the kernel looks for a victim when memory runs out there: the host, or a limited group."""

    path: Optional[str]
    """The control group, or None for the whole host."""
    limit: int
    """Bytes that can be used: of the group its limit, of the host RAM."""
    used: Optional[int]
    total: int
    """Pages that adjustments are shares of: memory and the swap that can be used."""
    ranking: Sequence[Candidate]
    outcome: str
    """``kill``, ``kill group``, ``kill caller``, ``panic``, ``wait`` or ``nothing to kill``."""
    victim: Optional[Candidate]
    dies: tuple[int, ...]
    """All that die: the victim, and with memory.oom.group its whole group."""
    why: str

    def to_json(self, most: Optional[int] = None) -> dict[str, Any]:
        """Return it as ``schemas/prediction.json`` has it; of the ranking the first *most*."""
        return {
            "cgroup": self.path,
            "limit": self.limit,
            "used": self.used,
            "total_pages": self.total,
            "outcome": self.outcome,
            "victim": self.victim.pid if self.victim else None,
            "dies": list(self.dies),
            "why": self.why,
            "ranking": [each.to_json() for each in self.ranking[:most]],
        }


@dataclass(frozen=True)
class Supply:
    """What memory the host has left; bytes, None where not known."""

    ram: int
    available: Optional[int]
    swap: int
    swap_free: Optional[int]
    pressure: Optional[Facts]
    """Of /proc/pressure/memory: ``some`` and ``full``."""

    @property
    def left(self) -> int:
        """What can still be handed out."""
        return (self.available or 0) + (self.swap_free or 0)


@dataclass(frozen=True)
class Prediction:
    """The host, its limited groups, and how far the formula can be trusted here."""

    release: Optional[str]
    era: Era
    page_size: int
    compared: int
    """Processes whose own oom_score could be held against the recomputed one."""
    equal: int
    differing: tuple[tuple[int, int, int], ...]
    """pid, the kernel's score, ours; of those that differ."""
    host: Arena
    groups: Sequence[Arena]
    """Those nearest to their limit first."""
    supply: Supply
    notes: Sequence[str] = ()

    def to_json(self, most: Optional[int] = None) -> dict[str, Any]:
        """Return it as ``schemas/prediction.json`` has it; of each ranking the first *most*."""
        return {
            "schema": "urn:lastwords:schema:prediction:1.0",
            "kernel_release": self.release,
            "formula": self.era.name,
            "page_size": self.page_size,
            "check": {
                "compared": self.compared,
                "equal": self.equal,
                "differing": [
                    {"pid": pid, "kernel": kernel, "recomputed": ours}
                    for pid, kernel, ours in self.differing[:MISMATCHES_SHOWN]
                ],
            },
            "notes": list(self.notes),
            "supply": dict(vars(self.supply)),
            "host": self.host.to_json(most),
            "groups": [group.to_json(most) for group in self.groups],
        }


def predict(facts: Mapping[str, Facts], what_if: Optional[WhatIf] = None) -> Prediction:
    """Return whom the kernel would kill, were it not for the program that asks: that wants to die first.

    :param facts: by collector: processes and memory; kernel, oom and host as far as they are there
    :raises NotPredictable: processes or the size of memory are missing, or no process has what is asked for
    """
    return _Predictor(facts, what_if or WhatIf()).predict()


def _with_children(pid: Optional[int], records: Sequence[Facts]) -> set[int]:
    """Return the pid of a process, and of all below it."""
    children: dict[int, list[int]] = {}
    for each in records:
        children.setdefault(each.get("ppid") or 0, []).append(each["pid"])
    found: set[int] = set()
    todo = [] if pid is None else [pid]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += children.get(one, [])
    return found


class _Predictor:
    """What all arenas of one host share."""

    def __init__(self, facts: Mapping[str, Facts], what_if: WhatIf) -> None:
        processes, memory = facts.get("processes") or {}, facts.get("memory") or {}
        meminfo = memory.get("meminfo") or {}
        if not processes.get("records"):
            raise NotPredictable("no processes in this input: expected the collector processes")
        if not meminfo.get("MemTotal"):
            raise NotPredictable("the size of memory is not in this input: expected /proc/meminfo")
        self.notes: list[str] = []
        self.facts = facts
        self.what_if = what_if
        self.cgroups = memory.get("cgroups") or {}
        self.dying_together = {
            each["path"] for each in self.cgroups.get("groups") or () if each.get("oom_group")
        }
        self.ram: int = meminfo["MemTotal"]
        self.real_swap: int = meminfo.get("SwapTotal") or 0
        self.swap = self.real_swap if what_if.swap is None else what_if.swap
        self.supply = Supply(
            self.ram,
            meminfo.get("MemAvailable", meminfo.get("MemFree")),
            self.swap,
            None if meminfo.get("SwapFree") is None else min(meminfo["SwapFree"], self.swap),
            (memory.get("pressure") or {}).get("memory"),
        )
        self.release = (facts.get("kernel") or {}).get("release") or (facts.get("host") or {}).get(
            "kernel_release"
        )
        self.page_size = self._page_size(memory)
        self.now = processes.get("snapshot_finished")
        ours = _with_children(processes.get("gatherer"), processes["records"])
        records = [each for each in processes["records"] if each["pid"] not in ours]
        records.sort(key=lambda each: (each.get("start_ticks") or 0, each["pid"]))
        self.records = records
        absent = sorted({*what_if.adj, *what_if.grow} - {each["pid"] for each in records})
        if absent:
            raise NotPredictable(f"process {absent[0]}: there is none in this input")
        self.children: dict[int, list[int]] = {}
        for each in records:
            if each.get("ppid") and each.get("vm_size"):
                self.children.setdefault(each["ppid"], []).append(each["vm_size"])
        if any(each["pid"] == INIT and each.get("oom_score") for each in records):
            self.notes.append("seen from inside a container: the kernel weighs processes outside of it, too")
        unknown = sum(
            each.get("oom_score_adj") is None and each.get("rss") is not None for each in self.records
        )
        if unknown:
            self.notes.append(f"oom_score_adj of {unknown} processes is not known: taken as 0")

    def predict(self) -> Prediction:
        real = [(record, self._task(record)) for record in self.records]
        total = total_pages(self.ram, self.real_swap, page_size=self.page_size)
        shown = [
            (task, record["oom_score"])
            for record, task in real
            if record.get("oom_score") is not None and (task.killable or not record.get("kernel_thread"))
        ]
        era, _ = fitting(self.release or "", shown, total, page_size=self.page_size)
        if era is None:
            era = EXACT
            self.notes.append("the kernel's release is not known: taken as a new one")
        elif self.release and era is not era_of(self.release):
            self.notes.append(
                f"the scores are those of kernels {era.name}: the vendor backported its formula"
            )
        self.era = era
        differing = tuple(
            (task.pid, score, ours)
            for task, score in shown
            if (ours := proc_score(badness(task, era, total, self.page_size), era, total)) != score
        )
        supposed = [(record, self._supposed(task)) for record, task in real]
        groups = [self._group(group, members) for group, members in self._members(supposed)]
        groups.sort(key=lambda arena: -(arena.used or 0) / max(1, arena.limit))
        return Prediction(
            self.release,
            era,
            self.page_size,
            len(shown),
            len(shown) - len(differing),
            differing,
            self._host(supposed),
            groups,
            self.supply,
            self.notes,
        )

    def _page_size(self, memory: Facts) -> int:
        if memory.get("page_size"):
            return int(memory["page_size"])
        architecture = (self.facts.get("host") or {}).get("architecture")
        size = 65536 if architecture in BIG_PAGES else 4096
        self.notes.append(f"the size of a page is not known: taken as {size} bytes")
        return size

    def _task(self, record: Facts) -> Task:
        cpu = (record.get("utime") or 0) + (record.get("stime") or 0)
        start = record.get("start_time")
        # Inside a container process 1 is an ordinary one, and has a score.
        init = record["pid"] == INIT and not record.get("oom_score")
        pages = record.get("rss_pages")
        return Task(
            record["pid"],
            (record.get("rss") or 0) if pages is None else pages * self.page_size,
            record.get("swap") or 0,
            record.get("page_tables") or 0,
            record.get("oom_score_adj") or 0,
            root=record.get("uid") == 0,
            killable=record.get("rss") is not None and not record.get("kernel_thread") and not init,
            exact_rss=record.get("rss"),
            vm_size=record.get("vm_size") or 0,
            children=self.children.get(record["pid"], ()),
            cpu_seconds=cpu / 100,
            run_seconds=self.now - start if self.now and start else 0.0,
            nice=record.get("nice") or 0,
        )

    def _supposed(self, task: Task) -> Task:
        grown = self.what_if.grow.get(task.pid, 0)
        return task._replace(
            adj=self.what_if.adj.get(task.pid, task.adj),
            rss=max(0, task.rss + grown),
            exact_rss=None if task.exact_rss is None else max(0, task.exact_rss + grown),
            vm_size=max(0, task.vm_size + grown),
        )

    def _sysctl(self, name: str) -> Any:
        setting = ((self.facts.get("oom") or {}).get("sysctls") or {}).get(name) or {}
        return setting.get("runtime")

    def _ranking(self, members: Sequence[tuple[Facts, Task]], total: int) -> list[Candidate]:
        of_host = total_pages(self.ram, self.swap, page_size=self.page_size)
        records = {task.pid: record for record, task in members}
        found = rank((task for _, task in members), self.era, total, page_size=self.page_size)
        return [
            Candidate(
                records[each.task.pid],
                each.task,
                each.points,
                proc_score(badness(each.task, self.era, of_host, self.page_size), self.era, of_host),
                each.ties,
            )
            for each in found
        ]

    def _host(self, members: Sequence[tuple[Facts, Task]]) -> Arena:
        total = total_pages(self.ram, self.swap, page_size=self.page_size)
        ranking = self._ranking(members, total)
        used = None if self.supply.available is None else self.ram - self.supply.available
        if self._sysctl("vm.panic_on_oom"):
            why = "vm.panic_on_oom is set: the kernel panics instead of killing"
            return Arena(None, self.ram, used, total, ranking, "panic", None, (), why)
        arena = self._arena(None, self.ram, used, total, ranking)
        if self._sysctl("vm.oom_kill_allocating_task") and arena.victim:
            why = "vm.oom_kill_allocating_task is set: whoever asks for memory then is killed, unweighed"
            return Arena(None, self.ram, used, total, ranking, "kill caller", None, (), why)
        return arena

    def _group(self, group: Facts, members: Sequence[tuple[Facts, Task]]) -> Arena:
        total = memcg_total_pages(
            group["max"],
            self.swap,
            page_size=self.page_size,
            swap_max=_limit(group.get("swap_max")),
            memsw_max=_limit(group.get("memsw_max")),
            swappiness=self._sysctl("vm.swappiness"),
        )
        ranking = self._ranking(members, total)
        path, limit, used = group["path"], group["max"], group.get("current")
        if self._sysctl("vm.panic_on_oom") == 2:
            why = "vm.panic_on_oom is 2: the kernel panics even when only a group has no memory left"
            return Arena(path, limit, used, total, ranking, "panic", None, (), why)
        if group.get("oom_kill_disable"):
            why = "memory.oom_control switches the OOM killer off here: processes wait until memory is free"
            return Arena(path, limit, used, total, ranking, "wait", None, (), why)
        return self._arena(path, limit, used, total, ranking)

    def _arena(
        self, path: Optional[str], limit: int, used: Optional[int], total: int, ranking: Sequence[Candidate]
    ) -> Arena:
        chosen = ranking[0] if ranking and ranking[0].points is not None else None
        if chosen is None:
            why = "nothing here may be killed: " + (
                "the kernel panics (System is deadlocked on memory)"
                if path is None
                else "who asks for memory fails or goes over the limit"
            )
            return Arena(path, limit, used, total, ranking, "nothing to kill", None, (), why)
        victim = self._sacrificed(chosen, ranking) or chosen
        why = reason(victim, chosen, ranking, self.era, total, self.page_size)
        together = self._oom_group(victim.record.get("cgroup") or "/", path)
        if together is None:
            return Arena(path, limit, used, total, ranking, "kill", victim, (victim.pid,), why)
        dies = tuple(
            each.pid
            for each in ranking
            if each.points is not None and _below(each.record.get("cgroup") or "/", together)
        )
        why += f"; all of {together} dies with it (memory.oom.group)"
        return Arena(path, limit, used, total, ranking, "kill group", victim, dies, why)

    def _sacrificed(self, chosen: Candidate, ranking: Sequence[Candidate]) -> Optional[Candidate]:
        """Return the child that dies in the place of the chosen one, up to 5.0."""
        if not self.era.sacrifices:
            return None
        children = [
            each for each in ranking if each.points is not None and each.record.get("ppid") == chosen.pid
        ]
        if self.era is LEGACY:
            return min(children, key=lambda each: each.record.get("start_ticks") or 0, default=None)
        return max(children, key=lambda each: each.points or 0, default=None)

    def _members(
        self, supposed: Sequence[tuple[Facts, Task]]
    ) -> list[tuple[Facts, list[tuple[Facts, Task]]]]:
        """Return each group that has a limit with the processes in it and below."""
        limited: dict[str, tuple[Facts, list[tuple[Facts, Task]]]] = {
            group["path"]: (group, [])
            for group in self.cgroups.get("groups") or ()
            if _limit(group.get("max")) is not None
        }
        for record, task in supposed if limited else ():
            path = record.get("cgroup") or "/"
            while path:
                if path in limited:
                    limited[path][1].append((record, task))
                path = path.rpartition("/")[0]
        return [(group, members) for group, members in limited.values() if members]

    def _oom_group(self, path: str, domain: Optional[str]) -> Optional[str]:
        """Return the topmost group with memory.oom.group from *path* up to *domain* (not the root)."""
        found = None
        while path and path != "/":
            if path in self.dying_together:
                found = path
            if path == domain:
                break
            path = path.rpartition("/")[0]
        return found


def _limit(value: Any) -> Optional[int]:
    return value if isinstance(value, int) else None


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")
