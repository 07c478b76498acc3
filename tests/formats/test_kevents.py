"""Kernel messages and what they tell of, each in the words of its kernel source."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.log.events import KINDS, WORDS, detect

SAMPLES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "panic",
        "Kernel panic - not syncing: System is deadlocked on memory",
        {"reason": "System is deadlocked on memory"},
    ),
    ("panic", "Kernel panic: Attempted to kill init!", {"reason": "Attempted to kill init!"}),
    (
        "hang",
        "watchdog: BUG: soft lockup - CPU#5 stuck for 26s! [kworker/5:1H:7718]",
        {"hang": "soft_lockup", "cpu": 5, "seconds": 26, "comm": "kworker/5:1H", "pid": 7718},
    ),
    ("hang", "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", {"hang": "hard_lockup", "cpu": 3}),
    ("hang", "watchdog: CPU12: Watchdog detected hard LOCKUP on cpu 12", {"hang": "hard_lockup", "cpu": 12}),
    (
        "hang",
        "INFO: task jbd2/dm-0-8:412 blocked for more than 120 seconds.",
        {"hang": "task", "comm": "jbd2/dm-0-8", "pid": 412, "seconds": 120},
    ),
    ("hang", "INFO: task syz:1 can't die for more than 143 seconds.", {"hang": "task", "seconds": 143}),
    ("hang", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", {"hang": "rcu_stall"}),
    ("hang", "INFO: rcu_sched self-detected stall on CPU", {"hang": "rcu_stall"}),
    ("hang", "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: {", {"hang": "rcu_stall"}),
    (
        "hang",
        "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!",
        {"hang": "workqueue"},
    ),
    ("hang", "BUG: spinlock lockup suspected on CPU#0, sh/2191", {"hang": "spinlock", "pid": 2191}),
    ("hang", "unregister_netdevice: waiting for lo to become free. Usage count = 1", {"device": "lo"}),
    (
        "segfault",
        "perl[301]: segfault at 18 ip 00007f2 sp 00007ff error 4 in libperl.so[7f+18]",
        {"comm": "perl", "object": "libperl.so"},
    ),
    (
        "segfault",
        "traps: a.out[812] general protection fault ip:5555 sp:7ffd error:0 in a.out[5555+1000]",
        {"pid": 812},
    ),
    (
        "segfault",
        "a.out[812]: unhandled level 2 translation fault (11) at 0x00000010, esr 0x92000006",
        {"pid": 812},
    ),
    ("bug", "kernel BUG at mm/slub.c:379!", {"where": "mm/slub.c:379"}),
    ("bug", "BUG: KASAN: use-after-free in snd_seq+0x1/0x2", {}),
    ("bug", "BUG: scheduling while atomic: swapper/0/0/0x00000002", {}),
    ("bug", "BUG: Bad page state in process cc1  pfn:12345", {}),
    ("bug", "[ BUG: bad unlock balance detected! ]", {}),
    ("bug", "BUG kmalloc-64 (Tainted: G    B): Poison overwritten", {}),
    ("oops", "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008", {}),
    ("oops", "BUG: unable to handle page fault for address: ffffc90000a7b000", {}),
    ("oops", "BUG: kernel NULL pointer dereference, address: 0000000000000010", {}),
    ("oops", "Unable to handle kernel paging request at virtual address dead000000000100", {}),
    ("oops", "Oops: 0002 [#1] SMP", {"number": 1}),
    ("oops", "Internal error: Oops: 96000004 [#3] PREEMPT SMP", {"number": 3}),
    (
        "oops",
        "general protection fault, probably for non-canonical address 0xdffffc0: 0000 [#1] SMP",
        {"number": 1},
    ),
    (
        "oops",
        "Oops: general protection fault, probably for non-canonical address 0xdff: 0000 [#2] SMP",
        {"number": 2},
    ),
    ("oops", "divide error: 0000 [#1] SMP PTI", {"number": 1}),
    ("oops", "illegal operation: 0001 ilc:1 [#1] SMP", {"number": 1}),
    ("oops", "PANIC: double fault, error_code: 0x0", {}),
    ("oops", "Unhandled fault: imprecise external abort (0x1406) at 0x76f5e000", {}),
    (
        "warning",
        "WARNING: CPU: 1 PID: 8377 at arch/x86/kvm/x86.c:7209 kvm_arch_vcpu_ioctl_run+0x1f7/0x5a00",
        {"where": "arch/x86/kvm/x86.c:7209", "cpu": 1, "pid": 8377},
    ),
    (
        "warning",
        "WARNING: lib/refcount.c:19 at refcount_warn+0x1, CPU#1: sh/6051",
        {"where": "lib/refcount.c:19"},
    ),
    ("warning", "WARNING: possible circular locking dependency detected", {}),
    ("warning", "[ INFO: possible recursive locking detected ]", {}),
    ("warning", "UBSAN: shift-out-of-bounds in net/core/dev.c:11", {}),
    ("mce", "mce: [Hardware Error]: Machine check events logged", {}),
    ("mce", "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1", {}),
    ("mce", "CPU 0: Machine Check Exception: 0000000000000005", {}),
    (
        "mce",
        "EDAC MC0: 3 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0",
        {"errors": 3, "error": "CE"},
    ),
    ("nmi", "Uhhuh. NMI received for unknown reason 2d on CPU 0.", {"reason": "2d", "cpu": 0}),
    ("nmi", "NMI: PCI system error (SERR) for reason b1 on CPU 0.", {}),
    ("io_error", "blk_update_request: I/O error, dev sda, sector 2048", {"device": "sda", "sector": 2048}),
    (
        "io_error",
        "critical medium error, dev sdb, sector 77 op 0x0:(READ) flags 0x0",
        {"device": "sdb", "error": "critical medium error"},
    ),
    ("io_error", "Buffer I/O error on dev dm-0, logical block 12, lost async page write", {"device": "dm-0"}),
    ("filesystem_error", "EXT4-fs error (device vda1): ext4_find_entry:1456: inode #2", {"device": "vda1"}),
    ("filesystem_error", "EXT4-fs (vda1): Remounting filesystem read-only", {"device": "vda1"}),
    ("filesystem_error", "Aborting journal on device vda1-8.", {"device": "vda1-8"}),
    (
        "filesystem_error",
        "XFS (dm-0): Corruption of in-memory data (0x8) detected at x. Shutting down filesystem",
        {},
    ),
    (
        "filesystem_error",
        "BTRFS: error (device sda2) in btrfs_commit: errno=-5 IO failure",
        {"device": "sda2"},
    ),
    ("filesystem_error", "BTRFS info (device sda2): forced readonly", {"device": "sda2"}),
    (
        "boot",
        "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12)",
        {"release": "6.1.0-18-amd64"},
    ),
    ("kdump", "crashkernel reservation failed - memory is in use.", {}),
    ("kdump", "crashkernel: memory value expected", {}),
    ("kdump", "Lockdown: kexec: kexec of unsigned images is restricted; see man kernel_lockdown.7", {}),
    ("kdump", "kexec_core: Starting new kernel", {}),
    ("sysrq", "sysrq: Trigger a crash", {"request": "Trigger a crash"}),
    ("sysrq", "SysRq : Manual OOM execution", {"request": "Manual OOM execution"}),
    ("shutdown", "reboot: Restarting system", {"how": "Restarting system"}),
]

SILENT = [
    "Command line: BOOT_IMAGE=/vmlinuz crashkernel=auto panic=10 oops=panic",
    "Kernel command line: root=/dev/sda1 crashkernel=fail@1M",
    "Reserving 161MB of memory at 704MB for crashkernel (System RAM: 4095MB)",
    "crashkernel reserved: 0x0000000033000000 - 0x000000003b000000 (128 MB)",
    "---[ end Kernel panic - not syncing: Fatal exception ]---",
    "mce: CPU supports 10 MCE banks",
    "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
    "XFS (dm-0): Ending clean mount",
    "XFS (dm-0): Unmounting Filesystem",
    "EXT4-fs (vda1): mounted filesystem with ordered data mode",
    "EXT4-fs (vda1): re-mounted. Opts: errors=remount-ro",
    "BTRFS info (device sda2): using free space tree",
    "WARNING: the mand mount option is being deprecated and",
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
    "[Firmware Bug]: TSC doesn't count with P0 frequency!",
    "rcu: Hierarchical RCU implementation.",
    "systemd[1]: Killed process 12 (x) by hand",
    "BUGS: none",
    "oom_kill_process is traced",
    "ACPI BIOS Error (bug): Could not resolve symbol [\\_SB], AE_NOT_FOUND",
    'audit: type=1400 audit(1772.1:12): apparmor="DENIED" operation="open" comm="Oops"',
]


@pytest.mark.parametrize(("kind", "text", "details"), SAMPLES, ids=lambda value: str(value)[:40])
def test_a_message_tells_of_its_kind(kind: str, text: str, details: dict[str, Any]) -> None:
    found = detect(text)
    assert found is not None and found.kind == kind
    assert {name: found.details.get(name) for name in details} == details
    assert "\n" not in found.summary and found.summary


@pytest.mark.parametrize("text", [text for _, text, _ in SAMPLES])
def test_every_such_message_is_found_by_the_quick_search(text: str) -> None:
    assert any(word in text.encode() for word in WORDS)


def test_every_kind_has_a_sample() -> None:
    """But of those of several lines, which have their own parsers."""
    assert {kind for kind, _, _ in SAMPLES} == set(KINDS) - {"oom_report", "oom_kill", "boot_failure"}


@pytest.mark.parametrize("text", SILENT)
def test_other_messages_tell_of_nothing(text: str) -> None:
    assert detect(text) is None


@given(st.text(max_size=80), st.sampled_from([text for _, text, _ in SAMPLES]), st.integers(0, 120))
def test_cut_and_mixed_messages_do_no_harm(noise: str, text: str, cut: int) -> None:
    for mixed in (text[:cut] + noise, noise + text, text[:cut] + noise + text[cut:]):
        found = detect(mixed)
        assert found is None or found.summary is not None
