"""Some hundred damaged dumps; ``mutations.py`` beside this reads ten thousand."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import RAISED, SECONDS, mutations


def test_damaged_dumps_are_told_of_in_one_clear_line(tmp_path: Path) -> None:
    ends = set()
    for end, seconds in mutations(160, 6, str(tmp_path)):
        ends.add(end)
        assert seconds < SECONDS and not end.endswith(RAISED)
    assert {"memory read, what is missing told", "file read, damage of the file told"} < ends and len(
        ends
    ) > 10
