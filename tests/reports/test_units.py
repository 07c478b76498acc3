"""Sizes that stand side by side to be compared share a unit, in every table."""

from __future__ import annotations

import re

import html_pages
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.sizes import alike, column
from lastwords.reports.html.tables import Column, amount, table
from lastwords.reports.page_parts import Bytes
from lastwords.reports.page_parts import table as page_table
from lastwords.reports.pages import page_of

SIZE = re.compile(r"<?[\d,.]+ (B|KiB|MiB|GiB|TiB)$")
SIZES = st.lists(st.one_of(st.none(), st.integers(0, 1 << 60)), max_size=8)


def units(texts: list[str]) -> set[str]:
    return {match[1] for text in texts if (match := SIZE.match(text))}


@given(SIZES)
def test_sizes_of_one_table_and_of_one_sentence_have_one_unit(values: list[int | None]) -> None:
    for said in (column(values), alike(values)):
        assert len(said) == len(values) and len(units(said)) <= 1
        assert [text for text in said if not SIZE.match(text)] == ["?"] * values.count(None)
        assert all(text.startswith("0 ") for value, text in zip(values, said) if value == 0)


def test_a_page_of_facts_and_a_table_of_the_html_keep_to_one_unit() -> None:
    rows = [["a", Bytes(30 << 30)], ["b", Bytes(300 << 20)], ["c", "none"], ["d", Bytes(None)]]
    assert [row[1].text for row in page_table("t", rows).rows] == ["30,720 MiB", "300 MiB", "none", "?"]
    made = table([Column("x"), Column("y", number=True)], [["a", amount(30 << 30)], ["b", amount(None)], ["c", amount(9 << 20)]], caption="c").html  # fmt: skip
    assert (
        "30,720 MiB" in made and ">9 MiB" in made and f'data-v="{30 << 30}"' in made and 'data-v="-1"' in made
    )


@pytest.mark.parametrize("host", ["rhel9", "debian12"])
@pytest.mark.parametrize("name", ["oom", "processes"])
def test_the_pages_of_a_host(host: str, name: str) -> None:
    for block in page_of(name, html_pages.golden(host)).blocks:
        texts = [cell.text for row in block.rows for cell in row]
        if not block.title.startswith(("Control groups", "Swap")):  # there a row is what is compared
            assert len(units(texts)) <= 1, block.title
        else:
            assert all(len(units([cell.text for cell in row])) <= 1 for row in block.rows)
