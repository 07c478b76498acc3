"""Archives as trees: what is in them, and nothing else; bounded whatever is in them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastwords.roots import archive
from lastwords.roots.archive import ArchiveTree, BadArchive
from lastwords.roots.base import Root
from lastwords.roots.streams import CompressionError
from lastwords.roots.trees import DirectoryTree, Tree

zstandard = pytest.importorskip("zstandard")

COMPRESSIONS = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.xz": lambda data: lzma.compress(data, preset=1),
    "tar.bz2": bz2.compress,
    "tar.zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def everything(path: str) -> bool:
    return True


def nothing(path: str) -> bool:
    return False


def walk(tree: Tree, path: str = "/") -> Iterator[str]:
    yield path
    if tree.lookup(path).type == "dir":
        for name in tree.names(path):
            yield from walk(tree, f"{path.rstrip('/')}/{name}")


def read(tree: Tree, path: str) -> bytes:
    with tree.open(tree.resolve(path)) as stream:
        return stream.read()


def entry(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def write(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> str:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        for info, data in entries:
            out.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that a sosreport has, and content of every size that matters."""
    top = tmp_path_factory.mktemp("host") / "sosreport-x"
    chance = random.Random(1)
    for size in (0, 1, 511, 512, 513, archive.SMALL_SIZE, archive.SMALL_SIZE + 1, 70_000, 1_000_000):
        path = top / "var" / "log" / f"size-{size}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(chance.getrandbits(6) for _ in range(size)))
        path.chmod(0o640)
        os.utime(path, (1772445600 + size, 1772445600.25 + size))
    (top / "sos_commands").mkdir()
    (top / "sos_commands" / "date").write_text("now\n")
    (top / "date").symlink_to("sos_commands/date")
    (top / "absolute").symlink_to("/var/log/size-512")
    (top / "dangling").symlink_to("nowhere")
    (top / "up").symlink_to("../../../../../../etc/passwd")
    (top / "empty").mkdir()
    os.link(top / "var/log/size-513", top / "hard")
    os.mkfifo(top / "fifo")
    (top / ("long-" * 40)).write_text("long name")
    return top


