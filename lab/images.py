"""Machine images: Debian releases as data, built from packages without mounts, cached by recipe.

mmdebstrap makes the tree, ``mke2fs -d`` the filesystem, within one run: where mmdebstrap needs no root,
neither does this.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Optional

from lab.common import (
    CACHE,
    HERE,
    LabError,
    Unavailable,
    digest,
    locked,
    read_json,
    run,
    staged,
    tree_digest,
    write_json,
)
from lab.disks import names_in, take_out

OVERLAY = os.path.join(HERE, "overlay")
BASE = (
    "linux-image-cloud-amd64 systemd systemd-sysv udev dbus kmod util-linux procps iproute2 zstd python3"
    " kexec-tools makedumpfile e2fsprogs grub2-common"
)
DISK_SIZE = "1500M"
BUILD_DEADLINE = 900


@dataclass(frozen=True)
class Image:
    """A release, what is installed of it, and the memory that its machines get."""

    name: str
    suite: str
    security: Optional[str]
    packages: str
    crashkernel: str = "128M"
    """What kdump of the release needs; empty where the image has no kdump."""
    memory: int = 512
    """Megabytes."""

    @property
    def key(self) -> str:
        """Changes with everything the image is made of, except what the mirror holds."""
        steps = (BEFORE_PACKAGES, CUSTOMIZE, ENABLE_AGENT, MAKE_DISK)
        return f"{self.name}-{digest(asdict(self), BASE, DISK_SIZE, steps, tree_digest(OVERLAY))}"


IMAGES = {
    image.name: image
    for image in (
        Image("bookworm", "bookworm", "bookworm-security", "initramfs-tools kdump-tools sosreport"),
        Image("bookworm-dracut", "bookworm", "bookworm-security", "dracut sosreport", "", memory=768),
        # Its security archive lists kernels that it no longer holds.
        Image("bullseye", "bullseye", None, "initramfs-tools kdump-tools sosreport"),
        Image("trixie", "trixie", "trixie-security", "initramfs-tools kdump-tools sos", "192M", 768),
        Image("sid", "sid", None, "initramfs-tools kdump-tools sos", "192M", 768),
        # The kernel that has nothing of disks and filesystems built in, and what roots are made with.
        Image(
            "bookworm-roots",
            "bookworm",
            "bookworm-security",
            "linux-image-amd64 initramfs-tools lvm2 cryptsetup-initramfs mdadm btrfs-progs xfsprogs fdisk",
            crashkernel="",
            memory=768,
        ),
        # Serves a root to another machine.
        Image(
            "bookworm-nfs",
            "bookworm",
            "bookworm-security",
            "linux-image-amd64 initramfs-tools nfs-kernel-server fdisk",
            crashkernel="",
            memory=768,
        ),
    )
}


DEFAULT = IMAGES["bookworm"]
"""What a scenario gets that names no image."""


@dataclass(frozen=True)
class Built:
    """An image on this machine."""

    image: Image
    path: str
    kernel_release: str

    @property
    def disk(self) -> str:
        """The raw ext4 filesystem. Never written to: machines get a layer of their own."""
        return os.path.join(self.path, "disk.ext4")

    @property
    def kernel(self) -> str:
        """The kernel that boots it."""
        return os.path.join(self.path, "vmlinuz")

    @property
    def initrd(self) -> str:
        """Its initramfs."""
        return os.path.join(self.path, "initrd")


def mirrors() -> tuple[str, str]:
    """Return the mirrors of Debian and its security updates: $LAB_MIRROR, or those of this machine's apt."""
    given = os.environ.get("LAB_MIRROR")
    if given:
        top = given.rstrip("/")
        return f"{top}/debian", f"{top}/debian-security"
    fields = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]).stdout
    main = security = None
    for line in listed.splitlines():
        origin, codename, uri = line.split()
        if origin == "Debian" and codename.endswith("-security"):
            security = uri
        elif origin == "Debian" and "-" not in codename:
            main = uri
    if main is None:
        raise Unavailable(
            "apt of this machine knows no Debian mirror: set LAB_MIRROR to the URL above its debian/"
        )
    return main, security or main.rstrip("/") + "-security"


