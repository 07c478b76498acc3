"""The formulas of the OOM killer: against the running kernel, and against figures that kernels printed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.memory.meminfo import parse_meminfo
from lastwords.formats.memory.proc_pid import parse_stat, parse_status
from lastwords.formats.oom import badness
from lastwords.formats.oom.badness import (
    ERAS,
    EXACT,
    LEGACY,
    NO_BONUS,
    NO_BONUS_LAST,
    NO_SACRIFICE,
    PER_MILLE,
    ROOT_3_PERCENT,
    ROOT_30,
    SIGNED,
    Era,
    Task,
    era_of,
    fitting,
    memcg_total_pages,
    printed_score,
    proc_score,
    rank,
    score_adj_of,
    total_pages,
)

PAGE = os.sysconf("SC_PAGE_SIZE")
ALL = [LEGACY, *(era for _, era in ERAS)]


@pytest.mark.parametrize(
    ("release", "era"),
    [
        ("2.4.26", LEGACY),
        ("2.6.18-419.el5", LEGACY),
        ("2.6.32-5-amd64", LEGACY),
        ("2.6.32-754.35.1.el6.x86_64", PER_MILLE),
        ("2.6.35.14", LEGACY),
        ("2.6.36", PER_MILLE),
        ("3.0.101-108.126-default", PER_MILLE),
        ("3.2.0-4-686-pae", PER_MILLE),
        ("3.10.0-1160.el7.x86_64", ROOT_30),
        ("3.16.0-11-amd64", ROOT_3_PERCENT),
        ("4.15.0-213-generic", ROOT_3_PERCENT),
        ("4.18.0-553.el8_10.x86_64", NO_SACRIFICE),
        ("4.19.0-27-amd64", NO_BONUS),
        ("5.2.21", NO_SACRIFICE),
        ("5.3.18-150300.59.93-default", NO_BONUS_LAST),
        ("5.8.0-rc4-next-20200710", NO_BONUS_LAST),
        ("5.9", SIGNED),
        ("6.12.43+deb13-amd64", SIGNED),
        ("7.0.4", SIGNED),
        ("7.1.0", EXACT),
        ("unknown", None),
        ("", None),
    ],
)
def test_the_release_tells_the_formula(release: str, era: Era | None) -> None:
    assert era_of(release) is era


def test_the_running_kernel_agrees() -> None:
    """A child that holds memory still and sleeps: its score is recomputed from its own status."""
    era = era_of(os.uname().release)
    assert era is not None
    code = "import sys; held = b'x' * (64 << 20); open('/proc/self/oom_score_adj', 'w').write(sys.argv[1]); print(); sys.stdin.read()"
    sizes = parse_meminfo(Path("/proc/meminfo").read_text()).sizes
    total = total_pages(sizes["MemTotal"], sizes["SwapTotal"], page_size=PAGE)
    for adj in (1, 17, 300, 999, 1000):
        with subprocess.Popen(
            ["python3", "-c", code, str(adj)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            place = Path(f"/proc/{child.pid}")
            status = parse_status((place / "status").read_text())
            stat = parse_stat((place / "stat").read_text())
            score = int((place / "oom_score").read_text())
            child.communicate(b"")
        task = Task(
            child.pid,
            stat.rss_pages * PAGE,
            status.swap or 0,
            status.page_tables or 0,
            adj,
            root=status.uid == 0,
            exact_rss=status.rss,
        )
        assert proc_score(badness.badness(task, era, total, PAGE), era, total) == score


@pytest.mark.parametrize(
    ("adj", "score"), [(1000, 1333), (999, 1332), (500, 1000), (300, 866), (100, 733), (0, 666)]
)
def test_the_scale_since_5_9(adj: int, score: int) -> None:
    """Read on 6.18 of a process with next to no memory, on a host of 24 GB."""
    total = 6171024
    assert (
        proc_score(badness.badness(Task(9, 4096 * 300, adj=adj), SIGNED, total, 4096), SIGNED, total) == score
    )


@pytest.mark.parametrize(
    ("oom_adj", "oom_score_adj"), [(1, 58), (5, 294), (8, 470), (14, 823), (15, 1000), (-17, -1000)]
)
def test_what_a_write_to_oom_adj_sets(oom_adj: int, oom_score_adj: int) -> None:
    """The positive ones were written on 6.18 and read back."""
    assert score_adj_of(oom_adj) == oom_score_adj


def test_root_is_spared_as_its_time_had_it() -> None:
    total, task = 1_000_000, Task(9, rss=100_000 * 4096, root=True)
    weights = {era.name: badness.badness(task, era, total, 4096) for era in ALL if era is not LEGACY}
    assert weights == {
        "7.1 on": 100_000,
        "5.9 to 7.0": 100_000,
        "5.3 to 5.8": 100_000,
        "5.1 to 5.2": 100_000,
        "4.17 to 5.0": 100_000,
        "3.14 to 4.16": 97_000,
        "3.5 to 3.13": 70_000,
        "2.6.36 to 3.4": 70,
    }


def test_up_to_2_6_35_age_and_children_count() -> None:
    young = Task(9, 0, vm_size=4096 * 10_000, children=(4096 * 1000, 4096 * 10))
    assert badness.badness(young, LEGACY, 0, 4096) == 10_000 + 501 + 6
    old = young._replace(cpu_seconds=8.2 * 100, run_seconds=1024 * 256)
    assert badness.badness(old, LEGACY, 0, 4096) == 10_507 // 10 // 4
    assert badness.badness(old._replace(root=True), LEGACY, 0, 4096) == 262 // 4 // 4
    assert badness.badness(old._replace(nice=5), LEGACY, 0, 4096) == 262 * 2
    assert badness.badness(old._replace(adj=3), LEGACY, 0, 4096) == 262 << 3
    assert badness.badness(old._replace(adj=-17), LEGACY, 0, 4096) is None
    assert proc_score(262, LEGACY, 0) == 262


def test_from_7_1_on_memory_is_summed_up_exactly() -> None:
    task = Task(9, rss=100 * 4096, exact_rss=163 * 4096)
    assert badness.badness(task, SIGNED, 10_000, 4096) == 100
    assert badness.badness(task, EXACT, 10_000, 4096) == 163
    assert badness.badness(task._replace(exact_rss=None), EXACT, 10_000, 4096) == 100


def test_a_tie_goes_to_the_first_or_the_last() -> None:
    tasks = [Task(pid, 4096 * 10) for pid in (30, 20, 40)]
    assert [each.task.pid for each in rank(tasks, NO_BONUS, 1000)] == [30, 20, 40]
    assert [each.task.pid for each in rank(tasks, SIGNED, 1000)] == [40, 20, 30]
    assert all(each.ties for each in rank(tasks, SIGNED, 1000))


def test_before_5_9_all_that_are_lowered_tie() -> None:
    tasks = [Task(1000, 4096 * 90_000, adj=-900), Task(1001, 4096, adj=-800)]
    assert [each.points for each in rank(tasks, NO_BONUS, 100_000)] == [1, 1]
    assert [each.points for each in rank(tasks, SIGNED, 100_000)] == [0, -79_999]


def test_what_is_never_taken_comes_last_without_points() -> None:
    tasks = [Task(1, 1 << 30, killable=False), Task(7, 1 << 30, adj=-1000), Task(8, 4096)]
    ranking = rank(tasks, SIGNED, 1 << 20)
    assert [(each.task.pid, each.points) for each in ranking] == [(8, 1), (7, None), (1, None)]


def test_the_score_in_a_kill_line() -> None:
    """In pages the score is a share of memory; per mille it is the points themselves."""
    assert printed_score(3_617_000, ROOT_30, 3_933_844) == 919
    assert printed_score(416, PER_MILLE, 8_731_104) == 416


@pytest.mark.parametrize(
    ("given_limits", "expected"),
    [
        ({}, 100 + 50),
        ({"swap_max": 20 * 4096}, 100 + 20),
        ({"swap_max": 0}, 100),
        ({"memsw_max": 130 * 4096}, 100 + 30),
        ({"memsw_max": 100 * 4096}, 100),
        ({"swappiness": 0}, 100),
        ({"swappiness": 60}, 100 + 50),
    ],
)
def test_pages_of_a_memory_cgroup(given_limits: dict[str, int], expected: int) -> None:
    assert memcg_total_pages(100 * 4096, 50 * 4096, page_size=4096, **given_limits) == expected


def test_scores_tell_what_a_vendor_backported() -> None:
    total = 1_000_000
    tasks = [Task(pid, 4096 * 1000 * pid) for pid in range(10, 40)]
    observed = [
        (task, proc_score(badness.badness(task, SIGNED, total, 4096), SIGNED, total)) for task in tasks
    ]
    assert fitting("4.18.0-553.el8.x86_64", observed, total) == (SIGNED, 30)
    assert fitting("5.14.0-427.el9.x86_64", observed, total) == (SIGNED, 30)
    assert fitting("4.19.0", [], total) == (NO_BONUS, 0)
    assert fitting(None, [], total) == (None, 0)


@given(
    st.builds(
        Task,
        pid=st.integers(2, 1 << 22),
        rss=st.integers(0, 1 << 45),
        swap=st.integers(0, 1 << 45),
        page_tables=st.integers(0, 1 << 40),
        adj=st.integers(-1000, 1000),
        root=st.booleans(),
        killable=st.just(True),
        exact_rss=st.none(),
        children=st.just(()),
        vm_size=st.integers(0, 1 << 47),
        cpu_seconds=st.floats(-1, 1e9),
        run_seconds=st.floats(-1, 1e10),
        nice=st.integers(-20, 19),
    ),
    st.sampled_from([era for era in ALL if era is not LEGACY]),
    st.integers(1, 1 << 35),
)
def test_scores_stay_on_their_scale(task: Task, era: Era, total: int) -> None:
    points = badness.badness(task, era, total, 4096)
    assert (points is None) == (task.adj == -1000)
    if points is not None and (task.rss + task.swap + task.page_tables) // 4096 <= total:
        assert 0 <= proc_score(points, era, total) <= 2000
