"""Every rule fires where it should and is silent where it should be: on the healthy golden host above all."""

from __future__ import annotations

from typing import Any

import kdump_cases
import pytest
from golden_case import TAKEN_AT, case_of

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.model import Event, Finding, Severity, event

RULES = plugins.load().rules()
DAY = 86400.0


def found(rule: str, host: str = "rhel9", events: list[Event] | None = None, **changes: Any) -> list[Finding]:
    """Return what one rule finds on a golden host with some facts changed."""
    verdict = judge("x", case_of(host, changes, events or []), [RULES[rule]])
    assert verdict.skipped == []
    assert {finding.id for finding in verdict.findings} <= {rule}
    return verdict.findings


def happened(kind: str, days_ago: float = 1.0, **details: Any) -> Event:
    return event(
        kind, f"a {kind}", path="/var/log/messages", line=7, time=TAKEN_AT - days_ago * DAY, details=details
    )


def dump(**given: Any) -> dict[str, Any]:
    known = {
        "path": "/var/crash/x", "time": TAKEN_AT - DAY, "unfinished": [], "cores": ["vmcore"], "size": 7, "files": [],
    }  # fmt: skip
    return {**known, **given}


def core(kind: str = "kdump", **given: Any) -> dict[str, Any]:
    head = {"kind": kind, "incomplete": False, "damage": [], **given}
    return {"name": "vmcore", "kind": "core", "head": head}


UNIT = {
    "unit": "kdump.service",
    "wanted_by": [],
    "active_state": "active",
    "result": "success",
    "exit_code": 0,
}
PLACE = {"path": "/var/crash", "origin": "default", "available": 1 << 40, "mountpoint": "/"}
V = "5.14.0-427.13.1.el9_4.x86_64"


def start(kind: Any, needs: Any = None, *, found: bool = True, error: Any = None) -> dict[str, Any]:
    """Return facts of what an image starts."""
    return {"kind": kind, "needs": needs, "found": found, "error": error, "at": error and "/init"}


CONTENTS = {
    "builder": "dracut", "init": start("link", "usr/lib/systemd/systemd"),
    "modules": ["xfs", "libcrc32c", "dm_mod", "virtio_blk", "virtio_pci"], "programs": ["lvm"],
    "squashed": False,
}  # fmt: skip
IMAGE = {
    "path": "/boot/initramfs-1.img", "use": "boot", "version": "1", "complete": True, "damage": None, "mtime": 1.0,
    "kernel_versions": ["1"], "kernel_message": None, "segments": [], "contents": CONTENTS,
}  # fmt: skip
MINE = {**IMAGE, "path": f"/boot/initramfs-{V}.img", "version": V, "kernel_versions": [V], "mtime": 2e9}


def driver(name: str, how: str | None = "module", *needs: str) -> dict[str, Any]:
    return {"name": name, "how": how, "path": None, "needs": list(needs)}


DRIVERS = [
    driver("xfs", "module", "libcrc32c"),
    driver("dm_mod"),
    driver("virtio_blk"),
    driver("nvme", "builtin"),
]
NEEDY = {"initramfs__images": [MINE], "boot__kernels__0__modules__drivers": DRIVERS}
SEGMENTS = [
    {"kind": "cpio", "microcode": True},
    {"kind": "compressed", "microcode": False},
]
HEAD_OF = {"format": "bzImage", "release": V, "needed": 1000, "signed": True}
GONE = {"key": "rd.lvm.lv", "value": "rhel/swap", "device_exists": False}
MISSING = {
    "spec": "UUID=9b0b",
    "file": "/srv",
    "type": "vfat",
    "options": "defaults",
    "line": 7,
    "device_exists": False,
}


ROOT_LINE = {**MISSING, "spec": "/dev/vda", "file": "/", "type": "ext4", "device_exists": None}


def menu(told: str, searched: str | None, linux: str = "/boot/vmlinuz-1") -> dict[str, Any]:
    """Return a host of one filesystem whose only entry gives the kernel a root=."""
    item = {
        "kind": "menuentry",
        "title": "Linux",
        "linux": linux,
        "options": f"root=UUID={told} ro",
        "initrd": [],
        "search": searched,
        "line": 3,
    }
    config = {"path": "/boot/grub/grub.cfg", "blscfg": False, "searches": [], "menu": [item]}
    return {
        "boot__fstab": [ROOT_LINE],
        "boot__loader_entries": [],
        "boot__default_entry": None,
        "boot__grub_configs": [config],
    }


