"""Shell that works in a mounted disk as in its own running system, or in the running system itself."""

from __future__ import annotations

from typing import Optional

from lastwords.analyzer.boot_words import family_of
from lastwords.analyzer.plans.script import literal
from lastwords.model import Case

KEPT = "/var/tmp/lastwords-{}"
"""Where a plan keeps what it replaces: not in /boot, which may be full."""

_HERE = """\
inside() { "$@"; }
enter() { :; }
leave() { :; }
at() { printf '%s' "$1"; }
look() { lastwords initramfs "$@"; }
"""
_CHROOT = """\
ROOT=$(CDPATH='' cd -- "$DISK" && pwd) || exit 1
MOUNTED=
inside() { chroot "$ROOT" /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
at() { printf '%s' "$ROOT$1"; }
look() { lastwords initramfs --root "$ROOT" "$@"; }
bind() {
    [ -d "$ROOT/$1" ] && [ -d "/$1" ] || return 0
    mount --bind "/$1" "$ROOT/$1"
    MOUNTED="$1 $MOUNTED"
}
enter() {
    if [ ! -e "$ROOT/etc/fstab" ] || [ "$ROOT" = / ]; then
        echo "$ROOT: expected the mounted disk of a host" >&2
        return 1
    fi
    trap leave EXIT
    trap 'exit 130' INT TERM
    # What tools inside ask for: devices, and the state of the kernel and udev that run now.
    for each in proc sys sys/firmware/efi/efivars dev dev/pts run; do bind "$each"; done
    # What the host mounts by itself, and nobody has mounted yet.
    for each in usr var boot boot/efi efi; do
        if grep -q "^[^#].*[[:space:]]/${each}[[:space:]]" "$ROOT/etc/fstab" && ! mountpoint -q "$ROOT/$each"
        then
            inside mount "/$each"
            MOUNTED="$each $MOUNTED"
        fi
    done
}
leave() {
    trap - EXIT
    # The last one first.
    for each in $MOUNTED; do umount "$ROOT/$each" || umount -l "$ROOT/$each"; done
    MOUNTED=
}
"""


def functions(root: Optional[str], *variables: tuple[str, str]) -> str:
    """Return assignments of what came from a host, and the functions that all these scripts use.

    ``enter`` and ``leave`` frame the work, ``inside COMMAND`` runs it in the host's system, ``at PATH``
    prints where a file of the host is from outside, ``look`` holds an image against the host.

    :param root: the mounted disk, or None for the running host
    """
    lines = [literal(name, value) for name, value in variables]
    if root is None:
        return "\n".join([*lines, _HERE.strip()])
    return "\n".join([*lines, literal("DISK", root), _CHROOT.strip()])


def where(root: Optional[str]) -> str:
    """Return where the script works, for its explanation."""
    if root is None:
        return "It works on the running system."
    return (
        f"It works on the disk mounted on {root}, from any running system of the same architecture: it"
        " mounts /proc, /sys, /dev, /run and what the disk's fstab wants for /boot and the EFI partition,"
        " changes into it, and unmounts all of it in the end, whatever happens."
    )


def package_manager(case: Case) -> str:
    """Return apt, zypper, pacman or dnf."""
    if family_of(case) == "initramfs-tools":
        return "apt"
    distribution = (case.facts.get("host") or {}).get("distribution") or {}
    words = f"{distribution.get('id')} {distribution.get('id_like')}"
    if "debian" in words or "ubuntu" in words:
        return "apt"
    return "zypper" if "suse" in words else "pacman" if "arch" in words else "dnf"
