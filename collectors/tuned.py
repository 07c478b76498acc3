"""The active profile of tuned, which sets kernel settings after sysctl.d did."""

from __future__ import annotations

from typing import Any, Optional

from lastwords.collectors.oom_units import read_settings
from lastwords.formats.system.unit_files import Assignment
from lastwords.roots.base import Root

ACTIVE = "/etc/tuned/active_profile"
DIRECTORIES = ("/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned")
"""Most important first; ``profiles`` since tuned 2.23."""
FILES = (ACTIVE, *(f"{directory}/*/tuned.conf" for directory in DIRECTORIES))
_MAX_PROFILES = 12


def tuned_settings(root: Root, wanted: frozenset[str]) -> dict[str, Any]:
    """Return the active profile, and what it and those it includes say of the wanted keys, in order.

    Of one key the last counts. Source: tuned-profiles(7), tuned.conf(5), tuned/profiles/loader.py.
    """
    text = root.text(ACTIVE)
    names = (text or "").split()
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for name in names:
        _profile(root, name, wanted, found, seen)
    return {"profile": " ".join(names) or None, "assignments": found}


def _profile(
    root: Root, name: str, wanted: frozenset[str], found: list[dict[str, Any]], seen: set[str]
) -> None:
    if name in seen or "/" in name or len(seen) >= _MAX_PROFILES:
        return
    seen.add(name)
    path = _file(root, name)
    if path is None:
        return
    assignments, kept, _ = read_settings(root, path, None)
    main = [each for each in assignments if each.section == "main" and each.key == "include"]
    own = [each for each in assignments if _key(each) in wanted]
    lines = {each.line for each in (*main, *own)}
    heads = [line for line in kept if line.data.lstrip().startswith(b"[")]
    root.keep(path, [line for line in kept if line.number in lines or line in heads])
    for each in main:
        for included in each.value.replace(",", " ").split():
            _profile(root, included.lstrip("-"), wanted, found, seen)
    found += [_fact(path, each) for each in own]


def _file(root: Root, name: str) -> Optional[str]:
    paths = [f"{directory}/{name}/tuned.conf" for directory in DIRECTORIES]
    return next((path for path in paths if root.stat(path)), None)


def _key(each: Assignment) -> str:
    """Return the kernel setting that a line is about; newer profiles have some of them under [vm]."""
    prefix = {"sysctl": "", "vm": "vm."}.get(each.section)
    return "" if prefix is None else prefix + each.key.replace("/", ".")


def _fact(path: str, each: Assignment) -> dict[str, Any]:
    return {"key": _key(each), "value": each.value, "file": path, "line": each.line}
