"""Rows of the table of kinds for what the kernel checks of itself: WARN, lockdep, sanitizers, slab, lists.

Sources: kernel/panic.c (``__warn``), kernel/locking/lockdep.c, kernel/sched/core.c, lib/refcount.c,
lib/debugobjects.c, lib/list_debug.c, lib/ubsan.c, mm/kasan/report.c, mm/kmsan/report.c, mm/kfence/report.c,
kernel/kcsan/report.c, mm/kmemleak.c, mm/slub.c, mm/usercopy.c, mm/memory.c, include/linux/smp.h.
"""

from __future__ import annotations

from lastwords.formats.crash_kinds import SYMBOL, form, kind

_BAD_ACCESS = "bad-access in {frame}"
_WARNED = r"^(?:------------\[ cut here \]------------\s*)?WARNING: (?:CPU: \d+ PID: \d+ )?(?:at )?\S*"

_SANITIZERS = (
    kind(
        "kasan_address",  # up to 4.9, of addresses that belong to no object
        "bug",
        "BUG: KASAN:",
        r"BUG: KASAN: (?P<bug>[\w-]+) on address",
        form("KASAN: {bug} {access}", needs=r"^(?P<access>Read|Write) of size", pick="required"),
    ),
    kind(
        "kasan",
        "bug",
        "BUG: KASAN:",
        rf"BUG: KASAN: (?P<bug>(?:maybe )?[\w-]+(?: or [\w-]+)?) in {SYMBOL}",
        form(
            "KASAN: invalid-free in {frame}",
            "invalid-free in {frame}",
            needs=r"BUG: KASAN: (?:double-free or invalid-free|invalid-free|double-free) in",
            pick="header",
        ),
        form(
            "KASAN: {bug} {access} in {frame}",
            _BAD_ACCESS,
            needs=r"^(?P<access>Read|Write) (?:of size|at addr)",
            pick="header",
        ),
    ),
    kind(
        "kfence",
        "bug",
        "BUG: KFENCE:",
        rf"BUG: KFENCE: (?P<bug>[\w -]+?) in {SYMBOL}",
        form(
            "KFENCE: {bug} in {frame}",
            _BAD_ACCESS,
            needs=r"BUG: KFENCE: [\w -]*(?:read|write) in",
            pick="bare",
        ),
        form(
            "KFENCE: {bug} in {frame}",
            "invalid-free in {frame}",
            needs=r"BUG: KFENCE: invalid free in",
            pick="bare",
        ),
        form("KFENCE: {bug} in {frame}", pick="bare"),
    ),
    kind(
        "kmsan",
        "bug",
        "BUG: KMSAN:",
        rf"BUG: KMSAN: (?P<bug>[\w-]+) in {SYMBOL}",
        form("KMSAN: {bug} in {frame}", _BAD_ACCESS, pick="bare"),
    ),
    kind(
        "kcsan",
        "bug",
        "BUG: KCSAN:",
        r"BUG: KCSAN: (?P<bug>data-race"
        r"|assert: race) in (?P<first>[\w.]+)(?:\+0x\S+)?(?: / (?P<second>[\w.]+))?",
        form(
            "KCSAN: {bug} in {first} / {second}", needs=r"BUG: KCSAN: \S+(?: race)? in \S+ / \S+", pick="none"
        ),
        form("KCSAN: {bug} in {frame}", pick="bare"),
    ),
    kind(
        "ubsan",
        "warning",
        "UBSAN:",
        r"^UBSAN: (?P<bug>[\w -]+?) in ",
        form(
            "UBSAN: array-index-out-of-bounds in {frame}",
            _BAD_ACCESS,
            needs=r"^UBSAN: array-index-out-of-bounds",
        ),
        form("UBSAN: undefined-behaviour in {frame}", needs=r"^UBSAN: Undefined behaviour"),
        form("UBSAN: {bug} in {frame}"),
    ),
    kind(
        "memory_leak",
        "bug",
        "BUG: memory leak",
        r"BUG: memory leak",
        form("memory leak in {frame}", pick="leak"),
    ),
)

