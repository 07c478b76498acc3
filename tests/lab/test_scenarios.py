"""The scenario files, and consoles that real kernels wrote when they were played."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from lab import scenario as scenarios
from lab.common import LabError
from lab.scenario import Scenario, load_all

import lastwords
from lastwords.collectors.kernel_log_scan import LogScan
from lastwords.formats.log.klog import Clock
from lastwords.roots.lines import Search, read_lines

CONSOLES = Path(__file__).parent / "consoles"
ALL = load_all()


def test_there_are_enough_and_a_few_are_quick() -> None:
    assert len(ALL) >= 16
    assert 4 <= sum(scenario.selection for scenario in ALL) <= 6


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_what_must_be_found_is_not_forbidden(scenario: Scenario) -> None:
    truth = scenario.truth
    apart = {*truth.findings_live, *truth.findings_disk, *truth.findings_console}
    wanted = {*truth.findings, *apart, *truth.also}
    assert not wanted & set(truth.never)
    assert not set(truth.findings) & apart


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[scenario]\nimage = bookworm\n", "title"),
        ("[scenario]\ntitle = x\nimage = hurd\n", "expected one of"),
        ("[scenario]\ntitle = x\n[fault]\nrun = true\n", "never assumed"),
        ("[scenario]\ntitle = x\ncolour = red\n", "unknown"),
        ("[scenario]\ntitle = x\n[fault]\nends = badly\n", "expected one of alive, down, reboot"),
        ("[scenario]\ntitle = x\n[rescue]\nplan = initramfs\n", "expected ends = reboot"),
        ("[scenario]\ntitle = x\n[rescue]\nimage = hurd\n", "expected one of bookworm"),
        ("[scenario]\ntitle = x\n[proof]\nconsole = (\n", "console"),
        ("[scenario]\ntitle = x\n[truth]\ndumped = no\n", "expected before = yes"),
        ("[scenario]\ntitle = x\n[harvest]\nbefore = yes\n[truth]\ndumped = perhaps\n", "dumped = perhaps"),
        ("title = x\n", "section"),
    ],
)
def test_a_wrong_file_is_named_with_what_was_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    (tmp_path / "wrong.ini").write_text(text)
    monkeypatch.setattr(scenarios, "SCENARIOS", os.fspath(tmp_path))
    with pytest.raises(LabError, match=complaint):
        load_all()


@pytest.mark.parametrize("path", sorted(CONSOLES.glob("*.txt")), ids=lambda path: path.stem)
def test_a_console_shows_the_events_of_its_scenario(path: Path) -> None:
    """Each was written by ``python -m lab run`` of the scenario it is named after, and only cut at its start."""
    scenario = next(each for each in ALL if each.name == path.stem)
    text = path.read_text(encoding="utf-8")
    for pattern in scenario.proof:
        assert re.search(pattern, text), pattern
    scan = LogScan("/console", Clock(), all_kernel=True)
    for line in read_lines(io.BytesIO(text.encode()), Search()):
        scan.take(line)
    events = scan.events()
    assert set(scenario.truth.events) - {"dump"} <= {event["kind"] for event in events}
    victims = {event["details"].get("comm") for event in events if event["kind"] == "oom_kill"}
    if scenario.truth.victim:
        assert victims == {scenario.truth.victim}


def test_a_boot_that_failed_on_the_console_is_not_searched_for_on_the_lists() -> None:
    (cause,) = lastwords.open(CONSOLES / "initramfs-cut.txt").story.causes
    assert cause.id == "boot-failure"
    fixes = [step for finding in cause.findings for step in finding.fix]
    assert any("lastwords plan initramfs" in step for step in fixes)
    assert not any("Search the kernel lists" in step for step in fixes)
    ways = [wish.how for wish in cause.raised_by]
    assert len(ways) == 1
    assert cause.raised_by[0].topic == "boot, initramfs"


def test_a_killed_init_is_a_boot_that_failed(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text(
        "[    0.000000] Linux version 6.1.0-18-amd64 (gcc-12)\n[    3.000000] Run /init as init process\n"
        "Begin: Running /scripts/init-bottom ... done.\n"
        "[    9.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\n"
    )
    verdict = lastwords.open(log)
    (cause,) = verdict.story.causes
    assert cause.id == "boot-failure" and "init died, at the stage: init" in [s.text for s in cause.chain]
    assert not any("Search the kernel" in step for each in verdict.findings for step in each.fix)
    (boot,) = verdict.story.boots
    assert [moment.kind for moment in boot.moments] == ["panic", "boot_failure"] and boot.end == "panic"


def test_the_panic_of_a_crash_kernel_is_told_as_a_dump_that_was_not_saved(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text(
        "[  107.000000] sysrq: Trigger a crash\n[  107.000100] Kernel panic - not syncing: sysrq triggered crash\n"
        "[    0.000000] Linux version 6.1.0-18-amd64 (gcc-12)\n"
        "[    0.000000] Command line: root=/dev/vda elfcorehdr=425332K\n"
        "[    1.750000] Kernel panic - not syncing: System is deadlocked on memory\n"
    )
    verdict = lastwords.open(log)
    (cause,) = verdict.story.causes
    assert [step.text for step in cause.chain][-1].endswith("the crash kernel ran out of memory")
    assert [event["kind"] for event in verdict.events] == ["sysrq", "panic", "boot", "panic", "kdump"]
    assert [event["details"].get("crash_kernel") for event in verdict.events if event["kind"] == "panic"] == [
        None,
        True,
    ]
