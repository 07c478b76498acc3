"""What kernels from 2.4 to 7.x print, each in its own words."""

from __future__ import annotations

import pytest
from oom_corpus import events_of

from lastwords.formats.oom.gfp import decode, expand, zones_allowed
from lastwords.formats.oom.report import OomEvent

EL5 = """\
java invoked oom-killer: gfp_mask=0x201d2, order=0, oomkilladj=0
 [<c045b2ba>] out_of_memory+0x72/0x1a3
Mem-info:
DMA per-cpu:
cpu 0 hot: high 0, batch 1 used:0
Free pages:       22600kB (1280kB HighMem)
Active:118642 inactive:118211 dirty:0 writeback:0 unstable:0 free:5650 slab:6543 mapped-file:1192 mapped-anon:2
DMA free:3540kB min:68kB low:84kB high:100kB active:0kB inactive:0kB present:16384kB pages_scanned:0 \
all_unreclaimable? yes
lowmem_reserve[]: 0 0 880 2016
Normal free:3720kB min:3756kB low:4692kB high:5632kB active:348kB inactive:0kB present:901120kB \
pages_scanned:593 all_unreclaimable? yes
lowmem_reserve[]: 0 0 0 9088
DMA: 5*4kB 2*8kB 3*16kB 2*32kB 3*64kB 1*128kB 0*256kB 0*512kB 1*1024kB 1*2048kB 0*4096kB = 3540kB
Swap cache: add 1231, delete 1231, find 21/34, race 0+0
Free swap  = 0kB
Total swap = 2096472kB
524272 pages of RAM
294896 pages of HIGHMEM
5542 reserved pages
Out of memory: Killed process 4711 (java).
"""
ERAS = {
    "2.4": "Out of Memory: Killed process 4711 (java).\n",
    "2.6.9": "oom-killer: gfp_mask=0x1d2\nMem-info:\nOut of Memory: Killed process 4711 (java).\n",
    "2.6.16": "oom-killer: gfp_mask=0x201d2, order=0\nOut of Memory: Kill process 4711 (java) score 77 and children.\n"
    "Out of memory: Killed process 4711 (java).\n",
    "RHEL 5": EL5,
    "2.6.31": "java invoked oom-killer: gfp_mask=0x1201d2, order=0, oomkilladj=3\n"
    "java cpuset=/ mems_allowed=0\n"
    "Pid: 4711, comm: java Not tainted 2.6.31-14-generic #48-Ubuntu\n"
    "Out of memory: kill process 4711 (java) score 494723 or a child\nKilled process 4711 (java)\n",
    "RHEL 6": "java invoked oom-killer: gfp_mask=0x280da, order=0, oom_adj=0, oom_score_adj=0\n"
    "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name\n"
    "[ 4711]    27  4711    62464     1285   2       0             0 java\n"
    "Out of memory: Kill process 4711 (java) score 16 or sacrifice child\n"
    "Killed process 4711, UID 27, (java) total-vm:249856kB, anon-rss:5128kB, file-rss:4kB\n",
    "4.12": "java invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null),  order=0, "
    "oom_score_adj=0\nOut of memory: Kill process 4711 (java) score 9 or sacrifice child\n"
    "Killed process 4711 (java) total-vm:4kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n",
    "5.1": "java invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0\n"
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),global_oom,task_memcg=/a,b=c,task=java,pid=4711,uid=5\n"
    "Out of memory: Killed process 4711 (java) total-vm:4kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n",
}


def one(log: str) -> OomEvent:
    (event,) = events_of(log.encode())
    return event


@pytest.mark.parametrize("era", ERAS)
def test_each_era_tells_its_victim(era: str) -> None:
    event = one(ERAS[era])
    (victim,) = event.victims
    assert (victim.pid, victim.comm) == (4711, "java")
    assert event.constraint == "none"
    named = event.trigger.comm if event.trigger is not None else None
    assert named == (None if era in ("2.4", "2.6.9", "2.6.16") else "java")


def test_rhel_5_memory_is_read_in_bytes() -> None:
    event = one(EL5)
    assert event.memory.counters["mapped-anon"] == 2
    assert event.memory.counters["Active"] == 118642
    normal = event.memory.zone(None, "Normal")
    assert normal is not None
    assert (normal.values["free"], normal.values["min"]) == (3720 << 10, 3756 << 10)
    assert (event.memory.swap_total, event.memory.swap_free) == (2096472 << 10, 0)
    assert event.memory.pages == {"RAM": 524272, "HighMem": 294896, "reserved": 5542}
    assert event.missing == []


def test_a_group_may_have_commas_in_its_name() -> None:
    assert one(ERAS["5.1"]).task_memcg == "/a,b=c"


def test_memory_policy_and_cpuset_are_told_by_the_words_of_2_6_18() -> None:
    head = "oom-killer: gfp_mask=0x201d2, order=0\n"
    kill = "No available memory (MPOL_BIND): kill process 4711 (java) score 77 or a child\nKilled process 4711 (java)\n"
    assert one(head + kill).constraint == "memory_policy"
    assert one(head + kill.replace("(MPOL_BIND)", "in cpuset")).constraint == "cpuset"


