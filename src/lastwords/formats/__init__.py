"""Pure parsers: bytes or text in, typed values out. No I/O, no clock, no environment; each fuzzable alone."""

from __future__ import annotations

import re


class FormatError(ValueError):
    """The text is not what the parser expects. The message says what was expected and what stood there."""


_DIGITS = 40
_LONG_NUMBER = re.compile(rf"(\d{{{_DIGITS}}})\d+")


def text_of(data: bytes) -> str:
    """Return bytes as text that parsers can take: what is not UTF-8 replaced, and bounded.

    >>> text_of(b"free:\\xff12kB"), len(text_of(b"9" * 5000))
    ('free:\\ufffd12kB', 40)
    """
    return bounded(data.decode("utf-8", "replace"))


def bounded(text: str) -> str:
    """Return a text in which no number is too long for :class:`int` or a float.

    Nobody writes numbers of more than 20 digits, but who wants to do harm: of longer ones the first 40
    digits are kept (Python refuses over 4300, and over 308 do not fit a float).
    """
    return _LONG_NUMBER.sub(r"\1", text)
