"""Logs of OOM events as they reach us: cut, mixed, carried."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Optional

from oom_printk import (
    KERNELS,
    Group,
    Proc,
    Ram,
    Zone,
    allocation_failure,
    dmesg,
    kill,
    log,
    mem_info,
    report,
    summary,
    syslog,
)
from oom_told import FULL, JAVA, SMALL, STATS, USUAL, Case, Told

OLD, NEW = KERNELS["el7"], KERNELS["6.1"]
JVM = ((4711, "java"),)
TOLD = Told(victims=JVM, anon=5200, confirmed=True, causes=("jvm",))
WHOLE = report(NEW, USUAL, JAVA, ram=FULL)
LATER = report(OLD, USUAL, JAVA, ram=FULL)


OTHER = mem_info(NEW, Ram(anon=11, slab=22, unreclaimable=33, swap=(5555, 4444), zones=(Zone("DMA32", 0),)))


def _lost() -> list[Case]:
    table_at = next(n for n, text in enumerate(WHOLE) if text.startswith("[  pid"))
    info_at = WHOLE.index("Mem-Info:")
    dropped = [*WHOLE[:10], *WHOLE[14:]]
    cut = [text[:90] for text in WHOLE]
    silent = kill(NEW, Proc(4800, "node", 700), "Out of memory")
    suppressed = [summary(Proc(4800, "node", 700)), *silent]
    return [
        Case(
            "the beginning lost, up to the memory",
            log(dmesg(WHOLE[info_at + 1 :])),
            (
                Told(
                    None,
                    None,
                    victims=JVM,
                    anon=5200,
                    confirmed=True,
                    causes=("jvm",),
                    more=(("missing", ["trigger"]),),
                ),
            ),
        ),
        Case(
            "the beginning lost, up to the table",
            log(dmesg(WHOLE[table_at + 2 :])),
            (Told(None, None, victims=JVM, anon=5200, more=(("missing", ["trigger", "memory", "tasks"]),)),),
        ),
        Case(
            "the end lost",
            log(dmesg(WHOLE[:-3])),
            (Told(more=(("missing", ["outcome"]),)),),
        ),
        Case(
            "the end lost within the name of the victim",
            log(dmesg([*WHOLE[:-1], WHOLE[-1][: WHOLE[-1].index("va)")]])),
            (Told(victims=((4711, None),), confirmed=True),),
        ),
        Case(
            "messages dropped, a line of their own",
            log(dmesg(dropped[:12]), ["** 312 printk messages dropped **"], dmesg(dropped[12:], 512)),
            (Told(victims=JVM, confirmed=True, more=(("missing", ["dropped lines"]),)),),
        ),
        Case(
            "messages dropped, before the next",
            log(
                dmesg(dropped[:12]),
                ["** 312 printk messages dropped ** " + dmesg(dropped[12:13], 512)[0]],
                dmesg(dropped[13:], 512),
            ),
            (Told(victims=JVM, confirmed=True, more=(("missing", ["dropped lines"]),)),),
        ),
        Case(
            "messages missed by journald",
            log(
                syslog(dropped[:12]),
                syslog(["Missed 312 kernel messages"], "systemd-journald[301]"),
                syslog(dropped[12:]),
            ),
            (Told(victims=JVM, confirmed=True, more=(("missing", ["dropped lines"]),)),),
        ),
        Case(
            "lines cut at 90 characters",
            log(dmesg(cut)),
            (Told(victims=JVM, confirmed=True),),
        ),
        Case(
            "last message repeated",
            log(
                syslog(LATER[:7]),
                ["Mar  1 02:14:07 web last message repeated 2 times"],
                syslog(LATER[7:-1]),
                ["Mar  1 02:14:07 web last message repeated 3 times"],
                syslog(LATER[-1:]),
            ),
            (TOLD,),
        ),
        Case(
            "a kill whose report was suppressed",
            log(
                dmesg(WHOLE),
                dmesg(["oom_kill_process: 3 callbacks suppressed", *suppressed], 520),
                dmesg(kill(NEW, Proc(4801, "node", 701), "Out of memory"), 530),
            ),
            (
                TOLD,
                Told(None, None, victims=((4800, "node"),), anon=700),
                Told(None, None, victims=((4801, "node"),), anon=701),
            ),
        ),
    ]


def _mixed() -> list[Case]:
    group = Group("/docker/a", v2=False, swap=(0, 1 << 20), stats=(("rss", 1000 << 20),))
    other = Group("/docker/b", v2=False, swap=(0, 1 << 20), stats=(("rss", 1000 << 20),))
    node = Proc(4800, "node", 990)
    java = Proc(4711, "java", 1000)
    one, two = report(OLD, (java,), java, group=group), report(OLD, (node,), node, group=other)
    # The heads are mixed line by line, then each prints on.
    mixed = [line for pair in zip(one[:4], two[:4]) for line in pair] + one[4:] + two[4:]
    crossed = [line for pair in zip(one[:4], two[:4]) for line in pair] + two[4:] + one[4:]
    callers = [
        line
        for pair in zip(
            dmesg(report(NEW, USUAL, JAVA, ram=FULL), caller="[ T4711]"),
            dmesg(allocation_failure(OTHER) * 9, caller="[   T99]"),
        )
        for line in pair
    ]
    killed = [
        Told("java", constraint="memcg", victims=((4711, "java"),), anon=1000),
        Told("node", constraint="memcg", victims=((4800, "node"),), anon=990),
    ]
    hosts = [
        line
        for pair in zip(
            syslog(WHOLE, host="db1"), syslog(report(NEW, (*SMALL, node), node, ram=FULL), host="db2")
        )
        for line in pair
    ]
    after = [*WHOLE, "usb 1-1: reset", *allocation_failure(OTHER)]
    comm = Proc(4711, "ja\nva", 5200, 20)
    newline = [
        part for text in report(NEW, (*SMALL, comm), comm, by=SMALL[3], ram=FULL) for part in text.split("\n")
    ]
    indented = []
    for text in dmesg(report(NEW, (*SMALL, comm), comm, by=SMALL[3], ram=FULL)):
        first, *rest = text.split("\n")
        indented += [first, *(" " * 15 + part for part in rest)]
    named = Told("bash", victims=((4711, "ja\nva"),), anon=5200, confirmed=True)
    return [
        Case("two reports mixed, no callers", log(dmesg(mixed)), tuple(killed)),
        Case(
            "two reports mixed, the later one is done first",
            log(dmesg(crossed)),
            tuple(replace(told, confirmed=True) for told in killed),
        ),
        Case("an allocation failure mixed in, by its caller", log(callers), (TOLD,)),
        Case(
            "two hosts mixed",
            log(hosts),
            (TOLD, Told("node", victims=((4800, "node"),), anon=990, confirmed=True)),
        ),
        Case(
            "an allocation failure right after the kill",
            log(dmesg(after)),
            (
                Told(
                    victims=JVM,
                    confirmed=True,
                    more=(("release", "6.1.0-28-amd64"), ("memory.swap_total", 0)),
                    causes=("jvm",),
                    silent=("unowned",),
                ),
            ),
        ),
        Case(
            "an allocation failure right before",
            log(dmesg([*allocation_failure(OTHER), *WHOLE])),
            (Told(victims=JVM, confirmed=True, more=(("memory.swap_total", 0),)),),
        ),
        Case("a line end in the name of the victim", log(dmesg(newline)), (named,)),
        Case("a line end in the name of the victim, dmesg", log(indented), (named,)),
    ]


def _carried() -> list[Case]:
    docker = [
        json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2026-03-01T02:14:07.1Z"})
        for line in dmesg(WHOLE)
    ]
    fluent = [
        json.dumps({"host": "n1", "ident": "kernel", "pid": None, "message": line}) for line in dmesg(WHOLE)
    ]
    nested = [
        json.dumps({"log": line, "kubernetes": {"pod_name": "x", "labels": {"app": "log"}}})
        for line in syslog(WHOLE)
    ]
    cri = [f"2026-03-01T02:14:07.{n:09d}Z stderr F {line}" for n, line in enumerate(dmesg(WHOLE))]
    aws = [
        json.dumps({"timestamp": 1772331247000 + n, "message": line}) for n, line in enumerate(syslog(WHOLE))
    ]
    azure = ["2026-03-01T02:14:07.1234567Z " + line for line in dmesg(WHOLE)]
    android = [f"<4>[  511.{n:06d}] (0)[{4711}:java]{text}" for n, text in enumerate(LATER)]
    return [
        Case("Docker", log(docker), (TOLD,)),
        Case("fluentd", log(fluent), (TOLD,)),
        Case("Kubernetes, JSON around syslog", log(nested), (TOLD,)),
        Case("Kubernetes, CRI", log(cri), (TOLD,)),
        Case("CloudWatch", log(aws), (TOLD,)),
        Case("a serial console of Azure or a CI, with its own times", log(azure), (TOLD,)),
        Case("MediaTek", log(android), (TOLD,)),
    ]


def _daemons() -> list[Case]:
    def daemon(
        name: str, killer: str, lines: list[str], *victims: tuple[Optional[int], Optional[str]]
    ) -> Case:
        how = "chosen" if victims and victims[0][0] is not None else "group"
        told = Told(None, None, constraint=None, victims=victims, killer=killer, how=how)
        return Case(name, log(lines), (told,))

    scope = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4711.scope"
    pressure = f"Killed {scope} due to memory pressure for /user.slice/user-1000.slice/user@1000.service being 72.35% > 50.00% for > 20s with reclaim activity"
    swap = f"Killed {scope} due to memory used (15909212160) / total (16500932608) and swap used (7817363456) / total (8589930496) being more than 90.00%"
    return [
        daemon("systemd-oomd, pressure", "systemd-oomd", syslog([pressure], "systemd-oomd[611]")),
        daemon(
            "systemd-oomd, swap, and what systemd says of it",
            "systemd-oomd",
            syslog([swap], "systemd-oomd[611]")
            + syslog(
                [
                    "app-gnome-firefox-4711.scope: systemd-oomd killed 213 process(es) in this unit.",
                    "app-gnome-firefox-4711.scope: Failed with result 'oom-kill'.",
                ],
                "systemd[1201]",
            ),
        ),
        daemon(
            "systemd-oomd, from 258",
            "systemd-oomd",
            syslog(
                [
                    "Considered 12 cgroups for killing, top candidates were:",
                    pressure.replace("Killed", "Marked").replace(" due to", " for killing due to", 1),
                ],
                "systemd-oomd[611]",
            ),
        ),
        daemon(
            "earlyoom 1.7",
            "earlyoom",
            syslog(
                [
                    "mem avail:   412 of 15812 MiB ( 2.61%), swap free:    0 of 2047 MiB ( 0.00%)",
                    "low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%",
                    'sending SIGTERM to process 4711 uid 1000 "chrome": oom_score 1208, VmRSS 2841 MiB, cmdline "/opt/chrome"',
                    "process 4711 exited after 0.1 seconds",
                ],
                "earlyoom[720]",
            ),
            (4711, "chrome"),
        ),
        daemon(
            "earlyoom 1.3, twice the same process",
            "earlyoom",
            syslog(
                [
                    'sending SIGTERM to process 4711 uid 1000 "chrome": badness 733, VmRSS 2841 MiB',
                    'sending SIGKILL to process 4711 uid 1000 "chrome": badness 733, VmRSS 2841 MiB',
                ],
                "earlyoom[720]",
            ),
            (4711, "chrome"),
        ),
        daemon(
            "oomd of Facebook",
            "oomd",
            dmesg(
                [
                    "oomd kill: 81.28 80.05 42.78 workload.slice/a.service 1048576 ruleset:[pressure] "
                    "detectorgroup:[slow] killer:kill_by_memory_size_or_growth v2"
                ]
            ),
            (None, None),
        ),
        daemon(
            "nohang",
            "nohang",
            syslog(
                [
                    "Memory status that requires corrective actions:",
                    "  MemAvailable [1%] <= hard threshold [5%]",
                    "Found 2 processes with oom_score > 10:",
                    "[ OK ] Victim PID: 4711, Name: chrome",
                    "Implementing a corrective action:",
                    "  Sending SIGTERM to chrome; total response time: 33 ms",
                ],
                "nohang[815]",
            ),
            (4711, "chrome"),
        ),
    ]


def _words() -> list[Case]:
    """Words that few kernels use."""
    new = Proc(4711, "java", 5200, 20, uid=1001)
    lines = report(OLD, (*SMALL, new), new, ram=FULL)
    late = [*lines[:-1], lines[-1].replace("(java) ", "(java), UID 1001, ")]
    bpf = [*report(NEW, USUAL, JAVA, ram=FULL, constraint="BPF_PSI_MEM")]
    fault = report(NEW, USUAL, JAVA, gfp="0", ram=FULL)
    leaked = ["Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF", *WHOLE]
    none = report(OLD, USUAL, JAVA, ram=FULL)
    frozen = [text for text in none if "pid ]" not in text and not text.startswith("[ ")]
    empty = Proc(4711, "", 5200, 20)
    tmux = Proc(4711, "tmux: server", 5200, 20)
    server = report(NEW, (*SMALL, tmux), tmux, ram=FULL)
    top = Proc(1, "init", 2, 1, uid=0)
    many = [Proc(8000 + n, "cc1", 60) for n in range(12)]
    return [
        Case("late RHEL 7", log(dmesg(late)), (Told(victims=JVM, anon=5200, confirmed=True),)),
        Case(
            "a constraint of BPF",
            log(dmesg(bpf)),
            (Told(constraint="bpf_psi_mem", victims=JVM, anon=5200, confirmed=True),),
        ),
        Case("a page fault without its mask", log(dmesg(fault)), (TOLD,)),
        Case("a fault that leaked", log(dmesg(leaked)), (TOLD,)),
        Case(
            "oom_dump_tasks = 0",
            log(dmesg(frozen)),
            (Told(victims=JVM, anon=5200, more=(("missing", ["tasks"]),)),),
        ),
        Case(
            "a process without a name",
            log(dmesg(report(NEW, (*SMALL, empty), empty, ram=FULL))),
            (Told(trigger="", victims=((4711, ""),), anon=5200, confirmed=True),),
        ),
        Case(
            "2.4, a fault",
            log(dmesg(["VM: killing process java"])),
            (Told(None, None, victims=((None, "java"),), how="faulting"),),
        ),
        Case(
            "OpenVZ",
            log(
                syslog(
                    [
                        "4711 (java) invoked oom-killer in ub 101 generation 0 gfp 0x280da",
                        "Out of memory in UB 101: OOM killed process 4711 (java) score 0 vm:9000000kB, rss:5324800kB, swap:12kB",
                    ]
                )
            ),
            (
                Told(
                    order=None,
                    constraint="beancounter",
                    victims=JVM,
                    more=(("trigger.pid", 4711), ("trigger.gfp_mask", "0x280da")),
                ),
            ),
        ),
        Case(
            "a program's words before it, on a console without times",
            log([f"Starting web server... {WHOLE[0]}", *WHOLE[1:]]),
            (TOLD,),
        ),
        Case(
            "a name with a blank, and a program's words before it",
            log([f"Starting web server... {server[0]}", *server[1:]]),
            (Told("tmux: server", victims=((4711, "tmux: server"),), anon=5200, confirmed=True),),
        ),
        Case("found in a diff", log([f"+ {text}" for text in WHOLE[:1]], WHOLE[1:]), (TOLD,)),
        Case(
            "cut by less",
            log([text if len(text) < 80 else text[:79] + ">" for text in dmesg(WHOLE)]),
            (Told(order=None, victims=JVM),),
        ),
        Case(
            "init is killed with its group",
            log(
                dmesg(
                    [
                        *report(NEW, (top, JAVA), JAVA, group=Group(stats=STATS)),
                        "Tasks in /system.slice/app.service are going to be killed due to memory.oom.group set",
                        *kill(NEW, JAVA, "Memory cgroup out of memory"),
                        *kill(NEW, top, "Memory cgroup out of memory"),
                        "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
                        "CPU: 2 PID: 1 Comm: init Not tainted 6.1.0-28-amd64 #1",
                    ]
                )
            ),
            (Told(constraint="memcg", victims=(*JVM, (1, "init")), panic="init", confirmed=True),),
        ),
        Case(
            "many kills, one report",
            log(dmesg([*WHOLE, *(line for proc in many for line in (summary(proc), *kill(NEW, proc)))])),
            (TOLD, *(Told(None, None, victims=((proc.pid, proc.comm),), anon=60) for proc in many)),
        ),
        Case(
            "a panic whose report was lost, printed twice",
            log(
                dmesg(
                    [
                        "Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled",
                        "CPU: 1 PID: 4711 Comm: java Not tainted 6.1.0-28-amd64 #1",
                        "---[ end Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled ]---",
                    ]
                )
            ),
            (Told(None, None, panic="compulsory"),),
        ),
        Case(
            "two boots in one file",
            log(dmesg(WHOLE, 9000), dmesg(["Linux version 6.1.0-28-amd64 (gcc) #1"], 0), dmesg(WHOLE, 300)),
            (TOLD, TOLD),
        ),
    ]


CASES = [*_lost(), *_mixed(), *_carried(), *_daemons(), *_words()]
