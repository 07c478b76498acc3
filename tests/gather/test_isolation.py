"""A child that hangs, dies or eats memory costs its own results only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lastwords.gather.isolation import Deadline, Died, Send, run_in_child
from lastwords.gather.run import gather
from lastwords.hookspecs import Collector
from lastwords.model import Facts, NoData, Outcome, Skipped
from lastwords.roots.base import Root
from lastwords.roots.live import directory_root, live_root


class Probe(Collector):
    """A collector made of a function."""

    name = "probe"
    title = "a probe"
    timeout = 30.0
    schema = {"$id": "urn:test:probe:1.0", "type": "object", "additionalProperties": {"type": "integer"}}

    def __init__(self, body: Any) -> None:
        self.body = body

    def collect(self, root: Root) -> Iterator[Facts]:
        yield from self.body(root)


def ended(body: Any, root: Root | None = None, timeout: float | None = None) -> Any:
    """Run a probe alone and return its result."""
    return gather(root or live_root(), [Probe(body)], timeout=timeout).results["probe"]


def test_messages_come_in_order_and_whole() -> None:
    big = os.urandom(3_000_000)

    def work(send: Send) -> None:
        send(b"AAAA", b"1")
        send(b"BBBB", big)
        send(b"CCCC", b"")

    assert list(run_in_child(work, 10)) == [(b"AAAA", b"1"), (b"BBBB", big), (b"CCCC", b"")]


def test_a_killed_child_is_told_from_a_late_one() -> None:
    with pytest.raises(Died, match="SIGKILL"):
        list(run_in_child(lambda send: os.kill(os.getpid(), signal.SIGKILL), 10))
    with pytest.raises(Died, match="exit status 1"):
        list(run_in_child(lambda send: sys.exit(5), 10))
    started = time.monotonic()
    with pytest.raises(Deadline, match=r"no end after 0\.3 seconds$"):
        list(run_in_child(lambda send: time.sleep(60), 0.3))
    assert time.monotonic() - started < 5


def test_a_fifo_on_a_host_is_refused_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "conf")

    def body(root: Root) -> Iterator[Facts]:
        assert root.text("/conf") is None
        yield {"a": 1}

    result = ended(body, directory_root(str(tmp_path)))
    assert result.outcome is Outcome.PARTIAL
    assert result.reason == "not read: /conf (not a regular file)"
    assert result.facts == {"a": 1}


def test_a_read_that_hangs_loses_only_what_comes_after_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def body(root: Root) -> Iterator[Facts]:
        yield {"before": 1}
        (tmp_path / "pipe").read_bytes()  # nobody ever writes
        yield {"after": 2}

    started = time.monotonic()
    result = ended(body, timeout=0.5)
    assert time.monotonic() - started < 5
    assert result.outcome is Outcome.TIMEOUT
    assert result.facts == {"before": 1}


FUSE_SERVER = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"stopped", sys.argv[1].encode(), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
time.sleep(600)  # a server that never answers
"""


@pytest.fixture
def stopped_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A FUSE mount whose server does not answer: every access hangs in the kernel."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and /dev/fuse")
    point = tmp_path / "hung"
    point.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-c", FUSE_SERVER, str(point)], stdout=-1, stderr=-1, text=True
    )
    assert server.stdout and server.stderr
    if server.stdout.readline().strip() != "mounted":
        pytest.skip(f"cannot mount FUSE here: {server.stderr.read().strip()}")
    try:
        yield point
    finally:
        server.kill()
        server.communicate()
        subprocess.run(["umount", "-l", str(point)], check=False, capture_output=True)


def test_a_filesystem_that_does_not_answer_never_hangs_the_run(stopped_filesystem: Path) -> None:
    def body(root: Root) -> Iterator[Facts]:
        yield {"before": 1}
        root.usage(f"{stopped_filesystem}/x")
        yield {"after": 2}

    started = time.monotonic()
    result = ended(body, timeout=1)
    assert time.monotonic() - started < 6
    assert result.outcome is Outcome.TIMEOUT
    assert result.facts == {"before": 1}


