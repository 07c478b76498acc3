"""Everything that reads text from outside, fuzzed by coverage (atheris), then measured for growth.

    python -m lab.fuzz [SUBJECT...] [--seconds 60]

A subject is one way in: the OOM events of a log, explained and shown; its deaths, in every form of report;
its messages with secrets removed; and ``parsers``, every parse_ function of lastwords.formats that takes
nothing but a text. Inputs are cut, doubled, shuffled and bit-flipped logs, and what atheris makes of them.
Then the inputs that reached new code are repeated to 20 and to 200 KB: ten times the input may take at most
twelve times the processor time. Inputs are kept below .cache/lab/fuzz, so that the next run goes on from
there. Exit code 1 when one raises, hangs, needs over 1 GB, or takes too long to grow.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import io
import json
import os
import pkgutil
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Optional

from lab.common import CACHE, REPOSITORY

Reader = Callable[[bytes], object]
HOME = os.path.join(CACHE, "fuzz")
CONSOLES = os.path.join(REPOSITORY, "tests", "lab", "consoles")
CORPUS = os.environ.get("LASTWORDS_CORPUS") or os.path.join(os.path.dirname(REPOSITORY), "shared", "corpus")
SEED_SIZE = 12_000
LONGEST = 20_000
"""Bytes of one input."""
SMALL, TIMES, MOST_TIMES = 20_000, 10, 12
SAMPLED = 60
"""Inputs of a subject that are measured for growth."""
TEXTS = ("str", "bytes", "Iterable[str]", "Sequence[str]")
"""What a parser may take."""


def oom(data: bytes) -> None:
    """Read the OOM events of a log, explain and show them."""
    from lastwords.analyzer.oom.explain import explain
    from lastwords.analyzer.oom.reports import events_in
    from lastwords.formats.oom.events import BEFORE, STEMS, WORDS
    from lastwords.hookspecs import Look
    from lastwords.reports.oom_terminal import Page
    from lastwords.roots.logfile import LogReader

    reader = LogReader(io.BytesIO(data), WORDS, stems=STEMS, before=BEFORE, redacted=False)
    for item in map(explain, events_in(reader)):
        json.dumps(item.to_json())
        page = Page(Look(width=80))
        page.event(1, item)
        page.text()


def deaths(data: bytes) -> None:
    """Read the reports and failures of a log, and write them in every format."""
    from lastwords.analyzer.crash_log import GATES, WORDS, read_opened
    from lastwords.hookspecs import Look
    from lastwords.reports.crash_formats import FORMATS
    from lastwords.roots.logfile import LogReader

    found = read_opened("log", LogReader(io.BytesIO(data), WORDS, gates=GATES))
    for form in FORMATS.values():
        form.render([found], Look(width=80))


def messages(data: bytes) -> None:
    """Read all messages of a log, secrets removed, as bundles hold them; look for events in each."""
    from lastwords.formats.log.events import detect
    from lastwords.roots.logfile import LogReader

    for message in LogReader(io.BytesIO(data)):
        detect(message.text)


def parsers() -> list[tuple[str, Reader]]:
    """Return every parser of the formats that needs nothing but a text or bytes."""
    formats = importlib.import_module("lastwords.formats")
    found: list[tuple[str, Reader]] = []
    for info in pkgutil.walk_packages(formats.__path__, formats.__name__ + "."):
        module = importlib.import_module(info.name)
        for name, function in vars(module).items():
            if name.startswith("parse_") and getattr(function, "__module__", "") == info.name:
                kind = _kind(function)
                if kind is not None:
                    found.append((f"{info.name.rpartition('.')[2]}.{name}", partial(_call, function, kind)))
    return found


def _kind(function: Any) -> Optional[str]:
    """Return what a function takes, if it is a text and no more."""
    if not inspect.isfunction(function):
        return None
    needed = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    return needed[0].annotation if len(needed) == 1 and needed[0].annotation in TEXTS else None


def _call(function: Callable[[Any], object], kind: str, data: bytes) -> None:
    from lastwords.formats import FormatError, text_of

    text = text_of(data)
    try:
        result = function(data if kind == "bytes" else text if kind == "str" else text.split("\n"))
        if isinstance(result, Iterator):
            for _ in result:
                pass
    except FormatError:
        pass


def one(reader: Reader) -> list[tuple[str, Reader]]:
    """Return a way in that takes whole inputs."""
    return [(reader.__name__, reader)]


SUBJECTS: dict[str, Callable[[], list[tuple[str, Reader]]]] = {
    "oom": partial(one, oom),
    "deaths": partial(one, deaths),
    "messages": partial(one, messages),
    "parsers": parsers,
}
"""What takes the inputs of each subject; where there are several, the first byte of an input chooses."""


def run(subject: list[tuple[str, Reader]], data: bytes) -> None:
    """Give an input to its reader."""
    if len(subject) == 1:
        subject[0][1](data)
    elif data:
        subject[data[0] % len(subject)][1](data[1:])


def seeds(subject: str) -> Iterator[bytes]:
    """Yield pieces of real logs; for the parsers, the samples of their documentation."""
    if subject == "parsers":
        for number, (_, reader) in enumerate(parsers()):
            assert isinstance(reader, partial)
            text = "\n".join(
                re.findall(r"(?m)^\s*(?:>>>|\.\.\.) (.*)$", inspect.getdoc(reader.args[0]) or "")
            )
            yield bytes([number]) + text.replace("\\n", "\n").encode()
        return
    for top in (
        CONSOLES,
        os.path.join(CORPUS, "oom"),
        os.path.join(CORPUS, "crash"),
        os.path.join(CORPUS, "boot"),
    ):
        for directory, _, names in os.walk(top):
            for name in sorted(names)[:80]:
                with open(os.path.join(directory, name), "rb") as file:
                    data = file.read(1 << 20)
                # A report is seldom at the beginning.
                at = max(0, data.find(b"oom-killer" if subject == "oom" else b"Call Trace") - 2000)
                yield data[at : at + SEED_SIZE]


def damaged(data: bytes, size: int, seed: int) -> bytes:
    """Return a log with lines cut, doubled, shuffled, lost or moved; atheris flips the bits."""
    chance = random.Random(seed)
    lines = data.split(b"\n")
    at, to = sorted(chance.randrange(len(lines) + 1) for _ in range(2))
    how = chance.randrange(4)
    if how == 0:
        del lines[at:to]
    elif how == 1:
        lines[at:at] = lines[at:to]
    elif how == 2:
        part = lines[at:to]
        chance.shuffle(part)
        lines[at:to] = part
    else:
        lines[at:to] = [line[: chance.randrange(len(line) + 1)] for line in lines[at:to]]
    return b"\n".join(lines)[:size]


def inside(subject: str, seconds: int) -> None:
    """Fuzz one subject in this process, which ends with it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["lastwords.formats"]):
        found = SUBJECTS[subject]()
        for _, reader in found:
            reader(b"")

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        return damaged(data, size, seed) if seed % 2 else bytes(atheris.Mutate(data, size))

    home = os.path.join(HOME, subject)
    options = [
        *(f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-rss_limit_mb=1024", "-timeout=25"),
        *("-print_final_stats=1", f"-artifact_prefix={home}/found-", os.path.join(home, "inputs")),
    ]
    atheris.Setup(["lastwords", *options], partial(run, found), custom_mutator=mutate)
    atheris.Fuzz()


def fuzz(subject: str, seconds: int) -> bool:
    """Fuzz one subject in a process of its own; print what came of it; return whether nothing was found."""
    inputs = os.path.join(HOME, subject, "inputs")
    os.makedirs(inputs, exist_ok=True)
    for number, data in enumerate(seeds(subject)):
        with open(os.path.join(inputs, f"seed-{number}"), "wb") as file:
            file.write(data)
    command = [sys.executable, "-m", "lab.fuzz", "--inside", subject, "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, errors="replace")
    counted = re.search(r"stat::number_of_executed_units: *(\d+)", done.stderr)
    kept = len(os.listdir(inputs))
    found = "FOUND" if done.returncode else "nothing found"
    print(
        f"{subject}: {counted[1] if counted else 'no'} inputs in {seconds} s, {kept} kept, {found}",
        flush=True,
    )
    if done.returncode:
        raised = re.search(r"Uncaught Python exception[\s\S]{0,3000}?(?=\n==)", done.stderr)
        print(raised[0] if raised else done.stderr[-2000:])
    return done.returncode == 0


def growth(subject: str) -> bool:
    """Measure the subject's inputs, repeated; print the worst; return whether none grew too much."""
    found = SUBJECTS[subject]()
    inputs = os.path.join(HOME, subject, "inputs")
    names = sorted(os.listdir(inputs))
    worst, worst_name = 0.0, "none"
    for name in random.Random(1).sample(names, min(SAMPLED * (1 if len(found) == 1 else 4), len(names))):
        with open(os.path.join(inputs, name), "rb") as file:
            data = file.read()
        if len(found) > 1 and data:
            reader_name, reader = found[data[0] % len(found)]
            data = data[1:]
        else:
            reader_name, reader = found[0]
        for end in (b"", b"\n"):
            ratio = grows(reader, data + end)
            if ratio > worst:
                worst, worst_name = ratio, f"{name} of {reader_name}"
    print(
        f"{subject}: {TIMES} times the input, at most {worst:.1f} times the time ({worst_name})", flush=True
    )
    return worst <= MOST_TIMES


def grows(reader: Reader, piece: bytes) -> float:
    """Return how many times as long the longer input takes; measured anew while it seems too much."""
    if not piece:
        return 0.0
    small = piece * (SMALL // len(piece) + 1)
    ratio = 0.0
    for runs in (1, 3, 7):
        # Below a millisecond the clock and the caches are what is measured.
        base = max(0.001, _least(reader, small, runs))
        ratio = _least(reader, small * TIMES, runs) / base
        if ratio <= MOST_TIMES:
            break
    return ratio


def _least(reader: Reader, data: bytes, runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.process_time()
        reader(data)
        times.append(time.process_time() - start)
    return min(times)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("subject", nargs="*", help=f"default: all of {', '.join(SUBJECTS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each subject")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.inside:
        inside(parsed.inside, parsed.seconds)
    wrong = set(parsed.subject) - set(SUBJECTS)
    if wrong:
        parser.error(f"no subject {', '.join(sorted(wrong))}; expected some of {', '.join(SUBJECTS)}")
    if importlib.util.find_spec("atheris") is None:
        print("lab.fuzz: needs atheris (tools/venv .venv '[fuzz]'), which is made for Python 3.11 and newer")
        return 0
    right = [fuzz(subject, parsed.seconds) & growth(subject) for subject in parsed.subject or SUBJECTS]
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
