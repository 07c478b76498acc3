"""Will it boot: kernels, the entries that start them, the root they are told, fstab, room in /boot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.analyzer.again import disk_of, plan_on_disk, room_on
from lastwords.analyzer.boot_words import (
    entries_of,
    entry_file,
    image_path,
    kernel_of,
    next_version,
    rebuild,
    remake,
    version_in,
    weight,
)
from lastwords.analyzer.kdump.setup import in_container
from lastwords.formats.boot.cmdline import parse_cmdline
from lastwords.formats.boot.grub_cfg import searched_uuid
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

FULL_PERCENT = 90


@rule("kernel-without-initramfs", needs=("boot",), shows="image")
def without_initramfs(case: Case) -> Iterator[Finding]:
    """A kernel is installed, but the initramfs it would load is not there.

    Unless the drivers of the root disk are built in, it stops with "Unable to mount root fs". Critical for
    the kernel that boots by default, or the newest when the default is not known; a mere note when the
    running kernel has none, since it booted without.
    """
    facts = case.facts["boot"]
    for kernel in facts["kernels"]:
        if kernel["vmlinuz"]["exists"] is not True or kernel["initramfs"]["exists"] is not False:
            continue
        version = kernel["version"]
        severity = Severity.INFO if kernel["running"] else weight(facts, version)
        yield Finding(
            "kernel-without-initramfs",
            severity,
            f"Kernel {version} has no initramfs",
            "It cannot load the driver of its root disk, unless that is built in, and panics at boot.",
            subject=f"kernel {version}",
            evidence=(
                Proof(kernel["vmlinuz"]["path"] or "/boot", value="there"),
                Proof(image_path(case, version), value="missing"),
            ),
            fix=(room_on(case, "/boot"), *remake(case, version)),
        )


@rule("kernel-damaged", needs=("boot",), shows="boot")
def kernel_damaged(case: Case) -> Iterator[Finding]:
    """A kernel image is cut, is no kernel, or is another kernel than its name says.

    The head of an x86 image tells how long it must be and its release. A wrong release leads to a kernel
    without modules.
    """
    facts = case.facts["boot"]
    for kernel in facts["kernels"]:
        file, version = kernel["vmlinuz"], kernel["version"]
        image, size = file["image"], file["size"]
        value = threshold = None
        if file["exists"] and size == 0:
            value, threshold = "empty", "a kernel"
        elif not image:
            continue
        elif image["format"] == "unknown":
            value, threshold = "no kernel", "the head of a kernel image"
        elif image["needed"] and size is not None and size < image["needed"]:
            value, threshold = f"{size} bytes", f"at least {image['needed']} bytes"
        elif image["release"] and version[:1].isdigit() and image["release"] != version:
            value, threshold = f"kernel {image['release']}", version
        if value is not None:
            yield Finding(
                "kernel-damaged",
                weight(facts, version),
                f"{file['path']} is not a whole kernel {version}",
                "The boot loader or the kernel's own decompressor stops, or it finds no modules of its own.",
                subject=f"kernel {version}",
                evidence=(Proof(file["path"], value=value, threshold=threshold),),
                fix=(room_on(case, "/boot"), "Install the kernel's package anew."),
            )


@rule("kernel-without-modules", needs=("boot",), shows="image")
def without_modules(case: Case) -> Iterator[Finding]:
    """A kernel has no directory of modules, or modprobe's index (modules.dep) is not in it.

    It may boot with what its initramfs holds, and then has no network, no further filesystems and no way
    to make its initramfs anew. Critical for the running kernel and the one that boots by default.
    """
    facts = case.facts["boot"]
    if in_container(case):
        return
    for kernel in facts["kernels"]:
        modules, version = kernel["modules"], kernel["version"]
        indexed = modules["modules_dep"] is not False
        if kernel["vmlinuz"]["exists"] is not True or (modules["exists"] is not False and indexed):
            continue
        if not version[:1].isdigit():
            continue  # Arch Linux names a kernel by its package, and its modules by release
        path = modules["path"] if modules["exists"] is False else modules["path"] + "/modules.dep"
        fix = f"Install the package with the modules of {version} anew."
        yield Finding(
            "kernel-without-modules",
            Severity.CRITICAL if kernel["running"] else weight(facts, version),
            f"Kernel {version} cannot load modules",
            "Network, filesystems and whatever else is not built in or in its initramfs stays away.",
            subject=f"kernel {version}",
            evidence=(
                Proof(kernel["vmlinuz"]["path"] or "/boot", value="there"),
                Proof(path, value="missing"),
            ),
            fix=(fix,) if modules["exists"] is False else (f"$ depmod {version}",),
        )


@rule("entry-broken", needs=("boot",), shows="boot")
def entry_broken(case: Case) -> Iterator[Finding]:
    """A menu entry names a kernel or an initramfs that is not there, or the default names no entry at all.

    Critical for the entry that boots by default. GRUB then says "file not found" and waits, or, where the
    default is no entry of the menu, quietly boots the first one. An initramfs that is missing beside its
    kernel is told by ``kernel-without-initramfs``.
    """
    facts = case.facts["boot"]
    resolved = (facts["default_entry"] or {}).get("resolved") or {}
    told = {each["version"] for each in facts["kernels"] if each["initramfs"]["exists"] is False}
    seen = set()
    for entry in entries_of(facts):
        files = [path for path in (entry["linux"], *entry["initrd"]) if path]
        gone = [path for path in files if entry_file(facts, path) is False]
        gone = [path for path in gone if path == entry["linux"] or version_in(path) not in told]
        if not gone or (entry["title"], gone[0]) in seen:
            continue
        seen.add((entry["title"], gone[0]))
        default = entry["linux"] == resolved.get("linux") and entry["title"] == resolved.get("title")
        title = entry["title"] or entry["linux"]
        yield Finding(
            "entry-broken",
            Severity.CRITICAL if default else Severity.WARNING,
            f"The {'default ' if default else ''}entry {title!r} names what is not there",
            "Chosen in the menu, it ends with an error of the boot loader.",
            subject=f"entry {title}",
            evidence=tuple(Proof(path, value="missing") for path in gone),
            fix=(plan_on_disk(case, "bootloader"),),
        )
    yield from _default_missing(facts)


def _default_missing(facts: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding when saved_entry is the id of no entry."""
    default = facts["default_entry"] or {}
    saved, entries = default.get("saved_entry"), facts["loader_entries"]
    uses_entries = any(config["blscfg"] for config in facts["grub_configs"] or ())
    if not saved or default.get("value") != saved or default["resolved"] or not entries or not uses_entries:
        return
    if saved.isdecimal() or not all(entry["readable"] for entry in entries):
        return
    yield Finding(
        "entry-broken",
        Severity.WARNING,
        "The saved default is no entry of the menu",
        "GRUB boots the first entry instead, which may be another kernel than was chosen.",
        subject="default entry",
        evidence=(Proof("grubenv", value=f"saved_entry={saved}", threshold="an id in /boot/loader/entries"),),
        fix=("$ grubby --info=ALL", "$ grubby --set-default /boot/vmlinuz-VERSION"),
    )


