"""``lastwords vmcore``: run as a user runs it, on real dumps, on damaged ones, and on what is none."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard
from vmcores import Kdump, corpus, corpus_dump, flattened, pages_of

from lastwords import schemas

SCHEMA = jsonschema.Draft202012Validator(schemas.load("vmcore"))
EVENT = jsonschema.Draft202012Validator(schemas.load("event"))
NAME = "6.1-sysrq-c.kdump"
FULL = "6.1-sysrq-c-full.kdump"


def lastwords(*arguments: object, code: int = 0, **more: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lastwords", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "80", "LASTWORDS_NO_PLUGINS": "1"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False, **more)
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def document(*arguments: object, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lastwords("vmcore", "--json", *arguments, code=code).stdout)
    SCHEMA.validate(found)
    for event in found["events"]:
        EVENT.validate(event)
    return found


@pytest.mark.parametrize("name", ["5.10-sysrq-c.kdump", NAME])
def test_the_log_is_that_of_makedumpfile(name: str) -> None:
    done = lastwords("vmcore", "--dmesg", corpus(name))
    assert done.stdout == corpus(name.replace(".kdump", ".log")).read_bytes() and not done.stderr


def test_a_dump_on_one_screen() -> None:
    screen = lastwords("vmcore", corpus(NAME)).stdout.decode()
    for words in ("6.1.0-56-cloud-amd64", "2026-11-23 14:40:12 UTC", "kdump-compressed v6", "level 31"):
        assert words in screen
    assert "\nKernel panic - not syncing: sysrq triggered crash\n" in screen
    assert max(map(len, screen.splitlines()[1:])) <= 80 and "\x1b" not in screen


def test_everything_as_json() -> None:
    found = document("--dmesg", "--ps", "--bt", "--mount", corpus(FULL), code=3)
    # Of the tasks this trimmed dump holds what is listed, and not their threads.
    lacking = [each["what"] for each in found["missing"]]
    assert lacking == ["the ranking of the OOM killer", "the threads of 49 processes"]
    assert found["kernel"]["release"] == "6.1.0-56-cloud-amd64" and found["file"]["damage"] == []
    assert found["panic"] == "Kernel panic - not syncing: sysrq triggered crash"
    assert found["panic_task"] == {"cpu": 0, "pid": 1, "comm": "init"}
    assert [event["kind"] for event in found["events"]] == ["boot", "sysrq", "panic"]
    assert found["events"][-1]["time"] == pytest.approx(1795444812, abs=2)
    assert found["log"]["count"] == len(found["log"]["records"]) == 389
    assert {record["caller"] for record in found["log"]["records"]} >= {"T0", "T1"}
    assert len(found["tasks"]) == 50 and len(found["mounts"]) == 5
    trace = found["backtraces"][0]
    assert (trace["cpu"], trace["pid"], trace["comm"]) == (0, 1, "init")
    assert trace["frames"][1]["symbol"] == "panic" and int(trace["registers"]["rip"], 16) > 1 << 63


def test_memory_and_the_ranking() -> None:
    found = document("--oom", "--memory", corpus(FULL), code=3)
    lacking = {each["what"]: each for each in found["missing"]}
    assert found["memory"] is None and "was not dumped" in lacking["the use of memory"]["why"]
    assert len(found["tasks"]) == 50
    screen = lastwords("vmcore", "--oom", "--memory", corpus(FULL), code=3).stdout.decode()
    assert "Not read" in screen and "the use of memory" in screen
    assert "\noom\n" not in screen and "\nmemory\n" not in screen


def test_sections_as_text() -> None:
    screen = lastwords("vmcore", "--ps", "--mount", "--bt", corpus(FULL), code=3).stdout.decode()
    assert "sysrq_handle_crash+0x16" in screen and "/dev/nvme1n1" in screen
    assert any(line.split()[:2] == [">", "1"] and line.endswith("init") for line in screen.splitlines())


def test_what_an_older_kernel_lacks_is_told() -> None:
    found = document("--bt", corpus("5.10-sysrq-c.kdump"), code=3)
    assert found["backtraces"] is None
    (lack,) = found["missing"]
    assert "since 6.0" in lack["why"] and "5.10.0-46-cloud-amd64" in lack["remedy"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_packed_files_and_standard_input(pack: Any, tmp_path: Path) -> None:
    data = pack(corpus(NAME).read_bytes())
    path = tmp_path / "vmcore.packed"
    path.write_bytes(data)
    wanted = corpus(NAME.replace(".kdump", ".log")).read_bytes()
    assert lastwords("vmcore", "--dmesg", path).stdout == wanted
    assert lastwords("vmcore", "--dmesg", "-", input=data).stdout == wanted
    with path.open("rb") as stream:
        assert lastwords("vmcore", "--dmesg", "-", stdin=stream).stdout == wanted
    assert document(path)["file"]["wrapped"] in ("gzip", "xz", "zstd")
    assert list(tmp_path.iterdir()) == [path]


def test_a_packed_file_that_is_cut(tmp_path: Path) -> None:
    real = corpus_dump(NAME)
    path = tmp_path / "vmcore.gz"
    data = gzip.compress(Kdump(pages_of(real), real.file.info, packed="plain").file())
    path.write_bytes(data[: len(data) // 2])
    found = document(path, code=3)
    assert "damaged" in found["file"]["damage"][0]
    assert found["missing"]


def test_damaged_files_tell_what_is_wrong(tmp_path: Path) -> None:
    real = corpus_dump(NAME)
    path = tmp_path / "dump-incomplete"
    path.write_bytes(flattened(Kdump(pages_of(real), real.file.info).file(), end=False))
    found = document(path)
    assert "no end mark" in found["file"]["damage"][0] and found["log"]["count"] == 389
    assert "no: the stream has no end mark" in lastwords("vmcore", path).stdout.decode()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "found an empty file"),
        (b"makedumpfile: unrecognized option '--nosuchopt'\n", "expected a crash dump, found text"),
        (b"KDUMP   " + bytes(400), "cut off"),
        (gzip.compress(b"hello"), "found text (inside gzip)"),
    ],
)
def test_what_is_no_dump(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(content)
    done = lastwords("vmcore", path, code=4)
    assert not done.stdout
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"lastwords: {path}: ") and told in line


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path, told in ((tmp_path, "found a directory"), (tmp_path / "none", "no such file")):
        (line,) = lastwords("vmcore", path, code=4).stderr.decode().splitlines()
        assert told in line
    os.mkfifo(tmp_path / "pipe")
    assert b"FIFO" in lastwords("vmcore", tmp_path / "pipe", code=4).stderr


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    done = lastwords("vmcore", "--jsonl", tmp_path / "none", corpus(NAME), corpus(NAME), code=4)
    paths = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert paths == [str(corpus(NAME))] * 2


def test_open_and_collect_take_a_dump_as_a_root(tmp_path: Path) -> None:
    verdict = json.loads(lastwords("open", "--json", corpus(NAME)).stdout)
    assert (
        verdict["input"]["kind"] == "vmcore" and verdict["host"]["kernel_release"] == "6.1.0-56-cloud-amd64"
    )
    assert [event["kind"] for event in verdict["events"]] == ["boot", "sysrq", "panic"]
    assert verdict["events"][-1]["time"] == pytest.approx(1795444812, abs=2)
    assert "crash-happened" in {finding["id"] for finding in verdict["findings"]}
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(verdict)
    bundle = tmp_path / "bundle"
    lastwords("collect", "--root", corpus(NAME), "-o", bundle, "--format", "dir", "--quiet")
    lastwords("validate", bundle)
    kept = (bundle / "evidence/commands/dmesg.txt").read_bytes()
    assert kept == corpus(NAME.replace(".kdump", ".log")).read_bytes()
    assert sum(path.stat().st_size for path in bundle.rglob("*")) < 1 << 20
    again = json.loads(lastwords("open", "--json", bundle).stdout)
    for told in (verdict, again):
        for finding in told["findings"]:
            del finding["fix"]  # of a dump itself, how to see what more it holds
    assert again["findings"] == verdict["findings"]


def test_who_said_it_is_of_the_log() -> None:
    done = lastwords("vmcore", "--caller-id", corpus("6.1-sysrq-c.kdump"), code=2)
    assert b"--dmesg" in done.stderr and not done.stdout
