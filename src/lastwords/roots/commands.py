"""Runs commands on the live host. The only module of the package that starts subprocesses."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from lastwords.roots.base import CommandSource, Output, iter_lines

OUTPUT_LIMIT = 16 << 20
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Never the caller's PATH: the tool runs as root."""


class LiveCommands(CommandSource):
    """Commands of the running host: fixed PATH, C locale, no input, a deadline, bounded output.

    They share the process group of the collector's child, so that abandoning it ends them too.
    """

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": PATH, "LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat"},
            cwd="/",
        )

    def output(self, argv: Sequence[str], timeout: float) -> Output:
        process = self._start(argv)
        try:
            data, truncated = _drain(process, timeout)
        except BaseException:
            _kill(process)
            raise
        if truncated:
            _kill(process)
            return Output(tuple(argv), data, None, True)
        return Output(tuple(argv), data, process.wait(), False)

    def lines(self, argv: Sequence[str], timeout: float) -> Iterator[bytes]:
        process = self._start(argv)
        # Closing its output ends a command that still writes; one that is stuck falls to the deadline
        # of the collector, which is a process of its own.
        try:
            if process.stdout is not None:
                yield from iter_lines(cast(BinaryIO, process.stdout))
        finally:
            _kill(process)


def _drain(process: subprocess.Popen[bytes], timeout: float) -> tuple[bytes, bool]:
    deadline = time.monotonic() + timeout
    chunks: list[bytes] = []
    size = 0
    pipe = process.stdout
    if pipe is None:
        return b"", False
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise TimeoutError(110, f"no end after {timeout:g} seconds")
            chunk = os.read(pipe.fileno(), 1 << 16)
            if not chunk:
                return b"".join(chunks), False
            chunks.append(chunk)
            size += len(chunk)
            if size > OUTPUT_LIMIT:
                return b"".join(chunks)[:OUTPUT_LIMIT], True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the command; do not wait for one that is stuck in the kernel."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.kill()
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            pass