def without(*names: str, **more: Any) -> dict[str, Any]:
    """Return a healthy image and host, but for these modules in the image."""
    contents = {**CONTENTS, "modules": [name for name in CONTENTS["modules"] if name not in names], **more}
    return {**NEEDY, "initramfs__images": [{**MINE, "contents": contents}]}


NEW, OLD = "kernel 5.14.0-427.13.1.el9_4.x86_64", "kernel 5.14.0-362.8.1.el9_3.x86_64"

ZRAM = {"name": "/dev/zram0", "type": "partition", "size": 1 << 30, "used": 0, "priority": 100}
PROTECTED = {
    "pid": 7, "ppid": 1, "comm": "db", "rss": 1 << 20, "swap": 0, "page_tables": 0, "kernel_thread": False,
    "oom_score_adj": -1000, "systemd_cgroup": "/",
}  # fmt: skip
WRITER = {
    "path": "/etc/cron.d/protect", "line": 2, "names": "oom_adj", "writes": True,
    "text": "* * * * * root echo -17 > /proc/$(cat /run/x.pid)/oom_adj",
}  # fmt: skip
OOMD = {"name": "systemd-oomd", "units": [{"unit": "systemd-oomd.service", "running": True}]}
KILLS = {
    "unit": "user@.service", "key": "ManagedOOMMemoryPressure", "value": "kill", "effective": True,
    "file": "/usr/lib/systemd/system/user@.service.d/10-oomd-user-service-defaults.conf", "line": 2,
}  # fmt: skip
SESSION_KILL = happened(
    "oom_kill", killer="systemd-oomd", cgroup="/user.slice/user-1000.slice/session-2.scope"
)

