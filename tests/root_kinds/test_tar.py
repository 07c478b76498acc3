"""The tar reader: the same members as ``tar`` and ``tarfile`` see, an error for all that is not whole."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lastwords.roots.tar import BLOCK, Member, TarError, TarReader

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "/".join(["a" * 60, "b" * 90, "c" * 120])


def members(data: bytes) -> list[tuple[Member, bytes]]:
    reader = TarReader(io.BytesIO(data))
    return [(member, b"".join(reader.content()) if member.kind == "file" else b"") for member in reader]


def packed(form: int, *infos: tuple[tarfile.TarInfo, bytes], **options: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **options) as archive:  # type: ignore[call-overload]
        for info, data in infos:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in fields.items():
        setattr(made, key, value)
    return made


SAMPLES: list[tuple[tarfile.TarInfo, bytes]] = [
    (info("top", tarfile.DIRTYPE, mode=0o755), b""),
    (info("top/empty"), b""),
    (info("top/one", mode=0o4640, uid=1000, gid=7, mtime=1772445600), b"x"),
    (info("top/block"), b"y" * BLOCK),
    (info("top/more"), b"z" * (3 * BLOCK + 1)),
    (info("top/" + "n" * 90), b"name that needs no extension"),
    (info("top/link", tarfile.SYMTYPE, linkname="../other"), b""),
    (info("top/hard", tarfile.LNKTYPE, linkname="top/one"), b""),
    (info("top/fifo", tarfile.FIFOTYPE), b""),
    (info("top/device", tarfile.CHRTYPE, devmajor=10, devminor=130), b""),
]
LONG_SAMPLES = [
    (info("top/" + LONG + "/name"), b"long name"),
    (info("top/longlink", tarfile.SYMTYPE, linkname="../" + LONG * 3), b""),
    (info("top/umläut-\udcff"), b"odd name"),
    (info("top/big-ids", uid=3_000_000, gid=2_999_999_999, mtime=1772445600.25), b"odd numbers"),
]


@pytest.mark.parametrize("form", FORMATS)
def test_sees_what_tarfile_sees(form: str) -> None:
    samples = SAMPLES if form == "ustar" else SAMPLES + LONG_SAMPLES
    data = packed(FORMATS[form], *samples)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        theirs = archive.getmembers()
        contents = [archive.extractfile(m).read() if m.isreg() else b"" for m in theirs]  # type: ignore[union-attr]
    ours = members(data)
    assert [(m.name.rstrip("/"), m.mode, m.uid, m.gid, m.mtime, m.target) for m, _ in ours] == [
        (m.name, m.mode, m.uid, m.gid, m.mtime, m.linkname) for m in theirs
    ]
    assert [content for _, content in ours] == contents
    kinds = {b"0": "file", b"5": "dir", b"2": "link", b"1": "hard", b"6": "other", b"3": "other"}
    assert [m.kind for m, _ in ours] == [kinds[m.type] for m in theirs]
    assert [m.size for m, _ in ours] == [m.size if m.isreg() else 0 for m in theirs]


@pytest.mark.parametrize("form", ["v7", "ustar", "gnu", "oldgnu", "posix"])
def test_reads_what_tar_writes_of_a_real_tree(form: str, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("tar is not installed")
    top = tmp_path / "top"
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "passwd").write_text("root:x:0:0\n")
    (top / "etc" / "again").hardlink_to(top / "etc" / "passwd") if hasattr(Path, "hardlink_to") else os.link(
        top / "etc" / "passwd", top / "etc" / "again"
    )
    (top / "etc" / "link").symlink_to("/etc/shadow")
    if form not in ("v7", "ustar"):
        deep = top / LONG
        deep.mkdir(parents=True)
        (deep / "file").write_text("deep")
    done = subprocess.run(
        ["tar", "-C", tmp_path, f"--format={form}", "-cf", "-", "top"], capture_output=True, check=True
    )
    found = {m.name.rstrip("/"): (m, content) for m, content in members(done.stdout)}
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            member, content = found.pop(os.path.relpath(path, tmp_path))
            real = os.lstat(path)
            assert (member.mode, member.uid, member.gid) == (real.st_mode & 0o7777, real.st_uid, real.st_gid)
            assert member.mtime == pytest.approx(real.st_mtime, abs=1e-6 if form == "posix" else 1)
            if member.kind == "file":
                assert content == Path(path).read_bytes()
            elif member.kind == "link":
                assert member.target == os.readlink(path)
    assert set(found) == {"top"}


SPARSE = [
    "--format=gnu",
    *(f"--format=posix --sparse-version={version}" for version in ("0.0", "0.1", "1.0")),
]


@pytest.mark.parametrize("options", SPARSE)
@pytest.mark.parametrize("pieces", [0, 1, 3, 50])
def test_sparse_files_come_with_their_holes(options: str, pieces: int, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("tar is not installed")
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        for piece in range(pieces):
            stream.seek(piece * (1 << 18) + 4096)
            stream.write(b"piece %d\n" % piece * 700)
        stream.truncate(16 << 20)
    (tmp_path / "after").write_text("after")
    command = ["tar", "-C", tmp_path, "-S", *options.split(), "-cf", "-", "sparse", "after"]
    done = subprocess.run(command, capture_output=True, check=True)
    (sparse, content), (after, text) = members(done.stdout)
    assert sparse.name == "sparse" and sparse.size == 16 << 20
    assert sparse.regions is not None, "tar wrote it plain: the filesystem of the test tells of no holes"
    assert content == path.read_bytes()
    assert after.name == "after" and text == b"after"


def test_the_end_is_not_guessed() -> None:
    """A cut anywhere, also between two members, is told."""
    data = packed(tarfile.PAX_FORMAT, *SAMPLES, *LONG_SAMPLES)
    end = len(data.rstrip(b"\0"))
    end += -end % BLOCK
    assert len(members(data[: end + BLOCK])) == len(members(data))
    for size in [*range(0, end, 97), *range(0, end + 1, BLOCK)]:
        with pytest.raises(TarError):
            members(data[:size])


def test_damage_is_told_and_never_taken_for_the_end() -> None:
    data = packed(tarfile.PAX_FORMAT, *SAMPLES, *LONG_SAMPLES)
    whole = [m.name for m, _ in members(data)]
    chance = random.Random(5)
    for _ in range(1500):
        broken = bytearray(data)
        broken[chance.randrange(len(data) - 10 * BLOCK)] ^= 1 << chance.randrange(8)
        try:
            names = [m.name for m, _ in members(bytes(broken))]
        except TarError as problem:
            assert str(problem)
        else:
            assert len(names) == len(whole)  # content, or a value in a pax header, which has no checksum


def test_garbage_never_crashes() -> None:
    chance = random.Random(9)
    data = packed(tarfile.GNU_FORMAT, *SAMPLES, *LONG_SAMPLES)
    for _ in range(2000):
        broken = bytearray(data)
        at = chance.randrange(len(data) // BLOCK) * BLOCK
        for _ in range(chance.randrange(1, 30)):
            broken[at + chance.randrange(BLOCK)] = chance.randrange(256)
        if chance.random() < 0.8:
            broken[at + 148 : at + 156] = b"%06o\0 " % (
                sum(broken[at : at + BLOCK]) - sum(broken[at + 148 : at + 156]) + 256
            )
        try:
            members(bytes(broken))
        except TarError as problem:
            assert str(problem)


def header(
    name: bytes = b"top/x", size: bytes = b"0", kind: bytes = b"0", magic: bytes = b"ustar\x0000"
) -> bytearray:
    block = bytearray(BLOCK)
    block[: len(name)] = name
    block[100:107] = b"0000644"
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    return block


def signed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def extended(records: bytes, size: int | None = None, kind: bytes = b"x") -> bytes:
    length = len(records) if size is None else size
    return signed(header(b"pax", b"%o" % length, kind)) + records + bytes(-len(records) % BLOCK)


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


FILE = signed(header())
END = bytes(2 * BLOCK)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "negative size": lambda: signed(header(size=b"\xff" * 12)) + END,
    "negative size of an extended header": lambda: signed(header(size=b"\xff" * 12, kind=b"x")) + END,
    "negative size in a pax header": lambda: extended(record(b"size", b"-512")) + FILE + END,
    "huge size": lambda: signed(header(size=b"\x80" + b"\xff" * 11)) + END,
    "huge pax header": lambda: extended(b"", 1 << 40) + FILE + END,
    "huge long name": lambda: extended(b"", 1 << 33, b"L") + FILE + END,
    "pax record of length 0": lambda: extended(b"0 path=x\n") + FILE + END,
    "pax record that ends before its key": lambda: extended(b"3 path=x\n") + FILE + END,
    "pax record beyond its header": lambda: extended(b"99999 path=x\n") + FILE + END,
    "a million digits": lambda: extended(b"1" * 1_000_000) + FILE + END,
    "a million spaces": lambda: extended(b" " * 1_000_000) + FILE + END,
    "no number": lambda: extended(record(b"size", b"many")) + FILE + END,
    "a number of half a million digits": lambda: extended(record(b"size", b"9" * 500_000)) + FILE + END,
    "infinite time": lambda: extended(record(b"mtime", b"inf")) + FILE + END,
    "sparse map without end": lambda: (
        extended(record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0") + record(b"GNU.sparse.realsize", b"9"))
        + signed(header(size=b"%o" % (1 << 30))) + b"1" * 100_000
    ),
    "sparse map that claims more than any": lambda: (
        extended(record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.realsize", b"9"))
        + signed(header(size=b"1000")) + b"99999999\n".ljust(BLOCK, b"0") + END
    ),
    "sparse pieces that overlap": lambda: (
        extended(record(b"GNU.sparse.map", b"0,5,3,5") + record(b"GNU.sparse.size", b"99")) + signed(header(size=b"12")) + END
    ),
    "sparse pieces without data": lambda: (
        extended(record(b"GNU.sparse.map", b"0,500000") + record(b"GNU.sparse.size", b"500000")) + FILE + END
    ),
    "old sparse header without end": lambda: signed(_more(header(kind=b"S", magic=b"ustar  \0"))) + _regions() * 4000,
    "no octal": lambda: signed(header(size=b"9z")) + END,
    "only extended headers": lambda: extended(record(b"path", b"x")) * 1000,
}  # fmt: skip


def _more(block: bytearray) -> bytearray:
    block[482] = 1
    return block


def _regions() -> bytes:
    return (b"%011o\0" % 0 + b"%011o\0" % 0) * 21 + b"\1" + bytes(7)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused_at_once(name: str) -> None:
    data = HOSTILE[name]()
    began = time.process_time()
    with pytest.raises(TarError) as caught:
        members(data)
    assert time.process_time() - began < 2
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


def test_global_headers_and_deleted_values() -> None:
    data = extended(record(b"comment", b"abc") + record(b"mtime", b"77.5"), kind=b"g")
    data += FILE + extended(record(b"mtime", b"")) + FILE + END
    assert [m.mtime for m, _ in members(data)] == [77.5, 0]


def test_a_volume_label_is_no_member() -> None:
    assert [m.name for m, _ in members(signed(header(b"label", kind=b"V")) + FILE + END)] == ["top/x"]
