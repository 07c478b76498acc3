"""Consoles of boots and crash dumps, as the programs of many distributions write them.

``boot_texts/*.txt`` hold them: ``=== what it is | stage | class | device`` and the console, with ``\\e`` for
an escape. ``-`` is nothing; no stage means that nothing failed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from lastwords.analyzer.crash_log import read_log
from lastwords.formats.failures.reader import Failure, Failures
from lastwords.formats.log.messages import messages

TEXTS = Path(__file__).parent / "boot_texts"
Expected = tuple[Optional[str], ...]
"""Stage, class and device."""


def consoles() -> Iterator[tuple[str, Expected, str]]:
    for path in sorted(TEXTS.glob("*.txt")):
        for block in path.read_text().split("=== ")[1:]:
            head, _, text = block.partition("\n")
            name, *expected = (part.strip() for part in head.split(" | "))
            console = text.replace("\\e", "\x1b").replace("\\r", "\r")
            yield f"{path.stem}: {name}", tuple(None if e == "-" else e for e in expected), console


CONSOLES = list(consoles())


def found(text: str) -> list[Failure]:
    made = Failures()
    for message in messages((n, 0, line) for n, line in enumerate(text.encode().split(b"\n"), 1)):
        made.feed(message)
    return made.end()


def told(text: str) -> list[Expected]:
    return [(failure.stage, failure.name, failure.device) for failure in found(text)]


def wanted(expected: Expected) -> list[Expected]:
    return [] if expected == (None, None, None) else [expected]


ALL = pytest.mark.parametrize(
    ("expected", "text"), [each[1:] for each in CONSOLES], ids=[each[0] for each in CONSOLES]
)


@ALL
def test_a_console_tells_what_failed(expected: Expected, text: str) -> None:
    assert told(text) == wanted(expected)


@ALL
def test_a_file_of_it_tells_the_same(expected: Expected, text: str, tmp_path: Path) -> None:
    """Of a file only the lines are read that hold certain words."""
    console = tmp_path / "console.log"
    console.write_text(text)
    reports = [entry for entry in read_log(str(console)).reports if entry["class"] is not None]
    assert [(entry["stage"], entry["class"], entry["device"]) for entry in reports] == wanted(expected)


_TIME = re.compile(r"^((?:<\d+>)?\[ *\d+\.\d+\]) ?")
FORMS = {
    "carriage returns": lambda line: line + "\r",
    "quoted": lambda line: "> " + line,
    "no time": lambda line: _TIME.sub("", line),
    "no escapes": lambda line: line.replace("\x1b", ""),
    "caller": lambda line: _TIME.sub(r"\1[    T1] ", line),
    "priority": lambda line: _TIME.sub(r"<6>\1 ", line),
    "terminal's clock": lambda line: "[2026-03-01 02:14:07] " + line,
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_console_tells_does_not_depend_on_its_form(form: str) -> None:
    differ = [
        name
        for name, expected, text in CONSOLES
        if told("\n".join(FORMS[form](line) for line in text.split("\n"))) != wanted(expected)
    ]
    assert len(differ) <= 0.01 * len(CONSOLES), differ


def test_boots_after_each_other_are_told_apart() -> None:
    """Any two of those that begin with their kernel, in one log."""
    boots = [
        (wanted(expected), text)
        for _, expected, text in CONSOLES
        if text.startswith("[    0.000000] Linux version") and "elfcorehdr=" not in text
    ]
    chosen = random.Random(7)
    for _ in range(300):
        (first, text), (second, other) = chosen.choice(boots), chosen.choice(boots)
        assert told(text + other) == first + second


def test_there_are_many_of_both_kinds() -> None:
    failed = sum(expected != (None, None, None) for _, expected, _ in CONSOLES)
    assert failed >= 170 and len(CONSOLES) - failed >= 40
