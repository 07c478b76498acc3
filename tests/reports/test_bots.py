"""Formats for programs, each held against its own schema or consumer; from a real bundle, by the command."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from analyzer.test_rules import RULES
from golden_case import case_of
from hosttree import host_tree, write_tree

from lastwords import plugins, schemas
from lastwords.analyzer.judge import judge
from lastwords.cli.options import UsageError
from lastwords.cli.output import Output
from lastwords.hookspecs import Look, Report
from lastwords.verdict import Verdict

REPORTS = plugins.load().reports()
HOSTS = ["rhel7", "rhel9", "debian12", "sles15", "ubuntu2404"]
CONSUMERS = Path(__file__).parent.parent / "consumers"
LNAV = Path(__file__).parents[2] / "packaging" / "lnav" / "lastwords.json"
ODD = "\x00\x0b\x1b]0;x\x07\ud800\ufffe]]>&<x>\"'"


def verdict(host: str = "rhel7", odd: str = "") -> Verdict:
    case = case_of(host, {}, [])
    if odd:
        case.facts["host"]["hostname"] = odd
        for event in case.events:
            event["summary"] += odd
            event["path"] += odd
    return judge(f"some/{host}{odd}", case, RULES.values())


def whole(name: str, *verdicts: Verdict) -> Any:
    document = REPORTS[name].whole()
    assert document is not None
    for each in verdicts:
        document.add(each)
    return document.finish()


def lastwords(*argv: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lastwords", *argv], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    return done.stdout or done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The files of a golden host, on disk."""
    return str(write_tree(host_tree("rhel7"), tmp_path_factory.mktemp("host") / "rhel7"))


# -- SARIF -----------------------------------------------------------------------------------------------


def sarif(*verdicts: Verdict) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(whole("sarif", *verdicts))
    schema = json.loads((CONSUMERS / "sarif-2.1.0.json").read_text())
    errors = jsonschema.Draft4Validator(schema).iter_errors(log)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []
    return log


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("odd", ["", ODD])
def test_sarif_fits_the_official_schema(host: str, odd: str) -> None:
    sarif(verdict(host, odd))


def test_sarif_tells_every_finding_with_its_place_and_fingerprint() -> None:
    given = [verdict("rhel7"), verdict("debian12")]
    runs = sarif(*given)["runs"]
    for each, run in zip(given, runs):
        marks = [result["partialFingerprints"]["lastwords/v1"] for result in run["results"]]
        assert marks == [finding.fingerprint for finding in each.findings]
        for result in run["results"]:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    kill = next(result for result in runs[0]["results"] if result["ruleId"] == "oom-kill-happened")
    assert kill["level"] == "warning"
    assert kill["properties"]["cause"] == "out-of-memory"
    places = [place["physicalLocation"] for place in kill["locations"] if "physicalLocation" in place]
    named = [place["logicalLocations"] for place in kill["locations"] if "logicalLocations" in place]
    assert places or named
    for place in places:
        assert place["region"]["startLine"] > 0
        assert not place["artifactLocation"]["uri"].startswith("/")


# -- JUnit -----------------------------------------------------------------------------------------------


def test_junit_is_read_by_its_consumers() -> None:
    junitparser = pytest.importorskip("junitparser")
    given = [verdict("rhel7"), verdict("rhel9"), verdict("debian12", ODD)]
    given[0].skipped.append(("other", "not gathered"))
    text = whole("junit", *given)
    suites = list(junitparser.JUnitXml.fromstring(text.encode()))
    assert [suite.failures for suite in suites] == [
        sum(finding.severity.word != "info" for finding in each.findings) for each in given
    ]
    for suite, each in zip(suites, given):
        assert suite.tests == len(list(suite)) == len(each.findings) + len(each.clear) + len(each.skipped)
        assert suite.skipped == len(each.skipped)
    assert suites[1].failures == 0
    names = {case.get("name") for case in ElementTree.fromstring(text).iter("testcase")}
    assert "kdump-service-failed: kdump.service" in names


# -- SQLite ----------------------------------------------------------------------------------------------


