"""kdump: is memory reserved, is a capture kernel loaded, how is it configured, where do dumps go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Optional

from lastwords.collectors.kdump_config import (
    FILES,
    MOUNTS,
    KdumpConfig,
    directory_of,
    mount_of,
    named_paths,
    read_config,
    read_mounts,
)
from lastwords.collectors.kdump_storage import READS, storage_of
from lastwords.collectors.listing import unmerged
from lastwords.collectors.programs import program
from lastwords.formats.boot.fstab import Mount
from lastwords.formats.kdump.iomem import crash_kernel_ranges, kernel_size, parse_iomem, system_ram
from lastwords.formats.system.packages import Package, parse_dpkg_list, parse_dpkg_status, parse_rpm_list
from lastwords.formats.system.systemctl import parse_show, parse_status
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.lines import Line

UNITS = ("kdump.service", "kdump-early.service", "kdump-tools.service")
PACKAGES = ("kexec-tools", "kdump-utils", "makedumpfile", "kdump-tools", "kdump")
SHOW = (
    "systemctl",
    "show",
    "-p",
    "Id,LoadState,ActiveState,SubState,UnitFileState,Result,ConditionResult,ExecMainStatus",
    *UNITS,
)
SHOW_ALL = ("systemctl", "show", "*service", "--all")
STATUS_ALL = ("systemctl", "status", "--all")
RPM = ("rpm", "-q", *PACKAGES)
DPKG = ("dpkg", "-l")

UNIT_DIRS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
RULE_DIRS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
NEXT_BOOT = (
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/etc/kernel/cmdline",
    "/etc/zipl.conf",
    "/boot/loader/entries/*.conf",
    "/boot/grub2/grubenv",
    "/boot/grub2/grub.cfg",
    "/boot/grub/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
)
"""Where the next boot's command line may come from."""
PROGRAMS = ("kexec", "makedumpfile", "vmcore-dmesg", "kdumpctl", "kdump-config", "kdumptool")
CAPTURE_DIR = "/var/lib/kdump"
DPKG_STATUS = "/var/lib/dpkg/status"
BLOCK_LIMIT = 2000
"""Lines of one paragraph that are held; systemctl prints a few hundred of a unit."""

_CRASHKERNEL = re.compile(r"(?<![^\s\"'=])crashkernel=[^\s\"']*")
_UNIT_LINE = re.compile(rb"(?:Id=|\S+ )kdump(?:-early|-tools)?\.service(?: - .*)?$")
_DPKG_FIELD = re.compile(rb"(?:Package|Status|Version): ")
_FADUMP = re.compile(r"(?<![^\s\"'])fadump=[^\s\"']*")


class KdumpCollector(Collector):
    """Gathers what decides whether the next kernel crash will leave a dump."""

    name = "kdump"
    title = "kdump: reservation, capture kernel, configuration, service, dump target"
    reads = (
        *FILES,
        *MOUNTS,
        *NEXT_BOOT,
        *READS,
        "/proc/cmdline",
        "/proc/iomem",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/kexec_load_disabled",
        "/proc/sys/kernel/kexec_load_limit_panic",
        "/sys/kernel/kexec_*",
        "/sys/kernel/kexec/*",
        "/sys/kernel/fadump*",
        "/sys/kernel/fadump/*",
        "/sys/devices/system/*/crash_hotplug",
        "/etc/systemd/system/*.wants/kdump*",
        "/etc/systemd/system/*.requires/kdump*",
        *(f"{folder}/kdump*.service" for folder in UNIT_DIRS),
        *(f"{folder}/*{word}*.rules" for folder in RULE_DIRS for word in ("kdump", "kexec")),
        "/boot/*kdump*",
        CAPTURE_DIR + "/*",
        DPKG_STATUS,
        "/var/crash/kexec_cmd",
    )
    runs = (SHOW, RPM, DPKG, SHOW_ALL, STATUS_ALL)
    needs_root = "the addresses of the crash kernel's memory, and files readable by root only"

    def collect(self, root: Root) -> Iterator[Facts]:
        config = read_config(root)
        mounts = read_mounts(root)
        cmdline = root.text("/proc/cmdline")
        if not config.files and cmdline is None and root.listdir("/etc") is None:
            raise NoData("no configuration of kdump, no kernel command line and no /etc")
        targets = None if config.targets is None else _targets(root, config, mounts)
        facts: Facts = {
            "family": config.family,
            "files": config.files,
            "kexec": _kexec(root),
            "crashkernel": {
                "booted": _CRASHKERNEL.findall(cmdline) if cmdline is not None else None,
                "configured": None,
            },
            "fadump": _fadump(root, cmdline),
            "images": None,
            "programs": None,
            "udev_rules": None,
            "units": None,
            "packages": None,
            "targets": targets,
            "storage": None,
            "named_files": None,
            "kexec_command": None,
        }
        yield dict(facts)
        facts["crashkernel"] = {**facts["crashkernel"], "configured": _configured(root)}
        facts["images"] = _images(root, config)
        facts["programs"] = [program(root, name) for name in PROGRAMS]
        facts["udev_rules"] = _udev_rules(root)
        facts["units"] = _units(root, None)
        facts["storage"] = _storage(root, targets, mounts)
        if all(each["entries"] is not None for each in config.files):
            named = named_paths(config)
            facts["named_files"] = [{**each, "exists": root.exists(each["path"])} for each in named]
        yield dict(facts)
        facts["packages"] = _packages(root)
        facts["units"] = _units(root, _states(root))
        yield dict(facts)
        # Only now is the target itself touched: its server may be gone, and then this never returns.
        facts["targets"] = [_measured(root, each) for each in targets] if targets is not None else None
        if config.family == "debian":
            facts["kexec_command"] = _kexec_command(root, facts["targets"])
        yield facts