FIRES: list[tuple[str, dict[str, Any], Severity, str]] = [
    ("dump-target-full", {"crash_dumps__places": [{**PLACE, "available": 1 << 20}]}, Severity.CRITICAL, "/var/crash"),
    ("dump-target-full", {"crash_dumps__places": [{**PLACE, "available": 1000 << 20}]}, Severity.WARNING, "/var/crash"),
    ("panic-hangs", {"kernel__sysctls__kernel.panic": 0, "kdump__kexec__crash_loaded": False}, Severity.INFO, "host"),
    ("oops-not-caught", {"kernel__sysctls__kernel.panic_on_oops": 0}, Severity.INFO, "host"),
    ("crash-dump-exists", {"crash_dumps__dumps": [dump()]}, Severity.WARNING, "/var/crash/x"),
    ("crash-dump-exists", {"crash_dumps__dumps": [dump(time=TAKEN_AT - 30 * DAY)]}, Severity.INFO, "/var/crash/x"),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(unfinished=["vmcore-incomplete"])]}, Severity.WARNING,
     "/var/crash/x"),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(cores=[])]}, Severity.WARNING, "/var/crash/x"),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(files=[core(damage=["no end mark"])])]}, Severity.WARNING,
     "/var/crash/x"),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(files=[core("text", damage=None)])]}, Severity.WARNING,
     "/var/crash/x"),
    ("crash-dump-exists", {"crash_dumps__dumps": [dump(files=[core()])]}, Severity.WARNING, "/var/crash/x"),
    ("crash-dump-without-symbols", {"crash_dumps__dumps": [dump()], "kernel__debug_info": {"path": None, "exists": False}},
     Severity.INFO, "kernel " + V),
    ("crash-happened", {"events": [happened("panic")]}, Severity.CRITICAL, "panic"),
    ("crash-happened", {"events": [happened("panic", 90)]}, Severity.INFO, "panic"),
    ("boot-failed", {"events": [happened("boot_failure", **{"class": "root_missing"})]}, Severity.CRITICAL, "root_missing"),
    ("boot-failed", {"events": [happened("boot_failure", 90, **{"class": "no_init"})]}, Severity.INFO, "no_init"),
    ("boot-failed", {"events": [happened("boot_failure", **{"class": "no_init"}), happened("boot", 0.5)]},
     Severity.WARNING, "no_init"),
    ("boot-failed", {"events": [{**happened("boot_failure", **{"class": "no_init"}), "time": None},
                                {**happened("boot"), "time": None, "line": 9}]}, Severity.WARNING, "no_init"),
    ("kdump-failed", {"events": [happened("kdump", **{"class": "capture_out_of_memory", "stage": "capture"})]},
     Severity.WARNING, "capture"),
    ("kdump-failed", {"events": [happened("kdump", 90, **{"class": "capture_no_space", "stage": "capture"})]},
     Severity.INFO, "capture"),
    ("crash-happened", {"events": [happened("hang")]}, Severity.WARNING, "hang"),
    ("kernel-warned", {"events": [happened("warning", title="WARNING in f")]}, Severity.INFO, "warning"),
    ("oom-kill-happened", {"events": [happened("oom_kill")]}, Severity.WARNING, "host"),
    ("oom-kill-happened", {"events": [happened("oom_kill", 90)]}, Severity.INFO, "host"),
    ("oom-outcome-unknown", {"events": [happened("oom_report")]}, Severity.WARNING, "memory"),
    ("oom-outcome-unknown", {"events": [happened("oom_report", 90), happened("oom_kill", 80)]}, Severity.INFO, "memory"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 1}, Severity.INFO, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 2, "kdump__kexec__crash_loaded": False},
     Severity.WARNING, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 2}, Severity.WARNING, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 1, "kdump__kexec__crash_loaded": None},
     Severity.WARNING, "host"),
    ("oom-overcommit", {"oom__sysctls__vm.overcommit_memory__runtime": 1}, Severity.INFO, "host"),
    ("oom-overcommit", {"memory__meminfo__Committed_AS": 9_500_000_000}, Severity.WARNING, "host"),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 1000}, Severity.WARNING, "host"),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 2 << 20}, Severity.WARNING, "host"),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 6 << 20}, Severity.CRITICAL, "host"),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM]}, Severity.INFO, "host"),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM], "oom__sysctls__vm.swappiness__runtime": 10},
     Severity.WARNING, "host"),
    ("oom-no-task-list", {"oom__sysctls__vm.oom_dump_tasks__runtime": 0}, Severity.WARNING, "host"),
    ("oom-kills-caller", {"oom__sysctls__vm.oom_kill_allocating_task__runtime": 1}, Severity.WARNING, "host"),
    ("oom-vital-unprotected", {"processes__records__12__oom_score_adj": 0}, Severity.WARNING,
     "process 951 (sshd)"),
    ("oom-vital-unprotected", {"processes__records__7__oom_score_adj": 0,
                               "processes__records__7__systemd_cgroup": "/system.slice/systemd-udevd.service"},
     Severity.INFO, "process 726 (systemd-udevd)"),
    ("oom-nothing-to-kill", {"processes__records": [PROTECTED]}, Severity.WARNING, "host"),
    ("oom-nothing-to-kill", {"processes__records": [{**PROTECTED, "rss": 9 << 30}, {**PROTECTED, "oom_score_adj": 0}]},
     Severity.WARNING, "host"),
    ("oom-adj-deprecated", {"oom__writers": {"mentions": [WRITER], "skipped": []}}, Severity.WARNING, "host"),
    ("oom-adj-deprecated", {"oom__writers": {"mentions": [{**WRITER, "path": "/etc/init.d/ssh"}], "skipped": []}},
     Severity.INFO, "host"),
    ("oom-oomd-sessions", {"oom__daemons": [OOMD], "oom__units": [KILLS]}, Severity.INFO, "host"),
    ("oom-oomd-sessions", {"oom__daemons": [OOMD], "events": [SESSION_KILL]}, Severity.WARNING, "host"),
    ("oom-sysctl-differs", {"oom__sysctls__vm.swappiness": {
        "runtime": 60, "differs": True, "assignments": [],
        "persisted": {"file": "/etc/sysctl.conf", "line": 3, "value": "10"}}}, Severity.INFO, "host"),
    ("kernel-without-initramfs", {"boot__kernels__1__initramfs__exists": False}, Severity.WARNING, OLD),
    ("kernel-without-initramfs", {"boot__kernels__0__initramfs__exists": False, "boot__kernels__0__running": False},
     Severity.CRITICAL, NEW),
    ("kernel-without-initramfs", {"boot__kernels__0__initramfs__exists": False}, Severity.INFO, NEW),
    ("initramfs-damaged", {"initramfs__images": [{**IMAGE, "complete": False, "damage": "cut gzip data"}]},
     Severity.CRITICAL, "/boot/initramfs-1.img"),
    ("initramfs-damaged", {"initramfs__images": [{
        **MINE, "complete": False, "damage": "unknown data", "kernel_message": "invalid magic",
        "segments": [{"kind": "compressed", "size": 9}, {"kind": "unknown", "size": None}]}]}, Severity.WARNING,
     MINE["path"]),
    ("initramfs-wrong-version", {"initramfs__images": [{**MINE, "kernel_versions": ["5.14.0-1"]}]}, Severity.CRITICAL,
     MINE["path"]),
    ("initramfs-wrong-version", {"initramfs__images": [{**IMAGE, "kernel_versions": ["2"]}]}, Severity.WARNING,
     IMAGE["path"]),
    ("initramfs-without-init", without(init=start(None, found=False)), Severity.CRITICAL,
     MINE["path"]),
    *(("initramfs-without-init", without(init=start("file", "/bin/sh", error=error)), Severity.CRITICAL, MINE["path"])
      for error in ("ENOENT", "EACCES", "ENOEXEC", "ELOOP")),
    ("initramfs-lacks-driver", without("xfs"), Severity.CRITICAL, MINE["path"]),
    ("initramfs-lacks-driver", without("libcrc32c"), Severity.CRITICAL, MINE["path"]),
    ("initramfs-lacks-driver", without(programs=["cryptsetup"]), Severity.CRITICAL, MINE["path"]),
    ("initramfs-lacks-driver", {**NEEDY, "boot__kernels__0__modules__drivers": [driver("xfs", None)],
                                "initramfs__images": [{**MINE, "contents": {**CONTENTS, "modules": []}}]},
     Severity.CRITICAL, MINE["path"]),
    ("microcode-not-first", {"initramfs__images": [{**MINE, "segments": SEGMENTS[::-1]}]}, Severity.WARNING, MINE["path"]),
    ("kernel-damaged", {"boot__kernels__0__vmlinuz__image": {**HEAD_OF, "needed": 1 << 40}}, Severity.CRITICAL, NEW),
    ("kernel-damaged", {"boot__kernels__1__vmlinuz__image": HEAD_OF}, Severity.WARNING, OLD),
    ("kernel-damaged", {"boot__kernels__1__vmlinuz__size": 0}, Severity.WARNING, OLD),
    ("kernel-damaged", {"boot__kernels__1__vmlinuz__image": {**HEAD_OF, "format": "unknown"}}, Severity.WARNING, OLD),
    ("kernel-without-modules", {"boot__kernels__0__modules__exists": False}, Severity.CRITICAL, NEW),
    ("kernel-without-modules", {"boot__kernels__1__modules__modules_dep": False}, Severity.WARNING, OLD),
    ("entry-broken", {"boot__kernels__0__vmlinuz__exists": False}, Severity.CRITICAL,
     f"entry Red Hat Enterprise Linux ({V}) 9.4 (Plow)"),
    ("entry-broken", {"boot__loader_entries__1__initrd": ["/initramfs-gone.img"]}, Severity.WARNING,
     "entry Red Hat Enterprise Linux (5.14.0-362.8.1.el9_3.x86_64) 9.3 (Plow)"),
    ("entry-broken", {"boot__default_entry__resolved": None, "boot__default_entry__saved_entry": "gone",
                      "boot__default_entry__value": "gone"}, Severity.WARNING, "default entry"),
    ("root-not-found", {"boot__device_parameters__0__device_exists": False}, Severity.CRITICAL,
     "root=/dev/mapper/rhel-root"),
    ("root-not-found", {"boot__default_entry__resolved__options": "ro root=UUID=0a",
                        "boot__fstab__0__spec": "UUID=0b"}, Severity.CRITICAL, "root=UUID=0a"),
    ("root-not-found", {"boot__default_entry__resolved__options": "ro root=UUID=0a", "boot__fstab": []},
     Severity.CRITICAL, "root=UUID=0a"),
    ("root-not-found", menu("0a", "0b"), Severity.CRITICAL, "root=UUID=0a"),
    ("kernel-config-lacks", {"boot__kernels__1__options": {"XFS_FS": "n"}}, Severity.WARNING, OLD),
    ("kernel-config-lacks", {"boot__kernels__1__options": {"BLK_DEV_INITRD": "n"}}, Severity.WARNING, OLD),
    ("kernel-config-lacks", {"boot__kernels__0__options": {"DEVTMPFS": "y"}, "boot__kernels__1__options": {"DEVTMPFS": "n"}},
     Severity.WARNING, OLD),
    ("nfs-version-missing", {"boot__kernels__0__options": {"NFS_V3": "n"},
                             "boot__fstab__0": {**MISSING, "type": "nfs", "options": "rw,nfsvers=3,hard"}},
     Severity.WARNING, "/srv"),
    ("nfs-version-missing", {"boot__kernels__0__options": {"NFS_V4_2": "n"},
                             "boot__fstab__0": {**MISSING, "type": "nfs4", "options": "minorversion=2"}},
     Severity.WARNING, "/srv"),
    ("parameter-device-missing", {"boot__device_parameters": [GONE]}, Severity.CRITICAL, "rd.lvm.lv=rhel/swap"),
    ("parameter-device-missing", {"boot__device_parameters": [{**GONE, "key": "resume"}]}, Severity.WARNING,
     "resume=rhel/swap"),
    ("boot-not-mounted", {"boot__filesystems__boot__mounted": False}, Severity.WARNING, "/boot"),
    ("fstab-device-missing", {"boot__fstab__0": MISSING}, Severity.CRITICAL, "/srv"),
    ("fstab-device-missing", {"boot__fstab__0": {**MISSING, "type": "ext4", "device_exists": None}}, Severity.CRITICAL,
     "/srv"),
    ("kernel-not-signed", {"kernel__secure_boot__enabled": True,
                           "boot__kernels__1__vmlinuz__image": {**HEAD_OF, "signed": False}}, Severity.WARNING, OLD),
    ("default-kernel-old", {"boot__default_entry__resolved__linux": "/vmlinuz-5.14.0-362.8.1.el9_3.x86_64"},
     Severity.INFO, OLD),
    ("kernel-self-built", {"kernel__package": {"image": "/boot/vmlinuz-x", "manager": "rpm", "owner": None,
                                               "packaged": False}}, Severity.INFO, NEW),
    ("boot-full", {"boot__filesystems__boot__usage": {"size": 1000 << 20, "available": 95 << 20, "used": 0}},
     Severity.WARNING, "/boot"),
    ("boot-full", {"boot__filesystems__boot__usage": {"size": 1000 << 20, "available": 1 << 20, "used": 0}},
     Severity.CRITICAL, "/boot"),
]  # fmt: skip

