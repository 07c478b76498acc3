"""Holds documents against their JSON Schemas, when the package jsonschema is there.

On a host where nothing can be installed it may be missing: collecting goes on, and the analyzer
validates when it opens the bundle.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, Optional

from lastwords import schemas
from lastwords.bundle.quick import Check, quick_check
from lastwords.hookspecs import Collector
from lastwords.model import Event, Facts


class Validator:
    """Compiled schemas, each made once."""

    def __init__(self) -> None:
        self._compiled: dict[str, Any] = {}
        self._quick: dict[str, Check] = {}

    @classmethod
    def load(cls) -> Optional[Validator]:
        """Return a validator, or None when jsonschema is not installed."""
        # Not imported yet: that takes time and memory, and most documents are told to fit without it.
        return cls() if importlib.util.find_spec("jsonschema") else None

    def schema_id(self, collector: Collector) -> Optional[str]:
        """Return the ``$id`` of a collector's schema."""
        return _schema_of(collector).get("$id")

    def problem(self, collector: Collector, facts: Facts, events: Sequence[Event] = ()) -> Optional[str]:
        """Return the first misfit of freshly collected facts and events, strictly, or None."""
        found = self._first(collector.name, _schema_of(collector), facts)
        for each in events:
            found = found or self._first("event", schemas.load("event"), each)
        return found

    def problems(self, name: str, document: Any, schema: Optional[dict[str, Any]] = None) -> list[str]:
        """Return every misfit of a document that was read, leniently: unknown fields are no misfit.

        :param name: name of a schema of lastwords, or of the one given
        """
        lenient = _lenient(schema or schemas.load(name))
        if self._fits(name + " lenient", lenient, document):
            return []
        errors = self._compile(name + " lenient", lenient).iter_errors(document)
        return sorted(f"{error.json_path}: {_short(error.message)}" for error in errors)

    def _first(self, name: str, schema: dict[str, Any], document: Any) -> Optional[str]:
        if self._fits(name, schema, document):
            return None
        for error in self._compile(name, schema).iter_errors(document):
            return f"{error.json_path}: {_short(error.message)}"
        return None

    def _fits(self, name: str, schema: dict[str, Any], document: Any) -> bool:
        """Return whether the document fits, as far as that can be told quickly."""
        if name not in self._quick:
            self._quick[name] = quick_check(schema)
        return self._quick[name](document)

    def _compile(self, name: str, schema: dict[str, Any]) -> Any:
        if name not in self._compiled:
            import jsonschema

            self._compiled[name] = jsonschema.Draft202012Validator(schema)
        return self._compiled[name]


def _schema_of(collector: Collector) -> dict[str, Any]:
    return collector.schema if collector.schema is not None else schemas.load(collector.name)


def _lenient(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: _lenient(value)
            for key, value in schema.items()
            if not (key == "additionalProperties" and value is False)
        }
    return [_lenient(item) for item in schema] if isinstance(schema, list) else schema


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
