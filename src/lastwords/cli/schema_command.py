"""``lastwords schema``: the JSON Schemas of all that is written."""

from __future__ import annotations

import argparse
import json

from lastwords import schemas
from lastwords.cli.options import UsageError
from lastwords.model import ExitCode
from lastwords.plugins import Plugins


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = "Print a json schema, or the names of all."
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument("--json", action="store_true", help="print the names as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    plugins: Plugins = arguments.plugins
    foreign = {c.name: c.schema for c in plugins.collectors().values() if c.schema is not None}
    names = sorted({*schemas.names(), *foreign})
    if arguments.name is None:
        print(json.dumps(names, indent=2) if arguments.json else "\n".join(names))
        return ExitCode.OK
    if arguments.name not in names:
        raise UsageError(f"schema {arguments.name!r}: expected one of {', '.join(names)}")
    print(json.dumps(foreign.get(arguments.name) or schemas.load(arguments.name), indent=2))
    return ExitCode.OK
