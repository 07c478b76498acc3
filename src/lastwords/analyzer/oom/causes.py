"""What brought an OOM event about: each cause a small function, with how sure it is.

A cause names what the report shows, never more: that a process leaks, only a second look at it can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.oom.accounting import Held
from lastwords.analyzer.oom.choice import Choice
from lastwords.analyzer.oom.eaters import Process, Program, crowd
from lastwords.analyzer.oom.failure import Failure
from lastwords.formats import sizes
from lastwords.formats.oom.report import OomEvent

CONFIDENCES = ("high", "medium", "low")
CROWD = "many-processes"
SEVERAL = "several-processes"
HOLDERS = frozenset(
    (CROWD, "one-process", "jvm", "slab", "hugetlb", "tmpfs", "unowned", "page-tables", "threads", "locked")
).union(("zram", "zswap", "balloon", "gpu", "sockets", "kernel-memory", SEVERAL, "page-cache"))
"""The causes that name who or what held the memory; the others name a limit, or why it could not be used."""
MIB = 1 << 20
GIB = 1 << 30
_SMALL = 4 * MIB
"""What is smaller is nobody's problem, whatever its portion."""


@dataclass(frozen=True)
class Cause:
    """Why memory ran out, as a finding."""

    id: str
    confidence: str
    """``high``, ``medium`` or ``low``."""
    title: str
    why: str
    fix: tuple[str, ...] = ()
    """Steps in order; those that start with ``$ `` are commands."""


@dataclass(frozen=True)
class Picture:
    """All that the causes look at."""

    event: OomEvent
    failure: Failure
    held: Optional[Held]
    processes: list[Process]
    """Those that hold the most first."""
    programs: list[Program]
    choice: Optional[Choice]

    def portion(self, name: str) -> float:
        """Return a part of the memory as a portion of the whole."""
        return self.held.portion(name) if self.held is not None else 0.0

    def size(self, name: str) -> str:
        """Return the size of a part in words."""
        return sizes.size(self.held.share(name) if self.held is not None else 0)

    @property
    def machine(self) -> bool:
        """Whether the whole machine ran out, not one memory cgroup."""
        return self.event.killer == "kernel" and self.event.constraint != "memcg"

    @property
    def whole(self) -> int:
        """RAM, or the limit of the group; 0 when unknown."""
        return (self.held.total or 0) if self.held is not None else 0


CauseFunction = Callable[[Picture], Iterator[Cause]]


def _sure(portion: float, high: float, medium: float) -> str:
    return "high" if portion >= high else "medium" if portion >= medium else "low"


def manual(picture: Picture) -> Iterator[Cause]:
    """Somebody asked for it: SysRq-f kills even when memory is free."""
    if picture.event.manual:
        yield Cause(
            "manual",
            "high",
            "Somebody asked for this kill by SysRq-f",
            "Memory need not have been short. Look for who wrote f to /proc/sysrq-trigger, or pressed it.",
        )


def memcg_limit(picture: Picture) -> Iterator[Cause]:
    """A memory cgroup reached its limit; the machine had memory left."""
    event = picture.event
    if event.constraint != "memcg":
        return
    usage = event.group.usage if event.group is not None else {}
    hit = limit_hit(event)
    path = event.memcg or "a memory cgroup"
    what = {"memory+swap": "memory and swap", "kmem": "kernel memory"}.get(hit[0] if hit else "", "memory")
    limit = f" of {sizes.size(hit[1])}" if hit else ""
    why = f"The limit{limit} on {what} of {path} was reached; only processes in it could be killed."
    if picture.portion("file") > 0.5:
        why += " Most of it is page cache that could not be written back in time."
    failcnt = usage.get("memory", {}).get("failcnt")
    if failcnt:
        why += f" It was reached {failcnt} times before."
    yield Cause(
        "memcg-limit",
        "high",
        f"The memory limit of {path} is too small for what runs in it",
        why,
        (
            "Decide whether what runs in it needs that much.",
            "If so, raise the limit (MemoryMax= of a unit, resources.limits.memory of a container).",
        ),
    )


