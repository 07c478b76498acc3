"""JUnit XML of verdicts: a test suite for each input, a test case for each finding and clear rule."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from lastwords.hookspecs import Whole
from lastwords.model import Finding, Severity
from lastwords.reports import words
from lastwords.verdict import Verdict


class Suites(Whole):
    """Collects the suites of a document."""

    def __init__(self) -> None:
        self._top = Xml.Element("testsuites", name="lastwords")

    def add(self, verdict: Verdict) -> None:
        cases = [_found(finding) for finding in verdict.findings]
        cases += [_case(name, name) for name in verdict.clear]
        cases += [_skipped(name, reason) for name, reason in verdict.skipped]
        failures = sum(finding.severity > Severity.INFO for finding in verdict.findings)
        suite = Xml.SubElement(
            self._top,
            "testsuite",
            name=words.plain(verdict.host["hostname"] or verdict.path),
            tests=str(len(cases)),
            failures=str(failures),
            errors="0",
            skipped=str(len(verdict.skipped)),
        )
        if verdict.case.taken_at is not None:
            suite.set("timestamp", words.moment(verdict.case.taken_at)[:19].replace(" ", "T"))
        properties = Xml.SubElement(suite, "properties")
        Xml.SubElement(properties, "property", name="path", value=words.plain(verdict.path))
        Xml.SubElement(properties, "property", name="story", value=words.plain(verdict.story.headline))
        suite.extend(cases)

    def finish(self) -> str:
        Xml.indent(self._top)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(self._top, encoding="unicode") + "\n"


def _case(rule: str, name: str) -> Xml.Element:
    return Xml.Element("testcase", classname=f"lastwords.{rule}", name=words.plain(name))


def _found(finding: Finding) -> Xml.Element:
    case = _case(finding.id, f"{finding.id}: {finding.subject}")
    lines = [finding.title, finding.why, *map(words.proof, finding.evidence), *finding.fix]
    text = "\n".join(words.plain(line) for line in lines)
    if finding.severity > Severity.INFO:
        failure = Xml.SubElement(
            case, "failure", type=finding.severity.word, message=words.plain(finding.title)
        )
        failure.text = text
    else:
        Xml.SubElement(case, "system-out").text = text
    return case


def _skipped(rule: str, reason: str) -> Xml.Element:
    case = _case(rule, rule)
    Xml.SubElement(case, "skipped", message=words.plain(reason))
    return case
