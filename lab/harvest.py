"""Everything that one machine left, as inputs of lastwords, and what lastwords says of each."""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import Any, Optional

from lab import disks
from lab.common import LabError, Unavailable, run
from lastwords.roots.logs import alone, is_log
from lastwords.roots.vmcore_head import is_vmcore

OUTBOX = "var/lab"
OPEN_DEADLINE = 300


@dataclass
class Input:
    """One way to see the machine, and the verdict on it."""

    kind: str
    """``bundle``, ``sos``, ``sos-cleaned``, ``disk``, ``console`` or ``vmcore``; ``before`` is a bundle made
    before the fault, ``rescue`` one of the disk, made by a rescue machine before it mended it."""
    path: str
    verdict: dict[str, Any] = field(default_factory=dict)
    error: Optional[str] = None

    @property
    def live(self) -> bool:
        """Whether it was gathered inside the running machine."""
        return self.kind in ("before", "bundle", "sos", "sos-cleaned")


def inputs_of(run_directory: str, spare: str, work: str) -> list[Input]:
    """Take the inputs out of the disks that a run has left, into *work*, and open each.

    :param spare: where the machine had mounted its spare disk, or empty
    """
    tree = os.path.join(work, "disk")
    _extract(os.path.join(run_directory, "disk.qcow2"), tree, work)
    if spare:
        _extract(os.path.join(run_directory, "spare.qcow2"), tree + spare, work)
    inputs = []
    for name in ("before", "bundle", "rescue"):
        path = os.path.join(tree, OUTBOX, f"{name}.tar.gz")
        if os.path.exists(path):
            inputs.append(Input(name, _moved(path, work)))
    for path in sorted(glob.glob(os.path.join(tree, OUTBOX, "sosreport-*.tar.gz"))):
        report = _moved(path, work)
        inputs.append(Input("sos", report))
        inputs.append(_cleaned(report, os.path.join(work, "cleaned")))
    shutil.rmtree(os.path.join(tree, OUTBOX), ignore_errors=True)
    inputs.append(Input("disk", tree))
    console = os.path.join(run_directory, "serial.log")
    if is_log(*alone(console)):  # an idle machine says nothing, and a boot loader is no kernel
        inputs.append(Input("console", console))
    dumps = sorted(glob.glob(os.path.join(tree, "var/crash/*/dump.*")))
    inputs += [Input("vmcore", path) for path in dumps if is_vmcore(path)]
    for each in inputs:
        if each.error is None:
            open_input(each)
    return inputs


def _extract(disk: str, target: str, work: str) -> None:
    raw = os.path.join(work, "disk.raw")
    disks.raw_copy(disk, raw)
    try:
        os.makedirs(target, exist_ok=True)
        disks.take_out_all(raw, target)
    finally:
        os.unlink(raw)


def _moved(path: str, work: str) -> str:
    return shutil.move(path, os.path.join(work, os.path.basename(path)))


def _cleaned(report: str, out: str) -> Input:
    """Obfuscate a sosreport with the sos of this machine, which keeps no memory of it."""
    if shutil.which("sos") is None:
        return Input("sos-cleaned", out, error="needs sos")
    os.makedirs(out)
    command = ["sos", "clean", "--batch", "--quiet", "--tmp-dir", out]
    command += ["--map", os.path.join(out, "map"), "--no-update", report]
    try:
        run(command, deadline=300)
    except LabError as problem:
        return Input("sos-cleaned", out, error=str(problem))
    archives = glob.glob(os.path.join(out, "*obfuscated*.tar*"))
    archives = [path for path in archives if not path.endswith((".sha256", ".md5"))]
    if not archives:
        return Input("sos-cleaned", out, error="sos clean wrote nothing")
    return Input("sos-cleaned", archives[0])


def open_input(each: Input) -> None:
    """Have lastwords open an input; note its verdict, or what went wrong."""
    command = [sys.executable, "-m", "lastwords", "open", "--json"]
    command += ["--root", each.path] if each.kind == "disk" else [each.path]
    try:
        said = run(command, deadline=OPEN_DEADLINE)
        each.verdict = json.loads(said.stdout)
    except Unavailable:
        raise
    except (LabError, ValueError) as problem:
        each.error = str(problem)
