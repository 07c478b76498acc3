"""``lastwords schema`` and ``lastwords plugins``: what this installation knows."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lastwords import schemas
from lastwords.cli.options import UsageError
from lastwords.model import ExitCode
from lastwords.plugins import Plugins


def add_parsers(subparsers: Any) -> None:
    """Add both commands."""
    text = "print a JSON Schema, or the names of all"
    parser = subparsers.add_parser("schema", help=text, description=text.capitalize() + ".")
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument("--json", action="store_true", help="print the names as JSON")
    parser.set_defaults(run=run_schema)
    text = "list the plugins, with what each registered"
    parser = subparsers.add_parser("plugins", help=text, description=text.capitalize() + ".")
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.set_defaults(run=run_plugins)


def run_schema(arguments: argparse.Namespace) -> int:
    """Run ``lastwords schema``."""
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


def run_plugins(arguments: argparse.Namespace) -> int:
    """Run ``lastwords plugins``."""
    plugins: Plugins = arguments.plugins
    plugins.collectors(), plugins.rules(), plugins.reports(), plugins.plans()
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
