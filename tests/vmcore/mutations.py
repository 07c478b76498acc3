"""Damages dumps in every way that a disk, a cable or an attacker does, and reads what is left.

    python tests/vmcore/mutations.py 10000 [SEED] [DUMP]

Of four damaged dumps three are files of every kind whose headers, tables or pages are damaged; in the fourth it is
what the memory holds: pointers, counts, tables of names, types and unwinding, wherever reading the dump in full
comes by. That memory is of DUMP if one is given, of the corpus otherwise. Each is read as
``lastwords vmcore --dmesg --ps --oom --memory --bt --mount`` reads it, and printed on a screen and as JSON. Prints
how they ended, the slowest and the peak of memory. Exit code 1 when one raised anything but a clear error, what was
said of it does not fit its schema, it took over 5 s of processor time, or memory exceeded 200 MB.
"""

from __future__ import annotations

import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import jsonschema
from vmcores import BLOCK, Bytes, Kdump, corpus, elf, flattened, note, pages_of

from lastwords import schemas
from lastwords.analyzer.vmcore import describe
from lastwords.analyzer.vmcore_insides import Insides
from lastwords.cli.vmcore import SECTIONS
from lastwords.formats.vmcore.dump import Dump, open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.printk import KernelLog
from lastwords.hookspecs import Look
from lastwords.model import LastwordsError
from lastwords.reports.vmcore import render
from lastwords.roots.images import open_image
from lastwords.roots.vmcore import open_vmcore