def limit_hit(event: OomEvent) -> Optional[tuple[str, int]]:
    """Return which limit of its memory cgroup was reached, and its bytes; None where that is not told."""
    for name, values in (event.group.usage if event.group is not None else {}).items():
        if values["limit"] and (values["usage"] or 0) >= values["limit"] * 0.98 and name != "swap":
            return name, values["limit"]
    return None


def nodes(picture: Picture) -> Iterator[Cause]:
    """A cpuset or a memory policy forbade the other nodes."""
    event = picture.event
    if event.constraint not in ("cpuset", "memory_policy"):
        return
    allowed = event.mems_allowed if event.constraint == "cpuset" else event.nodemask
    name = f"The cpuset {event.cpuset or ''}".rstrip() if event.constraint == "cpuset" else "A memory policy"
    yield Cause(
        "node-limit",
        "high",
        f"{name} allows memory of node {allowed or '?'} only",
        "Other nodes may have had memory left: this process could not use it.",
        ("Allow more nodes (cpuset.mems, numactl --preferred instead of --membind), or place less there.",),
    )


def fork_storm(picture: Picture) -> Iterator[Cause]:
    """One program runs so often that all of it together is what matters."""
    most = crowd(picture.programs, picture.whole, len(picture.event.tasks))
    if most is None:
        return
    portion = most.held / picture.whole if picture.whole else 0.0
    of = "the memory" if picture.machine else "the limit"
    part = f", nearly all of {of}" if portion > 0.9 else f", {portion:.0%} of {of}" if portion else ""
    yield Cause(
        CROWD,
        _sure(portion, 0.4, 0.2),
        f"{most.comm}: {most.processes:,} processes held {sizes.size(most.held)} together{part}",
        "Not one of them is the problem: their number is. Pages that they share are counted for each, so the "
        "sum may be more than there is.",
        (f"Limit how many of {most.comm} may run (pm.max_children, MaxRequestWorkers, TasksMax= ...).",),
    )


def one_process(picture: Picture) -> Iterator[Cause]:
    """One process holds a large part of it."""
    if not picture.processes or not picture.whole:
        return
    most = picture.processes[0]
    # Of a group's swap only a limit is known, so it is RAM alone that is compared.
    swap = picture.held.swap_total or 0 if picture.machine and picture.held is not None else 0
    size = most.rss + (most.swap or 0)
    part = size if picture.machine else most.rss
    portion = min(1.0, part / (picture.whole + (swap if most.swap is not None else 0)))
    if portion < 0.3 or size < _SMALL:
        return
    victims = {victim.pid for victim in picture.event.victims}
    spared = "" if most.pid in victims or not victims else " It is not the one that was killed."
    java = most.comm == "java" or most.comm.startswith("java")
    fix = [f"See whether {most.comm} ever levels off: rising steadily it leaks, else it needs this much."]
    if java:
        dumps = "jcmd PID Thread.print, jcmd PID GC.heap_dump FILE"
        fix.insert(0, f"Before it is restarted, take a thread dump and a heap dump: {dumps}")
        fix.append("Compare -Xmx and -XX:MaxDirectMemorySize with the memory there is: heap is not all.")
    if picture.machine:
        fix.append("Give it a limit of its own (MemoryMax=), so that it alone pays.")
    yield Cause(
        "jvm" if java else "one-process",
        _sure(portion, 0.5, 0.3),
        f"{most.comm} (pid {most.pid}) alone held {sizes.size(size)}, {portion:.0%} of "
        + ("what there is" if picture.machine else "the limit"),
        f"{sizes.size(most.rss)} of RAM"
        + (f" and {sizes.size(most.swap)} of swap." if most.swap else ".")
        + spared,
        tuple(fix),
    )


