"""What an event is called where people read it."""

from __future__ import annotations

from typing import Any

import pytest
from analyzer.test_rules import found, happened

from lastwords.analyzer.titles import event_title

LONG = "kernel panic: No working init found.  Try passing init= option to kernel. See Linux Documentation/admin-guide/init.rst for guidance."


@pytest.mark.parametrize(
    ("details", "title"),
    [
        ({}, "a panic"),
        ({"title": "kernel BUG in f"}, "kernel BUG in f"),
        ({"title": LONG[:120]}, LONG[: LONG.index(" for guidance")] + " ..."),
    ],
)
def test_a_title_that_was_cut_ends_with_a_whole_word(details: dict[str, Any], title: str) -> None:
    assert event_title({"summary": "a panic", "details": details}) == title


def test_what_is_searched_for_has_no_dots() -> None:
    long = "general protection fault in " + "a_function_of_some_length " * 5
    (finding,) = found("crash-happened", events=[happened("oops", title=long[:120])])
    assert finding.fix[0].endswith('a_function_of_some_length".')
