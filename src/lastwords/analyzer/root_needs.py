"""What an early userspace needs to mount this machine's root, and what of it an image lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from lastwords.formats.boot.cmdline import parse_cmdline
from lastwords.formats.boot.fstab import nfs_version_of
from lastwords.formats.boot.storage_modules import (
    BUSES,
    FILESYSTEMS,
    KINDS,
    NFS_VERSIONS,
    PROGRAMS,
    RAID_LEVELS,
    disk_module,
)
from lastwords.model import Facts

_RD = {
    "rd.lvm.lv": "lvm",
    "rd.lvm.vg": "lvm",
    "rd.luks.uuid": "crypt",
    "rd.luks.name": "crypt",
    "rd.md.uuid": "raid",
}
"""Parameters of dracut and systemd that name what the root is made of."""


@dataclass(frozen=True)
class Need:
    """Something without which the root cannot be mounted."""

    module: Optional[str]
    """A kernel module, or None for a program."""
    programs: tuple[str, ...]
    """Programs of which one will do; none for a module."""
    why: str
    """Ends "It is needed for ..."."""
    certain: bool = True
    """Whether every kernel that can boot this machine has a module of that name."""
    instead: tuple[str, ...] = ()
    """Modules of which one will do as well."""


def needs_of_root(boot: Facts) -> list[Need]:
    """Return what the root needs, as far as the facts of the collector ``boot`` tell."""
    found: dict[object, Need] = {}

    def module(name: Optional[str], why: str, *, certain: bool = True) -> None:
        if name is not None:
            found.setdefault(name, Need(name, (), why, certain))

    def programs(kind: str, why: str) -> None:
        if kind in PROGRAMS:
            found.setdefault(PROGRAMS[kind], Need(None, PROGRAMS[kind], why))

    storage = boot["root_device"]
    entry = next((each for each in boot["fstab"] or () if each["file"] == "/"), None)
    kind = storage["type"] if storage["type"] in FILESYSTEMS else entry["type"] if entry else None
    module(FILESYSTEMS.get(kind or ""), f"the root filesystem, {kind}")
    if kind in ("nfs", "nfs4"):
        mounted = storage["type"] == kind
        options = boot["filesystems"]["root"]["options"] if mounted else entry["options"] if entry else None
        version = nfs_version_of(kind, options)
        module(NFS_VERSIONS.get((version or "")[:1]), f"a root on NFS {version}", certain=False)
        programs("nfs", "a root on NFS")
        cards = [each for each in storage["devices"] if each["kind"] == "net"]
        for need in _network(cards):
            found.setdefault(need.module, need)
    for device in storage["devices"]:
        name = device["name"]
        if device["kind"] in KINDS:
            module(KINDS[device["kind"]], f"{name}, a device of kind {device['kind']}")
            module(RAID_LEVELS.get(device["level"] or ""), f"{name}, a {device['level']}")
            programs(device["kind"], f"{name}, a device of kind {device['kind']}")
        elif device["kind"] == "disk":
            module(disk_module(name), f"the disk {name}")
            for driver in device["drivers"]:
                module(driver, f"the disk {name}", certain=False)
    if not storage["devices"]:
        _by_names(boot, entry, module, programs)
        for disk in [need.module for need in found.values() if need.module in BUSES]:
            bus, *others = BUSES[disk]
            found[bus] = Need(bus, (), f"the bus of a disk that {disk} drives", False, tuple(others))
    return list(found.values())


def _network(cards: Sequence[Mapping[str, Any]]) -> Iterator[Need]:
    """Yield the drivers of the network devices; of several devices one will do, and which is not known."""
    if len(cards) == 1:
        for driver in cards[0]["drivers"]:
            yield Need(driver, (), f"the network device {cards[0]['name']}", certain=False)
    elif cards:
        first, *others = dict.fromkeys(each["drivers"][0] for each in cards)
        names = ", ".join(each["name"] for each in cards)
        yield Need(first, (), f"one of the network devices {names}", False, tuple(others))


def _by_names(boot: Facts, entry: Optional[Mapping[str, Any]], module: Any, programs: Any) -> None:
    """Add what names of devices tell where the devices themselves are not to be seen."""
    spec = storage if (storage := boot["root_device"]["source"]) else entry["spec"] if entry else ""
    module(disk_module(spec), f"the disk {spec}")
    if spec.startswith("/dev/mapper/"):
        module("dm_mod", spec)
    options = ((boot["default_entry"] or {}).get("resolved") or {}).get("options") or ""
    for parameter in parse_cmdline(options).parameters:
        kind = _RD.get(parameter.key)
        if kind and parameter.value:
            module(KINDS[kind], f"{parameter.key}={parameter.value}")
            programs(kind, f"{parameter.key}={parameter.value}")


@dataclass(frozen=True)
class Lack:
    """A need that is not met."""

    need: Need
    missing: tuple[str, ...]
    """The module, or the modules that it needs in turn, or the programs of which one is needed."""
    kernel: bool = False
    """The kernel does not have it at all, so that no image could."""


def lacks_of(needs: list[Need], image: Mapping[str, Any], kernel: Optional[Mapping[str, Any]]) -> list[Lack]:
    """Return what an image lacks; nothing where it is not known what the kernel has built in.

    :param image: its facts, of the collector ``initramfs``
    :param kernel: facts of the kernel that loads it, of the collector ``boot``
    """
    contents = image["contents"] or {}
    drivers = (kernel or {}).get("modules", {}).get("drivers")
    table = {each["name"]: each for each in drivers or ()}
    have = set(contents.get("modules") or ())
    found = []
    for need in needs:
        if need.module is None:
            # Only the builders that are known put these programs where they are looked for.
            if contents.get("builder") and not set(need.programs) & set(contents["programs"]):
                found.append(Lack(need, need.programs))
            continue
        if any(other in have or _is_builtin(table, other) for other in need.instead):
            continue
        driver = table.get(need.module)
        if driver is None or driver["how"] == "builtin":
            continue
        if driver["how"] is None:
            if need.certain and need.module not in have:
                found.append(Lack(need, (need.module,), kernel=True))
            continue
        missing = tuple(name for name in (need.module, *driver["needs"]) if name not in have)
        if missing:
            found.append(Lack(need, missing))
    return found


def _is_builtin(table: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return name in table and table[name]["how"] == "builtin"
