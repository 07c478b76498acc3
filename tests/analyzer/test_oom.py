"""Explanations of OOM events: on real logs what is known of them, on small ones each cause on its own."""

from __future__ import annotations

import csv
import io

import pytest
from oom_corpus import CORPUS, events_of, index, needs_corpus

from lastwords.analyzer.oom.accounting import held
from lastwords.analyzer.oom.choice import choice, implied_swap
from lastwords.analyzer.oom.explain import Explanation, explain

TRIGGER = "java invoked oom-killer: gfp_mask=0xcc0({flags}), order={order}, oom_score_adj=0"
KILL = (
    "Out of memory: Killed process 4711 (java) total-vm:4000kB, anon-rss:4000kB, file-rss:0kB, shmem-rss:0kB"
)
HEADER = "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name"


def machine(
    *,
    flags: str = "GFP_KERNEL",
    order: int = 0,
    anon: int = 1000,
    zones: str = "Node 0 Normal free:20000kB boost:0kB min:24000kB low:30000kB high:36000kB managed:4096000kB",
    more: tuple[str, ...] = (),
    tasks: tuple[tuple[int, str, int], ...] = ((4711, "java", 1000),),
    swap: tuple[int, int] = (0, 0),
) -> Explanation:
    """Return the explanation of a report of a machine of 4,000 MiB, sizes in pages of 4 KiB."""
    rows = [
        f"[{pid:7}]     0 {pid:5}    90000 {rss:8}    40960        0             0 {comm}"
        for pid, comm, rss in tasks
    ]
    lines = [
        TRIGGER.format(flags=flags, order=order),
        "CPU: 1 PID: 4711 Comm: java Not tainted 6.1.0-18-amd64 #1",
        "Mem-Info:",
        f"active_anon:{anon} inactive_anon:0 isolated_anon:0",
        *zones.splitlines(),
        *more,
        f"Free swap  = {swap[1]}kB",
        f"Total swap = {swap[0]}kB",
        "1024000 pages RAM",
        HEADER,
        *rows,
        KILL,
    ]
    (event,) = events_of(("\n".join(lines) + "\n").encode())
    return explain(event)


def ids(found: Explanation) -> set[str]:
    return {cause.id for cause in found.causes}


FULL = 950_000
CASES = {
    "no-swap": {"anon": FULL},
    "swap-full": {"anon": FULL, "swap": (2000000, 100)},
    "one-process": {"anon": FULL, "tasks": ((4711, "mysqld", 900_000),)},
    "jvm": {"anon": FULL, "tasks": ((4711, "java", 900_000),)},
    "many-processes": {"anon": FULL, "tasks": tuple((5000 + n, "php-fpm", 9000) for n in range(100))},
    "slab": {"more": ("slab_reclaimable:1000 slab_unreclaimable:400000",)},
    "tmpfs": {"anon": 600_000, "more": ("mapped:10 shmem:500000 pagetables:10 bounce:0",)},
    "hugetlb": {
        "more": (
            "Node 0 hugepages_total=1500 hugepages_free=900 hugepages_surp=0 hugepages_size=2048kB",
            "unevictable:0 dirty:0 writeback:0",
        )
    },
    "unowned": {"anon": 200_000},
    "page-tables": {"more": ("mapped:10 shmem:5 pagetables:200000 bounce:0",)},
    "locked": {"more": ("unevictable:600000 dirty:0 writeback:0",)},
    "fragmentation": {
        "order": 3,
        "zones": "Node 0 Normal free:90000kB boost:0kB min:24000kB low:30000kB high:36000kB managed:4096000kB\n"
        "Node 0 Normal: 22000*4kB (UME) 250*8kB (U) 0*16kB 0*32kB 0*64kB = 90000kB",
    },
    "cma": {
        "zones": "Node 0 Normal free:90000kB min:24000kB low:30000kB high:36000kB managed:4096000kB free_cma:80000kB"
    },
    "lowmem": {
        "zones": "Normal free:2000kB min:3000kB low:4000kB high:5000kB managed:880000kB\n"
        "HighMem free:900000kB min:512kB low:600kB high:700kB managed:3000000kB"
    },
    "capture-kernel": {
        "zones": "Node 0 DMA free:484kB min:4kB low:4kB high:4kB present:568kB managed:484kB\n"
        "Node 0 DMA32 free:800kB min:1400kB low:1700kB high:2000kB present:260000kB managed:133000kB"
    },
    "manual": {"order": -1, "anon": 1000},
}