def _kexec(root: Root) -> dict[str, Any]:
    """Return the kernel's own word; since 6.19 its files stand in a folder of their own too."""

    def number(*paths: str) -> Optional[int]:
        return next((found for path in paths if (found := _number(root, path)) is not None), None)

    def known(path: str) -> Optional[bool]:
        # Without /sys (a disk in rescue mode) a missing file says nothing of the kernel.
        return root.exists(path) if root.exists("/sys/kernel") else None

    files = ("/sys/kernel/kexec_crash_loaded", "/sys/kernel/kexec/crash_loaded")
    there = [known(path) for path in files]
    text = root.text("/proc/iomem")
    resources = parse_iomem(text) if text is not None else None
    ranges = None
    if resources is not None:
        ranges = [{"start": r.start, "end": r.end, "size": r.size} for r in crash_kernel_ranges(resources)]
    return {
        "supported": True if True in there else None if None in there else False,
        "crash_loaded": _flag(number(*files)),
        "crash_size": number("/sys/kernel/kexec_crash_size", "/sys/kernel/kexec/crash_size"),
        "loaded": _flag(number("/sys/kernel/kexec_loaded", "/sys/kernel/kexec/loaded")),
        "load_disabled": _flag(number("/proc/sys/kernel/kexec_load_disabled")),
        "load_limit_panic": number("/proc/sys/kernel/kexec_load_limit_panic"),
        "reservations": ranges,
        "system_ram": system_ram(resources) if resources is not None else None,
        "kernel_size": kernel_size(resources) if resources is not None else None,
        "crash_hotplug": {
            kind: _flag(number(f"/sys/devices/system/{kind}/crash_hotplug")) for kind in ("cpu", "memory")
        },
    }


def _fadump(root: Root, cmdline: Optional[str]) -> dict[str, Any]:
    def number(name: str) -> Optional[int]:
        found = _number(root, f"/sys/kernel/fadump/{name}")
        return found if found is not None else _number(root, f"/sys/kernel/fadump_{name}")

    return {
        "parameters": _FADUMP.findall(cmdline) if cmdline is not None else None,
        "enabled": _flag(number("enabled")),
        "registered": _flag(number("registered")),
        "mem_reserved": number("mem_reserved"),
    }


def _configured(root: Root) -> Optional[list[dict[str, Any]]]:
    """Return every crashkernel= that a coming boot may use; None when no such file can be read."""
    found: list[dict[str, Any]] = []
    known = False
    for pattern in NEXT_BOOT:
        for path in root.glob(pattern) if "*" in pattern else (pattern,):
            text = root.text(path)
            known = known or text is not None
            for number, line in enumerate((text or "").splitlines(), 1):
                words = [] if line.lstrip().startswith("#") else _CRASHKERNEL.findall(line)
                found.extend({"path": path, "line": number, "parameter": word} for word in words)
    return found if known else None


