"""``lastwords initramfs``: what an image holds, whether it is whole, and whether it can boot a machine."""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any, BinaryIO, Optional

from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import case_of, open_case
from lastwords.cli import options
from lastwords.collectors.initramfs import look_inside, unknown_image
from lastwords.formats.boot.kernel_files import classify
from lastwords.formats.initrd.cpio import Member
from lastwords.gather.run import gather
from lastwords.hookspecs import Rule
from lastwords.model import Case, ExitCode, Finding, LastwordsError, Severity
from lastwords.plugins import Plugins
from lastwords.reports.image import render_entries, render_image
from lastwords.roots.live import live_root

DESCRIPTION = """\
Say what an initramfs image or a unified kernel image (.efi) is made of, what is in it, whether it is whole by
the kernel's own rules, and what the kernel prints if it is not. Nothing is extracted. An image of this host
(below /boot, /efi or /var/lib/kdump) is held against what the host's root needs; with --root, any image is
held against the mounted disk. - reads standard input."""
OWN = ("/boot/", "/efi/", "/var/lib/kdump/")
NEEDS = ("host", "boot", "kernel")
PATIENCE = 600.0
"""Seconds for one image; xz and bzip2 of the largest take some ten."""
SPOOL_LIMIT = 4 << 30


class NoImage(LastwordsError):
    """The file cannot be read, or is no image."""


def add_arguments(parser: argparse.ArgumentParser, plugins: Plugins) -> None:
    """Add the options."""
    parser.description = DESCRIPTION
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--list", action="store_true", help="list the entries as ls -l does, nothing else")
    parser.add_argument(
        "--root", metavar="DIR", help="hold it against the machine whose disk is mounted here"
    )
    parser.add_argument("--kernel", metavar="V", help="the kernel that loads it, where its name does not say")
    parser.add_argument(
        "--json", action="store_true", help="the facts (schema initramfs) and findings as JSON"
    )
    parser.add_argument("--jsonl", action="store_true", help="one JSON line an image")
    options.add_fail_on(parser)
    options.add_color(parser)
    options.add_quiet(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command. One file that cannot be read does not stop the others."""
    plugins: Plugins = arguments.plugins
    rules = [rule for rule in plugins.rules().values() if rule.needs[0] == "initramfs"]
    machine = _Machine(arguments, plugins)
    images: list[dict[str, Any]] = []
    worst: Optional[Severity] = None
    failed = False
    for path in arguments.files:
        try:
            image = _image(path, arguments.kernel, entries=arguments.list)
        except LastwordsError as problem:
            print(f"lastwords: {problem}", file=sys.stderr)
            failed = True
            continue
        facts = machine.facts(path)
        findings = _judged(image, facts, rules, arguments.root or "")
        worst = max(
            (s for s in (worst, *(each.severity for each in findings)) if s is not None), default=None
        )
        image["findings"] = [each.to_json() for each in findings]
        images.append(image)
        _show(arguments, image, findings, bool(facts))
    if arguments.json:
        print(json.dumps({"images": images, "images_omitted": 0}, indent=2))
    return ExitCode.BAD_INPUT if failed else options.verdict_code(arguments, worst)


def _show(
    arguments: argparse.Namespace, image: dict[str, Any], findings: list[Finding], compared: bool
) -> None:
    if arguments.json:
        return
    if arguments.jsonl:
        text = json.dumps(image) + "\n"
    elif arguments.list:
        text = render_entries(image["entries"])
    else:
        text = render_image(image, findings, compared, options.look(arguments))
        text += "\n" if len(arguments.files) > 1 else ""
    sys.stdout.write(text)
    sys.stdout.flush()


class _Machine:
    """The machine that images are held against: gathered once, and only if an image asks for it."""

    def __init__(self, arguments: argparse.Namespace, plugins: Plugins) -> None:
        self._arguments = arguments
        self._collectors = {name: plugins.collectors()[name] for name in NEEDS}
        self._case: Optional[Case] = None

    def facts(self, path: str) -> dict[str, Any]:
        """Return the facts to hold an image against; none when it is no image of a known machine."""
        root = self._arguments.root
        if root is None and not os.path.realpath(path).startswith(OWN):
            return {}
        if self._case is None:
            quiet, verbose = self._arguments.quiet, self._arguments.verbose
            progress = options.progress_line(quiet, verbose)
            if root is not None:
                self._case = open_case(root, self._collectors, as_host=True, progress=progress)
            else:
                self._case = case_of(gather(live_root(), list(self._collectors.values()), progress=progress))
            options.end_progress(quiet, verbose)
        return dict(self._case.facts)


def _image(path: str, kernel: Optional[str], *, entries: bool) -> dict[str, Any]:
    """Return the facts of an image.

    :raises NoImage: it cannot be read or is none; one clear line
    """
    try:
        with _opened(path) as stream:
            size, mtime = os.fstat(stream.fileno()).st_size, os.fstat(stream.fileno()).st_mtime
            name = "standard input" if path == "-" else path
            facts = unknown_image(name, size, round(mtime, 3), classify(os.path.basename(path)))
            listed: list[tuple[Member, int]] = []
            contents = look_inside(
                facts,
                lambda: _again(stream),
                time.monotonic() + PATIENCE,
                (lambda member, segment: listed.append((member, segment))) if entries else None,
            )
    except OSError as problem:
        raise NoImage(f"{path}: {(problem.strerror or str(problem)).lower()}") from None
    segments = facts["segments"] or []
    if not size or (not facts["unified"] and segments and segments[0]["kind"] == "unknown"):
        raise NoImage(f"{path}: expected an initramfs image, found {facts['damage']}")
    inside = facts["kernel_versions"] or []
    facts["version"] = kernel or facts["version"] or (inside[0] if len(inside) == 1 else None)
    if entries:
        facts["entries"] = [
            _entry(member, segment, contents.inside.target(member.name)) for member, segment in listed
        ]
    return facts


def _opened(path: str) -> BinaryIO:
    """Open a regular file, or standard input, put aside in a file that has no name.

    :raises OSError: as the system said
    :raises NoImage: it is no regular file, or endless
    """
    if path == "-":
        spool: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
        while spool.tell() < SPOOL_LIMIT and (data := sys.stdin.buffer.read(1 << 20)):
            spool.write(data)
        if spool.tell() >= SPOOL_LIMIT:
            raise NoImage(f"-: longer than {SPOOL_LIMIT} bytes: no initramfs image")
        return spool
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a device, FIFO or socket"
        raise NoImage(f"{path}: expected an initramfs image, found {kind}")
    return open(path, "rb")


def _again(stream: BinaryIO) -> BinaryIO:
    """Return a stream of the same file from its start."""
    stream.seek(0)
    again = os.fdopen(os.dup(stream.fileno()), "rb")
    again.seek(0)
    return again


def _entry(member: Member, segment: int, target: Optional[str]) -> dict[str, Any]:
    node = stat.S_ISCHR(member.mode) or stat.S_ISBLK(member.mode)
    return {
        "name": member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "segment": segment,
        "mode": stat.filemode(member.mode),
        "uid": member.uid,
        "gid": member.gid,
        "links": member.links,
        "size": member.size,
        "mtime": member.mtime,
        "device": "{}:{}".format(*member.device) if node else None,
        "target": target.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if target else None,
    }


def _judged(image: dict[str, Any], facts: dict[str, Any], rules: Iterable[Rule], disk: str) -> list[Finding]:
    case = Case({**facts, "initramfs": {"images": [image]}}, [], {}, "directory", None, where=disk)
    return judge(image["path"], case, rules).findings