SILENT: list[tuple[str, dict[str, Any]]] = [
    ("dump-target-full", {}),
    ("dump-target-full", {"crash_dumps__places": [{**PLACE, "available": None}]}),
    ("panic-hangs", {}),
    ("panic-hangs", {"kernel__sysctls__kernel.panic": None, "kdump__kexec__crash_loaded": False}),
    ("oops-not-caught", {"kernel__sysctls__kernel.panic_on_oops": 1}),
    ("oops-not-caught", {"kdump__kexec__crash_loaded": False}),
    ("crash-dump-exists", {"crash_dumps__dumps": []}),
    ("crash-dump-exists", {"crash_dumps__dumps": None}),
    ("crash-dump-exists", {"crash_dumps__dumps": [dump(files=[core(damage=["no end mark"])])]}),
    ("crash-dump-incomplete", {}),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(files=[core()])]}),
    ("crash-happened", {"events": [happened("boot"), happened("dump")]}),
    (
        "crash-dump-without-symbols",
        {"crash_dumps__dumps": [dump()], "kernel__debug_info": {"path": None, "exists": None}},
    ),
    (
        "crash-dump-without-symbols",
        {"crash_dumps__dumps": [], "kernel__debug_info": {"path": None, "exists": False}},
    ),
    ("boot-failed", {"events": [happened("boot")]}),
    ("kdump-failed", {"events": [happened("kdump")]}),
    ("kdump-failed", {"events": [happened("kdump", **{"class": "kexec_load", "stage": "load"})]}),
    ("boot-failed", {"events": [happened("boot_failure", **{"class": "of another plugin"})]}),
    ("kernel-warned", {"events": [happened("panic")]}),
    ("oom-kill-happened", {"events": [happened("boot")]}),
    ("oom-outcome-unknown", {"events": [happened("oom_report"), happened("oom_kill")]}),
    ("oom-outcome-unknown", {"events": [happened("oom_report"), happened("panic")]}),
    ("oom-panics", {}),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": None}),
    ("oom-overcommit", {}),
    (
        "oom-overcommit",
        {"oom__sysctls__vm.overcommit_memory__runtime": 0, "memory__meminfo__Committed_AS": 1 << 50},
    ),
    ("oom-overcommit", {"memory__meminfo": None}),
    ("oom-min-free", {}),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 11468}),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": None}),
    ("oom-zram-swappiness", {}),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM], "oom__sysctls__vm.swappiness__runtime": 60}),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM, {**ZRAM, "name": "/dev/sda2"}]}),
    ("oom-zram-swappiness", {"memory__swaps": []}),
    ("oom-no-task-list", {}),
    ("oom-no-task-list", {"oom__sysctls__vm.oom_dump_tasks__runtime": None}),
    ("oom-kills-caller", {}),
    ("oom-vital-unprotected", {}),
    ("oom-vital-unprotected", {"processes__records__12__oom_score_adj": None}),
    (
        "oom-vital-unprotected",
        {"processes__records__12__oom_score_adj": 0, "host__container__kind": "podman"},
    ),
    ("oom-nothing-to-kill", {}),
    ("oom-nothing-to-kill", {"processes__records": [PROTECTED, {**PROTECTED, "oom_score_adj": None}]}),
    (
        "oom-nothing-to-kill",
        {
            "processes__records": [
                {**PROTECTED, "rss": 9 << 30},
                {**PROTECTED, "rss": 2 << 30, "oom_score_adj": 0},
            ]
        },
    ),
    ("oom-adj-deprecated", {}),
    ("oom-adj-deprecated", {"oom__writers": None}),
    ("oom-adj-deprecated", {"oom__writers": {"mentions": [{**WRITER, "writes": False}], "skipped": []}}),
    ("oom-oomd-sessions", {}),
    ("oom-oomd-sessions", {"oom__units": [KILLS]}),
    ("oom-oomd-sessions", {"oom__daemons": [OOMD], "oom__units": [{**KILLS, "unit": "x.service"}]}),
    ("oom-oomd-sessions", {"oom__daemons": None, "events": [SESSION_KILL]}),
    (
        "oom-sysctl-differs",
        {"oom__sysctls__vm.swappiness": {"runtime": 60, "differs": None, "persisted": None}},
    ),
    ("kernel-without-initramfs", {}),
    ("kernel-without-initramfs", {"boot__kernels__0__initramfs__exists": None}),
    ("initramfs-damaged", {}),
    ("initramfs-damaged", {"initramfs__images": [{**IMAGE, "complete": None}]}),
    ("initramfs-damaged", {"initramfs__images": [{**IMAGE, "complete": False, "use": "leftover"}]}),
    ("initramfs-damaged", {"initramfs__images": None}),
    ("initramfs-wrong-version", {"initramfs__images": [MINE]}),
    ("initramfs-wrong-version", {"initramfs__images": [{**MINE, "kernel_versions": []}]}),
    ("initramfs-wrong-version", {"initramfs__images": [{**MINE, "version": "linux"}]}),
    ("initramfs-without-init", NEEDY),
    ("initramfs-without-init", {"initramfs__images": [{**MINE, "contents": None}]}),
    ("initramfs-lacks-driver", NEEDY),
    ("initramfs-lacks-driver", {**without("xfs"), "boot__kernels__0__modules__drivers": None}),
    (
        "initramfs-lacks-driver",
        {**without("xfs"), "boot__kernels__0__modules__drivers": [driver("xfs", "builtin")]},
    ),
    (
        "initramfs-lacks-driver",
        {
            "initramfs__images": [{**without("xfs")["initramfs__images"][0], "mtime": 1.0}],
            "boot__kernels__0__modules__drivers": DRIVERS,
        },
    ),
    ("initramfs-lacks-driver", without("xfs", squashed=True)),
    ("microcode-not-first", {"initramfs__images": [{**MINE, "segments": SEGMENTS}]}),
    ("kernel-damaged", {}),
    ("kernel-damaged", {"boot__kernels__0__vmlinuz__image": HEAD_OF}),
    ("kernel-without-modules", {}),
    ("kernel-without-modules", {"boot__kernels__0__modules__exists": None}),
    ("entry-broken", {}),
    ("entry-broken", {"boot__kernels__0__initramfs__exists": False}),
    ("entry-broken", {"boot__files": None, "boot__loader_entries__1__initrd": ["/initramfs-gone.img"]}),
    ("root-not-found", {}),
    ("root-not-found", {"boot__device_parameters__0__device_exists": None}),
    (
        "root-not-found",
        {"boot__default_entry__resolved__options": "ro root=UUID=0A", "boot__fstab__0__spec": "UUID=0a"},
    ),
    ("root-not-found", menu("0a", "0A")),
    ("root-not-found", menu("0a", None)),
    ("root-not-found", menu("0a", "0b", linux="/vmlinuz-1")),
    ("root-not-found", {**menu("0a", "0b"), "boot__fstab": [{**ROOT_LINE, "spec": "UUID=0a"}]}),
    ("kernel-config-lacks", {}),
    ("kernel-config-lacks", {"boot__kernels__1__options": {"DEVTMPFS": "n", "XFS_FS": "m", "EXT4_FS": "n"}}),
    ("kernel-config-lacks", {"boot__kernels__0__options": {"XFS_FS": "n"}}),
    ("nfs-version-missing", {}),
    (
        "nfs-version-missing",
        {
            "boot__kernels__0__options": {"NFS_V3": "n"},
            "boot__fstab__0": {**MISSING, "type": "nfs", "options": "nfsvers=4.1"},
        },
    ),
    (
        "nfs-version-missing",
        {
            "boot__kernels__1__options": {"NFS_V3": "n"},
            "boot__fstab__0": {**MISSING, "type": "nfs", "options": "vers=3"},
        },
    ),
    ("parameter-device-missing", {}),
    ("parameter-device-missing", {"boot__device_parameters": [{**GONE, "key": "root"}]}),
    ("parameter-device-missing", {"boot__device_parameters": [{**GONE, "device_exists": None}]}),
    ("boot-not-mounted", {}),
    ("boot-not-mounted", {"boot__filesystems__boot__mounted": None}),
    ("boot-not-mounted", {"boot__filesystems__boot__mounted": False, "boot__fstab": []}),
    ("fstab-device-missing", {}),
    ("fstab-device-missing", {"boot__fstab__0": {**MISSING, "options": "nofail"}}),
    ("fstab-device-missing", {"boot__fstab__0": {**MISSING, "device_exists": None}}),
    ("fstab-device-missing", {"boot__fstab__0": MISSING, "host__container__kind": "podman"}),
    ("kernel-not-signed", {"kernel__secure_boot__enabled": True}),
    ("kernel-not-signed", {"boot__kernels__1__vmlinuz__image": {**HEAD_OF, "signed": False}}),
    ("default-kernel-old", {}),
    ("kernel-self-built", {}),
    ("boot-full", {}),
    ("boot-full", {"boot__filesystems__boot__usage": None}),
    (
        "boot-full",
        {
            "boot__filesystems__boot__mounted": False,
            "boot__filesystems__boot__usage": {"size": 100, "available": 1, "used": 99},
        },
    ),
]


