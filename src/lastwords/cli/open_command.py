"""``lastwords open``: the verdict on a bundle, a sosreport or a mounted disk."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Optional

from lastwords.analyzer.compare import compare
from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import open_case
from lastwords.cli import options
from lastwords.cli.output import Output
from lastwords.model import ExitCode, LastwordsError, Severity
from lastwords.plugins import Plugins

DESCRIPTION = """\
Say what is wrong, how that is known and how to mend it. PATH is a bundle, a sosreport (archive or
directory) or the tree of a mounted disk. Nothing is extracted to disk and nothing in it is executed."""


def add_parser(subparsers: Any, plugins: Plugins) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "open",
        help="the verdict on a bundle, a sosreport or a mounted disk",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", metavar="PATH", nargs="+")
    parser.add_argument("--root", action="store_true", help="PATH is a mounted disk, whatever it looks like")
    parser.add_argument(
        "--recollect", action="store_true", help="derive the facts of a bundle again from its evidence"
    )
    options.add_output(parser)
    options.add_quiet(parser)
    options.add_collectors(parser, plugins.collectors())
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command. One input that cannot be read does not stop the others."""
    plugins: Plugins = arguments.plugins
    output = Output(arguments, options.chosen_report(arguments), arguments.paths)
    collectors = options.chosen_collectors(arguments, plugins.collectors())
    rules = plugins.rules().values()
    worst: Optional[Severity] = None
    failed = False
    old = options.older(arguments, collectors, rules)
    for path in arguments.paths:
        try:
            case = open_case(
                path,
                collectors,
                recollect=arguments.recollect,
                as_host=arguments.root,
                progress=options.progress_line(arguments.quiet, arguments.verbose),
            )
        except LastwordsError as problem:
            options.end_progress(arguments.quiet, arguments.verbose)
            print(f"lastwords: {problem}", file=sys.stderr)
            failed = True
            continue
        options.end_progress(arguments.quiet, arguments.verbose)
        verdict = judge(path, case, rules)
        verdict.compared = compare(old, verdict) if old else None
        output.add(verdict)
        worst = max((s for s in (worst, verdict.worst()) if s is not None), default=None)
    output.close()
    return ExitCode.BAD_INPUT if failed else options.verdict_code(arguments, worst)
