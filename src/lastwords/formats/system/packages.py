"""Lists of installed packages, as dpkg and rpm keep or print them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Optional

_LISTED = re.compile(r"[uihrp](?P<state>[iUFHWt])[R ]\s*(?P<name>[^\s:]+)(?::\S+)?\s+(?P<version>\S+)")
_STATES = {
    "i": "installed",
    "U": "unpacked",
    "F": "half-configured",
    "H": "half-installed",
    "W": "triggers-awaited",
    "t": "triggers-pending",
}


@dataclass(frozen=True)
class Package:
    """One package of which files are on the host."""

    name: str
    version: str
    """With epoch, release and (rpm) architecture, as the tool writes it."""
    status: Optional[str]
    """dpkg's word: ``installed``, ``half-configured`` ...; None for rpm, which knows no other state."""


def parse_dpkg_status(lines: Iterable[str], names: Collection[str]) -> Iterator[Package]:
    """Yield the packages called *names* of ``/var/lib/dpkg/status`` that are not removed.

    Source: dpkg(1) "Package states", deb822(5).

    >>> text = "Package: makedumpfile\\nStatus: install ok installed\\nVersion: 1:1.7.2-1\\n\\nPackage: vim"
    >>> list(parse_dpkg_status(text.split("\\n"), {"makedumpfile"}))
    [Package(name='makedumpfile', version='1:1.7.2-1', status='installed')]
    """
    paragraph: dict[str, str] = {}
    for line in chain(lines, ("Package: ",)):
        field, colon, value = line.partition(": ")
        if field == "Package" and colon:
            status = (paragraph.get("Status", "").split() or [""])[-1]
            if paragraph.get("Package") in names and status not in ("", "not-installed", "config-files"):
                yield Package(paragraph["Package"], paragraph.get("Version", ""), status)
            paragraph = {}
        if field in ("Package", "Status", "Version"):
            paragraph.setdefault(field, value.strip())


def parse_dpkg_list(lines: Iterable[str], names: Collection[str]) -> Iterator[Package]:
    """Yield the packages called *names* of the output of ``dpkg -l`` that are not removed.

    >>> list(parse_dpkg_list(["ii  kexec-tools:amd64  1:2.0.25-3  amd64  tools to boot"], {"kexec-tools"}))
    [Package(name='kexec-tools', version='1:2.0.25-3', status='installed')]
    """
    for line in lines:
        match = _LISTED.match(line)
        if match and match["name"] in names:
            yield Package(match["name"], match["version"], _STATES[match["state"]])


def parse_rpm_list(lines: Iterable[str], names: Collection[str]) -> Iterator[Package]:
    """Yield the packages called *names* of ``rpm -q`` or ``rpm -qa`` output; more may follow on a line.

    >>> list(parse_rpm_list(["package kdump-utils is not installed", "kexec-tools-2.0.26-14.el9_4.x86_64"],
    ...     {"kexec-tools", "kdump-utils"}))
    [Package(name='kexec-tools', version='2.0.26-14.el9_4.x86_64', status=None)]
    """
    for line in lines:
        match = re.match(r"(?P<name>[\w.+-]+?)-(?P<version>[^\s-]+-[^\s-]+)(?=\s|~~|$)", line)
        if match and match["name"] in names:
            yield Package(match["name"], match["version"], None)
