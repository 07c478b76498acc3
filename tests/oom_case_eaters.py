"""Logs of machines that were full: who or what held the memory, and whom the kernel took."""

from __future__ import annotations

from dataclasses import replace

from oom_printk import KERNELS, Kernel, Proc, Ram, Zone, dmesg, log, report
from oom_told import BASH, FULL, JAVA, SMALL, USUAL, Case, Told


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
            (replace(told, causes=causes),),
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


def _starts() -> list[Case]:
    """No program ran yet."""
    worker, init = Proc(9, "kworker/u2:0", uid=0), Proc(1, "swapper/0", uid=0)
    end = [
        "Out of memory and no killable processes...",
        "Kernel panic - not syncing: System is deadlocked on memory",
    ]
    cases = []
    for by, locked, unreclaimable, frames, cause in (
        (worker, 7000, 300, ("flush_buffer", "unpack_to_rootfs", "do_populate_rootfs"), "initramfs"),
        (init, 0, 7300, ("key_alloc", "do_one_initcall", "kernel_init_freeable"), "starting"),
    ):
        ram = Ram(anon=0, locked=locked, unreclaimable=unreclaimable)
        lines = report(KERNELS["6.1"], (), None, by=by, ram=ram, frames=("out_of_memory", *frames))
        told = Told(trigger=by.comm, panic="deadlocked", causes=(cause,), silent=("locked",))
        cases.append(
            Case(f"memory ran out while it started: {cause}", log(dmesg([*lines, *end], 2.2)), (told,))
        )
    return cases


CASES = [*_starts(), *_eaters(), *_choices()]
