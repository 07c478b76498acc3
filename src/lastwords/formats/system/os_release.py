"""The shell-like assignments of os-release(5)."""

from __future__ import annotations

import re
import shlex

_ASSIGNMENT = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments by name; lines that are none are passed over.

    >>> parse_os_release('ID="rhel"\\nVERSION_ID=9.4\\n# comment')
    {'ID': 'rhel', 'VERSION_ID': '9.4'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line)
        if match is None:
            continue
        try:
            words = shlex.split(match[2])
        except ValueError:
            words = [match[2]]
        found[match[1]] = words[0] if words else ""
    return found
