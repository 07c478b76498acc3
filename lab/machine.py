"""One QEMU process: its console, the agent inside it, its monitor. Everything has a deadline."""

from __future__ import annotations

import base64
import os
import re
import selectors
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Optional

from lab.accel import CPU
from lab.common import Died, LabError, TimeLimit, Unavailable, machine_slot
from lab.disks import size_of
from lab.qmp import Monitor, connect

CONSOLE_LIMIT = 32 << 20
DONE = re.compile(rb"\nlab-done (\d+)\r?\n")
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
READY = re.compile(rb"lab-ready (\S+)\r?\n")
ATTACHED = {
    "virtio-blk": ("virtio-blk-pci",),
    "virtio-scsi": ("virtio-scsi-pci", "scsi-hd"),
    "nvme": ("nvme,serial=lab",),
    "ahci": ("ide-hd",),
}
"""How a disk may be attached: the devices of QEMU, of which the last is the disk."""
SERVES = "serves"
"""Whichever machine comes: one at a time."""


@dataclass(frozen=True)
class Hardware:
    """What a machine is made of."""

    accel: str
    memory: int
    """Megabytes."""
    disk: str
    """qcow2, written to: /dev/vda."""
    spare: str
    """qcow2, written to: /dev/vdb."""
    job: str
    """raw, read only: /dev/vdc."""
    kernel: Optional[str] = None
    """Without one, *loader* boots."""
    initrd: Optional[str] = None
    append: str = ""
    loader: Optional[str] = None
    """raw, read only: the disk that the firmware boots from."""
    spare_on: str = "virtio-blk"
    """How the spare disk is attached: one of ``ATTACHED``. Otherwise than by virtio, the job is /dev/vdb."""
    cpus: int = 1
    nodes: int = 1
    """NUMA nodes, memory shared out evenly."""
    network: str = ""
    """A network card, eth0, and what is at the other end of its cable: ``SERVES``, or the path of the socket
    ``net`` in the work directory of a machine that does."""


