"""How facts lie in files: one indented JSON document, its ``records`` as JSON Lines beside it.

Never one long line: ``sos clean`` works line by line, and is quadratic in the length of a line.
"""

from __future__ import annotations

import json
from typing import Any, Optional

from lastwords.model import Event, Facts


def document_name(collector: str) -> str:
    """Return the name, below the bundle, of a collector's facts file."""
    return f"facts/{collector}.json"


def records_name(collector: str) -> str:
    """Return the name, below the bundle, of a collector's records file."""
    return f"facts/{collector}.jsonl"


def dump(value: Any) -> bytes:
    """Return a value as indented JSON with a final newline."""
    return json.dumps(value, indent=1).encode() + b"\n"


def dump_lines(values: Any) -> bytes:
    """Return values as JSON Lines."""
    encode = json.JSONEncoder(separators=(", ", ": ")).encode
    return "".join([encode(value) + "\n" for value in values]).encode()


def without_events(facts: Facts) -> Facts:
    """Return the facts without their events, as the facts schema describes them."""
    return {key: value for key, value in facts.items() if key != "events"}


def split(facts: Facts) -> tuple[bytes, Optional[bytes], list[Event]]:
    """Return the document, the records (None if the facts have none) and the events."""
    records = facts.get("records")
    rest = {key: value for key, value in facts.items() if key not in ("records", "events")}
    return dump(rest), None if records is None else dump_lines(records), list(facts.get("events") or ())


def join(document: bytes, records: Optional[bytes]) -> Facts:
    """Return the facts of a document and its records; raise ValueError on what is no JSON object."""
    facts = json.loads(document)
    if not isinstance(facts, dict):
        raise ValueError("expected a JSON object")
    if records is not None:
        facts["records"] = [json.loads(line) for line in records.splitlines() if line.strip()]
    return facts
