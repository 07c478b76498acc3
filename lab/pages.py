"""Looks at HTML reports as a reader would: in a real browser, light, dark, narrow and on paper.

    python -m lab.pages REPORT.html ...

writes pictures below ``.cache/lab/pages`` and says what is wrong with each; accessibility by axe-core,
where npm can bring it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tarfile
from collections.abc import Sequence
from typing import Optional

from lab.browser import Browser
from lab.common import CACHE, LabError, Unavailable, locked, run

PICTURES = os.path.join(CACHE, "pages")
AXE = "axe-core@4"
MOST_BYTES = 1_000_000
MOST_SHEETS = 60
NARROW = 390
GRAVE = ("serious", "critical")


def examine(browser: Browser, path: str, pictures: str, axe: Optional[str] = None) -> list[str]:
    """Return what is wrong with a page; leave pictures of it.

    :param pictures: where they go, up to the part of the name that tells how the page was looked at
    :param axe: the text of axe-core, or None
    """
    problems = []
    if os.path.getsize(path) > MOST_BYTES:
        problems.append(f"{os.path.getsize(path)} bytes")
    for name, width, dark in (("light", 1280, False), ("dark", 1280, True), ("narrow", NARROW, False)):
        browser.look(width=width, dark=dark)
        browser.open(path)
        problems += [f"{name}: {entry}" for entry in browser.log()]
        wide = browser.run("return document.documentElement.scrollWidth")
        if wide > width:
            problems.append(f"{name}: {wide} pixels wide, has {width}")
        if browser.run("return window.pwned !== undefined"):
            problems.append(f"{name}: a script from the host ran")
        browser.picture(f"{pictures}-{name}.png")
        if axe is not None and name != "narrow":
            problems += [f"{name}: {each}" for each in accessibility(browser, axe)]
    browser.pdf(f"{pictures}-print.pdf")
    with open(f"{pictures}-print.pdf", "rb") as stream:
        sheets = stream.read().count(b"/Type /Page\n")
    if not 0 < sheets <= MOST_SHEETS:
        problems.append(f"print: {sheets} sheets")
    return problems


def accessibility(browser: Browser, axe: str) -> list[str]:
    """Return the serious violations that axe-core finds, everything unfolded."""
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)")
    browser.run(axe)
    found = browser.run(
        "return axe.run(document, {resultTypes: ['violations']}).then(result => result.violations.map("
        "each => [each.impact, each.id, each.nodes.length, each.nodes[0].target.join(' ')]))"
    )
    return [
        f"{rule}: {count} times, first {where}" for impact, rule, count, where in found if impact in GRAVE
    ]


def axe_core() -> str:
    """Return the text of axe-core, fetched once. :raises Unavailable: it cannot be had here"""
    path = os.path.join(CACHE, "axe", "package", "axe.min.js")
    with locked("axe"):
        if not os.path.exists(path):
            if shutil.which("npm") is None:
                raise Unavailable("needs npm for axe-core")
            folder = os.path.join(CACHE, "axe")
            os.makedirs(folder, exist_ok=True)
            try:
                run(["npm", "pack", "--silent", "--pack-destination", folder, AXE], deadline=120)
            except LabError as problem:
                raise Unavailable(f"axe-core cannot be had: {problem}") from None
            packed = next(name for name in os.listdir(folder) if name.endswith(".tgz"))
            with tarfile.open(os.path.join(folder, packed)) as archive:
                member = archive.extractfile("package/axe.min.js")
                assert member is not None
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as stream:
                    stream.write(member.read())
    with open(path, encoding="utf-8") as text:
        return text.read()


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Examine reports; return 1 if something is wrong with one."""
    parser = argparse.ArgumentParser(prog="python -m lab.pages", description=__doc__)
    parser.add_argument("reports", metavar="REPORT.html", nargs="+")
    parsed = parser.parse_args(arguments)
    os.makedirs(PICTURES, exist_ok=True)
    try:
        axe: Optional[str] = axe_core()
    except Unavailable as problem:
        print(f"accessibility is not judged: {problem}", file=sys.stderr)
        axe = None
    wrong = False
    try:
        with Browser() as browser:
            for path in parsed.reports:
                pictures = os.path.join(PICTURES, os.path.basename(path).removesuffix(".html"))
                problems = examine(browser, path, pictures, axe)
                wrong = wrong or bool(problems)
                print(f"{path}: " + ("; ".join(problems) or f"good, pictures at {pictures}-*"))
    except LabError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
