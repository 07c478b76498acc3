"""Names of kernels, initramfs images and what belongs to them in /boot, as distributions give them.

Source: kernel-install(8), dracut(8), mkinitrd of SUSE, update-initramfs(8), kdumpctl(8), kdump-tools(5),
mkinitcpio(8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

BUILDERS = {"dracut": "dracut", "initramfs-tools": "update-initramfs", "mkinitcpio": "mkinitcpio"}
"""What makes initramfs images, as images name it, and its program."""
_KERNEL = re.compile(r"(?:vmlinu[zx]|[bz]?[Ii]mage|linux|kernel)-(?P<version>\S+)\Z")
_INITRAMFS = re.compile(
    r"(?:(?P<debian>initrd\.img)-(?P<debian_version>\S+)"
    r"|(?:initramfs|initrd)-(?P<img_version>\S+?)\.img(?P<img_rest>[.~]\S*|~)?"
    r"|(?:initramfs|initrd)-(?P<bare_version>\S+))\Z"
)
_LEFTOVER = re.compile(
    r"(?:~|\.(?:bak|old|orig|save|backup|new|tmp|dpkg-\w+|rpm(?:new|save|orig)|old-dkms|hmac|sig|gz|dup_orig)"
    r"(?:[.-].*)?)\Z"
)
_KDUMP = re.compile(r"[-.]?kdump\Z")


@dataclass(frozen=True)
class KernelFile:
    """What a file in /boot is by its name."""

    role: str
    """``vmlinuz``, ``initramfs``, ``system_map`` or ``config``."""
    use: str
    """``boot``, ``rescue``, ``kdump``, ``fallback`` or ``leftover`` (backups and unfinished files)."""
    version: Optional[str]
    """Kernel release; on Arch Linux the name of the package; None for rescue images."""


def classify(name: str) -> Optional[KernelFile]:
    """Return what file *name* is, or None when it is none of these.

    >>> classify("initramfs-5.14.0-427.13.1.el9_4.x86_64kdump.img")
    KernelFile(role='initramfs', use='kdump', version='5.14.0-427.13.1.el9_4.x86_64')
    >>> classify("initrd.img-6.1.0-18-amd64").version, classify("initrd-6.4.0-default").version
    ('6.1.0-18-amd64', '6.4.0-default')
    >>> classify("vmlinuz-0-rescue-abcdef0123456789abcdef0123456789").use, classify("grub2")
    ('rescue', None)
    """
    for prefix, role in (("System.map-", "system_map"), ("config-", "config")):
        if name.startswith(prefix) and len(name) > len(prefix):
            return _used(role, name[len(prefix) :])
    match = _KERNEL.match(name)
    if match and name.startswith("vmlinux-") and name.endswith(".gz"):
        return None  # SUSE's kernel for debuggers
    if match:
        return _used("vmlinuz", match["version"])
    match = _INITRAMFS.match(name)
    if match is None:
        return None
    if match["img_rest"]:
        return KernelFile("initramfs", "leftover", _KDUMP.sub("", match["img_version"]))
    return _used("initramfs", match["debian_version"] or match["img_version"] or match["bare_version"])


def _used(role: str, version: str) -> KernelFile:
    if _LEFTOVER.search(version):
        return KernelFile(role, "leftover", _LEFTOVER.sub("", version) or None)
    if "rescue" in version:
        return KernelFile(role, "rescue", None)
    if role == "initramfs" and _KDUMP.search(version):
        return KernelFile(role, "kdump", _KDUMP.sub("", version) or None)
    if role == "initramfs" and version.endswith("-fallback"):
        return KernelFile(role, "fallback", version[: -len("-fallback")])
    if role == "initramfs" and version == "plymouth":
        return KernelFile(role, "leftover", None)
    return KernelFile(role, "boot", version)
