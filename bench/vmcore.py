"""``lastwords vmcore`` against makedumpfile, drgn, crash and the start of Python itself.

    python bench/vmcore.py [DUMP] [--vmlinux FILE] [--python FILE] [--runs 7] [--write]

DUMP is a dump of a real kernel; without one, the trimmed one of the corpus is taken, which makedumpfile
cannot read. Takes the median of several runs, from start to end of the whole command, of: the kernel log by
``lastwords vmcore --dmesg``, by ``makedumpfile --dump-dmesg``, by drgn and by crash; the back trace and the
tasks by lastwords without debug symbols, and by the others with them. crash is that of the lab
(``python -m lab.vmcores``), if it is there. Then the log again out of a file as a machine with 512 GiB of
memory leaves it: the same pages in it, the index of all of them. Checks that all logs are the same. Prints
ratios. Exit code 1 when one differs, the log takes over 0.2 s of processor time or 1.5 times as long in the
great file, or the back trace over 2 s. ``--write`` puts the table into docs/vmcore.md.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from lab import peers
from lab.common import CACHE
from vmcores import BLOCK, corpus

from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kdump import KdumpFile
from lastwords.roots.images import open_image

PAGE = Path(__file__).parent.parent / "docs" / "vmcore.md"
MOST_LOG = 0.2
MOST_TRACE = 2.0
MOST_GROWTH = 1.5
DEADLINE = 600
"""Seconds; crash takes ten on a machine that has nothing else to do."""
GREAT = (512 << 30) // BLOCK
"""Page frames of the great machine."""
LASTWORDS = (sys.executable, "-m", "lastwords", "vmcore")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
DRGN_LOG = """
import sys, drgn
from drgn.helpers.linux.printk import get_dmesg
program = drgn.Program()
program.set_core_dump(sys.argv[1])
program.load_debug_info([sys.argv[2]])
sys.stdout.buffer.write(get_dmesg(program))
"""
DRGN_TRACE = """
import sys, drgn
program = drgn.Program()
program.set_core_dump(sys.argv[1])
program.load_debug_info([sys.argv[2]])
print(program.crashed_thread().stack_trace())
"""
DRGN_TASKS = """
import sys, drgn
from drgn.helpers.linux.pid import for_each_task
program = drgn.Program()
program.set_core_dump(sys.argv[1])
program.load_debug_info([sys.argv[2]])
for task in for_each_task(program):
    print(task.pid.value_(), task.comm.string_())
