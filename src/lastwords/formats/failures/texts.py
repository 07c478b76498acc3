"""What each class of failure means for people, and how it is mended."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = frozenset(("crashkernel=", "makedumpfile", "kexec", "kdump's", "fadump"))
"""Words that are written small wherever they stand."""


@dataclass(frozen=True)
class Text:
    """Words about one class of failure."""

    title: str
    why: str
    fix: tuple[str, ...]
    """Steps in order; those that start with ``$ `` are commands."""

    @property
    def headline(self) -> str:
        """The title as a sentence begins; what is the name of a program or parameter stays as it is."""
        return self.title if self.title.split(" ")[0] in NAMES else self.title[:1].upper() + self.title[1:]


VERSION = "VERSION"
"""Stands in steps for the release of the kernel that did not boot."""
_REBUILD = (
    f"$ lastwords plan initramfs --root DIR --kernel {VERSION}  # in a rescue system, with the disk mounted",
    f"or by hand, in a chroot: dracut -f --kver {VERSION}; update-initramfs -u -k {VERSION}",
)
RESERVE = "$ lastwords plan kdump  # on that host, or --from its report: how much to reserve, and how"

TEXTS = {
    "no_boot_device": Text(
        "firmware found nothing to boot",
        "No device in the firmware's boot order holds a boot loader.",
        (
            "check the disk and the boot order in the firmware",
            "reinstall the boot loader from a rescue system",
        ),
    ),
    "kernel_not_started": Text(
        "no kernel was started",
        "Firmware or boot loader ran, again and again, and no kernel said a word.",
        (
            "check what the boot loader is configured to start",
            "check the console= parameter: the kernel may speak elsewhere",
        ),
    ),
    "loader_rescue": Text(
        "the boot loader is in its rescue shell",
        "GRUB could not read its own files: the partition it was told to use is gone or changed.",
        ("boot a rescue system", "$ grub-install DISK && grub-mkconfig -o /boot/grub/grub.cfg"),
    ),
    "loader_file_missing": Text(
        "the boot loader misses a file or a device",
        "What a menu entry names (kernel, initramfs, filesystem) does not exist.",
        ("choose another entry", "make the boot configuration anew from a rescue system"),
    ),
    "secure_boot": Text(
        "Secure Boot refused to start it",
        "The signature of boot loader or kernel is missing, or its key is not trusted.",
        ("boot a signed kernel", "enrol the key (mokutil --import), or switch Secure Boot off"),
    ),
    "kernel_image": Text(
        "the kernel's image cannot be started",
        "It is damaged, cut short, or made for another machine.",
        (
            "choose another kernel in the boot menu",
            "install the kernel's package anew from a rescue system, with room in /boot (df -h /boot)",
        ),
    ),
    "efi_stub": Text(
        "the kernel's EFI stub could not start it",
        "Firmware did not give it the memory or the files that it needs, or did not let go of the machine.",
        (
            "give the machine more memory, or a smaller initramfs",
            "update the firmware; try another kernel, or through another boot loader",
        ),
    ),
    "initramfs_unpack": Text(
        "the initramfs could not be unpacked",
        "The image is damaged, cut short, of a compression this kernel lacks, or larger than the memory "
        "allows.",
        (
            "boot an older kernel, or a rescue system",
            *_REBUILD,
            "if it says 'write error': give the machine more memory",
        ),
    ),
    "initrd_ignored": Text(
        "the initramfs was not recognised", "Its first bytes are of no known archive.", _REBUILD
    ),
    "init_not_run": Text(
        "init of the initramfs could not be run", "It, or its interpreter, is missing.", _REBUILD
    ),
    "module_version": Text(
        "the initramfs holds modules of another kernel",
        "Its /lib/modules has not the version that was booted, so that no driver could be loaded.",
        _REBUILD,
    ),
    "initramfs_shell": Text(
        "the initramfs stopped in its shell",
        "A step before the root filesystem failed; the lines before the prompt say which.",
        ("look at the lines before the prompt", *_REBUILD),
    ),
    "root_not_given": Text(
        "no root device was given",
        "The kernel command line has no root= parameter, or one that the initramfs does not understand.",
        ("add root= in the boot menu (e) to boot once", "mend the boot loader's configuration"),
    ),
    "root_missing": Text(
        "the root device did not appear",
        "Its driver is not in the initramfs, root= names another device, or the disk is gone or damaged.",
        (
            "compare root= with blkid in the shell",
            "look whether the disk's driver is in the initramfs (lastwords initramfs FILE)",
            *_REBUILD,
        ),
    ),
    "vfs_root": Text(
        "the kernel could not mount the root filesystem",
        "No initramfs was loaded, or it holds no init; and the kernel itself has no driver for the device.",
        ("check that the boot entry loads an initramfs, and that the file is whole", *_REBUILD),
    ),
    "root_not_mounted": Text(
        "the root filesystem could not be mounted",
        "Its device is there, but the mount failed: a filesystem that is damaged or unknown to this kernel, "
        "wrong options, or a device that something else holds.",
        (
            "read what the kernel said of it (dmesg)",
            "run fsck or xfs_repair from a rescue system",
            "compare rootfstype= and rootflags= with what is there (blkid)",
        ),
    ),
    "live_medium": Text(
        "the live system's medium was not found",
        "The image to run from is not on any device or server that could be reached.",
        (
            "compare the medium's label and the address with what the command line asks for",
            "write the medium anew, and check its checksum",
        ),
    ),
    "net_root": Text(
        "the root device over the network was not reached",
        "The target refused the login or did not answer (iSCSI, NBD).",
        (
            "check address, target name and credentials on the target's side",
            "check that the network came up (ip=, rd.neednet=1)",
        ),
    ),
    "pool_missing": Text(
        "the root pool could not be imported",
        "Its devices are missing, or another system used it last.",
        ("$ zpool import", "$ zpool import -N -f POOL, if no other system uses it; then exit"),
    ),
    "devices_missing": Text(
        "the root filesystem lacks some of its devices",
        "It spans several devices, and not all are there.",
        (
            "$ btrfs filesystem show",
            "add rootflags=degraded in the boot menu to boot once, then replace the device",
        ),
    ),
    "dracut_fatal": Text(
        "dracut refused to go on",
        "It met what it cannot go on with: an argument on the command line, a check that failed.",
        ("read what it calls fatal", "mend the boot loader's configuration", *_REBUILD),
    ),
    "dracut_emergency": Text(
        "dracut waited in vain for the root device",
        "A device that the command line or the initramfs asks for did not appear.",
        (
            "compare root=, rd.lvm.lv=, rd.luks.uuid= and resume= with what exists (blkid, lvs)",
            "look whether the disk's driver is in the initramfs (lastwords initramfs FILE)",
            *_REBUILD,
        ),
    ),
    "crypt_failed": Text(
        "an encrypted device was not opened",
        "No passphrase or key fitted, nobody gave one, or its device did not appear.",
        ("check /etc/crypttab and the key", *_REBUILD),
    ),
    "lvm_missing": Text(
        "a volume group or logical volume is missing",
        "A physical volume is gone, or the volume was renamed or removed and is still asked for.",
        ("$ pvs; vgs; lvs", "take rd.lvm.lv= or resume= of what no longer exists from the command line"),
    ),
    "md_missing": Text(
        "a software RAID could not be started",
        "Members are missing or stale.",
        ("$ cat /proc/mdstat; mdadm --examine --scan", "$ mdadm --assemble --run /dev/mdX"),
    ),
    "nfs_root": Text(
        "the root filesystem could not be mounted over NFS",
        "Server, export or protocol version do not fit what nfsroot= or root=nfs: asks for.",
        (
            "check the export and nfsvers= on the server's side",
            "check that the network came up (ip=, rd.neednet=1)",
        ),
    ),
    "root_read_error": Text(
        "the root filesystem is damaged",
        "Its superblock or type could not be read.",
        ("run fsck or xfs_repair from a rescue system",),
    ),
    "no_init": Text(
        "no init could be run",
        "The root filesystem was mounted, but holds no init that runs: wrong filesystem, or a missing "
        "interpreter or library.",
        ("add init=/bin/sh in the boot menu", "check that root= names the right filesystem"),
    ),
    "selinux_policy": Text(
        "SELinux's policy could not be loaded",
        "In enforcing mode nothing runs without a policy: it is missing, or damaged.",
        (
            "add enforcing=0 in the boot menu to boot once",
            "install the policy's package anew, then $ fixfiles onboot",
        ),
    ),
    "init_killed": Text(
        "init died",
        "Process 1, what runs as init, ended or was killed; the kernel cannot go on without it.",
        (
            "look at what init said last; boot with init=/bin/sh, and look at /sbin/init",
            "the exit code tells: 0x0000 is an exit without an error, 0x0200 one with 2, 0x7f00 a missing "
            "library, 0x000b a segmentation fault",
        ),
    ),
    "fsck_failed": Text(
        "a filesystem check failed",
        "The filesystem has errors that are not mended without a decision.",
        ("$ fsck -y DEVICE, unmounted, after a copy of what matters",),
    ),
    "init_frozen": Text(
        "systemd stopped for good",
        "systemd met what it cannot go on with, or crashed, and froze; nothing answers any more.",
        (
            "the line before the freezing names what failed: /proc, /sys or cgroups, a machine id, a library",
            "boot with systemd.log_level=debug systemd.log_target=console",
        ),
    ),
    "emergency_mode": Text(
        "the boot stopped in emergency mode",
        "A mount that /etc/fstab demands did not succeed, or what else local filesystems need.",
        (
            "$ journalctl -xb",
            "mend or remove the line in /etc/fstab, or give it nofail",
            "$ systemctl default",
        ),
    ),
    "out_of_memory": Text(
        "memory ran out while booting",
        "Kernel and initramfs need more than there is: often a crash kernel with too little reserved.",
        ("give the machine more memory", "if this was a crash kernel, reserve more for it:", RESERVE),
    ),
    "kernel_panic": Text(
        "the kernel panicked while booting",
        "It died before the system was up; the report of the panic tells of what.",
        ("boot an older kernel", "search for the title of the report"),
    ),
    "crashkernel_syntax": Text(
        "crashkernel= could not be understood",
        "The kernel does not know the value; crashkernel=auto exists in kernels of RHEL 7 and 8 only.",
        ("write a size, such as crashkernel=256M, or ranges", "$ kdumpctl reset-crashkernel"),
    ),
    "crashkernel_range": Text(
        "crashkernel= reserves nothing on this machine",
        "None of its ranges holds the machine's memory size.",
        ("lower the first range, or give one size", RESERVE),
    ),
    "crashkernel_no_room": Text(
        "no room for the crash kernel",
        "Memory has no free area of that size where it may lie.",
        ("ask for less, or write crashkernel=SIZE,high",),
    ),
    "crashkernel_low_memory": Text(
        "no low memory for the crash kernel",
        "Devices that reach only the first 4 GiB need some of it there.",
        ("add crashkernel=SIZE,low with a smaller size",),
    ),
    "crashkernel_in_use": Text(
        "the place asked for the crash kernel is in use",
        "crashkernel=SIZE@ADDRESS names memory that something else holds.",
        ("leave the @ADDRESS out",),
    ),
    "crashkernel_missing": Text("no crashkernel= parameter", "Nothing was asked for.", (RESERVE,)),
    "crashkernel_not_reserved": Text(
        "no memory is reserved for a crash kernel",
        "crashkernel= is missing, was refused, or the machine was not rebooted since.",
        ("$ cat /proc/cmdline; cat /sys/kernel/kexec_crash_size", RESERVE),
    ),
    "crashkernel_rejected": Text("crashkernel= was refused", "The kernel says why.", (RESERVE,)),
    "fadump_failed": Text(
        "fadump could not be set up", "Firmware refused it.", ("check fadump=on and the firmware's level",)
    ),
    "kexec_signature": Text(
        "the crash kernel's signature was refused",
        "Secure Boot or lockdown demands a kernel signed by a key that is trusted.",
        ("use the distribution's signed kernel, or enrol the key",),
    ),
    "kexec_forbidden": Text(
        "loading a crash kernel is forbidden",
        "kernel.kexec_load_disabled is 1, or lockdown allows signed kernels only (kexec -s).",
        (
            "$ sysctl kernel.kexec_load_disabled; cat /sys/kernel/security/lockdown",
            "load it with kexec -s (kexec_file_load)",
        ),
    ),
    "kexec_no_space": Text(
        "the crash kernel does not fit into what is reserved",
        "Kernel and kdump's initramfs are larger than the free part of the reserved memory.",
        (RESERVE, "make kdump's initramfs smaller"),
    ),
    "kexec_invalid": Text(
        "the kernel refused the crash kernel's image",
        "The segments do not fit into the reserved memory, or the image is of a kind this kernel does "
        "not take.",
        (RESERVE, "check that kernel and kexec-tools are of the same age"),
    ),
    "kallsyms_hidden": Text(
        "kexec could not find where the kernel lies",
        "kernel.kptr_restrict=2 hides it, and the kernel is placed at random.",
        ("$ sysctl -w kernel.kptr_restrict=1, then load again",),
    ),
    "initrd_build": Text(
        "kdump's initramfs could not be built",
        "A module or tool that it needs is missing, or the disk is full.",
        ("$ kdumpctl rebuild, and read what it says", "$ df -h /boot /var/lib/kdump"),
    ),
    "kdump_config": Text(
        "kdump's configuration is wrong",
        "An option is unknown, outdated or given twice.",
        ("mend /etc/kdump.conf", "$ kdumpctl restart"),
    ),
    "kdump_initrd_missing": Text(
        "kdump's initramfs is missing",
        "None was built for this kernel, or the link in /var/lib/kdump leads nowhere.",
        ("$ kdump-config symlinks $(uname -r); kdump-config reload  # Debian, Ubuntu", "$ kdumpctl rebuild"),
    ),
    "kexec_load": Text(
        "the crash kernel could not be loaded",
        "kdump's service failed; a crash now would leave no dump.",
        ("$ systemctl status kdump kdump-tools; journalctl -u kdump -u kdump-tools",),
    ),
    "capture_makedumpfile": Text(
        "makedumpfile could not save the dump",
        "It is older than the kernel, or does not know its page size or address layout.",
        ("update makedumpfile", "until then: core_collector cp, if the target has room for all memory"),
    ),
    "capture_collector_died": Text(
        "the program that saves the dump died",
        "A signal killed it, often over memory that the kernel took away.",
        ("update makedumpfile and kernel", "try core_collector makedumpfile --num-threads 0"),
    ),
    "capture_no_space": Text(
        "no space for the dump",
        "The target filled while the dump was written.",
        ("make room, or dump to another target", "leave out more pages: makedumpfile -d 31"),
    ),
    "capture_vmcore_read": Text(
        "the old memory could not be read",
        "/proc/vmcore gave an error: the list of memory is wrong, or the crash kernel has too little memory.",
        (RESERVE, "update the kernel"),
    ),
    "capture_target": Text(
        "the dump's target could not be reached",
        "Network, server or filesystem were not there, or refused it.",
        (
            "check path, key and network of the target in kdump's configuration",
            "$ kdumpctl propagate, for ssh",
        ),
    ),
    "capture_out_of_memory": Text(
        "the crash kernel ran out of memory",
        "What crashkernel= reserves is too little for the crash kernel with its drivers and its initramfs.",
        (
            RESERVE,
            "make it need less: nr_cpus=1 on its command line, fewer drivers in its initramfs",
        ),
    ),
    "capture_boot": Text(
        "the crash kernel did not boot",
        "It started after the crash, and died or stopped before it could save anything.",
        (
            "the lines before tell why: a driver that cannot start anew, one that its initramfs lacks",
            "make its initramfs anew, and crash the machine once on purpose to try it",
        ),
    ),
    "capture_failed": Text(
        "the dump could not be saved",
        "kdump ran, and gave up.",
        ("look at kexec-dmesg.log beside the dump, or at the serial console",),
    ),
}
