"""Everything that one machine left, as inputs of lastwords, and what lastwords says of each."""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass, field
from typing import Any, Optional

from lab import disks
from lab.common import LabError, Unavailable, run

MODULES = "/usr/lib/modules"
TREES = ("/boot", "/etc", "/var", "/root", MODULES, "/usr/lib/sysctl.d", "/usr/lib/systemd")
FILES = ("/usr/lib/os-release",)
OUTBOX = "var/lab"
LINKS = {"lib": "usr/lib", "sbin": "usr/sbin", "bin": "usr/bin"}
OPEN_DEADLINE = 300


@dataclass
class Input:
    """One way to see the machine, and the verdict on it."""

    kind: str
    """``bundle``, ``sos``, ``sos-cleaned`` or ``disk``; ``before`` is a bundle made before the fault."""
    path: str
    verdict: dict[str, Any] = field(default_factory=dict)
    error: Optional[str] = None

    @property
    def live(self) -> bool:
        """Whether it was gathered inside the running machine."""
        return self.kind != "disk"


def inputs_of(run_directory: str, spare: str, work: str) -> list[Input]:
    """Take the inputs out of the disks that a run has left, into *work*, and open each.

    :param spare: where the machine had mounted its spare disk, or empty
    """
    tree = os.path.join(work, "disk")
    _extract(os.path.join(run_directory, "disk.qcow2"), TREES, tree, work)
    _modules_links(tree)
    if spare:
        _extract(os.path.join(run_directory, "spare.qcow2"), ("/",), tree + spare, work)
    inputs = []
    for name in ("before", "bundle"):
        path = os.path.join(tree, OUTBOX, f"{name}.tar.gz")
        if os.path.exists(path):
            inputs.append(Input(name, _moved(path, work)))
    for path in sorted(glob.glob(os.path.join(tree, OUTBOX, "sosreport-*.tar.gz"))):
        report = _moved(path, work)
        inputs.append(Input("sos", report))
        inputs.append(_cleaned(report, os.path.join(work, "cleaned")))
    shutil.rmtree(os.path.join(tree, OUTBOX), ignore_errors=True)
    inputs.append(Input("disk", tree))
    for each in inputs:
        if each.error is None:
            _open(each)
    return inputs


def registered_rules() -> set[str]:
    """Return the ids of all rules that lastwords has today."""
    said = run([sys.executable, "-m", "lastwords", "plugins", "--json"]).stdout
    return {name for plugin in json.loads(said) for name in plugin["registered"].get("rules", ())}


def _extract(disk: str, trees: tuple[str, ...], target: str, work: str) -> None:
    raw = os.path.join(work, "disk.raw")
    disks.raw_copy(disk, raw)
    try:
        os.makedirs(target, exist_ok=True)
        disks.take_out_trees(raw, trees, target)
        if trees == TREES:
            if not os.path.isdir(target + MODULES):
                # Debian 11 without merged /usr: where its links lead here.
                disks.take_out_trees(raw, ("/lib/modules",), target)
                shutil.move(target + "/lib/modules", target + MODULES)
                os.rmdir(target + "/lib")
            for path in FILES:
                disks.take_out(raw, path, target + path)
    finally:
        os.unlink(raw)


def _modules_links(tree: str) -> None:
    for name, target in LINKS.items():
        os.makedirs(os.path.join(tree, target), exist_ok=True)
        os.symlink(target, os.path.join(tree, name))


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


def _open(each: Input) -> None:
    command = [sys.executable, "-m", "lastwords", "open", "--json"]
    command += ["--root", each.path] if each.kind == "disk" else [each.path]
    try:
        said = run(command, deadline=OPEN_DEADLINE)
        each.verdict = json.loads(said.stdout)
    except Unavailable:
        raise
    except (LabError, ValueError) as problem:
        each.error = str(problem)


def records_in(bundle: str, collector: str) -> list[dict[str, Any]]:
    """Return the records of one collector in the archive of a bundle."""
    with tarfile.open(bundle) as archive:
        for member in archive:
            stream = (
                archive.extractfile(member) if member.name.endswith(f"/facts/{collector}.jsonl") else None
            )
            if stream is not None:
                return [json.loads(line) for line in stream]
    return []
