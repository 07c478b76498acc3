"""The filesystems that were mounted.

Sources: fs/mount.h (the list of a namespace became a tree in 6.8), fs/proc_namespace.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.source import DumpError

MAX_MOUNTS = 1 << 16
_DEPTH = 256
"""Names in a path, and mounts on the way up: damaged ones lead in a circle."""
_SB_RDONLY, _MNT_READONLY = 1, 0x40


@dataclass(frozen=True)
class Mount:
    """One mount."""

    device: str
    filesystem: str
    path: str
    read_only: bool


def list_mounts(layout: Layout) -> list[Mount]:
    """Return the mounts of the first namespace, in the kernel's order.

    :raises DumpError: names or layouts are not there
    """
    get = layout.get
    proxy = get(layout.init_task, "task_struct", "nsproxy")
    namespace = get(proxy, "nsproxy", "mnt_ns")
    if layout.has("mnt_namespace", "mounts") and layout.has("mount", "mnt_node"):
        root = namespace + layout.offset("mnt_namespace", "mounts")
        found = layout.tree(root, layout.offset("mount", "mnt_node"), MAX_MOUNTS)
    else:
        head = namespace + layout.offset("mnt_namespace", "list")
        found = layout.entries(head, layout.offset("mount", "mnt_list"), MAX_MOUNTS)
    mounts = []
    for at in found:
        try:
            mounts.append(_mount(layout, at))
        except DumpError:
            continue
    return mounts


def _mount(layout: Layout, at: int) -> Mount:
    get, string = layout.get, layout.kernel.string
    block = get(at, "mount", "mnt.mnt_sb")
    kind = get(block, "super_block", "s_type")
    device = get(at, "mount", "mnt_devname")
    flags = get(at, "mount", "mnt.mnt_flags")
    read_only = bool(get(block, "super_block", "s_flags") & _SB_RDONLY or flags & _MNT_READONLY)
    filesystem = string(get(kind, "file_system_type", "name"))
    return Mount(string(device) if device else "none", filesystem, _path(layout, at), read_only)


def _path(layout: Layout, at: int) -> str:
    """Return where a mount is: up its own tree of names, then up the one it is mounted in."""
    get = layout.get
    name_at = "d_name.name"
    parts: list[str] = []
    for _ in range(_DEPTH):
        parent = get(at, "mount", "mnt_parent")
        if parent == at:
            break
        entry = get(at, "mount", "mnt_mountpoint")
        root = get(parent, "mount", "mnt.mnt_root")
        while len(parts) < _DEPTH:
            above = get(entry, "dentry", "d_parent")
            if entry in (root, above):
                break
            parts.append(layout.kernel.string(get(entry, "dentry", name_at)))
            entry = above
        at = parent
    return "/" + "/".join(reversed(parts))
