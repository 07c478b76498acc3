"""``lastwords initramfs --list`` against lsinitramfs and lsinitrd, on images made by the real builders.

    python bench/initramfs.py [--runs 3] [--suite bookworm]

The images, and the trees that hold the peers' tools, are those of ``python -m lab.initramfs``. Each
command is timed in turn, the fastest of several runs counts; the lists must be equal. Prints the ratio to the
peer (below 1: lastwords is faster) and peak memory. lz4 and lzo are unpacked in Python unless the package lz4
is there. Exit code 1 when a list differs, memory exceeds 100 MB, or zstd or gzip is slower than the peer.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from lab.initramfs import SUITES, home, images, listed, names_in, tree

MOST_MEMORY = 100 << 20
MUST = ("zstd", "gzip")


def fastest(argv: list[str], runs: int) -> tuple[float, int]:
    """Return the least seconds of several runs, and the peak resident bytes of the last."""
    times, peak = [], 0
    for _ in range(runs):
        start = time.monotonic()
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        times.append(time.monotonic() - start)
        peak = usage.ru_maxrss * 1024
    return min(times), peak


def peer(suite: str, path: str) -> list[str]:
    """Return the command that lists an image with its builder's own tool."""
    name = os.path.basename(path)
    tool = "lsinitramfs" if name.startswith("tools-") else "lsinitrd"
    top = tree(suite)
    inside = f'mount --bind "{home(suite)}" "{top}/images" && exec chroot "{top}" {tool} "/images/{name}"'
    return ["unshare", "-m", "sh", "-c", inside]


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--suite", choices=SUITES, action="append")
    arguments = parser.parse_args()
    bad = 0
    print(f"{'image':28} {'size':>9} {'lastwords':>10} {'peer':>8} {'ratio':>6} {'memory':>8}")
    for suite in arguments.suite or SUITES:
        for path in images(suite):
            own = [sys.executable, "-m", "lastwords", "initramfs", "--list", path]
            mine, memory = fastest(own, arguments.runs)
            theirs, _ = fastest(peer(suite, path), arguments.runs)
            same = sorted(names_in(path)) == sorted(listed(path))
            name = os.path.basename(path).rpartition("-")[0]
            slow = mine > theirs and name.rpartition("-")[2] in MUST
            bad += not same or slow or memory > MOST_MEMORY
            said = ("" if same else "  LISTS DIFFER") + ("  SLOW" if slow else "")
            figures = f"{mine:8.2f} s {theirs:6.2f} s {mine / theirs:6.2f} {memory >> 20:6} M"
            print(f"{suite} {name:20} {os.path.getsize(path) >> 10:7} K {figures}{said}", flush=True)
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} M")
    if not any(images(suite) for suite in arguments.suite or SUITES):
        print("no images: python -m lab.initramfs makes them")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
