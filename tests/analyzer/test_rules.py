"""Every rule fires where it should and is silent where it should be: on the healthy golden host above all."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.model import Case, Event, Finding, Severity, event

GOLDEN = Path(__file__).parent.parent / "golden"
TAKEN_AT = 1772445600.0
RULES = plugins.load().rules()
DAY = 86400.0


def case_of(host: str, changes: dict[str, Any], events: list[Event]) -> Case:
    """Return a golden host with some facts changed: ``{"kdump__kexec__crash_loaded": False}``."""
    facts: dict[str, Any] = {}
    found: list[Event] = []
    for path in sorted((GOLDEN / host).glob("*.json")):
        document = json.loads(path.read_text())
        if "raised" not in document:
            found += document.pop("events", [])
            facts[path.stem] = copy.deepcopy(document)
    for key, value in changes.items():
        target: Any = facts
        *path_to, last = key.split("__")
        for part in path_to:
            target = target[int(part) if isinstance(target, list) else part]
        target[int(last) if isinstance(target, list) else last] = value
    outcomes = {name: {"outcome": "ok", "reason": None} for name in facts}
    return Case(facts, events if events else found, outcomes, "live", TAKEN_AT)


def found(rule: str, host: str = "rhel9", events: list[Event] | None = None, **changes: Any) -> list[Finding]:
    """Return what one rule finds on a golden host with some facts changed."""
    verdict = judge("x", case_of(host, changes, events or []), [RULES[rule]])
    assert verdict.skipped == []
    assert {finding.id for finding in verdict.findings} <= {rule}
    return verdict.findings


def happened(kind: str, days_ago: float = 1.0, **details: Any) -> Event:
    return event(
        kind, f"a {kind}", path="/var/log/messages", line=7, time=TAKEN_AT - days_ago * DAY, details=details
    )


def dump(**given: Any) -> dict[str, Any]:
    known = {
        "path": "/var/crash/x", "time": TAKEN_AT - DAY, "unfinished": [], "cores": ["vmcore"], "size": 7, "files": [],
    }  # fmt: skip
    return {**known, **given}


UNIT = {
    "unit": "kdump.service",
    "wanted_by": [],
    "active_state": "active",
    "result": "success",
    "exit_code": 0,
}
PLACE = {"path": "/var/crash", "origin": "default", "available": 1 << 40, "mountpoint": "/"}
IMAGE = {"path": "/boot/initramfs-1.img", "use": "boot", "version": "1", "complete": True, "damage": None}
NEW, OLD = "kernel 5.14.0-427.13.1.el9_4.x86_64", "kernel 5.14.0-362.8.1.el9_3.x86_64"
NOT_RESERVED = {
    "kdump__kexec__crash_size": 0,
    "kdump__kexec__crash_loaded": False,
    "kdump__crashkernel__booted": [],
}

ZRAM = {"name": "/dev/zram0", "type": "partition", "size": 1 << 30, "used": 0, "priority": 100}
PROTECTED = {
    "pid": 7, "ppid": 1, "comm": "db", "rss": 1 << 20, "swap": 0, "page_tables": 0, "kernel_thread": False,
    "oom_score_adj": -1000, "systemd_cgroup": "/",
}  # fmt: skip
WRITER = {
    "path": "/etc/cron.d/protect", "line": 2, "names": "oom_adj", "writes": True,
    "text": "* * * * * root echo -17 > /proc/$(cat /run/x.pid)/oom_adj",
}  # fmt: skip
OOMD = {"name": "systemd-oomd", "units": [{"unit": "systemd-oomd.service", "running": True}]}
KILLS = {
    "unit": "user@.service", "key": "ManagedOOMMemoryPressure", "value": "kill", "effective": True,
    "file": "/usr/lib/systemd/system/user@.service.d/10-oomd-user-service-defaults.conf", "line": 2,
}  # fmt: skip
SESSION_KILL = happened(
    "oom_kill", killer="systemd-oomd", cgroup="/user.slice/user-1000.slice/session-2.scope"
)

FIRES: list[tuple[str, dict[str, Any], Severity, str]] = [
    ("kdump-no-crashkernel", NOT_RESERVED, Severity.CRITICAL, "host"),
    ("kdump-no-crashkernel", {**NOT_RESERVED, "kdump__units": []}, Severity.WARNING, "host"),
    ("kdump-no-crashkernel", {**NOT_RESERVED, "kdump__kexec__crash_size": None}, Severity.CRITICAL, "host"),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False}, Severity.CRITICAL, "host"),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": False, "kdump__kexec__load_disabled": True},
     Severity.CRITICAL, "host"),
    ("kdump-service-failed", {"kdump__units": [{**UNIT, "active_state": "failed"}]}, Severity.CRITICAL,
     "kdump.service"),
    ("dump-target-full", {"crash_dumps__places": [{**PLACE, "available": 1 << 20}]}, Severity.CRITICAL, "/var/crash"),
    ("dump-target-full", {"crash_dumps__places": [{**PLACE, "available": 700 << 20}]}, Severity.WARNING, "/var/crash"),
    ("panic-hangs", {"kernel__sysctls__kernel.panic": 0, "kdump__kexec__crash_loaded": False}, Severity.INFO, "host"),
    ("oops-not-caught", {"kernel__sysctls__kernel.panic_on_oops": 0}, Severity.INFO, "host"),
    ("crash-dump-exists", {"crash_dumps__dumps": [dump()]}, Severity.WARNING, "/var/crash/x"),
    ("crash-dump-exists", {"crash_dumps__dumps": [dump(time=TAKEN_AT - 30 * DAY)]}, Severity.INFO, "/var/crash/x"),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(unfinished=["vmcore-incomplete"])]}, Severity.WARNING,
     "/var/crash/x"),
    ("crash-dump-incomplete", {"crash_dumps__dumps": [dump(cores=[])]}, Severity.WARNING, "/var/crash/x"),
    ("crash-happened", {"events": [happened("panic")]}, Severity.CRITICAL, "panic"),
    ("crash-happened", {"events": [happened("panic", 90)]}, Severity.INFO, "panic"),
    ("crash-happened", {"events": [happened("hang")]}, Severity.WARNING, "hang"),
    ("oom-kill-happened", {"events": [happened("oom_kill")]}, Severity.WARNING, "host"),
    ("oom-kill-happened", {"events": [happened("oom_kill", 90)]}, Severity.INFO, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 1}, Severity.INFO, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 2, "kdump__kexec__crash_loaded": False},
     Severity.WARNING, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 2}, Severity.WARNING, "host"),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": 1, "kdump__kexec__crash_loaded": None},
     Severity.WARNING, "host"),
    ("oom-overcommit", {"oom__sysctls__vm.overcommit_memory__runtime": 1}, Severity.INFO, "host"),
    ("oom-overcommit", {"memory__meminfo__Committed_AS": 9_500_000_000}, Severity.WARNING, "host"),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 1000}, Severity.WARNING, "host"),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 2 << 20}, Severity.WARNING, "host"),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 6 << 20}, Severity.CRITICAL, "host"),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM]}, Severity.INFO, "host"),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM], "oom__sysctls__vm.swappiness__runtime": 10},
     Severity.WARNING, "host"),
    ("oom-no-task-list", {"oom__sysctls__vm.oom_dump_tasks__runtime": 0}, Severity.WARNING, "host"),
    ("oom-kills-caller", {"oom__sysctls__vm.oom_kill_allocating_task__runtime": 1}, Severity.WARNING, "host"),
    ("oom-vital-unprotected", {"processes__records__12__oom_score_adj": 0}, Severity.WARNING,
     "process 951 (sshd)"),
    ("oom-vital-unprotected", {"processes__records__7__oom_score_adj": 0,
                               "processes__records__7__systemd_cgroup": "/system.slice/systemd-udevd.service"},
     Severity.INFO, "process 726 (systemd-udevd)"),
    ("oom-nothing-to-kill", {"processes__records": [PROTECTED]}, Severity.WARNING, "host"),
    ("oom-nothing-to-kill", {"processes__records": [{**PROTECTED, "rss": 9 << 30}, {**PROTECTED, "oom_score_adj": 0}]},
     Severity.WARNING, "host"),
    ("oom-adj-deprecated", {"oom__writers": {"mentions": [WRITER], "skipped": []}}, Severity.WARNING, "host"),
    ("oom-adj-deprecated", {"oom__writers": {"mentions": [{**WRITER, "path": "/etc/init.d/ssh"}], "skipped": []}},
     Severity.INFO, "host"),
    ("oom-oomd-sessions", {"oom__daemons": [OOMD], "oom__units": [KILLS]}, Severity.INFO, "host"),
    ("oom-oomd-sessions", {"oom__daemons": [OOMD], "events": [SESSION_KILL]}, Severity.WARNING, "host"),
    ("oom-sysctl-differs", {"oom__sysctls__vm.swappiness": {
        "runtime": 60, "differs": True, "assignments": [],
        "persisted": {"file": "/etc/sysctl.conf", "line": 3, "value": "10"}}}, Severity.INFO, "host"),
    ("kernel-without-initramfs", {"boot__kernels__1__initramfs__exists": False}, Severity.WARNING, OLD),
    ("kernel-without-initramfs", {"boot__kernels__0__initramfs__exists": False, "boot__kernels__0__running": False},
     Severity.CRITICAL, NEW),
    ("kernel-without-initramfs", {"boot__kernels__0__initramfs__exists": False}, Severity.INFO, NEW),
    ("initramfs-damaged", {"initramfs__images": [{**IMAGE, "complete": False, "damage": "cut gzip data"}]},
     Severity.CRITICAL, "/boot/initramfs-1.img"),
    ("boot-full", {"boot__filesystems__boot__usage": {"size": 1000 << 20, "available": 95 << 20, "used": 0}},
     Severity.WARNING, "/boot"),
    ("boot-full", {"boot__filesystems__boot__usage": {"size": 1000 << 20, "available": 1 << 20, "used": 0}},
     Severity.CRITICAL, "/boot"),
]  # fmt: skip

SILENT: list[tuple[str, dict[str, Any]]] = [
    ("kdump-no-crashkernel", {}),
    ("kdump-no-crashkernel", {**NOT_RESERVED, "host__container__kind": "podman"}),
    (
        "kdump-no-crashkernel",
        {**NOT_RESERVED, "kdump__kexec__crash_size": None, "kdump__crashkernel__booted": None},
    ),
    ("kdump-not-loaded", {}),
    ("kdump-not-loaded", {"kdump__kexec__crash_loaded": None}),
    ("kdump-not-loaded", NOT_RESERVED),
    ("kdump-service-failed", {}),
    ("kdump-service-failed", {"kdump__units": None}),
    ("dump-target-full", {}),
    ("dump-target-full", {"crash_dumps__places": [{**PLACE, "available": None}]}),
    ("panic-hangs", {}),
    ("panic-hangs", {"kernel__sysctls__kernel.panic": None, "kdump__kexec__crash_loaded": False}),
    ("oops-not-caught", {"kernel__sysctls__kernel.panic_on_oops": 1}),
    ("oops-not-caught", {"kdump__kexec__crash_loaded": False}),
    ("crash-dump-exists", {"crash_dumps__dumps": []}),
    ("crash-dump-exists", {"crash_dumps__dumps": None}),
    ("crash-dump-incomplete", {}),
    ("crash-happened", {"events": [happened("boot"), happened("dump")]}),
    ("oom-kill-happened", {"events": [happened("boot")]}),
    ("oom-panics", {}),
    ("oom-panics", {"oom__sysctls__vm.panic_on_oom__runtime": None}),
    ("oom-overcommit", {}),
    (
        "oom-overcommit",
        {"oom__sysctls__vm.overcommit_memory__runtime": 0, "memory__meminfo__Committed_AS": 1 << 50},
    ),
    ("oom-overcommit", {"memory__meminfo": None}),
    ("oom-min-free", {}),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": 11468}),
    ("oom-min-free", {"oom__sysctls__vm.min_free_kbytes__runtime": None}),
    ("oom-zram-swappiness", {}),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM], "oom__sysctls__vm.swappiness__runtime": 60}),
    ("oom-zram-swappiness", {"memory__swaps": [ZRAM, {**ZRAM, "name": "/dev/sda2"}]}),
    ("oom-zram-swappiness", {"memory__swaps": []}),
    ("oom-no-task-list", {}),
    ("oom-no-task-list", {"oom__sysctls__vm.oom_dump_tasks__runtime": None}),
    ("oom-kills-caller", {}),
    ("oom-vital-unprotected", {}),
    ("oom-vital-unprotected", {"processes__records__12__oom_score_adj": None}),
    (
        "oom-vital-unprotected",
        {"processes__records__12__oom_score_adj": 0, "host__container__kind": "podman"},
    ),
    ("oom-nothing-to-kill", {}),
    ("oom-nothing-to-kill", {"processes__records": [PROTECTED, {**PROTECTED, "oom_score_adj": None}]}),
    (
        "oom-nothing-to-kill",
        {
            "processes__records": [
                {**PROTECTED, "rss": 9 << 30},
                {**PROTECTED, "rss": 2 << 30, "oom_score_adj": 0},
            ]
        },
    ),
    ("oom-adj-deprecated", {}),
    ("oom-adj-deprecated", {"oom__writers": None}),
    ("oom-adj-deprecated", {"oom__writers": {"mentions": [{**WRITER, "writes": False}], "skipped": []}}),
    ("oom-oomd-sessions", {}),
    ("oom-oomd-sessions", {"oom__units": [KILLS]}),
    ("oom-oomd-sessions", {"oom__daemons": [OOMD], "oom__units": [{**KILLS, "unit": "x.service"}]}),
    ("oom-oomd-sessions", {"oom__daemons": None, "events": [SESSION_KILL]}),
    (
        "oom-sysctl-differs",
        {"oom__sysctls__vm.swappiness": {"runtime": 60, "differs": None, "persisted": None}},
    ),
    ("kernel-without-initramfs", {}),
    ("kernel-without-initramfs", {"boot__kernels__0__initramfs__exists": None}),
    ("initramfs-damaged", {}),
    ("initramfs-damaged", {"initramfs__images": [{**IMAGE, "complete": None}]}),
    ("initramfs-damaged", {"initramfs__images": [{**IMAGE, "complete": False, "use": "leftover"}]}),
    ("initramfs-damaged", {"initramfs__images": None}),
    ("boot-full", {}),
    ("boot-full", {"boot__filesystems__boot__usage": None}),
    (
        "boot-full",
        {
            "boot__filesystems__boot__mounted": False,
            "boot__filesystems__boot__usage": {"size": 100, "available": 1, "used": 99},
        },
    ),
]


@pytest.mark.parametrize(("rule", "changes", "severity", "subject"), FIRES)
def test_fires(rule: str, changes: dict[str, Any], severity: Severity, subject: str) -> None:
    findings = found(rule, **changes)
    assert [(f.severity, f.subject) for f in findings] == [(severity, subject)]
    assert findings[0].title
    assert findings[0].why
    assert findings[0].evidence
    assert findings[0].fix


@pytest.mark.parametrize(("rule", "changes"), SILENT)
def test_is_silent(rule: str, changes: dict[str, Any]) -> None:
    assert found(rule, **changes) == []


def test_every_rule_has_both_tests_and_a_page() -> None:
    assert {name for name, *_ in FIRES} == set(RULES)
    assert {name for name, *_ in SILENT} == set(RULES)
    for rule in RULES.values():
        assert len(rule.doc.split()) > 8, rule.id


def test_the_healthy_host_has_nothing_above_info() -> None:
    verdict = judge("x", case_of("rhel9", {}, []), RULES.values())
    assert [f.id for f in verdict.findings if f.severity > Severity.INFO] == []
    assert verdict.skipped == []


def test_rules_that_miss_facts_or_fail_are_listed() -> None:
    case = case_of("rhel9", {"kdump__kexec": None}, [])
    del case.facts["crash_dumps"]
    case.outcomes["crash_dumps"] = {"outcome": "denied", "reason": "not for you"}
    skipped = dict(judge("x", case, RULES.values()).skipped)
    assert skipped["dump-target-full"] == "crash_dumps: not for you"
    assert skipped["kdump-not-loaded"].startswith("the rule failed: TypeError")
