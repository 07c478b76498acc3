"""The kernel log of every era, laid into memory as the kernels do."""

from __future__ import annotations

import struct

import pytest
from vmcores import BLOCK, Bytes, elf, note

from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.printk import KernelLog, Record
from lastwords.formats.vmcore.source import DumpError

BASE = 0xC000000000000000
VARIABLES = BASE
BUFFER = BASE + BLOCK


def log_of(symbols: dict[str, bytes], buffer: bytes, more: str = "") -> KernelLog:
    """Return the log of a machine whose variables and buffer are these, in memory mapped one to one."""
    memory, info = bytearray(BLOCK), "OSRELEASE=3.10.0\nPAGESIZE=4096\n" + more
    for number, (name, value) in enumerate(symbols.items()):
        memory[16 * number : 16 * number + len(value)] = value
        info += f"SYMBOL({name})={VARIABLES + 16 * number:x}\n"
    memory += buffer + bytes(-len(buffer) % BLOCK)
    pages = {
        number: bytes(memory[number * BLOCK : (number + 1) * BLOCK]) for number in range(len(memory) // BLOCK)
    }
    core = elf(
        pages, note(b"VMCOREINFO", 0, info.encode()), machine=21, virtual=lambda address: address + BASE
    )
    return KernelLog(Kernel(open_dump(Bytes(core))))


def lines(log: KernelLog) -> list[bytes]:
    return [record.line() for record in log]


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def test_plain_ring_before_and_after_it_wraps() -> None:
    text = b"<5>[    0.000000] Linux version 2.6.32\n<6>[    1.000000] last, without its end"
    symbols = {"log_buf": number(BUFFER, 8), "log_buf_len": number(128), "log_end": number(len(text))}
    assert lines(log_of(symbols, text.ljust(128, b"\0"))) == text.split(b"\n")
    whole = b"".join(b"<6>line %d\n" % each for each in range(100))
    ring = bytearray(128)
    for at, byte in enumerate(whole):
        ring[at % 128] = byte
    symbols["log_end"] = number(len(whole))
    assert lines(log_of(symbols, bytes(ring))) == whole[-128:].split(b"\n")[:-1]


def record(time: int, text: bytes, level: int = 6) -> bytes:
    """struct printk_log: ts_nsec, len, text_len, dict_len, facility, flags and level; text, padding."""
    size = (16 + len(text) + 3) & ~3
    return (struct.pack("<QHHHBB", time, size, len(text), 0, 0, level << 5) + text).ljust(size, b"\0")


@pytest.mark.parametrize("name", ["log", "printk_log"])
def test_records_of_3_5_to_5_9(name: str) -> None:
    more = f"SIZE({name})=16\nOFFSET({name}.ts_nsec)=0\nOFFSET({name}.len)=8\nOFFSET({name}.text_len)=10\n"
    old, new = [record(k * 10**9, b"old %d" % k) for k in (2, 3)], record(4 * 10**9, b"two\nlines", 3)
    # The oldest records stand at the end; a record of length 0 tells that the rest is unused.
    start = 200
    buffer = (new.ljust(start, b"\xee") + b"".join(old) + bytes(16)).ljust(300, b"\0")
    symbols = {
        "log_buf": number(BUFFER, 8),
        "log_buf_len": number(300),
        "log_first_idx": number(start),
        "log_next_idx": number(len(new)),
    }
    log = log_of(symbols, buffer, more)
    assert log.kind == "records"
    found = list(log)
    assert [item.level for item in found] == [6, 6, 3]
    assert [item.line() for item in found] == [
        b"[    2.000000] old 2",
        b"[    3.000000] old 3",
        b"[    4.000000] two\n               lines",
    ]


def test_damaged_records_end_the_log() -> None:
    more = "SIZE(log)=16\nOFFSET(log.ts_nsec)=0\nOFFSET(log.len)=8\nOFFSET(log.text_len)=10\n"
    symbols = {name: number(0) for name in ("log_first_idx", "log_next_idx")}
    symbols.update({"log_buf": number(BUFFER, 8), "log_buf_len": number(256), "log_next_idx": number(200)})
    broken = record(1, b"one") + struct.pack("<QHHHBB", 2, 5, 3, 0, 0, 0)
    with pytest.raises(DumpError, match="expected at least 16 bytes"):
        lines(log_of(symbols, broken.ljust(256, b"\0"), more))
    # Without an end: it goes round no more than once.
    circle = record(1, b"x" * 44) * 4
    symbols["log_next_idx"] = number(201)
    assert len(lines(log_of(symbols, circle, more))) <= 5


def test_caller_ids_and_bytes_that_are_no_text() -> None:
    item = Record(61 * 10**9 + 999, b"a\tb\x1b[31m \xc3\xa4", caller="T1")
    assert item.line() == b"[   61.000000] a\tb\\x1b[31m \\xc3\\xa4"
    assert item.line(caller=True) == b"[   61.000000] [      T1] a\tb\\x1b[31m \\xc3\\xa4"


def test_the_log_must_be_told_of() -> None:
    with pytest.raises(DumpError, match="neither prb nor log_buf"):
        log_of({}, b"")
