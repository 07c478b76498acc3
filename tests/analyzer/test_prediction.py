"""Whom the kernel would take: on the golden hosts, on hosts with one thing changed, and on this very host."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.analyzer.prediction import Arena, NotPredictable, Prediction, WhatIf, predict
from lastwords.gather.snapshot import snapshot
from lastwords.roots.live import live_root

GOLDEN = Path(__file__).parent.parent / "golden"
GIB = 1 << 30


def host(name: str = "rhel9") -> dict[str, Any]:
    return {
        topic: json.loads((GOLDEN / name / f"{topic}.json").read_text())
        for topic in ("processes", "memory", "kernel", "oom", "host")
    }


def record(facts: dict[str, Any], pid: int) -> dict[str, Any]:
    return next(each for each in facts["processes"]["records"] if each["pid"] == pid)


def group(prediction: Prediction, path: str) -> Arena:
    return next(arena for arena in prediction.groups if arena.path == path)


def cgroup(facts: dict[str, Any], path: str) -> dict[str, Any]:
    return next(each for each in facts["memory"]["cgroups"]["groups"] if each["path"] == path)


@pytest.mark.parametrize(
    ("name", "victim"),
    [
        ("rhel9", "postmaster"),
        ("debian12", "mariadbd"),
        ("ubuntu2404", "python3"),
        ("rhel7", "mysqld"),
        ("sles15", "qemu-system-x86"),
    ],
)
def test_golden_hosts(name: str, victim: str) -> None:
    prediction = predict(host(name))
    assert prediction.host.victim is not None
    assert prediction.host.victim.comm == victim
    assert prediction.compared - prediction.equal <= 1
    assert prediction.compared >= 10


def test_this_host_agrees_in_a_consistent_snapshot() -> None:
    """A process that runs while it is read can differ by one: of some looks one must be without."""
    seen = []
    for _ in range(10):
        prediction = predict(snapshot(live_root()))
        seen.append(prediction.differing)
        assert prediction.compared >= 1
        if not prediction.differing:
            return
        time.sleep(0.1)
    raise AssertionError(seen)


def test_a_decoy_pays_for_a_large_one() -> None:
    facts = host()
    record(facts, 977)["oom_score_adj"] = 1000
    arena = predict(facts).host
    assert arena.victim is not None
    assert arena.victim.comm == "crond"
    assert "counts as 17" in arena.why
    assert "postmaster (1201) holds 2.0 GiB" in arena.why


def test_what_if_it_were_protected() -> None:
    facts = host()
    arena = predict(facts, WhatIf(adj={1201: -1000})).host
    assert arena.victim is not None
    assert arena.victim.pid == 4411
    assert "postmaster (1201) holds 2.0 GiB, but is never taken (oom_score_adj -1000)" in arena.why
    assert record(facts, 1201)["oom_score_adj"] == 0


def test_what_if_another_grew() -> None:
    victim = predict(host(), WhatIf(grow={955: 4 * GIB})).host.victim
    assert victim is not None
    assert victim.comm == "tuned"


def test_what_if_there_were_no_swap() -> None:
    with_swap, without = predict(host()).host, predict(host(), WhatIf(swap=0)).host
    assert with_swap.total - without.total == 2147479552 // 4096
    assert without.ranking[0].score > with_swap.ranking[0].score


def test_what_if_of_a_process_that_is_not_there() -> None:
    with pytest.raises(NotPredictable, match="process 99999"):
        predict(host(), WhatIf(adj={99999: 0}))


def test_a_group_takes_its_own() -> None:
    arena = group(predict(host()), "/system.slice/postgresql.service")
    assert {each.comm for each in arena.ranking} == {"postmaster"}
    assert arena.total == (6 * GIB + 2147479552) // 4096
    assert arena.outcome == "kill"


def test_groups_are_sorted_by_how_near_they_are() -> None:
    facts = host()
    cgroup(facts, "/user.slice").update(max=64 << 20, current=63 << 20)
    assert [arena.path for arena in predict(facts).groups] == [
        "/user.slice",
        "/system.slice/postgresql.service",
    ]


def test_limits_of_version_1() -> None:
    facts = host("rhel7")
    limited = cgroup(facts, "/system.slice/tomcat.service")
    limited["memsw_max"] = limited["max"] + (16 << 20)
    assert (
        group(predict(facts), "/system.slice/tomcat.service").total == (limited["max"] + (16 << 20)) // 4096
    )
    limited["oom_kill_disable"] = True
    assert group(predict(facts), "/system.slice/tomcat.service").outcome == "wait"


def test_with_oom_group_all_of_it_dies() -> None:
    facts = host()
    cgroup(facts, "/system.slice/postgresql.service")["oom_group"] = True
    arena = predict(facts).host
    assert arena.outcome == "kill group"
    assert sorted(arena.dies) == [1201, 1202, 4411]  # 1190 is protected by -1000
    assert "memory.oom.group" in arena.why


def test_a_tie_is_said() -> None:
    facts = host()
    twin = copy.deepcopy(record(facts, 1201))
    twin["pid"] = 1203
    facts["processes"]["records"].append(twin)
    arena = predict(facts).host
    assert arena.victim is not None
    assert arena.victim.pid == 1203
    assert "1 more have as many points" in arena.why


@pytest.mark.parametrize(
    ("mode", "host_outcome", "group_outcome"), [(1, "panic", "kill"), (2, "panic", "panic")]
)
def test_panic_on_oom(mode: int, host_outcome: str, group_outcome: str) -> None:
    facts = host()
    facts["oom"]["sysctls"]["vm.panic_on_oom"]["runtime"] = mode
    prediction = predict(facts)
    assert (prediction.host.outcome, prediction.groups[0].outcome) == (host_outcome, group_outcome)


def test_whoever_asks_is_killed() -> None:
    facts = host()
    facts["oom"]["sysctls"]["vm.oom_kill_allocating_task"]["runtime"] = 1
    prediction = predict(facts)
    assert (prediction.host.outcome, prediction.host.victim) == ("kill caller", None)
    assert prediction.groups[0].outcome == "kill"


def test_nothing_left_to_kill() -> None:
    facts = host()
    for each in facts["processes"]["records"]:
        each["oom_score_adj"] = -1000
    arena = predict(facts).host
    assert (arena.outcome, arena.victim, arena.dies) == ("nothing to kill", None, ())
    assert "deadlocked" in arena.why


def test_up_to_5_0_a_child_is_taken_in_the_place_of_its_parent() -> None:
    facts = host("rhel7")
    # httpd of that host has children; let the parent grow.
    parent = record(facts, 1131)["ppid"]
    facts["processes"]["records"] = [
        each for each in facts["processes"]["records"] if each["comm"] == "httpd"
    ]
    arena = predict(facts, WhatIf(grow={parent: GIB})).host
    assert arena.victim is not None
    assert arena.ranking[0].pid == parent
    assert arena.victim.record["ppid"] == parent
    assert "takes a child in its place" in arena.why


def test_what_is_not_known_is_noted() -> None:
    facts = host()
    facts["memory"]["page_size"] = None
    del facts["kernel"], facts["host"]
    for each in facts["processes"]["records"]:
        each["oom_score"] = each["oom_score_adj"] = None
    notes = " ".join(predict(facts).notes)
    for word in ("page", "release", "oom_score_adj"):
        assert word in notes


def test_who_gathered_and_its_children_are_not_predicted() -> None:
    facts = host()
    records = {each["pid"]: each for each in facts["processes"]["records"]}
    victim = predict(facts).host.victim
    assert victim is not None
    facts["processes"]["gatherer"] = records[victim.pid]["ppid"]
    assert records[victim.pid]["ppid"] != 1
    again = predict(facts).host
    assert again.victim is not None and again.victim.pid != victim.pid
    assert not {victim.pid, records[victim.pid]["ppid"]} & {each.pid for each in again.ranking}


@pytest.mark.parametrize("topic", ["processes", "memory"])
def test_without_processes_or_memory_there_is_no_prediction(topic: str) -> None:
    facts = host()
    del facts[topic]
    with pytest.raises(NotPredictable, match="expected"):
        predict(facts)


def test_the_scores_tell_what_a_vendor_backported() -> None:
    facts = host()
    facts["kernel"]["release"] = "4.18.0-553.el8_10.x86_64"
    prediction = predict(facts)
    assert prediction.era.name == "5.9 to 7.0"
    assert prediction.equal == prediction.compared
    assert any("backported" in note for note in prediction.notes)


def test_a_container_sees_only_itself() -> None:
    facts = host()
    record(facts, 1)["oom_score"] = 667
    prediction = predict(facts)
    assert any("container" in note for note in prediction.notes)
    assert next(each for each in prediction.host.ranking if each.pid == 1).points is not None


SIZES = st.none() | st.integers(0, 1 << 50)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "pid": st.integers(1, 1 << 22),
            "ppid": st.none() | st.integers(0, 50),
            "uid": st.none() | st.integers(0, 3),
            "comm": st.none() | st.text(max_size=15),
            "kernel_thread": st.none() | st.booleans(),
            "start_ticks": st.none() | st.integers(0, 1 << 40),
            "start_time": st.none() | st.floats(0, 1e10),
            "utime": SIZES,
            "stime": SIZES,
            "nice": st.none() | st.integers(-20, 19),
            "vm_size": SIZES,
            "rss": SIZES,
            "rss_pages": st.none() | st.integers(0, 1 << 40),
            "swap": SIZES,
            "page_tables": SIZES,
            "oom_score": st.none() | st.integers(0, 1 << 20),
            "oom_score_adj": st.none() | st.integers(-1000, 1000),
            "cgroup": st.none() | st.sampled_from(["/", "/a", "/a/b.service", "/../x", "a//b"]),
            "systemd_cgroup": st.none() | st.text(max_size=20),
        }
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda each: each["pid"],
)


@given(
    RECORDS,
    st.sampled_from(["2.6.18-419.el5", "2.6.39", "3.10.0", "4.9", "4.19", "5.1", "5.4", "6.1", "odd", None]),
    st.integers(1, 1 << 45),
    st.none() | st.integers(0, 1 << 45),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from(["max", None, 0, 1 << 20]),
)
def test_whatever_the_facts_are_there_is_one_order(
    records: list[dict[str, Any]],
    release: str | None,
    ram: int,
    swap: int | None,
    panic: int | None,
    limit: Any,
) -> None:
    groups = [{"path": "/a", "max": limit, "swap_max": "max", "current": 7, "oom_group": True}]
    prediction = predict(
        {
            "processes": {"records": records, "snapshot_finished": 5.0},
            "memory": {"meminfo": {"MemTotal": ram, "SwapTotal": swap or 0}, "cgroups": {"groups": groups}},
            "kernel": {"release": release},
            "oom": {"sysctls": {"vm.panic_on_oom": {"runtime": panic}}},
        }
    )
    for arena in (prediction.host, *prediction.groups):
        points = [each.points for each in arena.ranking if each.points is not None]
        assert points == sorted(points, reverse=True)
        assert all(each.points is None for each in arena.ranking[len(points) :])
        assert (arena.victim is None) == (arena.outcome in ("panic", "nothing to kill"))
        assert arena.victim is None or arena.victim.pid in arena.dies
        assert arena.why
    assert len(prediction.host.ranking) == len(records)
    json.dumps(prediction.to_json())
