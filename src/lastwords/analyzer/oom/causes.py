"""What brought an OOM event about: each cause a small function, with how sure it is.

A cause names what the report shows, never more: that a process leaks, only a second look at it can tell.
Those of memory that no process holds are in :mod:`lastwords.analyzer.oom.kernel_causes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from lastwords.analyzer.oom import kernel_causes as kernel
from lastwords.analyzer.oom.eaters import crowd
from lastwords.analyzer.oom.picture import MIB, SMALL, Cause, CauseFunction, Picture, sure
from lastwords.formats import sizes
from lastwords.formats.oom.report import OomEvent

CONFIDENCES = ("high", "medium", "low")
CROWD = "many-processes"
SEVERAL = "several-processes"
HOLDERS = frozenset(
    (CROWD, "one-process", "jvm", "slab", "hugetlb", "tmpfs", "unowned", "page-tables", "threads", "locked")
).union(("zram", "zswap", "balloon", "gpu", "sockets", "kernel-memory", SEVERAL, "page-cache", "initramfs"))
"""The causes that name who or what held the memory; the others name a limit, or why it could not be used."""


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
    part = f", all of {of}: what they share counts for each" if portion > 1 else part
    yield Cause(
        CROWD,
        sure(portion, 0.4, 0.2),
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
    # Of a group's swap only a limit is known, so it is RAM alone that is compared; of that, pages of files
    # may be charged to another group.
    swap = picture.held.swap_total or 0 if picture.machine and picture.held is not None else 0
    swap = swap if most.swap is not None else 0
    size = most.rss + (most.swap or 0)
    charged = most.rss if most.rss_anon is None else most.rss_anon + (most.rss_shmem or 0)
    part = size if picture.machine else charged
    portion = min(1.0, part / (picture.whole + swap))
    if portion < 0.3 or size < SMALL:
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
    ram, swapped = sizes.alike((most.rss, most.swap))
    yield Cause(
        "jvm" if java else "one-process",
        sure(portion, 0.5, 0.3),
        f"{most.comm} (pid {most.pid}) alone held {_of_whole(picture, part, portion, swap)}",
        f"{ram} of RAM" + (f" and {swapped} of swap." if most.swap else ".") + spared,
        tuple(fix),
    )


def _of_whole(picture: Picture, part: int, portion: float, swap: int) -> str:
    """Return what one process held of what there was, both in the same terms."""
    if picture.machine:
        return f"{sizes.size(part)}, {portion:.0%} of RAM{' and swap' if swap else ''}"
    if part > picture.whole:
        return "all that the limit allows"
    return f"{sizes.size(part)} of RAM, {portion:.0%} of the limit"


def slab(picture: Picture) -> Iterator[Cause]:
    """The kernel's own objects hold it, and cannot be reclaimed."""
    portion = picture.portion("slab unreclaimable")
    if portion < 0.15 or picture.whole < SMALL:
        return
    info = picture.event.memory
    caches = sorted(info.slabs, key=lambda item: -item[2])[:3]
    named = ", ".join(f"{name} {sizes.size(size)}" for name, _, size in caches)
    places = ", ".join(f"{item['function']} ({item['place']})" for item in info.allocations[:2])
    yield Cause(
        "slab",
        sure(portion, 0.3, 0.15),
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
        sure(portion, 0.4, 0.2) if not who else "medium",
        f"{picture.size('shmem')} are files in tmpfs or shared memory",
        "Killing a process does not free a file in tmpfs." if not who else f"It is shared memory: {who}.",
        ("$ df -h -t tmpfs", "$ ipcs -m", "Remove what need not be in RAM, and set size= on tmpfs mounts."),
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


CAUSES: tuple[CauseFunction, ...] = (
    manual,
    kernel.starting,
    kernel.capture_kernel,
    memcg_limit,
    nodes,
    lowmem,
    fragmentation,
    cma,
    hugetlb,
    slab,
    kernel.unowned,
    kernel.counted,
    tmpfs,
    kernel.locked,
    kernel.page_tables,
    kernel.kernel_stacks,
    fork_storm,
    one_process,
    several,
    kernel.cache,
    swap,
)
"""In the order in which they matter, of equal confidence."""


def causes(picture: Picture) -> list[Cause]:
    """Return the causes that show, the surest first."""
    found = [cause for function in CAUSES for cause in function(picture)]
    return sorted(found, key=lambda cause: CONFIDENCES.index(cause.confidence))
