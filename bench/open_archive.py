"""``lastwords open`` of a sosreport against ``tar -xJf`` of it to disk; of a bundle; of many hosts in one.

    python bench/open_archive.py [--megabytes 300] [--runs 3]

Makes a sosreport of a host with so many megabytes of log lines, packed with xz. Takes the median of several
runs of each, in seconds of CPU, so that a busy machine does not count. Exit code 1 when opening takes over 3
times what unpacking takes, memory exceeds 150 MB, several hosts in one archive take over 1.5 times as long
as alone, or a bundle takes over a second.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hosttree import host_tree, write_tree

MOST_TIMES = 3.0
MOST_TOGETHER = 1.5
MOST_MEMORY = 150 << 20
MOST_SECONDS = 1.0
HOSTS = 3
OPEN = (sys.executable, "-m", "lastwords", "open", "-q", "--json")


def make(folder: Path, megabytes: int) -> Path:
    """Return a sosreport, packed: the golden host rhel9 with a large log."""
    top = write_tree(host_tree("rhel9"), folder / "sosreport-db01")
    for path in top.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size > 1 << 20:
            path.unlink()  # images, which no report has
    for name in ("sos_commands", "sos_reports"):
        (top / name).mkdir()
    (top / "version.txt").write_text("sos-report (sos) 4.7\n")
    source = random.Random(1)
    words = [f"{source.getrandbits(40):x}" for _ in range(5000)]
    with open(top / "var" / "log" / "messages", "a", encoding="ascii") as log:
        size = number = 0
        while size < megabytes << 20:
            clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
            line = f"Mar  1 {clock} db01 app[{number % 32768}]: "
            line += " ".join(source.choices(words, k=8)) + "\n"
            size, number = size + log.write(line), number + 1
    archive = folder / "sosreport-db01.tar.xz"
    subprocess.run(["tar", "-C", folder, "-I", "xz -1 -T0", "-cf", archive, top.name], check=True)
    shutil.rmtree(top)
    return archive


def timed(argv: list[str], runs: int) -> tuple[float, int]:
    """Return the median of the CPU seconds, and the peak of resident bytes, of a command and its children."""
    seconds, peak = [], 0
    for _ in range(runs):
        with open(os.devnull, "wb") as nothing:
            process = subprocess.Popen(argv, stdout=nothing)
            _, status, usage = os.wait4(process.pid, 0)
        seconds.append(usage.ru_utime + usage.ru_stime)
        peak = max(peak, usage.ru_maxrss << 10)
        if status:
            raise SystemExit(f"{argv}: status {status}")
    return statistics.median(seconds), peak


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        archive = make(folder, given.megabytes)
        (folder / "out").mkdir()
        unpacking, _ = timed(["tar", "-C", str(folder / "out"), "-xJf", str(archive)], given.runs)
        opening, memory = timed([*OPEN, str(archive)], given.runs)
        many = folder / "collected.tar"
        (folder / "c").mkdir()
        for number in range(HOSTS):
            os.link(archive, folder / "c" / f"sosreport-{number}.tar.xz")
        subprocess.run(["tar", "-C", folder, "--hard-dereference", "-cf", many, "c"], check=True)
        together, more = timed([*OPEN, str(many)], 1)
        bundle = folder / "bundle.tar.zst"
        collect = [sys.executable, "-m", "lastwords", "collect", "-q", "-o", str(bundle)]
        subprocess.run(collect, stdout=subprocess.DEVNULL, check=False)
        small, _ = timed([*OPEN, str(bundle)], given.runs)
        print(f"sosreport: {archive.stat().st_size >> 20} MB packed, {given.megabytes} MB of logs")
    ratio, each = opening / unpacking, together / (HOSTS * opening)
    print(f"tar -xJf           {unpacking:6.2f} s")
    print(f"lastwords open     {opening:6.2f} s   {ratio:.2f} times   {memory >> 20} MB")
    print(f"{HOSTS} hosts in one    {together:6.2f} s   {each:.2f} times as alone   {more >> 20} MB")
    print(f"our own bundle     {small:6.2f} s")
    bad = (
        ratio > MOST_TIMES or max(memory, more) > MOST_MEMORY or each > MOST_TOGETHER or small > MOST_SECONDS
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
