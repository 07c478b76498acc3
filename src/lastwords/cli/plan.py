"""``lastwords plan``: print the shell script that mends something; never run it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from lastwords.analyzer.opening import case_of, open_case
from lastwords.analyzer.plans.script import render
from lastwords.cli import options
from lastwords.cli.collect import die_first
from lastwords.gather.run import gather
from lastwords.hookspecs import Collector, Plan
from lastwords.model import Case, ExitCode
from lastwords.plugins import Plugins
from lastwords.roots.live import live_root

DESCRIPTION = """\
Print a shell script that mends something on this host, on a mounted disk or on the host that a bundle came
from. Nothing is run: read it, keep it, run it there. Each script can be run twice, and takes itself back when
it is called with the word undo."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add a command below it for each plan."""
    parser.description = DESCRIPTION
    plans = parser.add_subparsers(metavar="PLAN", title="plans", required=True)
    for plan in plugins.plans().values():
        below = plans.add_parser(plan.name, help=plan.title, description=plan.title.capitalize() + ".")
        plan.add_arguments(below)
        source = below.add_mutually_exclusive_group()
        source.add_argument("--root", metavar="DIR", help="for a mounted disk instead of this host")
        source.add_argument(
            "--from", dest="source", metavar="PATH", help="for the host of this bundle or sosreport"
        )
        below.add_argument("--json", action="store_true", help="print title, reasons and script as JSON")
        options.add_quiet(below)
        below.set_defaults(run=run, plan=plan)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    plugins: Plugins = arguments.plugins
    plan: Plan = arguments.plan
    known = plugins.collectors()
    case = _case(arguments, {name: known[name] for name in plan.needs if name in known})
    script = plan.make(case, arguments)
    text = render(script, case, "lastwords " + " ".join(map(shlex.quote, arguments.argv)))
    if arguments.json:
        document = {"plan": plan.name, "title": script.title, "why": list(script.why), "script": text}
        print(json.dumps(document, indent=2))
    else:
        sys.stdout.write(text)
    return ExitCode.OK


def _case(arguments: argparse.Namespace, collectors: dict[str, Collector]) -> Case:
    progress = options.progress_line(arguments.quiet, arguments.verbose)
    try:
        if arguments.root is not None or arguments.source is not None:
            path = arguments.root if arguments.root is not None else arguments.source
            return open_case(path, collectors, as_host=arguments.root is not None, progress=progress)
        die_first()
        return case_of(gather(live_root(), list(collectors.values()), progress=progress))
    finally:
        options.end_progress(arguments.quiet, arguments.verbose)
