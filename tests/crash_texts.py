"""Kernel reports as kernels of several architectures and ages print them, and what must be found in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Sample:
    """A report and what it tells."""

    kind: str
    title: str
    frame: Optional[str]
    text: str
    fatal: bool = False
    corrupted: bool = False
    alts: tuple[str, ...] = ()


SAMPLES = {
    "NULL dereference, x86-64, module": Sample(
        "null_deref",
        "BUG: unable to handle kernel NULL pointer dereference in acme_irq",
        "acme_irq",
        """\
BUG: kernel NULL pointer dereference, address: 0000000000000018
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 0 P4D 0
Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 3 PID: 871 Comm: kworker/3:1 Kdump: loaded Tainted: G        W  OE      6.1.0-18-amd64 #1  Debian 6.1.76-1
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014
Workqueue: events acme_work [acme]
RIP: 0010:acme_irq+0x2e/0x90 [acme]
Code: 48 8b 47 18 <48> 8b 40 18 c3 0f 1f 44 00 00
RSP: 0018:ffffb0c3c0d97e30 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff9d8ac3c0d980 RCX: 0000000000000000
Call Trace:
 <TASK>
 ? __die_body.cold+0x1a/0x1f
 acme_work+0x1c/0x40 [acme]
 process_one_work+0x1c7/0x380
 worker_thread+0x4d/0x380
 kthread+0xe9/0x110
 ret_from_fork+0x22/0x30
 </TASK>
Modules linked in: acme(OE) nls_ascii ext4 virtio_net
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Fatal exception
""",
        fatal=True,
        alts=("bad-access in acme_irq",),
    ),
    "paging request, i386": Sample(
        "page_fault",
        "BUG: unable to handle kernel paging request in acme_read",
        "acme_read",
        """\
BUG: unable to handle kernel paging request at f8a1c000
IP: [<f89b2034>] acme_read+0x14/0x60 [acme]
*pde = 36c18067 *pte = 00000000
Oops: 0000 [#1] SMP
Modules linked in: acme(O)
Pid: 2211, comm: cat Tainted: G           O 3.2.0-4-686-pae #1 Debian 3.2.68-1
EIP: 0060:[<f89b2034>] EFLAGS: 00010282 CPU: 0
EIP is at acme_read+0x14/0x60 [acme]
EAX: f8a1c000 EBX: f4c3d2c0 ECX: 00000400 EDX: b77a4000
Call Trace:
 [<c10d4c3a>] ? vfs_read+0x8a/0x150
 [<c10d4e92>] sys_read+0x42/0x70
 [<c12ce8e9>] sysenter_do_call+0x12/0x28
""",
        alts=("bad-access in acme_read",),
    ),
    "general protection fault": Sample(
        "gpf",
        "general protection fault in acme_poll",
        "acme_poll",
        """\
general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] SMP PTI
CPU: 0 PID: 14 Comm: ksoftirqd/0 Not tainted 5.10.0-28-amd64 #1
RIP: 0010:acme_poll+0x55/0x120
Call Trace:
 net_rx_action+0x142/0x390
 __do_softirq+0xc5/0x275
 run_ksoftirqd+0x26/0x40
""",
        alts=("bad-access in acme_poll",),
    ),
    "decoded": Sample(
        "gpf",
        "general protection fault in acme_poll",
        "acme_poll",
        """\
general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1] SMP PTI
CPU: 0 PID: 14 Comm: ksoftirqd/0 Not tainted 5.10.0-28-amd64 #1
RIP: 0010:list_del (include/linux/list.h:148 (discriminator 1))
Call Trace:
 ? page_fault_oops (arch/x86/mm/fault.c:713)
 acme_poll (drivers/acme/poll.c:112) acme
 net_rx_action (net/core/dev.c:6887)
""",
        alts=("bad-access in acme_poll",),
    ),
    "BUG()": Sample(
        "kernel_bug",
        "kernel BUG in acme_free",
        "acme_free",
        """\
