"""What an event is called where people read it."""

from __future__ import annotations

from lastwords.formats.crash.title import LENGTH
from lastwords.model import Event

CUT = " ..."
"""Ends a title that was cut."""
NO_FRAME = " in corrupted"
"""Ends the title of a report in which there is no frame to blame."""


def event_title(item: Event) -> str:
    """Return the title of an event's report, or its summary.

    A report that is cut short, or has no frame to blame, gets a title that ends in "in corrupted", as on
    syzbot; that is for machines, and no name of a function.

    >>> event_title({"details": {"title": "BUG: bad page in corrupted", "corrupted": "no call trace"}})
    'BUG: bad page'

    One that was cut to its greatest length ends with its last whole word.
    """
    details = item.get("details") or {}
    title = str(details.get("title") or item["summary"])
    if "title" in details and len(title) >= LENGTH:
        return title.rpartition(" ")[0] + CUT
    return title.removesuffix(NO_FRAME) if details.get("corrupted") else title
