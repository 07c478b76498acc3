"""``lastwords vmcore``: what a crash dump is and what it says."""

from __future__ import annotations

import argparse
import json
import sys

from lastwords.cli import options
from lastwords.model import ExitCode, LastwordsError
from lastwords.plugins import Plugins

DESCRIPTION = """\
Say what a crash dump is, whether it is whole, what its kernel log tells and how the kernel died; without
debug symbols, whatever its size. FILE is what kdump, makedumpfile, QEMU (dump-guest-memory) or virsh dump
wrote: kdump-compressed (zlib, lzo, snappy, zstd), ELF, a stream of either, itself packed or not (gzip, xz,
zstd, bzip2); - is standard input. With one of --dmesg, --ps, --oom,
--memory, --bt, --mount only that is printed."""

SECTIONS = ("dmesg", "ps", "oom", "memory", "bt", "mount")


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument("paths", metavar="FILE", nargs="+")
    parser.add_argument("--dmesg", action="store_true", help="the kernel log, as makedumpfile --dump-dmesg")
    parser.add_argument(
        "--caller-id", action="store_true", help="with --dmesg: who said it, as makedumpfile since 1.7.6"
    )
    parser.add_argument("--ps", action="store_true", help="the tasks, those that ran marked")
    parser.add_argument(
        "--oom", action="store_true", help="whom the OOM killer would have taken, in its order"
    )
    parser.add_argument(
        "--memory", action="store_true", help="how memory was used, and the greatest slab caches"
    )
    parser.add_argument("--bt", action="store_true", help="back traces: of each CPU, and of tasks in D state")
    parser.add_argument("--mount", action="store_true", help="the mounted filesystems")
    parser.add_argument(
        "--vmlinux",
        metavar="FILE",
        help="debug symbols for --ps, --oom, --memory, --bt, --mount, read by drgn (lastwords[vmcore]);"
        " auto looks in the usual places",
    )
    parser.add_argument(
        "--crash-script", action="store_true", help="print the commands that ask the crash utility the same"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a FILE, indented")
    parser.add_argument("--jsonl", action="store_true", help="print one JSON object a FILE, one a line")
    options.add_color(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command. One file that cannot be read does not stop the others."""
    if arguments.caller_id and not arguments.dmesg:
        raise options.UsageError("--caller-id is of --dmesg: expected both")
    code = ExitCode.OK
    for path in arguments.paths:
        try:
            whole = _show(arguments, path)
        except LastwordsError as problem:
            print(f"lastwords: {problem}", file=sys.stderr)
            code = ExitCode.BAD_INPUT
            continue
        if not whole and code is ExitCode.OK:
            code = ExitCode.PARTIAL
    return code


def _show(arguments: argparse.Namespace, path: str) -> bool:
    """Print what is asked for of one file; return whether all of it could be read."""
    from lastwords.roots.vmcore import log_text, open_vmcore

    sections = [name for name in SECTIONS if getattr(arguments, name)]
    core = open_vmcore(path)
    try:
        if arguments.crash_script:
            from lastwords.analyzer.vmcore_drgn import crash_script

            sys.stdout.write(crash_script(core, arguments.vmlinux))
            return True
        if sections == ["dmesg"] and not (arguments.json or arguments.jsonl):
            sys.stdout.flush()
            for line in log_text(core.log, arguments.caller_id):
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            for each in core.missing:
                print(f"lastwords: {path}: {each['what']}: {each['why']}", file=sys.stderr)
            return not core.missing
        from lastwords.analyzer.vmcore import describe

        document = describe(core, sections, arguments.vmlinux)
    finally:
        core.close()
    if arguments.json or arguments.jsonl:
        print(json.dumps(document, indent=None if arguments.jsonl else 2))
    else:
        from lastwords.reports.vmcore import render

        sys.stdout.write(render(document, sections, options.look(arguments)))
    sys.stdout.flush()
    return not document["missing"]
