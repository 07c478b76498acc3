"""How each boot that the journal knows ended: in order, or without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lastwords.formats.log.boots import Boot
from lastwords.formats.log.endings import ABRUPT, ORDERLY
from lastwords.formats.log.klog import Clock, parse_line
from lastwords.roots.base import Root

# journald says that it stops (SD_MESSAGE_JOURNAL_STOP), systemd that it has reached shutdown.target.
STOPS = (
    "journalctl",
    "--no-pager",
    "-o",
    "short-iso",
    "-n",
    "4000",
    "MESSAGE_ID=d93fb3c9c24d451a97cea615ce59c00b",
    "+",
    "UNIT=shutdown.target",
)
LATE = 120.0
"""Seconds before the last entry of a boot: an earlier stop is that of a journald that was restarted."""


def endings(root: Root, boots: Sequence[Boot], clock: Clock) -> Mapping[str, str]:
    """Return how boots ended, by their ids; those of which the journal does not tell it are left out."""
    over = [boot for boot in boots if boot.index < 0 and boot.last is not None]
    output = root.run(STOPS) if over else None
    if output is None or output.exit_code not in (0, None):
        return {}
    lines = [parse_line(line).epoch(clock)[0] for line in output.text.splitlines()]
    times = [time for time in lines if time is not None]
    return {
        boot.id: ORDERLY if any(-LATE <= time - (boot.last or 0.0) <= 5.0 for time in times) else ABRUPT
        for boot in over
    }
