"""Directives of ``/etc/kdump.conf`` (RHEL, Fedora, openEuler, Azure Linux)."""

from __future__ import annotations

from dataclasses import dataclass

FILESYSTEMS = ("ext2", "ext3", "ext4", "minix", "btrfs", "xfs")
"""Directives that name a filesystem's type; the value is the device that holds it."""

KNOWN = frozenset(
    (
        *FILESYSTEMS,
        "raw",
        "nfs",
        "ssh",
        "virtiofs",
        "sshkey",
        "path",
        "core_collector",
        "kdump_pre",
        "kdump_post",
        "kdump_emergency",
        "extra_bins",
        "extra_modules",
        "failure_action",
        "final_action",
        "force_rebuild",
        "force_no_rebuild",
        "dracut_args",
        "fence_kdump_args",
        "fence_kdump_nodes",
        "auto_reset_crashkernel",
    )
)
DEPRECATED = frozenset(("default",))
"""Still obeyed, under a newer name."""
OBSOLETE = frozenset(("net", "options", "link_delay", "disk_timeout", "debug_mem_level", "blacklist"))
"""Once valid; kdumpctl refuses to start when it meets one."""


@dataclass(frozen=True)
class Directive:
    """One line of the file."""

    line: int
    """From 1."""
    name: str
    value: str
    """Empty when the line has none, which kdumpctl refuses."""
    status: str
    """``known``, ``deprecated``, ``obsolete`` or ``unknown``, as kdumpctl sees it."""


def parse_kdump_conf(text: str) -> list[Directive]:
    """Return the directives in order; comments, also those behind a value, are left out.

    Sources: kdump.conf(5); ``parse_config`` of kdumpctl and ``kdump_read_conf`` of
    kdump-lib-initramfs.sh (kdump-utils), which cut a line at the first ``#`` wherever it stands.

    >>> for each in parse_kdump_conf("# where to\\npath /var/crash  # local\\nblacklist hpwdt"):
    ...     print(each)
    Directive(line=2, name='path', value='/var/crash', status='known')
    Directive(line=3, name='blacklist', value='hpwdt', status='obsolete')
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split(None, 1)
        if words:
            value = words[1].strip() if len(words) > 1 else ""
            found.append(Directive(number, words[0], value, status_of(words[0])))
    return found


def status_of(name: str) -> str:
    """Return whether kdumpctl knows a directive of this name."""
    if name in KNOWN:
        return "known"
    if name in DEPRECATED:
        return "deprecated"
    return "obsolete" if name in OBSOLETE else "unknown"
