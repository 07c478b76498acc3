"""A back trace on aarch64: frame pointers, signed return addresses, symbols counted from the base."""

from __future__ import annotations

import struct

from machines import Machine
from vmcores import Bytes, Kdump, elf, note

from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.stack import Unwinder, cpu_states

BASE = 0xFFFF800080000000
PLACE = 0x41000000
FUNCTIONS = {"_stext": 0x10000, "panic": 0x10100, "vfs_write": 0x10200, "el0_svc": 0x10300, "_etext": 0x11000}


def machine_with_symbols() -> tuple[Machine, str]:
    """Return a machine with a symbol table, each character of whose names is a token, and its VMCOREINFO."""
    machine = Machine(
        0x40000000,
        [(39, 9), (30, 9), (21, 9), (12, 9)],
        lambda place: place | 3,
        lambda place, shift: place | 0x703,
    )
    for page in range(64):
        machine.map(BASE + (page << 12), PLACE + (page << 12))
    tokens = [bytes([code]) if 32 < code < 127 else b"?" for code in range(256)]
    names = b"".join(bytes([len(name) + 1]) + b"T" + name.encode() for name in FUNCTIONS)
    places, at = [], 0
    for token in tokens:
        places.append(at)
        at += len(token) + 1
    parts = {
        "kallsyms_names": names,
        "kallsyms_num_syms": struct.pack("<I", len(FUNCTIONS)),
        "kallsyms_token_table": b"".join(token + b"\0" for token in tokens),
        "kallsyms_token_index": struct.pack("<256H", *places),
        "kallsyms_offsets": struct.pack(f"<{len(FUNCTIONS)}i", *FUNCTIONS.values()),
        "kallsyms_relative_base": struct.pack("<Q", BASE),
    }
    info = "OSRELEASE=6.12.0-arm64\nPAGESIZE=4096\nNUMBER(VA_BITS)=48\nNUMBER(TCR_EL1_T1SZ)=0x10\n"
    info += (
        f"NUMBER(kimage_voffset)=0x{BASE - PLACE:x}\nSYMBOL(swapper_pg_dir)={0x40000000 + BASE - PLACE:x}\n"
    )
    info += f"SYMBOL(_stext)={BASE + FUNCTIONS['_stext']:x}\n"
    for number, (name, data) in enumerate(parts.items()):
        offset = 0x20000 + 0x1000 * number
        machine.write(PLACE + offset, data)
        info += f"SYMBOL({name})={BASE + offset:x}\n"
    return machine, info


def test_back_trace_by_frame_pointers() -> None:
    machine, info = machine_with_symbols()
    stack = BASE + 0x30000
    # Frame records: that of the caller, and where the call returns to; one address is signed (PAC).
    records = [
        (stack + 0x40, BASE + FUNCTIONS["vfs_write"] + 0x24),
        (stack + 0x80, (BASE + FUNCTIONS["el0_svc"] + 0x8) & (1 << 48) - 1 | 0x2AD5 << 48),
        (0, 0),
    ]
    for number, record in enumerate(records):
        machine.write(PLACE + 0x30000 + 0x40 * number, struct.pack("<QQ", *record))
    registers = [0] * 34
    registers[29], registers[31], registers[32] = stack, stack - 0x20, BASE + FUNCTIONS["panic"] + 0x10
    prstatus = struct.pack("<32xi76x34Q", 4711, *registers) + bytes(8)
    pages = {number: bytes(page) for number, page in machine.pages.items()}
    notes = note(b"CORE", 1, prstatus) + note(b"VMCOREINFO", 0, info.encode())
    dump = open_dump(Bytes(elf(pages, notes, machine=183)))
    (state,) = cpu_states(dump.notes, dump.machine)
    assert state.pid == 4711 and state.registers["pc"] == registers[32]
    frames = Unwinder(Layout(Kernel(dump)), dump.machine).of_cpu(state)
    assert [(frame.symbol, frame.offset) for frame in frames] == [
        ("panic", 0x10),
        ("vfs_write", 0x24),
        ("el0_svc", 0x8),
    ]


def test_qemu_does_not_name_the_machine_in_its_kdump_formats() -> None:
    machine, info = machine_with_symbols()
    pages = {number: bytes(page) for number, page in machine.pages.items()}
    file = Kdump(pages, info.encode(), utsname=("", "", "", "", "Unknown", "")).file()
    dump = open_dump(Bytes(file))
    assert dump.head.machine is None and dump.machine == "aarch64"
    assert Kernel(dump).read(BASE + 0x20000, 2) == b"\x07T"


def test_frame_pointers_that_lead_in_a_circle_end() -> None:
    machine, info = machine_with_symbols()
    stack = BASE + 0x30000
    machine.write(PLACE + 0x30000, struct.pack("<QQ", stack, BASE + FUNCTIONS["panic"] + 4))
    registers = [0] * 34
    registers[29], registers[31], registers[32] = stack, stack, BASE + FUNCTIONS["panic"]
    prstatus = struct.pack("<32xi76x34Q", 1, *registers) + bytes(8)
    pages = {number: bytes(page) for number, page in machine.pages.items()}
    notes = note(b"CORE", 1, prstatus) + note(b"VMCOREINFO", 0, info.encode())
    dump = open_dump(Bytes(elf(pages, notes, machine=183)))
    (state,) = cpu_states(dump.notes, dump.machine)
    assert [frame.symbol for frame in Unwinder(Layout(Kernel(dump)), dump.machine).of_cpu(state)] == [
        "panic"
    ] * 2