_LOCKDEP = (
    kind(
        "deadlock",
        "warning",
        "possible circular locking|possible recursive locking|lock order detected"
        "|possible irq lock inversion|deadlock scenario",
        r"(?:WARNING|INFO): (?:possible (?:circular locking dependency|recursive locking"
        r"|irq lock inversion dependency)"
        r"|\S+-safe -> \S+-unsafe lock order|possible (?:\S+ )?deadlock)",
        form(
            "possible deadlock in {frame}",
            needs=r"which became \S+-safe at:|which became \S+-irq-safe at:",
            pick="became",
        ),
        form(
            "possible deadlock in {frame}",
            needs=r"is trying to acquire"
            "|just changed the state",
            pick="lock",
        ),
    ),
    kind(
        "lock_state",
        "warning",
        "inconsistent lock state|inconsistent {",
        r"(?:WARNING|INFO): inconsistent lock state",
        form("inconsistent lock state in {frame}", needs=r"takes:", pick="lock"),
    ),
    kind(
        "rcu_usage",
        "warning",
        "suspicious RCU usage|suspicious rcu",
        r"(?P<level>WARNING|INFO): suspicious RCU usage",
        form(
            "{level}: suspicious RCU usage in {frame}",
            needs=r"suspicious rcu_\w+\(\) usage|Illegal context switch in RCU",
            pick="backtrace",
        ),
    ),
    kind(
        "unlock_balance",
        "warning",
        "bad unlock balance|bad contention",
        r"(?P<level>WARNING|BUG): (?P<what>bad unlock balance|bad contention) detected",
        form("{level}: {what} in {frame}", pick="bare"),
    ),
    kind(
        "lock_freed",
        "warning",
        "held lock freed",
        r"(?P<level>WARNING|BUG): held lock freed",
        form("{level}: held lock freed in {frame}", pick="lock"),
    ),
    kind(
        "lock_held",
        "warning",
        "lock held when returning|lock held at task exit|still has locks held|still have locks held",
        r"(?P<level>WARNING|BUG): (?:\S+ )?(?P<what>lock held when returning to user space"
        r"|lock held at task exit time"
        r"|still has locks held)",
        form("{level}: {what} in {frame}", pick="lock_only"),
    ),
    kind(
        "nested_lock",
        "warning",
        "Nested lock was not taken",
        r"(?P<level>WARNING|BUG): Nested lock was not taken",
        form("{level}: nested lock was not taken in {frame}"),
    ),
    kind(
        "wait_context",
        "warning",
        "Invalid wait context",
        r"(?P<level>WARNING|BUG): Invalid wait context",
        form("WARNING: locking bug in {frame}", pick="backtrace"),
    ),
    kind(
        "non_static_key",
        "warning",
        "trying to register non-static key",
        r"INFO: trying to register non-static key",
        form("INFO: trying to register non-static key in {frame}"),
    ),
    kind(
        "lockdep_limit",
        "bug",
        "too low!",
        r"BUG: (?P<what>MAX_\w+ too low!)",
        form("BUG: {what}", pick="none"),
    ),
)

_CONTEXT = (
    kind(
        "atomic_sleep",
        "bug",
        "sleeping function called",
        r"BUG: sleeping function called from invalid context",
        form("BUG: sleeping function called from invalid context in {frame}", pick="locker"),
    ),
    kind(
        "atomic_schedule",
        "bug",
        "scheduling while atomic",
        r"BUG: scheduling while atomic",
        form("BUG: scheduling while atomic in {frame}"),
    ),
    kind(
        "preemptible",
        "bug",
        "in preemptible",
        r"BUG: using (?P<what>\w+\(\)) in preemptible",
        form("BUG: using {what} in preemptible code in {frame}"),
    ),
    kind(
        "spinlock",
        "bug",
        "BUG: spinlock|BUG: rwlock|BUG: rwsem",
        r"BUG: (?P<what>(?:spinlock|rwlock|rwsem) (?:lockup suspected|recursion|bad magic|wrong owner"
        r"|wrong CPU"
        r"|cpu recursion|trylock failure|already unlocked))",
        form("BUG: {what} in {frame}"),
    ),
    kind(
        "workqueue_leak",
        "bug",
        "workqueue leaked",
        r"BUG: workqueue leaked (?:lock or )?atomic",
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
        form("BUG: corrupted list in {frame}", _BAD_ACCESS),
    ),
    kind(
        "usercopy",
        "bug",
        "usercopy: ",
        r"usercopy: [Kk]ernel memory (?:exposure|overwrite) attempt",
        form("BUG: bad usercopy in {frame}"),
    ),
)

