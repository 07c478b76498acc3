"""The collector ``processes`` against the physical limit: a loop in C over the same files of /proc.

    python bench/processes.py [--processes 3000] [--runs 7]

Starts sleeping processes, then takes the median of several runs of: the loop in C, ``cat`` on the same
files, the collector alone (evidence stored, as in a bundle), and the command ``lastwords collect``. Checks
that every process is in the facts. Prints ratios to the loop, and peak memory of the whole process tree.
Exit code 1 when a process is missing, the collector takes over 3 times the loop, or memory exceeds 60 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lastwords.bundle.validate import Validator
from lastwords.collectors.processes import FILES, ProcessesCollector
from lastwords.roots.live import live_root

MOST_TIMES = 3.0
MOST_MEMORY = 60 << 20
COMMAND = (sys.executable, "-m", "lastwords", "collect", "--only", "processes", "--format", "dir", "--quiet")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""With compiled modules kept, as an installed tool has them."""


def build(folder: Path) -> Path:
    """Compile the helper and return its path."""
    program = folder / "processes"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-O2", "-Wall", "-o", str(program), str(source)], check=True)
    return program


@contextmanager
def sleepers(program: Path, count: int) -> Iterator[set[int]]:
    """Start *count* sleeping processes; end them in any case."""
    with subprocess.Popen([str(program), "spawn", str(count)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield {int(line) for line in iter(process.stdout.readline, "done\n")}
        finally:
            process.kill()


def in_child(work: Callable[[], object]) -> tuple[float, int, object]:
    """Run *work* in a child; return wall seconds, its peak resident bytes, and what it returned."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        began = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        with open(writer, "w") as pipe:
            json.dump([seconds, peak, result], pipe)
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        seconds, peak, result = json.load(pipe)
    os.waitpid(pid, 0)
    return seconds, peak, result


def collected(folder: Path) -> list[int]:
    """Run the collector as a bundle does, and return the pids in its facts."""

    def store(name: str, data: bytes) -> str:
        (folder / "evidence").write_bytes(data)
        return name

    records: list[dict[str, int]] = []
    for facts in ProcessesCollector().collect(live_root().recording("processes", store)):
        records = facts["records"]
    return [record["pid"] for record in records]


def tree_memory(top: int) -> tuple[int, int]:
    """Return the memory of a process and its descendants: as it is (PSS), and with shared pages counted
    for each of them (RSS)."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat") as file:
                    parent = int(file.read().rpartition(") ")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    family, shared, resident = [top], 0, 0
    for pid in family:
        family.extend(parents.get(pid, ()))
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                found = {line.split()[0]: int(line.split()[1]) << 10 for line in file.readlines()[1:]}
        except (OSError, ValueError):
            continue
        shared += found.get("Pss:", 0)
        resident += found.get("Rss:", 0)
    return shared, resident


def command(folder: Path) -> tuple[float, list[int]]:
    """Run ``lastwords collect``; return wall seconds and the pids in the bundle."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    subprocess.run([*COMMAND, "-o", str(folder)], stdout=subprocess.DEVNULL, env=ENVIRONMENT, check=False)
    seconds = time.perf_counter() - began
    with open(folder / "facts" / "processes.jsonl") as file:
        return seconds, [json.loads(line)["pid"] for line in file]


def command_memory(folder: Path) -> tuple[int, int]:
    """Run ``lastwords collect`` and return the highest memory of its tree that was seen: PSS and RSS."""
    shutil.rmtree(folder, ignore_errors=True)
    shared = resident = 0
    command = [*COMMAND, "-o", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        while process.poll() is None:
            now = tree_memory(process.pid)
            shared, resident = max(shared, now[0]), max(resident, now[1])
    return shared, resident


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder)
        with sleepers(program, arguments.processes) as pids:
            return measure(folder, program, pids, arguments.runs)


def measure(folder: Path, program: Path, pids: set[int], runs: int) -> int:
    """Take the medians. The runs of all take turns, so that a busy moment hits each of them."""
    times: dict[str, list[float]] = {"loop in C": [], "cat": [], "collector": [], "lastwords collect": []}
    peaks: list[int] = []
    missing = 0
    command(folder / "bundle")  # compiles the modules
    for _ in range(runs):
        output = subprocess.run(
            [str(program), "read", *FILES], capture_output=True, text=True, check=True
        ).stdout
        times["loop in C"].append(float(output.split()[2]))
        paths = [f"/proc/{pid}/{file}" for pid in os.listdir("/proc") if pid.isdigit() for file in FILES]
        began = time.perf_counter()
        subprocess.run(["cat", *paths], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times["cat"].append(time.perf_counter() - began)
        seconds, peak, found = in_child(lambda: collected(folder))
        times["collector"].append(seconds)
        peaks.append(peak)
        missing = max(missing, len(pids - set(found)))  # type: ignore[call-overload]
        seconds, kept = command(folder / "bundle")
        times["lastwords collect"].append(seconds)
        missing = max(missing, len(pids - set(kept)))
    base = statistics.median(times["loop in C"])
    print(f"{len(pids)} extra processes, {len(FILES)} files each, median of {runs}")
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(
            f"{name:<18} {middle * 1000:8.1f} ms   {middle / base:5.2f} x   best {min(taken) * 1000:8.1f} ms"
        )
    tree, resident = command_memory(folder / "bundle")
    print(f"peak memory: collector alone {max(peaks) / 1e6:.1f} MB")
    print(f"peak memory: tree of lastwords collect {tree / 1e6:.1f} MB (sum of RSS {resident / 1e6:.1f} MB)")
    print(f"missing from the facts: {missing}")
    validation(folder)
    slow = statistics.median(times["collector"]) / base > MOST_TIMES
    return int(bool(missing) or slow or tree > MOST_MEMORY)


def validation(folder: Path) -> None:
    """Print what holding the facts against their schema takes."""
    validator = Validator.load()
    collector = ProcessesCollector()
    *_, facts = collector.collect(live_root().recording("processes"))
    if validator is None:
        return
    began = time.perf_counter()
    problem = validator.problem(collector, facts)
    seconds = time.perf_counter() - began
    each = seconds / len(facts["records"])
    print(f"schema validation: {seconds * 1000:.1f} ms, {each * 1e6:.0f} us a record, problem: {problem}")


if __name__ == "__main__":
    sys.exit(main())
