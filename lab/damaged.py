"""Damaged initramfs images booted on a real kernel: what it prints and how far it comes, against our verdict.

    python -m lab.damaged [IMAGE...]        default: bookworm; writes the table in docs/boot.md

Nothing but the kernel, the image and the disk of the machine: a boot takes some ten seconds without KVM. What
it says is kept in .cache/lab/damaged; only images that are new are booted.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import lzma
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional

import zstandard

from lab import accel, disks
from lab.common import CACHE, PATIENCE, REPOSITORY, LabError, TimeLimit, filtered, write_measured
from lab.images import IMAGES, Built, build
from lab.machine import Hardware, Machine
from lab.runner import BASE_APPEND, BUSY
from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import open_case
from lastwords.collectors.initramfs import look_inside, unknown_image
from lastwords.formats.boot.kernel_files import KernelFile
from lastwords.formats.initrd.cpio import TRAILER, read_header
from lastwords.formats.initrd.execve import ERRORS
from lastwords.formats.initrd.head import module_version
from lastwords.model import Case, Facts, Finding, Severity

HOME = os.path.join(CACHE, "damaged")
REPORT = os.path.join(REPOSITORY, "docs", "boot.md")
DEADLINE = 30 * PATIENCE
APPEND = f"{BASE_APPEND} {BUSY} panic=-1 rootdelay=2"
PRINTED = (
    re.compile(r"Initramfs unpacking failed: (.*?)\s*$", re.MULTILINE),
    re.compile(r"(Failed to execute /init \(error -\d+\))"),
)
UNPACKS = "Trying to unpack rootfs image"
ATTEMPTS = 3
MOUNTED = "mounts its root"
OOPSES = "oopses while it unpacks"
FATES = (
    (OOPSES, re.compile(r"BUG: unable to handle page fault[\s\S]*unpack_to_rootfs")),
    (MOUNTED, re.compile(r"EXT4-fs \(vda\): mounted filesystem")),
    ("finds no root disk", re.compile(r"ALERT!\s+/dev/vda does not exist")),
    ("panics: no root", re.compile(r"Kernel panic - not syncing: VFS: Unable to mount root fs")),
    ("starts another init in it", re.compile(r"Please press Enter to activate this console")),
    (
        "panics: no init",
        re.compile(r"Kernel panic - not syncing: (?:No working init|Attempted to kill init)"),
    ),
)
OTHER = "6.1.0-1-cloud-amd64"


# -- images ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One entry of an archive, as bytes with its padding."""

    name: str
    raw: bytes
    content: int
    """Where in *raw* its content begins."""


def entries(archive: bytes) -> Iterator[Entry]:
    """Yield the entries of an archive, without the one that ends it."""
    at = 0
    while True:
        member, body = read_header(archive[at : at + 8192])
        if member is None or member.name == TRAILER:
            return
        end = at + body + (member.size + 3 & ~3)
        yield Entry(member.name, archive[at:end], body)
        at = end


def archive_of(kept: Sequence[Entry], *, ended: bool = True) -> bytes:
    """Return an archive of these entries."""
    head = b"070701" + b"%08X" * 13 % (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(TRAILER) + 1, 0)
    end = head + TRAILER.encode() + b"\0\0\0\0"
    data = b"".join(each.raw for each in kept) + (end if ended else b"")
    return data + bytes(-len(data) % 4)


def _by(*argv: str) -> Callable[[bytes], bytes]:
    return lambda data: filtered(argv, data)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "lz4": _by("lz4", "-l", "-q", "-c"),
    "lz4 frame": _by("lz4", "-q", "-c"),
    "lzo": _by("lzop", "-c"),
}


