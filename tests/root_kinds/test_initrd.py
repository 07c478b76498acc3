"""Images are followed as the kernel would unpack them: real ones whole, damaged ones named, bombs stopped."""

from __future__ import annotations

import gzip
import io
import os
import random
import resource
import shutil
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from lastwords.roots.initrd import Contents, examine

VERSION = "6.1.0-18-amd64"
TOOLS = {
    "gzip": ["gzip", "-9", "-c"],
    "xz": ["xz", "--check=crc32", "-c"],
    "lzma": ["xz", "--format=lzma", "-c"],
    "bzip2": ["bzip2", "-c"],
    "zstd": ["zstd", "-q", "-9", "-c"],
    "lz4": ["lz4", "-l", "-q", "-c"],
    "lzo": ["lzop", "-c"],
}


def look(data: bytes, *, size: int | None = None, seconds: float = 60, **options: bool | int) -> Contents:
    """Examine an image held in memory."""
    whole = bool(options.pop("whole", True))
    return examine(
        io.BytesIO(data),
        len(data) if size is None else size,
        deadline=time.monotonic() + seconds,
        whole=whole,
        **options,
    )


def cpio(top: Path) -> bytes:
    """Return the archive that cpio(1) makes of a directory."""
    if not shutil.which("cpio"):
        pytest.skip("cpio is not installed")
    names = [".", *sorted(str(path.relative_to(top)) for path in top.rglob("*"))]
    return subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input="\n".join(names).encode(),
        cwd=top,
        capture_output=True,
        check=True,
    ).stdout


def packed(name: str, data: bytes) -> bytes:
    """Return what the real tool makes of the data."""
    tool = TOOLS[name]
    if not shutil.which(tool[0]):
        pytest.skip(f"{tool[0]} is not installed")
    return subprocess.run(tool, input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An uncompressed archive with microcode, as dracut and initramfs-tools put it first."""
    top = tmp_path_factory.mktemp("early")
    (top / "kernel/x86/microcode").mkdir(parents=True)
    (top / "kernel/x86/microcode/GenuineIntel.bin").write_bytes(random.Random(1).randbytes(70_000))
    return cpio(top)


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive with an init and modules of one kernel."""
    top = tmp_path_factory.mktemp("main")
    modules = top / "usr/lib/modules" / VERSION / "kernel"
    modules.mkdir(parents=True)
    chance = random.Random(2)
    for number in range(40):
        (modules / f"m{number}.ko").write_bytes(chance.randbytes(9000) + b"\0" * 5000)
    (top / "init").write_text("#!/bin/sh\n")
    return cpio(top)


@pytest.mark.parametrize("name", TOOLS)
def test_a_whole_image_by_the_real_tools(early: bytes, main: bytes, name: str) -> None:
    found = look(early + packed(name, main))
    assert (found.complete, found.damage, found.unknown) == (True, None, None)
    assert [(s.kind, s.compression, s.microcode) for s in found.segments] == [
        ("cpio", None, True),
        ("compressed", name, False),
    ]
    assert found.segments[1].offset == len(early)
    assert found.inside.versions == [VERSION]
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=main, capture_output=True, check=True).stdout
    assert found.segments[1].members == len(listed.splitlines())
    assert found.members == len(listed.splitlines()) + 5
    assert found.unpacked > len(main) + len(early) - 1024


def test_plain_images_and_several_segments(early: bytes, main: bytes) -> None:
    assert look(main).complete is True
    image = early + early + main + bytes(2048) + packed("zstd", main) + packed("gzip", main) + bytes(9)
    found = look(image)
    assert found.complete is True
    assert [segment.compression for segment in found.segments] == [None, None, None, "zstd", "gzip"]
    assert [segment.microcode for segment in found.segments] == [True, True, False, False, False]
    assert found.inside.versions == [VERSION]


