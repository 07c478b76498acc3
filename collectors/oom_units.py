"""Units and what their files say of memory: limits, protection, who is killed first, who decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Optional

from lastwords.collectors.listing import NOTHING, ConfDirs, entries, target_of, unmerged
from lastwords.collectors.oom_writers import hit, names_it
from lastwords.formats.system.conf_dirs import merge_directories
from lastwords.formats.system.unit_files import (
    CONFIGURATION_PATH,
    SYSTEM_UNIT_PATH,
    Assignment,
    dropin_directories,
    parse_unit,
    unit_type,
)
from lastwords.roots.base import Root
from lastwords.roots.lines import Line
from lastwords.roots.trees import Node

KEYS = frozenset(
    (
        "OOMScoreAdjust",
        "OOMPolicy",
        "ManagedOOMSwap",
        "ManagedOOMMemoryPressure",
        "ManagedOOMMemoryPressureLimit",
        "ManagedOOMMemoryPressureDurationSec",
        "ManagedOOMPreference",
        "MemoryAccounting",
        "MemoryMin",
        "MemoryLow",
        "MemoryHigh",
        "MemoryMax",
        "MemorySwapMax",
        "MemoryZSwapMax",
        "MemoryZSwapWriteback",
        "MemoryLimit",
        "DefaultMemoryMin",
        "DefaultMemoryLow",
        "StartupMemoryLow",
        "StartupMemoryHigh",
        "StartupMemoryMax",
        "StartupMemorySwapMax",
        "MemoryPressureWatch",
        "MemoryPressureThresholdSec",
    )
)
"""systemd.resource-control(5), systemd.exec(5), systemd.service(5)."""
MANAGER_KEYS = frozenset(
    (
        "DefaultOOMPolicy",
        "DefaultOOMScoreAdjust",
        "DefaultMemoryAccounting",
        "DefaultMemoryPressureWatch",
        "DefaultMemoryPressureThresholdSec",
    )
)
"""systemd-system.conf(5)."""
LOOKUP = tuple(path for path in SYSTEM_UNIT_PATH if path != "/run/systemd/transient")
"""Transient units are the cgroup tree's matter: a host of containers has thousands of them."""
MAX_FILES = 3000
MAX_LINES = 4000

Place = tuple[str, Assignment]
"""An assignment and the file that has it."""


class Units:
    """The unit files and drop-ins of the system manager."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.known = True
        """False when a directory of units could not be listed."""
        self.limited = False
        """True when there were more files than are read."""
        self.mentions: list[dict[str, Any]] = []
        """Lines that write oom_score_adj themselves, in an ``ExecStartPost=`` or the like."""
        self.fragments: dict[str, Node] = {}
        """The file that counts, by unit; links not followed."""
        self.aliases: dict[str, list[str]] = {}
        """Other names of a unit."""
        self._names: set[str] = set()
        self._dropins: dict[str, list[Node]] = {}
        self._read: dict[str, list[Assignment]] = {}
        self._files = 0
        self._lookup = unmerged(root, LOOKUP)
        for directory in self._lookup:
            self._list(directory)

    def _list(self, directory: str) -> None:
        nodes = entries(self._root, directory)
        self.known = self.known and nodes is not None
        for node in nodes or ():
            if node.type == "dir" and node.name.endswith(".d"):
                self._dropins[node.path] = [
                    each for each in entries(self._root, node.path) or () if each.type in ("file", "link")
                ]
            elif node.type in ("file", "link") and unit_type(node.name) and node.name not in self._names:
                self._names.add(node.name)
                real = (node.target or "").rpartition("/")[2]
                if _is_alias(node.name, real):
                    self.aliases.setdefault(real, []).append(node.name)
                else:
                    self.fragments[node.name] = node

    def masked(self, unit: str) -> bool:
        """Return whether a unit's file is a link to /dev/null, or empty."""
        node = self.fragments.get(unit)
        if node is None:
            return False
        return node.size == 0 if node.type == "file" else target_of(self._root, node) == NOTHING

    def settings(self) -> Iterator[dict[str, Any]]:
        """Yield every setting of :data:`KEYS`: which unit, what, where, and whether it counts.

        For each unit that has a setting of its own come all settings that reach it, in the order in which
        systemd reads them. Drop-ins of a whole type, a prefix or a template also come by themselves, under
        ``*.service``, ``user-*.slice`` or ``user@.service``.
        """
        for unit in sorted(self._units_with_settings()):
            if not self.masked(unit):
                yield from _judged(_shown(unit), self._merged(unit))

    def _units_with_settings(self) -> set[str]:
        alias_of = {alias: unit for unit, aliases in self.aliases.items() for alias in aliases}
        found = {unit for unit, node in self.fragments.items() if self._assignments(node)}
        for directory, nodes in self._dropins.items():
            if any(self._assignments(node) for node in nodes if node.name.endswith(".conf")):
                unit = directory.rpartition("/")[2][: -len(".d")]
                found.add(alias_of.get(unit, unit))
        return found

    def _merged(self, unit: str) -> list[Place]:
        fragment = self._fragment(unit)
        files = [fragment] if fragment else []
        if unit_type(unit):
            directories = dropin_directories(unit, self._lookup, sorted(self.aliases.get(unit, ())))
        else:
            directories = [f"{base}/{unit}.d" for base in self._lookup]
        nodes = {node.path: node for each in directories for node in self._dropins.get(each, ())}
        listings = [(each, [node.name for node in self._dropins.get(each, ())]) for each in directories]
        files += [nodes[chosen.path] for chosen in merge_directories(listings)]
        return [(node.path, each) for node in files for each in self._assignments(node)]

    def _fragment(self, unit: str) -> Optional[Node]:
        stem, _, suffix = unit.rpartition(".")
        template = f"{stem.partition('@')[0]}@.{suffix}" if "@" in stem else unit
        return self.fragments.get(unit) or self.fragments.get(template)

    def _assignments(self, node: Node) -> list[Assignment]:
        """Return the settings in one file; each file is read once."""
        if node.path not in self._read:
            self._read[node.path] = self._parse(node)
        return self._read[node.path]

    def _parse(self, node: Node) -> list[Assignment]:
        place = target_of(self._root, node)
        if place in (None, NOTHING) or node.size == 0:
            return []
        self._files += 1
        if self._files > MAX_FILES:
            self.limited = True
            return []
        found, kept, mentions = read_settings(self._root, place or node.path, KEYS)
        if kept:
            self._root.keep(place or node.path, kept)
        self.mentions += [hit(node.path, line) for line in mentions]
        return found


