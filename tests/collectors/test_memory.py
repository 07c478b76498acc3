"""The memory collector: on this host, after a real OOM kill in a control group, and where it may not read."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from hosttree import host_tree, root_of, text_root, write_tree

from lastwords import schemas
from lastwords.collectors import memory, memory_groups
from lastwords.collectors.memory import MemoryCollector
from lastwords.model import NoData
from lastwords.roots.base import Root
from lastwords.roots.bundle import bundle_root
from lastwords.roots.live import live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree

VALIDATOR = jsonschema.Draft202012Validator(schemas.load("memory"))
MEMINFO = "=== /proc/meminfo\nMemTotal:  1024 kB\n"
NO_LIMIT = 9223372036854771712


def steps_of(root: Root) -> list[dict[str, Any]]:
    steps = [copy.deepcopy(facts) for facts in MemoryCollector().collect(root)]
    for facts in steps:
        VALIDATOR.validate(facts)
    return steps


def facts_of(root: Root) -> dict[str, Any]:
    return steps_of(root)[-1]


@pytest.fixture(scope="module")
def here() -> tuple[dict[str, Any], Root]:
    root = live_root().recording("memory")
    return facts_of(root), root


def test_counters_of_this_host(here: tuple[dict[str, Any], Root]) -> None:
    facts, _ = here
    assert facts["page_size"] == os.sysconf("SC_PAGE_SIZE")
    assert facts["meminfo"]["MemTotal"] == psutil.virtual_memory().total
    assert (
        facts["meminfo"]["SwapTotal"]
        == psutil.swap_memory().total
        == sum(swap["size"] for swap in facts["swaps"])
    )
    assert set(facts["vmstat"]) == {line.split()[0] for line in Path("/proc/vmstat").read_text().splitlines()}
    assert facts["vmstat"]["pgfault"] > 0
    nodes = {int(path.name[4:]) for path in Path("/sys/devices/system/node").glob("node[0-9]*")}
    assert {node["node"] for node in facts["nodes"] or ()} == nodes
    for name, found in facts["pressure"].items():
        assert (found is not None) == Path("/proc/pressure", name).exists()


def test_slab_and_free_blocks_of_this_host(here: tuple[dict[str, Any], Root]) -> None:
    facts, root = here
    denied = {gap["path"] for gap in root.evidence.gaps}
    if not os.access("/proc/slabinfo", os.R_OK):
        assert facts["slab"] is None and "/proc/slabinfo" in denied
        pytest.skip("an ordinary user may not read slabinfo")
    assert denied == set()
    slab = facts["slab"]
    assert len(slab["caches"]) + slab["left_out"] == len(Path("/proc/slabinfo").read_text().splitlines()) - 2
    sizes = [cache["size"] for cache in slab["caches"]]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0
    assert sum(sizes) == slab["total_pages"] * facts["page_size"]
    assert sum(sizes) == pytest.approx(facts["meminfo"]["Slab"], rel=0.2)
    assert {each["zone"] for each in facts["pagetypeinfo"]["free"]} == {
        each["zone"] for each in facts["buddyinfo"]
    }


def test_huge_pages_and_thp_of_this_host(here: tuple[dict[str, Any], Root]) -> None:
    facts, _ = here
    for pool in facts["huge_pages"] or ():
        folder = Path(f"/sys/kernel/mm/hugepages/hugepages-{pool['page_size'] // 1024}kB")
        assert pool["total"] == int((folder / "nr_hugepages").read_text())
        assert pool["total"] == sum(
            each["total"] for node in facts["nodes"] for each in node["huge_pages"]
            if each["page_size"] == pool["page_size"]
        )  # fmt: skip
    thp = Path("/sys/kernel/mm/transparent_hugepage")
    if thp.exists():
        assert f"[{facts['transparent_huge_pages']['enabled']}]" in (thp / "enabled").read_text()


def test_filesystems_in_memory_of_this_host(here: tuple[dict[str, Any], Root]) -> None:
    facts, _ = here
    sized = [mount for mount in facts["tmpfs"]["mounts"] if mount["size"]]
    if not any(line.split()[2] == "tmpfs" for line in Path("/proc/self/mounts").read_text().splitlines()):
        pytest.skip("no tmpfs is mounted here")
    assert sized
    for mount in sized:
        assert mount["size"] == psutil.disk_usage(mount["mountpoint"]).total


def test_control_groups_of_this_host(here: tuple[dict[str, Any], Root]) -> None:
    groups = here[0]["cgroups"]
    if groups is None:
        pytest.skip("no memory controller here")
    folders = {
        "/" + os.path.relpath(folder, groups["top"]) if folder != groups["top"] else "/"
        for folder, _, _ in os.walk(groups["top"])
    }
    assert groups["complete"] is True
    # Groups come and go while the tests run.
    assert len({group["path"] for group in groups["groups"]} ^ folders) <= max(3, len(folders) // 10)
    assert all(group["stat"] for group in groups["groups"])


@pytest.fixture
def limited_group(here: tuple[dict[str, Any], Root]) -> Iterator[tuple[Path, str]]:
    """A group with a limit of 16 MiB and no swap; gives its folder and the path that facts name it by."""
    groups = here[0]["cgroups"]
    if groups is None or os.geteuid() != 0:
        pytest.skip("needs root and a memory controller")
    name = f"lastwords-test-{os.getpid()}"
    folder = Path(groups["top"], name)
    try:
        folder.mkdir()
        limit = "memory.limit_in_bytes" if groups["version"] == 1 else "memory.max"
        (folder / limit).write_text(str(16 << 20))
        swap = folder / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
    except OSError as problem:
        pytest.skip(f"no group can be made here: {problem}")
    yield folder, "/" + name
    folder.rmdir()


def test_a_real_oom_kill_in_a_control_group_is_in_the_facts(limited_group: tuple[Path, str]) -> None:
    folder, path = limited_group
    eater = f"""
