"""Kernel logs: whole reports are kept, the same event is one event, and nothing is too big or too broken."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import oom_corpus
import pytest
from hosttree import HOSTS, TextTree, host_tree, root_of, text_root, write_tree
from oom_corpus import CORPUS as OOM_CORPUS
from oom_corpus import index, needs_corpus

from lastwords import schemas
from lastwords.analyzer.opening import open_tree
from lastwords.collectors import kernel_log
from lastwords.collectors.kernel_log import WORDS, KernelLogCollector
from lastwords.collectors.kernel_log_scan import LogScan
from lastwords.formats.log.klog import Clock
from lastwords.formats.oom import events as oom_events
from lastwords.model import Event, Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.bundle import bundle_root
from lastwords.roots.lines import Search, read_lines
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree

SCHEMA = jsonschema.Draft202012Validator(schemas.load("kernel_log"))
EVENT = jsonschema.Draft202012Validator(schemas.load("event"))
MARCH = "mtime=2026-03-02T10:00:00Z"
OOM = """\
Mar  1 14:56:39 web kernel: java invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0
Mar  1 14:56:39 web kernel: [ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name
Mar  1 14:56:39 web kernel: Out of memory: Kill process 812 (java) score 900 or sacrifice child
Mar  1 14:56:39 web kernel: Killed process 812 (java) total-vm:400kB, anon-rss:200kB, file-rss:0kB
"""


def collected(root: Root) -> Facts:
    """Return the last facts; each yield must fit the schemas."""
    facts: Facts = {}
    for facts in KernelLogCollector().collect(root):
        document = json.loads(json.dumps(facts))
        for event in document.pop("events"):
            assert [error.message for error in EVENT.iter_errors(event)] == []
        assert [error.message for error in SCHEMA.iter_errors(document)] == []
    return facts


def kinds(facts: Facts) -> list[str]:
    return [event["kind"] for event in facts["events"]]


def source(facts: Facts, path: str) -> dict[str, Any]:
    return next(dict(item) for item in facts["sources"] if item["path"] == path)


def noise(lines: int) -> str:
    return "".join(
        f"Mar  1 10:00:00 web app[7]: WARNING: Killed process {n} (x), all well\n" for n in range(lines)
    )


# -- windows ------------------------------------------------------------------------------------------


def test_an_oom_report_is_kept_whole_and_its_surroundings_are_not() -> None:
    rows = "".join(
        f"Mar  1 14:56:39 web kernel: [{pid:5}]     0 {pid:5}     9772      130\n" for pid in range(3000)
    )
    report = OOM.replace("oom_score_adj name\n", "oom_score_adj name\n" + rows)
    stored: dict[str, bytes] = {}
    root = text_root(f"=== /var/log/messages {MARCH}\n{noise(5000)}{report}{noise(5000)}").recording(
        "kernel_log", lambda name, data: (stored.update({name: data}), name)[1]
    )
    facts = collected(root)
    assert kinds(facts) == ["oom_report", "oom_kill"]
    data = stored["evidence/var/log/messages"].decode()
    assert report in data
    assert len(report.splitlines()) + 20 <= len(data.splitlines()) <= len(report.splitlines()) + 60
    windows = next(item["windows"] for item in root.evidence.items if item["path"] == "/var/log/messages")
    assert [window["line"] for window in windows] == [1, 5001 - 20, 10_000 + len(report.splitlines())]


def test_a_kill_is_of_its_report_though_programs_log_between_and_after() -> None:
    lines = OOM.splitlines(keepends=True)
    text = "".join(line + noise(80) for line in lines[:-1]) + lines[-1] + noise(2000)
    facts = collected(text_root(f"=== /var/log/messages {MARCH}\n{text}"))
    assert [(each["kind"], each["details"]["comm"]) for each in facts["events"]] == [
        ("oom_report", "java"),
        ("oom_kill", "java"),
    ]
    assert facts["events"][1]["details"]["score"] == 900


def test_daemons_that_kill_are_told_apart() -> None:
    lines = (
        "systemd-oomd[3]: Killed /a.slice/b.scope due to memory pressure for /a.slice being 73.12% > 50.00%",
        'earlyoom[7]: sending SIGTERM to process 4711 uid 1000 "firefox": badness 900, VmRSS 1200 MiB',
        "app[9]: Killed /not/at/all due to boredom",
    )
    text = "".join(f"Mar  1 14:56:39 web {line}\n" for line in lines)
    facts = collected(text_root(f"=== /var/log/messages {MARCH}\n{noise(3000)}{text}{noise(3000)}"))
    first, second = facts["events"]
    assert first["details"]["cgroup"] == "/a.slice/b.scope" and first["details"]["killer"] == "systemd-oomd"
    assert second["summary"] == "earlyoom killed firefox (pid 4711), 1.2 GiB: out of memory"
    assert second["details"]["rss"] == 1200 << 20


def test_an_oom_report_without_an_end_does_not_take_the_log_with_it() -> None:
    text = OOM.splitlines(keepends=True)[0] + noise(20_000)
    root = text_root(f"=== /var/log/messages {MARCH}\n{text}")
    facts = collected(root.recording("kernel_log"))
    assert source(facts, "/var/log/messages")["kept_lines"] == 402


def test_an_oops_is_one_event_with_its_trace() -> None:
    oops = [
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
        "IP: [<ffffffff81234567>] foo+0x1/0x2",
        "Oops: 0002 [#1] SMP",
        *(f" [<ffffffff8123456{n}>] bar{n}+0x1/0x2" for n in range(9)),
        "---[ end trace 0123456789abcdef ]---",
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000010",
        "Oops: 0000 [#2] SMP",
        "Kernel panic - not syncing: Fatal exception",
    ]
    text = "".join(f"[  100.{n:06}] {line}\n" for n, line in enumerate(oops))
    facts = collected(text_root(f"=== $ dmesg exit=0\n{text}"))
    assert kinds(facts) == ["oops", "oops", "panic"]
    assert [event["details"].get("number") for event in facts["events"]] == [1, 2, None]


def test_a_kernel_bug_and_its_oops_are_one_event() -> None:
    text = "[    1.000000] kernel BUG at mm/slub.c:379!\n[    1.000100] invalid opcode: 0000 [#1] SMP\n"
    facts = collected(text_root(f"=== $ dmesg exit=0\n{text}"))
    assert kinds(facts) == ["bug"] and facts["events"][0]["details"]["number"] == 1


def test_memory_cgroup_of_a_kill_is_told_by_the_line_before_it() -> None:
    text = (
        "[  100.000000] java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
        "[  100.000010] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
        "oom_memcg=/a.slice,task_memcg=/a.slice/b.service,task=java,pid=812,uid=33\n"
        "[  100.000020] Memory cgroup out of memory: Killed process 812 (java) total-vm:4kB, "
        "anon-rss:2048kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:8kB oom_score_adj:0\n"
        "[  400.000000] Memory cgroup out of memory: Killed process 900 (python3) total-vm:4kB\n"
    )
    first, second = (e["details"] for e in collected(text_root(f"=== $ dmesg exit=0\n{text}"))["events"][1:])
    assert (first["memcg"], first["task_memcg"], first["constraint"]) == (
        "/a.slice",
        "/a.slice/b.service",
        "memcg",
    )
    assert (first["uid"], first["pgtables"]) == (33, 8192)
    # its report was held back by the rate limit: nothing is known of its cgroup
    assert second["scope"] == "memcg" and "memcg" not in second


def test_many_events_are_counted_and_the_newest_are_listed_and_kept() -> None:
    text = "".join(
        f"Mar  1 {10 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} web kernel: "
        f"blk_update_request: I/O error, dev sdb, sector {n}\n" + noise(20)
        for n in range(4000)
    )
    facts = collected(text_root(f"=== /var/log/messages {MARCH}\n{text}"))
    found = source(facts, "/var/log/messages")
    assert found["events"] == 4000 and facts["counts"] == {"io_error": 50} and facts["unlisted"] == 3950
    assert "3950 older events" in found["limit"]
    assert [event["details"]["sector"] for event in facts["events"]] == list(range(3950, 4000))


def test_the_oldest_windows_go_when_too_much_would_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "KEPT_BYTES", 40_000)
    hung = "Mar  1 {:02}:00:00 web kernel: INFO: task rsync:{} blocked for more than 120 seconds.\n"
    text = noise(1) + "".join(hung.format(n, n) + noise(300) for n in range(20))
    stored: dict[str, bytes] = {}
    root = text_root(f"=== /var/log/messages {MARCH}\n{text}").recording(
        "kernel_log", lambda name, data: (stored.update({name: data}), name)[1]
    )
    facts = collected(root)
    assert len(facts["events"]) == 20
    data = stored["evidence/var/log/messages"]
    assert len(data) <= 40_000 and b"rsync:19 " in data and b"rsync:0 " not in data
    assert source(facts, "/var/log/messages")["limit"] == "older windows were not kept"


def test_a_small_dmesg_is_kept_whole_and_a_big_one_in_windows() -> None:
    quiet = "".join(f"[{n:5}.000000] usb 1-1: new device number {n}\n" for n in range(30_000))
    small = text_root("=== $ dmesg exit=0\n" + quiet[:100_000]).recording("kernel_log")
    assert source(collected(small), "$ dmesg")["whole"] is True
    hang = "[31000.000000] INFO: task rsync:4127 blocked for more than 120 seconds.\n"
    big = text_root("=== $ dmesg exit=0\n" + quiet + hang).recording("kernel_log")
    found = source(collected(big), "$ dmesg")
    assert found["whole"] is False and found["kept_lines"] == 22 and found["lines"] == 30_001


# -- one event ----------------------------------------------------------------------------------------


def test_repeated_messages_of_one_log_stay_apart_and_those_of_two_are_joined() -> None:
    lines = [
        f"Mar  1 {hour}:00:00 web kernel: EXT4-fs error (device vda1): ext4_lookup:1: bad\n"
        for hour in (10, 11)
    ]
    facts = collected(
        text_root(
            f"=== /etc/localtime link=/usr/share/zoneinfo/UTC\n"
            f"=== /var/log/messages {MARCH}\n{''.join(lines)}=== /var/log/kern.log {MARCH}\n{lines[1]}"
        )
    )
    first, second = facts["events"]
    assert "also" not in first["details"]
    assert [place["path"] for place in second["details"]["also"]] == ["/var/log/messages"]
    assert second["time"] - first["time"] == 3600


def test_local_stamps_of_an_unknown_zone_still_join_the_same_event_in_dmesg() -> None:
    dmesg = "[25000.000000] INFO: task rsync:4127 blocked for more than 120 seconds.\n"
    local = "Mar  1 15:56:40 web kernel: INFO: task rsync:4127 blocked for more than 120 seconds.\n"
    facts = collected(
        text_root(
            f"=== /proc/stat\nbtime 1772351999\n=== /etc/localtime fifo\n"
            f"=== $ dmesg exit=0\n{dmesg}=== /var/log/messages {MARCH}\n{local}"
        )
    )
    (event,) = facts["events"]
    assert event["time"] == 1772376999.0 and facts["timezone"] is None
    assert event["details"]["time_source"] == "boot time and printk clock"


def test_a_kill_that_the_journal_stamped_late_is_told_once_and_when_it_happened() -> None:
    killed = "Killed process {} (sh) total-vm:400kB, anon-rss:200kB, file-rss:0kB, shmem-rss:0kB"
    dmesg = "".join(f"[2500{n}.000000] Out of memory: {killed.format(700 + n)}\n" for n in range(3))
    late = "".join(
        f"2026-03-01T14:57:39+0000 web kernel: Out of memory: {killed.format(700 + n)}\n" for n in (0, 1, 9)
    )
    argv = " ".join(kernel_log.JOURNAL)
    facts = collected(
        text_root(f"=== /proc/stat\nbtime 1772351999\n=== $ dmesg exit=0\n{dmesg}=== $ {argv} exit=0\n{late}")
    )
    assert [(each["details"]["pid"], each["time"]) for each in facts["events"]] == [
        (700, 1772376999.0),
        (701, 1772377000.0),
        (702, 1772377001.0),
        (709, 1772377059.0),
    ]


def test_boots_a_minute_apart_are_told_apart() -> None:
    begun = "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) #1 SMP Debian 6.1.76-1\n"
    journal = f"2026-03-01T07:58:50+0000 web kernel: {begun}2026-03-01T08:00:12+0000 web kernel: {begun}"
    argv = " ".join(kernel_log.JOURNAL)
    facts = collected(
        text_root(
            f"=== /proc/stat\nbtime 1772351999\n=== $ dmesg exit=0\n[    0.000000] {begun}"
            f"=== $ {argv} exit=0\n{journal}"
        )
    )
    first, second = facts["events"]
    assert first["time"] == 1772351930.0 and "also" not in first["details"]
    assert second["time"] == 1772351999.0 and len(second["details"]["also"]) == 1


def test_the_hosts_zone_is_used(tmp_path: Path) -> None:
    zone = Path("/usr/share/zoneinfo/America/New_York")
    if not zone.exists():
        pytest.skip("no tzdata here")
    tree = TextTree().add(f"=== /var/log/messages mtime=2026-07-02T10:00:00Z\n{OOM.replace('Mar', 'Jul')}")
    top = write_tree(tree, tmp_path)
    (top / "etc").mkdir()
    shutil.copy(zone, top / "etc/localtime")  # a copy has no name, but the rules
    (event, _) = collected(directory_root(str(top)))["events"]
    assert event["time"] == 1782932199.0  # 2026-07-01T18:56:39Z
    (top / "etc/localtime").unlink()
    (top / "etc/localtime").symlink_to("../usr/share/zoneinfo/America/New_York")
    facts = collected(directory_root(str(top)))
    assert facts["events"][0]["time"] == 1782932199.0 and facts["timezone"] == "America/New_York"


def test_events_get_the_boot_in_which_they_happened() -> None:
    facts = collected(root_of(host_tree("rhel9")))
    boots = {boot["index"]: boot["id"] for boot in facts["boots"]}
    panic = next(event for event in facts["events"] if event["kind"] == "panic")
    assert panic["boot"] == boots[-2]
    assert facts["events"][-1]["boot"] == boots[0] == facts["boot_id"]


# -- sources ------------------------------------------------------------------------------------------


def packers() -> Iterator[tuple[str, Any]]:
    yield "gz", gzip.compress
    yield "xz", lzma.compress
    yield "bz2", bz2.compress
    try:
        import zstandard
    except ImportError:
        return
    yield "zst", zstandard.ZstdCompressor().compress


def test_rotated_logs_of_every_compression_are_read_newest_first(tmp_path: Path) -> None:
    log = tmp_path / "var/log"
    log.mkdir(parents=True)
    names = []
    for day, (suffix, pack) in enumerate(packers()):
        path = log / f"messages-2026030{day + 1}.{suffix}"
        path.write_bytes(pack((noise(3000) + OOM.replace("812", f"81{day}")).encode()))
        os.utime(path, (1772400000 + day, 1772400000 + day))
        names.append("/" + str(path.relative_to(tmp_path)))
    facts = collected(directory_root(str(tmp_path)))
    assert [item["path"] for item in facts["sources"]] == names[::-1]
    assert {item["lines"] for item in facts["sources"]} == {3004}
    assert {e["details"]["pid"] for e in facts["events"] if e["kind"] == "oom_kill"} == set(
        range(810, 810 + len(names))
    )


def test_a_damaged_log_gives_what_it_holds_and_the_reason(tmp_path: Path) -> None:
    log = tmp_path / "var/log"
    log.mkdir(parents=True)
    packed = gzip.compress((OOM + noise(50_000)).encode())
    (log / "messages.1.gz").write_bytes(packed[: len(packed) // 2])
    (log / "syslog").write_bytes(b"\0" * 300_000 + b"\n" + OOM.encode() + os.urandom(100_000))
    (log / "kern.log").mkdir()
    facts = collected(directory_root(str(tmp_path)))
    assert "the end is missing" in source(facts, "/var/log/messages.1.gz")["error"]
    assert kinds(facts).count("oom_kill") == 1
    assert facts["events"][0]["details"]["also"]


def test_unreadable_is_not_empty() -> None:
    root = text_root(
        f"=== /var/log/messages denied {MARCH}\nx\n=== /var/log/kern.log {MARCH}\n{OOM}"
    ).recording("k")
    facts = collected(root)
    assert source(facts, "/var/log/messages")["error"] == "permission denied"
    assert source(facts, "/var/log/messages")["events"] == 0
    assert facts["boots"] is None and facts["boot_id"] is None
    assert {"path": "/var/log/messages", "reason": "permission denied"} in root.evidence.gaps


def test_nothing_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        collected(text_root("=== /etc/hostname\nx\n"))
    with pytest.raises(NoData):
        collected(directory_root(str(tmp_path)))


def test_a_pstore_record_is_placed_in_time_by_its_last_line() -> None:
    facts = collected(
        text_root(
            "=== /sys/fs/pstore/dmesg-efi_pstore-177156030601001 mtime=2026-02-20T04:05:06Z\n"
            "Panic#1 Part1\n<4>[  100.000000][  T812] sysrq: Trigger a crash\n"
            "<0>[  102.500000][  T812] Kernel panic - not syncing: sysrq triggered crash\n"
            "=== /sys/fs/pstore/dmesg-erst-7326.enc.z size=1000 mtime=2026-02-20T04:05:06Z\n"
        )
    )
    assert [(event["kind"], event["time"]) for event in facts["events"]] == [
        ("sysrq", 1771560303.5),
        ("panic", 1771560306.0),
    ]
    assert source(facts, "/sys/fs/pstore/dmesg-erst-7326.enc.z")["error"] == "compressed by the kernel"


SOS = {
    # the journal of all programs, as sos 4.x takes it, cut to its end and linked
    "journal": ("sos_commands/logs/journalctl_--no-pager", "sos_strings/logs/journalctl_--no-pager.tailed"),
    "messages": ("var/log/messages", "sos_strings/logs/var.log.messages.tailed"),
}


@pytest.mark.parametrize("name", SOS)
def test_a_sosreports_tailed_logs_are_found_through_their_links(name: str, tmp_path: Path) -> None:
    link, tailed = SOS[name]
    for path in (link, tailed, "sos_reports/x", "version.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "version.txt").write_text("sosreport: 4.5.6\n")
    (tmp_path / tailed).write_text(noise(2000) + OOM)
    (tmp_path / link).symlink_to(os.path.relpath(tmp_path / tailed, (tmp_path / link).parent))
    facts = collected(sosreport_root(DirectoryTree(str(tmp_path)), "a report"))
    assert kinds(facts) == ["oom_report", "oom_kill"]
    assert facts["sources"][0]["lines"] == 2004


def test_a_sosreport_with_a_journal_per_boot(tmp_path: Path) -> None:
    logs = tmp_path / "sos_commands/logs"
    logs.mkdir(parents=True)
    (tmp_path / "sos_reports").mkdir()
    (logs / "journalctl_--no-pager_--catalog_--boot").write_text(noise(10))
    (logs / "journalctl_--no-pager_--catalog_--boot_-1").write_text(
        OOM
        + "Mar  1 14:56:40 web kernel: Kernel panic - not syncing: Out of memory: compulsory panic_on_oom\n"
    )
    facts = collected(sosreport_root(DirectoryTree(str(tmp_path)), "a report"))
    assert kinds(facts) == ["oom_report", "oom_kill", "panic"]
    assert [item["lines"] for item in facts["sources"]] == [10, 5]


def test_the_evidence_of_a_bundle_gives_the_same_events(tmp_path: Path) -> None:
    for host in HOSTS:
        inner = tmp_path / host

        def store(name: str, data: bytes, inner: Path = inner) -> str:
            (inner / name).parent.mkdir(parents=True, exist_ok=True)
            (inner / name).write_bytes(data)
            return name

        root = root_of(host_tree(host)).recording("kernel_log", store)
        facts = collected(root)
        root.evidence.finish()
        items = json.loads(json.dumps(root.evidence.items))
        again = collected(
            bundle_root(DirectoryTree(str(inner)), items, taken_at=root.taken_at, where="a bundle")
        )
        assert again == facts


def test_this_host() -> None:
    root = live_root().recording("kernel_log")
    started = time.monotonic()
    try:
        facts = collected(root)
    except NoData:
        pytest.skip("this host shows no kernel log")
    assert time.monotonic() - started < 60
    dmesg = source(facts, "$ dmesg")
    if dmesg["error"] or not dmesg["lines"]:
        pytest.skip("dmesg shows nothing here")
    first = next((event for event in facts["events"] if event["kind"] == "boot"), None)
    if first is None:
        pytest.skip("the start of the ring buffer is gone")
    assert first["details"]["release"] == os.uname().release
    assert first["boot"] == facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(time.time() - uptime - first["time"]) < 5


def test_a_sosreport_archive_is_read_without_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "sosreport-web-2026-03-02-abcdefg.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for name, text in (
            ("version.txt", "sos report: 4.7.0\n"),
            ("sos_reports/sos.txt", "x\n"),
            ("sos_commands/kernel/dmesg", "[  100.000000] Kernel panic - not syncing: x\n"),
            ("var/log/messages", noise(3000) + OOM),
            ("var/crash/2026-02-11-03:41/dmesg.txt", "[    1.000000] sysrq: Trigger a crash\n"),
        ):
            info = tarfile.TarInfo(f"sosreport-web/{name}")
            info.size, info.mtime = len(text.encode()), 1772445600
            archive.addfile(info, io.BytesIO(text.encode()))
    tree = open_tree(str(path), {"kernel_log": KernelLogCollector()})
    facts = collected(sosreport_root(tree, str(path)))
    assert sorted(kinds(facts)) == ["oom_kill", "oom_report", "panic", "sysrq"]


# -- real logs ----------------------------------------------------------------------------------------

CORPUS = Path(os.environ.get("LASTWORDS_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")


def corpus(name: str) -> Path:
    path = CORPUS / name
    if not path.is_dir():
        pytest.skip(f"no collection of real logs: {path} (LASTWORDS_CORPUS)")
    return path


def index_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "INDEX.tsv").open(encoding="utf-8", errors="replace", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def events_of(data: bytes) -> list[Event]:
    """Return the events of a log; lines without any prefix count as the kernel's."""
    scan = LogScan("/log", Clock(1772445600.0), all_kernel=True)
    search = Search(WORDS, before=oom_events.BEFORE)
    for line in read_lines(io.BytesIO(data), search):
        search.follow = max(0, scan.take(line))
    return scan.events()


@pytest.mark.parametrize("text", ["Kernel panic - not syncing: x", "Linux version 6.1.0 (x) #1 SMP"])
def test_the_last_entry_of_an_exported_journal_counts_though_its_end_is_cut(text: str) -> None:
    entry = f"__CURSOR=s=1\n_TRANSPORT=kernel\nMESSAGE={text}\n".encode()
    whole, cut = events_of(entry + b"\n"), events_of(entry)
    assert [event["kind"] for event in whole] == [event["kind"] for event in cut] != []


def test_real_oom_logs_reports_kills_and_panics() -> None:
    folder = corpus("oom")
    wrong = []
    for row in index_of(folder):
        events = events_of((folder / row["file"]).read_bytes())
        killed = {
            f"{event['details'].get('pid')}/{event['details'].get('comm', '?')}"
            for event in events
            if event["kind"] == "oom_kill" and "pid" in event["details"]
        }
        found = [event["kind"] for event in events]
        expected = {name for name in row["killed"].split(";") if name}
        invoked = sum("oom-killer: " in event["summary"] for event in events)
        if (invoked, killed) != (int(row["n_invoked"]), expected):
            wrong.append((row["file"], found, killed, expected))
        if ("panic" in found) != bool(row["panic"]):
            wrong.append((row["file"], "panic", found, row["panic"]))
    assert wrong == []


@needs_corpus
def test_a_bundle_tells_of_the_kills_that_the_command_tells_of() -> None:
    for name in index():
        log = (OOM_CORPUS / name).read_bytes()
        found = [event for event in events_of(log) if event["kind"] == "oom_kill"]
        victims = [
            (victim.line, victim.pid, victim.comm, event.constraint, event.memcg)
            for event in oom_corpus.events_of(log)
            for victim in event.victims
            if event.killer == "kernel"
        ]
        told = [
            (each["line"], *(each["details"].get(name) for name in ("pid", "comm", "constraint", "memcg")))
            for each in found
            if each["details"]["killer"] == "kernel"
        ]
        assert told == victims, name


def test_real_crashes_are_found_and_quiet_logs_stay_quiet() -> None:
    folder = corpus("crash/syzkaller")
    deaths = {"panic", "oops", "bug", "warning", "hang"}
    missed, invented, total = [], [], 0
    for row in index_of(folder):
        log = (folder / row["file"]).read_bytes().replace(b"\r", b"")
        log = log.partition(b"\n\n")[2].partition(b"\n\nREPORT:")[0]
        found = {event["kind"] for event in events_of(log)} & deaths
        total += bool(row["title"])
        if row["title"] and not found:
            missed.append((row["file"], row["title"]))
        if found and not row["title"]:
            invented.append((row["file"], found))
    assert invented == []
    assert len(missed) <= 0.03 * total, missed


def test_real_failed_boots_end_in_a_panic_that_is_found() -> None:
    folder = corpus("boot")
    missed = []
    for row in index_of(folder):
        if "Kernel panic" in row["first_fatal_line"] and (folder / row["file"]).exists():
            events = events_of((folder / row["file"]).read_bytes())
            if "panic" not in {event["kind"] for event in events}:
                missed.append(row["file"])
    assert missed == []


@pytest.mark.parametrize("host", ["web", "node-7.example.com"])
def test_real_oom_logs_are_the_same_through_a_journal(host: str) -> None:
    """The log of any source, as journalctl and rsyslog would have written it, gives the same events."""
    folder = corpus("oom")
    for row in index_of(folder):
        if "oomd" in row["file"]:
            continue
        plain = events_of((folder / row["file"]).read_bytes())
        if any(event["time"] is not None for event in plain):
            continue  # it has such a prefix already
        lines = (folder / row["file"]).read_bytes().splitlines()
        for prefix in (
            f"2026-03-01T14:56:39+0000 {host} kernel: ",
            f"Mar  1 14:56:39 {host} kernel: ",
            "<4>",
        ):
            if prefix == "<4>" and not lines[0].startswith(b"["):
                continue
            written = b"".join(prefix.encode() + line + b"\n" for line in lines)
            again = [(event["kind"], event["line"]) for event in events_of(written)]
            assert again == [(event["kind"], event["line"]) for event in plain], (row["file"], prefix)


EMERGENCY = """\
Mar  1 03:14:01 web7 kernel: [    0.000000] Linux version 5.14.0-427.el9.x86_64 (x) #1 SMP
Mar  1 03:15:41 web7 systemd[1]: dev-disk-by\\x2duuid-dead.device: Job dev-disk.device/start timed out.
Mar  1 03:15:41 web7 systemd[1]: Timed out waiting for device /dev/disk/by-uuid/dead.
Mar  1 03:15:41 web7 systemd[1]: Dependency failed for /srv.
Mar  1 03:15:41 web7 systemd[1]: Dependency failed for Local File Systems.
Mar  1 03:15:42 web7 systemd[1]: Reached target Emergency Mode.
"""
UP = """\
Mar  1 04:00:01 web7 kernel: [    0.000000] Linux version 5.14.0-427.el9.x86_64 (x) #1 SMP
Mar  1 04:00:31 web7 systemd[1]: Timed out waiting for device /dev/disk/by-uuid/usb.
Mar  1 04:00:31 web7 systemd[1]: Dependency failed for /media/usb.
Mar  1 04:00:32 web7 systemd[1]: Reached target Multi-User System.
"""


def test_a_boot_that_ended_in_emergency_mode_is_in_the_syslog_of_the_next_one() -> None:
    root = text_root(f"=== /var/log/messages {MARCH}\n{noise(50)}{EMERGENCY}{UP}{noise(50)}")
    failed = [event for event in collected(root)["events"] if event["kind"] == "boot_failure"]
    assert [event["details"]["device"] for event in failed] == ["/dev/disk/by-uuid/dead"]
    assert failed[0]["details"]["class"] == "emergency_mode" and failed[0]["details"]["stage"] == "init"
