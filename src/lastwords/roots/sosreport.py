"""A sosreport as a root: a directory or an archive, sos 3.x to newest, obfuscated or not.

Files lie at their host paths. Command output is found by what was executed (manifest.json, sos 4.0 on),
then by the names sos is known to have given it; both drift between versions. What was not copied is
known only where some plugin ran ``ls`` on its directory.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, BinaryIO, Optional

from lastwords.formats import text_of
from lastwords.formats.system.date import parse_date, parse_zone_offset
from lastwords.formats.system.df import filesystem_of, parse_df
from lastwords.formats.system.ls import Listed, parse_ls
from lastwords.formats.system.mounts import parse_mounts
from lastwords.roots.base import CommandSource, Output, Root, Usage, UsageSource, join, read_up_to
from lastwords.roots.evidence import mangle
from lastwords.roots.sos_tables import with_tables
from lastwords.roots.trees import Node, Tree, names_in

OUTPUT_LIMIT = 32 << 20
MANIFEST = "/sos_reports/manifest.json"
MARKS = ("sos_commands", "sos_reports", "sos_logs", "version.txt")
"""Names at the top of every sosreport: the first or two others make one, for one that is cut has not all."""

KNOWN: dict[str, tuple[str, ...]] = {
    # canonical command -> glob patterns of its output below sos_commands/, best first
    "df": ("filesys/df_-al*", "filesys/df_*"),
    "rpm -q kexec-tools kdump-utils makedumpfile kdump-tools kdump": ("rpm/sh_-c_rpm*", "rpm/package-data"),
    "efibootmgr -v": ("boot/efibootmgr*",),
    "systemctl list-units": ("systemd/systemctl_list-units", "systemd/systemctl_list-units_--all"),
    "lsmod": ("kernel/lsmod",),
    "sysctl -a": ("kernel/sysctl_-a",),
    "dmesg": ("kernel/dmesg", "kernel/dmesg_*", "general/dmesg*", "logs/dmesg*"),
    "journalctl --no-pager --list-boots": ("logs/journalctl_--list-boots*", "logs/journalctl_*--list-boots*"),
    "journalctl --no-pager -o short-iso -n 200000 _TRANSPORT=kernel + _SYSTEMD_UNIT=systemd-oomd.service"
    " + _SYSTEMD_UNIT=earlyoom.service": ("logs/journalctl_--no-pager", "logs/journalctl_--all_--no-pager"),
    "journalctl --no-pager --catalog --boot": (
        "logs/journalctl_--no-pager_--boot",
        "logs/journalctl_--no-pager_--catalog_--boot",
        "logs/journalctl_--all_--this-boot*",
    ),
    "journalctl --no-pager --catalog --boot -1": (
        "logs/journalctl_--no-pager_--boot_-1",
        "logs/journalctl_--all_--boot_-1*",
    ),
}
"""Names that sos versions gave to the output of commands which collectors ask for."""

LISTINGS = "*/ls_-*"
DATES = ("/sos_commands/date/date_--utc", "/sos_commands/date/date", "/sos_commands/general/date")
TAILED = re.compile(r"(?:^|/)sos_strings/.*\.tailed$")
"""Where a link leads that sos put in the place of a file whose last bytes only it kept."""
MOUNTS = ("/proc/self/mounts", "/proc/mounts")
TIMED_OUT = 124
"""Exit status of timeout(1), under which sos runs commands."""


class SosTree(Tree):
    """The report's files, and below them what ``ls`` outputs say of files that were not copied."""

    def __init__(self, inner: Tree, clock: _Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, set[str]] = {}
        self._listed: set[str] = set()
        self._places: set[str] = set()
        """Directories that are known from what is below them."""
        self._read_listings()

    def _read_listings(self) -> None:
        taken_at, ahead = self._clock.taken_at, self._clock.ahead
        executed = {str(entry.get("filepath")): entry for entry in _manifest_commands(self._inner)}
        for path in find(self._inner, "/sos_commands", LISTINGS):
            try:
                with self._inner.open(self._inner.resolve(path)) as stream:
                    raw, cut = read_up_to(stream, OUTPUT_LIMIT)
            except OSError:
                continue
            entry = executed.get(path[1:], {})
            listing = parse_ls(
                raw.decode("utf-8", "surrogateescape"),
                _listed_directory(path, str(entry.get("exec") or "")),
                None if taken_at is None else taken_at + ahead,
                cut=cut or entry.get("return_code") == TIMED_OUT,
            )
            self._listed |= listing.whole
            for each in listing.entries:
                self._add(each)
        for directory in (*self._listed, *self._children):
            self._add_parents(directory)

    def _add(self, entry: Listed) -> None:
        path = join(entry.directory, entry.name)
        self._nodes[path] = Node(
            path,
            entry.type,
            size=entry.size,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime=None if entry.time is None else entry.time - self._clock.ahead,
            target=entry.target,
        )
        self._children.setdefault(entry.directory, set()).add(entry.name)

    def _add_parents(self, path: str) -> None:
        while path not in ("", "/") and path not in self._places:
            self._places.add(path)
            path = path.rpartition("/")[0]

    def lists(self, path: str) -> bool:
        return path in self._listed

    def lookup(self, path: str) -> Node:
        try:
            node = self._inner.lookup(path)
        except FileNotFoundError:
            if path in self._nodes:
                return self._nodes[path]
            if path in self._places:
                return Node(path, "dir")
            raise
        if TAILED.search(node.target or ""):
            return self._nodes.get(path) or replace(self._inner.stat(path), path=path)
        return node

    def names(self, path: str) -> list[str]:
        listed = self._children.get(path, set())
        try:
            return sorted({*self._inner.names(path), *listed})
        except FileNotFoundError:
            if path in self._places:
                return sorted(listed)
            raise

    def open(self, path: str) -> BinaryIO:
        return self._opened(path, self._inner.open)

    def open_log(self, path: str) -> BinaryIO:
        return self._opened(path, self._inner.open_log)

    def _opened(self, path: str, opener: Callable[[str], BinaryIO]) -> BinaryIO:
        try:
            return opener(self._inner.resolve(path))
        except FileNotFoundError:
            if path in self._nodes:
                raise OSError(errno.ENODATA, "listed in the sosreport, but not copied", path) from None
            raise


