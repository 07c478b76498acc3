"""Finds and loads plugins, each in its own try: one broken plugin never takes another with it.

``LASTWORDS_NO_PLUGINS=1`` loads the built-in ones only; ``LASTWORDS_PLUGINS=a,b`` loads, besides them,
only the entry points called ``a`` and ``b``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional, TypeVar

import pluggy

from lastwords import __version__, hookspecs
from lastwords.hookspecs import Collector, Plan, Report, Rule

ENTRY_POINT_GROUP = "lastwords"
BUILTIN = (
    "lastwords.collectors",
    "lastwords.analyzer.rules",
    "lastwords.analyzer.plans",
    "lastwords.reports",
    "lastwords.cli.commands",
)
"""Modules whose hooks register everything that lastwords itself brings."""

Thing = TypeVar("Thing")


@dataclass
class PluginInfo:
    """One plugin: where it came from, what it registered, and what went wrong."""

    name: str
    origin: str
    version: str
    registered: dict[str, list[str]] = field(default_factory=dict)
    error: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        """Return the plugin as the manifest records it."""
        return {
            "name": self.name,
            "origin": self.origin,
            "version": self.version,
            "registered": self.registered,
            "error": self.error,
        }


class Later(Mapping[str, Thing]):
    """A mapping that is made when somebody looks into it."""

    def __init__(self, make: Callable[[], Mapping[str, Thing]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Mapping[str, Thing]:
        return self._make()

    def __getitem__(self, name: str) -> Thing:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


class Plugins:
    """All plugins of this run, and what they registered."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("lastwords")
        self.manager.add_hookspecs(hookspecs)
        self.found: dict[str, PluginInfo] = {}

    def add(self, plugin: object, info: PluginInfo) -> None:
        """Register one plugin; a plugin whose hooks do not fit is recorded with its error."""
        self.found[info.name] = info
        try:
            self.manager.register(plugin, name=info.name)
            self.manager.check_pending()
        except Exception as problem:
            info.error = describe(problem)
            if self.manager.has_plugin(info.name):
                self.manager.unregister(name=info.name)

    def collectors(self) -> Mapping[str, Collector]:
        """Return the collectors by name, in the order of registration.

        They are imported when one is asked for: whoever opens a bundle needs none.
        """
        return Later(
            lambda: self._gather("register_collectors", "collectors", lambda item: item.name, Collector)
        )

    def rules(self) -> dict[str, Rule]:
        """Return the rules by id."""
        return self._gather("register_rules", "rules", lambda item: item.id, Rule)

    def reports(self) -> dict[str, Report]:
        """Return the reports by name."""
        return self._gather("register_reports", "reports", lambda item: item.name, Report)

    def plans(self) -> dict[str, Plan]:
        """Return the plans by name."""
        return self._gather("register_plans", "plans", lambda item: item.name, Plan)

    def add_commands(self, subparsers: Any) -> None:
        """Let every plugin add its commands."""
        for info, implementation in self._implementations("register_commands"):
            before = set(subparsers.choices)
            try:
                implementation(subparsers=subparsers, plugins=self)
            except Exception as problem:
                info.error = describe(problem)
            info.registered["commands"] = sorted(set(subparsers.choices) - before)

    def _implementations(self, hook: str) -> list[tuple[PluginInfo, Callable[..., None]]]:
        # In the order of registration; pluggy itself calls the last one first.
        return [
            (self.found[each.plugin_name], _accepting(each.function, each.argnames))
            for each in getattr(self.manager.hook, hook).get_hookimpls()
        ]

    def _gather(
        self, hook: str, word: str, key: Callable[[Thing], str], kind: type[Thing]
    ) -> dict[str, Thing]:
        things: dict[str, Thing] = {}
        for info, implementation in self._implementations(hook):
            names: list[str] = []

            def register(
                item: Thing, names: list[str] = names, info: PluginInfo = info, word: str = word
            ) -> None:
                if not isinstance(item, kind):
                    raise TypeError(f"{item!r} is not a {kind.__name__}")
                if key(item) in things:
                    raise ValueError(f"{word} {key(item)!r} is registered already")
                things[key(item)] = item
                names.append(key(item))

            try:
                implementation(register=register)
            except Exception as problem:
                info.error = describe(problem)
            info.registered[word] = names
        return things


def _accepting(function: Callable[..., None], names: Sequence[str]) -> Callable[..., None]:
    """Return a hook's function, called with only those arguments that it takes, as pluggy does."""
    return lambda **given: function(**{name: given[name] for name in names})


def describe(problem: BaseException) -> str:
    """Return an exception as one line."""
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def load() -> Plugins:
    """Load the built-in plugins and those of installed distributions."""
    plugins = Plugins()
    for module in BUILTIN:
        plugins.add(importlib.import_module(module), PluginInfo(module, "built-in", __version__))
    if os.environ.get("LASTWORDS_NO_PLUGINS"):
        return plugins
    allowed = os.environ.get("LASTWORDS_PLUGINS")
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    for entry_point, distribution, version in _entry_points():
        if names is not None and entry_point.name not in names:
            continue
        info = PluginInfo(entry_point.name, distribution, version)
        try:
            plugin = entry_point.load()
        except Exception as problem:
            info.error = describe(problem)
            plugins.found[info.name] = info
        else:
            plugins.add(plugin, info)
    return plugins


def _entry_points() -> list[tuple[Any, str, str]]:
    from importlib import metadata

    found: list[tuple[Any, str, str]] = []
    for distribution in metadata.distributions():
        if f"[{ENTRY_POINT_GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        for entry_point in distribution.entry_points:
            if entry_point.group == ENTRY_POINT_GROUP:
                found.append((entry_point, distribution.metadata["Name"], distribution.version))
    return found
