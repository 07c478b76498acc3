"""The command line: parser, errors, signals, exit codes."""

from __future__ import annotations

import argparse
import copy
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn, Optional

from lastwords import __version__, plugins
from lastwords.model import ExitCode, LastwordsError

EPILOG = """\
examples:
  lastwords collect                      gather this host into /var/tmp/lastwords-*.tar.zst
  lastwords open sosreport-*.tar.xz      the verdict on an uploaded report
  lastwords collect --root /mnt/sysimage gather a disk mounted in rescue mode
  lastwords check                        this host's verdict, keeping nothing
  lastwords oom /var/log/messages*       every OOM kill in these logs, explained
  lastwords oops vmcore-dmesg.txt        every crash, hang and failed boot, with a title to search for
  lastwords same a.log b.log             do these logs tell of the same death?

exit status: 0 done; 1 findings at or above --fail-on; 2 usage; 3 partial collection;
4 input is not what it claims to be, or the output cannot be written; 130 interrupted
"""


class CommandParser(argparse.ArgumentParser):
    """A parser whose arguments may be added only when its command is the one that was called.

    What they are made of is costly to import: ``lastwords vmcore --dmesg`` must not wait for the collectors.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._later: list[Callable[[], None]] = []
        self._rare: list[Callable[[], None]] = []

    def later(self, add: Callable[[], None]) -> None:
        """Have *add* called before this command's arguments are parsed or shown."""
        self._later.append(add)

    def rarely(self, add: Callable[[], None]) -> None:
        """Have *add* called before arguments are shown, or when one is not known without."""
        self._rare.append(add)

    def complete(self) -> None:
        """Add what was put off."""
        self._add(self._later)
        self._add(self._rare)

    def _add(self, todo: list[Callable[[], None]]) -> None:
        while todo:
            todo.pop(0)()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, as argparse does, with all arguments there that are needed."""
        self._add(self._later)
        if self._rare:
            known, unknown = super().parse_known_args(args, copy.copy(namespace))
            if not unknown:
                return known, unknown
            self.complete()
        return super().parse_known_args(args, namespace)

    def format_usage(self) -> str:
        """Return the usage, as argparse does, with all arguments there."""
        self.complete()
        return super().format_usage()

    def format_help(self) -> str:
        """Return the help, as argparse does, with all arguments there."""
        self.complete()
        return super().format_help()


def build_parser(loaded: plugins.Plugins) -> CommandParser:
    """Return the parser with the commands of all plugins."""
    parser = CommandParser(
        prog="lastwords",
        description="Gather what a Linux machine said before it died, and explain it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"lastwords {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    loaded.add_commands(subparsers)
    for command in set(subparsers.choices.values()):
        command.set_defaults(plugins=loaded, command=command)
    return parser


def run(argv: Sequence[str]) -> int:
    """Run one command line; return the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        # Names of a host need not fit the encoding of a terminal.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    loaded = plugins.load()
    try:
        parser = build_parser(loaded)
        arguments, unknown = parser.parse_known_args(argv, argparse.Namespace(argv=argv))
        if unknown:
            # By the command that does not know them: its usage helps, that of all commands does not.
            getattr(arguments, "command", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
        if not hasattr(arguments, "run"):
            parser.print_help()
            return ExitCode.USAGE
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        for info in loaded.found.values():
            if info.error is not None:
                print(f"lastwords: plugin {info.name} cannot be used: {info.error}", file=sys.stderr)
        return code
    except LastwordsError as problem:
        print(f"lastwords: {problem}", file=sys.stderr)
        return problem.exit_code
    except BrokenPipeError:
        # Whoever read our output has had enough; the interpreter must not complain while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except KeyboardInterrupt:
        print("lastwords: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED


def _stop(number: int, frame: Optional[FrameType]) -> NoReturn:
    raise KeyboardInterrupt
