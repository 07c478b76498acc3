"""Crash dumps of real kernels in every form that can be written here, read by lastwords and by its peers.

    python -m lab.vmcores [forms | insides] [NAME ...]

``forms``: guests panic (:mod:`lab.micro`), and QEMU and makedumpfile write their memory in all forms they
know; the log of each must be that of makedumpfile and of the guest's console, byte for byte. ``insides``:
dumps that kdump wrote in the lab's own machines; tasks, back trace and mounts must be those that drgn and
crash find with debug symbols. Without names all are taken. What came of each is kept, and the tables in
docs/vmcore.md are of all that is kept.
"""

from __future__ import annotations

import importlib.metadata
import os
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Optional

from lab import micro, peers, snappy
from lab.common import (
    CACHE,
    REPOSITORY,
    LabError,
    Unavailable,
    read_json,
    run,
    write_json,
    write_measured,
)
from lab.micro import GUESTS, Guest
from lab.vmcore_insides import IMAGES_COMPARED, Compared, compare
from lastwords.analyzer.vmcore import describe
from lastwords.formats.vmcore.source import DumpError
from lastwords.model import LastwordsError
from lastwords.roots.vmcore import Vmcore, log_text, open_vmcore

KEPT = os.path.join(CACHE, "vmcores")
PAGE = os.path.join(REPOSITORY, "docs", "vmcore.md")
PLAIN = "makedumpfile, not packed"
MADE = {
    **{f"makedumpfile {option}": [option, "-d", "31"] for option in ("-c", "-l", "-p", "-z")},
    PLAIN: ["-d", "31"],
    "makedumpfile -E": ["-E", "-d", "31"],
    "makedumpfile -F": ["-F", "-c", "-d", "31"],
}
RANKING = "the ranking of the OOM killer"
"""Needs symbols of data, which Debian's kernels for aarch64 do not carry."""
ANOTHER_FILE = "in another file of this split dump"


@dataclass
class Checked:
    """What came of one guest."""

    guest: Guest
    release: str
    paging: str = ""
    read: list[str] = field(default_factory=list)
    """Forms whose log is right."""
    wrong: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Forms that could not be written here, and why."""
    lines: int = 0
    forms: int = 0
    inside: list[str] = field(default_factory=list)
    """What was found inside without debug symbols."""


def check_forms(guest: Guest) -> Checked:
    """Have a guest panic and read what is written of it."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="vmcores-") as work:
        with micro.panicked(guest, work) as monitor:
            written, refused = micro.dumps(monitor, work)
        with open(os.path.join(micro.parts(guest), "release"), encoding="ascii") as stream:
            checked = Checked(guest, stream.read())
        with open(os.path.join(work, "serial.log"), "rb") as console:
            printed = micro.printed(console.read())
        checked.lines = len(printed)
        checked.absent += [f"QEMU {form}: {why}" for form, why in refused.items()]
        expected = None
        if guest.machine == "x86_64":
            source = _for_makedumpfile(written["elf"], work)
            expected = _log_of_makedumpfile(source, work)
        for form, path in written.items():
            _judge(checked, f"QEMU {form}", path, printed, expected)
        with closing(open_vmcore(written["elf"])) as core:
            checked.paging = _paging(core)
            _check_insides(checked, core)
        if expected is not None:
            _check_made(checked, work, source, printed, expected)
        return checked


def _check_insides(checked: Checked, core: Vmcore) -> None:
    """Without debug symbols: what the guest is known to have done must be there."""
    found = describe(core, ("ps", "bt", "mount"))
    checked.wrong += [
        f"{each['what']}: {each['why']}" for each in found["missing"] if each["what"] != RANKING
    ]
    sleeping = [task["comm"] for task in found["tasks"] or () if task["parent"] == 1 and task["state"] == "S"]
    traces = [[frame["symbol"] for frame in trace["frames"]] for trace in found["backtraces"] or ()]
    mounts = [(m["filesystem"], m["path"], m["read_only"]) for m in found["mounts"] or ()]
    panicked = [trace[trace.index("panic") + 1 :] for trace in traces if "panic" in trace]
    known = {
        "tasks": sleeping == ["busybox", "busybox"],
        "back traces": len(traces) == checked.guest.cpus
        and len(panicked) == 1
        and panicked[0][:1] == ["sysrq_handle_crash"]
        and "vfs_write" in panicked[0],
        "mounts": ("tmpfs", "/mnt", True) in mounts and ("proc", "/proc", False) in mounts,
    }
    checked.inside = [what for what, right in known.items() if right]
    checked.wrong += [f"{what} without debug symbols" for what, right in known.items() if not right]


