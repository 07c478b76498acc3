"""Facts on which each rule of kdump fires, and facts on which it is silent: changes to golden hosts."""

from __future__ import annotations

from typing import Any

from golden_case import TAKEN_AT

from lastwords.model import Severity, event

MIB, GIB = 1 << 20, 1 << 30
DAY = 86400.0
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
NOT_RESERVED = {
    "kdump__kexec__crash_size": 0,
    "kdump__kexec__crash_loaded": False,
    "kdump__kexec__reservations": [],
}
CONTAINER = {"host__container__kind": "podman"}
RHEL_IMAGE = "/boot/initramfs-5.14.0-427.13.1.el9_4.x86_64kdump.img"
DEBIAN_IMAGE = "/var/lib/kdump/initrd.img-6.1.0-18-amd64"
UNIT = {
    "unit": "kdump.service", "path": "/usr/lib/systemd/system/kdump.service", "installed": True, "masked": False,
    "wanted_by": [], "unit_file_state": "disabled", "active_state": "inactive", "result": "success",
    "exit_code": 0, "condition_result": True,
}  # fmt: skip
FADUMP = {
    "kdump__fadump": {
        "parameters": ["fadump=on"],
        "enabled": True,
        "registered": False,
        "mem_reserved": 768 * MIB,
    },
    "host__architecture": "ppc64le",
}
OPTIONS = {"KEXEC": "y", "KEXEC_FILE": "y", "CRASH_DUMP": "y", "PROC_VMCORE": "y"}


def booted(*parameters: str, **more: Any) -> dict[str, Any]:
    """A boot with these parameters that reserved nothing."""
    return {
        **NOT_RESERVED,
        "kdump__crashkernel__booted": [f"crashkernel={each}" for each in parameters],
        **more,
    }


def granted(*ranges: tuple[int, int], **more: Any) -> dict[str, Any]:
    """Reservations: start and size of each."""
    made = [{"start": start, "end": start + size - 1, "size": size} for start, size in ranges]
    return {
        "kdump__kexec__reservations": made,
        "kdump__kexec__crash_size": max(size for _, size in ranges),
        **more,
    }


def entry(name: str, value: str, status: str = "known", line: int = 20) -> dict[str, Any]:
    return {"line": line, "name": name, "value": value, "status": status}


