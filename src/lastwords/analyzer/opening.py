"""Opens any input as a case: a bundle, a sosreport (with a bundle of ours in it or not), a mounted disk,
a crash dump."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, BinaryIO, Optional

from lastwords.analyzer.oom.reports import explained
from lastwords.analyzer.surroundings import Surroundings
from lastwords.bundle.read import Bundle, is_bundle
from lastwords.formats.foreign import HEAD_SIZE, foreign
from lastwords.gather.run import Gathered, gather
from lastwords.hookspecs import Collector
from lastwords.model import Case, LastwordsError, dig, event_order
from lastwords.roots.archive import ArchiveTree, NoTop
from lastwords.roots.base import Root
from lastwords.roots.live import directory_root
from lastwords.roots.logs import alone, is_log, is_text_file, log_root
from lastwords.roots.sift import Sieve
from lastwords.roots.some_files import files_root, place_of
from lastwords.roots.sosreport import is_sosreport, members_of, sosreport_root, wanted_members
from lastwords.roots.trees import HOST_MARKS, DirectoryTree, Tree, names_in
from lastwords.roots.vmcore_head import is_vmcore

BUNDLE_FILES = ("/manifest.json", "/events.jsonl", "/facts/*", "/evidence/*")
EMBEDDED = "/sos_commands/lastwords"
"""Where the sos plugin puts a bundle."""
EXTRA = "/var/tmp/lastwords-sos"
"""Where docs/sos.md has it put where the plugin cannot be installed."""
EXPECTED = "expected a bundle, a sosreport, a crash dump, a kernel log or a host's tree, found none of them"

NO_LOG = (
    "expected a bundle, a sosreport, a crash dump or a kernel log, found text without a line of a log "
    "(no time, no priority, no words of a kernel)"
)

Progress = Optional[Callable[[Collector], None]]


class NotOurs(LastwordsError):
    """The input cannot be read, or is nothing that lastwords knows."""


class SubTree(Tree):
    """A directory of another tree, as a tree."""

    def __init__(self, inner: Tree, top: str) -> None:
        self._inner = inner
        self._top = top

    def lookup(self, path: str) -> Any:
        return self._inner.lookup((self._top + path).rstrip("/"))

    def names(self, path: str) -> list[str]:
        return self._inner.names((self._top + path).rstrip("/"))

    def open(self, path: str) -> Any:
        return self._inner.open(self._top + path)

    def open_log(self, path: str) -> Any:
        return self._inner.open_log(self._top + path)


def open_case(
    path: str,
    collectors: Mapping[str, Collector],
    *,
    recollect: bool = False,
    as_host: bool = False,
    progress: Progress = None,
) -> Case:
    """Return the case that *path* holds.

    :param collectors: run on inputs without facts of their own, and on bundles whose facts cannot be used
    :param recollect: derive the facts of a bundle again from its evidence
    :param as_host: take a directory as a host's tree whatever it looks like (``--root``)
    :raises LastwordsError: it cannot be read or is nothing that lastwords knows; one clear line
    """
    if as_host:
        if not os.path.isdir(path):
            raise NotOurs(f"{path}: expected the directory of a mounted disk")
        return case_of(gather(directory_root(path), collectors.values(), progress=progress))
    case = case_of_file(path, collectors, progress) or case_in(
        open_tree(path, collectors), path, collectors, recollect=recollect, progress=progress
    )
    if case is None:
        raise NotOurs(f"{path}: {EXPECTED}")
    return case


def case_of_file(path: str, run: Mapping[str, Collector], progress: Progress = None) -> Optional[Case]:
    """Return the case that a file is by itself, a crash dump or a kernel log; None for anything else."""
    if is_vmcore(path):
        from lastwords.roots.vmcore_root import vmcore_root

        return case_of(gather(vmcore_root(path), run.values(), progress=progress))
    return case_of_log(*alone(path), path, run, progress) if os.path.isfile(path) else None


def case_of_log(
    tree: Tree, path: str, name: str, run: Mapping[str, Collector], progress: Progress = None
) -> Optional[Case]:
    """Return the case that a file of a tree is, called by *name*, when it is a kernel log; else None."""
    if not is_log(tree, path):
        return None
    case = case_of(gather(log_root(tree, path, name), run.values(), progress=progress))
    sources = dig(case.facts, "kernel_log", "sources") or ()
    broken = [source["error"] for source in sources if source.get("error")]
    case.notes += [f"{error}; what was read before is shown" for error in broken]
    return case


def joined_by_log(case: Case, path: str, collectors: Mapping[str, Collector]) -> Case:
    """Return a case with what a log of the same machine tells besides: a console of boots that left no other.

    :raises LastwordsError: it is no log; one clear line
    """
    run = {name: each for name, each in collectors.items() if name == "kernel_log"}
    told = case_of_log(*alone(path), path, run) if os.path.isfile(path) else None
    if told is None:
        raise NotOurs(f"{path}: expected a kernel log or a console capture")
    events = sorted([*case.events, *told.events], key=event_order)
    own, more = case.facts.get("kernel_log"), told.facts.get("kernel_log")
    if own is None:
        facts, outcomes = {**case.facts, **told.facts}, {**case.outcomes, **told.outcomes}
        return replace(case, facts=facts, events=events, outcomes=outcomes)
    if more is not None:
        counts: Counter[str] = Counter(own["counts"]) + Counter(more["counts"])
        own = {**own, "sources": [*own["sources"], *more["sources"]], "counts": dict(sorted(counts.items()))}
    return replace(case, facts={**case.facts, "kernel_log": own}, events=events)


def case_in(
    tree: Tree, path: str, run: Mapping[str, Collector], *, recollect: bool = False, progress: Progress = None
) -> Optional[Case]:
    """Return the case of one host that a tree is, or None.

    :param path: what the tree is called
    :raises LastwordsError: it cannot be read
    """
    if is_bundle(tree):
        return _from_bundle(Bundle(tree, path), run, recollect, progress)
    if is_sosreport(tree):
        embedded = _embedded(tree)
        if embedded is not None:
            case = _from_bundle(Bundle(embedded, path), run, recollect, progress)
            return _completed(case, sosreport_root(tree, path), run, progress)
        return case_of(gather(sosreport_root(tree, path), run.values(), progress=progress))
    if isinstance(tree, DirectoryTree) and len(names_in(tree, "/") & set(HOST_MARKS)) >= 2:
        return case_of(gather(directory_root(path), run.values(), progress=progress))
    place = place_of(tree)
    if place is not None:
        return case_of(gather(files_root(tree, place, path), run.values(), progress=progress))
    return None


def open_tree(path: str, collectors: Mapping[str, Collector] = MappingProxyType({})) -> Tree:
    """Return the files of a directory or an archive as a tree.

    :param collectors: what they will read is held in memory while an archive is streamed
    """
    try:
        if os.path.isdir(path):
            os.listdir(path)
            return DirectoryTree(path)
        if os.path.exists(path) and not os.path.isfile(path):
            raise NotOurs(f"{path}: expected a file or a directory, found a device, FIFO or socket")
        with open(path, "rb") as raw:
            head = raw.read(HEAD_SIZE)
        if not head:
            raise NotOurs(f"{path}: the file is empty")
    except OSError as problem:
        raise NotOurs(f"{path}: {(problem.strerror or str(problem)).lower()}") from None
    other = foreign(head)
    if other is not None:
        raise NotOurs(f"{path}: {other}")
    if is_text_file(*alone(path)):
        raise NotOurs(f"{path}: {NO_LOG}")
    return open_archive(path, collectors)


def open_archive(
    path: str,
    collectors: Mapping[str, Collector],
    *,
    opener: Optional[Callable[[], BinaryIO]] = None,
    first: Optional[BinaryIO] = None,
) -> ArchiveTree:
    """Return an archive as a tree, below its top directory if it has one; refuse a bundle with what none has.

    :param opener: opens it again, when *path* is no file of this machine
    :param first: its content as it streams by, the first time
    """
    holding = _Holding(collectors)
    open_it = partial(ArchiveTree, path, holding.wanted, sieve=holding.sieve, opener=opener)
    try:
        archive = open_it(first=first)
    except NoTop:
        archive = open_it(whole=True)
    if is_bundle(archive):
        archive.refuse_oddities()
    return archive


class _Holding:
    """What of an archive is to be held in memory: that of a bundle, and what collectors will read.

    Paths are those below its top directory; a host may also lie one directory deeper.
    """

    def __init__(self, collectors: Mapping[str, Collector]) -> None:
        self._collectors = collectors
        self._bundle = members_of(BUNDLE_FILES, ())

    def wanted(self, path: str) -> bool:
        """Return whether to hold a file."""
        return _names(self._bundle, path) or _names(self._read, path)

    def sieve(self, path: str) -> Optional[Sieve]:
        """Return what is searched for in a log by the one collector that reads it, or None."""
        if _names(self._bundle, path):
            return None
        for its, others, sieve in self._sieves:
            if _names(its, path) and not _names(others, path):
                return sieve
        return None

    @cached_property
    def _read(self) -> re.Pattern[str]:
        every = self._collectors.values()
        return wanted_members(
            [glob for each in every for glob in each.reads], [argv for each in every for argv in each.runs]
        )

    @cached_property
    def _sieves(self) -> list[tuple[re.Pattern[str], re.Pattern[str], Sieve]]:
        found = []
        for collector in self._collectors.values():
            if (sieve := collector.sieve) is not None:
                others = [other for other in self._collectors.values() if other is not collector]
                reads = [glob for other in others for glob in other.reads]
                runs = [argv for other in others for argv in other.runs]
                found.append((members_of(sieve.paths, sieve.runs), members_of(reads, runs), sieve))
        return found


def _names(pattern: re.Pattern[str], path: str) -> bool:
    """Return whether a pattern matches a path, or what is left of it below its first directory."""
    return bool(pattern.match(path) or pattern.match(path[path.find("/", 1) :]))


def case_of(gathered: Gathered) -> Case:
    """Return what was just gathered as a case."""
    return Case(
        facts={name: facts for name, r in gathered.results.items() if (facts := r.facts) is not None},
        events=explained(gathered.events, gathered.root),
        outcomes={
            name: {
                "outcome": result.outcome.value,
                "reason": result.reason,
                "duration": result.duration,
                "evidence": result.evidence,
            }
            for name, result in gathered.results.items()
        },
        root_kind=gathered.root.kind,
        taken_at=gathered.root.taken_at,
        notes=list(gathered.root.notes),
        around=Surroundings(gathered.root),
        where=_again(gathered.root.where),
    )


def _again(path: str) -> str:
    """Return a path, or nothing for what is no file here: a member of an archive, the host itself."""
    return path if os.path.exists(path) else ""


def _from_bundle(
    bundle: Bundle, collectors: Mapping[str, Collector], recollect: bool, progress: Progress
) -> Case:
    notes = [str(note) for note in (bundle.manifest.get("root") or {}).get("notes") or ()]
    altered = bundle.changed + bundle.altered()
    if altered:
        notes.append(
            f"{len(altered)} files of the bundle are not as they were written (sos clean does this): "
            f"facts derived again from the evidence; first: {altered[0]}"
        )
    if recollect or altered:
        case = case_of(gather(bundle.root(), collectors.values(), progress=progress))
        case.notes = notes
        kept = {name: facts for name, facts in bundle.facts.items() if _irreplaceable(bundle, case, name)}
        case.facts = {**case.facts, **kept}
        case.events = case.events or sorted(bundle.events, key=event_order)
    else:
        case = Case(
            facts=bundle.facts,
            events=explained(bundle.events, bundle.root()),
            outcomes=bundle.collectors,
            root_kind="bundle",
            taken_at=bundle.manifest.get("taken_at"),
            notes=notes,
            around=Surroundings(bundle.root()),
        )
    case.where = _again(bundle.where)
    return case


def _irreplaceable(bundle: Bundle, case: Case, name: str) -> bool:
    """Return whether a bundle's facts cannot be derived again: they came from what it does not keep."""
    items = bundle.collectors[name].get("evidence") or ()
    return name not in case.facts or any(item.get("unkept") for item in items if isinstance(item, dict))


def _completed(case: Case, root: Root, collectors: Mapping[str, Collector], progress: Progress) -> Case:
    """Fill what an embedded bundle lacks from the sosreport around it."""
    missing = [collector for collector in collectors.values() if collector.name not in case.facts]
    rest = case_of(gather(root, missing, progress=progress))
    return Case(
        facts={**rest.facts, **case.facts},
        events=sorted([*case.events, *rest.events], key=event_order),
        outcomes={**case.outcomes, **rest.outcomes},
        root_kind="sosreport",
        taken_at=case.taken_at or root.taken_at,
        notes=[*root.notes, *case.notes],
        around=lambda path, line: case.around(path, line) or rest.around(path, line),
        where=case.where,
    )


def _embedded(tree: Tree) -> Optional[Tree]:
    """Return the bundle that our sos plugin laid into a sosreport, or None."""
    try:
        places = [f"{EMBEDDED}/{name}" for name in tree.names(EMBEDDED)]
    except OSError:
        places = []
    for place in (*places, EXTRA):
        candidate = SubTree(tree, place)
        if is_bundle(candidate):
            return candidate
    return None
