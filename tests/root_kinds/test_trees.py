"""Directories as roots: the inside file or a refusal, never a file of the machine that analyses."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastwords.roots.base import Root
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.trees import DirectoryTree, Tree

SECRET = "the analyst's own"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the analyst, beside the tree."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    (folder / "passwd").write_text(SECRET)
    return folder


@pytest.fixture
def top(tmp_path: Path, outside: Path) -> Path:
    """The tree of a host, as hostile as can be."""
    folder = tmp_path / "host"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "passwd").write_text("inside")
    (folder / "etc" / "hostname").write_text("db01")
    (folder / "var" / "crash").mkdir(parents=True)
    for name, target in {
        "absolute": "/etc/passwd",
        "relative": "../etc/passwd",
        "up": "../" * 40 + "etc/passwd",
        "chain": "absolute",
        "through": "/var/etc2/passwd",
        "etc2": "/etc",
        "out": str(outside / "secret"),
        "up-and-out": "../" * 40 + str(outside / "secret"),
        "folder": str(outside),
        "environ": "/proc/self/environ",
        "root": "/proc/self/root/etc/passwd",
        "cwd": "/proc/self/cwd",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "deep-loop": "deep-loop/x",
        "dot": ".",
        "top": "/",
        "file-as-folder": "/etc/passwd/x",
        "dangling": "nowhere",
        "slash": "/etc/passwd/",
        "null": "/dev/null",
    }.items():
        (folder / "var" / name).symlink_to(target)
    os.mkfifo(folder / "var" / "fifo")
    return folder


INSIDE = [
    "absolute",
    "relative",
    "up",
    "chain",
    "through",
    "etc2/passwd",
    "top/var/top/etc/passwd",
    "dot/dot/absolute",
]
REFUSED = [
    "out", "up-and-out", "folder", "folder/secret", "environ", "root", "cwd", "cwd/setup.cfg", "loop", "ping", "deep-loop",
    "file-as-folder", "dangling", "null", "fifo", "fifo/x", "crash", ".", "..", "top/..",
]  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_links_lead_where_the_host_meant(name: str, top: Path) -> None:
    root = directory_root(str(top))
    assert root.read(f"/var/{name}") == b"inside"
    node = root.stat(f"/var/{name}")
    assert node and (node.type, node.size, node.path) == ("file", 6, f"/var/{name}")
    assert root.peek(f"/var/{name}", 3) == b"ins"
    assert [line.data for line in root.lines(f"/var/{name}")] == [b"inside"]


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_outside_is_ever_read(name: str, top: Path) -> None:
    root = directory_root(str(top))
    began = time.monotonic()
    assert root.text(f"/var/{name}") is None
    for read in (lambda: root.peek(f"/var/{name}", 10), lambda: list(root.lines(f"/var/{name}"))):
        with pytest.raises(OSError):
            read()
    assert time.monotonic() - began < 1
    assert root.evidence.items and all(item["stored"] is None for item in root.evidence.items)


def test_directories_outside_are_not_listed(top: Path) -> None:
    root = directory_root(str(top))
    for name in ("folder", "cwd", "up-and-out", "root"):
        assert root.listdir(f"/var/{name}") is None
        assert root.glob(f"/var/{name}/*") == []
        assert root.stat(f"/var/{name}/secret") is None
        assert root.stat(f"/var/{name}/secret", follow=False) is None
        assert list(root.table(f"/var/{name}", ["secret"])) == []
        assert all(not row.files for row in root.table(f"/var/{name}", ["secret"], depth=0))
    assert [node.name for node in root.listdir("/var/etc2") or []] == ["hostname", "passwd"]
    assert root.glob("/var/*/passwd") == ["/var/etc2/passwd"]


def test_a_climbing_path_stays_at_the_top(top: Path) -> None:
    root = directory_root(str(top))
    assert root.read("/../../../../etc/passwd") == b"inside"
    for path in ("/../outside/secret", "/var/../../outside/secret", "/etc/../../outside/secret"):
        assert root.text(path) is None
    with pytest.raises(OSError):
        DirectoryTree(str(top)).open("/../outside/secret")


def test_a_link_that_was_swapped_in_later_is_refused(top: Path, outside: Path) -> None:
    tree = DirectoryTree(str(top))
    resolved = tree.resolve("/etc/passwd")
    with tree.open(resolved) as stream:
        assert stream.read() == b"inside"
    (top / "etc").rename(top / "etc.old")
    (top / "etc").symlink_to(outside)
    for attempt in (tree.open, tree.lookup, tree.stat, tree.usage):
        with pytest.raises(OSError):
            attempt(resolved)
    for listing in (tree.names, tree.folders):
        with pytest.raises(OSError):
            listing("/etc")
    with pytest.raises(OSError):
        tree.open(tree.resolve("/etc/secret"))
    (top / "file").write_text("inside")
    resolved = tree.resolve("/file")
    (top / "file").unlink()
    (top / "file").symlink_to(outside / "secret")
    with pytest.raises(OSError):
        tree.open(resolved)


def test_links_swapped_all_the_time_never_lead_outside(top: Path, outside: Path) -> None:
    """A writer in the tree exchanges a directory for a link to ours, as quickly as it can."""
    tree = DirectoryTree(str(top))
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(top / "etc", top / "aside")
            os.symlink(outside, top / "etc")
            os.unlink(top / "etc")
            os.rename(top / "aside", top / "etc")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            try:
                with tree.open(tree.resolve("/etc/passwd")) as stream:
                    seen.add(stream.read())
            except OSError:
                seen.add(None)
    finally:
        stop.set()
        thread.join()
    assert seen <= {b"inside", None} and b"inside" in seen


def test_special_files_are_never_opened(top: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(top / "socket"))
    root = directory_root(str(top))
    assert root.text("/socket") is None
    assert (root.stat("/socket") or pytest.fail()).type == "other"
    assert root.text("/var/fifo") is None
    listener.close()
    if os.geteuid() == 0:
        os.mknod(top / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        assert root.text("/zero") is None


def test_a_device_is_not_even_opened_on_the_running_host() -> None:
    """Opening some devices does things. A terminal or the like would show that it was opened."""
    root = live_root()
    reader, writer = os.pipe()
    try:
        assert root.text(f"/proc/self/fd/{writer}") is None
        assert root.text("/dev/zero") is None and root.text("/dev/null") is None
    finally:
        os.close(reader)
        os.close(writer)


def test_facts_about_files_are_those_of_lstat(top: Path) -> None:
    root = directory_root(str(top))
    for node in (root.listdir("/var") or []) + (root.listdir("/etc") or []):
        real = os.lstat(f"{top}{node.path}")
        assert (node.size, node.mode, node.uid, node.gid, node.mtime, node.allocated) == (
            real.st_size, stat.S_IMODE(real.st_mode), real.st_uid, real.st_gid, real.st_mtime, real.st_blocks * 512,
        )  # fmt: skip
        assert node.target == (os.readlink(f"{top}{node.path}") if node.type == "link" else None)
    assert (root.stat("/var/etc2", follow=False) or pytest.fail()).type == "link"
    assert (root.stat("/var/etc2/passwd", follow=False) or pytest.fail()).type == "file"
    assert (root.stat("/var/etc2") or pytest.fail()).type == "dir"


def test_there_not_there_and_unknown_are_three_things(top: Path) -> None:
    root = directory_root(str(top))
    assert root.exists("/etc/passwd") is True
    assert root.exists("/etc/nothing") is False
    assert root.exists("/nowhere/at/all") is False
    assert root.exists("/etc/passwd/x") is False
    assert root.exists("/var/dangling") is False
    assert root.exists("/var/loop") is None
    assert root.listdir("/nowhere") is None and root.listdir("/etc/passwd") is None


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root reads everything: become nobody for the test."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_denied_is_noted_as_denied(ordinary_user: None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        denied_is_noted_as_denied(Path(folder))


def denied_is_noted_as_denied(top: Path) -> None:
    (top / "etc").mkdir()
    (top / "etc" / "shadow").touch(0)
    (top / "var" / "crash").mkdir(0o755, parents=True)
    (top / "var" / "crash").chmod(0)
    root = directory_root(str(top))
    assert root.exists("/etc/shadow") is True
    assert root.text("/etc/shadow") is None
    assert root.exists("/var/crash/x") is None
    assert root.listdir("/var/crash") is None
    assert {item["path"] for item in root.evidence.items if item.get("denied")} == {
        "/etc/shadow", "/var/crash/x", "/var/crash",
    }  # fmt: skip


def test_what_a_kernel_makes_up_is_not_on_a_disk(top: Path) -> None:
    for name in ("proc", "sys", "run", "dev"):
        (top / name).mkdir()
    (top / "dev" / "console").touch()
    root = directory_root(str(top))
    assert root.exists("/run/systemd/system/x.service") is False, "made anew at each boot"
    for path in ("/proc/cmdline", "/sys/kernel/kexec_crash_size", "/dev/disk/by-uuid/1234"):
        assert root.exists(path) is None
        assert root.listdir(path.rpartition("/")[0]) is None
    assert root.evidence.gaps == []
    assert root.exists("/etc/nothing") is False
    (top / "proc" / "cmdline").write_text("root=/dev/vda1")
    copy = directory_root(str(top))  # of a tree that was copied with its /proc
    assert copy.text("/proc/cmdline") == "root=/dev/vda1" and copy.exists("/proc/meminfo") is False


def test_our_own_proc_in_the_tree_is_not_the_hosts(top: Path) -> None:
    """Rescue systems bind-mount /proc, /sys and /dev into the mounted disk, for chroot(8)."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    for name in ("proc", "sys"):
        (top / name).mkdir()
        done = subprocess.run(["mount", "--bind", f"/{name}", top / name], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("mounting is not allowed here")
    try:
        root = directory_root(str(top))
        assert root.text("/proc/sys/kernel/osrelease") is None and root.text("/proc/meminfo") is None
        assert root.exists("/sys/kernel") is None
        assert list(root.table("/proc", ["stat"], match="[0-9]*")) == []
    finally:
        for name in ("proc", "sys"):
            subprocess.run(["umount", top / name], check=True)


def test_a_filesystem_that_is_not_mounted_is_unknown(top: Path) -> None:
    (top / "boot" / "efi").mkdir(parents=True)
    (top / "etc" / "fstab").write_text(
        "# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 /boot ext4 defaults 0 2\n\t/dev/sdb1\t/var/crash\txfs defaults 0 0\n"
        "/dev/sdc1 none swap sw 0 0\nUUID=5 /var/etc2 ext4 defaults 0 0\nUUID=6 /mnt/not\\040there ext4 defaults 0 0\n"
    )
    root = directory_root(str(top))
    assert root.listdir("/boot") is not None, "efi is in it: it was mounted, or copied"
    assert root.listdir("/var/crash") is None and root.exists("/var/crash/1") is None
    assert root.listdir("/etc") is not None
    (top / "boot" / "efi").rmdir()
    root = directory_root(str(top))
    assert root.listdir("/boot") is None and root.exists("/boot/vmlinuz") is None
    assert root.stat("/boot") is None


def test_a_hostile_fstab_hides_nothing_but_its_own_places(top: Path, outside: Path) -> None:
    (top / "etc" / "fstab").unlink(missing_ok=True)
    (top / "etc" / "fstab").symlink_to(outside / "secret")
    assert directory_root(str(top)).read("/etc/passwd") == b"inside"
    (top / "etc" / "fstab").unlink()
    (top / "etc" / "fstab").write_text("x / y\n" * 1000 + "x /etc y\nx /../outside y\n" + "x" * 100_000)
    assert directory_root(str(top)).read("/etc/passwd") == b"inside"


def test_usage_is_of_the_mounted_disk_only(top: Path) -> None:
    assert directory_root(str(top)).usage("/var") is None, "a copied tree lies on the analyst's disk"
    live = live_root().usage("/")
    real = os.statvfs("/")
    assert live and live.size == real.f_blocks * real.f_frsize and live.available <= live.size
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", top], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        (top / "var").mkdir()
        (top / "var" / "crash").symlink_to("/data")
        (top / "data").mkdir()
        (top / "var" / "out").symlink_to("../../../../../../../")
        root = directory_root(str(top))
        for path in ("/", "/var", "/var/crash", "/var/out"):
            usage = root.usage(path)
            assert usage and usage.size == 4 << 20, path
        assert root.usage("/nothing") is None
    finally:
        subprocess.run(["umount", top], check=True)


# -- the running host ------------------------------------------------------------------------------


def test_links_of_the_running_host_are_followed_by_the_system(tmp_path: Path) -> None:
    root = live_root()
    reader, writer = os.pipe()
    deleted = (tmp_path / "deleted").open("w+b")
    deleted.write(b"12345")
    deleted.flush()
    (tmp_path / "deleted").unlink()
    try:
        pipe = root.stat(f"/proc/self/fd/{reader}")
        assert pipe and pipe.type == "other"
        gone = root.stat(f"/proc/self/fd/{deleted.fileno()}")
        assert gone and (gone.type, gone.size) == ("file", 5)
        assert root.read(f"/proc/self/fd/{deleted.fileno()}") == b"12345"
        link = root.stat("/proc/self/exe", follow=False)
        assert link and link.type == "link" and link.target == os.readlink("/proc/self/exe")
        followed = root.stat("/proc/self/exe")
        assert followed and followed.type == "file" and followed.size == os.stat("/proc/self/exe").st_size
        here = root.stat("/proc/self/cwd")
        assert here and here.type == "dir"
    finally:
        os.close(reader)
        os.close(writer)
        deleted.close()


def test_the_running_host_is_seen_as_it_is() -> None:
    root = live_root()
    assert [node.name for node in root.listdir("/etc") or []] == sorted(os.listdir("/etc"))
    assert root.exists("/proc/self") is True and root.exists("/proc/nothing") is False
    tree = DirectoryTree("/")
    assert tree.folders("/sys/kernel") == sorted(
        name for name in os.listdir("/sys/kernel") if stat.S_ISDIR(os.lstat(f"/sys/kernel/{name}").st_mode)
    )
    assert tree.read_small("/proc/version", 1 << 20) == Path("/proc/version").read_bytes()
    assert tree.read_small("/proc/version", 5) == Path("/proc/version").read_bytes()[:5]
    assert tree.read_small("/etc/passwd", 1 << 20) == Path("/etc/passwd").read_bytes()


def test_a_read_that_would_wait_fails_instead_of_giving_nothing() -> None:
    root = live_root()
    if os.geteuid() != 0 or not os.path.exists("/proc/kmsg"):
        pytest.skip("needs /proc/kmsg")
    descriptor = os.open("/proc/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            os.read(descriptor, 1 << 16)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)
    with pytest.raises(BlockingIOError):
        root.read("/proc/kmsg")


def test_the_generic_walk_is_that_of_the_system(tmp_path: Path) -> None:
    """On a tree whose links all stay inside, resolving is realpath(3)."""
    top = tmp_path / "t"
    (top / "a" / "b" / "c").mkdir(parents=True)
    (top / "a" / "x").symlink_to("b/c")
    (top / "a" / "b" / "up").symlink_to("../..")
    (top / "l1").symlink_to("a/./b//../x")
    (top / "a" / "b" / "c" / "f").touch()
    tree = DirectoryTree(str(top))
    for path in (
        "/a/x/f",
        "/l1/f",
        "/a/b/up/l1/f",
        "/a/b/up/a/b/up/a/x/../c/f",
        "/",
        "/a/b/..",
        "/a/../a/x",
        "/l1",
    ):
        assert str(top) + tree.resolve(path).rstrip("/") == os.path.realpath(f"{top}{path}"), path
        assert tree.resolve(path) == Tree.resolve(tree, path)


def test_many_links_are_not_too_many(tmp_path: Path) -> None:
    (tmp_path / "0").write_text("end")
    for number in range(1, 42):
        (tmp_path / str(number)).symlink_to(str(number - 1))
    root = Root("directory", DirectoryTree(str(tmp_path)))
    assert root.text("/40") == "end" and os.path.exists(tmp_path / "40")
    assert root.text("/41") is None and not os.path.exists(tmp_path / "41")
