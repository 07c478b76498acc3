"""Kernels that were built without what booting this machine needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from lastwords.analyzer.boot_words import weight
from lastwords.analyzer.root_needs import needs_of_root
from lastwords.formats.boot.fstab import nfs_version_of
from lastwords.formats.boot.kconfig import INIT, NFS, OF_MODULES, RD
from lastwords.hookspecs import rule
from lastwords.model import Case, Facts, Finding, Proof, Severity

Lack = tuple[str, str]
"""An option, and what needs it."""


@rule("kernel-config-lacks", needs=("boot", "initramfs"), shows="image")
def config_lacks(case: Case) -> Iterator[Finding]:
    """A kernel was built without an option that booting needs: mostly one that is built by oneself.

    Its configuration says "is not set" of: initramfs images at all, the compression of its own one, the
    driver or filesystem of the root, or what an init needs and another kernel that is installed here has.
    Silent of the running kernel, which has booted, and of options that its configuration does not mention.
    """
    boot = case.facts["boot"]
    for kernel in boot["kernels"]:
        if kernel["vmlinuz"]["exists"] is not True or kernel["running"] or not kernel["options"]:
            continue
        lacks = [each for each in _wanted(case, kernel) if kernel["options"].get(each[0]) == "n"]
        if not lacks:
            continue
        version, path = kernel["version"], kernel["config"]["path"]
        names = ", ".join(f"CONFIG_{option}" for option, _ in lacks)
        yield Finding(
            "kernel-config-lacks",
            weight(boot, version),
            f"Kernel {version} was built without {names}",
            f"It does not boot here: {lacks[0][1]} needs what is not set.",
            subject=f"kernel {version}",
            evidence=tuple(
                Proof(path, value=f"CONFIG_{option} is not set", threshold=_threshold(boot, option, why))
                for option, why in lacks
            ),
            fix=(
                *_packed_otherwise(lacks),
                "Build it again, from the configuration of a kernel that boots:"
                " cp /boot/config-VERSION .config && make olddefconfig",
            ),
        )


def _wanted(case: Case, kernel: Facts) -> Iterator[Lack]:
    """Yield what a kernel must be built with to boot this machine."""
    boot = case.facts["boot"]
    if kernel["initramfs"]["exists"]:
        yield "BLK_DEV_INITRD", "its initramfs"
    for image in case.facts["initramfs"]["images"] or ():
        if image["use"] == "boot" and image["version"] == kernel["version"] and image["compression"] in RD:
            yield RD[image["compression"]], f"its initramfs, which is packed with {image['compression']},"
    for need in needs_of_root(boot):
        if need.module in OF_MODULES:
            yield OF_MODULES[need.module], need.why
    for option in INIT:
        if _has(boot, option):
            yield option, "init"


def _has(boot: Facts, option: str) -> Optional[str]:
    """Return the configuration of a kernel that has an option, or None."""
    for kernel in boot["kernels"]:
        if (kernel["options"] or {}).get(option) in ("y", "m"):
            return str(kernel["config"]["path"])
    return None


def _threshold(boot: Facts, option: str, why: str) -> str:
    other = _has(boot, option)
    return f"set, for {why.rstrip(',')}" + (f", as in {other}" if other else "")


def _packed_otherwise(lacks: list[Lack]) -> tuple[str, ...]:
    if [option for option, _ in lacks if option not in RD.values()]:
        return ()
    return (
        "Or pack its initramfs otherwise: dracut --gzip, or COMPRESS=gzip in initramfs-tools/initramfs.conf.",
    )


@rule("nfs-version-missing", needs=("boot",))
def nfs_version(case: Case) -> Iterator[Finding]:
    """fstab asks for a version of NFS that a kernel's client was built without: the mount is refused.

    Of the running kernel and the one that boots by default. What the server offers is not known.
    """
    boot = case.facts["boot"]
    for entry in boot["fstab"] or ():
        version = nfs_version_of(entry["type"], entry["options"])
        option = NFS.get(version or "")
        if option is None or "noauto" in (entry["options"] or "").split(","):
            continue
        for kernel in boot["kernels"]:
            severity = Severity.WARNING if kernel["running"] else weight(boot, kernel["version"])
            refused = (kernel["options"] or {}).get(option) == "n" and kernel["vmlinuz"]["exists"]
            if not refused or (severity is Severity.WARNING and not kernel["running"]):
                continue
            yield Finding(
                "nfs-version-missing",
                Severity.WARNING,
                f"Kernel {kernel['version']} has no NFS {version}, which fstab wants for {entry['file']}",
                'The mount is refused: "Protocol not supported".',
                subject=entry["file"],
                evidence=(
                    Proof("/etc/fstab", line=entry["line"], value=f"NFS {version}"),
                    Proof(kernel["config"]["path"], value=f"CONFIG_{option} is not set"),
                ),
                fix=("Ask for a version that the server and this kernel have, as vers=4.2.", "$ nfsstat -m"),
            )
