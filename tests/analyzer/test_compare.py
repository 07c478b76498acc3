"""What changed between two inputs of a host: findings, facts, events; nothing where nothing did."""

from __future__ import annotations

import jsonschema
from analyzer.test_rules import DAY, RULES, happened
from golden_case import TAKEN_AT, case_of
from kdump_cases import booted

from lastwords import plugins, schemas
from lastwords.analyzer.compare import compare
from lastwords.analyzer.judge import judge
from lastwords.hookspecs import Look
from lastwords.verdict import Verdict

TERMINAL = plugins.load().reports()["terminal"]


def verdict(**changes: object) -> Verdict:
    events = changes.pop("events", None) or [happened("boot")]
    return judge("x", case_of("rhel9", changes, events), RULES.values())  # type: ignore[arg-type]


def test_the_same_input_did_not_change() -> None:
    new = verdict()
    new.compared = compare(verdict(), new)
    assert (new.compared.same_host, new.compared.appeared, new.compared.gone) == (True, (), ())
    assert (new.compared.changes, new.compared.events) == ((), ())
    assert "Nothing changed." in TERMINAL.render(new, Look())


def test_findings_facts_and_events_that_changed_are_told() -> None:
    old = verdict(**booted())
    old.case.taken_at = TAKEN_AT - 2 * DAY
    new = verdict(
        host__kernel_release="6.0",
        host__memory_total=1 << 30,
        **{"kernel__sysctls__kernel.panic": 10, "kdump__kexec__crash_loaded": False},
        events=[happened("oom_kill", 3.0), happened("oom_kill", 1.0), happened("boot")],
    )
    compared = compare(old, new)
    assert {finding.id for finding in compared.appeared} == {"kdump-not-loaded", "oom-kill-happened"}
    assert {finding.id for finding in compared.gone} == {"kdump-no-crashkernel", "panic-hangs"}
    changes = {change.name: (change.old, change.new) for change in compared.changes}
    assert changes["kernel"] == ("5.14.0-427.13.1.el9_4.x86_64", "6.0")
    assert changes["kernel.panic"] == (0, 10)
    assert changes["memory"] == (16473534464, 1 << 30)
    assert [event["time"] for event in compared.events] == [TAKEN_AT - DAY]
    new.compared = compared
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(new.to_json())
    text = TERMINAL.render(new, Look(100))
    assert "memory: 15.3 GiB -> 1.0 GiB" in text
    assert "gone       No memory is reserved for a crash kernel" in text


def test_severities_that_changed_are_told() -> None:
    old, new = verdict(events=[happened("panic", 30.0)]), verdict(events=[happened("panic", 1.0)])
    assert [finding.id for finding in compare(old, new).graver] == ["crash-happened"]
    assert [finding.id for finding in compare(new, old).milder] == ["crash-happened"]


def test_what_only_one_of_them_knows_did_not_change() -> None:
    new = verdict(host__memory_total=None, **{"kernel__sysctls__kernel.panic": None})
    del new.case.facts["boot"]
    assert compare(verdict(), new).changes == ()


def test_another_machine_is_told() -> None:
    new = verdict(host__machine_id="0" * 32)
    new.compared = compare(verdict(), new)
    assert new.compared.same_host is False
    assert "two different machines" in TERMINAL.render(new, Look())


def test_what_a_rule_says_that_only_one_could_try_did_not_change() -> None:
    old, new = verdict(**booted()), verdict(**booted())
    without = case_of("rhel9", {}, [happened("boot")])
    del without.facts["kdump"]
    bare = judge("x", without, RULES.values())
    assert "kdump-no-crashkernel" in {finding.id for finding in old.findings}
    assert "kdump-no-crashkernel" not in {finding.id for finding in compare(old, bare).gone}
    assert "kdump-no-crashkernel" not in {finding.id for finding in compare(bare, new).appeared}


def test_an_event_without_a_time_that_was_known_did_not_happen_again() -> None:
    old = verdict(events=[happened("panic", 1.0)])
    undated = {**happened("panic"), "time": None}
    assert compare(old, verdict(events=[undated])).events == ()
    assert compare(verdict(), verdict(events=[undated])).events == (undated,)
