"""The tree that ``lsblk`` prints, and the PCI devices that ``lspci -vv`` prints.

Source: lsblk(8), lspci(8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

_ROW = re.compile(
    r"(?P<tree>[\s|`\-├─└│]*)(?P<name>\S+(?: \([^)]*\))?)\s+\d+:\d+\s+\d\s+\S+\s+\d\s+(?P<type>\S+)"
    r"(?:\s+(?P<mount>\S.*?))?\s*\Z"
)
_MORE = re.compile(r"[\s|`\-├─└│]*(?P<mount>/\S*|\[SWAP\])\s*\Z")
_SLOT = re.compile(
    r"(?P<slot>(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) .*?\[(?P<class>[0-9a-f]{4})\]: "
)
_DRIVER = re.compile(r"\s+Kernel driver in use: (\S+)")
_MODULES = re.compile(r"\s+Kernel modules: (.+)")


@dataclass
class Block:
    """One line of the tree: a device where it hangs below another."""

    name: str
    type: str
    """``disk``, ``part``, ``lvm``, ``crypt``, ``mpath``, ``raid1`` ..."""
    parent: Optional[int]
    """Index of the line that it hangs below."""
    mounts: list[str] = field(default_factory=list)


def parse_lsblk(text: str) -> list[Block]:
    """Return the lines of the tree in order; lines of another form are passed over.

    >>> for block in parse_lsblk('''NAME          MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS
    ... vda           254:0    0  20G  0 disk
    ... └─vda2        254:2    0  19G  0 part
    ...   └─rhel-root 253:0    0  17G  0 lvm  /
    ... '''):
    ...     print(block)
    Block(name='vda', type='disk', parent=None, mounts=[])
    Block(name='vda2', type='part', parent=0, mounts=[])
    Block(name='rhel-root', type='lvm', parent=1, mounts=['/'])
    """
    found: list[Block] = []
    depths: list[tuple[int, int]] = []
    for line in text.splitlines():
        row = _ROW.match(line)
        if row is None:
            more = _MORE.match(line)
            if more and found:
                found[-1].mounts.append(more["mount"])
            continue
        depth = len(row["tree"])
        while depths and depths[-1][0] >= depth:
            depths.pop()
        parent = depths[-1][1] if depths else None
        depths.append((depth, len(found)))
        name = row["name"].partition(" (")[0]
        found.append(Block(name, row["type"], parent, [row["mount"]] if row["mount"] else []))
    return found


@dataclass(frozen=True)
class PciDevice:
    """One device with a driver."""

    slot: str
    """Domain:bus:device.function; without the domain where lspci leaves it out."""
    class_code: str
    """Four hexadecimal digits; 01.. is storage."""
    driver: str
    modules: tuple[str, ...]
    """Modules that could drive it."""


def parse_lspci(text: str) -> list[PciDevice]:
    """Return the devices that have a driver.

    >>> parse_lspci('''00:04.0 SCSI storage controller [0100]: Red Hat, Inc. Virtio block device [1af4:1001]
    ... 	Kernel driver in use: virtio-pci
    ... 	Kernel modules: virtio_pci
    ... ''')
    [PciDevice(slot='00:04.0', class_code='0100', driver='virtio-pci', modules=('virtio_pci',))]
    """
    found = []
    for part in re.split(r"\n(?=\S)", text):
        slot, driver, modules = _SLOT.match(part), _DRIVER.search(part), _MODULES.search(part)
        if slot and driver:
            names = tuple(re.split(r",\s*", modules[1].strip())) if modules else ()
            found.append(PciDevice(slot["slot"], slot["class"], driver[1], names))
    return found
