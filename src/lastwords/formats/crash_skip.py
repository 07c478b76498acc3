"""Functions that are seldom to blame: what reports, traps, schedules, locks, allocates, copies, lists.

The guilty frame of a report is the first one that none of these families matches. A word of a family matches
the beginning of a name, whatever underscores are before it: forms such as ``__kmalloc`` or ``_raw_spin_lock``
and those with ``_noprof`` or ``_locked`` after are of the family of their stem. ``^`` before a word takes the
underscores as they are, ``~`` finds it anywhere in a name, ``$`` ends it.
"""

from __future__ import annotations

import re

# Prints the report, or checks for what it tells: never where the fault is.
_REPORTING = r"""
    ~dump_stack ~show_stack ~show_regs ~show_trace ~dump_backtrace ~unwind_backtrace ~walk_stackframe
    ~report_bug ~val_to_string ~smp_processor_id$ ~panic notify_die print_ warn_(?:slowpath|alloc|bogus)
    ^__warn vprintk printk
    dump_(?:stack|backtrace|trace|page|header|unreclaimable|cpu_task|tasks|mapping|vma|mm) kasan
    check_memory_region kmsan msan asan hwasan tsan kcsan kfence ubsan sanitizer metadata_access instrument_
    handle_overflow object_err slab_err bad_page rela_dyn bug_at rust_helper_BUG check_preemption_disabled
    this_cpu_preempt_check might_(?:sleep|resched|fault) cant_ ^___might_
    debug_(?:object|check|print|mutex|spin|smp|rt_mutex|rwlock|lock|locks|work|timer|hrtimer|rcu|show|dma)
    debug_(?:activate|deactivate|assert) lockdep_ nmi_cpu_backtrace nmi_trigger arch_trigger
    trigger_\w*backtrace stack_trace_ save_stack save_trace arch_stack_walk arch_unwind unwind_ depot_
    stack_depot set_track trace_(?:hardirqs|softirqs|preempt|irq) (?:tracer_)?preempt_(?:count|latency)
    perf_trace ftrace_(?:call|regs|graph|ops|stub|caller) mcount fentry return_to_handler kernel_fault
    refcount_warn should_fail fail_dump fault_create spin_dump spin_bug rwlock_bug sched_show_task show_task
    rcu_dump ^check_(?:noncircular|prev|deadlock|usage|irq_usage) ^check_wait_context validate_chain
    mark_lock mark_held mark_usage add_lock_to find_usage watchdog_(?:timer|overflow|check|hardlockup|nmi)
    hungtask check_hung rcu_sched_clock rcu_check_callbacks rcu_pending check_cpu_stall softlockup
    is_softlockup console_unlock console_flush dev_v?printk ^_dev_
    netdev_(?:printk|info|warn|err|emerg|alert|crit|notice) ref_tracker ~assertfail$ assfail usercopy_abort
"""
# Carries a fault or an interrupt into the kernel.
_TRAPS = r"""
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
"""
# Puts the task to sleep or wakes it.
_SCHEDULING = r"""
    ^schedule$ ^__schedule schedule_(?:timeout|preempt|hrtimeout|idle|tail|debug|loop|rtlock) io_schedule
    context_switch switch_to preempt_schedule cond_resched wait_for_ do_wait_for_common wake_up(?!_new_task)
    wait_woken finish_wait prepare_to_wait complete$ complete_all complete_with swake_ task_rq
    kthread_(?:stop|park|unpark|flush|cancel|destroy_worker|queue)
"""
# Takes and releases locks, RCU's among them.
_LOCKING = r"""
    lock_(?:acquire|release|sock|class|is_held|timer_base|hrtimer|page|set_class|pin|unpin) ^__lock
    release_sock raw_(?:spin|read|write) ^__raw_ do_raw_ ~spin_lock ~spin_unlock ~spin_trylock
    (?:native_|pv_)?queued_ pv_wait pv_kick mutex_ ww_mutex rwsem_ down_ up_(?:read|write) ^down$ ^up$
    ^__(?:down|up)$ ^__up_ percpu_(?:down|up) percpu_rwsem register_lock_class look_up_lock lookup_chain
    count_matching read_seq(?:count|begin|retry) do_write_seqcount seqprop
    rcu_(?:read_|is_watching|lockdep|dynticks|lock_) srcu_read rt_(?:mutex|spin|read|write) ^__rt_ rtlock
    local_bh rwlock rwbase osq_ bit_spin lockref_ csd_lock folio_(?:un|try)?lock atomic_dec_and
    context_equiv reacquire_held find_held (?:un)?lock_(?:page|folio|buffer)$
"""
# Gives and takes memory.
_MEMORY = r"""
    ~kmalloc ~kzalloc ~krealloc ~kmem_cache ~kfree ~kvfree ~vfree ~vmalloc ~vzalloc ~kvmalloc ~kcalloc
    ~kmemdup ~kvmemdup ~kstrdup ~kasprintf ~kvasprintf ~kvzalloc ~kvcalloc ~vcalloc ~kmemleak ~memdup_user
    slab_ new_slab allocate_slab (?:re)?alloc_slab get_(?:partial|any_partial|from_any) memcg_slab
    (?:free|put|discard|unfreeze|flush)_(?:slab|cpu_slab|partial|to_partial) do_slab vunmap get_free_page
    get_zeroed free_page free_frozen ~alloc_pages? alloc_frozen get_page_from_freelist free_unref free_pcp
    free_one_page free_pcppages free_large_kmalloc quarantine_ qlist_free(?!_all) cache_(?:free|alloc|grow)
    ^_{2,3}cache do_kmalloc mempool_ prep_(?:new|compound) post_alloc_hook rmqueue page_ref phys_addr
    alloc_debug free_debug free_object devm_k devres_ page_frag mmap_lock folio_alloc vma_alloc alloc_percpu
    (?:remove|find|free|get)_vm_area clear_(?:page|huge|highpage)(?:_erms|_orig|_rep)?$
"""
# Copies, compares, formats: memory, strings, to and from user space.
_COPYING = r"""
    ~memcpy ~memset ~memmove ~memcmp ~memchr ~memscan ~memory_is bcmp string$ string_nocheck strim
    str(?:len|nlen|n?cmp|n?cpy|lcpy|scpy|n?chr|rchr|n?str|n?casecmp|n?cat|lcat|sep|spn|cspn|pbrk|reverse)
    strndup_user fortify_ sized_str number$ pointer$ vsc?nprintf vsnprintf sc?nprintf snprintf sprintf
    vsprintf v?sscanf kstrto hex_(?:dump|string|to) format_decode put_dec
    (?:mac_address|ip|ip4_addr|ip6_addr|uuid|symbol|resource|escaped|bitmap|error|widen)_string
    ~copy_(?:to|from|in)_user ~copy_user copyin copyout ^__copy_ copy_overflow check_copy simple_copy
    copy_(?:to|from)_(?:iter|sockptr|bpfptr|compat) copy_page_(?:to|from)_iter copy_folio_from_iter
    copy_mount_ copy_mc copy_tofrom memzero mmio(?:set|cpy)
    (?:get|put)_user(?:_(?:nocheck|bad|asm|fn|size|error))*(?:_\d)?$ copy_from_kernel_nofault clear_user$
    raw_copy rep_(?:movs|stos) check_object check_heap iterate_(?:iovec|bvec|kvec|and_adv|all|ubuf|xarray)
    (?:put|get)_unaligned read_word load_unaligned
    find_(?:first|next|last|nth)_(?:zero_|and_|andnot_|or_)?bit
    bitmap_(?:set|clear|zero|fill|copy|find|weight|parse|print|and|or|equal)
    (?:arch_|const_|constant_|variable_)?(?:test|set|clear|change)_(?:and_\w+_)?bit(?:_le|_lock|_unlock|_unlock_is_negative_byte)?$
    crc csum_(?:partial|and_copy) jhash h?siphash xxh(?:32|64) ^arch_(?:test|set|clear|change)
    native_(?:read|write_msr|write_cr|save|load|irq|safe_halt|queued|wrmsr|rdmsr|halt) pv_ paravirt
    arch_local xadd cmpxchg xchg logic_(?:in|out) (?:raw_)?(?:read|write)[bwlq]$ (?:in|out)[bwl]$
    (?:read|write)_once
"""
# Containers and counters that others keep their things in.
_CONTAINERS = r"""
    h?list_(?:add|del|move|splice|replace|is|empty|first|rotate|cut|head|bl) llist_ klist_ plist_ ^__rb
    rb_(?:erase|insert|next|prev|first|last|replace|link|set|add) xas_ xa_ refcount rcuref kref_
    (?:arch_|raw_)?atomic(?:64|_long)?_(?:inc|dec|add|sub|read|set|cmpxchg|xchg|try|fetch|and|or) kobject_
    add_uevent_var insert_work static_key x86_(?:indirect|return) rcuwait
"""
# Puts work off: to RCU, work queues, timers; waits until it is done.
_DEFERRING = r"""
    call_rcu kvfree_call call_srcu (?:re)?queue_(?:work|delayed|rcu_work) mod_delayed
    flush_(?:work|delayed|rcu_work) (?:start|touch)_(?:flush|wq) cancel_(?:work|delayed)
    (?:drain|flush|destroy)_workqueue work_grab try_to_(?:grab|del) mod_timer add_timer del_timer
    timer_(?:delete|shutdown|reduce|is|wait) detach_(?:if|timer) (?:do_)?init_timer enqueue_timer calc_wheel
    internal_add_timer hrtimer_(?:cancel|try|start|active|init) del_singleshot
    tasklet_(?:kill|unlock|schedule|init|setup) irq_work_(?:queue|sync) swait_ init_work
    (?:timer|work|hrtimer|rcuhead)_fixup
"""
# Layers that act on behalf of a driver, a protocol or a file system.
_PLUMBING = r"""
    sk_(?:free|destruct|prot) sk_alloc$ k?free_skb sk_skb_reason consume_skb
    skb_(?:panic|over_panic|under_panic|put|push|pull)$ (?:dev_)?kfree_skb napi_consume
    unregister_netdev(?!ice_notifier) rollback_registered (?:drop|inc|set|clear)_nlink$ mark_buffer_dirty
    brelse$ bforget$ ihold$ find_lock_entries find_get_entr truncate_inode_pages?
    truncate_(?:pagecache|folio) invalidate_(?:mapping|inode_pages) pagecache_get dput dentry_kill fast_dput
    iput(?:_final)?$ iput_ usb_(?:submit|kill|poison|unlink|free|unpoison)_urb
    usb_(?:kill|poison|unlink|anchor|unanchor|scuttle) usb_hcd_(?:submit|unlink|flush) usb_start_wait
    usb_(?:internal_)?control_msg usb_(?:bulk|interrupt)_msg
    device_(?:add|del|create|destroy|release|register|unregister|initialize|unregister_\w+|create_\w+)$
    device_for_each (?:get|put)_device driver_(?:register|unregister) (?:bus|class|driver)_for_each
    bus_(?:add|remove|probe)_device device_release_driver sysfs_ dpm_ tty_(?:un)?register_device hwrng_
    unregister_client i2c_(?:del_adapter|unregister_device) ret_fast work_pending$ ^_stext
    perf_event_ctx_lock$
"""
# From the hardware's entry into the kernel to what it asks for.
_ENTRY = r"""
    entry_ do_syscall do_int80 do_fast_syscall do_SYSENTER system_call sysenter ^ia32_sys x64_sys_call
    x32_sys_call ret_from_ kthread$ worker_thread start_kernel secondary_start el0 do_el0 invoke_syscall
    syscall_(?!exit|return) ret_fast ^__sys_trace tracesys kernel_thread_helper x86_64_start start_secondary
    cpu_startup rest_init do_trap_ecall vector_swi
"""


