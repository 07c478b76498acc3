"""Functions that are not to blame, by families: what checks, locks, allocates, copies for its caller.

The guilty frame of a report is the first one that no family of :data:`COMMON` matches. Where a fault shows
in memcpy, the mistake is its caller's; so it is for every family here. How far a family reaches follows what
the public dashboards blame, so that titles can be searched there: ``schedule`` and ``find_next_bit`` are
named in titles, ``__mutex_lock`` and ``strlen`` never.

A word of a family matches the beginning of a name, whatever underscores are before it: ``__kmalloc``,
``_raw_spin_lock`` and those with ``_noprof`` or ``_locked`` after are of the family of their stem. ``^``
before a word takes the underscores as they are, ``~`` finds it anywhere in a name, ``$`` ends it.
"""

from __future__ import annotations

import re


def family(*words: str) -> re.Pattern[str]:
    """Return the expression of some words, separated by blanks.

    >>> [name for name in ("__kmalloc", "skb_put", "put_skb") if family("kmalloc ~skb").search(name)]
    ['__kmalloc', 'skb_put', 'put_skb']
    """
    each = [word for some in words for word in some.split()]
    stems = [word for word in each if word[0] not in "^~"]
    rest = [word.lstrip("~") for word in each if word[0] in "^~"]
    return re.compile("|".join(([f"^_*(?:pi_)?(?:{'|'.join(stems)})"] if stems else []) + rest))


