"""10,000 damaged initramfs images: no exception, bounded memory, bounded time; and a bomb of 10 GB.

    python bench/mutations.py [--number 10000] [--seed 1]

Changes, cuts, doubles and swaps bytes of small images in every compression and follows each as
``lastwords initramfs`` does. Exit code 1 when one raises, takes over 5 s, or memory exceeds 150 MB.
"""

from __future__ import annotations

import argparse
import io
import random
import resource
import sys
import time
import zlib
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from initrds import PACKED, archive, entry, microcode, root_files

from lastwords.roots.initrd import Contents, examine

MOST_SECONDS = 5.0
MOST_MEMORY = 150 << 20


def look(data: bytes) -> Contents:
    """Follow an image held in memory, and ask all that is asked of one."""
    found = examine(io.BytesIO(data), len(data), deadline=time.monotonic() + 60)
    found.inside.start(), found.inside.hostonly(), found.inside.version(), found.inside.arguments()
    return found


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the image with one to eight changes."""
    image = bytearray(data)
    for _ in range(chance.randrange(1, 9)):
        at = chance.randrange(len(image))
        kind = chance.randrange(6)
        if kind < 3:
            image[at] = chance.randrange(256)
        elif kind == 3:
            del image[at : at + chance.randrange(1, 200)]
        elif kind == 4:
            image[at:at] = image[at : at + chance.randrange(1, 200)]
        else:
            image[at : at + 8] = bytes(8) if chance.random() < 0.5 else b"FFFFFFFF"
        if not image:
            break
    return bytes(image[: chance.randrange(len(image))]) if image and chance.random() < 0.2 else bytes(image)


def bomb() -> bytes:
    """Return an image that would unpack to 10 GB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(entry("a")[:54] + b"FFFFFFF0" + entry("a")[62:]) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * 10240


def main() -> int:
    """Print what came of it; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    main_part = archive({name: data[:700] for name, data in root_files().items()})
    images = [
        microcode()[:600] + main_part,
        main_part,
        *(microcode() + pack(main_part) for pack in PACKED.values()),
    ]
    verdicts: dict[object, int] = {}
    worst = 0.0
    failed = 0
    started = time.monotonic()
    for number in range(arguments.number):
        data = mutated(images[number % len(images)], chance)
        start = time.process_time()
        try:
            found = look(data)
        except Exception as problem:
            failed += 1
            print(f"number {number}: {type(problem).__name__}: {problem}")
            continue
        worst = max(worst, time.process_time() - start)
        verdicts[found.complete] = verdicts.get(found.complete, 0) + 1
    print(f"{arguments.number} images in {time.monotonic() - started:.1f} s, worst {worst:.2f} s: {verdicts}")
    start = time.process_time()
    found = look(bomb())
    seconds = time.process_time() - start
    print(f"bomb: {found.unknown} after {seconds:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(f"peak memory {peak >> 20} MB")
    bad = failed or worst > MOST_SECONDS or peak > MOST_MEMORY or found.complete is not None
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