@rule("root-not-found", needs=("boot",), shows="root")
def root_not_found(case: Case) -> Iterator[Finding]:
    """The kernel is told a root= that this machine does not have.

    Known where the machine runs (/dev/disk); of a disk that does not run, from GRUB's own search for the
    filesystem that holds /boot, which is the root where /boot is none of its own, and from fstab. An entry
    whose kernel is below /boot/ of the filesystem that it searches for contradicts itself when its root= is
    another one: a cloned disk, an edited grub.cfg.
    """
    facts = case.facts["boot"]
    told = [each for each in facts["device_parameters"] if each["key"] == "root"]
    exists = {each["value"]: each["device_exists"] for each in told}
    resolved = (facts["default_entry"] or {}).get("resolved") or {}
    entries = [each for each in entries_of(facts) if each["options"]]
    default = resolved.get("options") or (entries[0]["options"] if entries else None)
    seen: dict[str, str] = {}
    for options in ([default] if default else []) + [each["options"] for each in entries]:
        value = _root_of(options)
        if value:
            seen.setdefault(value, options)
    for value, options in seen.items():
        proof = Proof("/dev", value=f"{value} is not there") if exists.get(value) is False else None
        proof = proof or _another_root(facts, value)
        if proof is None:
            continue
        yield Finding(
            "root-not-found",
            Severity.CRITICAL if options == default else Severity.WARNING,
            f"root={value} is not this machine's root",
            "The early userspace waits for it in vain, and ends in its emergency shell.",
            subject=f"root={value}",
            evidence=(Proof("kernel command line", value=f"root={value}"), proof),
            fix=(
                "In the menu, press e and correct root= to boot once.",
                plan_on_disk(case, "bootloader"),
            ),
        )