class Good:
    """A whole image of a machine, taken apart."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as stream:
            data = stream.read()
        # Of the images of the lab: one segment, zstd.
        self.plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        self.entries = list(entries(self.plain))
        self.zstd = PACK["zstd"](self.plain)
        code = b"070701" + b"%08X" * 13 % (7, 0o100644, 0, 0, 1, 0, 4096, 0, 0, 0, 0, 40, 0)
        name = b"kernel/x86/microcode/AuthenticAMD.bin"
        self.microcode = archive_of([Entry("", code + name.ljust(42, b"\0") + bytes(4096), 0)])

    def without(self, names: str) -> bytes:
        """Return the archive without entries whose name matches."""
        return archive_of([each for each in self.entries if not re.search(names, each.name)])

    def at(self, name: str) -> tuple[int, Entry]:
        """Return where the entry is in the archive."""
        offset = 0
        for each in self.entries:
            if each.name == name:
                return offset, each
            offset += len(each.raw)
        raise LabError(f"{name}: not in the image")

    def with_init(self, *, mode: int = 0o100755, before: bytes = b"") -> bytes:
        """Return the archive with another mode of /init, and with something before what it has."""
        made = []
        for each in self.entries:
            if each.name == "init":
                content = before + each.raw[each.content :].rstrip(b"\0")  # a script
                head = each.raw[:14] + b"%08X" % mode + each.raw[22:54] + b"%08X" % len(content)
                raw = head + each.raw[62 : each.content] + content
                each = Entry(each.name, raw + bytes(-len(raw) % 4), each.content)
            made.append(each)
        return archive_of(made)

    def renamed(self) -> bytes:
        """Return the archive with the modules of another kernel: its release is shorter, or longer."""
        made = []
        for each in self.entries:
            version = module_version(each.name)
            if version is None:
                made.append(each)
                continue
            name = each.name.replace(version, OTHER).encode() + b"\0"
            head = each.raw[:94] + b"%08X" % len(name) + each.raw[102:110] + name
            head += bytes(-len(head) % 4)
            made.append(Entry(each.name, head + each.raw[each.content :], len(head)))
        return archive_of(made)


def cut(data: bytes, share: float) -> bytes:
    """Return the first part of the data."""
    return data[: int(len(data) * share)]


def flipped(data: bytes, share: float) -> bytes:
    """Return the data with one byte changed."""
    at = int(len(data) * share)
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def damages(good: Good) -> Iterator[tuple[str, bytes]]:
    """Yield what is done to an image, and the result."""
    zstd, plain, half = good.zstd, good.plain, len(good.entries) // 2
    big = max(good.entries, key=lambda each: len(each.raw))
    offset, _ = good.at(big.name)
    middle, _ = good.at(good.entries[half].name)
    yield "none", zstd
    for name in ("zstd", "gzip", "bzip2", "xz", "lzma", "lz4", "lzo"):
        packed = PACK[name](plain)
        yield f"{name}: cut in the middle", cut(packed, 0.5)
        yield f"{name}: a byte flipped", flipped(packed, 0.6)
    yield "zstd: cut in its first block", zstd[:200]
    yield "gzip: its checksum flipped", flipped(PACK["gzip"](plain), 1 - 6 / len(PACK["gzip"](plain)))
    yield "lz4 frame instead of lz4 -l", PACK["lz4 frame"](plain)
    yield "plain: cut in a header", plain[: offset + 50]
    yield "plain: cut in a name", plain[: offset + 110 + len(big.name) // 2]
    yield "plain: cut in content", plain[: offset + big.content + 4000]
    yield "plain: cut between entries", plain[:middle]
    yield "plain: wrong magic of an entry", plain[:offset] + b"070777" + plain[offset + 6 :]
    yield "plain: a letter in a number", plain[: offset + 60] + b"xyz" + plain[offset + 63 :]
    yield "zstd: of an archive cut in content", PACK["zstd"](plain[: offset + big.content + 4000])
    yield "zstd: of an archive cut between entries", PACK["zstd"](plain[:middle])
    yield (
        "zstd: of an archive with a wrong magic",
        PACK["zstd"](plain[:offset] + b"\0123" + plain[offset + 4 :]),
    )
    yield "zstd: of an archive without its end", PACK["zstd"](archive_of(good.entries, ended=False))
    yield "wrong magic", b"LWLW" + zstd[4:]
    yield "zeros, as long", bytes(len(zstd))
    yield "zeros from the middle on", cut(zstd, 0.5) + bytes(len(zstd) // 2)
    yield "zeros behind it", zstd + bytes(100_000)
    yield "junk behind it", zstd + b"#!/bin/sh\n" * 100
    yield "microcode before it", good.microcode + zstd
    yield "microcode behind it", zstd + bytes(-len(zstd) % 4) + good.microcode
    yield "microcode only", good.microcode
    yield "microcode, cut", good.microcode[:2000]
    yield "microcode before it, shifted by a byte", good.microcode + b"\0" + plain
    yield "a second one behind it", zstd + bytes(-len(zstd) % 4) + zstd
    yield "no /init", PACK["zstd"](good.without(r"^init$"))
    yield "no shell for /init", PACK["zstd"](good.without(r"^usr/bin/sh$"))
    yield "no dynamic linker of the shell", PACK["zstd"](good.without(r"/ld-linux[^/]*$"))
    yield "/init not executable", PACK["zstd"](good.with_init(mode=0o100644))
    yield "/init without #!", PACK["zstd"](good.with_init(before=b"# Made by hand.\n"))
    yield "no driver of the disk", PACK["zstd"](good.without(r"virtio_blk"))
    yield "no driver of its bus", PACK["zstd"](good.without(r"virtio_pci"))
    yield "modules of another kernel", PACK["zstd"](good.renamed())


# -- the kernel, and we ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What a kernel made of an image."""

    printed: Optional[str]
    """What it said of the image after "Initramfs unpacking failed:", or else of /init."""
    fate: str


def seen_of(console: str) -> Seen:
    """Return what the console of a boot shows."""
    printed = next(filter(None, (each.search(console) for each in PRINTED)), None)
    fate = next((fate for fate, how in FATES if how.search(console)), "comes no further")
    return Seen(printed[1] if printed else None, fate)


