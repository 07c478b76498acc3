"""Which files of a set of configuration directories count, and in which order.

The rule that systemd's programs share (conf_files_list_strv() in src/basic/conf-files.c, sysctl.d(5),
systemd.unit(5)): a file hides the files of the same name in later directories, and what remains is read
sorted by name, whatever directory it lies in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Chosen:
    """A file that counts."""

    path: str
    hides: tuple[str, ...]
    """Files of the same name that it makes ineffective."""


def merge_directories(listings: Iterable[tuple[str, Sequence[str]]], suffix: str = ".conf") -> list[Chosen]:
    r"""Return the files that count, in the order in which they are read.

    :param listings: each directory with the names in it, the most important directory first

    >>> found = merge_directories([("/etc", ["20-b.conf"]), ("/usr", ["10-a.conf", "20-b.conf", "README"])])
    >>> print(*found, sep="\n")
    Chosen(path='/usr/10-a.conf', hides=())
    Chosen(path='/etc/20-b.conf', hides=('/usr/20-b.conf',))
    """
    places: dict[str, list[str]] = {}
    for directory, names in listings:
        for name in names:
            path = f"{directory.rstrip('/')}/{name}"
            if name.endswith(suffix) and path not in places.get(name, ()):
                places.setdefault(name, []).append(path)
    # As strcmp() does: by bytes, not by any locale.
    ordered = sorted(places.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape"))
    return [Chosen(paths[0], tuple(paths[1:])) for _, paths in ordered]
