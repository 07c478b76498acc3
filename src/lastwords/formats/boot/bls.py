"""Boot loader entries: the small files below ``/boot/loader/entries``, and the order GRUB gives them.

Source: the Boot Loader Specification (UAPI.1); for the order GRUB's blscfg as Fedora and Red Hat ship it,
which compares file names as rpm compares package names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class BootEntry:
    """One entry. Paths are those of the boot loader: relative to the filesystem that holds the entry."""

    id: str
    """File name without ``.conf`` and without boot counters."""
    title: Optional[str] = None
    version: Optional[str] = None
    machine_id: Optional[str] = None
    sort_key: Optional[str] = None
    linux: Optional[str] = None
    efi: Optional[str] = None
    """A program to start instead of a kernel, as a unified kernel image."""
    initrd: tuple[str, ...] = ()
    """May hold GRUB variables, as ``$tuned_initrd``."""
    options: Optional[str] = None
    """Kernel command line; may hold GRUB variables, as ``$kernelopts``."""


def parse_bls(text: str, name: str) -> BootEntry:
    """Return the entry that stands in file *name*; unknown keys are passed over.

    >>> text = "title Fedora\\nlinux /vmlinuz-6.8\\ninitrd /i.img $tuned_initrd\\noptions ro quiet"
    >>> parse_bls(text, "fed-6.8.conf")  # doctest: +NORMALIZE_WHITESPACE
    BootEntry(id='fed-6.8', title='Fedora', version=None, machine_id=None, sort_key=None,
              linux='/vmlinuz-6.8', efi=None, initrd=('/i.img', '$tuned_initrd'), options='ro quiet')
    """
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        if value.strip() and not key.startswith("#"):
            values.setdefault(key, []).append(value.strip())

    def last(key: str) -> Optional[str]:
        return values[key][-1] if key in values else None

    options = values.get("options")
    return BootEntry(
        id=re.sub(r"(?:\+\d+(?:-\d+)?)?\.conf$", "", name),
        title=last("title"),
        version=last("version"),
        machine_id=last("machine-id"),
        sort_key=last("sort-key"),
        linux=last("linux"),
        efi=last("efi"),
        initrd=tuple(word for line in values.get("initrd", ()) for word in line.split()),
        options=" ".join(options) if options else None,
    )


def grub_order(ids: Iterable[str]) -> list[str]:
    """Return the ids of entries in the order of GRUB's menu: the newest first.

    >>> grub_order(["m-0-rescue", "m-5.14.0-70.el9", "m-5.14.0-427.el9"])
    ['m-5.14.0-427.el9', 'm-5.14.0-70.el9', 'm-0-rescue']
    """
    return sorted(ids, key=functools.cmp_to_key(_compare), reverse=True)


def _compare(one: str, other: str) -> int:
    # Name, version and release are told apart by the last two hyphens.
    for left, right in zip(_nvr(one), _nvr(other)):
        order = compare_versions(left, right)
        if order:
            return order
    return 0


def _nvr(text: str) -> tuple[str, str, str]:
    parts = text.rsplit("-", 2)
    name, version, release = ("", "", *parts)[-3:]
    return name, version, release


def compare_versions(one: str, other: str) -> int:
    """Return -1, 0 or 1 as *one* is older than, equal to or newer than *other*, as rpmvercmp().

    >>> compare_versions("5.14.0", "5.4.0"), compare_versions("1.0~rc1", "1.0")
    (1, -1)
    """
    left, right = _parts(one), _parts(other)
    for a, b in zip(left, right):
        if a == b:
            continue
        if a == "~" or b == "~":
            return -1 if a == "~" else 1
        if a.isdigit() and b.isdigit():
            # Compared by length and then as text: numbers may be of any length.
            x, y = a.lstrip("0"), b.lstrip("0")
            if x == y:
                continue
            return 1 if (len(x), x) > (len(y), y) else -1
        if a.isdigit() != b.isdigit():
            return 1 if a.isdigit() else -1
        return 1 if a > b else -1
    if len(left) == len(right):
        return 0
    longer, sign = (left, 1) if len(left) > len(right) else (right, -1)
    return -sign if longer[min(len(left), len(right))] == "~" else sign


def _parts(text: str) -> list[str]:
    return re.findall(r"[0-9]+|[A-Za-z]+|~", text)
