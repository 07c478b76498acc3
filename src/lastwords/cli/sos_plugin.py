"""``lastwords sos-plugin``: put the plugin where the sos framework of this host finds it, or take it away."""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from typing import Any, Optional

from lastwords.model import ExitCode, LastwordsError
from lastwords.plugins import Plugins

DESCRIPTION = """\
The plugin lets "sos report" lay a lastwords bundle into its archive; without the lastwords command it
gathers what "lastwords open" derives the same facts from. sos has no setting for plugins of others: it
looks into one directory, which every installed sos has for itself. All of them are found and served.

Where that directory cannot be written (snaps, immutable systems), /etc/sos/extras.d/lastwords does the
same: docs/sos.md has its content."""

NAME = "lastwords.py"
MARK = b"is part of the lastwords project and is a plugin for the sos"
"""Stands near the top of our file, whatever its version; no other file has it."""
_MARKED_WITHIN = 4096

_BELOW = "sos/report/plugins"
PLACES = (
    "usr/lib/python3/dist-packages",
    "usr/lib/python3*/dist-packages",
    "usr/lib/python3*/site-packages",
    "usr/lib64/python3*/site-packages",
    "usr/local/lib/python3*/dist-packages",
    "usr/local/lib/python3*/site-packages",
    "usr/local/lib64/python3*/site-packages",
    "usr/share/sosreport",
    "snap/sosreport/*/lib/python3*/site-packages",
    "snap/sosreport/*/usr/lib/python3*/dist-packages",
)
"""Where distributions, pip and snaps put the package ``sos``."""


@dataclass
class Place:
    """A plugin directory of one sos, and what of ours is in it."""

    directory: str
    state: str
    """``installed``, ``outdated`` (ours, of another version), ``foreign`` (not ours) or ``absent``."""
    writable: bool

    @property
    def path(self) -> str:
        """Where the plugin is, or would be."""
        return os.path.join(self.directory, NAME)

    def to_json(self) -> dict[str, Any]:
        """Return the place as a JSON object."""
        return {"path": self.path, "state": self.state, "writable": self.writable}


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "action",
        choices=("install", "remove", "path"),
        help="install it into every sos of this host, remove it, or print where it goes",
    )
    parser.add_argument(
        "--root", metavar="DIR", default="/", help="another root than / (mounted disk, package)"
    )
    parser.add_argument("--json", action="store_true", help="print places and states as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    root = arguments.root
    if not os.path.isdir(root):
        raise LastwordsError(f"{root}: expected a directory with usr/lib in it")
    places = find_places(root)
    if not places:
        raise LastwordsError(
            f"no sos 4.0 or later below {root}: install the package sos (Debian 12 and older: sosreport)"
        )
    changed = []
    if arguments.action == "install":
        changed = _install(places)
    elif arguments.action == "remove":
        changed = _remove(places)
    if arguments.json:
        print(json.dumps([place.to_json() for place in places], indent=2))
    else:
        for place in places if arguments.action == "path" else changed:
            print(place.path)
    return ExitCode.OK


def plugin_source() -> bytes:
    """Return the plugin, byte for byte; also from within a zipapp."""
    return resources.files("lastwords.sos_plugins").joinpath(NAME).read_bytes()


def find_places(root: str = "/") -> list[Place]:
    """Return the plugin directory of every sos below *root*, each once."""
    found: dict[str, Place] = {}
    for pattern in PLACES:
        for directory in sorted(glob.glob(os.path.join(glob.escape(root), pattern, _BELOW))):
            if os.path.isfile(os.path.join(directory, "__init__.py")):
                place = Place(directory, _state(directory), os.access(directory, os.W_OK))
                found.setdefault(os.path.realpath(directory), place)
    return list(found.values())


def _state(directory: str) -> str:
    path = os.path.join(directory, NAME)
    if not os.path.lexists(path):
        return "absent"
    content = _regular(path)
    if content is None or MARK not in content[:_MARKED_WITHIN]:
        return "foreign"
    return "installed" if content == plugin_source() else "outdated"


def _regular(path: str) -> Optional[bytes]:
    """Return the content of a regular file; None for anything else: a link may lead out of the root."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as problem:
        raise _failed(path, problem) from None


def _install(places: list[Place]) -> list[Place]:
    foreign = [place for place in places if place.state == "foreign"]
    if foreign:
        raise LastwordsError(f"{foreign[0].path}: exists and is not ours; nothing was changed")
    changed = []
    for place in places:
        if place.state == "installed":
            changed.append(place)
        elif place.writable:
            _write(place)
            place.state = "installed"
            changed.append(place)
        else:
            print(f"lastwords: {place.directory}: not writable: {_advice()}", file=sys.stderr)
    if not changed:
        raise LastwordsError(f"{places[0].directory}: not writable, nothing was installed")
    return changed


def _advice() -> str:
    if os.geteuid() != 0:
        return "run this as root"
    return "use /etc/sos/extras.d/lastwords instead, see docs/sos.md"


def _write(place: Place) -> None:
    """Write the plugin beside its final name and rename it: sos never sees half of it."""
    staging = None
    try:
        descriptor, staging = tempfile.mkstemp(prefix=".lastwords-", dir=place.directory)
        with open(descriptor, "wb") as stream:
            stream.write(plugin_source())
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        os.rename(staging, place.path)
    except OSError as problem:
        if staging and os.path.exists(staging):
            os.unlink(staging)
        raise _failed(place.path, problem) from None


def _remove(places: list[Place]) -> list[Place]:
    changed = []
    for place in places:
        if place.state == "foreign":
            print(f"lastwords: {place.path}: is not ours and stays", file=sys.stderr)
        if place.state not in ("installed", "outdated"):
            continue
        compiled = os.path.join(glob.escape(place.directory), "__pycache__", "lastwords.*.pyc")
        for path in (place.path, *glob.glob(compiled)):
            try:
                os.unlink(path)
            except OSError as problem:
                raise _failed(path, problem) from None
        place.state = "absent"
        changed.append(place)
    return changed


def _failed(path: str, problem: OSError) -> LastwordsError:
    return LastwordsError(f"{path}: {(problem.strerror or str(problem)).lower()}")
