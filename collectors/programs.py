"""Which programs are installed on a host, as far as a root shows it."""

from __future__ import annotations

from typing import Any

from lastwords.roots.base import Root

FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin")


def program(root: Root, name: str) -> dict[str, Any]:
    """Return a program's name, its path, and whether it is installed; None where that is not to be seen."""
    there = {f"{folder}/{name}": root.exists(f"{folder}/{name}") for folder in FOLDERS}
    path = next((path for path, exists in there.items() if exists), None)
    # A copy of some folders of a host tells nothing of the others.
    known = None not in there.values() and root.exists("/usr/sbin") and root.exists("/usr/bin")
    installed = True if path else False if known else None
    return {"name": name, "path": path, "installed": installed}
