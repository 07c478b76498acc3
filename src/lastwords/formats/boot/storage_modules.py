"""Which kernel modules and programs an early userspace needs to reach a filesystem.

Source: drivers' MODULE_ALIAS and Kconfig (6.1), dracut's 90*/95* modules, initramfs-tools' hook-functions.
"""

from __future__ import annotations

import re
from typing import Optional

FILESYSTEMS = {
    "ext2": "ext4",
    "ext3": "ext4",
    "ext4": "ext4",
    "xfs": "xfs",
    "btrfs": "btrfs",
    "f2fs": "f2fs",
    "jfs": "jfs",
    "reiserfs": "reiserfs",
    "bcachefs": "bcachefs",
    "erofs": "erofs",
    "squashfs": "squashfs",
    "nfs": "nfs",
    "nfs4": "nfs",
    "zfs": "zfs",
    "vfat": "vfat",
}
"""The module of each type of filesystem that can be a root; ext4 reads ext2 and ext3 in all distributions."""

DISKS = (
    (re.compile(r"(?:/dev/)?vd[a-z]+\d*\Z"), "virtio_blk"),
    (re.compile(r"(?:/dev/)?nvme\d+n\d+(?:p\d+)?\Z"), "nvme"),
    (re.compile(r"(?:/dev/)?sd[a-z]+\d*\Z"), "sd_mod"),
    (re.compile(r"(?:/dev/)?xvd[a-z]+\d*\Z"), "xen_blkfront"),
    (re.compile(r"(?:/dev/)?mmcblk\d+(?:p\d+)?\Z"), "mmc_block"),
    (re.compile(r"(?:/dev/)?dasd[a-z]+\d*\Z"), "dasd_eckd_mod"),
    (re.compile(r"(?:/dev/)?pmem\d+(?:p\d+)?\Z"), "nd_pmem"),
)
"""The driver of a disk by the disk's name."""

NFS_VERSIONS = {"3": "nfsv3", "4": "nfsv4"}
"""The module besides nfs that a version of NFS has, since Linux 3.6."""

BUSES = {
    "virtio_blk": ("virtio_pci", "virtio_mmio", "virtio_ccw"),
}
"""The drivers of which one must be there besides, where only the name of a disk is known."""

RAID_LEVELS = {
    "raid0": "raid0",
    "raid1": "raid1",
    "raid4": "raid456",
    "raid5": "raid456",
    "raid6": "raid456",
    "raid10": "raid10",
    "linear": "md_linear",
}
KINDS = {
    "lvm": "dm_mod",
    "crypt": "dm_crypt",
    "mpath": "dm_multipath",
    "raid": "md_mod",
    "dm": "dm_mod",
}
"""The module of a block device that is made of others."""

PROGRAMS = {
    "lvm": ("lvm",),
    "crypt": ("cryptsetup", "systemd-cryptsetup"),
    "mpath": ("multipathd", "multipath"),
    "raid": ("mdadm",),
    "iscsi": ("iscsistart", "iscsid"),
    "nfs": ("mount.nfs", "mount.nfs4", "nfsmount"),
    "btrfs": ("btrfs",),
}
"""What puts such a device together; one of them must be there."""
KNOWN_PROGRAMS = frozenset(name for names in PROGRAMS.values() for name in names)

# fmt: off
CONTROLLERS = (
    "ahci", "ata_piix", "ata_generic", "mptspi", "mptsas", "mptfc", "mpt3sas", "megaraid_sas",
    "megaraid_mbox", "aacraid", "hpsa", "hisi_sas_v3_hw", "smartpqi", "arcmsr", "isci", "mvsas",
    "pm80xx", "pm8001", "qla2xxx", "lpfc", "bfa", "bnx2fc", "bnx2i", "be2iscsi", "qedf", "qedi", "fnic",
    "cxgb4i", "vmw_pvscsi", "hv_storvsc", "virtio_scsi", "virtio_blk", "virtio_pci", "virtio_mmio",
    "xen_blkfront", "xen_scsifront", "nvme", "nvme_core", "nvme_tcp", "nvme_rdma", "nvme_fc", "vmd",
    "sd_mod", "sr_mod", "usb_storage", "uas", "xhci_hcd", "xhci_pci", "ehci_pci", "mmc_block", "sdhci",
    "sdhci_pci", "sdhci_acpi", "iscsi_tcp", "libiscsi", "ib_iser", "zfcp", "dasd_eckd_mod",
    "dasd_fba_mod", "ibmvscsi", "ibmvfc", "nd_pmem", "loop", "dm_mod", "dm_crypt", "dm_multipath",
    "dm_thin_pool", "dm_raid", "dm_mirror", "dm_snapshot", "dm_cache", "dm_integrity", "dm_round_robin",
    "dm_service_time", "dm_queue_length", "md_mod", "bcache", "overlay", "fuse",
)
# fmt: on
BOOT_MODULES = frozenset(
    [
        *CONTROLLERS,
        *FILESYSTEMS.values(),
        *RAID_LEVELS.values(),
        *KINDS.values(),
        *NFS_VERSIONS.values(),
        *(module for _, module in DISKS),
        *(module for buses in BUSES.values() for module in buses),
    ]
)
"""The modules that booting may depend on: of these the facts tell whether a kernel has them, and how."""


def disk_module(name: str) -> Optional[str]:
    """Return the driver of a disk or partition by its name, or None when the name does not tell.

    >>> disk_module("/dev/vda1"), disk_module("nvme0n1p2"), disk_module("/dev/mapper/vg-root")
    ('virtio_blk', 'nvme', None)
    """
    return next((module for pattern, module in DISKS if pattern.match(name)), None)


def kind_of(uuid: str) -> str:
    """Return what a device-mapper device is, by the prefix of its uuid.

    >>> kind_of("LVM-abc"), kind_of("CRYPT-LUKS2-abc-luks"), kind_of("mpath-3600"), kind_of("part1-mpath-36")
    ('lvm', 'crypt', 'mpath', 'part')
    """
    prefix = uuid.partition("-")[0].lower()
    if prefix.startswith("part"):
        return "part"
    return prefix if prefix in ("lvm", "crypt", "mpath") else "dm"
