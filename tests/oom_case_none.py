"""Logs that only speak of OOM, or of memory: there is no event in them."""

from __future__ import annotations

import json

from oom_printk import KERNELS, allocation_failure, dmesg, kill, log, mem_info, summary, syslog, trigger
from oom_told import FULL, JAVA, Case


def cases_of_none() -> list[Case]:
    """Return logs in which nothing was killed."""
    quoted = trigger(KERNELS["6.1"], "java")
    killed = kill(KERNELS["6.1"], JAVA)[0]
    texts = {
        "a program that quotes the kernel": syslog([quoted, killed, summary(JAVA)], "watchdog[812]"),
        "kubelet": syslog(
            [
                'I0301 02:14:07 oom_watcher_linux.go:78] "Got sys oom event" event={"Pid":4711,"ProcessName":"java"}'
            ],
            "kubelet[99]",
        ),
        "systemd": syslog(
            [
                "app.service: A process of this unit has been killed by the OOM killer.",
                "app.service: Main process exited, code=killed, status=9/KILL",
                "app.service: Failed with result 'oom-kill'.",
            ],
            "systemd[1]",
        ),
        "start of daemons": [
            *syslog(
                ["Swap is currently not detected; memory pressure usage will be degraded"], "systemd-oomd[61]"
            ),
            *syslog(
                [
                    "sending SIGTERM when mem <= 10.00% and swap <= 10.00%,",
                    "        SIGKILL when mem <=  5.00%",
                ],
                "earlyoom[720]",
            ),
        ],
        "a page allocation failure": dmesg(allocation_failure(mem_info(KERNELS["6.1"], FULL))),
        "page allocation failure of RHEL 7": dmesg(
            allocation_failure(mem_info(KERNELS["el7"], FULL), "java")
        ),
        "SysRq-m": dmesg(["sysrq: Show Memory", *mem_info(KERNELS["6.1"], FULL)]),
        "SysRq help": dmesg(
            [
                "sysrq: HELP : loglevel(0-9) reboot(b) crash(c) terminate-all-tasks(e) memory-full-oom-kill(f) "
                "kill-all-tasks(i) thaw-filesystems(j)"
            ]
        ),
        "suspend": dmesg(["Freezing user space processes", "OOM killer disabled.", "OOM killer enabled."]),
        "Android's lowmemorykiller": dmesg(
            [
                "lowmemorykiller: Killing 'com.android.chrome' (12345) (tgid 12345), adj 900,",
                "   to free 51200kB on behalf of 'kswapd0' (73) because",
                "   cache 40000kB is below limit 55296kB for oom_score_adj 529",
                "   Free memory is 2000kB above reserved",
            ]
        ),
        "Android's older lowmemorykiller": dmesg(
            [
                "select 4711 (d.process.acore), adj 15, size 3562, to kill",
                "send sigkill to 4711 (d.process.acore), adj 15, size 3562",
            ]
        ),
        "Android's lmkd": [
            "03-01 02:14:07.123   512   512 I lowmemorykiller: Kill 'com.x' (4711), uid 10123, oom_score_adj 900 to free 81234kB rss, 120kB swap; reason: low watermark is breached"
        ],
        "settings": [
            "vm.oom_dump_tasks = 1",
            "vm.oom_kill_allocating_task = 0",
            "vm.panic_on_oom = 0",
            "kernel.printk_ratelimit = 5",
            "oom 3",
            "oom_kill 5",
        ],
        "rules of a monitor": [
            '{ "type": "permanent", "pattern": "\\\\w+ invoked oom-killer: gfp_mask=.*" },',
            '    "pattern": "Killed process \\\\d+ (.+) total-vm:\\\\d+kB, anon-rss:\\\\d+kB, file-rss:\\\\d+kB.*"',
            "x invoked oom-killer: gfp_mask=.*",
            "grep -i 'invoked oom-killer' /var/log/messages | tail",
            "zgrep 'Killed process' /var/log/messages*",
        ],
        "a ticket": [
            "Hello,",
            "yesterday at night java invoked oom-killer and the machine was unreachable.",
            "The log says that java invoked oom-killer: gfp_mask=0x201da, order=0, oom_adj=0 at 02:14.",
            "Support says: Killed process 4711 (java) is only the victim, see above.",
            "Killed process 4711 due to a timeout.",
            "Killed process 4711 (java) was our database's last message.",
            "Can we find out who invoked oom-killer? What does 'Out of memory: Killed process' mean?",
        ],
        "programs that ran out of memory": [
            *syslog(
                ["java.lang.OutOfMemoryError: Java heap space", "Out of memory (Needed 8164 bytes)"], "app[9]"
            ),
            *syslog(["LOG:  server process (PID 4711) was terminated by signal 9: Killed"], "postgres[7]"),
            *syslog(["RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB"], "train[8]"),
        ],
        "an event of Kubernetes": [
            json.dumps(
                {
                    "kind": "Event",
                    "reason": "SystemOOM",
                    "message": "System OOM encountered, victim process: java, pid: 4711",
                }
            )
        ],
        "a hung reaper": dmesg(
            [
                "INFO: task oom_reaper:35 blocked for more than 120 seconds.",
                " oom_reaper+0x1a3/0x460",
                " kthread+0xd6/0x100",
            ]
        ),
        "a program on the console": [
            *dmesg(["systemd[1]: Started app."]),
            "supervisor: Killed process 4711 (java) because it hung",
            "Killed process 4711 because it hung",
        ],
        "a table of panics": [
            "4.18\tout of memory\tKernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled",
            "6.1\tout of memory\tKernel panic - not syncing: System is deadlocked on memory",
        ],
        "the help of a tool": [
            "usage: oomtop [-h] LOG",
            "  Explains lines like 'COMM invoked oom-killer: gfp_mask=MASK, order=N'",
            "  and 'Out of memory: Killed process PID (COMM) total-vm:N'.",
            "  oom-killer: gfp_mask=0x... of 2.6.9 is known too",
        ],
    }
    return [Case(name, log(lines)) for name, lines in texts.items()]


CASES = cases_of_none()