import os
open({str(folder / "cgroup.procs")!r}, "w").write(str(os.getpid()))
eaten = [bytearray(1 << 20) for _ in range(256)]
"""
    killed = subprocess.run([sys.executable, "-c", eater], stderr=subprocess.DEVNULL)
    assert killed.returncode == -9
    facts = facts_of(live_root().recording("memory"))
    group = next(each for each in facts["cgroups"]["groups"] if each["path"] == path)
    assert group["max"] == 16 << 20
    assert group["events"]["oom_kill"] == 1
    assert 8 << 20 < group["peak"] <= 16 << 20
    assert (group["failcnt"] or group["events_local"]["max"]) > 0
    assert facts["vmstat"]["oom_kill"] >= 1


def test_the_small_files_come_before_groups_and_mounts() -> None:
    first, second, last = steps_of(root_of(host_tree("rhel9")).recording("memory"))
    assert (
        first["meminfo"]
        and first["slab"]
        and first["cgroups"] is first["tmpfs"] is first["pagetypeinfo"] is None
    )
    assert second["cgroups"]["groups"] and second["tmpfs"] is None
    assert last["tmpfs"] and last["pagetypeinfo"]


@pytest.mark.parametrize("host", ["rhel7", "ubuntu2404", "sles15"])
def test_a_bundle_and_a_directory_give_the_same_facts(host: str, tmp_path: Path) -> None:
    def store(name: str, data: bytes) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
        return name

    live = root_of(host_tree(host)).recording("memory", store)
    facts = facts_of(live)
    live.evidence.finish()
    again = bundle_root(DirectoryTree(str(tmp_path)), live.evidence.items, taken_at=1.0, where="x")
    assert facts_of(again.recording("memory")) == facts


@pytest.mark.parametrize(
    "mapped,expected", [(4096, 4096), (65536, 65536), (65030, 65536), (3000, None), (0, None)]
)
def test_page_size_where_no_command_tells_it(mapped: int, expected: int | None) -> None:
    text = f"=== /proc/meminfo\nMapped:  {mapped} kB\n=== /proc/vmstat\nnr_mapped 1024\n"
    assert facts_of(text_root(text).recording("memory"))["page_size"] == expected


def test_a_sosreport_without_mounts_or_df(tmp_path: Path) -> None:
    write_tree(host_tree("debian12"), tmp_path)
    (tmp_path / "proc/self/mounts").unlink(missing_ok=True)
    for name in ("sos_commands", "sos_logs"):
        (tmp_path / name).mkdir()
    facts = facts_of(sosreport_root(DirectoryTree(str(tmp_path)), "x").recording("memory"))
    known = facts_of(root_of(host_tree("debian12")).recording("memory"))
    assert facts["tmpfs"] is None
    assert facts["page_size"] == 4096 and facts["slab"] == known["slab"]
    assert facts["zram"] is None, "the report does not tell whether there are other devices"
    assert facts["cgroups"] == known["cgroups"]
    assert facts["meminfo"] == known["meminfo"]


def test_what_is_denied_is_null_and_a_gap() -> None:
    denied = ["/proc/slabinfo", "/proc/pagetypeinfo", "/proc/vmstat", "/sys/kernel/debug"]
    text = "".join(f"=== {path} denied{' dir' if path == denied[-1] else ''}\n" for path in denied)
    zswap = "=== /sys/module/zswap/parameters/enabled\nY\n"
    buddy = "=== /proc/buddyinfo\nNode 0, zone   Normal   7   0   1 \n"
    root = text_root(MEMINFO + text + zswap + buddy).recording("memory")
    facts = facts_of(root)
    assert facts["slab"] is facts["vmstat"] is facts["pagetypeinfo"] is None
    assert facts["zswap"] == {"parameters": {"enabled": "Y"}, "counters": None}
    assert {gap["path"] for gap in root.evidence.gaps} == set(denied[:3])


@pytest.mark.parametrize("text", ["", "\n", "\x00\xff garbage: kB\n", "Node zone some max\n" * 50])
def test_garbage_is_null_and_never_zero(text: str) -> None:
    names = ("meminfo", "zoneinfo", "buddyinfo", "pagetypeinfo", "slabinfo", "swaps", "pressure/io")
    root = text_root(
        "".join(f"=== /proc/{name}\n{text}\n" for name in names) + "=== /proc/vmstat\noom_kill 1\n"
    )
    facts = facts_of(root.recording("memory"))
    assert facts["vmstat"] == {"oom_kill": 1}
    for key in (
        "zones",
        "buddyinfo",
        "cgroups",
        "tmpfs",
        "zswap",
        "transparent_huge_pages",
        "huge_pages",
        "nodes",
    ):
        assert facts[key] is None, key
    assert facts["pressure"]["io"] is None
    assert not facts["meminfo"]


def test_nothing_at_all_is_no_data() -> None:
    with pytest.raises(NoData):
        facts_of(text_root("=== /etc/os-release\nID=x\n").recording("memory"))


def test_only_filesystems_in_memory_are_asked_for_their_usage() -> None:
    mounts = (
        "server:/x /mnt/nfs nfs4 rw 0 0\ntmpfs /dev/shm tmpfs rw,size=64k 0 0\ntmpfs /over tmpfs rw 0 0\n"
        "/dev/sda1 /over ext4 rw 0 0\ntmpfs /a\\040b tmpfs rw 0 0\n"
    )
    usages = "".join(
        f"=== usage {path} size=65536 available=1 used=65535 mountpoint={path}\n"
        for path in ("/", "/mnt/nfs", "/dev/shm", "/over")
    )
    root = text_root(f"{MEMINFO}=== /proc/self/mounts\n{mounts}{usages}").recording("memory")
    found = {mount["mountpoint"]: mount for mount in facts_of(root)["tmpfs"]["mounts"]}
    assert found["/dev/shm"]["used"] == 65535 and found["/dev/shm"]["size_option"] == "64k"
    assert found["/over"]["used"] is None, "another mount hides it"
    assert found["/a b"]["size"] is None, "df tells of the filesystem around it only"
    assert set(found) == {"/dev/shm", "/over", "/a b"}
    asked = {path for path, node in root.evidence._nodes.items() if "usage" in node}
    assert asked == {"/dev/shm", "/a b"}


def groups_root(mounts: str, files: str) -> Root:
    return text_root(f"{MEMINFO}=== /proc/self/mounts\n{mounts}{files}").recording("memory")


def test_unified_groups_with_and_without_limits() -> None:
    top = "/sys/fs/cgroup"
    files = (
        f"=== {top}/cgroup.controllers\ncpu memory\n=== {top}/memory.stat\nanon 1\nthp_fault_alloc 2\n"
        f"=== {top}/a.slice/memory.max\n1048576\n=== {top}/a.slice/memory.high\nmax\n"
        f"=== {top}/a.slice/memory.events\nlow 0\noom_kill 3\noom_group_kill 1\n"
        f"=== {top}/a.slice/memory.oom.group\n1\n=== {top}/a.slice/x.scope/memory.current\n4096\n"
        f"=== {top}/a.slice/x.scope/memory.pressure denied\n"
    )
    root = groups_root("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", files)
    groups = facts_of(root)["cgroups"]
    assert (groups["version"], groups["layout"], groups["top"]) == (2, "unified", top)
    head, slice_, scope = groups["groups"]
    assert [head["path"], slice_["path"], scope["path"]] == ["/", "/a.slice", "/a.slice/x.scope"]
    assert head["stat"] == {"anon": 1}, "only what says where memory is"
    assert (slice_["max"], slice_["high"], slice_["low"], slice_["oom_group"]) == (1048576, "max", None, True)
    assert slice_["events"]["oom_group_kill"] == 1
    assert (scope["current"], scope["pressure"]) == (4096, None)
    assert [gap["path"] for gap in root.evidence.gaps] == [f"{top}/**/memory.pressure"]


def test_hybrid_groups_are_read_where_the_memory_controller_is() -> None:
    mounts = (
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
    )
    files = (
        f"=== /sys/fs/cgroup/memory/memory.limit_in_bytes\n{NO_LIMIT}\n"
        "=== /sys/fs/cgroup/memory/memory.oom_control\noom_kill_disable 1\nunder_oom 1\noom_kill 4\n"
        "=== /sys/fs/cgroup/unified/cgroup.controllers\n\n"
        "=== /sys/fs/cgroup/unified/x/memory.pressure\nsome\n"
    )
    groups = facts_of(groups_root(mounts, files))["cgroups"]
    assert (groups["version"], groups["layout"], len(groups["groups"])) == (1, "hybrid", 1)
    (group,) = groups["groups"]
    assert (group["max"], group["events"], group["oom_kill_disable"], group["under_oom"]) == (
        "max", {"oom_kill": 4}, True, True,
    )  # fmt: skip


def test_a_unified_hierarchy_without_the_memory_controller_is_none() -> None:
    files = "=== /sys/fs/cgroup/cgroup.controllers\ncpu io\n=== /sys/fs/cgroup/memory.pressure\nsome\n"
    assert facts_of(groups_root("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", files))["cgroups"] is None


def test_too_many_groups_are_cut_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_groups, "MAX_GROUPS", 3)
    files = "=== /sys/fs/cgroup/cgroup.controllers\nmemory\n" + "".join(
        f"=== /sys/fs/cgroup/g{number}/memory.current\n1\n" for number in range(9)
    )
    root = groups_root("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", files)
    groups = facts_of(root)["cgroups"]
    assert groups["complete"] is False and len(groups["groups"]) == 2
    assert [gap["reason"] for gap in root.evidence.gaps] == ["more than 3 rows"]


def test_lists_of_free_blocks_that_stop_an_old_kernel_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = host_tree("rhel7")
    assert facts_of(root_of(tree))["pagetypeinfo"] is not None
    monkeypatch.setattr(memory, "MAX_FREE_BLOCKS", 100)
    root = root_of(tree).recording("memory")
    assert facts_of(root)["pagetypeinfo"] is None
    assert "/proc/pagetypeinfo" not in {item["path"] for item in root.evidence.items}
