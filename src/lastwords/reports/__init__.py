"""The built-in reports, one module per format, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Report, hookimpl


@hookimpl
def register_reports(register: Callable[[Report], None]) -> None:
    """Register the built-in reports."""
    from lastwords.reports.html import HtmlReport
    from lastwords.reports.json_report import JsonLinesReport, JsonReport
    from lastwords.reports.junit import JunitReport
    from lastwords.reports.kcidb import KcidbReport
    from lastwords.reports.markdown import MarkdownReport
    from lastwords.reports.sarif import SarifReport
    from lastwords.reports.short import ShortReport
    from lastwords.reports.sqlite import SqliteReport
    from lastwords.reports.terminal import TerminalReport
    from lastwords.reports.timeline import TimelineReport

    people = (TerminalReport(), ShortReport(), MarkdownReport(), HtmlReport())
    programs = (
        JsonReport(),
        JsonLinesReport(),
        SarifReport(),
        JunitReport(),
        KcidbReport(),
        SqliteReport(),
        TimelineReport(),
    )
    for report in (*people, *programs):
        register(report)