SECONDS = 5.0
MEMORY = 200 << 20
ABSURD = (0, 1, 7, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
ALL = (1 << 64) - 1
RAISED = "raised"
POINTERS = 64
"""Bytes: what is read in greater pieces are tables."""
SCHEMA = jsonschema.Draft202012Validator(schemas.load("vmcore"))
VALIDATED = 20
"""One document in so many is held against the schema, which takes as long as to read the dump."""


def samples(name: str = "6.1-sysrq-c.kdump") -> list[bytes]:
    """Return small dumps of every container."""
    real = corpus(name).read_bytes()
    full = corpus(name.replace(".kdump", "-full.kdump")).read_bytes()
    dump = open_dump(Bytes(real))
    pages, info = pages_of(dump), dump.file.info
    notes = note(b"VMCOREINFO", 0, info)
    found = [full, real, flattened(real, 4000, shuffle=3), elf(pages, notes, headers_at=192, overlap=True)]
    return found + [Kdump(pages, info, packed=each).file() for each in ("lzo", "snappy", "zstd", "plain")]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a dump with some damage: cut, bits flipped, numbers gone wild, blocks lost or doubled."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        # Headers, bitmaps and descriptors are where damage does most.
        end = len(out) if chance.random() < 0.3 else min(len(out), chance.choice((512, 4096, 9000, 20000)))
        at = chance.randrange(max(1, end - 8))
        kind = chance.randrange(7)
        if kind == 0:
            del out[chance.randrange(len(out)) if chance.random() < 0.5 else at :]
            if len(out) < 16:
                break
        elif kind == 1:
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            size = chance.choice((2, 4, 8))
            value = chance.choice(ABSURD) & (1 << 8 * size) - 1
            out[at & -size : (at & -size) + size] = value.to_bytes(size, chance.choice(("little", "big")))
        elif kind == 3:
            out[at : at + 512] = bytes(len(out[at : at + 512]))
        elif kind == 4:
            out[at : at + 8] = struct.pack("<Q", chance.randrange(len(out)))
        elif kind == 5:
            out[at:at] = out[at : at + chance.choice((8, 512, 4096))]
        else:
            # The text of VMCOREINFO: another number.
            line = chance.choice((b"SIZE(", b"OFFSET(", b"SYMBOL(", b"NUMBER(", b"PAGESIZE="))
            places = [i for i in range(min(len(out), 32768)) if out.startswith(line, i)]
            if places:
                start = out.find(b"=", chance.choice(places)) + 1
                stop = out.find(b"\n", start)
                number = str(chance.choice(ABSURD)) if chance.random() < 0.5 else f"{chance.choice(ABSURD):x}"
                if 0 < start < stop:
                    out[start:stop] = number.encode().ljust(stop - start)[: stop - start]
    return bytes(out)


class Touched:
    """Something that is read, with what was read of it noted."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.places: dict[tuple[int, int], None] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read(self, offset: int, size: int) -> bytes:
        self.places[offset, size] = None
        data: bytes = self._inner.read(offset, size)
        return data


def read_insides(dump: Dump) -> None:
    """Read all that can be read of a dump's memory."""
    kernel = Kernel(dump)
    list(KernelLog(kernel))
    insides = Insides(kernel, dump)
    insides.backtraces(), insides.tasks(), insides.memory(), insides.mounts()


class Memory:
    """A dump as a file in which its memory lies as it was, no more of it than is read of it."""

    def __init__(self, path: str, target: str) -> None:
        with open_image(path) as image:
            dump = open_dump(image)
            memory = Touched(dump.file)
            read_insides(replace(dump, file=memory))
            frames = {
                at // BLOCK for place, size in memory.places for at in range(place, place + size, BLOCK)
            }
            frames |= {(place + size - 1) // BLOCK for place, size in memory.places if size}
            pages = {}
            for frame in sorted(frames):
                try:
                    pages[frame] = dump.file.read(frame * BLOCK, BLOCK)
                except ValueError:  # not in the dump
                    continue
            states = b"".join(note(each.name, each.type, each.data) for each in dump.notes if each.type == 1)
            data = elf(pages, note(b"VMCOREINFO", 0, dump.file.info) + states)
        source = Touched(Bytes(data))
        read_insides(open_dump(source))
        start = len(data) - BLOCK * len(pages)
        places = [(at, size) for at, size in source.places if start <= at and size and at + size <= len(data)]
        self._pointers = [each for each in places if each[1] <= POINTERS]
        self._tables = [each for each in places if each[1] > POINTERS]
        self._values = [int.from_bytes(data[at : at + 8], "little") for at, size in places if size == 8]
        self.path = target
        with open(target, "wb") as stream:
            stream.write(data)

    def damage(self, chance: random.Random) -> dict[int, bytes]:
        """Damage the memory in some places. Return what was there, for :meth:`mend`."""
        before: dict[int, bytes] = {}
        with open(self.path, "r+b") as stream:
            for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
                at, size = chance.choice(self._tables if chance.random() < 0.2 else self._pointers)
                at, width = at + chance.randrange(max(1, size // 8)) * 8, min(8, size)
                stream.seek(at)
                old = stream.read(width)
                before.setdefault(at, old)
                stream.seek(at)
                stream.write(self._other(int.from_bytes(old, "little"), chance).to_bytes(8, "little")[:width])
        return before

    def _other(self, value: int, chance: random.Random) -> int:
        """Return a number that stands where *value* did: of a loop, of something else, of nothing."""
        kind = chance.randrange(6)
        if kind == 0:
            return chance.choice(ABSURD)
        if kind == 1:
            return value ^ 1 << chance.randrange(64)
        if kind == 2:
            return chance.getrandbits(64)
        if kind == 3:
            return value + 8 * chance.randrange(-64, 64) & ALL
        if kind == 4:
            return chance.choice(self._values) + 8 * chance.randrange(-4, 4) & ALL
        return chance.choice(self._values)

    def mend(self, before: dict[int, bytes]) -> None:
        """Make the memory what it was."""
        with open(self.path, "r+b") as stream:
            for at, data in before.items():
                stream.seek(at)
                stream.write(data)


def read_all(path: str, validate: bool) -> str:
    """Read and print all that there is in a dump; return how it ended."""
    try:
        core = open_vmcore(path)
    except LastwordsError as problem:
        text = str(problem).removeprefix(f"{path}: ")
        assert "\n" not in text and 0 < len(text) < 300, text
        return "refused: " + " ".join(word for word in text.split() if word.isalpha())
    try:
        document = describe(core, SECTIONS)
    finally:
        core.close()
    if validate:
        for problem in SCHEMA.iter_errors(document):
            raise AssertionError(f"{problem.json_path}: {problem.message[:200]}")
    assert json.dumps(document, allow_nan=False) and render(document, SECTIONS, Look())
    for each in document["missing"]:
        assert each["why"] and "\n" not in each["why"] and len(each["why"]) < 300, each
    if document["file"]["damage"]:
        return "read, damage of the file told"
    return "read, what is missing told" if document["missing"] else "read whole"


def mutations(
    count: int, seed: int, work: str, memory_of: Optional[str] = None
) -> Iterator[tuple[str, float]]:
    """Yield how each damaged dump ended, and how long it took.

    :param work: a directory for two files
    """
    chance = random.Random(seed)
    originals = samples()
    memory = Memory(memory_of or str(corpus("6.1-sysrq-c-full.kdump")), os.path.join(work, "memory"))
    damaged = os.path.join(work, "file")
    for number in range(count):
        path, before = damaged, {}
        if number % 4 == 3:
            path, before = memory.path, memory.damage(chance)
        else:
            with open(path, "wb") as stream:
                stream.write(mutated(chance.choice(originals), chance))
        start = time.process_time()  # of a busy machine the wall clock says little
        try:
            end = read_all(path, number % VALIDATED in (3, 4))
        except Exception:
            print(f"number {number}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            end = RAISED
        yield f"{'memory' if before else 'file'} {end}", time.process_time() - start
        memory.mend(before)


def main() -> int:
    """Read as many as were asked for."""
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    ends: Counter[str] = Counter()
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory() as work:
        found = mutations(count, seed, work, sys.argv[3] if len(sys.argv) > 3 else None)
        for number, (end, seconds) in enumerate(found):
            ends[end] += 1
            slowest = max(slowest, (seconds, number))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for end, times in ends.most_common():
        print(f"{times:6} {end}")
    print(f"{count} dumps; slowest no. {slowest[1]}, {slowest[0]:.2f} s; peak of memory {peak >> 20} MiB")
    raised = any(end.endswith(RAISED) for end in ends)
    return int(raised or slowest[0] > SECONDS or peak > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
