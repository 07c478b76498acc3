"""What the lines of a log say of a boot or a crash dump that failed, whoever wrote them.

A sign is one line; a failure is what several signs tell together (:mod:`.failures`). Here are the signs of
boots, as a table; those of kdump are in :mod:`.kdump_signs`.

Sources: init/main.c, init/do_mounts.c, init/initramfs.c, initramfs-tools scripts/{functions,local}, dracut
modules.d/99base and 98dracut-systemd, systemd units/emergency.service and src/core/job.c, src/fsck,
util-linux sulogin, grub-core/kern/{err,rescue_reader}.c, shim, edk2 MdeModulePkg/BdsDxe, SeaBIOS boot.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STAGES = ("firmware", "loader", "kernel", "initramfs", "root mount", "init")
"""Of a boot, in order."""

HINT, FAILED, CAUSE = 0, 1, 2
"""What a sign weighs: it may mean nothing alone; it failed; it failed because of this."""


@dataclass(frozen=True)
class Sign:
    """One kind of line."""

    area: str
    """``boot`` or ``kdump``."""
    stage: str
    name: str
    """The class of failure."""
    words: tuple[str, ...]
    """Each line holds one of these."""
    pattern: re.Pattern[str]
    """Its group ``device``, if any, is what was missing or broken."""
    weight: int = FAILED


def sign(area: str, stage: str, name: str, words: str, pattern: str, weight: int = FAILED) -> Sign:
    """Make a row; words are separated by ``|``."""
    return Sign(area, stage, name, tuple(words.split("|")), re.compile(pattern), weight)


def _boot(stage: str, name: str, words: str, pattern: str, weight: int = FAILED) -> Sign:
    return sign("boot", stage, name, words, pattern, weight)


_DEVICE = r"(?P<device>/dev/\S+|(?:UUID|LABEL|PARTUUID|PARTLABEL)=\S+|dev-\S+?\.device|\S+)"

BOOT = (
    # -- firmware and boot loader
    _boot(
        "firmware",
        "no_boot_device",
        "bootable|Boot Device|PXE-E",
        r"(?i)^(?:no bootable device|boot failed: not a bootable disk|no bootable medium"
        r"|operating system not found"
        r"|.{0,40}no boot device|pxe-e[0-9a-f]{2}:)",
    ),
    _boot("loader", "loader_rescue", "rescue", r"^(?:Entering rescue mode\.\.\.|grub rescue> ?)"),
    _boot(
        "loader",
        "loader_file_missing",
        "error: ",
        # Fonts, translations and modules but for the first may be missing: GRUB goes on.
        r"^error: (?:\S+: )?(?:file `?(?!\S{1,200}(?<!/normal)\.(?:mod|pf2|g?mo|png|tga|jpe?g)')"
        r"(?P<device>[^']{1,200})'? not found"
        r"|no such (?:device|partition|disk): ?(?P<id>\S*?)\.?$|you need to load the kernel first"
        r"|disk .{1,40} not found)",
        CAUSE,
    ),
    _boot(
        "loader",
        "secure_boot",
        "Security Violation|shim signature|Secure Boot",
        r"(?:Verification failed: ?\(0x1A\) Security Violation|bad shim signature"
        r"|Security Policy Violation)",
        CAUSE,
    ),
    # -- initramfs
    _boot(
        "initramfs",
        "initramfs_unpack",
        "nitramfs unpack",
        r"Initramfs unpack(?:ing)? failed: (?:write error|.*truncated|.*corrupt|read error|no cpio magic"
        r"|invalid magic at start"
        r"|compression method .* not configured|.*out of memory)",
        CAUSE,
    ),
    # Padding between parts of an image, or a second archive, does no harm: only what follows tells.
    _boot(
        "initramfs",
        "initramfs_unpack",
        "nitramfs unpack",
        r"Initramfs unpack(?:ing)? failed: (?:junk within|.*Decoding failed|.*)",
        HINT,
    ),
    _boot(
        "initramfs",
        "initrd_ignored",
        "not initramfs",
        r"rootfs image is not initramfs \((?P<reason>[^)]*)\)",
        HINT,
    ),
    _boot(
        "initramfs",
        "init_not_run",
        "Failed to execute",
        r"Failed to execute (?P<device>/\S+) \(error -\d+\)",
        HINT,
    ),
    _boot(
        "initramfs",
        "module_version",
        "in directory /lib/modules",
        r"modprobe: FATAL: Module \S+ not found in directory (?P<device>/lib/modules/\S+)",
        HINT,
    ),
    _boot(
        "initramfs",
        "initramfs_shell",
        "(initramfs)|Dropping to a shell|Dropping to debug shell|BusyBox v|emergency shell",
        r"^\(initramfs\)|^Target filesystem doesn't have|Dropping to debug shell"
        r"|^You are (?:now )?being dropped (?:in)?to an emergency shell",
    ),
    # -- the root filesystem
    _boot("root mount", "root_not_given", "No root device specified", r"No root device specified", CAUSE),
    _boot(
        "root mount",
        "root_missing",
        "does not exist",
        rf"^ALERT! +{_DEVICE} does not exist\.  ?Dropping to a shell",
        CAUSE,
    ),
    # mkinitcpio's hooks
    _boot(
        "root mount", "root_missing", "Skipping fsck", r"ERROR: device '(?P<device>[^']+)' not found", CAUSE
    ),
    _boot(
        "root mount",
        "vfs_root",
        "on real root",
        r"ERROR: Failed to mount '(?P<device>[^']+)' on real root",
    ),
    _boot("root mount", "root_missing", "Gave up waiting", r"Gave up waiting for (?:root|suspend/resume)"),
    _boot(
        "root mount",
        "crypt_failed",
        "cryptsetup|crypttab|passphrase|LUKS",
        r"cryptsetup(?:\[\d+\])?: (?:ERROR: )?.*(?:cryptsetup failed|bad password"
        r"|maximum number of tries exceeded)"
        r"|Failed to activate with (?:specified passphrase|key)"
        r"|cryptsetup: Waiting for encrypted source device"
        r"|No key available with this passphrase|Gave up waiting for .* encrypted",
        HINT,
    ),
    _boot(
        "root mount",
        "lvm_missing",
        "olume group|ogical volume",
        r'[Vv]olume group "(?P<device>[^"]+)" not found|Cannot process volume group (?P<group>\S+)'
        r"|Failed to find logical volume \"(?P<volume>[^\"]+)\"",
        HINT,
    ),
    _boot(
        "root mount",
        "md_missing",
        "mdadm",
        r"mdadm: .*(?:not enough to start|No arrays found|failed to (?:start|assemble))",
        HINT,
    ),
    _boot(
        "root mount",
        "nfs_root",
        "Root-NFS|root fs via NFS|mount.nfs",
        r"Root-NFS: .*(?:refused|failed|unable|error|not found)|VFS: Unable to mount root fs via NFS"
        r"|mount\.nfs\w*: .*",
        HINT,
    ),
    _boot(
        "root mount",
        "vfs_root",
        "VFS: Cannot open root device",
        r"VFS: Cannot open root device \"?(?P<device>[^\" ]*)\"?",
        HINT,
    ),
    _boot(
        "root mount",
        "vfs_root",
        "Unable to mount root fs",
        r"(?<!end )Kernel panic - not syncing: VFS: Unable to mount root fs on (?:\"(?P<device>[^\"]+)\" "
        r"or )?(?P<id>\S*)",
    ),
    _boot(
        "root mount",
        "dracut_emergency",
        "initqueue",
        r"dracut-initqueue.*: Warning: .*(?:initqueue timeout|still waiting)",
        HINT,
    ),
    _boot(
        "root mount",
        "dracut_emergency",
        "Could not boot|Boot has failed|Entering emergency mode",
        r"Warning: Could not boot|Boot has failed\. To debug|dracut.*Entering emergency mode"
        r"|^Generating \"/run/initramfs/rdsosreport",
    ),
    _boot("root mount", "dracut_emergency", "does not exist", rf"Warning: {_DEVICE} does not exist", CAUSE),
    _boot(
        "root mount",
        "root_read_error",
        "error mounting|wrong fs type|bad superblock",
        r"mount: .*(?:wrong fs type|bad superblock|can't read superblock)|XFS \(\S+\): SB validate failed",
        HINT,
    ),
    # -- init
    _boot(
        "init",
        "no_init",
        "No working init|No init found|Requested init",
        r"No (?:working )?init found|Requested init (?P<device>\S+) failed",
        CAUSE,
    ),
    _boot(
        "init",
        "no_init",
        "run-init|switch_root",
        r"(?:run-init|switch_root): (?:can't execute '?(?P<device>/[^':\s]+)|(?P<what>/[^:\s]+): No such file"
        r"|can't execute)",
        HINT,
    ),
    _boot(
        "init",
        "no_init",
        "Failed to switch root|but /sbin/init does not exist",
        r"Failed to switch root: |Root device mounted successfully, but (?P<device>/\S+) does not exist",
        CAUSE,
    ),
    _boot(
        "init", "init_frozen", "reezing", r"(?:^|systemd\[1\]: )Freezing execution|^\[!{6}\] .*, freezing\."
    ),
    _boot(
        "init",
        "init_killed",
        "Attempted to kill init",
        r"(?<!end )Kernel panic - not syncing: Attempted to kill init",
    ),
    _boot(
        "init",
        "fsck_failed",
        "fsck|INCONSISTENCY",
        r"UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY|systemd-fsck\[\d+\]: fsck failed"
        r"|fsck exited with status code [4-9]"
        r"|Failed to start (?:systemd-fsck|File System Check).*?(?P<device>/dev/\S+)?",
        CAUSE,
    ),
    _boot(
        "init",
        "emergency_mode",
        "Timed out waiting for device",
        rf"Timed out waiting for device {_DEVICE}(?: - (?P<what>/dev/\S+?))?\.?$",
        HINT,
    ),
    _boot(
        "init",
        "emergency_mode",
        "Dependency failed for",
        r"Dependency failed for (?P<mount>/\S*|\S+\.mount|Local File Systems)",
        HINT,
    ),
    _boot(
        "init",
        "emergency_mode",
        "mergency mode|mergency Mode|root password for maintenance|emergency.target",
        r"(?:You are in|Welcome to) emergency mode|^(?:Give"
        r"|Enter) root password for (?:system )?maintenance|^Reached target .{0,24}Emergency Mode",
    ),
    # -- not enough memory for any of it
    _boot(
        "kernel",
        "out_of_memory",
        "deadlocked on memory|no killable process",
        r"(?<!end )Kernel panic - not syncing: (?:System is deadlocked on memory|Out of memory)",
        CAUSE,
    ),
    # -- a kernel that died on its way, of something else: its report tells of what
    _boot(
        "kernel",
        "kernel_panic",
        "Kernel panic - not syncing",
        r"(?<!end )Kernel panic - not syncing: (?!sysrq triggered|VFS: Unable|No (?:working )?init"
        r"|Attempted to kill init"
        r"|System is deadlocked|Out of memory)(?P<reason>.*)",
    ),
)

PROGRESS = (
    # The first group is what a boot begins with: any of it after a kernel starts a new boot.
    (
        "firmware",
        ("SeaBIOS", "BdsDxe", "U-Boot", "SecStartup", "coreboot-", "UEFI firmware", "OpenSBI"),
        re.compile(
            r"^SeaBIOS \(|^BdsDxe: |^U-Boot(?: SPL)? 20\d\d|SecStartup$|^coreboot-\d|^UEFI firmware"
            r"|^OpenSBI v"
        ),
    ),
    (
        "loader",
        (
            "Welcome to GRUB",
            "Booting `",
            "Loading Linux",
            "EFI stub: ",
            "Starting kernel ...",
            "Loading initial ramdisk",
        ),
        re.compile(
            r"Welcome to GRUB|^ *Booting `|^Loading (?:Linux|initial ramdisk)|^EFI stub: "
            r"|^Starting kernel \.\.\."
        ),
    ),
    (
        "kernel",
        ("Linux version ", "Booting Linux on physical CPU"),
        re.compile(r"^Linux version \d|^Booting Linux on physical CPU"),
    ),
    (
        "initramfs",
        ("Run /init as init", "Loading, please wait", "dracut-cmdline", "in initrd"),
        re.compile(
            r"^Run /init as init process|^Loading, please wait|^dracut-\d|systemd\[1\]: Running in initrd"
        ),
    ),
    (
        "init",
        ("Run /sbin/init", "Switching root", "Switch Root", "Welcome to ", "/scripts/init-bottom"),
        # The last that initramfs-tools runs before it hands over.
        re.compile(
            r"^Run /sbin/init as init|Switching root\.|^Welcome to (?!GRUB|emergency)"
            r"|Running /scripts/init-bottom"
        ),
    ),
    (
        "up",
        (
            " login:",
            "Startup finished in",
            "Reached target Multi-User",
            "multi-user.target",
            "Reached target Graphical",
            "Finished system initialization",
        ),
        re.compile(
            r"^\S+ login:(?: |$)|Startup finished in .*\(userspace\)|Reached target .{0,12}(?:Multi-User"
            r"|multi-user\.target|Graphical)"
        ),
    ),
)
"""How far a boot came: stage, words, pattern. ``up``: it succeeded."""
