"""``lastwords plugins``: what this installation has, and where each came from."""

from __future__ import annotations

import argparse
import json

from lastwords.model import ExitCode
from lastwords.plugins import Plugins


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = "List the plugins, with what each registered."
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    plugins: Plugins = arguments.plugins
    len(plugins.collectors()), plugins.rules(), plugins.reports(), plugins.plans()
    if arguments.json:
        print(json.dumps([info.to_json() for info in plugins.found.values()], indent=2))
        return ExitCode.OK
    for info in plugins.found.values():
        print(f"{info.name} {info.version} ({info.origin})")
        for kind, names in info.registered.items():
            if names:
                print(f"  {kind}: {', '.join(names)}")
        if info.error:
            print(f"  not usable: {info.error}")
    return ExitCode.OK