def _root_of(options: str) -> Optional[str]:
    values = parse_cmdline(options).values("root")
    return values[-1] if values else None


def _another_root(facts: dict[str, Any], value: str) -> Optional[Proof]:
    """Return what tells of another root than the given UUID, or None."""
    if not value.startswith("UUID="):
        return None
    given = value[len("UUID=") :].lower()
    fstab = facts["fstab"]
    root = next((each for each in fstab or () if each["file"] == "/"), None)
    if root and root["spec"].startswith("UUID="):
        known = root["spec"][len("UUID=") :].strip("\"'").lower()
        if known != given:
            return Proof("/etc/fstab", line=root["line"], value=f"UUID={known} is /", threshold=value)
        return None
    if fstab is None or any(each["file"] in ("/boot", "/usr") for each in fstab):
        return None  # GRUB also searches for /usr, to read its fonts
    for config in facts["grub_configs"] or ():
        if "/EFI/" in config["path"]:
            continue
        for item in config["menu"] or ():
            below = (item["linux"] or "").startswith("/boot/") and _root_of(item["options"] or "") == value
            if below and item["search"] and item["search"].lower() != given:
                told = f"its kernel is in /boot of {item['search']}, which is the root then"
                return Proof(config["path"], line=item["line"], value=told, threshold=value)
        for search in config["searches"] or ():
            found = searched_uuid(search)
            if found and found.lower() != given:
                return Proof(config["path"], value=f"GRUB finds /boot on {found}, and / holds /boot")
    return None


@rule("parameter-device-missing", needs=("boot",), shows="root")
def parameter_device_missing(case: Case) -> Iterator[Finding]:
    """The kernel command line waits for a volume or a device to resume from that is gone.

    ``rd.lvm.lv=`` of a removed volume ends in dracut's emergency shell after minutes; a wrong ``resume=``
    delays each boot by half a minute or more, and does not stop it.
    """
    for each in case.facts["boot"]["device_parameters"]:
        if each["key"] == "root" or each["device_exists"] is not False:
            continue
        given = f"{each['key']}={each['value']}"
        shell = each["key"] == "rd.lvm.lv"
        yield Finding(
            "parameter-device-missing",
            Severity.CRITICAL if shell else Severity.WARNING,
            f"{given} names what is not there",
            "dracut waits for it in vain and starts its emergency shell."
            if shell
            else "The early userspace waits for it in vain before it goes on.",
            subject=given,
            evidence=(Proof("kernel command line", value=given), Proof("/dev", value="not there")),
            fix=(
                f"$ grubby --update-kernel=ALL --remove-args={given}",
                "Where there is no grubby: /etc/default/grub.",
            ),
        )


