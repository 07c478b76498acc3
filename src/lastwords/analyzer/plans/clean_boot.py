"""Make room in /boot: old kernels by the package manager, unfinished files out of the way."""

from __future__ import annotations

import argparse

from lastwords.analyzer.boot_words import next_version
from lastwords.analyzer.plans.rescue import KEPT, functions, package_manager, where
from lastwords.analyzer.plans.script import NothingToDo, NotPlannable, literal
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case

HOME = KEPT.format("clean-boot")
_REMOVE = {
    "apt": "inside apt-get -y purge",
    "dnf": "inside dnf -y remove",
    "zypper": "inside zypper --non-interactive remove",
    "pacman": "inside pacman -R --noconfirm",
}
_INSTALL = {
    "apt": "inside apt-get -y install",
    "dnf": "inside dnf -y install",
    "zypper": "inside zypper --non-interactive install",
    "pacman": "inside pacman -S --noconfirm",
}
_OWNER = {
    "apt": "inside dpkg-query -S \"/boot/vmlinuz-$1\" 2>/dev/null | sed 's/:.*//'",
    "dnf": 'inside rpm -qf "/boot/vmlinuz-$1" || inside rpm -qf "/lib/modules/$1/vmlinuz"',
    "zypper": 'inside rpm -qf "/boot/vmlinuz-$1"',
    "pacman": 'inside pacman -Qqo "/usr/lib/modules/$1/vmlinuz"',
}
FUNCTIONS = """\
owner() {{ {owner}; }}
drop() {{
    package=$(owner "$1" | head -n 1)
    case "$package" in
    '' | *' '*)
        echo "kernel $1 belongs to no package: left alone" >&2
        return 0
        ;;
    esac
    echo "$package" >> "$(at "$HOME_OF_OLD/packages")"
    {remove} "$package"
}}
aside() {{
    [ ! -e "$(at "$1")" ] || mv "$(at "$1")" "$(at "$HOME_OF_OLD")/"
}}"""


class CleanBootPlan(Plan):
    """Removes kernels, but never the running, the default, the newest or the rescue one."""

    name = "clean-boot"
    title = "make room in /boot: old kernels by the package manager, unfinished files out of the way"
    needs = ("host", "boot", "initramfs")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--keep", type=int, default=2, metavar="N", help="kernels to keep, the newest first (default: 2)"
        )

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        boot = case.facts.get("boot")
        if not boot:
            raise NotPlannable("nothing is known of /boot here: is it the disk of a host?")
        if arguments.keep < 1:
            raise NotPlannable(f"--keep {arguments.keep}: expected at least 1")
        there = [each for each in boot["kernels"] if each["vmlinuz"]["exists"]]
        kept = {each["version"] for each in there[: arguments.keep]} | {next_version(boot), boot["running"]}
        spare = [each["version"] for each in reversed(there) if each["version"] not in kept]
        leftovers = [each["path"] for each in boot["other_images"] if each["use"] == "leftover"]
        if not spare and not leftovers:
            names = ", ".join(sorted(each for each in kept if each))
            raise NothingToDo(f"nothing to remove from /boot: kept are {names or 'no kernels'}")
        root = getattr(arguments, "root", None)
        manager = package_manager(case)
        why = (
            f"Kernels that go, the oldest first: {', '.join(spare) or 'none'}. Kept:"
            f" {', '.join(sorted(each for each in kept if each))}, and rescue images.",
            f"Unfinished or backup files go to {HOME}: {', '.join(leftovers) or 'none'}.",
            where(root),
            "undo moves files back and installs the packages again, which needs a network.",
        )
        lines = ["enter", 'mkdir -p "$(at "$HOME_OF_OLD")"']
        lines += [f'{literal("file", path)}\naside "$file"' for path in leftovers]
        lines += [f'{literal("version", version)}\ndrop "$version"' for version in spare]
        lines += ['df -h "$(at /boot)"', "leave"]
        undo = f"""\
enter
for file in "$(at "$HOME_OF_OLD")"/*; do
    case "$file" in
    */packages | *'/*') ;;
    *) mv "$file" "$(at /boot)/" ;;
    esac
done
if [ -e "$(at "$HOME_OF_OLD/packages")" ]; then
    # shellcheck disable=SC2046 # one package a line, none with blanks
    {_INSTALL[manager]} $(cat "$(at "$HOME_OF_OLD/packages")")
    rm -f "$(at "$HOME_OF_OLD/packages")"
fi
leave"""
        more = FUNCTIONS.format(owner=_OWNER[manager], remove=_REMOVE[manager])
        return Script(
            "Make room in /boot",
            why,
            "\n".join(lines),
            undo,
            functions(root, ("HOME_OF_OLD", HOME)) + "\n" + more,
        )
