"""Boots a disk as a boot loader does: its own kernel and initramfs, if they are there; or GRUB itself."""

from __future__ import annotations

import os
from typing import Optional

from lab import disks
from lab.common import Unavailable, run

GRUB = "/usr/lib/grub/i386-pc"
GRUB_MODULES = (
    "biosdisk ext2 normal linux configfile search search_fs_uuid search_fs_file echo test serial terminal"
)
GRUB_START = """\
set root=hd1
set prefix=($root)/boot/grub
serial
terminal_output serial
configfile $prefix/grub.cfg
"""


def load_as_boot_loader(disk: str, own_filesystem: bool, work: str) -> tuple[str, Optional[str]]:
    """Return the newest kernel of *disk* and its initramfs, or None when that is not there.

    :param own_filesystem: the disk is /boot
    """
    raw = os.path.join(work, "boot.raw")
    disks.raw_copy(disk, raw)
    try:
        top = "" if own_filesystem else "/boot"
        names = disks.names_in(raw, top or "/")
        kernel = max(name for name in names if name.startswith("vmlinuz-"))
        disks.take_out(raw, f"{top}/{kernel}", os.path.join(work, "vmlinuz"))
        image = kernel.replace("vmlinuz-", "initrd.img-")
        if image not in names:
            return os.path.join(work, "vmlinuz"), None
        disks.take_out(raw, f"{top}/{image}", os.path.join(work, "initrd"))
        return os.path.join(work, "vmlinuz"), os.path.join(work, "initrd")
    finally:
        os.unlink(raw)


def make_grub_disk(path: str) -> None:
    """Write a disk with nothing but GRUB on it, which reads the grub.cfg of the machine's own disk.

    boot.img loads the sectors that follow it, and grub-mkimage has told them how many they are.
    """
    if not os.path.exists(os.path.join(GRUB, "boot.img")):
        raise Unavailable("needs grub-pc-bin")
    config, core = f"{path}.cfg", f"{path}.core"
    with open(config, "w", encoding="ascii") as stream:
        stream.write(GRUB_START)
    command = ["grub-mkimage", "-O", "i386-pc", "-p", "(hd1)/boot/grub", "-c", config, "-o", core]
    run([*command, *GRUB_MODULES.split()])
    with open(path, "wb") as disk:
        for part in (os.path.join(GRUB, "boot.img"), core):
            with open(part, "rb") as stream:
                disk.write(stream.read())
        disk.truncate(1 << 20)
    os.unlink(config)
    os.unlink(core)
