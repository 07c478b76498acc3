"""The initramfs images: what each is made of, whether it is whole, who built it, and what is in it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, BinaryIO, Optional

from lastwords.formats.boot.kernel_files import KernelFile, classify
from lastwords.formats.boot.pe import Section
from lastwords.formats.initrd.head import Segment, recognise
from lastwords.formats.initrd.inside import Inside
from lastwords.formats.redact.secrets import redact
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root, read_up_to
from lastwords.roots.evidence import reason_of
from lastwords.roots.initrd import Contents, Visit, examine, part_of, unified_sections
from lastwords.roots.trees import Node

KDUMP = "/var/lib/kdump"
FOLDERS = ("/boot", KDUMP)
BY_MACHINE = ("/boot", "/efi", "/boot/efi")
"""Where kernel-install(8) makes <machine id>/<version>/initrd."""
UNIFIED = tuple(f"{top}/EFI/Linux/*.efi" for top in BY_MACHINE)
MAX_IMAGES = 64
WHOLE_LIMIT = 512 << 20
"""Bytes of an image that is followed to its end; of a larger one only the kernel's version is looked for."""
BUDGET = 40.0
"""Seconds for all images."""
IMAGE_BUDGET = 20.0
_USES = ("boot", "kdump", "fallback", "rescue", "leftover")


class InitramfsCollector(Collector):
    """Looks into initramfs images, streaming, and extracts nothing."""

    name = "initramfs"
    title = (
        "initramfs images: segments, compression, whole or cut, builder, kernel version and modules inside"
    )
    reads = (
        "/boot/*",
        "/var/lib/kdump/*",
        *(f"{top}/*/*/initrd" for top in BY_MACHINE),
        *UNIFIED,
        "/proc/sys/kernel/osrelease",
    )
    needs_root = "images are readable by root only on most distributions"
    timeout = 60.0

    def collect(self, root: Root) -> Iterator[Facts]:
        running = (root.text("/proc/sys/kernel/osrelease") or "").strip() or None
        found = _images(root)
        if not found:
            raise NoData("no initramfs image in /boot or /var/lib/kdump")
        facts = [_recognised(root, node, kind) for node, kind in found[:MAX_IMAGES]]
        whole: Facts = {"images": facts, "images_omitted": max(0, len(found) - MAX_IMAGES)}
        yield whole
        deadline = time.monotonic() + BUDGET
        for image in sorted(facts, key=lambda image: _urgency(image, running)):
            if image["segments"] is None:
                continue
            _look_inside(root, image, min(deadline, time.monotonic() + IMAGE_BUDGET))
            yield whole


def _images(root: Root) -> list[tuple[Node, KernelFile]]:
    """Return the images by path. Links are left out: they only name another image a second time."""
    found: dict[str, KernelFile] = {}
    for folder in FOLDERS:
        for path in root.glob(folder + "/init*"):
            kind = classify(path.rpartition("/")[2])
            if folder == KDUMP:
                # SUSE's has no version in its name.
                version = kind.version if kind else None
                found[path] = KernelFile("initramfs", "kdump", version)
            elif kind and kind.role == "initramfs":
                found[path] = kind
    for top in BY_MACHINE:
        for path in root.glob(f"{top}/[0-9a-f]*[0-9a-f]/[0-9]*/initrd"):
            machine, version = path.split("/")[-3:-1]
            if re.fullmatch(r"[0-9a-f]{32}", machine):
                found[path] = KernelFile("initramfs", "boot", version)
    for pattern in UNIFIED:
        found.update(dict.fromkeys(root.glob(pattern), KernelFile("unified", "boot", None)))
    nodes = ((root.stat(path, follow=False), kind) for path, kind in sorted(found.items()))
    return [(node, kind) for node, kind in nodes if node is not None and node.type == "file"]


def _recognised(root: Root, node: Node, kind: KernelFile) -> dict[str, Any]:
    """Return the facts that the first bytes and the headers tell."""
    facts = unknown_image(node.path, node.size, node.mtime, kind)
    try:
        with root.stream(node.path) as stream:
            segments = recognise(_reader(stream), node.size or 0)
    except OSError as problem:
        facts["not_checked"] = reason_of(problem)
        return facts
    facts["segments"] = [each.__dict__ for each in segments]
    facts["compression"] = _compression(segments)
    return facts


def unknown_image(
    path: str, size: Optional[int], mtime: Optional[float], kind: Optional[KernelFile]
) -> dict[str, Any]:
    """Return the facts of an image that nothing is known of yet but its name."""
    return {
        "path": path,
        "use": kind.use if kind else "boot",
        "version": kind.version if kind else None,
        "size": size,
        "mtime": mtime,
        "unified": None,
        "segments": None,
        "compression": None,
        "complete": None,
        "damage": None,
        "kernel_message": None,
        "not_checked": "not looked at before the time was over",
        "kernel_versions": None,
        "members": None,
        "unpacked": None,
        "contents": None,
    }


def _reader(stream: BinaryIO) -> Callable[[int, int], bytes]:
    """Return a function that reads at growing offsets, of streams that cannot seek too."""
    position, held = 0, b""

    def read_at(offset: int, length: int) -> bytes:
        nonlocal position, held
        if stream.seekable():
            stream.seek(offset)
            return read_up_to(stream, length)[0]
        # What was read ahead may be asked for again.
        if offset >= position + len(held):
            position, held = position + len(held), b""
            while position < offset:
                skipped = len(stream.read(min(offset - position, 1 << 16)))
                if not skipped:
                    return b""
                position += skipped
        else:
            held, position = held[offset - position :], offset
        held += read_up_to(stream, length - len(held))[0] if length > len(held) else b""
        return held[:length]

    return read_at


