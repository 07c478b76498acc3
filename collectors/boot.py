"""What this machine would boot: kernels and what belongs to them, boot loader entries, the default, fstab."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from lastwords.collectors.boot_loaders import (
    EFIBOOTMGR,
    EFIVARS,
    LOADER_FILES,
    efi_facts,
    loader_facts,
    unread_efi,
)
from lastwords.collectors.boot_storage import (
    LSBLK,
    LSPCI,
    STORAGE_READS,
    drivers_of,
    options_of,
    root_device,
)
from lastwords.collectors.kdump_config import MOUNTS, read_mounts
from lastwords.collectors.programs import program
from lastwords.formats.boot.bls import compare_versions
from lastwords.formats.boot.cmdline import parse_cmdline
from lastwords.formats.boot.fstab import Mount, mounted_on, parse_fstab
from lastwords.formats.boot.kernel_files import BUILDERS, KernelFile, classify
from lastwords.formats.boot.vmlinuz import HEAD, VERSION, parse_kernel_image, release_of
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.trees import Node

UNIFIED = ("/boot/EFI/Linux/*.efi", "/efi/EFI/Linux/*.efi", "/boot/efi/EFI/Linux/*.efi")
INITRAMFS_NAMES = ("initramfs-{}.img", "initrd.img-{}", "initrd-{}", "initramfs-{}")
MAX_FILES = 500
MAX_KERNELS = 64
MAX_FSTAB = 300
DEVICE_LINKS = {
    "UUID": "by-uuid",
    "LABEL": "by-label",
    "PARTUUID": "by-partuuid",
    "PARTLABEL": "by-partlabel",
}


class BootCollector(Collector):
    """Reads what takes part in booting, up to the kernel's command line."""

    name = "boot"
    title = "boot: kernels, boot loader entries and default, EFI, fstab, how full /boot is"
    reads = (
        "/boot/*",
        "/lib/modules/*",
        "/usr/lib/modules/*",
        "/lib/modules/*/modules.dep",
        "/var/lib/kdump/*",
        *LOADER_FILES,
        *UNIFIED,
        "/etc/fstab",
        *MOUNTS,
        "/proc/sys/kernel/osrelease",
        EFIVARS + "Boot*",
        "/dev/disk/by-*/*",
        *STORAGE_READS,
    )
    runs = (EFIBOOTMGR, LSBLK, LSPCI)
    needs_root = "grub.cfg is readable by root only on most distributions"

    def collect(self, root: Root) -> Iterator[Facts]:
        mounts = read_mounts(root)
        fstab = _fstab(root)
        running = (root.text("/proc/sys/kernel/osrelease") or "").strip() or None
        listed = root.listdir("/boot")
        seen = _Seen(root, listed)
        storage = root_device(root, mounts)
        drivers = {name for device in storage["devices"] for name in device["drivers"]}
        kernels = _kernels(root, seen, running, drivers)
        if listed is None and mounts is None and fstab is None and not kernels:
            raise NoData("neither /boot nor a table of filesystems")
        present = root.exists("/sys/firmware/efi")
        if present is False and not root.exists("/sys/kernel"):
            present = None  # a disk whose host does not run: sysfs is not there at all
        facts: Facts = {
            "running": running,
            "filesystems": _filesystems(root, mounts),
            "root_device": storage,
            "builders": _builders(root),
            "files": None if listed is None else [_file(node) for node in listed[:MAX_FILES]],
            "files_omitted": None if listed is None else max(0, len(listed) - MAX_FILES),
            "kernels": kernels,
            "other_images": _other_images(root, seen),
            **loader_facts(root, present),
            "device_parameters": [],
            "efi": unread_efi(present),
            "fstab": fstab,
        }
        facts["device_parameters"] = _device_parameters(root, facts)
        yield facts
        if present is not False:
            yield {**facts, "efi": efi_facts(root, present)}


def _builders(root: Root) -> Optional[list[str]]:
    """Return what is installed that makes initramfs images; None where that is not to be seen."""
    there = {builder: program(root, name)["installed"] for builder, name in BUILDERS.items()}
    if set(there.values()) == {None}:
        return None
    return [builder for builder, installed in there.items() if installed]


# -- filesystems -----------------------------------------------------------------------------------


def _filesystems(root: Root, mounts: Optional[list[Mount]]) -> dict[str, Any]:
    efi = next((path for path in ("/boot/efi", "/efi") if mounts and mounted_on(path, mounts)), None)
    if efi is None:
        efi = next((path for path in ("/boot/efi", "/efi") if root.exists(path)), None)
    return {
        "root": _filesystem(root, "/", mounts),
        "boot": _filesystem(root, "/boot", mounts),
        "efi": _filesystem(root, efi, mounts) if efi else None,
    }


