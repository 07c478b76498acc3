"""What to ask for: no more than what the causes that are news would gain by, each way to get it once."""

from __future__ import annotations

from typing import Any

import pytest
from analyzer.test_rules import RULES, dump
from analyzer.test_story import NOW, OOPS, PANIC, REBOOT, VMCORE, at, kill
from golden_case import case_of

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.hookspecs import Look
from lastwords.model import Case, Event
from lastwords.verdict import Verdict

REPORTS = plugins.load().reports()


def judged(
    kind: str, *events: Event, without: tuple[str, ...] = (), outcome: str = "no_data", **changes: Any
) -> Verdict:
    """Return the verdict on the healthy golden host as an input of that kind, without some topics."""
    case = case_of("rhel9", {"crash_dumps__dumps": [], **changes}, list(events))
    case.root_kind = kind
    for topic in without:
        case.facts.pop(topic)
    case.outcomes = {**case.outcomes, **{t: {"outcome": outcome, "reason": "x"} for t in without}}
    return judge("x", case, RULES.values())


def asks(verdict: Verdict) -> list[tuple[str, str]]:
    return [(wish.topic, " ".join(wish.how)) for wish in verdict.story.asks]


def test_nothing_is_asked_for_where_the_verdict_would_not_gain() -> None:
    assert asks(judged("sosreport", without=("memory", "initramfs"))) == []
    assert (
        asks(judged("bundle", kill(1, scope="global", cause="java held it"), without=("boot", "initramfs")))
        == []
    )
    old = {**PANIC, "time": NOW - 90 * 86400.0}
    assert asks(judged("bundle", old, without=("crash_dumps",))) == []


def test_of_a_sosreport_one_command_brings_all() -> None:
    verdict = judged("sosreport", OOPS, PANIC, without=("crash_dumps", "kdump"))
    (topics, how), _ = asks(verdict)
    assert topics == "crash_dumps, kdump"
    assert how.startswith("$ sos report -o kdump,kernel,boot,lastwords $ lastwords collect")
    failed = judged("sosreport", at(1, "boot_failure", "x"), without=("boot", "initramfs"))
    assert "$ sos report -o boot,filesys,block,lastwords -k boot.all-images=on $" in asks(failed)[0][1]


def test_a_dump_that_only_the_host_has_is_asked_for() -> None:
    there = dump(time=NOW + 40, path="/var/crash/x")
    for kind, asked in (("bundle", True), ("sosreport", True), ("live", False), ("directory", False)):
        found = asks(judged(kind, OOPS, PANIC, VMCORE, REBOOT, crash_dumps__dumps=[there]))
        assert [topic for topic, _ in found if topic == "crash dump"] == ["crash dump"] * asked
    assert "Copy /var/crash/x/vmcore from the host." in asks(
        judged("bundle", OOPS, PANIC, VMCORE, crash_dumps__dumps=[there])
    )[0][1]  # fmt: skip


def test_a_dump_that_was_not_saved_is_not_asked_for() -> None:
    kdump = at(
        5,
        "kdump",
        "the crash kernel ran out of memory",
        **{"class": "capture_out_of_memory", "stage": "capture"},
    )
    verdict = judged(
        "log", {**PANIC, "summary": "panic: sysrq triggered crash"}, kdump, without=("crash_dumps",)
    )
    assert "no-dump" in [step.link for step in verdict.story.causes[0].chain]
    assert asks(verdict) == []


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("log", "$ lastwords collect --root DIR  #"),
        ("directory", "Mount /boot where it is a filesystem of its own."),
        ("bundle", "$ lastwords collect"),
    ],
)
def test_what_a_boot_failed_of_is_asked_for_where_it_can_be_had(kind: str, how: str) -> None:
    verdict = judged(kind, at(1, "boot_failure", "x"), without=("boot", "initramfs"))
    topics, said = asks(verdict)[0]
    assert topics == "boot, initramfs" and said.startswith(how)


def test_what_was_not_allowed_is_asked_for_as_root() -> None:
    verdict = judged("bundle", without=("kernel", "kdump"), outcome="denied")
    assert asks(verdict) == [("kdump, kernel", "$ lastwords collect  # as root")]


def test_a_kernel_log_is_asked_for_where_there_is_none() -> None:
    verdict = judge("x", Case({}, [], {}, "sosreport", None), RULES.values())
    assert asks(verdict)[0] == (
        "kernel_log",
        "$ sos report -o kernel,logs,systemd,lastwords --all-logs $ lastwords collect  # or this, which holds all of it",
    )


def test_of_a_dump_that_gives_no_log_what_lies_beside_it_is_asked_for() -> None:
    verdict = judge(
        "x", Case({}, [], {"kernel_log": {"outcome": "no_data", "reason": "x"}}, "vmcore", None), []
    )
    assert asks(verdict)[0][1].startswith("The log that kdump saved beside the dump")


def test_every_report_for_people_tells_it_once() -> None:
    verdict = judged("log", at(1, "boot_failure", "x"), without=("boot", "initramfs"))
    for name in ("terminal", "short", "markdown", "html"):
        text = REPORTS[name].render(verdict, Look(100))
        assert text.count("/boot and the boot loader, the initramfs images") == 1, name


@pytest.mark.parametrize("outcome", ["partial", "denied", "timeout", "no_data"])
def test_a_log_that_was_not_read_is_asked_for_where_nothing_else_is_known(outcome: str) -> None:
    case = case_of("rhel9", {"crash_dumps__dumps": []}, [])
    case.root_kind = "live"
    case.outcomes = {**case.outcomes, "kernel_log": {"outcome": outcome, "reason": "dmesg: not permitted"}}
    assert asks(judge("x", case, RULES.values()))[0][0] == "kernel_log"
    found = case_of("rhel9", {"crash_dumps__dumps": []}, [kill(1, scope="global", cause="java held it")])
    found.outcomes = case.outcomes
    assert (
        "kernel_log" not in [topic for topic, _ in asks(judge("x", found, RULES.values()))]
        or outcome == "denied"
    )
