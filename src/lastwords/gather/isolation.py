"""A child process with a deadline, whose messages survive it. The only module that forks.

A read can block for ever (a hung NFS mount, a FIFO, a task stuck in the kernel); no thread can be
stopped there and no signal may arrive. So the work is done by a child: what it has sent until the deadline
counts, then it is killed, and if even that takes too long it is abandoned, never waited for.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator

MEMORY_LIMIT = 1 << 30
"""Bytes of address space a child may have: it must fail by itself before the host does."""
REAP_SECONDS = 1.0
_FRAME = struct.Struct(">4sQ")
_PR_SET_PDEATHSIG = 1

Send = Callable[[bytes, bytes], None]
"""Sends one message to the parent: a kind of four letters, and bytes."""


class Deadline(Exception):
    """The child did not end in time. The message says whether it could be ended."""


class Died(Exception):
    """The child ended without saying that it was done. The message says how."""


def run_in_child(work: Callable[[Send], None], timeout: float) -> Iterator[tuple[bytes, bytes]]:
    """Run *work* in a child and yield the messages it sends, as they come.

    :param timeout: seconds until it is killed
    :raises Deadline: after the messages sent until then
    :raises Died: when it was killed by somebody else, or crashed
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(work, reader, writer)
    os.close(writer)
    try:
        yield from _messages(reader, time.monotonic() + timeout)
    except Deadline:
        raise Deadline(f"no end after {timeout:g} seconds{_end(pid)}") from None
    except BaseException:
        _end(pid)
        raise
    finally:
        os.close(reader)
    status = _wait(pid, REAP_SECONDS)
    if status is None:
        _end(pid)
    elif os.WIFSIGNALED(status):
        raise Died(f"killed by {signal.Signals(os.WTERMSIG(status)).name}")
    elif os.WEXITSTATUS(status):
        raise Died(f"exit status {os.WEXITSTATUS(status)}")


def _child(work: Callable[[Send], None], reader: int, writer: int) -> None:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.close(reader)
        _die_with_parent()
        _limit_memory()

        def send(kind: bytes, data: bytes) -> None:
            view = memoryview(_FRAME.pack(kind, len(data)) + data)
            while view:
                view = view[os.write(writer, view) :]

        work(send)
        status = 0
    except MemoryError:
        status = 9
    finally:
        # Not sys.exit: nothing of the parent (buffers, handlers, temporary files) is the child's to end.
        os._exit(status)


def _die_with_parent() -> None:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


def _limit_memory() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _messages(reader: int, deadline: float) -> Iterator[tuple[bytes, bytes]]:
    held = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            raise Deadline
        chunk = os.read(reader, 1 << 20)
        if not chunk:
            return
        held += chunk
        while len(held) >= _FRAME.size:
            kind, size = _FRAME.unpack_from(held)
            if len(held) < _FRAME.size + size:
                break
            data = bytes(held[_FRAME.size : _FRAME.size + size])
            del held[: _FRAME.size + size]
            yield kind, data


def _end(pid: int) -> str:
    """Kill the child and what it started; return what a reader should know of a child that stays."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            pass
    if _wait(pid, REAP_SECONDS) is None:
        return f"; process {pid} is stuck in the kernel and was abandoned"
    return ""


def _wait(pid: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    pause = 0.001
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > deadline:
            return None
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
