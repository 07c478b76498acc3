"""HTML reports in a real browser. LASTWORDS_LAB=1 takes every golden host, judges accessibility by axe-core, and
makes a missing browser a failure; LASTWORDS_LAB=0 leaves it out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosttree import HOSTS
from html_pages import ATTACKS, golden, kill, poisoned, render
from lab.browser import Browser
from lab.common import Unavailable
from lab.pages import axe_core, examine

WISH = os.environ.get("LASTWORDS_LAB", "")
EVERY = WISH == "1"

pytestmark = pytest.mark.skipif(WISH == "0", reason="LASTWORDS_LAB=0")


def started(*, scripts: bool = True) -> Browser:
    try:
        return Browser(scripts=scripts)
    except Unavailable as problem:
        if EVERY:
            raise
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as made:
        yield made


def written(folder: Path, text: str) -> str:
    path = folder / "report.html"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("host", HOSTS if EVERY else ["debian12"])
def test_a_report_looks_good_everywhere(browser: Browser, host: str, tmp_path: Path) -> None:
    path = written(tmp_path, render(golden(host, [kill(5), kill(60, "mysqld")])))
    axe = axe_core() if EVERY else None
    assert examine(browser, path, str(tmp_path / host), axe) == []
    assert browser.run("return document.title").startswith(
        browser.run("return document.querySelector('h1').textContent")
    )


@pytest.mark.parametrize("attack", [*(ATTACKS if EVERY else ()), "".join(ATTACKS)])
def test_nothing_from_a_host_runs(browser: Browser, attack: str, tmp_path: Path) -> None:
    path = written(tmp_path, render(poisoned("debian12", attack)))
    browser.look(width=390)
    browser.open(path)
    assert browser.log() == []
    assert browser.run("return document.documentElement.scrollWidth") == 390
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)")
    browser.run("document.querySelectorAll('button, summary, a').forEach(each => each.click())")
    assert browser.run("return window.pwned") is None
    assert (
        browser.run("return document.querySelectorAll('img, iframe, form, base, link, object, embed').length")
        == 0
    )
    assert browser.run("return performance.getEntriesByType('resource').length") == 0


def test_the_policy_stops_what_would_get_through(browser: Browser, tmp_path: Path) -> None:
    attack = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'><b style='color:red'>x</b>"
    text = render(golden("rhel9"))
    browser.open(written(tmp_path, text.replace('id="content">', f'id="content">{attack}', 1)))
    assert browser.run("return window.pwned") is None
    assert (
        browser.run("return getComputedStyle(document.querySelector('b[style]')).color") != "rgb(255, 0, 0)"
    )
    assert len([entry for entry in browser.log() if "Content Security Policy" in entry]) >= 3


def test_tables_sort_and_facts_are_found(browser: Browser, tmp_path: Path) -> None:
    browser.look()
    browser.open(written(tmp_path, render(golden("rhel9", [kill(5)]))))
    column = "[...document.querySelectorAll('#ranking table')][0].tBodies[0].rows"
    names = f"return [...{column}].map(row => row.cells[0].textContent)"
    before = browser.run(names)
    press = "document.querySelector('#ranking thead button').click()"
    browser.run(press)
    assert browser.run(names) == sorted(before, key=str.lower)
    browser.run(press)
    assert browser.run(names) == sorted(before, key=str.lower, reverse=True)
    pids = f"return [...{column}].map(row => Number(row.cells[1].textContent))"
    browser.run("document.querySelectorAll('#ranking thead button')[1].click()")
    assert browser.run(pids) == sorted(browser.run(pids), reverse=True)
    search = (
        "const input = document.querySelector('#facts input'); input.value = arguments[0];"
        "input.dispatchEvent(new Event('input'));"
        "return new Promise(done => setTimeout(() => done([...document.querySelectorAll('#facts tbody tr')]"
        ".filter(row => row.offsetParent !== null).map(row => row.textContent)), 400))"
    )
    found = browser.run(search, "vm.swappiness")
    assert found and all("vm.swappiness" in row for row in found)
    assert browser.run(search, "no such words anywhere") == []
    browser.run(search, "")
    assert browser.run("return document.querySelectorAll('#facts details[open]').length") == 0


def test_without_scripts_everything_is_there(tmp_path: Path) -> None:
    verdict = golden("rhel9", [kill(5)], kdump__kexec__crash_loaded=False)
    with started(scripts=False) as browser:
        browser.open(written(tmp_path, render(verdict)))
        assert browser.run("return document.querySelectorAll('button, input').length") == 0
        said = browser.run("return document.body.textContent")
        assert all(finding.title in said for finding in verdict.findings)
        assert "vm.swappiness" in said
        browser.run("document.querySelector('#facts summary').click()")
        assert browser.run("return document.querySelectorAll('#facts details[open]').length") == 1
