"""shell_vars says of a file what a real shell makes of it, or says that it does not know."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.system.shell_vars import last_values, parse_shell_vars

SAMPLE = r"""
# comment
A=1
B="two words"   # trailing
C='single $A `x` "q"'
export D="4" E=5
F="line one
line two"
G=a\
b
H=plain\ space
I="esc \" \\ \x"
J=
K=one; L=two
M='it'"s"\!
N=#nocomment
A=last
O=abc#def
P="con\
tinued"
"""


def values(text: str) -> dict[str, str]:
    return {name: each.value for name, each in last_values(parse_shell_vars(text)[0]).items()}


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell to ask")
def test_values_are_those_a_shell_assigns() -> None:
    names = "ABCDEFGHIJKLMNOP"
    script = SAMPLE + "".join(f"\nprintf '%s\\0' \"${name}\"" for name in names)
    told = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, env={}).stdout.decode()
    found = values(SAMPLE)
    assert {name: found[name] for name in names} == dict(zip(names, told.split("\0")))
    assert parse_shell_vars(SAMPLE)[1] == []


def test_line_numbers_are_where_the_assignment_starts() -> None:
    lines = {each.name: each.line for each in parse_shell_vars(SAMPLE)[0]}
    source = SAMPLE.split("\n")
    for name, line in lines.items():
        assert f"{name}=" in source[line - 1]


@pytest.mark.parametrize("text", ['A="$B/x"', "A=$(hostname)", "A=`hostname`", 'A="${B:-x y}"', "A=$B"])
def test_what_only_a_shell_knows_stays_as_written(text: str) -> None:
    (found,), others = parse_shell_vars(text)
    assert not found.literal and others == []
    assert found.value == text[2:].strip('"')


def test_appending_joins_what_is_known() -> None:
    assert values('A="x"\nA+=" y"') == {"A": "x y"}
    assert values("A+=z") == {"A": "z"}


@pytest.mark.parametrize(
    "text", ["[ -r /etc/x ] && A=1", "A=1 command", "if true; then A=1; fi", ". /etc/x", "f() { A=1; }"]
)
def test_conditions_and_commands_assign_nothing(text: str) -> None:
    assignments, others = parse_shell_vars(text)
    assert assignments == []
    assert others


def test_an_unclosed_quote_loses_its_own_line_only() -> None:
    assignments, others = parse_shell_vars('A=1\nB="never closed\nC=3')
    assert [(each.name, each.value) for each in assignments] == [("A", "1"), ("C", "3")]
    assert [each.line for each in others] == [2]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="AB=\"'$`{}()\\\n; #+x", max_size=80))
def test_garbage_is_never_an_error(text: str) -> None:
    assignments, others = parse_shell_vars(text)
    count = text.count("\n") + 1
    assert all(1 <= each.line <= count for each in [*assignments, *others])


@pytest.mark.parametrize("unit", ["${", "`", '"$(', "'", "A=${B", '"\n'])
def test_time_grows_with_the_size_only(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    start = time.process_time()
    parse_shell_vars(text)
    assert time.process_time() - start < 5