class SosCommands(CommandSource):
    """Command outputs below sos_commands/."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._executed: dict[str, tuple[str, Optional[int], bool]] = {}
        for entry in _manifest_commands(tree):
            line = _bare(str(entry.get("exec") or entry.get("command") or ""))
            if entry.get("filepath"):
                code = entry.get("return_code")
                place = ("/" + str(entry["filepath"]).lstrip("/"), code, bool(entry.get("truncated")))
                self._executed.setdefault(line, place)

    def _find(self, argv: Sequence[str]) -> tuple[str, Optional[int], bool]:
        line = _bare(" ".join(argv))
        if line in self._executed and self._there(self._executed[line][0]):
            return self._executed[line]
        patterns = ("*/" + mangle(argv), *KNOWN.get(line, ()))
        for pattern in patterns:
            for path in find(self._tree, "/sos_commands", pattern):
                known = next((place for place in self._executed.values() if place[0] == path), None)
                return known or (path, None, False)
        raise FileNotFoundError(errno.ENOENT, "the sosreport has no output of this command")

    def _there(self, path: str) -> bool:
        try:
            return self._tree.lookup(self._tree.resolve(path)).type == "file"
        except OSError:
            return False

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        path, code, truncated = self._find(argv)
        with self._tree.open(self._tree.resolve(path)) as stream:
            data, more = read_up_to(stream, OUTPUT_LIMIT)
        return Output(tuple(argv), data, code, truncated or more, path)

    def stream(self, argv: Sequence[str], timeout: float) -> AbstractContextManager[BinaryIO]:
        return self._tree.open_log(self._tree.resolve(self._find(argv)[0]))


class SosUsage(UsageSource):
    """How full filesystems were, from the output of df."""

    def __init__(self, commands: SosCommands, tree: Tree) -> None:
        self._commands = commands
        self._tree = tree

    def usage(self, path: str) -> Usage:
        text = self._commands.output(("df",), 0).text
        resolved = self._resolved(path)
        found = filesystem_of(resolved, parse_df(text))
        if found is None or not self._holds(found.mountpoint, resolved):
            raise FileNotFoundError(errno.ENOENT, f"df shows no filesystem for {path}")
        return Usage(found.size, found.available, found.used, found.mountpoint, found.source)

    def _resolved(self, path: str) -> str:
        """Return the path with its links resolved, as far as the report has them."""
        try:
            return self._tree.resolve(path)
        except OSError:
            pass
        try:
            target = self._tree.lookup(path).target or ""
        except OSError:
            return path
        return os.path.normpath(os.path.join(os.path.dirname(path), target))

    def _holds(self, mountpoint: str, path: str) -> bool:
        """Return whether no filesystem that df did not show, such as NFS, is mounted in between."""
        for table in MOUNTS:
            try:
                with self._tree.open(self._tree.resolve(table)) as stream:
                    text = text_of(read_up_to(stream, OUTPUT_LIMIT)[0])
            except OSError:
                continue
            between = [
                mount.mountpoint
                for mount in parse_mounts(text)
                if len(mount.mountpoint) > len(mountpoint) and f"{path}/".startswith(f"{mount.mountpoint}/")
            ]
            return not between
        return True


def is_sosreport(tree: Tree) -> bool:
    """Return whether the tree has the marks of a sosreport."""
    names = names_in(tree, "/")
    return MARKS[0] in names or len(names & set(MARKS)) >= 2


def sosreport_root(inner: Tree, where: str) -> Root:
    """Return a sosreport as a root.

    :param inner: the tree of the report, its top directory as ``/``
    """
    clock = _Clock.of(inner)
    tree = SosTree(with_tables(inner), clock)
    commands = SosCommands(tree)
    return Root(
        "sosreport",
        tree,
        commands=commands,
        usage=SosUsage(commands, tree),
        taken_at=clock.taken_at,
        where=where,
        notes=inner.damage_notes(),
    )


def wanted_members(paths: Sequence[str], commands: Sequence[Sequence[str]]) -> re.Pattern[str]:
    """Return a pattern of the members that collectors will ask for.

    :param paths: host paths and globs
    :param commands: command lines; any output of the same program is taken, since names drift
    """
    programs = {os.path.basename(argv[0]) for argv in commands} | {"ls", "df", "date", "timedatectl"}
    known = [os.path.basename(pattern) for names in KNOWN.values() for pattern in names]
    always = (MANIFEST, "/sos_commands/lastwords/*", "/var/tmp/lastwords-sos/*", "/version.txt", *MOUNTS)
    parts = [fnmatch.translate(path) for path in (*paths, *always)]
    parts += [fnmatch.translate(f"/sos_commands/*/{name}") for name in known]
    parts += [rf"/sos_commands/.*/{re.escape(program)}(?:[_.].*)?\Z" for program in sorted(programs)]
    parts.append(r"/sos_strings/.*\.tailed\Z")
    return re.compile("|".join(f"(?:{part})" for part in parts))


def members_of(paths: Sequence[str], commands: Sequence[Sequence[str]]) -> re.Pattern[str]:
    """Return a pattern of the members that hold files and the output of commands, and no others."""
    lines = {" ".join(argv): "*/" + mangle(argv) for argv in commands}
    names = [name for line, usual in lines.items() for name in (usual, *KNOWN.get(line, ()))]
    parts = [fnmatch.translate(path) for path in (*paths, *(f"/sos_commands/{name}" for name in names))]
    return re.compile("|".join(f"(?:{part})" for part in parts) or r"\Z\A.")


def find(tree: Tree, top: str, pattern: str) -> Iterator[str]:
    """Yield the sorted paths below *top* whose last two parts match ``folder/name``."""
    folder_pattern, _, name_pattern = pattern.rpartition("/")
    try:
        folders = tree.names(top)
    except OSError:
        return
    for folder in fnmatch.filter(folders, folder_pattern):
        try:
            names = tree.names(tree.resolve(join(top, folder)))
        except OSError:
            continue
        for name in fnmatch.filter(names, name_pattern):
            yield f"{top}/{folder}/{name}"


def _bare(line: str) -> str:
    """Return a command line without the directory of its program and the ``timeout`` before it."""
    line = re.sub(r"^(?:/\S*/)?timeout\s+(?:-\S+\s+)*\d+s?\s+", "", line.strip())
    return re.sub(r"^/\S*/", "", line)


def _listed_directory(path: str, executed: str) -> Optional[str]:
    """Return what an ``ls`` without headers listed: as it was executed, or by the name of its output.

    ``ls_-lan_.boot`` says /boot, but a dot of a name and a slash look the same there.
    """
    words = executed.split()
    if len(words) > 1 and words[-1].startswith("/"):
        return "/" + words[-1].strip("/")
    argument = re.search(r"_\.([\w.\-]+)$", path)
    return "/" + argument[1].replace(".", "/") if argument else None


def _manifest(tree: Tree) -> Any:
    """Return what sos tells of its run; None when it cannot be read."""
    try:
        with tree.open(tree.resolve(MANIFEST)) as stream:
            return json.loads(read_up_to(stream, OUTPUT_LIMIT)[0])
    except (OSError, ValueError, RecursionError):
        return None


def _started(tree: Tree) -> Optional[float]:
    """Return when sos was started, by its host's clock: seconds since the epoch, as if it were UTC."""
    try:
        moment = datetime.fromisoformat(_manifest(tree)["start_time"])
        return moment.replace(tzinfo=timezone.utc).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _manifest_commands(tree: Tree) -> Iterator[dict[str, Any]]:
    try:
        plugins = _manifest(tree)["components"]["report"]["plugins"].values()
    except (KeyError, AttributeError, TypeError):
        return
    for plugin in plugins:
        commands = plugin.get("commands") if isinstance(plugin, dict) else None
        for entry in commands if isinstance(commands, list) else ():
            if isinstance(entry, dict):
                yield entry


