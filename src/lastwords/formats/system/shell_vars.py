"""Variable assignments of files that a shell sources, read without running a shell.

For ``/etc/sysconfig/*``, ``/etc/default/*`` and their like. What needs a shell to know (expansions,
conditions, commands) is reported as it stands, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"^(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<plus>\+?)=")
_DECLARES = ("export", "readonly", "declare", "local", "typeset")
_OPERATORS = "|&()"
_EXPANSION_LIMIT = 512
"""Characters that one expansion is followed; keeps garbage from taking quadratic time."""


@dataclass(frozen=True)
class Assignment:
    """One assignment."""

    line: int
    """Where it starts, from 1."""
    name: str
    value: str
    """Without its quotes. When not ``literal``, expansions stand in it as written."""
    literal: bool
    """False when a shell would expand something in it: then only a shell knows the value."""


@dataclass(frozen=True)
class Other:
    """Something that is no assignment: a command, a condition."""

    line: int
    text: str
    """Its first line."""


@dataclass
class _Word:
    raw: str = ""
    value: str = ""
    literal: bool = True


@dataclass
class _Statement:
    line: int
    words: list[_Word] = field(default_factory=list)
    operator: bool = False


def parse_shell_vars(text: str) -> tuple[list[Assignment], list[Other]]:
    """Return the assignments and everything else, both in order.

    Understands both quotes, backslashes, continued lines, comments, ``export``, several assignments on
    a line and ``NAME+=``. An assignment under a condition or before a command is no assignment of the
    file and stands among the others. Source: POSIX.1-2017, Shell Command Language, 2.2 to 2.9.

    >>> assignments, others = parse_shell_vars('A=1 # one\\nexport B="x $A"\\n[ -r /etc/c ] && . /etc/c')
    >>> for each in assignments:
    ...     print(each)
    Assignment(line=1, name='A', value='1', literal=True)
    Assignment(line=2, name='B', value='x $A', literal=False)
    >>> others
    [Other(line=3, text='[ -r /etc/c ] && . /etc/c')]
    """
    lines = text.split("\n")
    assignments: list[Assignment] = []
    others: list[Other] = []
    last: dict[str, Assignment] = {}
    for statement in _statements(text):
        made = _assignments(statement)
        if not made:
            if statement.words or statement.operator:
                others.append(Other(statement.line, lines[statement.line - 1].strip()))
            continue
        for each, appends in made:
            before = last.get(each.name) if appends else None
            if before:
                value, literal = before.value + each.value, before.literal and each.literal
                each = Assignment(each.line, each.name, value, literal)
            assignments.append(each)
            last[each.name] = each
    return assignments, others


def last_values(assignments: list[Assignment]) -> dict[str, Assignment]:
    """Return what counts: for each name its last assignment."""
    return {each.name: each for each in assignments}


def _assignments(statement: _Statement) -> list[tuple[Assignment, bool]]:
    words = statement.words
    if statement.operator or not words:
        return []
    if words[0].raw in _DECLARES:
        words = [word for word in words[1:] if not word.raw.startswith("-")]
    made = []
    for word in words:
        match = _NAME.match(word.raw)
        if match is None:
            return []
        value = word.value[match.end() :]
        made.append((Assignment(statement.line, match["name"], value, word.literal), bool(match["plus"])))
    return made


def _statements(text: str) -> list[_Statement]:
    """Split into statements: at line ends and semicolons outside quotes."""
    found: list[_Statement] = []
    at, line = 0, 1
    current = _Statement(line)
    while at < len(text):
        char = text[at]
        if char in "\n;":
            found.append(current)
            line += char == "\n"
            at += 1
            current = _Statement(line)
        elif text.startswith("\\\n", at):
            line += 1
            at += 2
        elif char in " \t\r":
            at += 1
        elif char == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif char in _OPERATORS:
            current.operator = True
            at += 1
        else:
            end, word = _word(text, at)
            if word is None:
                # An unclosed quote: the shell would refuse the file; its first line is passed over.
                current.operator = True
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
                continue
            if not current.words and not current.operator:
                current.line = line
            current.words.append(word)
            line += text.count("\n", at, end)
            at = end
    found.append(current)
    return found


def _word(text: str, at: int) -> tuple[int, _Word | None]:
    """Return where the word that starts at *at* ends, and the word; None when a quote is not closed."""
    start = at
    word = _Word()
    parts: list[str] = []
    while at < len(text):
        char = text[at]
        if char in " \t\r\n;" or char in _OPERATORS:
            break
        if char == "'":
            end = text.find("'", at + 1)
            if end < 0:
                return at, None
            parts.append(text[at + 1 : end])
            at = end + 1
        elif char == '"':
            end, inside, literal = _double_quoted(text, at + 1)
            if end < 0:
                return at, None
            parts.append(inside)
            word.literal = word.literal and literal
            at = end
        elif char == "\\" and at + 1 < len(text):
            if text[at + 1] != "\n":
                parts.append(text[at + 1])
            at += 2
        elif char in "$`":
            word.literal = False
            end = _expansion(text, at)
            parts.append(text[at:end])
            at = end
        else:
            parts.append(char)
            at += 1
    word.raw = text[start:at]
    word.value = "".join(parts)
    return at, word


def _double_quoted(text: str, at: int) -> tuple[int, str, bool]:
    parts: list[str] = []
    literal = True
    while at < len(text):
        char = text[at]
        if char == '"':
            return at + 1, "".join(parts), literal
        if char == "\\" and at + 1 < len(text):
            following = text[at + 1]
            if following in '$`"\\':
                parts.append(following)
            elif following != "\n":
                parts.append(char + following)
            at += 2
        elif char in "$`":
            literal = False
            end = _expansion(text, at)
            parts.append(text[at:end])
            at = end
        else:
            parts.append(char)
            at += 1
    return -1, "", literal


def _expansion(text: str, at: int) -> int:
    """Return where ``$(...)``, ``${...}`` or a backquoted command ends, or just behind the ``$``."""
    limit = min(len(text), at + _EXPANSION_LIMIT)
    if text[at] == "`":
        end = text.find("`", at + 1, limit)
        return end + 1 if end > 0 else at + 1
    closing = {"(": ")", "{": "}"}.get(text[at + 1 : at + 2])
    if closing is None:
        return at + 1
    opening, depth = text[at + 1], 0
    for index in range(at + 1, limit):
        depth += (text[index] == opening) - (text[index] == closing)
        if depth == 0:
            return index + 1
    return at + 1
