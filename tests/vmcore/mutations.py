"""Damages a dump in every way that a disk, a cable or an attacker does, and reads what is left.

    python tests/vmcore/mutations.py 10000 [SEED]

reads as many damaged dumps, each in full, and prints the slowest, the peak of memory and how they ended.
Exit code 1 when one raised anything but a clear error, took over 5 s of processor time, or memory exceeded 200 MB.
"""

from __future__ import annotations

import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from vmcores import Bytes, Kdump, corpus, elf, flattened, note, pages_of

from lastwords.analyzer.vmcore_insides import Insides
from lastwords.formats.vmcore.dump import open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.printk import KernelLog
from lastwords.formats.vmcore.source import DumpError

SECONDS = 5.0
MEMORY = 200 << 20
ABSURD = (0, 1, 7, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


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


def read_all(data: bytes) -> str:
    """Read all that the package reads of a dump; return how it ended."""
    try:
        dump = open_dump(Bytes(data))
        kernel = Kernel(dump)
        count = sum(len(record.line()) for record in KernelLog(kernel))
    except DumpError as problem:
        assert "\n" not in str(problem) and 0 < len(str(problem)) < 300, problem
        return " ".join(word for word in str(problem).split() if word.isalpha())
    insides = Insides(kernel, dump)
    insides.backtraces(), insides.tasks(), insides.memory(), insides.mounts()
    return "read whole" if count and not dump.damage else "read, damage told" if count else "read, empty log"


def mutations(count: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield how each damaged dump ended, and how long it took."""
    chance = random.Random(seed)
    originals = samples()
    for _ in range(count):
        data = mutated(chance.choice(originals), chance)
        start = time.process_time()  # of a busy machine the wall clock says little
        yield read_all(data), time.process_time() - start


def main() -> int:
    """Read as many as were asked for."""
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    ends: Counter[str] = Counter()
    slowest = (0.0, 0)
    for number, (end, seconds) in enumerate(mutations(count, seed)):
        ends[end] += 1
        slowest = max(slowest, (seconds, number))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for end, times in ends.most_common():
        print(f"{times:6} {end}")
    print(f"{count} dumps; slowest no. {slowest[1]}, {slowest[0]:.2f} s; peak of memory {peak >> 20} MiB")
    return int(slowest[0] > SECONDS or peak > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
