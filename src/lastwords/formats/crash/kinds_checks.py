"""Rows of the table of kinds for what the kernel checks of itself: WARN, lockdep, slab, lists.

Sources: kernel/panic.c (``__warn``), kernel/locking/lockdep.c, kernel/sched/core.c, lib/refcount.c,
lib/debugobjects.c, lib/list_debug.c, mm/slub.c, mm/usercopy.c, mm/memory.c, include/linux/smp.h,
arch/x86/kernel/unwind_orc.c and unwind_frame.c.
"""

from __future__ import annotations

from lastwords.formats.crash.kinds import SYMBOL, form, kind
from lastwords.formats.crash.kinds_sanitizers import BAD_ACCESS, SANITIZERS, URBS

_WARNED = r"WARNING: .{0,200}?"
_SLAB = (
    r"Poison overwritten|Red[Zz]one overwritten|(?:Object )?[Pp]adding overwritten|Freepointer corrupt"
    r"|Object already free|Objects remaining|Invalid object pointer|Freelist|Freechain|Not a valid slab page"
    r"|Wrong (?:object count|number of objects)|objects \d|inuse \d|Corrupt"
)
"""What the slab allocator says of a cache; kernels up to 3.2 do not tell there that they are tainted."""
_SOON = r".*\n(?:.*\n){0,12}?.*"
"""On one of the next lines."""

_LOCKDEP = (
    kind(
        "deadlock",
        "warning",
        "possible circular locking|possible recursive locking|lock order detected|possible irq lock inversion"
        "|deadlock scenario",
        r"(?:WARNING|INFO): (?:possible (?:circular locking dependency|recursive locking"
        r"|irq lock inversion dependency)"
        r"|\S+-safe -> \S+-unsafe lock order|possible (?:\S+ )?deadlock)",
        form(
            "possible deadlock in {frame}",
            needs=rf"WARNING: possible circular locking{_SOON}is trying to acquire lock",
            pick="locks",
            spares="~process_one_work ~flush_workqueue",  # the lock is the work queue's
        ),
        form("possible deadlock in {frame}", needs=r"WARNING: \S+-safe -> \S+-unsafe lock", pick="became"),
        form(
            "possible deadlock in {frame}", needs=r"is trying to acquire|just changed the state", pick="lock"
        ),
    ),
    kind(
        "lock_state",
        "warning",
        "inconsistent lock state",
        r"(?:WARNING|INFO): inconsistent lock state",
        form("inconsistent lock state in {frame}", needs=rf"INFO: inconsistent{_SOON}takes", pick="lock"),
        form("inconsistent lock state in {frame}", needs=r"takes", pick="calls"),
    ),
    kind(
        "rcu_usage",
        "warning",
        "suspicious RCU usage|suspicious rcu",
        r"(?P<level>WARNING|INFO): suspicious RCU usage",
        form(
            "{level}: suspicious RCU usage in {frame}",
            needs=r"\w\.[a-z]{1,3}:\d",
            pick="calls",
            spares="~rcu ~kmem ~slab",
        ),
    ),
    kind(
        "unlock_balance",
        "warning",
        "BUG: |WARNING: bad ",
        r"(?P<level>WARNING|BUG): (?P<what>bad unlock balance|bad contention) detected",
        form("{level}: {what} in {frame}", pick="unlock"),
    ),
    kind(
        "lock_freed",
        "warning",
        "BUG: |WARNING: held lock",
        r"(?P<level>WARNING|BUG): held lock freed",
        form("{level}: held lock freed in {frame}", pick="lock"),
    ),
    kind(
        "lock_held",
        "warning",
        "BUG: |WARNING: lock held|still has locks held",
        r"(?P<level>WARNING|BUG): (?:\S+ )?(?P<what>lock held when returning to user space"
        r"|lock held at task exit time"
        r"|still has locks held)",
        form("{level}: {what} in {frame}", needs=r"when returning to user space", pick="lock only"),
        form("{level}: {what} in {frame}", pick="lock"),
    ),
    kind(
        "nested_lock",
        "warning",
        "BUG: |WARNING: Nested",
        r"(?P<level>WARNING|BUG): Nested lock was not taken",
        form("{level}: nested lock was not taken in {frame}", pick="warned"),
    ),
    kind(
        "wait_context",
        "warning",
        "BUG: |WARNING: Invalid",
        r"(?P<level>WARNING|BUG): Invalid wait context",
        form(
            "WARNING: locking bug in {frame}", pick="calls", spares="~lock_sock ~release_sock ~wait_context"
        ),
    ),
    kind(
        "non_static_key",
        "warning",
        "trying to register non-static key",
        r"INFO: trying to register non-static key",
        form("INFO: trying to register non-static key in {frame}", pick="calls", spares="~stack ~lock ~IRQ"),
    ),
    kind(
        "lockdep_limit",
        "bug",
        "BUG: ",
        r"BUG: (?P<what>MAX_\w+ too low!)",
        form("BUG: {what}", pick="none"),
    ),
)

