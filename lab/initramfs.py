"""Real initramfs images by real builders, and what the builder's own tool lists of each.

    python -m lab.initramfs [SUITE...]      make what is missing below .cache/lab/initramfs, then compare

One tree a Debian release holds both builders (dracut without the package that would replace
initramfs-tools); images are made in a chroot of it, one for each compression and each way to build.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from dataclasses import dataclass

from lab.common import CACHE, LabError, digest, locked, run, staged
from lab.images import bare_tree
from lastwords.roots.initrd import examine, part_of, unified_sections

HOME = os.path.join(CACHE, "initramfs")
PACKAGES = (
    "linux-image-cloud-amd64 initramfs-tools dracut-core systemd systemd-sysv udev dbus kmod procps busybox"
    " lvm2 cryptsetup-initramfs mdadm btrfs-progs xfsprogs e2fsprogs nfs-common intel-microcode"
    " amd64-microcode zstd lz4 lzop xz-utils bzip2 iproute2 systemd-boot-efi binutils cpio file zlib1g"
)
SUITES = ("bookworm", "trixie")
BUILD_DEADLINE = 3600
LONG = re.compile(r"[-dlcbps][-rwxsStT]{9}\s+\d+ \S+\s+\S+\s+(?:\d+, *)?\d+ \w{3} +\d+ +[\d:]+ (.*)$")
"""A line of lsinitrd."""
DRACUT_MODULES = "base kernel-modules rootfs-block udev-rules fs-lib shutdown"
SYSTEMD = "systemd systemd-initrd dracut-systemd"


@dataclass(frozen=True)
class Recipe:
    """One image: a name and the shell command that makes it as $OUT for the kernel $KVER."""

    name: str
    command: str

    @property
    def file(self) -> str:
        """Its file's name, which changes with how it is made."""
        return f"{self.name}-{digest(self.command)[:6]}"


NO_MICROCODE = (
    "echo IUCODE_TOOL_INITRAMFS=no > /etc/default/intel-microcode;"
    " echo AMD64UCODE_INITRAMFS=no > /etc/default/amd64-microcode; "
)


def _tools(name: str, *, compress: str = "zstd", conf: str = "", before: str = "") -> Recipe:
    lines = f"MODULES=most\\nBUSYBOX=auto\\nRESUME=none\\n{conf}"
    return Recipe(
        f"tools-{name}",
        f"{before}rm -rf /tmp/conf && cp -r /etc/initramfs-tools /tmp/conf"
        f" && printf '{lines}' > /tmp/conf/conf.d/lab"
        f" && mkinitramfs -d /tmp/conf -c {compress} -o $OUT $KVER",
    )


def _dracut(name: str, options: str, *, modules: str = f"{DRACUT_MODULES} {SYSTEMD}") -> Recipe:
    chosen = f'-m "{modules}"' if modules else ""
    return Recipe(
        f"dracut-{name}",
        f"dracut -q --force --kver $KVER {chosen} {options} $OUT",
    )


RECIPES = (
    *(_tools(each, compress=each) for each in ("zstd", "gzip", "bzip2", "lz4", "lzma", "lzop", "xz")),
    _tools("list-nobusybox", conf="MODULES=list\\nBUSYBOX=n\\n"),
    _tools("nomicrocode", before=NO_MICROCODE),
    *(
        _dracut(each, f"--no-hostonly --no-early-microcode --compress {each}")
        for each in ("zstd", "gzip", "bzip2", "lz4", "lzma", "lzo", "xz")
    ),
    _dracut("cat", "--no-hostonly --no-early-microcode --no-compress"),
    _dracut("microcode", "--no-hostonly --early-microcode --zstd"),
    _dracut(
        "hostonly", "--hostonly --no-hostonly-cmdline --early-microcode --zstd --force-drivers virtio_blk"
    ),
    _dracut("busybox", "--no-hostonly --no-early-microcode --gzip", modules=f"{DRACUT_MODULES} busybox"),
    _dracut("all", "--no-hostonly --early-microcode --zstd", modules=""),
    _dracut("uki", "--no-hostonly --early-microcode --zstd --uefi --kernel-cmdline root=/dev/vda"),
)