def slab(picture: Picture) -> Iterator[Cause]:
    """The kernel's own objects hold it, and cannot be reclaimed."""
    portion = picture.portion("slab unreclaimable")
    if portion < 0.15 or picture.whole < _SMALL:
        return
    info = picture.event.memory
    caches = sorted(info.slabs, key=lambda item: -item[2])[:3]
    named = ", ".join(f"{name} {sizes.size(size)}" for name, _, size in caches)
    places = ", ".join(f"{item['function']} ({item['place']})" for item in info.allocations[:2])
    yield Cause(
        "slab",
        _sure(portion, 0.3, 0.15),
        f"{picture.size('slab unreclaimable')} are kernel objects that cannot be reclaimed",
        (f"The largest caches: {named}. " if named else "")
        + (f"Allocated mostly by {places}. " if places else "")
        + "No process holds them: killing some frees little.",
        ("$ slabtop -o -s c", "A cache that only grows is a leak in the kernel or a module: report it."),
    )


def hugetlb(picture: Picture) -> Iterator[Cause]:
    """Memory is reserved for huge pages, whether used or not."""
    held = picture.held
    if held is None or held.scope != "machine" or not held.share("hugetlb"):
        return
    size = held.share("hugetlb")
    idle = sum(
        (row.get("free") or 0) * (row.get("size") or 2 * MIB) for row in picture.event.memory.hugepages
    )
    portion = min(1.0, size / held.total) if held.total else 0.0
    if portion < 0.25:
        return
    yield Cause(
        "hugetlb",
        "high" if idle > size // 4 or portion > 0.7 else "medium",
        f"{sizes.size(size)} are reserved for huge pages, {sizes.size(idle)} of them unused",
        "Only programs that ask for huge pages can use them; everything else has to live with the rest.",
        ("Reserve what is used: vm.nr_hugepages, hugepages= on the kernel command line.",),
    )


def tmpfs(picture: Picture) -> Iterator[Cause]:
    """Files in RAM: tmpfs and shared memory have no other place but swap."""
    portion = picture.portion("shmem")
    if portion < 0.2:
        return
    mapped = max((item.rss_shmem or 0 for item in picture.processes), default=0)
    who = "processes map it" if mapped > (picture.held.share("shmem") if picture.held else 0) // 2 else ""
    yield Cause(
        "tmpfs",
        _sure(portion, 0.4, 0.2) if not who else "medium",
        f"{picture.size('shmem')} are files in tmpfs or shared memory",
        "Killing a process does not free a file in tmpfs." if not who else f"It is shared memory: {who}.",
        ("$ df -h -t tmpfs", "$ ipcs -m", "Remove what need not be in RAM, and set size= on tmpfs mounts."),
    )


def swap(picture: Picture) -> Iterator[Cause]:
    """No swap to take what is not in use, or it was full."""
    held = picture.held
    if held is None or not picture.machine or picture.failure.kind in ("manual", "lowmem", "nodes"):
        return
    if held.swap_total == 0:
        if picture.portion("anon") + picture.portion("shmem") > 0.4:
            yield Cause(
                "no-swap",
                "low",
                "There is no swap",
                "Memory of processes had nowhere to go, not even what was not in use.",
                ("Some swap, or zram, gives time to react; it does not replace memory.",),
            )
    elif held.swap_total and held.swap_free is not None and held.swap_free < held.swap_total * 0.02:
        yield Cause(
            "swap-full",
            "medium",
            f"Swap was full: {sizes.size(held.swap_total)}",
            "Everything that could leave RAM had left it.",
            ("More swap only delays it, if something grows without bounds: find that first.",),
        )


def lowmem(picture: Picture) -> Iterator[Cause]:
    """A 32-bit kernel: its own data must lie in low memory, which is small however much RAM there is."""
    if picture.failure.kind != "lowmem":
        return
    above = [zone for zone in picture.failure.zones if not zone.allowed]
    free = sizes.size(sum(zone.free for zone in above))
    highmem = any(zone.name == "HighMem" for zone in above)
    yield Cause(
        "lowmem",
        "high",
        f"Low memory was used up, while {free} were free above it",
        "This allocation may use low memory only"
        + (": on a 32-bit kernel that is below 1 GiB, whatever RAM there is." if highmem else "."),
        ("Run a 64-bit kernel.",) if highmem else ("Find the device or driver that needs low addresses.",),
    )


