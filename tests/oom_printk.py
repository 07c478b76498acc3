"""OOM reports written down as kernels of each era print them, for tests.

A report is made of the state that it describes, so that a test knows every number in it. Sources: mm/oom_kill.c,
mm/page_alloc.c, mm/show_mem.c, mm/memcontrol.c, mm/slab_common.c of the releases in :data:`KERNELS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

MB = 1 << 20
_PER_CPU = ("CPU    0: hi:  186, btch:  31 usd:   0", "CPU    1: hi:  186, btch:  31 usd:  33")


@dataclass(frozen=True)
class Kernel:
    """A release, and what it changes in the words."""

    release: str
    version: tuple[int, ...]
    page: int = 4096
    oneline: bool = False
    """The kill is one line, and the constraint another, though the version is older (RHEL 8)."""

    @property
    def summary(self) -> bool:
        """Whether there is an ``oom-kill:`` line."""
        return self.version >= (5, 0) or self.oneline


KERNELS = {
    "el5": Kernel("2.6.18-419.el5", (2, 6, 18)),
    "el6": Kernel("2.6.32-754.el6.x86_64", (2, 6, 36)),
    "sles11": Kernel("3.0.101-63-default", (3, 0)),
    "el7": Kernel("3.10.0-1160.el7.x86_64", (3, 10)),
    "4.4": Kernel("4.4.0-210-generic", (4, 4)),
    "4.9": Kernel("4.9.0-19-amd64", (4, 9)),
    "4.15": Kernel("4.15.0-213-generic", (4, 15)),
    "4.19": Kernel("4.19.0-26-amd64", (4, 19)),
    "el8": Kernel("4.18.0-553.el8_10.x86_64", (4, 19), oneline=True),
    "5.4": Kernel("5.4.0-190-generic", (5, 4)),
    "el9": Kernel("5.14.0-503.el9.x86_64", (5, 14)),
    "6.1": Kernel("6.1.0-28-amd64", (6, 1)),
    "6.12": Kernel("6.12.0-55.el10.x86_64", (6, 12)),
    "6.18": Kernel("6.18.5-arch1-1", (6, 18)),
    "7.1": Kernel("7.1.0-rc3", (7, 1)),
    "arm64 64k": Kernel("5.14.0-427.el9.aarch64+64k", (5, 14), page=65536),
    "ppc64le": Kernel("4.18.0-553.el8.ppc64le", (4, 19), page=65536, oneline=True),
    "s390x": Kernel("4.4.180-94-default", (4, 4)),
}


@dataclass(frozen=True)
class Proc:
    """A process; sizes in MiB."""

    pid: int
    comm: str
    anon: float = 1
    file: float = 0
    shmem: float = 0
    swap: float = 0
    adj: int = 0
    uid: int = 1000
    tables: float = 0.1

    @property
    def rss(self) -> float:
        """All of it in RAM."""
        return self.anon + self.file + self.shmem


@dataclass(frozen=True)
class Zone:
    """A zone; sizes in kB."""

    name: str = "Normal"
    node: Optional[int] = 0
    free: int = 30_000
    min: int = 45_000
    managed: int = 8_000_000
    cma: int = 0
    boost: int = 0
    blocks: str = ""
    """Its free list; by default everything is in pages."""
    reserve: str = "0 0 0 0 0"


@dataclass(frozen=True)
class Ram:
    """What RAM holds, in MiB."""

    anon: float = 7000
    file: float = 10
    shmem: float = 0
    slab: float = 60
    unreclaimable: float = 90
    stacks: float = 12
    tables: float = 60
    locked: float = 0
    zspages: float = 0
    balloon: float = 0
    gpu: float = 0
    huge: tuple[int, int, int] = (0, 0, 2048)
    """Pages, free ones, their size in kB."""
    swap: tuple[int, int] = (0, 0)
    """Total and free, in kB."""
    zones: tuple[Zone, ...] = (Zone(),)


@dataclass(frozen=True)
class Group:
    """A memory cgroup whose limit was hit; sizes in kB."""

    path: str = "/system.slice/app.service"
    task: Optional[str] = None
    limit: int = 1 << 20
    v2: bool = True
    swap: tuple[int, Optional[int]] = (0, 0)
    """Usage and limit of swap (v2), of memory and swap (v1)."""
    stats: tuple[tuple[str, int], ...] = (("anon", 1000 * MB), ("file", 4 * MB))
    """In bytes, by the names of memory.stat."""
    below: tuple[tuple[str, int, int], ...] = ()
    """Groups below it: path, cache and rss in kB (up to 5.2)."""


def trigger(
    kernel: Kernel, comm: str, gfp: str = "GFP_HIGHUSER_MOVABLE", order: int = 0, adj: int = 0
) -> str:
    """Return the first line of a report."""
    old = {"GFP_HIGHUSER_MOVABLE": 0x200DA, "GFP_KERNEL": 0xD0, "GFP_KERNEL|GFP_DMA32": 0xD4, "0": 0}
    new = {"GFP_HIGHUSER_MOVABLE": 0x100CCA, "GFP_KERNEL": 0xCC0, "GFP_KERNEL|GFP_DMA32": 0xCC4}
    if kernel.version < (4, 4):
        mask = f"{old[gfp]:#x}"
    elif kernel.version < (4, 6):
        mask = {"GFP_HIGHUSER_MOVABLE": "0x24200ca", "GFP_KERNEL": "0x24000c0"}[gfp]
    else:
        mask = f"{new.get(gfp, 0xDC0):#x}({gfp})"
    if kernel.version < (2, 6, 32):
        end = f", oomkilladj={adj}"
    elif kernel.version < (3, 7):
        end = f", oom_adj=0, oom_score_adj={adj}"
    else:
        end = f", oom_score_adj={adj}"
    nodes = ", nodemask=(null)" if (4, 10) <= kernel.version < (5, 0) and not kernel.oneline else ""
    return f"{comm} invoked oom-killer: gfp_mask={mask}{nodes}, order={order}{end}"


def head(
    kernel: Kernel,
    comm: str,
    pid: int,
    frames: Sequence[str] = ("out_of_memory",),
    cpu: int = 1,
    mems: str = "0",
) -> list[str]:
    """Return the task and its call trace."""
    lines = []
    if (2, 6, 29) <= kernel.version < (5, 0) and not kernel.oneline:
        lines.append(f"{comm} cpuset=/ mems_allowed={mems}")
    if kernel.version >= (6, 11):
        lines.append(
            f"CPU: {cpu} UID: 0 PID: {pid} Comm: {comm} Not tainted {kernel.release} #1 PREEMPT(lazy) "
        )
    elif kernel.version >= (3, 10):
        lines.append(f"CPU: {cpu} PID: {pid} Comm: {comm} Not tainted {kernel.release} #1")
    elif kernel.version >= (2, 6, 24):
        lines.append(f"Pid: {pid}, comm: {comm} Not tainted {kernel.release} #1")
    if kernel.version >= (3, 10):
        lines.append("Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3 04/01/2014")
    lines.append("Call Trace:")
    if kernel.version >= (5, 14):
        lines.append(" <TASK>")
    for frame in ("dump_header", *frames):
        lines.append((" [<ffffffff8117f2c4>] " if kernel.version < (4, 9) else " ") + f"{frame}+0x82/0x230")
    if kernel.version >= (5, 14):
        lines.append(" </TASK>")
    return lines


def mem_info(kernel: Kernel, ram: Ram) -> list[str]:
    """Return what show_mem() prints."""
    page, version = kernel.page, kernel.version

    def pages(size: float) -> int:
        return int(size * MB) // page

    free = sum(zone.free for zone in ram.zones) * 1024 // page
    if version < (2, 6, 28):
        lines = ["Mem-info:", "Node 0 DMA per-cpu:", "cpu 0 hot: high 0, batch 1 used:0"]
        lines += [f"Free pages: {sum(zone.free for zone in ram.zones):11d}kB (0kB HighMem)"]
        lines += [
            f"Active:{pages(ram.anon)} inactive:{pages(ram.file)} dirty:0 writeback:0 unstable:0 free:{free} "
            f"slab:{pages(ram.slab + ram.unreclaimable)} mapped-file:1192 mapped-anon:{pages(ram.anon)} "
            f"pagetables:{pages(ram.tables)}"
        ]
    else:
        lines = ["Mem-Info:"]
        if version < (4, 1):
            lines += ["Node 0 Normal per-cpu:", *_PER_CPU]
        lines += [
            f"active_anon:{pages(ram.anon + ram.shmem)} inactive_anon:0 isolated_anon:0",
            f" active_file:{pages(ram.file)} inactive_file:0 isolated_file:0",
            f" unevictable:{pages(ram.locked)} dirty:0 writeback:0"
            + (" unstable:0" if version < (5, 10) else ""),
        ]
        if version < (3, 0):
            lines += [
                f" free:{free} slab_reclaimable:{pages(ram.slab)} slab_unreclaimable:{pages(ram.unreclaimable)}",
                f" mapped:100 shmem:{pages(ram.shmem)} pagetables:{pages(ram.tables)} bounce:0",
            ]
        else:
            lines += [
                f" slab_reclaimable:{pages(ram.slab)} slab_unreclaimable:{pages(ram.unreclaimable)}",
                f" mapped:100 shmem:{pages(ram.shmem)} pagetables:{pages(ram.tables)}"
                + (" bounce:0" if version < (6, 16) else ""),
                f" free:{free} free_pcp:0 free_cma:{sum(zone.cma for zone in ram.zones) * 1024 // page}",
            ]
        if version >= (4, 8):
            more = f" Balloon:{int(ram.balloon * 1024)}kB" if version >= (6, 18) else ""
            more += f" gpu_active:{int(ram.gpu * 1024)}kB gpu_reclaim:0kB" if version >= (7, 0) else ""
            lines.append(
                f"Node 0 active_anon:{int((ram.anon + ram.shmem) * 1024)}kB inactive_anon:0kB "
                f"active_file:{int(ram.file * 1024)}kB inactive_file:0kB unevictable:{int(ram.locked * 1024)}kB "
                f"isolated(anon):0kB isolated(file):0kB mapped:400kB dirty:0kB writeback:0kB "
                f"shmem:{int(ram.shmem * 1024)}kB writeback_tmp:0kB kernel_stack:{int(ram.stacks * 1024)}kB "
                f"pagetables:{int(ram.tables * 1024)}kB all_unreclaimable? yes{more}"
            )
    for number, zone in enumerate(ram.zones):
        lines += _zone(kernel, ram, zone, first=number == 0)
    for zone in ram.zones:
        blocks = (
            zone.blocks or f"{zone.free * 1024 // page}*{page >> 10}kB (UME) 0*{page >> 9}kB 0*{page >> 8}kB"
        )
        lines.append(f"{_named(zone)}: {blocks} = {zone.free}kB")
    if version >= (3, 10):
        total, idle, size = ram.huge
        lines.append(
            f"Node 0 hugepages_total={total} hugepages_free={idle} hugepages_surp=0 hugepages_size={size}kB"
        )
    lines.append(f"{pages(ram.file + ram.shmem)} total pagecache pages")
    if version < (6, 1):
        lines += ["0 pages in swap cache", "Swap cache stats: add 0, delete 0, find 0/0"]
    lines += [f"Free swap  = {ram.swap[1]}kB", f"Total swap = {ram.swap[0]}kB"]
    managed = sum(zone.managed for zone in ram.zones) * 1024 // page
    if version < (3, 0):
        lines += [
            f"{managed + 9000} pages of RAM",
            "9000 reserved pages",
            "1 pages shared",
            "0 pages swap cached",
        ]
    else:
        lines += [f"{managed + 9000} pages RAM", "0 pages HighMem/MovableOnly", "9000 pages reserved"]
    return lines


def _named(zone: Zone) -> str:
    return zone.name if zone.node is None else f"Node {zone.node} {zone.name}"


def _zone(kernel: Kernel, ram: Ram, zone: Zone, *, first: bool) -> list[str]:
    version, text = kernel.version, f"{_named(zone)} free:{zone.free}kB"
    if version >= (5, 12):
        text += f" boost:{zone.boost}kB"
    text += f" min:{zone.min}kB low:{zone.min * 5 // 4}kB high:{zone.min * 3 // 2}kB"
    if version < (2, 6, 28):
        text += f" active:0kB inactive:0kB present:{zone.managed}kB pages_scanned:12 all_unreclaimable? yes"
    else:
        text += " active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB"
        text += f" present:{zone.managed}kB" + (f" managed:{zone.managed}kB" if version >= (3, 9) else "")
        if version < (4, 8):
            text += f" mlocked:0kB kernel_stack:{int(ram.stacks * 1024) if first else 0}kB pagetables:0kB"
        if version >= (3, 10):
            text += f" bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:{zone.cma}kB"
        if version >= (6, 18):
            text += f" zspages:{int(ram.zspages * 1024) if first else 0}kB"
    return [text, f"lowmem_reserve[]: {zone.reserve}"]


def slabs(kernel: Kernel, caches: Sequence[tuple[str, int]]) -> list[str]:
    """Return the caches that cannot be reclaimed: names and kB."""
    rows = [f"{name:<17} {size - 8:10d}KB {size:10d}KB" for name, size in caches]
    return ["Unreclaimable slab info:", "Name                      Used          Total", *rows]


def table(kernel: Kernel, procs: Sequence[Proc]) -> list[str]:
    """Return the table of processes."""
    version, page = kernel.version, kernel.page

    def pages(size: float) -> int:
        return int(size * MB) // page

    if version < (2, 6, 25):
        return []
    if version < (3, 7):
        names = "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name"
    elif version < (4, 0):
        names = "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name"
    elif version < (4, 15):
        names = "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name"
    elif version < (6, 8):
        names = "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"
    else:
        names = (
            "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents "
            "oom_score_adj name"
        )
    lines = ["Tasks state (memory values in pages):"] if version >= (4, 19) else []
    lines.append(names)
    for proc in procs:
        rss = pages(proc.rss)
        row = f"{proc.uid:5d} {proc.pid:5d} {rss + 90000:8d} {rss:8d} "
        if version < (3, 7):
            row += f"{1:3d} {0:7d} {proc.adj:13d} "
        elif version < (4, 15):
            row += f"{pages(proc.tables):7d} {'      3 ' if version >= (4, 0) else ''}{pages(proc.swap):8d} {proc.adj:13d} "
        else:
            if version >= (6, 8):
                row += f"{pages(proc.anon):8d} {pages(proc.file):8d} {pages(proc.shmem):9d} "
            row += f"{int(proc.tables * MB):8d} {pages(proc.swap):8d} {proc.adj:13d} "
        width = 7 if version >= (4, 19) else 5
        lines.append(f"[{proc.pid:{width}d}] {row}{proc.comm}")
    return lines


def summary(
    proc: Proc,
    constraint: str = "NONE",
    *,
    group: Optional[Group] = None,
    nodemask: str = "(null)",
    cpuset: str = "/",
    mems: str = "0",
) -> str:
    """Return the ``oom-kill:`` line."""
    where = "global_oom,task_memcg=/user.slice/user-1000.slice"
    if group is not None:
        where = f"oom_memcg={group.path},task_memcg={group.task or group.path}"
        constraint = "MEMCG"
    return (
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask={nodemask},cpuset={cpuset},mems_allowed={mems},{where},"
        f"task={proc.comm},pid={proc.pid},uid={proc.uid}"
    )


def kill(
    kernel: Kernel, proc: Proc, what: str = "Out of memory", score: int = 600, of: Optional[Proc] = None
) -> list[str]:
    """Return the lines of a kill; *of* is the parent for which a child dies."""
    version = kernel.version
    sizes = f"total-vm:{int(proc.rss * 1024) + 360000}kB, anon-rss:{int(proc.anon * 1024)}kB, file-rss:{int(proc.file * 1024)}kB"
    if version < (2, 6, 24):
        return [f"{what}: Killed process {proc.pid}, UID {proc.uid}, ({proc.comm})."]
    if version >= (3, 10):
        sizes += f", shmem-rss:{int(proc.shmem * 1024)}kB"
    if kernel.summary:
        tail = f", UID:{proc.uid} pgtables:{int(proc.tables * 1024)}kB oom_score_adj:{proc.adj}"
        return [f"{what}: Killed process {proc.pid} ({proc.comm}) {sizes}{tail}"]
    parent = of or proc
    lines = [f"{what}: Kill process {parent.pid} ({parent.comm}) score {score} or sacrifice child"]
    if ".el6" in kernel.release:
        return [*lines, f"Killed process {proc.pid}, UID {proc.uid}, ({proc.comm}) {sizes}"]
    return [*lines, f"Killed process {proc.pid} ({proc.comm}) {sizes}"]


def group_info(kernel: Kernel, group: Group) -> list[str]:
    """Return the lines of a memory cgroup."""
    limit, task = group.limit, group.task or group.path
    unlimited = 9007199254740988
    lines = []
    if not kernel.summary:
        lines.append(f"Task in {task} killed as a result of limit of {group.path}")
    lines.append(f"memory: usage {limit}kB, limit {limit}kB, failcnt 8812")
    used, most = group.swap
    most = unlimited if most is None else most
    if group.v2:
        lines.append(f"swap: usage {used}kB, limit {most}kB, failcnt 0")
    else:
        lines += [
            f"memory+swap: usage {limit + used}kB, limit {most}kB, failcnt 0",
            f"kmem: usage 5120kB, limit {unlimited}kB, failcnt 0",
        ]
    if kernel.version < (5, 3):
        values = dict(group.stats)
        text = f"cache:{values.get('cache', 0) >> 10}KB rss:{values.get('rss', 0) >> 10}KB rss_huge:0KB shmem:0KB mapped_file:0KB"
        lines.append(f"Memory cgroup stats for {group.path}: {text} inactive_anon:0KB unevictable:0KB")
        lines += [
            f"Memory cgroup stats for {path}: cache:{cache}KB rss:{rss}KB rss_huge:0KB shmem:0KB mapped_file:0KB"
            for path, cache, rss in group.below
        ]
        return lines
    return [
        *lines,
        f"Memory cgroup stats for {group.path}:",
        *(f"{name} {value}" for name, value in group.stats),
    ]


MEMCG_FRAMES = ("oom_kill_process", "mem_cgroup_out_of_memory", "try_charge_memcg", "handle_mm_fault")


def report(
    kernel: Kernel,
    procs: Sequence[Proc],
    victim: Optional[Proc],
    *,
    by: Optional[Proc] = None,
    gfp: str = "GFP_HIGHUSER_MOVABLE",
    order: int = 0,
    ram: Optional[Ram] = None,
    group: Optional[Group] = None,
    constraint: str = "NONE",
    caches: Sequence[tuple[str, int]] = (),
    score: int = 600,
    of: Optional[Proc] = None,
    nodemask: str = "(null)",
    cpuset: str = "/",
    mems: str = "0",
    why: Optional[str] = None,
    frames: Sequence[str] = ("out_of_memory",),
) -> list[str]:
    """Return the messages of one report: of the whole machine, or of a memory cgroup."""
    asking = by or (procs[-1] if procs else Proc(4711, "java"))
    lines = [trigger(kernel, asking.comm, gfp, order, asking.adj)]
    lines += head(kernel, asking.comm, asking.pid, MEMCG_FRAMES if group else frames, mems=mems)
    if group is not None:
        lines += group_info(kernel, group)
    if group is None or kernel.version < (3, 9):  # the machine's memory was printed for groups too
        lines += mem_info(kernel, ram or Ram())
    if caches:
        lines += slabs(kernel, caches)
    lines += table(kernel, procs)
    if victim is None:
        return lines
    if kernel.summary:
        lines.append(
            summary(of or victim, constraint, group=group, nodemask=nodemask, cpuset=cpuset, mems=mems)
        )
    what = why or ("Memory cgroup out of memory" if group is not None else "Out of memory")
    return lines + kill(kernel, victim, what, score, of)


def allocation_failure(kernel_lines: list[str], comm: str = "kworker/u8:1") -> list[str]:
    """A page allocation failure: as much of memory as an OOM report, and nothing is killed."""
    return [
        f"{comm}: page allocation failure: order:4, mode:0xdc0(GFP_KERNEL|__GFP_ZERO), nodemask=(null),cpuset=/",
        f"CPU: 3 PID: 99 Comm: {comm} Not tainted 5.9.9-other #1",
        "Call Trace:",
        " warn_alloc+0x11d/0x180",
        " __alloc_pages_slowpath+0xbe1/0xc40",
        *kernel_lines,
    ]


def dmesg(lines: Sequence[str], start: float = 511.0, caller: str = "") -> list[str]:
    """Return the messages with the time that printk puts before them."""
    return [f"[{start + n * 1e-5:12.6f}]{caller} {text}" for n, text in enumerate(lines)]


def syslog(
    lines: Sequence[str], tag: str = "kernel", host: str = "web", stamp: str = "Mar  1 02:14:07"
) -> list[str]:
    """Return the messages as syslog writes them."""
    return [f"{stamp} {host} {tag}: {text}" for text in lines]


def log(*parts: Sequence[str]) -> bytes:
    """Return the bytes of a log of these lines."""
    return "".join(f"{line}\n" for part in parts for line in part).encode()
