"""Out of memory: every kill, what held the memory, who ate it, who was killed."""

from __future__ import annotations

from typing import Optional

from lastwords.model import Verdict
from lastwords.reports.html.markup import Markup


def section(verdict: Verdict) -> Optional[Markup]:
    return None
