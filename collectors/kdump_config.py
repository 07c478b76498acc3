"""Reads how kdump is configured and where its dumps go. Shared by the collectors that need to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Optional

from lastwords.formats.boot.fstab import Mount, parse_fstab
from lastwords.formats.kdump.conf import parse_kdump_conf
from lastwords.formats.kdump.target import Target, debian_targets, kdump_conf_targets, suse_targets
from lastwords.formats.system.shell_vars import Assignment, last_values, parse_shell_vars
from lastwords.roots.base import Root

KDUMP_CONF = "/etc/kdump.conf"
SYSCONFIG = "/etc/sysconfig/kdump"
KDUMP_TOOLS = "/etc/default/kdump-tools"
GRUB_DROP_IN = "/etc/default/grub.d/kdump-tools.cfg"
FILES = (KDUMP_CONF, SYSCONFIG, KDUMP_TOOLS, GRUB_DROP_IN)
MOUNTS = ("/proc/self/mounts", "/proc/mounts")

CRASH = "/var/crash"
ABRT = ("/var/spool/abrt", "/var/tmp/abrt")

NETWORK = ("nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.glusterfs", "fuse.sshfs", "9p", "afs", "lustre")
"""Filesystems whose server may be gone: a look at them may never return."""

SSH_KEY = "/root/.ssh/kdump_id_rsa"
"""The key that kdumpctl and kdump-config take when none is named."""
NAMING = {
    "rhel": ("sshkey", "kdump_pre", "kdump_post", "extra_bins"),
    "debian": ("SSH_KEY",),
    "suse": ("KDUMP_SSH_IDENTITY", "KDUMP_PRESCRIPT", "KDUMP_POSTSCRIPT"),
}
"""Settings whose value is paths; where one is not there kdumpctl refuses to start."""

_LIMIT = 1 << 18
"""Bytes of a configuration file that are read: the real ones have a tenth of it."""


@dataclass
class KdumpConfig:
    """What the configuration files say."""

    family: Optional[str] = None
    """``rhel``, ``debian``, ``suse``, or None when no configuration was found."""
    files: list[dict[str, Any]] = field(default_factory=list)
    """As the facts show them."""
    values: Mapping[str, Assignment] = field(default_factory=dict)
    """Variables of the family's shell file."""
    target_file: Optional[str] = None
    """The file that says where dumps go."""
    targets: Optional[list[Target]] = None
    """None when there is no configuration or it cannot be read."""


def read_config(root: Root) -> KdumpConfig:
    """Return the configuration of whichever family's tools are there."""
    config = KdumpConfig()
    directives = None
    values: dict[str, dict[str, Assignment]] = {}
    for path in FILES:
        node = root.stat(path)
        if node is None:
            continue
        text = root.text(path, _LIMIT)
        entry: dict[str, Any] = {
            "path": path,
            "syntax": "directives" if path == KDUMP_CONF else "shell",
            "mtime": node.mtime,
            "entries": None,
            "others": None,
        }
        config.files.append(entry)
        if text is None:
            continue
        if path == KDUMP_CONF:
            directives = parse_kdump_conf(text)
            entry["entries"] = [asdict(each) for each in directives]
            entry["others"] = []
            continue
        assignments, others = parse_shell_vars(text)
        entry["entries"] = [_shown(each) for each in assignments]
        entry["others"] = [asdict(each) for each in others]
        values[path] = last_values(assignments)

    there = {entry["path"] for entry in config.files}
    if KDUMP_CONF in there and "KDUMP_SAVEDIR" not in values.get(SYSCONFIG, {}):
        config.family, config.target_file = "rhel", KDUMP_CONF
        config.values = values.get(SYSCONFIG, {})
        config.targets = None if directives is None else kdump_conf_targets(directives)
    elif KDUMP_TOOLS in there:
        config.family, config.target_file = "debian", KDUMP_TOOLS
        config.values = values.get(KDUMP_TOOLS, {})
        config.targets = debian_targets(config.values) if KDUMP_TOOLS in values else None
    elif SYSCONFIG in there:
        config.family, config.target_file = "suse", SYSCONFIG
        config.values = values.get(SYSCONFIG, {})
        config.targets = suse_targets(config.values) if SYSCONFIG in values else None
    return config


def read_mounts(root: Root) -> Optional[list[Mount]]:
    """Return what is mounted, or None when the root does not tell."""
    for path in MOUNTS:
        text = root.text(path)
        if text is not None:
            return parse_fstab(text)
    return None


