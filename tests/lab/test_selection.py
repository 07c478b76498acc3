"""Real kernels get into trouble under QEMU, and what lastwords says afterwards is right.

LASTWORDS_LAB=0 leaves it out. LASTWORDS_LAB=1 makes a machine that cannot run it a failure instead of a skip.
"""

from __future__ import annotations

import os

import pytest
from lab import accel, runner, score
from lab.__main__ import require
from lab.common import Unavailable
from lab.images import DEFAULT, Built, build
from lab.scenario import Scenario, load_all

from lastwords import plugins

SELECTION = [scenario for scenario in load_all() if scenario.selection]
WISH = os.environ.get("LASTWORDS_LAB", "")

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(WISH == "0", reason="LASTWORDS_LAB=0"),
]


@pytest.fixture(scope="module")
def image() -> Built:
    try:
        require()
        return build(DEFAULT)
    except Unavailable as problem:
        if WISH == "1":
            raise
        pytest.skip(str(problem))


@pytest.mark.parametrize("scenario", SELECTION, ids=lambda scenario: scenario.name)
def test_the_verdict_is_right(image: Built, scenario: Scenario) -> None:
    assert scenario.image == image.image.name
    record = runner.play(scenario, accel.choose(image.kernel), print, quick=True)
    assert record["error"] is None
    scored = score.score(scenario, record, plugins.load().rules())
    assert scored.problems == []
    assert {"disk"} <= {each.kind for each in scored.inputs}
    wrong = [answer for answer in scored.answers if answer.verdict in ("missed", "false", "not covered")]
    assert wrong == []
    assert score.differing(scored) == []