def fragmentation(picture: Picture) -> Iterator[Cause]:
    """There was memory, but not in one piece."""
    trigger = picture.event.trigger
    if picture.failure.kind != "fragmentation" or trigger is None:
        return
    size = picture.event.page_size << max(0, trigger.order or 0)
    yield Cause(
        "fragmentation",
        "high",
        f"No free block of {size >> 10} KiB: memory was free, but in smaller pieces",
        f"The allocation asked for order {trigger.order}: that many pages in a row.",
        ("$ cat /proc/buddyinfo", "Raise vm.min_free_kbytes moderately, or find who asks for large blocks."),
    )


def cma(picture: Picture) -> Iterator[Cause]:
    """What is free lies in the area for contiguous allocations, which most allocations may not use."""
    if picture.failure.kind == "cma":
        size = sum(zone.free_cma for zone in picture.failure.zones)
        yield Cause(
            "cma",
            "high",
            f"{sizes.size(size)} of the free memory are reserved for contiguous allocations (CMA)",
            "Without it, free memory was below the watermark.",
            ("Make the area smaller: cma= on the kernel command line.",),
        )


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
        _sure(portion, 0.3, 0.12),
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
        if portion >= 0.2 and picture.whole >= _SMALL:
            yield Cause(
                name,
                _sure(portion, 0.4, 0.2),
                f"{picture.size(part)} are {what}",
                "No process has it in its resident memory: killing some may free little.",
                (fix,),
            )


def several(picture: Picture) -> Iterator[Cause]:
    """Processes hold it, none of them more than the others, or none that the report names."""
    portion = picture.portion("anon")
    if portion < 0.5 or any(True for cause in (fork_storm, one_process) for _ in cause(picture)):
        return
    most = ", ".join(
        f"{item.comm} {sizes.size(item.rss + (item.swap or 0))}" for item in picture.processes[:3]
    )
    number = len(picture.event.tasks)
    yield Cause(
        SEVERAL,
        "medium",
        f"{picture.size('anon')} are memory of processes"
        + (", no one of which stands out" if number else ""),
        f"The largest of {number:,}: {most}."
        if number
        else "The report does not tell which: it has no table of them.",
        ("Give each of them a limit, or less to do: all together they need more than there is.",)
        if number
        else ("$ ps -eo rss,pid,comm --sort=-rss | head",),
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
            _sure(portion, 0.2, 0.08),
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
            _sure(portion, 0.15, 0.05),
            f"{picture.size('kernel stacks')} are kernel stacks: threads by the ten thousand",
            "Every thread has one, whatever it does.",
            ("$ ps -eo nlwp,pid,comm --sort=-nlwp | head",),
        )


def locked(picture: Picture) -> Iterator[Cause]:
    """Memory that was locked may not be reclaimed."""
    portion = picture.portion("unevictable")
    if portion >= 0.3 and not _is_capture(picture):
        yield Cause(
            "locked",
            _sure(portion, 0.5, 0.3),
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


CAUSES: tuple[CauseFunction, ...] = (
    manual,
    capture_kernel,
    memcg_limit,
    nodes,
    lowmem,
    fragmentation,
    cma,
    hugetlb,
    slab,
    unowned,
    counted,
    tmpfs,
    locked,
    page_tables,
    kernel_stacks,
    fork_storm,
    one_process,
    several,
    cache,
    swap,
)
"""In the order in which they matter, of equal confidence."""


def causes(picture: Picture) -> list[Cause]:
    """Return the causes that show, the surest first."""
    found = [cause for function in CAUSES for cause in function(picture)]
    return sorted(found, key=lambda cause: CONFIDENCES.index(cause.confidence))
