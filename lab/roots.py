"""Roots of all kinds on real machines: what each needs in its initramfs, against the verdict before the boot.

    python -m lab.roots [KIND...]           writes their rows into the table in docs/boot.md

A machine makes the root on a second disk, as an installer does: layers, filesystem, a copy of itself, an
initramfs with what this root needs. Then that disk is the root of a machine, on the bus it is for. There the
initramfs is packed anew, whole and without each thing that the root cannot do without; each time lastwords
gathers. At last each of these images boots, or does not. What was gathered and said is kept in
.cache/lab/roots; only kinds that are new are played. Machines come and go: rows of kinds that were played on
another stay in the table as they are.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import BinaryIO

from lab import accel, disks
from lab.common import (
    CACHE,
    MACHINES_AT_ONCE,
    PATIENCE,
    REPOSITORY,
    LabError,
    TimeLimit,
    digest,
    measured,
    read_json,
    staged,
    write_json,
    write_measured,
)
from lab.harvest import OUTBOX
from lab.images import IMAGES, Built, Image, build
from lab.machine import SERVES, Hardware, Machine
from lab.runner import ARRIVE, BASE_APPEND, BOOT_DEADLINE, BUSY, RESCUE_TOPICS, SAVED, ready, tool
from lastwords import api, plugins
from lastwords.analyzer.judge import judge
from lastwords.collectors.initramfs import look_inside, unknown_image
from lastwords.formats.boot.kernel_files import classify
from lastwords.model import Case, Facts, Severity

HOME = os.path.join(CACHE, "roots")
REPORT = os.path.join(REPOSITORY, "docs", "boot.md")
DISK_SIZE = "3G"
MAKE_DEADLINE = 1200 * PATIENCE
FATE_DEADLINE = 120 * PATIENCE
TOPICS = "host,boot,kernel"
WHOLE = "whole"
NETWORK = "network"
"""Instead of a bus: another machine serves the root."""


@dataclass(frozen=True)
class Kind:
    """One kind of root."""

    name: str
    title: str
    bus: str
    """How its disk is attached, one of ``machine.ATTACHED``; or ``NETWORK``."""
    layers: str
    """What lies between the disk and the filesystem, from the disk upwards: ``md``, ``luks``, ``lvm``."""
    filesystem: str
    without: str
    """Modules and programs that its initramfs loses, one at a time."""

    @property
    def folder(self) -> str:
        """Where what it left is kept; changes with how it is made."""
        made = digest(asdict(self), self.making, PACK, self.image.key)
        return os.path.join(HOME, f"{self.name}-{made}")

    @property
    def image(self) -> Image:
        """What makes it, and what is on it."""
        return IMAGES["bookworm-nfs" if self.bus == NETWORK else "bookworm-roots"]

    @property
    def making(self) -> str:
        """The script that makes it."""
        layers = self.layers.split()
        gather = GATHER.format(options="--root /mnt", lab="", name="disk", topics=TOPICS)
        return MAKE.format(
            partitions=r"size=1500M\nsize=1500M\n" if "md" in layers else r"size=+\n",
            layers="".join(LAYERS[layer] for layer in layers),
            filesystem="ext4" if self.bus == NETWORK else self.filesystem,
            bus=BUSES[self.bus],
            gather=(EXPORTED if self.bus == NETWORK else "") + gather,
        )


KINDS = {
    kind.name: kind
    for kind in (
        Kind("ext4", "ext4, virtio-blk", "virtio-blk", "", "ext4", "virtio_blk virtio_pci ext4"),
        Kind("btrfs", "btrfs, virtio-scsi", "virtio-scsi", "", "btrfs", "virtio_scsi sd_mod btrfs"),
        Kind("xfs", "xfs, NVMe", "nvme", "", "xfs", "nvme xfs"),
        Kind("lvm", "xfs, LVM, virtio-blk", "virtio-blk", "lvm", "xfs", "dm_mod lvm"),
        Kind("md", "ext4, RAID 1, virtio-scsi", "virtio-scsi", "md", "ext4", "md_mod raid1 mdadm"),
        Kind("luks", "ext4, LUKS, SATA", "ahci", "luks", "ext4", "ahci dm_crypt cryptsetup"),
        Kind(
            "stack", "xfs, LVM, LUKS, RAID 1, NVMe", "nvme", "md luks lvm", "xfs", "nvme raid1 dm_crypt lvm"
        ),
        Kind("nfs", "NFS 3, virtio-net", NETWORK, "", "nfs", "virtio_net nfs nfsv3 nfsmount"),
    )
}

BUSES = {
    "virtio-blk": "virtio_pci virtio_blk",
    "virtio-scsi": "virtio_pci virtio_scsi sd_mod",
    "nvme": "nvme",
    "ahci": "ahci sd_mod",
    NETWORK: "virtio_pci virtio_net nfs nfsv3",
}
"""What MODULES=list must name for a disk on this bus, or a root behind this network."""

LAYERS = {
    "md": r"""
mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --assume-clean $devices
devices=/dev/md0
""",
    "luks": r"""
head -c 64 /dev/urandom >/run/key
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $devices /run/key
echo "cryptroot UUID=$(blkid -s UUID -o value $devices) /etc/cryptsetup-keys.d/cryptroot.key luks,initramfs" \
    >/run/crypttab
cryptsetup open --key-file /run/key $devices cryptroot
devices=/dev/mapper/cryptroot
""",
    "lvm": r"""
pvcreate -q -y $devices
vgcreate -q vg $devices
lvcreate -q -y -n root -l 100%FREE vg
devices=/dev/mapper/vg-root
""",
}
MAKE = r"""
blockdev --flushbufs /dev/vdb
printf 'label: gpt\n{partitions}' | sfdisk -q /dev/vdb
udevadm settle
devices=$(ls /dev/vdb?)
{layers}
mkfs.{filesystem} -q $devices
udevadm settle
case $devices in
    /dev/mapper/*) spec=$devices ;;
    *) spec=UUID=$(blkid -s UUID -o value $devices) ;;
esac
options=defaults
flags=
mount $devices /mnt
if [ {filesystem} = btrfs ]; then
    btrfs subvolume create /mnt/@
    umount /mnt
    options=subvol=@
    flags=rootflags=subvol=@
    mount -o subvol=@ $devices /mnt
fi
cp -ax /. /mnt
rm -rf /mnt/opt/lab /mnt/var/lab /mnt/var/log/journal/*
echo "$spec / {filesystem} $options 0 1" >/mnt/etc/fstab
if [ -e /run/crypttab ]; then
    install -D -m 600 /run/key /mnt/etc/cryptsetup-keys.d/cryptroot.key
    cp /run/crypttab /mnt/etc/crypttab
    echo 'KEYFILE_PATTERN=/etc/cryptsetup-keys.d/*.key' >>/mnt/etc/cryptsetup-initramfs/conf-hook
    echo UMASK=0077 >>/mnt/etc/initramfs-tools/initramfs.conf
fi
[ ! -e /dev/md0 ] || mdadm --detail --scan >>/mnt/etc/mdadm/mdadm.conf
printf '%s\n' {bus} {filesystem} >/mnt/etc/initramfs-tools/modules
echo COMPRESSLEVEL=1 >>/mnt/etc/initramfs-tools/initramfs.conf
for part in dev proc sys run; do mount --bind /$part /mnt/$part; done
chroot /mnt update-initramfs -u
for part in dev proc sys run; do umount /mnt/$part; done
mkdir -p /var/lab
cp /mnt/boot/initrd.img-* /var/lab/first.img
{gather}
umount /mnt
[ ! -e /dev/mapper/vg-root ] || vgchange -q -an vg
[ ! -e /dev/mapper/cryptroot ] || cryptsetup close cryptroot
[ ! -e /dev/md0 ] || mdadm --stop /dev/md0
echo "root=$spec $flags" >/var/lab/append
sync
"""
EXPORTED = """
echo '10.0.0.1:/mnt / nfs defaults 0 0' >/mnt/etc/fstab
for unit in rpcbind.socket rpcbind.service nfs-server.service nfs-blkmap.service; do
    ln -sf /dev/null /mnt/etc/systemd/system/$unit
done
"""
"""What turns what is made into a root that the machine itself will serve."""
SERVE = """
blockdev --flushbufs --rereadpt /dev/vdb
udevadm settle
mount /dev/vdb1 /mnt
ip link set eth0 up
ip addr add 10.0.0.1/24 dev eth0
echo '/mnt *(rw,async,no_root_squash,no_subtree_check)' >/etc/exports
systemctl restart rpcbind nfs-server
"""
OVER_NFS = "root=/dev/nfs boot=nfs nfsroot=10.0.0.1:/mnt ip=10.0.0.2::10.0.0.1:255.255.255.0:web7:eth0:off rw"
PREPARE = r"""
mount /dev/vda /media
unmkinitramfs /boot/initrd.img-* /var/tmp/tree
"""
PACK = r"""
cp -al /var/tmp/tree /var/tmp/less
cd /var/tmp/less
for name in {without}; do
    find . -path "*/kernel/*/$name.ko*" -delete -o -path "*bin/$name" -delete
done
find . | cpio --quiet -o -H newc | zstd -q >/boot/initrd.img-$(uname -r)
rm -r /var/tmp/less
cp -p /boot/initrd.img-* /media/var/lab/{name}.img
{gather}
"""
GATHER = """
status=0
python3 {lab}/opt/lab/lastwords.pyz collect --quiet {options} --only {topics} --timeout 300 \\
    -o {lab}/var/lab/{name}.tar.gz || status=$?
[ $status = 0 ] || [ $status = 3 ]
"""

BOOTS = re.compile(r"Welcome to Debian GNU/Linux.*")
FAILS = re.compile(
    r"ALERT!\s+\S+ does not exist|Gave up waiting for root file system device|Kernel panic - not syncing: .*"
    r"|mount: mounting .* failed: .*|Failed to mount .* as root file system|cryptsetup: ERROR: .*"
    r"|Network device did not appear in time|Begin: Retrying nfs mount"
)


# -- the machines ----------------------------------------------------------------------------------


def play(kind: Kind, built: Built, say: Callable[[str], None]) -> None:
    """Make a root of this kind, and boot it with each of its images; keep what was gathered and said."""
    started = time.monotonic()
    with staged(kind.folder) as kept, tempfile.TemporaryDirectory(prefix="lastwords-") as work:
        hardware = Hardware(
            accel=accel.choose(built.kernel),
            memory=kind.image.memory,
            disk=os.path.join(work, "disk.qcow2"),
            spare=os.path.join(work, "root.qcow2"),
            job=os.path.join(work, "job.tar"),
            kernel=built.kernel,
            initrd=built.initrd,
            append=f"{BASE_APPEND} {BUSY}",
            network=SERVES if kind.bus == NETWORK else "",
        )
        disks.job_disk(hardware.job, {"lastwords.pyz": tool()})
        say("making it")
        disks.empty(hardware.spare, DISK_SIZE)
        with _going_on(built, hardware, work, say) as machine:
            machine.call(kind.making, MAKE_DEADLINE)
            machine.quit()
        with _attached(kind, built, hardware, work, say) as hardware:
            say("booting it, to make its images")
            names = [WHOLE, *kind.without.split()]
            with Machine(replace(hardware, initrd=_left(hardware.disk, "first.img", work)), work) as machine:
                machine.wait_ready(BOOT_DEADLINE)
                machine.call(PREPARE, 60 * PATIENCE)
                for name in names:
                    say(f"its image without {name}" if name != WHOLE else "its image")
                    machine.call(_packing(name), MAKE_DEADLINE)
                machine.call("umount /media; sync", 60 * PATIENCE)
                machine.quit()
            fates = {}
            for name in names:
                image = _left(hardware.disk, f"{name}.img", kept)
                fates[name] = _fate(replace(hardware, initrd=image), os.path.join(kept, name))
                say(f"{name}: {fates[name]}")
        os.rename(os.path.join(work, "first.img"), os.path.join(kept, "disk.img"))
        for name in ("disk", *names):
            _left(hardware.disk, f"{name}.tar.gz", kept)
        run_facts = {"kernel": built.kernel_release, "seconds": round(time.monotonic() - started)}
        write_json(os.path.join(kept, "run.json"), {**run_facts, "fates": fates})


@contextlib.contextmanager
def _going_on(built: Built, hardware: Hardware, work: str, say: Callable[[str], None]) -> Iterator[Machine]:
    """Yield a machine that is booted and idle, with a second disk that has been changed meanwhile."""
    saved = ready(built, hardware, say)
    shutil.copyfile(os.path.join(saved, "disk.qcow2"), hardware.disk)
    disks.take_part(hardware.spare, SAVED)
    with Machine(hardware, work, saved=SAVED) as machine:
        machine.exchanged_spare()
        machine.call(ARRIVE.format(now=int(time.time())), 60 * PATIENCE)
        yield machine


@contextlib.contextmanager
def _attached(
    kind: Kind, built: Built, hardware: Hardware, work: str, say: Callable[[str], None]
) -> Iterator[Hardware]:
    """Yield the machine whose root was made; where it is on NFS, the one that made it serves it meanwhile."""
    append = f"console=ttyS0 net.ifnames=0 ro {BUSY} panic=3 rootdelay=20"
    if kind.bus != NETWORK:
        with open(_left(hardware.disk, "append", work), encoding="utf-8") as stream:
            yield replace(hardware, spare_on=kind.bus, append=f"{append} {stream.read().strip()}")
        return
    folder = os.path.join(work, "server")
    os.makedirs(folder)
    server = replace(hardware, disk=os.path.join(folder, "disk.qcow2"))
    with _going_on(built, server, folder, say) as machine:
        machine.call(SERVE, 120 * PATIENCE)
        nothing = os.path.join(work, "nothing.qcow2")
        disks.empty(nothing, "1M")
        network = os.path.join(folder, "net")
        yield replace(hardware, spare=nothing, network=network, append=f"{append} {OVER_NFS}")
        machine.quit()


def _packing(name: str) -> str:
    """Return what packs the image that lacks *name*, and gathers."""
    files = "" if name == WHOLE else f"{name} {name.replace('_', '-')}"
    # Reading images takes a machine without KVM long: of one it is seen, of all it is done here.
    topics = RESCUE_TOPICS if name == WHOLE else TOPICS
    gather = GATHER.format(options="", lab="/media", name=name, topics=topics)
    return PACK.format(name=name, without=files, gather=gather)


def _fate(hardware: Hardware, console: str) -> str:
    """Boot, and return what shows whether the root was mounted."""
    with tempfile.TemporaryDirectory(prefix="lastwords-") as work:
        # What fails to boot may still write: to a layer of its own.
        own = replace(hardware, spare=os.path.join(work, "root.qcow2"), disk=os.path.join(work, "disk.qcow2"))
        for path, base in ((own.spare, hardware.spare), (own.disk, hardware.disk)):
            disks.layer(path, base, "qcow2")
        with Machine(own, work) as machine:
            with contextlib.suppress(TimeLimit):
                machine.wait_down(
                    FATE_DEADLINE, or_when=lambda text: bool(BOOTS.search(text) or FAILS.search(text))
                )
            text = machine.text()
    with open(f"{console}.txt", "w", encoding="utf-8") as stream:
        stream.write(text)
    found = BOOTS.search(text) or FAILS.search(text)
    return found[0] if found else "comes no further"


def _left(disk: str, name: str, target: str) -> str:
    """Take a file of the outbox on the first disk into the directory *target*; return its path."""
    raw, path = os.path.join(target, "left.raw"), os.path.join(target, name)
    disks.raw_copy(disk, raw)
    try:
        disks.take_out(raw, f"/{OUTBOX}/{name}", path)
    finally:
        os.unlink(raw)
    return path


# -- the verdict -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One image: what became of the machine, and what lastwords said of it before."""

    kind: Kind
    without: str
    fate: str
    findings: tuple[str, ...]
    """Ids, of those above info."""
    named: tuple[str, ...]
    """What the image lacks, by lastwords."""
    elsewhere: bool
    """Another machine told, which had mounted the disk."""

    @property
    def right(self) -> bool:
        """Whether the machine did what was said: booted with nothing amiss, or failed for what was named."""
        boots = bool(BOOTS.match(self.fate))
        if self.without == WHOLE:
            return boots and not self.findings
        alone = all(self.without in each.split(" or ") for each in self.named)
        return not boots and self.findings == ("initramfs-lacks-driver",) and bool(self.named) and alone


def rows_of(kind: Kind) -> Iterator[Row]:
    """Yield what was seen of a kind of root that was played, and what today's lastwords says.

    The whole root is seen twice: as another machine has gathered it from the disk, and as itself. The image
    that belongs to it is read here.

    :raises LabError: it does not tell of one image, or that cannot be read to its end
    """
    rules = plugins.load().rules().values()
    fates = read_json(os.path.join(kind.folder, "run.json"))["fates"]
    for name in ("disk", *fates):
        facts = dict(api.open(os.path.join(kind.folder, f"{name}.tar.gz")).facts)
        facts["initramfs"] = _image(facts["boot"], os.path.join(kind.folder, f"{name}.img"))
        able = [each for each in rules if facts.keys() >= set(each.needs)]
        verdict = judge(name, Case(facts, [], {}, "live", None), able)
        if verdict.skipped:
            raise LabError(f"{kind.name}, {name}: {verdict.skipped}")
        said = [each for each in verdict.findings if each.severity is not Severity.INFO]
        lacks = [each.title for each in said if each.id == "initramfs-lacks-driver"]
        named = [one for title in lacks for one in title.partition(" lacks ")[2].split(", ")]
        without = WHOLE if name == "disk" else name
        found = tuple(each.id for each in said)
        yield Row(kind, without, fates[without], found, tuple(named), elsewhere=name == "disk")


def _image(boot: Facts, path: str) -> Facts:
    """Return the facts of the collector ``initramfs`` on the image that a machine has."""
    (there,) = (each["initramfs"] for each in boot["kernels"])
    size = os.path.getsize(path)
    if there["size"] != size:
        raise LabError(f"{path}: {size} bytes, where the machine had {there['size']}")
    kind = classify(os.path.basename(there["path"]))
    image = unknown_image(there["path"], size, there["mtime"], kind)

    def opened() -> BinaryIO:
        return open(path, "rb")

    look_inside(image, opened, time.monotonic() + 600)
    if image["complete"] is not True:
        raise LabError(f"{path}: {image['damage'] or image['not_checked']}")
    return {"images": [image], "images_omitted": 0}


HEAD = "| root | its initramfs lacks | the machine | lastwords, before |\n|---|---|---|---|"
WRONG = "(**wrong**)"


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines of Markdown."""
    lines = []
    for row in rows:
        lacks = "nothing" if row.without == WHOLE else row.without
        said = f"lacks {', '.join(row.named)}" if row.named else ", ".join(row.findings) or "boots"
        said += ", to another machine with the disk" if row.elsewhere else ""
        mark = "" if row.right else f" {WRONG}"
        fate = "boots" if BOOTS.match(row.fate) else f"`{row.fate}`"
        lines.append(f"| {row.kind.title} | {lacks} | {fate} | {said}{mark} |")
    return lines


def main(arguments: Sequence[str]) -> int:
    """Play kinds that were not played; write their rows of the table; return the exit status."""
    wanted = [KINDS[name] for name in arguments] or list(KINDS.values())
    started = time.monotonic()

    def played(kind: Kind) -> bool:
        def say(text: str) -> None:
            print(f"{time.monotonic() - started:7.1f} {kind.name}: {text}", flush=True)

        try:
            if not os.path.exists(kind.folder):
                play(kind, build(kind.image), say)
        except LabError as problem:
            say(f"FAILED: {problem}")
            return False
        return True

    with ThreadPoolExecutor(MACHINES_AT_ONCE) as pool:
        complete = all(list(pool.map(played, wanted)))
    before = measured(REPORT, "roots")
    releases = set(re.findall(r"\d+\.\d+\.\d+[\w.-]*", before.partition("|")[0]))
    lines = []
    for kind in KINDS.values():
        if os.path.exists(kind.folder):
            lines += table(list(rows_of(kind)))
            releases.add(read_json(os.path.join(kind.folder, "run.json"))["kernel"])
        else:
            lines += [line for line in before.splitlines() if line.startswith(f"| {kind.title} |")]
    wrong = sum(WRONG in line for line in lines)
    kinds = len({line.partition(" | ")[0] for line in lines})
    by = f"booted by `python -m lab.roots` on Linux {', '.join(sorted(releases))}"
    said = f"{len(lines)} verdicts on {kinds} kinds of root, {by}: {len(lines) - wrong} right."
    shown = "\n".join([HEAD, *lines])
    print(f"{shown}\n{said}")
    write_measured(REPORT, "roots", f"{said}\n\n{shown}")
    return int(not complete or wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
