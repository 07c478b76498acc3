"""The kernel that runs here kills in a control group of our own: it takes whom the prediction names.

Needs root and a memory controller that lets us make a group; kills nothing but children of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lastwords.analyzer.prediction import predict
from lastwords.gather.snapshot import snapshot
from lastwords.roots.live import live_root

MIB = 1 << 20
LIMIT = 96 * MIB
HOLD = """
import sys, time
open("/proc/self/oom_score_adj", "w").write(sys.argv[2])
open(sys.argv[3], "w").write("0")
held = b"x" * (int(sys.argv[1]) << 20)
print(flush=True)
while sys.stdin.readline():
    for _ in range(400):
        held += b"x" * (1 << 20)
time.sleep(600)
"""


@pytest.fixture
def group() -> Iterator[tuple[str, Path]]:
    """Yield a group with a limit: its path as /proc shows it, and its directory."""
    if Path("/proc/sys/vm/panic_on_oom").read_text().strip() != "0":
        pytest.skip("vm.panic_on_oom is set here")
    own = Path("/proc/self/cgroup").read_text()
    match = re.search(r"^\d+:(?:\w+,)*memory(?:,\w+)*:(.*)$", own, re.MULTILINE)
    if match:
        path, top, limit = match[1], Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
    else:
        match = re.search(r"^0::(.*)$", own, re.MULTILINE)
        path, top, limit = match[1] if match else "/", Path("/sys/fs/cgroup"), "memory.max"
    path = f"{path.rstrip('/')}/lastwords-test-{os.getpid()}"
    directory = top / path.lstrip("/")
    try:
        directory.mkdir()
    except OSError as problem:
        pytest.skip(f"no control group can be made here: {problem.strerror}")
    try:
        try:
            (directory / limit).write_text(str(LIMIT))
            for name, value in (("memory.swap.max", "0"), ("memory.swappiness", "0")):
                if (directory / name).exists():
                    (directory / name).write_text(value)
        except OSError as problem:
            pytest.skip(f"no limit can be set here: {problem.strerror}")
        yield path, directory
    finally:
        for _ in range(100):
            try:
                directory.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def killed(group: tuple[str, Path], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Start processes (MiB, oom_score_adj); let the last one grow until the kernel kills one of them.

    :returns: which was predicted, which was killed
    """
    path, directory = group
    children: list[subprocess.Popen[str]] = []
    try:
        for held, adj in sizes:
            child = subprocess.Popen(
                [sys.executable, "-S", "-c", HOLD, str(held), str(adj), str(directory / "cgroup.procs")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            children.append(child)
            assert child.stdout is not None
            assert child.stdout.readline() == "\n"
        facts = snapshot(live_root())
        # They are children of this process, which gathers.
        facts["processes"] = {**facts["processes"], "gatherer": None}
        prediction = predict(facts)
        arena = next(each for each in prediction.groups if each.path == path)
        assert arena.victim is not None
        assert {each.pid for each in arena.ranking} == {child.pid for child in children}
        last = children[-1].stdin
        assert last is not None
        last.write("grow\n")
        last.flush()
        deadline = time.monotonic() + 60
        while all(child.poll() is None for child in children) and time.monotonic() < deadline:
            time.sleep(0.005)
        dead = next(number for number, child in enumerate(children) if child.poll() is not None)
        assert children[dead].returncode == -9
        return [child.pid for child in children].index(arena.victim.pid), dead
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("sizes", "victim"),
    [
        ([(8, 0), (50, 0), (4, 0)], 1),
        ([(50, 0), (4, 1000), (4, 0)], 1),
        ([(40, 0), (12, 600), (4, 0)], 1),
        ([(4, 0), (8, 0), (60, 0)], 2),
    ],
    ids=["the largest", "a decoy", "one that is adjusted", "the one that grows"],
)
def test_the_kernel_takes_whom_we_name(
    group: tuple[str, Path], sizes: list[tuple[int, int]], victim: int
) -> None:
    assert killed(group, sizes) == (victim, victim)
