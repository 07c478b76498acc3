"""Rows of the table of kinds for the sanitizers, whose first line tells the bug and often the function.

Sources: mm/kasan/report.c, mm/kmsan/report.c, mm/kfence/report.c, kernel/kcsan/report.c, lib/ubsan.c,
kernel/cfi.c, mm/kmemleak.c.
"""

from __future__ import annotations

from lastwords.formats.crash.kinds import SYMBOL, form, kind

BAD_ACCESS = "bad-access in {frame}"
URBS = "~usb_start_wait_urb ~usb_bulk_msg ~usb_interrupt_msg"
"""Besides those that are never to blame: what a USB driver calls."""
_UNDEFINED = "~ubsan ~overflow handle_(?:misaligned|null_ptr|object_size)"
_NOT_INLINE = r"(?!\w+ \S+ \[inline\])"
"""Tools that add places in the source repeat the first line for every function that was inlined."""

SANITIZERS = (
    kind(
        "kasan_address",  # up to 4.9, of addresses that belong to no object
        "bug",
        "BUG: KASAN:",
        r"BUG: KASAN: (?P<bug>[\w-]+) on address",
        form("KASAN: {bug} {access}", needs=r"(?P<access>Read|Write) of size", pick="required"),
    ),
    kind(
        "kasan",
        "bug",
        "BUG: KASAN:",
        rf"BUG: KASAN: (?P<bug>(?:maybe )?[\w-]+(?: or [\w-]+)?) in {_NOT_INLINE}{SYMBOL}",
        form(
            "KASAN: invalid-free in {frame}",
            "invalid-free in {frame}",
            needs=r"BUG: KASAN: (?:double-free or invalid-free|invalid-free|double-free) in",
            pick="header",
            spares="~kfree ~vunmap ~vfree",
        ),
        form(
            "KASAN: {bug} {access} in {frame}",
            BAD_ACCESS,
            needs=r"(?P<access>Read|Write) (?:of size|at addr) [0-9a-f]",
            pick="header",
            spares="~kernel_fault ~tag_check ~mem_abort ^el1_ ^el1h_",
        ),
    ),
    kind(
        "kfence",
        "bug",
        "BUG: KFENCE:",
        rf"BUG: KFENCE: (?P<bug>[\w -]+?) in {_NOT_INLINE}{SYMBOL}",
        form(
            "KFENCE: {bug} in {frame}",
            BAD_ACCESS,
            needs=r"BUG: KFENCE: [\w -]*(?:read|write) in",
            pick="access",
        ),
        form(
            "KFENCE: {bug} in {frame}",
            "invalid-free in {frame}",
            needs=r"BUG: KFENCE: invalid free in",
            pick="access only",
        ),
        form("KFENCE: {bug} in {frame}", pick="access only"),
    ),
    kind(
        "kmsan",
        "bug",
        "BUG: KMSAN:",
        rf"BUG: KMSAN: (?P<bug>[\w-]+) in {_NOT_INLINE}{SYMBOL}",
        form(
            "KMSAN: {bug} in {frame}",
            needs=r"BUG: KMSAN: kernel-usb-infoleak in",
            pick="bare",
            spares=f"~alloc_skb {URBS}",
        ),
        # Generic encryption shows what the data was, netlink's replies what the request was.
        form(
            "KMSAN: {bug} in {frame}",
            BAD_ACCESS,
            pick="bare",
            spares="~alloc_skb ~netlink_ack ~netlink_rcv_skb ~_encrypt$ ^(?:cipher|crypto|drbg|rng)_",
        ),
    ),
    kind(
        "kcsan",
        "bug",
        "BUG: KCSAN:",
        r"BUG: KCSAN: (?P<what>.*)",
        form("KCSAN: {what}", pick="none"),
    ),
    kind(
        "ubsan",
        "warning",
        "UBSAN:",
        r"\bUBSAN: (?P<bug>.{1,60}?) (?:in|at) (?:(?P<function>[A-Za-z_][\w.]*)\+0x)?",
        # A kernel that traps names the function where others name the line.
        form(
            "UBSAN: {bug} in {frame}", needs=r"UBSAN: .{1,60}? (?:in|at) [A-Za-z_][\w.]*\+0x", pick="header"
        ),
        form(
            "UBSAN: array-index-out-of-bounds in {frame}",
            BAD_ACCESS,
            needs=r"UBSAN: array-index-out-of-bounds",
            pick="calls",
            spares=_UNDEFINED,
        ),
        form(
            "UBSAN: undefined-behaviour in {frame}",
            needs=r"UBSAN: Undefined behaviour",
            pick="calls",
            spares=_UNDEFINED,
        ),
        form("UBSAN: {bug} in {frame}", pick="calls", spares=_UNDEFINED),
    ),
    kind(
        "cfi",  # an indirect call to a function of another type, or to none
        "bug",
        "CFI failure at ",
        rf"^CFI failure at {SYMBOL}",
        form("CFI failure in {frame}", pick="named"),
    ),
    kind(
        "memory_leak",
        "bug",
        "BUG: memory leak",
        r"BUG: memory leak",
        form(
            "memory leak in {frame}",
            pick="leak",
            spares="~kmemleak ~alloc ~mmap ~kmem ~slab ~create_object ~idr_get ~list_lru_init ~pcpu_create",
        ),
    ),
)
