"""Logs of OOM events, each with what must be told of it: kernels, limits and eaters of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from oom_printk import KERNELS, Group, Kernel, Proc, Ram, Zone, dmesg, group_info, head, kill, log, mem_info
from oom_printk import report, summary, syslog, table, trigger

MB = 1 << 20


@dataclass(frozen=True)
class Told:
    """What an event is."""

    trigger: Optional[str] = "java"
    order: Optional[int] = 0
    constraint: Optional[str] = "none"
    victims: tuple[tuple[Optional[int], Optional[str]], ...] = ()
    anon: Optional[float] = None
    """anon-rss of the first victim in MiB."""
    how: str = "chosen"
    panic: Optional[str] = None
    confirmed: Optional[bool] = None
    """The recomputed victim; None where nothing can be recomputed."""
    causes: tuple[str, ...] = ()
    """Causes that must be among those found; the first one must be the first that names a holder or limit."""
    silent: tuple[str, ...] = ()
    """Causes that must not."""
    failure: Optional[str] = None
    manual: bool = False
    killer: str = "kernel"
    reaped: Optional[bool] = None
    more: tuple[tuple[str, object], ...] = ()
    """Attributes of the event."""


@dataclass(frozen=True)
class Case:
    """A log and its events."""

    name: str
    data: bytes
    events: tuple[Told, ...] = ()


JAVA = Proc(4711, "java", 5200, 20, uid=1001, tables=12)
BASH = Proc(812, "bash", 3)
INIT = Proc(1, "systemd", 8, 2, uid=0)
JOURNAL = Proc(431, "systemd-journal", 4, 20, adj=-250, uid=0)
SSHD = Proc(633, "sshd", 2, 3, adj=-1000, uid=0)
SMALL = (INIT, JOURNAL, SSHD, BASH)
USUAL = (*SMALL, JAVA)
FULL = Ram(anon=7500)
"""8,000,000 kB are 7,812 MiB; free 29, slab 150, the rest 80."""


def _kernels() -> list[Case]:
    """The machine is full because of one process: every kernel."""
    cases = []
    for name, kernel in KERNELS.items():
        old = kernel.version < (2, 6, 25)
        zone = Zone(free=30_016 if kernel.page > 4096 else 30_000)
        ram = Ram(anon=7500, zones=(zone,))
        cases.append(
            Case(
                f"full by one process, {name}",
                log(dmesg(report(kernel, USUAL, JAVA, ram=ram))),
                (
                    Told(
                        victims=((4711, "java"),),
                        anon=None if old else 5200,
                        confirmed=None if old else True,
                        causes=() if old else ("jvm",),
                        failure="watermark",
                        more=(("missing", []), ("page_size", kernel.page)),
                    ),
                ),
            )
        )
    return cases


STATS = (("anon", 1000 * MB), ("file", 4 * MB), ("kernel_stack", MB), ("pagetables", 6 * MB), ("shmem", 0))
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0c4c9a2e_7d0b_4c39_9b55_5f3d3a1e7c11.slice"
CONTAINER = POD + "/cri-containerd-5f0c1e9b7a664d4d8e8f3b2a1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d.scope"
PAUSE = Proc(3999, "pause", 0.03, adj=-998, uid=65535, tables=0.03)
POD_JAVA = Proc(4711, "java", 990, 12, adj=968, uid=1001, tables=3)


def _groups() -> list[Case]:
    """A memory cgroup reached its limit."""
    app = Proc(4711, "java", 1000, 10, tables=3)
    side = Proc(4790, "sh", 1)
    told = Told(constraint="memcg", victims=((4711, "java"),), anon=1000, confirmed=True, failure="memcg")
    cases = [
        Case(
            f"v2 unit, {name}",
            log(dmesg(report(KERNELS[name], (side, app), app, group=Group(stats=STATS)))),
            (
                replace_told(
                    told,
                    causes=("memcg-limit", "jvm"),
                    more=(("memcg", "/system.slice/app.service"), ("missing", [])),
                ),
            ),
        )
        for name in ("5.4", "el9", "6.1", "6.12", "6.18", "7.1")
    ]
    v1 = Group("/docker", "/docker/1f0ca", v2=False, swap=(0, 1 << 20), stats=(("rss", 0), ("cache", 0)))
    below = Group(
        "/docker",
        "/docker/1f0ca",
        v2=False,
        swap=(0, 1 << 20),
        stats=(("rss", 0), ("cache", 0)),
        below=(("/docker/1f0ca", 8192, 1024 * 1000), ("/docker/2b771", 100, 2048)),
    )
    for name in ("el6", "el7", "4.4", "4.15", "4.19", "el8"):
        kernel = KERNELS[name]
        group = below if name != "el6" else v1
        cases.append(
            Case(
                f"v1 nested, {name}",
                log(syslog(report(kernel, (side, app), app, group=group))),
                (
                    replace_told(
                        told,
                        causes=("memcg-limit", "jvm"),
                        more=(("memcg", "/docker"), ("task_memcg", "/docker/1f0ca"), ("missing", [])),
                    ),
                ),
            )
        )
    tmp = Group(
        "/docker",
        v2=False,
        swap=(0, None),
        stats=(
            ("anon", 100 * MB),
            ("file", 910 * MB),
            ("shmem", 905 * MB),
            ("slab_reclaimable", 2 * MB),
            ("slab_unreclaimable", 3 * MB),
        ),
    )
    little = Proc(4711, "java", 90, 10, tables=1)
    cases += [
        Case(
            "v1 of a kernel with new statistics, files in tmpfs",
            log(dmesg(report(KERNELS["5.4"], (side, little), little, group=tmp))),
            (
                replace_told(
                    told,
                    anon=90,
                    causes=("memcg-limit", "tmpfs"),
                    more=(("group.version", 1),),
                    silent=("jvm",),
                ),
            ),
        ),
        Case(
            "v2 pod of Kubernetes",
            log(
                dmesg(
                    report(
                        KERNELS["6.1"],
                        (PAUSE, POD_JAVA),
                        POD_JAVA,
                        group=Group(POD, CONTAINER, limit=1 << 20, stats=STATS),
                    )
                )
            ),
            (
                Told(
                    constraint="memcg",
                    victims=((4711, "java"),),
                    anon=990,
                    confirmed=True,
                    causes=("memcg-limit", "jvm"),
                    more=(("memcg", POD), ("task_memcg", CONTAINER)),
                ),
            ),
        ),
    ]
    workers = tuple(Proc(5000 + n, "postgres", 60, 5, 30, uid=26) for n in range(6))
    group = Group(stats=STATS)
    lines = report(KERNELS["6.1"], workers, workers[5], group=group)
    lines.append(f"Tasks in {group.path} are going to be killed due to memory.oom.group set")
    for worker in (*workers[:5], workers[5]):
        lines += kill(KERNELS["6.1"], worker, "Memory cgroup out of memory")
        lines.append(
            f"oom_reaper: reaped process {worker.pid} ({worker.comm}), now anon-rss:0kB, file-rss:0kB, shmem-rss:30720kB"
        )
    cases.append(
        Case(
            "memory.oom.group kills all of it",
            log(dmesg(lines)),
            (
                Told(
                    trigger="postgres",
                    constraint="memcg",
                    victims=((5005, "postgres"), *((5000 + n, "postgres") for n in range(5))),
                    anon=60,
                    confirmed=True,
                    reaped=True,
                    causes=("memcg-limit",),
                    more=(("oom_group", "/system.slice/app.service"),),
                ),
            ),
        )
    )
    sock = Group(
        stats=(("anon", 60 * MB), ("file", MB), ("sock", 800 * MB), ("percpu", 20 * MB), ("kernel", 150 * MB))
    )
    proxy = Proc(4711, "envoy", 55, 10)
    cases.append(
        Case(
            "v2, buffers of sockets",
            log(dmesg(report(KERNELS["6.1"], (side, proxy), proxy, by=proxy, group=sock))),
            (
                Told(
                    trigger="envoy",
                    constraint="memcg",
                    victims=((4711, "envoy"),),
                    confirmed=True,
                    causes=("memcg-limit", "sockets"),
                    silent=("one-process",),
                ),
            ),
        )
    )
    vm = Group(stats=(("anon", 60 * MB), ("percpu", 700 * MB), ("vmalloc", 90 * MB), ("kernel", 900 * MB)))
    cases.append(
        Case(
            "v2, per-CPU memory of the kernel",
            log(dmesg(report(KERNELS["el9"], (side, proxy), proxy, by=proxy, group=vm))),
            (
                Told(
                    trigger="envoy",
                    constraint="memcg",
                    victims=((4711, "envoy"),),
                    confirmed=True,
                    causes=("memcg-limit", "kernel-memory"),
                    silent=("one-process",),
                ),
            ),
        )
    )
    nobody = [
        *report(KERNELS["5.4"], (SSHD,), None, by=SSHD, group=Group(stats=STATS)),
        "Out of memory and no killable processes...",
    ]
    cases.append(
        Case(
            "memcg without a process that may be killed",
            log(dmesg(nobody)),
            (Told(trigger="sshd", constraint="memcg", more=(("nobody", True), ("missing", []))),),
        )
    )
    fork = tuple(Proc(6000 + n, "php-fpm", 12, 6, uid=33) for n in range(80))
    cases.append(
        Case(
            "v2, many small processes",
            log(dmesg(report(KERNELS["6.12"], fork, fork[79], by=fork[3], group=Group(stats=STATS)))),
            (
                Told(
                    trigger="php-fpm",
                    constraint="memcg",
                    victims=((6079, "php-fpm"),),
                    confirmed=True,
                    causes=("memcg-limit", "many-processes"),
                ),
            ),
        )
    )
    return cases


def replace_told(told: Told, **changes: object) -> Told:
    """Return it with changes."""
    from dataclasses import replace

    return replace(told, **changes)  # type: ignore[arg-type]


def _nodes() -> list[Case]:
    """Only some nodes were allowed."""
    zones = (
        Zone("Normal", 0, 30_000, 45_000, 8_000_000),
        Zone("Normal", 1, 6_000_000, 45_000, 8_000_000),
    )
    ram = Ram(anon=9000, zones=zones)
    told = Told(victims=((4711, "java"),), confirmed=True, failure="nodes", causes=("node-limit",))
    return [
        Case(
            "cpuset",
            log(
                dmesg(
                    report(
                        KERNELS["5.4"], USUAL, JAVA, ram=ram, constraint="CPUSET", cpuset="batch", mems="0"
                    )
                )
            ),
            (replace_told(told, constraint="cpuset", more=(("cpuset", "batch"), ("mems_allowed", "0"))),),
        ),
        Case(
            "mbind to a node",
            log(
                dmesg(
                    report(
                        KERNELS["6.12"],
                        USUAL,
                        JAVA,
                        ram=ram,
                        constraint="MEMORY_POLICY",
                        nodemask="0",
                        mems="0-1",
                    )
                )
            ),
            (replace_told(told, constraint="memory_policy", more=(("nodemask", "0"),)),),
        ),
        Case(
            "memory policy, RHEL 5",
            log(syslog(report(KERNELS["el5"], USUAL, JAVA, ram=ram, why="No available memory (MPOL_BIND)"))),
            (Told(constraint="memory_policy", victims=((4711, "java"),)),),
        ),
    ]


def _panics() -> list[Case]:
    kernel = KERNELS["el8"]
    lines = report(kernel, USUAL, None, ram=FULL)
    end = [
        "CPU: 1 PID: 4711 Comm: java Not tainted 4.18.0-553.el8_10.x86_64 #1",
        "Call Trace:",
        " panic+0xe7/0x2a9",
    ]
    cases = []
    for number, kind, words in (
        (1, "system-wide", "Out of memory: system-wide panic_on_oom is enabled"),
        (2, "compulsory", "Out of memory: compulsory panic_on_oom is enabled"),
    ):
        panic = f"Kernel panic - not syncing: {words}"
        cases.append(
            Case(
                f"panic_on_oom {number}",
                log(dmesg([*lines, panic, *end, f"---[ end {panic} ]---"])),
                (Told(panic=kind, causes=("jvm",), more=(("missing", []),)),),
            )
        )
    group = report(KERNELS["6.1"], (JAVA,), None, group=Group(stats=STATS))
    panic = "Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled"
    cases.append(
        Case(
            "panic_on_oom 2 of a memcg",
            log(dmesg([*group, panic])),
            (Told(constraint="memcg", panic="compulsory", causes=("memcg-limit",)),),
        )
    )
    dead = [
        *report(KERNELS["6.12"], (SSHD,), None, ram=Ram(anon=10, unreclaimable=7600), by=SSHD),
        "Out of memory and no killable processes...",
        "Kernel panic - not syncing: System is deadlocked on memory",
    ]
    cases.append(
        Case(
            "nothing to kill, deadlocked",
            log(dmesg(dead)),
            (Told(trigger="sshd", panic="deadlocked", causes=("slab",), more=(("nobody", True),)),),
        )
    )
    old = [
        *report(KERNELS["sles11"], (SSHD,), None, ram=Ram(anon=10, unreclaimable=7600), by=SSHD),
        "Kernel panic - not syncing: Out of memory and no killable processes...",
        "",
        "Pid: 633, comm: sshd Not tainted 3.0.101-63-default #1",
    ]
    cases.append(
        Case(
            "nothing to kill, SLES 11",
            log(dmesg(old)),
            (Told(trigger="sshd", panic="no killable", causes=("slab",)),),
        )
    )
    later = [
        *dmesg(report(KERNELS["el9"], USUAL, JAVA, ram=FULL)),
        *dmesg(["usb 1-1: new high-speed USB device number 5", "sysrq: Trigger a crash"], 90_000),
        *dmesg(["Kernel panic - not syncing: sysrq triggered crash", "CPU: 0 PID: 9 Comm: bash"], 90_001),
    ]
    cases.append(
        Case(
            "a panic a day later has nothing to do with it",
            log(later),
            (Told(victims=((4711, "java"),), anon=5200, confirmed=True, panic=None),),
        )
    )
    return cases


def _sysrq() -> list[Case]:
    idle = Ram(anon=2700, zones=(Zone(free=5_000_000),))
    worker = Proc(77, "kworker/0:1", uid=0)
    told = Told(trigger="kworker/0:1", order=-1, manual=True, failure="manual", causes=("manual",))
    victim = replace_told(told, victims=((4711, "java"),), confirmed=True, silent=("swap-full", "unowned"))
    kernel = KERNELS["6.1"]
    small = Proc(4711, "java", 500, 20)
    lines = report(kernel, (*SMALL, small), small, by=worker, gfp="GFP_KERNEL", order=-1, ram=idle)
    nobody = [
        "sysrq: Manual OOM execution",
        *report(kernel, (SSHD,), None, by=worker, gfp="GFP_KERNEL", order=-1, ram=idle),
        "Out of memory and no killable processes...",
        "sysrq: OOM request ignored. No task eligible",
    ]
    old = ["SysRq : Manual OOM execution"]
    old += report(KERNELS["el7"], (*SMALL, small), small, by=worker, gfp="GFP_KERNEL", ram=idle, score=60)
    return [
        Case("SysRq-f", log(dmesg(["sysrq: Manual OOM execution", *lines])), (victim,)),
        Case("SysRq-f, its line lost", log(dmesg(lines)), (victim,)),
        Case("SysRq-f without a victim", log(dmesg(nobody)), (replace_told(told, more=(("nobody", True),)),)),
        Case("SysRq-f, RHEL 7", log(dmesg(old)), (replace_told(victim, order=0),)),
        Case(
            "SysRq-f that printed nothing of memory",
            log(dmesg(["sysrq: Manual OOM execution", "sysrq: OOM request ignored. No task eligible"])),
            (),
        ),
    ]


def _zones() -> list[Case]:
    i386 = (
        Zone("DMA", None, 3_500, 68, 16_000, reserve="0 867 4053 4053"),
        Zone("Normal", None, 3_600, 3_756, 890_000, reserve="0 0 25490 25490"),
        Zone("HighMem", None, 1_900_000, 512, 3_260_000, reserve="0 0 0 0"),
    )
    blocks = "20000*4kB (UME) 9000*8kB (UME) 100*16kB (U) 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB"
    dma32 = (
        Zone("DMA32", 0, 5_000, 9_000, 1_900_000, reserve="0 0 6000 6000"),
        Zone("Normal", 0, 3_000_000, 30_000, 6_000_000),
    )
    cases = [
        Case(
            "low memory of i386",
            log(
                dmesg(
                    report(
                        KERNELS["4.4"],
                        USUAL,
                        JAVA,
                        gfp="GFP_KERNEL",
                        ram=Ram(1900, 100, unreclaimable=600, zones=i386),
                    )
                )
            ),
            (
                Told(
                    victims=((4711, "java"),),
                    failure="lowmem",
                    confirmed=True,
                    causes=("lowmem",),
                    silent=("unowned",),
                ),
            ),
        ),
        Case(
            "DMA32 for a driver",
            log(
                dmesg(
                    report(
                        KERNELS["6.1"], USUAL, JAVA, gfp="GFP_KERNEL|GFP_DMA32", ram=Ram(4700, zones=dma32)
                    )
                )
            ),
            (Told(victims=((4711, "java"),), failure="lowmem", confirmed=True, causes=("lowmem",)),),
        ),
        Case(
            "order 3 in pieces",
            log(
                dmesg(
                    report(
                        KERNELS["5.4"],
                        USUAL,
                        JAVA,
                        gfp="GFP_KERNEL",
                        order=3,
                        ram=Ram(7300, zones=(Zone(free=153_600, blocks=blocks),)),
                    )
                )
            ),
            (
                Told(
                    order=3,
                    victims=((4711, "java"),),
                    failure="fragmentation",
                    confirmed=True,
                    causes=("fragmentation",),
                ),
            ),
        ),
    ]
    return cases


def _eaters() -> list[Case]:
    """Who held the memory, where it was no process."""
    kernel, new = KERNELS["6.1"], KERNELS["6.18"]
    little = (*SMALL, Proc(4711, "java", 200, 20))
    java = little[-1]
    caches = (("task_struct", 20_000), ("kmalloc-4k", 5_100_000), ("dentry", 900))
    told = Told(victims=((4711, "java"),), confirmed=True, silent=("jvm", "one-process"))
    names = ("gimp", "firefox", "thunderbird", "chrome", "code", "soffice.bin", "blender", "kdenlive")
    desktop = tuple(Proc(7000 + n, name, 950 - n) for n, name in enumerate(names))
    fork = tuple(Proc(9000 + n, "php-fpm", 14, 2, 1, uid=33) for n in range(450))
    mapped = tuple(Proc(9000 + n, "postgres", 4, 2, 180, uid=26, tables=20) for n in range(20))

    def case(name: str, ram: Ram, causes: tuple[str, ...], k: Kernel = kernel, **more: object) -> Case:
        return Case(
            name,
            log(dmesg(report(k, little, java, ram=ram, **more))),  # type: ignore[arg-type]
            (replace_told(told, causes=causes),),
        )

    return [
        case("slab with its caches", Ram(260, unreclaimable=7200), ("slab",), caches=caches),
        case("slab, RHEL 6", Ram(260, unreclaimable=7200), ("slab",), KERNELS["el6"]),
        case("huge pages reserved and unused", Ram(260, huge=(3600, 3500, 2048)), ("hugetlb",)),
        case(
            "huge pages reserved, arm64",
            Ram(260, huge=(14, 14, 524288), zones=(Zone(free=30_016),)),
            ("hugetlb",),
            KERNELS["arm64 64k"],
        ),
        case("memory of nobody: vmalloc or a driver", Ram(260), ("unowned",)),
        case("zram, in the count of zspages", Ram(900, zspages=6500, swap=(16_000_000, 40)), ("zram",), new),
        case("balloon, in its count", Ram(260, balloon=7100), ("balloon",), new),
        case("memory of a GPU", Ram(260, gpu=7100), ("gpu",), KERNELS["7.1"]),
        case("tmpfs", Ram(260, shmem=7200), ("tmpfs",)),
        case("locked", Ram(260, locked=7100), ("locked",)),
        case("page tables", Ram(260, tables=7100), ("page-tables",)),
        case("pages of files that could not be written", Ram(260, file=7100), ("page-cache",)),
        Case(
            "several programs",
            log(dmesg(report(kernel, (*SMALL, *desktop), desktop[0], by=desktop[5], ram=FULL))),
            (
                Told(
                    trigger=desktop[5].comm,
                    victims=((7000, "gimp"),),
                    confirmed=True,
                    causes=("several-processes",),
                    silent=("one-process", "many-processes"),
                ),
            ),
        ),
        case("stacks of threads", Ram(260, stacks=6000, unreclaimable=1200), ("threads",)),
        Case(
            "many small processes",
            log(dmesg(report(kernel, (*SMALL, *fork), fork[-1], by=fork[7], ram=FULL))),
            (
                Told(
                    trigger="php-fpm",
                    victims=((9449, "php-fpm"),),
                    confirmed=True,
                    causes=("many-processes",),
                    silent=("one-process",),
                ),
            ),
        ),
        Case(
            "shared memory of a database",
            log(
                dmesg(
                    report(
                        new, (*SMALL, *mapped), mapped[-1], by=mapped[0], ram=Ram(700, shmem=6500, tables=400)
                    )
                )
            ),
            (Told(trigger="postgres", victims=((9019, "postgres"),), confirmed=True, causes=("tmpfs",)),),
        ),
        Case(
            "one process, mostly in swap",
            log(
                dmesg(
                    report(
                        KERNELS["el9"],
                        (*SMALL, Proc(4711, "mysqld", 300, swap=7000, uid=27), Proc(4800, "java", 4000)),
                        Proc(4711, "mysqld", 300, swap=7000, uid=27),
                        by=JAVA,
                        ram=Ram(7500, swap=(8_000_000, 12)),
                    )
                )
            ),
            (
                Told(
                    victims=((4711, "mysqld"),), anon=300, confirmed=True, causes=("one-process", "swap-full")
                ),
            ),
        ),
    ]


def _choices() -> list[Case]:
    """Whom the kernel takes."""
    kernel = KERNELS["5.4"]
    shielded = Proc(5000, "mysqld", 6000, adj=-1000, uid=27)
    adjusted = Proc(5001, "chrome", 100, adj=300)
    stuck = Proc(5100, "java", 5000, 20)
    second = Proc(5200, "firefox", 900, 20)
    first = report(kernel, (*SMALL, stuck, second), stuck, by=second, ram=FULL)
    first.append(f"oom_reaper: unable to reap pid:{stuck.pid} ({stuck.comm})")
    again = report(kernel, (*SMALL, stuck, second), second, by=second, ram=FULL)
    child = Proc(4712, "worker", 300)
    parent = Proc(4711, "java", 4000)
    group_lines = report(KERNELS["6.1"], USUAL, JAVA, ram=FULL)
    exiting = [
        *report(KERNELS["6.12"], USUAL, None, ram=FULL),
        "OOM victim 4711 (java) is already exiting. Skip killing the task",
    ]
    off = Proc(7000, "swapoff", 1, uid=0)
    return [
        Case(
            "the largest may not be killed",
            log(dmesg(report(kernel, (*SMALL, shielded, JAVA), JAVA, ram=FULL))),
            (Told(victims=((4711, "java"),), confirmed=True),),
        ),
        Case(
            "adjusted above larger ones",
            log(dmesg(report(kernel, (*SMALL, adjusted, Proc(4711, "java", 2000)), adjusted, ram=FULL))),
            (Told(victims=((5001, "chrome"),), anon=100, confirmed=True),),
        ),
        Case(
            "a victim that could not be reaped is passed over",
            log(dmesg(first), dmesg(again, 514)),
            (
                Told(trigger="firefox", victims=((5100, "java"),), confirmed=True, reaped=False),
                Told(trigger="firefox", victims=((5200, "firefox"),), confirmed=True),
            ),
        ),
        Case(
            "a child dies for its parent",
            log(dmesg(report(KERNELS["el7"], (*SMALL, parent, child), child, by=JAVA, of=parent, ram=FULL))),
            (Told(victims=((4712, "worker"),), anon=300, how="child", confirmed=True),),
        ),
        Case(
            "oom_kill_allocating_task",
            log(
                dmesg(
                    report(
                        KERNELS["el9"],
                        USUAL,
                        BASH,
                        by=BASH,
                        ram=FULL,
                        why="Out of memory (oom_kill_allocating_task)",
                    )
                )
            ),
            (Told(trigger="bash", victims=((812, "bash"),), more=(("allocating_task", True),)),),
        ),
        Case(
            "reaped",
            log(
                dmesg(
                    [
                        *group_lines,
                        "oom_reaper: reaped process 4711 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
                    ]
                )
            ),
            (Told(victims=((4711, "java"),), reaped=True, confirmed=True),),
        ),
        Case(
            "already exiting",
            log(dmesg(exiting)),
            (Told(more=(("already_exiting", [(4711, "java")]), ("missing", []))),),
        ),
        Case(
            "swapoff asks to be first",
            log(dmesg(report(kernel, (*USUAL, off), off, by=off, ram=Ram(7500, swap=(4_000_000, 100))))),
            (Told(trigger="swapoff", victims=((7000, "swapoff"),), confirmed=None),),
        ),
    ]


def _names() -> list[Case]:
    """Names of processes that look like something else."""
    cases = []
    for comm in (
        "tmux: server",
        "runc:[2:INIT]",
        "(sd-pam)",
        "a) b (c",
        "[x] y",
        "x,pid=1,uid=0",
        "Web Content",
        "日本",
    ):
        proc = Proc(4711, comm, 5200, 20)
        for name in ("el7", "el9"):
            cases.append(
                Case(
                    f"a process named {comm}, {name}",
                    log(dmesg(report(KERNELS[name], (*SMALL, proc), proc, by=proc, ram=FULL))),
                    (Told(trigger=comm, victims=((4711, comm),), anon=5200, confirmed=True),),
                )
            )
    return cases


__all__ = ["Case", "Told"]
CASES = [
    *_kernels(),
    *_groups(),
    *_nodes(),
    *_panics(),
    *_sysrq(),
    *_zones(),
    *_eaters(),
    *_choices(),
    *_names(),
]