_CONTEXT = (
    kind(
        "atomic_sleep",
        "bug",
        "BUG: ",
        r"BUG: sleeping function called from invalid context",
        form("BUG: sleeping function called from invalid context in {frame}", pick="calls"),
    ),
    kind(
        "atomic_schedule",
        "bug",
        "BUG: ",
        r"BUG: scheduling while atomic",
        form("BUG: scheduling while atomic in {frame}", pick="calls", spares="~schedule ~rtlock_slowlock"),
    ),
    kind(
        "preemptible",
        "bug",
        "BUG: ",
        r"BUG: using (?P<what>\w+\(\)) in preemptible",
        form(
            "BUG: using {what} in preemptible code in {frame}",
            pick="calls",
            spares="~preempt ~debug_ ~processor_id ~this_cpu",
        ),
    ),
    kind(
        "spinlock",
        "bug",
        "BUG: spinlock|BUG: rwlock|BUG: rwsem|BUG: read-lock|BUG: write-lock",
        r"BUG: (?P<what>(?:spinlock|rwlock|rwsem) (?:lockup suspected|recursion|bad magic|wrong owner"
        r"|wrong CPU"
        r"|cpu recursion|trylock failure on UP|already unlocked)"
        r"|(?P<lock>spinlock|(?:read|write)-lock) lockup on CPU)",
        # Since 3.8 it is only suspected.
        form(
            "BUG: {lock} lockup suspected in {frame}",
            needs=r"lockup on CPU",
            pick="calls",
            spares="~spin_ ~_lock ~_unlock",
        ),
        form("BUG: {what} in {frame}", pick="calls", spares="~spin_ ~_lock ~_unlock"),
    ),
    kind(
        "workqueue_leak",
        "bug",
        "BUG: ",
        r"BUG: (?P<what>workqueue leaked (?:lock or )?atomic.*)",
        form(
            "BUG: {what}",
            "BUG: workqueue leaked lock or atomic in {where}",
            needs=r"workfn=(?P<where>[\w.]+)",  # since 6.10
            pick="none",
        ),
        form(
            "BUG: workqueue leaked lock or atomic in {where}",
            needs=r"last function: (?P<where>[\w.]+)",
            pick="none",
        ),
    ),
    kind(
        "list_corruption",
        "bug",
        "list_add corruption|list_del corruption|list_add double",
        r"list_(?:add|del)\S* (?:corruption|double add)",
        form(
            "WARNING in {frame}",
            "BUG: corrupted list in {frame}",
            needs=_WARNED + r"lib/list_debug\.c",
            pick="warned",
        ),
        form("BUG: corrupted list in {frame}", BAD_ACCESS, pick="calls"),
        continues="warning kernel_bug",
    ),
    kind(
        "usercopy",
        "bug",
        "usercopy: ",
        r"usercopy: [Kk]ernel memory (?:exposure|overwrite) attempt",
        form("BUG: bad usercopy in {frame}", pick="calls", spares="~usercopy ~__check"),
        continues="warning kernel_bug",
    ),
)