def boot(built: Built, how: str, image: str, work: str) -> str:
    """Boot a kernel with an image, and return its console."""
    hardware = Hardware(
        accel=how,
        memory=512,
        disk=os.path.join(work, "disk.qcow2"),
        spare=os.path.join(work, "spare.qcow2"),
        job=os.path.join(work, "job.tar"),
        kernel=built.kernel,
        initrd=image,
        append=APPEND,
    )
    disks.empty(hardware.spare, "1M")
    disks.job_disk(hardware.job, {})
    for _ in range(ATTEMPTS):
        disks.layer(hardware.disk, built.disk)
        with Machine(hardware, work) as machine:
            with contextlib.suppress(TimeLimit):
                machine.wait_down(DEADLINE, or_when=lambda text: any(how.search(text) for _, how in FATES))
            text = machine.text()
        if UNPACKS in text:
            return text
    raise LabError(f"the kernel did not come to its initramfs: {text[-300:]}")  # its timer, on a busy machine


@dataclass(frozen=True)
class Row:
    """One image: what the kernel did, and what lastwords says."""

    damage: str
    seen: Seen
    message: Optional[str]
    """What the kernel prints, by lastwords."""
    findings: list[str]
    """Their ids."""
    critical: bool
    """Whether one of them is."""

    @property
    def right(self) -> bool:
        """Whether the message is the kernel's, and a machine that does not come up was called critical.

        One that comes up in spite of damage may be called so; one that oopses prints no more of the image.
        """
        told = self.message == self.seen.printed or self.seen.fate == OOPSES
        return told and (self.critical or self.seen.fate == MOUNTED)


class Judge:
    """What lastwords tells of images, held against the disk of a machine."""

    def __init__(self, built: Built, tree: str) -> None:
        known = plugins.load()
        collectors = known.collectors()
        machine = {name: collectors[name] for name in ("host", "boot", "kernel")}
        self._release = built.kernel_release
        self._rules = [each for each in known.rules().values() if each.needs[0] == "initramfs"]
        self._facts = open_case(tree, machine, as_host=True).facts

    def __call__(self, path: str) -> tuple[dict[str, Any], list[Finding]]:
        """Return the facts of an image and the findings on it."""

        def opened() -> BinaryIO:
            return open(path, "rb")

        kind = KernelFile("initramfs", "boot", self._release)
        image = unknown_image(path, os.path.getsize(path), None, kind)
        look_inside(image, opened, time.monotonic() + 600)
        case = Case({**self._facts, "initramfs": {"images": [image]}}, [], {}, "directory", None)
        return image, judge(path, case, self._rules).findings


def play(built: Built) -> Iterator[Row]:
    """Boot what was not booted yet of the damaged images; yield what was seen and what lastwords says."""
    how = accel.choose(built.kernel)
    consoles = os.path.join(HOME, os.path.basename(built.path))
    os.makedirs(consoles, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lastwords-") as work:
        tree, path = os.path.join(work, "tree"), os.path.join(work, "image")
        os.makedirs(tree)
        disks.take_out_all(built.disk, tree)
        verdict = Judge(built, tree)
        for name, data in damages(Good(built.initrd)):
            with open(path, "wb") as stream:
                stream.write(data)
            console = os.path.join(consoles, f"{hashlib.sha256(data).hexdigest()[:12]}.txt")
            if not os.path.exists(console):
                text = boot(built, how, path, work)
                with open(console, "w", encoding="utf-8") as record:
                    record.write(text)
            with open(console, encoding="utf-8") as record:
                seen = seen_of(record.read())
            image, findings = verdict(path)
            critical = any(each.severity is Severity.CRITICAL for each in findings)
            yield Row(name, seen, _message(image), [each.id for each in findings], critical)


def _message(image: Facts) -> Optional[str]:
    """Return what the kernel prints of an image, by lastwords."""
    error = ((image["contents"] or {}).get("init") or {}).get("error")
    said = f"Failed to execute /init (error -{ERRORS[error]})" if error else None
    return image["kernel_message"] or said


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| damage | the kernel prints | and then | lastwords |", "|---|---|---|---|"]
    for row in rows:
        printed = f"`{row.seen.printed}`" if row.seen.printed else "nothing"
        mark = "" if row.right else f" (**wrong**: {row.message or 'nothing'})"
        lines.append(
            f"| {row.damage} | {printed} | {row.seen.fate} | {', '.join(row.findings) or 'whole'}{mark} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Play all damages on the kernels of images; write the table of the first; return the exit status."""
    wrong = 0
    for number, name in enumerate(arguments or ("bookworm",)):
        built = build(IMAGES[name])
        rows = []
        for row in play(built):
            print(f"{'right' if row.right else 'WRONG':6} {row}", flush=True)
            rows.append(row)
        right = sum(row.right for row in rows)
        wrong += len(rows) - right
        by = f"booted by `python -m lab.damaged` on Linux {built.kernel_release}"
        said = f"{len(rows)} images, {by}: {right} right."
        print(said)
        if number == 0:
            write_measured(REPORT, "damaged", f"{said}\n\n{table(rows)}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
