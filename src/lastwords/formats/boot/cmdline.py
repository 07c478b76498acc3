"""Kernel command lines, split by the kernel's own rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

_SPACE = frozenset(" \t\n\v\f\r\xa0")
"""What the kernel's isspace() takes for space: its table is Latin-1 (lib/ctype.c)."""


@dataclass(frozen=True)
class Parameter:
    """One parameter, in the order in which it stands."""

    key: str
    value: Optional[str]
    """What follows the first ``=``, without its quotes; None for a bare word."""


@dataclass(frozen=True)
class CommandLine:
    """A command line of the kernel."""

    parameters: tuple[Parameter, ...]
    init_arguments: tuple[str, ...]
    """What stands behind ``--``: the kernel hands it to init."""

    def values(self, key: str) -> list[Optional[str]]:
        """Return the values of each time *key* is given; as in the kernel, ``-`` and ``_`` are the same."""
        wanted = key.replace("-", "_")
        return [each.value for each in self.parameters if each.key.replace("-", "_") == wanted]


def parse_cmdline(text: str) -> CommandLine:
    """Return the parameters of a command line.

    Double quotes keep spaces together, around a value or around a whole parameter; they are not
    removed elsewhere. A ``=`` in first place begins no value. Repeated keys are all kept: what the
    kernel makes of them differs from parameter to parameter. Source: next_arg() in lib/cmdline.c,
    parse_args() and parameqn() in kernel/params.c (6.8).

    >>> line = parse_cmdline('ro crashkernel=1G-4G:192M,4G-:256M dyndbg="file a.c +p" "x=1 2" -- single')
    >>> [(each.key, each.value) for each in line.parameters]
    [('ro', None), ('crashkernel', '1G-4G:192M,4G-:256M'), ('dyndbg', 'file a.c +p'), ('x', '1 2')]
    >>> line.init_arguments
    ('single',)
    """
    words = _words(text)
    found: list[Parameter] = []
    for index, word in enumerate(words):
        parameter = _parameter(word)
        if parameter.key == "--" and parameter.value is None:
            return CommandLine(tuple(found), tuple(words[index + 1 :]))
        found.append(parameter)
    return CommandLine(tuple(found), ())


def _words(text: str) -> Sequence[str]:
    words: list[str] = []
    start: Optional[int] = None
    quoted = False
    for index, char in enumerate(text):
        if char in _SPACE and not quoted:
            if start is not None:
                words.append(text[start:index])
                start = None
            continue
        if start is None:
            start = index
        if char == '"':
            quoted = not quoted
    if start is not None:
        words.append(text[start:])
    return words


def _parameter(word: str) -> Parameter:
    whole = word.startswith('"')
    if whole:
        word = word[1:]
    equals = word.find("=", 1)
    if equals < 0:
        return Parameter(word[:-1] if whole and word.endswith('"') else word, None)
    key, value = word[:equals], word[equals + 1 :]
    if value.startswith('"'):
        value = value[1:]
        if value.endswith('"'):
            value = value[:-1]
    elif whole and value.endswith('"'):
        value = value[:-1]
    return Parameter(key, value)
