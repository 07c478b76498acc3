"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Optional

from lastwords.hookspecs import Collector, Look
from lastwords.model import ExitCode, LastwordsError, Severity
from lastwords.plugins import Later


class UsageError(LastwordsError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE


def add_quiet(parser: argparse.ArgumentParser, verbose: str = "tell what is done") -> None:
    """Add -q and -v.

    :param verbose: what -v does
    """
    parser.add_argument("-q", "--quiet", action="store_true", help="no messages but errors")
    parser.add_argument("-v", "--verbose", action="store_true", help=verbose)


def add_formats(group: argparse._ActionsContainer) -> None:
    """Add the short names of the formats that reports of every kind have."""
    group.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    group.add_argument(
        "--jsonl", action="store_const", const="jsonl", dest="format", help="one JSON line an input"
    )
    group.add_argument(
        "--markdown", action="store_const", const="markdown", dest="format", help="same as --format markdown"
    )


def add_color(parser: argparse._ActionsContainer) -> None:
    """Add --color."""
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours on the terminal"
    )


def add_fail_on(parser: argparse._ActionsContainer) -> None:
    """Add --fail-on, which :func:`verdict_code` heeds."""
    parser.add_argument(
        "--fail-on",
        metavar="SEVERITY",
        choices=[severity.word for severity in Severity],
        help="exit with 1 if there is a finding of this severity or above (info, warning, critical)",
    )


def use_color(wanted: str) -> bool:
    """Return whether to use colours: as told, or on a terminal unless NO_COLOR is set."""
    if wanted != "auto":
        return wanted == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def look(arguments: argparse.Namespace, least: int = 40) -> Look:
    """Return how a page on standard output should look: as wide as the terminal, within bounds.

    :param least: columns that the page needs, whatever the terminal has
    """
    width = max(least, min(shutil.get_terminal_size((100, 24)).columns, 120))
    return Look(width, use_color(arguments.color))


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
) -> Mapping[str, Collector]:
    """Return the collectors that were asked for, their options set.

    :raises UsageError: one of them does not exist
    """
    only, skip = (words(getattr(arguments, name, None)) for name in ("only", "skip"))
    if only is None and skip is None:
        return Later(lambda: {name: _switched(each, arguments) for name, each in collectors.items()})
    for name in (*(only or ()), *(skip or ())):
        if name not in collectors:
            raise UsageError(f"collector {name!r}: expected one of {', '.join(collectors)}")
    return {
        name: _switched(collector, arguments)
        for name, collector in collectors.items()
        if (only is None or name in only) and name not in (skip or ())
    }


def _switched(collector: Collector, arguments: argparse.Namespace) -> Collector:
    """Return a collector with its options set."""
    collector.on = frozenset(option for option in collector.options if getattr(arguments, option, False))
    return collector


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


def words(text: Optional[str]) -> Optional[list[str]]:
    """Return the words of a list with commas; None when it was not given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def seconds(text: str) -> float:
    """Return a number of seconds above 0, for argparse."""
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("expected a number of seconds above 0")
    return value
