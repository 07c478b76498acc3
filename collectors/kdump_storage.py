"""What a filesystem lies on: the drivers and the encryption that stand between the kernel and its files."""

from __future__ import annotations

from typing import Any, Optional

from lastwords.formats.boot.fstab import Mount
from lastwords.roots.base import Root, join

BLOCK = "/sys/class/block"
DEVICES = "/sys/devices"
READS = (BLOCK + "/*", BLOCK + "/*/slaves/*", BLOCK + "/*/dm/uuid", DEVICES + "/**/driver/module")
MAX_DEVICES = 64
"""Devices below one filesystem that are looked at; a large array has some dozens."""
MAX_DEPTH = 24
"""Folders of /sys/devices above one device."""


def storage_of(root: Root, mount: Mount) -> Optional[dict[str, Any]]:
    """Return what the filesystem of a mount lies on, or None when it is on no block device, or not known.

    ``modules`` are those of the drivers of every device below it, down to the bus: what an initramfs must
    hold to reach it, as far as they are not built in.
    """
    if not mount.spec.startswith("/dev/"):
        return None
    link = root.stat(mount.spec, follow=False)
    first = ((link.target if link else None) or mount.spec).rpartition("/")[2]
    devices: list[str] = []
    modules: list[str] = []
    kinds: list[str] = []
    waiting = [first]
    while waiting and len(devices) < MAX_DEVICES:
        name = waiting.pop(0)
        if name in devices:
            continue
        node = root.stat(join(BLOCK, name), follow=False)
        if node is None:
            return None
        devices.append(name)
        modules += [each for each in _modules(root, node.target or "") if each not in modules]
        uuid = root.text(f"{BLOCK}/{name}/dm/uuid", 256) if name.startswith("dm-") else None
        if uuid:
            kinds.append("-".join(uuid.split("-")[:2] if uuid.startswith("CRYPT-") else uuid.split("-")[:1]))
        slaves = root.listdir(f"{BLOCK}/{name}/slaves") if name.startswith(("dm-", "md")) else None
        waiting += [each.name for each in slaves or ()]
    return {
        "mountpoint": mount.file,
        "mounted": mount.spec,
        "type": mount.type,
        "devices": devices,
        "modules": modules,
        "mappings": kinds,
    }


def _modules(root: Root, target: str) -> list[str]:
    """Return the modules of the drivers from a block device up to its bus.

    *target* is where the link in /sys/class/block points: ``../../devices/pci0000:00/.../block/vda/vda1``.
    """
    found = []
    parts = target.partition("devices/")[2].split("/")
    for depth in range(min(len(parts), MAX_DEPTH), 0, -1):
        node = root.stat("/".join((DEVICES, *parts[:depth], "driver/module")), follow=False)
        if node is not None and node.target:
            found.append(node.target.rpartition("/")[2].replace("-", "_"))
    return found
