"""What is inside a dump, three ways: lastwords without debug symbols, and drgn and crash with them."""

from __future__ import annotations

import glob
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lab import disks, peers
from lab.common import CACHE, LabError, Unavailable, read_json, run
from lab.images import IMAGES
from lab.runner import RUNS

IMAGES_COMPARED = ("bookworm", "trixie", "sid")
SECTIONS = ("--ps", "--memory", "--bt", "--mount")
QUESTIONS = "sys\nbt\nps\nmount\nkmem -i\nquit\n"
FRAME = re.compile(r"^ *#\d+ \[([0-9a-f]+)\] (\S+) at ([0-9a-f]+)", re.MULTILINE)
TASK = re.compile(
    r"^[> ] +(\d+) +(\d+) +(\d+) +[0-9a-f]{16} +([A-Z]{2}) +[\d.]+ +(\d+) +(\d+) +(\S.*?)\s*$", re.MULTILINE
)
MOUNT = re.compile(r"^[0-9a-f]{16} [0-9a-f]{16} (\S+) +(\S+) +(\S+)\s*$", re.MULTILINE)
ADDRESS = re.compile(r": 0x[0-9a-f]+")
SUM = re.compile(r"^ *(TOTAL MEM|FREE|SLAB) +(\d+) ", re.MULTILINE)
STATES = {"RU": "R", "IN": "S", "UN": "D", "ZO": "Z", "ID": "I", "ST": "T", "TR": "t", "DE": "X", "PA": "P"}
DEADLINE = 600
"""Seconds; crash takes ten on a machine that has nothing else to do."""
NAMES = ("RELEASE", "DATE", "PANIC")
SAME = "same"


@dataclass
class Compared:
    """What one peer says of one dump, against lastwords."""

    dump: str
    peer: str
    cells: list[str] = field(default_factory=list)
    """Back trace, tasks, memory, mounts, names."""
    wrong: list[str] = field(default_factory=list)

    def add(self, what: str, ours: list[Any], theirs: list[Any]) -> None:
        """Note whether two lists are equal."""
        if ours == theirs:
            self.cells.append(f"{SAME} ({len(ours)})")
            return
        self.cells.append(f"**different** ({len(ours)}, {len(theirs)})")
        here = [repr(each) for each in ours if each not in theirs][:3]
        there = [repr(each) for each in theirs if each not in ours][:3]
        self.wrong.append(f"{what}: only here {', '.join(here)}; only there {', '.join(there)}")


def compare(image: str) -> Iterator[Compared]:
    """Compare what is in the dump that kdump wrote in a machine of an image.

    :raises Unavailable: no such machine has crashed, its kernel's symbols are gone, or there is no drgn
    """
    run_directory = os.path.join(RUNS, f"kdump-sysrq-c@{image}")
    if not os.path.exists(run_directory):
        raise Unavailable(f"python -m lab run kdump-sysrq-c@{image}")
    release = read_json(os.path.join(run_directory, "run.json"))["kernel"]
    try:
        vmlinux = peers.symbols(IMAGES[image], release)
    except LabError as problem:
        raise Unavailable(str(problem)) from None
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="vmcores-") as work:
        dump = _dump_of(os.path.join(run_directory, "disk.qcow2"), work)
        os.link(vmlinux, os.path.join(work, "vmlinux"))
        ours = _document(dump)
        yield _with_drgn(ours, _document(dump, "--vmlinux", vmlinux), release)
        said = peers.call(
            ["crash", "-s", f"{peers.SHARED}/vmlinux", f"{peers.SHARED}/dump"],
            work,
            deadline=DEADLINE,
            stdin=QUESTIONS,
        )
        yield _with_crash(ours, said.stdout, said.stderr, release)


def _dump_of(disk: str, work: str) -> str:
    raw = os.path.join(work, "disk.raw")
    disks.raw_copy(disk, raw)
    run(["debugfs", "-R", f'rdump /var/crash "{work}"', raw], check=False, deadline=300)
    os.unlink(raw)
    found = glob.glob(os.path.join(work, "crash", "*", "dump.*"))
    if len(found) != 1:
        raise LabError(f"{disk}: expected one dump in it, found {len(found)}")
    os.rename(found[0], os.path.join(work, "dump"))
    return os.path.join(work, "dump")


