"""Where reports go: standard output, one file, or a file for each input in a directory."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from typing import Union

from lastwords.bundle.write import OutputError
from lastwords.cli.options import UsageError, use_color
from lastwords.hookspecs import Look, Report
from lastwords.model import Verdict

SAME = 12
"""Characters in which a file and the report that replaces it must agree: a report may replace a report of its
kind, and nothing else."""


class Output:
    """Takes verdicts, shows them at once or writes them at the end.

    :param arguments: ``output``, ``color``, ``section``, ``compare``
    :param inputs: paths that are opened: nothing is written onto or into them
    :raises OutputError: the output is one of them
    :raises UsageError: it is one file, which the reports of several inputs cannot share
    """

    def __init__(self, arguments: argparse.Namespace, report: Report, inputs: Sequence[str] = ()) -> None:
        self._report = report
        self._path: str = arguments.output or "-"
        self._look = Look(
            max(40, min(shutil.get_terminal_size((100, 24)).columns, 120)),
            arguments.color == "always" if arguments.output else use_color(arguments.color),
            arguments.section,
        )
        self._parts: list[str] = []
        self._more = False
        self._names: set[str] = set()
        self._each = os.path.isdir(self._path)
        if report.binary and self._path == "-":
            raise UsageError(f"{report.name}: expected --output FILE: it is no text")
        for path in (*inputs, *([arguments.compare] if arguments.compare else ())):
            _refuse_within(self._path, path)
        if len(inputs) > 1:
            self._refuse_second()
        self._whole = report.whole()

    def add(self, verdict: Verdict) -> None:
        """Show a verdict. :raises UsageError: it is the second one for a file that can hold one only"""
        if self._whole is not None:
            self._whole.add(verdict)
            return
        if self._more:
            self._refuse_second()
        text = self._report.render(verdict, self._look)
        if self._report.for_people and self._more and not self._each:
            text = "\n" + text
        self._more = True
        if self._path == "-":
            sys.stdout.write(text)
            sys.stdout.flush()
        elif self._each:
            replace(os.path.join(self._path, self._name(verdict)), text)
        else:
            if self._report.document and self._parts:
                raise UsageError(f"{self._path}: expected a directory: the input holds several hosts")
            self._parts.append(text)

    def close(self) -> None:
        """Write what is to be in one document."""
        if self._whole is not None:
            content = self._whole.finish()
            if self._path != "-":
                file = f"lastwords.{self._report.name}"
                replace(os.path.join(self._path, file) if self._each else self._path, content)
            elif isinstance(content, str):
                sys.stdout.write(content)
        if self._parts:
            replace(self._path, "".join(self._parts))

    def _refuse_second(self) -> None:
        """:raises UsageError: reports of several inputs, or of several hosts in one, cannot share a file"""
        if self._report.document and not self._each:
            name = self._report.name
            raise UsageError(f"{self._path}: expected a directory for the {name} reports of several inputs")

    def _name(self, verdict: Verdict) -> str:
        """Return a file name for a verdict that no other one of this run has."""
        stem = os.path.basename(verdict.path.rstrip("/")) or "host"
        name, number = f"{stem}.{self._report.name}", 1
        while name in self._names:
            number += 1
            name = f"{stem}-{number}.{self._report.name}"
        self._names.add(name)
        return name


def replace(path: str, content: Union[str, bytes]) -> None:
    """Write a report beside its final name, then rename it; only its owner may read it.

    :raises OutputError: it cannot be written, or what is there is no report of this kind
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    folder = os.path.dirname(os.path.abspath(path))
    staged = os.path.join(folder, f".{secrets.token_hex(4)}.partial")
    try:
        if os.path.lexists(path) and not _alike(path, data):
            raise OutputError(f"{path}: exists already and is no such report")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(staged, path)
        except BaseException:
            os.unlink(staged)
            raise
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise OutputError(f"{path}: cannot be written: {reason}") from None


def _alike(path: str, data: bytes) -> bool:
    """Return whether a file is empty or a report that begins as *data* does."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        start = stream.read(SAME)
    return start in (b"", data[:SAME])


def _refuse_within(output: str, path: str) -> None:
    """:raises OutputError: the output is an input, or lies in one that is a directory"""
    if output == "-":
        return
    real, given = os.path.realpath(output), os.path.realpath(path)
    inside = os.path.isdir(given) and given != "/" and real.startswith(given + "/")
    if real == given or inside:
        raise OutputError(f"{output}: expected a file outside of the input {path}")