def test_pages_of_64_kib_are_told_by_the_free_lists() -> None:
    log = (
        "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
        "Node 0 Normal free:640kB min:704kB low:832kB high:960kB managed:1000000kB\n"
        "Node 0 Normal: 2*64kB (U) 4*128kB (M) 0*256kB = 640kB\n"
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
        "[   4711]     0  4711     1000      100    65536        0             0 java\n"
        "Out of memory: Killed process 4711 (java) total-vm:64000kB, anon-rss:6400kB, file-rss:0kB\n"
    )
    assert one(log).page_size == 65536
    assert one(log.replace("Node 0 Normal: 2*64kB (U) 4*128kB (M) 0*256kB = 640kB\n", "")).page_size == 65536


def test_counters_that_ran_below_zero_are_null() -> None:
    log = (
        "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
        "Node 0 DMA free:640kB min:704kB low:832kB high:960kB managed:1000000kB\n"
        "lowmem_reserve[]: 0 18446744073709551615 3\n"
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
        "[   4711]     0  4711     1000 18446744073709551615    65536        0             0 java\n"
        "Out of memory: Killed process 4711 (java)\n"
    )
    event = one(log)
    assert event.memory.zones[0].reserve == [0, None, 3]
    assert (event.tasks, event.damaged, event.missing) == ([], 1, ["damaged lines"])


def test_every_panic_has_its_kind() -> None:
    head = "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    for reason, kind in (
        ("Out of memory: compulsory panic_on_oom is enabled", "compulsory"),
        ("Out of memory: system-wide panic_on_oom is enabled", "system-wide"),
        ("out of memory. panic_on_oom is selected", "system-wide"),
        ("Out of memory and no killable processes...", "no killable"),
        ("System is deadlocked on memory", "deadlocked"),
        ("Fatal exception", "other"),
    ):
        event = one(
            head + f"Kernel panic - not syncing: {reason}\n---[ end Kernel panic - not syncing: {reason}\n"
        )
        assert event.panic == f"Kernel panic - not syncing: {reason}"
        assert event.panic_kind == kind


def test_masks_of_each_era_are_decoded() -> None:
    assert decode(0x1F0, (2, 4, 26)) == "GFP_KERNEL|__GFP_HIGH|__GFP_HIGHIO"
    assert decode(0x1201D2, (2, 6, 24)) == "GFP_HIGHUSER_MOVABLE|__GFP_COLD"
    assert decode(0x280DA, (2, 6, 32)) == "GFP_HIGHUSER_MOVABLE|__GFP_ZERO"
    assert decode(0xD0, (3, 10, 0)) == "GFP_KERNEL"
    assert zones_allowed(expand("GFP_HIGHUSER_MOVABLE")) == ("DMA", "DMA32", "Normal", "HighMem", "Movable")
    assert zones_allowed(expand("GFP_KERNEL|GFP_DMA32")) == ("DMA", "DMA32")


def test_lines_wrapped_within_a_word_are_put_together() -> None:
    log = """\
java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL),
order=0, oom_score_adj=0
Task in /docker/0123456789abcdef killed as a result of
limit of /docker
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_
memcg=/docker,task_memcg=/docker/0123456789abcdef,task=java,pid=4711,
uid=5
Memory cgroup out of memory: Killed process 4711 (java) total-
vm:4000kB, anon-rss:4000kB, file-rss:8kB, shmem-rss:0kB, UID:5
pgtables:44kB oom_score_adj:3
"""
    event = one(log)
    assert event.trigger is not None
    assert (event.trigger.comm, event.trigger.order, event.trigger.oom_score_adj) == ("java", 0, 0)
    assert (event.memcg, event.task_memcg) == ("/docker", "/docker/0123456789abcdef")
    (victim,) = event.victims
    assert (victim.total_vm, victim.uid, victim.pgtables, victim.oom_score_adj) == (
        4000 << 10,
        5,
        44 << 10,
        3,
    )


def test_the_next_kill_without_its_header_is_another_event() -> None:
    summary = ERAS["5.1"].splitlines()[1].replace("4711", "4712").replace("NONE", "CPUSET")
    found = events_of((ERAS["5.1"] + summary + "\n").encode())
    assert [(event.constraint, len(event.victims)) for event in found] == [("none", 1), ("cpuset", 0)]


def test_a_program_on_the_console_does_not_lengthen_a_short_message() -> None:
    log = "[    1.000000] VM: killing process rsync\nUnmounting all.\n[    2.000000] Mem-info:\n"
    assert one(log).victims[0].comm == "rsync"


def test_a_free_list_without_a_size_is_damaged() -> None:
    head = "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    zone = "Node 0 Normal free:57076kB min:64256kB low:126740kB high:189224kB managed:2492248kB\n"
    event = one(head + "Mem-Info:\n" + zone + "Node 0 Normal: 9999999999999*4kB\n")
    assert event.memory.zones[0].free_lists == []


@pytest.mark.parametrize(
    ("taint", "told"),
    [
        ("G           OE    --------- -  -", "G           OE"),
        ("PF          O--------------  ", "PF          O"),
    ],
)
def test_the_dashes_of_red_hat_are_no_taint(taint: str, told: str) -> None:
    event = one(
        "java invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0\n"
        f"CPU: 2 PID: 4711 Comm: java Kdump: loaded Tainted: {taint} 4.18.0-553.el8_10.x86_64 #1\n"
        "Out of memory: Killed process 4711 (java) total-vm:4kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB\n"
    )
    assert (event.release, event.taint) == ("4.18.0-553.el8_10.x86_64", told)
