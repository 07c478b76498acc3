"""Every container and compression: the log in it is byte for byte what makedumpfile prints of the dump."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Optional

import pytest
from vmcores import BLOCK, PACKERS, Bytes, Kdump, corpus, corpus_dump, elf, flattened, note, pages_of

from lastwords.formats.vmcore.dump import Dump, open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.printk import KernelLog
from lastwords.formats.vmcore.source import DumpError, Missing
from lastwords.formats.vmcore.unpack import unpack
from lastwords.roots.images import open_image

NAME = "6.1-sysrq-c.kdump"


def log_of(dump: Dump) -> bytes:
    return b"".join(record.line() + b"\n" for record in KernelLog(Kernel(dump)))


def opened(data: bytes) -> Dump:
    return open_dump(Bytes(data))


def info_of(dump: Dump) -> bytes:
    return dump.file.info


def expected(name: str = NAME) -> bytes:
    return corpus(name.replace("-full", "").replace(".kdump", ".log")).read_bytes()


@pytest.mark.parametrize("name", ["5.10-sysrq-c.kdump", NAME, "6.1-sysrq-c-full.kdump"])
def test_real_dumps(name: str) -> None:
    dump = corpus_dump(name)
    assert log_of(dump) == expected(name)
    assert dump.damage == () and dump.level == 31 and dump.head.version == 6
    assert dump.release and dump.release.endswith("-cloud-amd64")


def test_what_the_headers_of_a_real_dump_tell() -> None:
    dump = corpus_dump(NAME)
    assert (dump.release, dump.crash_time) == ("6.1.0-56-cloud-amd64", 1795444812)
    assert dump.info.build_id and dump.info.build_id.startswith("3b43fad5")
    assert {item.name for item in dump.notes} >= {b"CORE", b"VMCOREINFO"}
    assert dump.file.pages == 151


@pytest.mark.parametrize("packed", list(PACKERS))
@pytest.mark.parametrize("flat", [False, True])
def test_compressions(packed: str, flat: bool) -> None:
    real = corpus_dump(NAME)
    data = Kdump(pages_of(real), info_of(real), packed=packed).file()
    dump = opened(flattened(data, 5000, shuffle=7) if flat else data)
    assert (dump.head.flattened, dump.damage) == (flat, ())
    assert dump.head.compression == (None if packed == "plain" else packed)
    assert log_of(dump) == expected()


@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_versions(version: int) -> None:
    real = corpus_dump(NAME)
    dump = opened(Kdump(pages_of(real), info_of(real), version=version).file())
    assert dump.head.version == version and log_of(dump) == expected()


@pytest.mark.parametrize("version", [1, 2])
def test_versions_without_vmcoreinfo(version: int) -> None:
    dump = opened(Kdump({3: bytes(BLOCK)}, version=version, level=17).file())
    assert (dump.head.version, dump.level, dump.file.pages) == (version, 17, 1)
    with pytest.raises(DumpError, match="no VMCOREINFO"):
        Kernel(dump)


@pytest.mark.parametrize(
    "shape",
    [{}, {"headers_at": 192}, {"overlap": True}, {"sections": True, "headers_at": 4096}],
)
def test_elf_cores(shape: dict[str, int]) -> None:
    real = corpus_dump(NAME)
    notes = note(b"CORE", 1, bytes(336)) + note(b"VMCOREINFO", 0, info_of(real))
    data = elf(pages_of(real), notes, **shape)  # type: ignore[arg-type]
    dump = opened(data)
    assert (dump.head.kind, dump.machine, dump.damage) == ("elf-core", "x86_64", ())
    assert log_of(dump) == expected()
    assert log_of(opened(flattened(data))) == expected()
    cut = opened(data[:-BLOCK])
    assert "cut off" in cut.damage[0]


def test_segments_of_proc_vmcore_serve_where_page_tables_are_unknown() -> None:
    """An architecture whose paging is not known: the core itself notes where virtual addresses lie."""
    text = b"one\ntwo\n"
    base = 0xC000000000000000
    page = bytearray(BLOCK)
    page[0:8], page[8:12] = struct.pack("<Q", base + 0x1100), struct.pack("<I", 256)
    page[16:20] = struct.pack("<I", len(text))
    page[0x100 : 0x100 + len(text)] = text
    info = "OSRELEASE=2.6.32-754.el6.ppc64\nPAGESIZE=65536\n"
    for name, at in (("log_buf", 0), ("log_buf_len", 8), ("log_end", 16)):
        info += f"SYMBOL({name})={base + BLOCK + at:x}\n"
    data = elf(
        {1: bytes(page)}, note(b"VMCOREINFO", 0, info.encode()), machine=21, virtual=lambda a: a + base
    )
    assert log_of(opened(data)) == text


def test_pages_round_trip() -> None:
    """Pages of any kind, through each compression."""
    chance = random.Random(5)
    kinds = [bytes(BLOCK), bytes(range(256)) * 16, chance.randbytes(BLOCK), (b"abcdefg" * 600)[:BLOCK]]
    kinds += [b"".join(chance.choice([b"int", b"void *", b"\0" * 9, b"x"]) for _ in range(BLOCK))[:BLOCK]]
    kinds += list(pages_of(corpus_dump(NAME)).values())
    for packed, (flag, pack) in PACKERS.items():
        for page in kinds:
            assert unpack(pack(page), flag, BLOCK) == page, packed


@pytest.mark.parametrize("packed", list(PACKERS))
def test_damaged_pages_are_refused(packed: str) -> None:
    chance = random.Random(11)
    flag, pack = PACKERS[packed]
    page = (b"the quick brown fox" * 300)[:BLOCK]
    for _ in range(300):
        data = bytearray(pack(page))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = data[: chance.randint(0, len(data))]
        try:
            assert len(unpack(bytes(data), flag, BLOCK)) == BLOCK
        except DumpError:
            pass


def cut_streams() -> list[tuple[Optional[int], str]]:
    return [(16, "no end mark"), (5000, "no end mark")]


@pytest.mark.parametrize(("by", "told"), cut_streams())
def test_cut_streams(by: int, told: str) -> None:
    real = corpus_dump(NAME)
    data = flattened(Kdump(pages_of(real), info_of(real)).file())
    dump = opened(data[:-by])
    assert told in dump.damage[0]


def test_cut_and_incomplete_dumps_tell_and_are_read_as_far_as_they_go() -> None:
    real = corpus_dump(NAME)
    data = Kdump(pages_of(real), info_of(real), status=8).file()
    dump = opened(data)
    assert dump.head.incomplete and "incomplete" in dump.damage[0]
    dump = opened(data[: len(data) * 9 // 10])
    assert any("cut off" in each for each in dump.damage)
    log = KernelLog(Kernel(dump))
    try:
        lines = [record.line() for record in log]
    except Missing:
        lines = []
    assert lines or log.lost == 0
    whole = expected().splitlines()
    assert all(line.split(b"\n")[0] in whole for line in lines)


def test_pages_that_were_not_dumped() -> None:
    dump = opened(Kdump({1: b"a" * BLOCK, 40000: b"b" * BLOCK}, max_pfn=100000).file())
    assert dump.file.read(40000 * BLOCK + 5, 3) == b"bbb"
    for address in (0, 2 * BLOCK, 2 * BLOCK - 1, 99999 * BLOCK, 100000 * BLOCK, 1 << 50):
        with pytest.raises(Missing):
            dump.file.read(address, 2)


def test_split_dumps_hold_their_part() -> None:
    pages = {pfn: bytes([pfn]) * BLOCK for pfn in range(10)}
    dump = opened(Kdump(pages, split=(4, 8)).file())
    assert [dump.file.read(pfn * BLOCK, 1)[0] for pfn in range(4, 8)] == [4, 5, 6, 7]
    assert dump.file.pages == 4 and dump.damage == ()
    with pytest.raises(Missing, match="another file"):
        dump.file.read(9 * BLOCK, 1)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "an empty file"),
        (b"hello\n", "found text"),
        (bytes(4096), "zero bytes"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 62) + bytes(44), "no core"),
        (b"\x1f\x8b\x08" + bytes(30), "packed with gzip"),
        (b"LibvirtQemudSave" + bytes(90), "virsh dump --memory-only"),
        (b"KDUMP   " + bytes(100), "cut off"),
        (b"makedumpfile\0" + bytes(4083), "without records"),
        (flattened(b"hello, world " * 100), "found text in a stream"),
    ],
)
def test_what_is_no_dump(data: bytes, told: str) -> None:
    with pytest.raises(DumpError, match=told):
        opened(data)


def test_places_that_no_file_has(tmp_path: Path) -> None:
    """Offsets out of damaged headers, which the system call does not take."""
    path = tmp_path / "dump"
    path.write_bytes(b"abc")
    with open_image(str(path)) as image:
        assert image.read(1, 9) == b"bc"
        assert [image.read(*at) for at in ((3, 1), (1 << 63, 8), (1 << 70, 8), (-1, 8), (0, -1))] == [b""] * 5