def built(image: Image) -> Optional[Built]:
    """Return the image if it was built before."""
    path = os.path.join(CACHE, "images", image.key)
    if not os.path.exists(path):
        return None
    return Built(image, path, read_json(os.path.join(path, "image.json"))["kernel_release"])


def build(image: Image) -> Built:
    """Return the image, building it unless it is there.

    :raises Unavailable: this machine cannot build it
    """
    with locked(f"image-{image.name}"):
        there = built(image)
        if there is not None:
            return there
        path = os.path.join(CACHE, "images", image.key)
        started = time.time()
        with staged(path) as work:
            _bootstrap(image, os.path.join(work, "disk.ext4"))
            disk = os.path.join(work, "disk.ext4")
            os.chmod(disk, 0o644)
            release = _kernel_release(disk)
            take_out(disk, f"/boot/vmlinuz-{release}", os.path.join(work, "vmlinuz"))
            take_out(disk, f"/boot/initrd.img-{release}", os.path.join(work, "initrd"))
            facts = {
                "kernel_release": release,
                "built": int(started),
                "seconds": round(time.time() - started, 1),
            }
            write_json(os.path.join(work, "image.json"), {**facts, "recipe": asdict(image)})
        return Built(image, path, release)


def fault_module(built: Built) -> str:
    """Return labfault.ko for the kernel of an image, compiling it unless it is there.

    :raises Unavailable: this machine cannot compile it
    """
    source = os.path.join(HERE, "module")
    release = built.kernel_release
    target = os.path.join(CACHE, "modules", f"{os.path.basename(built.path)}-{tree_digest(source)}")
    with locked(f"module-{built.image.name}"):
        if not os.path.exists(target):
            with staged(target) as work:
                hook = COMPILE.format(source=source, release=release, target=_writable(work, "labfault.ko"))
                packages = f"linux-headers-{release} gcc libc6-dev make".split()
                _mmdebstrap(built.image, "apt", packages, [f"--customize-hook={hook}"])
        return os.path.join(target, "labfault.ko")


def _bootstrap(image: Image, disk: str) -> None:
    hooks = [f"--essential-hook={BEFORE_PACKAGES}", f"--customize-hook={CUSTOMIZE}"]
    hooks += [f'--customize-hook=cp -r --no-preserve=ownership "{OVERLAY}"/. "$1"']
    hooks += [f"--customize-hook={ENABLE_AGENT}"]
    _writable(os.path.dirname(disk), os.path.basename(disk))
    hooks += [f"--customize-hook={MAKE_DISK}".format(disk=disk, size=DISK_SIZE)]
    own = image.packages.split()
    if any(name.startswith("linux-image-") for name in own):
        base = [name for name in BASE.split() if not name.startswith("linux-image-")]
    else:
        base = BASE.split()
    _mmdebstrap(image, "minbase", [*base, *own], hooks)


def bare_tree(
    target: str,
    suite: str,
    packages: Sequence[str],
    *,
    parts: str,
    more: Sequence[str] = (),
    deadline: float = BUILD_DEADLINE,
) -> None:
    """Make a directory tree of a release, to run its programs in; needs root.

    :param parts: of the archive, as ``main``
    :param more: further options of mmdebstrap
    """
    command = ["nice", "mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}"]
    command += ['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"']
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command += ["--dpkgopt=force-unsafe-io", *more]
    run([*command, suite, target, f"deb {mirrors()[0]} {suite} {parts}"], deadline=deadline)


def _writable(folder: str, name: str) -> str:
    """Make an empty file that a hook may write to: as the root of a user namespace it may not make one."""
    path = os.path.join(folder, name)
    with open(path, "wb"):
        os.chmod(path, 0o666)
    return path


