"""Some hundred damaged dumps; ``mutations.py`` beside this reads ten thousand."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import SECONDS, mutations


def test_damaged_dumps_are_told_of_in_one_clear_line() -> None:
    ends = set()
    for end, seconds in mutations(200, seed=6):
        ends.add(end)
        assert seconds < SECONDS
    assert {"read whole", "read, damage told"} < ends and len(ends) > 10