@dataclass(frozen=True)
class _Clock:
    """When a report was made, and how its host told the time."""

    taken_at: Optional[float]
    ahead: int = 0
    """Seconds that its zone was ahead of UTC; 0 when that is not known."""

    @classmethod
    def of(cls, tree: Tree) -> _Clock:
        """Return what date(1), timedatectl(1) and sos said, or else the time of a file that sos itself wrote.

        Not that of a copied file of /proc, which can be the time of the boot.
        """
        said = [found for path in DATES if (found := parse_date(_small(tree, path)))]
        utc = next((seconds for seconds, zone in said if zone == "UTC"), None)
        local = next((seconds for seconds, zone in said if zone != "UTC"), None)
        ahead: Optional[int] = None
        for path in find(tree, "/sos_commands", "*/timedatectl*"):
            ahead = parse_zone_offset(_small(tree, path)) if ahead is None else ahead
        if ahead is None and utc is not None and local is not None:
            ahead = round((local - utc) / 900) * 900
        if local is None:
            local = _started(tree)
        if utc is None and local is not None and ahead is not None:
            utc = local - ahead
        if utc is None:
            times = (_mtime(tree, path) for path in (*DATES, MANIFEST, "/version.txt", "/proc/uptime"))
            utc = next((mtime for mtime in times if mtime), None)
        return cls(utc, ahead or 0)


def _mtime(tree: Tree, path: str) -> Optional[float]:
    try:
        return tree.stat(path).mtime
    except OSError:
        return None


def _small(tree: Tree, path: str) -> str:
    """Return the start of a file as text; nothing when it cannot be read."""
    try:
        with tree.open(tree.resolve(path)) as stream:
            return text_of(read_up_to(stream, 4096)[0])
    except OSError:
        return ""