def test_sqlite_answers_questions(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    given = [verdict("rhel7"), verdict("debian12", ODD)]
    path.write_bytes(whole("sqlite", *given))
    base = sqlite3.connect(path)
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for table, count in (
        ("inputs", 2),
        ("findings", sum(len(each.findings) for each in given)),
        ("events", sum(len(each.case.events) for each in given)),
        ("causes", sum(len(each.story.causes) for each in given)),
        ("facts", sum(len(each.case.facts) for each in given)),
    ):
        assert base.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)
    victims = base.execute(
        "SELECT json_extract(details, '$.comm'), cause FROM events WHERE kind = 'oom_kill' ORDER BY time"
    ).fetchall()
    assert victims == [("java", "memory-limit"), ("report-gen", "out-of-memory")]
    biggest = base.execute(
        "SELECT json_extract(value, '$.comm') FROM facts, json_each(document, '$.records')"
        " WHERE input = 1 AND collector = 'processes' ORDER BY json_extract(value, '$.rss') DESC LIMIT 1"
    ).fetchone()
    records = given[0].case.facts["processes"]["records"]
    assert biggest == (max(records, key=lambda record: record["rss"] or 0)["comm"],)
    page = (Path(__file__).parents[2] / "docs" / "bots.md").read_text()
    recipes = re.findall(r'sqlite3 case.sqlite "([^"]*)"', page)
    assert len(recipes) > 1
    for recipe in recipes:
        assert base.execute(recipe).fetchall(), recipe
    base.close()


# -- KCIDB -----------------------------------------------------------------------------------------------


DEATHS = """\
[   10.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   10.000001] #PF: supervisor write access in kernel mode
[   10.000002] Oops: 0002 [#1] PREEMPT SMP PTI
[   10.000003] CPU: 0 PID: 7 Comm: sh Tainted: G           OE      6.1.0-18-amd64 #1  Debian 6.1.76-1
[   10.000004] RIP: 0010:do_it+0x17/0x20 [sick]
[   10.000005] Call Trace:
[   10.000006]  <TASK>
[   10.000007]  do_write+0x30/0x40 [sick]
[   10.000008]  vfs_write+0xc0/0x3b0
[   10.000009]  </TASK>
[   10.000010] ---[ end trace 0000000000000000 ]---
[   20.000000] Kernel panic - not syncing: Fatal exception
"""


def test_kcidb_has_the_issues_that_the_log_alone_has(tmp_path: Path) -> None:
    kcidb_io = pytest.importorskip("kcidb_io", reason="kcidb-io is not installed")
    (tmp_path / "console.log").write_text(DEATHS)
    document = json.loads(lastwords("open", "-q", "--format", "kcidb", str(tmp_path / "console.log")))
    assert kcidb_io.schema.V5_3.is_valid(document)
    alone = json.loads(lastwords("oops", "--format", "kcidb", str(tmp_path / "console.log")))
    assert {each["id"] for each in document["issues"]} == {each["id"] for each in alone["issues"]}
    assert document["issues"] and document["incidents"]


def test_kcidb_has_failures_of_kdump_and_boots_that_ended_without_a_word(tmp_path: Path) -> None:
    lines = (
        "Mar  1 08:00:00 db01 kernel: Linux version 6.1.0-18-amd64",
        "Mar  1 08:00:01 db01 kernel: crashkernel reservation failed - No suitable area found.",
        *(f"Mar  1 08:{n:02}:00 db01 app[1]: working" for n in range(2, 59)),
        "Mar  1 09:00:00 db01 kernel: Linux version 6.1.0-18-amd64",
    )
    (tmp_path / "messages").write_text("\n".join(lines) + "\n")
    document = json.loads(lastwords("open", "-q", "--format", "kcidb", str(tmp_path / "messages")))
    subjects = [each["report_subject"] for each in document["issues"]]
    assert subjects[0] == "kdump failure: no room for the crash kernel"
    assert subjects[1].startswith("A boot ended without a word") and len(subjects) == 2
    alone = json.loads(lastwords("oops", "--format", "kcidb", str(tmp_path / "messages")))
    assert document["issues"][0]["id"] in {each["id"] for each in alone["issues"]}
    kcidb_io = pytest.importorskip("kcidb_io", reason="kcidb-io is not installed")
    assert kcidb_io.schema.V5_3.is_valid(document)


@pytest.mark.parametrize("odd", ["", ODD])
def test_kcidb_of_many_hosts_is_valid(odd: str) -> None:
    kcidb_io = pytest.importorskip("kcidb_io", reason="kcidb-io is not installed")
    document = json.loads(whole("kcidb", *(verdict(host, odd) for host in HOSTS)))
    assert kcidb_io.schema.V5_3.is_valid(document)
    assert {each["issue_id"] for each in document["incidents"]} == {each["id"] for each in document["issues"]}
    twice = json.loads(whole("kcidb", verdict(), verdict()))
    assert twice == json.loads(whole("kcidb", verdict()))


