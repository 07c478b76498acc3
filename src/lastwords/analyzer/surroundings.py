"""The lines around a place in a log, read again from the input when a report wants to show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lastwords.roots.base import Root
from lastwords.roots.lines import Line

AROUND = 2
"""Lines before, and after."""
LIMIT = 8 << 20
"""Bytes of a log that are read for it; of a larger one nothing, for its start helps nobody."""
DEADLINE = 10.0


class Surroundings:
    """Looks lines up in roots, the first that has them.

    :param roots: what they were read from
    """

    def __init__(self, *roots: Root) -> None:
        self._roots = [root.recording("report") for root in roots]
        self._known: dict[str, Mapping[int, str]] = {}

    def __call__(self, path: str, number: int) -> list[tuple[int, str]]:
        """Return the lines around one, with their numbers; nothing when the input does not hold them.

        :param path: host path or ``$ command``
        """
        if path not in self._known:
            found = (self._read(root, path) for root in self._roots)
            self._known[path] = next((lines for lines in found if lines), {})
        lines = self._known[path]
        near = range(number - AROUND, number + AROUND + 1)
        return [(each, lines[each]) for each in near if each in lines] if number in lines else []

    def _read(self, root: Root, path: str) -> Mapping[int, str]:
        lines: dict[int, str] = {}
        left = LIMIT
        try:
            for line in _lines(root, path):
                left -= len(line.data) + 1
                if left < 0:
                    return {}
                lines[line.number] = line.text
        except OSError:
            return {}
        return lines


def _lines(root: Root, path: str) -> Iterator[Line]:
    if path.startswith("$ "):
        return root.run_lines(tuple(path[2:].split(" ")), DEADLINE)
    if not path.startswith("/"):
        return iter(())
    node = root.stat(path)
    return iter(()) if node is None or (node.size or 0) > LIMIT else root.lines(path)