def _filesystem(root: Root, path: str, mounts: Optional[list[Mount]]) -> dict[str, Any]:
    mount = mounted_on(path, mounts) if mounts is not None else None
    usage = root.usage(path)
    return {
        "path": path,
        "mounted": None if mounts is None else mount is not None,
        "source": mount.spec if mount else None,
        "type": mount.type if mount else None,
        "options": mount.options if mount else None,
        "usage": {"size": usage.size, "used": usage.used, "available": usage.available} if usage else None,
    }


def _fstab(root: Root) -> Optional[list[dict[str, Any]]]:
    text = root.text("/etc/fstab")
    if text is None:
        return None
    # The disk of a host that does not run has no devices: only a root that has this tells.
    devices = root.exists("/dev/disk/by-uuid")
    return [
        {
            "spec": entry.spec,
            "file": entry.file,
            "type": entry.type,
            "options": entry.options,
            "dump": entry.dump,
            "passno": entry.passno,
            "line": entry.line,
            "device_exists": _device_exists(root, entry.spec) if devices else None,
        }
        for entry in parse_fstab(text)[:MAX_FSTAB]
    ]


def _device_exists(root: Root, spec: str) -> Optional[bool]:
    tag, equals, value = spec.partition("=")
    if equals and tag in DEVICE_LINKS:
        # As udev names the links (systemd, device-nodes.c): what is not safe becomes \xNN.
        bare = value.strip("\"'")
        name = "".join(
            c if re.match(r"[\w#+\-.:=@]", c) or ord(c) > 127 else f"\\x{ord(c):02x}" for c in bare
        )
        return root.exists(f"/dev/disk/{DEVICE_LINKS[tag]}/{name}")
    return root.exists(spec) if spec.startswith("/dev/") else None


# -- kernels ---------------------------------------------------------------------------------------


class _Seen:
    """The files of /boot and of directories below it that hold one kernel each."""

    def __init__(self, root: Root, listed: Optional[Sequence[Node]]) -> None:
        self.complete = listed is not None
        self.root = root
        if listed is None:
            # Some of the files may be known without the rest.
            listed = [node for path in root.glob("/boot/*") if (node := root.stat(path, follow=False))]
        self.files = {node.path: node for node in listed if node.type in ("file", "link")}
        self.known: dict[str, KernelFile] = {
            path: kind for path, node in self.files.items() if (kind := classify(node.name))
        }
        for top in ("/boot", "/efi", "/boot/efi"):
            # kernel-install(8): <machine id>/<version>/{linux,initrd}
            for path in root.glob(f"{top}/[0-9a-f]*[0-9a-f]/[0-9]*/*"):
                _, _, machine, version, name = path.rsplit("/", 4)
                role = {"linux": "vmlinuz", "initrd": "initramfs"}.get(name)
                if role and re.fullmatch(r"[0-9a-f]{32}", machine):
                    self.known[path] = KernelFile(role, "boot", version)

    def find(self, role: str, version: str) -> Optional[str]:
        """Return the path of a kernel's file, or None."""
        wanted = KernelFile(role, "boot", version)
        return next((path for path, kind in self.known.items() if kind == wanted), None)

    def facts(self, path: Optional[str]) -> dict[str, Any]:
        """Return path, existence, size and time of a file; a link counts as what it points to."""
        if path is None:
            return {"path": None, "exists": False if self.complete else None, "size": None, "mtime": None}
        node = self.files.get(path)
        if node is None or node.type == "link":
            there = False if node is None and self._is_listed(path) else self.root.exists(path)
            node = self.root.stat(path) if there else None
        else:
            there = True
        return {
            "path": path,
            "exists": there,
            "size": node.size if node else None,
            "mtime": node.mtime if node else None,
        }

    def _is_listed(self, path: str) -> bool:
        return self.complete and path.rpartition("/")[0] == "/boot"


def _kernels(root: Root, seen: _Seen, running: Optional[str], drivers: set[str]) -> list[dict[str, Any]]:
    top = "/lib/modules" if root.glob("/lib/modules/*") else "/usr/lib/modules"
    modules = {path.rpartition("/")[2] for path in root.glob(f"{top}/[0-9]*")}
    versions = {kind.version for kind in seen.known.values() if kind.use == "boot"} | modules
    if running:
        versions.add(running)
    ordered = sorted((version for version in versions if version), key=_Newest)[:MAX_KERNELS]
    style = _initramfs_style(seen)
    found = []
    for version in ordered:
        initramfs = seen.find("initramfs", version) or (style.format(version) if style else None)
        found.append(
            {
                "version": version,
                "running": None if running is None else version == running,
                "vmlinuz": _image(
                    root, seen.facts(seen.find("vmlinuz", version) or f"/boot/vmlinuz-{version}")
                ),
                "initramfs": seen.facts(initramfs),
                "system_map": seen.facts(seen.find("system_map", version) or f"/boot/System.map-{version}"),
                "config": (config := seen.facts(seen.find("config", version) or f"/boot/config-{version}")),
                "options": options_of(root, config["path"]) if config["exists"] else None,
                "modules": _modules(root, f"{top}/{version}", drivers),
            }
        )
    return found