def _pattern(*families: str) -> re.Pattern[str]:
    words = [word for family in families for word in family.split()]
    stems = [word for word in words if word[0] not in "^~"]
    rest = [word.lstrip("~") for word in words if word[0] in "^~"]
    return re.compile("|".join(([f"^_*(?:pi_)?(?:{'|'.join(stems)})"] if stems else []) + rest))


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

FREED = _pattern("folios?_put put_page release_pages free_ skb_(?:release|free)_")
"""Not guilty of a page that is freed while in use."""

BASICS = _pattern(_REPORTING, _TRAPS, _LOCKING, _MEMORY, _COPYING)
"""Not guilty even where the instruction pointer is all there is."""

WAITING = _pattern(
    _REPORTING,
    _TRAPS,
    _SCHEDULING,
    _LOCKING,
    r"""
    ~sched ~lock ~wait ~completion ~kthread_ ~rwsem ~out_of_line ~refrigerator mutex down filemap_fdata
    rcu_barrier do_read_cache flush_ cancel_ msleep usleep
    """,
)
"""Not guilty of a hang: what waits for others."""

LOCK_WRAPPERS = _pattern(
    "perf_trace sock_release down_ mutex_ ww_mutex lock_sock ^_raw_ ^lock_acquire flush_ "
    "spin_(?:try)?lock (?:read|write)_(?:try)?lock rt_(?:spin|read|write|mutex) percpu_(?:down|up) "
    "rcu_(?:lock_acquire|read_lock) (?:do_)?(?:read|write)_seq"
)
"""Where a lock is taken for somebody else."""

