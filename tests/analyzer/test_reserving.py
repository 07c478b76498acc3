"""How much to reserve for a crash kernel, where no more than a log is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyzer.test_rules import found, happened

import lastwords
from lastwords.analyzer.kdump.advice import to_reserve
from lastwords.formats.failures.texts import TEXTS

MIB, GIB = 1 << 20, 1 << 30
BOOKWORM = "6.1.0-56-cloud-amd64"
EL9 = "5.14.0-427.13.1.el9_4.x86_64"


@pytest.mark.parametrize(
    ("name", "memory", "reserved", "release", "value"),
    [
        ("capture_out_of_memory", 512 * MIB, 64 * MIB, BOOKWORM, "128M"),
        ("capture_out_of_memory", 16 * GIB, 256 * MIB, EL9, "512M"),
        ("capture_out_of_memory", None, 200 * MIB, None, "448M"),
        ("capture_out_of_memory", 16 * GIB, None, EL9, "256M"),
        ("capture_vmcore_read", 16 * GIB, 64 * MIB, EL9, "256M"),
        ("kexec_no_space", 1 * GIB, 160 * MIB, "6.6.1", "320M"),
        ("crashkernel_missing", 8 * GIB, None, EL9, "256M"),
        ("crashkernel_missing", 8 * GIB, None, "6.12.118+deb13-amd64", "192M"),
        ("crashkernel_syntax", 128 * GIB, None, "4.18.0-553.el8_10.x86_64", "512M"),
    ],
)
def test_a_size_is_named_where_the_log_tells_enough(
    name: str, memory: int | None, reserved: int | None, release: str | None, value: str
) -> None:
    advice = to_reserve(name, memory, reserved, release)
    assert advice is not None and advice.value == value


@pytest.mark.parametrize(
    ("name", "memory", "reserved"),
    [
        ("capture_out_of_memory", None, None),
        ("capture_out_of_memory", 512 * MIB, 256 * MIB),
        ("crashkernel_missing", None, None),
        ("crashkernel_missing", 128 * MIB, None),
        ("capture_no_space", 8 * GIB, 256 * MIB),
    ],
)
def test_none_is_invented(name: str, memory: int | None, reserved: int | None) -> None:
    assert to_reserve(name, memory, reserved, BOOKWORM) is None


def test_the_finding_names_the_size_and_the_plan_that_reserves_it() -> None:
    failure = {"class": "capture_out_of_memory", "stage": "capture"}
    boot = happened("boot", release=EL9)
    told = happened("kdump", memory=16 * GIB, reserved=256 * MIB, **failure)
    (finding,) = found("kdump-failed", events=[boot, told])
    assert finding.fix[0] == "Reserve crashkernel=512M: 256.0 MiB were too little."
    assert finding.fix[1].startswith("$ lastwords plan kdump --crashkernel 512M  #")
    assert len(finding.fix) == len(TEXTS["capture_out_of_memory"].fix) + 1
    (untold,) = found("kdump-failed", events=[boot, happened("kdump", **failure)])
    assert untold.fix == TEXTS["capture_out_of_memory"].fix


def test_a_console_alone_tells_it(tmp_path: Path) -> None:
    console = tmp_path / "console.txt"
    console.write_text(
        "[  107.358061] sysrq: Trigger a crash\n"
        "[  107.366093] Kernel panic - not syncing: sysrq triggered crash\n"
        "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (gcc-12) #1 SMP\n"
        "[    0.000000] Command line: root=/dev/vda nr_cpus=1 elfcorehdr=425332K\n"
        "[    0.000000] Memory: 11196K/65516K available (14343K kernel code, 2327K rwdata)\n"
        "[    1.686000] kworker/u2:0 invoked oom-killer: gfp_mask=0x40cd0(GFP_KERNEL), order=0, oom_score_adj=0\n"
        "[    1.752000] Kernel panic - not syncing: System is deadlocked on memory\n"
        "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (gcc-12) #1 SMP\n"
        "[    0.000000] Command line: root=/dev/vda crashkernel=64M\n"
        "[    0.000000] Reserving 64MB of memory at 432MB for crashkernel (System RAM: 511MB)\n"
        "[    0.000000] Memory: 260860K/523732K available (14343K kernel code, 2327K rwdata)\n"
    )
    verdict = lastwords.open(console)
    fixes = [step for finding in verdict.findings for step in finding.fix]
    assert "Reserve crashkernel=128M: 64.0 MiB were too little." in fixes
    # That it ran out of memory is told so, and not as a lack of the machine's.
    assert [cause.id for cause in verdict.story.causes] == ["crash-requested"]
    assert not {"oom-outcome-unknown", "oom-kill-happened"} & {finding.id for finding in verdict.findings}
    marked = [event["kind"] for event in verdict.events if event["details"].get("crash_kernel")]
    assert marked == ["oom_report", "panic"]
