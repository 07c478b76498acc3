"""Logs of OOM events of every kernel and kind: constraints, panics, SysRq-f, zones, names of processes."""

from __future__ import annotations

from dataclasses import replace

from oom_printk import KERNELS, Group, Proc, Ram, Zone, dmesg, log, report, syslog
from oom_told import FULL, JAVA, SMALL, SSHD, STATS, USUAL, Case, Told


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
            (replace(told, constraint="cpuset", more=(("cpuset", "batch"), ("mems_allowed", "0"))),),
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
            (replace(told, constraint="memory_policy", more=(("nodemask", "0"),)),),
        ),
        Case(
            "memory policy, RHEL 5",
            log(syslog(report(KERNELS["el5"], USUAL, JAVA, ram=ram, why="No available memory (MPOL_BIND)"))),
            (Told(constraint="memory_policy", victims=((4711, "java"),)),),
        ),
    ]


def _filtered() -> list[Case]:
    """Of a machine with two nodes the report tells of the one that was allowed; counters are of both."""
    cases = []
    for name, constraint in (("4.15", "MEMORY_POLICY"), ("6.12", "CPUSET")):
        ram = Ram(anon=7500, swap=(4_000_000, 3_900_000))
        lines = report(KERNELS[name], USUAL, JAVA, ram=ram, constraint=constraint, cpuset="batch")
        lines = [text.replace("nodemask=(null), order", "nodemask=0, order") for text in lines]
        of_all = {
            f"active_anon:{7500 << 8} ": f"active_anon:{15_100 << 8} ",
            "2009000 pages RAM": "4009000 pages RAM",
        }
        for one, both in of_all.items():
            assert any(one in text for text in lines)
            lines = [text.replace(one, both) for text in lines]
        told = Told(
            constraint=constraint.lower(),
            victims=((4711, "java"),),
            confirmed=True,
            failure="nodes",
            causes=("node-limit", "jvm"),
        )
        cases.append(Case(f"only the allowed node is told of, {name}", log(dmesg(lines)), (told,)))
    return cases


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
    victim = replace(told, victims=((4711, "java"),), confirmed=True, silent=("swap-full", "unowned"))
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
        Case("SysRq-f without a victim", log(dmesg(nobody)), (replace(told, more=(("nobody", True),)),)),
        Case("SysRq-f, RHEL 7", log(dmesg(old)), (replace(victim, order=0),)),
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
    return [
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


CASES = [*_kernels(), *_nodes(), *_filtered(), *_panics(), *_sysrq(), *_zones(), *_names()]