SCRIPT = r"""
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
KVER=$(ls /lib/modules | tail -1)
echo "$KVER" > /images/version
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /tmp
mount -t devtmpfs dev /dev 2>/dev/null
make() { # NAME COMMAND
    OUT=/images/$1; export OUT KVER
    if ! eval "$2" > "/images/$1.log" 2>&1; then echo "failed: $1"; rm -f "$OUT"; return; fi
    # lsinitramfs of Debian 13 does not know lzma, which mkinitramfs still makes.
    case $1 in
    tools-*) lsinitramfs "$OUT" > "$OUT.list" 2>> "/images/$1.log" || touch "$OUT.refused" ;;
    *) lsinitrd "$OUT" > "$OUT.list" 2>> "/images/$1.log" || touch "$OUT.refused" ;;
    esac
    cat "$OUT" > "$OUT.new" && mv "$OUT.new" "$OUT" && chmod 644 "$OUT"
}
"""


def home(suite: str) -> str:
    """Return where the images of a release are, or will be."""
    return os.path.join(HOME, suite)


def images(suite: str) -> list[str]:
    """Return the paths of the images that were made of a release; beside each is its listing, ``.list``.

    What the builder's own tool cannot list is left out.
    """
    paths = [os.path.join(home(suite), recipe.file) for recipe in RECIPES]
    paths = [path for path in paths if os.path.exists(path + ".list") and os.path.exists(path)]
    return [path for path in paths if not os.path.exists(path + ".refused")]


def listed(path: str) -> list[str]:
    """Return the names in an image as lsinitramfs(8) or lsinitrd(1) printed them."""
    with open(path + ".list", encoding="utf-8", errors="surrogateescape") as stream:
        lines = stream.read().splitlines()
    if os.path.basename(path).startswith("tools-"):
        return lines
    found = [LONG.match(line) for line in lines]
    return [match[1].split(" -> ")[0] for match in found if match]


def names_in(path: str) -> list[str]:
    """Return the names in an image as lastwords finds them."""
    names: list[str] = []
    with open(path, "rb") as stream:
        sections = unified_sections(stream) or []
        part = next((each for each in sections if each.name == ".initrd"), None)
        stream.seek(0)
        size = part.size if part else os.path.getsize(path)
        found = examine(
            part_of(stream, part.offset, part.size) if part else stream,
            size,
            deadline=time.monotonic() + 600,
            visit=lambda member, _: names.append(member.name),
        )
    if found.complete is not True:
        raise LabError(f"{path}: {found.damage or found.unknown}")
    return names


def build(suite: str) -> list[str]:
    """Return the images of a release, making those that are not there.

    :raises Unavailable: this machine cannot
    """
    with locked(f"initramfs-{suite}"):
        missing = [each for each in RECIPES if not os.path.exists(f"{home(suite)}/{each.file}.list")]
        if missing:
            top = _bootstrapped(suite)
            os.makedirs(home(suite), exist_ok=True)
            os.makedirs(os.path.join(top, "images"), exist_ok=True)
            with open(os.path.join(top, "make-images"), "w", encoding="ascii") as stream:
                stream.write(SCRIPT)
                for recipe in missing:
                    stream.write(f"make {recipe.file} {shlex.quote(recipe.command)}\n")
            inside = f'mount --bind "{home(suite)}" "{top}/images" && chroot "{top}" bash /make-images'
            command = ["nice", "unshare", "-m", "--pid", "--fork", "--kill-child", "sh", "-c", inside]
            done = run(command, deadline=BUILD_DEADLINE)
            print(done.stdout, end="")
    return images(suite)


def tree(suite: str) -> str:
    """Return where the tree is, or will be, that holds both builders."""
    return os.path.join(HOME, f"tree-{suite}-{digest(PACKAGES)}")


def _bootstrapped(suite: str) -> str:
    top = tree(suite)
    if os.path.isdir(top):
        return top
    more = [
        "--skip=cleanup/tmp",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--essential-hook=mkdir -p "$1/etc/initramfs-tools"',
        '--essential-hook=echo update_initramfs=no > "$1/etc/initramfs-tools/update-initramfs.conf"',
        "--dpkgopt=force-confold",
    ]
    with staged(top) as work:
        bare_tree(
            work,
            suite,
            PACKAGES.split(),
            parts="main non-free-firmware",
            more=more,
            deadline=BUILD_DEADLINE,
        )
    return top


if __name__ == "__main__":
    for name in sys.argv[1:] or SUITES:
        for path in build(name):
            start = time.monotonic()
            same = sorted(names_in(path)) == sorted(listed(path))
            print(f"{'same' if same else 'DIFFERENT':10} {time.monotonic() - start:6.2f} s  {path}")
