"""What systemctl(1) prints of units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_LOADED = re.compile(r"^\s*Loaded: (?P<load>[\w-]+)(?: \((?P<detail>.*)\))?")
_ACTIVE = re.compile(r"^\s*Active: (?P<active>[\w-]+)(?: \((?P<detail>[^)]*)\))?")
_HEAD = re.compile(r"^\S+ (?P<unit>[\w@.:\\-]+\.[a-z]+)(?: - .*)?$")


def parse_show(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the properties of each unit that ``systemctl show`` was asked for; blank lines part them.

    >>> list(parse_show(["Id=kdump.service", "ActiveState=failed", "", "Id=a.service"]))
    [{'Id': 'kdump.service', 'ActiveState': 'failed'}, {'Id': 'a.service'}]
    """
    unit: dict[str, str] = {}
    for line in lines:
        if not line.strip():
            if unit:
                yield unit
            unit = {}
            continue
        name, equals, value = line.partition("=")
        if equals and name.isalnum():
            unit[name] = value
    if unit:
        yield unit


def parse_status(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield what ``systemctl status`` says of each unit, under the names that ``show`` gives to it.

    Of the many lines only ``Loaded:`` and ``Active:`` are read, and of the words in parentheses only those
    that are a property: the state of the unit's file, and the result of a failed one.

    >>> lines = (
    ...     "* kdump.service - Crash recovery kernel arming",
    ...     "   Loaded: loaded (/usr/lib/systemd/system/kdump.service; enabled; vendor preset: enabled)",
    ...     "   Active: failed (Result: exit-code) since Sun 2026-03-01 08:00:09 UTC; 1 day ago",
    ... )
    >>> for item in next(parse_status(lines)).items():
    ...     print(item)
    ('Id', 'kdump.service')
    ('LoadState', 'loaded')
    ('UnitFileState', 'enabled')
    ('ActiveState', 'failed')
    ('Result', 'exit-code')
    """
    unit: dict[str, str] = {}
    for line in lines:
        head = _HEAD.match(line)
        if head:
            if len(unit) > 1:
                yield unit
            unit = {"Id": head["unit"]}
            continue
        loaded, active = _LOADED.match(line), _ACTIVE.match(line)
        if unit and loaded:
            unit["LoadState"] = loaded["load"]
            parts = (loaded["detail"] or "").split("; ")
            if len(parts) > 1:
                unit["UnitFileState"] = parts[1]
        elif unit and active:
            unit["ActiveState"] = active["active"]
            detail = active["detail"] or ""
            if detail.startswith("Result: "):
                unit["Result"] = detail[8:]
            elif detail:
                unit["SubState"] = detail
    if len(unit) > 1:
        yield unit
