"""``python -m lab``: list, build, run and score what real kernels go through."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

from lab import accel, ledger, runner, score
from lab.common import MACHINES_AT_ONCE, LabError, Unavailable
from lab.images import IMAGES, build, built
from lab.scenario import Scenario, load_all

NEEDED = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "debugfs", "e2fsck", "setpriv", "apt-get")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one of the commands; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the images and scenarios").set_defaults(run=do_list)
    building = commands.add_parser("build", help="build machine images")
    building.add_argument("image", nargs="*", help="default: all of them")
    building.set_defaults(run=do_build)
    for name, text, function in (
        ("run", "play scenarios, then score all that were ever played", do_run),
        ("score", "score what was played, with today's lastwords; write docs/accuracy.md", do_score),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("scenario", nargs="*", help="name, or file of several; default: all of them")
        command.add_argument("--selection", action="store_true", help="the quick ones of make test")
        command.set_defaults(run=function)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except LabError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1


def require() -> None:
    """Raise Unavailable unless machines can be built and run here."""
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        raise Unavailable(f"needs {', '.join(missing)} (tools/bring lab)")


def chosen(arguments: argparse.Namespace) -> list[Scenario]:
    """Return the scenarios that were asked for."""
    everything = load_all()
    if arguments.selection:
        return [scenario for scenario in everything if scenario.selection]
    if not arguments.scenario:
        return everything
    wanted = set(arguments.scenario)
    found = [s for s in everything if s.name in wanted or s.name.partition("@")[0] in wanted]
    unknown = wanted - {s.name for s in found} - {s.name.partition("@")[0] for s in found}
    if unknown:
        raise LabError(f"no scenario {', '.join(sorted(unknown))}; python -m lab list")
    return found


def do_list(arguments: argparse.Namespace) -> int:
    """Print images and scenarios."""
    for image in IMAGES.values():
        there = built(image)
        print(f"image     {image.name:28} {there.kernel_release if there else 'not built'}")
    played = {record["scenario"]: record for record in runner.records()}
    for scenario in load_all():
        record = played.get(scenario.name)
        state = "" if record is None else f" [{record['error'] or 'played'}]"
        mark = "*" if scenario.selection else " "
        print(f"scenario {mark}{scenario.name:28} {scenario.title}{state}")
    print("* part of make test")
    return 0


def do_build(arguments: argparse.Namespace) -> int:
    """Build images."""
    require()
    unknown = set(arguments.image) - set(IMAGES)
    if unknown:
        raise LabError(f"no image {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    for name in arguments.image or IMAGES:
        started = time.monotonic()
        there = build(IMAGES[name])
        print(f"{name}: {there.kernel_release} ({time.monotonic() - started:.0f} s)", flush=True)
    return 0


def do_run(arguments: argparse.Namespace) -> int:
    """Play scenarios, as many at once as may run; the status tells whether every fault was proved."""
    require()
    started = time.monotonic()

    def play(scenario: Scenario) -> bool:
        def say(text: str) -> None:
            print(f"{time.monotonic() - started:7.1f} {scenario.name}: {text}", flush=True)

        try:
            image = build(IMAGES[scenario.image])
            record = runner.play(scenario, accel.choose(image.kernel), say, quick=arguments.selection)
        except Unavailable as problem:
            say(f"not played: {problem}")
            return False
        say(f"FAILED: {record['error']}" if record["error"] else f"played ({record['seconds']:.0f} s)")
        return record["error"] is None

    with ThreadPoolExecutor(MACHINES_AT_ONCE) as pool:
        try:
            played = list(pool.map(play, chosen(arguments)))
        except KeyboardInterrupt:
            # QEMU dies with this process, and what is half made is removed by the next run.
            os._exit(130)
    print(f"{sum(played)} of {len(played)} played in {(time.monotonic() - started) / 60:.0f} minutes")
    return do_score(arguments) or int(not all(played))


def do_score(arguments: argparse.Namespace) -> int:
    """Print what is found; keep it, and write the report, unless it was a quick selection."""
    scored = score.score_all(chosen(arguments), list(runner.records()))
    if not scored:
        raise LabError("nothing was played yet: python -m lab run")
    version = ledger.version()
    new = [ledger.row_of(each, version) for each in scored]
    print(ledger.table(new))
    print("\n".join(ledger.complaints(new)))
    if not arguments.selection:
        everything = load_all()
        ledger.write_report(ledger.keep(new, everything), everything)
        print(f"written: {ledger.REPORT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
