"""A bare log as a root: opened like any other input."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import joined_by_log, open_case
from lastwords.model import LastwordsError
from lastwords.roots.logs import alone, is_log
from lastwords.verdict import Verdict

BOOTS = """\
Booting from ROM...
[    0.000000] Linux version 6.1.0-56-amd64 (x) #1 SMP
[   45.000000] java invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0
[   45.000100] Out of memory: Killed process 4242 (java) total-vm:8000kB, anon-rss:4096kB, file-rss:0kB, shmem-rss:0kB
[   99.000000] reboot: Restarting system
[    0.000000] Linux version 6.1.0-56-amd64 (x) #1 SMP
[    7.000000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
"""
SYSLOG = """\
Mar  1 03:14:06 web7 app[12]: Out of memory: Killed process 1 (lies) total-vm:8kB, anon-rss:4kB
Mar  1 03:14:07 web7 kernel: Out of memory: Killed process 4242 (java) total-vm:8kB, anon-rss:4kB, file-rss:0kB
"""


def opened(path: Path) -> Verdict:
    loaded = plugins.load()
    return judge(str(path), open_case(str(path), loaded.collectors()), loaded.rules().values())


def test_the_boots_of_a_console_stay_in_order(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_text(BOOTS)
    verdict = opened(path)
    assert verdict.case.root_kind == "log"
    kinds = [event["kind"] for event in verdict.case.events]
    assert kinds == ["boot", "oom_report", "oom_kill", "shutdown", "boot", "panic", "boot_failure"]
    assert verdict.case.events[-1]["path"] == "/console.log" and verdict.case.events[-1]["line"] == 7
    assert {"oom-kill-happened", "crash-happened", "boot-failed"} <= {
        finding.id for finding in verdict.findings
    }
    assert verdict.case.outcomes["kernel_log"]["outcome"] == "ok"


@pytest.mark.parametrize("packed", [False, True])
def test_what_programs_say_does_not_count(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("messages.gz" if packed else "messages")
    path.write_bytes(gzip.compress(SYSLOG.encode()) if packed else SYSLOG.encode())
    (event,) = opened(path).case.events
    assert event["details"]["pid"] == 4242


@pytest.mark.parametrize(
    "content", [b"hello\n", b"\0" * 5000, bytes(range(256)) * 40, b"", b"a=1\n[section]\n"]
)
def test_what_is_no_log_is_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert not is_log(*alone(str(path)))
    with pytest.raises(LastwordsError):
        open_case(str(path), {})


def test_a_small_log_that_is_cut_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "console.log.gz"
    path.write_bytes(
        gzip.compress(BOOTS.encode() + bytes(random.Random(1).randbytes(300)).hex().encode())[:-100]
    )
    verdict = opened(path)
    kinds = [event["kind"] for event in verdict.case.events]
    assert kinds[:4] == ["boot", "oom_report", "oom_kill", "shutdown"]
    assert verdict.case.notes == ["cut gzip data: the end is missing; what was read before is shown"]
    assert [wish.how for wish in verdict.story.missing if "kernel_log" in wish.topic] == [
        ("Have the file sent again, whole.",)
    ]


def test_a_log_reached_by_a_link_keeps_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "kern.log").write_text(BOOTS)
    (tmp_path / "link").symlink_to("kern.log")
    assert opened(tmp_path / "link").case.events[0]["path"] == "/kern.log"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_text_that_is_no_log_is_called_so(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(pack(b"Hello,\nthe machine is down again.\n"))
    with pytest.raises(LastwordsError, match=r"letter\.txt: expected .* found text without a line of a log"):
        opened(path)


GRUB = """\
menuentry 'Debian GNU/Linux' {
    search --no-floppy --fs-uuid --set=root 9131d596-9e5b-4ba5-924c-40aa71d57543
    linux /boot/vmlinuz-6.1 root=UUID=deadbeef-0000-4000-8000-000000000000 ro
}
"""
SHELL = """\
[    0.000000] Linux version 6.1.0-56-amd64 (x) #1 SMP
ALERT!  UUID=deadbeef-0000-4000-8000-000000000000 does not exist.  Dropping to a shell!
"""


def test_a_console_and_the_disk_of_its_machine_make_one_story(tmp_path: Path) -> None:
    disk, console = tmp_path / "disk", tmp_path / "console.log"
    console.write_text(SHELL)
    for name, text in {
        "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
        "boot/grub/grub.cfg": GRUB,
        "var/log/kern.log": SYSLOG,
    }.items():
        (disk / name).parent.mkdir(parents=True, exist_ok=True)
        (disk / name).write_text(text)
    loaded = plugins.load()
    alone = open_case(str(disk), loaded.collectors(), as_host=True)
    case = joined_by_log(alone, str(console), loaded.collectors())
    assert {event["path"] for event in case.events} == {"/var/log/kern.log", "/console.log"}
    assert case.facts["kernel_log"]["counts"] == {"boot": 1, "boot_failure": 1, "oom_kill": 1}
    cause = next(
        each for each in judge("x", case, loaded.rules().values()).story.causes if each.id == "boot-failure"
    )
    assert cause.confidence == "high"
    assert [step.link for step in cause.chain][-2:] == ["root", "failure"]
    assert {"root-not-found", "boot-failed"} <= {finding.id for finding in cause.findings}
    with pytest.raises(LastwordsError, match="expected a kernel log or a console capture"):
        joined_by_log(alone, str(disk), loaded.collectors())