def conf(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """RHEL's kdump.conf with these entries, written after the initramfs."""
    made = {
        "path": "/etc/kdump.conf",
        "syntax": "directives",
        "mtime": 1772000000.0,
        "entries": list(entries),
    }
    return {"kdump__files": [{**made, "others": []}], "kdump__kexec__crash_loaded": False, **more}


def tools(name: str, value: str, **more: Any) -> dict[str, Any]:
    """Debian's /etc/default/kdump-tools with this one variable."""
    made = {"path": "/etc/default/kdump-tools", "syntax": "shell", "mtime": 1756897350.0, "others": []}
    return {
        "host": "debian12",
        "kdump__files": [{**made, "entries": [entry(name, value, "literal")]}],
        **more,
    }


def target(**given: Any) -> dict[str, Any]:
    known = {
        "type": "local", "device": None, "path": "/srv/dumps", "fstype": None, "file": "/etc/kdump.conf", "line": 15,
        "setting": "path", "directory": "/srv/dumps", "mountpoint": "/", "mounted": "/dev/vda1",
        "mounted_type": "xfs", "exists": True, "size": 100 * GIB, "available": 50 * GIB,
    }  # fmt: skip
    return {**known, **given}


def storage(**given: Any) -> dict[str, Any]:
    known = {
        "mountpoint": "/", "mounted": "/dev/mapper/rhel-root", "type": "xfs", "devices": ["dm-0", "vda2"],
        "modules": ["virtio_blk", "virtio_pci"], "mappings": ["LVM"],
    }  # fmt: skip
    return {**known, **given}


def image(path: str, **given: Any) -> list[dict[str, Any]]:
    known = {
        "path": path,
        "use": "kdump",
        "version": None,
        "complete": True,
        "damage": None,
        "unpacked": None,
    }
    return [{**known, "kernel_versions": None, **given}]


def dump(name: str, days_ago: float, **given: Any) -> dict[str, Any]:
    known = {
        "path": f"/var/crash/{name}", "time": TAKEN_AT - days_ago * DAY, "unfinished": [], "cores": ["vmcore"],
        "size": 7 * MIB, "used": 7 * MIB, "files": [],
    }  # fmt: skip
    return {**known, **given}


def died(name: str, summary: str, kind: str = "oops", **details: Any) -> Any:
    return event(
        kind, summary, path=f"/var/crash/{name}/vmcore-dmesg.txt", line=9, monotonic=5.0, details=details
    )


NULL = "BUG: kernel NULL pointer dereference, address: 00000000000000{}"
TWICE = [
    died("a", NULL.format(10)),
    died("a", "Kernel panic - not syncing: Fatal", "panic"),
    died("b", NULL.format(18)),
]
IN_DUMP = {**died("b", NULL.format(18)), "path": "$ lastwords vmcore --dmesg /var/crash/b/vmcore"}
ALL_THE_SAME = {"crash_dumps__dumps": [dump("a", 40), dump("b", 2)], "events": TWICE}

# Each number is that of the reference on what makes kdump fail.
FIRES: list[tuple[str, dict[str, Any], Severity, str]] = [
    # 1 nothing asked for, 2 asked for in the boot loader's files only
    ("kdump-no-crashkernel", booted(), CRITICAL, "host"),
    ("kdump-no-crashkernel", booted(kdump__crashkernel__configured=[]), CRITICAL, "host"),
    ("kdump-no-crashkernel", booted(kdump__units=[]), WARNING, "host"),
    ("kdump-no-crashkernel", booted(kdump__kexec__crash_size=None), CRITICAL, "host"),
    # 3 no range, 4 a mistake, 5 no room, 6 a fixed address, 7 auto
    ("kdump-no-crashkernel", booted("64G-:512M"), CRITICAL, "host"),
    ("kdump-no-crashkernel", booted("256MB"), CRITICAL, "host"),
    ("kdump-no-crashkernel", booted("8G"), CRITICAL, "host"),
    ("kdump-no-crashkernel", booted("256M@16M"), CRITICAL, "host"),
    ("kdump-no-crashkernel", booted("auto"), CRITICAL, "host"),
    # 8 several
    ("kdump-crashkernel-repeated", {"kdump__crashkernel__booted": ["crashkernel=1G", "crashkernel=256M"]}, INFO, "host"),
    ("kdump-next-boot-differs", {"kdump__crashkernel__configured": [
        {"path": "/boot/grub2/grub.cfg", "line": 9, "parameter": "crashkernel=512M"}]}, INFO, "host"),
    ("kdump-next-boot-differs", {"kdump__crashkernel__configured": [
        {"path": "/boot/grub2/grub.cfg", "line": 9, "parameter": "crashkernel=x"}]}, WARNING, "host"),
    ("kdump-next-boot-differs", {"kdump__crashkernel__configured": [
        {"path": "/boot/grub2/grub.cfg", "line": 9, "parameter": "crashkernel=512M,high"},
        {"path": "/boot/grub2/grub.cfg", "line": 9, "parameter": "crashkernel=72M,low"}]}, INFO, "host"),
    # 9 all of it above 4 GiB
    ("kdump-no-low-memory", granted((6 * GIB, 256 * MIB)), WARNING, "host"),
    # 10 not loaded, 12 forbidden, 13 and 14 locked down, 44 fadump
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False}, CRITICAL, "host"),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False, "kdump__kexec__load_disabled": True}, CRITICAL, "host"),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False, "kdump__kexec__load_limit_panic": 0}, CRITICAL, "host"),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False, "kernel__lockdown__mode": "integrity"}, CRITICAL, "host"),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False, "kdump__units": [UNIT]}, CRITICAL, "host"),
    ("kdump-not-loaded", tools("USE_KDUMP", "0", kdump__kexec__crash_loaded=False), CRITICAL, "host"),
    ("kdump-not-loaded", FADUMP, CRITICAL, "host"),
    ("kdump-service-failed", {"kdump__units": [{**UNIT, "active_state": "failed"}]}, CRITICAL, "kdump.service"),
    ("kdump-not-enabled", {"kdump__units": [UNIT]}, WARNING, "host"),
    ("kdump-not-enabled", {"kdump__units": [{**UNIT, "masked": True, "wanted_by": ["x"]}]}, WARNING, "host"),
    ("kdump-not-enabled", tools("USE_KDUMP", "0"), WARNING, "host"),
    ("kdump-tools-missing", {"kdump__packages": None, "kdump__programs": [
        {"name": "makedumpfile", "path": None, "installed": False}]}, CRITICAL, "host"),
    ("kdump-kernel-unable", {"kdump__kexec__supported": False}, CRITICAL, "host"),
    ("kdump-kernel-unable", {**NOT_RESERVED, "kernel__config__options": {**OPTIONS, "CRASH_DUMP": "n"}}, CRITICAL, "host"),
    ("kdump-kernel-unable", {"kdump__kexec__supported": False, "kdump__units": []}, INFO, "host"),
    # 15 to 18 too small, 37 a debugging kernel
    ("kdump-crashkernel-small", granted((GIB, 64 * MIB)), CRITICAL, "host"),
    ("kdump-crashkernel-small", granted((GIB, 100 * MIB), kdump__images=[]), WARNING, "host"),
    ("kdump-crashkernel-small", granted((GIB, 192 * MIB)), INFO, "host"),
    ("kdump-crashkernel-small", granted((GIB, 96 * MIB), initramfs__images=image(DEBIAN_IMAGE, unpacked=60 * MIB),
                                        host="debian12"), CRITICAL, "host"),
    ("kdump-crashkernel-small", {"host": "debian12", "kdump__kexec__kernel_size": 60 * MIB}, WARNING, "host"),
    ("kdump-crashkernel-small", {"host": "debian12", "kdump__kexec__kernel_size": 100 * MIB}, CRITICAL, "host"),
    ("kdump-crashkernel-small", granted((GIB, 64 * MIB), host="sles15"), CRITICAL, "host"),
    ("kdump-crashkernel-small", {"host__kernel_release": "5.14.0-427.el9_4.x86_64+debug", "kdump__images": []},
     WARNING, "host"),
    # 27 a driver, 28 stale, 29 missing or of another kernel
    ("kdump-image-missing", {"kdump__images__1__exists": False}, WARNING, RHEL_IMAGE),
    ("kdump-image-missing", {"kdump__images__1__exists": False, "kdump__kexec__crash_loaded": False}, CRITICAL, RHEL_IMAGE),
    ("kdump-initramfs-stale", {"kdump__images__1__mtime": 1714637000.0}, WARNING, RHEL_IMAGE),
    ("kdump-initramfs-stale", {"host": "debian12", "kdump__images__1__target": "/var/lib/kdump/initrd.img-6.1.0-17-amd64"},
     WARNING, "/var/lib/kdump/initrd.img-6.1.0-17-amd64"),
    ("kdump-initramfs-stale", {"host": "debian12", "initramfs__images": image(DEBIAN_IMAGE, kernel_versions=["6.1.0-1"])},
     CRITICAL, DEBIAN_IMAGE),
    ("kdump-initramfs-stale", {"host": "debian12", "kdump__images__1__mtime": 1706000000.0}, WARNING, DEBIAN_IMAGE),
    ("kdump-initramfs-driver", {"kdump__storage": [storage()], "initramfs__images":
        image(RHEL_IMAGE, contents={"modules": ["xfs", "virtio_pci", "dm_mod"]})}, CRITICAL, RHEL_IMAGE),
    # 23, 24, 36 the collector
    ("kdump-core-collector", tools("MAKEDUMP_ARGS", "--nosuchopt -d 31"), CRITICAL, "host"),
    ("kdump-core-collector", tools("MAKEDUMP_ARGS", "-z -d 31"), WARNING, "host"),
    ("kdump-core-collector", conf(entry("core_collector", "cp")), WARNING, "host"),
    ("kdump-core-collector", conf(entry("core_collector", "makedumpfile -l")), WARNING, "host"),
    ("kdump-core-collector", conf(entry("core_collector", "makedumpfile -l -d 31"),
                                  kdump__targets=[target(type="ssh", directory=None)]), CRITICAL, "host"),
    # 25 a makedumpfile that does not know the kernel
    ("kdump-collector-old", {"host": "debian12"}, INFO, "host"),
    # 26 no root=, 39 no panic=
    ("kdump-capture-cmdline", tools("KDUMP_CMDLINE", "console=ttyS0"), CRITICAL, "host"),
    ("kdump-capture-cmdline", {"host": "debian12", "kdump__kexec_command": '/sbin/kexec -p --command-line="ro"'},
     CRITICAL, "host"),
    ("kdump-capture-hangs", {"host": "debian12"}, INFO, "host"),
    # 31 the configuration, 32 a key that is not there
    *(("kdump-conf-invalid", conf(*entries), CRITICAL, "/etc/kdump.conf") for entries in (
        [entry("pth", "/var/crash", "unknown")],
        [entry("link_delay", "60", "obsolete")],
        [entry("path", "")],
        [entry("path", "/a"), entry("path", "/b")],
        [entry("ext4", "/dev/a"), entry("nfs", "a:/b")],
        [entry("ssh", "a@b"), entry("dracut_args", '--mount "a:/b /c nfs"')],
        [entry("failure_action", "panic")],
        [entry("final_action", "shell")],
        [entry("dracut_args", '--mount "a" --mount "b"')],
        [entry("force_rebuild", "1"), entry("force_no_rebuild", "1")],
    )),
    ("kdump-conf-invalid", conf(kdump__named_files=[{"setting": "sshkey", "file": "/etc/kdump.conf", "line": 3,
        "path": "/root/.ssh/key", "exists": False}]), CRITICAL, "/etc/kdump.conf"),
    # 34 the target, 35 raw, 38 encrypted
    ("dump-target-missing", {"kdump__targets": [target(exists=False)]}, WARNING, "/srv/dumps"),
    ("dump-target-missing", {"kdump__targets": [target(type="device", device="UUID=1", directory=None, mountpoint=None)],
                             "kdump__kexec__crash_loaded": False}, CRITICAL, "UUID=1"),
    ("dump-target-volatile", {"kdump__targets": [target(mountpoint="/srv", mounted_type="tmpfs")]}, CRITICAL, "/srv/dumps"),
    ("dump-target-not-in-fstab", {"host": "debian12", "kdump__targets": [target(mountpoint="/srv/dumps")]}, WARNING,
     "/srv/dumps"),
    ("dump-target-raw-in-use", {"kdump__targets": [target(type="raw", device="/dev/mapper/rhel-swap", directory=None)]},
     CRITICAL, "/dev/mapper/rhel-swap"),
    ("dump-target-raw-in-use", {"kdump__storage": [storage()], "kdump__targets": [
        target(type="raw", device="/dev/mapper/rhel-root", directory=None)], "boot__fstab": None},
     CRITICAL, "/dev/mapper/rhel-root"),
    ("dump-target-encrypted", {"kdump__storage": [storage(mappings=["LVM", "CRYPT-LUKS2"])]}, WARNING, "/"),
    # 45 memory and processors that come later
    ("kdump-not-reloaded", {"kdump__udev_rules": []}, INFO, "host"),
    ("kdump-readiness", {}, INFO, "host"),
    ("kdump-readiness", {"kdump__kexec__crash_loaded": False}, INFO, "host"),
    # 43 dumps that kdump deletes
    ("crash-dumps-same-death", ALL_THE_SAME, WARNING, NULL.format(10)),
    ("crash-dumps-same-death", {"crash_dumps__dumps": [dump("a", 40), dump("b", 20)], "events": TWICE}, INFO,
     NULL.format(10)),
    ("crash-dumps-same-death", {**ALL_THE_SAME, "events": [TWICE[0], IN_DUMP]}, WARNING, NULL.format(10)),
    ("crash-dumps-kept", ALL_THE_SAME, INFO, "host"),
    ("crash-dumps-kept", tools("KDUMP_NUM_DUMPS", "2", crash_dumps__dumps=[dump("a", 4), dump("b", 2)]), INFO, "host"),
]  # fmt: skip

