"""What the root lies on, by sysfs of a running host or lsblk of a sosreport, and the drivers kernels have."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hosttree import text_root

from lastwords import schemas
from lastwords.analyzer.opening import open_case
from lastwords.bundle.write import BundleWriter, destination, new_identity
from lastwords.collectors.boot import BootCollector
from lastwords.formats.boot.vmlinuz import parse_kernel_image
from lastwords.gather.run import gather
from lastwords.roots.live import live_root

LVM_ON_CRYPT_ON_RAID = """
=== /proc/self/mounts
/dev/mapper/vg-root / xfs rw 0 0
=== /sys/class/block/dm-0 link=../../devices/virtual/block/dm-0
=== /sys/class/block/dm-1 link=../../devices/virtual/block/dm-1
=== /sys/class/block/md0 link=../../devices/virtual/block/md0
=== /sys/class/block/sda link=../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda
=== /sys/class/block/sda2 link=../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda2
=== /sys/class/block/nvme0n1 link=../../devices/pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1
=== /sys/devices/virtual/block/dm-0/dm/name
vg-root
=== /sys/devices/virtual/block/dm-0/dm/uuid
LVM-aaaabbbb
=== /sys/devices/virtual/block/dm-0/slaves/dm-1 link=../../dm-1
=== /sys/devices/virtual/block/dm-1/dm/name
secret
=== /sys/devices/virtual/block/dm-1/dm/uuid
CRYPT-LUKS2-0123-secret
=== /sys/devices/virtual/block/dm-1/slaves/md0 link=../../md0
=== /sys/devices/virtual/block/md0/md/level
raid1
=== /sys/devices/virtual/block/md0/slaves/sda2 link=../../sda2
=== /sys/devices/virtual/block/md0/slaves/nvme0n1 link=../../nvme0n1
=== /sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda2/partition
2
=== /sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/driver link=../../../../../../../bus/scsi/drivers/sd
=== /sys/bus/scsi/drivers/sd/module link=../../../../module/sd_mod
=== /sys/devices/pci0000:00/0000:00:1f.2/driver link=../../../bus/pci/drivers/ahci
=== /sys/bus/pci/drivers/ahci/module link=../../../../module/ahci
=== /sys/devices/pci0000:00/0000:00:1d.0/driver link=../../../bus/pci/drivers/nvme
=== /sys/bus/pci/drivers/nvme/module link=../../../../module/nvme
=== /lib/modules/6.1.0-18-amd64/modules.dep
kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko
kernel/lib/libcrc32c.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/md/dm-crypt.ko.xz: kernel/drivers/md/dm-mod.ko.xz
kernel/drivers/md/dm-mod.ko.xz:
kernel/sound/soundcore.ko:
=== /lib/modules/6.1.0-18-amd64/modules.softdep
# Soft dependencies extracted from modules themselves.
softdep libcrc32c pre: crc32c crc32c-intel post: soundcore
=== /lib/modules/6.1.0-18-amd64/modules.builtin
kernel/drivers/nvme/host/nvme.ko
kernel/drivers/scsi/sd_mod.ko
"""
BUILTIN = "kernel/drivers/nvme/host/nvme.ko\nkernel/drivers/scsi/sd_mod.ko\n"
MODULES = "/lib/modules/6.1.0-18-amd64"


def facts_of(text: str, kind: str = "live") -> dict[str, Any]:
    facts = {}
    for facts in BootCollector().collect(text_root(text, kind).recording("boot")):
        jsonschema.Draft202012Validator(schemas.load("boot")).validate(json.loads(json.dumps(facts)))
    return facts


def test_the_chain_below_the_root_by_sysfs() -> None:
    found = facts_of(LVM_ON_CRYPT_ON_RAID)["root_device"]
    assert (found["source"], found["type"], found["found_in"]) == ("/dev/mapper/vg-root", "xfs", "sysfs")
    chain = {device["name"]: device for device in found["devices"]}
    assert [(name, device["kind"]) for name, device in chain.items()] == [
        ("dm-0", "lvm"), ("dm-1", "crypt"), ("md0", "raid"), ("nvme0n1", "disk"), ("sda2", "part"), ("sda", "disk"),
    ]  # fmt: skip
    assert chain["md0"]["level"] == "raid1"
    assert (chain["sda"]["drivers"], chain["nvme0n1"]["drivers"]) == (["sd_mod", "ahci"], ["nvme"])


def test_how_a_kernel_has_the_drivers() -> None:
    (kernel,) = facts_of(LVM_ON_CRYPT_ON_RAID)["kernels"]
    drivers = {each["name"]: each for each in kernel["modules"]["drivers"]}
    assert (drivers["xfs"]["how"], drivers["xfs"]["needs"]) == (
        "module",
        ["libcrc32c", "crc32c_intel"],  # of modules.softdep, where crc32c is an alias
    )
    assert drivers["dm_crypt"]["path"] == "kernel/drivers/md/dm-crypt.ko.xz"
    assert (drivers["nvme"]["how"], drivers["ahci"]["how"]) == ("builtin", None)
    assert "soundcore" not in drivers


def test_without_the_list_of_what_is_built_in_absence_is_not_known() -> None:
    text = LVM_ON_CRYPT_ON_RAID[
        : LVM_ON_CRYPT_ON_RAID.index("=== /lib/modules/6.1.0-18-amd64/modules.builtin")
    ]
    (kernel,) = facts_of(text)["kernels"]
    assert {each["name"]: each["how"] for each in kernel["modules"]["drivers"]} == {
        "xfs": "module", "dm_crypt": "module", "dm_mod": "module",
    }  # fmt: skip
    (kernel,) = facts_of("=== /lib/modules/6.1.0-18-amd64/modules.order\n=== /etc/fstab\n")["kernels"]
    assert kernel["modules"]["drivers"] is None


def gathered(text: str, tmp_path: Path) -> str:
    """Return the path of a bundle of what the collector reads of a host."""
    identity = new_identity()
    writer = BundleWriter(destination(str(tmp_path), identity, "dir"), "dir")

    def keep(name: str, result: Any) -> None:
        writer.add(f"facts/{name}.json", result.document)

    done = gather(text_root(text), [BootCollector()], store=writer.store, keep=keep)
    return writer.finish(done.manifest(identity, [], True), done.events)


BTRFS = "=== /proc/self/mounts\n/dev/sdb / btrfs rw 0 0\n" + "".join(
    f"=== /sys/class/block/{name} link=../../devices/pci0/0000:00:1f.2/{name}/block/{name}\n"
    f"=== /sys/fs/btrfs/0a-1b/devices/{name} link=../../{name}\n"
    for name in ("sdb", "sdc")
)


@pytest.mark.parametrize(("text", "devices"), [(LVM_ON_CRYPT_ON_RAID, 6), (BTRFS, 2)])
def test_the_chain_follows_from_the_evidence_too(text: str, devices: int, tmp_path: Path) -> None:
    """Slaves, and the other devices of a btrfs, are seen in a bundle as they were on the host."""
    path = gathered(text, tmp_path)
    case, again = (open_case(path, {"boot": BootCollector()}, recollect=each) for each in (False, True))
    assert len(case.facts["boot"]["root_device"]["devices"]) == devices
    assert again.facts["boot"]["root_device"] == case.facts["boot"]["root_device"]


def test_that_nothing_of_it_is_built_in_is_told_again_by_the_evidence() -> None:
    """As of Debian's kernel for all machines, which has all drivers of disks as modules."""
    text = LVM_ON_CRYPT_ON_RAID.replace(BUILTIN, "kernel/kernel/configs.ko\nkernel/lib/other.ko\n")
    kept: dict[str, bytes] = {}

    def store(name: str, data: bytes) -> str:
        kept[name] = data
        return name

    (*_, facts) = BootCollector().collect(text_root(text).recording("boot", store))
    drivers = {each["name"]: each["how"] for each in facts["kernels"][0]["modules"]["drivers"]}
    assert (drivers["xfs"], drivers["nvme"]) == ("module", None)
    assert kept[f"evidence{MODULES}/modules.builtin"] == b"kernel/kernel/configs.ko\n"
    again = "".join(f"=== {MODULES}/{name}\n{kept[f'evidence{MODULES}/{name}'].decode()}"
                    for name in ("modules.builtin", "modules.dep", "modules.softdep"))  # fmt: skip
    (kernel,) = facts_of(again)["kernels"]
    assert {each["name"]: each["how"] for each in kernel["modules"]["drivers"]} == drivers


