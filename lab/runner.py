"""Plays a scenario: go on from a saved state, set up, do the fault, prove it, gather, keep what is left."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Callable, Optional

from lab import boot, disks
from lab.common import (
    CACHE,
    PATIENCE,
    REPOSITORY,
    LabError,
    TimeLimit,
    Unavailable,
    digest,
    locked,
    read_json,
    run,
    staged,
    write_json,
)
from lab.images import IMAGES, Built, build, fault_module
from lab.machine import Hardware, Machine
from lab.scenario import Scenario

RUNS = os.path.join(CACHE, "runs")
TOOL = os.path.join(CACHE, "lastwords.pyz")
PLUGIN = os.path.join(REPOSITORY, "sos_plugins", "lastwords.py")
BASE_APPEND = "console=ttyS0 net.ifnames=0 root=/dev/vda ro"
BUSY = "no_timer_check"
"""For kernels that boot while the host is busy, which may find that "IO-APIC + timer doesn't work"."""
SPARE_SIZE = "64M"
SAVED = "ready"
BOOT_DEADLINE = 240 * PATIENCE
GATHER_DEADLINE = 240 * PATIENCE
SOS_DEADLINE = 900 * PATIENCE
PLAN_DEADLINE = 600 * PATIENCE

ARRIVE = """
date -u -s @{now} >/dev/null
blockdev --flushbufs /dev/vdc
mkdir -p /opt/lab /var/lab
if [ ! -L /run/lab ]; then rm -r /run/lab; ln -s /opt/lab /run/lab; fi
tar -xf /dev/vdc -C /opt/lab --ignore-zeros
"""
# Once for each saved machine: Python compiles what it will need, which takes longer than to gather.
COMPILE = (
    "python3 /run/lab/lastwords.pyz collect --quiet -o /run/first.tar.gz || [ $? = 3 ]; rm /run/first.tar.gz"
)
# 3: not all could be read, which the bundle tells of; it is no failure.
GATHER = """
status=0
python3 /run/lab/lastwords.pyz collect --quiet -o /var/lab/{name}.tar.gz || status=$?
[ $status = 0 ] || [ $status = 3 ]
"""
# Without the command: the bundle is an input of its own. Plugins that other releases lack are left out.
SOS = """
plugins=/usr/lib/python3/dist-packages/sos/report/plugins
cp /run/lab/plugin.py $plugins/lastwords.py
only=
for name in lastwords kernel memory process boot grub2 kdump logs systemd filesys block release host; do
    [ ! -e $plugins/$name.py ] || only=$only,$name
