"""``lastwords initramfs --list`` against lsinitramfs and lsinitrd, on images made by the real builders.

    python bench/initramfs.py [--runs 3] [--suite bookworm]

The images, and the trees that hold the peers' tools, are those of ``python -m lab.initramfs``. Each
command is timed in turn, the fastest of several runs counts; the lists must be equal. Prints the ratios to
the peer (below 1: lastwords is faster), of wall time and of processor time with all children, which says more
on a busy machine, and peak memory. lz4 and lzo are unpacked in Python unless the package lz4 is there.

Exit code 1 when a list differs, memory exceeds 100 MB, or zstd or gzip takes more processor time than the
peer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from lab.initramfs import SUITES, home, images, tree

TOP = Path(__file__).parent.parent

MOST_MEMORY = 100 << 20
COMPARE = (
    "import sys; from lab.initramfs import listed, names_in;"
    " sys.exit(sorted(names_in(sys.argv[1])) != sorted(listed(sys.argv[1])))"
)
"""In a process of its own: what is started here would be charged with the memory of this one."""
MUST = ("zstd", "gzip")


def fastest(argv: list[str], runs: int) -> tuple[float, float, int]:
    """Return the least wall and processor seconds of several runs, and the last one's peak of memory."""
    walls, times, peak = [], [], 0
    for _ in range(runs):
        start = time.monotonic()
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        walls.append(time.monotonic() - start)
        times.append(usage.ru_utime + usage.ru_stime)
        peak = usage.ru_maxrss * 1024
    return min(walls), min(times), peak


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
    print(f"{'image':30} {'size':>8}    {'wall: own, peer, ratio':>26}    {'processor':>26} memory")
    for suite in arguments.suite or SUITES:
        for path in images(suite):
            own = [sys.executable, "-m", "lastwords", "initramfs", "--list", path]
            wall, mine, memory = fastest(own, arguments.runs)
            peer_wall, theirs, _ = fastest(peer(suite, path), arguments.runs)
            same = subprocess.run([sys.executable, "-c", COMPARE, path], cwd=TOP).returncode == 0
            name = os.path.basename(path).rpartition("-")[0]
            slow = mine > theirs and name.rpartition("-")[2] in MUST
            bad += not same or slow or memory > MOST_MEMORY
            said = ("" if same else "  LISTS DIFFER") + ("  SLOW" if slow else "")
            figures = "".join(
                f"    {ours:8.2f} s {other:6.2f} s {ours / other:6.2f}"
                for ours, other in ((wall, peer_wall), (mine, theirs))
            )
            size = os.path.getsize(path) >> 10
            print(f"{suite} {name:21} {size:6} K{figures} {memory >> 20:4} M{said}", flush=True)
    if not any(images(suite) for suite in arguments.suite or SUITES):
        print("no images: python -m lab.initramfs makes them")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
