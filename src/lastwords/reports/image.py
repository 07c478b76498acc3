"""The screen of ``lastwords initramfs``: what an image is made of, what it holds, what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from lastwords.analyzer.boot_words import start_trouble
from lastwords.formats.boot.storage_modules import BOOT_MODULES
from lastwords.formats.sizes import size
from lastwords.hookspecs import Look
from lastwords.model import Finding
from lastwords.reports.screen import MARGIN, Screen, styled
from lastwords.reports.terminal import print_finding
from lastwords.reports.words import plain

Image = Mapping[str, Any]
WIDE = MARGIN + 2
"""Columns for the names of what an image holds."""


def render_image(image: Image, findings: Sequence[Finding], compared: bool, look: Look) -> str:
    """Return the screen on one image.

    :param image: its facts, of the collector ``initramfs``
    :param compared: whether it was held against what a machine's root needs
    """
    screen = Screen(look)
    _head(screen, image)
    _segments(screen, image)
    screen.line()
    screen.block(
        [(styled((name, "dim")), styled((value, ""))) for name, value in _holds(image) if value], WIDE
    )
    for finding in findings:
        print_finding(screen, finding)
    if not findings and image["complete"]:
        fitting = "holds what this machine's root needs" if compared else "whole; not held against a machine"
        screen.line()
        screen.line(f"Nothing to report: {fitting}.", "green")
    return screen.text()


def render_entries(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the entries of an image as ``ls -l`` lists files, one a line."""
    return "".join(_entry(entry) + "\n" for entry in entries)


def _head(screen: Screen, image: Image) -> None:
    contents = image["contents"] or {}
    whole = {
        True: ("whole", "green"),
        False: ("DAMAGED", "bold red"),
        None: ("not followed to its end", "yellow"),
    }
    word, style = whole[image["complete"]]
    maker = " ".join(filter(None, (contents.get("builder"), contents.get("builder_version"))))
    made = f"made by {maker}" if maker else None
    versions = image["kernel_versions"]
    kernel = (
        f"for kernel {', '.join(versions)}" if versions else "no kernel modules" if versions == [] else None
    )
    screen.line(image["path"], "bold")
    unified = "unified kernel image" if image["unified"] else None
    parts = [part for part in (size(image["size"]), unified, made, kernel) if part]
    screen.parts((word, style), *((f", {part}", "") for part in parts))
    for reason in (image["damage"], image["not_checked"]):
        if reason:
            screen.line(reason, style)
    if image["complete"] is False:
        message = image["kernel_message"]
        said = f"Initramfs unpacking failed: {message}" if message else "nothing: it does not notice"
        screen.line(f"the kernel prints: {said}", "dim")


def _segments(screen: Screen, image: Image) -> None:
    rows = [[styled((name, "dim")) for name in ("offset", "size", "unpacked", "entries", "segment")]]
    for each in image["segments"] or ():
        what = "cpio" if each["kind"] == "cpio" else each["compression"] or "not known"
        what += ", early microcode" if each["microcode"] else ""
        numbers = (each["offset"], size(each["size"]), size(each["unpacked"]), each["members"])
        rows.append([styled(("?" if cell is None else cell, "")) for cell in (*numbers, what)])
    if len(rows) > 1:
        screen.line()
        screen.columns(rows, right=frozenset(range(4)))


_SQUASHED = "most of it is in a filesystem of its own, which is not opened: its modules are not known"


def _holds(image: Image) -> list[tuple[str, Optional[str]]]:
    contents = image["contents"]
    unified = image["unified"] or {}
    rows = [("uname", unified.get("uname")), ("cmdline", unified.get("cmdline"))]
    if contents is None:
        return rows
    init = contents["init"]
    start = {"link": "/init, a link to {}", "file": "/init, a script for {}" if init["needs"] else "/init"}
    trouble = start_trouble(init)
    there = f" ({trouble.removeprefix('/init is ')})" if trouble and init["kind"] else ""
    modules = contents["modules"]
    boot = [name for name in modules if name in BOOT_MODULES]
    also = [word for word in ("systemd", "busybox", "kdump") if contents[word]] + contents["programs"]
    hostonly = {True: "for one machine (hostonly)", False: "for any machine", None: None}[
        contents["hostonly"]
    ]
    index = "" if contents["modules_indexed"] or not modules else ", without index (modules.dep)"
    return [
        *rows,
        ("starts", start.get(init["kind"] or "", "nothing: no /init").format(init["needs"]) + there),
        ("built", hostonly),
        ("arguments", contents["arguments"]),
        ("parameters", contents["cmdline"]),
        ("dracut", " ".join(contents["dracut_modules"] or ()) or None),
        ("microcode", ", ".join(contents["microcode"]) or None),
        ("programs", ", ".join(also) or None),
        ("squashed", _SQUASHED if contents["squashed"] else None),
        (
            "files",
            f"{len(modules)} kernel modules{index}, {contents['firmware']} of firmware,"
            f" {contents['devices']} device nodes, {contents['hard_links']} hard links",
        ),
        ("storage", " ".join(boot) or None),
    ]


def _entry(entry: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry["mtime"]))
    amount = (entry["device"] or "").replace(":", ", ") or str(entry["size"])
    arrow = f" -> {plain(entry['target'])}" if entry["target"] is not None else ""
    owner = f"{entry['uid']:>5} {entry['gid']:>5}"
    return f"{entry['mode']} {entry['links']:>3} {owner} {amount:>10} {when} {plain(entry['name'])}{arrow}"
