"""``lastwords collect``: gather a host into a bundle."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Optional

from lastwords.bundle import facts_files
from lastwords.bundle.validate import Validator
from lastwords.bundle.write import FORMATS, BundleWriter, destination, format_for, new_identity
from lastwords.cli import options
from lastwords.hookspecs import Collector
from lastwords.model import ExitCode, LastwordsError, Outcome
from lastwords.plugins import Plugins

if TYPE_CHECKING:
    from lastwords.gather.run import Gathered, Result
    from lastwords.roots.base import Root

DESCRIPTION = """\
Gather this host, a disk mounted in rescue mode, or the log in a crash dump, into a bundle. Nothing on the
host is changed and no network is used. Run it as root to see everything; as an ordinary user it gathers
what that user may read and names what was denied. The path of the bundle is printed on standard output."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "-o", "--output", metavar="PATH", help="the bundle, or a directory for it (default: /var/tmp)"
    )
    parser.add_argument(
        "--root", metavar="PATH", help="a mounted disk, copied tree or crash dump instead of this host"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar="FORM",
        help=f"{', '.join(FORMATS)} (default: by the name of the output, else tar.zst)",
    )
    parser.add_argument("--json", action="store_true", help="print the manifest instead of the path")
    parser.add_argument(
        "--list", action="store_true", help="list the collectors and what they read, and stop"
    )
    parser.add_argument(
        "--within",
        type=options.seconds,
        metavar="SECONDS",
        help="deadline of the whole run; what is there is kept",
    )
    options.add_quiet(parser)
    options.add_collectors(parser, plugins.collectors())
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from lastwords.gather.run import gather

    plugins: Plugins = arguments.plugins
    collectors = options.chosen_collectors(arguments, plugins.collectors())
    if arguments.list:
        print("\n\n".join(map(_described, collectors.values())))
        return ExitCode.OK
    root = _root(arguments.root)
    os.umask(0o077)
    die_first()
    identity = new_identity()
    form = arguments.format or format_for(arguments.output)
    writer = BundleWriter(destination(arguments.output, identity, form), form)
    try:
        gathered = gather(
            root,
            list(collectors.values()),
            store=writer.store,
            keep=lambda name, result: _keep(writer, name, result),
            progress=options.progress_line(arguments.quiet, arguments.verbose),
            timeout=arguments.timeout,
            within=arguments.within,
        )
        # From here on the bundle is whole: a signal must not undo it between two steps.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        validated = Validator.load() is not None
        manifest = gathered.manifest(identity, (p.to_json() for p in plugins.found.values()), validated)
        path = writer.finish(manifest, gathered.events)
    except BaseException:
        writer.abort()
        raise
    finally:
        options.end_progress(arguments.quiet, arguments.verbose)
    if not arguments.quiet:
        _tell(gathered, validated, arguments.verbose)
    print(facts_files.dump(manifest).decode() if arguments.json else path)
    return ExitCode.PARTIAL if gathered.partial else ExitCode.OK


def _root(path: Optional[str]) -> Root:
    """Return what is to be gathered. :raises LastwordsError: *path* is nothing that can be"""
    from lastwords.roots.live import directory_root, live_root
    from lastwords.roots.vmcore_head import is_vmcore
    from lastwords.roots.vmcore_root import vmcore_root

    if path is None:
        return live_root()
    if os.path.isdir(path):
        return directory_root(path)
    if is_vmcore(path):
        return vmcore_root(path)
    raise LastwordsError(f"{path}: expected the directory of a mounted disk, or a crash dump")


def die_first() -> None:
    """Ask the kernel to take this process, not the customer's, when memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("1000")
    except OSError:
        pass


def _keep(writer: BundleWriter, name: str, result: Result) -> None:
    if result.document is not None:
        writer.add(facts_files.document_name(name), result.document)
    if result.records is not None:
        writer.add(facts_files.records_name(name), result.records)


def _tell(gathered: Gathered, validated: bool, verbose: bool) -> None:
    for name, result in gathered.results.items():
        bad = result.outcome not in (Outcome.OK, Outcome.NO_DATA, Outcome.SKIPPED)
        if bad or verbose:
            reason = f": {result.reason}" if result.reason else ""
            print(f"{name}: {result.outcome.value} ({result.duration:.2f} s){reason}", file=sys.stderr)
    if not validated:
        print("jsonschema is not installed here: the analyzer validates the bundle", file=sys.stderr)
    if os.geteuid() != 0 and gathered.root.kind == "live":
        print("not root: what was denied is named in the bundle", file=sys.stderr)


def _described(collector: Collector) -> str:
    def block(head: str, words: Iterable[str]) -> str:
        return textwrap.fill(head + ", ".join(words), 100, initial_indent="  ", subsequent_indent="      ")

    lines = [f"{collector.name}: {collector.title}"]
    if collector.reads:
        lines.append(block("reads ", collector.reads))
    if collector.runs:
        lines.append(block("runs ", (" ".join(argv) for argv in collector.runs)))
    if collector.needs_root:
        lines.append(block("without root: ", [collector.needs_root]))
    if collector.live_only:
        lines.append("  on a running host only")
    return "\n".join([*lines, f"  deadline {collector.timeout:g} s"])
