"""``lastwords oom`` on a large log against ``grep -E`` for the same words, in one run.

    python bench/oom_speed.py [--megabytes 1000] [--runs 3]

Writes a syslog of programs and kernel, a whole OOM report every 50 megabytes, and takes the processor time
of several runs of each, the least. Checks that every report is found. Prints the ratio to grep, megabytes a
second, and the peak memory of the command. Exit code 1 when a report is missed, the command takes over
1.25 times grep's time, or memory exceeds 100 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from lastwords.formats.oom.events import WORDS

MOST_TIMES = 1.25
MOST_MEMORY = 100 << 20
EVERY = 50 << 20
PROGRAMS = ("sshd", "systemd", "CRON", "nginx", "postfix/smtpd", "dbus-daemon", "NetworkManager", "dockerd")
VERBS = (
    "Accepted",
    "Started",
    "Stopped",
    "Failed",
    "connect",
    "closed",
    "reloading",
    "timeout",
    "exited",
    "new",
)
THINGS = (
    "session",
    "connection",
    "room",
    "process",
    "memory",
    "unit",
    "request",
    "user root",
    "kernel",
    "lease",
)
REPORT = """\
java invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
CPU: 1 PID: 4711 Comm: java Not tainted 6.1.0-18-amd64 #1  Debian 6.1.76-1
Mem-Info:
active_anon:310908 inactive_anon:0 isolated_anon:0
Node 0 Normal free:57076kB boost:0kB min:64256kB low:126740kB high:189224kB managed:2492248kB free_cma:0kB
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
{rows}
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task=java,pid=4711,uid=0
Out of memory: Killed process 4711 (java) total-vm:3676000kB, anon-rss:2048000kB, file-rss:2248kB
"""


def write(path: Path, size: int) -> int:
    """Write a log of about that size; return how many reports it holds."""
    draw = random.Random(1)
    row = "[{pid:7}]     0 {pid:5}    12586     4625   118784        0          -250 systemd-journal"
    rows = "\n".join(row.format(pid=pid) for pid in (*range(400, 700), 4711))
    report = "".join(
        f"Mar  1 02:14:07 web kernel: [{line / 1e6 + 511:12.6f}] {text}\n"
        for line, text in enumerate(REPORT.format(rows=rows).splitlines())
    ).encode()
    lines = []
    for _ in range(60_000):
        words = " ".join(draw.choice(draw.choice((VERBS, THINGS))) for _ in range(draw.randrange(4, 14)))
        tag = (
            "kernel: [  511.000000] "
            if draw.random() < 0.2
            else f"{draw.choice(PROGRAMS)}[{draw.randrange(9999)}]: "
        )
        clock = f"{draw.randrange(24):02}:{draw.randrange(60):02}:{draw.randrange(60):02}"
        lines.append(
            f"Mar {draw.randrange(1, 29):2} {clock} web {tag}{words} {draw.randrange(10**6)}\n".encode()
        )
    noise = b"".join(lines)
    reports = written = 0
    with path.open("wb") as log:
        while written < size:
            at = noise.index(b"\n", draw.randrange(len(noise) // 2)) + 1
            part = noise[at:] + noise[:at]
            for _ in range(max(1, EVERY // len(part))):
                written += log.write(part)
            written += log.write(report)
            reports += 1
    return reports


def timed(argv: list[str], runs: int) -> tuple[float, int, bytes]:
    """Return the least processor time of a command, its peak memory, and what it printed."""
    best, memory, printed = float("inf"), 0, b""
    # As installed: with compiled modules.
    environment = {**os.environ, "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": ""}
    for _ in range(runs):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            printed = process.stdout.read()
            _, _, usage = os.wait4(process.pid, 0)
        best = min(best, usage.ru_utime + usage.ru_stime)
        memory = max(memory, usage.ru_maxrss * 1024)
    return best, memory, printed


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        path = Path(folder) / "messages"
        reports = write(path, arguments.megabytes * 10**6)
        size = path.stat().st_size
        path.read_bytes() if size < 1 << 28 else subprocess.run(
            ["cat", path], stdout=subprocess.DEVNULL, check=True
        )
        pattern = "|".join(word.decode() for word in WORDS)
        grep, _, _ = timed(["grep", "-E", pattern, str(path)], arguments.runs)
        command = [sys.executable, "-m", "lastwords", "oom", "--jsonl", str(path)]
        ours, memory, printed = timed(command, arguments.runs)
    found = sum(event["trigger"] is not None for event in json.loads(printed)["events"])
    print(f"{size / 1e6:.0f} MB, {reports} reports of {REPORT.count(chr(10)) + 300} lines")
    print(f"grep -E          {grep:6.2f} s  {size / grep / 1e6:6.0f} MB/s")
    print(f"lastwords oom    {ours:6.2f} s  {size / ours / 1e6:6.0f} MB/s  {ours / grep:.2f} times grep")
    print(f"peak memory      {memory / 1e6:6.0f} MB; reports found {found} of {reports}")
    return 0 if found == reports and ours <= MOST_TIMES * grep and memory <= MOST_MEMORY else 1


if __name__ == "__main__":
    sys.exit(main())