@rule("boot-not-mounted", needs=("boot",), shows="boot")
def boot_not_mounted(case: Case) -> Iterator[Finding]:
    """fstab has a filesystem for /boot, and it is not mounted.

    On a running host the next kernel update writes into the directory below it, where no boot loader looks.
    Of a disk in rescue mode nothing is known of its kernels and initramfs images until it is mounted too.
    """
    facts = case.facts["boot"]
    entry = next((each for each in facts["fstab"] or () if each["file"] == "/boot"), None)
    if entry is None or in_container(case) or "noauto" in (entry["options"] or ""):
        return
    empty = not facts["files"] and not any(each["vmlinuz"]["exists"] for each in facts["kernels"])
    rescue = case.root_kind == "directory"
    if facts["filesystems"]["boot"]["mounted"] is not False and not (rescue and empty):
        return
    yield Finding(
        "boot-not-mounted",
        Severity.WARNING,
        "/boot is a filesystem of its own, and is not mounted",
        "Nothing is known of the kernels and images on it: mount it and look again."
        if rescue
        else "The next kernel update writes where no boot loader looks.",
        subject="/boot",
        evidence=(Proof("/etc/fstab", line=entry["line"], excerpt=f"{entry['spec']} /boot {entry['type']}"),),
        fix=(f"$ mount DEVICE {disk_of(case)}/boot, with the device that fstab names",)
        if rescue
        else ("$ mount /boot",),
    )


@rule("fstab-device-missing", needs=("boot",), shows="root")
def fstab_device_missing(case: Case) -> Iterator[Finding]:
    """fstab names a device that is not there: systemd waits 90 seconds for it and ends in emergency mode.

    Only what must be mounted at boot counts: no ``noauto``, ``nofail`` or ``x-systemd.automount``, no swap.
    Of a disk that does not run it is known only where no filesystem of that type can have such a UUID.
    """
    if in_container(case):
        return
    for entry in case.facts["boot"]["fstab"] or ():
        options = set((entry["options"] or "").split(","))
        if options & {"noauto", "nofail", "x-systemd.automount"} or entry["type"] == "swap":
            continue
        impossible = _impossible(entry)
        if entry["device_exists"] is not False and not impossible:
            continue
        fix = f"sed -i '{entry['line']}s/^/#/' /etc/fstab"
        yield Finding(
            "fstab-device-missing",
            Severity.CRITICAL,
            f"fstab wants {entry['spec']} on {entry['file']}, and it is not there",
            "systemd waits for it at boot, then mounts nothing further and starts its emergency shell.",
            subject=f"{entry['file']}",
            evidence=(
                Proof(
                    "/etc/fstab",
                    line=entry["line"],
                    excerpt=" ".join(entry[key] or "" for key in ("spec", "file", "type", "options")).strip(),
                ),
                Proof(entry["spec"], value=impossible or "not there"),
            ),
            fix=("$ blkid", f"Correct the line, or add nofail to its options; to boot without it: {fix}"),
        )


def _impossible(entry: dict[str, Any]) -> Optional[str]:
    """Return why no filesystem can have the UUID that a line of fstab names, or None."""
    tag, _, value = entry["spec"].partition("=")
    whole = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    if tag != "UUID" or entry["type"] not in ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"):
        return None
    if re.fullmatch(whole, value.strip("\"'")):
        return None
    return f"no {entry['type']} has such a UUID"


@rule("kernel-not-signed", needs=("boot", "kernel"), shows="boot")
def not_signed(case: Case) -> Iterator[Finding]:
    """Secure Boot is on, and a kernel carries no signature: the boot loader refuses it.

    Whether a signature that is there is accepted depends on keys of the firmware that are not read.
    """
    facts = case.facts["boot"]
    if case.facts["kernel"]["secure_boot"]["enabled"] is not True:
        return
    for kernel in facts["kernels"]:
        image = kernel["vmlinuz"]["image"]
        if image and image["signed"] is False and not kernel["running"]:
            yield Finding(
                "kernel-not-signed",
                weight(facts, kernel["version"]),
                f"Kernel {kernel['version']} is not signed, and Secure Boot is on",
                "The boot loader refuses it: bad shim signature.",
                subject=f"kernel {kernel['version']}",
                evidence=(
                    Proof(kernel["vmlinuz"]["path"], value="no signature"),
                    Proof("Secure Boot", value="enabled"),
                ),
                fix=("Sign it with a key that the firmware or shim knows (sbsign, mokutil --import).",),
            )


