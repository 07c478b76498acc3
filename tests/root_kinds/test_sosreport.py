"""Sosreports as roots: real ones of the sos installed here, and small ones as other releases make them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from lastwords.roots.archive import ArchiveTree
from lastwords.roots.base import Root
from lastwords.roots.sosreport import is_sosreport, sosreport_root, wanted_members
from lastwords.roots.trees import DirectoryTree, Tree

PLUGINS = "kernel,memory,boot,filesys,date,host,logs"
WANTED = ("/proc/meminfo", "/proc/cmdline", "/proc/[0-9]*/stat", "/boot/*")
NOTHING = wanted_members(WANTED, [("dmesg",), ("lsmod",), ("sysctl", "-a")])


def archive(path: Path) -> Tree:
    return ArchiveTree(str(path), lambda name: bool(NOTHING.match(name)))


# -- real ones -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report of this host: as an archive, unpacked, and obfuscated."""
    if shutil.which("sos") is None or os.geteuid() != 0:
        pytest.skip("sos is not installed, or this is not root")
    folder = tmp_path_factory.mktemp("sos")
    before = time.time()
    command = ["sos", "report", "--batch", "-o", PLUGINS, "--tmp-dir", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    packed = [
        path for path in folder.iterdir() if ".tar." in path.name and path.suffix not in (".md5", ".sha256")
    ]
    if len(packed) != 1:
        pytest.skip(f"sos made no report here: {done.stderr[-300:]}")
    with tarfile.open(packed[0]) as tar:
        tar.extractall(folder / "unpacked", filter="tar") if hasattr(
            tarfile, "tar_filter"
        ) else tar.extractall(folder / "unpacked")
    (directory,) = (folder / "unpacked").iterdir()
    return {"archive": packed[0], "directory": directory, "span": (before, time.time()), "folder": folder}


@pytest.fixture(params=["archive", "directory"])
def report(request: pytest.FixtureRequest, made: dict[str, Any]) -> Root:
    path = made[request.param]
    tree = DirectoryTree(str(path)) if path.is_dir() else archive(path)
    assert is_sosreport(tree)
    return sosreport_root(tree, str(path))


def test_a_real_report_says_when_it_was_made(report: Root, made: dict[str, Any]) -> None:
    before, after = made["span"]
    assert report.taken_at is not None and before - 1 <= report.taken_at <= after


def test_a_real_report_has_the_files_of_the_host(report: Root) -> None:
    assert report.read("/proc/cmdline") == Path("/proc/cmdline").read_bytes()
    total = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    assert total in (report.text("/proc/meminfo") or "")
    assert report.text("/proc/nothing") is None and report.exists("/proc/nothing") is None
    assert report.exists("/proc/cmdline") is True


def test_a_real_report_has_the_output_of_commands(report: Root) -> None:
    release = os.uname().release
    output = report.run(("uname", "-a"))
    assert output and release in output.text and output.exit_code == 0
    assert output.source and output.source.startswith("/sos_commands/kernel/uname")
    for argv in (("dmesg",), ("sysctl", "-a"), ("/usr/bin/free",), ("mount", "-l"), ("df",)):
        assert report.run(argv) is not None, argv
    assert report.run(("no-such-command", "-x")) is None
    assert report.evidence.failure("$ no-such-command -x")["absent"] is True
    sysctl = report.run(("sysctl", "-a"))
    assert sysctl and "kernel.osrelease = " + release in sysctl.text


def test_a_real_report_lists_what_was_not_copied(report: Root) -> None:
    nodes = report.listdir("/boot")
    assert nodes is not None and [node.name for node in nodes] == sorted(os.listdir("/boot"))
    for node in nodes:
        real = os.lstat(node.path)
        assert node.size == real.st_size
        assert node.mtime == pytest.approx(real.st_mtime, abs=86400)
    assert report.exists("/boot/vmlinuz-no-such") is False
    assert report.exists("/boot/loader/entries/x.conf") is False, "the directory is not there either"
    assert report.exists("/usr/nothing") is None
    names = {node.name for node in report.listdir("/var/log") or []}
    assert names >= {
        name for name in os.listdir("/var/log") if name in ("btmp", "wtmp", "lastlog", "dpkg.log")
    }


def test_a_real_report_says_how_full_filesystems_were(report: Root) -> None:
    usage = report.usage("/")
    real = os.statvfs("/")
    assert usage and usage.mountpoint == "/" and usage.size == real.f_blocks * real.f_frsize
    assert usage.available <= usage.size
    boot = report.usage("/boot")
    assert boot and boot.size == os.statvfs("/boot").f_blocks * os.statvfs("/boot").f_frsize


def test_the_archive_and_its_directory_are_one(made: dict[str, Any]) -> None:
    unpacked, packed = DirectoryTree(str(made["directory"])), archive(made["archive"])
    seen = 0
    todo = ["/"]
    while todo:
        path = todo.pop()
        mine, theirs = packed.lookup(path), unpacked.lookup(path)
        assert (mine.type, mine.target) == (theirs.type, theirs.target)
        if mine.type == "dir":
            names = packed.names(path)
            assert names == unpacked.names(path)
            todo += [f"{path.rstrip('/')}/{name}" for name in names]
        elif mine.type == "file":
            assert mine.size == theirs.size
            if (mine.size or 0) < 8192:
                with packed.open(path) as one, unpacked.open(path) as other:
                    assert one.read() == other.read()
            seen += 1
    assert seen > 100


def test_a_cleaned_report_is_read_too(made: dict[str, Any]) -> None:
    command = ["sos", "clean", "--batch", "--tmp-dir", made["folder"], made["archive"]]
    subprocess.run(command, capture_output=True, check=False, timeout=250)
    cleaned = list(made["folder"].glob("*obfuscated.tar.*[zg2]"))
    if len(cleaned) != 1:
        pytest.skip("this sos cannot clean")
    root = sosreport_root(archive(cleaned[0]), "cleaned")
    before, after = made["span"]
    assert root.taken_at is not None and before - 1 <= root.taken_at <= after
    output = root.run(("uname", "-a"))
    assert output and os.uname().release in output.text
    assert root.usage("/") is not None and root.listdir("/boot") is not None
    assert "MemTotal" in (root.text("/proc/meminfo") or "")


# -- small ones, as other releases make them -------------------------------------------------------


def report_of(folder: Path, files: dict[str, str], manifest: Any = None, mtime: float = 1772445600.0) -> Root:
    """Return a sosreport made of *files*; targets of links stand after ``-> ``."""
    everything = {
        "version.txt": "sosreport: 4.0\n",
        "sos_logs/sos.log": "",
        "sos_reports/sos.txt": "",
        **files,
    }
    if manifest is not None:
        everything["sos_reports/manifest.json"] = (
            manifest if isinstance(manifest, str) else json.dumps(manifest)
        )
    for name, text in everything.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text)
            os.utime(path, (mtime, mtime))
    tree = DirectoryTree(str(folder))
    assert is_sosreport(tree)
    return sosreport_root(tree, str(folder))


