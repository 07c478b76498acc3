"""KVM only where it works: a kernel that is really booted decides, not the presence of /dev/kvm."""

from __future__ import annotations

import os
import subprocess

from lab.common import CACHE, read_json, write_json

PROBE_DEADLINE = 20
CPU = {"kvm": "host", "tcg": "Nehalem"}
"""With TCG a processor of few features: less to emulate."""


def choose(kernel: str) -> str:
    """Return ``kvm`` if *kernel* boots with it within seconds, else ``tcg``; $LAB_ACCEL overrides.

    The answer is kept until this machine boots again. /dev/kvm may be there and yet emulate every
    instruction (a guest that is itself virtual without hardware support): minutes, or a dead QEMU.
    """
    given = os.environ.get("LAB_ACCEL")
    if given in CPU:
        return given
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        boot = stream.read().strip()
    path = os.path.join(CACHE, "accel.json")
    if os.path.exists(path):
        known = read_json(path)
        if known["boot"] == boot:
            return str(known["accel"])
    accel = "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and _boots(kernel) else "tcg"
    os.makedirs(CACHE, exist_ok=True)
    write_json(path, {"boot": boot, "accel": accel})
    return accel


def _boots(kernel: str) -> bool:
    """Boot *kernel* without any disk: it works if it comes as far as missing one, and reboots."""
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "kvm", "-cpu", CPU["kvm"], "-m", "256"]
    command += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
    command += ["-kernel", kernel, "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_DEADLINE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"Unable to mount root fs" in done.stdout