FIRES += kdump_cases.FIRES
SILENT += kdump_cases.SILENT


@pytest.mark.parametrize(("rule", "changes", "severity", "subject"), FIRES)
def test_fires(rule: str, changes: dict[str, Any], severity: Severity, subject: str) -> None:
    findings = found(rule, **changes)
    assert [(f.severity, f.subject) for f in findings] == [(severity, subject)]
    assert findings[0].title
    assert findings[0].why
    assert findings[0].evidence
    assert findings[0].fix


@pytest.mark.parametrize(("rule", "changes"), SILENT)
def test_is_silent(rule: str, changes: dict[str, Any]) -> None:
    assert found(rule, **changes) == []


def test_every_rule_has_both_tests_and_a_page() -> None:
    elsewhere = {"boot-ended-abruptly"}  # test_endings: its facts are made of logs
    assert {name for name, *_ in FIRES} | elsewhere == set(RULES)
    assert {name for name, *_ in SILENT} | elsewhere == set(RULES)
    for rule in RULES.values():
        assert len(rule.doc.split()) > 8, rule.id


@pytest.mark.parametrize("host", kdump_cases.HEALTHY)
def test_where_kdump_works_nothing_above_info_is_said_of_it(host: str) -> None:
    verdict = judge("x", case_of(host, {}, []), RULES.values())
    ours = [f for f in verdict.findings if f.id.startswith(("kdump-", "dump-target-", "crash-dumps-"))]
    assert [f.id for f in ours if f.severity > Severity.INFO] == []
    titles = [f.title for f in ours if f.id == "kdump-readiness"]
    lost = "a hang or running out of memory would not"
    assert titles == [f"The next kernel crash would leave a dump, {lost}"]