def commands(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"components": {"report": {"plugins": {"x": {"commands": list(entries), "files": []}}}}}


def test_without_a_manifest_names_are_known(tmp_path: Path) -> None:
    """sos 3.x."""
    root = report_of(
        tmp_path,
        {
            "sos_commands/general/date": "Mon Mar  2 11:00:00 CET 2026\n",
            "sos_commands/kernel/uname_-a": "Linux db01 3.10.0\n",
            "sos_commands/filesys/df_-al": "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/sda1 100 40 60 40% /\n",
            "sos_commands/general/dmesg_now": "hello\n",
            "sos_commands/boot/ls_-lanR_.boot": "/boot:\ntotal 0\ndr-xr-xr-x 2 0 0 4096 Mar  1 10:00 .\n-rw-r--r-- 1 0 0 7 Mar  1 10:00 a\n",
        },
    )  # fmt: skip
    assert root.taken_at == 1772445600.0, "the zone is not known: the time of the file"
    output = root.run(("uname", "-a"))
    assert output and (output.text, output.exit_code) == ("Linux db01 3.10.0\n", None)
    assert (root.run(("dmesg",)) or pytest.fail()).text == "hello\n"
    assert (root.usage("/var/crash") or pytest.fail()).available == 60 * 1024
    assert [(node.path, node.size, node.uid) for node in root.listdir("/boot") or []] == [("/boot/a", 7, 0)]
    assert [line.data for line in root.run_lines(("dmesg",))] == [b"hello"]


