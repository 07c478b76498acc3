"""What the report around an OOM kill tells is there when a case is opened: live, from a disk, from a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hosttree import host_tree, root_of, text_root, write_tree

from lastwords.analyzer.oom.eaters import Program
from lastwords.analyzer.oom.reports import explained, ranked
from lastwords.cli.main import run
from lastwords.collectors.kernel_log import KernelLogCollector
from lastwords.model import Event, event


def kills(events: list[Event]) -> list[dict[str, Any]]:
    return [each["details"] for each in events if each["kind"] == "oom_kill"]


def test_every_kill_gains_its_own_report() -> None:
    root = root_of(host_tree("rhel7"))
    *_, facts = KernelLogCollector().collect(root)
    events = explained(facts["events"], root)
    assert [{**each, "details": None} for each in events] == [
        {**each, "details": None} for each in facts["events"]
    ]
    found = kills(events)
    assert len(found) == 2
    for before, details in zip(kills(facts["events"]), found):
        assert "explanation" not in before
        assert {**before, **details} == details
        assert [victim["pid"] for victim in details["victims"]] == [details["pid"]]
        assert details["trigger"]["comm"] in ("java", "perl")
        assert details["explanation"]["programs"][0]["rss"] > 0
        most = details["explanation"]["programs"][0]["comm"]
        assert details.get("ranking", most).startswith(most)
    assert all(
        "explanation" not in each["details"]
        for each in events
        if each["kind"] not in ("oom_kill", "oom_report")
    )


def test_a_bundle_and_the_disk_it_was_made_of_tell_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = write_tree(host_tree("rhel7"), tmp_path / "disk")
    bundle = tmp_path / "bundle.tar.gz"
    run(["collect", "-q", "--root", str(disk), "--only", "host,kernel_log", "-o", str(bundle)])
    capsys.readouterr()
    said = []
    for argv in (
        [str(bundle)],
        [str(bundle), "--recollect"],
        [str(disk), "--root", "--only", "host,kernel_log"],
    ):
        assert run(["open", "--json", *argv]) == 0
        said.append([d["explanation"] for d in kills(json.loads(capsys.readouterr().out)["events"])])
    assert len(said[0]) == 2
    assert said[0] == said[1] == said[2]


def test_without_the_log_events_stay_as_they_are() -> None:
    gone = [
        event("oom_kill", "x", path="/var/log/messages", line=7, details={"pid": 1, "comm": "a"}),
        event("oom_kill", "x", path="$ dmesg", line=7, details={"pid": 1, "comm": "a"}),
        event("oom_kill", "x", path="/var/log/messages", details={"pid": 1, "comm": "a"}),
    ]
    assert explained(gone, text_root("=== /etc/os-release\nID=x\n")) == gone
    other = text_root("=== /var/log/messages\nkernel: nothing of the kind\n")
    assert explained(gone, other) == gone


def test_a_ranking_tells_in_one_unit_the_programs_that_matter() -> None:
    gib = 1 << 30
    programs = [
        Program("mysqld", 1, 20 * gib, 6 * gib),
        Program("java", 10, 9 * gib, gib // 8),
        Program("oacore", 1, gib // 2 + gib // 8, 0),
        Program("sh", 3, gib // 64, None),
    ]
    assert ranked(programs) == "mysqld 26.0 GiB (6.0 GiB of it in swap), 10 x java 9.1 GiB, oacore 0.6 GiB"
    assert ranked([]) == "" == ranked([Program("kthreadd", 1, 0, None)])
