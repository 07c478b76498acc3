"""``lastwords check``: this host's verdict, keeping nothing."""

from __future__ import annotations

import argparse
from typing import Any

from lastwords.cli import options
from lastwords.cli.collect import die_first
from lastwords.plugins import Plugins


def add_parser(subparsers: Any, plugins: Plugins) -> None:
    """Add the command."""
    text = "gather this host and open it, keeping nothing"
    parser = subparsers.add_parser("check", help=text, description=text.capitalize() + ".")
    options.add_output(parser)
    options.add_quiet(parser)
    parser.later(lambda: options.add_collectors(parser, plugins.collectors()))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from lastwords.analyzer.compare import compare
    from lastwords.analyzer.judge import judge
    from lastwords.analyzer.opening import case_of
    from lastwords.cli.output import Output
    from lastwords.gather.run import gather
    from lastwords.roots.live import live_root

    plugins: Plugins = arguments.plugins
    output = Output(arguments, options.chosen_report(arguments))
    collectors = options.chosen_collectors(arguments, plugins.collectors())
    rules = plugins.rules().values()
    old = options.older(arguments, collectors, rules)
    die_first()
    root = live_root()
    gathered = gather(
        root,
        list(collectors.values()),
        progress=options.progress_line(arguments.quiet, arguments.verbose),
        timeout=arguments.timeout,
    )
    options.end_progress(arguments.quiet, arguments.verbose)
    verdict = judge(root.where, case_of(gathered), rules)
    verdict.compared = compare(old, verdict) if old else None
    output.add(verdict)
    output.close()
    return options.verdict_code(arguments, verdict.worst())
