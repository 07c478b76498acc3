"""Logs of memory cgroups that reached their limit."""

from __future__ import annotations

from dataclasses import replace

from oom_printk import KERNELS, Group, Proc, dmesg, kill, log, report, syslog
from oom_told import MB, SSHD, STATS, Case, Told

POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0c4c9a2e_7d0b_4c39_9b55_5f3d3a1e7c11.slice"
CONTAINER = POD + "/cri-containerd-5f0c1e9b7a664d4d8e8f3b2a1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d.scope"
PAUSE = Proc(3999, "pause", 0.03, adj=-998, uid=65535, tables=0.03)
POD_JAVA = Proc(4711, "java", 990, 12, adj=968, uid=1001, tables=3)


def cases_of_groups() -> list[Case]:
    """A memory cgroup reached its limit."""
    app = Proc(4711, "java", 1000, 10, tables=3)
    side = Proc(4790, "sh", 1)
    told = Told(constraint="memcg", victims=((4711, "java"),), anon=1000, confirmed=True, failure="memcg")
    cases = [
        Case(
            f"v2 unit, {name}",
            log(dmesg(report(KERNELS[name], (side, app), app, group=Group(stats=STATS)))),
            (
                replace(
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
                    replace(
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
                replace(
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


CASES = cases_of_groups()
