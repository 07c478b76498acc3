"""Reports that no log of the corpora holds: families of helpers, ways of waiting, entries of each architecture.

What stands in them is what the kernel's own code calls on the way from a driver called acme to the report:
mm/, kernel/locking/, kernel/rcu/, lib/, arch/*/kernel/traps.c and their printing code, of 3.x to 7.x.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from crash_parts import ENTRY, HEAD, REGISTERS, arm, arm64, calls, lock, old_calls, old_rip, rip, warning
from klog_forms import FORMS

from lastwords.formats.crash.reports import Report, find_reports
from lastwords.formats.log.messages import messages

CUT = "------------[ cut here ]------------\n"
WHO = "CPU: 1 UID: 0 PID: 7 Comm: acmed Not tainted 6.12.0 #1 PREEMPT(full)\nHardware name: QEMU\n"
LEAKED = 'BUG: memory leak\nunreferenced object 0xffff888101a2b0a8 (size 32):\n  comm "acmed", pid 7, jiffies 4294942\n'


def found(log: bytes) -> list[Report]:
    return find_reports(messages((n, 0, line) for n, line in enumerate(log.split(b"\n"), 1)))


def kasan(*names: str) -> str:
    return (
        f"BUG: KASAN: slab-use-after-free in {names[0]}+0x1/0x2\nRead of size 8 at addr ffff8881 by task acmed/7\n\n{WHO}"
        + calls("dump_stack_lvl", "print_address_description", "print_report", "kasan_report", *names)
        + "\nAllocated by task 7:\n kasan_save_stack+0x1/0x2\n acme_make+0x1/0x2\n\nFreed by task 8:\n kfree+0x1/0x2\n acme_end+0x1/0x2\n"
    )


def kmsan(*names: str) -> str:
    rest = "".join(f" {name}+0x1/0x2\n" for name in names)
    return f"BUG: KMSAN: uninit-value in {names[0]}+0x1/0x2\n{rest}\nUninit was created at:\n __kmalloc_noprof+0x1/0x2\n acme_make+0x1/0x2\n"


def oops(*names: str) -> str:
    return f"BUG: unable to handle page fault for address: ffffea08\nOops: Oops: 0000 [#1] SMP\n{rip(names[0])}{calls(*names[1:])}"


def sleeping(*names: str) -> str:
    return (
        "BUG: sleeping function called from invalid context at kernel/acme.c:7\nin_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 7, name: acmed\n"
        f"preempt_count: 1, expected: 0\n1 lock held by acmed/7:\n #0: {lock('&a', 'acme_held')}Preemption disabled at:\n[<ffffffff8109a98e>] acme_off+0x1f/0x2e\n"
        + calls("dump_stack_lvl", "__might_resched", *names)
    )


def warned(place: str) -> Callable[..., str]:
    return lambda *names: warning(place, names[0])[0] + rip(names[0]) + calls(*names[1:])


def leaked(*names: str) -> str:
    return f"{LEAKED}  backtrace (crc 1f2e3d4c):\n" + "".join(f"    {name}+0x1/0x2\n" for name in names)


def hung(*names: str) -> str:
    return (
        "INFO: task acmed:7 blocked for more than 143 seconds.\n      Not tainted 6.6.0 #1\ntask:acmed state:D stack:0 pid:7\n"
        + calls("context_switch", "__schedule", "schedule", *names)
    )


# Each is on the way of a report, and it is never the one that made the mistake. Per line: what prints, then
# chains of who called whom, from within; the driver called the last.
HELPERS: list[tuple[str, Callable[..., str], str]] = [
    ("KASAN: slab-use-after-free Read", kasan, """
        memcpy memcmp memset __asan_memcpy,memmove strlen strcmp strnstr sized_strscpy string,vsnprintf,snprintf pointer,vsnprintf,scnprintf
        __list_del_entry_valid_or_report __list_add_valid __lock_acquire,lock_acquire,_raw_spin_lock_irqsave
        do_raw_spin_lock,_raw_spin_lock_bh native_queued_spin_lock_slowpath,_raw_spin_lock __mutex_lock_common,__mutex_lock,mutex_lock_nested
        mutex_spin_on_owner,__mutex_lock owner_on_cpu,mutex_optimistic_spin,__mutex_lock osq_lock,rwsem_down_write_slowpath,down_write
        rwsem_down_read_slowpath,down_read _copy_to_iter,copy_page_to_iter _copy_from_iter _copy_to_user test_bit atomic_read
        refcount_inc_not_zero_checked refcount_sub_and_test_checked __rb_insert_augmented,rb_insert_color rb_erase rb_next klist_next
        kobject_put kobject_get,get_device_parent,device_add device_del,device_unregister sysfs_remove_group usb_kill_urb usb_submit_urb
        usb_hcd_submit_urb,usb_submit_urb del_timer,try_to_grab_pending,__cancel_work_timer,cancel_work_sync lock_timer_base,__mod_timer
        __flush_work,flush_work __queue_work,queue_work_on drain_workqueue,destroy_workqueue __wake_up complete dev_printk_emit,_dev_err
        __dev_printk,_dev_warn kfree_skb iput ihold dput xas_load xas_start,xas_find kmemdup kstrdup kasprintf ref_tracker_free
        crc16 crc_itu_t __raw_readl,readl unregister_netdevice_queue,unregister_netdev put_device timer_is_static_object,debug_object_assert_init
    """),
    ("KMSAN: uninit-value", kmsan, "memcmp strlen string_nocheck hex_dump_to_buffer,print_hex_dump crc32_le copy_folio_to_iter kmemdup"),
    ("BUG: unable to handle kernel paging request", oops, """
        __memcpy memcpy_orig memset_erms memcpy_fromio strnlen copy_user_generic_string __arch_copy_to_user __put_user_nocheck_4
        copy_user_enhanced_fast_string strnlen_user kcsan_setup_watchpoint,__tsan_read8 __tsan_unaligned_write4
    """),
    ("BUG: sleeping function called from invalid context", sleeping, """
        slab_pre_alloc_hook,kmem_cache_alloc_noprof __kmalloc_cache_noprof __alloc_frozen_pages_noprof,alloc_pages_mpol_noprof kvmalloc_node
        __mutex_lock mutex_lock_nested __might_fault,_copy_from_user down_read down_write_killable percpu_down_read rt_spin_lock
        rt_spin_lock,__local_bh_disable_ip __flush_work,flush_work wait_for_completion cancel_work_sync del_timer_sync kthread_stop iput dput
        might_alloc,kmem_cache_alloc_bulk __cant_sleep
    """),
    ("WARNING", warned("kernel/workqueue.c:7"), """
        __queue_work,queue_work_on __flush_work,__cancel_work_timer,cancel_work_sync __mod_timer __local_bh_enable_ip up_write
        mutex_destroy __alloc_pages,alloc_pages,kmalloc_order,__kmalloc __alloc_frozen_pages_noprof,___kmalloc_large_node,__kmalloc_noprof
        sysfs_remove_group,device_del,device_unregister drop_nlink mark_buffer_dirty cleanup_srcu_struct ida_free __fortify_report
        device_release,kobject_put unregister_netdevice_many_notify,unregister_netdevice_queue __might_sleep,mutex_lock
        __cfi_check_fail,__cfi_slowpath_diag
    """),
    ("WARNING: kmalloc bug", warned("mm/util.c:7"), "kvmalloc_node kmalloc_slab,__kmalloc"),
    ("WARNING: zero-size vmalloc", warned("mm/vmalloc.c:7"), "__vmalloc_node_range,__vmalloc_node,vzalloc __vmalloc_node_range_noprof,vmalloc_user_noprof"),
    ("WARNING: kobject bug", warned("lib/kobject.c:7"), "kobject_add_internal,kobject_add kobject_get,kobject_add_internal"),
    ("WARNING: ODEBUG bug", warned("lib/debugobjects.c:7"), """
        debug_print_object,__debug_check_no_obj_freed,debug_check_no_obj_freed,kfree debug_print_object,debug_object_free,destroy_delayed_work_on_stack
        debug_print_object,debug_object_assert_init,del_timer,try_to_grab_pending debug_print_object,debug_object_assert_init,__timer_delete
        debug_print_object,debug_object_destroy,percpu_counter_destroy_many
    """),
    ("WARNING: refcount bug", warned("lib/refcount.c:28"), "refcount_warn_saturate refcount_sub_and_test_checked refcount_dec_not_one,refcount_dec_and_lock"),
    ("WARNING: locking bug", warned("kernel/locking/lockdep.c:7"), """
        look_up_lock_class,register_lock_class,__lock_acquire,lock_acquire,_raw_spin_lock_irqsave hlock_class,mark_lock,__lock_acquire,lock_acquire
        lock_set_class __lock_downgrade,lock_downgrade lock_unpin_lock
    """),
    ("WARNING", warned("kernel/locking/lockdep.c:7"), "reacquire_held_locks,lock_release,_raw_spin_unlock check_wait_context,__lock_acquire,lock_acquire check_flags,lock_acquire validate_chain,__lock_acquire"),
    ("memory leak", leaked, """
        slab_post_alloc_hook,kmem_cache_alloc_noprof __kmalloc_cache_noprof kmalloc_node_trace kvmalloc_node __vmalloc_node_range,vmalloc
        pcpu_alloc,__alloc_percpu_gfp kstrdup,kstrdup_const kmemdup kvasprintf,kasprintf alloc_skb_with_frags,sock_alloc_send_pskb
        sk_prot_alloc,sk_alloc kmalloc_large_node xas_alloc bio_alloc_bioset create_object,kmemleak_alloc,kmalloc_reserve,__alloc_skb
        vm_area_alloc,mmap_region idr_get_free
    """),
    ("INFO: task hung", hung, """
        schedule_preempt_disabled,__mutex_lock rwsem_down_write_slowpath,down_write_killable io_schedule,folio_wait_bit_common,__filemap_get_folio
        io_schedule,bit_wait_io,__wait_on_bit,out_of_line_wait_on_bit,__wait_on_buffer schedule_timeout,do_wait_for_common,wait_for_completion
        wait_for_completion,__flush_work,__cancel_work_timer,cancel_delayed_work_sync wait_for_completion,kthread_stop rcu_barrier
        percpu_rwsem_wait,__percpu_down_read percpu_down_write rt_mutex_slowlock_block,__rt_mutex_slowlock,mutex_lock_nested
        schedule_rtlock,rtlock_slowlock_locked,rt_spin_lock blk_mq_freeze_queue_wait jbd2_log_wait_commit __flush_workqueue __lock_page
    """),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "report", "chain"),
    [
        pytest.param(kind, report, chain.split(","), id=f"{kind} {chain}")
        for kind, report, chains in HELPERS
        for chain in chains.split()
    ],
)
def test_who_was_called_is_not_to_blame(kind: str, report: Callable[..., str], chain: list[str]) -> None:
    made = found(report(*chain, "acme_open", "chrdev_open").encode())
    assert [each.title for each in made] == [f"{kind} in acme_open"]
    assert made[0].corrupted is None


STUCK = "watchdog: BUG: soft lockup - CPU#1 stuck for 123s! [acmed:7]\nModules linked in:\n"
WAYS_IN = """
    acme_ioctl:vfs_ioctl,__x64_sys_ioctl acme_ioctl:__se_sys_ioctl acme_write:vfs_write,ksys_write acme_read_iter:call_read_iter,new_sync_read,vfs_read
    acme_sendmsg:sock_sendmsg,__sys_sendto acme_work:process_one_work,worker_thread,kthread,ret_from_fork
    acme_timer:call_timer_fn,expire_timers,run_timer_softirq,__do_softirq acme_hrtimer:__run_hrtimer,hrtimer_interrupt
    acme_hrtimer:__hrtimer_run_queues,hrtimer_interrupt acme_bh:tasklet_action_common,tasklet_action,__do_softirq acme_thread:kthread,ret_from_fork
    acme_rcv:__netif_receive_skb_one_core,process_backlog,net_rx_action smp_call_function:smp_call_function_many_cond,on_each_cpu_cond_mask
    sys_mount:__x64_sys_mount sys_acme:__arm64_sys_acme,el0_svc_handler acme_release:__fput,task_work_run acme_fault:__do_fault,handle_mm_fault
    acme_map:mmap_region,do_mmap acme_new:rtnetlink_rcv_msg,netlink_rcv_skb acme_idle:cpu_startup_entry,start_secondary
    sys_poll:__x64_sys_poll acme_cb:do_softirq_own_stack acme_irq:run_ksoftirqd,smpboot_thread_fn