@pytest.mark.parametrize("cause", CASES)
def test_each_cause_shows_where_it_is(cause: str) -> None:
    assert cause in ids(machine(**CASES[cause]))  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", [cause for cause in CASES if cause not in ("unowned", "no-swap")])
def test_each_cause_is_silent_on_a_machine_that_is_just_full(cause: str) -> None:
    plain = machine(anon=FULL, tasks=tuple((5000 + n, f"p{n}", 90_000) for n in range(10)))
    assert cause not in ids(plain)
    assert "unowned" not in ids(plain)


def test_memory_of_nobody_is_what_the_parts_leave() -> None:
    found = machine(anon=200_000).held
    assert found is not None
    assert found.total == 4096000 << 10
    assert found.unaccounted == (4096000 << 10) - (200_000 << 12) - (20000 << 10)


def test_where_more_is_held_than_there_is_the_total_is_unknown() -> None:
    found = machine(anon=2_000_000).held
    assert found is not None
    assert (found.total, found.unaccounted) == (None, None)


def test_a_boosted_watermark_is_told_apart() -> None:
    zones = "Node 0 Normal free:29116kB boost:18432kB min:26624kB low:33280kB high:39936kB managed:988000kB free_cma:4376kB"
    (zone,) = machine(zones=zones).failure.zones
    assert zone.verdict == "only CMA"
    (zone,) = machine(zones=zones.replace("free:29116kB", "free:20000kB")).failure.zones
    assert zone.verdict == "boosted"


def test_the_choice_is_recomputed_and_a_wrong_one_is_named() -> None:
    right = machine(tasks=((4711, "java", 5000), (4712, "bash", 100))).choice
    assert right is not None
    assert (right.rank, right.confirmed, right.ties) == (1, True, False)
    wrong = machine(tasks=((4711, "java", 5000), (4712, "bash", 9000))).choice
    assert wrong is not None
    assert (wrong.rank, wrong.confirmed) == (2, False)
    assert "4712 (bash) weighs more" in wrong.why


@needs_corpus
@pytest.mark.parametrize("name", list(index()))
def test_the_victim_of_every_real_log_is_the_one_recomputed(name: str) -> None:
    for event in events_of((CORPUS / name).read_bytes()):
        found = choice(event)
        assert found is None or found.confirmed is not False, found


@needs_corpus
def test_the_swap_of_a_victim_is_inferred_from_its_score() -> None:
    (event,) = events_of((CORPUS / "lukeshirnia__el6_php-fpm_mysqld_first.log").read_bytes())
    found = choice(event)
    assert found is not None
    swap = implied_swap(event, found)
    assert swap is not None
    assert abs(swap - (533 << 20)) <= 34 << 20
    most = explain(event).programs[0]
    assert (most.comm, most.processes, most.rss >> 20) == ("php-fpm", 458, 40850)


@needs_corpus
def test_the_split_of_memory_is_the_one_known_of_real_logs() -> None:
    table = csv.DictReader(io.StringIO((CORPUS / "MEMSPLIT.tsv").read_text()), delimiter="\t")
    for known in table:
        if known["file"].startswith("parseoom"):
            continue  # edited by hand: its RAM contradicts its zones
        event = next(
            event for event in events_of((CORPUS / known["file"]).read_bytes()) if event.memory.zones
        )
        found = held(event)
        assert found is not None
        assert found.total is not None
        assert abs(found.total // (1 << 20) - int(known["managed_MB"])) <= 1
        assert found.unaccounted is not None
        assert abs(found.unaccounted / (1 << 20) - float(known["unaccounted_MB"])) <= 5
