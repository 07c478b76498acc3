"""Unit files and the order of their drop-ins."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.system.unit_files import (
    Assignment,
    dropin_directories,
    dropin_names,
    parse_unit,
    unit_type,
)


def parse(text: str) -> list[Assignment]:
    return list(parse_unit(enumerate(text.split("\n"), 1)))


def test_sections_comments_resets_and_continued_lines() -> None:
    text = (
        "[Unit]\nDescription = a b\n"
        "[Service]\n# MemoryMax=1\n;MemoryMax=2\n"
        "ExecStart=/bin/sh \\\n# a comment may stand between\n  -c 'x=1' \\\n\n"
        "OOMScoreAdjust=\nMemoryMax=5%\nnonsense\n=x\n"
    )
    assert parse(text) == [
        Assignment("Unit", "Description", "a b", 2),
        Assignment("Service", "ExecStart", "/bin/sh -c 'x=1'", 6),
        Assignment("Service", "OOMScoreAdjust", "", 10),
        Assignment("Service", "MemoryMax", "5%", 11),
    ]


def test_numbers_of_a_part_of_a_file_are_kept() -> None:
    lines = [(10, "[Service]"), (40, "OOMPolicy=kill")]
    assert list(parse_unit(lines)) == [Assignment("Service", "OOMPolicy", "kill", 40)]


def test_names_of_drop_in_directories() -> None:
    # systemd.unit(5): "foo-bar-baz.service" has foo-bar-.service.d and foo-.service.d as well.
    assert dropin_names("foo-bar-baz.service") == [
        "foo-bar-baz.service.d",
        "foo-bar-.service.d",
        "foo-.service.d",
    ]
    assert dropin_names("getty@tty1.service") == ["getty@tty1.service.d", "getty@.service.d"]
    assert dropin_names("user@1000.service")[:2] == ["user@1000.service.d", "user@.service.d"]
    assert dropin_names("-.slice") == ["-.slice.d"]
    assert dropin_names("-x.slice") == ["-x.slice.d"]


def test_the_unit_itself_comes_first_then_its_aliases_then_its_type() -> None:
    assert dropin_directories("a-b.service", ["/etc", "/lib"], ["c.service"]) == [
        "/etc/a-b.service.d",
        "/etc/a-.service.d",
        "/lib/a-b.service.d",
        "/lib/a-.service.d",
        "/etc/c.service.d",
        "/lib/c.service.d",
        "/etc/service.d",
        "/lib/service.d",
    ]


def test_what_is_a_unit() -> None:
    assert unit_type("-.slice") == "slice"
    assert [unit_type(name) for name in (".service", "service", "a.conf", "a.service.d", "")] == [""] * 5


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="a-@.service", min_size=1, max_size=30))
def test_any_name_ends(name: str) -> None:
    names = dropin_names(name)
    assert names[0] == f"{name}.d"
    assert len(names) == len(set(names))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="[]=\\#; \na\0", max_size=60))
def test_garbage_is_passed_over(text: str) -> None:
    for each in parse(text):
        assert each.key and 1 <= each.line <= text.count("\n") + 1