HEALTHY = ("rhel9", "debian12", "sles15")
"""Golden hosts on which kdump works as their distribution sets it up."""

SILENT: list[tuple[str, dict[str, Any]]] = [
    ("kdump-no-crashkernel", {}),
    ("kdump-no-crashkernel", booted(**CONTAINER)),
    ("kdump-no-crashkernel", {**NOT_RESERVED, "kdump__kexec__crash_size": None, "kdump__crashkernel__booted": None}),
    ("kdump-crashkernel-repeated", {}),
    ("kdump-crashkernel-repeated", {"host": "sles15"}),
    ("kdump-crashkernel-repeated", {"kdump__crashkernel__booted": ["crashkernel=256M", "crashkernel=256M"]}),
    ("kdump-next-boot-differs", {}),
    ("kdump-next-boot-differs", {"kdump__crashkernel__configured": None}),
    ("kdump-next-boot-differs", {"kdump__crashkernel__configured": []}),
    ("kdump-no-low-memory", {"host": "sles15"}),
    ("kdump-no-low-memory", {"kdump__kexec__reservations": None}),
    ("kdump-no-low-memory", granted((6 * GIB, 256 * MIB), host__architecture="s390x")),
    ("kdump-not-loaded", {}),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": None}),
    ("kdump-not-loaded", booted()),
    ("kdump-not-loaded", {"kernel__lockdown__mode": "integrity"}),
    ("kdump-not-loaded", {**FADUMP, "kdump__fadump": {**FADUMP["kdump__fadump"], "registered": True},
                          "kdump__kexec__crash_loaded": False}),
    ("kdump-service-failed", {}),
    ("kdump-service-failed", {"kdump__units": None}),
    ("kdump-not-enabled", {}),
    ("kdump-not-enabled", {"host": "sles15"}),
    ("kdump-not-enabled", {"kdump__units": [{**UNIT, "wanted_by": None}]}),
    ("kdump-tools-missing", {}),
    ("kdump-tools-missing", {"kdump__programs": None}),
    ("kdump-tools-missing", {"kdump__programs": [{"name": "makedumpfile", "path": None, "installed": False}]}),
    ("kdump-kernel-unable", {}),
    ("kdump-kernel-unable", {"kernel__config__options": None}),
    ("kdump-crashkernel-small", {}),
    ("kdump-crashkernel-small", {"host": "sles15"}),
    ("kdump-crashkernel-small", granted((GIB, 64 * MIB), **FADUMP)),
    ("kdump-crashkernel-small", granted((GIB, 64 * MIB), host="sles15", kdump__kexec__kernel_size=None)),
    ("kdump-image-missing", {}),
    ("kdump-image-missing", {"kdump__images__1__exists": None}),
    ("kdump-image-missing", {"host": "debian12", "kdump__images__1__exists": False}),  # made when it is loaded
    ("kdump-image-missing", {"kdump__images": None}),
    ("kdump-initramfs-stale", {}),
    ("kdump-initramfs-stale", {"host": "sles15"}),
    ("kdump-initramfs-stale", {"host": "debian12", "kdump__images__0__exists": False,
                               "kdump__images__0__target": "/boot/vmlinuz-9.9.9"}),
    ("kdump-initramfs-stale", {"host": "debian12", "kdump__files__0__mtime": TAKEN_AT}),
    ("kdump-initramfs-stale", {"kdump__images__1__mtime": None}),
    ("kdump-initramfs-driver", {"kdump__storage": [storage()]}),
    ("kdump-initramfs-driver", {"kdump__storage": [storage()], "initramfs__images":
        image(RHEL_IMAGE, contents={"modules": ["xfs", "virtio_pci", "virtio_blk", "dm_mod"]})}),
    ("kdump-initramfs-driver", {"kdump__storage": [storage(modules=["nvme"], mappings=[])], "initramfs__images":
        image(RHEL_IMAGE, contents={"modules": ["xfs"]})}),  # nvme is built in: no module of that name is loaded
    ("kdump-core-collector", {}),
    ("kdump-core-collector", {"host": "sles15"}),
    ("kdump-core-collector", tools("MAKEDUMP_ARGS", "-l -d 31")),
    ("kdump-core-collector", conf(kdump__targets=[target(type="ssh", directory=None)])),
    ("kdump-collector-old", {}),
    ("kdump-collector-old", {"host": "debian12", "kdump__packages": [
        {"name": "makedumpfile", "version": "1:1.7.7-1", "status": "installed"}]}),
    ("kdump-collector-old", {"host": "debian12", "kdump__packages": None}),
    ("kdump-capture-cmdline", {"host": "debian12"}),
    ("kdump-capture-cmdline", tools("KDUMP_CMDLINE", "root=/dev/vda1 ro")),
    ("kdump-capture-hangs", {}),
    ("kdump-capture-hangs", {"host": "debian12", "kdump__kexec_command": None}),
    ("kdump-conf-invalid", {}),
    ("kdump-conf-invalid", conf(entry("path", "/a"), entry("ext4", "/dev/a"), entry("failure_action", "shell"))),
    ("kdump-conf-invalid", {**conf(entry("new_thing", "1", "unknown")), "kdump__kexec__crash_loaded": True,
                            "kdump__files__0__mtime": 1.0}),
    ("kdump-conf-invalid", {"kdump__named_files": None}),
    ("dump-target-missing", {}),
    ("dump-target-missing", {"kdump__targets": [target(exists=None)]}),
    ("dump-target-missing", {"host": "debian12", "kdump__targets": [target(exists=False)]}),
    ("dump-target-volatile", {}),
    ("dump-target-volatile", {"kdump__targets": None}),
    ("dump-target-volatile", {"kdump__targets": [target(mounted_type="tmpfs")], **CONTAINER}),
    ("dump-target-not-in-fstab", {"host": "debian12"}),
    ("dump-target-not-in-fstab", {"host": "debian12", "kdump__targets": [target(mountpoint="/srv/backup")]}),
    ("dump-target-not-in-fstab", {"kdump__targets": [target(mountpoint="/srv/dumps")]}),
    ("dump-target-raw-in-use", {}),
    ("dump-target-raw-in-use", {"kdump__targets": [target(type="raw", device="/dev/sdz", directory=None)]}),
    ("dump-target-encrypted", {"kdump__storage": [storage()]}),
    ("dump-target-encrypted", {"kdump__storage": [storage(mountpoint="/srv", mappings=["CRYPT-LUKS2"])]}),
    ("kdump-not-reloaded", {}),
    ("kdump-not-reloaded", {"kdump__udev_rules": [], "kdump__kexec__crash_hotplug": {"cpu": True, "memory": True}}),
    ("kdump-not-reloaded", {"kdump__udev_rules": None}),
    ("kdump-readiness", CONTAINER),
    ("kdump-readiness", {"host": "ubuntu2404"}),  # kdump was never set up
    ("crash-dumps-same-death", {}),
    ("crash-dumps-same-death", {"crash_dumps__dumps": [dump("a", 4), dump("b", 2)],
                                "events": [died("a", "one thing"), died("b", "another")]}),
    ("crash-dumps-same-death", {"crash_dumps__dumps": None}),
    ("crash-dumps-kept", {}),
    ("crash-dumps-kept", {"crash_dumps__dumps": None}),
]  # fmt: skip
