"""``lastwords open`` of a sosreport against ``tar -xJf`` of it to disk; of a bundle; of many hosts in one.

    python bench/open_archive.py [--megabytes 300] [--runs 3]

Makes a sosreport of a host with so many megabytes of log lines, packed with xz. Takes the median of several
runs of each, in turns: seconds of CPU, which a busy machine changes little, and of the clock. Exit code 1
when opening takes over 1.3 times the CPU or 1.25 times the time that unpacking takes, memory exceeds 100 MB,
several hosts in one archive take over 1.2 times as long as alone, or a bundle takes over half a second, HTML
included.
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
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hosttree import host_tree, write_tree

MOST_TIMES = 1.3
MOST_LONGER = 1.25
MOST_TOGETHER = 1.2
MOST_MEMORY = 100 << 20
MOST_SECONDS = 0.5
HOSTS = 3
OPEN = (sys.executable, "-m", "lastwords", "open", "-q")


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


class Cost(NamedTuple):
    """What a command took with its children."""

    cpu: float
    clock: float
    memory: int
    """Peak of resident bytes."""

    def __str__(self) -> str:
        return f"{self.cpu:6.2f} s of CPU {self.clock:6.2f} s {self.memory >> 20:5} MB"


def run(argv: list[str], environment: dict[str, str]) -> Cost:
    """Return what a command takes."""
    began = time.monotonic()
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen(argv, stdout=nothing, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{argv}: status {status}")
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss << 10)


def timed(runs: int, environment: dict[str, str], *commands: list[str]) -> list[Cost]:
    """Return the medians of what commands take, run in turns so that a busy machine slows all of them."""
    costs = [[run(argv, environment) for argv in commands] for _ in range(runs)]
    return [Cost(*(statistics.median(values) for values in zip(*each))) for each in zip(*costs)]


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
        # As where it is installed: Python compiles the modules once.
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "pyc"),
        }
        run([*OPEN, "--short", str(archive)], environment)
        unpack = ["tar", "-C", str(folder / "out"), "-xJf", str(archive)]
        unpacking, opening = timed(given.runs, environment, unpack, [*OPEN, "--json", str(archive)])
        many = folder / "collected.tar"
        (folder / "c").mkdir()
        for number in range(HOSTS):
            os.link(archive, folder / "c" / f"sosreport-{number}.tar.xz")
        subprocess.run(["tar", "-C", folder, "--hard-dereference", "-cf", many, "c"], check=True)
        (together,) = timed(1, environment, [*OPEN, "--json", str(many)])
        bundle = folder / "bundle.tar.zst"
        collect = [sys.executable, "-m", "lastwords", "collect", "-q", "-o", str(bundle)]
        subprocess.run(collect, stdout=subprocess.DEVNULL, check=False)
        html = [*OPEN, "--html", str(folder / "case.html"), str(bundle)]
        nothing = [sys.executable, "-c", "pass"]
        small, page, bare = timed(given.runs, environment, [*OPEN, "--json", str(bundle)], html, nothing)
        print(f"sosreport: {archive.stat().st_size >> 20} MB packed, {given.megabytes} MB of logs")
    ratio, longer = opening.cpu / unpacking.cpu, opening.clock / unpacking.clock
    each = together.cpu / (HOSTS * opening.cpu)
    print(f"tar -xJf          {unpacking}")
    print(f"lastwords open    {opening}   {ratio:.2f} times the CPU, {longer:.2f} times the time")
    print(f"{HOSTS} hosts in one   {together}   {each:.2f} times the CPU as alone")
    print(f"our own bundle    {small}")
    print(f"the same as HTML  {page}")
    print(f"Python itself     {bare}")
    bad = (
        ratio > MOST_TIMES
        or longer > MOST_LONGER
        or max(opening.memory, together.memory) > MOST_MEMORY
        or each > MOST_TOGETHER
        or page.cpu > MOST_SECONDS
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