def directory_of(root: Root, target: Target, mounts: Optional[Sequence[Mount]]) -> Optional[str]:
    """Return the directory of this host in which the target's dumps can be seen now; None when in none.

    Looks at the table of mounts and at links below /dev only, never at the target itself.
    """
    if target.type == "local":
        return _normal(target.path)
    device, path = target.device or "", target.path or ""
    if target.type in ("nfs", "cifs"):
        # "server:/export" and a path below it (RHEL, Debian), or "server" and the whole path (SUSE).
        place = device + path if ":/" in device else f"{device}:{path}"
        place = f"//{device}{path}" if target.type == "cifs" else place
        return _mounted_below(place.rstrip("/"), target.type, mounts)
    if target.type in ("device", "virtiofs", "mount") and device:
        found = next((each for each in reversed(mounts or ()) if _same_device(root, each.spec, device)), None)
        return _normal(f"{found.file}/{path}") if found else None
    return None


def dump_directories(root: Root, config: KdumpConfig, mounts: Optional[Sequence[Mount]]) -> dict[str, str]:
    """Return the directories that may hold dumps, and why: ``default``, ``configured``, ``abrt``.

    Those on another machine come last: a server that is gone must not cost the local ones.
    """
    places = {CRASH: "default"}
    for target in config.targets or ():
        directory = directory_of(root, target, mounts)
        if directory:
            places[directory] = "configured"
    places.update((folder, "abrt") for folder in ABRT)
    near_first = sorted(places, key=lambda path: is_network(mount_of(path, mounts)))
    return {path: places[path] for path in near_first}


def mount_of(path: str, mounts: Optional[Sequence[Mount]]) -> Optional[Mount]:
    """Return the mount that holds *path*: the longest mount point above it, the last one of equals."""
    real = [each for each in mounts or () if each.type not in ("rootfs", "autofs")]
    held = [each for each in real if (path + "/").startswith(each.file.rstrip("/") + "/")]
    return max(reversed(held), key=lambda each: len(each.file)) if held else None


def is_network(mount: Optional[Mount]) -> bool:
    """Return whether the mount depends on another machine."""
    return mount is not None and mount.type in NETWORK


def named_paths(config: KdumpConfig) -> list[dict[str, Any]]:
    """Return every file that the configuration names and that must be there, and the key that ssh needs."""
    wanted = NAMING.get(config.family or "", ())
    found = [
        {"setting": entry["name"], "file": each["path"], "line": entry["line"], "path": path}
        for each in config.files
        for entry in each["entries"] or ()
        if entry["name"] in wanted and entry["status"] in ("known", "literal")
        for path in entry["value"].split()
        if path.startswith("/")
    ]
    ssh = any(target.type == "ssh" for target in config.targets or ())
    named = any(each["setting"] in ("sshkey", "SSH_KEY", "KDUMP_SSH_IDENTITY") for each in found)
    if ssh and not named and config.family in ("rhel", "debian"):
        found.append({"setting": None, "file": config.target_file, "line": None, "path": SSH_KEY})
    return found


def _mounted_below(place: str, kind: str, mounts: Optional[Sequence[Mount]]) -> Optional[str]:
    best: Optional[Mount] = None
    for each in mounts or ():
        spec = each.spec.rstrip("/")
        if not (each.type.startswith(kind) and (place + "/").startswith(spec + "/")):
            continue
        if best is None or len(spec) >= len(best.spec.rstrip("/")):
            best = each
    return _normal(best.file + place[len(best.spec.rstrip("/")) :]) if best else None


def _same_device(root: Root, mounted: str, configured: str) -> bool:
    name = configured.strip("\"'")
    tag, equals, value = name.partition("=")
    folder = {"UUID": "uuid", "LABEL": "label", "PARTUUID": "partuuid", "PARTLABEL": "partlabel"}.get(tag)
    if equals and folder:
        value = value.strip("\"'")
        name = f"/dev/disk/by-{folder}/{value}"
    if mounted == name:
        return True
    if not (mounted.startswith("/dev/") and name.startswith("/dev/")):
        return False
    return _node_name(root, mounted) == _node_name(root, name)


def _node_name(root: Root, device: str) -> str:
    """Return the last part of the device's own name: of what its link, if it is one, points to."""
    node = root.stat(device, follow=False)
    return ((node.target if node else None) or device).rpartition("/")[2]


def _normal(path: Optional[str]) -> Optional[str]:
    parts = [part for part in (path or "").split("/") if part not in ("", ".")]
    return "/" + "/".join(parts) if parts else None


def _shown(each: Assignment) -> dict[str, Any]:
    return {
        "line": each.line,
        "name": each.name,
        "value": each.value,
        "status": "literal" if each.literal else "unresolved",
    }
