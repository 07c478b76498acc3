"""Functions that are seldom to blame: what reports, traps, schedules, locks, allocates, copies, lists.

The guilty frame of a report is the first one that none of these patterns matches. Patterns are searched
anywhere in a name, so that the forms with ``__`` before and ``_locked`` or ``_noprof`` after are meant too.
"""

from __future__ import annotations

import re

_REPORTING = r"""
    dump_stack show_stack show_regs show_trace dump_backtrace unwind_backtrace walk_stackframe
    notify_die ^print_ ^__print_ panic report_bug ^warn_ ^__warn
    ^dump_(?:stack|backtrace|trace|page|header|unreclaimable|cpu_task|tasks) ^kasan ^__kasan
    ^check_memory_region ^kmsan ^__msan ^__asan ^__hwasan ^__tsan ^kcsan ^__kcsan ^kfence ^ubsan
    ^__ubsan ^val_to_string ^handle_overflow ^object_err ^__rela_dyn ^slab_err ^bad_page
    ^check_preemption_disabled smp_processor_id$ __this_cpu_preempt_check ^__might_ ^___might_
    ^might_fault ^__cant_
    ^debug_(?:object|check|print|mutex|spin|smp|rt_mutex|locks|work|timer|rcu|show|dma) ^__debug_
    ^lockdep_ ^nmi_cpu_backtrace ^nmi_trigger ^arch_trigger ^stack_trace_ ^save_stack ^__save_stack
    ^save_trace ^arch_stack_walk ^unwind_ ^__unwind ^depot_ ^stack_depot ^trace_hardirqs ^trace_softirqs
    ^trace_preempt ^preempt_count ^__sanitizer ^sanitizer_cov ^perf_trace
    ^ftrace_(?:call|regs|graph|ops|stub) ^mcount ^__fentry ^return_to_handler ^kernel_fault
    ^refcount_warn ^should_fail ^__should_fail ^fail_dump ^fault_create ^spin_dump ^spin_bug ^rwlock_bug
    ^metadata_access ^set_track ^sched_show_task ^_sched_show ^show_task ^rcu_dump ^check_noncircular
    ^check_prev ^validate_chain ^mark_lock ^mark_held ^check_deadlock ^add_lock_to ^check_usage
    ^check_irq_usage ^find_usage ^check_wait_context ^print_bad
    ^watchdog_(?:timer|overflow|check|hardlockup|nmi) ^hungtask ^check_hung ^rcu_sched_clock
    ^rcu_check_callbacks ^rcu_pending ^__rcu_pending ^check_cpu_stall ^softlockup ^is_softlockup
    ^vprintk ^printk ^_printk ^console_unlock ^console_flush ^printk_ ^dev_vprintk ^dev_printk ^_dev_
    ^netdev_printk ^__netdev_printk ^netdev_info ^netdev_warn ^netdev_err
"""
_TRAPS = r"""
    ^do_trap ^do_error_trap ^do_invalid_op ^invalid_op ^asm_exc_ ^exc_ ^handle_bug ^handle_invalid_op
    ^fixup_bug ^fixup_exception ^do_general_protection ^general_protection ^page_fault$ ^do_page_fault
    ^__do_page_fault ^async_page_fault ^do_async_page ^do_user_addr_fault ^do_kern_addr_fault ^bad_area
    ^__bad_area ^no_context ^page_fault_oops ^kernelmode_fixup ^mm_fault_error ^die ^__die ^oops_
    ^do_divide ^divide_error ^do_double_fault ^double_fault ^df_debug ^do_debug ^do_int3 ^int3$
    ^error_entry ^error_exit ^error_code ^do_page_translation ^el1_ ^el1h_ ^el0t ^el0_sync ^el0_irq
    ^do_mem_abort ^__do_kernel_fault ^do_translation_fault ^do_bad_area ^do_tag_check ^do_tag_recover
    ^do_sp_pc ^do_undefinstr ^do_el1 ^bug_handler ^brk_handler ^bug_brk ^call_break_hook ^call_el1_break
    ^do_debug_exception ^do_alignment ^do_DataAbort ^do_PrefetchAbort ^__und_ ^__und_fault
    ^do_trap_break ^handle_exception ^ret_from_exception ^handle_page_fault ^die_kernel_fault
    ^program_check ^do_program_check ^bad_page_fault ^data_access ^handle_program_check ^pgm_check
    ^__do_pgm_check apic_timer_interrupt ^smp_apic ^local_apic ^asm_sysvec ^sysvec_ ^__sysvec_
    ^ret_from_intr ^common_interrupt ^asm_common_int ^do_IRQ ^call_on_irq ^asm_call ^retint_
    ^restore_(?:regs|all|args) ^irq_exit ^irq_enter ^__irq_exit ^gic_handle ^handle_domain
    ^handle_percpu ^generic_handle_(?:irq|domain|arch) ^arch_timer ^do_interrupt_handler
    ^tick_(?:sched|handle|periodic|nohz_handler|program) ^hrtimer_(?:interrupt|run) ^__hrtimer
    ^update_process_times ^nmi$ ^end_repeat_nmi ^asm_nmi ^do_nmi ^default_do_nmi ^nmi_handle
    ^perf_event_nmi ^intel_pmu_handle ^x86_pmu_handle ^stack_segment ^do_stack_segment ^alignment_check
    ^first_nmi ^kgdb_ ^kprobe_ ^__stack_chk ^abort$ ^ex_handler ^__do_softirq_own ^do_softirq_own
    ^rewind_stack ^ipi_ ^do_handle_IPI ^handle_IPI ^__irq_svc ^mce_(?:panic|log|timed) ^do_machine_check
    ^machine_check
"""
_SCHEDULING = r"""
    ^schedule$ ^schedule_(?:timeout|preempt|hrtimeout|idle|tail|debug) ^__schedule ^io_schedule
    ^context_switch ^__switch_to ^preempt_schedule ^preempt_count ^_cond_resched ^__cond_resched
    ^wait_for_ ^do_wait_for_common ^__wait_for
"""
_LOCKING = r"""
    ^lock_acquire ^lock_release ^__lock ^lock_sock ^release_sock ^_raw_ ^__raw_ ^do_raw_ ^raw_spin
    spin_lock spin_unlock ^queued_ ^native_queued ^pv_queued ^__pv_queued ^mutex_ ^__mutex ^ww_mutex
    ^rwsem_ ^__down_ ^down_ ^up_read ^up_write ^__up_ ^down$ ^up$ ^percpu_down ^percpu_up ^__percpu_down
    ^register_lock_class ^look_up_lock ^lookup_chain ^count_matching ^lock_is_held ^read_seqcount
    ^read_seqbegin ^do_write_seqcount ^rcu_read_ ^__rcu_read ^rcu_is_watching ^rcu_lockdep ^rcu_dynticks
    ^rt_mutex ^rt_spin ^__rt_ ^local_bh ^__local_bh ^seqprop ^lock_class ^rwlock ^osq_ ^lock_timer_base
    ^lock_hrtimer ^bit_spin ^lockref_ ^csd_lock ^lock_page ^__lock_page ^folio_lock ^__folio_lock
    ^_atomic_dec_and ^rcu_lock_ ^context_equiv
"""
_MEMORY = r"""
    kmalloc kzalloc krealloc kmem_cache ^slab_ ^___slab ^__slab ^new_slab ^allocate_slab ^alloc_slab
    ^get_partial ^memcg_slab kfree kvfree vfree ^__vunmap vmalloc vzalloc kvmalloc kcalloc kmemdup
    kstrdup kasprintf kvasprintf kvzalloc kmemleak memdup_user ^__get_free_page ^get_zeroed ^free_page
    ^__free_page ^free_pages ^__free_pages alloc_pages? alloc_frozen ^get_page_from_freelist ^free_unref
    ^free_pcp ^free_pcppages ^quarantine_reduce ^cache_free ^cache_alloc ^cache_grow ^__cache ^___cache
    ^do_kmalloc ^mempool_alloc ^prep_new ^prep_compound ^post_alloc_hook ^rmqueue ^page_ref ^phys_addr
    ^__phys_addr ^alloc_debug ^free_debug ^free_object ^devm_k ^sized_strscpy ^usercopy_abort ^devres_
    ^kmsan_
"""
_COPYING = r"""
    memcpy memset memmove memcmp memchr memscan memory_is ^strlen ^strnlen ^strcmp ^strncmp ^strcpy
    ^strncpy ^strlcpy ^strscpy ^strchr ^strrchr ^strstr ^strcasecmp ^strncasecmp ^strcat ^strsep ^strspn
    ^bcmp ^string_ ^strnchr ^strnstr ^string$ ^strim ^fortify_ ^__fortify ^number$ ^pointer$ ^vsnprintf
    ^snprintf ^vscnprintf ^scnprintf ^sprintf ^sscanf ^vsscanf copy_to_user copy_from_user copy_user
    copy_in_user ^copyin ^copyout ^__copy_ ^copy_overflow ^check_copy ^simple_copy ^copy_to_iter
    ^copy_to_sockptr ^copy_from_sockptr ^(?:__)?(?:get|put)_user(?:_[a-z]*\d?)?$ ^_copy_to_
    ^_copy_from_user ^copy_page_to_iter ^clear_user ^__clear_user ^clear_page(?:_erms|_orig|_rep)?$
    ^strndup_user ^raw_copy ^rep_movs ^rep_stos ^__check_object ^check_object ^check_heap
    ^iterate_(?:iovec|bvec|kvec|and_adv|all) ^put_unaligned ^get_unaligned ^read_word ^load_unaligned
    ^_?find_(?:first|next|last)_(?:zero_|and_)?bit ^test_bit ^_test_bit ^test_and_ ^crc ^variable_test
    ^constant_test ^arch_test ^arch_set ^set_bit ^clear_bit ^__set_bit ^__clear_bit
    ^native_(?:read|write_msr|write_cr|save|load|irq|safe_halt|queued|wrmsr|rdmsr) ^pv_ ^paravirt
    ^arch_local ^__xadd ^__cmpxchg ^__raw_read ^__raw_write ^logic_in ^logic_out
    ^(?:__)?(?:read|write)[bwlq]$
"""
_CONTAINERS = r"""
    ^list_(?!lru|sort) ^__list ^rb_(?:erase|insert|next|prev|first|last|replace|link|set) ^__rb ^xas_
    ^refcount ^__refcount ^kref_
    ^(?:arch_|raw_)?atomic(?:64|_long)?_(?:inc|dec|add|sub|read|set|cmpxchg|xchg|try|fetch|and|or)
    ^kobject_ ^klist_ ^insert_work ^__static_key ^__x86_indirect ^__x86_return ^rcuref ^rcuwait
"""
_DEFERRING = r"""
    ^call_rcu ^__call_rcu ^kvfree_call ^queue_work ^__queue_work ^queue_delayed ^__queue_delayed
    ^flush_work ^__flush_work ^start_flush ^cancel_work ^cancel_delayed ^__cancel_work ^try_to_grab
    ^try_to_del ^mod_timer ^__mod_timer ^add_timer ^del_timer ^timer_delete ^__timer_delete
    ^detach_timer ^init_timer ^do_init_timer ^timer_is ^timer_wait ^drain_workqueue ^flush_workqueue
    ^__wake_up ^wake_up_process ^wake_up_q ^wake_up_common ^finish_wait ^kthread_stop ^kthread_park
    ^del_singleshot ^__task_rq
"""
_PLUMBING = r"""
    ^sk_free ^__sk_free ^sk_destruct ^__sk_destruct ^__kfree_skb ^kfree_skb ^sk_skb_reason
    ^skb_(?:panic|over_panic|under_panic|put|push|pull|release_data|release_all|free_head)$
    ^__skb_(?:put|push|pull)$ ^sk_prot ^sk_alloc$ ^unregister_netdev(?!ice_notifier)
    ^rollback_registered ^add_uevent_var ^kobject_uevent (?:drop|inc|set|clear)_nlink$ assertfail$
    ^assfail ^mark_buffer_dirty ^find_lock_entries ^truncate_inode_page ^pagecache_get ^dput ^fast_dput
    ^ref_tracker ^iput$ ^usb_submit_urb ^usb_start_wait ^usb_internal_control ^usb_control_msg
    ^usb_bulk_msg ^usb_interrupt_msg ^usb_kill ^usb_poison
    ^device_(?:add|del|create|destroy|release|register|unregister|initialize)$ ^device_for_each
    ^get_device ^put_device ^driver_(?:register|unregister) ^sysfs_ ^dpm_ ^devres_
    ^tty_unregister_device ^tty_register_device ^hwrng_ ^__unregister_client ^i2c_del_adapter
    ^get_signal ^ret_fast ^work_pending ^_stext ^stack_trace_consume ^perf_event_ctx_lock$
"""
_ENTRY = r"""
    ^entry_ ^do_syscall ^do_int80 ^do_fast_syscall ^__do_fast_syscall ^do_SYSENTER ^system_call
    ^sysenter ^ia32_sys ^x64_sys_call ^ret_from_ ^kthread$ ^worker_thread ^start_kernel ^secondary_start
    ^el0_ ^invoke_syscall ^syscall_ ^do_el0 ^ret_fast ^__sys_trace ^tracesys ^kernel_thread_helper
    ^x86_64_start ^start_secondary ^cpu_startup ^rest_init ^do_idle ^cpu_idle ^default_idle
    ^arch_cpu_idle ^call_cpuidle ^cpuidle_ ^el0t_
"""


