"""``lastwords open``: the verdict on whatever a host left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Optional, Union

from lastwords.analyzer.collection import open_cases
from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import joined_by_log, open_case
from lastwords.cli import options
from lastwords.cli.main import CommandParser
from lastwords.cli.output import Output, add_output, chosen_report, compared, older
from lastwords.hookspecs import Collector
from lastwords.model import Case, ExitCode, LastwordsError, Severity
from lastwords.plugins import Plugins

DESCRIPTION = """\
Say what is wrong, how that is known and how to mend it. PATH is a bundle, a sosreport (archive or
directory), the tree of a mounted disk, some files of a host (/var/log, its journal ...), a crash dump or a
kernel log; or a directory or archive of several of these, as sos collect makes: then each is told. Nothing is
extracted to disk and nothing in it is executed."""


def add_arguments(parser: CommandParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument("paths", metavar="PATH", nargs="+")
    parser.add_argument("--root", action="store_true", help="PATH is a mounted disk, whatever it looks like")
    parser.add_argument(
        "--log",
        metavar="FILE",
        action="append",
        default=[],
        help="another log of the machine, as its serial console: joined with what PATH tells",
    )
    parser.add_argument(
        "--recollect", action="store_true", help="derive the facts of a bundle again from its evidence"
    )
    add_output(parser)
    options.add_quiet(parser, "tell what is done, and all of what is only good to know")
    parser.rarely(partial(options.add_collectors, parser, plugins.collectors()))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command. One input that cannot be read does not stop the others."""
    plugins: Plugins = arguments.plugins
    if arguments.log and len(arguments.paths) > 1:
        raise options.UsageError("--log: expected one PATH, the machine whose log it is")
    output = Output(arguments, chosen_report(arguments), arguments.paths)
    collectors = options.chosen_collectors(arguments, plugins.collectors())
    rules = plugins.rules().values()
    worst: Optional[Severity] = None
    failed = False
    old = older(arguments, collectors, rules)
    for path in arguments.paths:
        for name, case in _cases(arguments, path, collectors):
            options.end_progress(arguments.quiet, arguments.verbose)
            if isinstance(case, LastwordsError):
                print(f"lastwords: {case}", file=sys.stderr)
                failed = True
                continue
            for log in arguments.log:
                case = joined_by_log(case, log, collectors)
            verdict = judge(name, case, rules)
            verdict.compared = compared(old, verdict)
            if old and verdict.compared is None:
                print(
                    f"lastwords: {arguments.compare}: {name} is none of its {len(old)} hosts", file=sys.stderr
                )
            output.add(verdict)
            worst = max((s for s in (worst, verdict.worst()) if s is not None), default=None)
    output.close()
    return ExitCode.BAD_INPUT if failed else options.verdict_code(arguments, worst)


def _cases(
    arguments: argparse.Namespace, path: str, collectors: Mapping[str, Collector]
) -> Iterator[tuple[str, Union[Case, LastwordsError]]]:
    """Yield every host in an input, and what cannot be read as its error."""
    progress = options.progress_line(arguments.quiet, arguments.verbose)
    recollect = arguments.recollect
    try:
        if arguments.root:
            yield path, open_case(path, collectors, recollect=recollect, as_host=True, progress=progress)
        else:
            yield from open_cases(path, collectors, recollect=recollect, progress=progress)
    except LastwordsError as problem:
        yield path, problem
