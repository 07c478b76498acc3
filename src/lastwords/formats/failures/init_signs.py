"""Signs of boots that ended after the root filesystem was mounted, or of the kernel's own death.

Sources: init/main.c, systemd units/emergency.service, src/core/{main,job,selinux-setup}.c and src/fsck,
util-linux sulogin, sysvinit src/init.c and initscripts' checkfs.sh, e2fsck, libselinux, klibc run-init,
busybox switch_root.
"""

from __future__ import annotations

from lastwords.formats.failures.signs import CAUSE, DEVICE, HINT, boot_sign

INIT = (
    boot_sign(
        "init",
        "no_init",
        "No working init|No init found|Requested init|found on rootdev",
        r"No (?:working )?init found|Requested init (?P<device>\S+) failed"
        r"|No (?P<what>/\S+) found on rootdev",
        CAUSE,
    ),
    boot_sign(
        "init",
        "no_init",
        "run-init|switch_root",
        r"(?:run-init|switch_root): (?:can't execute '?(?P<device>/[^':\s]+)|(?P<what>/[^:\s]+): No such file"
        r"|can't execute)",
        HINT,
    ),
    boot_sign(
        "init",
        "no_init",
        "Failed to switch root|but /sbin/init does not exist",
        r"Failed to switch root: |Root device mounted successfully, but (?P<device>/\S+) does not exist",
        CAUSE,
    ),
    boot_sign(
        "init",
        "selinux_policy",
        "load SELinux|SELinux policy load failed",
        r"(?i:(?:unable|failed) to load selinux policy(?!.*(?:ignoring|module)))"
        r"|Initial SELinux policy load failed",
        CAUSE,
    ),
    boot_sign(
        "init",
        "init_frozen",
        "reezing|[!!!!!!]|Exiting PID 1",
        r"(?:^|systemd\[1\]: )Freezing execution|^\[!{6}\] |^Exiting PID 1\.\.\.",
    ),
    boot_sign(
        "init",
        "init_killed",
        "loading shared libraries|kernel too old",
        r"^(?:\S*/)?(?:init|systemd): error while loading shared libraries: (?P<device>[^\s:]+):"
        r"|^FATAL: kernel too old",
        HINT,
    ),
    boot_sign(
        "init",
        "init_killed",
        "Kernel panic - not syncing",
        r"(?<!end )Kernel panic - not syncing: Attempted to kill init",
    ),
    boot_sign(
        "init",
        "fsck_failed",
        "fsck|INCONSISTENCY|File System Check|file system check",
        r"(?P<device>[^\s:]+): UNEXPECTED INCONSISTENCY[;:] RUN fsck MANUALLY"
        r"|UNEXPECTED INCONSISTENCY[;:] RUN fsck MANUALLY|(?:^|systemd-fsck\[\d+\]: )fsck failed with"
        r"|systemd-fsck\[\d+\]: fsck failed|^fsck\.\w+: .*while trying to open (?P<what>/dev/\S+)"
        r"|^fsck died with exit"
        r"|An error occurred during the file system check"
        r"|Failed to start (?:systemd-fsck\S* - )?File System Check on (?P<volume>/dev/\S+?)?\.?$"
        r"|Failed to start (?:systemd-fsck|File System Check)",
        CAUSE,
    ),
    boot_sign(
        "init",
        "emergency_mode",
        "Timed out waiting for device",
        rf"Timed out waiting for device {DEVICE}(?:.* - (?P<what>/dev/\S+))?",
        HINT,
    ),
    # What systemd says of the root filesystem, it says in the initramfs.
    boot_sign(
        "root mount",
        "root_missing",
        "Dependency failed for",
        r"Dependency failed for (?:/sysroot\b|sysroot\.mount|initrd-root|Initrd (?:Root|/))",
        HINT,
    ),
    boot_sign(
        "init",
        "emergency_mode",
        "Dependency failed for|Failed to mount |The disk drive for",
        r"Dependency failed for (?:\S+\.mount - )?(?P<mount>/\S*|\S+\.mount)"
        r"|Dependency failed for (?:local-fs\.target - )?Local File Systems"
        r"|Failed to mount (?:\S+\.mount - )?(?P<target>/[^\s]*?)\.?$"
        r"|^The disk drive for (?P<what>/\S*) is not ready yet or not present",
        HINT,
    ),
    boot_sign(
        "init",
        "emergency_mode",
        "mergency |root password for maintenance|emergency.target|mounting filesystems|maintenance shell",
        r"(?:You are in|Welcome to) emergency mode[.!] |(?:Give"
        r"|Enter) root password for (?:system )?maintenance"
        r"|Reached target .{0,24}Emergency Mode|^General error mounting filesystems"
        r"|^A maintenance shell will now be started",
    ),
    # -- not enough memory for any of it
    boot_sign(
        "kernel",
        "out_of_memory",
        "Kernel panic - not syncing",
        r"(?<!end )Kernel panic - not syncing: (?:System is deadlocked on memory|Out of memory)",
        CAUSE,
    ),
    # -- a kernel that died on its way, of something else: its report tells of what
    boot_sign(
        "kernel",
        "kernel_panic",
        "Kernel panic - not syncing",
        r"(?<!end )Kernel panic - not syncing: (?!sysrq triggered|VFS: Unable|No (?:working )?init"
        r"|Attempted to kill init|Requested init"
        r"|System is deadlocked|Out of memory)(?P<reason>.*)",
    ),
)
