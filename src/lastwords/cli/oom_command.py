"""``lastwords oom``: every OOM kill in a log, explained."""

from __future__ import annotations

import argparse
import json
import sys

from lastwords import __version__
from lastwords.analyzer.oom.explain import SCHEMA, explain
from lastwords.analyzer.oom.reports import events_in
from lastwords.cli import options
from lastwords.formats.oom.events import BEFORE, STEMS, WORDS
from lastwords.model import ExitCode, LastwordsError
from lastwords.plugins import Plugins
from lastwords.roots.logfile import LogReader, open_log

DESCRIPTION = """\
Find every OOM kill in kernel logs and explain it: why memory was short, who held it, why the victim was
chosen, what to do. FILE is any log that holds kernel messages: dmesg, syslog, a journal (text, json, export,
or a file of journald's), a console capture, netconsole; packed (gz, xz, zst, bz2) or not; - is standard
input."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument("files", metavar="FILE", nargs="+")
    group = parser.add_argument_group("report")
    group.add_argument("--json", action="store_const", const="json", dest="format", help="indented JSON")
    group.add_argument(
        "--jsonl", action="store_const", const="jsonl", dest="format", help="one JSON line a file"
    )
    group.add_argument("--event", type=int, metavar="N", help="tell all about event N (default: the last)")
    group.add_argument("-v", "--all", action="store_true", help="tell all about every event")
    options.add_color(group)
    parser.set_defaults(run=run, format="terminal")


def run(arguments: argparse.Namespace) -> int:
    """Run the command. One log that cannot be read does not stop the others."""
    show = _terminal if arguments.format == "terminal" else _json
    failed = False
    for path in arguments.files:
        try:
            with open_log(path, WORDS, stems=STEMS, before=BEFORE, redacted=False) as reader:
                show(arguments, path, reader)
        except options.UsageError:
            raise
        except LastwordsError as problem:
            print(f"lastwords: {problem}", file=sys.stderr)
            failed = True
            continue
        sys.stdout.flush()
        if reader.problem is not None:
            print(f"lastwords: {path}: {reader.problem}", file=sys.stderr)
            failed = True
    return ExitCode.BAD_INPUT if failed else ExitCode.OK


def _terminal(arguments: argparse.Namespace, path: str, reader: LogReader) -> None:
    from lastwords.reports.oom_terminal import Page, Screen

    look = options.look(arguments, least=60)
    if arguments.all:
        count = 0
        for count, item in enumerate(map(explain, events_in(reader)), 1):
            page = Page(look)
            page.event(count, item)
            sys.stdout.write(page.text().lstrip("\n") if count == 1 else page.text())
        page = Page(look)
        page.head(path, count, _note(reader))
        sys.stdout.write("\n" + page.text() if count else page.text())
        return
    screen = Screen(arguments.event)
    for item in map(explain, events_in(reader)):
        screen.add(item)
    if arguments.event is not None and not 1 <= arguments.event <= screen.count:
        raise options.UsageError(f"--event {arguments.event}: {path} has events 1 to {screen.count}")
    sys.stdout.write(screen.render(path, look, _note(reader)))


def _json(arguments: argparse.Namespace, path: str, reader: LogReader) -> None:
    """Write the object of one log, each event as it is found."""
    indent = 2 if arguments.format == "json" else None
    line, pad = ("\n", "  ") if indent else ("", "")
    head = {"schema": SCHEMA, "tool_version": __version__, "path": path}
    out = sys.stdout
    out.write("{" + line)
    for name, value in head.items():
        out.write(f"{pad}{json.dumps(name)}: {json.dumps(value)}, {line}")
    out.write(f'{pad}"events": [')
    for number, item in enumerate(map(explain, events_in(reader))):
        out.write((", " if number else "") + line + json.dumps(item.to_json(), indent=indent))
    out.write("]")
    tail = {"lines": reader.lines, "bytes": reader.size, "problem": reader.problem}
    for name, known in tail.items():
        out.write(f", {line}{pad}{json.dumps(name)}: {json.dumps(known)}")
    out.write(line + "}\n")


def _note(reader: LogReader) -> str:
    if reader.problem is not None:
        return f"not read to its end: {reader.problem}"
    return "" if reader.size else "the file is empty"