"""  # fmt: skip


@pytest.mark.parametrize("way", WAYS_IN.split())
def test_a_lockup_is_whose_call_took_too_long(way: str) -> None:
    guilty, _, names = way.partition(":")
    inner = ["acme_loop", guilty] if guilty.startswith("acme") else ["acme_loop"]
    for text in (
        rip("acme_spin") + calls(*inner, *names.split(",")),
        rip("acme_spin") + old_calls("acme_spin", *inner, *names.split(","), "entry_SYSCALL_64_fastpath"),
    ):
        made = found((STUCK + text).encode())
        assert (made[0].title, made[0].alts[0]) == (f"BUG: soft lockup in {guilty}", f"stall in {guilty}")


STALL = "rcu: INFO: rcu_preempt self-detected stall on CPU\nrcu: \t0-....: (10499 ticks this GP) idle=0\nrcu: \t(t=10500 jiffies g=1 q=1 ncpus=2)\n"
TICK = ("show_stack", "dump_cpu_task", "rcu_dump_cpu_stacks", "rcu_sched_clock_irq", "update_process_times", "hrtimer_interrupt")  # fmt: skip
LOOP = ("acme_loop", "acme_poll")


def plain(*names: str) -> str:
    return "".join(f" {name}+0x1/0x2\n" for name in names)


ENTRIES = {
    "arm64, up to 5.11": "Call trace:\n" + plain(*TICK, "gic_handle_irq", "el1_irq", *LOOP, "__arm64_sys_poll", "el0_svc"),
    "arm64": "Call trace:\n" + plain(*TICK, "gic_handle_irq", "el1h_64_irq", *LOOP, "__arm64_sys_poll", "invoke_syscall"),
    "arm": "Backtrace: \n" + "".join(f" {a} from {b}+0x1/0x2\n" for a, b in zip(
        (*TICK, "gic_handle_irq", "__irq_svc", *LOOP, "sys_poll"), (*TICK[1:], "gic_handle_irq", "__irq_svc", *LOOP, "sys_poll", "ret_fast_syscall"))),
    "x86, IRQ stack": "Call Trace:\n <IRQ>\n" + plain(*TICK, "sysvec_apic_timer_interrupt") + " </IRQ>\n <TASK>\n"
    + plain("asm_sysvec_apic_timer_interrupt") + "RIP: 0010:acme_spin+0x1/0x2\n" + REGISTERS + plain(*LOOP, "__x64_sys_poll", "do_syscall_64"),
    "i386": "Call Trace:\n" + plain(*TICK, "sysvec_apic_timer_interrupt", "handle_exception") + "EIP: acme_spin+0x1/0x2\nEAX: 0\n"
    + plain(*LOOP, "__ia32_sys_poll", "do_int80_syscall_32", "entry_INT80_32"),
    "where it was interrupted": "pc : acme_spin+0x1/0x2\nlr : acme_loop+0x1/0x2\nCall trace:\n" + plain("acme_spin", *LOOP, "__arm64_sys_poll", "invoke_syscall"),
    "riscv": "epc : acme_spin+0x1/0x2\n ra : acme_loop+0x1/0x2\n" + "".join(
        f"[<ffffffff80000000>] {name}+0x1/0x2\n" for name in ("acme_spin", *LOOP, "sys_poll", "ret_from_syscall")),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_a_stall_is_whom_the_timer_interrupted(name: str) -> None:
    (made,) = found((STALL + WHO + ENTRIES[name]).encode())
    assert re.fullmatch("INFO: rcu detected stall in (?:sys_)?poll", made.title)
    assert made.corrupted is None


MIPS = "epc   : 80123456 acme_open+0x1c/0x40\nra    : 80123450 chrdev_open+0x18/0x40\nCall Trace:\n[<80123456>] acme_open+0x1c/0x40\n[<80123450>] chrdev_open+0x18/0x40\n"
LOONGARCH = "   ra: 9000000000212340 chrdev_open+0x18/0x40\n  ERA: 9000000000212345 acme_open+0x1c/0x40\nCall Trace:\n[<9000000000212345>] acme_open+0x1c/0x40\n"
RISCV = "epc : acme_open+0x1c/0x40\n ra : chrdev_open+0x18/0x40\n[<ffffffff80000000>] acme_open+0x1c/0x40\n"
PPC = "NIP [c0000000008a1b2c] acme_open+0x1c/0x40\nLR [c0000000008a1b20] chrdev_open+0x18/0x40\nCall Trace:\n[c000000012ab7a80] [c0000000008a1b20] chrdev_open+0x18/0x40\n"
X86 = rip("acme_open") + calls("chrdev_open")
NULL, PAGING = (
    "BUG: unable to handle kernel NULL pointer dereference",
    "BUG: unable to handle kernel paging request",
)
HEADS = [
    ("kernel BUG", "Kernel bug detected[#1]:\n", MIPS),
    ("kernel BUG", "Kernel bug detected[#1]:\n", LOONGARCH),
    ("kernel BUG", f"{CUT}kernel BUG at drivers/acme/x.c:7!\nOops - BUG[#1]:\n", LOONGARCH),
    ("kernel BUG", "Kernel BUG [#1]\nModules linked in:\n", RISCV),
    ("Unhandled kernel unaligned access", "Unhandled kernel unaligned access[#1]:\n", MIPS),
    (PAGING, "CPU 1 Unable to handle kernel paging request at virtual address 08, era == 9000, ra == 9000\nOops[#1]:\n", LOONGARCH),
    (PAGING, "BUG: Unable to handle kernel data access on write at 0xc0000000\nFaulting instruction address: 0xc0\n"
             "Oops: Kernel access of bad area, sig: 11 [#1]\n", PPC),
    ("Exception in kernel mode", "Oops: Exception in kernel mode, sig: 4 [#1]\nLE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA\n", PPC),
    ("Machine check", "Oops: Machine check, sig: 7 [#1]\nLE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA\n", PPC),
    ("general protection fault", "Oops: general protection fault, kernel NULL pointer dereference 0x8: 0000 [#1] SMP\n", X86),
    ("general protection fault", "Oops: general protection fault, probably LASS violation for address 0xffff8000: 0000 [#1] SMP\n", X86),
    ("general protection fault", "general protection fault: fff2 [#1] PREEMPT SMP\n", X86),
    ("stack segment fault", "Oops: stack segment, probably for non-canonical address 0xffee000000000000: 0000 [#1] SMP\n", X86),
    ("PANIC: early exception", "PANIC: early exception 0x0e IP 10:ffffffff81260001 error 0 cr2 0x8\n", X86),
    ("control protection fault", "Oops: control protection fault: 0003 [#1] SMP\n", X86),
    ("Internal error", "Internal error: Oops - BTI: 0000000034000002 [#1] SMP\n", arm64("acme_open", "acme_open", "chrdev_open")),
    ("Internal error", "Internal error: Oops - undefined instruction: 0 [#1] PREEMPT SMP ARM\n", arm("acme_open", "chrdev_open")),
    ("Internal error", "Internal error: synchronous external abort: 0000000096000410 [#1] SMP\n", arm64("acme_open", "acme_open", "chrdev_open")),
    (NULL, "8<--- cut here ---\nUnable to handle kernel NULL pointer dereference at virtual address 00000000 when execute\n"
           "[00000000] *pgd=0\nInternal error: Oops: 80000005 [#1] PREEMPT SMP ARM\nPC is at 0x0\nLR is at acme_open+0x1/0x2\nBacktrace: \n",
     " acme_open from chrdev_open+0x1/0x2\n"),
    (NULL, "BUG: kernel NULL pointer dereference, address: 0000000000000000\nOops: Oops: 0010 [#1] SMP NOPTI\nRIP: 0010:0x0\n"
           "Code: Unable to access opcode bytes at 0xffffffffffffffd6.\nCall Trace:\n <TASK>\n ? __die+0x1f/0x70\n ? asm_exc_page_fault+0x1/0x2\n",
     plain("acme_open", "chrdev_open")),
    ("WARNING", warning("drivers/acme/x.c:7", "acme_open")[0], "Call trace:\n" + "".join(
        f"[<ffff200008092174>] {name}+0x1/0x2\n" for name in ("bug_handler.part.2", "bug_handler", "brk_handler", "do_debug_exception", "el1_dbg",
                                                              "acme_open", "chrdev_open"))),
    ("KASAN: use-after-free Read", "BUG: KASAN: use-after-free in __list_del_entry+0x1/0x2 at addr ffff8800\nRead of size 8 by task acmed/7\n"
     "BUG kmalloc-64 (Tainted: G    B          ): kasan: bad access detected\nINFO: Freed in acme_end+0x1/0x2 age=1 cpu=0 pid=7\n",
     old_calls("dump_stack", "print_trailer", "object_err", "kasan_report_error", "__asan_report_load8_noabort", "__list_del_entry", "acme_open")),
    ("KMSAN: uninit-value", f"BUG: KMSAN: uninit-value in acme_open+0x1/0x2\n{WHO}",
     calls("dump_stack", "kmsan_report", "__msan_warning", "acme_open", "chrdev_open")),
    *((f"UBSAN: {bug}", f"UBSAN: {bug} in drivers/acme/x.c:7:12\n{WHO}",
       calls("dump_stack_lvl", "ubsan_epilogue", handler, "ubsan_type_mismatch_common", "__ubsan_handle_type_mismatch_v1", "acme_open"))
      for bug, handler in (("null-ptr-deref", "handle_null_ptr_deref"), ("misaligned-access", "handle_misaligned_access"),
                           ("object-size-mismatch", "handle_object_size_mismatch"))),
    ("inconsistent lock state", f"{HEAD}WARNING: inconsistent lock state\n6.12.0 #1 Not tainted\n---\nacmed/7 [HC0[0]:SC1[1]:HE1:SE0] takes:\n"
     f"{lock('&a', 'acme_open')}stack backtrace:\n",
     calls("dump_stack_lvl", "print_usage_bug", "valid_state", "mark_lock_irq", "mark_usage", "__lock_acquire", "_raw_spin_lock", "acme_open")),
    ("WARNING", warning("fs/proc/generic.c:712", "acme_open")[1], X86),
    ("acme broke", "rust_kernel: panicked at 'acme broke', drivers/acme/x.rs:7:12\n"
     f"{CUT}kernel BUG at rust/helpers.c:7!\ninvalid opcode: 0000 [#1] SMP\n", rip("rust_helper_BUG") + calls("rust_begin_unwind", "acme_open")),
]  # fmt: skip


@pytest.mark.parametrize(("title", "head", "trace"), HEADS)
def test_heads_of_every_kernel_name_the_function(title: str, head: str, trace: str) -> None:
    made = found((head + trace).encode())
    assert [each.title for each in made] == [f"{title} in acme_open"]
    assert made[0].corrupted is None


_NAME = re.compile(r"(?<=[ :(])(?!RIP|0x)([a-z_]\w+)(\+0x[0-9a-f]+/0x[0-9a-f]+)")
REWRITTEN: dict[str, Callable[[str], str]] = {
    "suffixes": lambda text: _NAME.sub(r"\1.constprop.0.isra.0\2", text),
    "LTO": lambda text: _NAME.sub(r"\1.llvm.8140952178\2", text),
    "cold": lambda text: _NAME.sub(r"\1.cold\2", text),
    "modules": lambda text: re.sub(r"(?m)^( +[a-z_]\w+\+0x\w+/0x\w+)$", r"\1 [acme 0123456789abcdef]", text),
    "places": lambda text: re.sub(r"(?m)^( +[a-z_]\w+\+0x\w+/0x\w+)$", r"\1 drivers/acme/x.c:7", text),
    "inlined": lambda text: re.sub(r"(?m)^( +[a-z_]\w+\+0x\w+/0x\w+)$", r" acme_inlined drivers/acme/x.h:7 [inline]\n\1", text),
    "guessed": lambda text: re.sub(r"(?m)^( +[a-z_]\w+\+0x\w+/0x\w+)$", r" ? acme_guessed+0x1/0x2\n\1", text),
    "decoded": lambda text: re.sub(r"([a-z_]\w+)\+0x[0-9a-f]+/0x[0-9a-f]+", r"\1 (include/linux/acme.h:70 drivers/acme/x.c:7 (discriminator 3))", text),
    "addresses": lambda text: re.sub(r"(?m)^ +([a-z_]\w+\+0x\w+/0x\w+)$", r" [<ffffffff8126cafe>] \1", text),
}  # fmt: skip
SAMPLES = {
    "KASAN": kasan("__list_del_entry_valid", "acme_open", "chrdev_open"),
    "oops": oops("memcpy", "acme_open"),
    "sleeping": sleeping("__mutex_lock", "acme_open"),
    "WARNING": warned("drivers/acme/x.c:7")("acme_open", "chrdev_open"),
    "hung": hung("__mutex_lock", "acme_open"),
    "stuck": STUCK + rip("acme_spin") + calls("acme_open", "do_dentry_open"),
    "leak": leaked("kmem_cache_alloc_noprof", "acme_open"),
    "arm64": "Unable to handle kernel paging request at virtual address dead\nInternal error: Oops: 96000004 [#1] SMP\n"
    + arm64("acme_open", "acme_open", "chrdev_open"),
    "arm": "Internal error: Oops - undefined instruction: 0 [#1] PREEMPT SMP ARM\n" + arm("__memcpy", "acme_open", "chrdev_open"),
    "powerpc": "BUG: Unable to handle kernel data access on write at 0xc0000000\nOops: Kernel access of bad area, sig: 11 [#1]\n" + PPC,
    "old x86": "BUG: unable to handle kernel paging request at ffffea08\nIP: [<ffffffff81260001>] memcpy+0x1/0x20\nOops: 0000 [#1] SMP\n"
    + old_rip("memcpy") + old_calls("acme_open", "chrdev_open"),
    "guard": "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: acme_open+0x1/0x2\n" + calls("dump_stack_lvl", "panic"),
    "circular": f"{HEAD}WARNING: possible recursive locking detected\n6.12.0 #1 Not tainted\n---\nacmed/7 is trying to acquire lock:\n"
    f"{lock('&a', 'acme_open')}\nbut task is already holding lock:\n{lock('&a', 'acme_held')}stack backtrace:\n" + calls("print_deadlock_bug", "acme_open"),
}  # fmt: skip


@pytest.mark.parametrize("how", REWRITTEN)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_title_does_not_depend_on_what_compilers_and_tools_add(name: str, how: str) -> None:
    plain_one, other = found(SAMPLES[name].encode()), found(REWRITTEN[how](SAMPLES[name]).encode())
    assert [each.title for each in other] == [each.title for each in plain_one]


@pytest.mark.parametrize("form", FORMS)
def test_the_title_does_not_depend_on_who_wrote_the_log(form: str) -> None:
    for text in SAMPLES.values():
        made = found(FORMS[form](text.rstrip("\n").split("\n")).rstrip(b"\n"))
        assert [each.title for each in made] == [each.title for each in found(text.encode())]
        assert made[0].title.endswith(" in acme_open")


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("can't access registers at asm_common_interrupt+0x22/0x40", "can't access registers at asm_common_interrupt"),
        ("can't access iret registers at retint_user+0x8/0x18", "can't access iret registers at retint_user"),
        ("can't dereference registers at ffffc90000a17f58 for ip ret_from_fork+0x22/0x30", "can't dereference registers at ADDR for ip ret_from_fork"),
        ("missing R10 value at acme_open+0x1/0x2", "missing R10 value at acme_open"),
        ("stack going in the wrong direction? at acme_open+0x1/0x2", "stack going in the wrong direction? at acme_open"),
        ("stack going in the wrong direction? ip=acme_open+0x1/0x2", "stack going in the wrong direction? ip=acme_open"),
        ("unknown .orc_unwind entry type 3 at acme_open+0x1/0x2", "unknown .orc_unwind entry type NUM at acme_open"),
    ],
)  # fmt: skip
def test_what_the_unwinder_stumbles_over_is_told_with_its_place(line: str, title: str) -> None:
    (made,) = found(f"[    7.000000][   T7] WARNING: {line}".encode())
    assert made.title == f"WARNING: {title}"


def test_what_differs_from_run_to_run_is_in_no_title() -> None:
    leak = "BUG: workqueue leaked atomic, lock or RCU: kworker/{}[{}]\n     preempt=0x00000000 lock=0->1 RCU=0->0 workfn=acme\n"
    titles = {found(leak.format(*who).encode())[0].title for who in (("1:1", 7), ("0:14", 1234))}
    assert titles == {"BUG: workqueue leaked atomic, lock or RCU: kworker/NUM:NUM[NUM]"}
    race = found(b"BUG: KCSAN: data-race in acme_a.part.0 / acme_b.llvm.8140952178\n acme_a+0x1/0x2\n")
    assert race[0].title == "KCSAN: data-race in acme_a / acme_b"
    program = found((oops("bpf_prog_6deef7357e7b4530", "bpf_trace_run2") + "".join(ENTRY)).encode())
    assert program[0].title == f"{PAGING} in bpf_prog_ADDR"
