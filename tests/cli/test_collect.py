"""``lastwords collect`` on this very host: safe, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from lastwords.bundle.write import FORMATS

SLOW = """
import time
from lastwords.hookspecs import Collector, hookimpl
class Slow(Collector):
    name, title, timeout = "slow", "sleeps", 60
    schema = {"type": "object"}
    def collect(self, root):
        root.text("/proc/version")
        yield {}
        time.sleep(60)
        yield {}
@hookimpl
def register_collectors(register):
    register(Slow())
"""


def lastwords(*argv: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lastwords", *argv], capture_output=True, text=True, timeout=120, **kwargs
    )


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_written_privately_and_validates(form: str, tmp_path: Path) -> None:
    done = lastwords("collect", "-q", "--only", "host,kernel", "--format", form, "-o", str(tmp_path))
    path = Path(done.stdout.strip())
    assert done.returncode in (0, 3)
    assert done.stderr == ""
    assert path.parent == tmp_path
    assert stat.S_IMODE(path.stat().st_mode) == (0o700 if form == "dir" else 0o600)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    done = lastwords("validate", str(path))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if form == "dir":
        for file in path.rglob("*"):
            assert not stat.S_IMODE(file.stat().st_mode) & 0o077
            if file.is_file() and file.stat().st_size:
                data = file.read_bytes()
                assert data.endswith(b"\n") or "evidence" in str(file)


def test_the_name_chooses_the_format(tmp_path: Path) -> None:
    path = tmp_path / "case.tar.gz"
    assert lastwords("collect", "-q", "--only", "host", "-o", str(path)).returncode == 0
    with tarfile.open(path, "r:gz") as archive:
        assert archive.next().name == "case/manifest.json"


def test_facts_and_evidence_of_this_host(tmp_path: Path) -> None:
    path = tmp_path / "b"
    lastwords("collect", "-q", "--only", "host", "--format", "dir", "-o", str(path))
    facts = json.loads((path / "facts/host.json").read_text())
    assert facts["kernel_release"] == os.uname().release
    assert facts["page_size"] == os.sysconf("SC_PAGE_SIZE")
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["host"]["kernel_release"] == os.uname().release
    assert manifest["uid"] == os.geteuid()
    evidence = {item["path"]: item for item in manifest["collectors"]["host"]["evidence"]}
    assert (path / evidence["/proc/sys/kernel/osrelease"]["stored"]).read_text().strip() == os.uname().release


def test_wrong_uses_are_one_line_each(tmp_path: Path) -> None:
    taken = tmp_path / "taken.tar.gz"
    taken.write_text("mine")
    for argv, code, words in (
        (["-o", str(taken)], 4, "exists already"),
        (["-o", str(tmp_path / "no" / "such" / "x.tar")], 4, "there is no directory"),
        (["--root", str(taken), "-o", str(tmp_path)], 4, "expected the directory of a mounted disk"),
        (["--only", "hosts"], 2, "expected one of host"),
    ):
        done = lastwords("collect", *argv)
        assert done.returncode == code, argv
        assert done.stderr.count("\n") == 1
        assert words in done.stderr
        assert done.stdout == ""
    assert taken.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["taken.tar.gz"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "slow-1.dist-info").mkdir(parents=True)
    (site / "slow_plugin.py").write_text(SLOW)
    (site / "slow-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (site / "slow-1.dist-info/entry_points.txt").write_text("[lastwords]\nslow = slow_plugin\n")
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "lastwords", "collect", "--only", "host,slow", "-o", str(out)],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who tests in the background lets its children ignore it, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(200):
        if list(out.glob(".*partial/evidence/proc/version")):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the slow collector never started")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.strip().endswith("interrupted")
    assert list(out.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small filesystem")
@pytest.mark.parametrize("form", ["dir", "tar.gz"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(form: str, tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "small", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        done = lastwords("collect", "--format", form, "-o", str(tmp_path))
        assert done.returncode == 4
        assert "no space left on device" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_gets_what_he_may_read_and_the_names_of_the_rest(tmp_path: Path) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv")
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path(tempfile.gettempdir()) and str(folder).startswith(tempfile.gettempdir()):
            folder.chmod(0o755)
    tmp_path.chmod(0o777)
    out = tmp_path / "b"
    argv = [sys.executable, "-m", "lastwords", "collect", "--format", "dir", "-o", str(out)]
    reachable = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-c", "import lastwords.cli.main"],
        capture_output=True,
        cwd="/",
    )
    if reachable.returncode:
        pytest.skip("this Python lies where an ordinary user cannot read it")
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", *argv], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 3, done.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["uid"] == 65534
    outcomes = {name: entry["outcome"] for name, entry in manifest["collectors"].items()}
    assert outcomes["host"] == "ok"
    assert not {"error", "timeout"} & set(outcomes.values()), manifest["collectors"]
    denied = [i for e in manifest["collectors"].values() for i in e["evidence"] if i.get("denied")]
    assert denied
    assert "not root" in done.stderr


def test_quick_answers_stay_quick() -> None:
    code = (
        "import sys; from lastwords.__main__ import main; sys.argv = ['lastwords', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'rich', 'jsonschema', 'psutil', 'zstandard'} & set(sys.modules)), file=sys.stderr)"
    )
    for argv in (["--version"], ["collect", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
        assert done.stderr == "[]\n"


def test_a_command_does_not_wait_for_what_others_need() -> None:
    code = "import sys; from lastwords.cli.main import run\ntry: run(sys.argv[1:])\nfinally: print(*sys.modules, file=sys.stderr)"
    for name in ("vmcore", "oops", "schema"):
        done = subprocess.run([sys.executable, "-c", code, name, "--help"], capture_output=True, text=True)
        assert f"lastwords {name}" in done.stdout
        others = {
            f"lastwords.{each}"
            for each in ("analyzer.opening", "analyzer.judge", "gather.run", "collectors.kernel")
        }
        assert not others & set(done.stderr.split())