def _document(dump: str, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "lastwords", "vmcore", "--json", *SECTIONS, *more, dump]
    done = run(command, deadline=DEADLINE, check=False)
    if not done.stdout:
        if "needs drgn" in done.stderr:
            raise Unavailable("needs drgn: pip install 'lastwords[vmcore]'")
        raise LabError(done.stderr.strip()[-300:])
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _frames(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return function and address of each frame of the CPU that panicked; not what only symbols can tell."""
    return [
        (each["address"], each["symbol"])
        for each in document["backtraces"][0]["frames"]
        if not each["inlined"]
    ]


def _with_drgn(ours: dict[str, Any], theirs: dict[str, Any], release: str) -> Compared:
    compared = Compared(release, "drgn")
    views = (
        ("the back traces", "backtraces", lambda document: [at for at, _ in _frames(document)]),
        ("the tasks", "tasks", lambda document: sorted(document["tasks"], key=str)),
        ("the use of memory", "memory", lambda document: [*document["memory"].items()]),
        ("the mounts", "mounts", lambda document: document["mounts"]),
    )
    for what, key, view in views:
        if theirs[key] is None:
            why = next((each["why"] for each in theirs["missing"] if each["what"] == what), "not told")
            compared.cells.append(f"it cannot: {ADDRESS.sub('', why or '').removeprefix('drgn: ')}")
        else:
            compared.add(what, view(ours), view(theirs))
    compared.cells.append("")
    return compared


def _with_crash(ours: dict[str, Any], said: str, complaints: str, release: str) -> Compared:
    compared = Compared(release, "crash")
    if not TASK.search(said):
        lines = [line for line in (said + "\n" + complaints).splitlines() if line.strip()]
        compared.cells = [f"it cannot: {lines[0].strip() if lines else 'no answer in time'}", *[""] * 4]
        return compared
    mine = _frames(ours)[1:]  # crash begins elsewhere, where the registers were saved
    theirs = [(f"0x{at}", name) for _, name, at in FRAME.findall(said)]
    theirs = [each for i, each in enumerate(theirs) if mine[0] in theirs[: i + 1]][: len(mine)]
    # It leaves out frames, such as panic() above vpanic(), that drgn has.
    skipped = [each for each in mine if each not in theirs]
    compared.add("back trace", [each for each in mine if each not in skipped], theirs)
    if skipped:
        compared.cells[-1] += f", without {', '.join(name for _, name in skipped)}"
    compared.add("tasks", _tasks(ours), _tasks_of_crash(said))
    sums = {name: int(pages) for name, pages in SUM.findall(said)}
    compared.add("memory", _sums(ours), [(name, sums.get(name)) for name, _ in _sums(ours)])
    mounts = [(each["filesystem"], each["device"], each["path"]) for each in ours["mounts"]]
    # crash ends the path of an automount with a slash.
    found = [(kind, device, path.rstrip("/") or "/") for kind, device, path in MOUNT.findall(said)]
    compared.add("mounts", mounts, found)
    moment = time.strftime("%a %b %e %H:%M:%S UTC %Y", time.gmtime(ours["kernel"]["crash_time"]))
    names = [ours["kernel"]["release"], moment, ours["panic"]]
    told = [re.search(rf"^ *{name}: (.*?)\s*$", said, re.MULTILINE) for name in NAMES]
    compared.add("names", names, [match[1].strip('"') if match else None for match in told])
    return compared


def _tasks(document: dict[str, Any]) -> list[Any]:
    """Return what crash tells of each task as well."""
    page = (document["file"]["page_size"] or 4096) // 1024
    keys = ("pid", "parent", "cpu", "state", "comm")
    return sorted(
        [(*(task[key] for key in keys), (task["resident_pages"] or 0) * page) for task in document["tasks"]],
        key=str,
    )


def _tasks_of_crash(said: str) -> list[Any]:
    return sorted(
        [
            (int(pid), int(parent), int(cpu), STATES.get(state, state), comm.strip("[]"), int(resident))
            for pid, parent, cpu, state, _, resident, comm in TASK.findall(said)
        ],
        key=str,
    )


def _sums(document: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the sums, in pages, that crash tells as well."""
    memory, page = document["memory"], document["file"]["page_size"] or 4096
    slab = memory["slab_reclaimable"] + memory["slab_unreclaimable"]
    return [
        (name, value // page)
        for name, value in (("TOTAL MEM", memory["total"]), ("FREE", memory["free"]), ("SLAB", slab))
    ]
