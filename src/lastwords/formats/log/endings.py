"""How a boot ended, by the lines of a log that stand before the start of the next one.

Sources: systemd (src/core/manager.c, src/shutdown/shutdown.c, src/journal/journald-server.c, units/*.target),
systemd-logind, rsyslogd(8), syslog-ng(8), shutdown(8) of sysvinit, the kernel's kernel/reboot.c.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional

from lastwords.formats import text_of
from lastwords.formats.log.klog import parse_line

ORDERLY, ABRUPT = "orderly", "abrupt"
FEWEST = 5
"""Lines before a start that tell something; fewer are what a rotation has left."""
_ORDERLY = re.compile(
    r"Journal stopped|systemd-shutdow|exiting on signal 15|syslog-ng shutting down"
    r"|System is (?:rebooting|powering down|halting)|(?:Rebooting|Powering off|Halting system)\.$"
    r"|Reached target .*(?i:reboot|power.?off|shutdown|halt|kexec|final\.target)"
    r"|reboot: (?:Restarting|Power down|System halted)|Restarting system|Starting new kernel"
    r"|The system will (?:reboot|power off|halt)|shutting down for system|Switching to runlevel: [06]"
)
_TOLD = re.compile(r"Kernel panic|Starting crashdump kernel|---\[ end |sysrq ?: ", re.IGNORECASE)
"""The end is told of by the kernel itself."""


def ending_of(lines: Sequence[bytes]) -> Optional[str]:
    """Return how the boot ended whose last lines these are: orderly, abrupt, or None if it is not told.

    Only where programs write too is their silence telling: the kernel's own last words of an orderly
    shutdown come when nobody listens any more.

    >>> ending_of([b"Mar  1 10:00:00 db01 cron[7]: run"] * 9)
    'abrupt'
    >>> ending_of([b"Mar  1 10:00:00 db01 systemd[1]: Reached target Reboot."] * 9)
    'orderly'
    >>> ending_of([b"[   77.0] usb 1-1: new device"] * 9) is None
    True
    """
    texts = [text_of(line).strip("\0\r ") for line in lines]
    if any(_ORDERLY.search(text) for text in texts):
        return ORDERLY
    if len(texts) < FEWEST or any(_TOLD.search(text) for text in texts):
        return None
    parsed = [parse_line(text) for text in texts]
    spoken = [line for line in parsed if line.text.strip() and line.is_kernel is False]
    return ABRUPT if spoken else None
