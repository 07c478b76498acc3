"""Numbers longer than any machine writes, which Python refuses or which fill the memory, wherever one is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hosttree import host_tree, write_tree

from lastwords.cli.main import run

LONG = "9" * 5000
LOG = """\
[  100.000001] java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[  100.000002] CPU: 1 PID: 4711 Comm: java Not tainted 6.1.0-18-amd64 #1 Debian 6.1.76-1
[  100.000003] Mem-Info:
[  100.000003] active_anon:310908 inactive_anon:0 isolated_anon:0
[  100.000003] Node 0 Normal free:57076kB boost:0kB min:64256kB low:126740kB high:189224kB managed:2492248kB
[  100.000003] Node 0 Normal: 12*4kB (UME) 3*8kB (U) = 72kB
[  100.000008] Tasks state (memory values in pages):
[  100.000009] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[  100.000010] [   4711]  1000  4711   900000   120000  1048576        0             0 java
[  100.000013] Out of memory: Killed process 4711 (java) total-vm:3600000kB, anon-rss:470000kB, UID:1000
[  200.000001] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [kworker/1:1:4712]
[  200.000002] CPU: 1 PID: 4712 Comm: kworker/1:1 Not tainted 6.1.0-18-amd64 #1 Debian 6.1.76-1
[  200.000003] RIP: 0010:foo+0x12/0x40
[  200.000004] Call Trace:
[  200.000005]  bar+0x3/0x10
[  300.000001] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009
"""


def logs() -> list[str]:
    """Return the log with each of its numbers made long, one at a time, and with all."""
    places = [match.span() for match in re.finditer(r"\d+", LOG)]
    return [LOG[:start] + LONG + LOG[end:] for start, end in places] + [re.sub(r"\d+", LONG, LOG)]


@pytest.mark.parametrize("command", ["oom", "oom --jsonl", "oops", "oops --jsonl"])
def test_in_a_log(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, text in enumerate(logs()):
        (tmp_path / f"{number}.log").write_text(text)
    paths = sorted(str(path) for path in tmp_path.iterdir())
    assert run([*command.split(), *paths]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "java" in captured.out or "panic" in captured.out
    assert "9" * 41 not in captured.out


@pytest.mark.parametrize("host", ["debian12", "rhel7"])
def test_in_the_files_of_a_host(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = write_tree(host_tree(host), tmp_path / "host")
    for path in top.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 100_000:
            path.write_text(re.sub(r"\d+", LONG, path.read_text("utf-8", "replace")))
    for form in ("json", "html", "sqlite"):
        assert run(["open", "--root", str(top), "--format", form, "--output", str(tmp_path / form)]) == 0
    for name, collector in json.loads((tmp_path / "json").read_text())["collectors"].items():
        # Facts that fit no schema are told as such; nothing may fail on the way there.
        assert collector["outcome"] != "error" or "schema" in collector["reason"], (name, collector)
