"""What several rules and plans ask of the facts on booting: which kernel is next, how an image is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from lastwords.analyzer.again import plan_on_disk
from lastwords.formats.boot.kernel_files import BUILDERS, classify
from lastwords.model import Case, Facts, Severity


def family_of(case: Case) -> str:
    """Return which tool makes initramfs images here: dracut, initramfs-tools or mkinitcpio.

    The images tell, then what is installed, then what the distribution comes with.
    """
    distribution = (case.facts.get("host") or {}).get("distribution") or {}
    words = f"{distribution.get('id')} {distribution.get('id_like')}".split()
    images = (case.facts.get("initramfs") or {}).get("images") or ()
    made = {(image.get("contents") or {}).get("builder") for image in images if image["use"] == "boot"}
    installed = set((case.facts.get("boot") or {}).get("builders") or ())
    for known in (made, installed):
        for builder in BUILDERS:
            if known - {None} == {builder}:
                return builder
    if {"debian", "ubuntu"} & set(words):
        return "initramfs-tools"
    return "mkinitcpio" if "arch" in words else "dracut"


def remake(case: Case, version: Optional[str]) -> tuple[str, ...]:
    """Return the steps that make the initramfs of a kernel anew, on the host or on its mounted disk."""
    if not version:
        return ("Make it anew.",)
    command = rebuild(case, version)
    if case.root_kind == "directory":
        plan = plan_on_disk(case, f"initramfs --kernel {version}")
        return (plan, f"Or by hand, in a chroot on the disk: {command}")
    return (f"$ {command}", plan_on_disk(case, "initramfs"))


def rebuild(case: Case, version: str) -> str:
    """Return the command that makes the initramfs of a kernel on this distribution."""
    family = family_of(case)
    if family == "initramfs-tools":
        return f"update-initramfs -c -k {version}"
    if family == "mkinitcpio":
        return "mkinitcpio -P"
    return f"dracut -f {image_path(case, version)} {version}"


def image_path(case: Case, version: str) -> str:
    """Return where the initramfs of a kernel is, or belongs on this distribution."""
    kernel = kernel_of(case.facts.get("boot"), version)
    if kernel and kernel["initramfs"]["path"]:
        return str(kernel["initramfs"]["path"])
    distribution = (case.facts.get("host") or {}).get("distribution") or {}
    words = f"{distribution.get('id')} {distribution.get('id_like')}"
    if "debian" in words or "ubuntu" in words:
        return f"/boot/initrd.img-{version}"
    return f"/boot/initrd-{version}" if "suse" in words else f"/boot/initramfs-{version}.img"


def kernel_of(boot: Optional[Facts], version: Optional[str]) -> Optional[dict[str, Any]]:
    """Return the facts of a kernel by its release, or None."""
    kernels = boot["kernels"] if boot else ()
    return next((kernel for kernel in kernels if kernel["version"] == version), None)


def next_version(boot: Facts) -> Optional[str]:
    """Return the release of the kernel that boots by default; the newest one where that is not known."""
    resolved = (boot["default_entry"] or {}).get("resolved") or {}
    version = version_in(resolved.get("linux"))
    if version and kernel_of(boot, version):
        return version
    return next((each["version"] for each in boot["kernels"] if each["vmlinuz"]["exists"]), None)


def version_in(path: Optional[str]) -> Optional[str]:
    """Return the kernel release in the path of a kernel.

    >>> version_in("/vmlinuz-6.1.0-18-amd64"), version_in("/0123456789abcdef0123456789abcdef/6.8.1/linux")
    ('6.1.0-18-amd64', '6.8.1')
    """
    if not path:
        return None
    folder, _, name = path.rpartition("/")
    kind = classify(name)
    return folder.rpartition("/")[2] if name == "linux" else kind.version if kind else None


def start_trouble(init: Mapping[str, Any]) -> Optional[str]:
    """Return why an image has nothing that starts, by its facts ``contents.init``; None if it has."""
    if init.get("error") is None:
        return None if init["found"] else f"{init['needs']} is missing" if init["kind"] else "no /init"
    return {
        "ENOENT": "{} is missing",
        "EACCES": "{} is not executable",
        "ENOEXEC": "{} is neither a script (#!) nor a program (ELF)",
        "ELOOP": "{} is a script for a script for a script ...",
    }[init["error"]].format(init["at"])


def weight(boot: Optional[Facts], version: Optional[str]) -> Severity:
    """Return how much it matters that a kernel cannot boot: critical for the one that boots by default."""
    return Severity.CRITICAL if boot is None or version == next_version(boot) else Severity.WARNING


def entries_of(boot: Facts) -> list[Mapping[str, Any]]:
    """Return the menu entries that start a kernel, of GRUB and of the boot loader specification."""
    found = [each for each in boot["loader_entries"] or () if each["readable"] and each["linux"]]
    for config in boot["grub_configs"] or ():
        found += [item for item in config["menu"] or () if item["kind"] == "menuentry" and item["linux"]]
    return found


def entry_file(boot: Facts, path: str) -> Optional[bool]:
    """Return whether the file that an entry names is there; None where that cannot be told.

    Paths are relative to the filesystem of the boot loader, which may be /boot or / or a subvolume of it.
    """
    if "$" in path:
        return None
    folder, _, name = path.rpartition("/")
    for kernel in boot["kernels"]:
        for part in ("vmlinuz", "initramfs"):
            known = kernel[part]["path"]
            if known and (known == path or known.endswith("/" + path.lstrip("/"))):
                there: Optional[bool] = kernel[part]["exists"]
                return there
    if boot["files"] is None or boot["files_omitted"]:
        return None
    names = {each["path"].rpartition("/")[2] for each in boot["files"]}
    if name in names:
        return True
    return False if folder in ("", "/boot") or folder.endswith("/boot") else None