# -- the timeline ----------------------------------------------------------------------------------------


def test_the_timeline_is_a_line_an_event_in_order() -> None:
    given = verdict("rhel7")
    lines = [json.loads(line) for line in REPORTS["timeline"].render(given, Look()).splitlines()]
    assert [line["message"] for line in lines] == [event["summary"] for event in given.case.events]
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert {line["cause"] for line in lines} >= {"memory-limit", "out-of-memory", None}
    columns = {
        part["field"]
        for part in json.loads(LNAV.read_text())["lastwords_log"]["line-format"]
        if isinstance(part, dict)
    }
    assert columns - {"__timestamp__"} <= set(lines[0])


@pytest.mark.skipif(shutil.which("lnav") is None, reason="needs lnav")
def test_lnav_reads_the_timeline(tmp_path: Path) -> None:
    given = verdict("rhel7")
    (tmp_path / "timeline.jsonl").write_text(REPORTS["timeline"].render(given, Look()))
    formats = tmp_path / ".lnav" / "formats" / "lastwords"
    formats.mkdir(parents=True)
    shutil.copy(LNAV, formats)
    query = ";SELECT count(*) AS n FROM lastwords_log WHERE kind = 'oom_kill'"
    done = subprocess.run(
        ["lnav", "-n", "-c", query, "-c", ":write-csv-to -", str(tmp_path / "timeline.jsonl")],
        capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split() == ["n", "2"], done.stderr


# -- by the command --------------------------------------------------------------------------------------


def test_many_inputs_make_one_document_or_one_file_each(tree: str, tmp_path: Path) -> None:
    assert lastwords("open", "-q", "--root", "--short", tree, tree).count("\n\n") == 1
    log = json.loads(lastwords("open", "-q", "--root", "--format", "sarif", tree, tree))
    assert len(log["runs"]) == 2
    lastwords("open", "-q", "--root", "--format", "sqlite", "--output", str(tmp_path / "all.sqlite"), tree)
    assert (tmp_path / "all.sqlite").stat().st_mode & 0o777 == 0o600
    lastwords("open", "-q", "--root", "--format", "junit", "--output", str(tmp_path), tree)
    assert (tmp_path / "lastwords.junit").read_text().startswith("<?xml")
    lastwords("open", "-q", "--root", "--jsonl", "--output", str(tmp_path), tree, tree)
    lines = [json.loads((tmp_path / name).read_text()) for name in ("rhel7.jsonl", "rhel7-2.jsonl")]
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(lines[0])


def test_outputs_that_cannot_be_are_refused_in_one_line(tree: str, tmp_path: Path) -> None:
    assert "expected --output FILE" in lastwords("open", "--format", "sqlite", tree, code=2)
    (tmp_path / "mine").write_text("precious")
    refused = lastwords(
        "open", "-q", "--root", "--format", "junit", "--output", str(tmp_path / "mine"), tree, code=4
    )
    assert "exists already" in refused
    assert (tmp_path / "mine").read_text() == "precious"
    inside = lastwords("open", "-q", "--root", "--json", "--output", tree + "/etc/x", tree, code=4)
    assert "outside of the input" in inside


def test_fail_on_is_a_gate(tree: str, tmp_path: Path) -> None:
    assert json.loads(lastwords("open", "-q", "--root", "--json", tree))["summary"]["critical"] > 0
    lastwords("open", "-q", "--root", "--short", "--fail-on", "critical", tree, code=1)
    for name in ("etc", "usr"):
        (tmp_path / name).mkdir()
    lastwords("open", "-q", "--root", "--short", "--fail-on", "info", str(tmp_path))


def test_documents_of_several_hosts_in_one_input_do_not_share_a_file(tmp_path: Path) -> None:
    class Page(Report):
        name = "page"
        title = "a page"
        document = True

        def render(self, verdict: Verdict, look: Look) -> str:
            return "page\n"

    arguments = argparse.Namespace(
        output=str(tmp_path / "one"), color="never", section=(), compare=None, verbose=False
    )
    output = Output(arguments, Page(), ["collected.tar"])
    output.add(verdict())
    with pytest.raises(UsageError, match="expected a directory"):
        output.add(verdict())
    arguments.output = str(tmp_path)
    output = Output(arguments, Page(), ["collected.tar"])
    output.add(verdict("rhel7"))
    output.add(verdict("rhel7"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rhel7-2.page", "rhel7.page"]
