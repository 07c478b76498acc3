"""``lastwords oops`` and ``lastwords same``: what they print, in every format, and what they do with bad input."""

from __future__ import annotations

import gzip
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jsonschema
import pytest
from crash_texts import QUIET, SAMPLES

from lastwords import schemas
from lastwords.cli.main import run

NULL = SAMPLES["NULL dereference, x86-64, module"]
BOOT = """\
[    0.000000] Linux version 6.1.0-18-amd64 (gcc-12)
[    1.196900] Initramfs unpacking failed: ZSTD-compressed data is corrupt
[    1.697926] VFS: Cannot open root device "vda" or unknown-block(0,0): error -6
[    1.698378] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
[    1.698400] Call Trace:
[    1.698500]  panic+0x118/0x2f4
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "messages"
    lines = [
        f"Mar  1 02:14:07 web kernel: [  511.25000{n % 10}] {text}"
        for n, text in enumerate(NULL.text.splitlines())
    ]
    path.write_text("\n".join(["Mar  1 02:14:00 web sshd[12]: WARNING: no", *lines]) + "\n")
    return path


def printed(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert run(argv) == code
    return capsys.readouterr().out


def test_json_is_as_its_schema_says(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "oops", "--json", str(log)))
    jsonschema.Draft202012Validator(schemas.load("crash_log")).validate(found)
    (entry,) = found["reports"]
    assert (entry["title"], entry["frame"], entry["fatal"]) == (NULL.title, "acme_irq", True)
    assert (entry["line"], entry["host"], entry["monotonic"]) == (2, "web", 511.25)
    assert entry["signature"]["merge"] == [NULL.title, "bad-access in acme_irq"]
    raw = log.read_bytes()
    assert raw[entry["offset"] :].startswith(b"Mar  1 02:14:07 web kernel: [  511.250000] BUG: kernel NULL")
    assert b"Kernel panic" in raw[entry["last_offset"] :].splitlines()[0]


def test_jsonl_has_a_line_for_each_input_in_order(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = tmp_path / "quiet"
    quiet.write_text(QUIET)
    found = [
        json.loads(line) for line in printed(capsys, "oops", "--jsonl", str(quiet), str(log)).splitlines()
    ]
    assert [(each["path"], len(each["reports"])) for each in found] == [(str(quiet), 0), (str(log), 1)]


def test_a_failed_boot_is_a_report_of_its_own_and_the_panic_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "boot").write_text(BOOT)
    boot, panic = json.loads(printed(capsys, "oops", "--json", str(tmp_path / "boot")))["reports"]
    assert (boot["kind"], boot["stage"], boot["class"]) == ("boot_failure", "initramfs", "initramfs_unpack")
    assert (panic["title"], panic["cause"]) == (
        "kernel panic: VFS: Unable to mount root fs on unknown-block(NUM,NUM)",
        0,
    )
    assert "corrupt" in boot["excerpt"][0]
    assert boot["fix"]


@pytest.mark.parametrize("width", ["80", "120"])
def test_the_screen_says_it_at_a_glance(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    screen = printed(capsys, "oops", str(log))
    assert max(map(len, screen.splitlines())) <= int(width)
    flat = " ".join(screen.split())
    assert f"FATAL {NULL.title}" in flat
    assert "kernel 6.1.0-18-amd64, CPU 3, kworker/3:1 (pid 871), tainted GWOE" in flat
    assert "acme_irq [acme] < acme_work [acme] < process_one_work" in flat


def test_markdown_escapes_what_the_log_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("[    1.000000] Kernel panic - not syncing: <b>*evil*</b>\n")
    page = printed(capsys, "oops", "--markdown", str(tmp_path / "log"))
    assert "&lt;b&gt;\\*evil\\*&lt;/b&gt;" in page


def test_junit_is_read_by_an_xml_parser(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = log.parent / "quiet"
    other.write_text("\0\x1b<&]]>\n")
    suites = ElementTree.fromstring(printed(capsys, "oops", "--format", "junit", str(log), str(other)))
    first, second = suites.findall("testsuite")
    (failure,) = first.iter("failure")
    assert (first.get("failures"), failure.get("message")) == ("1", NULL.title)
    assert second.get("failures") == "0"


def test_kcidb_is_valid(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "oops", "--format", "kcidb", str(log), str(log)))
    (issue,), incidents = found["issues"], found["incidents"]
    assert issue["report_subject"] == NULL.title
    assert [each["issue_id"] for each in incidents] == [issue["id"]] * 2
    kcidb_io = pytest.importorskip("kcidb_io", reason="kcidb-io is not installed")
    assert kcidb_io.schema.V5_3.is_valid(found)


def test_packed_logs_and_standard_input(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = log.with_suffix(".gz")
    of_windows = log.read_text().replace("\n", "\r\n").encode("utf-16")
    for data in (gzip.compress(log.read_bytes()), of_windows):
        packed.write_bytes(data)
        assert (
            json.loads(printed(capsys, "oops", "--jsonl", str(packed)))["reports"][0]["title"] == NULL.title
        )

    class Input:
        buffer = io.BytesIO(log.read_bytes())

    monkeypatch.setattr("sys.stdin", Input)
    found = json.loads(printed(capsys, "oops", "--jsonl", "-"))
    assert (found["path"], found["reports"][0]["title"]) == ("-", NULL.title)


def test_what_cannot_be_read_is_one_line_and_does_not_stop_the_others(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["oops", "--jsonl", str(log.parent / "none"), str(log.parent), str(log)]) == 4
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert [line.startswith("lastwords: ") for line in err.splitlines()] == [True, True]


def test_a_cut_archive_tells_what_was_read(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = log.with_suffix(".gz")
    packed.write_bytes(gzip.compress(log.read_bytes())[:-30])
    found = json.loads(printed(capsys, "oops", "--json", str(packed), code=4))
    assert found["problem"]


def test_exit_codes(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    warned = tmp_path / "warned"
    warned.write_text(SAMPLES["WARN, x86-64"].text)
    assert run(["oops", str(empty)]) == 0
    assert run(["oops", "--fail-on", "any", str(empty)]) == 0
    assert run(["oops", "--fail-on", "any", str(warned)]) == 1
    assert run(["oops", "--fail-on", "fatal", str(warned)]) == 0
    assert run(["oops", "--fail-on", "fatal", str(log)]) == 1
    assert run(["oops", "--format", "yaml", str(log)]) == 2


def test_a_long_syslog_is_searched_for_what_the_kernel_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = "Mar  1 02:14:07 web app[12]: BUG: unable to handle kernel paging request\n" * 9000
    lines = "".join(f"Mar  1 02:14:07 web kernel: {text}\n" for text in NULL.text.splitlines())
    (tmp_path / "long").write_text(noise + lines + noise)
    found = json.loads(printed(capsys, "oops", "--json", str(tmp_path / "long")))
    assert [entry["title"] for entry in found["reports"]] == [NULL.title]
    assert (found["reports"][0]["line"], found["lines"]) == (9001, 18000 + len(NULL.text.splitlines()))


def test_same_groups_logs_by_their_death(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "other machine"
    text = (
        NULL.text.replace("CPU: 3 PID: 871", "CPU: 0 PID: 4")
        .replace("+0x2e/", "+0x31/")
        .replace("6.1.0-18", "6.1.0-21")
    )
    moved.write_text(text)
    other, quiet = tmp_path / "other", tmp_path / "quiet"
    other.write_text(SAMPLES["KASAN"].text)
    quiet.write_text("")
    lines = printed(capsys, "same", "--jsonl", str(other), str(log), str(quiet), str(moved)).splitlines()
    groups = [json.loads(line) for line in lines]
    assert [(group["title"], group["paths"]) for group in groups] == [
        (NULL.title, [str(log), str(moved)]),
        (SAMPLES["KASAN"].title, [str(other)]),
        (None, [str(quiet)]),
    ]
    assert len(groups[0]["ways"]) == 1
    assert f"{NULL.title}: 2 logs" in printed(capsys, "same", str(log), str(moved))


def test_same_says_which_log_was_cut(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(log.read_bytes())[:-20])
    assert run(["same", str(log), str(cut)]) == 4
    done = capsys.readouterr()
    assert f"{NULL.title}: 2 logs" in done.out
    assert done.err.count("\n") == 1 and f"{cut}: cut gzip data" in done.err


def test_the_parts_of_a_pstore_record_are_one_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"<4>[  511.{n:06d}] {text}" for n, text in enumerate(NULL.text.splitlines())]
    texts = {3: lines[:6], 2: lines[6:12], 1: lines[12:]}
    paths = []
    for part, some in texts.items():
        paths.append(tmp_path / f"dmesg-efi_pstore-17000000{part:02}001")
        paths[-1].write_text(f"Panic#1 Part{part}\n" + "\n".join(some) + "\n")
    found = json.loads(printed(capsys, "oops", "--jsonl", *map(str, reversed(paths))))
    assert found["path"] == str(paths[0])
    assert [(entry["title"], entry["frame"]) for entry in found["reports"]] == [(NULL.title, "acme_irq")]
    assert len(printed(capsys, "oops", "--jsonl", str(paths[0]), str(paths[0])).splitlines()) == 2


def test_verbose_shows_whole_traces_and_all_that_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = "".join(f"[    9.000200]  function_{n}+0x10/0x20\n" for n in range(30))
    panics = "".join(f"[    9.{n + 500:06}] BUG: scheduling while atomic: sh/{n}/0x2\n" for n in range(50))
    path = tmp_path / "many.log"
    path.write_text(
        "[    9.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
        "[    9.000100] RIP: 0010:function_0+0x10/0x20\n"
        f"[    9.000150] Call Trace:\n{frames}[    9.000400] ---[ end trace 0123456789abcdef ]---\n{panics}"
    )
    brief, whole = [], []
    for out, options in ((brief, []), (whole, ["-v"])):
        assert run(["oops", *options, str(path)]) == 0
        out += " ".join(capsys.readouterr().out.split()).split(" ")
    assert "function_29" in whole and "function_29" not in brief
    assert len(whole) > len(brief) and "..." not in whole


def test_a_machine_did_not_die_of_what_its_crash_kernel_died_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    death = "[  107.366093] Kernel panic - not syncing: sysrq triggered crash\n"
    capture = (
        "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (gcc-12) #1 SMP\n"
        "[    0.000000] Command line: root=/dev/vda nr_cpus=1 elfcorehdr=425332K\n"
        "[    0.000000] Memory: 11196K/65516K available (14343K kernel code)\n"
        "[    1.752000] Kernel panic - not syncing: System is deadlocked on memory\n"
    )
    console, log = tmp_path / "console.txt", tmp_path / "dmesg.txt"
    console.write_text(death + capture)
    log.write_text(death)
    assert run(["oops", "--json", str(console)]) == 0
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert [each["title"] for each in reports] == [
        "kernel panic: sysrq triggered crash",
        "kdump failure: the crash kernel ran out of memory",
        "kernel panic: System is deadlocked on memory",
    ]
    assert [each["cause"] for each in reports] == [None, None, 1]
    assert any("crashkernel=128M" in step for step in reports[1]["fix"])
    assert run(["same", "--json", str(console), str(log)]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert group["title"] == "kernel panic: sysrq triggered crash"
