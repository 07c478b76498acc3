"""``lastwords oops``: every kernel crash, hang, warning and boot failure in a log."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from lastwords.cli import options
from lastwords.cli.options import UsageError
from lastwords.model import ExitCode, LastwordsError
from lastwords.plugins import Plugins

DESCRIPTION = """\
Find every death in kernel logs: oopses, panics, hangs, warnings of the kernel, boots that failed and crash
dumps that could not be made. FILE is a dmesg, /var/log/messages, a journal (text, export, or a file of
journald's), a console capture, vmcore-dmesg.txt or pstore's dmesg, packed or not; - is standard input. Titles
follow the convention of the kernel's mailing lists and public dashboards, where they can be searched."""

NAMES = ("terminal", "json", "jsonl", "markdown", "junit", "kcidb")
"""The formats of :mod:`lastwords.reports.crash_formats`, which loads slowly."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument("files", metavar="FILE", nargs="+")
    group = parser.add_argument_group("output")
    options.add_formats(group)
    group.add_argument("--format", metavar="NAME", help=", ".join(NAMES))
    group.add_argument(
        "--fail-on", choices=("any", "fatal"), help="exit with 1 if there is any report, or a fatal one"
    )
    options.add_color(group)
    group.add_argument(
        "-v", "--verbose", action="store_true", help="show every report, whole traces and all that followed"
    )
    parser.set_defaults(run=run, format="terminal")


def run(arguments: argparse.Namespace) -> int:
    """Run the command. One input that cannot be read does not stop the others."""
    if arguments.format not in NAMES:
        raise UsageError(f"--format {arguments.format}: expected one of {', '.join(NAMES)}")
    from lastwords.analyzer.crash_log import CrashLog, read_log
    from lastwords.reports.crash_formats import FORMATS
    from lastwords.roots.logfile import parts_together

    chosen = FORMATS[arguments.format]
    look = replace(options.look(arguments), full=arguments.verbose)
    logs: list[CrashLog] = []
    failed = False
    worst = ""
    for path, *more in parts_together(arguments.files):
        try:
            log = read_log(path, *more)
        except LastwordsError as problem:
            print(f"lastwords: {problem}", file=sys.stderr)
            failed = True
            continue
        failed |= log.problem is not None
        worst = max(worst, *("fatal" if entry["fatal"] else "any" for entry in log.reports), "")
        if log.problem is not None:
            print(f"lastwords: {path}: {log.problem}; what was read before is shown", file=sys.stderr)
        if chosen.whole:
            logs.append(log)
        else:
            sys.stdout.write(chosen.render([log], look))
            sys.stdout.flush()
    if chosen.whole:
        sys.stdout.write(chosen.render(logs, look))
    if failed:
        return ExitCode.BAD_INPUT
    wanted = arguments.fail_on
    return ExitCode.FINDINGS if worst and wanted and worst >= wanted else ExitCode.OK
