"""The options of reports, and where reports go: standard output, one file, or a file for each input."""

from __future__ import annotations

import argparse
import dataclasses
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from lastwords.analyzer.collection import open_cases
from lastwords.analyzer.compare import compare, same_host
from lastwords.analyzer.judge import judge
from lastwords.bundle.write import OutputError
from lastwords.cli import options
from lastwords.cli.options import UsageError
from lastwords.hookspecs import Collector, Report, Rule
from lastwords.model import LastwordsError
from lastwords.reports.pages import page_names
from lastwords.verdict import Comparison, Verdict

SAME = 12
"""Characters in which a file and the report that replaces it must agree: a report may replace a report of its
kind, and nothing else."""


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose and shape a report."""
    group = parser.add_argument_group("report")
    options.add_formats(group)
    group.add_argument("--html", metavar="FILE", action=_HtmlFile, help="same as --format html --output FILE")
    group.add_argument(
        "--short", action="store_const", const="short", dest="format", help="ten lines an input"
    )
    group.add_argument(
        "--section",
        metavar="A,B",
        type=_sections,
        default=(),
        help=f"pages of facts instead of the verdict: {', '.join(page_names())}",
    )
    group.add_argument(
        "--compare", metavar="OLD", help="tell what changed since OLD, an older input of the same host"
    )
    group.add_argument("--format", metavar="NAME", help="a report by name (see: lastwords plugins)")
    group.add_argument(
        "--output",
        metavar="FILE",
        help="write the report there, not to standard output (-); into a directory, one report an input",
    )
    parser.set_defaults(format="terminal")
    options.add_fail_on(group)
    options.add_color(group)


def chosen_report(arguments: argparse.Namespace) -> Report:
    """Return the report that was asked for. :raises UsageError: there is none of that name"""
    reports: dict[str, Report] = arguments.plugins.reports()
    if arguments.format not in reports:
        raise UsageError(f"--format {arguments.format}: expected one of {', '.join(sorted(reports))}")
    if arguments.section and arguments.format != "terminal":
        raise UsageError("--section: expected without another format; the facts are in the bundle")
    return reports[arguments.format]


class _HtmlFile(argparse.Action):
    """``--html FILE``."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        namespace.format, namespace.output = "html", values


def older(
    arguments: argparse.Namespace, collectors: Mapping[str, Collector], rules: Iterable[Rule]
) -> list[Verdict]:
    """Return the verdicts on the hosts in what ``--compare`` names.

    :raises LastwordsError: one of them cannot be read
    """
    found = []
    for name, case in open_cases(arguments.compare, collectors) if arguments.compare is not None else ():
        if isinstance(case, LastwordsError):
            raise case
        found.append(judge(name, case, rules))
    return found


def compared(old: Sequence[Verdict], verdict: Verdict) -> Optional[Comparison]:
    """Return what changed since an older verdict: the only one, or of several that on the same host."""
    mine = old if len(old) == 1 else [each for each in old if same_host(each, verdict)]
    return compare(mine[-1], verdict) if mine else None


def _sections(text: str) -> tuple[str, ...]:
    """Return the names of pages, for argparse."""
    names = tuple(options.words(text) or ())
    for name in names:
        if name not in page_names():
            raise argparse.ArgumentTypeError(f"page {name!r}: expected one of {', '.join(page_names())}")
    return names


class Output:
    """Takes verdicts, shows them at once or writes them at the end.

    :param arguments: ``output``, ``color``, ``section``, ``compare``, ``verbose``
    :param inputs: paths that are opened: nothing is written onto or into them
    :raises OutputError: the output is one of them
    :raises UsageError: it is one file, which the reports of several inputs cannot share
    """

    def __init__(self, arguments: argparse.Namespace, report: Report, inputs: Sequence[str] = ()) -> None:
        self._report = report
        self._path: str = arguments.output or "-"
        look = options.look(arguments)
        # A file has colours only if they were asked for.
        color = arguments.color == "always" if arguments.output else look.color
        self._look = dataclasses.replace(
            look, color=color, sections=arguments.section, full=arguments.verbose
        )
        self._parts: list[str] = []
        self._more = False
        self._names: set[str] = set()
        self._each = os.path.isdir(self._path)
        if report.binary and self._path == "-":
            raise UsageError(f"{report.name}: expected --output FILE: it is no text")
        for path in (*inputs, *([arguments.compare] if arguments.compare else ())):
            _refuse_within(self._path, path)
        if len(inputs) > 1:
            self._refuse_second()
        self._whole = report.whole()

    def add(self, verdict: Verdict) -> None:
        """Show a verdict. :raises UsageError: it is the second one for a file that can hold one only"""
        if self._whole is not None:
            self._whole.add(verdict)
            return
        if self._more:
            self._refuse_second()
        text = self._report.render(verdict, self._look)
        if self._report.for_people and self._more and not self._each:
            text = "\n" + text
        self._more = True
        if self._path == "-":
            sys.stdout.write(text)
            sys.stdout.flush()
        elif self._each:
            replace(os.path.join(self._path, self._name(verdict)), text)
        else:
            if self._report.document and self._parts:
                raise UsageError(f"{self._path}: expected a directory: the input holds several hosts")
            self._parts.append(text)

    def close(self) -> None:
        """Write what is to be in one document."""
        if self._whole is not None:
            content = self._whole.finish()
            if self._path != "-":
                file = f"lastwords.{self._report.name}"
                replace(os.path.join(self._path, file) if self._each else self._path, content)
            elif isinstance(content, str):
                sys.stdout.write(content)
        if self._parts:
            replace(self._path, "".join(self._parts))

    def _refuse_second(self) -> None:
        """:raises UsageError: reports of several inputs, or of several hosts in one, cannot share a file"""
        if self._report.document and not self._each:
            name = self._report.name
            raise UsageError(f"{self._path}: expected a directory for the {name} reports of several inputs")

    def _name(self, verdict: Verdict) -> str:
        """Return a file name for a verdict that no other one of this run has."""
        stem = os.path.basename(verdict.path.rstrip("/")) or "host"
        name, number = f"{stem}.{self._report.name}", 1
        while name in self._names:
            number += 1
            name = f"{stem}-{number}.{self._report.name}"
        self._names.add(name)
        return name


def replace(path: str, content: Union[str, bytes]) -> None:
    """Write a report beside its final name, then rename it; only its owner may read it.

    :raises OutputError: it cannot be written, or what is there is no report of this kind
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    folder = os.path.dirname(os.path.abspath(path))
    staged = os.path.join(folder, f".{secrets.token_hex(4)}.partial")
    try:
        if os.path.lexists(path) and not _alike(path, data):
            raise OutputError(f"{path}: exists already and is no such report")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(staged, path)
        except BaseException:
            os.unlink(staged)
            raise
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise OutputError(f"{path}: cannot be written: {reason}") from None


def _alike(path: str, data: bytes) -> bool:
    """Return whether a file is empty or a report that begins as *data* does."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        start = stream.read(SAME)
    return start in (b"", data[:SAME])


def _refuse_within(output: str, path: str) -> None:
    """:raises OutputError: the output is an input, or lies in one that is a directory"""
    if output == "-":
        return
    real, given = os.path.realpath(output), os.path.realpath(path)
    inside = os.path.isdir(given) and given != "/" and real.startswith(given + "/")
    if real == given or inside:
        raise OutputError(f"{output}: expected a file outside of the input {path}")
