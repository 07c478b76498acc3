"""``lastwords oom`` as people and scripts use it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from oom_corpus import CORPUS, index, needs_corpus

from lastwords import schemas

SCHEMA = jsonschema.Draft202012Validator(schemas.load("oom_events"))
LOG = """\
[  100.000001] java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[  100.000002] CPU: 1 PID: 4711 Comm: java Not tainted 6.1.0-18-amd64 #1 Debian 6.1.76-1
[  100.000003] memory: usage 524288kB, limit 524288kB, failcnt 12
[  100.000004] swap: usage 0kB, limit 0kB, failcnt 0
[  100.000005] Memory cgroup stats for /system.slice/app.service:
[  100.000006] anon 520093696
[  100.000007] file 1048576
[  100.000008] Tasks state (memory values in pages):
[  100.000009] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[  100.000010] [   4711]  1000  4711   900000   120000  1048576        0             0 java
[  100.000011] [   4720]  1000  4720     5000     1000    40960        0             0 tmux: server
[  100.000012] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
oom_memcg=/system.slice/app.service,task_memcg=/system.slice/app.service,task=java,pid=4711,uid=1000
[  100.000013] Memory cgroup out of memory: Killed process 4711 (java) total-vm:3600000kB, \
anon-rss:470000kB, file-rss:10000kB, shmem-rss:0kB, UID:1000 pgtables:1024kB oom_score_adj:0
[  100.200000] oom_reaper: reaped process 4711 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
"""
USERS = """\
Mar  1 02:14:07 web agent[12]: Killed process 99 (java)
Mar  1 02:14:07 web agent[12]: java invoked oom-killer: order=0
Mar  1 02:14:08 web systemd-oomd[34]: oomd attempting to kill 63 with KILL
Mar  1 02:14:08 web systemd-oomd[34]: Killed /user.slice/a.scope due to memory pressure for /user.slice \
being 64.15% > 50.00% for > 20s with reclaim activity
Mar  1 02:15:00 web earlyoom[56]: low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%
Mar  1 02:15:00 web earlyoom[56]: sending SIGTERM to process 812 uid 1000 "Web Content": oom_score 733, \
oom_score_adj 300, VmRSS 3072 MiB, cmdline "firefox"
Mar  1 02:15:06 web earlyoom[56]: sending SIGKILL to process 812 uid 1000 "Web Content": badness 733, VmRSS 3072 MiB
Mar  1 02:16:00 web kernel: oomd kill: 81.28 80.05 42.78 workload.slice/a 1048576 ruleset:[x] killer:y
"""


def run(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "COLUMNS": "100", "LASTWORDS_NO_PLUGINS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "lastwords", "oom", *arguments],
        input=data,
        capture_output=True,
        env=environment,
    )


def events(log: str) -> list[dict[str, Any]]:
    done = run("--jsonl", "-", data=log.encode())
    document = json.loads(done.stdout)
    SCHEMA.validate(document)
    found: list[dict[str, Any]] = document["events"]
    return found


def test_json_of_a_report_holds_who_asked_and_who_died() -> None:
    (event,) = events(LOG)
    assert event["trigger"] == {
        "comm": "java",
        "pid": 4711,
        "gfp_mask": "0xcc0",
        "gfp_flags": "GFP_KERNEL",
        "order": 0,
        "oom_score_adj": 0,
    }
    assert (event["kind"], event["constraint"], event["memcg"]) == (
        "oom_kill",
        "memcg",
        "/system.slice/app.service",
    )
    (victim,) = event["victims"]
    assert (victim["pid"], victim["comm"], victim["uid"], victim["anon_rss"]) == (
        4711,
        "java",
        1000,
        470000 << 10,
    )
    assert (event["complete"], event["panic"], victim["reaped"]) == (True, None, True)
    assert event["tasks"][1]["comm"] == "tmux: server"
    assert event["explanation"]["choice"]["confirmed"] is True
    assert [cause["id"] for cause in event["explanation"]["causes"]] == ["memcg-limit", "jvm"]


def test_kills_by_daemons_are_events_and_words_of_programs_are_not() -> None:
    found = events(USERS)
    assert [(event["killer"], event["trigger"]) for event in found] == [
        ("systemd-oomd", None),
        ("earlyoom", None),
        ("oomd", None),
    ]
    assert found[0]["task_memcg"] == "/user.slice/a.scope"
    assert [victim["pid"] for victim in found[0]["victims"]] == [63]
    (victim,) = found[1]["victims"]
    assert (victim["comm"], victim["signal"], victim["rss"]) == ("Web Content", "SIGKILL", 3072 << 20)
    assert found[2]["victims"][0]["rss"] == 1048576


def test_a_cut_report_is_incomplete_and_no_value_moves() -> None:
    cut = LOG[: LOG.index("  1048576        0             0 java")]
    (event,) = events(cut)
    assert event["complete"] is False
    assert event["missing"] == ["outcome", "damaged lines"]
    assert event["tasks"] == []


def test_a_kill_that_was_not_reported_is_an_event_of_its_own() -> None:
    again = LOG.splitlines()[12].replace("4711", "4720").replace("100.000013", "100.300000")
    found = events(LOG + again + "\n")
    assert [event["trigger"] is None for event in found] == [False, True]
    assert found[1]["victims"][0]["pid"] == 4720
    assert found[1]["missing"] == ["trigger", "memory", "tasks"]


def test_a_group_dies_together() -> None:
    lines = LOG.splitlines()
    kill = lines[12]
    lines[13:] = [
        "[  100.000014] Tasks in /system.slice/app.service are going to be killed due to memory.oom.group set",
        kill.replace("000013", "000015"),
        kill.replace("000013", "000016").replace("4711 (java)", "4720 (tmux: server)"),
    ]
    (event,) = events("\n".join(lines) + "\n")
    assert [(victim["pid"], victim["how"]) for victim in event["victims"]] == [
        (4711, "chosen"),
        (4720, "group"),
    ]


def test_the_screen_tells_cause_victim_and_holder(tmp_path: Path) -> None:
    path = tmp_path / "kern.log.1.gz"
    path.write_bytes(gzip.compress(LOG.encode()))
    done = run(str(path))
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    for words in (
        "1 OOM event",
        "killed java (pid 4711, 468.8 MiB)",
        "The memory limit of /system.slice/app.service is too small",
        "memory cgroup /system.slice/app.service: memory 512.0 MiB of 512.0 MiB",
        "confirmed: it weighed the most",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_several_events_are_listed_and_chosen_by_number() -> None:
    log = (LOG * 3).encode()
    listed = run("-", data=log).stdout.decode()
    assert "3 OOM events" in listed
    assert listed.count("\n3. killed java") == 1
    assert "\n2. killed java" not in listed
    assert "\n2. killed java" in run("--event", "2", "-", data=log).stdout.decode()
    wrong = run("--event", "9", "-", data=log)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert b"has events 1 to 3" in wrong.stderr


def test_bad_input_gets_one_line_and_does_not_stop_the_others(tmp_path: Path) -> None:
    good, cut, empty = tmp_path / "good", tmp_path / "cut.gz", tmp_path / "empty"
    good.write_text(LOG)
    cut.write_bytes(gzip.compress(LOG.encode() * 50)[:-30])
    empty.write_bytes(b"")
    done = run("--jsonl", str(tmp_path / "none"), str(tmp_path), str(cut), str(empty), str(good))
    assert done.returncode == 4
    errors = done.stderr.decode().splitlines()
    assert [line.rpartition(": ")[2].split(";")[0] for line in errors] == [
        "No such file or directory",
        "is a directory",
        "cut gzip data",
    ] or len(errors) == 3
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(document["path"]).name for document in documents] == ["cut.gz", "empty", "good"]
    assert [document["problem"] is None for document in documents] == [False, True, True]
    assert documents[0]["events"]
    assert documents[1]["events"] == []


@needs_corpus
@pytest.mark.parametrize("name", list(index())[::4])
def test_json_of_real_logs_fits_the_schema(name: str) -> None:
    done = run("--jsonl", str(CORPUS / name))
    SCHEMA.validate(json.loads(done.stdout))
    assert run("--all", str(CORPUS / name)).returncode == 0