def _check_made(checked: Checked, work: str, source: str, printed: list[bytes], expected: bytes) -> None:
    levels = {f"makedumpfile -d {level}": ["-l", "-d", str(level)] for level in checked.guest.levels}
    for form, options in {**MADE, **levels}.items():
        path = os.path.join(work, "made")
        stream = "-F" in options
        argv = ["makedumpfile", *options, f"{peers.SHARED}/{source}"]
        argv += [] if stream else [f"{peers.SHARED}/made"]
        done = peers.call(argv, work, output="made" if stream else "")
        if done.returncode:
            checked.wrong.append(f"{form}: makedumpfile failed: {done.stdout[-200:]}{done.stderr[-200:]}")
        elif "is disabled" in done.stdout + done.stderr:
            checked.absent.append(f"{form}: not compiled into this makedumpfile")
        else:
            _judge(checked, form, path, printed, expected)
        if form == PLAIN:
            snappy.pack(path, path + ".snappy")
            _judge(checked, "pages packed by libsnappy", path + ".snappy", printed, expected)
            os.unlink(path + ".snappy")
        if os.path.exists(path):
            os.unlink(path)
    _check_split(checked, work, source, printed, expected)


def _check_split(checked: Checked, work: str, source: str, printed: list[bytes], expected: bytes) -> None:
    """A dump in two files: each says what is in the other, and put together they are one again."""
    shared = peers.SHARED
    peers.call(
        ["makedumpfile", "--split", "-c", f"{shared}/{source}", f"{shared}/part1", f"{shared}/part2"], work
    )
    paths = [os.path.join(work, name) for name in ("part1", "part2")]
    for number, path in enumerate(paths, 1):
        with closing(open_vmcore(path)) as core:
            told = [each["why"] or "" for each in core.missing]
            whole = b"".join(log_text(core.log, True)) == expected
        clear = whole or any(ANOTHER_FILE in why or "not in the dump" in why for why in told)
        checked.forms += 1
        (checked.read if clear else checked.wrong).append(f"makedumpfile --split, file {number}")
    parts = [f"{shared}/part1", f"{shared}/part2"]
    peers.call(["makedumpfile", "--reassemble", *parts, f"{shared}/made"], work)
    _judge(checked, "makedumpfile --reassemble", os.path.join(work, "made"), printed, expected)


def _judge(checked: Checked, form: str, path: str, printed: list[bytes], expected: Optional[bytes]) -> None:
    """Compare the log in a file with the console's and makedumpfile's."""
    checked.forms += 1
    problem = None
    try:
        with closing(open_vmcore(path)) as core:
            if core.missing or core.damage:
                problem = "; ".join(
                    [*(f"{each['what']}: {each['why']}" for each in core.missing), *core.damage]
                )
            elif _as_printed(core) != printed:
                problem = "its log is not the console's"
            elif expected is not None and b"".join(log_text(core.log, True)) != expected:
                problem = "its log is not makedumpfile's"
            elif core.dump.release != checked.release:
                problem = f"its release is {core.dump.release}"
    except (LastwordsError, DumpError) as refusal:
        problem = str(refusal)
    if problem is None:
        checked.read.append(form)
    else:
        checked.wrong.append(f"{form}: {problem}")


