"""Kernel reports in logs: every kind, every architecture, in every form in which logs are handed over."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from crash_texts import QUIET, SAMPLES, Sample
from hypothesis import given
from hypothesis import strategies as st
from klog_forms import FORMS

from lastwords.formats.crash.reports import LINES, LISTED, Report, find_reports
from lastwords.formats.log.messages import messages


def found(log: bytes) -> list[Report]:
    return find_reports(messages((n, 0, line) for n, line in enumerate(log.split(b"\n"), 1)))


def printk(texts: Sequence[str], seconds: float = 511.0, caller: str = "") -> list[str]:
    return [f"[{seconds + n / 1000:12.6f}]{caller} {text}" for n, text in enumerate(texts)]


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_report_is_found_with_title_and_frame(sample: Sample) -> None:
    (report,) = found("\n".join(printk(sample.text.splitlines())).encode())
    assert (report.kind, report.title, report.frame) == (sample.kind, sample.title, sample.frame)
    assert (report.fatal, report.corrupted is not None) == (sample.fatal, sample.corrupted)
    assert report.alts == sample.alts


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_log_gives_the_same_titles(form) -> None:  # type: ignore[no-untyped-def]
    for name, sample in SAMPLES.items():
        reports = found(form(sample.text.splitlines()))
        assert [report.title for report in reports] == [sample.title], name


def test_reports_one_after_the_other_are_each_found() -> None:
    lines: list[str] = []
    for n, sample in enumerate(SAMPLES.values()):
        lines += printk([*sample.text.splitlines(), *["eth0: link is up"] * 3], 1000.0 * (n + 1))
    titles = [report.title for report in found("\n".join(lines).encode())]
    assert titles == [sample.title for sample in SAMPLES.values()]


def test_what_only_looks_like_a_report_is_none() -> None:
    assert found(QUIET.encode()) == []


def test_the_reports_of_two_cpus_are_told_apart_by_their_callers() -> None:
    one = printk(SAMPLES["BUG()"].text.splitlines(), caller="[   T9]")
    other = printk(SAMPLES["KASAN"].text.splitlines(), caller="[T1402]")
    mixed = [line for pair in zip(one, other) for line in pair] + other[len(one) :]
    reports = found("\n".join(mixed).encode())
    assert sorted((report.title, report.corrupted) for report in reports) == [
        ("KASAN: slab-use-after-free Read in acme_lookup", None),
        ("kernel BUG in acme_free", None),
    ]


def test_facts_of_the_machine() -> None:
    sample = SAMPLES["NULL dereference, x86-64, module"]
    (report,) = found(sample.text.encode())
    facts = report.facts
    assert (facts.cpu, facts.pid, facts.comm) == (3, 871, "kworker/3:1")
    assert (facts.release, facts.taint) == ("6.1.0-18-amd64", "GWOE")
    assert [each.letter for each in facts.taints] == ["W", "O", "E"]
    assert facts.hardware == "QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014"
    assert facts.modules == ("acme(OE)", "nls_ascii", "ext4", "virtio_net")
    assert facts.code == "48 8b 47 18 <48> 8b 40 18 c3 0f 1f 44 00 00"
    assert facts.registers[:2] == [
        "RIP: 0010:acme_irq+0x2e/0x90 [acme]",
        "RSP: 0018:ffffb0c3c0d97e30 EFLAGS: 00010246",
    ]
    guilty, unsure, caller = report.frames[:3]
    assert (guilty.function, guilty.offset, guilty.size, guilty.module) == ("acme_irq", 0x2E, 0x90, "acme")
    assert (unsure.reliable, caller.reliable, caller.name) == (False, True, "acme_work")


def test_frames_know_their_stack() -> None:
    (report,) = found(SAMPLES["soft lockup"].text.encode())
    stacks = {frame.name: frame.stack for frame in report.frames}
    assert (stacks["acme_timer"], stacks["default_idle"]) == ("IRQ", "TASK")


def test_what_follows_closely_is_linked_to_its_cause() -> None:
    first = printk(SAMPLES["WARN, x86-64"].text.splitlines(), 100.0)
    then = printk(SAMPLES["general protection fault"].text.splitlines(), 101.0)
    later = printk(SAMPLES["BUG()"].text.splitlines(), 9000.0)
    reports = found("\n".join([*first, *then, *later]).encode())
    assert [report.cause for report in reports] == [None, 0, None]


def test_a_panic_makes_the_cause_fatal_too() -> None:
    first = printk(SAMPLES["WARN, x86-64"].text.splitlines(), 100.0)
    then = printk(SAMPLES["NULL dereference, x86-64, module"].text.splitlines(), 101.0)
    reports = found("\n".join([*first, *then]).encode())
    assert [(report.kind, report.fatal) for report in reports] == [("warning", True), ("null_deref", True)]


def test_a_new_boot_ends_what_was_open() -> None:
    lines = [*printk(SAMPLES["hung task"].text.splitlines()), "[    0.000000] Linux version 6.1.0"]
    lines += printk(SAMPLES["BUG()"].text.splitlines(), 1.0)
    reports = found("\n".join(lines).encode())
    assert [report.kind for report in reports] == ["hung_task", "reboot", "kernel_bug"]


def test_a_program_cannot_write_a_report_into_a_syslog() -> None:
    lines = [f"Mar  1 02:14:07 web evil[12]: {text}" for text in SAMPLES["BUG()"].text.splitlines()]
    assert found("\n".join(lines).encode()) == []


def test_a_flood_of_reports_is_counted_not_kept() -> None:
    text = SAMPLES["hung task"].text
    from lastwords.formats.crash.reports import Reports

    reports = Reports()
    lines = (text * (LISTED + 50)).encode().split(b"\n")
    for message in messages((n, 0, line) for n, line in enumerate(lines, 1)):
        reports.feed(message)
    assert len(reports.end()) == LISTED
    assert reports.unlisted == 50


def test_a_report_without_end_is_read_in_bounds() -> None:
    lines = [
        "BUG: stack guard page was hit at ffffc90000000000",
        "RIP: 0010:acme_loop+0x1/0x2",
        "Call Trace:",
        *[" acme_loop+0x1/0x2"] * (3 * LINES),
    ]
    (report,) = found("\n".join(lines).encode())
    assert report.frame == "corrupted"  # whoever called it first is not there any more
    assert len(report.lines) <= 200


HEADERS = [sample.text.splitlines()[0] for sample in SAMPLES.values()]
PIECES = st.sampled_from(
    [
        *HEADERS,
        *SAMPLES["KASAN"].text.splitlines(),
        *SAMPLES["lockdep"].text.splitlines(),
        "RIP: 0010:",
        "Call Trace:",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=60)), max_size=30), st.data())
def test_no_text_breaks_it(pieces: list[str], data: st.DataObject) -> None:
    log = "\n".join(pieces).encode("utf-8", "surrogatepass")
    cut = data.draw(st.integers(0, len(log)))
    for report in found(log[:cut]):
        assert report.title
        assert len(report.title) <= 120


@pytest.mark.parametrize(
    "filler", ["[<" + "a" * 900, "0x" * 500, "(" * 900, "a " * 450, "+0x" * 300, "{" * 900, "<" * 900]
)
def test_hostile_lines_take_no_time(filler: str) -> None:
    lines = [
        "kernel BUG at fs/inode.c:1!",
        "Call Trace:",
        *[f" {filler}+0x1/0x2 x"] * 300,
        *[f"RIP: 0010:{filler}"] * 300,
    ]
    assert len(found("\n".join(lines).encode())) == 1


RAN = "[   77.000000] eth0: link is up\n"
AGAIN = "[    0.000000] Linux version 6.1.0 (gcc-12)\n"


@pytest.mark.parametrize(
    ("log", "kinds"),
    [
        (RAN + "SeaBIOS (version 1.16)\n" + AGAIN, ["reboot"]),
        (RAN + "[   78.000000] reboot: Restarting system\n" + AGAIN, []),
        (RAN + "[   78.000000] kexec_core: Starting new kernel\n" + AGAIN, []),
        (RAN + "[   78.000000] Kernel panic - not syncing: sysrq triggered crash\n" + AGAIN, ["panic"]),
        ("Mar  1 02:14:07 web kernel: " + RAN + "Mar  1 02:15:07 web kernel: " + AGAIN, []),
        (AGAIN + RAN, []),
    ],
)
def test_a_console_on_which_a_kernel_starts_anew_without_end(log: str, kinds: list[str]) -> None:
    assert [report.kind for report in found(log.encode())] == kinds


@pytest.mark.parametrize(
    "told",
    [
        "Command line: root=/dev/vda ro reset_devices nr_cpus=1 elfcorehdr=425332K",
        "Kernel command line: root=/dev/vda ro elfcorehdr=0x2e000000@786432",
        "OF: fdt: Reserving 1 KiB of memory at 0x5fe00000 for elfcorehdr",
        "Reserving 1KB of memory at 0x5fe00000 for elfcorehdr",
    ],
)
def test_what_the_crash_kernel_starts_after_is_what_the_other_died_of(told: str) -> None:
    died = printk(
        ["kernel BUG at fs/inode.c:77!", "RIP: 0010:evict+0x1a/0x2b", "Call Trace:", " iput+0x3/0x9"]
    )
    capture = ["[    0.000000] Linux version 6.12.0", f"[    0.000000] {told}"]
    (report,) = found("\n".join([*died, *capture]).encode())
    assert (report.title, report.fatal) == ("kernel BUG in evict", True)
    other = ["[    0.000000] Linux version 6.12.0", "[    0.000000] Command line: root=/dev/vda ro"]
    bug, reset = found("\n".join([*died, *other]).encode())
    assert (bug.fatal, reset.kind) == (False, "reboot")
    quiet = ["[  100.000000] eth0: link is up", *capture]
    assert [each.kind for each in found("\n".join(quiet).encode())] == ["reboot"]