@pytest.mark.parametrize("form", COMPRESSIONS)
@pytest.mark.parametrize("wanted", [everything, nothing], ids=["held", "read again"])
def test_an_archive_is_its_directory(form: str, wanted: object, host: Path, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("tar is not installed")
    packed = subprocess.run(
        ["tar", "-C", host.parent, "--format=posix", "-cf", "-", host.name], stdout=-1, check=True
    )
    path = tmp_path / f"host.{form}"
    path.write_bytes(COMPRESSIONS[form](packed.stdout))
    ours, theirs = ArchiveTree(str(path), wanted), DirectoryTree(str(host))  # type: ignore[arg-type]
    assert ours.top == host.name and ours.damage is None
    assert list(walk(ours)) == list(walk(theirs))
    for name in walk(theirs):
        mine, real = ours.lookup(name), theirs.lookup(name)
        assert (mine.path, mine.type, mine.mode, mine.uid, mine.gid, mine.target) == (
            (real.path, real.type, real.mode, real.uid, real.gid, real.target)
        )
        assert mine.mtime == pytest.approx(real.mtime, abs=1e-6)
        if real.type == "file":
            assert mine.size == real.size
            assert read(ours, name) == read(theirs, name)
    assert read(ours, "/date") == b"now\n"
    assert len(read(ours, "/absolute")) == 512


def test_members_of_any_order_and_without_their_directories(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tar",
        entry("./top/deep/er/file", b"1"),
        entry("top//sos_commands/./x", b"2"),
        entry("top/deep/", kind=tarfile.DIRTYPE),
        entry("top", kind=tarfile.DIRTYPE),
    )
    tree = ArchiveTree(path, nothing)
    assert list(walk(tree)) == ["/", "/deep", "/deep/er", "/deep/er/file", "/sos_commands", "/sos_commands/x"]
    assert tree.lookup("/deep").mode is not None and tree.lookup("/deep/er").mode is None


def test_of_a_name_twice_the_first_counts_held_or_not(tmp_path: Path) -> None:
    big, other = b"1" * 50_000, b"2" * 50_000
    path = write(tmp_path / "a.tar", entry("top/x", big), entry("top/x", other), entry("top/x/y", b"3"))
    for wanted in (everything, nothing):
        tree = ArchiveTree(path, wanted)
        assert read(tree, "/x") == big
        with pytest.raises(NotADirectoryError):
            tree.resolve("/x/y")
        with pytest.raises(BadArchive, match="twice"):
            tree.refuse_oddities()


HARD = tarfile.LNKTYPE


def test_hard_links(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tar",
        entry("top/file", b"content"),
        entry("top/one", kind=HARD, link="top/file"),
        entry("top/two", kind=HARD, link="./top/one"),
        entry("top/loop", kind=HARD, link="top/pool"),
        entry("top/pool", kind=HARD, link="top/loop"),
        entry("top/self", kind=HARD, link="top/self"),
        entry("top/lost", kind=HARD, link="top/nowhere"),
        entry("top/out", kind=HARD, link="../../etc/passwd"),
        entry("top/out2", kind=HARD, link="/etc/passwd"),
        entry("top/dir", kind=HARD, link="top"),
        entry("top/none", kind=HARD, link=""),
    )
    tree = ArchiveTree(path, nothing)
    root = Root("directory", tree)
    for name in ("/one", "/two"):
        assert root.read(name) == b"content"
        assert (tree.lookup(name).path, tree.lookup(name).size) == (name, 7)
    for name in ("/loop", "/self", "/lost", "/out", "/out2", "/dir", "/none"):
        assert root.text(name) is None
    assert {i["path"] for i in root.evidence.items if i.get("error")} >= {"/loop", "/out", "/dir"}
    assert len(root.listdir("/") or []) < 12  # those that lead nowhere are not there; none raises


SYMLINK = tarfile.SYMTYPE


def test_links_stay_inside(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tar",
        entry("top/etc/passwd", b"inside"),
        entry("top/up", kind=SYMLINK, link="../" * 30 + "etc/passwd"),
        entry("top/absolute", kind=SYMLINK, link="/etc/passwd"),
        entry("top/outside", kind=SYMLINK, link="/etc/hostname"),
        entry("top/environ", kind=SYMLINK, link="/proc/self/environ"),
        entry("top/loop", kind=SYMLINK, link="loop"),
        entry("top/empty", kind=SYMLINK, link=""),
        entry("top/etc2", kind=SYMLINK, link="/etc"),
        entry("top/etc2/shadow", b"hidden below a link"),
        entry("top/device", kind=tarfile.CHRTYPE),
    )
    root = Root("directory", ArchiveTree(path, nothing))
    assert root.read("/up") == root.read("/absolute") == root.read("/etc2/passwd") == b"inside"
    for name in ("/outside", "/environ", "/loop", "/empty", "/device", "/etc2/shadow"):
        assert root.text(name) is None, name


@pytest.mark.parametrize("odd", [SYMLINK, HARD, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE])
def test_oddities_are_refused_where_we_wrote_the_archive(odd: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", entry("top/a", b"1"), entry("top/b", kind=odd, link="top/a"))
    tree = ArchiveTree(path, everything)
    with pytest.raises(BadArchive, match="link or device"):
        tree.refuse_oddities()


REFUSED = {
    "leaves the archive": [entry("top/../../etc/passwd")],
    "leaves the archive ": [entry("/etc/passwd")],
    "leaves the archive  ": [entry("..")],
    "one top directory": [entry("one/a"), entry("two/a")],
    "one top directory ": [entry("file", b"no directory")],
    "too long a path": [entry("top/" + "x" * 5000)],
    "too long a path ": [entry("top/" + "d/" * 200 + "x")],
    "too long a path  ": [entry("top/x", kind=SYMLINK, link="y" * 5000)],
}


@pytest.mark.parametrize("words", REFUSED)
def test_paths_that_no_honest_archive_has_are_refused(words: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tar",
        entry("top/first", b"1") if "one" not in words else REFUSED[words][0],
        *REFUSED[words],
    )
    with pytest.raises(BadArchive, match=words.strip()) as caught:
        ArchiveTree(path, everything)
    assert path in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("form", COMPRESSIONS)
def test_a_cut_archive_gives_what_came_before_and_says_so(form: str, tmp_path: Path) -> None:
    files = [entry(f"top/file{number}", b"%d" % number * 3000) for number in range(60)]
    data = Path(write(tmp_path / "a.tar", *files)).read_bytes()
    packed = COMPRESSIONS[form](data)
    path = tmp_path / f"cut.{form}"
    partial = 0
    for size in [*range(1, 40), *range(40, len(packed) - 1, max(1, len(packed) // 60))]:
        path.write_bytes(packed[:size])
        try:
            tree = ArchiveTree(str(path), nothing)
        except BadArchive as problem:
            assert "\n" not in str(problem)
            continue
        if tree.damage is None:
            assert form == "tar" and set(packed[size:]) == {0}
            continue
        partial += 1
        assert "cut" in tree.damage or "missing" in tree.damage
        for number in range(len(tree.names("/")) - 1):
            assert read(tree, f"/file{number}") == b"%d" % number * 3000
        with pytest.raises(BadArchive, match="damaged"):
            tree.refuse_oddities()
    assert partial > 10 or form in ("tar.bz2", "tar.xz", "tar.zst", "tar.gz")


@pytest.mark.parametrize(
    "content", [b"", b"x", b"garbage " * 500, bytes(10240), b"\x1f\x8b\x08garbage", b"PK\3\4" * 300]
)
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(BadArchive) as caught:
        ArchiveTree(str(path), everything)
    assert "\n" not in str(caught.value)


def test_an_archive_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(BadArchive):
            ArchiveTree(str(path), everything)


def test_damage_within_a_member_is_told_when_it_is_read(tmp_path: Path) -> None:
    data = Path(
        write(tmp_path / "a.tar", entry("top/a", os.urandom(200_000)), entry("top/b", b"b"))
    ).read_bytes()
    packed = bytearray(gzip.compress(data))
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed)
    tree = ArchiveTree(str(path), nothing)
    packed[len(packed) // 2] ^= 255
    packed[-6] ^= 255
    path.write_bytes(packed[: len(packed) // 2 + 100])
    with pytest.raises(CompressionError):
        read(tree, "/a")
    assert read(tree, "/b") == b"b"  # small, so held


def run(code: str, *arguments: str) -> str:
    """Run code in a process of its own; return what it prints: the growth of its memory in KiB comes last."""
    code = textwrap.dedent(code) + textwrap.dedent("""
        # Not ru_maxrss: that starts with the size of the process that started this one.
        print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])
    """)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


OPEN = """
    import sys
    from lastwords.roots import archive
    from lastwords.roots.archive import ArchiveTree, BadArchive
    archive.MAX_MEMBERS = int(sys.argv[2]) if sys.argv[2:] else archive.MAX_MEMBERS
    try:
        tree = ArchiveTree(sys.argv[1], lambda name: True)
        print(len(tree.names("/")), tree.damage)
    except BadArchive as problem: print(problem)
"""


def test_a_hundred_thousand_members(tmp_path: Path) -> None:
    info = tarfile.TarInfo()
    info.size = 6
    block = io.BytesIO()
    path = tmp_path / "many.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        for number in range(100_000):
            info.name = f"top/sys/fs/cgroup/unit{number // 20}.service/memory.file{number % 20}"
            block.write(info.tobuf(tarfile.USTAR_FORMAT) + b"value\n".ljust(512, b"\0"))
            if number % 1000 == 999:
                out.write(block.getvalue())
                block = io.BytesIO()
        out.write(bytes(1024))
    began = time.monotonic()
    result, memory = run(OPEN, str(path)).splitlines()
    assert result == "1 None"
    assert int(memory) < 200 << 10
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("names", ["long", "deep", "many"])
def test_names_do_not_fill_the_memory(names: str, tmp_path: Path) -> None:
    """A few bytes of archive can stand for a name of kilobytes, or for a chain of directories."""
    path = tmp_path / "names.tar.zst"
    kinds = {
        "long": lambda n: f"top/{n}" + "x" * 3900,
        "deep": lambda n: f"top/{n}" + f"/{'d' * 30}" * 95,
        "many": lambda n: f"top/{n}",
    }
    with path.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as out:
        for number in range(30_000):
            info = tarfile.TarInfo(kinds[names](number))
            out.write(info.tobuf(tarfile.GNU_FORMAT))
        out.write(bytes(1024))
    limit = "20000" if names == "many" else str(archive.MAX_MEMBERS)
    result, memory = run(OPEN, str(path), limit).splitlines()
    assert "refused" in result
    assert int(memory) < 200 << 10


@pytest.mark.parametrize("form", ["tar.gz", "tar.xz", "tar.bz2", "tar.zst"])
def test_a_bomb_is_refused_quickly_and_in_little_memory(form: str, tmp_path: Path) -> None:
    """Ten gigabytes of zeros in one member: compressed members of 64 MiB in a row."""
    path = tmp_path / f"bomb.{form}"
    pack = COMPRESSIONS[form]
    info = tarfile.TarInfo("top/zeros")
    info.size = 10 << 30
    zeros = pack(bytes(64 << 20))
    with path.open("wb") as out:
        out.write(pack(info.tobuf(tarfile.GNU_FORMAT)))
        for _ in range((10 << 30) >> 26):
            out.write(zeros)
        out.write(pack(bytes(1024)))
    began = time.monotonic()
    result, memory = run(OPEN, str(path)).splitlines()
    assert "refused as a bomb" in result
    assert int(memory) < 200 << 10
    assert time.monotonic() - began < 30


def test_a_large_honest_member_is_bounded_too(tmp_path: Path) -> None:
    """A dump of 300 MB that does not compress is indexed, not held; reading its start is cheap."""
    path = tmp_path / "dump.tar.zst"
    info = tarfile.TarInfo("top/vmcore")
    noise = os.urandom(1 << 20)
    info.size = 300 << 20
    with path.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as out:
        out.write(info.tobuf(tarfile.GNU_FORMAT))
        for number in range(300):
            out.write(number.to_bytes(4, "big") + noise[4:])
        out.write(bytes(1024))
    code = """
        import sys
        from lastwords.roots.archive import ArchiveTree
        from lastwords.roots.base import Root
        tree = ArchiveTree(sys.argv[1], lambda name: True)
        root = Root("directory", tree)
        print(tree.lookup("/vmcore").size, len(root.peek("/vmcore", 4096)), len(root.peek("/vmcore", 64, 250 << 20)))
    """
    result, memory = run(code, str(path)).splitlines()
    assert result == f"{300 << 20} 4096 64"
    assert int(memory) < 200 << 10


def test_zeros_that_are_held_come_back_in_pieces(tmp_path: Path) -> None:
    """What was packed to almost nothing must not be unpacked in one go."""
    path = write(tmp_path / "a.tar", entry("top/zeros", bytes(60 << 20)))
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(Path(path).read_bytes(), 1))
    tree = ArchiveTree(str(packed), everything)
    with tree.open("/zeros") as stream:
        total = largest = 0
        while block := stream.read1(1 << 30):  # type: ignore[attr-defined]
            largest = max(largest, len(block))
            total += len(block)
    assert total == 60 << 20 and largest <= 1 << 18


def test_a_sparse_file_of_any_size_is_no_danger(tmp_path: Path) -> None:
    """A few blocks claim a file of a terabyte, as /var/log/lastlog does on some hosts."""
    if shutil.which("tar") is None:
        pytest.skip("tar is not installed")
    top = tmp_path / "top"
    top.mkdir()
    for name, size in (("lastlog", 1 << 40), ("small", 5 << 20)):
        with (top / name).open("wb") as stream:
            stream.write(b"start\n")
            stream.truncate(size)
    path = tmp_path / "a.tar.gz"
    subprocess.run(["tar", "-C", tmp_path, "-Sczf", path, "top"], check=True)
    began = time.monotonic()
    root = Root("directory", ArchiveTree(str(path), everything))
    assert root.text("/lastlog") is None
    assert root.evidence.gaps[0]["reason"].startswith("larger than")
    assert root.read("/small", 100) == b"start\n" + bytes(94)
    assert time.monotonic() - began < 5
    with pytest.raises(BadArchive, match="sparse"):
        root.tree.refuse_oddities()  # type: ignore[attr-defined]