# Prints the report, or says something.
_REPORTING = r"""
    ~dump_stack ~show_stack ~walk_stack ~(?:dump|unwind)_backtrace arch_stack_walk
    stack_trace_(?:save|consume) ~report_bug ~imbalance_bug ~panic ~printk va_format get_taint$
    ~print_hex_dump hex_dump_to ~__warn print_(?:report|usage|address|unlock|tainted|trailer)
    warn_(?:slowpath|alloc|bogus) object_err$
    ~assertfail$ ~dev_(?:emerg|alert|crit|err|warn|notice|info) ~ref_tracker perf_trace
"""
# Checks memory, objects, locks, context: finds what others did.
_CHECKING = r"""
    ~kasan ~hwasan ~__asan ~kmsan ~__msan ~sanitizer kcsan_ tsan_(?:\w*read|\w*write|atomic)
    check_memory_region ~check_(?:heap_)?object fortify_report cfi_(?:check|failure|slowpath)
    ~debug_object (?:timer|work)_is_static ~lockdep ~might_(?:fault|sleep|resched|alloc)
    cant_(?:migrate|sleep) seqprop_assert ^__phys_addr
"""
# Carries a fault from the processor to the report.
_TRAPS = r"""
    ~invalid_op ~do_error ~do_trap ~_trap$ ~fixup_bug program_check_ do_(?:kernel|translation)_fault
    do_mem_abort el1_(?:abort|brk|dbg) el1h_64_sync bug_handler brk_handler call_break_hook
    do_debug_exception
"""
# Takes and releases locks; counts who may; follows who holds which.
_LOCKING = r"""
    ~spin_(?:lock|trylock|unlock) ~raw_spin_rq ~(?:read|write)_(?:lock|trylock|unlock)
    ~lock_(?:acquire|release|class) lock_(?:contended|downgrade|is_held|(?:un)?pin_lock|set_class|sync$)
    ~mark_(?:lock|usage|irqflags) ~(?:mark|match|reacquire)_held ^valid_state$ validate_chain
    check_(?:chain_key|deadlock|flags$|irq_usage|noncircular|prevs?_add|wait_context)
    ^down$ ~down_(?:read|write|trylock) ~up_(?:read|write) call_rwsem_ ^_{0,2}mutex_ ^rt_mutex_
    ^(?:un)?lock_page ~folio_unlock osq_ owner_on_cpu
    ~bh_(?:enable|disable) ~(?:trace|lockdep)_(?:hard|soft)irq lock_timer_base
    ~atomic(?:64)?_(?:add|and|cmpxchg|dec|fetch|inc|or|read|set|sub|try|xchg|xor)
    ~(?:change|clear|set|test)_bit ^refcount_ ^kref_
"""
# Gives and takes memory, and pages of the page cache.
_MEMORY = r"""
    ~[mzc]alloc ~krealloc ~kmem_cache ~slab_ ~allocate_slab ~alloc_page alloc_frozen_pages_noprof
    ~memdup ~strn?dup ~kv?asprintf ^kv?free$ ida_free ~folio_alloc ~filemap_alloc_folio ^__filemap_get_folio
    ~find_or_create_page ~(?:read_cache_page|do_read_cache_folio) ~pagecache_get_page grab_cache_page_write
    find_lock_entries truncate_inode_pages_range
"""
# Copies, compares and formats memory and text, of the kernel and of user space.
_COPYING = r"""
    ~mem(?:chr|cmp|cpy|move|set) ~str(?:n?cmp|[ln]?cpy|scpy|n?len|n?str|chr) ~string ~pointer
    ~s(?:cn|n)printf ~copy_(?:to|from)_(?:user|iter) ~copy_page_(?:to|from)_iter ~copy_folio_to_iter
    ^copy(?:in|out)$ ~(?:get|put)_user ~extract_(?:user|iter)_to_sg read_word_at ~(?:read|write)_once_
    ~(?:read|write)[bwlq]$ logic_(?:in|out) ^crc\d ~crc_itu_t ~_indirect_thunk
"""
# Containers that others keep their things in.
_CONTAINERS = r"""
    ~list_(?:add|del|move|replace|splice) ^klist_ ^_*rb_ xas_(?:find|load|start) ~rhashtable_lookup
"""
# Puts work off to a timer, a queue or a thread; wakes and stops those.
_DEFERRING = r"""
    ~del_timer ^__mod_timer ^__timer_delete_sync sk_stop_timer_sync ~flush_work ~queue_work ~insert_work
    ^__queue_delayed_work queue_delayed_work_on ^__cancel_work_timer ~cancel_work_sync try_to_grab_pending
    ~(?:drain|destroy)_workqueue ~kthread_stop ~__wake_up ^complete$ ~wait_for_completion ~finish_wait
    cleanup_srcu_struct
"""
# Adds and removes what drivers, file systems and protocols register: the object is theirs.
_OBJECTS = r"""
    ~kobject_ ~add_uevent_var ~get_device_parent ^put_device$ devres_release_all ~sysfs_remove
    ~device_(?:add|del|destroy|for_each_child|release|remove_file|unregister) ~hwrng_unregister
    ~i2c_del_adapter ^__unregister_client ~tty_unregister_device ~rollback_registered ~unregister_netdev
    ~kfree_skb ^iput(?:_final)?$ ^ihold$ ~dput drop_nlink mark_buffer_dirty ~usb_control_msg
    ~usb_(?:hcd_)?submit_urb ~usb_kill_(?:anchored_)?urb dummy_urb_enqueue
"""
# Waits for others.
_WAITING = r"""
    ~sched ~_lock ~_slowlock ~down ~rwsem ~completion ~kthread ~wait ~synchronize ~rcu_barrier
    ~context_switch ~__switch_to ~cancel_delayed_work
"""
_HELPERS = (
    _REPORTING,
    _CHECKING,
    _TRAPS,
    _LOCKING,
    _MEMORY,
    _COPYING,
    _CONTAINERS,
    _DEFERRING,
    _OBJECTS,
)
COMMON = family(*_HELPERS)
"""Never guilty, whatever the kind of report."""

WAITING = family(_WAITING)
"""Not guilty of a hang: what waits for others."""

HANG_BUCKETS = family("~rtnl_lock ~synchronize_(?:rcu|srcu|net|sched)")
"""Hangs in these are one bug, wherever they were called from."""