def _images(root: Root, config: KdumpConfig) -> list[dict[str, Any]]:
    """Return the capture kernel and initramfs that the tools will load, and others that lie about."""
    wanted: list[tuple[str, str, str]] = []
    release = (root.text("/proc/sys/kernel/osrelease") or "").strip()

    def setting(name: str) -> str:
        each = config.values.get(name)
        return each.value if each and each.literal else ""

    if config.family == "rhel":
        release = setting("KDUMP_KERNELVER") or release
        folder = setting("KDUMP_BOOTDIR") or "/boot"
        if release:
            kernel = f"{folder}/{setting('KDUMP_IMG') or 'vmlinuz'}-{release}{setting('KDUMP_IMG_EXT')}"
            wanted.append(("kernel", kernel, "default"))
            wanted.append(("initramfs", f"{folder}/initramfs-{release}kdump.img", "default"))
    elif config.family == "debian":
        for role, name, default in (
            ("kernel", "KDUMP_KERNEL", f"/boot/vmlinuz-{release}"),
            ("initramfs", "KDUMP_INITRD", f"/boot/initrd.img-{release}"),
        ):
            if setting(name):
                wanted.append((role, setting(name), "configured"))
            elif release and config.targets is not None:
                wanted.append((role, default, "default"))
    elif config.family == "suse":
        wanted.append(("kernel", CAPTURE_DIR + "/kernel", "default"))
        wanted.append(("initramfs", CAPTURE_DIR + "/initrd", "default"))
    known = {path for _, path, _ in wanted}
    for path in (*root.glob("/boot/*kdump*"), *root.glob(CAPTURE_DIR + "/*")):
        name = path.rpartition("/")[2]
        role = "initramfs" if re.match(r"init(?:rd|ramfs)", name) else "kernel"
        if path not in known and re.match(r"init(?:rd|ramfs)|vmlinu[xz]|[iI]mage|kernel$", name):
            wanted.append((role, path, "found"))
    return [_image(root, *each) for each in wanted]


def _image(root: Root, role: str, path: str, origin: str) -> dict[str, Any]:
    link = root.stat(path, follow=False)
    exists = root.exists(path)
    node = root.stat(path) if exists else None
    return {
        "role": role,
        "path": path,
        "origin": origin,
        "target": link.target if link else None,
        "exists": exists,
        "size": node.size if node else None,
        "mtime": node.mtime if node else None,
    }


def _udev_rules(root: Root) -> Optional[list[str]]:
    found = [
        path
        for folder in unmerged(root, RULE_DIRS)
        for path in root.glob(folder + "/*.rules")
        if re.search(r"kdump|kexec", path.rpartition("/")[2]) and root.stat(path, follow=False)
    ]
    known = any(root.listdir(folder) is not None for folder in ("/usr/lib/udev/rules.d", "/lib/udev/rules.d"))
    return found if found or known else None


def _units(root: Root, states: Optional[dict[str, dict[str, str]]]) -> list[dict[str, Any]]:
    found = []
    for unit in UNITS:
        paths = {f"{folder}/{unit}": root.stat(f"{folder}/{unit}", follow=False) for folder in UNIT_DIRS}
        path = next((path for path, node in paths.items() if node), None)
        wants = [
            link
            for folder in unmerged(root, UNIT_DIRS)
            for kind in ("wants", "requires")
            for link in root.glob(f"{folder}/*.{kind}/{unit}")
            if root.stat(link, follow=False)
        ]
        known = bool(wants) or root.listdir("/etc/systemd/system") is not None
        state = (states or {}).get(unit, {})
        node = paths[path] if path else None
        found.append(
            {
                "unit": unit,
                "path": path,
                "installed": True if path else _none_there(root, paths),
                "masked": node.target == "/dev/null" if node else None,
                "wanted_by": wants if known else None,
                "load_state": state.get("LoadState") or None,
                "unit_file_state": state.get("UnitFileState") or None,
                "active_state": state.get("ActiveState") or None,
                "sub_state": state.get("SubState") or None,
                "result": state.get("Result") or None,
                "condition_result": {"yes": True, "no": False}.get(state.get("ConditionResult", "")),
                "exit_code": _integer(state.get("ExecMainStatus")),
            }
        )
    return found


def _none_there(root: Root, paths: dict[str, Any]) -> Optional[bool]:
    """Return False when the host has none of the paths, None when that cannot be told."""
    return None if None in [root.exists(path) for path in paths] else False


