"""Golden hosts as cases, with some of their facts changed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from lastwords.model import Case, Event

GOLDEN = Path(__file__).parent / "golden"
TAKEN_AT = 1772445600.0
"""2026-03-02T10:00:00Z"""


def case_of(host: str, changes: dict[str, Any], events: list[Event]) -> Case:
    """Return a golden host with some facts changed: ``{"kdump__kexec__crash_loaded": False}``."""
    facts: dict[str, Any] = {}
    found: list[Event] = []
    for path in sorted((GOLDEN / host).glob("*.json")):
        document = json.loads(path.read_text())
        if "raised" not in document:
            found += document.pop("events", [])
            facts[path.stem] = copy.deepcopy(document)
    for key, value in changes.items():
        target: Any = facts
        *path_to, last = key.split("__")
        for part in path_to:
            target = target[int(part) if isinstance(target, list) else part]
        target[int(last) if isinstance(target, list) else last] = value
    outcomes = {name: {"outcome": "ok", "reason": None} for name in facts}
    return Case(facts, events if events else found, outcomes, "live", TAKEN_AT)