def test_a_host_without_kdump_gets_one_warning_of_it() -> None:
    verdict = judge("x", case_of("ubuntu2404", {}, []), RULES.values())
    ours = [f for f in verdict.findings if f.id.startswith(("kdump-", "dump-target-"))]
    assert [(f.id, f.severity) for f in ours] == [("kdump-no-crashkernel", Severity.WARNING)]


def test_the_healthy_host_has_nothing_above_info() -> None:
    verdict = judge("x", case_of("rhel9", {}, []), RULES.values())
    assert [f.id for f in verdict.findings if f.severity > Severity.INFO] == []
    assert verdict.skipped == []


def test_a_disk_in_rescue_mode_whose_boot_is_not_mounted() -> None:
    case = case_of("rhel9", {"boot__files": None, "boot__filesystems__boot__mounted": None}, [])
    for kernel in case.facts["boot"]["kernels"]:
        kernel["vmlinuz"]["exists"] = None
    rules = [RULES["boot-not-mounted"]]
    assert judge("x", case, rules).findings == []
    case.root_kind = "directory"
    (finding,) = judge("x", case, rules).findings
    assert "mount it and look again" in finding.why


def test_rules_that_miss_facts_or_fail_are_listed() -> None:
    case = case_of("rhel9", {"kdump__kexec": None}, [])
    del case.facts["crash_dumps"]
    case.outcomes["crash_dumps"] = {"outcome": "denied", "reason": "not for you"}
    skipped = dict(judge("x", case, RULES.values()).skipped)
    assert skipped["dump-target-full"] == "crash_dumps: not for you"
    assert skipped["kdump-not-loaded"].startswith("the rule failed: TypeError")