def _is_alias(name: str, target: str) -> bool:
    """Return whether a link called *name* makes an alias of its target, and not an instance of a template."""
    if not target or target == name or unit_type(target) != unit_type(name):
        return False
    return target != f"{name.partition('@')[0]}@.{unit_type(name)}"


def read_settings(
    root: Root, path: str, keys: Optional[frozenset[str]]
) -> tuple[list[Assignment], list[Line], list[Line]]:
    """Return the settings of a unit or configuration file, the lines that prove them, and those that
    write oom_score_adj. The caller keeps the lines.

    :param keys: which settings; None for all
    """
    heads: list[Line] = []
    kept: dict[int, Line] = {}
    mentions: list[Line] = []
    lines: list[tuple[int, str]] = []
    continues = False
    try:
        for line in root.lines(path):
            text = line.text.strip()
            lines.append((line.number, text))
            key, equals, _ = text.partition("=")
            wanted = (
                bool(equals) and not text.startswith(("#", ";")) and (keys is None or key.strip() in keys)
            )
            if names_it(line.data):
                mentions.append(line)
                wanted = True
            if wanted or continues:
                kept[line.number] = line
            elif text.startswith("["):
                heads.append(line)
            continues = line.number in kept and text.endswith("\\")
            if len(lines) >= MAX_LINES:
                break
    except OSError:
        pass
    found = [each for each in parse_unit(lines) if (keys is None or each.key in keys) and each.line in kept]
    if not kept:
        return found, [], mentions
    return found, sorted([*heads, *kept.values()], key=lambda line: line.number), mentions


def configuration(root: Root, name: str, keys: Optional[frozenset[str]]) -> list[dict[str, Any]]:
    """Return the settings of one of systemd's own configuration files with its drop-ins, in reading order.

    The main file is the first there is; its drop-ins count whichever it is. Source: systemd-system.conf(5),
    config_parse_standard_file_with_dropins() of systemd.

    :param name: ``systemd/oomd.conf``
    """
    files: list[str] = []
    for base in unmerged(root, [f"{each}/" for each in CONFIGURATION_PATH]):
        node = root.stat(base + name, follow=False)
        if node:
            files = [place for place in [target_of(root, node)] if place and place != NOTHING]
            break
    conf_dirs = ConfDirs(root, [f"{base}/{name}.d" for base in CONFIGURATION_PATH])
    for chosen in conf_dirs.chosen:
        place = conf_dirs.place(chosen.path)
        if place and place != NOTHING:
            files.append(place)
    found: list[Place] = []
    for path in files:
        assignments, kept, _ = read_settings(root, path, keys)
        root.keep(path, kept)
        found += [(path, each) for each in assignments]
    return list(_judged(None, found))


def _judged(unit: Optional[str], places: Sequence[Place]) -> Iterator[dict[str, Any]]:
    """Yield settings as facts; of one key the last counts, and an empty value undoes those before it."""
    last = {(each.section, each.key): (path, each.line) for path, each in places}
    for path, each in places:
        effective = last[each.section, each.key] == (path, each.line)
        yield {
            **({"unit": unit} if unit else {}),
            "section": each.section,
            "key": each.key,
            "value": each.value,
            "file": path,
            "line": each.line,
            "effective": effective,
        }


def _shown(unit: str) -> str:
    """Return the name under which settings of a whole type or prefix are told."""
    stem, dot, suffix = unit.rpartition(".")
    if not dot:
        return f"*.{suffix}"
    return f"{stem}*.{suffix}" if stem.endswith("-") and stem != "-" else unit
