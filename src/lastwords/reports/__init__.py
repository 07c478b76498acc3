"""The built-in reports, one module per format, registered by the hook that outsiders use."""

from __future__ import annotations

from collections.abc import Callable

from lastwords.hookspecs import Report, hookimpl


@hookimpl
def register_reports(register: Callable[[Report], None]) -> None:
    """Register the built-in reports."""
    from lastwords.reports.html import HtmlReport
    from lastwords.reports.json_report import JsonLinesReport, JsonReport
    from lastwords.reports.markdown import MarkdownReport
    from lastwords.reports.short import ShortReport
    from lastwords.reports.terminal import TerminalReport

    for report in (
        TerminalReport(),
        ShortReport(),
        JsonReport(),
        JsonLinesReport(),
        MarkdownReport(),
        HtmlReport(),
    ):
        register(report)
