"""Guests of nothing but a kernel and busybox, which panic; QEMU writes their memory in every form it knows.

The kernel of an image of the lab, or of a Debian package for another architecture, of which nothing is run
here. The console is the witness: with ``ignore_loglevel`` it gets every line that is in the kernel's log.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

from lab import disks, packages
from lab.common import CACHE, LabError, TimeLimit, Unavailable, digest, locked, machine_slot, run, staged
from lab.images import IMAGES, build
from lab.packages import Archive
from lab.qmp import Monitor, connect
from lab.runner import BUSY

MODULE = "qemu_fw_cfg.ko"
"""Tells QEMU where VMCOREINFO is."""
BOOT_DEADLINE = 300
DUMP_DEADLINE = 120
PANICKED = b"end Kernel panic"
DEBIAN = Archive("bookworm", "amd64", "bookworm-security")
_LINE = re.compile(rb"\[ *\d+\.\d{6}\] ")

INIT = r"""#!/busybox sh
b=/busybox
$b mkdir -p /proc /sys /dev /mnt
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
$b insmod /qemu_fw_cfg.ko
$b mount -t tmpfs -o ro,size=1m scratch /mnt
$b sleep 1000 & $b sleep 1000 &
printf 'lab: a message\nof two lines' >/dev/kmsg
i=0; while [ $i -lt 200 ]; do echo "<$((i % 8))>lab: message $i of /dev/kmsg" >/dev/kmsg; i=$((i + 1)); done
echo 1 >/proc/sys/kernel/sysrq
echo c >/proc/sysrq-trigger
$b sleep 1000
"""


@dataclass(frozen=True)
class Guest:
    """What boots."""

    name: str
    machine: str = "x86_64"
    cpu: str = "Nehalem"
    image: Optional[str] = None
    """Of the lab, whose kernel it is."""
    archive: Optional[Archive] = None
    package: str = ""
    memory: int = 256
    """Megabytes."""
    cpus: int = 1
    levels: tuple[int, ...] = (0,)
    """Dump levels (``makedumpfile -d``) to try, besides 31 in every form."""


BOOKWORM_ARM64 = Archive("bookworm", "arm64", "bookworm-security")
TRIXIE_ARM64 = Archive("trixie", "arm64", "trixie-security")
GUESTS = {
    guest.name: guest
    for guest in (
        Guest("bullseye", image="bullseye"),
        Guest("bookworm", image="bookworm", levels=tuple(range(32))),
        Guest("trixie", image="trixie", cpus=2),
        # Page tables of five levels.
        Guest("trixie-la57", image="trixie", cpu="max"),
        Guest("sid", image="sid"),
        Guest(
            "bookworm-arm64",
            "aarch64",
            "cortex-a57",
            archive=BOOKWORM_ARM64,
            package="linux-image-arm64",
            cpus=2,
        ),
        Guest(
            "trixie-arm64",
            "aarch64",
            "max,pauth-impdef=on",
            archive=TRIXIE_ARM64,
            package="linux-image-arm64",
        ),
        # Built for 52 bits of addresses, on processors that have 48.
        Guest(
            "trixie-arm64-48",
            "aarch64",
            "cortex-a57",
            archive=TRIXIE_ARM64,
            package="linux-image-arm64",
        ),
        Guest(
            "trixie-arm64-16k-47",
            "aarch64",
            "neoverse-n1",
            archive=TRIXIE_ARM64,
            package="linux-image-arm64-16k",
            memory=512,
        ),
        Guest(
            "trixie-arm64-16k",
            "aarch64",
            "max,pauth-impdef=on",
            archive=TRIXIE_ARM64,
            package="linux-image-arm64-16k",
            memory=512,
        ),
    )
}


def parts(guest: Guest) -> str:
    """Return the directory with ``vmlinuz``, ``initrd`` and ``release``, making it unless it is there.

    :raises Unavailable: this machine cannot
    """
    key = digest(IMAGES[guest.image].key if guest.image else guest.package, INIT)
    name = guest.image or f"{guest.package}-{guest.archive.suite if guest.archive else ''}"
    target = os.path.join(CACHE, "micro", f"{name}-{key}")
    with locked(f"micro-{name}"):
        if not os.path.isdir(target):
            with staged(target) as work:
                tree = os.path.join(work, "tree")
                os.makedirs(tree)
                packed = _of_image(guest, work) if guest.image else _of_package(guest, work)
                _unpack(packed, os.path.join(tree, MODULE))
                _busybox(guest, os.path.join(tree, "busybox"))
                init = os.path.join(tree, "init")
                with open(init, "w", encoding="ascii") as stream:
                    stream.write(INIT)
                os.chmod(init, 0o755)
                script = f'cd "{tree}" && find . | cpio -o -H newc --quiet >../initrd'
                run(["sh", "-c", script])
                shutil.rmtree(tree)
    return target


def _of_image(guest: Guest, work: str) -> str:
    """Take kernel and module out of an image of the lab; return the module's path."""
    assert guest.image is not None
    built = build(IMAGES[guest.image])
    shutil.copyfile(built.kernel, os.path.join(work, "vmlinuz"))
    folder = f"lib/modules/{built.kernel_release}/kernel/drivers/firmware"
    places = (f"{top}{folder}" for top in ("/usr/", "/"))
    found = [(p, name) for p in places for name in disks.names_in(built.disk, p) if name.startswith(MODULE)]
    if not found:
        raise LabError(f"image {guest.image}: no {MODULE} in it")
    target = os.path.join(work, found[0][1])
    disks.take_out(built.disk, "/".join(found[0]), target)
    _note(work, built.kernel_release)
    return target


