"""Initramfs images: whole, of the right kernel, with what this machine's root needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lastwords.analyzer.again import room_on
from lastwords.analyzer.boot_words import kernel_of, remake, start_trouble, weight
from lastwords.analyzer.root_needs import Lack, lacks_of, needs_of_root
from lastwords.formats.initrd.execve import ERRORS
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

CANNOT = "The kernel that loads it cannot find what it needs to mount its root."


def _images(case: Case, *uses: str) -> Iterator[dict[str, Any]]:
    for image in case.facts["initramfs"]["images"] or ():
        if image["use"] in uses:
            yield image


def _has_booted(case: Case, image: dict[str, Any]) -> bool:
    """Return whether the running kernel was started with this very image: then nothing in it is missing."""
    boot, host = case.facts.get("boot"), case.facts.get("host") or {}
    since, made = host.get("boot_time"), image.get("mtime")
    running = boot and boot["running"] and boot["running"] == image["version"]
    return bool(running and since and made and made < since)


@rule("initramfs-damaged", needs=("initramfs",), shows="image")
def initramfs_damaged(case: Case) -> Iterator[Finding]:
    """An initramfs cannot be unpacked to its end: it was cut (disk full?) or corrupted.

    The kernel unpacks what it can and then finds no init, or no driver of the root disk. The finding tells
    what it will print; of some damage it prints nothing: an archive that ends early outside of compressed
    data, a file of zeros. A warning only where something else follows a whole image: what comes before it is
    used all the same.
    """
    for image in _images(case, "boot", "kdump", "rescue", "fallback"):
        if image["complete"] is not False:
            continue
        message = image.get("kernel_message")
        said = (
            f"It prints: Initramfs unpacking failed: {message}." if message else "It prints nothing of this."
        )
        usable = _followed_by_junk(image)
        why = "The kernel complains, and uses what comes before it." if usable else CANNOT
        yield Finding(
            "initramfs-damaged",
            Severity.WARNING if usable else Severity.CRITICAL,
            f"{image['path']} is {'followed by something else' if usable else 'damaged'}",
            f"{why} {said}",
            subject=image["path"],
            evidence=(Proof(image["path"], value=image["damage"], threshold="whole to its end"),),
            fix=(room_on(case, "/boot"), *remake(case, image["version"])),
        )


def _followed_by_junk(image: dict[str, Any]) -> bool:
    """Return whether nothing is wrong but that a whole image, with something to start, is not the end."""
    kinds = [each["kind"] for each in image["segments"] or ()]
    contents = image.get("contents")
    whole = all(each["size"] is not None for each in (image["segments"] or ())[:-1])
    return (
        kinds[-1:] == ["unknown"]
        and len(kinds) > 1
        and whole
        and contents is not None
        and start_trouble(contents["init"]) is None
    )


@rule("initramfs-wrong-version", needs=("initramfs",), shows="image")
def wrong_version(case: Case) -> Iterator[Finding]:
    """An initramfs holds the modules of another kernel than the one that loads it.

    Typically made in rescue mode without naming the version: the builder takes that of the running kernel.
    The kernel refuses foreign modules, so its root disk stays unseen. Silent for images without any modules.
    """
    for image in _images(case, "boot", "fallback"):
        versions, version = image["kernel_versions"], image["version"]
        if not versions or not version or version in versions or not version[:1].isdigit():
            continue
        yield Finding(
            "initramfs-wrong-version",
            weight(case.facts.get("boot"), version),
            f"{image['path']} was made for another kernel",
            f"Kernel {version} cannot load its modules, and does not find its root.",
            subject=image["path"],
            evidence=(
                Proof(image["path"], value=f"modules of {', '.join(versions)}", threshold=f"of {version}"),
            ),
            fix=remake(case, version),
        )


@rule("initramfs-without-init", needs=("initramfs",), shows="image")
def without_init(case: Case) -> Iterator[Finding]:
    """An initramfs has nothing to start: no /init, or one that the kernel cannot execute.

    Without /init, or where it is a link to nothing, the kernel looks for the root by itself and panics
    ("Unable to mount root fs"). Microcode alone is such an image. Of an /init that cannot be executed it
    prints "Failed to execute /init" with the error: -2 where the interpreter of a script or the dynamic
    linker of a program is not in the image, -13 where a file on the way is not executable, -8 where it is
    neither a script with #! nor an ELF program. Then it starts /sbin/init, /etc/init, /bin/init or /bin/sh of
    the image instead, which does not mount the root, or panics with "No working init found".
    """
    for image in _images(case, "boot", "kdump", "rescue", "fallback"):
        contents = image.get("contents")
        if image["complete"] is not True or not contents:
            continue
        init = contents["init"]
        value = start_trouble(init)
        if value is None or (contents["squashed"] and init["kind"]):
            continue
        if not init["kind"] and image["segments"] and all(each["microcode"] for each in image["segments"]):
            value = "nothing but microcode"
        why = "The kernel unpacks it, finds no /init, looks for its root by itself and panics."
        if init.get("error"):
            said = f"Failed to execute /init (error -{ERRORS[init['error']]})"
            why = f"The kernel prints: {said}. It panics, or starts something that does not mount the root."
        yield Finding(
            "initramfs-without-init",
            weight(case.facts.get("boot"), image["version"]) if image["use"] == "boot" else Severity.WARNING,
            f"{image['path']} has nothing to start",
            why,
            subject=image["path"],
            evidence=(Proof(image["path"], value=value, threshold="/init and what it needs"),),
            fix=remake(case, image["version"]),
        )


@rule("initramfs-lacks-driver", needs=("initramfs", "boot"), shows="image")
def lacks_driver(case: Case) -> Iterator[Finding]:
    """An initramfs lacks a kernel module or program without which this machine's root cannot be mounted.

    What is needed follows from the filesystem of /, the devices below it and their drivers (sysfs, lsblk,
    lspci), or from fstab and the kernel command line where the machine does not run. Built-in drivers are
    counted as present (modules.builtin), and what a module needs in turn must be there too (modules.dep).
    Silent where it is not known which modules a kernel has, for the image that the running kernel was
    started with, and for images that keep their modules in a filesystem of its own (dracut's squash).
    """
    boot = case.facts["boot"]
    needs = needs_of_root(boot)
    for image in _images(case, "boot"):
        kernel = kernel_of(boot, image["version"])
        versions = image["kernel_versions"] or ()
        if image["complete"] is not True or image["version"] not in versions or not image.get("contents"):
            continue  # that is another finding
        if image["contents"]["squashed"]:
            continue  # what is in there is not known
        lacks = [] if _has_booted(case, image) else lacks_of(needs, image, kernel)
        if not lacks:
            continue
        names = list(dict.fromkeys(" or ".join(each.missing) if not each.need.module else each.missing[0]
                                   for each in lacks))  # fmt: skip
        yield Finding(
            "initramfs-lacks-driver",
            weight(boot, image["version"]),
            f"{image['path']} lacks {', '.join(names)}",
            f"Kernel {image['version']} cannot mount its root: {lacks[0].need.why} needs what is missing.",
            subject=image["path"],
            evidence=tuple(_lack(image, each) for each in lacks),
            fix=_more(case, image, [each for each in lacks if each.need.module and not each.kernel]),
        )


def _lack(image: dict[str, Any], lack: Lack) -> Proof:
    names = " or ".join(lack.missing) if lack.need.module is None else ", ".join(lack.missing)
    where = "neither in the image nor in this kernel at all" if lack.kernel else "not in it"
    return Proof(image["path"], value=f"{names}: {where}", threshold=f"there, for {lack.need.why}")


def _more(case: Case, image: dict[str, Any], lacks: list[Lack]) -> tuple[str, ...]:
    """Return how to have modules added that the builder left out."""
    names = " ".join(str(each.need.module) for each in lacks)
    builder = (image.get("contents") or {}).get("builder")
    first = []
    if names and builder == "dracut":
        first = [f"$ echo 'add_drivers+=\" {names} \"' > /etc/dracut.conf.d/root.conf"]
    elif names and builder == "initramfs-tools":
        first = [f"$ printf '%s\\n' {names} >> /etc/initramfs-tools/modules"]
    return (*first, *remake(case, image["version"]))


@rule("microcode-not-first", needs=("initramfs",), shows="boot")
def microcode_not_first(case: Case) -> Iterator[Finding]:
    """Microcode stands behind compressed data in an initramfs, where the kernel does not look for it.

    It is searched for before anything can be decompressed, in the uncompressed archives at the start.
    """
    for image in _images(case, "boot"):
        kinds = [(each["kind"], each["microcode"]) for each in image["segments"] or ()]
        if ("compressed", False) in kinds and ("cpio", True) in kinds[kinds.index(("compressed", False)) :]:
            yield Finding(
                "microcode-not-first",
                Severity.WARNING,
                f"The microcode in {image['path']} is not loaded",
                "The kernel looks for it in the uncompressed archives at the start only.",
                subject=image["path"],
                evidence=(Proof(image["path"], value="behind compressed data", threshold="first"),),
                fix=remake(case, image["version"]),
            )
