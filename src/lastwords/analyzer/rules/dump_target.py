"""Would a dump find its place: the target, and the room on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from lastwords.analyzer.kdump import steps
from lastwords.analyzer.kdump.estimate import dump_size
from lastwords.analyzer.kdump.setup import captured_by_initramfs, family, in_container, loaded
from lastwords.formats.sizes import alike
from lastwords.hookspecs import rule
from lastwords.model import Case, Facts, Finding, Proof, Severity

VOLATILE = ("tmpfs", "ramfs", "devtmpfs", "overlay", "squashfs")
DEFAULT = {"rhel": "/etc/kdump.conf", "debian": "/etc/default/kdump-tools", "suse": "/etc/sysconfig/kdump"}


def targets(case: Case) -> list[dict[str, Any]]:
    """Return where dumps go; none in a container."""
    return [] if in_container(case) else case.facts["kdump"]["targets"] or []


def named(case: Case, target: dict[str, Any]) -> Proof:
    """Return what says where dumps go."""
    said = " ".join(part for part in (target["setting"], target["device"], target["path"]) if part)
    return Proof(
        target["file"] or DEFAULT.get(family(case) or "", "facts:kdump"), line=target["line"], excerpt=said
    )


@rule("dump-target-missing", needs=("kdump",), shows="no-dump")
def target_missing(case: Case) -> Iterator[Finding]:
    """The dump target is not there: its directory does not exist, or its filesystem is not mounted.

    For the tools of RHEL, which then refuse to make the capture initramfs; the others make the directory.
    """
    if family(case) != "rhel":
        return
    for each in targets(case):
        if each["type"] == "device" and each["directory"] is None and _mounts_known(case):
            problem, step = "is not mounted", f"Mount {each['device']}, and name it in /etc/fstab."
        elif each["type"] in ("local", "device") and each["exists"] is False:
            problem, step = "does not exist", f"$ mkdir -p {each['directory']}"
        else:
            continue
        place = each["directory"] or each["device"]
        yield Finding(
            "dump-target-missing",
            Severity.WARNING if loaded(case) else Severity.CRITICAL,
            f"The dump target {place} {problem}",
            "kdump refuses a target that it cannot see, and loads nothing when it is started next.",
            subject=str(place),
            evidence=(named(case, each), Proof(str(place), value=problem)),
            fix=(step, *steps.reload(case)),
        )


@rule("dump-target-volatile", needs=("kdump",), shows="no-dump")
def target_volatile(case: Case) -> Iterator[Finding]:
    """Dumps would be written into memory, and be gone after the reboot that follows."""
    for each in targets(case):
        if each["mounted_type"] not in VOLATILE:
            continue
        yield Finding(
            "dump-target-volatile",
            Severity.CRITICAL,
            f"A crash dump in {each['directory']} does not outlive the reboot",
            f"{each['mountpoint']} is a {each['mounted_type']}: the capture kernel has a small one of its "
            "own, and what it holds is gone with the next reboot.",
            subject=each["directory"],
            evidence=(
                named(case, each),
                Proof("/proc/self/mounts", excerpt=f"{each['mountpoint']} {each['mounted_type']}"),
            ),
            fix=("Name a directory on a disk as the target.", *steps.reload(case)),
        )


@rule("dump-target-not-in-fstab", needs=("kdump", "boot"), shows="no-dump")
def target_not_in_fstab(case: Case) -> Iterator[Finding]:
    """The filesystem of the dump target was mounted by hand: the capture kernel will not mount it.

    For Debian's kdump, whose capture kernel boots the host's own system and so mounts what /etc/fstab
    says. The dump then goes to the directory below the mount point, on another filesystem, and is
    hidden as soon as the right one is mounted again. The other families name the device in the initramfs.
    """
    fstab = case.facts["boot"]["fstab"]
    if captured_by_initramfs(case) or fstab is None:
        return
    for each in targets(case):
        mountpoint = each["mountpoint"]
        if (
            each["type"] != "local"
            or mountpoint in (None, "/")
            or each["mounted_type"] in (*VOLATILE, "zfs", "btrfs")
        ):
            continue
        lines = [line for line in fstab if line["file"].rstrip("/") == mountpoint]
        if any("noauto" not in line["options"].split(",") for line in lines):
            continue
        yield Finding(
            "dump-target-not-in-fstab",
            Severity.WARNING,
            f"The crash kernel will not mount {mountpoint}",
            f"Nothing in /etc/fstab mounts it at boot: the dump goes to {each['directory']} on the "
            "filesystem above it, and is hidden once this one is mounted again.",
            subject=each["directory"],
            evidence=(
                named(case, each),
                Proof("/proc/self/mounts", excerpt=f"{each['mounted']} {mountpoint} {each['mounted_type']}"),
                Proof(
                    "/etc/fstab",
                    line=lines[0]["line"] if lines else None,
                    value="noauto" if lines else "not there",
                ),
            ),
            fix=(f"Add {each['mounted']} on {mountpoint} to /etc/fstab.",),
        )


@rule("dump-target-raw-in-use", needs=("kdump", "boot"), shows="no-dump")
def raw_in_use(case: Case) -> Iterator[Finding]:
    """A dump would be written over a device that holds a filesystem or swap: its data would be lost."""
    fstab = case.facts["boot"]["fstab"] or []
    storage = case.facts["kdump"].get("storage") or []
    for each in targets(case):
        if each["type"] != "raw":
            continue
        use = next(
            (f"{line['file']} {line['type']}" for line in fstab if line["spec"] == each["device"]), None
        )
        use = use or next(
            (found["mountpoint"] for found in storage if found["mounted"] == each["device"]), None
        )
        if use is None:
            continue
        yield Finding(
            "dump-target-raw-in-use",
            Severity.CRITICAL,
            f"A crash would overwrite {each['device']}, which is in use",
            "The dump goes to the bare device, from its first byte on.",
            subject=each["device"],
            evidence=(named(case, each), Proof("/etc/fstab", excerpt=f"{each['device']} {use}")),
            fix=("Name a device that holds nothing else, or a directory.", *steps.reload(case)),
        )


@rule("dump-target-encrypted", needs=("kdump",), shows="no-dump")
def target_encrypted(case: Case) -> Iterator[Finding]:
    """The dump target lies on an encrypted device: the capture kernel must unlock it, and nobody is there.

    LUKS2 also takes as much memory to unlock as when its key was made, often more than is reserved.
    """
    places = {each["mountpoint"] for each in targets(case) if each["type"] in ("local", "device")}
    if family(case) == "debian":
        places = places and places | {"/"}
    for each in case.facts["kdump"].get("storage") or ():
        kinds = [kind for kind in each["mappings"] if kind.startswith("CRYPT")]
        if each["mountpoint"] not in places or not kinds:
            continue
        yield Finding(
            "dump-target-encrypted",
            Severity.WARNING,
            f"The crash kernel must unlock {each['mounted']} first",
            "It waits for a passphrase on the console, or has too little memory for it, and saves nothing.",
            subject=each["mountpoint"],
            evidence=(Proof("/sys/class/block/*/dm/uuid", value=" ".join(kinds)),),
            fix=("Let dumps go to a device that is not encrypted, or to another machine.",
                 "Or have the key without a passphrase: kdumpctl setup-crypttab where it exists."),
        )  # fmt: skip


@rule("dump-target-full", needs=("crash_dumps", "kdump"), shows="no-dump")
def target_full(case: Case) -> Iterator[Finding]:
    """The filesystem that dumps go to has too little room for one.

    How large one would be follows from the use of memory and the dump level: free pages, the cache and
    what belongs to processes are mostly left out. Critical when it would not fit as compressed as kernel
    pages usually are, a warning when it would fit only so. Where the use of memory is not known, a
    twentieth of memory is taken, 64 MiB at least. A target that cannot be measured (a remote one, an
    unmounted disk) is not judged.
    """
    size = dump_size(case)
    places = case.facts["crash_dumps"]["places"] or []
    configured = [place for place in places if place["origin"] == "configured"]
    for place in configured or [place for place in places if place["origin"] == "default"]:
        available = place["available"]
        if available is None or available >= size.most or in_container(case):
            continue
        where = place["mountpoint"] or place["path"]
        left, likely, most = alike((available, size.likely, size.most))
        yield Finding(
            "dump-target-full",
            Severity.CRITICAL if available < size.likely else Severity.WARNING,
            f"Too little room for a crash dump in {place['path']}",
            "The dump would be cut, and a cut dump can rarely be read."
            if available < size.likely
            else "It fits only if memory compresses as well as it usually does.",
            subject=place["path"],
            evidence=(
                Proof(
                    f"usage of {where}",
                    value=f"{left} free",
                    threshold=f"{likely}, {most} at most",
                ),
                Proof("facts:memory", excerpt=size.told_by),
            ),
            fix=(
                f"$ du -xsh {place['path']}/*",
                "Move dumps that were looked at elsewhere, or give kdump another target.",
            ),
        )


def _mounts_known(case: Case) -> bool:
    boot: Optional[Facts] = case.facts.get("boot")
    return bool(boot and boot["filesystems"]["root"]["mounted"] is True)