def _of_package(guest: Guest, work: str) -> str:
    """Take kernel and module out of a package; return the module's path."""
    assert guest.archive is not None
    package = guest.archive.download(guest.package)
    names = packages.names_in(package)
    kernel = next(name for name in names if name.startswith("./boot/vmlinuz-"))
    module = next(name for name in names if f"/{MODULE}" in name)
    packages.take_out(package, kernel, os.path.join(work, "vmlinuz"))
    target = os.path.join(work, os.path.basename(module))
    packages.take_out(package, module, target)
    _note(work, kernel[len("./boot/vmlinuz-") :])
    return target


def _note(work: str, release: str) -> None:
    with open(os.path.join(work, "release"), "w", encoding="ascii") as stream:
        stream.write(release)


def _unpack(packed: str, target: str) -> None:
    with open(packed, "rb") as raw, open(target, "wb") as stream:
        data = raw.read()
        stream.write(lzma.decompress(data) if packed.endswith(".xz") else data)
    os.unlink(packed)


def _busybox(guest: Guest, target: str) -> None:
    archive = Archive("bookworm", guest.archive.architecture) if guest.archive else DEBIAN
    package = archive.download("busybox-static")
    packages.take_out(package, packages.names_in(package, ("/bin/busybox",))[0], target)
    os.chmod(target, 0o755)


@contextmanager
def panicked(guest: Guest, work: str) -> Iterator[Monitor]:
    """Run a guest until it has panicked, stop it and yield its monitor.

    Its console is ``serial.log`` in *work*.

    :raises LabError: it did not panic
    """
    made = parts(guest)
    program = f"qemu-system-{guest.machine}"
    if shutil.which(program) is None:
        raise Unavailable(f"needs {program}")
    console = os.path.join(work, "serial.log")
    serial = "ttyAMA0" if guest.machine == "aarch64" else "ttyS0"
    command = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "5", program, "-accel", "tcg"]
    command += ["-machine", "virt" if guest.machine == "aarch64" else "q35", "-cpu", guest.cpu]
    command += ["-m", str(guest.memory), "-smp", str(guest.cpus), "-nodefaults", "-display", "none"]
    command += ["-device", "vmcoreinfo"]
    command += ["-serial", "file:serial.log", "-qmp", "unix:monitor,server=on,wait=off"]
    command += ["-kernel", f"{made}/vmlinuz", "-initrd", f"{made}/initrd", "-append"]
    command.append(f"console={serial} ignore_loglevel printk.devkmsg=on rdinit=/init net.ifnames=0 {BUSY}")
    with machine_slot(), open(os.path.join(work, "qemu.log"), "wb") as log:
        process = subprocess.Popen(command, cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            monitor = _monitor(process, work)
            limit = time.monotonic() + BOOT_DEADLINE
            while PANICKED not in _read(console):
                if process.poll() is not None or time.monotonic() > limit:
                    raise TimeLimit(f"{guest.name} did not panic: {_read(console)[-300:]!r}")
                time.sleep(0.3)
            time.sleep(0.5)
            monitor.run("stop")
            yield monitor
            monitor.close()
        finally:
            process.kill()
            process.wait()


def _monitor(process: subprocess.Popen[bytes], work: str) -> Monitor:
    limit = time.monotonic() + 30
    while True:
        try:
            connection = connect(work, "monitor")
            connection.settimeout(DUMP_DEADLINE)
            return Monitor(connection)
        except OSError:
            if process.poll() is not None or time.monotonic() > limit:
                said = _read(os.path.join(work, "qemu.log"))[-300:].decode("utf-8", "replace")
                raise LabError(f"QEMU did not start: {said.strip()}") from None
            time.sleep(0.1)


def _read(path: str) -> bytes:
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as stream:
        return stream.read()


def dumps(monitor: Monitor, work: str) -> tuple[dict[str, str], dict[str, str]]:
    """Write the memory of a guest in every form. Return the paths by form, and why others could not be."""
    forms = monitor.run("query-dump-guest-memory-capability")["formats"]
    asked = [(form, {"format": form}) for form in forms if form != "win-dmp"]
    asked.insert(0, ("elf with paging", {}))
    written, refused = {}, {}
    for form, options in asked:
        path = os.path.join(work, f"qemu-{form.replace(' ', '-')}")
        arguments = {"paging": form == "elf with paging", "protocol": f"file:{path}", **options}
        try:
            monitor.run("dump-guest-memory", **arguments)
            written[form] = path
        except LabError as problem:
            refused[form] = str(problem)
    for form in ("elf", "kdump-zlib", "kdump-lzo", "kdump-snappy"):
        if form not in forms:
            refused[form] = "not compiled into this QEMU"
    return written, refused


def printed(console: bytes) -> list[bytes]:
    """Return the lines of the kernel's log that a console got, each as it was."""
    lines = console.replace(b"\r", b"").split(b"\n")
    return [line for line in lines if _LINE.match(line)]
