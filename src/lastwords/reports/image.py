"""The screen of ``lastwords initramfs``: what an image is made of, what it holds, what is wrong with it."""

from __future__ import annotations

import io
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from lastwords.formats.sizes import size
from lastwords.formats.storage_modules import BOOT_MODULES
from lastwords.hookspecs import Look
from lastwords.model import Finding
from lastwords.reports.terminal import MARGIN, page_console, page_text, print_finding
from lastwords.reports.words import plain

if TYPE_CHECKING:
    from rich.console import Console

Image = Mapping[str, Any]


def render_image(image: Image, findings: Sequence[Finding], compared: bool, look: Look) -> str:
    """Return the screen on one image.

    :param image: its facts, of the collector ``initramfs``
    :param compared: whether it was held against what a machine's root needs
    """
    page = io.StringIO()
    console = page_console(page, look)
    _head(console, image)
    _segments(console, image)
    _rows(console, _holds(image))
    for finding in findings:
        print_finding(console, finding)
    if not findings and image["complete"]:
        fitting = "holds what this machine's root needs" if compared else "whole; not held against a machine"
        console.print(f"\nNothing to report: {fitting}.", style="green")
    return page_text(page)


def render_entries(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the entries of an image as ``ls -l`` lists files, one a line."""
    return "".join(_entry(entry) + "\n" for entry in entries)


def _head(console: Console, image: Image) -> None:
    from rich.text import Text

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
    console.print(Text(plain(image["path"]), style="bold"))
    line = Text()
    line.append(word, style)
    unified = "unified kernel image" if image["unified"] else None
    for part in (size(image["size"]), unified, made, kernel):
        line.append(f", {plain(part)}" if part else "")
    console.print(line)
    for reason in (image["damage"], image["not_checked"]):
        if reason:
            console.print(Text(plain(reason), style=style))
    if image["complete"] is False:
        message = image["kernel_message"]
        said = f"Initramfs unpacking failed: {message}" if message else "nothing: it does not notice"
        console.print(Text(f"the kernel prints: {said}", style="dim"))


def _segments(console: Console, image: Image) -> None:
    from rich.table import Table

    segments = image["segments"]
    if not segments:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("offset", "size", "unpacked", "entries"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("segment", overflow="fold")
    for each in segments:
        what = "cpio" if each["kind"] == "cpio" else each["compression"] or "not known"
        what += ", early microcode" if each["microcode"] else ""
        numbers = (each["offset"], size(each["size"]), size(each["unpacked"]), each["members"])
        table.add_row(*("?" if number is None else str(number) for number in numbers), what)
    console.print()
    console.print(table)


def _holds(image: Image) -> list[tuple[str, Optional[str]]]:
    contents = image["contents"]
    unified = image["unified"] or {}
    rows = [("uname", unified.get("uname")), ("cmdline", unified.get("cmdline"))]
    if contents is None:
        return rows
    init = contents["init"]
    start = {"link": "/init, a link to {}", "file": "/init, a script for {}" if init["needs"] else "/init"}
    there = "" if init["found"] else " (missing)"
    modules = contents["modules"]
    boot = [name for name in modules if name in BOOT_MODULES]
    also = [word for word in ("systemd", "busybox", "kdump", "squashed") if contents[word]] + contents[
        "programs"
    ]
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
        (
            "files",
            f"{len(modules)} kernel modules{index}, {contents['firmware']} of firmware,"
            f" {contents['devices']} device nodes, {contents['hard_links']} hard links",
        ),
        ("storage", " ".join(boot) or None),
    ]


def _rows(console: Console, rows: Sequence[tuple[str, Optional[str]]]) -> None:
    from rich.text import Text

    console.print()
    for name, value in rows:
        if value:
            lines = textwrap.wrap(plain(value), max(20, console.width - MARGIN - 2))
            for number, line in enumerate(lines):
                text = Text(f"{name if number == 0 else '':<{MARGIN + 1}}", style="dim")
                text.append(line, style="not dim")
                console.print(text)


def _entry(entry: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry["mtime"]))
    amount = (entry["device"] or "").replace(":", ", ") or str(entry["size"])
    arrow = f" -> {plain(entry['target'])}" if entry["target"] is not None else ""
    owner = f"{entry['uid']:>5} {entry['gid']:>5}"
    return f"{entry['mode']} {entry['links']:>3} {owner} {amount:>10} {when} {plain(entry['name'])}{arrow}"
