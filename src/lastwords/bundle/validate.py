"""Holds documents against their JSON Schemas, when the package jsonschema is there.

On a host where nothing can be installed it may be missing: collecting goes on, and the analyzer
validates when it opens the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from lastwords import schemas
from lastwords.hookspecs import Collector
from lastwords.model import Event, Facts


class Validator:
    """Compiled schemas, each made once."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._compiled: dict[str, Any] = {}
        self._ids: dict[str, str] = {}

    @classmethod
    def load(cls) -> Optional[Validator]:
        """Return a validator, or None when jsonschema is not installed."""
        try:
            import jsonschema
        except ImportError:
            return None
        return cls(jsonschema)

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
        errors = self._compile(name + " lenient", lenient).iter_errors(document)
        return sorted(f"{error.json_path}: {_short(error.message)}" for error in errors)

    def _first(self, name: str, schema: dict[str, Any], document: Any) -> Optional[str]:
        for error in self._compile(name, schema).iter_errors(document):
            return f"{error.json_path}: {_short(error.message)}"
        return None

    def _compile(self, name: str, schema: dict[str, Any]) -> Any:
        if name not in self._compiled:
            self._compiled[name] = self._module.Draft202012Validator(schema)
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