def _mmdebstrap(image: Image, variant: str, packages: Sequence[str], hooks: Sequence[str]) -> None:
    main, security = mirrors()
    lines = [f"deb {main} {image.suite} main"]
    if image.security:
        lines.append(f"deb {security} {image.security} main")
    aptopts = [
        'Acquire::Languages "none"',
        'APT::Install-Recommends "false"',
        'Acquire::Check-Valid-Until "false"',
    ]
    excluded = ("doc", "man", "locale", "info")
    dpkgopts = [f"path-exclude=/usr/share/{name}/*" for name in excluded]
    dpkgopts += ["path-include=/usr/share/locale/locale.alias", "force-confold", "force-unsafe-io"]
    command = [
        "nice",
        "mmdebstrap",
        f"--variant={variant}",
        "--format=null",
        f"--include={','.join(packages)}",
    ]
    command += [f"--aptopt={option}" for option in aptopts] + [f"--dpkgopt={option}" for option in dpkgopts]
    done = run([*command, *hooks, image.suite, "/dev/null", *lines], deadline=BUILD_DEADLINE, check=False)
    if done.returncode:
        wanted = ("E:", "Err:", "mke2fs:", "make", "error")
        complaints = [line for line in done.stderr.splitlines() if line.startswith(wanted)]
        raise Unavailable(f"image {image.name} cannot be built here: {'; '.join(complaints)[:600]}")


COMPILE = """
cp -r "{source}" "$1/tmp/labfault"
chroot "$1" make -s -C /lib/modules/{release}/build M=/tmp/labfault modules
cat "$1/tmp/labfault/labfault.ko" >"{target}"
"""

BEFORE_PACKAGES = r"""
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/dracut.conf.d" "$1/etc/kernel"
# Without a list, hooks of kdump-tools look for the device of /, which a tree that is being built has not.
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/lab"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/etc/initramfs-tools/modules"
printf 'hostonly=no\nearly_microcode=no\n' >"$1/etc/dracut.conf.d/lab.conf"
"""

CUSTOMIZE = r"""
set -e
echo web7 >"$1/etc/hostname"
sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
echo '/dev/vda / ext4 defaults 0 1' >"$1/etc/fstab"
printf 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=""\n' \
    >"$1/etc/default/grub"
printf 'GRUB_CMDLINE_LINUX="console=ttyS0 net.ifnames=0"\nGRUB_TERMINAL=serial\n' >>"$1/etc/default/grub"
mkdir -p "$1/var/log/journal" "$1/boot/grub" "$1/etc/systemd/system/multi-user.target.wants"
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
    ln -sf /dev/null "$1/etc/systemd/system/$timer.timer"
done
if [ -e "$1/etc/default/kdump-tools" ]; then
    sed -i 's/^USE_KDUMP=.*/USE_KDUMP=1/' "$1/etc/default/kdump-tools"
    # Otherwise the first boot makes the initramfs of kdump again, which takes minutes without KVM.
    for modules in "$1"/usr/lib/modules/*; do
        cp "$1/etc/kdump/sysctl.conf" "$1/var/lib/kdump/latest_sysctls-${modules##*/}" 2>/dev/null || true
    done
fi
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*
"""

ENABLE_AGENT = 'ln -s ../lab.service "$1/etc/systemd/system/multi-user.target.wants/lab.service"'

# Without what mmdebstrap has mounted into the tree.
MAKE_DISK = """
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -ax "$1/." "$copy"
rm -rf "$copy"/dev/* "$copy"/proc/* "$copy"/sys/* "$copy"/tmp/*
mke2fs -q -F -t ext4 -m 0 -L lab -d "$copy" "{disk}" {size}
"""


def _kernel_release(disk: str) -> str:
    releases = [name[len("vmlinuz-") :] for name in names_in(disk, "/boot") if name.startswith("vmlinuz-")]
    if len(releases) != 1:
        raise LabError(f"expected one kernel in the image, found {releases}")
    return releases[0]
