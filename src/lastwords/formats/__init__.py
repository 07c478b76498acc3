"""Pure parsers: bytes or text in, typed values out. No I/O, no clock, no environment; each fuzzable alone."""


class FormatError(ValueError):
    """The text is not what the parser expects. The message says what was expected and what stood there."""