def test_commands_end_with_the_child_that_started_them() -> None:
    mark = f"{600 + os.getpid() % 100}.{time.monotonic_ns()}"

    def body(root: Root) -> Iterator[Facts]:
        root.run(["sleep", mark], timeout=60)
        yield {"a": 1}

    assert ended(body, timeout=0.5).outcome is Outcome.TIMEOUT
    time.sleep(0.2)
    assert not [
        process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", mark]
    ]


def test_a_command_that_does_not_end_is_a_gap() -> None:
    def body(root: Root) -> Iterator[Facts]:
        assert root.run(["sleep", "60"], timeout=0.2) is None
        yield {"a": 1}

    result = ended(body)
    assert result.outcome is Outcome.PARTIAL
    assert result.reason == "not read: $ sleep 60 (no end after 0.2 seconds)"


def test_a_collector_that_eats_memory_dies_alone() -> None:
    def body(root: Root) -> Iterator[Facts]:
        yield {"before": 1}
        hog = [bytearray(1 << 28) for _ in range(64)]
        yield {"after": len(hog)}

    result = ended(body)
    assert result.outcome is Outcome.ERROR
    assert "memory limit" in result.reason
    assert result.facts == {"before": 1}


def raising(problem: BaseException, *, first: bool = False) -> Any:
    """Return a body that raises, after yielding facts if *first*."""

    def body(root: Root) -> Iterator[Facts]:
        if first:
            yield {"a": 1}
        raise problem

    return body


@pytest.mark.parametrize(
    ("body", "outcome", "reason", "facts"),
    [
        (raising(NoData("nothing here")), Outcome.NO_DATA, "nothing here", None),
        (raising(Skipped("not for this")), Outcome.SKIPPED, "not for this", None),
        (raising(PermissionError(13, "denied")), Outcome.DENIED, "PermissionError: [Errno 13] denied", None),
        (raising(ValueError("odd\nvalue"), first=True), Outcome.ERROR, "ValueError: odd value", {"a": 1}),
        (lambda root: iter([]), Outcome.NO_DATA, "it yielded no facts", None),
        (lambda root: iter([{"a": 1}, {"a": 2}]), Outcome.OK, None, {"a": 2}),
        (
            lambda root: iter([{"a": "text"}]),
            Outcome.ERROR,
            "the facts do not fit their schema: $.a: 'text' is not of type 'integer'",
            {"a": "text"},
        ),
    ],
)
def test_outcomes(body: Any, outcome: Outcome, reason: str | None, facts: Facts | None) -> None:
    result = ended(body)
    assert (result.outcome, result.reason, result.facts) == (outcome, reason, facts)


def test_absence_is_no_gap_and_denial_is(tmp_path: Path) -> None:
    def body(root: Root) -> Iterator[Facts]:
        root.text("/no/such/file")
        yield {"a": 1}

    assert ended(body).outcome is Outcome.OK
    if os.geteuid() == 0:
        pytest.skip("nothing is denied to root")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)

    def denied(root: Root) -> Iterator[Facts]:
        root.text("/secret")
        yield {"a": 1}

    assert ended(denied, directory_root(str(tmp_path))).outcome is Outcome.PARTIAL


def test_the_whole_run_ends_in_time_with_what_it_has() -> None:
    def slow(root: Root) -> Iterator[Facts]:
        yield {"before": 1}
        time.sleep(30)
        yield {"after": 2}

    first, second = Probe(slow), Probe(lambda root: iter([{"a": 1}]))
    second.name = "second"  # type: ignore[misc]
    started = time.monotonic()
    results = gather(live_root(), [first, second], within=0.5).results
    assert time.monotonic() - started < 5
    assert (results["probe"].outcome, results["probe"].facts) == (Outcome.TIMEOUT, {"before": 1})
    assert (results["second"].outcome, results["second"].facts) == (Outcome.TIMEOUT, None)
    assert results["second"].reason == "not begun: the 0.5 seconds for all were over"