def test_what_was_executed_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    root = report_of(
        tmp_path,
        {"sos_commands/x/lsblk.1": "B\n", "sos_commands/x/lsblk": "A\n", "sos_commands/x/odd name": "C\n"},
        commands(
            {"exec": "lsblk", "filepath": "sos_commands/x/lsblk.1", "return_code": 0},
            {"exec": "lsblk", "filepath": "sos_commands/x/lsblk", "return_code": 0},
            {"exec": "/usr/sbin/ip -s link", "filepath": "sos_commands/x/odd name", "return_code": 3, "truncated": True},
            {"exec": "timeout 300s gone", "filepath": "sos_commands/x/gone", "return_code": 0},
            {"exec": "denied", "filepath": None, "return_code": 126},
        ),
    )  # fmt: skip
    assert (root.run(("/bin/lsblk",)) or pytest.fail()).text == "B\n"
    output = root.run(("ip", "-s", "link"))
    assert output and (output.text, output.exit_code, output.truncated) == ("C\n", 3, True)
    assert output.source == "/sos_commands/x/odd name"
    assert root.run(("gone",)) is None and root.run(("denied",)) is None


HOSTILE_MANIFESTS = [
    "", "no json", "[]", "null", "{}", '{"components": 5}', '{"components": {"report": {"plugins": []}}}',
    '{"components": {"report": {"plugins": {"x": 5, "y": {"commands": 7}, "z": {"commands": [1, null, {}]}}}}}',
    json.dumps(commands({"exec": ["x"], "filepath": {"a": 1}, "return_code": "many"})),
    json.dumps(commands({"exec": "uname -m", "filepath": "../../../../../../../etc/passwd", "return_code": 0})),
    json.dumps(commands({"exec": "uname -m", "filepath": "/proc/self/environ", "return_code": 0})),
    json.dumps(commands({"exec": "uname -m", "filepath": "sos_commands/x/out", "return_code": "0"})),
    json.dumps(commands({"exec": "uname -m", "filepath": "sos_commands/x", "return_code": 0})),
    "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("manifest", HOSTILE_MANIFESTS, ids=lambda text: text[-60:])
def test_a_hostile_manifest_leads_nowhere(manifest: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("the analyst's own")
    root = report_of(
        tmp_path / "report", {"sos_commands/x/out": f"-> {outside}", "sos_commands/x/free": "5\n"}, manifest
    )
    assert root.run(("uname", "-m")) is None
    output = root.run(("free",))
    assert output and output.text == "5\n"
    assert output.exit_code is None or isinstance(output.exit_code, int)


def test_times_are_told_in_the_zone_of_the_host(tmp_path: Path) -> None:
    listing = (
        "/var/crash:\ntotal 0\ndrwxr-xr-x 2 0 0 4096 Mar  2 10:30 .\ndrwxr-xr-x 2 0 0 4096 Mar  2 10:30 x\n"
    )
    zones = {
        "two dates": {"sos_commands/date/date": "Mon Mar  2 11:00:00 CET 2026\n", "sos_commands/date/date_--utc": "Mon Mar  2 10:00:01 UTC 2026\n"},
        "timedatectl": {
            "sos_commands/date/date": "Mon Mar  2 11:00:01 CET 2026\n",
            "sos_commands/systemd/timedatectl": "      Local time: Mon 2026-03-02\n       Time zone: Europe/Berlin (CET, +0100)\n",
        },
        "what sos says of its start": {
            "sos_reports/manifest.json": '{"version": "4.7", "start_time": "2026-03-02 11:00:01.000000"}',
            "sos_commands/systemd/timedatectl": "       Time zone: Europe/Berlin (CET, +0100)\n",
        },
    }  # fmt: skip
    for name, files in zones.items():
        root = report_of(
            tmp_path / name, {**files, "sos_commands/kdump/ls_-alZR_.var.crash": listing}, mtime=1.0
        )
        assert root.taken_at == 1772445601.0
        (node,) = root.listdir("/var/crash") or []
        assert node.mtime == 1772445600.0 - 1800
        assert root.exists("/var/crash/y") is False and root.exists("/var/log") is None


def test_listings_of_what_was_also_copied(tmp_path: Path) -> None:
    listing = (
        "/var/log:\ntotal 9\ndrwxr-xr-x 2 0 0 4096 Mar  1 10:00 .\n-rw------- 1 0 4 99000000 Mar  1 10:00 messages\n"
        "-rw------- 1 0 4 77 Mar  1 10:00 secure\nlrwxrwxrwx 1 0 0 8 Mar  1 10:00 latest -> messages\n"
    )
    root = report_of(
        tmp_path,
        {
            "sos_commands/logs/ls_-alRh_.var.log": listing,
            "var/log/messages": "-> ../../sos_strings/logs/var.log.messages.tailed",
            "sos_strings/logs/var.log.messages.tailed": "the last lines\n",
            "var/log/extra": "only copied\n",
        },
    )
    found = {node.name: node for node in root.listdir("/var/log") or []}
    assert (found["messages"].type, found["messages"].size) == ("file", 99000000)
    assert (found["secure"].type, found["secure"].size) == ("file", 77)
    assert root.read("/var/log/messages") == root.read("/var/log/latest") == b"the last lines\n"
    assert [line.data for line in root.lines("/var/log/messages")] == [b"the last lines"]
    assert root.text("/var/log/secure") is None
    assert root.evidence.failure("/var/log/secure")["error"] == "listed in the sosreport, but not copied"
    assert root.glob("/var/log/*e") == ["/var/log/secure"]


def test_an_ls_that_was_cut_off_does_not_say_all(tmp_path: Path) -> None:
    listing = "/boot:\ntotal 0\ndrwxr-xr-x 2 0 0 4096 Mar  1 10:00 .\n-rw-r--r-- 1 0 0 7 Mar  1 10:00 a\n"
    path = "sos_commands/boot/ls_-lanR_.boot"
    entry = {"exec": "ls -lanR /boot", "filepath": path, "return_code": 124}
    root = report_of(tmp_path, {path: listing}, commands(entry))
    assert root.listdir("/boot") is None and root.exists("/boot/b") is None and root.exists("/boot/a") is True


def test_dots_in_directory_names(tmp_path: Path) -> None:
    listing = "total 0\ndrwxr-xr-x 2 0 0 4096 Mar  1 10:00 .\n-rw-r--r-- 1 0 0 7 Mar  1 10:00 a\n"
    path = "sos_commands/x/ls_-la_.etc.sysctl.d"
    entry = {"exec": "ls -la /etc/sysctl.d/", "filepath": path, "return_code": 0}
    root = report_of(tmp_path / "new", {path: listing}, commands(entry))
    assert root.exists("/etc/sysctl.d/a") is True and root.exists("/etc/sysctl.d/b") is False
    assert root.listdir("/etc") is None


DF = "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/sda1 100 40 60 40% /\n/dev/sda2 50 40 10 80% /var\n"


@pytest.mark.parametrize(
    ("path", "available"),
    [("/", 60), ("/var", 10), ("/var/crash", None), ("/var/crash/x", None), ("/crash", None), ("/home", 60), ("/varx", 60)],
)  # fmt: skip
def test_a_filesystem_that_df_did_not_show_is_not_that_of_its_parent(
    path: str, available: int | None, tmp_path: Path
) -> None:
    """sos runs ``df -l``: a dump target on NFS is not in it."""
    mounts = "/dev/sda1 / ext4 rw 0 0\n/dev/sda2 /var ext4 rw 0 0\nnas:/crash /var/crash nfs rw 0 0\n"
    root = report_of(
        tmp_path,
        {"sos_commands/filesys/df_-al_-x_autofs": DF, "proc/mounts": "-> self/mounts", "proc/self/mounts": mounts, "crash": "-> var/crash"},
    )  # fmt: skip
    usage = root.usage(path)
    assert (usage.available if usage else None) == (available * 1024 if available else None)


def test_what_makes_a_sosreport(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert not is_sosreport(DirectoryTree(str(tmp_path)))
    (tmp_path / "sos_commands").mkdir()
    (tmp_path / "version.txt").touch()
    assert is_sosreport(DirectoryTree(str(tmp_path)))
    empty = sosreport_root(DirectoryTree(str(tmp_path)), "x")
    assert empty.run(("uname", "-a")) is None and empty.usage("/") is None and empty.listdir("/boot") is None
    assert empty.taken_at == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(
    ("member", "wanted"),
    [
        ("/proc/meminfo", True), ("/proc/123/stat", True), ("/proc/123/maps", False), ("/proc/kallsyms", False),
        ("/sos_commands/kernel/dmesg", True), ("/sos_commands/kernel/dmesg_-T", True), ("/sos_commands/boot/ls_-lanR_.boot", True),
        ("/sos_commands/x/lsblk", False), ("/sos_reports/manifest.json", True), ("/sos_strings/kernel/dmesg.tailed", True),
        ("/sos_commands/filesys/df_-al_-x_autofs", True), ("/proc/self/mounts", True), ("/sos_commands/date/date_--utc", True),
        ("/sos_commands/kernel/sysctl_-a", True), ("/var/log/messages", False),
    ],
)  # fmt: skip
def test_which_members_are_held(member: str, wanted: bool) -> None:
    assert bool(NOTHING.match(member)) is wanted
