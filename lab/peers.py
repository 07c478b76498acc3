"""What else reads crash dumps: makedumpfile and crash of Debian 13 in their own tree, debug symbols."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from lab import packages
from lab.common import CACHE, LabError, Unavailable, digest, locked, run, staged
from lab.images import Image, bare_tree
from lab.packages import Archive

SUITE = "trixie"
"""The crash of Debian 12 (8.0.2) finds two tasks in a dump of its own kernel."""
PACKAGES = "crash,makedumpfile"
SHARED = "/lab"
"""Where the tree sees the directory that is shared with it."""


def place() -> str:
    """Return where the tree is, or will be."""
    return os.path.join(CACHE, f"peers-{SUITE}-{digest(PACKAGES)}")


def tree() -> str:
    """Return the tree, making it unless it is there. :raises Unavailable: this machine cannot"""
    if os.geteuid() != 0:
        raise Unavailable("a tree to run crash in needs root")
    target = place()
    with locked("peers"):
        if not os.path.isdir(target):
            with staged(target) as work:
                bare_tree(work, SUITE, PACKAGES.split(","), parts="main")
                os.makedirs(work + SHARED)
                os.chmod(work, 0o755)
    return target


def call(
    argv: Sequence[str], shared: str, deadline: float = 120, stdin: str = "", output: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command in the tree, in namespaces of its own; it sees the directory *shared* as /lab.

    :param output: a file below *shared* that gets what it prints
    :raises TimeLimit: it took longer; nothing of it is left running
    """
    top = tree()
    redirect = f' >"{SHARED}/{output}"' if output else ""
    inside = f'mount --bind "{shared}" "{top}{SHARED}" && mount -t proc proc "{top}/proc" && exec "$0" "$@"'
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside]
    # crash ignores SIGTERM.
    command += ["timeout", "-s", "KILL", str(deadline), "chroot", top]
    command += ["sh", "-c", f'exec "$0" "$@"{redirect}', *argv]
    return run(command, deadline=deadline + 10, check=False, stdin=stdin)


def version(program: str) -> str:
    """Return the version of one of the tree's packages."""
    said = run(["chroot", tree(), "dpkg-query", "-W", "-f", "${Version}", program]).stdout
    return said.split("-")[0].rpartition(":")[2]


def symbols(image: Image, release: str) -> str:
    """Return the vmlinux of an image's kernel, bringing it unless it is there: some 300 MB.

    :raises LabError: the archive has it no more
    """
    target = os.path.join(CACHE, "symbols", f"vmlinux-{release}")
    with locked(f"symbols-{image.name}"):
        if not os.path.exists(target):
            package = Archive(image.suite, "amd64", image.security).download(f"linux-image-{release}-dbg")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            for name in packages.names_in(package, ("/vmlinux", f"/vmlinux-{release}")):
                try:
                    packages.take_out(package, name, target + ".new")
                except LabError:  # a link to another
                    continue
                os.rename(target + ".new", target)
                return target
            raise LabError(f"{package}: no vmlinux in it")
    return target
