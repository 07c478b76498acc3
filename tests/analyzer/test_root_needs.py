"""Roots of every kind: an image with what each needs has no finding, and one finding without any part of it."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass
from typing import Any, Optional

import pytest
from hosttree import text_root
from initrds import PACKED, RELEASE, Content, archive, root_files

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.analyzer.root_needs import Need, lacks_of, needs_of_root
from lastwords.collectors.boot import BootCollector
from lastwords.collectors.initramfs import look_inside, unknown_image
from lastwords.formats.boot.kernel_files import classify
from lastwords.model import Case, Severity

RULES = plugins.load().rules().values()
PCI = "/sys/devices/pci0000:00/0000:00:03.0"
DEP = """
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/lib/crc16.ko:
kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz
kernel/lib/libcrc32c.ko.xz:
kernel/fs/btrfs/btrfs.ko.zst: kernel/lib/raid6/raid6_pq.ko kernel/crypto/xor.ko
kernel/lib/raid6/raid6_pq.ko:
kernel/crypto/xor.ko:
kernel/fs/nfs/nfs.ko: kernel/net/sunrpc/sunrpc.ko kernel/fs/lockd/lockd.ko
kernel/fs/nfs/nfsv3.ko: kernel/fs/nfs/nfs.ko kernel/net/sunrpc/sunrpc.ko kernel/fs/lockd/lockd.ko
kernel/fs/nfs/nfsv4.ko: kernel/fs/nfs/nfs.ko kernel/net/sunrpc/sunrpc.ko kernel/fs/lockd/lockd.ko
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/virtio/virtio.ko
kernel/net/core/failover.ko:
kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko:
kernel/net/sunrpc/sunrpc.ko:
kernel/fs/lockd/lockd.ko:
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/scsi/virtio_scsi.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/nvme/host/nvme.ko: kernel/drivers/nvme/host/nvme-core.ko
kernel/drivers/nvme/host/nvme-core.ko:
kernel/drivers/md/dm-mod.ko:
kernel/drivers/md/dm-crypt.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/md-mod.ko:
kernel/drivers/md/raid1.ko: kernel/drivers/md/md-mod.ko
kernel/drivers/md/raid456.ko: kernel/drivers/md/md-mod.ko kernel/crypto/xor.ko
kernel/drivers/md/dm-multipath.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/ata/ahci.ko: kernel/drivers/ata/libahci.ko
kernel/drivers/ata/libahci.ko:
"""
BUILTIN = "kernel/drivers/scsi/sd_mod.ko\nkernel/drivers/scsi/scsi_mod.ko\n"


def bound(place: str, bus: str, driver: str, module: str) -> str:
    """Return the links by which sysfs tells the driver of a device, and the module of the driver."""
    up = "../" * place.strip("/").count("/")
    return (
        f"=== {place}/driver link={up}bus/{bus}/drivers/{driver}\n"
        f"=== /sys/bus/{bus}/drivers/{driver}/module link=../../../../module/{module}\n"
    )


def device(name: str, below: str, *slaves: str, **files: str) -> str:
    """Return a block device of sysfs, with small files of it."""
    link = f"../../{below.removeprefix('/sys/')}/{name}"
    text = f"=== /sys/class/block/{name} link={link}\n=== {below}/{name}/size\n1\n"
    text += "".join(
        f"=== {below}/{name}/{path.replace('__', '/')}\n{value}\n" for path, value in files.items()
    )
    return text + "".join(f"=== {below}/{name}/slaves/{each} link=../../{each}\n" for each in slaves)


VIRTUAL = "/sys/devices/virtual/block"
VDA = (
    device("vda", f"{PCI}/virtio0/block")
    + device("vda2", f"{PCI}/virtio0/block/vda", partition="2")
    + bound(PCI, "pci", "virtio-pci", "virtio_pci")
    + bound(f"{PCI}/virtio0", "virtio", "virtio_blk", "virtio_blk")
)
SCSI = f"{PCI}/virtio0/host0/target0:0:0/0:0:0:0"
SDA = (
    device("sda", f"{SCSI}/block")
    + bound(PCI, "pci", "virtio-pci", "virtio_pci")
    + bound(f"{PCI}/virtio0", "virtio", "virtio_scsi", "virtio_scsi")
    + bound(SCSI, "scsi", "sd", "sd_mod")
)
OTHER = PCI.replace("03.0", "04.0")
NVME = device("nvme0n1", f"{OTHER}/nvme/nvme0") + bound(OTHER, "pci", "nvme", "nvme")
AHCI = device("sdb", f"{PCI}/ata1/host1/block") + bound(PCI, "pci", "ahci", "ahci")


def card(name: str, place: str, below: str = "", state: str = "up") -> str:
    """Return a network device of sysfs."""
    path = f"{place}{below}/net/{name}"
    link = f"=== /sys/class/net/{name} link=../../{path.removeprefix('/sys/')}\n"
    return link + f"=== {path}/operstate\n{state}\n"


CARD = (
    card("eth0", OTHER, "/virtio1")
    + bound(OTHER, "pci", "virtio-pci", "virtio_pci")
    + bound(f"{OTHER}/virtio1", "virtio", "virtio_net", "virtio_net")
    + card("lo", "/sys/devices/virtual", state="unknown")
)
SECOND = bound(PCI, "pci", "e1000e", "e1000e")


@dataclass(frozen=True)
class Kind:
    """A root: what it is mounted from, its devices, what an image must hold."""

    mount: str
    devices: str
    modules: str
    programs: tuple[str, ...] = ()
    options: str = "rw"


VIRTIO_BUS = "virtio_pci virtio virtio_ring"
VIRTIO = "virtio_blk virtio_pci virtio virtio_ring"
KINDS = {
    "ext4 on virtio-blk": Kind("/dev/vda2 / ext4", VDA, f"ext4 jbd2 crc16 {VIRTIO}"),
    "xfs on virtio-scsi": Kind("/dev/sda / xfs", SDA, "xfs libcrc32c virtio_scsi virtio_pci virtio virtio_ring"),
    "btrfs on NVMe": Kind("/dev/nvme0n1 / btrfs", NVME, "btrfs raid6_pq xor nvme nvme_core"),
    "btrfs on two disks": Kind(
        "/dev/vda2 / btrfs",
        VDA + NVME + "".join(f"=== /sys/fs/btrfs/0a-1b/devices/{name} link=../../{name}\n" for name in ("nvme0n1", "vda2")),
        f"btrfs raid6_pq xor nvme nvme_core {VIRTIO}",
    ),
    "ext3 on AHCI": Kind("/dev/sdb / ext3", AHCI, "ext4 jbd2 crc16 ahci libahci"),
    "ext4 on LVM": Kind(
        "/dev/mapper/vg-root / ext4",
        VDA + device("dm-0", VIRTUAL, "vda2", dm__name="vg-root", dm__uuid="LVM-ab"),
        f"ext4 jbd2 crc16 dm_mod {VIRTIO}", ("lvm",),
    ),
    "ext4 on LUKS": Kind(
        "/dev/mapper/secret / ext4",
        VDA + device("dm-0", VIRTUAL, "vda2", dm__name="secret", dm__uuid="CRYPT-LUKS2-ab"),
        f"ext4 jbd2 crc16 dm_mod dm_crypt {VIRTIO}", ("cryptsetup",),
    ),
    "xfs on LVM on LUKS": Kind(
        "/dev/mapper/vg-root / xfs",
        NVME + device("dm-1", VIRTUAL, "nvme0n1", dm__name="c", dm__uuid="CRYPT-LUKS1-ab")
        + device("dm-0", VIRTUAL, "dm-1", dm__name="vg-root", dm__uuid="LVM-ab"),
        "xfs libcrc32c dm_mod dm_crypt nvme nvme_core", ("lvm", "systemd-cryptsetup"),
    ),
    "ext4 on md raid1": Kind(
        "/dev/md0 / ext4", VDA + NVME + device("md0", VIRTUAL, "vda2", "nvme0n1", md__level="raid1"),
        f"ext4 jbd2 crc16 md_mod raid1 nvme nvme_core {VIRTIO}", ("mdadm",),
    ),
    "ext4 on md raid5": Kind(
        "/dev/md0 / ext4", VDA + device("md0", VIRTUAL, "vda2", md__level="raid5"),
        f"ext4 jbd2 crc16 md_mod raid456 xor {VIRTIO}", ("mdadm",),
    ),
    "ext4 on multipath": Kind(
        "/dev/mapper/mpatha / ext4",
        SDA + device("dm-0", VIRTUAL, "sda", dm__name="mpatha", dm__uuid="mpath-3600"),
        "ext4 jbd2 crc16 dm_mod dm_multipath virtio_scsi virtio_pci virtio virtio_ring", ("multipathd",),
    ),
    "NFS, network not known": Kind("nas:/root / nfs4", "", "nfs nfsv4 sunrpc lockd", ("mount.nfs",)),
    "NFS 3 by virtio-net": Kind(
        "nas:/root / nfs", CARD, f"nfs nfsv3 sunrpc lockd virtio_net failover {VIRTIO_BUS}", ("nfsmount",),
        options="vers=3,addr=10.0.0.1",
    ),
    "NFS 4.2 by a disk's side": Kind(
        "nas:/root / nfs4", VDA + CARD, f"nfs nfsv4 sunrpc lockd virtio_net failover {VIRTIO_BUS}",
        ("mount.nfs4",), options="vers=4.2",
    ),
}  # fmt: skip


def boot_facts(kind: Kind) -> dict[str, Any]:
    text = (
        f"=== /proc/self/mounts\n{kind.mount} {kind.options} 0 0\n{kind.devices}"
        f"=== /boot/vmlinuz-{RELEASE} size=1\n=== /boot/initrd.img-{RELEASE} size=1\n=== /lib/modules/{RELEASE}/modules.dep{DEP}"
        f"=== /lib/modules/{RELEASE}/modules.builtin\n{BUILTIN}"
    )
    *_, facts = BootCollector().collect(text_root(text).recording("boot"))
    return json.loads(json.dumps(facts))


def image_of(modules: list[str], programs: tuple[str, ...]) -> dict[str, Any]:
    files: dict[str, Content] = root_files(modules=modules)
    files.update({f"usr/sbin/{name}": b"\x7fELF" for name in programs})
    data = PACKED["zstd"](archive(files))
    path = f"/boot/initrd.img-{RELEASE}"
    image = unknown_image(path, len(data), 2e9, classify(path.rpartition("/")[2]))
    look_inside(image, lambda: io.BytesIO(data), time.monotonic() + 60)
    return image


def findings(kind: Kind, modules: list[str], programs: tuple[str, ...]) -> list[tuple[str, Severity, str]]:
    facts = {"boot": boot_facts(kind), "initramfs": {"images": [image_of(modules, programs)]}}
    verdict = judge("x", Case(facts, [], {}, "live", None), RULES)
    return [(each.id, each.severity, each.title) for each in verdict.findings]


@pytest.mark.parametrize("name", KINDS)
def test_an_image_with_all_that_is_needed_has_no_finding(name: str) -> None:
    assert findings(KINDS[name], KINDS[name].modules.split(), KINDS[name].programs) == []


@pytest.mark.parametrize(
    ("name", "part"),
    [(name, part) for name, kind in KINDS.items() for part in (*kind.modules.split(), *kind.programs)],
)
def test_every_part_of_it_is_missed(name: str, part: str) -> None:
    kind = KINDS[name]
    modules = [each for each in kind.modules.split() if each != part]
    programs = tuple(each for each in kind.programs if each != part)
    ((rule, severity, title),) = findings(kind, modules, programs)
    assert (rule, severity) == ("initramfs-lacks-driver", Severity.CRITICAL)
    assert part in title


def test_what_watches_a_raid_does_not_put_it_together() -> None:
    kind = KINDS["ext4 on md raid1"]
    ((rule, _, title),) = findings(kind, kind.modules.split(), ("mdmon",))
    assert rule == "initramfs-lacks-driver" and "mdadm" in title


@pytest.mark.parametrize(
    ("state", "modules", "good"),
    [
        ("up", "virtio_net failover", True),
        ("up", "e1000e", True),
        ("up", "", False),
        ("down", "virtio_net failover", True),
        ("down", "e1000e", False),
    ],
)
def test_of_several_network_devices_that_are_up_one_will_do(state: str, modules: str, good: bool) -> None:
    devices = CARD + card("eth1", PCI, state=state) + SECOND
    kind = Kind("nas:/root / nfs", devices, "nfs nfsv3 sunrpc lockd", ("nfsmount",), "vers=3")
    have = f"{kind.modules} {modules} {VIRTIO_BUS}".split()
    assert bool(findings(kind, have, kind.programs)) is not good


def disk_needs(fstab: str, options: str = "") -> list[Optional[str]]:
    """Return the modules that a disk which does not run is known to need."""
    text = f"=== /etc/fstab\n{fstab}\n=== /boot/loader/entries/a.conf\ntitle A\nlinux /vmlinuz-1\noptions {options}\n"
    text += "=== /boot/loader/loader.conf\ndefault a\n"
    *_, facts = BootCollector().collect(text_root(text, "directory").recording("boot"))
    return [need.module or need.programs[0] for need in needs_of_root(facts)]


def test_of_a_disk_that_does_not_run_names_tell() -> None:
    assert disk_needs("/dev/vda1 / ext4 defaults 0 1") == ["ext4", "virtio_blk", "virtio_pci"]
    assert disk_needs("UUID=1 / xfs defaults 0 0") == ["xfs"]
    assert disk_needs("/dev/mapper/rhel-root / xfs defaults 0 0", "rd.lvm.lv=rhel/root rd.luks.uuid=luks-1") == [
        "xfs", "dm_mod", "lvm", "dm_crypt", "cryptsetup",
    ]  # fmt: skip
    assert disk_needs("nas:/root / nfs vers=3 0 0") == ["nfs", "nfsv3", "mount.nfs"]
    assert disk_needs("nas:/root / nfs4 defaults 0 0") == ["nfs", "nfsv4", "mount.nfs"]
    assert disk_needs("/dev/root / auto defaults 0 0") == []


@pytest.mark.parametrize(
    ("have", "builtin", "missing"),
    [
        ((), (), True),
        (("virtio_pci",), (), False),
        (("virtio_mmio",), (), False),
        ((), ("virtio_ccw",), False),
        ((), ("virtio_pci",), False),
    ],
)
def test_one_bus_will_do(have: tuple[str, ...], builtin: tuple[str, ...], missing: bool) -> None:
    need = Need("virtio_pci", (), "the bus", False, ("virtio_mmio", "virtio_ccw"))
    names = ("virtio_pci", "virtio_mmio", "virtio_ccw")
    drivers = [
        {"name": each, "how": "builtin" if each in builtin else "module", "path": None, "needs": []}
        for each in names
    ]
    image = {"contents": {"modules": list(have), "programs": [], "builder": None}}
    assert bool(lacks_of([need], image, {"modules": {"drivers": drivers}})) is missing
