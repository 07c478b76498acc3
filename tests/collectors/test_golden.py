"""Every collector on every host of tests/roots yields exactly the facts committed in tests/golden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hosttree import HOSTS, host_tree, root_of

from lastwords import plugins, schemas
from lastwords.model import Facts, NoData, Skipped

GOLDEN = Path(__file__).parent.parent / "golden"
COLLECTORS = plugins.load().collectors()


def facts_of(name: str, host: str) -> Facts:
    """Return the last facts a collector yields, with the outcome it raised, if any, under ``raised``."""
    root = root_of(host_tree(host)).recording(name)
    facts: Facts = {}
    try:
        for yielded in COLLECTORS[name].collect(root):
            facts = yielded
    except (NoData, Skipped) as reason:
        return {"raised": f"{type(reason).__name__}: {reason}"}
    return facts


@pytest.mark.parametrize("name", COLLECTORS)
@pytest.mark.parametrize("host", HOSTS)
def test_facts_are_the_committed_ones(host: str, name: str, request: pytest.FixtureRequest) -> None:
    facts = json.loads(json.dumps(facts_of(name, host)))
    path = GOLDEN / host / f"{name}.json"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    assert facts == json.loads(path.read_text())


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_committed_facts_fit_their_schema(path: Path) -> None:
    facts = json.loads(path.read_text())
    if "raised" not in facts:
        events = facts.pop("events", [])
        assert misfits(schemas.load(path.stem), facts) == []
        for event in events:
            assert misfits(schemas.load("event"), event) == []


def misfits(schema: dict[str, Any], document: Any) -> list[str]:
    """Return what of a document does not fit its schema, strictly."""
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in errors]
