"""``lastwords validate``: is this bundle whole, and as its schemas say?"""

from __future__ import annotations

import argparse
import json

from lastwords.model import ExitCode, LastwordsError
from lastwords.plugins import Plugins


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = "Hold a bundle against its schemas and hashes."
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--json", action="store_true", help="print the problems as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command: exit 4 when anything is wrong with the bundle."""
    from lastwords.analyzer.opening import open_tree
    from lastwords.bundle.read import Bundle
    from lastwords.bundle.validate import Validator

    if Validator.load() is None:
        raise LastwordsError("validate needs the Python package jsonschema, which is not installed here")
    plugins: Plugins = arguments.plugins
    schemas = {c.name: c.schema for c in plugins.collectors().values() if c.schema is not None}
    bundle = Bundle(open_tree(arguments.path), arguments.path)
    problems = bundle.problems(schemas)
    if arguments.json:
        print(json.dumps({"path": arguments.path, "valid": not problems, "problems": problems}, indent=2))
    else:
        for problem in problems:
            print(f"{arguments.path}: {problem}")
        if not problems:
            files = sum(1 for item in bundle.evidence() if item.get("stored"))
            print(f"{arguments.path}: valid: {len(bundle.facts)} facts, {files} pieces of evidence")
    return ExitCode.BAD_INPUT if problems else ExitCode.OK
