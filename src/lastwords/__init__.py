"""lastwords: gather what a Linux machine said before it died, and explain it.

>>> import lastwords
>>> for finding in lastwords.open("sosreport.tar.xz").findings:  # doctest: +SKIP
...     print(finding.severity.word, finding.title)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lastwords.api import (
        Boot,
        Case,
        Cause,
        Comparison,
        Event,
        ExitCode,
        Facts,
        Finding,
        Input,
        LastwordsError,
        Moment,
        Proof,
        Severity,
        Step,
        Story,
        Verdict,
        Wish,
        open,  # noqa: A004
        open_all,
    )

__version__ = "0.1.0"
"""The version of lastwords."""

__all__ = [
    "Boot",
    "Case",
    "Cause",
    "Comparison",
    "Event",
    "ExitCode",
    "Facts",
    "Finding",
    "Input",
    "LastwordsError",
    "Moment",
    "Proof",
    "Severity",
    "Step",
    "Story",
    "Verdict",
    "Wish",
    "__version__",
    "open",
    "open_all",
]


def __getattr__(name: str) -> Any:
    # What judges is loaded when it is first used: "lastwords --version" needs none of it.
    if name not in __all__:
        raise AttributeError(f"module 'lastwords' has no attribute {name!r}")
    return getattr(importlib.import_module("lastwords.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
