"""``lastwords top``: live, whom the kernel would kill next, and why."""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Optional

from lastwords.analyzer.opening import open_case
from lastwords.analyzer.prediction import Arena, NotPredictable, Prediction, WhatIf, predict
from lastwords.cli import options
from lastwords.cli.collect import die_first
from lastwords.formats import FormatError
from lastwords.formats.sizes import parse_size
from lastwords.gather.snapshot import snapshot
from lastwords.model import ExitCode, Facts, NoData
from lastwords.plugins import Plugins
from lastwords.reports.ranking import Frame, Trend, screen
from lastwords.roots.live import live_root

if TYPE_CHECKING:
    from rich.console import Console

DESCRIPTION = """\
Show whom the kernel would kill next if memory ran out now, and why: on the whole host, and in each control
group with a memory limit. The ranking is the kernel's own, recomputed; it is held against the scores that the
kernel shows. On a terminal the screen is refreshed until q is pressed; elsewhere it is printed once."""
NEEDS = ("processes", "memory", "kernel", "oom", "host")
"""Collectors that a prediction uses."""
ROWS = 20
"""Processes shown when printed once."""
AGES = 6
"""Earlier looks kept, to tell who grows."""
REST = 10
"""At most this part of one CPU is used: a screen must not load a dying host."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument("--once", action="store_true", help="print it once")
    parser.add_argument("--json", action="store_true", help="print it once, as JSON")
    parser.add_argument(
        "-n", "--number", type=_count, metavar="N", help="processes shown (default: as many as fit)"
    )
    parser.add_argument(
        "-d", "--delay", type=options.seconds, default=2.0, metavar="SECONDS", help="between two looks"
    )
    parser.add_argument(
        "--cgroup", metavar="GROUP", help="look into this control group with a limit: its path, or its unit"
    )
    parser.add_argument(
        "--from", dest="source", metavar="PATH", help="a bundle or sosreport instead of this host"
    )
    options.add_color(parser)
    group = parser.add_argument_group("what if")
    group.add_argument(
        "--adj",
        type=_pair,
        action="append",
        default=[],
        metavar="PID=VALUE",
        help="suppose this oom_score_adj",
    )
    group.add_argument(
        "--grow",
        type=_pair,
        action="append",
        default=[],
        metavar="PID=SIZE",
        help="suppose so much more memory",
    )
    group.add_argument("--swap", type=_size, metavar="SIZE", help="suppose so much swap; 0 for none")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    what_if = _what_if(arguments)
    if arguments.source is not None:
        facts, taken_at = _opened(arguments.source, arguments.plugins)
        return _once(arguments, facts, taken_at, what_if)
    die_first()
    refreshes = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if arguments.once or arguments.json or not refreshes:
        return _once(arguments, _looked(), time.time(), what_if)
    return _watch(arguments, what_if)


def _looked() -> dict[str, Facts]:
    try:
        return snapshot(live_root())
    except NoData as problem:
        raise NotPredictable(f"/proc: {problem}") from None


def _opened(path: str, plugins: Plugins) -> tuple[Mapping[str, Facts], Optional[float]]:
    collectors = {name: each for name, each in plugins.collectors().items() if name in NEEDS}
    case = open_case(path, collectors)
    return case.facts, case.taken_at


def _once(
    arguments: argparse.Namespace,
    facts: Mapping[str, Facts],
    taken_at: Optional[float],
    what_if: WhatIf,
) -> int:
    prediction = predict(facts, what_if)
    arena = _arena(prediction, arguments.cgroup)
    if arguments.json:
        document = prediction.to_json(arguments.number)
        document.update(hostname=_hostname(facts), taken_at=taken_at)
        if arena.path is not None:
            document["groups"] = [arena.to_json(arguments.number)]
        print(json.dumps(document, indent=2))
        return ExitCode.OK
    console = _console(arguments)
    frame = Frame(_hostname(facts) or arguments.source or "this host", taken_at, prediction, arena)
    with console.capture() as captured:
        console.print(screen(frame, console, arguments.number or ROWS))
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
    return ExitCode.OK


def _watch(arguments: argparse.Namespace, what_if: WhatIf) -> int:
    from rich.live import Live

    console = _console(arguments)
    history: deque[tuple[float, Prediction]] = deque(maxlen=AGES)
    with _keys() as quit_after, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            started, used = time.monotonic(), time.process_time()
            facts = _looked()
            prediction = predict(facts, what_if)
            history.append((started, prediction))
            frame = Frame(
                _hostname(facts) or "this host",
                time.time(),
                prediction,
                _arena(prediction, arguments.cgroup),
                _trend(history),
                live=True,
            )
            live.update(screen(frame, console, arguments.number), refresh=True)
            took = time.monotonic() - started
            if quit_after(max(arguments.delay - took, (time.process_time() - used) * REST)):
                return ExitCode.OK


def _trend(history: deque[tuple[float, Prediction]]) -> Trend:
    """Return how fast processes grow and memory shrinks, over the looks that are kept."""
    (then, before), (now, after) = history[0], history[-1]
    seconds = now - then
    if seconds <= 0:
        return Trend()
    sizes = {(each.pid, each.record.get("start_ticks")): each.size for each in before.host.ranking}
    growth = {
        each.pid: (each.size - sizes[key]) / seconds
        for each in after.host.ranking
        if (key := (each.pid, each.record.get("start_ticks"))) in sizes
    }
    falls = (before.supply.left - after.supply.left) / seconds
    return Trend(growth, after.supply.left / falls if falls > 0 else None)


def _arena(prediction: Prediction, wanted: Optional[str]) -> Arena:
    """Return the host, or the group that was asked for by its path or the end of it."""
    if wanted is None:
        return prediction.host
    for exact in (True, False):
        for group in prediction.groups:
            path = group.path or ""
            if path == wanted or (not exact and path.endswith("/" + wanted.strip("/"))):
                return group
    limited = ", ".join(str(group.path) for group in prediction.groups[:8]) or "none"
    raise options.UsageError(f"--cgroup {wanted}: expected one with a limit and processes: {limited}")


def _hostname(facts: Mapping[str, Facts]) -> Optional[str]:
    return (facts.get("host") or {}).get("hostname")


def _console(arguments: argparse.Namespace) -> Console:
    from rich.console import Console

    color = options.use_color(arguments.color)
    return Console(
        highlight=False,
        markup=False,
        emoji=False,
        no_color=not color,
        force_terminal=True if color else None,
        soft_wrap=False,
    )


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give a function that waits some seconds and tells whether q was pressed meanwhile."""
    import termios
    import tty

    def wait(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([sys.stdin], [], [], left)[0]:
                return False
            pressed = os.read(sys.stdin.fileno(), 64)
            if not pressed or b"q" in pressed.lower():
                return True
        return False

    def sleep(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    if not sys.stdin.isatty():
        yield sleep
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield wait
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _what_if(arguments: argparse.Namespace) -> WhatIf:
    adj: dict[int, int] = {}
    for pid, text in arguments.adj:
        try:
            adj[pid] = int(text)
        except ValueError:
            adj[pid] = 9999
        if not -1000 <= adj[pid] <= 1000:
            raise options.UsageError(f"--adj {pid}={text}: expected a number from -1000 to 1000")
    return WhatIf(adj, {pid: _size(text) for pid, text in arguments.grow}, arguments.swap)


def _pair(text: str) -> tuple[int, str]:
    pid, equals, value = text.partition("=")
    if not pid.isdecimal() or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r}: expected PID=VALUE")
    return int(pid), value


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except FormatError as problem:
        raise options.UsageError(str(problem)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return int(text)