_MEMORY = (
    kind(
        "bad_page",
        "bug",
        "BUG: ",
        r"BUG: (?P<what>Bad (?:page (?:map|state|cache)|rss-counter state|swap (?:file|offset) entry)"
        r"|non-zero nr_p[tm][de]s on freeing mm)",
        form(
            "BUG: {what} in {frame}",
            needs=r"BUG: Bad page (?:state|cache)",
            pick="owner",
            spares="~(?:free|get|put|release|update)_page ~free_unref folio ~page_frag_free ~alloc ~vmap "
            "~truncate_inode_pages ~page_owner ~prep_(?:new|compound)_page bad_page check_(?:new|free)_page "
            "rmqueue free_(?:pages|pcp|frozen|one_page|hot_cold|compound)",
        ),
        form("BUG: {what}", pick="none"),
    ),
    kind(
        "slab_corruption",
        "bug",
        "BUG ",
        rf"^BUG (?!: )(?!.*: kasan: )[\w.:/()-]{{1,64}}(?: ?\((?:Not t|T)ainted[^)]*\): (?P<what>.{{1,100}})"
        rf"|: (?P<said>(?:{_SLAB}).{{0,100}}))",
        form("BUG: {said}", needs=rf"^BUG [\w.:/()-]{{1,64}}: (?:{_SLAB})", pick="required"),
        form("BUG: {what}", pick="required"),
    ),
    kind(
        "slab_object",
        "bug",
        "INFO: Allocated in|INFO: Freed in",
        r"INFO: (?:Allocated|Freed) in ",
        continues="slab_corruption slab_object kasan",
    ),
    kind(
        "dentry_in_use",
        "bug",
        "BUG: ",
        r"BUG: Dentry .{1,80}still in use",
        form(
            "BUG: Dentry still in use in {what}",
            "BUG: Dentry still in use [{why}]",
            pick="none",
            needs=r"still in use \(-?\d+\) \[(?P<why>(?P<what>unmount) of .{1,60})\]",
        ),
        form("BUG: Dentry still in use", pick="none"),
    ),
    kind(
        "file_count",
        "bug",
        "VFS: Close: file count",
        r"VFS: Close: file count is (?:0|zero)",
        form("VFS: Close: file count is zero (use-after-free)", pick="none"),
    ),
    kind(
        "busy_inodes",
        "bug",
        "VFS: Busy inodes",
        r"VFS: Busy inodes after unmount",
        form("VFS: Busy inodes after unmount (use-after-free)", pick="none"),
    ),
)

