"""Causes of an OOM event that lie with memory that no process holds: the kernel's, drivers', files'."""

from __future__ import annotations

from collections.abc import Iterator

from lastwords.analyzer.oom.picture import GIB, MIB, SMALL, Cause, Picture, sure
from lastwords.formats import sizes

_UNPACKING = frozenset(("unpack_to_rootfs", "populate_rootfs", "do_populate_rootfs"))
_BOOTING = frozenset(("do_one_initcall", "kernel_init_freeable", "start_kernel"))
"""Functions in the call trace of whoever asked."""


def starting(picture: Picture) -> Iterator[Cause]:
    """The machine was just starting: its initramfs, or the kernel itself, was too much for its RAM."""
    if not picture.machine or picture.event.tasks:
        return
    have = f", {sizes.size(picture.whole)}" if picture.whole else ""
    if _unpacks(picture):
        yield Cause(
            "initramfs",
            "high",
            f"The initramfs is too large for the RAM there is{have}",
            "Memory ran out while it was unpacked, before the first program: its files are in RAM.",
            ("Give the machine more memory, or the initramfs less in it (hostonly, MODULES=dep).",),
        )
    elif not _BOOTING.isdisjoint(picture.event.frames):
        yield Cause(
            "starting",
            "medium",
            f"The kernel ran out of memory while it started{have}",
            "No program ran yet: the kernel's own tables and its drivers hold it.",
            ("Give it more memory, or reserve less: hugepages=, cma=, crashkernel= on its command line.",),
        )


def _unpacks(picture: Picture) -> bool:
    return not _UNPACKING.isdisjoint(picture.event.frames)


def unowned(picture: Picture) -> Iterator[Cause]:
    """Memory that is on no list: a driver, a balloon, zram or a leak holds it."""
    held = picture.held
    portion = picture.portion("unaccounted")
    if held is None or held.scope != "machine" or portion < 0.12 or (held.unaccounted or 0) < 24 * MIB:
        return
    used = (held.swap_total or 0) - (held.swap_free or 0)
    zram = used > 64 * MIB and (held.unaccounted or 0) < used
    yield Cause(
        "unowned",
        sure(portion, 0.3, 0.12),
        f"{sizes.size(held.unaccounted or 0)} belong to nobody that the kernel counts",
        "Pages that drivers take for themselves, a balloon of the hypervisor, zram and leaks are on no list."
        + (" Swap is in use: if it is zram, its pages are among them." if zram else ""),
        ("See zramctl and the balloon of the hypervisor; unload drivers one by one where possible.",),
    )


_COUNTED = (
    ("zsmalloc", "zram", "what zram or zswap compressed", "$ zramctl"),
    ("zswap", "zswap", "what zswap compressed", "Limit it: memory.zswap.max."),
    ("balloon", "balloon", "a balloon: the hypervisor took it back", "Give the machine more memory there."),
    ("gpu", "gpu", "buffers of a GPU", "$ grep drm-total /proc/*/fdinfo/* | sort -k2 -n | tail"),
    ("sockets", "sockets", "buffers of network connections", "$ ss -tm"),
    (
        "per cpu",
        "kernel-memory",
        "the kernel's memory for each CPU",
        "Look for many groups or BPF maps there.",
    ),
    ("vmalloc", "kernel-memory", "vmalloc areas of the kernel", "$ sort -k2 -n /proc/vmallocinfo | tail"),
    ("kernel", "kernel-memory", "memory of the kernel itself", "$ slabtop -o -s c"),
)
"""Part, cause, what it is, and where to look."""


def counted(picture: Picture) -> Iterator[Cause]:
    """It is of a kind that the kernel counts by itself: zram, a balloon, a GPU, sockets, per-CPU data."""
    for part, name, what, fix in _COUNTED:
        portion = picture.portion(part)
        if portion >= 0.2 and picture.whole >= SMALL:
            yield Cause(
                name,
                sure(portion, 0.4, 0.2),
                f"{picture.size(part)} are {what}",
                "No process has it in its resident memory: killing some may free little.",
                (fix,),
            )


def cache(picture: Picture) -> Iterator[Cause]:
    """Pages of files, which could not be written back or dropped in time."""
    portion = picture.portion("file")
    if portion >= 0.5 and picture.failure.kind in ("watermark", "unclear"):
        yield Cause(
            "page-cache",
            "medium" if portion >= 0.7 else "low",
            f"{picture.size('file')} are pages of files, which should have been reclaimed",
            "They were dirty or under writeback to a slow device, in use, or reclaim gave up too early.",
            ("Look for slow or hung storage at that time.", "Lower vm.dirty_bytes, and update the kernel."),
        )


def page_tables(picture: Picture) -> Iterator[Cause]:
    """Page tables alone are a load: many processes that map the same large memory."""
    portion = picture.portion("page tables")
    if portion >= 0.08:
        yield Cause(
            "page-tables",
            sure(portion, 0.2, 0.08),
            f"{picture.size('page tables')} are page tables",
            "Many processes map much memory, each with its own tables.",
            ("Use huge pages for the shared memory (of a database, mostly), and fewer processes.",),
        )


def kernel_stacks(picture: Picture) -> Iterator[Cause]:
    """Each thread has a stack in the kernel: very many threads."""
    portion = picture.portion("kernel stacks")
    if portion >= 0.05:
        yield Cause(
            "threads",
            sure(portion, 0.15, 0.05),
            f"{picture.size('kernel stacks')} are kernel stacks: threads by the ten thousand",
            "Every thread has one, whatever it does.",
            ("$ ps -eo nlwp,pid,comm --sort=-nlwp | head",),
        )


def locked(picture: Picture) -> Iterator[Cause]:
    """Memory that was locked may not be reclaimed."""
    portion = picture.portion("unevictable")
    if portion >= 0.3 and not _is_capture(picture) and not _unpacks(picture):
        yield Cause(
            "locked",
            sure(portion, 0.5, 0.3),
            f"{picture.size('unevictable')} may not be reclaimed: locked, or in a ramfs",
            "mlock(), SHM_LOCK and ramfs keep it in RAM, swap or not.",
            ("$ grep VmLck /proc/*/status | sort -k2 -n | tail",),
        )


def capture_kernel(picture: Picture) -> Iterator[Cause]:
    """A kdump capture kernel had too little memory: the dump is lost."""
    if _is_capture(picture):
        yield Cause(
            "capture-kernel",
            "high" if picture.whole < GIB // 2 else "medium",
            f"This is a kdump capture kernel, and {sizes.size(picture.whole)} are too little for it",
            "It lives in what crashkernel= reserved. The crash dump was not saved.",
            ("Reserve more: crashkernel=512M or above, and fewer drivers in the kdump initramfs.",),
        )


def _is_capture(picture: Picture) -> bool:
    """The capture kernel of x86 gets the first 640 KiB and what was reserved, of all the RAM it sees."""
    if not picture.machine or not 0 < picture.whole <= 2 * GIB:
        return False
    names = {item.comm for item in picture.processes}
    if names & {"makedumpfile", "kdump.sh", "kdump-save", "kdumptool", "vmcore-dmesg"}:
        return True
    low = next((zone for zone in picture.event.memory.zones if zone.name == "DMA"), None)
    return low is not None and 0 < low.values.get("present", 0) <= 640 << 10
