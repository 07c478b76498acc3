"""``lastwords same``: do these logs tell of the same death?"""

from __future__ import annotations

import argparse
import json
import sys

from lastwords.model import ExitCode, LastwordsError
from lastwords.plugins import Plugins

DESCRIPTION = """\
Group logs by what their machines died of. Two are of one death when the report that was its cause has a title
in common with that of the other; below each title the ways in which it was reached are told apart."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("files", metavar="FILE", nargs="+")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="all groups as one JSON object")
    group.add_argument("--jsonl", action="store_true", help="one JSON line a group")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command. An input that cannot be read does not stop the others."""
    from lastwords.analyzer.crash_log import CrashLog, read_log
    from lastwords.analyzer.same import grouped
    from lastwords.reports.words import plain
    from lastwords.roots.logfile import parts_together

    logs: list[CrashLog] = []
    failed = False
    for path, *more in parts_together(arguments.files):
        try:
            log = read_log(path, *more)
        except LastwordsError as problem:
            print(f"lastwords: {problem}", file=sys.stderr)
            failed = True
            continue
        if log.problem is not None:
            print(f"lastwords: {path}: {log.problem}; what was read before is compared", file=sys.stderr)
            failed = True
        logs.append(log)
    groups = grouped(logs)
    if arguments.jsonl:
        for group in groups:
            print(json.dumps(group.to_json()))
    elif arguments.json:
        print(json.dumps({"groups": [group.to_json() for group in groups]}, indent=2))
    else:
        for group in groups:
            doubt = " (uncertain: their reports are incomplete)" if group.uncertain else ""
            count = f"{len(group.paths)} log{'s' if len(group.paths) != 1 else ''}"
            ways = f", {len(group.ways)} ways" if len(group.ways) > 1 else ""
            print(f"{plain(group.title or 'no report')}: {count}{ways}{doubt}")
            for path in group.paths:
                print(f"  {plain(path)}")
    return ExitCode.BAD_INPUT if failed else ExitCode.OK
