"""Roots of real machines, as the lab has gathered them: what each needs is known, and missed where it is not there.

The bundles hold what ``collect --only host,boot,kernel,initramfs`` gathers: ``cloud`` of a machine with the
kernel that has ext4 built in, others of ``python -m lab.roots``, by the name of their kind.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from lab.roots import KINDS

from lastwords import api, plugins
from lastwords.analyzer.judge import judge
from lastwords.model import Case, Severity

BUNDLES = sorted((Path(__file__).parent / "roots").glob("*.tar.gz"))
RULES = plugins.load().rules().values()
NEEDED = {
    **{name: kind.without.split() for name, kind in KINDS.items()},
    "cloud": ["virtio_blk", "virtio_pci", "virtio_ring"],
}
"""By what a machine did without it."""


def findings(facts: dict[str, Any]) -> list[tuple[str, str]]:
    verdict = judge("x", Case(facts, [], {}, "live", None), RULES)
    return [(each.id, each.title) for each in verdict.findings if each.severity is not Severity.INFO]


def facts_of(bundle: Path) -> dict[str, Any]:
    facts = copy.deepcopy(dict(api.open(bundle).facts))
    del facts["host"]  # it tells that the machine runs with this image: then nothing in it is missing
    return facts


@pytest.fixture(params=BUNDLES, ids=lambda path: path.name.partition(".")[0])
def bundle(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def test_what_is_there_or_built_in_is_not_missed(bundle: Path) -> None:
    assert findings(facts_of(bundle)) == []


def test_its_devices_and_their_drivers_follow_from_the_evidence(bundle: Path) -> None:
    """Today's collectors on what a real kernel showed."""
    gathered, again = (api.open(bundle, recollect=each).facts["boot"] for each in (False, True))
    assert gathered["root_device"]["found_in"] == "sysfs"
    for key in ("root_device", "kernels", "fstab"):
        assert json.dumps(again[key], sort_keys=True) == json.dumps(gathered[key], sort_keys=True)


def test_what_it_needs_is_missed(bundle: Path) -> None:
    for name in NEEDED[bundle.name.partition(".")[0]]:
        facts = facts_of(bundle)
        for image in facts["initramfs"]["images"]:
            for held in (image["contents"]["modules"], image["contents"]["programs"]):
                if image["use"] == "boot" and name in held:
                    held.remove(name)
        ((rule, title),) = findings(facts)
        assert rule == "initramfs-lacks-driver"
        assert name in title