LSBLK = """=== $ lsblk
NAME          MAJ:MIN RM  SIZE RO TYPE  MOUNTPOINTS
sda             8:0    0   20G  0 disk
├─sda1          8:1    0    1G  0 part  /boot
└─sda2          8:2    0   19G  0 part
  └─md127       9:127  0   19G  0 raid1
    ├─rhel-root 253:0  0   17G  0 lvm   /
    └─rhel-swap 253:1  0    2G  0 lvm   [SWAP]
sdb             8:16   0   20G  0 disk
└─sdb2          8:18   0   19G  0 part
  └─md127       9:127  0   19G  0 raid1
    ├─rhel-root 253:0  0   17G  0 lvm   /
    │                                   /var/lib/pods
    └─rhel-swap 253:1  0    2G  0 lvm   [SWAP]
sr0            11:0    1 1024M  0 rom
"""
LSPCI = """=== $ lspci -nnvv
00:1f.2 SATA controller [0106]: Intel Corporation 82801IR [8086:2922] (rev 02) (prog-if 01 [AHCI 1.0])
	Subsystem: Red Hat, Inc. QEMU Virtual Machine [1af4:1100]
	Kernel driver in use: ahci
	Kernel modules: ahci

00:02.0 Ethernet controller [0200]: Red Hat, Inc. Virtio network device [1af4:1000]
	Kernel driver in use: virtio-pci
"""


