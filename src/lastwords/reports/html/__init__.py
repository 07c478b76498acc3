"""One self-contained HTML file, for the case: no network, no script needed, nothing from the host trusted.

One module per section of the page, each a function of the verdict that yields markup, or None when its facts
are absent.
"""

from __future__ import annotations

from lastwords.hookspecs import Look, Report
from lastwords.verdict import Verdict


class HtmlReport(Report):
    """A document with charts and tables; readable, searchable and printable without scripts."""

    name = "html"
    title = "one self-contained HTML file, for the case"
    document = True

    def render(self, verdict: Verdict, look: Look) -> str:
        from lastwords.reports.html.page import page

        return page(verdict)
