"""Every kind of report that public dashboards have a title for, as old and new kernels print it.

The texts are what the kernel's printing code makes of a driver called acme. The helpers of the kernel that
stand in its traces are those that a reader looks past.
"""

from __future__ import annotations

import pytest
from crash_parts import HEAD, HELD, HUNG, REGISTERS, arm, arm64, calls, lock, old_calls, old_rip, rip, warning

from lastwords.formats.crash.reports import find_reports
from lastwords.formats.log.messages import messages

WAS = calls(
    "dump_stack_lvl", "print_report", "kasan_report", "memcpy", "acme_copy", "acme_write", "vfs_write"
)
SLOW = calls("_raw_spin_lock", "acme_spin", "acme_ioctl", "__x64_sys_ioctl")
TICKED = (
    "Call Trace:\n <IRQ>\n dump_stack_lvl+0x1/0x2\n nmi_cpu_backtrace+0x1/0x2\n rcu_dump_cpu_stacks+0x1/0x2\n"
    " update_process_times+0x1/0x2\n hrtimer_interrupt+0x1/0x2\n __sysvec_apic_timer_interrupt+0x1/0x2\n </IRQ>\n"
    " <TASK>\n asm_sysvec_apic_timer_interrupt+0x1/0x2\nRIP: 0010:acme_spin+0x1/0x2\nCode: 90\n"
    " acme_loop+0x1/0x2\n acme_poll+0x1/0x2\n __x64_sys_poll+0x1/0x2\n do_syscall_64+0x1/0x2\n"
)
LOCKS = "acmed/7 is trying to acquire lock:\n"
ODEBUG = "ODEBUG: free active (active state 0) object: ffff8880 object type: timer_list hint: acme_timer\n"
KMSAN_END = "Uninit was created at:\n slab_post_alloc_hook+0x1/0x2\n __kmalloc+0x1/0x2\n acme_make+0x1/0x2\n"
LEAK = 'unreferenced object 0xffff888101a2b0a8 (size 32):\n  comm "acmed", pid 7, jiffies 4294942\n  hex dump:\n    00\n'
FREED = "page last allocated via order 0, migratetype Unmovable, pid 7\n set_page_owner+0x1/0x2\n __alloc_pages+0x1/0x2\n"

