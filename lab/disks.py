"""Files in and out of disk images, without mounts and without root: qemu-img and debugfs."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from collections.abc import Mapping

from lab.common import LabError, run

JOB_DISK_SIZE = 16 << 20
"""Fixed, since a machine that was saved with one job disk goes on with another."""


def layer(path: str, base: str, form: str = "raw") -> None:
    """Make a disk image that holds only what will differ from the image *base*, which is of that format."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", base, path])


def empty(path: str, size: str) -> None:
    """Make an empty disk image."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", path, size])


def take_part(path: str, name: str) -> None:
    """Have a disk image take part in going on from the saved state *name*, with what it holds now.

    An older state of that name would be what it goes back to.
    """
    run(["qemu-img", "snapshot", "-d", name, path], check=False)
    run(["qemu-img", "snapshot", "-c", name, path])


def size_of(path: str) -> int:
    """Return the size that a machine sees of a disk image, in bytes."""
    size: int = json.loads(run(["qemu-img", "info", "-U", "--output=json", path]).stdout)["virtual-size"]
    return size


def raw_copy(path: str, target: str) -> None:
    """Write a disk image with all its layers to *target*, and replay the journal of its filesystem."""
    run(["qemu-img", "convert", "-O", "raw", path, target], deadline=120)
    # What a mount would do first. Its status tells of repairs, which are expected after a crash.
    run(["e2fsck", "-f", "-y", target], check=False, deadline=120)


def compact(path: str, base: str, target: str) -> None:
    """Write the layer *path* to *target* without the saved machine states in it."""
    run(["qemu-img", "convert", "-O", "qcow2", "-F", "raw", "-B", base, "-c", path, target], deadline=300)


def names_in(disk: str, directory: str) -> list[str]:
    """Return the names in a directory of a raw ext4 image."""
    said = run(["debugfs", "-R", f"ls -p {directory}", disk]).stdout
    names = [line.split("/")[5] for line in said.splitlines() if line.count("/") >= 6]
    return sorted(name for name in names if name not in (".", "..", ""))


def take_out(disk: str, path: str, target: str) -> None:
    """Copy the file *path* of a raw ext4 image to *target*.

    :raises LabError: it is not there
    """
    said = run(["debugfs", "-R", f'dump "{path}" "{target}"', disk])
    if not os.path.exists(target) or "File not found" in said.stderr:
        raise LabError(f"{path}: not in the image ({said.stderr.strip().splitlines()[-1:]})")


def take_out_all(disk: str, target: str) -> None:
    """Copy all files of a raw ext4 image below *target*."""
    run(["debugfs", "-R", f'rdump / "{target}"', disk], check=False, deadline=300)


def job_disk(path: str, files: Mapping[str, str]) -> None:
    """Write a raw disk that is a tar archive of *files*: local path by name in the archive.

    A zip archive is carried unpacked, its files dated by what is in them: what Python inside has compiled
    stays valid as long as the source is the same.
    """
    with tarfile.open(path, "w") as archive:
        for name, local in files.items():
            if zipfile.is_zipfile(local):
                _unpacked(archive, name, local)
            else:
                archive.add(local, name)
    if os.path.getsize(path) > JOB_DISK_SIZE:
        raise LabError(f"{path}: more than {JOB_DISK_SIZE} bytes")
    os.truncate(path, JOB_DISK_SIZE)


def _unpacked(archive: tarfile.TarFile, name: str, local: str) -> None:
    with zipfile.ZipFile(local) as packed:
        for member in packed.infolist():
            if not member.is_dir():
                entry = tarfile.TarInfo(f"{name}/{member.filename}")
                entry.size, entry.mtime = member.file_size, member.CRC % (1 << 31)
                with packed.open(member) as content:
                    archive.addfile(entry, content)