done
sos report --batch --quiet --compression-type gzip --tmp-dir /var/lab -o ${only#,}
"""

RESCUE_TOPICS = "host,boot,kernel,initramfs"
# As a person would do it, but for reading the script first. That the last umount works shows that the script
# has left nothing mounted.
RESCUE = r"""
blockdev --flushbufs /dev/vdb
mount /dev/vdb /mnt
mkdir -p /mnt/var/lab
printf '#!/bin/sh\nexec python3 /run/lab/lastwords.pyz "$@"\n' >/usr/local/bin/lastwords
chmod +x /usr/local/bin/lastwords
status=0
lastwords collect --quiet --root /mnt --only {topics} -o /mnt/var/lab/rescue.tar.gz || status=$?
[ $status = 0 ] || [ $status = 3 ]
lastwords plan {plan} --root /mnt > /run/lab/repair.sh
cat /run/lab/repair.sh
sh /run/lab/repair.sh
umount /mnt
"""


def tool() -> str:
    """Return the zipapp of this tree, made anew if the tree is newer."""
    with locked("zipapp"):
        sources = [
            path
            for top in ("src/lastwords", "collectors", "schemas", "sos_plugins")
            for path in glob.glob(os.path.join(REPOSITORY, top, "**", "*.*"), recursive=True)
            if not path.endswith(".pyc")
        ]
        sources.append(os.path.join(REPOSITORY, "setup.cfg"))
        newest = max(map(os.path.getmtime, sources))
        if not os.path.exists(TOOL) or os.path.getmtime(TOOL) < newest:
            os.environ.setdefault("VENV", os.path.dirname(os.path.dirname(sys.executable)))
            run([os.path.join(REPOSITORY, "packaging", "zipapp"), TOOL], deadline=300)
            os.utime(TOOL)
        return TOOL


def play(scenario: Scenario, accel: str, say: Callable[[str], None], quick: bool = False) -> dict[str, Any]:
    """Play *scenario* and return its record, which is kept with what the machine left in ``RUNS``.

    A machine that does not do what it should is part of the record (``error``), not an exception.

    :param quick: leave out the sosreport, which takes minutes without KVM
    :raises Unavailable: this machine cannot run it
    """
    if quick:
        scenario = replace(scenario, sos=False)
    built = build(IMAGES[scenario.image])
    carried = {"lastwords.pyz": tool(), "plugin.py": PLUGIN}
    if scenario.module:
        carried["labfault.ko"] = fault_module(built)
    started = time.monotonic()
    record: dict[str, Any] = {
        "scenario": scenario.name,
        "image": scenario.image,
        "kernel": built.kernel_release,
        "base": built.disk,
        "accel": accel,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "error": None,
    }
    with staged(os.path.join(RUNS, scenario.name)) as work:
        job = os.path.join(work, "job.tar")
        disks.job_disk(job, carried)
        hardware = Hardware(
            accel=accel,
            memory=scenario.memory,
            disk=os.path.join(work, "disk.qcow2"),
            spare=os.path.join(work, "spare.qcow2"),
            job=job,
            kernel=built.kernel,
            initrd=built.initrd,
            append=f"{BASE_APPEND} {scenario.append}".rstrip(),
            cpus=scenario.cpus,
            nodes=scenario.nodes,
        )
        try:
            saved = ready(built, hardware, say)
            started = time.monotonic()
            for name in ("disk.qcow2", "spare.qcow2"):
                shutil.copyfile(os.path.join(saved, name), os.path.join(work, name))
            player = _Player(scenario, hardware, work, say)
            player.play()
            record["proof"] = player.proved
            if not all(player.proved.values()):
                missing = [pattern for pattern, seen in player.proved.items() if not seen]
                record["error"] = f"the fault did not happen: {missing[0]} was not seen"
        except Unavailable:
            raise
        except LabError as problem:
            record["error"] = str(problem)
        finally:
            os.unlink(job)
        record["seconds"] = round(time.monotonic() - started, 1)
        _keep(built, scenario, work, record)
        write_json(os.path.join(work, "run.json"), record)
    return record


def _keep(built: Built, scenario: Scenario, work: str, record: dict[str, Any]) -> None:
    """Keep the disks without the saved states in them."""
    disk, spare = (os.path.join(work, name) for name in ("disk.qcow2", "spare.qcow2"))
    if record["error"] is None:
        disks.compact(disk, built.disk, disk + ".small")
        os.rename(disk + ".small", disk)
    elif os.path.exists(disk):
        os.unlink(disk)
    if not scenario.spare and os.path.exists(spare):
        os.unlink(spare)


def ready(built: Built, hardware: Hardware, say: Callable[[str], None]) -> str:
    """Return a directory with the disks of a machine that is saved in them, booted and idle."""
    key = digest(
        hardware.append,
        hardware.memory,
        hardware.accel,
        os.path.getmtime(built.disk),
        (ARRIVE, COMPILE),
        hardware.cpus,
        hardware.nodes,
        *([hardware.network] if hardware.network else []),
    )
    target = os.path.join(CACHE, "saved", f"{os.path.basename(built.path)}-{key}")
    with locked(f"saved-{os.path.basename(target)}"):
        if os.path.exists(target):
            return target
        say("booting it for the first time")
        with staged(target) as work:
            own = replace(
                hardware, disk=os.path.join(work, "disk.qcow2"), spare=os.path.join(work, "spare.qcow2")
            )
            disks.layer(own.disk, built.disk)
            disks.empty(own.spare, SPARE_SIZE)
            with Machine(own, work) as machine:
                machine.wait_ready(BOOT_DEADLINE)
                # The boot is over when nothing is left to start.
                machine.call("systemctl is-system-running --wait || true", BOOT_DEADLINE)
                machine.call(ARRIVE.format(now=int(time.time())), 60 * PATIENCE)
                machine.call(f"{COMPILE}; sync; sleep 1", GATHER_DEADLINE)
                machine.save(SAVED)
                machine.quit()
    return target


class _Player:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, hardware: Hardware, work: str, say: Callable[[str], None]) -> None:
        self._scenario = scenario
        self._hardware = hardware
        self._work = work
        self._say = say
        self.proved: dict[str, Optional[str]] = dict.fromkeys(scenario.proof)

    def play(self) -> None:
        scenario = self._scenario
        with Machine(self._hardware, self._work, saved=SAVED) as machine:
            machine.call(ARRIVE.format(now=int(time.time())), 60 * PATIENCE)
            if scenario.setup:
                self._say("setting up")
                machine.call(scenario.setup, 120 * PATIENCE)
            if scenario.before:
                self._gather(machine, "before")
            if scenario.ends == "down":
                self._go_down(machine)
            else:
                self._stay_up(machine)
        if scenario.ends == "reboot":
            self._restart()
        if scenario.plan:
            self._rescue()
        if scenario.boot:
            self._boot_again()

    def _stay_up(self, machine: Machine) -> None:
        scenario = self._scenario
        if scenario.fault:
            self._say("fault")
            machine.call(scenario.fault, scenario.deadline * PATIENCE)
        if scenario.ends == "alive":
            self._harvest(machine)
            self._look(machine.text())
        machine.call("sync", 60 * PATIENCE)
        machine.quit()

    def _go_down(self, machine: Machine) -> None:
        self._say("fault")
        machine.call("sync", 60 * PATIENCE)
        # Not called, sent: nobody will be there to answer.
        machine.send(self._scenario.fault)
        if self._scenario.monitor:
            machine.monitor(self._scenario.monitor)
        self._until_proved(machine)

    def _from_disk(self) -> Hardware:
        """Return the machine as a boot loader starts it, from what is on the disk now."""
        scenario, hardware = self._scenario, self._hardware
        boot_disk = hardware.spare if scenario.spare == "/boot" else hardware.disk
        if scenario.loader == "grub":
            loader = os.path.join(self._work, "loader.raw")
            boot.make_grub_disk(loader)
            return replace(hardware, kernel=None, initrd=None, loader=loader)
        kernel, initrd = boot.load_as_boot_loader(boot_disk, scenario.spare == "/boot", self._work)
        append = f"{hardware.append} {BUSY} {scenario.boot_append}"
        return replace(hardware, kernel=kernel, initrd=initrd, append=append)

    def _restart(self) -> None:
        """Boot again, and watch it fail."""
        self._say(f"booting it again ({self._scenario.loader})")
        with Machine(self._from_disk(), self._work) as machine:
            self._until_proved(machine)
            machine.quit()

    def _rescue(self) -> None:
        """Mend the disk from another machine, which has it as its second one."""
        scenario = self._scenario
        built = build(IMAGES[scenario.rescue_image])
        folder = os.path.join(self._work, "rescue")
        os.makedirs(folder)
        disk = os.path.join(folder, "disk.qcow2")
        crashkernel = f" crashkernel={built.image.crashkernel}" if built.image.crashkernel else ""
        hardware = replace(
            self._hardware,
            memory=built.image.memory,
            kernel=built.kernel,
            initrd=built.initrd,
            append=BASE_APPEND + crashkernel,
            nodes=1,
        )
        saved = ready(built, hardware, self._say)
        shutil.copyfile(os.path.join(saved, "disk.qcow2"), disk)
        hardware = replace(hardware, disk=disk, spare=self._hardware.disk)
        self._say(f"mending it from a rescue machine ({scenario.rescue_image})")
        disks.take_part(hardware.spare, SAVED)
        with Machine(hardware, folder, saved=SAVED) as machine:
            machine.exchanged_spare()
            machine.call(ARRIVE.format(now=int(time.time())), 60 * PATIENCE)
            said = machine.call(RESCUE.format(plan=scenario.plan, topics=RESCUE_TOPICS), PLAN_DEADLINE)
            machine.quit()
        with open(os.path.join(folder, "said.txt"), "w", encoding="utf-8") as stream:
            stream.write(said)
        os.unlink(disk)

    def _boot_again(self) -> None:
        """Boot again and gather; from what is on the disk, where that was mended."""
        self._say("booting it again, to gather")
        if self._scenario.ends == "reboot":
            hardware = self._from_disk()
        else:
            hardware = replace(self._hardware, append=f"{self._hardware.append} {BUSY}")
        with Machine(hardware, self._work) as machine:
            release = machine.wait_ready(BOOT_DEADLINE)
            if self._scenario.plan:
                self.proved["boots again"] = f"boots again: {release}"
            machine.call("systemctl is-system-running --wait || true", BOOT_DEADLINE)
            machine.call(ARRIVE.format(now=int(time.time())), 60 * PATIENCE)
            self._harvest(machine)
            machine.call("sync", 60 * PATIENCE)
            machine.quit()

    def _harvest(self, machine: Machine) -> None:
        """Prove inside what the console cannot show; then gather."""
        proof = self._scenario.guest_proof
        if proof:
            machine.call(proof, 60 * PATIENCE)
            self.proved["inside: " + proof.replace("\n", "; ")] = "succeeded"
        self._gather(machine, "bundle")
        if self._scenario.sos:
            self._say("sos report inside")
            machine.call(SOS, SOS_DEADLINE)

    def _gather(self, machine: Machine, name: str) -> None:
        self._say(f"gathering inside ({name})")
        machine.call(GATHER.format(name=name), GATHER_DEADLINE)

    def _until_proved(self, machine: Machine) -> None:
        try:
            down = machine.wait_down(self._scenario.deadline * PATIENCE, or_when=self._look)
        except TimeLimit:
            self._look(machine.text())
            raise
        self._look(machine.text())
        if not down:
            # What it was about to write, it may write.
            try:
                machine.wait_down(3, or_when=lambda text: False)
            except TimeLimit:
                pass

    def _look(self, text: str) -> bool:
        """Note which proofs *text* holds; return whether all are seen."""
        for pattern, seen in self.proved.items():
            if seen is None:
                found = re.search(pattern, text)
                if found:
                    start, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
                    self.proved[pattern] = text[start : end if end >= 0 else None].strip()[:300]
        return all(self.proved.values())


def records() -> Iterator[dict[str, Any]]:
    """Yield the record of every run that is kept, by name."""
    for path in sorted(glob.glob(os.path.join(RUNS, "*", "run.json"))):
        with contextlib.suppress(OSError):
            yield read_json(path)
