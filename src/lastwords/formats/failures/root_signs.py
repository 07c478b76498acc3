"""Signs of boots that ended in the initramfs, or without a root filesystem.

Sources: init/do_mounts.c, init/initramfs.c, initramfs-tools scripts/{functions,local,nfs},
cryptsetup-initramfs, live-boot and casper, zfs-initramfs, dracut modules.d/{base,fs-lib,systemd}, mkinitcpio
init_functions and archiso hooks, Alpine's mkinitfs initramfs-init.in, OpenEmbedded initrdscripts, systemd
src/cryptsetup and src/core/job.c, open-iscsi usr, nfs-utils mount, fs/{ext4,xfs,btrfs}.
"""

from __future__ import annotations

from lastwords.formats.failures.signs import CAUSE, DEVICE, ENDED, FAILED, HINT, WAITS, boot_sign

INITRAMFS = (
    boot_sign(
        "initramfs",
        "initramfs_unpack",
        "nitramfs unpack",
        r"Initramfs unpack(?:ing)? failed: (?:write error|.*truncated|.*corrupt|read error|no cpio magic"
        r"|invalid magic at start"
        r"|compression method .* not configured|.*out of memory)",
        CAUSE,
    ),
    # Padding between parts of an image, or a second archive, does no harm: only what follows tells.
    boot_sign(
        "initramfs",
        "initramfs_unpack",
        "nitramfs unpack",
        r"Initramfs unpack(?:ing)? failed: (?:junk within|.*Decoding failed|.*)",
        HINT,
    ),
    boot_sign(
        "initramfs",
        "initrd_ignored",
        "not initramfs",
        r"rootfs image is not initramfs \((?P<reason>[^)]*)\)",
        HINT,
    ),
    boot_sign(
        "initramfs",
        "init_not_run",
        "Failed to execute",
        r"Failed to execute (?P<device>/\S+) \(error -\d+\)",
        HINT,
    ),
    boot_sign(
        "initramfs",
        "module_version",
        "in directory /lib/modules",
        r"modprobe: FATAL: Module \S+ not found in directory (?P<device>/lib/modules/\S+)",
        HINT,
    ),
)