HUNG_IN = (re.compile(r"synchronize_(?:rcu|srcu|net|sched)"), "synchronize_rcu")
STALLED_IN = (re.compile(r"smp_call_function"), "smp_call_function")
"""Families of functions in which a hang, or a stall, is one bug; and the name it is given."""

# From a program's request to who carries it out.
_SYSTEM_CALLS = r"""
    ~do_(?:fast_)?syscall_ ~sysenter_dispatch ~tracesys_phase2 ~el0_svc_handler ~invoke_syscall
    ~ret_fast_syscall ^(?:sys_)?(?:socketpair|connect|ioctl) ^(?:accept|listen|setsockopt)$
    ~kernel_(?:accept|listen|setsockopt) ~(?:vfs|ksys|compat|compat_sys)_ioctl ~blkdev_(?:driver_)?ioctl
    ~vfs_(?:iter_)?(?:read|write) ~do_iter_(?:read|write) ~(?:call|new_sync)_(?:read|write)(?:_iter)?
    ~do_mmap ~mmap_region ^call_mmap ~vfs_open ~do_dentry_open ^(?:compat_)?sock_(?:do_)?ioctl
    ^sock_(?:mmap|recvmsg|sendmsg) ^(?:__)?sock_release ~sk_common_release ~sock_common_setsockopt
    ^(?:nfnetlink|rtnetlink)_rcv_msg ^netlink_dump ~__fput ~task_work_run ~exit_to_usermode
    ~do_page_fault ^page_fault$ ~__do_fault
"""
# From the hardware, a timer, a queue to who asked for it.
_DISPATCHING = r"""
    ~process_one_work ~do_softirq ~call_timer_fn ~run_timer(?:s|_softirq) ~run_hrtimer ~hrtimer_run
    ~tasklet_(?:hi_)?action ~run_ksoftirqd ~smpboot_thread_fn ^kthread$ ~netif_receive_skb
    ~smp_call_function ~start_secondary ~cpu_startup_entry ~ret_from_fork
"""
ANCHORS = family(_SYSTEM_CALLS, _DISPATCHING)
"""The kernel's ways in: whoever they called has taken too long, or too much stack."""

OUTERMOST = family(
    r"""
    system_call do_int80_ ^entry_(?:SYSCALL|INT80|SYSENTER) sysenter_(?:do_call|past_esp)
    ^(?:syscall|sysc)_ ^sysret ^(?:ia32|cstar)_ ^trace_return$ ^el0_svc ^ret_from_syscall ^_*do_syscall$
    handle_sys ^(?:handle|ret_from)_exception$ exc_page_fault do_user_addr_fault ^cpu_idle$ kernel_thread
    ^ret_from_kernel_ ^start_kernel$ ^secondary_start_kernel$
    """
)
"""Where a stack begins, on old kernels and on each architecture: the way in where no other is."""

SYSCALL_PREFIXES = (
    "sys_",
    "ksys_",
    "__sys_",
    "___sys_",
    "____sys_",
    "SyS_",
    "SYSC_",
    "compat_SyS_",
    "compat_SYSC_",
    "__x64_",
    "__ia32_",
    "__arm64_",
    "__s390_",
    "__s390x_",
    "__riscv_",
    "__se_",
    "__se_sys_",
    "__do_sys_",
)
"""What architectures and macros put before the name of a system call."""

