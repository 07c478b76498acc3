"""The JSON Schemas, read from the package they are installed with."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def names() -> list[str]:
    """Return the sorted names of all schemas."""
    found = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name[: -len(".json")] for name in found if name.endswith(".json"))


def load(name: str) -> dict[str, Any]:
    """Return the schema called *name*; raise KeyError when there is none."""
    resource = resources.files(__name__).joinpath(f"{name}.json")
    if not name.isidentifier() or not resource.is_file():
        raise KeyError(name)
    schema: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return schema
