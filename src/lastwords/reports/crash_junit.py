"""The deaths of a log as JUnit XML: a test suite for each log, a failed test for each report.

What every CI reads (Jenkins, GitLab, GitHub): ``testsuites > testsuite > testcase > failure``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lastwords.analyzer.crash_log import CrashLog, Entry
from lastwords.hookspecs import Look
from lastwords.reports import crash_words

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(logs: Sequence[CrashLog], look: Look) -> str:
    """Return one document; a log without reports is one test that passed."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for log in logs:
        tests = max(1, len(log.reports))
        errors = int(log.problem is not None)
        lines.append(
            f"  <testsuite name={_attribute(log.path)} tests={_attribute(tests + errors)}"
            f" failures={_attribute(len(log.reports))} errors={_attribute(errors)}>"
        )
        if log.problem is not None:
            lines.append(
                f'    <testcase name="readable"><error message={_attribute(log.problem)}/></testcase>'
            )
        if not log.reports:
            lines.append('    <testcase name="no kernel report"/>')
        lines += [_case(log, entry) for entry in log.reports]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _case(log: CrashLog, entry: Entry) -> str:
    from xml.sax.saxutils import escape

    told = [crash_words.place(entry), crash_words.machine(entry), crash_words.doubt(entry), entry["why"]]
    text = "\n".join([*(line for line in told if line), "", *entry["excerpt"]])
    return (
        f"    <testcase name={_attribute(entry['title'])} classname={_attribute(entry['kind'])}>"
        f"<failure type={_attribute(entry['kind'])} message={_attribute(entry['title'])}>"
        f"{escape(_FORBIDDEN.sub('?', text))}</failure></testcase>"
    )


def _attribute(value: object) -> str:
    from xml.sax.saxutils import quoteattr

    return quoteattr(_FORBIDDEN.sub("?", str(value)))