@pytest.mark.parametrize(
    ("more", "drivers"),
    [
        ("", ["ahci"]),
        ("=== /sys/block/sda link=../devices/pci0000:00/0000:00:1f.2/ata1/host0/block/sda\n", ["ahci"]),
        ("=== /sys/block/sda link=../devices/pci0000:00/0000:00:05.0/virtio1/host0/block/sda\n", []),
    ],
)
def test_the_chain_below_the_root_by_lsblk(more: str, drivers: list[str]) -> None:
    text = LSBLK + LSPCI + "=== /proc/mounts\n/dev/mapper/rhel-root / xfs rw 0 0\n" + more
    found = facts_of(text, "sosreport")["root_device"]
    assert found["found_in"] == "lsblk"
    chain = {device["name"]: device for device in found["devices"]}
    assert list(chain) == ["rhel-root", "md127", "sda2", "sda", "sdb2", "sdb"]
    assert (chain["md127"]["kind"], chain["md127"]["level"], chain["md127"]["parents"]) == (
        "raid", "raid1", ["sda2", "sdb2"],
    )  # fmt: skip
    assert chain["sda"]["drivers"] == drivers


def test_what_a_disk_that_does_not_run_tells() -> None:
    found = facts_of("=== /etc/fstab\nUUID=1 / ext4 defaults 0 1\n", "directory")["root_device"]
    assert found == {"source": None, "type": None, "found_in": None, "devices": []}


def bzimage(release: str, *, signed: bool = False, paragraphs: int = 100) -> bytes:
    """Return an image as the kernel's build makes it, its code zeros."""
    data = bytearray(5 * 512 + paragraphs * 16)
    data[:2], data[0x1F1] = b"MZ", 4
    struct.pack_into("<I", data, 0x3C, 0x80)
    data[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", data, 0x80 + 24, 0x20B)
    struct.pack_into("<I", data, 0x80 + 24 + 112 + 36, 1400 if signed else 0)
    struct.pack_into("<I", data, 0x1F4, paragraphs)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20E, 0x600)
    text = f"{release} (builder@host) #1 SMP\0".encode()
    data[0x800 : 0x800 + len(text)] = text
    return bytes(data)


@pytest.mark.parametrize("signed", [True, False])
def test_kernel_images(signed: bool) -> None:
    data = bzimage("6.1.0-18-amd64", signed=signed)
    text = f"=== /boot/vmlinuz-6.1.0-18-amd64 hex\n{data.hex()}\n=== /boot/vmlinuz-6.1.0-19-amd64 hex size=9\n00\n"
    newer, older = facts_of(text)["kernels"]
    assert older["vmlinuz"]["image"] == {
        "format": "bzImage", "release": "6.1.0-18-amd64", "needed": len(data), "signed": signed,
    }  # fmt: skip
    assert newer["vmlinuz"]["image"]["format"] == "unknown"


def test_other_kernel_images() -> None:
    assert parse_kernel_image(bytes(0x38) + b"ARM\x64" + bytes(100)).format == "arm64"
    assert parse_kernel_image(b"\x1f\x8b\x08").format == "gzip"
    assert parse_kernel_image(b"").format == "unknown"
    assert parse_kernel_image(os.urandom(0) + b"MZ" + bytes(1000)).format == "unknown"


def test_the_devices_that_command_lines_wait_for() -> None:
    text = (
        "=== /dev/disk/by-uuid/aaaa link=../../vda1\n=== /dev/vda1 fifo\n=== /dev/mapper/v--g-root fifo\n"
        "=== /boot/loader/entries/a.conf\ntitle A\nlinux /vmlinuz-1\noptions root=UUID=aaaa ro resume=UUID=cccc\n"
        "=== /boot/loader/entries/b.conf\ntitle B\nlinux /vmlinuz-1\n"
        "options root=/dev/gone root=UUID=bbbb rd.lvm.lv=v-g/root rd.lvm.lv=v-g/gone\n"
        "=== /etc/kernel/cmdline\nroot=/dev/vda1 quiet\n"
    )
    found = [
        (each["key"], each["value"], each["device_exists"]) for each in facts_of(text)["device_parameters"]
    ]
    assert found == [
        ("root", "UUID=aaaa", True), ("resume", "UUID=cccc", False), ("root", "UUID=bbbb", False),
        ("rd.lvm.lv", "v-g/root", True), ("rd.lvm.lv", "v-g/gone", False), ("root", "/dev/vda1", True),
    ]  # fmt: skip


def test_this_host() -> None:
    found = list(BootCollector().collect(live_root().recording("boot")))[-1]["root_device"]
    assert found["type"]
    for device in found["devices"]:
        assert os.path.exists(f"/sys/class/block/{device['name']}")
