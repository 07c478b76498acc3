"""Where kdump saves a dump, from the configuration of each family of distributions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.kdump.conf import FILESYSTEMS, Directive
from lastwords.formats.system.shell_vars import Assignment

DEFAULT_PATH = "/var/crash"
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<rest>.*)", re.DOTALL)
_REMOTE = ("ftp", "sftp", "ssh", "nfs", "cifs")


@dataclass(frozen=True)
class Target:
    """One place a dump goes to."""

    type: str
    """``local`` (a directory of this host), ``device`` (a filesystem on a device of its own), ``raw``,
    ``nfs``, ``ssh``, ``ftp``, ``sftp``, ``cifs``, ``virtiofs``, ``mount`` (what dracut is told to mount)
    or ``unknown``."""
    device: Optional[str]
    """Device, export, or server, as configured; None for ``local``."""
    path: Optional[str]
    """Directory the dumps go to: of the host for ``local``, below the top of the target otherwise."""
    fstype: Optional[str]
    """Type of filesystem, where the configuration names it."""
    line: Optional[int]
    """Where it is configured; None when it is the default."""
    setting: Optional[str]
    """The directive or variable; None when it is the default."""


def kdump_conf_targets(directives: Sequence[Directive]) -> list[Target]:
    """Return the targets of kdump.conf in order; kdumpctl refuses more than one. None named: local.

    Source: kdump.conf(5).

    >>> from lastwords.formats.kdump.conf import parse_kdump_conf
    >>> kdump_conf_targets(parse_kdump_conf("path /dumps\\next4 UUID=0318-5e61"))
    [Target(type='device', device='UUID=0318-5e61', path='/dumps', fstype='ext4', line=2, setting='ext4')]
    """
    named = next((each for each in reversed(directives) if each.name == "path" and each.value), None)
    path = named.value if named else DEFAULT_PATH
    found = []
    for each in directives:
        name, value = each.name, each.value
        if name in FILESYSTEMS:
            found.append(Target("device", value, path, name, each.line, name))
        elif name == "raw":
            found.append(Target("raw", value, None, None, each.line, name))
        elif name in ("nfs", "ssh", "virtiofs"):
            found.append(Target(name, value, path, None, each.line, name))
        elif name == "dracut_args" and "--mount" in value:
            words = value.partition("--mount")[2].lstrip(" =").strip("\"'").split()
            fstype = words[2].strip("\"'") if len(words) > 2 else None
            found.append(Target("mount", words[0] if words else None, path, fstype, each.line, name))
    return found or [
        Target("local", None, path, None, *((named.line, named.name) if named else (None, None)))
    ]


def debian_targets(values: Mapping[str, Assignment]) -> list[Target]:
    """Return the targets of /etc/default/kdump-tools in the order in which they are tried.

    Several can be set at once; with NFS the export is mounted on KDUMP_COREDIR by the capture kernel.
    Source: kdump-tools(5), ``savecore`` in kdump-config (kdump-tools 1.8).
    """
    directory = values["KDUMP_COREDIR"].value if "KDUMP_COREDIR" in values else ""
    directory = directory or DEFAULT_PATH
    found = []
    for name, kind in (("FTP", "ftp"), ("SSH", "ssh"), ("NFS", "nfs")):
        each = values.get(name)
        if each is None or not each.value:
            continue
        if kind == "ftp":
            server, _, path = each.value.partition(":")
            found.append(Target(kind, server, path or "/", None, each.line, name))
        elif kind == "ssh":
            found.append(Target(kind, each.value, directory, None, each.line, name))
        else:
            found.append(Target(kind, each.value, "/", None, each.line, name))
    if found:
        return found
    each = values.get("KDUMP_COREDIR")
    if each is None:
        return [Target("local", None, directory, None, None, None)]
    return [Target("local" if each.literal else "unknown", None, directory, None, each.line, each.name)]


def suse_targets(values: Mapping[str, Assignment]) -> list[Target]:
    """Return the target of SUSE's /etc/sysconfig/kdump: KDUMP_SAVEDIR, a URL or a plain path.

    Source: kdump(5) of SUSE, "URL FORMAT".

    >>> suse_targets({"KDUMP_SAVEDIR": Assignment(9, "KDUMP_SAVEDIR", "nfs://nas/export/crash", True)})
    [Target(type='nfs', device='nas', path='/export/crash', fstype=None, line=9, setting='KDUMP_SAVEDIR')]
    """
    each = values.get("KDUMP_SAVEDIR")
    if each is None or not each.value:
        return [Target("local", None, DEFAULT_PATH, None, None, None)]
    if not each.literal:
        return [Target("unknown", None, each.value, None, each.line, each.name)]
    match = _URL.match(each.value)
    if match is None or match["scheme"] == "file":
        path = match["rest"] if match else each.value
        return [Target("local", None, path, None, each.line, each.name)]
    server, slash, path = match["rest"].partition("/")
    kind = match["scheme"] if match["scheme"] in _REMOTE else "unknown"
    return [Target(kind, server, slash + path or "/", None, each.line, each.name)]