ALLOCATORS = _pattern("~alloc ~create_object ~create_chunk idr_ ida_ kmem build_skb skb_(?:clone|copy)$")
"""Not guilty of a leak."""

LOCKERS = _pattern(
    r"~(?:read|write)_(?:un)?lock$ (?:folio|page)_(?:un)?lock (?:un)?lock_(?:page|folio|buffer)"
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
    process_one_work bh_worker call_timer_fn task_work_run run_timers expire_timers run_hrtimer hrtimer_run
    tasklet_action do_softirq handle_softirqs run_ksoftirqd irq_work_run irq_work_single handle_irq_event
    vfs_(?:read|write|ioctl|iter) ^__vfs_ do_vfs_ioctl compat_SyS_ioctl SYSC_ioctl SyS_ioctl
    (?:ksys|(?:(?:do|se|x64|ia32|arm64|riscv|s390x?)_)?(?:compat_)?sys)_ioctl
    sys_[gs]etsockopt do_sock_[gs]etsockopt new_sync_ call_(?:write|read)_iter
    do_iter do_loop_readv sock_(?:sendmsg|recvmsg|common_) nfnetlink_rcv rtnetlink_rcv_msg netif_receive
    process_backlog net_rx_action napi_poll rcu_do_batch rcu_core rcu_process fput smpboot_thread kthread$
    ret_from_fork
    """,
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