"""


def run(command: tuple[str, ...], runs: int) -> tuple[float, float, bytes]:
    """Return the median of wall seconds and of processor seconds, and the output."""
    wall, processor = [], []
    output = b""
    for _ in range(runs):
        before, start = os.times(), time.perf_counter()
        output = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True).stdout
        wall.append(time.perf_counter() - start)
        after = os.times()
        processor.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
    return statistics.median(wall), statistics.median(processor), output


def great(source: str, target: Path) -> None:
    """Write the dump of a machine with 512 GiB, every page of which is dumped; most of it is a hole.

    The pages of *source* stay where they are, so the log is found as before; what is asked for besides is
    not there.
    """
    with open_image(source) as image:
        dump = open_dump(image)
        file = dump.file
        assert isinstance(file, KdumpFile)
        bitmap = GREAT // 8
        blocks = 2 * bitmap // BLOCK
        head = bytearray(image.read(0, BLOCK) if not dump.head.flattened else _inner(image))
        struct.pack_into("<iII", head, 432, 2, blocks, min(GREAT, 0xFFFFFFFF))
        info_at = BLOCK + 104
        level = dump.level if dump.level is not None else 31
        sub = struct.pack(
            "<QiiQQqQqQqQQQQ",
            *(file.phys_base & (1 << 64) - 1, level, 0, 0, 0, info_at, len(file.info), 0, 0, 0, 0),
            *(0, 0, GREAT),
        )
        descs = 3 * BLOCK + 2 * bitmap
        at = descs + 24 * GREAT
        with target.open("wb") as out:
            out.write(bytes(head[:BLOCK]) + (sub + file.info).ljust(2 * BLOCK, b"\0"))
            for _ in range(2 * bitmap >> 20):
                out.write(b"\xff" * (1 << 20))
            for pfn in range(file.max_pfn):
                try:
                    page = file.read(pfn * BLOCK, BLOCK)
                except ValueError:
                    continue
                out.seek(descs + 24 * pfn)
                out.write(struct.pack("<qIIQ", at, BLOCK, 0, 0))
                out.seek(at)
                out.write(page)
                at += BLOCK


def _inner(image: object) -> bytes:
    from lastwords.formats.vmcore.flat import FlatSource

    return FlatSource(image).read(0, BLOCK)  # type: ignore[arg-type]


def optional(command: tuple[str, ...], runs: int) -> Optional[tuple[float, float, bytes]]:
    """Run a peer; None when it is not here or cannot read the file."""
    try:
        return run(command, runs)
    except (OSError, subprocess.CalledProcessError):
        return None


class Table:
    """What was measured, printed as it comes."""

    def __init__(self, bare: float) -> None:
        self._bare = bare
        self.rows: list[str] = []
        print(f"{'':44}{'wall':>8}{'CPU':>8}  ratio of CPU to Python's start")

    def add(self, name: str, found: Optional[tuple[float, float, bytes]]) -> None:
        """Print and keep a row."""
        if found is None:
            print(f"{name:44}  not here, or cannot read it")
            return
        ratio = found[1] / max(self._bare, 1e-3)
        print(f"{name:44}{found[0]:7.3f}s{found[1]:7.3f}s  {ratio:.1f}", flush=True)
        self.rows.append(f"| {name} | {found[0]:.2f} | {found[1]:.2f} | {ratio:.1f} |")

    def write(self, size: int, runs: int) -> None:
        """Put the table into the page."""
        head = f"Made by `bench/vmcore.py --write` on a dump of {size / 1e6:.1f} MB; medians of {runs} runs."
        lines = [
            head,
            "",
            "| | wall, s | CPU, s | CPU, times `python -c pass` |",
            "|---|--:|--:|--:|",
            *self.rows,
        ]
        begin, end = "<!-- measured: vmcore-times -->\n", "<!-- end -->"
        text = re.sub(
            rf"({begin}).*?({end})",
            lambda match: match[1] + "\n".join(lines) + "\n" + match[2],
            PAGE.read_text(encoding="utf-8"),
            flags=re.DOTALL,
        )
        PAGE.write_text(text, encoding="utf-8")


def crash(dump: str, vmlinux: str, runs: int) -> dict[str, tuple[float, float, bytes]]:
    """Return what crash takes for each of some questions; nothing where the lab has not built it."""
    if os.geteuid() or not os.path.isdir(peers.place()):
        return {}
    found = {}
    with tempfile.TemporaryDirectory(dir=CACHE) as shared:
        for path, name in ((dump, "dump"), (vmlinux, "vmlinux")):
            shutil.copyfile(path, os.path.join(shared, name))
        for question in ("log", "bt", "ps"):
            wall, processor = [], []
            for _ in range(min(runs, 2)):
                before, start = os.times(), time.perf_counter()
                argv = ["crash", "-s", f"{peers.SHARED}/vmlinux", f"{peers.SHARED}/dump"]
                done = peers.call(argv, shared, DEADLINE, stdin=f"{question}\nquit\n")
                wall.append(time.perf_counter() - start)
                after = os.times()
                processor.append(sum(after[2:4]) - sum(before[2:4]))
                if done.returncode:  # it did not end by itself, or cannot read this kernel
                    break
            else:
                answer = done.stdout.encode()
                found[question] = (statistics.median(wall), statistics.median(processor), answer)
    return found


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dump", nargs="?")
    parser.add_argument("--vmlinux")
    parser.add_argument("--python", default=sys.executable, help="the Python that has drgn")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    path = given.dump or str(corpus("6.1-sysrq-c-full.kdump"))
    bare = run((sys.executable, "-c", "pass"), given.runs)
    log = run((*LASTWORDS, "--dmesg", path), given.runs)
    failures = []
    table = Table(bare[1])
    show = table.add
    show("python -c pass", bare)
    show("lastwords vmcore --dmesg", log)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        with open(path, "rb") as stream:
            flat = stream.read(12) == b"makedumpfile"
        if flat and shutil.which("makedumpfile"):  # a stream, which it cannot read itself
            with open(path, "rb") as stream:
                command = ["makedumpfile", "-R", str(plain)]
                subprocess.run(command, stdin=stream, check=True, capture_output=True)
        target = str(plain) if plain.exists() else path
        peer = optional(("makedumpfile", "-f", "--dump-dmesg", target, f"{folder}/log"), given.runs)
        show("makedumpfile --dump-dmesg", peer)
        if peer is not None and Path(folder, "log").read_bytes() != log[2]:
            failures.append("the log differs from makedumpfile's")
        others = crash(path, given.vmlinux, given.runs) if given.vmlinux else {}

        def drgn(script: str) -> Optional[tuple[float, float, bytes]]:
            if not given.vmlinux:
                return None
            return optional((given.python, "-c", script, path, given.vmlinux), given.runs)

        show("drgn, the log", drgn(DRGN_LOG))
        show("crash, the log", others.get("log"))
        trace = optional((*LASTWORDS, "--bt", path), given.runs)
        show("lastwords vmcore --bt, without symbols", trace)
        show("drgn, the back trace, with symbols", drgn(DRGN_TRACE))
        show("crash, the back trace, with symbols", others.get("bt"))
        show("lastwords vmcore --ps, without symbols", optional((*LASTWORDS, "--ps", path), given.runs))
        show("drgn, the tasks, with symbols", drgn(DRGN_TASKS))
        show("crash, the tasks, with symbols", others.get("ps"))
        big = Path(folder) / "great"
        great(path, big)
        far = run((*LASTWORDS, "--dmesg", str(big)), given.runs)
        show(f"lastwords vmcore --dmesg, {big.stat().st_size >> 30} GiB, 512 GiB RAM", far)
        if far[2] != log[2]:
            failures.append("the log out of the great file differs")
    if log[1] > MOST_LOG:
        failures.append(f"the log takes {log[1]:.3f} s, expected at most {MOST_LOG}")
    if far[1] > MOST_GROWTH * log[1]:
        failures.append(f"out of the great file the log takes {far[1] / log[1]:.2f} times as long")
    if trace and trace[1] > MOST_TRACE:
        failures.append(f"the back trace takes {trace[1]:.3f} s, expected at most {MOST_TRACE}")
    if given.write:
        table.write(os.path.getsize(path), given.runs)
    for each in failures:
        print(each)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