ROOT = (
    boot_sign("root mount", "root_not_given", "No root device specified", r"No root device specified", CAUSE),
    boot_sign(
        "root mount",
        "root_not_given",
        "empty root= argument|how to handle",
        r"FATAL: (?:No or empty root= argument|Don't know how to handle 'root=(?P<device>[^']*)')",
        CAUSE,
    ),
    boot_sign(
        "root mount",
        "crypt_failed",
        "encrypted source device",
        rf"ALERT! +encrypted source device {DEVICE} does not exist",
        CAUSE,
    ),
    boot_sign(
        "root mount",
        "root_missing",
        "does not exist",
        rf"^ALERT! +(?:root=)?{DEVICE} does not exist(?:\.|$)",
        CAUSE,
    ),
    # mkinitcpio's hooks, archiso's, OpenEmbedded's framework, Alpine's init
    boot_sign(
        "root mount", "root_missing", "Skipping fsck", r"ERROR: device '(?P<device>[^']+)' not found", CAUSE
    ),
    boot_sign(
        "root mount",
        "live_medium",
        "did not show up after",
        r"ERROR: [`'](?P<device>[^`']*)[`'] device did not show up after",
        CAUSE,
    ),
    boot_sign(
        "root mount",
        "root_missing",
        "does not contain a /dev",
        r"root '(?P<device>[^']+)' doesn't exist or does not contain a /dev",
    ),
    boot_sign(
        "root mount",
        "root_missing",
        " on /sysroot failed| on /mnt-root| on /new_root",
        r"mounting (?P<device>\S+) on /(?:sysroot|mnt-root|new_root)/? failed: No such file or directory",
        CAUSE,
    ),
    boot_sign(
        "root mount",
        "live_medium",
        "live file|Debian Live image|boot media|rootfs.img|stage2 from|dracut: FATAL",
        r"(?i:unable to find a [ \w]{0,40}live file ?system)"
        r"|dracut: FATAL: Failed to (?:mount block device of|find) live"
        r"|This Debian Live image failed to boot|Mounting boot media:? failed|Cannot find rootfs\.img file"
        r"|anaconda: failed to fetch stage2 from (?P<device>\S+)",
        CAUSE,
    ),
    # -- why the device is not there, or cannot be mounted
    boot_sign(
        "root mount",
        "crypt_failed",
        "set up successfully",
        r"cryptsetup: \S+ set up successfully",
        ENDED,
    ),
    boot_sign(
        "root mount",
        "crypt_failed",
        "unlock disk|nter passphrase for|Cryptography Setup for",
        r"^Please unlock disk (?P<device>\S+?):? *$|^(?:Please e"
        r"|E)nter passphrase for (?:disk )?(?P<what>.{1,80}?):? *$"
        r"|start job is running for (?:\S+ - )?Cryptography Setup for (?P<volume>\S+) .*no limit",
        WAITS,
    ),
    boot_sign(
        "root mount",
        "crypt_failed",
        "cryptsetup|crypttab|passphrase|LUKS|TPM|Cryptography Setup",
        r"cryptsetup(?:\[\d+\])?: (?:ERROR: )?(?:(?P<device>[\w.-]+): )?.*(?:cryptsetup failed|bad password"
        r"|maximum number of tries exceeded)"
        r"|Failed to activate with (?:specified passphrase|key)"
        r"|cryptsetup: Waiting for encrypted source device|Failed to unseal secret using TPM2"
        r"|TPM policy does not match"
        r"|Failed to start (?:systemd-cryptsetup\S* - )?Cryptography Setup for (?P<what>\S+?)\.?$"
        r"|No key available with this passphrase|Gave up waiting for .* encrypted",
        HINT,
    ),
    boot_sign(
        "root mount",
        "lvm_missing",
        "olume group|ogical volume|LVM ",
        r'[Vv]olume group "(?P<device>(?!none")[^"]+)" not found'
        r"|Cannot process volume group (?P<group>(?!none$)\S+)"
        r"|Failed to find logical volume \"(?P<volume>[^\"]+)\"|^dracut Warning: LVM (?P<what>\S+) not found",
        HINT,
    ),
    boot_sign(
        "root mount",
        "md_missing",
        "mdadm",
        # That no array is configured is what every machine without one says.
        r"mdadm: .*(?:not enough to start|failed to (?:start|assemble|RUN_ARRAY))",
        HINT,
    ),
    boot_sign(
        "root mount",
        "pool_missing",
        "cannot import '|to import pool",
        r"cannot import '(?P<device>[^']+)': |[Ff]ailed to import pool '(?P<what>[^']+)'"
        r"|ZFS: [Uu]nable to import pool (?P<volume>\S+)",
        HINT,
    ),
    boot_sign("root mount", "pool_missing", "import the pool and exit", r"Manually import the pool and exit"),
    boot_sign(
        "root mount",
        "devices_missing",
        "BTRFS",
        r"BTRFS(?: error|:)? ?(?:\(device (?P<device>[^)]+)\): )?(?:devid \d+ uuid \S+ is missing"
        r"|failed to read (?:chunk tree|the system array))",
        HINT,
    ),
    boot_sign(
        "root mount",
        "net_root",
        "initiator reported error|make a connection to|iSCSI target|Could not login to|nbd-client",
        r"iscsi(?:start|adm): (?:initiator reported error|cannot make a? ?connection to (?P<device>\S+))"
        r"|iscsiadm: Could not login to \[.*target: (?P<what>[^,\]]+)"
        r"|Login to iSCSI target (?P<target>\S+) failed"
        r"|^nbd-client: .*(?:fail|refused|error)",
        HINT,
    ),
    boot_sign(
        "root mount",
        "nfs_root",
        "Root-NFS|root fs via NFS|mount.nfs|NFS over |nfsroot=|nfs mount",
        r"Root-NFS: .*(?:refused|failed|unable|error|not found)|VFS: Unable to mount root fs via NFS"
        r"|mount\.nfs\w*: .*(?:while mounting|Protocol not supported for|for) (?P<device>\S+:/\S*)"
        r"|mount\.nfs\w*: .*"
        r"|NFS over (?:TCP|UDP) not available"
        r"|ommand line: .*\bnfsroot=(?P<what>[^\s,]+)",
        HINT,
    ),
    boot_sign("root mount", "nfs_root", "nfs mount", r"Retrying nfs mount", HINT),
    boot_sign(
        "root mount",
        "root_read_error",
        "mount: |XFS (|-fs (|BTRFS",
        r"mount: .*(?:wrong fs type|bad superblock|can't read superblock|Structure needs cleaning)"
        r"(?:.* on (?P<device>/dev/[^\s,.]+))?"
        r"|XFS \((?P<what>[^)]+)\): (?:SB validate failed|log mount/recovery failed|log mount failed"
        r"|log mount finish failed|Failed to recover intents|Corruption (?:of in-memory data )?detected"
        r"|[Bb]ad magic number|Superblock has unknown (?:incompatible|required))"
        r"|EXT[234]-fs \((?P<volume>[^)]+)\): (?:VFS: Can't find ext\d|unable to read superblock"
        r"|couldn't mount (?:RDWR )?because of unsupported|bad geometry|no journal found"
        r"|error loading journal)"
        r"|BTRFS(?: error)? \(device (?P<group>[^)]+)\): (?:superblock checksum mismatch|open_ctree failed)",
        HINT,
    ),
    # -- that it could not be mounted
    boot_sign(
        "root mount",
        "root_not_mounted",
        "on real root|root file system|/sysroot|sysroot.mount|could not find filesystem|switchroot: ",
        r"ERROR: Failed to mount '(?P<device>[^']+)' on real root"
        r"|^Failed to mount (?P<what>\S+) as root file system"
        r"|mounting (?P<volume>\S+) on /sysroot failed: "
        r"|Failed to mount (?:sysroot\.mount - )?/sysroot\.?$"
        r"|^mount: could not find filesystem '/dev/root'|^switchroot: mount failed",
    ),
    boot_sign(
        "root mount",
        "root_not_mounted",
        " on /root failed|on /sysroot|: /sysroot: |or mount point busy",
        r"mounting (?P<device>/dev/\S+) on /root failed: "
        r"|mount: /sysroot: (?P<what>/dev/\S+) already mounted",
        HINT,
    ),
    # genkernel, mkinitrd of SUSE
    boot_sign(
        "root mount",
        "root_missing",
        "Could not find ",
        r"^!! Could not find the root(?: block)? device in (?P<device>\S+?)\.?$"
        r"|to appear: [. ]*Could not find (?P<what>/dev/\S+?)\.?$",
        CAUSE,
    ),
    boot_sign("root mount", "root_missing", "Gave up waiting", r"Gave up waiting for root"),
    boot_sign(
        "root mount",
        "root_missing",
        "Waiting for root device|start job is running for|start running",
        r"^Waiting for root device (?P<device>\S+?)\.\.\.$"
        r"|A start job is running for (?P<what>/dev/\S+|dev-\S+?\.device)\b.*no limit"
        r"|Job (?P<volume>dev-\S+?\.device)/start running .*no limit",
        WAITS,
    ),
    boot_sign(
        "root mount",
        "vfs_root",
        "VFS: Cannot open root device",
        r"VFS: Cannot open root device \"?(?P<device>(?!\(null\))[^\" ]*)\"?",
        HINT,
    ),
    boot_sign(
        "root mount",
        "vfs_root",
        "Kernel panic - not syncing",
        r"(?<!end )Kernel panic - not syncing: VFS: Unable to mount root fs on (?:\"(?P<device>[^\"]+)\" "
        r"or )?(?P<id>\S*)",
    ),
    boot_sign(
        "root mount",
        "dracut_emergency",
        "initqueue",
        r"dracut-initqueue.*: Warning: .*(?:initqueue timeout|still waiting)",
        HINT,
    ),
    boot_sign(
        "root mount",
        "dracut_emergency",
        "No root device",
        r"^(?:dracut.*: |dracut )?(?:Warning: )?No root device (?:\"(?:block:)?(?P<device>[^\"]+)\" )?found",
    ),
    boot_sign(
        "initramfs",
        "dracut_fatal",
        "dracut: FATAL|Refusing to continue",
        r"dracut: FATAL: (?P<reason>.*)|dracut\S*: Refusing to continue",
    ),
    boot_sign(
        "root mount",
        "dracut_emergency",
        "Could not boot|Boot has failed|Entering emergency mode|sosreport",
        r"Warning: Could not boot|Boot has failed(?:\. To debug|, sleeping)"
        r"|^Entering emergency mode\. Exit the shell"
        r"|dracut.*Entering emergency mode|^Generating \"/run/initramfs/(?:rd)?sosreport",
    ),
    boot_sign(
        "root mount", "dracut_emergency", "does not exist", rf"Warning: {DEVICE} does not exist", CAUSE
    ),
    # The initramfs checks the root filesystem itself.
    boot_sign(
        "root mount",
        "fsck_failed",
        "fsck exited|a manual fsck|system will try|(Repair filesystem)|of the root filesystem failed",
        r"^fsck exited with status code (?:[4-9]|[1-9]\d+)"
        r"|^The root filesystem on (?P<device>\S+) requires a manual fsck"
        r"|File system check of the root filesystem failed"
        r"|Dropping you to a shell; the system will try|^\(Repair filesystem\)",
        CAUSE,
    ),
    boot_sign(
        "initramfs",
        "initramfs_shell",
        "(initramfs)|ropping to |Target filesystem doesn't|mergency shell|recovery shell launched"
        "|interactive prompt|in stage 1 of the boot|exiting to /bin/sh",
        r"^\(initramfs\)|^Target filesystem doesn't have|Dropping to debug shell"
        r"|^You are (?:now )?being dropped (?:in)?to an emergency shell"
        r"|^initramfs emergency recovery shell launched"
        r"|^Falling back to interactive prompt|^Dropping to a shell\. +Will skip"
        r"|^An error occurred in stage 1 of the boot|^not found -- exiting to /bin/sh"
        r"|^Press Enter for emergency shell",
        FAILED,
    ),
)
