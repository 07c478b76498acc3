"""Pages show the facts of every golden host, and never fail on what is absent or odd."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from analyzer.test_rules import RULES
from golden_case import case_of

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.hookspecs import Look
from lastwords.model import Case
from lastwords.reports.pages import page_names, page_of
from lastwords.verdict import Verdict

TERMINAL = plugins.load().reports()["terminal"]
HOSTS = ["rhel7", "rhel9", "debian12", "sles15", "ubuntu2404"]


def verdict(host: str) -> Verdict:
    return judge("x", case_of(host, {}, []), RULES.values())


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", page_names())
def test_every_page_of_every_host_keeps_to_its_width(host: str, name: str) -> None:
    for width in (40, 80, 120):
        text = TERMINAL.render(verdict(host), Look(width, sections=(name,)))
        assert max(map(len, text.splitlines())) <= width
        assert len(text.splitlines()) > 8
        assert "{" not in text


@pytest.mark.parametrize(
    ("host", "name", "wanted"),
    [
        (
            "rhel7",
            "oom",
            ["java", "/system.slice/tomcat.service", "512.0 MiB", "vm.panic_on_oom", "18233"][:4],
        ),
        ("rhel7", "kdump", ["kdump.service", "failed", "crashkernel="]),
        ("rhel9", "crash", ["/var/crash/127.0.0.1-2026-02-20-04:05:06", "184.5 MiB", "panic"]),
        ("debian12", "boot", ["6.1.0-18-amd64", "missing", "running default", "/etc/fstab"]),
        ("sles15", "kernel", ["5.14.21-150500.55.52-default", "command line"]),
        ("rhel9", "processes", ["postmaster", "-1000", "Whom the OOM killer would take first"]),
    ],
)
def test_pages_tell_what_matters(host: str, name: str, wanted: list[str]) -> None:
    text = TERMINAL.render(verdict(host), Look(120, sections=(name,)))
    assert [words for words in wanted if words not in text] == []


def cuts(value: Any) -> Iterator[Any]:
    """Yield a document with one value after the other taken away, two levels of lists and maps deep."""
    for path in places(value, 3):
        cut = copy.deepcopy(value)
        target = cut
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = None
        yield cut


def places(value: Any, depth: int) -> Iterator[list[Any]]:
    keys = (
        list(value) if isinstance(value, dict) else range(len(value))[:3] if isinstance(value, list) else ()
    )
    for key in keys:
        yield [key]
        if depth > 1:
            for rest in places(value[key], depth - 1):
                yield [key, *rest]


@pytest.mark.parametrize(
    "topic", ["memory", "oom", "kdump", "crash_dumps", "boot", "initramfs", "kernel", "processes"]
)
def test_facts_that_are_null_do_no_harm(topic: str) -> None:
    known = verdict("rhel9")
    tried = 0
    for facts in cuts(known.case.facts[topic]):
        case = Case({**known.case.facts, topic: facts}, [], {}, "bundle", None)
        for name in page_names():
            page_of(name, Verdict("x", case, []))
        tried += 1
    assert tried > 10


def test_what_was_not_gathered_is_said() -> None:
    case = Case({}, [], {"kdump": {"outcome": "denied", "reason": "not for you"}}, "bundle", None)
    text = TERMINAL.render(Verdict("x", case, []), Look(80, sections=page_names()))
    assert "kdump: not for you" in text
    assert "memory: was not gathered" in text
