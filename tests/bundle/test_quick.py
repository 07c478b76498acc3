"""The quick check never says "fits" where jsonschema finds a misfit, and says it of all that collectors yield."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lastwords import schemas
from lastwords.bundle import facts_files
from lastwords.bundle.quick import quick_check

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*/*.json"))
ODD = [None, True, 0, 1, -1, 1.0, 2.5, -1e300, 10**30, "", "max", "x", "\x00", [], [1], {}, {"a": 1}]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container of a document with each of its keys."""
    for key, member in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(member, (dict, list)):
            yield from places(member)


def facts_of(path: Path) -> Any:
    facts = json.loads(path.read_text())
    if "raised" in facts:
        pytest.skip("the collector yields nothing on this host")
    return facts_files.without_events(facts)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_facts_of_every_collector_are_told_quickly(path: Path) -> None:
    assert quick_check(schemas.load(path.stem))(facts_of(path)), "the slow way is taken"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_damaged_document_never_fits_where_jsonschema_says_no(path: Path) -> None:
    facts, schema = facts_of(path), schemas.load(path.stem)
    dice = random.Random(str(path.name))
    check, validator = quick_check(schema), jsonschema.Draft202012Validator(schema)
    # Long lists make it slow without making it better.
    for owner, key in list(places(facts)):
        if isinstance(owner, dict) and isinstance(owner[key], list):
            del owner[key][3:]
    for _ in range(25):
        damaged = copy.deepcopy(facts)
        owner, key = dice.choice(list(places(damaged)))
        if isinstance(owner, dict) and dice.random() < 0.3:
            del owner[key]
        elif isinstance(owner, dict) and dice.random() < 0.2:
            owner["unheard of"] = dice.choice(ODD)
        else:
            owner[key] = dice.choice(ODD)
        if check(damaged):
            assert validator.is_valid(damaged), (owner, key)


KEYWORDS: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 0, "maximum": 5},
    {"type": ["number", "null"], "minimum": 1},
    {"type": ["integer", "string", "null"], "pattern": "^max$", "minimum": 0},
    {"enum": ["x", 1, None]},
    {"const": True},
    {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 0}]},
    {"allOf": [{"type": "integer"}, {"maximum": 0}]},
    {"type": "object", "propertyNames": {"pattern": "^b"}},
    {"properties": {"a": {"type": "string"}}},
    {"patternProperties": {"^a": {"minimum": 2}}, "additionalProperties": False},
    {"additionalProperties": {"type": "string"}},
    {"required": ["a"]},
    {"items": {"type": "integer", "minimum": 2}},
    {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string", "minLength": 1, "maxLength": 1}}},
    {"not": {"type": "string"}},
    {"type": "integer", "multipleOf": 2},
    {"minItems": 1},
]


@pytest.mark.parametrize("schema", KEYWORDS, ids=str)
def test_every_keyword_against_every_odd_value(schema: dict[str, Any]) -> None:
    check, validator = quick_check(schema), jsonschema.Draft202012Validator(schema)
    for value in ODD:
        if check(value):
            assert validator.is_valid(value), value
    assert any(map(check, ODD)) is not bool({"not", "multipleOf"} & set(schema)), "understood, or left alone"