def _states(root: Root) -> Optional[dict[str, dict[str, str]]]:
    """Return what systemd says of each unit, asked now or recorded when asked for all of them."""
    output = root.run(SHOW, timeout=10)
    if output is not None:
        return {unit.get("Id", ""): unit for unit in parse_show(output.text.splitlines())}
    if root.kind == "live":
        return None  # it did not answer the short question; the long one could only take longer
    for argv, parse in ((SHOW_ALL, parse_show), (STATUS_ALL, parse_status)):
        try:
            blocks = _paragraphs(root.run_lines(argv))
            kept = [line for block in blocks if _names_a_unit(block) for line in block]
        except OSError:
            continue
        root.keep("$ " + " ".join(argv), kept)
        found = parse(line.text for line in kept)
        return {unit["Id"]: unit for unit in found if unit.get("Id") in UNITS}
    return None


def _paragraphs(lines: Iterator[Line]) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in lines:
        if len(block) < BLOCK_LIMIT:
            block.append(line)
        if not line.data.strip():
            yield block
            block = []
    yield block


def _names_a_unit(block: list[Line]) -> bool:
    return any(_UNIT_LINE.match(line.data) for line in block)


def _packages(root: Root) -> Optional[list[dict[str, Any]]]:
    """Return the packages of kdump that are installed; None when no list of packages can be read."""
    kept: list[Line] = []
    try:
        for block in _paragraphs(root.lines(DPKG_STATUS)):
            if block and block[0].text[9:] in PACKAGES:
                kept.extend(line for line in block if _DPKG_FIELD.match(line.data))
    except OSError:
        pass
    else:
        root.keep(DPKG_STATUS, kept)
        return _shown(parse_dpkg_status((line.text for line in kept), PACKAGES))
    for argv, parse in ((RPM, parse_rpm_list), (DPKG, parse_dpkg_list)):
        output = root.run(argv, timeout=10)
        if output is not None and output.stdout.strip():
            return _shown(parse(output.text.splitlines(), PACKAGES))
    return None


def _shown(packages: Iterable[Package]) -> list[dict[str, Any]]:
    return [asdict(each) for each in packages]


def _targets(root: Root, config: KdumpConfig, mounts: Optional[list[Mount]]) -> list[dict[str, Any]]:
    found = []
    for target in config.targets or ():
        directory = directory_of(root, target, mounts)
        mount = mount_of(directory, mounts) if directory else None
        found.append(
            {
                **asdict(target),
                "file": config.target_file,
                "directory": directory,
                "mountpoint": mount.file if mount else None,
                "mounted": mount.spec if mount else None,
                "mounted_type": mount.type if mount else None,
                "exists": None,
                "size": None,
                "available": None,
            }
        )
    return found


def _storage(
    root: Root, targets: Optional[list[dict[str, Any]]], mounts: Optional[list[Mount]]
) -> Optional[list[dict[str, Any]]]:
    """Return what the root filesystem and those of the targets lie on: what the capture kernel must reach."""
    if mounts is None:
        return None
    wanted = {"/", *(each["mountpoint"] for each in targets or () if each["mountpoint"])}
    found = (storage_of(root, each) for each in mounts if each.file in wanted)
    return [each for each in found if each is not None] or None


def _measured(root: Root, target: dict[str, Any]) -> dict[str, Any]:
    directory = target["directory"]
    if directory is None:
        return target
    exists = root.exists(directory)
    # A directory that is not there yet will be made on the filesystem that holds its place.
    usage = root.usage(directory if exists or not target["mountpoint"] else target["mountpoint"])
    return {
        **target,
        "exists": exists,
        "size": usage.size if usage else None,
        "available": usage.available if usage else None,
    }


def _kexec_command(root: Root, targets: Optional[list[dict[str, Any]]]) -> Optional[str]:
    """Return the command with which kdump-config last loaded the capture kernel."""
    directory = next((each["directory"] for each in targets or () if each["type"] == "local"), None)
    text = root.text(f"{directory}/kexec_cmd", 1 << 16) if directory else None
    return text.strip() if text else None


def _number(root: Root, path: str) -> Optional[int]:
    return _integer(root.text(path, 64))


def _integer(text: Optional[str]) -> Optional[int]:
    match = re.fullmatch(r"\s*(-?[0-9]{1,20})\s*", text or "")
    return int(match[1]) if match else None


def _flag(number: Optional[int]) -> Optional[bool]:
    return None if number is None else number != 0