def _compression(segments: list[Segment]) -> Optional[str]:
    """Return how the last archive is compressed; ``none`` for a plain one that is not microcode only."""
    if not segments:
        return None
    last = segments[-1]
    if last.kind == "compressed":
        return last.compression
    return "none" if last.kind == "cpio" and last.microcode is False else None


def _urgency(image: dict[str, Any], running: Optional[str]) -> tuple[bool, int, float]:
    return (image["version"] != running, _USES.index(image["use"]), -(image["mtime"] or 0))


def _look_inside(root: Root, image: dict[str, Any], deadline: float) -> None:
    """Add what is known after the image was followed to its end, or as far as the limits allow."""
    try:
        look_inside(image, lambda: root.stream(image["path"]), deadline)
    except OSError as problem:
        image["not_checked"] = reason_of(problem)


def look_inside(
    image: dict[str, Any],
    opened: Callable[[], BinaryIO],
    deadline: float,
    visit: Optional[Visit] = None,
) -> Contents:
    """Follow an image to its end, add what it holds to its facts, and return it.

    :param opened: opens the image anew
    :param deadline: time.monotonic() after which to stop
    :param visit: called with each entry and the number of its segment
    :raises OSError: it cannot be read
    """
    size = image["size"] or 0
    with opened() as stream:
        sections = unified_sections(stream)
    if sections is None:
        with opened() as stream:
            contents = examine(stream, size, deadline=deadline, whole=size <= WHOLE_LIMIT, visit=visit)
    else:
        image["unified"] = _unified(sections, opened)
        image["version"] = image["unified"]["uname"]
        contents = _unified_contents(sections, opened, size, deadline, visit)
    known = contents.complete is not None
    image.update(
        complete=contents.complete,
        damage=contents.damage,
        kernel_message=contents.kernel,
        not_checked=contents.unknown,
        kernel_versions=contents.inside.versions if contents.inside.versions or contents.complete else None,
        members=contents.members if contents.complete else None,
        unpacked=contents.unpacked if contents.complete else None,
        contents=_contents(contents.inside) if known and contents.members else None,
    )
    if sections is not None or _tells_more(contents, image["segments"] or []):
        image["segments"] = [each.__dict__ for each in contents.segments]
        image["compression"] = _compression(contents.segments)
    return contents


def _unified_contents(
    sections: list[Section],
    opened: Callable[[], BinaryIO],
    size: int,
    deadline: float,
    visit: Optional[Visit],
) -> Contents:
    """Return what the initramfs in a unified kernel image of *size* bytes holds."""
    section = next((each for each in sections if each.name == ".initrd" and each.size), None)
    if section is None:
        return Contents(unknown="there is no initramfs in it")
    there = max(0, min(section.size, size - section.offset))
    with opened() as stream:
        part = part_of(stream, section.offset, there)
        contents = examine(part, there, deadline=deadline, whole=there <= WHOLE_LIMIT, visit=visit)
    if there < section.size:
        contents.complete, contents.kernel, contents.unknown = False, None, None
        contents.damage = f"the file ends {section.size - there} bytes before the end of its section .initrd"
    return contents


def _tells_more(contents: Contents, segments: list[dict[str, Any]]) -> bool:
    sized = sum(each.size is not None for each in contents.segments)
    return (len(contents.segments), sized) >= (
        len(segments),
        sum(each["size"] is not None for each in segments),
    )


def _unified(sections: list[Section], opened: Callable[[], BinaryIO]) -> dict[str, Any]:
    """Return the facts of a unified kernel image, but for its initramfs."""

    def text(name: str) -> Optional[str]:
        section = next((each for each in sections if each.name == name), None)
        if section is None:
            return None
        with opened() as stream:
            data = read_up_to(part_of(stream, section.offset, section.size), 1 << 16)[0]
        return redact(data.strip(b" \0\n"))[0].decode("utf-8", "replace")

    return {
        "sections": [{"name": each.name, "size": each.size} for each in sections],
        "cmdline": text(".cmdline"),
        "uname": text(".uname"),
    }


def _contents(inside: Inside) -> dict[str, Any]:
    """Return the facts of what is in an image."""
    start = inside.start()
    listed = inside.text("usr/lib/dracut/modules.txt", "lib/dracut/modules.txt")
    arguments = inside.arguments()
    parameters = [inside.text(name) for name in sorted(inside.kept) if name.startswith("etc/cmdline.d/")]
    return {
        "builder": inside.builder,
        "builder_version": inside.version(),
        "arguments": None if arguments is None else _without_secrets(arguments),
        "dracut_modules": sorted(listed.split()) if listed is not None else None,
        "hostonly": inside.hostonly(),
        "cmdline": _without_secrets(" ".join(" ".join(each or "" for each in parameters).split())) or None,
        "init": asdict(start),
        "systemd": inside.systemd,
        "busybox": inside.busybox,
        "kdump": inside.kdump,
        "squashed": inside.squashed,
        "programs": sorted(inside.programs),
        "modules": sorted(inside.modules),
        "modules_indexed": inside.indexed,
        "firmware": inside.firmware,
        "microcode": inside.microcode,
        "devices": inside.devices,
        "hard_links": inside.hard_links,
    }


def _without_secrets(text: str) -> str:
    return redact(text.encode("utf-8", "replace"))[0].decode("utf-8", "replace")
