"""What the root filesystem lies on, down to the drivers of its disks, and which of them each kernel has."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any, Optional

from lastwords.formats.boot.fstab import Mount, mounted_on
from lastwords.formats.boot.kconfig import BOOT as BOOT_OPTIONS
from lastwords.formats.boot.kconfig import parse_option
from lastwords.formats.boot.module_files import module_name, needed_by, parse_modules_dep, parse_softdep
from lastwords.formats.boot.storage_modules import BOOT_MODULES, kind_of
from lastwords.formats.system.lsblk import PciDevice, parse_lsblk, parse_lspci
from lastwords.roots.base import Root
from lastwords.roots.lines import Line

BLOCK = "/sys/class/block"
BTRFS = "/sys/fs/btrfs"
NETWORK = "/sys/class/net"
LSBLK = ("lsblk",)
LSPCI = ("lspci", "-nnvv")
MAX_DEVICES = 64
MAX_DRIVERS = 400
SOFTDEP_LIMIT = 256 << 10
STORAGE_READS = (
    f"{BLOCK}/*",
    f"{BLOCK}/*/slaves/*",
    f"{BLOCK}/*/dm/name",
    f"{BLOCK}/*/dm/uuid",
    f"{BLOCK}/*/md/level",
    f"{BTRFS}/*/devices/*",
    f"{NETWORK}/*",
    f"{NETWORK}/*/operstate",
    "/lib/modules/*/modules.builtin",
    "/lib/modules/*/modules.dep",
    "/lib/modules/*/modules.softdep",
    "/usr/lib/modules/*/modules.builtin",
    "/usr/lib/modules/*/modules.dep",
    "/usr/lib/modules/*/modules.softdep",
)


def root_device(root: Root, mounts: Optional[list[Mount]]) -> dict[str, Any]:
    """Return the filesystem mounted on / and the devices below it, the uppermost first."""
    mount = mounted_on("/", mounts) if mounts is not None else None
    facts: dict[str, Any] = {
        "source": mount.spec if mount else None,
        "type": mount.type if mount else None,
        "found_in": None,
        "devices": [],
    }
    if mount is None:
        return facts
    if mount.type in ("nfs", "nfs4"):
        cards = _network_devices(root)
        facts.update(found_in="sysfs" if cards else None, devices=cards)
        return facts
    top = _device_of(root, mount.spec)
    if top is not None:
        facts.update(found_in="sysfs", devices=_chain(root, _with_others(root, top)))
    elif root.kind != "live":
        devices = _from_lsblk(root, mount.spec)
        facts.update(found_in="lsblk" if devices else None, devices=devices)
    return facts


# -- sysfs -----------------------------------------------------------------------------------------


def _device_of(root: Root, spec: str) -> Optional[str]:
    """Return the kernel's name of a device, or None."""
    if not spec.startswith("/dev/"):
        return None
    name = spec[len("/dev/") :]
    if name.startswith("mapper/"):
        for path in root.glob(f"{BLOCK}/dm-*"):
            if (root.text(f"{path}/dm/name") or "").strip() == name[len("mapper/") :]:
                return path.rpartition("/")[2]
        return None
    if "/" in name:
        node = root.stat(spec, follow=False)
        name = node.target.rpartition("/")[2] if node and node.target else name
    return name if "/" not in name and root.stat(f"{BLOCK}/{name}", follow=False) else None


def _with_others(root: Root, top: str) -> list[str]:
    """Return the devices of a filesystem, of which *top* is one: btrfs may have several."""
    for path in root.glob(f"{BTRFS}/*/devices/{top}"):
        return [top, *(name for name in _names(root, posixpath.dirname(path)) if name != top)]
    return [top]


def _names(root: Root, folder: str) -> list[str]:
    """Return what is in a directory; seen one by one, so that it is part of the evidence."""
    return [posixpath.basename(path) for path in root.glob(f"{folder}/*") if root.stat(path, follow=False)]


def _chain(root: Root, tops: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting, seen = [*tops], {*tops}
    while waiting and len(found) < MAX_DEVICES:
        name = waiting.pop(0)
        device = _device(root, name)
        found.append(device)
        waiting += [each for each in device["parents"] if each not in seen]
        seen.update(device["parents"])
    return found


def _device(root: Root, name: str) -> dict[str, Any]:
    path = _real(root, f"{BLOCK}/{name}")
    slaves = _names(root, f"{BLOCK}/{name}/slaves")
    level = None
    kind = "disk"
    if name.startswith("dm-"):
        kind = kind_of((root.text(f"{BLOCK}/{name}/dm/uuid") or "").strip())
    elif name.startswith("md") and root.exists(f"{BLOCK}/{name}/md"):
        kind, level = "raid", (root.text(f"{BLOCK}/{name}/md/level") or "").strip() or None
    elif name.startswith("loop"):
        kind = "loop"
    elif path and root.exists(f"{BLOCK}/{name}/partition"):
        kind, slaves = "part", [path.split("/")[-2]]
    drivers = _drivers(root, path) if path and kind == "disk" else []
    return {"name": name, "kind": kind, "level": level, "parents": slaves, "drivers": drivers}


def _drivers(root: Root, path: str) -> list[str]:
    """Return the modules of the drivers from a disk up to its controller and bus.

    A driver that is part of the kernel has no module, or names one that modules.builtin knows.
    """
    found: list[str] = []
    while path.startswith("/sys/devices/"):
        node = root.stat(f"{path}/driver/module", follow=False)
        if node is not None and node.target:
            name = module_name(node.target)
            if name not in found:
                found.append(name)
        path = path.rpartition("/")[0]
    return found


def _network_devices(root: Root) -> list[dict[str, Any]]:
    """Return the network devices that are up and have a driver: that way a root on NFS is reached."""
    found = []
    for path in root.glob(f"{NETWORK}/*"):
        real = _real(root, path)
        drivers = _drivers(root, real) if real else []
        if drivers and (root.text(f"{path}/operstate") or "").strip() != "down":
            name = path.rpartition("/")[2]
            found.append({"name": name, "kind": "net", "level": None, "parents": [], "drivers": drivers})
    return found[:MAX_DEVICES]


def _real(root: Root, path: str) -> Optional[str]:
    node = root.stat(path, follow=False)
    if node is None or node.target is None:
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), node.target))


