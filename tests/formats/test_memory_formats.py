"""Parsers of memory files against the running kernel, other tools that read them, and old formats."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.memory.buddyinfo import parse_buddyinfo, parse_pagetypeinfo
from lastwords.formats.memory.cgroup import parse_limit
from lastwords.formats.memory.counters import parse_counters
from lastwords.formats.memory.meminfo import parse_meminfo
from lastwords.formats.memory.psi import parse_pressure
from lastwords.formats.memory.slabinfo import parse_slabinfo
from lastwords.formats.memory.swaps import chosen, parse_swaps, parse_zram_mm_stat
from lastwords.formats.memory.zoneinfo import parse_zoneinfo
from lastwords.formats.system.mounts import parse_mounts

ZONEINFO_3_10 = """Node 0, zone   Normal
  pages free     5120
        min      664
        low      830
        high     996
        scanned  0
        spanned  262144
        present  262144
        managed  217000
    nr_free_pages 5120
    nr_alloc_batch 63
        protection: (0, 0, 0, 0)
  pagesets
    cpu: 0
              count: 20
              high:  186
              batch: 31
  vm stats threshold: 24
  all_unreclaimable: 0
  start_pfn:         1048576
"""


def readable(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as problem:
        pytest.skip(f"{path}: {problem.strerror}")


def test_meminfo_has_every_line() -> None:
    text = readable("/proc/meminfo")
    sizes, counts = parse_meminfo(text)
    assert len(sizes) + len(counts) == len(text.splitlines())
    assert sizes["MemTotal"] == psutil.virtual_memory().total
    assert all(name.startswith("HugePages_") for name in counts)


def test_vmstat_has_every_line() -> None:
    text = readable("/proc/vmstat")
    assert len(parse_counters(text)) == len(text.splitlines())


def test_zones_are_those_of_buddyinfo() -> None:
    zones = parse_zoneinfo(readable("/proc/zoneinfo"))
    populated = {(zone.node, zone.name) for zone in zones if zone.pages["present"]}
    buddies = parse_buddyinfo(readable("/proc/buddyinfo"))
    assert {(each.node, each.zone) for each in buddies} == populated
    for zone in zones:
        assert zone.pages["min"] <= zone.pages["low"] <= zone.pages["high"]
        assert len(zone.protection) >= 1


def test_zone_of_3_10_without_boost_and_cma() -> None:
    (zone,) = parse_zoneinfo(ZONEINFO_3_10)
    watermarks = {"free": 5120, "min": 664, "low": 830, "high": 996}
    assert zone.pages == {**watermarks, "spanned": 262144, "present": 262144, "managed": 217000}
    assert zone.protection == (0, 0, 0, 0)
    assert zone.get("boost") is None


def test_pagetypeinfo_adds_up_to_buddyinfo() -> None:
    free, blocks = parse_pagetypeinfo(readable("/proc/pagetypeinfo"))
    zones = {(each.node, each.zone) for each in parse_buddyinfo(readable("/proc/buddyinfo"))}
    assert {(each.node, each.zone) for each in free} == {(each.node, each.zone) for each in blocks} == zones
    assert {each.type for each in free} == set(blocks[0].blocks)


def test_slabs_are_those_of_slabtop() -> None:
    text = readable("/proc/slabinfo")
    caches = parse_slabinfo(text)
    assert len(caches) == len(text.splitlines()) - 2
    top = subprocess.run(["slabtop", "--once"], capture_output=True, text=True)
    if top.returncode:
        pytest.skip("slabtop does not run here")
    total = re.search(r"Active / Total Size.*?/ ([\d.]+)K", top.stdout)
    assert total
    objects = sum(cache.objects * cache.object_size for cache in caches)
    assert objects == pytest.approx(float(total[1]) * 1024, rel=0.2)


def test_mounts_are_those_psutil_sees() -> None:
    before = readable("/proc/self/mounts")
    theirs = {(each.device, each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)}
    # Others mount and unmount meanwhile, in a build for instance.
    ours = {
        (each.source, each.mountpoint, each.type)
        for text in (before, readable("/proc/self/mounts"))
        for each in parse_mounts(text)
    }
    assert {each for each in theirs if each[0]} <= ours


def test_pressure_of_this_host() -> None:
    text = readable("/proc/pressure/memory")
    assert set(parse_pressure(text)) == {"some", "full"}
    assert str(parse_pressure(text)["some"]["total"]) in text


@pytest.mark.parametrize("text", ["", "Operation not supported", "some avg10=nan avg60=0 avg300=0 total=0"])
def test_no_pressure(text: str) -> None:
    assert parse_pressure(text) == {}


def test_no_limit_in_every_spelling() -> None:
    for page_size in (4096, 16384, 65536):
        assert parse_limit(str((2**63 - 1) // page_size * page_size)) == "max"
    assert parse_limit(str(2**63 - 1)) == parse_limit("max\n") == "max"
    assert parse_limit("0") == 0
    assert parse_limit("-1") is None is parse_limit("")


def test_swap_files_with_blanks_and_deleted_ones() -> None:
    swaps = parse_swaps(
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/swap\\040one                            file\t\t2097148\t\t394928\t\t-2\n"
        "/gone\\040(deleted)                      file\t\t1024\t\t0\t\t5\n"
    )
    assert [swap.name for swap in swaps] == ["/swap one", "/gone (deleted)"]
    assert (swaps[0].used, swaps[1].priority) == (394928 * 1024, 5)


def test_mm_stat_of_an_older_kernel_has_fewer_columns() -> None:
    counters = parse_zram_mm_stat("  8192  200  12288  0  12288  1  0\n")
    assert counters["pages_compacted"] == 0
    assert counters["huge_pages"] is None is counters["huge_pages_since"]


def test_choices_of_this_host() -> None:
    text = readable("/sys/kernel/mm/transparent_hugepage/enabled")
    assert f"[{chosen(text)}]" in text
    assert chosen("a b") is None


PARSERS: list[Callable[[str], object]] = [
    *(parse_meminfo, parse_counters, parse_zoneinfo, parse_buddyinfo, parse_pagetypeinfo, parse_slabinfo),
    *(parse_swaps, parse_mounts, parse_pressure, parse_limit, parse_zram_mm_stat, chosen),
]
FILES = ("meminfo", "vmstat", "zoneinfo", "buddyinfo", "swaps", "self/mounts")
SAMPLES = [Path("/proc", name).read_text()[:600] for name in FILES if os.access(f"/proc/{name}", os.R_OK)]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=" \n\t:,()[]\\>-0123456789NodezonepagsfrkBé\x00", max_size=200), st.data())
def test_no_parser_raises_on_garbage(text: str, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from([*SAMPLES, ""]))
    cut = data.draw(st.integers(0, len(sample)))
    for parse in PARSERS:
        parse(sample[:cut] + text + sample[cut:])
