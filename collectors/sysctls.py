"""Kernel settings of a root: what the running kernel has, and what the next boot will set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

from lastwords.collectors.listing import NOTHING, ConfDirs, target_of
from lastwords.formats.boot.cmdline import parse_cmdline
from lastwords.formats.system.sysctl_d import (
    Setting,
    canonical_key,
    effective,
    is_glob_for,
    parse_sysctl,
    parse_sysctl_output,
    same_value,
    typed,
)
from lastwords.roots.base import Root

SYSCTL = ("sysctl", "-a")
SYSCTL_CONF = "/etc/sysctl.conf"
DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
SYSTEMD_SYSCTL = ("/usr/lib/systemd/systemd-sysctl", "/lib/systemd/systemd-sysctl")
SUSE_FILES = (
    "/boot/sysctl.conf-{release}",
    "/usr/lib/modules/{release}/sysctl.conf",
    "/lib/modules/{release}/sysctl.conf",
)
"""Of the running kernel's flavour; SUSE's systemd-sysctl.service reads the first before all others."""
FILES = (
    SYSCTL_CONF,
    *(f"{directory}/*" for directory in DIRECTORIES),
    *(path.format(release="*") for path in SUSE_FILES),
    *SYSTEMD_SYSCTL,
    "/proc/1/comm",
    "/proc/cmdline",
)
"""All that :class:`Persisted` reads."""


class Runtime:
    """Values of /proc/sys; where a root that is not live lacks a file, those that ``sysctl -a`` printed."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._printed: Optional[dict[str, str]] = None

    def text(self, key: str) -> Optional[str]:
        """Return a value as the kernel shows it; None when it has none, or none that can be read."""
        text = self._root.text("/proc/sys/" + key.replace(".", "/"))
        if text is None and self._root.kind != "live":
            if self._printed is None:
                output = self._root.run(SYSCTL)
                self._printed = parse_sysctl_output(output.text) if output else {}
            text = self._printed.get(key)
        return text

    def value(self, key: str) -> Union[int, str, None]:
        """Return a value as an integer where it is one."""
        text = self.text(key)
        return None if text is None else typed(text)


class Persisted:
    """All settings that the next boot reads, in the order in which it does.

    First come those on the kernel command line (``sysctl.KEY=``, Linux 5.8), then SUSE's file of the
    kernel flavour, then sysctl.d(5). systemd reads /etc/sysctl.conf only through a link in sysctl.d
    (mostly 99-sysctl.conf), in the place of that link's name; every other init has sysctl(8) read it
    last of all.
    """

    def __init__(self, root: Root, release: Optional[str]) -> None:
        self._root = root
        self.settings: list[Setting] = []
        self.files: list[dict[str, Any]] = []
        """In order: ``path``, ``link`` (where it leads), ``hides``, ``state`` (read, masked, unreadable)."""
        self._add_command_line()
        self._add_suse(release)
        conf_dirs = ConfDirs(root, DIRECTORIES)
        self.known = conf_dirs.known
        linked = False
        for chosen in conf_dirs.chosen:
            place = conf_dirs.place(chosen.path)
            linked = linked or place == SYSCTL_CONF
            self._add_file(chosen.path, place, chosen.hides)
        self.sysctl_conf = self._add_sysctl_conf(linked)

    def _add_command_line(self) -> None:
        text = self._root.text("/proc/cmdline")
        for parameter in parse_cmdline(text or "").parameters:
            if parameter.key.startswith("sysctl.") and parameter.value is not None:
                key = canonical_key(parameter.key[len("sysctl.") :])
                self.settings.append(Setting(key, parameter.value, 1, False, "/proc/cmdline"))

    def _add_suse(self, release: Optional[str]) -> None:
        for path in SUSE_FILES if release else ():
            node = self._root.stat(path.format(release=release), follow=False)
            if node:
                self._add_file(node.path, target_of(self._root, node), ())
                return

    def _add_file(self, path: str, place: Optional[str], hides: Sequence[str]) -> None:
        text = "" if place == NOTHING else self._root.text(place or path)
        self.files.append(
            {
                "path": path,
                "link": place if place != path else None,
                "hides": list(hides),
                "state": "masked" if place == NOTHING else "unreadable" if text is None else "read",
            }
        )
        self.settings += parse_sysctl(text or "", path)

    def _add_sysctl_conf(self, linked: bool) -> str:
        """Return what part /etc/sysctl.conf has: linked, last, ignored, absent or unknown."""
        if linked:
            return "linked"
        node = self._root.stat(SYSCTL_CONF, follow=False)
        if node is None:
            return "absent" if self._root.exists(SYSCTL_CONF) is False else "unknown"
        if self._systemd():
            return "ignored"
        self._add_file(SYSCTL_CONF, target_of(self._root, node), ())
        return "last"

    def _systemd(self) -> bool:
        if any(self._root.exists(path) for path in SYSTEMD_SYSCTL):
            return True
        return (self._root.text("/proc/1/comm") or "").strip() == "systemd"

    def of(self, key: str) -> tuple[Optional[Setting], list[Setting]]:
        """Return the setting of a key that counts, and all that name it, in order."""
        all_of_it = [each for each in self.settings if each.key == key or is_glob_for(each.key, key)]
        return effective(all_of_it, key), all_of_it


def compare(runtime: Runtime, persisted: Persisted, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return by key what the kernel has, what is persisted, and whether the two differ."""
    found = {}
    for key in keys:
        now = runtime.value(key)
        counts, settings = persisted.of(key)
        differs = None
        if counts is not None and counts.value is not None and now is not None:
            differs = not same_value(counts.value, now)
        found[key] = {
            "runtime": now,
            "persisted": _place(counts) if counts else None,
            "assignments": [
                {
                    **_place(each),
                    "pattern": each.key if each.key != key else None,
                    "effective": each is counts,
                }
                for each in settings
            ],
            "differs": differs,
        }
    return found


def _place(setting: Setting) -> dict[str, Any]:
    return {
        "value": setting.value,
        "file": setting.file,
        "line": setting.line,
        "ignore_errors": setting.ignore_errors,
    }
