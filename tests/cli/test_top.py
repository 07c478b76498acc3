"""``lastwords top`` on this very host, on a bundle of it, and on a terminal."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from lastwords import schemas
from lastwords.analyzer.prediction import predict
from lastwords.reports.ranking import Frame, Trend, screen

GOLDEN = Path(__file__).parent.parent / "golden"


def lastwords(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lastwords", *argv], capture_output=True, text=True, timeout=120
    )


def checked(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    jsonschema.Draft202012Validator(schemas.load("prediction")).validate(document)
    return document


def drawn(width: int, **changes: Any) -> str:
    facts = {
        topic: json.loads((GOLDEN / "rhel9" / f"{topic}.json").read_text())
        for topic in ("processes", "memory", "kernel", "oom", "host")
    }
    facts["processes"]["records"][11].update(changes)
    prediction = predict(facts)
    console = Console(width=width, height=24, no_color=True, highlight=False, markup=False)
    frame = Frame("db12", 1772445600.0, prediction, prediction.host, Trend({1201: 5e6}, 90.0), live=True)
    with console.capture() as captured:
        console.print(screen(frame, console))
    return captured.get()


def test_a_process_that_holds_memory_and_asks_to_be_first_is_named() -> None:
    code = "held = b'x' * (32 << 20); open('/proc/self/oom_score_adj', 'w').write('1000'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        shown = checked(lastwords("top", "--json").stdout)
        kept = checked(lastwords("top", "--json", "-n", "2", "--adj", f"{child.pid}=0").stdout)
        text = lastwords("top", "--once").stdout
        child.communicate("\n")
    ranks = {each["pid"]: number for number, each in enumerate(shown["host"]["ranking"])}
    assert ranks[child.pid] < 5  # a test beside this one may do the same
    assert str(child.pid) in text
    assert len(kept["host"]["ranking"]) == 2
    assert child.pid not in [each["pid"] for each in kept["host"]["ranking"][:1]]


def test_it_does_not_name_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lastwords", "top", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        shown = checked(process.communicate(timeout=60)[0])
    assert process.pid not in [each["pid"] for each in shown["host"]["ranking"]]
    assert os.getpid() in [each["pid"] for each in shown["host"]["ranking"]]


def test_a_bundle_is_looked_at_as_it_was(tmp_path: Path) -> None:
    bundle = lastwords(
        "collect", "-q", "--only", "processes,memory,kernel,oom,host", "-o", str(tmp_path)
    ).stdout
    shown = checked(lastwords("top", "--from", bundle.strip(), "--json").stdout)
    assert shown["check"]["compared"] >= 1
    assert shown["kernel_release"] == os.uname().release
    assert "Next" in lastwords("top", "--from", bundle.strip()).stdout


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--adj", "1"], 2, "expected PID=VALUE"),
        (["--adj", "1=2000"], 2, "expected a number from -1000 to 1000"),
        (["--grow", "1=much"], 2, "expected a size such as"),
        (["--swap", "?"], 2, "expected a size such as"),
        (["--adj", "4194304=0", "--once"], 4, "process 4194304: there is none"),
        (["--cgroup", "no-such.service", "--once"], 2, "expected one with a limit"),
        (["-n", "0"], 2, "above 0"),
        (["--from", "/nonexistent"], 4, "/nonexistent: no such file"),
        (["--from", "/dev/null"], 4, "/dev/null"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(argv: list[str], code: int, words: str) -> None:
    done = lastwords("top", *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_may_know_ascii_only() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lastwords", "top", "--once"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"...." in done.stdout


def test_a_disk_has_no_processes(tmp_path: Path) -> None:
    for name in ("etc", "usr"):
        (tmp_path / name).mkdir()
    done = lastwords("top", "--from", str(tmp_path))
    assert done.returncode == 4
    assert "no processes in this input" in done.stderr


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_screen_fits(width: int) -> None:
    lines = drawn(width).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    text = " ".join("\n".join(lines).split())
    for words in (
        "postmaster (1201)",
        "holds the most memory: 2.0 GiB",
        "used up in 1m 30s",
        "never killed (-1000)",
    ):
        assert words in text


def test_a_hostile_name_does_not_reach_the_terminal() -> None:
    text = drawn(80, comm="\x1b]0;x\x07[red]\n", oom_score_adj=900)
    assert "\x1b" not in text
    assert "[red]" in text


def test_on_a_terminal_q_quits_and_leaves_it_as_it_was() -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(follower)
    with subprocess.Popen(
        [sys.executable, "-m", "lastwords", "top", "-d", "0.2"],
        stdin=follower,
        stdout=follower,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color"},
    ) as process:
        shown = b""
        deadline = time.monotonic() + 60
        while b"quits" not in shown and time.monotonic() < deadline:
            if select.select([leader], [], [], 1)[0]:
                shown += os.read(leader, 1 << 16)
        os.write(leader, b"q")
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([leader], [], [], 0.1)[0]:
                try:
                    os.read(leader, 1 << 16)
                except OSError as problem:
                    assert problem.errno == errno.EIO
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert b"Next" in shown
    assert termios.tcgetattr(follower) == before
    os.close(leader)
    os.close(follower)
