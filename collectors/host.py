"""What this machine is: distribution, kernel release, architecture, memory, uptime, virtualisation, clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Optional

from lastwords.formats.system.os_release import parse_os_release
from lastwords.hookspecs import Collector
from lastwords.model import Facts
from lastwords.roots.base import Root

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
OLD_RELEASES = ("/etc/redhat-release", "/etc/SuSE-release", "/etc/debian_version")


class HostCollector(Collector):
    """Identifies the machine and the time at which it was looked at."""

    name = "host"
    title = "the machine: distribution, kernel, memory, uptime, virtualisation"
    reads = (
        *OS_RELEASE,
        *OLD_RELEASES,
        "/etc/hostname",
        "/etc/machine-id",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/arch",
        "/proc/sys/kernel/random/boot_id",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/uptime",
        "/proc/1/comm",
        "/proc/1/cgroup",
        "/proc/cpuinfo",
        "/sys/class/dmi/id/sys_vendor",
        "/sys/class/dmi/id/product_name",
        "/sys/hypervisor/type",
        "/run/systemd/container",
        "/run/.containerenv",
        "/.dockerenv",
    )
    runs = (("uname", "-a"), ("getconf", "PAGE_SIZE"), ("systemd-detect-virt",))

    def collect(self, root: Root) -> Iterator[Facts]:
        release = _os_release(root)
        name, kernel, architecture = _uname(root)
        uptime = _number(root.text("/proc/uptime"))
        yield {
            "distribution": release,
            "hostname": _line(root.text("/proc/sys/kernel/hostname"))
            or name
            or _line(root.text("/etc/hostname")),
            "machine_id": _line(root.text("/etc/machine-id")),
            "boot_id": _line(root.text("/proc/sys/kernel/random/boot_id")),
            "kernel_release": _line(root.text("/proc/sys/kernel/osrelease")) or kernel,
            "architecture": _line(root.text("/proc/sys/kernel/arch")) or architecture,
            "page_size": _integer(_output(root, "getconf", "PAGE_SIZE")),
            "memory_total": _memory_total(root),
            "cpus": _cpus(root),
            "taken_at": root.taken_at,
            "uptime": uptime,
            "boot_time": _boot_time(root),
            "virtualization": _virtualization(root),
            "container": _container(root),
        }


def _os_release(root: Root) -> dict[str, Optional[str]]:
    for path in OS_RELEASE:
        text = root.text(path)
        if text is not None:
            found = parse_os_release(text)
            return {
                "id": found.get("ID"),
                "id_like": found.get("ID_LIKE"),
                "version_id": found.get("VERSION_ID"),
                "pretty_name": found.get("PRETTY_NAME"),
            }
    old = next((line for path in OLD_RELEASES if (line := _line(root.text(path)))), None)
    return {"id": None, "id_like": None, "version_id": None, "pretty_name": old}


def _uname(root: Root) -> tuple[Optional[str], Optional[str], Optional[str]]:
    """Return node name, release and machine as ``uname -a`` tells them: sosreports have that, not /proc.

    ``Linux NODE RELEASE VERSION ... MACHINE [PROCESSOR PLATFORM] GNU/Linux``
    """
    words = (_output(root, "uname", "-a") or "").split()
    if len(words) < 4:
        return None, None, None
    machine = next((word for word in reversed(words[3:]) if word not in ("GNU/Linux", "unknown")), None)
    return words[1], words[2], machine


def _memory_total(root: Root) -> Optional[int]:
    match = re.search(r"^MemTotal:\s+(\d+) kB", root.text("/proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _cpus(root: Root) -> Optional[int]:
    text = root.text("/proc/cpuinfo")
    found = len(re.findall(r"^processor\s*:", text, re.MULTILINE)) if text else 0
    return found or None


def _boot_time(root: Root) -> Optional[int]:
    match = re.search(r"^btime (\d+)", root.text("/proc/stat") or "", re.MULTILINE)
    return int(match[1]) if match else None


def _virtualization(root: Root) -> dict[str, Optional[str]]:
    return {
        "detected": _output(root, "systemd-detect-virt"),
        "vendor": _line(root.text("/sys/class/dmi/id/sys_vendor")),
        "product": _line(root.text("/sys/class/dmi/id/product_name")),
        "hypervisor": _line(root.text("/sys/hypervisor/type")),
    }


def _container(root: Root) -> dict[str, Any]:
    """Tell a container by the marks that its managers leave; ``kind`` is None on a plain host."""
    kind = _line(root.text("/run/systemd/container"))
    if kind is None and root.exists("/run/.containerenv"):
        kind = "podman"
    if kind is None and root.exists("/.dockerenv"):
        kind = "docker"
    return {
        "kind": kind,
        "init": _line(root.text("/proc/1/comm")),
        "cgroup": _line(root.text("/proc/1/cgroup")),
    }


def _output(root: Root, *argv: str) -> Optional[str]:
    output = root.run(argv)
    return _line(output.text) if output else None


def _line(text: Optional[str]) -> Optional[str]:
    lines = text.strip().splitlines() if text else []
    return lines[0] if lines else None


def _number(text: Optional[str]) -> Optional[float]:
    match = re.match(r"\d+(?:\.\d+)?", text or "")
    return float(match[0]) if match else None


def _integer(text: Optional[str]) -> Optional[int]:
    return int(text) if text and text.isdigit() else None