_MEMORY = (
    kind(
        "bad_page",
        "bug",
        "BUG: Bad page|Bad rss-counter|Bad swap|non-zero",
        r"BUG: (?P<what>Bad (?:page (?:map|state|cache)|rss-counter state|swap (?:file|offset) entry)"
        r"|non-zero \w+ on freeing mm)",
        form("BUG: {what} in {frame}", needs=r"BUG: Bad page state", pick="freed"),
        form("BUG: {what}", pick="none"),
    ),
    kind(
        "slab_corruption",
        "bug",
        "BUG ",
        r"^BUG (?!: )(?!.*: kasan: )[\w.:/()-]{1,64} ?\((?:Not t|T)ainted[^)]*\): (?P<what>.{1,100})",
        form("BUG: {what}", pick="required"),
    ),
    kind(
        "slab_object",
        "bug",
        "INFO: Allocated in|INFO: Freed in",
        r"INFO: (?:Allocated|Freed) in ",
        continues="slab_corruption kasan",
    ),
    kind(
        "dentry_in_use",
        "bug",
        "still in use",
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
        form("WARNING: refcount bug in {frame}"),
    ),
    kind(
        "stack_unwind",
        "warning",
        "WARNING: kernel stack|WARNING: stack recursion|WARNING: can't access registers",
        r"WARNING: (?P<what>kernel stack (?:frame pointer|regs))(?: at .{1,60})? has bad '?\w*'? ?value"
        r"|^WARNING: (?P<unwinder>stack recursion on stack type|can't access registers at \S+)",
        form("WARNING: {unwinder}", needs=r"WARNING: (?:stack recursion|can't access)", pick="none"),
        form(
            "WARNING: {what} has bad '{register}' value",
            needs=r"kernel stack regs at [0-9a-f]{8,16} in .* has bad '(?P<register>\w+)' value",
            pick="none",
        ),
        form("WARNING: {what} has bad value", pick="none"),
    ),
    kind(
        "warning",
        "warning",
        "WARNING: ",
        r"^(?:-+\[ cut here \]-+)?WARNING: (?:CPU: \d+ PID: \d+ )?at (?P<where>[^\s:]+:\d+)?"
        r"|^WARNING: [\w./-]+:\d+ at "
        r"|^WARNING: at ?\S",
        form("WARNING: refcount bug in {frame}", needs=_WARNED + r"lib/refcount\.c:"),
        form("WARNING: ODEBUG bug in {frame}", needs=_WARNED + r"lib/debugobjects\.c:"),
        form("WARNING: kobject bug in {frame}", needs=_WARNED + r"lib/kobject\.c:"),
        form(
            "WARNING: kmalloc bug in {frame}",
            needs=_WARNED
            + r"mm/(?:slab_common\.c:\d+ (?:at )?kmalloc_slab|(?:util|slub)\.c:\d+ (?:at )?_*kvmalloc)",
        ),
        form(
            "WARNING: proc registration bug in {frame}",
            needs=_WARNED + r"fs/proc/generic\.c:\d+ (?:at )?proc_register",
        ),
        form("WARNING: locking bug in {frame}", needs=_WARNED + r"kernel/locking/lockdep\.c:"),
        form(
            "WARNING: zero-size vmalloc in {frame}",
            needs=_WARNED + r"mm/vmalloc\.c:\d+ (?:at )?__vmalloc_node_range",
        ),
        form(
            "WARNING in {frame}/usb_submit_urb",
            needs=_WARNED + r"drivers/usb/core/urb\.c:\d+ (?:at )?usb_submit_urb",
        ),
        form("WARNING in {frame}"),
        continues="refcount dentry_in_use rcu_stall",
    ),
    kind(
        "fuzzer",
        "bug",
        "SYZFAIL:|SYZFATAL:",
        r"\b(?:SYZFAIL|SYZFATAL): ",
    ),
    kind(
        "trusty",
        "bug",
        "trusty: panic",
        r"^trusty: panic.*?ASSERT FAILED at [^:]*:\d+\): ?(?P<what>.*)",
        form("trusty: ASSERT FAILED: {what}", pick="none"),
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
    kind(
        "lockdep_other",
        "warning",
        "INFO: possible|INFO: suspicious|INFO: inconsistent",
        r"(?:^|\[ )INFO: (?P<what>(?:possible|suspicious|inconsistent) .*)",
        form("INFO: {what}", pick="none"),
    ),
)

CHECKS = (*_SANITIZERS, *_LOCKDEP, *_CONTEXT, *_MEMORY, *_WARNINGS)
LAST = _OTHER
"""What no other row knows."""
