"""Who changes oom_score_adj: cron jobs, boot scripts, local programs, udev rules that name its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lastwords.roots.base import Root
from lastwords.roots.lines import Line

PLACES = (
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.d/*",
    "/etc/cron.hourly/*",
    "/etc/cron.daily/*",
    "/etc/cron.weekly/*",
    "/etc/cron.monthly/*",
    "/var/spool/cron/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/tabs/*",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/*",
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
    "/etc/udev/rules.d/*.rules",
    "/run/udev/rules.d/*.rules",
    "/usr/lib/udev/rules.d/*.rules",
)
MAX_FILES = 1000
MAX_SIZE = 256 << 10
"""Bytes of a file that is read; scripts are smaller, and programs say nothing by lines."""
MAX_HITS = 200
MAX_LINE = 4096
"""Bytes of a line that are looked at."""

NAMES = re.compile(rb"\boom_(?:score_)?adj\b|\bchoom\b")
_WRITES = re.compile(
    rb">>?\s*[\"']?(?:\$\([^)]*\)|`[^`]*`|[^\s;|&$`]|\$(?!\())*oom_(?:score_)?adj\b|\btee\b[^;|&]*oom_(?:score_)?adj\b|\bchoom\b.*(?:-n|--adjust)"
    rb"|oom_(?:score_)?adj\W.*[\"'][wa]\+?[\"']|write\w*\(.*oom_(?:score_)?adj"
)
_COMMENT = re.compile(rb"^\s*(?:#|//|;)")


def find_writers(root: Root) -> dict[str, Any]:
    """Return the lines that name the files, and the files that were passed over.

    Streams each file, and stops at its first NUL: a program, not a script.
    """
    hits: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    files = 0
    for path, size in _files(root):
        files += 1
        if files > MAX_FILES or len(hits) >= MAX_HITS:
            skipped.append({"path": path, "reason": "limit"})
            break
        if size > MAX_SIZE:
            skipped.append({"path": path, "reason": "size"})
            continue
        kept = _hits(root, path)
        if kept:
            root.keep(path, kept)
            hits += [hit(path, line) for line in kept]
    return {"mentions": hits[:MAX_HITS], "skipped": skipped}


def hit(path: str, line: Line) -> dict[str, Any]:
    """Return a line that names the files as a fact."""
    found = NAMES.search(line.data[:MAX_LINE])
    return {
        "path": path,
        "line": line.number,
        "text": line.text.strip()[:500],
        "names": found[0].decode() if found else None,
        "writes": bool(_WRITES.search(line.data[:MAX_LINE])),
    }


def names_it(line: bytes) -> bool:
    """Return whether a line, comments apart, names the files."""
    return bool(NAMES.search(line[:MAX_LINE])) and not _COMMENT.match(line)


def _files(root: Root) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    for place in PLACES:
        for path in root.glob(place):
            if path in seen:
                continue
            seen.add(path)
            node = root.stat(path, follow=False)
            # Links lead to programs of packages, or to a file that is met in its own place.
            if node and node.type == "file":
                yield path, node.size or 0


def _hits(root: Root, path: str) -> list[Line]:
    kept: list[Line] = []
    try:
        for line in root.lines(path):
            if b"\0" in line.data:
                return []
            if names_it(line.data):
                kept.append(line)
    except OSError:
        pass
    return kept