class Machine:
    """A machine that runs as long as the ``with`` block does.

    :param work: directory for sockets and logs: ``serial.log`` as it came, ``serial.times`` with the second
        at which each line ended
    :param saved: name of the saved state to go on from, instead of booting
    """

    def __init__(self, hardware: Hardware, work: str, saved: Optional[str] = None) -> None:
        self.hardware = hardware
        self.console = b""
        self._work = work
        self._saved = saved
        self._line = b""
        self._said = b""
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Machine:
        self._slot = machine_slot()
        self._slot.__enter__()
        try:
            self._start()
        except BaseException:
            self._slot.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self._stop()
        finally:
            self._slot.__exit__(None, None, None)

    def _start(self) -> None:
        os.makedirs(self._work, exist_ok=True)
        for name in ("agent", "monitor"):
            if os.path.exists(self._path(name)):
                os.unlink(self._path(name))
        self.started = time.monotonic()
        # The kernel ends QEMU when this process is killed in a way that leaves no time for it.
        command = ["setpriv", "--pdeathsig", "KILL", "nice", *self._command()]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._work,
            )
        except FileNotFoundError:
            raise Unavailable("needs setpriv and nice") from None
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ, self._hear_console)
        try:
            self._agent = self._connect("agent")
            self._monitor = Monitor(self._connect("monitor"))
            self._selector.register(self._agent, selectors.EVENT_READ, self._hear_agent)
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        for name in ("_agent", "_monitor"):
            if hasattr(self, name):
                getattr(self, name).close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _command(self) -> list[str]:
        hardware = self.hardware
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", hardware.accel]
        command += ["-cpu", CPU[hardware.accel], "-m", str(hardware.memory), "-smp", str(hardware.cpus)]
        command += ["-nodefaults"]
        command += ["-display", "none", "-no-reboot", "-serial", "stdio", "-device", "vmcoreinfo"]
        # Relative names: a path of a socket may not be longer than 107 bytes.
        command += ["-serial", "unix:agent,server=on,wait=off", "-qmp", "unix:monitor,server=on,wait=off"]
        for number, (path, form, options) in enumerate(self._disks()):
            command += ["-drive", f"file={path},format={form},if=none,id=disk{number}{options}"]
            *buses, disk = ATTACHED[hardware.spare_on if path == hardware.spare else "virtio-blk"]
            first = ",bootindex=1" if path == hardware.loader else ""
            for device in (*buses, f"{disk},drive=disk{number}{first}"):
                command += ["-device", device]
        for node in range(hardware.nodes if hardware.nodes > 1 else 0):
            size = f"size={hardware.memory // hardware.nodes}M"
            command += ["-object", f"memory-backend-ram,id=node{node},{size}"]
            command += ["-numa", f"node,nodeid={node},memdev=node{node}"]
        if hardware.network:
            serves = hardware.network == SERVES
            cable = f"server={'on' if serves else 'off'},addr.path={'net' if serves else hardware.network}"
            command += ["-netdev", f"stream,id=net0,addr.type=unix,{cable}"]
            mac = f"52:54:00:00:00:{'01' if serves else '02'}"
            command += ["-device", f"virtio-net-pci,netdev=net0,romfile=,mac={mac}"]
        if hardware.kernel:
            command += ["-kernel", hardware.kernel, "-append", hardware.append]
        if hardware.initrd:
            command += ["-initrd", hardware.initrd]
        if self._saved:
            command += ["-loadvm", self._saved]
        return command

    def _disks(self) -> list[tuple[str, str, str]]:
        hardware = self.hardware
        disks = [(hardware.disk, "qcow2", ",cache=unsafe"), (hardware.spare, "qcow2", ",cache=unsafe")]
        disks.append((hardware.job, "raw", ",readonly=on"))
        if hardware.loader:
            disks.append((hardware.loader, "raw", ",readonly=on"))
        return disks

    def _path(self, name: str) -> str:
        return os.path.join(self._work, name)

    def _connect(self, name: str) -> socket.socket:
        limit = time.monotonic() + 30
        while True:
            try:
                connection = connect(self._work, name)
                connection.settimeout(60)
                return connection
            except OSError:
                pass
            if self._process.poll() is not None:
                self._hear_rest()
                raise LabError(f"QEMU ended at once: {self.text()[-500:].strip()}")
            if time.monotonic() > limit:
                raise TimeLimit("QEMU did not start within 30 s")
            time.sleep(0.05)

    # -- what it says

    def text(self) -> str:
        """Return everything said on the console so far, without colours."""
        return COLOURS.sub("", self.console.decode("utf-8", "replace")).replace("\r", "")

    def _hear_console(self) -> None:
        assert self._process.stdout is not None
        data = os.read(self._process.stdout.fileno(), 65536)
        if not data:
            self._selector.unregister(self._process.stdout)
            return
        if len(self.console) > CONSOLE_LIMIT:
            raise LabError(f"the console said more than {CONSOLE_LIMIT} bytes")
        self.console += data
        *lines, self._line = (self._line + data).split(b"\n")
        now = f"{time.monotonic() - self.started:8.2f} ".encode()
        with open(self._path("serial.log"), "ab") as log, open(self._path("serial.times"), "ab") as times:
            log.write(data)
            times.writelines(now + line.strip() + b"\n" for line in lines)

    def _hear_agent(self) -> None:
        try:
            data = self._agent.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(self._agent)
        self._said += data

    def _hear_rest(self) -> None:
        while self._selector.select(0.2):
            for key, _ in self._selector.select(0):
                key.data()
            if not self._selector.get_map():
                return

    def _wait(self, done: Callable[[], bool], deadline: float, what: str) -> None:
        """Listen until *done*.

        :raises Died: QEMU ended before
        :raises TimeLimit: *deadline* seconds have passed
        """
        limit = time.monotonic() + deadline
        while not done():
            if self._process.poll() is not None:
                self._hear_rest()
                if done():
                    return
                raise Died(f"the machine went down while waiting for {what}")
            if time.monotonic() > limit:
                raise TimeLimit(f"waited {deadline:g} s for {what}; console ends: {self.text()[-300:]!r}")
            for key, _ in self._selector.select(0.5):
                key.data()

    def wait_ready(self, deadline: float) -> str:
        """Wait for the agent; return the kernel release it tells."""
        self._wait(lambda: bool(READY.search(self._said)), deadline, "the agent")
        found = READY.search(self._said)
        assert found is not None
        self._said = b""
        return found.group(1).decode()

    def wait_down(self, deadline: float, or_when: Callable[[str], bool]) -> bool:
        """Wait until QEMU ends, as a reboot makes it; return False if *or_when* of the console came first."""

        def done() -> bool:
            return self._process.poll() is not None or or_when(self.text())

        self._wait(done, deadline, "the machine to go down")
        if self._process.poll() is not None:
            self._hear_rest()
            return True
        return False

    # -- what it is told

    def send(self, script: str) -> None:
        """Have the agent run a bash script; do not wait for it."""
        self._said = b""
        self._agent.sendall(base64.b64encode(script.encode()) + b"\n")

    def call(self, script: str, deadline: float = 60) -> str:
        """Have the agent run a bash script (``bash -e``); return its output.

        :raises LabError: it failed
        :raises Died: the machine went down meanwhile
        """
        self.send(script)
        self._wait(lambda: bool(DONE.search(self._said)), deadline, f"the end of: {script.strip()[:80]}")
        found = DONE.search(self._said)
        assert found is not None
        output = self._said[: found.start()].decode("utf-8", "replace")
        if found.group(1) != b"0":
            raise LabError(f"status {found.group(1).decode()} of: {script.strip()[:200]}\n{output[-1500:]}")
        return output

    def monitor(self, command: str, **arguments: Any) -> Any:
        """Run a QMP command; return its answer."""
        return self._monitor.run(command, **arguments)

    def save(self, name: str) -> None:
        """Save the state of the machine in its disk, under *name*."""
        said = self.monitor("human-monitor-command", **{"command-line": f"savevm {name}"})
        if said.strip():
            raise LabError(f"savevm: {said.strip()}")

    def exchanged_spare(self) -> None:
        """Tell the machine, which went on with another spare disk than it was saved with, how large it is."""
        self.monitor("block_resize", device="disk1", size=size_of(self.hardware.spare))

    def quit(self) -> None:
        """End the machine as if its power was cut."""
        try:
            self.monitor("quit")
        except (Died, OSError):
            pass
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._hear_rest()