def test_the_kernel_that_did_not_boot_is_named_in_the_steps() -> None:
    boots = [happened("boot", 3, release="6.1.0-9-amd64"), happened("boot", 2, release="6.1.0-18-amd64")]
    failure = happened("boot_failure", 1, **{"class": "initramfs_unpack"})
    (finding,) = found("boot-failed", events=[{**boots[0], "line": 1}, {**boots[1], "line": 5}, failure])
    steps = " ".join(finding.fix)
    assert "--root DIR --kernel 6.1.0-18-amd64" in steps and "VERSION" not in steps
    (untold,) = found("boot-failed", events=[failure])
    assert "--kernel VERSION" in " ".join(untold.fix)


def test_symbols_are_named_for_the_distribution_of_the_host() -> None:
    facts = {"crash_dumps__dumps": [dump()], "kernel__debug_info": {"path": None, "exists": False}}
    assert found("crash-dump-without-symbols", **facts)[0].fix == (f"dnf debuginfo-install kernel-{V}",)
    assert (
        found("crash-dump-without-symbols", "debian12", **facts)[0]
        .fix[0]
        .startswith("apt install linux-image-")
    )


def test_what_is_not_known_of_kdump_is_looked_at_on_the_machine_and_not_planned() -> None:
    unknown = {"kdump__kexec__crash_loaded": None, "kdump__kexec__crash_size": None}
    (finding,) = found("kdump-readiness", **unknown)
    assert finding.fix[0].startswith("$ lastwords check --section kdump")
    (lost,) = found("kdump-readiness", kdump__kexec__crash_loaded=False)
    assert lost.fix[0].startswith("$ lastwords plan kdump")
