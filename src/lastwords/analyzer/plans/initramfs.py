"""Make an initramfs anew, for the kernel that needs it, also from rescue mode."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from lastwords.analyzer.boot_words import family_of, image_path, kernel_of, next_version
from lastwords.analyzer.plans.rescue import KEPT, functions, where
from lastwords.analyzer.plans.script import NotPlannable, quote
from lastwords.analyzer.root_needs import lacks_of, needs_of_root
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case

HOME = KEPT.format("initramfs")
SPARE = 16 << 10
"""KiB that must be left beside the new image."""

FUNCTIONS = """\
room() {
    # As much as the largest image that is there, and some more.
    need=0
    for image in "$(at "${IMAGE%/*}")"/init*; do
        size=$(du -k "$image" 2>/dev/null | cut -f 1)
        if [ "${size:-0}" -gt "$need" ]; then need=$size; fi
    done
    need=$((need + SPARE))
    free=$(df -Pk "$(at "${IMAGE%/*}")" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$need" ]; then
        echo "only $free KiB are free in ${IMAGE%/*}, $need are wanted: see lastwords plan clean-boot" >&2
        return 1
    fi
}
keep() {
    mkdir -p "$(at "$HOME_OF_OLD")"
    kept=$(at "$HOME_OF_OLD/${IMAGE##*/}")
    # The first one counts: a second run must not replace it by its own work.
    if [ ! -e "$kept" ] && [ ! -e "$kept.absent" ]; then
        if [ -e "$(at "$IMAGE")" ]; then cp -p "$(at "$IMAGE")" "$kept"; else : > "$kept.absent"; fi
    fi
}
verify() {
    if command -v lastwords > /dev/null; then
        look --kernel "$KERNEL" --fail-on warning "$(at "$IMAGE")"
    elif [ "$(inside "$LISTER" "$IMAGE" | grep -c "lib/modules/$KERNEL/")" -eq 0 ]; then
        echo "$IMAGE holds no modules of $KERNEL" >&2
        return 1
    fi
    echo "$IMAGE: made anew for kernel $KERNEL"
}"""


class InitramfsPlan(Plan):
    """Runs this distribution's own builder with the exact version of the kernel, and looks at the result."""

    name = "initramfs"
    title = "make the initramfs of a kernel anew, on this host or on a disk mounted in rescue mode"
    needs = ("host", "boot", "kernel", "initramfs")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--kernel", metavar="V", help="release of the kernel (default: the one that boots by default)"
        )

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        boot = case.facts.get("boot")
        if not boot:
            raise NotPlannable("nothing is known of /boot here: is it the disk of a host?")
        version = arguments.kernel or next_version(boot)
        kernel = kernel_of(boot, version)
        known = ", ".join(each["version"] for each in boot["kernels"]) or "none"
        if not version:
            raise NotPlannable(f"no kernel is seen in /boot (not mounted?): choose one by --kernel: {known}")
        if kernel is None:
            raise NotPlannable(f"kernel {version}: expected one that is installed: {known}")
        named = version[:1].isdigit()  # Arch Linux names a kernel by its package, and its modules by release
        if named and kernel["modules"]["exists"] is False:
            raise NotPlannable(
                f"kernel {version}: it has no {kernel['modules']['path']}, of which an initramfs is made:"
                " install its package anew, or choose another kernel (--kernel)"
            )
        root = getattr(arguments, "root", None)
        family = family_of(case)
        path = image_path(case, version)
        drivers = _wanted_drivers(case, version, kernel)
        variables = (
            ("KERNEL", version),
            ("IMAGE", path),
            ("HOME_OF_OLD", HOME),
            ("LISTER", _LISTERS[family]),
            ("SPARE", str(SPARE)),
        )
        why = (
            f"It makes {path} anew for kernel {version}, which must be named: without it the builder takes"
            " the running kernel, in rescue mode the rescue system's, and the image fits nothing.",
            where(root),
            f"The old image goes to {HOME} first, and comes back with undo. Nothing is done where there is no"
            " room for another image: a builder that runs out of room leaves a cut one.",
            *((f"Added, because the root needs them: {' '.join(drivers)}.",) if drivers else ()),
        )
        apply = f"""\
enter
{_CHECK if named else ":"}
room
keep
{_build(family, drivers, named)}
{_after(case)}verify
leave"""
        undo = """\
enter
kept=$(at "$HOME_OF_OLD/${IMAGE##*/}")
if [ -e "$kept" ]; then
    cp -p "$kept" "$(at "$IMAGE")"
    rm -f "$kept"
elif [ -e "$kept.absent" ]; then
    rm -f "$(at "$IMAGE")" "$kept.absent"
fi
leave"""
        return Script(
            f"Make the initramfs of kernel {version} anew",
            why,
            apply,
            undo,
            functions(root, *variables) + "\n" + FUNCTIONS,
        )


_CHECK = """\
if [ ! -d "$(at "/lib/modules/$KERNEL")" ]; then
    echo "/lib/modules/$KERNEL is not there: nothing was changed" >&2
    return 1
fi"""
_LISTERS = {"dracut": "lsinitrd", "initramfs-tools": "lsinitramfs", "mkinitcpio": "lsinitcpio"}


def _build(family: str, drivers: list[str], named: bool) -> str:
    if family == "dracut":
        more = f" --add-drivers {quote(' '.join(drivers))}" if drivers else ""
        return f'inside dracut --force{more} "$IMAGE" "$KERNEL"'
    if family == "mkinitcpio":
        return 'inside mkinitcpio -k "$KERNEL" -g "$IMAGE"' if named else 'inside mkinitcpio -p "$KERNEL"'
    lines = [
        f'grep -qx {quote(each)} "$(at /etc/initramfs-tools/modules)" ||'
        f' echo {quote(each)} >> "$(at /etc/initramfs-tools/modules)"'
        for each in drivers
    ]
    return "\n".join([*lines, 'inside update-initramfs -c -k "$KERNEL"'])


def _after(case: Case) -> str:
    """Return what must follow where the boot loader knows blocks, not files."""
    architecture = (case.facts.get("host") or {}).get("architecture")
    return "inside zipl\n" if architecture == "s390x" else ""


def _wanted_drivers(case: Case, version: str, kernel: dict[str, Any]) -> list[str]:
    """Return the modules that the present image lacks and the builder may not find by itself."""
    images = (case.facts.get("initramfs") or {}).get("images") or ()
    image: Optional[dict[str, Any]] = next(
        (each for each in images if each["use"] == "boot" and each["version"] == version), None
    )
    if image is None or not image["complete"] or version not in (image["kernel_versions"] or ()):
        return []
    lacks = lacks_of(needs_of_root(case.facts["boot"]), image, kernel)
    return [each.need.module for each in lacks if each.need.module and not each.kernel]
