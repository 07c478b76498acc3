"""Make GRUB's menu anew, and GRUB itself where it is told to."""

from __future__ import annotations

import argparse
import re
from typing import Any

from lastwords.analyzer.boot_words import kernel_of
from lastwords.analyzer.plans.rescue import KEPT, functions, package_manager, where
from lastwords.analyzer.plans.script import NotPlannable, quote
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case, Facts

HOME = KEPT.format("bootloader")
MENU = {"apt": "/boot/grub/grub.cfg", "pacman": "/boot/grub/grub.cfg"}
EFI_TARGETS = {"x86_64": "x86_64-efi", "aarch64": "arm64-efi", "i686": "i386-efi"}
FUNCTIONS = """\
keep() {
    mkdir -p "$(at "$HOME_OF_OLD")"
    name=$(echo "$1" | tr / _)
    kept=$(at "$HOME_OF_OLD/$name")
    [ ! -e "$(at "$1")" ] || [ -e "$kept" ] || cp -p "$(at "$1")" "$kept"
}
back() {
    name=$(echo "$1" | tr / _)
    [ ! -e "$(at "$HOME_OF_OLD/$name")" ] || mv "$(at "$HOME_OF_OLD/$name")" "$(at "$1")"
}"""


class BootloaderPlan(Plan):
    """Writes grub.cfg anew with the distribution's own tool; the boot sector only when it is asked to."""

    name = "bootloader"
    title = "make GRUB's menu anew, on this host or on a disk mounted in rescue mode; GRUB itself if told to"
    needs = ("host", "boot")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--install",
            metavar="DISK",
            help="also install GRUB: a disk (/dev/sda), or efi for its EFI program",
        )
        parser.add_argument("--default", metavar="V", help="also make this kernel the default (grubby)")

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        boot = case.facts.get("boot")
        if not boot:
            raise NotPlannable("nothing is known of /boot here: is it the disk of a host?")
        if not boot["grub_configs"] and not arguments.install:
            raise NotPlannable("no grub.cfg is there or can be read: expected a host that boots by GRUB")
        root = getattr(arguments, "root", None)
        manager = package_manager(case)
        menu = _menu(boot, manager)
        kept = ("$MENU", "$BLOCK")
        lines = ["enter", *(f'keep "{name}"' for name in kept)]
        why = [
            f"It writes {menu} anew from /etc/default/grub and the kernels that are there; the old one goes"
            f" to {HOME} first, and comes back with undo.",
            where(root),
        ]
        if arguments.install:
            steps, reason = _install(case, arguments.install, manager)
            lines += steps
            why.append(reason)
        lines.append(_GENERATE.get(manager, _GENERATE["dnf"]))
        lines += _root_lines(boot, why)
        if arguments.default:
            lines += _default_lines(boot, manager, arguments.default)
        lines += ['echo "$MENU was written"', "leave"]
        undo = "\n".join(["enter", *(f'back "{name}"' for name in kept), "leave"])
        variables = (
            ("HOME_OF_OLD", HOME),
            ("MENU", menu),
            ("BLOCK", menu.rpartition("/")[0] + "/grubenv"),
        )
        return Script(
            "Make GRUB's menu anew",
            tuple(why),
            "\n".join(lines),
            undo,
            functions(root, *variables) + "\n" + FUNCTIONS,
        )


def _menu(boot: Facts, manager: str) -> str:
    """Return the menu that is there, not the stub on the EFI partition that only points to it."""
    for config in boot["grub_configs"] or ():
        if "/EFI/" not in config["path"]:
            return str(config["path"])
    return MENU.get(manager, "/boot/grub2/grub.cfg")


_GENERATE = {
    "apt": "inside update-grub",
    "pacman": 'inside grub-mkconfig -o "$MENU"',
    "dnf": 'inside grub2-mkconfig -o "$MENU"',
}


def _install(case: Case, target: str, manager: str) -> tuple[list[str], str]:
    tool = "grub-install" if manager in ("apt", "pacman") else "grub2-install"
    if target == "efi":
        if manager == "dnf":
            steps = ["inside dnf -y reinstall 'grub2-efi-*' 'shim-*'"]
        else:
            architecture = (case.facts.get("host") or {}).get("architecture") or "x86_64"
            if architecture not in EFI_TARGETS:
                raise NotPlannable(f"--install efi: no target of GRUB is known for {architecture}")
            steps = [f"inside {tool} --target={EFI_TARGETS[architecture]}"]
        return steps, "It installs GRUB's EFI program anew. undo does not take that back."
    if not re.fullmatch(r"/dev/[A-Za-z0-9/_-]+", target):
        raise NotPlannable(f"--install {target}: expected a disk, as /dev/sda, or efi")
    sector = f"{HOME}/boot-sector"
    steps = [
        'mkdir -p "$(at "$HOME_OF_OLD")"',
        f"sector=$(at {sector})",
        f'[ -e "$sector" ] || dd if={quote(target)} of="$sector" bs=1M count=1',
        f"inside {tool} {quote(target)}",
    ]
    return steps, (
        f"It installs GRUB into {target}. Its first MiB goes to {sector} before; undo does not write that"
        " back, since the partition table is in it."
    )


def _root_lines(boot: Facts, why: list[str]) -> list[str]:
    """Return how to correct root= in boot loader entries, which no generator touches."""
    entry = next((each for each in boot["fstab"] or () if each["file"] == "/"), None)
    if not boot["loader_entries"] or not entry or not re.fullmatch(r"UUID=[0-9A-Fa-f-]+", entry["spec"]):
        return []
    wrong = [each["value"] for each in boot["device_parameters"] if _contradicts(each, entry["spec"])]
    if not wrong:
        return []
    why.append(f"The entries have root={', '.join(wrong)}; fstab says {entry['spec']}, which they get.")
    return [f"inside grubby --update-kernel=ALL --args={quote('root=' + entry['spec'])}"]


def _contradicts(parameter: dict[str, Any], spec: str) -> bool:
    value: str = parameter["value"]
    return parameter["key"] == "root" and value.startswith("UUID=") and value.lower() != spec.lower()


def _default_lines(boot: Facts, manager: str, version: str) -> list[str]:
    kernel = kernel_of(boot, version)
    if kernel is None or not kernel["vmlinuz"]["exists"]:
        known = ", ".join(each["version"] for each in boot["kernels"] if each["vmlinuz"]["exists"])
        raise NotPlannable(f"--default {version}: expected a kernel that is installed: {known or 'none'}")
    if manager != "dnf":
        raise NotPlannable("--default: only where grubby is; elsewhere set GRUB_DEFAULT in /etc/default/grub")
    return [f"inside grubby --set-default {quote(kernel['vmlinuz']['path'])}"]
