"""Sizes in words, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats import FormatError
from lastwords.formats.sizes import parse_size, short_size, size


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("512M", 512 << 20),
        ("2g", 2 << 30),
        ("1.5G", 3 << 29),
        ("10 KiB", 10240),
        ("7B", 7),
        ("1TB", 1 << 40),
    ],
)
def test_what_people_write(text: str, value: int) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize("text", ["", "G", "-1", "1e3", "2 apples", "1.G", "0x10", "9" * 40, "5%"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(FormatError, match="expected a size"):
        parse_size(text)


@given(st.integers(0, 1 << 60))
def test_short_ones_stay_short_and_near(value: int) -> None:
    text = short_size(value)
    assert len(text) <= 5
    assert abs(parse_size(text) - value) <= value * 0.06 + 512


@given(st.integers(0, 1 << 60))
def test_long_ones_stay_near(value: int) -> None:
    assert abs(parse_size(size(value)) - value) <= value * 0.06
