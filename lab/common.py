"""Places, errors and subprocesses of the lab."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(HERE)
CACHE = os.path.join(REPOSITORY, ".cache", "lab")
MACHINES_AT_ONCE = 2
PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))
"""All deadlines are multiplied by this: for machines that have better things to do."""


class LabError(Exception):
    """Something in the lab went wrong. One clear line."""


class Unavailable(LabError):
    """This machine cannot run the lab. The message says what is missing."""


class TimeLimit(LabError):
    """A deadline passed. The message says what was waited for."""


class Died(LabError):
    """QEMU ended while something was still expected of the machine."""


def run(
    argv: Sequence[str], *, deadline: float = 60, check: bool = True, stdin: Optional[str] = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of this machine and return what it said.

    :raises LabError: it failed and *check* is set
    :raises TimeLimit: it took longer than *deadline* seconds, times ``PATIENCE``
    :raises Unavailable: it is not installed
    """
    deadline *= PATIENCE
    try:
        done = subprocess.run(
            argv, input=stdin or "", capture_output=True, text=True, errors="replace", timeout=deadline
        )
    except FileNotFoundError:
        raise Unavailable(f"needs {argv[0]}") from None
    except subprocess.TimeoutExpired:
        raise TimeLimit(f"{argv[0]}: not done after {deadline:g} s") from None
    if check and done.returncode:
        raise LabError(f"{argv[0]} failed with {done.returncode}: {done.stderr.strip()[-800:]}")
    return done


def filtered(argv: Sequence[str], data: bytes) -> bytes:
    """Return what a command of this machine makes of *data*.

    :raises LabError: it failed
    :raises Unavailable: it is not installed
    """
    try:
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise Unavailable(f"needs {argv[0]}") from None
    except subprocess.CalledProcessError as problem:
        raise LabError(f"{argv[0]}: status {problem.returncode}") from None


_END = "<!-- end -->"


def _around(path: str, name: str) -> tuple[str, str, str]:
    """Return what stands before the place called *name* in a page, in it, and after it."""
    begin = f"<!-- measured: {name} -->\n"
    with open(path, encoding="utf-8") as stream:
        before, mark, rest = stream.read().partition(begin)
    if not mark:
        raise LabError(f"{path}: expected a line {begin.strip()}")
    inside, _, after = rest.partition(_END)
    return before + begin, inside, after


def measured(path: str, name: str) -> str:
    """Return what stands in a page between ``<!-- measured: NAME -->`` and ``<!-- end -->``."""
    return _around(path, name)[1]


def write_measured(path: str, name: str, text: str) -> None:
    """Put *text* into its place in a page, which :func:`measured` returns."""
    before, _, after = _around(path, name)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(f"{before}{text.strip()}\n{_END}{after}")


def digest(*parts: Any) -> str:
    """Return 12 hex digits that change with any of the JSON-like *parts*."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def tree_digest(top: str) -> str:
    """Return 12 hex digits that change with the names, modes or contents of the files below *top*."""
    found = []
    for where, _, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
            found.append((os.path.relpath(path, top), os.stat(path).st_mode & 0o111, content))
    return digest(sorted(found))


@contextlib.contextmanager
def staged(target: str) -> Iterator[str]:
    """Yield a new directory that becomes *target* when the block ends well, and is removed otherwise."""
    for left in glob.glob(f"{glob.escape(target)}.*.new"):
        if not os.path.exists(f"/proc/{left.split('.')[-2]}"):
            shutil.rmtree(left, ignore_errors=True)
    staging = f"{target}.{os.getpid()}.new"
    os.makedirs(staging)
    try:
        yield staging
        shutil.rmtree(target, ignore_errors=True)
        os.rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock *name* of the lab; wait for whoever holds it."""
    with _lock_file(name) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def machine_slot(deadline: float = 1800) -> Iterator[None]:
    """Hold one of the slots that bound how many machines run at once, over all processes."""
    limit = time.monotonic() + deadline
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_lock_file(f"machine-{slot}")) for slot in range(MACHINES_AT_ONCE)]
        while True:
            for stream in files:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                yield
                return
            if time.monotonic() > limit:
                raise TimeLimit(f"other machines of the lab were still running after {deadline:g} s")
            time.sleep(0.5)


def _lock_file(name: str) -> IO[str]:
    os.makedirs(os.path.join(CACHE, "locks"), exist_ok=True)
    return open(os.path.join(CACHE, "locks", name), "w", encoding="ascii")


def write_json(path: str, value: Any) -> None:
    """Write *value* as indented JSON."""
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, sort_keys=True)
        stream.write("\n")


def read_json(path: str) -> Any:
    """Return what :func:`write_json` wrote."""
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)
