"""The story names the root of the trouble, folds what it explains, and tells what happened in order."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from analyzer.test_rules import DAY, IMAGE, RULES, dump
from golden_case import TAKEN_AT, case_of
from hypothesis import given, settings
from hypothesis import strategies as st
from kdump_cases import booted

from lastwords import plugins, schemas
from lastwords.analyzer.causes import PATTERNS
from lastwords.analyzer.judge import judge
from lastwords.analyzer.story import Concluded, tell
from lastwords.analyzer.timeline import GRAVITY
from lastwords.hookspecs import Look, Rule
from lastwords.model import Case, Event, Finding, Proof, Severity, event
from lastwords.verdict import Story, Verdict

LOG = "/var/log/messages"
NOW = TAKEN_AT - 7200.0
BOOT = "11111111-1111-1111-1111-111111111111"
NEXT = "22222222-2222-2222-2222-222222222222"
SLOT = "/system.slice/app.service"
DAMAGED = {"initramfs__images": [{**IMAGE, "complete": False, "damage": "cut"}]}
NOT_LOADED = {"kdump__kexec__crash_loaded": False}
NO_DUMPS: dict[str, Any] = {"crash_dumps__dumps": []}


def at(seconds: float, kind: str, summary: str, *, boot: str | None = BOOT, **details: Any) -> Event:
    line = int(seconds) + 1
    return event(kind, summary, path=LOG, line=line, time=NOW + seconds, boot=boot, details=details)


def told(*events: Event, **changes: Any) -> Verdict:
    """Return the verdict on the healthy golden host, with these events and changes."""
    quiet = event("boot", "kernel x started", path=LOG, line=1, time=NOW - 9000, boot=BOOT)
    return judge("x", case_of("rhel9", {**NO_DUMPS, **changes}, [quiet, *events]), RULES.values())


def kill(seconds: float, comm: str = "java", **details: Any) -> Event:
    details = {"killer": "kernel", "comm": comm, "pid": int(seconds) + 100, **details}
    return at(seconds, "oom_kill", f"the kernel killed {comm} (pid {details['pid']})", **details)


MEMCG = {"scope": "memcg", "memcg": SLOT, "task_memcg": SLOT}
VMCORE = event("dump", "crash dump of 7 MiB", path="/var/crash/x", time=NOW + 40)
REBOOT = at(90, "boot", "kernel x started", boot=NEXT, release="x")
OOPS = at(10, "oops", "BUG: kernel NULL pointer dereference, address: 0")
PANIC = at(11, "panic", "Kernel panic - not syncing: Fatal exception", reason="Fatal exception")
HANG = at(5, "hang", "INFO: task rsync:4127 blocked for more than 120 seconds.", hang="task")
NO_INIT = at(3, "panic", "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)")

CASES: list[tuple[str, list[Event], dict[str, Any], str, list[str]]] = [
    ("crash-requested", [at(1, "sysrq", "sysrq: Trigger a crash"), at(2, "panic", "panic: sysrq triggered crash"), VMCORE, REBOOT],
     {"crash_dumps__dumps": [dump(time=NOW + 40)]}, "high", ["request", "panic", "dump", "boot"]),
    ("oom-panic", [at(1, "oom_report", "a invoked oom-killer"), at(2, "panic", "Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled")],
     {"oom__sysctls__vm.panic_on_oom__runtime": 1}, "high", ["setting", "shortage", "panic"]),
    ("boot-failure", [at(1, "boot_failure", "Initramfs unpacking failed: junk"), NO_INIT], DAMAGED, "high", ["image", "failure", "panic"]),
    ("no-root", [NO_INIT], {}, "low", ["panic"]),
    ("boot-failure", [at(1, "boot_failure", "Initramfs unpacking failed: junk")], {}, "low", ["failure"]),
    ("cannot-boot", [], DAMAGED, "high", ["boot"]),
    ("memory-limit", [at(0, "oom_report", "java invoked oom-killer"), *(kill(n, **MEMCG) for n in (1, 60, 120))], {}, "high",
     ["shortage", "kill", "again"]),
    ("memory-limit", [at(0, "oom_report", "java invoked oom-killer"), kill(1, **MEMCG), *(kill(n, oom_group=SLOT, **MEMCG) for n in (2, 3))],
     {}, "high", ["shortage", "kill"]),
    ("memory-limit", [kill(1, cause="the limit is too small", **MEMCG)], {}, "high", ["why", "kill"]),
    ("out-of-memory", [kill(1, scope="global", cause="458 processes of php-fpm", eater="php-fpm")], {}, "high", ["why", "kill"]),
    ("out-of-memory", [kill(1, scope="global", cause="java alone held 9 GiB", ranking="java 9 GiB, sh 1 GiB")], {}, "high",
     ["why", "by-whom", "kill"]),
    ("shortage", [at(1, "oom_report", "a invoked oom-killer", scope="global", ranking="java 9 GiB")], {}, "medium",
     ["by-whom", "shortage"]),
    ("shortage", [at(1, "oom_report", "a invoked oom-killer", scope="memcg", memcg=SLOT, limit="1 GiB")], {}, "medium",
     ["shortage"]),
    ("memory-pressure", [kill(1, killer="systemd-oomd", cgroup="/user.slice")], {}, "high", ["kill"]),
    ("out-of-memory", [at(0, "oom_report", "mysqld invoked oom-killer"), kill(1, scope="global")], {}, "medium", ["shortage", "kill"]),
    ("shortage", [at(0, "oom_report", "mysqld invoked oom-killer", comm="mysqld")], {}, "medium", ["shortage"]),
    ("storage-failing", [at(1, "io_error", "I/O error, dev sda, sector 7", device="sda"),
                         at(2, "filesystem_error", "EXT4-fs error (device sda1)", device="sda1"), HANG], {}, "high", ["error", "filesystem", "hang"]),
    ("hardware-error", [at(1, "mce", "mce: [Hardware Error]: Machine check events logged")], {}, "medium", ["error"]),
    ("kernel-bug", [OOPS, PANIC, VMCORE, REBOOT], {"crash_dumps__dumps": [dump(time=NOW + 40)]}, "medium",
     ["fault", "panic", "dump", "boot"]),
    ("kernel-bug", [{**OOPS, "details": {"frame": "do_it"}}], {}, "high", ["fault", "guilty"]),
    ("lockup", [HANG, at(9, "panic", "Kernel panic - not syncing: hung_task: blocked tasks"), REBOOT], NOT_LOADED, "medium",
     ["hang", "panic", "no-dump", "boot"]),
    ("panic", [at(1, "panic", "Kernel panic - not syncing: of its own", reason="of its own")], {}, "medium", ["panic"]),
    ("crash-dumped", [VMCORE], {"crash_dumps__dumps": [dump()]}, "medium", ["dump"]),
    ("kill-requested", [at(0, "sysrq", "sysrq: Manual OOM execution"), at(1, "oom_report", "kworker/0:1 invoked oom-killer", scope="manual"),
                        kill(2, scope="manual")], {}, "high", ["request", "report", "kill"]),
    ("kill-refused", [at(0, "sysrq", "sysrq: Manual OOM execution"), at(1, "oom_report", "kworker/0:1 invoked oom-killer", scope="manual")],
     {}, "high", ["request", "report"]),
    ("ended-abruptly", [{**REBOOT, "details": {"previous": "abrupt"}}], NOT_LOADED, "medium", ["end", "no-dump"]),
    ("crash-uncaught", [], booted(), "high", ["readiness", "also", "down"]),
    ("boot-at-risk", [], {"boot__filesystems__boot__usage": {"size": 1000 << 20, "available": 95 << 20, "used": 0}}, "high", ["risk"]),
]  # fmt: skip


@pytest.mark.parametrize(("cause", "events", "changes", "confidence", "links"), CASES)
def test_the_root_is_named_with_its_chain(
    cause: str, events: list[Event], changes: dict[str, Any], confidence: str, links: list[str]
) -> None:
    verdict = told(*events, **changes)
    first = verdict.story.causes[0]
    assert (first.id, first.confidence, [step.link for step in first.chain]) == (cause, confidence, links)
    assert verdict.story.headline == first.title
    assert "?" not in first.title + "".join(step.text for step in first.chain)
    assert (confidence == "high") == (first.raised_by == ())
    assert all(step.proof for step in first.chain)
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(verdict.to_json())


def test_a_dump_is_told_with_the_boot_whose_log_lies_beside_it() -> None:
    panic = {**PANIC, "path": "/var/crash/x/dmesg.x", "boot": None}
    early = {**VMCORE, "time": NOW - 60}
    boots = told(panic, early, REBOOT).story.boots
    assert [[moment.kind for moment in boot.moments] for boot in boots if boot.moments] == [["panic", "dump"]]


def test_a_storm_is_told_by_its_program_and_what_it_looked_like_when_it_began() -> None:
    kills = [
        kill(n, "sh", scope="global", crowd="sh", cause=f"sh: {3500 - n:,} processes held {n} MiB", fix=["TasksMax="])
        for n in (1, 2, 3)
    ]  # fmt: skip
    old = kill(-9000, "sh", scope="global", crowd="sh", cause="sh: 7 processes of old")
    first = told(old, *kills).story.causes[0]
    assert first.title == "So many processes of sh ran that the machine was out of memory"
    assert first.chain[0].text == "sh: 3,499 processes held 1 MiB"
    assert first.chain[-1].text == "4 processes of sh were killed, one after the other: there are always more"
    assert first.findings[0].fix[0] == "TasksMax="


def test_kills_at_several_limits_are_not_told_as_of_one() -> None:
    kills = [kill(n, scope="memcg", memcg=f"/pod{n}", limit=f"{n} MiB") for n in (1, 2, 3)]
    first = told(*kills).story.causes[0]
    assert first.title == (
        "Programs need more memory than the limits of 3 control groups allow, the last one java in /pod3"
    )
    assert [step.text for step in first.chain] == [
        "the limits of 3 control groups were reached, the last that of /pod3, 3 MiB",
        "the kernel killed java (pid 103); 3 kills in all",
        "java was killed 3 times, in 3 control groups",
    ]
    one = told(*kills[:1]).story.causes[0]
    assert one.title == "java needs more memory than the limit of /pod1, 1 MiB, allows"


def test_every_cause_has_a_case() -> None:
    assert {cause for cause, *_ in CASES} == {pattern.id for pattern in PATTERNS}


@pytest.mark.parametrize("host", ["rhel7", "rhel9", "debian12", "sles15", "ubuntu2404"])
def test_every_finding_of_the_golden_hosts_is_told_once(host: str) -> None:
    verdict = judge("x", case_of(host, {}, []), RULES.values())
    folded = [finding for cause in verdict.story.causes for finding in cause.findings]
    assert sorted(f.fingerprint for f in [*folded, *verdict.story.others]) == sorted(
        f.fingerprint for f in verdict.findings
    )
    events = [e for e in verdict.case.events if e["kind"] not in ("boot", "oom_report")]
    moments = [moment for boot in verdict.story.boots for moment in boot.moments]
    assert sum(moment.count for moment in moments) == len(events)
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(verdict.to_json())


def test_a_healthy_host_has_a_quiet_story() -> None:
    story = told().story
    assert story.causes == ()
    assert [finding.id for finding in story.others] == ["kdump-readiness"]
    assert story.headline == "Nothing died, and nothing threatens to, in what was seen"
    assert story.missing == ()


def test_old_deaths_and_risks_do_not_hide_news() -> None:
    old = {**OOPS, "time": NOW - 30 * DAY, "boot": None, "line": 999}
    story = told(kill(1, **MEMCG), old, **booted()).story
    assert [cause.id for cause in story.causes] == ["memory-limit", "crash-uncaught", "kernel-bug"]
    assert story.causes[-1].severity is Severity.INFO


def test_what_lies_far_apart_is_not_joined() -> None:
    late = at(90000, "panic", "Kernel panic - not syncing: hung_task: blocked tasks", boot=NEXT)
    story = told(HANG, late).story
    assert {cause.id: [s.link for s in cause.chain] for cause in story.causes} == {
        "lockup": ["hang"],
        "panic": ["panic"],
    }


def test_the_start_of_the_boot_that_died_is_not_told_as_what_came_of_it() -> None:
    start = at(-60, "boot", "kernel x started", boot=None, release="x")
    events = [start, *({**event, "boot": None} for event in (OOPS, PANIC))]
    links = [
        step.link
        for step in judge("x", case_of("rhel9", NO_DUMPS, events), RULES.values()).story.causes[0].chain
    ]
    assert "panic" in links and "boot" not in links


def test_rules_of_others_join_by_their_evidence_or_stand_alone() -> None:
    def check(case: Case) -> list[Finding]:
        proof = Proof(LOG, line=PANIC["line"])
        return [
            Finding("their-rule", Severity.WARNING, "t", "w", evidence=(proof,)),
            Finding(
                "their-rule", Severity.WARNING, "u", "w", subject="other", evidence=(Proof(LOG, 777777),)
            ),
            Finding("their-rule", Severity.WARNING, "v", "w", subject="none"),
        ]

    rules = [*RULES.values(), Rule("their-rule", (), check)]
    story = judge("x", case_of("rhel9", NO_DUMPS, [OOPS, PANIC]), rules).story
    assert "t" in [finding.title for finding in story.causes[0].findings]
    assert [finding.title for finding in story.others if finding.id == "their-rule"] == ["v", "u"]


def test_a_rule_of_others_says_itself_which_step_it_shows() -> None:
    def check(case: Case) -> list[Finding]:
        return [Finding("their-limit", Severity.WARNING, "MemoryMax= is small", "w", evidence=(Proof("/x"),))]

    rules = [*RULES.values(), Rule("their-limit", (), check, shows="limit")]
    cause = judge("x", case_of("rhel9", NO_DUMPS, [kill(1, **MEMCG)]), rules).story.causes[0]
    assert (cause.chain[0].link, cause.chain[0].text) == ("limit", "MemoryMax= is small")
    assert "their-limit" in [finding.id for finding in cause.findings]


def test_what_our_rules_show_is_a_step_of_some_cause() -> None:
    marks = [mark for pattern in PATTERNS for link in pattern.chain for mark in link.marks]
    known = {mark.shows for mark in marks if isinstance(mark, Concluded)}
    assert {rule.shows for rule in RULES.values()} - {None} <= known


def test_the_timeline_counts_repeated_events_within_each_boot() -> None:
    kills = [kill(n, **MEMCG) for n in (1, 60, 120)]
    reports = [at(n - 0.5, "oom_report", "java invoked oom-killer") for n in (1, 60, 120)]
    other = kill(200, "perl", scope="global")
    shutdown = at(300, "shutdown", "reboot: Restarting system")
    again = {**kill(400, **MEMCG), "boot": NEXT}
    start = {**REBOOT, "time": NOW + 350}
    boots = told(*kills, *reports, other, shutdown, start, again).story.boots
    assert [(boot.id, boot.kernel, boot.end) for boot in boots] == [
        (BOOT, None, "shutdown"),
        (NEXT, "x", None),
    ]
    assert [(m.kind, m.count, m.cause) for m in boots[0].moments] == [
        ("oom_kill", 3, "memory-limit"),
        ("oom_kill", 1, "out-of-memory"),
        ("shutdown", 1, None),
    ]
    assert [m.count for m in boots[1].moments] == [1]


def test_boots_without_ids_are_told_apart_by_their_starts_and_ends() -> None:
    events = [{**e, "boot": None} for e in (HANG, PANIC, REBOOT, at(200, "segfault", "a died"))]
    boots = judge("x", case_of("rhel9", NO_DUMPS, events), RULES.values()).story.boots
    assert [[m.kind for m in boot.moments] for boot in boots] == [["hang", "panic"], ["segfault"]]
    assert boots[0].end == "panic"


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("live", "denied", "as root"),
        ("sosreport", "no_data", "sos report -o kdump"),
        ("directory", "no_data", "Mount what kdump writes to"),
        ("bundle", "timeout", "--timeout"),
        ("bundle", "error", "$ lastwords collect"),
    ],
)
def test_what_is_missing_is_said_once_with_what_would_bring_it(kind: str, outcome: str, words: str) -> None:
    case = case_of("rhel9", {}, [PANIC])
    case.root_kind = kind
    del case.facts["crash_dumps"]
    case.outcomes = {**case.outcomes, "crash_dumps": {"outcome": outcome, "reason": "because"}}
    story = judge("x", case, RULES.values()).story
    assert [(wish.topic, "because" in wish.reason) for wish in story.missing] == [("crash_dumps", True)]
    assert words in " ".join(story.missing[0].how)
    assert "crash_dumps" in [wish.topic for wish in story.causes[0].raised_by]


def test_a_disk_is_not_blamed_for_what_no_disk_holds() -> None:
    case = case_of("rhel9", {}, [])
    case.root_kind = "directory"
    del case.facts["memory"]
    case.outcomes = {**case.outcomes, "memory": {"outcome": "no_data", "reason": "no /proc/meminfo"}}
    assert judge("x", case, RULES.values()).story.missing == ()


def test_without_a_kernel_log_nothing_is_claimed() -> None:
    story: Story = judge("x", Case({}, [], {}, "sosreport", None), RULES.values()).story
    assert story.headline.startswith("No kernel log in the input")


def test_a_warning_of_the_kernel_is_no_quiet() -> None:
    story = told(at(1, "warning", "WARNING: CPU: 0 at f.c:7 f", title="WARNING in f")).story
    assert story.headline == "Nothing died in what was seen; the kernel warned: WARNING in f"
    assert "kernel-warned" in [finding.id for finding in story.others]


@pytest.mark.parametrize(
    ("lines", "outcome", "words"),
    [
        (0, "partial", "No kernel log in the input"),
        (None, "denied", "No kernel log in the input"),
        (9, "partial", "Not every log could be read"),
        (9, "ok", "in what was seen"),
    ],
)
def test_what_could_not_be_read_is_not_taken_for_quiet(lines: int | None, outcome: str, words: str) -> None:
    facts = {"kernel_log": {"sources": [{"path": "$ dmesg", "lines": lines}]}}
    case = Case(facts, [], {"kernel_log": {"outcome": outcome, "reason": "x"}}, "live", None)
    headline = judge("x", case, []).story.headline
    assert words in headline
    assert (outcome == "ok") == headline.endswith("in what was seen")


def test_odd_details_do_no_harm() -> None:
    odd = [
        at(n, "oom_kill", "{comm}", killer=["x"], comm={"a": 1}, memcg=None, scope="memcg") for n in (1, 2)
    ]
    odd += [{**OOPS, "details": {"title": "", "frame": 7}}, {**VMCORE, "time": None}, {**HANG, "line": None}]
    verdict = told(*odd)
    assert verdict.story.causes
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(verdict.to_json())


TEXT = st.text(max_size=20) | st.sampled_from(
    ["Kernel panic - not syncing: Out of memory", "sysrq: Trigger a crash", "{summary}", "a|b", "\x00\x1b["]
)
VALUES = (
    st.none()
    | st.integers()
    | TEXT
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(TEXT, TEXT, max_size=2)
)
EVENTS = st.builds(
    event,
    st.sampled_from([*GRAVITY, "boot", "shutdown", "dump", "sysrq", "segfault", "theirs"]),
    TEXT,
    path=st.sampled_from([LOG, "/var/crash/x", "$ dmesg", ""]),
    time=st.none() | st.floats(0, 4e9),
    line=st.none() | st.integers(1, 9),
    monotonic=st.none() | st.floats(0, 1e9),
    boot=st.sampled_from([None, BOOT, NEXT]),
    details=st.dictionaries(
        st.sampled_from(["comm", "memcg", "scope", "killer", "title", "frame", "reason", "hang", "release"]),
        VALUES,
        max_size=5,
    ),
)
SHOWS = {**{rule.id: rule.shows for rule in RULES.values()}, "kdump-x": "no-dump", "initramfs-y": "image"}
FINDINGS = st.builds(
    Finding,
    st.sampled_from([*RULES, "their-rule", "kdump-x", "initramfs-y", "oom-cause-z"]),
    st.sampled_from(list(Severity)),
    TEXT,
    TEXT,
    subject=TEXT,
    evidence=st.lists(
        st.builds(
            Proof, st.sampled_from([LOG, "/var/crash/x/vmcore", ""]), line=st.none() | st.integers(1, 9)
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=30), st.lists(FINDINGS, max_size=12), st.none() | st.floats(0, 4e9))
def test_whatever_happened_every_finding_and_event_is_told_once(
    events: list[Event], findings: list[Finding], taken_at: float | None
) -> None:
    unique = list({finding.fingerprint: finding for finding in findings}.values())
    story = tell(Case({}, events, {}, "bundle", taken_at), unique, PATTERNS, SHOWS)
    told_findings = [finding for cause in story.causes for finding in cause.findings] + list(story.others)
    assert sorted(f.fingerprint for f in told_findings) == sorted(f.fingerprint for f in unique)
    moments = [moment for boot in story.boots for moment in boot.moments]
    told_events = sum(moment.count for moment in moments)
    kinds = [e["kind"] for e in events]
    assert len(kinds) - kinds.count("boot") - kinds.count("oom_report") <= told_events <= len(kinds)
    assert len(story.of_events) == len(events)
    for cause in story.causes:
        assert cause.chain
        assert core(cause.id) in [step.link for step in cause.chain]
    verdict = Verdict("x", Case({}, events, {}, "bundle", taken_at), unique, story=story)
    for report in plugins.load().reports().values():
        if not report.binary:
            report.render(verdict, Look(80))


def core(cause: str) -> str:
    """Return the name of the core of a cause."""
    return next(
        link.name for pattern in PATTERNS if pattern.id == cause for link in pattern.chain if link.core
    )


def test_kills_at_a_limit_are_no_sign_that_the_machine_was_full() -> None:
    limited = [kill(n, "java", **MEMCG) for n in (10, 20, 30)]
    reports = [
        at(n - 1, "oom_report", "java invoked oom-killer", scope="memcg", comm="java") for n in (10, 20, 30)
    ]
    full = [kill(n, "report", scope="global") for n in (40, 50)]
    causes = {cause.id: cause for cause in told(*reports, *limited, *full).story.causes}
    chain = {step.link: step for step in causes["out-of-memory"].chain}
    assert set(chain) == {"kill", "again"} and chain["again"].text.startswith("report was killed 2 times")
    chain = {step.link: step for step in causes["memory-limit"].chain}
    assert chain["shortage"].count == chain["kill"].count == 3
    titles = [
        finding.title for each in ("out-of-memory", "memory-limit") for finding in causes[each].findings
    ]
    assert [title.partition(",")[0] for title in titles] == [
        "Processes were killed for want of memory",
        "Processes were killed at the memory limits of control groups",
    ]


def test_of_a_disk_its_boot_comes_first_and_its_latest_event_is_the_measure_of_news() -> None:
    old = {**PANIC, "time": NOW - 9 * DAY}
    case = case_of("rhel9", {**NO_DUMPS, **DAMAGED}, [old, event("boot", "x", path=LOG, line=1, time=NOW)])
    case.root_kind, case.taken_at = "directory", None
    causes = judge("x", case, RULES.values()).story.causes
    assert [(each.id, each.severity) for each in causes[:2]] == [
        ("cannot-boot", Severity.CRITICAL),
        ("panic", Severity.INFO),
    ]
    case.events = [{**old, "time": NOW - DAY}, *case.events[1:]]
    causes = judge("x", case, RULES.values()).story.causes
    assert {each.id: each.severity for each in causes}["panic"] is Severity.CRITICAL
    assert causes[0].id == "cannot-boot"


def test_a_report_without_a_frame_blames_nothing() -> None:
    details = {
        "title": "BUG: unable to handle kernel paging request in corrupted",
        "corrupted": "no call trace",
    }
    cause = told(at(10, "oops", "BUG: x", **details)).story.causes[0]
    assert cause.title.endswith("kernel paging request") and cause.confidence != "high"


@pytest.mark.parametrize("kind", ["bundle", "live"])
def test_facts_of_an_older_version_are_told_from_rules_that_fail(kind: str) -> None:
    case = case_of("rhel9", {}, [])
    case.root_kind = kind
    del case.facts["kdump"]["kexec"]
    rules = [
        Rule("older", ("kdump",), lambda case: [case.facts["kdump"]["kexec"]]),
        Rule("broken", ("kdump",), lambda case: [{}["no such field of any schema"]]),
    ]
    verdict = judge("x", case, rules)
    reasons = dict(verdict.skipped)
    assert reasons["broken"].startswith("the rule failed: KeyError")
    if kind == "bundle":
        assert reasons["older"] == "kdump: the bundle is from an older version, without the field 'kexec'"
        assert "1 rules read" in verdict.case.notes[0] and "--recollect" in verdict.case.notes[0]
    else:
        assert reasons["older"].startswith("the rule failed: KeyError") and not verdict.case.notes


def test_a_request_that_kernels_answered_by_a_fault_is_one() -> None:
    verdict = told(
        at(0, "oops", "BUG: NULL pointer dereference in sysrq_handle_crash", frame="sysrq_handle_crash")
    )
    assert [cause.id for cause in verdict.story.causes][:1] == ["crash-requested"]
    assert [
        step.split(":")[0] for each in verdict.findings if each.id == "crash-happened" for step in each.fix
    ] == ["Ask who did it"]


def test_a_report_without_an_end_belongs_to_the_cause_that_took_it() -> None:
    killed = {**kill(60, **MEMCG, limit="1 GiB"), "boot": None}
    report = at(61, "oom_report", "java invoked oom-killer", boot=None, scope="memcg", comm="java")
    story = told(killed, report).story
    assert [cause.id for cause in story.causes] == ["memory-limit"]
    assert {f.id for f in story.causes[0].findings} == {"oom-kill-happened", "oom-outcome-unknown"}
    (alone,) = told(report).story.causes
    assert (alone.id, [f.id for f in alone.findings]) == ("shortage", ["oom-outcome-unknown"])
    assert alone.chain[-1].text == "java asked for memory, and there was none"
