"""How much memory each distribution reserves for the capture kernel by default.

Each is written as a ``crashkernel=`` parameter, so that what it means for a machine is what the kernel
makes of it (:mod:`lastwords.formats.kdump.crashkernel`). The history: 128 MB on x86_64 was enough for all for
years, then 160 MB and 2 bits for each 4 KiB of memory (RHEL 7); drivers and initramfs have grown since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

RHEL8 = "RHEL 8, Managing, monitoring and updating the kernel: memory requirements of kdump"
RHEL9 = "RHEL 9, Managing, monitoring and updating the kernel: memory requirements of kdump"
KDUMP_UTILS = "kdump-utils, kdump-lib.sh: kdump_get_arch_recommend_crashkernel"
_POWER = "2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G"
_LARGE = "1G-4G:192M,4G-64G:256M,64G-:512M"


@dataclass(frozen=True)
class Default:
    """The default of one distribution."""

    parameter: str
    source: str


_RHEL: dict[int, tuple[str, dict[str, str]]] = {
    8: (RHEL8, {"x86_64": _LARGE, "s390x": _LARGE, "aarch64": "2G-:480M", "ppc64le": _POWER}),
    9: (
        RHEL9,
        {
            "x86_64": _LARGE,
            "s390x": _LARGE,
            "aarch64": "1G-4G:256M,4G-64G:320M,64G-:576M",
            "aarch64+64k": "1G-4G:356M,4G-64G:420M,64G-:676M",
            "ppc64le": _POWER,
        },
    ),
    10: (
        KDUMP_UTILS,
        {
            "x86_64": "2G-64G:256M,64G-:512M",
            "s390x": "2G-64G:256M,64G-:512M",
            "aarch64": "2G-4G:256M,4G-64G:320M,64G-:576M",
            "aarch64+64k": "2G-4G:356M,4G-64G:420M,64G-:676M",
            "ppc64le": _POWER,
        },
    ),
}
FADUMP = (
    "4G-16G:768M,16G-64G:1G,64G-128G:2G,128G-1T:4G,1T-2T:6G,2T-4T:12G,4T-8T:20G,8T-16T:36G,16T-32T:64G,"
    "32T-64T:128G,64T-:180G"
)
"""What Red Hat reserves for firmware-assisted dump (kdump-utils)."""
_DEBIAN = {
    (0, 12): Default("384M-:128M", "kdump-tools 1.8: /etc/default/grub.d/kdump-tools.cfg"),
    (13, 999): Default("512M-:192M", "kdump-tools 1.10: /etc/default/grub.d/kdump-tools.cfg"),
}
_MACHINES = ("x86_64", "aarch64", "aarch64+64k", "ppc64le", "s390x")
_UBUNTU_OLD = Default("512M-:192M", "kdump-tools of Ubuntu: /etc/default/grub.d/kdump-tools.cfg")
_UBUNTU = Default(
    "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M",
    "Ubuntu Server documentation: kernel crash dump",
)


_USUAL = Default("384M-1G:128M,1G-4G:192M,4G-64G:256M,64G-:512M", "what distributions reserve on x86_64")


def default_by_release(release: Optional[str]) -> Default:
    """Return what the distribution reserves whose kernel it is; where the release tells none, what is usual.

    >>> default_by_release("4.18.0-553.el8_10.x86_64").source == RHEL8
    True
    >>> default_by_release("6.12.118+deb13-cloud-amd64").parameter
    '512M-:192M'
    >>> default_by_release("6.6.1").parameter
    '384M-1G:128M,1G-4G:192M,4G-64G:256M,64G-:512M'
    """
    words = release or ""
    machine = next((name for name in _MACHINES if words.endswith(name)), "x86_64")
    found = None
    if match := re.search(r"\.(el|fc)(\d+)", words):
        name = "fedora" if match[1] == "fc" else "rhel"
        found = default_of(
            name, None, match[2], machine.partition("+")[0], 65536 if words.endswith("+64k") else None
        )
    elif match := re.search(r"\+deb(\d+)", words):
        found = default_of("debian", None, match[1], None)
    elif words.endswith(("-amd64", "-arm64")):
        # Before 13 a release of Debian does not name its own: 6.1 is of 12.
        number = re.match(r"(\d+)\.(\d+)", words)
        old = number is not None and (int(number[1]), int(number[2])) <= (6, 1)
        found = default_of("debian", None, "12" if old else None, None)
    return found or _USUAL


def default_of(
    distribution: Optional[str],
    like: Optional[str],
    version: Optional[str],
    architecture: Optional[str],
    page_size: Optional[int] = None,
    fadump: bool = False,
) -> Optional[Default]:
    """Return what the distribution reserves by default, or None when it has no fixed table.

    SUSE computes it on the machine (``kdumptool calibrate``). Red Hat's tables grow by what the machine
    has (mlx5 cards, memory encryption, an SMMU with 64 KiB pages): these are the tables without.

    :param distribution: ID of os-release; *like*: its ID_LIKE; *version*: its VERSION_ID

    >>> default_of("debian", None, "12", "x86_64").parameter
    '384M-:128M'
    >>> default_of("rocky", "rhel centos fedora", "9.4", "aarch64", 65536).parameter
    '1G-4G:356M,4G-64G:420M,64G-:676M'
    """
    words = f"{distribution} {like}".split()
    numbers = [int(part) for part in (version or "").split(".")[:2] if part.isdigit()]
    major = numbers[0] if numbers else None
    if distribution == "ubuntu":
        return None if major is None else _UBUNTU if numbers >= [24, 10] else _UBUNTU_OLD
    if distribution == "debian":
        major = 999 if major is None else major  # testing and sid have no VERSION_ID
        return next((each for (low, high), each in _DEBIAN.items() if low <= major <= high), None)
    if "rhel" in words or "fedora" in words:
        if distribution == "fedora":
            major = 10
        if major is None or major < min(_RHEL):
            return None
        source, table = _RHEL[min(major, max(_RHEL))]
        if fadump and architecture == "ppc64le":
            return Default(FADUMP, KDUMP_UTILS)
        large = f"{architecture}+64k" if page_size == 65536 else ""
        parameter = table.get(large) or table.get(architecture or "")
        return Default(parameter, source) if parameter else None
    return None
