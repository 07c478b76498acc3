"""The Python interface: what ``import lastwords`` offers, loaded when it is first used (docs/api.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Union

from lastwords import plugins
from lastwords.analyzer.collection import open_cases
from lastwords.analyzer.compare import compare
from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import open_case
from lastwords.hookspecs import Look
from lastwords.model import Case, Event, ExitCode, Facts, Finding, LastwordsError, Proof, Severity
from lastwords.verdict import Boot, Cause, Comparison, Moment, Step, Story, Verdict, Wish

__all__ = [
    "Boot",
    "Case",
    "Cause",
    "Comparison",
    "Event",
    "ExitCode",
    "Facts",
    "Finding",
    "Input",
    "LastwordsError",
    "Moment",
    "Proof",
    "Severity",
    "Step",
    "Story",
    "Verdict",
    "Wish",
    "open",
    "open_all",
]

Path = Union[str, "os.PathLike[str]"]


class Input:
    """One opened input. Facts are there at once; rules run when the verdict or a part of it is asked for."""

    def __init__(self, path: str, case: Case, loaded: plugins.Plugins) -> None:
        self.path = path
        """As it was given; of one of several in an archive with the name of its own."""
        self.case = case
        """Facts, events and how each collector ended."""
        self._plugins = loaded

    @cached_property
    def verdict(self) -> Verdict:
        """Findings and story, as ``lastwords open`` shows them."""
        return judge(self.path, self.case, self._plugins.rules().values())

    @property
    def facts(self) -> Mapping[str, Facts]:
        """Facts by collector (docs/collectors); a collector that gathered nothing is absent."""
        return self.case.facts

    @property
    def events(self) -> list[Event]:
        """What happened, oldest first, each as ``schemas/event.json`` describes it."""
        return list(self.case.events)

    @property
    def findings(self) -> list[Finding]:
        """What is wrong, the gravest first."""
        return self.verdict.findings

    @property
    def story(self) -> Story:
        """The same as one account: causes with their chains, a timeline, what is missing."""
        return self.verdict.story

    def since(self, older: Input) -> Comparison:
        """Return what changed since an older input of the same host."""
        return compare(older.verdict, self.verdict)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as ``lastwords open --json`` prints it (``schemas/findings.json``)."""
        return self.verdict.to_json()

    def report(self, name: str = "markdown", *, width: int = 100, color: bool = False) -> str:
        """Return the verdict in a format by its name.

        :param width: columns of a report for a terminal
        :raises ValueError: there is no such format
        """
        reports = self._plugins.reports()
        if name not in reports:
            raise ValueError(f"format {name!r}: expected one of {', '.join(sorted(reports))}")
        return reports[name].render(self.verdict, Look(width, color))


def open(path: Path, *, as_host: bool = False, recollect: bool = False) -> Input:  # noqa: A001
    """Open a bundle, a sosreport (archive or directory) or the tree of a host.

    Nothing is extracted to disk, and nothing in the input is executed.

    :param as_host: take a directory as a host's tree whatever it looks like, as ``--root`` does
    :param recollect: derive the facts of a bundle again from its evidence
    :raises LastwordsError: it cannot be read, is nothing lastwords knows, or holds several hosts; one line
    """
    loaded = plugins.load()
    text = os.fspath(path)
    case = open_case(text, loaded.collectors(), recollect=recollect, as_host=as_host)
    return Input(text, case, loaded)


def open_all(path: Path, *, recollect: bool = False) -> Iterator[Input]:
    """Open every host in an input, one after the other: those of a sos collect archive, of a directory.

    :raises LastwordsError: it cannot be read, or there is no host in it; or one of them cannot be read
    """
    loaded = plugins.load()
    for name, case in open_cases(os.fspath(path), loaded.collectors(), recollect=recollect):
        if isinstance(case, LastwordsError):
            raise case
        yield Input(name, case, loaded)