CASES: dict[str, list[tuple[str, str]]] = {
    "KASAN": [
        *(
            (f"KASAN: {bug} {access} in acme_copy",
             f"BUG: KASAN: {bug} in memcpy+0x1/0x2\n{access} of size 8 at addr ffff8881 by task acmed/7\n\n{WAS}")
            for bug in ("slab-out-of-bounds", "use-after-free", "slab-use-after-free", "stack-out-of-bounds",
                        "global-out-of-bounds", "vmalloc-out-of-bounds", "alloca-out-of-bounds", "out-of-bounds",
                        "wild-memory-access", "user-memory-access", "null-ptr-deref", "unknown-crash")
            for access in ("Read", "Write")
        ),
        ("KASAN: invalid-access Write in acme_tag",
         "BUG: KASAN: invalid-access in acme_tag+0x1/0x2\nWrite at addr f7ff0000 by task acmed/7\n" + WAS),
        *(
            ("KASAN: invalid-free in acme_close",
             f"BUG: KASAN: {bug} in kfree+0x1/0x2\n{more}"
             + calls("kasan_report_invalid_free", "__kasan_slab_free", "kmem_cache_free", "kfree", "acme_close"))
            for bug, more in (("double-free or invalid-free", ""), ("double-free", "Free of addr ffff88 by task acmed/7\n"),
                              ("invalid-free", "Free of addr ffff88 by task acmed/7\n"))
        ),
        ("KASAN: null-ptr-deref Read",
         "BUG: KASAN: null-ptr-deref on address 0000000000000008\nRead of size 8 by task acmed/7\n" + old_calls("acme")),
        ("KASAN: use-after-free in acme_copy at addr ADDR",
         "BUG: KASAN: use-after-free in acme_copy+0x1/0x2 at addr ffff8800b8fcd7c0\n"),
    ],
    "KMSAN": [
        ("KMSAN: uninit-value in acme_parse",
         f"BUG: KMSAN: uninit-value in acme_parse+0x1/0x2\n acme_parse+0x1/0x2\n acme_write+0x1/0x2\n\n{KMSAN_END}"),
        ("KMSAN: kernel-infoleak in acme_read",
         "BUG: KMSAN: kernel-infoleak in _copy_to_user+0x1/0x2\n instrument_copy_to_user include/linux/x.h:1 [inline]\n"
         f" _copy_to_user+0x1/0x2\n acme_read+0x1/0x2\n\n{KMSAN_END}"),
        ("KMSAN: kernel-usb-infoleak in acme_send",
         "BUG: KMSAN: kernel-usb-infoleak in usb_submit_urb+0x1/0x2\n usb_submit_urb+0x1/0x2\n usb_start_wait_urb+0x1/0x2\n"
         f" usb_bulk_msg+0x1/0x2\n acme_send+0x1/0x2\n\n{KMSAN_END}"),
        ("KMSAN: use-after-free in acme_parse",
         f"BUG: KMSAN: use-after-free in acme_parse+0x1/0x2\n acme_parse+0x1/0x2\n\n{KMSAN_END}"),
        ("KMSAN: uninit-value in acme_seal",
         "BUG: KMSAN: uninit-value in aes_encrypt+0x1/0x2\n aes_encrypt+0x1/0x2\n crypto_aes_do+0x1/0x2\n"
         f" acme_seal+0x1/0x2\n\n{KMSAN_END}"),
    ],
    "KCSAN": [
        ("KCSAN: data-race in acme_a / acme_b",
         "BUG: KCSAN: data-race in acme_a / acme_b\n\nwrite to 0xffff8881 of 4 bytes by task 7 on cpu 0:\n acme_a+0x1/0x2\n"),
        ("KCSAN: data-race in acme_a", "BUG: KCSAN: data-race in acme_a+0x1/0x2\n\nrace at unknown origin\n acme_a+0x1/0x2\n"),
        ("KCSAN: assert: race in acme_a / acme_b", "BUG: KCSAN: assert: race in acme_a / acme_b\n acme_a+0x1/0x2\n"),
    ],
    "KFENCE": [
        (f"KFENCE: {bug} in acme_copy", f"BUG: KFENCE: {bug} in memcpy+0x1/0x2\n\nat 0xffff\n memcpy+0x1/0x2\n acme_copy+0x1/0x2\n"
         f" acme_write+0x1/0x2\n\n{more}")
        for bug, more in (("use-after-free read", calls("x")), ("out-of-bounds write", calls("x")),
                          ("invalid read", calls("x")), ("memory corruption", ""), ("invalid free", ""))
    ],
    "UBSAN": [
        *(
            (f"UBSAN: {bug} in acme_shift",
             f"UBSAN: {bug} in drivers/acme/x.c:7:12\nshift exponent 64 is too large\n"
             + calls("dump_stack_lvl", "ubsan_epilogue", "__ubsan_handle_shift_out_of_bounds", "acme_shift"))
            for bug in ("shift-out-of-bounds", "array-index-out-of-bounds", "signed-integer-overflow", "negation-overflow",
                        "invalid-load", "null-ptr-deref", "object-size-mismatch", "misaligned-access", "division-overflow")
        ),
        ("UBSAN: undefined-behaviour in acme_shift",
         "UBSAN: Undefined behaviour in drivers/acme/x.c:7:12\nshift exponent 64\n"
         + old_calls("dump_stack", "ubsan_epilogue", "__ubsan_handle_shift_out_of_bounds", "acme_shift")),
    ],
    "faults": [
        ("BUG: unable to handle kernel NULL pointer dereference in acme_get",
         f"BUG: kernel NULL pointer dereference, address: 0000000000000008\n#PF: supervisor read\nOops: 0000 [#1] SMP\n"
         f"{rip('acme_get')}{calls('vfs_read')}"),
        ("BUG: unable to handle kernel NULL pointer dereference in acme_run",
         "BUG: unable to handle kernel NULL pointer dereference at           (null)\nIP:           (null)\nOops: 0010 [#1]\n"
         f"RIP: 0010:          (null)\n{REGISTERS}{calls('acme_run')}"),
        ("BUG: unable to handle kernel NULL pointer dereference in acme_run",
         f"BUG: kernel NULL pointer dereference, address: 0000000000000000\nOops: 0010 [#1] SMP\nRIP: 0010:0x0\n{REGISTERS}"
         + calls("acme_run")),
        ("BUG: unable to handle kernel paging request in acme_get",
         f"BUG: unable to handle page fault for address: ffffed1000000001\nOops: 0000 [#1] SMP\n{rip('acme_get')}{calls('a')}"),
        ("BUG: unable to handle kernel paging request in acme_get",
         f"BUG: unable to handle kernel paging request at ffffed1000000001\nIP: [<ffffffff8126cafe>] acme_get+0x1/0x2\n"
         f"Oops: 0000 [#1] SMP\n{old_rip('acme_get')}{old_calls('a')}"),
        ("BUG: unable to handle kernel paging request in acme_get",
         f"Unable to handle kernel paging request at virtual address ffff0008\nMem abort info:\nInternal error: Oops: 96000004 [#1]\n"
         f"{arm64('acme_get', 'acme_get', 'vfs_read')}"),
        ("BUG: unable to handle kernel NULL pointer dereference in acme_get",
         f"8<--- cut here ---\nUnable to handle kernel NULL pointer dereference at virtual address 00000008\npgd = 1\n"
         f"Internal error: Oops: 5 [#1] SMP ARM\n{arm('memcpy', 'acme_get', 'vfs_read')}"),
        ("BUG: unable to handle kernel access to user memory in acme_get",
         "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0000000000000118\n"
         "Oops [#1]\nepc : acme_get+0x1/0x2\n ra : acme_do+0x1/0x2\n[<ffffffff80a1b2c4>] acme_get+0x1/0x2\n"),
        ("BUG: unable to handle kernel paging request in acme_get",
         "BUG: Unable to handle kernel data access at 0xc0000000deadbeef\nFaulting instruction address: 0xc000000000d0\n"
         "Oops: Kernel access of bad area, sig: 11 [#1]\nNIP [c0000000000d0000] acme_get+0x1/0x2\n"
         "Call Trace:\n[c00000000b5cfab0] [c00800000f1c0c18] acme_write+0x88/0x120\n"),
        *(
            ("general protection fault in acme_get", f"{head}{rip('acme_get')}{calls('a')}")
            for head in (
                "general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] PREEMPT SMP KASAN\n"
                "KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]\n",
                "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] SMP KASAN\n"
                "KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]\n",
                "general protection fault: 0000 [#1] SMP KASAN\n",
                "kasan: CONFIG_KASAN_INLINE enabled\nkasan: GPF could be caused by NULL-ptr deref or user memory access\n"
                "general protection fault: 0000 [#1] SMP KASAN\n",
            )
        ),
        *(
            (f"{title} in acme_get", f"{head}{rip('acme_get')}{calls('a')}")
            for title, head in (
                ("divide error", "divide error: 0000 [#1] SMP\n"), ("divide error", "Oops: divide error: 0000 [#1] SMP\n"),
                ("divide error", "divide_error: 0000 [#1] SMP\n"), ("invalid opcode", "invalid opcode: 0000 [#1] SMP\n"),
                ("invalid opcode", "Oops: invalid opcode: 0000 [#1] SMP\n"),
                ("stack segment fault", "stack segment: 0000 [#1] SMP\n"),
                ("PANIC: double fault", "PANIC: double fault, error_code: 0x0\n"),
                ("PANIC: double fault", "traps: PANIC: double fault, error_code: 0x0\ndouble fault: 0000 [#1] SMP\n"),
            )
        ),
        *(
            ("BUG: stack guard page was hit in sys_acme", f"{head}{rip('acme_deep')}"
             + calls(*["acme_deep"] * 9, "acme_top", "__x64_sys_acme"))
            for head in ("BUG: stack guard page was hit at 00000000f0cacc1a (stack is 1..2)\n",
                         "BUG: TASK stack guard page was hit at ffffc90000a17ff8 (stack is 1..2)\n",
                         "BUG: IRQ stack guard page was hit at ffffc90000a17ff8 (stack is 1..2)\n")
        ),
        ("kernel stack overflow in acme_top",
         "Insufficient stack space to handle exception!\nESR: 0x96000047\n"
         "pc : acme_deep+0x1/0x2\nlr : acme_deep+0x1/0x2\nKernel panic - not syncing: kernel stack overflow\nCall trace:\n"
         " dump_backtrace+0x1/0x2\n panic+0x1/0x2\n handle_bad_stack+0x1/0x2\n __bad_stack+0x1/0x2\n acme_deep+0x1/0x2\n"
         " acme_top+0x1/0x2\n process_one_work+0x1/0x2\n"),
        ("kernel BUG in acme_assert",
         f"------------[ cut here ]------------\nkernel BUG at drivers/acme/x.c:7!\ninvalid opcode: 0000 [#1] SMP\n"
         f"{rip('acme_assert')}{calls('a')}"),
        ("kernel BUG in acme_trim",
         f"kernel BUG at net/core/skbuff.c:109!\nOops: invalid opcode: 0000 [#1] SMP\n{rip('skb_panic')}"
         + calls("skb_push", "acme_trim")),
        ("kernel BUG in acme_assert",
         "kernel BUG at drivers/acme/x.c:7!\nInternal error: Oops - BUG: 00000000f2000800 [#1] PREEMPT SMP\n"
         + arm64("acme_assert", "acme_assert", "a")),
        ("BUG: bad usercopy in acme_read",
         "usercopy: Kernel memory exposure attempt detected from SLUB object 'acme' (offset 0, size 9)!\n"
         f"------------[ cut here ]------------\nkernel BUG at mm/usercopy.c:102!\ninvalid opcode: 0000 [#1]\n{rip('usercopy_abort')}"
         + calls("__check_heap_object", "__check_object_size", "acme_read")),
        ("Internal error in acme_get", "Internal error: synchronous external abort: 96000010 [#1] SMP\n" + arm64("acme_get", "a")),
        ("Unhandled fault in acme_get",
         "Unhandled fault: imprecise external abort (0x406) at 0x00000000\nInternal error: : 406 [#1] SMP ARM\n"
         + arm("acme_get", "a")),
        ("Alignment trap in acme_get", "Alignment trap: not handling instruction e1932f9f at [<8028bd58>]\n" + arm("acme_get", "a")),
    ],
    "hangs": [
        *(
            ("BUG: soft lockup in acme_ioctl", f"{head} - CPU#1 stuck for 26s! [acmed:7]\nModules linked in:\n{rip('acme_spin')}{SLOW}")
            for head in ("watchdog: BUG: soft lockup", "NMI watchdog: BUG: soft lockup", "BUG: soft lockup")
        ),
        *(
            ("INFO: rcu detected stall in sys_poll", f"{head}\n\t(t=10000 jiffies g=1 q=2)\nNMI backtrace for cpu 1\n{TICKED}")
            for head in ("rcu: INFO: rcu_preempt self-detected stall on CPU", "INFO: rcu_sched self-detected stall on CPU",
                         "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "INFO: rcu_bh self-detected stall on CPU",
                         "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21000 jiffies s: 9 root: 0x2/.")
        ),
        ("INFO: rcu detected stall in acme_work",
         "rcu: INFO: rcu_preempt self-detected stall on CPU\nCall trace:\n rcu_dump_cpu_stacks+0x1/0x2\n arch_timer_handler_virt+0x1/0x2\n"
         " el1_interrupt+0x1/0x2\n el1h_64_irq_handler+0x1/0x2\n el1h_64_irq+0x1/0x2\n acme_spin+0x1/0x2\n acme_work+0x1/0x2\n"
         " process_one_work+0x1/0x2\n worker_thread+0x1/0x2\n kthread+0x1/0x2\n"),
        *(
            (f"INFO: task hung in {frame}", f"INFO: task acmed:7 {head} 143 seconds.\n      Not tainted 6.12.0 #1\n{trace}")
            for frame, head, trace in (
                ("acme_open", "blocked for more than", HUNG),
                ("acme_open", "blocked in I/O wait for more than", HUNG),
                ("rtnl_lock", "blocked for more than", calls("__schedule", "schedule", "__mutex_lock", "rtnl_lock", "acme_up")),
                ("synchronize_rcu", "blocked for more than",
                 calls("__schedule", "schedule_timeout", "wait_for_completion", "__wait_rcu_gp", "synchronize_rcu_expedited", "a")),
                ("acme_stop", "blocked for more than",
                 calls("context_switch", "__schedule", "schedule", "io_schedule", "folio_wait_bit", "rcu_barrier", "acme_stop")),
            )
        ),
        ("INFO: task can't die in acme_open", "INFO: task acmed:7 can't die for more than 143 seconds.\n" + calls("__schedule", "acme_open")),
        ("BUG: workqueue lockup", "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!\n"),
        ("unregister_netdevice: waiting for DEV to become free",
         "unregister_netdevice: waiting for lo to become free. Usage count = 3\n"),
    ],
    "locks": [
        ("possible deadlock in acme_start",
         f"{HEAD}WARNING: possible circular locking dependency detected\n6.12.0 #1 Not tainted\n------\n{LOCKS}"
         f"{lock('&a->lock', 'acme_start')}{HELD}{lock('&b->lock', 'acme_scan')}\nthe existing dependency chain (in reverse order) is:\n"
         f"-> #1 (&b->lock){{+.+.}}-{{3:3}}:\n       __mutex_lock+0x1/0x2\n       acme_add+0x1/0x2\nstack backtrace:\n{HUNG}"),
        ("possible deadlock in acme_flush",
         f"{HEAD}WARNING: possible circular locking dependency detected\n6.12.0 #1 Not tainted\n------\n{LOCKS}"
         f"{lock('(wq_completion)acme', '__flush_workqueue')}{HELD}{lock('&b->lock', 'acme_flush')}\nstack backtrace:\n{HUNG}"),
        ("possible deadlock in acme_start",
         f"{HEAD}[ INFO: possible circular locking dependency detected ]\n4.9.0 #1 Not tainted\n-------\n{LOCKS} "
         f"{lock('&a->lock', 'acme_start', True)}{HELD} {lock('&b->lock', 'acme_scan', True)}stack backtrace:\n{old_calls('a')}"),
        *(
            ("possible deadlock in acme_start",
             f"{HEAD}WARNING: {head}\n6.12.0 #1 Not tainted\n-----\n{who}{lock('&a->lock', 'acme_start')}stack backtrace:\n{HUNG}")
            for head, who in (("possible recursive locking detected", LOCKS),
                              ("possible irq lock inversion dependency detected", "acmed/7 just changed the state of lock:\n"))
        ),
        ("possible deadlock in acme_irq",
         f"{HEAD}WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected\n6.12.0 #1 Not tainted\n----\n"
         f"acmed/7 [HC0[0]:SC0[0]:HE0:SE1] is trying to acquire:\n{lock('&b->lock', 'acme_start')}\nand this task is already holding:\n"
         f"{lock('&a->lock', 'acme_top')}\nbut this new dependency connects a HARDIRQ-irq-safe lock:\n (&a->lock){{-...}}-{{2:2}}\n\n"
         "... which became HARDIRQ-irq-safe at:\n  lock_acquire+0x1/0x2\n  _raw_spin_lock_irqsave+0x1/0x2\n  acme_irq+0x1/0x2\n"
         f"  handle_irq_event+0x1/0x2\nto a HARDIRQ-irq-unsafe lock:\nstack backtrace:\n{HUNG}"),
        ("inconsistent lock state in acme_start",
         f"{HEAD}WARNING: inconsistent lock state\n6.12.0 #1 Not tainted\n----\ninconsistent {{SOFTIRQ-ON-W}} -> {{IN-SOFTIRQ-W}} usage.\n"
         f"acmed/7 [HC0[0]:SC1[1]:HE1:SE0] takes:\n{lock('&a->lock', 'acme_top')}stack backtrace:\n"
         + calls("dump_stack_lvl", "mark_lock", "__lock_acquire", "lock_acquire", "_raw_spin_lock", "acme_start")),
        *(
            (f"{level}: suspicious RCU usage in acme_find",
             f"{HEAD}{head}\n4.14.0 #1 Not tainted\n-----\ndrivers/acme/x.c:7 suspicious rcu_dereference_check() usage!\n\n"
             "other info that might help us debug this:\nstack backtrace:\n"
             + calls("dump_stack", "lockdep_rcu_suspicious", "rcu_find", "acme_find"))
            for level, head in (("WARNING", "WARNING: suspicious RCU usage"), ("INFO", "[ INFO: suspicious RCU usage. ]"))
        ),
        *(
            (f"{level}: bad unlock balance in acme_stop",
             f"{HEAD}{head}\n6.12.0 #1 Not tainted\n-----\nacmed/7 is trying to release lock (&a->lock) at:\n"
             "[<ffffffff8126cafe>] acme_stop+0x1/0x2\nbut there are no more locks to release!\nstack backtrace:\n" + HUNG)
            for level, head in (("WARNING", "WARNING: bad unlock balance detected!"), ("BUG", "[ BUG: bad unlock balance detected! ]"))
        ),
        *(
            (f"{level}: held lock freed in acme_open",
             f"{HEAD}{head}\n6.12.0 #1 Not tainted\n-----\nacmed/7 is freeing memory 1-2, with a lock still held there!\n"
             f"{lock('&a->lock', 'acme_open', level == 'BUG')}stack backtrace:\n{HUNG}")
            for level, head in (("WARNING", "WARNING: held lock freed!"), ("BUG", "[ BUG: held lock freed! ]"))
        ),
        *(
            (f"{level}: still has locks held in acme_open",
             f"{HEAD}{head}\n6.12.0 #1 Not tainted\n-----\n1 lock held by acmed/7:\n"
             f" #0: {lock('&a->lock', 'acme_open', level == 'BUG')}\nstack backtrace:\n{HUNG}")
            for level, head in (("WARNING", "WARNING: acmed/7 still has locks held!"), ("BUG", "[ BUG: acmed/7 still has locks held! ]"))
        ),
        *(
            (f"{level}: lock held when returning to user space in acme_open",
             f"{HEAD}{head}\n6.12.0 #1 Not tainted\n-----\nacmed/7 is leaving the kernel with locks still held!\n1 lock held by acmed/7:\n"
             f" #0: {lock('&a->lock', 'acme_open')}")
            for level, head in (("WARNING", "WARNING: lock held when returning to user space!"),
                                ("BUG", "[ BUG: lock held when returning to user space! ]"))
        ),
        ("WARNING: nested lock was not taken in acme_open",
         f"{HEAD}WARNING: Nested lock was not taken\n6.12.0 #1 Not tainted\n-----\nacmed/7 is trying to lock:\n"
         f"{lock('&a->lock', 'acme_open')}stack backtrace:\n" + calls("dump_stack_lvl", "__lock_acquire", "lock_acquire", "acme_open")),
        ("WARNING: locking bug in acme_poll",
         f"{HEAD}[ BUG: Invalid wait context ]\n6.12.0 #1 Not tainted\n-----\nacmed/7 is trying to lock:\n{lock('&a->lock', 'acme_open')}"
         + calls("dump_stack_lvl", "__lock_acquire", "lock_acquire", "lock_sock_nested", "acme_poll")),
        ("INFO: trying to register non-static key in acme_open",
         "INFO: trying to register non-static key.\nThe code is fine but needs lockdep annotation\n"
         + calls("dump_stack_lvl", "register_lock_class", "__lock_acquire", "lock_acquire", "acme_open")),
        ("BUG: MAX_LOCKDEP_CHAINS too low!", "BUG: MAX_LOCKDEP_CHAINS too low!\nturning off the locking correctness validator.\n"),
        *(
            (f"BUG: {what} in acme_stat", f"BUG: {what} on CPU#1, acmed/7\n lock: 0xffff8881, .magic: dead4ead\n"
             + calls("dump_stack_lvl", "spin_bug", "do_raw_spin_lock", "_raw_spin_lock", "acme_stat"))
            for what in ("spinlock bad magic", "spinlock recursion", "spinlock lockup suspected", "spinlock wrong owner",
                         "spinlock wrong CPU", "spinlock already unlocked", "spinlock trylock failure on UP", "rwlock bad magic", "rwlock cpu recursion")
        ),
    ],
    "contexts": [
        ("BUG: sleeping function called from invalid context in acme_send",
         "BUG: sleeping function called from invalid context at include/linux/sched/mm.h:274\nin_atomic(): 1, irqs_disabled(): 0\n"
         "Preemption disabled at:\n[<ffffffff8109a98e>] acme_lock+0x1f/0x2e\n"
         + calls("dump_stack_lvl", "__might_resched", "__kmem_cache_alloc_node", "kmalloc_trace", "acme_send")),
        ("BUG: scheduling while atomic in acme_wait",
         "BUG: scheduling while atomic: acmed/7/0x00000002\nModules linked in:\n"
         + calls("dump_stack_lvl", "__schedule_bug", "__schedule", "schedule", "acme_wait")),
        ("BUG: using smp_processor_id() in preemptible code in acme_cpu",
         "BUG: using smp_processor_id() in preemptible [00000000] code: acmed/7\ncaller is acme_cpu+0x1/0x2\n"
         + calls("dump_stack_lvl", "check_preemption_disabled", "debug_smp_processor_id", "acme_cpu")),
        ("BUG: workqueue leaked lock or atomic in acme_work",
         "BUG: workqueue leaked lock or atomic: kworker/1:1/0x00000001/7\n     last function: acme_work\n" + calls("a")),
    ],
    "memory": [
        ("memory leak in acme_open",
         f"BUG: memory leak\n{LEAK}  backtrace (crc 1f2e3d4c):\n    kmemleak_alloc+0x1/0x2\n    __kmalloc_cache_noprof+0x1/0x2\n"
         "    kstrdup+0x1/0x2\n    acme_open+0x1/0x2\n"),
        ("memory leak in acme_open",
         f"BUG: memory leak\n{LEAK}  backtrace:\n    [<00000000f0cacc1a>] kmalloc include/linux/slab.h:1 [inline]\n"
         "    [<00000000f0cacc1a>] kmem_cache_alloc+0x1/0x2\n    [<00000000f0cacc1b>] acme_open+0x1/0x2\n"),
        *(
            (f"BUG: Bad page {what} in acme_map",
             f"BUG: Bad page {what} in process acmed  pfn:0b12c\npage: refcount:0 mapcount:1\n{FREED}"
             " folio_alloc_noprof+0x1/0x2\n acme_map+0x1/0x2\n" + calls("bad_page", "free_unref_page", "acme_close"))
            for what in ("state", "cache")
        ),
        ("BUG: Bad page map", "BUG: Bad page map in process acmed  pte:ffff8881 pmd:0b12c067\n" + calls("print_bad_pte", "a")),
        ("BUG: Bad rss-counter state", "BUG: Bad rss-counter state mm:00000000f0cacc1a type:MM_FILEPAGES val:1\n"),
        ("BUG: non-zero nr_ptes on freeing mm", "BUG: non-zero nr_ptes on freeing mm: 1\n"),
        ("BUG: non-zero pgtables_bytes on freeing mm: NUM", "BUG: non-zero pgtables_bytes on freeing mm: 4096\n"),
        ("BUG: Object already free", "BUG kmalloc-64 (Not tainted): Object already free\n-----\n\n" + calls("a")),
        ("BUG: Dentry still in use in unmount",
         "BUG: Dentry 00000000f0cacc1a{i=1,n=/}  still in use (1) [unmount of ext4 sda1]\n" + calls("umount_check")),
        ("VFS: Busy inodes after unmount (use-after-free)", "VFS: Busy inodes after unmount of sda1 (ext4)\n"),
        ("VFS: Close: file count is zero (use-after-free)", "VFS: Close: file count is 0\n"),
    ],
    "warnings": [
        *(
            (title, f"{before}{head}{body}")
            for title, before, place, name, frames in (
                ("WARNING in acme_probe", "", "drivers/acme/x.c:7", "acme_probe", ("vfs_read",)),
                ("WARNING in acme_up", "", "net/core/dev.c:7", "unregister_netdevice_many", ("acme_up",)),
                ("WARNING: refcount bug in acme_put", "refcount_t: underflow; use-after-free.\n", "lib/refcount.c:28",
                 "refcount_warn_saturate", ("kobject_put", "acme_put")),
                ("WARNING: ODEBUG bug in acme_close", ODEBUG, "lib/debugobjects.c:517", "debug_print_object",
                 ("debug_check_no_obj_freed", "kfree", "acme_close")),
                ("WARNING: kobject bug in acme_add", "kobject: '(null)' (1): is not initialized, yet kobject_get() is being called.\n",
                 "lib/kobject.c:641", "kobject_get", ("kobject_add_internal", "acme_add")),
                ("WARNING: proc registration bug in acme_add", "proc_dir_entry 'net/acme' already registered\n", "fs/proc/generic.c:377",
                 "proc_register", ("proc_create_seq_private", "acme_add")),
                ("WARNING: kmalloc bug in acme_size", "", "mm/util.c:597", "kvmalloc_node", ("__kvmalloc_slab", "acme_size")),
                ("WARNING: locking bug in acme_ctl", "DEBUG_LOCKS_WARN_ON(1)\n", "kernel/locking/lockdep.c:231", "hlock_class",
                 ("__lock_acquire", "lock_acquire", "lock_sock_nested", "acme_ctl")),
                ("WARNING: zero-size vmalloc in acme_size", "", "mm/vmalloc.c:3000", "__vmalloc_node_range", ("vzalloc", "acme_size")),
                ("WARNING in acme_send/usb_submit_urb", "usb 1-1: BOGUS urb xfer, pipe 3 != type 1\n", "drivers/usb/core/urb.c:503",
                 "usb_submit_urb", ("usb_start_wait_urb", "usb_bulk_msg", "acme_send")),
                ("WARNING: bad usercopy in acme_read",
                 "Bad or missing usercopy whitelist? Kernel memory exposure attempt detected from SLUB object 'acme' (offset 0, size 9)!\n",
                 "mm/usercopy.c:78", "usercopy_warn", ("__check_object_size", "acme_read")),
                ("WARNING in acme_del", "list_del corruption. prev->next should be ffff8881, but was dead000000000100\n",
                 "lib/list_debug.c:62", "__list_del_entry_valid", ("acme_del",)),
            )
            for head, body in (
                (warning(place, name)[0], rip(name) + calls(*frames)),
                (warning(place, name)[0], old_calls("dump_stack", "__warn", "warn_slowpath_fmt", name, *frames)),
                *([(warning(place, name)[1], rip(name) + calls(*frames))] if "WARNING in" in title and "usb" not in title else []),
            )
        ),
        ("BUG: corrupted list in acme_del",
         "list_del corruption. prev->next should be ffff8881, but was dead000000000100\n------------[ cut here ]------------\n"
         f"kernel BUG at lib/list_debug.c:62!\ninvalid opcode: 0000 [#1] SMP\n{rip('__list_del_entry_valid')}{calls('acme_del')}"),
        ("WARNING: kernel stack regs has bad 'bp' value",
         "WARNING: kernel stack regs at ffffc90000a17b60 in acmed:7 has bad 'bp' value 0000000000000000\nunwind stack type:0\n"),
        ("WARNING: kernel stack frame pointer has bad value",
         "WARNING: kernel stack frame pointer at ffffc90000a17b60 in acmed:7 has bad value 0000000000000000\n"),
    ],
    "panics": [
        *(
            (f"kernel panic: {title or text}", f"Kernel panic - not syncing: {text}\n" + calls("dump_stack_lvl", "panic", "do_exit"))
            for text, title in (
                ("Attempted to kill init! exitcode=0x00000009", "Attempted to kill init!"),
                ("Couldn't open N_TTY ldisc for ptm1 --- error -12.", "Couldn't open N_TTY ldisc"),
                ("Attempted to kill the idle task!", ""), ("System is deadlocked on memory", ""), ("sysrq triggered crash", ""),
                ("VFS: Unable to mount root fs on unknown-block(8,1)", "VFS: Unable to mount root fs on unknown-block(NUM,NUM)"),
                ("EXT4-fs (device sda1): panic forced after error", ""), ("Fatal exception in interrupt", "Fatal exception"),
                ("kernel: panic_on_warn set ...", ""), ("Hard LOCKUP", ""), ("bad mode", ""),
                ("Out of memory: compulsory panic_on_oom is enabled", ""), ("hung_task: blocked tasks", ""),
                ("softlockup: hung tasks", ""), ("stack-protector: Kernel stack is corrupted in: acme_copy+0x1/0x2",
                                                "stack is corrupted in acme_copy"),
            )
        ),
        ("kernel panic: stack is corrupted in acme_copy",
         "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: ffffffff8126cafe\n"
         + calls("dump_stack", "panic", "__stack_chk_fail", "acme_copy")),
        ("kernel panic: corrupted stack end in sys_acme",
         "Kernel panic - not syncing: corrupted stack end detected inside scheduler\n"
         + calls("dump_stack_lvl", "panic", "__schedule", "preempt_schedule_irq", "acme_deep", "__x64_sys_acme")),
        ("acme overflow in <acme::Device>::add",
         "rust_kernel: panicked at drivers/acme/x.rs:7:12:\nacme overflow\n------------[ cut here ]------------\n"
         f"kernel BUG at rust/helpers/bug.c:7!\nOops: invalid opcode: 0000 [#1] SMP\n{rip('rust_helper_BUG')}"
         + calls("_RNvCs1234_7___rustc17rust_begin_unwind", "_RNvMCs1234_4acmeNtB2_6Device3add")),
        ("unexpected kernel reboot", "[   12.345678] acme: up\nBooting the kernel.\n[    0.000000] Linux version 6.12.0\n"),
        ("trusty: panic: acme broke", "trusty: panic (lib/acme.c:7): acme broke\n"),
        ("trusty: ASSERT FAILED: acme->count", "trusty: panic (lib/acme.c:7): DEBUG ASSERT FAILED at (lib/acme.c:7): acme->count\n"),
        ("trusty: ASSERT FAILED: acme->count", "trusty: panic (lib/acme.c:7): ASSERT FAILED at (lib/acme.c:7): acme->count\n"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("title", "text"),
    [
        pytest.param(*case, id=f"{group}-{at}")
        for group, cases in CASES.items()
        for at, case in enumerate(cases)
    ],
)
def test_a_report_bears_the_title_of_the_dashboards(title: str, text: str) -> None:
    found = find_reports(messages((n, 0, line.encode()) for n, line in enumerate(text.split("\n"), 1)))
    assert [report.title for report in found[:1]] == [title], text
