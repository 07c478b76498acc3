"""The command line as plain data, taken from the parser: what manual pages and completion are made of."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lastwords.cli.main import CommandParser

PATHS = frozenset({"PATH", "FILE", "DIR", "OLD"})
"""Metavars that stand for files of this machine."""
LISTS = frozenset({"A,B"})
"""Metavars that stand for words with commas between them."""


@dataclass(frozen=True)
class Argument:
    """One option, or one positional argument when it has no names."""

    names: tuple[str, ...]
    value: str
    """What stands for its value; empty for a switch."""
    help: str
    words: tuple[str, ...]
    """The values it may have, where these are known."""
    repeats: bool
    optional: bool

    @property
    def is_path(self) -> bool:
        """Whether its value is a file of this machine."""
        return self.value in PATHS

    @property
    def is_list(self) -> bool:
        """Whether its value is words with commas between them."""
        return self.value in LISTS


@dataclass(frozen=True)
class Command:
    """A command, or a part of one (``plan protect``)."""

    name: str
    """Words after ``lastwords``; empty for that itself."""
    help: str
    description: str
    arguments: tuple[Argument, ...]
    parts: tuple[Command, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """The arguments with names."""
        return tuple(argument for argument in self.arguments if argument.names)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """The arguments without names, in order."""
        return tuple(argument for argument in self.arguments if not argument.names)

    def all(self) -> Iterator[Command]:
        """Yield the command and all its parts."""
        yield self
        for part in self.parts:
            yield from part.all()


def command_of(
    parser: CommandParser, words: Mapping[str, Sequence[str]], name: str = "", text: str = ""
) -> Command:
    """Return a parser as data.

    :param words: values of options that the parser leaves open, by ``COMMAND DEST``
    """
    parser.complete()
    arguments: list[Argument] = []
    parts: list[Command] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for part, inner in action.choices.items():
                parts.append(command_of(inner, words, f"{name} {part}".strip(), told.get(part, "")))
        else:
            arguments.append(_argument(action, words.get(f"{name} {action.dest}", ())))
    return Command(name, text, parser.description or "", tuple(arguments), tuple(parts))


def _argument(action: argparse.Action, words: Sequence[str]) -> Argument:
    given = tuple(str(choice) for choice in action.choices or words)
    metavar = action.metavar if isinstance(action.metavar, str) else "|".join(given) or action.dest.upper()
    text = "show this help and stop" if isinstance(action, argparse._HelpAction) else action.help or ""
    if isinstance(action, argparse._VersionAction):
        text = "show the version and stop"
    return Argument(
        names=tuple(action.option_strings),
        value="" if action.nargs == 0 else metavar,
        help=text.replace("%%", "%"),
        words=given,
        repeats=action.nargs in ("+", "*"),
        optional=action.nargs in ("?", "*"),
    )