# -- lsblk -----------------------------------------------------------------------------------------


def _from_lsblk(root: Root, source: str) -> list[dict[str, Any]]:
    output = root.run(LSBLK)
    blocks = parse_lsblk(output.text) if output else []
    wanted = {source.rpartition("/")[2]}
    tops = [index for index, block in enumerate(blocks) if "/" in block.mounts or block.name in wanted]
    pci = _storage_controllers(root) if tops else []
    found: dict[str, dict[str, Any]] = {}
    for top in tops:
        at: Optional[int] = top
        while at is not None and len(found) < MAX_DEVICES:
            block = blocks[at]
            raid = block.type.startswith(("raid", "linear"))
            device = found.setdefault(
                block.name,
                {
                    "name": block.name,
                    "kind": "raid" if raid else block.type,
                    "level": block.type if raid else None,
                    "parents": [],
                    "drivers": _pci_drivers(root, block.name, pci) if block.type == "disk" else [],
                },
            )
            at = block.parent
            if at is not None and blocks[at].name not in device["parents"]:
                device["parents"].append(blocks[at].name)
    return list(found.values())


def _storage_controllers(root: Root) -> list[PciDevice]:
    output = root.run(LSPCI)
    return [each for each in parse_lspci(output.text if output else "") if each.class_code.startswith("01")]


def _pci_drivers(root: Root, name: str, controllers: list[PciDevice]) -> list[str]:
    """Return the driver of a disk's controller: the one on its path, or the only one that there is."""
    path = _real(root, f"{BLOCK}/{name}") or _real(root, f"/sys/block/{name}")
    mine = [each for each in controllers if path and f"{each.slot}/" in path + "/"]
    if not mine and path is None and len(controllers) == 1:
        mine = controllers
    return [module_name(module) for each in mine for module in (each.modules[:1] or (each.driver,))]


# -- what each kernel has --------------------------------------------------------------------------


def drivers_of(root: Root, folder: str, names: Iterable[str]) -> Optional[list[dict[str, Any]]]:
    """Return how a kernel has each of the modules that booting may depend on; None when it does not tell.

    :param folder: its modules directory
    :param names: further modules to tell of
    """
    wanted = BOOT_MODULES | set(names)
    builtin = _builtin(root, f"{folder}/modules.builtin", wanted)
    lines: dict[str, Line] = {}
    try:
        for line in root.lines(f"{folder}/modules.dep"):
            text = line.text
            lines[module_name(text.partition(":")[0])] = line
    except OSError:
        pass
    table = parse_modules_dep(line.text for line in lines.values())
    if not table and builtin is None:
        return None
    # An alias or what is built in is in no file of its own: the table tells which of them are modules.
    soft = parse_softdep((root.text(f"{folder}/modules.softdep", SOFTDEP_LIMIT) or "").splitlines())
    dependencies = {
        name: [*needed, *(each for each in soft.get(name, ()) if each in table)]
        for name, (_, needed) in table.items()
    }
    found = []
    kept: dict[int, Line] = {}
    for name in sorted(wanted):
        needed = needed_by(name, dependencies) if name in table else []
        if name in table:
            kept.update({lines[each].number: lines[each] for each in (name, *needed) if each in lines})
        how = "module" if name in table else "builtin" if builtin and name in builtin else None
        if how is None and not (table and builtin is not None):
            continue  # not known: one of the two lists is missing
        found.append({"name": name, "how": how, "path": table[name][0] if name in table else None,
                      "needs": needed})  # fmt: skip
    if kept:
        root.keep(f"{folder}/modules.dep", [kept[number] for number in sorted(kept)])
    return found[:MAX_DRIVERS]


def options_of(root: Root, path: str) -> Optional[dict[str, str]]:
    """Return the options that booting may depend on of a kernel's configuration, None where it tells none."""
    found: dict[str, str] = {}
    kept: list[Line] = []
    try:
        for line in root.lines(path):
            option = parse_option(line.text)
            if option and option[0] in BOOT_OPTIONS:
                found[option[0]] = option[1]
                kept.append(line)
    except OSError:
        pass  # noted as evidence
    if kept:
        root.keep(path, kept)
    return found or None


def _builtin(root: Root, path: str, wanted: Iterable[str]) -> Optional[set[str]]:
    """Return which of the wanted modules are part of the kernel image; None when that is not told."""
    found: set[str] = set()
    kept: list[Line] = []
    first: Optional[Line] = None
    try:
        for line in root.lines(path):
            first = first or line
            name = module_name(line.text.strip())
            if name in wanted:
                found.add(name)
                kept.append(line)
    except OSError:
        return None
    if first is None:
        return None
    # That nothing of it is built in is to be seen in the evidence too: by a line that says something else.
    root.keep(path, kept or [first])
    return found
