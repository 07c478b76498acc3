"""A boot that ended without a word is told; one that was shut down, or whose kernel spoke, is not."""

from __future__ import annotations

import pytest
from analyzer.test_rules import RULES
from hosttree import text_root

from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import case_of
from lastwords.collectors.kernel_log import JOURNAL, KernelLogCollector
from lastwords.collectors.kernel_log_boots import STOPS
from lastwords.gather.run import gather
from lastwords.model import Finding, Severity

RULE = "boot-ended-abruptly"
BOOTS = """\
=== $ journalctl --no-pager --list-boots exit=0
-1 11111111111111111111111111111111 Sun 2026-03-01 08:00:00 UTC—Sun 2026-03-01 09:30:00 UTC
 0 22222222222222222222222222222222 Sun 2026-03-01 09:31:00 UTC—Sun 2026-03-01 10:00:00 UTC
"""
HEAD = "2026-03-01T{} db01"
STARTS = ("08:00:00+0000", "09:31:00+0000")


def journal(*more: str, starts: tuple[str, ...] = STARTS) -> str:
    """Return what the journal has of the kernel: the starts of boots, and more."""
    lines = [f"{HEAD.format(start)} kernel: Linux version 6.1.0-18-amd64" for start in starts]
    return f"=== $ {' '.join(JOURNAL)} exit=0\n" + "\n".join(sorted([*lines, *more])) + "\n"


def stops(*lines: str, code: int = 0) -> str:
    return f"=== $ {' '.join(STOPS)} exit={code}\n" + "".join(f"{line}\n" for line in lines)


def found(text: str) -> list[Finding]:
    root = text_root(text)
    root.taken_at = 1772359200.0  # 2026-03-01 10:00 UTC
    gathered = gather(root, [KernelLogCollector()])
    assert gathered.results["kernel_log"].facts is not None
    verdict = judge("x", case_of(gathered), [RULES[RULE]])
    assert verdict.skipped == []
    return verdict.findings


def test_a_boot_of_the_journal_that_was_never_shut_down() -> None:
    (finding,) = found(BOOTS + stops() + journal())
    assert finding.severity is Severity.WARNING
    assert "2026-03-01 09:30:00 UTC" in finding.title
    assert "11111111-1111" in str(finding.evidence[0].excerpt)
    assert any("plan kdump" in step for step in finding.fix)


CLEAN = f"{HEAD.format('09:29:59+0000')} systemd-journald[234]: Journal stopped"
PANIC = f"{HEAD.format('09:29:50+0000')} kernel: Kernel panic - not syncing: Fatal exception"
SYSRQ = f"{HEAD.format('09:30:00+0000')} kernel: sysrq: Resetting"


@pytest.mark.parametrize(
    "text",
    [
        BOOTS + stops(CLEAN) + journal(),
        BOOTS + stops(f"{HEAD.format('09:29:58+0000')} systemd[1]: Reached target Shutdown.") + journal(),
        BOOTS + stops() + journal(PANIC),
        BOOTS + stops() + journal(SYSRQ),
        BOOTS + stops(code=1) + journal(),
        BOOTS + journal(),
        BOOTS + stops() + journal(starts=STARTS[1:]),
        BOOTS.replace(" UTC", " CET") + stops() + journal(),
        BOOTS.replace("-1 ", "gone ") + stops() + journal(),
    ],
    ids=[
        "journald stopped",
        "shutdown.target",
        "panic",
        "sysrq",
        "the journal cannot be asked",
        "no record of the question",
        "its start was rotated away",
        "times of an unknown zone",
        "the running boot alone",
    ],
)
def test_silent_where_it_was_in_order_or_told_or_is_not_known(text: str) -> None:
    assert found(text) == []


def test_a_journald_that_was_restarted_is_no_shutdown() -> None:
    early = CLEAN.replace("09:29:59", "08:15:00")
    assert [finding.id for finding in found(BOOTS + stops(early) + journal())] == [RULE]


# -- syslog files ----------------------------------------------------------------------------------------

DAEMONS = [f"Mar  1 09:{minute}:00 db01 cron[7]: (root) CMD (run)" for minute in range(10, 30)]
START = "Mar  1 09:31:00 db01 kernel: Linux version 6.1.0-18-amd64 (gcc)"
SHUTDOWNS = [
    'Mar  1 09:29:59 db01 rsyslogd: [origin software="rsyslogd" swVersion="8.24.0"] exiting on signal 15.',
    "Mar  1 09:29:59 db01 systemd: Reached target Shutdown.",
    "Mar  1 09:29:59 db01 systemd-logind: System is rebooting.",
    "Mar  1 09:29:59 db01 systemd[1]: Reached target reboot.target - System Reboot.",
    "Mar  1 09:29:59 db01 systemd[1]: Reached target Power-Off.",
    "Mar  1 09:29:59 db01 journal: Journal stopped",
    "Mar  1 09:29:59 db01 shutdown[900]: shutting down for system reboot",
    "Mar  1 09:29:59 db01 kernel: reboot: Restarting system",
    "Mar  1 09:29:59 db01 syslog-ng[1]: syslog-ng shutting down; version='3.28.1'",
]


def syslog(*lines: str) -> str:
    return "=== /var/log/messages mtime=2026-03-01T10:00:00Z\n" + "\n".join(lines) + "\n"


def test_a_syslog_that_goes_on_with_the_next_start() -> None:
    (finding,) = found(syslog(*DAEMONS, START))
    assert (finding.evidence[0].path, finding.evidence[0].line) == ("/var/log/messages", len(DAEMONS) + 1)


@pytest.mark.parametrize("shutdown", SHUTDOWNS)
def test_a_syslog_with_a_shutdown(shutdown: str) -> None:
    first = "Mar  1 09:31:00 db01 rsyslogd: start"
    assert found(syslog(*DAEMONS, shutdown, first, START)) == []


KERNEL = [f"Mar  1 09:{minute}:00 db01 kernel: usb 1-1: new device" for minute in range(10, 30)]


@pytest.mark.parametrize(
    "lines",
    [[*DAEMONS[:3], START], [*KERNEL, START], [*DAEMONS, PANIC[26:], START], DAEMONS, [START, *DAEMONS]],
    ids=["cut by rotation", "of the kernel alone", "panic", "no start", "the running boot"],
)
def test_a_syslog_that_does_not_tell(lines: list[str]) -> None:
    assert found(syslog(*lines)) == []


def test_the_journal_goes_before_the_syslog() -> None:
    assert found(BOOTS + stops(CLEAN) + journal() + syslog(*DAEMONS, START)) == []


def test_a_bare_dmesg_of_two_boots_tells_nothing() -> None:
    lines = [f"[{n:5d}.000000] usb 1-1: new device" for n in range(20)]
    start = "[    0.000000] Linux version 6.1.0-18-amd64"
    assert found("=== /var/log/dmesg\n" + "\n".join([start, *lines, start, *lines]) + "\n") == []


def test_a_machine_that_had_been_silent_for_hours_when_it_died() -> None:
    quiet = BOOTS.replace("09:30:00", "08:10:00")
    died = PANIC.replace("09:29:50", "09:20:00")
    assert found(quiet + stops() + journal(died)) == []
    (finding,) = found(quiet + stops() + journal(PANIC.replace("09:29:50", "09:45:00")))
    assert "2026-03-01 08:10:00 UTC" in finding.title