def test_archives_one_after_the_other_inside_one_compressed_stream(early: bytes, main: bytes) -> None:
    found = look(packed("xz", main + early + bytes(512) + main))
    assert found.complete is True
    assert len(found.segments) == 1
    assert found.segments[0].microcode is True


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("where", [0.02, 0.5, 0.97])
def test_a_cut_image_is_not_complete(early: bytes, main: bytes, name: str, where: float) -> None:
    body = packed(name, main)
    found = look(early + body[: max(16, int(len(body) * where))])
    assert found.complete is False
    assert found.damage and name in found.damage
    assert found.segments[-1].size is None


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])
def test_flipped_bytes_are_found_by_the_checksums(early: bytes, main: bytes, name: str) -> None:
    body = bytearray(packed(name, main))
    body[len(body) // 2] ^= 0x10
    found = look(early + bytes(body))
    assert found.complete is False
    assert found.damage


def test_zero_tail_where_data_should_be(early: bytes, main: bytes) -> None:
    for name in ("gzip", "xz", "zstd"):
        body = packed(name, main)
        found = look(early + body[: len(body) // 2] + bytes(len(body) - len(body) // 2))
        assert found.complete is False, name
    half = len(main) // 2
    assert look(main[:half] + bytes(len(main) - half)).complete is False


def test_what_cannot_be_an_image(early: bytes, main: bytes) -> None:
    for data, word in (
        (b"", "empty"),
        (bytes(5000), "zero bytes"),
        (b"\x7fELF" + bytes(100), "unknown data at offset 0"),
        (early + b"<html>", f"unknown data at offset {len(early)}"),
        (packed("gzip", main) + b"junk", "unknown data"),
        (packed("gzip", b"#!/bin/sh\n" * 20), "no entry of an archive"),
        (packed("gzip", main[: len(main) // 2]), "without"),
        (main[: len(main) // 3], "without"),
    ):
        found = look(data)
        assert found.complete is False
        assert found.damage and word in found.damage, found.damage


def test_an_image_of_microcode_alone_is_complete_but_holds_no_kernel(early: bytes) -> None:
    found = look(early)
    assert (found.complete, found.inside.versions) == (True, [])
    assert [segment.microcode for segment in found.segments] == [True]


def test_less_than_the_size_is_not_judged(early: bytes, main: bytes) -> None:
    image = early + packed("gzip", main)
    for data in (b"", image[:50], image[:-9], image):
        found = look(data, size=len(image) + 10)
        assert (found.complete, found.damage) == (None, None)
        assert found.unknown == f"only {len(data)} of {len(image) + 10} bytes could be read"


def test_time_and_size_limits(main: bytes) -> None:
    image = packed("gzip", main)
    late = look(image, seconds=-1)
    assert late.complete is None and late.unknown and "no time left" in late.unknown
    large = look(image, unpacked_limit=1000)
    assert large.complete is None and large.unknown == "more than 1000 bytes unpacked"
    brief = look(image, whole=False)
    assert brief.complete is None and brief.inside.versions == [VERSION]
    assert brief.unknown and "not followed to its end" in brief.unknown


def test_a_bomb_is_stopped_within_bounded_memory_and_time() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = b"070701" + b"%08X" * 13
    name = head % (1, 0o100644, 0, 0, 1, 0, 0xFFFFFFF0, 0, 0, 0, 0, 2, 0) + b"a\0"
    start_of_it = packer.compress(name) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself, and can be repeated: 10 GiB of zeros.
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    data = start_of_it + block * 10240
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = look(data)
    assert found.complete is None
    assert found.unknown == f"more than {2 << 30} bytes unpacked"
    assert time.process_time() - start < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_failing_disk_is_not_called_damage(main: bytes) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 60_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output error"):
        examine(Failing(packed("gzip", main)), 10**6, deadline=time.monotonic() + 60)


def test_mutations_never_raise(early: bytes, main: bytes) -> None:
    chance = random.Random(7)
    small = main[:30_000]
    images = [early[:2000] + gzip.compress(small), early + packed("zstd", main), small]
    verdicts = set()
    for number in range(300):
        data = bytearray(images[number % len(images)])
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        verdicts.add(look(bytes(data[: chance.randrange(1, len(data) + 1)])).complete)
    assert False in verdicts


# -- the real builder ------------------------------------------------------------------------------

BUILD = r"""
set -e
mount -t tmpfs none "$1"
mkdir "$1/up" "$1/work" "$1/boot"
mount -t overlay none -o "lowerdir=/usr/lib,upperdir=$1/up,workdir=$1/work" /usr/lib
mount --bind "$1/boot" /boot
for each in GZIP XZ ZSTD; do echo "CONFIG_RD_$each=y"; done > "/boot/config-$2"
mkdir -p "/usr/lib/modules/$2/kernel"
for each in order builtin builtin.modinfo; do : > "/usr/lib/modules/$2/modules.$each"; done
depmod "$2"
cp -r /etc/initramfs-tools "$1/conf"
printf 'MODULES=list\nBUSYBOX=n\nRESUME=none\n' > "$1/conf/conf.d/lastwords"
mkinitramfs -d "$1/conf" -c "$3" -o "$1/image" "$2"
lsinitramfs "$1/image" > "$1/list"
cat "$1/list" >&2
cat "$1/image"
"""


@pytest.mark.parametrize("name", ["zstd", "gzip"])
def test_an_image_by_the_real_mkinitramfs(tmp_path: Path, name: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if os.geteuid() or not all(
        shutil.which(tool, path=path) for tool in ("mkinitramfs", "depmod", "unshare")
    ):
        pytest.skip("needs root and initramfs-tools")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", BUILD, "sh", str(tmp_path), "6.1.0-99-test", name],
        capture_output=True,
        env={**os.environ, "PATH": path},
    )
    if done.returncode:
        pytest.skip(f"mkinitramfs does not work here: {done.stderr.decode()[-200:]}")
    found = look(done.stdout)
    assert (found.complete, found.inside.versions) == (True, ["6.1.0-99-test"])
    assert found.members == len([line for line in done.stderr.splitlines() if not line.startswith(b"W: ")])
    assert [segment.compression for segment in found.segments] == [name]
    cut = look(done.stdout[: len(done.stdout) * 2 // 3])
    assert cut.complete is False