------------[ cut here ]------------
kernel BUG at drivers/acme/core.c:112!
invalid opcode: 0000 [#1] SMP NOPTI
CPU: 2 PID: 9 Comm: rcuop/2 Not tainted 5.14.0-362.el9.x86_64 #1
RIP: 0010:acme_free+0x19/0x20
Call Trace:
 rcu_do_batch+0x12d/0x2f0
 ret_from_fork+0x22/0x30
""",
    ),
    "WARN, x86-64": Sample(
        "warning",
        "WARNING in acme_probe",
        "acme_probe",
        """\
------------[ cut here ]------------
WARNING: CPU: 1 PID: 1 at drivers/acme/core.c:77 acme_probe+0x61/0x80
Modules linked in:
CPU: 1 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
RIP: 0010:acme_probe+0x61/0x80
Call Trace:
 <TASK>
 pci_device_probe+0xb0/0x140
 do_one_initcall+0x58/0x230
 </TASK>
---[ end trace 0000000000000000 ]---
""",
    ),
    "WARN, of 2026": Sample(
        "warning",
        "WARNING in acme_probe",
        "acme_probe",
        """\
------------[ cut here ]------------
WARNING: drivers/acme/core.c:77 at acme_probe+0x61/0x80, CPU#1: swapper/0/1
Modules linked in:
CPU: 1 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.19.0 #1 PREEMPT(full)
RIP: 0010:acme_probe+0x61/0x80
Call Trace:
 <TASK>
 pci_device_probe+0xb0/0x140
 </TASK>
""",
    ),
    "refcount": Sample(
        "refcount",
        "WARNING: refcount bug in acme_put",
        "acme_put",
        """\
refcount_t: underflow; use-after-free.
WARNING: CPU: 0 PID: 600 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
RIP: 0010:refcount_warn_saturate+0xba/0x110
Call Trace:
 acme_put+0x2c/0x30
 acme_close+0x1e/0x50
 __fput+0x91/0x250
""",
    ),
    "list corruption": Sample(
        "list_corruption",
        "BUG: corrupted list in acme_remove",
        "acme_remove",
        """\
list_del corruption. prev->next should be ffff888100a2b008, but was dead000000000100
------------[ cut here ]------------
kernel BUG at lib/list_debug.c:62!
invalid opcode: 0000 [#1] SMP
RIP: 0010:__list_del_entry_valid_or_report+0xb4/0xd0
Call Trace:
 acme_remove+0x18/0x60
 vfs_write+0x11/0x20
""",
        alts=("bad-access in acme_remove",),
    ),
    "soft lockup": Sample(
        "soft_lockup",
        "BUG: soft lockup in acme_timer",
        "acme_timer",
        """\
watchdog: BUG: soft lockup - CPU#2 stuck for 26s! [swapper/2:0]
Modules linked in:
CPU: 2 PID: 0 Comm: swapper/2 Tainted: G             L     5.10.0-28-amd64 #1
RIP: 0010:native_queued_spin_lock_slowpath+0x5e/0x1d0
Call Trace:
 <IRQ>
 _raw_spin_lock+0x1a/0x20
 acme_stats+0x40/0x50
 acme_timer+0x12/0x30
 call_timer_fn+0x29/0xf0
 run_timer_softirq+0x1d2/0x240
 </IRQ>
 default_idle+0x13/0x20
Kernel panic - not syncing: softlockup: hung tasks
""",
        fatal=True,
        alts=("stall in acme_timer",),
    ),
    "hung task": Sample(
        "hung_task",
        "INFO: task hung in acme_flush",
        "acme_flush",
        """\
INFO: task dd:4711 blocked for more than 120 seconds.
      Not tainted 4.18.0-513.el8.x86_64 #1
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:dd              state:D stack:    0 pid: 4711 ppid:  4700 flags:0x00004080
Call Trace:
 __schedule+0x2d1/0x870
 schedule+0x55/0xf0
 io_schedule+0x12/0x40
 wait_on_page_bit+0x137/0x230
 acme_flush+0x7a/0xb0
 do_fsync+0x38/0x70
 do_syscall_64+0x5b/0x1b0
""",
        alts=("hang in acme_flush",),
    ),
    "RCU stall": Sample(
        "rcu_stall",
        "INFO: rcu detected stall in acme_ioctl",
        "acme_ioctl",
        """\
rcu: INFO: rcu_sched self-detected stall on CPU
rcu:    1-....: (5249 ticks this GP) idle=1f2/1/0x4000000000000000 softirq=4211/4211 fqs=2621
        (t=5250 jiffies g=10225 q=1053)
NMI backtrace for cpu 1
CPU: 1 PID: 1188 Comm: acmectl Not tainted 5.10.0-28-amd64 #1
Call Trace:
 <IRQ>
 dump_stack+0x6b/0x83
 nmi_cpu_backtrace.cold+0x32/0x69
 rcu_dump_cpu_stacks+0xc5/0xf3
 update_process_times+0x8c/0xd0
 hrtimer_interrupt+0x10e/0x240
 asm_sysvec_apic_timer_interrupt+0x12/0x20
 </IRQ>
RIP: 0010:acme_busy+0x4/0x10
 acme_ioctl+0x31/0x40
 __x64_sys_ioctl+0x8b/0xc0
 do_syscall_64+0x33/0x80
""",
        alts=("stall in acme_ioctl",),
    ),
    "sleeping while atomic": Sample(
        "atomic_sleep",
        "BUG: sleeping function called from invalid context in acme_send",
        "acme_send",
        """\
BUG: sleeping function called from invalid context at include/linux/sched/mm.h:274
in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 512, name: acmed
Preemption disabled at:
[<ffffffff8109a98e>] acme_lock+0x1f/0x2e
CPU: 0 PID: 512 Comm: acmed Not tainted 6.1.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x44/0x5c
 __might_resched.cold+0xd4/0xff
 kmem_cache_alloc+0x2a1/0x330
 acme_send+0x20/0x90
 </TASK>
""",
    ),
    "KASAN": Sample(
        "kasan",
        "KASAN: slab-use-after-free Read in acme_lookup",
        "acme_lookup",
        """\
==================================================================
BUG: KASAN: slab-use-after-free in acme_lookup+0x4a/0x60
Read of size 8 at addr ffff888104a3c008 by task acmectl/1402

CPU: 1 PID: 1402 Comm: acmectl Not tainted 6.6.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x36/0x50
 print_report+0xc5/0x640
 kasan_report+0xac/0xe0
 acme_lookup+0x4a/0x60
 acme_ioctl+0x1f/0x40
 </TASK>

Allocated by task 1402:
 kasan_save_stack+0x22/0x40
 acme_open+0x30/0x60

Freed by task 1402:
 acme_release+0x1a/0x30
==================================================================
""",
        alts=("bad-access in acme_lookup",),
    ),
    "lockdep": Sample(
        "deadlock",
        "possible deadlock in acme_start",
        "acme_start",
        """\
======================================================
WARNING: possible circular locking dependency detected
6.1.0 #1 Not tainted
------------------------------------------------------
acmed/900 is trying to acquire lock:
ffff888101a2b0a8 (&dev->lock){+.+.}-{3:3}, at: acme_start+0x2b/0x70

but task is already holding lock:
ffff888101a2c0a8 (&bus->lock){+.+.}-{3:3}, at: acme_bus_scan+0x1b/0x60

the existing dependency chain (in reverse order) is:
-> #1 (&bus->lock){+.+.}-{3:3}:
       __mutex_lock+0x8f/0xd60
       acme_bus_add+0x33/0x50

stack backtrace:
CPU: 0 PID: 900 Comm: acmed Not tainted 6.1.0 #1
Call Trace:
 dump_stack_lvl+0x57/0x7d
 check_noncircular+0xfe/0x110
 acme_start+0x2b/0x70
""",
    ),
    "oops, arm64": Sample(
        "null_deref",
        "BUG: unable to handle kernel NULL pointer dereference in acme_xmit",
        "acme_xmit",
        """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
Mem abort info:
  ESR = 0x0000000096000004
Internal error: Oops: 0000000096000004 [#1] SMP
Modules linked in: acme
CPU: 2 PID: 0 Comm: swapper/2 Not tainted 6.1.0-18-arm64 #1
Hardware name: linux,dummy-virt (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : acme_xmit+0x24/0x90 [acme]
lr : dev_hard_start_xmit+0xa0/0x1d0
sp : ffff80000800bc30
x29: ffff80000800bc30 x28: ffff0000c0a91d00
Call trace:
 acme_xmit+0x24/0x90 [acme]
 dev_hard_start_xmit+0xa0/0x1d0
 __qdisc_run+0xf4/0x5b0
Code: f9400c13 b4000253 f9400a60 (f9400801)
---[ end trace 0000000000000000 ]---
""",
        alts=("bad-access in acme_xmit",),
    ),
    "oops, arm": Sample(
        "null_deref",
        "BUG: unable to handle kernel NULL pointer dereference in acme_open",
        "acme_open",
        """\
Unable to handle kernel NULL pointer dereference at virtual address 00000004
pgd = c0004000
[00000004] *pgd=00000000
Internal error: Oops: 5 [#1] SMP ARM
CPU: 0 PID: 211 Comm: cat Not tainted 4.19.0-26-armmp #1
PC is at acme_open+0x18/0x40
LR is at chrdev_open+0xb4/0x1a8
pc : [<bf000018>]    lr : [<c02d5a30>]    psr: 60000013
Process cat (pid: 211, stack limit = 0x0000f00d)
[<bf000018>] (acme_open) from [<c02d5a30>] (chrdev_open+0xb4/0x1a8)
[<c02d5a30>] (chrdev_open) from [<c02cd3a4>] (do_dentry_open+0x1d4/0x3c4)
""",
        alts=("bad-access in acme_open",),
    ),
    "BUG, ppc64": Sample(
        "kernel_bug",
        "kernel BUG in acme_map",
        "acme_map",
        """\
kernel BUG at drivers/acme/dma.c:88!
Oops: Exception in kernel mode, sig: 5 [#1]
LE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries
CPU: 4 PID: 3301 Comm: acmed Not tainted 5.14.0-362.el9.ppc64le #1
NIP:  c00800000f1c0a54 LR: c00800000f1c0a50 CTR: c0000000005d8d40
NIP [c00800000f1c0a54] acme_map+0x54/0x80 [acme]
LR [c00800000f1c0a50] acme_map+0x50/0x80 [acme]
Call Trace:
[c00000000b5cfa50] [c00800000f1c0a50] acme_map+0x50/0x80 [acme] (unreliable)
[c00000000b5cfab0] [c00800000f1c0c18] acme_write+0x88/0x120 [acme]
[c00000000b5cfb20] [c00000000058bb6c] vfs_write+0xfc/0x430
""",
    ),
    "paging request, s390x": Sample(
        "page_fault",
        "BUG: unable to handle kernel paging request in acme_init",
        "acme_init",
        """\
Unable to handle kernel pointer dereference in virtual kernel address space
Failing address: 0000000000000000 TEID: 0000000000000483
Oops: 0004 ilc:2 [#1] SMP
CPU: 1 PID: 1522 Comm: modprobe Not tainted 5.14.0-362.el9.s390x #1
Hardware name: IBM 3931 A01 704 (z/VM 7.3.0)
Krnl PSW : 0704c00180000000 000003ff80a1003a (acme_init+0x3a/0x1000 [acme])
           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3
Krnl GPRS: 0000000000000000 0000000000000000 0000000000000001 0000000000000000
Call Trace:
 [<000003ff80a1003a>] acme_init+0x3a/0x1000 [acme]
([<0000000000100a12>] do_one_initcall+0x72/0x200)
 [<00000000001b7d2e>] do_init_module+0x5e/0x210
""",
        alts=("bad-access in acme_init",),
    ),
    "paging request, riscv": Sample(
        "page_fault",
        "BUG: unable to handle kernel paging request in acme_reset",
        "acme_reset",
        """\
Unable to handle kernel paging request at virtual address ffffffd800000020
Oops [#1]
Modules linked in:
CPU: 0 PID: 77 Comm: kworker/0:2 Not tainted 6.6.0 #1
Hardware name: riscv-virtio,qemu (DT)
epc : acme_reset+0x12/0x30
 ra : acme_work+0x1c/0x40
epc : ffffffff80a1b2c4 ra : ffffffff80a1b310 sp : ff200000003ebd30
[<ffffffff80a1b2c4>] acme_reset+0x12/0x30
[<ffffffff80a1b310>] acme_work+0x1c/0x40
[<ffffffff8002f1a0>] process_one_work+0x1b0/0x330
""",
        alts=("bad-access in acme_reset",),
    ),
    "sysrq crash": Sample(
        "panic",
        "kernel panic: sysrq triggered crash",
        None,
        """\
sysrq: Trigger a crash
Kernel panic - not syncing: sysrq triggered crash
CPU: 0 PID: 812 Comm: bash Kdump: loaded Not tainted 6.1.0-18-amd64 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x44/0x5c
 panic+0x118/0x2ed
 sysrq_handle_crash+0x16/0x20
 </TASK>
""",
        fatal=True,
    ),
    "header alone": Sample(
        "soft_lockup",
        "BUG: soft lockup in corrupted",
        "corrupted",
        "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [cc1:991]\n",
        corrupted=True,
        alts=("stall in corrupted",),
    ),
    "machine check": Sample(
        "mce",
        "hardware error: machine check",
        None,
        """\
mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 4: b200000000070f0f
mce: [Hardware Error]: TSC 2d1a5b8f3c
mce: [Hardware Error]: PROCESSOR 2:100f42 TIME 1772331247 SOCKET 0 APIC 3
""",
    ),
}

QUIET = """\
WARNING: CPU is not fast enough for that codec, please buy another
app: BUG: my own assertion, line 12
traps: acmed[4711] general protection fault ip:7f12a sp:7ffd2 error:0 in libacme.so[7f120+9000]
acmed[4711]: segfault at 18 ip 00007f12 sp 00007ffd error 4 in acmed[400000+1000]
WARNING: Unsupported option 'foo' in /etc/acme.conf
perf: interrupt took too long (2501 > 2500), lowering kernel.perf_event_max_sample_rate to 79750
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
mce: CPU0: Thermal monitoring enabled (TM1)
INFO: lockdep is turned off.
EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none.
"""
"""What looks like a report, and is none."""