def _pattern(*groups: str) -> re.Pattern[str]:
    return re.compile("|".join(word for group in groups for word in group.split()))


COMMON = _pattern(
    _REPORTING,
    _TRAPS,
    _SCHEDULING,
    _LOCKING,
    _MEMORY,
    _COPYING,
    _CONTAINERS,
    _DEFERRING,
    _PLUMBING,
)
"""Never guilty, whatever the kind of report."""

BASICS = _pattern(_REPORTING, _TRAPS, _LOCKING, _MEMORY, _COPYING)
"""Not guilty even where the instruction pointer is all there is."""

WAITING = _pattern(
    _REPORTING,
    _TRAPS,
    _SCHEDULING,
    _LOCKING,
    r"sched lock wait completion ^kthread_ rwsem ^mutex ^down ^__down out_of_line ^filemap_fdata "
    r"^rcu_barrier ^do_read_cache"
    r" ^flush_ ^__flush_ ^cancel_ ^__cancel_ refrigerator ^freeze ^__rela_dyn",
)
"""Not guilty of a hang: what waits for others."""

LOCK_WRAPPERS = _pattern(
    r"^perf_trace ^__sock_release ^(?:__)?down_ ^mutex_ ^__mutex ^lock_sock ^_raw_ ^lock_acquire ^flush_ "
    r"^__flush_"
)
"""Where a lock is taken for somebody else."""