# Carries a fault or an interrupt into the kernel, and the machinery that prints of it.
_ENTERING = r"""
    do_trap do_error_trap do_invalid_op invalid_op asm_(?:exc|sysvec|common|call|nmi|load_gs) ^exc_
    handle_(?:bug|invalid_op|exception|page_fault|program_check|IPI|domain|percpu) fixup_(?:bug|exception)
    (?:do_)?general_protection page_fault$ do_page_fault async_page_fault do_async_page
    do_(?:user|kern)_addr_fault bad_area bad_kernel no_context page_fault_oops kernelmode_fixup
    mm_fault_error ^die ^__die oops_(?:begin|end|enter|exit) do_divide divide_error
    (?:do_|asm_)?double_fault df_debug ^do_debug ^do_int3 ^int3$ error_(?:entry|exit|code)
    do_page_translation el1_ el1[ht] el0t el0_(?:sync|irq) do_mem_abort do_kernel_fault do_translation_fault
    do_bad_area do_tag_(?:check|recover) do_sp_pc do_undef do_el1 bug_handler brk_handler bug_brk
    call_break_hook call_el1_break do_alignment do_DataAbort do_PrefetchAbort ^__und ^__irq_svc
    do_trap_break ret_from_exception die_kernel_fault program_check do_program_check bad_page_fault
    data_access pgm_check do_pgm_check ~apic_timer_interrupt smp_apic local_apic sysvec_ ret_from_intr
    common_interrupt do_IRQ call_on_irq retint_ restore_(?:regs|all|args) irq_exit irq_enter irqentry_
    gic_handle generic_handle_(?:irq|domain|arch) arch_timer do_interrupt_handler tick_ decrementer_
    hrtimer_(?:interrupt|run) ^__hrtimer update_process_times ^nmi$ end_repeat_nmi do_nmi default_do_nmi
    nmi_handle first_nmi perf_event_nmi (?:intel|x86|amd)_pmu_handle (?:do_)?stack_segment alignment_check
    kgdb_ kprobe_ stack_chk ^abort$ ex_handler do_softirq_own rewind_stack ipi_ mce_(?:panic|log|timed)
    (?:do_)?machine_check (?:asm_)?fred_ do_irq$ (?:riscv_intc|plic_handle|gic_cpu)_irq
    riscv_timer_interrupt handle_(?:riscv_irq|arm_irq|fasteoi_irq|edge_irq|level_irq)
    ~unwind_backtrace ~show_(?:regs|trace) nmi_(?:cpu_backtrace|trigger) arch_trigger trigger_\w*backtrace
    rcu_(?:dump|pending|sched_clock|check_callbacks) check_cpu_stall watchdog_(?:timer|overflow|check)
"""
# Puts the task to sleep or wakes it.
_SLEEPING = r"""
    ^schedule$ ^__schedule schedule_(?:timeout|preempt|hrtimeout|idle|tail|debug|loop|rtlock) io_schedule
    context_switch switch_to preempt_schedule cond_resched wait_for_ do_wait_for_common wake_up(?!_new_task)
    wait_woken finish_wait prepare_to_wait complete$ complete_all complete_with swake_ task_rq
    kthread_(?:stop|park|unpark|flush|cancel|destroy_worker|queue)
"""
# Helpers and ways in that the dashboards name. Many bear other names from release to release.
_NAMED = r"""
    down_(?:interruptible|killable|timeout) ^up$ downgrade_write rwsem_ ww_mutex_ lockref_ rt_mutex_
    timer_(?:delete|shutdown) (?:add|mod)_timer (?:cancel|disable|flush|mod|queue)_(?:delayed_|rcu_)?work
    swake_up complete_ (?:do_)?wait_for_common mempool_ kvrealloc sprintf vsprintf bcmp$ memscan
    str(?:n?casecmp|[ln]?cat|rchr|c?spn|pbrk|sep)$ io(?:read|write)(?:8|16|32|64) crc_(?:ccitt|t10dif)
    copy_user(?:$|_(?:enhanced|generic|handle|ll|nocache)) copy_mc_ clear_user rep_(?:movs|stos)_alternative
    (?:x64|ia32)_sys_call$ handle_softirqs do_sock_[gs]etsockopt sock_sendmsg do_int80_
"""
TELLS_LITTLE = family(*_HELPERS, _ENTERING, _SLEEPING, _NAMED)
"""Frames that say nothing of the way a kernel died, though some are blamed for it."""
