"""Reads a bundle: a directory or an archive, checked before it is believed.

An obfuscated bundle (``sos clean`` renamed hosts and users in it) is accepted: what no longer matches
its hash becomes a note, and the analyzer derives the facts again from the evidence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.bundle import facts_files
from lastwords.bundle.validate import Validator
from lastwords.model import BUNDLE_VERSION, Event, Facts, LastwordsError
from lastwords.roots.base import Root, join, read_up_to
from lastwords.roots.bundle import bundle_root, locate
from lastwords.roots.trees import Tree

MANIFEST = "/manifest.json"
DOCUMENT_LIMIT = 256 << 20
SHOWN = 5


class BadBundle(LastwordsError):
    """The input claims to be a bundle and is not one that can be read."""


class Bundle:
    """An opened bundle.

    :param tree: its files, its top directory as ``/``
    :param where: what the user called it
    :raises BadBundle: no manifest, or one that cannot be understood; one clear line
    """

    def __init__(self, tree: Tree, where: str) -> None:
        self.tree = tree
        self.where = where
        self.manifest = self._manifest()
        self.changed: list[str] = []
        """Evidence and facts files that are missing or not as they were written."""
        self.facts: dict[str, Facts] = {}
        self.events: list[Event] = []
        for name, entry in self.collectors.items():
            facts = self._facts(entry)
            if facts is not None:
                self.facts[name] = facts
        self._read_events()

    @property
    def collectors(self) -> dict[str, dict[str, Any]]:
        """The collectors' entries of the manifest, by name."""
        entries = self.manifest["collectors"]
        return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}

    def evidence(self) -> list[dict[str, Any]]:
        """Return the evidence items of all collectors, in order."""
        return [
            item
            for entry in self.collectors.values()
            for item in entry.get("evidence") or ()
            if isinstance(item, dict) and isinstance(item.get("path"), str)
        ]

    def root(self) -> Root:
        """Return the evidence as a root, for today's collectors to run on again."""
        return bundle_root(
            self.tree, self.evidence(), taken_at=_number(self.manifest.get("taken_at")), where=self.where
        )

    def altered(self) -> list[str]:
        """Return the evidence whose bytes are missing or differ from the manifest."""
        found = []
        for item in self.evidence():
            stored = item.get("stored")
            if not isinstance(stored, str):
                continue
            data = self._read("/" + stored)
            if data is None:
                found.append(f"{item['path']}: {stored} is missing")
            elif hashlib.sha256(data).hexdigest() != item.get("sha256"):
                found.append(f"{item['path']}: {stored} is not as it was written")
        return found

    def problems(self, schemas: Optional[dict[str, dict[str, Any]]] = None) -> list[str]:
        """Return everything that is wrong with the bundle: schemas, hashes, files that do not belong.

        :param schemas: schemas of collectors from other plugins, by collector name
        """
        found = list(self.changed)
        validator = Validator.load()
        if validator:
            found += [f"manifest.json: {p}" for p in validator.problems("bundle", self.manifest)]
            for name, facts in self.facts.items():
                schema = (schemas or {}).get(name)
                try:
                    found += [f"facts/{name}: {p}" for p in validator.problems(name, facts, schema)]
                except KeyError:
                    continue  # of a plugin that is not installed here
            for number, event in enumerate(self.events, 1):
                found += [f"events.jsonl:{number}: {p}" for p in validator.problems("event", event)]
        return found + self.altered() + list(self._strangers())

    def _strangers(self) -> Iterator[str]:
        known = {"/manifest.json", "/events.jsonl"}
        for entry in self.collectors.values():
            known |= {"/" + str(entry.get(key)) for key in ("facts", "records") if entry.get(key)}
        known |= {"/" + str(item.get("stored")) for item in self.evidence() if item.get("stored")}
        todo = ["/"]
        while todo:
            folder = todo.pop()
            for name in self.tree.names(folder):
                path = join(folder, name)
                if self.tree.lookup(path).type == "dir":
                    todo.append(path)
                elif path not in known:
                    yield f"{path[1:]}: is not in the manifest"

    def _manifest(self) -> dict[str, Any]:
        data = self._read(MANIFEST)
        if data is None:
            raise BadBundle(f"{self.where}: expected a bundle, found no manifest.json")
        try:
            manifest = json.loads(data)
        except (ValueError, RecursionError) as problem:
            raise BadBundle(f"{self.where}: manifest.json is no JSON: {problem}") from None
        if not is_manifest(manifest) or not isinstance(manifest.get("collectors"), dict):
            raise BadBundle(f"{self.where}: manifest.json is not that of a lastwords bundle")
        version = str(manifest.get("version"))
        if version.partition(".")[0] != BUNDLE_VERSION.partition(".")[0]:
            raise BadBundle(
                f"{self.where}: bundle version {version[:20]}, this lastwords reads {BUNDLE_VERSION}: "
                "use the release that wrote it, or a newer one"
            )
        return dict(manifest)

    def _facts(self, entry: dict[str, Any]) -> Optional[Facts]:
        name, records_name = entry.get("facts"), entry.get("records")
        if not isinstance(name, str):
            return None
        document = self._read("/" + name)
        records = self._read("/" + records_name) if isinstance(records_name, str) else None
        if document is None or (isinstance(records_name, str) and records is None):
            self.changed.append(f"{name}: is missing")
            return None
        try:
            return facts_files.join(document, records)
        except (ValueError, RecursionError) as problem:
            self.changed.append(f"{name}: {problem}")
            return None

    def _read_events(self) -> None:
        data = self._read("/events.jsonl")
        if data is None:
            self.changed.append("events.jsonl: is missing")
            return
        for number, line in enumerate(data.splitlines(), 1):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                event = None
            if isinstance(event, dict) and isinstance(event.get("kind"), str):
                self.events.append(event)
            else:
                self.changed.append(f"events.jsonl:{number}: is no event")

    def _read(self, path: str) -> Optional[bytes]:
        try:
            with self.tree.open(locate(self.tree, path[1:])) as stream:
                return read_up_to(stream, DOCUMENT_LIMIT)[0]
        except OSError:
            return None


def is_manifest(value: Any) -> bool:
    """Return whether a JSON value is the manifest of a bundle."""
    return isinstance(value, dict) and value.get("format") == "lastwords-bundle"


def is_bundle(tree: Tree) -> bool:
    """Return whether the tree has a bundle's manifest at its top."""
    try:
        with tree.open(tree.resolve(MANIFEST)) as stream:
            head = read_up_to(stream, 4096)[0]
    except OSError:
        return False
    return b'"lastwords-bundle"' in head


def _number(value: Any) -> Optional[float]:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
