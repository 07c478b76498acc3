"""The built-in commands, registered by the hook that outsiders use."""

from __future__ import annotations

import argparse
import importlib
from functools import partial
from typing import Any

from lastwords.hookspecs import hookimpl
from lastwords.plugins import Plugins

COMMANDS = (
    ("collect", "collect", "gather a host into a bundle"),
    ("open", "open_command", "the verdict on a bundle, a sosreport, a mounted disk, a crash dump or a log"),
    ("check", "check", "gather this host and open it, keeping nothing"),
    ("oom", "oom_command", "every OOM kill in a kernel log, explained"),
    ("oops", "oops", "every kernel crash, hang, warning and boot failure in a log"),
    ("same", "same", "do these logs tell of the same death?"),
    ("vmcore", "vmcore", "what a crash dump is, its kernel log, its panic"),
    ("initramfs", "initramfs", "what an initramfs holds, and whether it can boot this machine"),
    ("top", "top", "live: who the kernel would kill next, and why"),
    ("plan", "plan", "print the shell script that mends it; never run it"),
    ("validate", "validate", "hold a bundle against its schemas and hashes"),
    ("sos-plugin", "sos_plugin", "install the plugin for the sos framework"),
    ("schema", "schema_command", "print a JSON Schema, or the names of all"),
    ("plugins", "plugins_command", "list the plugins, with what each registered"),
)
"""Name, module of this package, and line in the help, in the order of the help.

A module is imported when its command is called: none waits for what the others need.
"""


@hookimpl
def register_commands(subparsers: Any, plugins: Plugins) -> None:
    """Add the built-in commands."""
    for name, module, text in COMMANDS:
        parser = subparsers.add_parser(name, help=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.later(partial(_fill, parser, module, plugins))


def _fill(parser: argparse.ArgumentParser, module: str, plugins: Plugins) -> None:
    importlib.import_module(f"lastwords.cli.{module}").add_arguments(parser, plugins)
