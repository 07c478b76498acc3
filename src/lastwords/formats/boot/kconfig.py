"""Kernel build configurations: ``/boot/config-*``, ``/proc/config.gz``, ``.config``."""

from __future__ import annotations

import re
from typing import Optional

_SET = re.compile(r"^CONFIG_(\w+)=(.*)$")
_UNSET = re.compile(r"^# CONFIG_(\w+) is not set$")


def parse_option(line: str) -> Optional[tuple[str, str]]:
    """Return name and value of the option a line sets, or None for any other line.

    The value is ``y``, ``m``, ``n`` (for ``is not set``), a number as written, or a string without its
    quotes. Source: Documentation/kbuild/kconfig.rst, scripts/kconfig/confdata.c.

    >>> parse_option("# CONFIG_KEXEC is not set"), parse_option('CONFIG_ZSWAP_COMPRESSOR_DEFAULT="lzo"')
    (('KEXEC', 'n'), ('ZSWAP_COMPRESSOR_DEFAULT', 'lzo'))
    """
    line = line.strip()
    match = _UNSET.match(line)
    if match:
        return match[1], "n"
    match = _SET.match(line)
    if match is None:
        return None
    value = match[2]
    if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return match[1], value


RD = {name: f"RD_{name.upper()}" for name in ("gzip", "bzip2", "lzma", "xz", "lzo", "lz4", "zstd")}
"""The option that unpacks an initramfs, by its compression."""
INIT = (
    "BINFMT_ELF",
    "BINFMT_SCRIPT",
    "CGROUPS",
    "DEVTMPFS",
    "EPOLL",
    "FHANDLE",
    "INOTIFY_USER",
    "NET",
    "PROC_FS",
    "SIGNALFD",
    "SYSFS",
    "TIMERFD",
    "TMPFS",
    "UNIX",
)
"""What systemd asks for (its README, "REQUIREMENTS") and /init is run by."""
OF_MODULES = {
    "ahci": "SATA_AHCI",
    "btrfs": "BTRFS_FS",
    "dm_crypt": "DM_CRYPT",
    "dm_mod": "BLK_DEV_DM",
    "dm_multipath": "DM_MULTIPATH",
    "ext4": "EXT4_FS",
    "f2fs": "F2FS_FS",
    "md_mod": "BLK_DEV_MD",
    "nfs": "NFS_FS",
    "nvme": "BLK_DEV_NVME",
    "sd_mod": "BLK_DEV_SD",
    "virtio_blk": "VIRTIO_BLK",
    "virtio_pci": "VIRTIO_PCI",
    "virtio_scsi": "SCSI_VIRTIO",
    "xen_blkfront": "XEN_BLKDEV_FRONTEND",
    "xfs": "XFS_FS",
}
"""The option that builds a module which a root may need."""
NFS = {"2": "NFS_V2", "3": "NFS_V3", "4": "NFS_V4", "4.0": "NFS_V4", "4.1": "NFS_V4_1", "4.2": "NFS_V4_2"}
"""The option of the client, by version of the protocol."""
BOOT = frozenset(("BLK_DEV_INITRD", "MODULES", *RD.values(), *INIT, *OF_MODULES.values(), *NFS.values()))
"""All options that booting may depend on."""
