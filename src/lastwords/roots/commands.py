"""Runs commands on the live host. The only module of the package that starts subprocesses."""

from __future__ import annotations

import errno
import io
import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

from lastwords.roots.base import CommandSource, Output

OUTPUT_LIMIT = 16 << 20
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Never the caller's PATH: the tool runs as root."""


class LiveCommands(CommandSource):
    """Commands of the running host: fixed PATH, C locale, no input, a deadline, bounded output.

    They share the process group of the collector's child, so that abandoning it ends them too.
    """

    def _start(self, argv: Sequence[str], stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
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
        if process.stdout is not None:
            process.stdout.close()
        return Output(tuple(argv), data, process.wait(), False)

    def stream(self, argv: Sequence[str], timeout: float) -> AbstractContextManager[BinaryIO]:
        return io.BufferedReader(_Pipe(self._start(argv, stderr=subprocess.PIPE), timeout), _Pipe.SIZE)


class _Pipe(io.RawIOBase):
    """The output of a running command, until a deadline; closing it ends the command.

    A command that fails without any output raises at the end what it complained of.
    """

    SIZE = 1 << 16
    COMPLAINT = 4096

    def __init__(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        self._process = process
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._selector = selectors.DefaultSelector()
        self._silent = True
        self._complaint = b""
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                self._selector.register(pipe, selectors.EVENT_READ)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._selector.get_map():
            left = self._deadline - time.monotonic()
            ready = self._selector.select(left) if left > 0 else []
            if not ready:
                raise TimeoutError(110, f"no end after {self._timeout:g} seconds")
            for key, _ in ready:
                chunk = os.read(key.fd, min(len(buffer), self.SIZE))
                if not chunk:
                    self._selector.unregister(key.fileobj)
                elif key.fileobj is self._process.stderr:
                    self._complaint = (self._complaint + chunk)[-self.COMPLAINT :]
                else:
                    self._silent = False
                    buffer[: len(chunk)] = chunk
                    return len(chunk)
        self._judge()
        return 0

    def _judge(self) -> None:
        try:
            code = self._process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError(110, f"no end after {self._timeout:g} seconds") from None
        if code == 0 or not self._silent:
            return
        words = self._complaint.decode("utf-8", "replace").split("\n")
        reason = next((line.strip() for line in reversed(words) if line.strip()), f"exit status {code}")
        if "not permitted" in reason.lower() or "permission" in reason.lower():
            raise PermissionError(errno.EACCES, reason)
        raise OSError(errno.EIO, reason)

    def close(self) -> None:
        if not self.closed:
            self._selector.close()
            if self._process.stderr is not None:
                self._process.stderr.close()
            _kill(self._process)
        super().close()


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
