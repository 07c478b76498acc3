"""Says of a document, quickly, that it fits its schema; or else that it does not know.

jsonschema takes half a millisecond for a process, and there are thousands: longer than to gather them.
A check made here takes a fiftieth of that. It answers "fits" only when every keyword was understood and
kept; whatever else it meets, jsonschema decides and words the misfit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Optional

Check = Callable[[Any], bool]
"""Returns True when the value certainly fits; False when it may not."""

_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}
_PLAIN = frozenset((str, int, bool, type(None)))
_NOTES = frozenset(("$schema", "$id", "$defs", "$comment", "title", "description", "examples", "default"))


def quick_check(schema: dict[str, Any]) -> Check:
    """Return a check for a schema of JSON Schema 2020-12, as far as lastwords uses it.

    >>> check = quick_check({"type": ["integer", "null"], "minimum": 0})
    >>> check(1), check(None), check(-1), check("1")
    (True, True, False, False)
    """
    return _Maker(schema).make(schema)


def _unknown(value: Any) -> bool:
    return False


class _Maker:
    """Makes checks of the parts of one schema; a part that is referred to twice is made once."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._made: dict[str, list[Check]] = {}

    def make(self, schema: Any) -> Check:
        """Return the check of a part."""
        if schema is True:
            return lambda value: True
        if not isinstance(schema, dict):
            return _unknown
        if "$ref" in schema:
            return self._reference(schema)
        checks: list[Check] = []
        for keyword, argument in schema.items():
            if keyword in _TOGETHER or keyword == "type" or _is_note(keyword):
                continue
            maker = _KEYWORDS.get(keyword)
            if maker is None:
                return _unknown
            checks.append(maker(self, argument))
        if _TOGETHER.intersection(schema):
            checks.append(self._members(schema))
        types = _types(schema["type"]) if "type" in schema else None
        if types is None:
            return _unknown if "type" in schema else _all_of(checks)
        if not checks:
            return lambda value: type(value) in types
        if len(checks) == 1:
            only = checks[0]
            return lambda value: type(value) in types and only(value)
        rest = _all_of(checks)
        return lambda value: type(value) in types and rest(value)

    def _reference(self, schema: dict[str, Any]) -> Check:
        name = str(schema["$ref"])
        place = re.fullmatch(r"#/\$defs/([\w.-]+)", name)
        if place is None or not all(keyword == "$ref" or _is_note(keyword) for keyword in schema):
            return _unknown
        if name not in self._made:
            # The list is there before its check is: a definition may refer to itself.
            self._made[name] = []
            self._made[name].append(self.make(self._schema.get("$defs", {}).get(place[1])))
        made = self._made[name]
        return lambda value: made[0](value)

    def _members(self, schema: dict[str, Any]) -> Check:
        """Return the check of an object's members; of what is no object it says nothing, as the standard."""
        known = {key: self.make(part) for key, part in schema.get("properties", {}).items()}
        patterns = [
            (re.compile(pattern).search, self.make(part))
            for pattern, part in schema.get("patternProperties", {}).items()
        ]
        others = self.make(schema.get("additionalProperties", True))

        def check(value: Any) -> bool:
            if type(value) is not dict:
                return True
            for key, member in value.items():
                exact = known.get(key)
                if exact is not None and not exact(member):
                    return False
                matched = exact is not None
                for search, part in patterns:
                    if search(key):
                        matched = True
                        if not part(member):
                            return False
                if not matched and not others(member):
                    return False
            return True

        return check

    def required(self, names: Any) -> Check:
        wanted = frozenset(names)
        return lambda value: type(value) is not dict or value.keys() >= wanted

    def items(self, schema: Any) -> Check:
        check = self.make(schema)
        return lambda value: type(value) is not list or all(map(check, value))

    def minimum(self, least: Any) -> Check:
        return lambda value: type(value) not in (int, float) or value >= least

    def maximum(self, most: Any) -> Check:
        return lambda value: type(value) not in (int, float) or value <= most

    def pattern(self, pattern: Any) -> Check:
        search = re.compile(pattern).search
        return lambda value: type(value) is not str or search(value) is not None

    def enum(self, values: Any) -> Check:
        # With its type, for to Python 1 and True are equal, and to JSON they are not.
        allowed = frozenset((type(value), value) for value in values if type(value) in _PLAIN)
        return lambda value: type(value) in _PLAIN and (type(value), value) in allowed

    def const(self, value: Any) -> Check:
        return self.enum([value])

    def property_names(self, schema: Any) -> Check:
        check = self.make(schema)
        return lambda value: type(value) is not dict or all(map(check, value))

    def all_of(self, schemas: Any) -> Check:
        return _all_of([self.make(schema) for schema in schemas])

    def min_items(self, least: Any) -> Check:
        return lambda value: type(value) is not list or len(value) >= least

    def max_items(self, most: Any) -> Check:
        return lambda value: type(value) is not list or len(value) <= most

    def min_length(self, least: Any) -> Check:
        return lambda value: type(value) is not str or len(value) >= least

    def max_length(self, most: Any) -> Check:
        return lambda value: type(value) is not str or len(value) <= most

    def any_of(self, schemas: Any) -> Check:
        checks = [self.make(schema) for schema in schemas]
        return lambda value: any(check(value) for check in checks)


_TOGETHER = frozenset(("properties", "patternProperties", "additionalProperties"))
_KEYWORDS: dict[str, Callable[[_Maker, Any], Check]] = {
    "required": _Maker.required,
    "items": _Maker.items,
    "minimum": _Maker.minimum,
    "maximum": _Maker.maximum,
    "pattern": _Maker.pattern,
    "enum": _Maker.enum,
    "const": _Maker.const,
    "propertyNames": _Maker.property_names,
    "allOf": _Maker.all_of,
    "minItems": _Maker.min_items,
    "maxItems": _Maker.max_items,
    "minLength": _Maker.min_length,
    "maxLength": _Maker.max_length,
    "anyOf": _Maker.any_of,
}


def _is_note(keyword: str) -> bool:
    return keyword in _NOTES or keyword.startswith("x-")


def _types(names: Any) -> Optional[frozenset[type]]:
    words = [names] if isinstance(names, str) else names
    if not all(word in _TYPES for word in words):
        return None
    return frozenset(kind for word in words for kind in _TYPES[word])


def _all_of(checks: list[Check]) -> Check:
    return lambda value: all(check(value) for check in checks)
