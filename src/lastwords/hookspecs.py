"""The extension contract: what a plugin can register, and the shape of each thing.

A plugin is a module (or object) with functions marked :data:`hookimpl`, named in the entry-point
group ``lastwords``. Its hooks only *register*; whatever they register is run later, one at a time,
isolated from the others. The built-in collectors, rules, reports and commands use these very hooks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

import pluggy

from lastwords.model import Case, Facts, Finding
from lastwords.verdict import Verdict

if TYPE_CHECKING:
    from lastwords.roots.base import Root
    from lastwords.roots.sift import Sieve

hookspec = pluggy.HookspecMarker("lastwords")
hookimpl = pluggy.HookimplMarker("lastwords")


class Collector:
    """Reads one topic from a root and yields facts.

    A collector never prints, exits, or starts a process: whatever it wants it asks of the root, which
    records every read as evidence. Facts are raw values, without opinions. What could not be read is
    ``None``, never 0, ``False`` or an empty list: the root notes the reason.
    """

    name: ClassVar[str]
    """Lower case, ``[a-z][a-z0-9_]*``: the name of the facts file and of ``--only``."""
    title: ClassVar[str]
    """One line for people."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Host paths (globs) it reads. Shown in help and docs; tells archive roots what to keep."""
    runs: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Commands it runs, each a tuple of words."""
    needs_root: ClassVar[Optional[str]] = None
    """What is missing when an ordinary user runs it, or None when nothing is."""
    live_only: ClassVar[bool] = False
    """True when the topic exists on a running host only."""
    sieve: ClassVar[Optional[Sieve]] = None
    """What it searches for in logs of any size, that need not be held whole then. Other collectors do not
    get those logs so."""
    timeout: ClassVar[float] = 30.0
    """Seconds until its child process is abandoned."""
    options: ClassVar[dict[str, str]] = {}
    """Switches off by default: name -> what it adds. ``with_cmdline`` becomes ``--with-cmdline``."""
    schema: ClassVar[Optional[dict[str, Any]]] = None
    """JSON Schema of its facts; None for the built-in ones, which have theirs in ``lastwords.schemas``."""

    on: frozenset[str] = frozenset()
    """The names of the options that were switched on for this run."""

    def collect(self, root: Root) -> Iterator[Facts]:
        """Yield the facts, as soon and as often as there is more to say; the last yield counts.

        Facts yielded before a deadline or an error are kept. A list under ``records`` is stored as JSON
        Lines; a list under ``events`` joins the bundle's ``events.jsonl``.

        :raises lastwords.model.NoData: the root holds nothing on this topic
        :raises lastwords.model.Skipped: the collector does not apply to this root
        """
        raise NotImplementedError  # every collector has its own


RuleFunction = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """A pure function of a case that yields findings of one id."""

    id: str
    needs: tuple[str, ...]
    """Collectors whose facts it needs; without them it is skipped and listed as such."""
    check: RuleFunction
    shows: Optional[str] = None
    """What its findings show in the story: a word of ``docs/story.md``. Without one, a finding joins the
    cause whose events it gives as evidence."""

    @property
    def doc(self) -> str:
        """The documentation page: the docstring of the function."""
        return self.check.__doc__ or ""


def rule(
    id: str,  # noqa: A002
    *,
    needs: tuple[str, ...],
    shows: Optional[str] = None,
) -> Callable[[RuleFunction], Rule]:
    """Make a rule of a function. Its docstring is its documentation page."""

    def make(check: RuleFunction) -> Rule:
        return Rule(id, needs, check, shows)

    return make


@dataclass(frozen=True)
class Look:
    """How a report for a screen should look."""

    width: int = 100
    color: bool = False
    sections: tuple[str, ...] = ()
    """Pages of facts that are wanted instead of the verdict."""
    full: bool = False
    """Whether to show all of what is only good to know, and what another line tells already."""


class Whole:
    """One document that holds the verdicts of all inputs, made as they come."""

    def add(self, verdict: Verdict) -> None:
        """Take one verdict; keep no more of it than is needed."""
        raise NotImplementedError  # every document has its own

    def finish(self) -> Union[str, bytes]:
        """Return the document."""
        raise NotImplementedError  # every document has its own


class Report:
    """Renders a verdict."""

    name: ClassVar[str]
    """The word after ``--format``."""
    title: ClassVar[str]
    document: ClassVar[bool] = False
    """True when the text is a whole document, so that several verdicts make several files."""
    for_people: ClassVar[bool] = False
    """True when an empty line is to stand between several."""
    binary: ClassVar[bool] = False
    """True when it is no text: it goes into a file only."""

    def render(self, verdict: Verdict, look: Look) -> str:
        """Return the whole report as text, ending in a newline.

        :param look: the width of the page, and whether colours are wanted; most formats need neither
        """
        document = self.whole()
        if document is None:
            raise NotImplementedError  # every report has its own, or is a whole
        document.add(verdict)
        text = document.finish()
        if not isinstance(text, str):
            raise TypeError(f"{self.name} is no text: it goes into a file only")
        return text

    def whole(self) -> Optional[Whole]:
        """Return an empty document when all verdicts are to be in one; None, when each stands alone."""
        return None


@dataclass(frozen=True)
class Script:
    """What a plan yields: POSIX shell that a person reads, then runs as root."""

    title: str
    """What it does, one line."""
    why: tuple[str, ...]
    """What the reader must know before: paragraphs."""
    apply: str
    """Lines of shell; doing it twice must do no harm. Every name in it is quoted."""
    undo: str
    """Lines of shell that take it back, also when it was never done."""
    functions: str = ""
    """Shell functions that both use."""


class Plan:
    """Mends something: a pure function of facts and arguments that yields a script. It is never run here."""

    name: ClassVar[str]
    """The word after ``lastwords plan``."""
    title: ClassVar[str]
    """One line for people."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Collectors whose facts it uses; no others are run. It must do with those that are there."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of the plan, if it has any."""

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        """Return the script.

        :raises lastwords.model.LastwordsError: it cannot be made, or nothing is to be done; one line says why
        """
        raise NotImplementedError  # every plan has its own


@hookspec
def register_collectors(register: Callable[[Collector], None]) -> None:
    """Register collectors.

    :param register: call it with an instance of :class:`Collector`, once for each
    """


@hookspec
def register_rules(register: Callable[[Rule], None]) -> None:
    """Register rules.

    :param register: call it with a :class:`Rule`, as :func:`rule` makes them, once for each
    """


@hookspec
def register_reports(register: Callable[[Report], None]) -> None:
    """Register reports.

    :param register: call it with an instance of :class:`Report`, once for each
    """


@hookspec
def register_plans(register: Callable[[Plan], None]) -> None:
    """Register plans.

    :param register: call it with an instance of :class:`Plan`, once for each
    """


@hookspec
def register_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], plugins: Any) -> None:
    """Add commands to the command line.

    :param subparsers: add a parser to it and set ``run``, a function that takes the parsed arguments
        and returns an exit code: ``parser.set_defaults(run=...)``
    :param plugins: all that is registered (:class:`lastwords.plugins.Plugins`), for commands that use it;
        may be left out
    """
