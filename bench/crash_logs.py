"""``lastwords oops`` on long logs: against ``grep -E`` of the same headers, and whether it is linear.

    $ python bench/crash_logs.py [--quiet MEGABYTES]

Three logs are made: a quiet syslog without any report, and two with 65 and 344 reports in 10 and 50 MB.
Prints ratios, which do not depend on the machine. Fails when the quiet log takes more processor time than
grep does, the larger log more than six times that of the smaller, or any run more than 100 MB.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from crash_texts import SAMPLES

from lastwords.formats.crash.reports import KINDS

MOST_TIMES_GREP = 1.0
MOST_GROWTH = 6.0
MOST_MEMORY = 100e6
LINES = (
    "sshd[{0}]: Accepted publickey for app from 10.0.{1}.{2} port {0} ssh2",
    "CRON[{0}]: (root) CMD (run-parts --report /etc/cron.hourly)",
    "systemd[1]: Started session-{1}.scope - Session {1} of User app.",
    "nginx[{0}]: 10.1.{1}.{2} GET /api/v1/items/{0} HTTP/1.1 200 upstream 0.0{2}",
    "postgres[{0}]: LOG:  checkpoint complete: wrote {0} buffers ({1}.{2}%); sync files={1}",
    "app[{0}]: WARNING: retry {1} of request {0} failed, error code {2}",
    "kernel: [{0}.{1}{2}] eth0: link up, 1000 Mbps, full duplex",
)
WEIGHTS = (20, 8, 6, 30, 10, 8, 1)


def quiet_lines(chance: random.Random) -> Iterator[str]:
    """Yield lines of a syslog on which nothing happens."""
    made = [
        "Mar  1 02:14:07 web "
        + chance.choices(LINES, WEIGHTS)[0].format(*(chance.randrange(10, 99999) for _ in range(3)))
        + "\n"
        for _ in range(20_000)
    ]
    while True:
        yield from made


def write(path: Path, megabytes: int, reports: int, chance: random.Random) -> None:
    """Write a log of a size, reports spread evenly over it."""
    quiet, each = quiet_lines(chance), megabytes * 1_000_000 // max(1, reports)
    samples = list(SAMPLES.values())
    size = 0
    with path.open("w") as stream:
        for number in range(max(1, reports)):
            if reports:
                for text in chance.choice(samples).text.splitlines():
                    size += stream.write(f"Mar  1 02:14:07 web kernel: [{number}.000000] {text}\n")
            while size < (number + 1) * each:
                size += stream.write(next(quiet))


def as_ere(pattern: str) -> str:
    """Return one of the header expressions as POSIX tools know them; what they cannot say is left out."""
    pattern = re.sub(r"\(\?<?[!=](?:[^()]|\([^()]*\))*\)", "", pattern)
    pattern = re.sub(r"\(\?(?:P<\w+>|:)", "(", pattern).replace(r"\d", "[0-9]").replace(r"\S", "[^ ]")
    pattern = re.sub(r"\[([^\]]*)\\w([^\]]*)\]", r"[\1[:alnum:]_\2]", pattern)
    pattern = pattern.replace(r"\w", "[[:alnum:]_]").replace(r"\b", "").replace(r"\s", "[ ]")
    return re.sub(r"([*+?}])\?", r"\1", pattern).removeprefix("^")


def run(*command: str, environment: dict[str, str] | None = None) -> tuple[float, int]:
    """Run a command; return its processor seconds and its peak memory in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{command[0]}: {error.decode()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def oops(path: Path) -> tuple[float, int]:
    """Run ``lastwords oops`` on a log, as installed: with compiled modules."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return run(sys.executable, "-m", "lastwords", "oops", "--jsonl", str(path), environment=environment)


def main() -> int:
    """Make the logs, measure in turns, print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quiet", type=int, default=300, metavar="MEGABYTES", help="size of the quiet log")
    arguments = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quiet, small, large = folder / "quiet", folder / "small", folder / "large"
        write(quiet, arguments.quiet, 0, chance)
        write(small, 10, 65, chance)
        write(large, 50, 344, chance)
        headers = folder / "headers"
        headers.write_text("\n".join(as_ere(kind.header.pattern) for kind in KINDS) + "\n")
        taken: dict[str, list[float]] = {"grep": [], "quiet": [], "small": [], "large": []}
        peak = 0
        for _ in range(3):
            taken["grep"].append(
                run(
                    "grep",
                    "-E",
                    "-c",
                    "-f",
                    str(headers),
                    str(quiet),
                    environment={**os.environ, "LC_ALL": "C"},
                )[0]
            )
            for path in (quiet, small, large):
                seconds, memory = oops(path)
                taken[path.name].append(seconds)
                peak = max(peak, memory)
        best = {what: min(times) for what, times in taken.items()}
    speed = best["quiet"] / best["grep"]
    growth = best["large"] / best["small"]
    print(f"quiet syslog of {arguments.quiet} MB, processor seconds:")
    print(f"  grep -E {best['grep']:.2f}, lastwords oops {best['quiet']:.2f}")
    print(f"  {speed:.2f} times the processor time of grep -E of {len(KINDS)} headers")
    print(f"50 MB with 344 reports against 10 MB with 65: {growth:.2f} times the time")
    print(f"peak memory: {peak / 1e6:.0f} MB")
    return int(speed > MOST_TIMES_GREP or growth > MOST_GROWTH or peak > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
