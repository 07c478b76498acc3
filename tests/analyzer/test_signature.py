"""Signatures: the same for the same bug on other machines, different for another way to it."""

from __future__ import annotations

import pytest
from crash_texts import SAMPLES

from lastwords.analyzer.crash_log import CrashLog, read_messages
from lastwords.analyzer.same import grouped
from lastwords.formats.log.klog import Clock
from lastwords.formats.log.messages import messages


def read(text: str, path: str = "log") -> CrashLog:
    lines = text.encode().split(b"\n")
    return read_messages(path, messages((n, 0, line) for n, line in enumerate(lines, 1)), Clock())


BASE = SAMPLES["NULL dereference, x86-64, module"].text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CPU: 3 PID: 871 Comm: kworker/3:1", "CPU: 0 PID: 12 Comm: kworker/0:7"),
        ("0000000000000018", "0000000000000099"),
        ("acme_irq+0x2e/0x90", "acme_irq+0x31/0x98"),
        ("6.1.0-18-amd64", "6.1.0-21-amd64"),
        ("Tainted: G        W  OE ", "Not tainted"),
        ("acme_work+0x1c/0x40", "acme_work.isra.0+0x1c/0x40"),
        (" ? __die_body.cold+0x1a/0x1f\n", ""),
        ("[#1]", "[#2]"),
    ],
)
def test_what_differs_between_machines_does_not_enter_the_keys(old: str, new: str) -> None:
    assert old in BASE
    assert read(BASE).reports[0]["signature"] == read(BASE.replace(old, new)).reports[0]["signature"]


@pytest.mark.parametrize(
    "name", ["handle_softirqs", "timer_delete_sync", "cancel_delayed_work_sync", "rep_movs_alternative"]
)
def test_helpers_that_only_some_releases_have_do_not_enter_the_hash(name: str) -> None:
    at = BASE.index(" acme_work+0x1c")
    longer = f"{BASE[:at]} {name}+0x1/0x2\n{BASE[at:]}"
    assert read(BASE).reports[0]["signature"] == read(longer).reports[0]["signature"]


def test_another_way_to_the_same_function_has_the_title_but_not_the_hash() -> None:
    one, other = read(BASE), read(BASE.replace("acme_work", "acme_resume"))
    keys = [log.reports[0]["signature"] for log in (one, other)]
    assert keys[0]["merge"] == keys[1]["merge"]
    assert keys[0]["split"] != keys[1]["split"]
    (group,) = grouped([one, other])
    assert len(group.ways) == 2


def test_a_report_without_frames_is_in_a_class_of_its_own() -> None:
    entry = read(SAMPLES["header alone"].text).reports[0]
    assert entry["signature"]["split"] == "EMPTY:soft_lockup"
    assert entry["corrupted"]


def test_deaths_with_one_title_in_common_are_one() -> None:
    fault = BASE
    other = SAMPLES["general protection fault"].text.replace("acme_poll", "acme_irq")
    (group,) = grouped([read(fault, "a"), read(other, "b")])
    assert group.paths == ["a", "b"]
    assert "bad-access in acme_irq" in group.titles


def test_the_cause_of_a_cascade_is_the_death() -> None:
    log = read(SAMPLES["WARN, x86-64"].text + BASE)
    assert [entry["cause"] for entry in log.reports] == [None, 0]
    assert log.death() is log.reports[0]


def test_boots_that_failed_are_told_apart_by_class_not_by_device() -> None:
    def boot(device: str) -> CrashLog:
        return read(
            f"[    0.000000] Linux version 6.1.0\nALERT!  {device} does not exist.  Dropping to a shell!\n"
        )

    one, other = boot("UUID=1111-22"), boot("UUID=3333-44")
    assert one.reports[0]["signature"] == other.reports[0]["signature"]
    assert boot("/dev/nvme0n1p2").reports[0]["signature"]["split"] != one.reports[0]["signature"]["split"]
