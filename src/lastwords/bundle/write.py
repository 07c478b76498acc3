"""Writes a bundle: into a directory beside its final name, synced, then renamed. No half bundle is left
under a final name, whatever ends the run."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import shutil
import tarfile
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Optional

from lastwords.bundle import facts_files
from lastwords.model import Event, LastwordsError

FORMATS = ("tar.zst", "tar.xz", "tar.gz", "tar", "dir")
NAME_LIMIT = 240
"""Bytes of one part of a file name; longer ones are cut and get a hash."""


class OutputError(LastwordsError):
    """The output cannot be written: disk full, no permission, name taken."""


def new_identity(now: Optional[float] = None) -> str:
    """Return a name for a bundle: UTC time and a random part; no host name."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return f"lastwords-{stamp}-{secrets.token_hex(3)}"


def format_for(output: Optional[str]) -> str:
    """Return the format that an output's name ends in; else ``tar.zst``, ``tar.xz`` without zstandard."""
    for form in FORMATS:
        if output and output.endswith("." + form):
            return form
    return "tar.zst" if _has_zstd() else "tar.xz"


def _has_zstd() -> bool:
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True


def destination(output: Optional[str], identity: str, form: str) -> str:
    """Return the final path: *output* itself, or a new name in it when it is a directory.

    :raises OutputError: it exists already, or its directory does not
    """
    suffix = "" if form == "dir" else "." + form
    folder = output or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else ".")
    path = os.path.join(folder, identity + suffix) if os.path.isdir(folder) else str(output)
    if os.path.lexists(path):
        raise OutputError(f"{path}: exists already")
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise OutputError(f"{path}: there is no directory {parent}")
    return path


class BundleWriter:
    """A bundle in the making. Leave it with :meth:`finish` or :meth:`abort`.

    :param path: its final name
    :param form: one of :data:`FORMATS`
    :raises OutputError: the directory for it cannot be made, or the form needs what is not installed
    """

    def __init__(self, path: str, form: str) -> None:
        if form == "tar.zst" and not _has_zstd():
            raise OutputError(
                f"{path}: tar.zst needs the Python package zstandard, which is not installed here: "
                "give a name that ends in .tar.xz"
            )
        self.path = path
        self.form = form
        folder, name = os.path.split(os.path.abspath(path))
        self.top = name if form == "dir" else name[: -len(form) - 1] if name.endswith("." + form) else name
        self.staging = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.partial")
        self._guard(lambda: os.mkdir(self.staging, 0o700))

    def store(self, name: str, data: bytes) -> str:
        """Keep *data* under *name* and return the name it got: another if different bytes have it already.

        Safe in child processes. :raises OutputError: it cannot be written
        """
        name = _fit(name)
        if not self._write(name, data):
            other = f"{name}.{hashlib.sha256(data).hexdigest()[:8]}"
            if not self._same(name, data):
                self._write(other, data)
                return other
        return name

    def add(self, name: str, data: bytes) -> None:
        """Write a file of the bundle itself."""
        if not self._write(name, data):
            raise OutputError(f"{self.path}: {name} was written twice")

    def finish(self, manifest: dict[str, Any], events: Sequence[Event]) -> str:
        """Write manifest and events, give the bundle its final name, return it."""
        self.add("events.jsonl", facts_files.dump_lines(events))
        self.add("manifest.json", facts_files.dump(manifest))
        if self.form == "dir":
            self._guard(lambda: _sync_tree(self.staging))
            self._rename(self.staging)
        else:
            archive = self.staging + ".archive"
            try:
                self._guard(lambda: self._pack(archive))
                self._rename(archive)
            finally:
                if os.path.exists(archive):
                    os.unlink(archive)
                self.abort()
        return self.path

    def abort(self) -> None:
        """Remove everything written so far."""
        shutil.rmtree(self.staging, ignore_errors=True)

    def _rename(self, source: str) -> None:
        if os.path.lexists(self.path):
            raise OutputError(f"{self.path}: exists already")
        self._guard(lambda: os.rename(source, self.path))
        self._guard(lambda: _sync(os.path.dirname(os.path.abspath(self.path))))

    def _write(self, name: str, data: bytes) -> bool:
        """Write a new file; return False when the name is taken."""
        path = os.path.join(self.staging, name)

        def write() -> bool:
            try:
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except (FileExistsError, IsADirectoryError, NotADirectoryError):
                return False
            with open(descriptor, "wb", buffering=0) as stream:
                view = memoryview(data)
                while view:
                    view = view[stream.write(view) :]
            return True

        return bool(self._guard(write))

    def _same(self, name: str, data: bytes) -> bool:
        try:
            with open(os.path.join(self.staging, name), "rb") as stream:
                return stream.read() == data
        except OSError:
            return False

    def _pack(self, archive: str) -> None:
        descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as raw:
            with _compressed(raw, self.form) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
                for name in ("manifest.json", *sorted(set(_files(self.staging)) - {"manifest.json"})):
                    info = tar.gettarinfo(os.path.join(self.staging, name), f"{self.top}/{name}")
                    info.uid = info.gid = 0
                    info.mtime = int(info.mtime)
                    info.uname = info.gname = ""
                    with open(os.path.join(self.staging, name), "rb") as content:
                        tar.addfile(info, content)
            raw.flush()
            os.fsync(raw.fileno())

    def _guard(self, action: Callable[[], Any]) -> Any:
        """Run an action on the output; any failure is one clear line that ends the run."""
        try:
            return action()
        except OSError as problem:
            reason = (problem.strerror or str(problem)).lower()
            hint = ": give another place with -o" if problem.errno in (errno.ENOSPC, errno.EROFS) else ""
            raise OutputError(f"{self.path}: cannot be written: {reason}{hint}") from None


def _fit(name: str) -> str:
    """Return a safe file name: no part over NAME_LIMIT bytes, none that climbs, no odd bytes."""
    parts = []
    for part in name.split("/"):
        if part in ("", ".", ".."):
            continue
        part = "".join(c if c.isprintable() else "_" for c in part)
        raw = part.encode("utf-8", "surrogateescape")
        if len(raw) > NAME_LIMIT:
            part = raw[:200].decode("utf-8", "ignore") + "~" + hashlib.sha256(raw).hexdigest()[:16]
        parts.append(part)
    return "/".join(parts)


def _compressed(raw: BinaryIO, form: str) -> Any:
    if form == "tar.zst":
        import zstandard

        return zstandard.ZstdCompressor(level=6).stream_writer(raw, closefd=False)
    if form == "tar.xz":
        import lzma

        return lzma.LZMAFile(raw, "w", preset=2)
    if form == "tar.gz":
        import gzip

        return gzip.GzipFile("", "wb", 6, raw, mtime=0)
    return _Open(raw)


class _Open(io.BufferedIOBase):
    """Passes writes on; closing it leaves the file open."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._raw.write(data)


def _files(top: str) -> list[str]:
    return [
        os.path.relpath(os.path.join(folder, name), top)
        for folder, _, names in os.walk(top)
        for name in names
    ]


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(top: str) -> None:
    # One syncfs-like pass over a few hundred small files; their directories come last.
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            _sync(os.path.join(folder, name))
        _sync(folder)
