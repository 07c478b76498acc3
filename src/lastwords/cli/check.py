"""``lastwords check``: this host's verdict, keeping nothing."""

from __future__ import annotations

import argparse

from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import case_of
from lastwords.cli import options
from lastwords.cli.collect import die_first
from lastwords.cli.output import Output, add_output, chosen_report, compared, older
from lastwords.gather.run import gather
from lastwords.plugins import Plugins
from lastwords.roots.live import live_root


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = "Gather this host and open it, keeping nothing."
    add_output(parser)
    options.add_quiet(parser, "tell what is done, and all of what is only good to know")
    options.add_collectors(parser, plugins.collectors())
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    plugins: Plugins = arguments.plugins
    output = Output(arguments, chosen_report(arguments))
    collectors = options.chosen_collectors(arguments, plugins.collectors())
    rules = plugins.rules().values()
    old = older(arguments, collectors, rules)
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
    verdict.compared = compared(old, verdict)
    output.add(verdict)
    output.close()
    return options.verdict_code(arguments, verdict.worst())