ALLOCATORS = _pattern(r"alloc create_object _create_chunk ^idr_ ^kmem ^kstrdup ^kmemdup ^__kmem")
"""Not guilty of a leak."""

LOCKERS = _pattern(
    r"(?:read|write)_(?:un)?lock$ ^_*(?:folio|page)_(?:un)?lock ^_*(?:un)?lock_(?:page|folio|buffer)"
)
"""Not guilty besides, except where the report is about the taking of a lock."""

HANG_BUCKETS = _pattern(r"^rtnl_lock$ ^synchronize_(?:rcu|sched|net|srcu)")
"""Hangs in these are one bug, wherever they were called from."""

ALIASES = (
    (re.compile(r"^smp_call_function"), "smp_call_function"),
    (re.compile(r"^synchronize_(?:rcu|sched|net|srcu)"), "synchronize_rcu"),
)
"""Families of functions in which a hang or stall is one bug: the name it is given."""

ANCHORS = _pattern(
    _ENTRY,
    r"""
    ^process_one_work ^call_timer_fn ^task_work_run ^__run_timers ^expire_timers ^__run_hrtimer
    ^__hrtimer_run ^tasklet_action ^do_softirq ^__do_softirq ^handle_softirqs ^run_ksoftirqd ^irq_work_run
    ^irq_work_single ^__handle_irq_event ^handle_irq_event ^vfs_read ^vfs_write ^vfs_ioctl ^vfs_iter
    ^do_vfs_ioctl ^__vfs_ ^(?:ksys|__do_sys|__se_sys|__x64_sys|__arm64_sys|compat_sys|sys)_ioctl
    ^(?:compat_)?SyS_ioctl ^__se_compat_sys_ioctl ^__sys_setsockopt ^__sys_getsockopt ^do_sock_setsockopt
    ^do_sock_getsockopt ^new_sync_ ^call_write_iter ^call_read_iter ^do_iter ^do_loop_readv ^sock_sendmsg
    ^sock_recvmsg ^__sock_sendmsg ^sock_common_ ^nfnetlink_rcv ^rtnetlink_rcv_msg ^__netif_receive
    ^netif_receive ^process_backlog ^net_rx_action ^napi_poll ^__napi_poll ^rcu_do_batch ^rcu_core
    ^rcu_process ^__fput ^____fput ^smpboot_thread ^kthread$ ^ret_from_fork """,
)
"""The kernel's ways in: whoever they called has taken too long, or too much stack."""

COMPAT = re.compile(r"compat.*ioctl")
"""Ways in of 32-bit programs, to blame only when they called nothing else."""

SYSCALL_PREFIXES = (
    "__x64_",
    "__ia32_",
    "__arm64_",
    "__riscv_",
    "__s390x_",
    "__s390_",
    "__se_",
    "__do_",
    "SyS_",
    "SYSC_",
    "C_SYSC_",
    "compat_SyS_",
    "__se_sys_",
    "__se_compat_sys_",
    "__do_sys_",
    "__do_compat_sys_",
)
"""What architectures and macros put before the name of a system call."""
