"""The built-in commands, registered by the hook that outsiders use."""

from __future__ import annotations

from typing import Any

from lastwords.hookspecs import hookimpl
from lastwords.plugins import Plugins


@hookimpl
def register_commands(subparsers: Any, plugins: Plugins) -> None:
    """Add the built-in commands, in the order of the help."""
    from lastwords.cli import (
        check,
        collect,
        info,
        oom_command,
        open_command,
        plan,
        sos_plugin,
        top,
        validate,
    )

    collect.add_parser(subparsers, plugins)
    open_command.add_parser(subparsers, plugins)
    check.add_parser(subparsers, plugins)
    oom_command.add_parser(subparsers)
    top.add_parser(subparsers)
    plan.add_parser(subparsers, plugins)
    validate.add_parser(subparsers)
    sos_plugin.add_parser(subparsers)
    info.add_parsers(subparsers)
