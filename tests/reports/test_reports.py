"""Reports say the same in every form, and nothing from a host reaches the terminal or the ticket raw."""

from __future__ import annotations

import json

import jsonschema
import pytest

from lastwords import plugins, schemas
from lastwords.analyzer.judge import judge
from lastwords.hookspecs import Look, Rule
from lastwords.model import Case, Finding, Proof, Severity, event
from lastwords.verdict import Verdict

EVIL = "\x1b]0;owned\x07\x1b[31m<script>alert(1)</script>`|*_[x](javascript:y)\r\n\u202e\x9b1m"
REPORTS = plugins.load().reports()


def verdict(text: str = "text") -> Verdict:
    finding = Finding(
        "some-finding",
        Severity.CRITICAL,
        f"title {text}",
        f"why {text}",
        subject=f"process 1 ({text})",
        evidence=(
            Proof(f"/etc/{text}", line=3, excerpt=text, value=7, threshold=9),
            Proof("/x", value=False),
        ),
        fix=(f"Do {text}.", f"$ command {text}"),
    )
    rules = [Rule("some-finding", (), lambda case: [finding]), Rule("other", ("absent",), lambda case: [])]
    host = {
        "hostname": f"h{text}",
        "distribution": {"pretty_name": text},
        "kernel_release": text,
        "uptime": 7.5,
    }
    events = [event("oom_kill", f"killed {text}", path="/var/log/messages", time=1e9, line=4)]
    outcomes = {"host": {"outcome": "ok", "reason": None}, "kdump": {"outcome": "denied", "reason": text}}
    return judge("some/path", Case({"host": host}, events, outcomes, "bundle", 1e9, [text]), rules)


@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if not report.binary])
def test_hostile_text_is_harmless(name: str) -> None:
    for color in (False, True):
        text = REPORTS[name].render(verdict(EVIL), Look(80, color))
        assert text.endswith("\n")
        for bad in ("\x07", "\x1b]", "\x9b", "\u202e", "\r"):
            assert bad not in text
        assert not color or name != "terminal" or "\x1b[" in text
        if not color:
            assert "\x1b" not in text


def test_json_fits_its_schema_and_jsonl_is_the_same_on_one_line() -> None:
    whole = json.loads(REPORTS["json"].render(verdict(), Look()))
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(whole)
    line = REPORTS["jsonl"].render(verdict(), Look())
    assert line.count("\n") == 1
    assert json.loads(line) == whole
    assert whole["summary"] == {"critical": 1, "warning": 0, "info": 0}
    assert whole["skipped_rules"] == [{"id": "other", "reason": "absent: was not gathered"}]
    assert whole["findings"][0]["fingerprint"] == verdict().findings[0].fingerprint


def test_markdown_escapes_what_it_shows() -> None:
    text = REPORTS["markdown"].render(verdict(EVIL), Look())
    assert "<script>" not in text.replace("`", "\0").split("\0")[0]
    assert "\\[x\\]" in text
    assert "# lastwords: h" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_screen_keeps_to_its_width_and_tells_everything(width: int) -> None:
    text = REPORTS["terminal"].render(verdict("word " * 60), Look(width))
    assert max(map(len, text.splitlines())) <= width
    for words in (
        "CRITICAL",
        "some-finding",
        "seen in",
        "to mend",
        "What happened",
        "Not in the input",
        "ask for",
        "2001-09-09 01:46:40",
    ):
        assert words in text


def test_the_short_report_has_ten_lines_at_most() -> None:
    case = Case({}, [], {}, "sosreport", 1e9)
    many = [
        Rule(
            f"rule-{n}", (), lambda case, n=n: [Finding(f"rule-{n}", Severity.WARNING, "title " * 30, "why")]
        )
        for n in range(20)
    ]
    for width in (40, 80, 120):
        lines = REPORTS["short"].render(judge("path", case, many), Look(width)).splitlines()
        assert len(lines) <= 10
        assert max(map(len, lines)) <= width
    assert "16 more" in lines[-1]
    assert REPORTS["short"].render(judge("path", case, []), Look(80)).count("No kernel log in the input") == 1


def test_a_cause_is_told_with_its_chain_and_what_it_explains() -> None:
    where = {"path": "/var/log/messages", "boot": "11111111-1111-1111-1111-111111111111"}
    events = [
        event("boot", "kernel 6.1 started", time=1e9, line=1, details={"release": "6.1"}, **where),
        *(
            event("oom_kill", f"the kernel killed java (pid {n})", time=1e9 + n, line=n, **where,
                  details={"killer": "kernel", "comm": "java", "scope": "memcg", "memcg": "/app"})
            for n in (10, 20, 30)
        ),
    ]  # fmt: skip
    rules = [plugins.load().rules()["oom-kill-happened"]]
    case = Case({"kernel_log": {}}, events, {}, "bundle", 1e9 + 60)
    text = REPORTS["terminal"].render(judge("path", case, rules), Look(100))
    head, timeline = text.split("What happened")
    assert "WARNING    java needs more memory than the limit of /app allows\n" in head
    assert "3 times, last 2001-09-09 01:47:10 UTC; confidence high  [memory-limit]" in head
    assert "again      java was killed 3 times" in head
    assert "to mend    $ lastwords open --section oom FILE" in head and "oom-kill-happened" not in head
    full = REPORTS["terminal"].render(judge("path", case, rules), Look(100, full=True))
    assert "found      Processes were killed at the memory limits of control groups, 3 times" in full
    assert "/var/log/messages:30" in head
    assert "boot of 2001-09-09 01:46:40 UTC, kernel 6.1, how it ended is not told" in timeline
    assert "01:46:50  oom_kill  3 x the kernel killed java (pid 30) (last 01:47:10)" in timeline


def test_fingerprints_tell_subjects_apart_and_nothing_else() -> None:
    first = Finding("a", Severity.INFO, "t", "w", subject="x")
    assert first.fingerprint == Finding("a", Severity.CRITICAL, "u", "v", subject="x").fingerprint
    assert first.fingerprint != Finding("a", Severity.INFO, "t", "w", subject="y").fingerprint