def _as_printed(core: Vmcore) -> list[bytes]:
    """Return the log as a console gets it: each line of a message with its own stamp."""
    lines = []
    for record in core.log:
        stamp = b"[%5d.%06d] " % (record.time // 10**9, record.time % 10**9 // 1000)
        lines += [stamp + line for line in record.text.split(b"\n")]
    return lines


def _for_makedumpfile(path: str, work: str) -> str:
    """Move the program headers of a core to where makedumpfile takes them to be, behind the ELF header.

    QEMU 7.2 and later put the section headers there, which nobody reads.
    """
    with open(path, "r+b") as core:
        head = bytearray(core.read(64))
        at = struct.unpack_from("<Q", head, 32)[0]
        size, count = struct.unpack_from("<HH", head, 54)
        core.seek(at)
        programs = core.read(size * count)
    target = os.path.join(work, "moved")
    run(["cp", "--sparse=always", path, target], deadline=120)
    struct.pack_into("<QQ", head, 32, 64, 0)
    struct.pack_into("<HHHHHH", head, 52, 64, size, count, 0, 0, 0)
    os.chmod(target, 0o600)
    with open(target, "r+b") as core:
        core.write(bytes(head) + programs)
    return "moved"


def _log_of_makedumpfile(source: str, work: str) -> bytes:
    done = peers.call(
        ["makedumpfile", "--dump-dmesg", f"{peers.SHARED}/{source}", f"{peers.SHARED}/log"], work
    )
    if done.returncode:
        raise LabError(f"makedumpfile --dump-dmesg failed: {done.stdout[-300:]}{done.stderr[-300:]}")
    with open(os.path.join(work, "log"), "rb") as stream:
        return stream.read()


def _paging(core: Vmcore) -> str:
    info = core.dump.info
    if core.dump.machine == "x86_64":
        return "5 levels" if info.find_number("pgtable_l5_enabled") else "4 levels"
    bits = 64 - (info.find_number("TCR_EL1_T1SZ") or 16)
    return f"{(info.page_size or 0) >> 10}k pages, {bits} bits (built for {info.find_number('VA_BITS')})"


def forms_table(found: Sequence[Checked]) -> str:
    """Return what came of the guests, as Markdown."""
    lines = [
        "| kernel | machine | CPUs | paging | lines of log | forms | same log | found without symbols |",
        "|---|---|--:|---|--:|--:|--:|---|",
    ]
    for each in found:
        cells = [
            each.release,
            each.guest.machine,
            str(each.guest.cpus),
            each.paging,
            str(each.lines),
            str(each.forms),
            str(len(each.read)),
            ", ".join(each.inside) or "nothing",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    wrong = [f"- {each.release}, {text}" for each in found for text in each.wrong]
    absent = sorted({text for each in found for text in each.absent})
    lines += ["", "Wrong:", "", *wrong] if wrong else []
    return "\n".join([*lines, "", f"Not to be had here: {'; '.join(absent)}." if absent else ""]).rstrip()


def insides_table(found: Sequence[Compared]) -> str:
    """Return how what is inside compares, as Markdown."""
    lines = [
        "| dump | peer | back trace | tasks | memory | mounts | release, time, panic |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {each.dump} | {each.peer} | {' | '.join(each.cells)} |" for each in found]
    wrong = [f"- {each.dump}, {each.peer}: {text}" for each in found for text in each.wrong]
    return "\n".join([*lines, *(["", "Different:", "", *wrong] if wrong else [])])


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for."""
    what = arguments[0] if arguments and arguments[0] in ("forms", "insides") else None
    names = list(arguments[1 if what else 0 :])
    unknown = set(names) - set(GUESTS) - set(IMAGES_COMPARED)
    if unknown:
        print(
            f"lab: no {', '.join(sorted(unknown))}; {', '.join([*GUESTS, *IMAGES_COMPARED])}", file=sys.stderr
        )
        return 2
    wrong = 0
    if what != "insides":
        for checked in _each(list(GUESTS.values()), names):
            wrong += len(checked.wrong) if checked else 1
            if checked is None:
                continue
            _keep(checked.guest.name, {**asdict(checked), "guest": checked.guest.name})
        kept = [Checked(**{**each, "guest": GUESTS[each["guest"]]}) for each in _kept(GUESTS)]
        if kept:
            _tell("vmcore-forms", f"makedumpfile {peers.version('makedumpfile')}", forms_table(kept))
    if what != "forms":
        for image, compared in _compared(names):
            wrong += sum(len(each.wrong) for each in compared)
            _keep(f"inside-{image}", [asdict(each) for each in compared])
        images = [f"inside-{image}" for image in IMAGES_COMPARED]
        found = [Compared(**each) for record in _kept(images) for each in record]
        if found:
            against = f"crash {peers.version('crash')} and drgn {importlib.metadata.version('drgn')}"
            _tell("vmcore-insides", against, insides_table(found))
    return int(wrong > 0)


def _keep(name: str, record: Any) -> None:
    os.makedirs(KEPT, exist_ok=True)
    write_json(os.path.join(KEPT, f"{name}.json"), record)


def _kept(names: Iterable[str]) -> list[Any]:
    paths = [os.path.join(KEPT, f"{name}.json") for name in names]
    return [read_json(path) for path in paths if os.path.exists(path)]


def _tell(mark: str, against: str, table: str) -> None:
    """Print a table and put it into the page."""
    print(table, flush=True)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    head = f"Made by `python -m lab.vmcores` on {day}, against {against}. Not written by hand."
    write_measured(PAGE, mark, f"{head}\n\n{table}\n")


def _each(guests: Sequence[Guest], names: Sequence[str]) -> Iterator[Optional[Checked]]:
    """Yield what came of each guest; None of one that did not do what it should."""
    for guest in guests:
        if not names or guest.name in names:
            try:
                yield check_forms(guest)
            except Unavailable as problem:
                print(f"{guest.name}: not run: {problem}", file=sys.stderr, flush=True)
            except LabError as problem:
                print(f"{guest.name}: failed: {problem}", file=sys.stderr, flush=True)
                yield None


def _compared(names: Sequence[str]) -> Iterator[tuple[str, list[Compared]]]:
    for image in IMAGES_COMPARED:
        if not names or image in names:
            try:
                yield image, list(compare(image))
            except LabError as problem:
                print(f"{image}: not compared: {problem}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
