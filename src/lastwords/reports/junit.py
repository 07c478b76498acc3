"""The verdict as JUnit XML, which every CI shows: a test suite an input, a test case a check.

A finding of severity warning or critical is a failure; what is only good to know passes, and tells so. There
is no one schema; elements and attributes are those that Ant, Jenkins and GitLab agree on.
"""

from __future__ import annotations

from lastwords.hookspecs import Report, Whole


class JunitReport(Report):
    """One document with a suite for each input."""

    name = "junit"
    title = "JUnit XML, a suite an input, a case a check"

    def whole(self) -> Whole:
        from lastwords.reports.junit_suites import Suites

        return Suites()
