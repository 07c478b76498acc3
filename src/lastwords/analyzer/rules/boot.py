"""Will it boot? First rules; a full verdict weighs every entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lastwords.analyzer.kdump.setup import in_container
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

FULL_PERCENT = 90


@rule("kernel-without-initramfs", needs=("boot",))
def without_initramfs(case: Case) -> Iterator[Finding]:
    """A kernel is installed, but the initramfs it would load is not there.

    Unless the drivers of the root disk are built in, it stops with "Unable to mount root fs". Critical for
    the kernel that boots by default, or the newest when the default is not known; a mere note when the
    running kernel has none, since it booted without.
    """
    facts = case.facts["boot"]
    default = ((facts["default_entry"] or {}).get("resolved") or {}).get("linux")
    for number, kernel in enumerate(facts["kernels"]):
        if kernel["vmlinuz"]["exists"] is not True or kernel["initramfs"]["exists"] is not False:
            continue
        version = kernel["version"]
        first = default.endswith("-" + version) if default else number == 0
        severity = Severity.INFO if kernel["running"] else Severity.CRITICAL if first else Severity.WARNING
        yield Finding(
            "kernel-without-initramfs",
            severity,
            f"Kernel {version} has no initramfs",
            "It cannot load the driver of its root disk, unless that is built in, and panics at boot.",
            subject=f"kernel {version}",
            evidence=(
                Proof(kernel["vmlinuz"]["path"] or "/boot", value="there"),
                Proof(kernel["initramfs"]["path"] or "/boot", value="missing"),
            ),
            fix=("$ df -h /boot", f"$ {rebuild(case, version)}"),
        )


def rebuild(case: Case, version: str) -> str:
    """Return the command that makes the initramfs of a kernel on this distribution."""
    distribution = (case.facts.get("host") or {}).get("distribution") or {}
    words = f"{distribution.get('id')} {distribution.get('id_like')}"
    if "debian" in words or "ubuntu" in words:
        return f"update-initramfs -c -k {version}"
    folder = "/boot/initrd-" if "suse" in words else "/boot/initramfs-"
    return f"dracut -f {folder}{version}{'' if 'suse' in words else '.img'} {version}"


@rule("initramfs-damaged", needs=("initramfs",))
def initramfs_damaged(case: Case) -> Iterator[Finding]:
    """An initramfs cannot be unpacked to its end: it was cut (disk full?) or corrupted.

    The kernel unpacks what it can and then finds no init, or no driver of the root disk.
    """
    for image in case.facts["initramfs"]["images"] or ():
        if image["complete"] is not False or image["use"] == "leftover":
            continue
        version = image["version"]
        yield Finding(
            "initramfs-damaged",
            Severity.CRITICAL,
            f"{image['path']} is damaged",
            "The kernel that loads it cannot find what it needs to mount its root.",
            subject=image["path"],
            evidence=(Proof(image["path"], value=image["damage"], threshold="whole to its end"),),
            fix=(f"$ {rebuild(case, version)}" if version else "Make it anew.",),
        )


@rule("boot-full", needs=("boot",))
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
        fix=("Remove old kernels through the package manager, never the running or the default one.",),
    )


def _largest(facts: dict[str, Any]) -> int:
    sizes = [kernel["initramfs"]["size"] or 0 for kernel in facts["kernels"]]
    return max(sizes, default=0)
