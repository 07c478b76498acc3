"""What the lines of a log say of a boot or a crash dump that failed, whoever wrote them.

A sign is one line; a failure is what several signs tell together (:mod:`.reader`). The signs themselves
stand in tables: those of firmware and boot loaders in :mod:`.loader_signs`, of the initramfs and the root
filesystem in :mod:`.root_signs`, of what runs after in :mod:`.init_signs`, of kdump in :mod:`.kdump_signs`.
Here is how far a boot came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STAGES = ("firmware", "loader", "kernel", "initramfs", "root mount", "init")
"""Of a boot, in order."""

HINT, FAILED, CAUSE = 0, 1, 2
"""What a sign weighs: it may mean nothing alone; it failed; it failed because of this."""
WAITS, ENDED = -1, -2
"""It waits, and failed if nothing came after; what was said of this class before is over."""


@dataclass(frozen=True)
class Sign:
    """One kind of line."""

    area: str
    """``boot`` or ``kdump``."""
    stage: str
    name: str
    """The class of failure."""
    words: tuple[str, ...]
    """Each line holds one of these."""
    pattern: re.Pattern[str]
    """Its group ``device``, if any, is what was missing or broken."""
    weight: int = FAILED


def sign(area: str, stage: str, name: str, words: str, pattern: str, weight: int = FAILED) -> Sign:
    """Make a row; words are separated by ``|``."""
    return Sign(area, stage, name, tuple(words.split("|")), re.compile(pattern), weight)


def boot_sign(stage: str, name: str, words: str, pattern: str, weight: int = FAILED) -> Sign:
    """Make a row of a boot."""
    return sign("boot", stage, name, words, pattern, weight)


DEVICE = r"(?P<device>/dev/\S+|(?:UUID|LABEL|PARTUUID|PARTLABEL)=\S+|dev-\S+?\.device|\S+)"

PROGRESS = (
    # The first group is what a boot begins with: any of it after a kernel starts a new boot.
    (
        "firmware",
        ("SeaBIOS", "BdsDxe", "U-Boot", "SecStartup", "coreboot-", "UEFI firmware", "OpenSBI"),
        re.compile(
            r"^SeaBIOS \(|^BdsDxe: |^U-Boot(?: SPL)? 20\d\d|SecStartup$|^coreboot-\d|^UEFI firmware"
            r"|^OpenSBI v"
        ),
    ),
    (
        "loader",
        (
            "Welcome to GRUB",
            "Booting `",
            "Loading Linux",
            "EFI stub: ",
            "Starting kernel ...",
            "Loading initial ramdisk",
        ),
        re.compile(
            r"Welcome to GRUB|^ *Booting `|^Loading (?:Linux|initial ramdisk)|^EFI stub: "
            r"|^Starting kernel \.\.\."
        ),
    ),
    (
        "kernel",
        ("Linux version ", "Booting Linux on physical CPU"),
        re.compile(r"^Linux version \d|^Booting Linux on physical CPU"),
    ),
    (
        "initramfs",
        (
            "Run /init as init",
            "Loading, please wait",
            "dracut-",
            "in initrd",
            "in initial RAM disk",
            "Initramfs)",
            "Alpine Init ",
            ":: running ",
        ),
        re.compile(
            r"^Run /init as init process|^Loading, please wait|^(?:dracut: )?dracut-\d"
            r"|^(?:systemd\[1\]: )?Running in (?:initrd|initial RAM disk)|^Welcome to .*\bInitramfs\)"
            r"|^Alpine Init \d|^:: running (?:early )?hook "
        ),
    ),
    (
        "init",
        (
            "Run /sbin/init",
            "Switching root",
            "Switch Root",
            "Welcome to ",
            "/scripts/init-bottom",
            "INIT: version ",
            "OpenRC ",
        ),
        # "init-bottom" is the last that initramfs-tools runs before it hands over.
        re.compile(
            r"^Run /sbin/init as init|(?:systemd\[1\]|dracut): Switching root|^Switching root\.?$"
            r"|^Welcome to (?!GRUB|emergency|rescue)(?!.*Initramfs\))|Running /scripts/init-bottom"
            r"|^INIT: version \d|^OpenRC \d\S* is starting"
        ),
    ),
    (
        "up",
        (
            " login:",
            "Startup finished in",
            "Multi-User",
            "multi-user.target",
            "Graphical Interface",
            "Login Prompts",
            "to activate this console",
            "Cloud-init v. ",
            "Starting installer",
        ),
        re.compile(
            r"^\S+ login:(?: |$)|Startup finished in .*\(userspace\)"
            r"|Reached target .{0,14}(?:Multi-User|multi-user\.target|Graphical|Login Prompts)"
            r"|^Please press Enter to activate this console|^Cloud-init v\. \S+ finished"
            r"|^Starting installer, one moment"
        ),
    ),
)
"""How far a boot came: stage, words, pattern. ``up``: it succeeded."""

MOUNTED = re.compile(r"^VFS: Mounted root \(|^Freeing unused kernel ")
"""The kernel has its root filesystem: it waits for none."""
MOUNTED_WORDS = ("VFS: Mounted root", "Freeing unused kernel")

COMMAND_LINE = "ommand line: "
ASKED = re.compile(
    r"^(?:Kernel c|C)ommand line: (?:.*\s)?(?:single|emergency|rescue|rd\.emergency|[sS1]|-[bs]"
    r"|rd\.?break(?:=\S+)?"
    r"|break(?:=\S+)?|rdshell|(?:rd\.)?systemd\.unit=(?:rescue|emergency)\S*|init=/\S*/(?:ba|da)?sh)(?:\s|$)"
    r"|^(?:You are in|Welcome to) rescue mode|^Reached target .{0,24}Rescue Mode"
)
"""Somebody asked for a shell: that one comes is no failure."""
ASKED_WORDS = (COMMAND_LINE, "escue")
