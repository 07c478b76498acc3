"""Unit files and other configuration files of systemd, and the rule by which drop-ins join them.

Sources: systemd.syntax(7), systemd.unit(5); config_parse() in src/shared/conf-parser.c,
unit_file_find_dropin_paths() in src/shared/dropin.c (systemd 255).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

SYSTEM_UNIT_PATH = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where the system manager looks for units, the most important directory first (systemd.unit(5))."""

CONFIGURATION_PATH = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""Where systemd's programs look for their own configuration, the most important directory first."""

UNIT_TYPES = frozenset(
    ("service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope")
)


@dataclass(frozen=True)
class Assignment:
    """One ``Key=value``."""

    section: str
    key: str
    value: str
    """Empty when the line resets the key."""
    line: int
    """Where it starts, from 1."""


def parse_unit(lines: Iterable[tuple[int, str]]) -> Iterator[Assignment]:
    """Yield the assignments; comments and lines that are none are passed over.

    :param lines: number and text of each line, so that a part of a file will do

    >>> lines = ["[Service]", "# no", "ExecStart=/bin/x \\\\", "  --y", "OOMScoreAdjust=-900"]
    >>> list(parse_unit(enumerate(lines, 1)))[1]
    Assignment(section='Service', key='OOMScoreAdjust', value='-900', line=5)
    """
    section = ""
    held, start = "", 0
    for number, line in lines:
        text = line.strip()
        if text.startswith(("#", ";")):
            continue
        if held:
            text, number, held = f"{held} {text}", start, ""
        if text.endswith("\\"):
            held, start = text[:-1].rstrip() or " ", number
            continue
        if text.startswith("["):
            section = text[1:].partition("]")[0]
            continue
        key, equals, value = text.partition("=")
        if equals and key.strip():
            yield Assignment(section, key.strip(), value.strip(), number)


def unit_type(unit: str) -> str:
    """Return the type of a unit: ``service``, ``slice`` ...; empty for a name that is none.

    >>> unit_type("user@1000.service"), unit_type("README")
    ('service', '')
    """
    suffix = unit.rpartition(".")[2]
    return suffix if suffix in UNIT_TYPES and len(unit) > len(suffix) + 1 else ""


def units_of(cgroup: str) -> list[str]:
    """Return the units in the path of a control group, the outermost first; slices are left out.

    >>> units_of("/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope")
    ['user@1000.service', 'app-firefox.scope']
    >>> units_of("/system.slice/systemd-udevd.service/udev"), units_of("/kubepods.slice"), units_of("/")
    (['systemd-udevd.service'], [], [])
    """
    return [part for part in cgroup.split("/") if unit_type(part) not in ("", "slice")]


def dropin_names(unit: str) -> list[str]:
    """Return the names of the drop-in directories of a unit, without the one of its whole type.

    The more special ones come first: the unit itself, its template, what its name starts with at each
    dash. Source: unit_file_find_dirs() in src/shared/dropin.c.

    >>> dropin_names("foo-bar@1.service")
    ['foo-bar@1.service.d', 'foo-bar@.service.d', 'foo-@.service.d', 'foo-@1.service.d']
    >>> dropin_names("user-1000.slice"), dropin_names("-.slice")
    (['user-1000.slice.d', 'user-.slice.d'], ['-.slice.d'])
    """
    found: dict[str, None] = {}
    todo = [unit]
    while todo:
        name = todo.pop()
        if f"{name}.d" in found:
            continue
        found[f"{name}.d"] = None
        stem, _, suffix = name.rpartition(".")
        prefix, at, instance = stem.partition("@")
        shorter = _up_to_dash(prefix)
        if shorter:
            todo.append(f"{shorter}{at}{instance}.{suffix}")
        if instance:
            todo.append(f"{prefix}@.{suffix}")
    return list(found)


def _up_to_dash(prefix: str) -> str:
    """Return the name that a unit's name starts with, up to its last dash but a trailing one, or nothing."""
    if prefix.endswith("-"):
        prefix = prefix[:-1]
    dash = prefix.rfind("-")
    return prefix[: dash + 1] if dash > 0 else ""


def dropin_directories(unit: str, lookup: Sequence[str], aliases: Sequence[str] = ()) -> list[str]:
    """Return the drop-in directories of a unit, the most important first.

    >>> dropin_directories("a.service", ["/etc", "/usr"])
    ['/etc/a.service.d', '/usr/a.service.d', '/etc/service.d', '/usr/service.d']
    """
    found = [f"{base}/{name}" for each in (unit, *aliases) for base in lookup for name in dropin_names(each)]
    found += [f"{base}/{unit_type(unit)}.d" for base in lookup]
    return list(dict.fromkeys(found))
