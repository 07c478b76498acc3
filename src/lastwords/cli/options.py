"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional

from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import open_case
from lastwords.hookspecs import Collector, Report, Rule
from lastwords.model import ExitCode, LastwordsError, Severity, Verdict
from lastwords.reports.pages import page_names


class UsageError(LastwordsError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add -q and -v."""
    parser.add_argument("-q", "--quiet", action="store_true", help="no messages but errors")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what is done")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose and shape a report."""
    group = parser.add_argument_group("report")
    group.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    group.add_argument(
        "--jsonl", action="store_const", const="jsonl", dest="format", help="one JSON line an input"
    )
    group.add_argument(
        "--markdown", action="store_const", const="markdown", dest="format", help="same as --format markdown"
    )
    group.add_argument("--html", metavar="FILE", action=_HtmlFile, help="same as --format html --output FILE")
    group.add_argument(
        "--short", action="store_const", const="short", dest="format", help="ten lines an input"
    )
    group.add_argument(
        "--section",
        metavar="A,B",
        type=sections,
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
    group.add_argument(
        "--fail-on",
        metavar="SEVERITY",
        choices=[severity.word for severity in Severity],
        help="exit with 1 if there is a finding of this severity or above (info, warning, critical)",
    )
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours on the terminal"
    )


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
) -> Optional[Verdict]:
    """Return the verdict on what ``--compare`` names, or None.

    :raises LastwordsError: it cannot be read
    """
    if arguments.compare is None:
        return None
    return judge(arguments.compare, open_case(arguments.compare, collectors), rules)


def use_color(wanted: str) -> bool:
    """Return whether to use colours: as told, or on a terminal unless NO_COLOR is set."""
    if wanted != "auto":
        return wanted == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def verdict_code(arguments: argparse.Namespace, worst: Optional[Severity]) -> ExitCode:
    """Return the exit code that the gravest finding leads to."""
    if arguments.fail_on and worst is not None and worst >= Severity.parse(arguments.fail_on):
        return ExitCode.FINDINGS
    return ExitCode.OK


def add_collectors(parser: argparse.ArgumentParser, collectors: Mapping[str, Collector]) -> None:
    """Add --only, --skip, --timeout and a switch for each option of a collector."""
    group = parser.add_argument_group("collectors")
    names = ", ".join(collectors)
    group.add_argument("--only", metavar="A,B", help=f"run only these of: {names}")
    group.add_argument("--skip", metavar="A,B", help="run all but these")
    group.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="deadline of each, instead of its own"
    )
    for collector in collectors.values():
        for option, text in collector.options.items():
            group.add_argument(
                "--" + option.replace("_", "-"), action="store_true", help=f"{text} ({collector.name})"
            )


def chosen_collectors(
    arguments: argparse.Namespace, collectors: Mapping[str, Collector]
) -> dict[str, Collector]:
    """Return the collectors that were asked for, their options set.

    :raises UsageError: one of them does not exist
    """
    only, skip = _names(arguments.only), _names(arguments.skip)
    for name in (*(only or ()), *(skip or ())):
        if name not in collectors:
            raise UsageError(f"collector {name!r}: expected one of {', '.join(collectors)}")
    chosen = {}
    for name, collector in collectors.items():
        if (only is None or name in only) and name not in (skip or ()):
            collector.on = frozenset(option for option in collector.options if getattr(arguments, option))
            chosen[name] = collector
    return chosen


def progress_line(quiet: bool, verbose: bool) -> Callable[[Collector], None]:
    """Return a function that shows, on a terminal, which collector runs; silent where it is none."""

    def say(collector: Collector) -> None:
        if quiet or not (verbose or sys.stderr.isatty()):
            return
        text = f"gathering {collector.name}: {collector.title}"
        if verbose:
            print(text, file=sys.stderr)
        else:
            columns = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{text[: columns - 1]}", end="", file=sys.stderr, flush=True)

    return say


def end_progress(quiet: bool, verbose: bool) -> None:
    """Clear the progress line."""
    if not quiet and not verbose and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _names(text: Optional[str]) -> Optional[list[str]]:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def sections(text: str) -> tuple[str, ...]:
    """Return the names of pages, for argparse."""
    names = tuple(_names(text) or ())
    for name in names:
        if name not in page_names():
            raise argparse.ArgumentTypeError(f"page {name!r}: expected one of {', '.join(page_names())}")
    return names


def seconds(text: str) -> float:
    """Return a number of seconds above 0, for argparse."""
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("expected a number of seconds above 0")
    return value