@rule("default-kernel-old", needs=("boot",))
def default_old(case: Case) -> Iterator[Finding]:
    """By default an older kernel boots than the newest one that is installed.

    Chosen so on purpose, or left over from an update that could not finish.
    """
    facts = case.facts["boot"]
    chosen = version_in(((facts["default_entry"] or {}).get("resolved") or {}).get("linux"))
    kernels = [each["version"] for each in facts["kernels"] if each["vmlinuz"]["exists"]]
    if chosen and chosen in kernels and kernels[0] != chosen:
        yield Finding(
            "default-kernel-old",
            Severity.INFO,
            f"Kernel {chosen} boots by default, not the newest one",
            "Security fixes of newer kernels are not in force after a reboot.",
            subject=f"kernel {chosen}",
            evidence=(Proof("default entry", value=chosen, threshold=kernels[0]),),
            fix=(f"$ grubby --set-default /boot/vmlinuz-{kernels[0]}",)
            if facts["loader_entries"]
            else ("See GRUB_DEFAULT in /etc/default/grub, then run update-grub.",),
        )


@rule("kernel-self-built", needs=("kernel", "boot"), shows="boot")
def self_built(case: Case) -> Iterator[Finding]:
    """The running kernel belongs to no package: nothing updates it, or makes its initramfs anew."""
    package = case.facts["kernel"]["package"]
    if package["packaged"] is not False or in_container(case):
        return
    kernel = kernel_of(case.facts["boot"], case.facts["kernel"]["release"])
    version = case.facts["kernel"]["release"]
    yield Finding(
        "kernel-self-built",
        Severity.INFO,
        f"Kernel {version} belongs to no package",
        "It gets no updates; after a change of its modules its initramfs must be made by hand.",
        subject=f"kernel {version}",
        evidence=(Proof(package["image"], value=f"not known to {package['manager']}"),),
        fix=(f"$ {rebuild(case, version)}",) if kernel and kernel["initramfs"]["exists"] else (),
    )


@rule("boot-full", needs=("boot",), shows="full")
def boot_full(case: Case) -> Iterator[Finding]:
    """/boot, a filesystem of its own, is nearly full: the next kernel update writes a cut initramfs.

    A warning from 90 percent on; critical when not even the largest image that is there would fit again.
    """
    boot = case.facts["boot"]["filesystems"]["boot"]
    usage = boot["usage"]
    if boot["mounted"] is not True or not usage or not usage["size"] or in_container(case):
        return
    percent = 100 * (usage["size"] - usage["available"]) // usage["size"]
    largest = _largest(case.facts["boot"])
    if percent < FULL_PERCENT:
        return
    yield Finding(
        "boot-full",
        Severity.CRITICAL if usage["available"] < largest else Severity.WARNING,
        f"/boot is {percent} percent full",
        "The next kernel update needs room for a kernel and an initramfs, and leaves a cut one without it.",
        subject="/boot",
        evidence=(
            Proof(
                "usage of /boot",
                value=f"{usage['available']} of {usage['size']} bytes free",
                threshold=f"room for {largest} bytes, the largest image",
            ),
        ),
        fix=_room(case.facts["boot"]),
    )


def _room(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return how to make room: which kernels may go, newest last to go."""
    there = [each for each in facts["kernels"] if each["vmlinuz"]["exists"]]
    kept = {next_version(facts), there[0]["version"] if there else None}
    spare = [each["version"] for each in there if not each["running"] and each["version"] not in kept]
    leftovers = [each["path"] for each in facts["other_images"] if each["use"] == "leftover"]
    steps = [f"Unfinished or backup files that may go: {', '.join(leftovers)}"] if leftovers else []
    if spare and facts["running"]:
        steps.append(f"Kernels that may go, by the package manager: {', '.join(reversed(spare))}")
    keep = ", ".join(sorted(each for each in {*kept, facts["running"]} if each))
    steps.append(f"Keep the running, the default, the newest and the rescue kernel: {keep}.")
    return tuple(steps)


def _largest(facts: dict[str, Any]) -> int:
    sizes = [kernel["initramfs"]["size"] or 0 for kernel in facts["kernels"]]
    return max(sizes, default=0)