_WARNINGS = (
    kind(
        "refcount",
        "warning",
        "refcount_t: ",
        r"^refcount_t: ",
        form("WARNING: refcount bug in {frame}", pick="warned", spares="~refcount"),
        continues="warning",
    ),
    kind(
        "stack_unwind",
        "warning",
        "WARNING: kernel stack|WARNING: stack |WARNING: can't |WARNING: missing |WARNING: unknown ",
        r"WARNING: (?P<what>kernel stack (?:frame pointer|regs))(?: at .{1,60})? has bad '?\w*'? ?value"
        # That of tables is told by what it stumbled over, and where.
        r"|^WARNING: (?P<unwinder>stack recursion on stack type"
        r"|(?:can't (?:access|dereference) (?:iret )?registers(?: at [0-9a-f]+(?= for))?"
        r"|missing (?:regs for base reg )?R\w\w(?: value)?"
        r"|stack going in the wrong direction\?|unknown (?:[SB]P base reg|\.orc_unwind entry type) \d+)"
        r" (?:at |for ip |at ip |ip=)\S+)",
        form("WARNING: {unwinder}", needs=r"WARNING: (?!kernel )", pick="none"),
        form(
            "WARNING: {what} has bad '{register}' value",
            needs=r"kernel stack regs at [0-9a-f]{8,16} in .* has bad '(?P<register>\w+)' value",
            pick="none",
        ),
        form(
            "WARNING: kernel stack frame pointer has bad value",
            needs=r"frame pointer at [0-9a-f]+ in \S* has bad",
            pick="none",
        ),
        form("WARNING: kernel stack regs has bad value", pick="none"),
    ),
    kind(
        "warning",
        "warning",
        "WARNING: CPU: |WARNING: at|, CPU#|Badness ",
        rf"^WARNING: at ?[^\s:]+:\d+ {SYMBOL}\(\)"
        r"|WARNING: CPU: \d+ PID: -?\d+ at |^(?:-+\[ cut here \]-+)?WARNING: at "
        r"|^WARNING: (?:\[.{1,200}\] )?[\w./-]+:\d+ at "
        r"|^WARNING: at ?\S|^Badness (?:at|in) \S+[:+]",  # up to 2.6.17, on powerpc up to 2.6.37
        form(
            "WARNING: ODEBUG bug in {frame}",
            needs=_WARNED + r"lib/debugobjects\.c.{0,20}? (?:debug_print|debug_check|at)",
            pick="warned",
            spares="~debug_ ~rcu ~hrtimer_ ~timer_ ~work_ ~percpu_ ~vunmap ~vfree ~__free_",
        ),
        form(
            "WARNING: bad usercopy in {frame}",
            needs=_WARNED + r"mm/usercopy\.c.{0,20}? (?:usercopy_warn|at)",
            pick="warned",
            spares="~usercopy ~__check",
        ),
        form(
            "WARNING: kobject bug in {frame}",
            needs=_WARNED + r"lib/kobject\.c.{0,20}? (?:kobject_|at)",
            pick="warned",
        ),
        form(
            "WARNING: proc registration bug in {frame}",
            needs=_WARNED + r"fs/proc/generic\.c.{0,20}? proc_register",
            pick="warned",
            spares="~proc_",
        ),
        form(
            "WARNING: refcount bug in {frame}",
            needs=_WARNED + r"lib/refcount\.c.{0,20}? (?:refcount_|at)",
            pick="warned",
            spares="~refcount",
        ),
        form(
            "WARNING: locking bug in {frame}",
            needs=_WARNED + r"kernel/locking/lockdep\.c.{0,60}?lock_",
            pick="warned",
            spares="~lock_sock ~release_sock",
        ),
        form(
            "WARNING: kmalloc bug in {frame}",
            needs=_WARNED + r"mm/[\w/]{1,40}\.c:\d+ (?:at )?k?.?malloc",
            pick="warned",
            spares="~slab ~kmem",
        ),
        form(
            "WARNING: zero-size vmalloc in {frame}",
            needs=_WARNED + r"mm/vmalloc\.c:\d+ (?:at )?__vmalloc_node",
            pick="warned",
        ),
        form(
            "WARNING in {frame}/usb_submit_urb",
            needs=_WARNED + r" usb_submit_urb",
            pick="warned",
            spares=URBS,
        ),
        form("WARNING in {frame}", pick="warned"),
        continues="refcount list_corruption dentry_in_use rcu_stall cfi",
    ),
    kind(
        "fuzzer",
        "bug",
        "SYZFAIL:|SYZFATAL:",
        r"\b(?P<level>SYZFAIL|SYZFATAL): (?P<what>.*)",
        form("{level}: {what}", "SYZFATAL", needs=r"SYZFATAL: ", pick="none"),
        form("{level}: {what}", pick="none"),
    ),
    kind(
        "trusty",
        "bug",
        "trusty: panic",
        r"trusty: panic (?:.*?ASSERT FAILED at [^:]*:\d+\):|\([^)]*\):) ?(?P<what>.*)",
        form("trusty: ASSERT FAILED: {what}", needs=r"ASSERT FAILED at", pick="none"),
        form("trusty: panic: {what}", pick="none"),
    ),
)
_OTHER = (
    kind(
        "bug",
        "bug",
        "BUG: ",
        r"^(?:\[ )?BUG: (?!KASAN|KMSAN|KCSAN|KFENCE|unable|kernel NULL)(?P<what>\S.*)",
        form("BUG: {what}", pick="none"),
    ),
    kind("torn", "bug", "BUG: ", r"^BUG:$", form("BUG: corrupted", pick="required")),
    kind(
        "lockdep_other",
        "warning",
        "INFO: possible|INFO: suspicious|INFO: inconsistent",
        r"(?:^|\[ )INFO: (?P<what>(?:possible|suspicious|inconsistent) .*)",
        form("INFO: {what}", pick="none"),
    ),
)

CHECKS = (*SANITIZERS, *_LOCKDEP, *_CONTEXT, *_MEMORY, *_WARNINGS)
LAST = _OTHER
"""What no other row knows."""