def _image(root: Root, facts: dict[str, Any]) -> dict[str, Any]:
    """Add what the head of a kernel image tells."""
    found: Optional[dict[str, Any]] = None
    try:
        # sos never copies a kernel.
        head = root.peek(facts["path"], HEAD) if facts["exists"] and root.kind != "sosreport" else b""
        if head:
            image = parse_kernel_image(head)
            text = root.peek(facts["path"], VERSION, image.version_at) if image.version_at else b""
            found = {
                "format": image.format,
                "release": release_of(text),
                "needed": image.needed,
                "signed": image.signed,
            }
    except OSError:
        pass  # noted as evidence
    return {**facts, "image": found}


def _device_parameters(root: Root, facts: Facts) -> list[dict[str, Any]]:
    """Return every device that a command line of an entry waits for, with whether it is there."""
    lines = [entry["options"] for entry in facts["loader_entries"] or ()]
    lines += [item["options"] for config in facts["grub_configs"] or () for item in config["menu"] or ()]
    found: dict[tuple[str, str], None] = {}
    for line in (*lines, facts["kernel_cmdline"]):
        given = parse_cmdline(line or "")
        for key in ("root", "resume"):
            found.update(dict.fromkeys((key, value) for value in given.values(key)[-1:] if value))
        found.update(dict.fromkeys(("rd.lvm.lv", value) for value in given.values("rd.lvm.lv") if value))
    devices = root.exists("/dev/disk/by-uuid")
    return [
        {
            "key": key,
            "value": value,
            "device_exists": _parameter_exists(root, key, value) if devices else None,
        }
        for key, value in list(found)[:MAX_FILES]
    ]


def _parameter_exists(root: Root, key: str, value: str) -> Optional[bool]:
    if key != "rd.lvm.lv":
        return _device_exists(root, value)
    # As the device mapper names it: a dash within a name is doubled.
    group, _, volume = value.partition("/")
    return root.exists("/dev/mapper/{}-{}".format(group.replace("-", "--"), volume.replace("-", "--")))


class _Newest:
    """Sort key: the newest version first."""

    def __init__(self, version: str) -> None:
        self.version = version

    def __lt__(self, other: _Newest) -> bool:
        order = compare_versions(self.version, other.version)
        return order > 0 or (order == 0 and self.version > other.version)


def _initramfs_style(seen: _Seen) -> Optional[str]:
    """Return the path that an initramfs has on this host, ``{}`` for the version; None when none tells."""
    names = {path for path, kind in seen.known.items() if kind.role == "initramfs" and kind.use == "boot"}
    for form in INITRAMFS_NAMES:
        if any(fnmatch.fnmatchcase(path, "/boot/" + form.format("*")) for path in names):
            return "/boot/" + form
    return None


def _modules(root: Root, path: str, drivers: set[str]) -> dict[str, Any]:
    there = root.exists(path)
    node = root.stat(path) if there else None
    return {
        "path": path,
        "exists": there,
        "mtime": node.mtime if node else None,
        "modules_dep": root.exists(path + "/modules.dep") if there else there,
        "drivers": drivers_of(root, path, drivers) if there else None,
    }


def _other_images(root: Root, seen: _Seen) -> list[dict[str, Any]]:
    known = {
        path: kind
        for path, kind in seen.known.items()
        if kind.use != "boot" and kind.role in ("vmlinuz", "initramfs")
    }
    for path in root.glob("/var/lib/kdump/init*"):
        node, kind = root.stat(path, follow=False), classify(path.rpartition("/")[2])
        if node and node.type == "file":
            # SUSE's has no version in its name.
            known[path] = KernelFile("initramfs", "kdump", kind.version if kind else None)
    for pattern in UNIFIED:
        for path in root.glob(pattern):
            known[path] = KernelFile("unified", "boot", None)
    found = []
    for path, kind in sorted(known.items())[:MAX_FILES]:
        facts = seen.facts(path)
        if facts.pop("exists"):
            found.append({**facts, "role": kind.role, "use": kind.use, "version": kind.version})
    return found


def _file(node: Node) -> dict[str, Any]:
    return {
        "path": node.path,
        "type": node.type,
        "size": node.size if node.type == "file" else None,
        "mtime": node.mtime,
        "target": node.target,
    }
