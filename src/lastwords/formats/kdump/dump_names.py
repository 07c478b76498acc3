"""Names that kdump gives to the directories and files of a dump."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Optional

_LAYOUTS = (
    # dracut-kdump.sh: HOST-%Y-%m-%d-%T; RHEL 7.0 and older: HOST-%Y.%m.%d-%T
    ("rhel", re.compile(r"(?P<host>.+)-(\d{4})([-.])(\d\d)\3(\d\d)-(\d\d):(\d\d):(\d\d)")),
    # kdump-save of SUSE: %Y-%m-%d-%H:%M, since 2.0 %H-%M; remote targets have HOST- before it
    ("suse", re.compile(r"(?:(?P<host>.+)-)?(\d{4})(-)(\d\d)-(\d\d)-(\d\d)[-:](\d\d)()")),
    # kdump-config of Debian: %Y%m%d%H%M; remote targets have HOST- before it
    ("debian", re.compile(r"(?:(?P<host>.+)-)?(\d{4})()(\d\d)(\d\d)(\d\d)(\d\d)()")),
)
_FILES = (
    ("core-incomplete", r"(?:vmcore|dump)-incomplete(?:\.(?:gz|bz2|xz|lz4|zst))?"),
    ("core", r"vmcore(?:\.(?:flat|gz|bz2|xz|lz4|zst|\d+))*|dump\.\d{12}(?:\.(?:gz|bz2|lz4|xz))?"),
    ("dmesg-incomplete", r"vmcore-dmesg-incomplete\.txt"),
    ("dmesg", r"vmcore-dmesg\.txt|dmesg(?:\.\d{12}|\.txt)?"),
    ("capture-log", r"kexec-dmesg\.log"),
    ("readme", r"README\.txt"),
    ("opalcore", r"opalcore(?:-incomplete)?"),
    ("kernel", r"(?:vmlinu[xz]|System\.map|Image|image)-.*"),
)


@dataclass(frozen=True)
class DumpName:
    """What the name of a dump's directory says."""

    layout: str
    """Whose tool names directories so: ``rhel``, ``debian`` or ``suse``."""
    host: Optional[str]
    """Address or name of the host that crashed."""
    time: int
    """When the dump began, seconds since the epoch, the host's local time taken as UTC: the zone is not
    in the name."""


def parse_dump_name(name: str) -> Optional[DumpName]:
    """Return what a directory's name says, or None when kdump does not name directories so.

    >>> parse_dump_name("127.0.0.1-2026-02-20-04:05:06")
    DumpName(layout='rhel', host='127.0.0.1', time=1771560306)
    >>> parse_dump_name("202602201404")
    DumpName(layout='debian', host=None, time=1771596240)
    >>> parse_dump_name("2026-02-20-14-04").layout
    'suse'
    """
    for layout, pattern in _LAYOUTS:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        year, _, month, day, hour, minute, second = match.groups()[1:]
        try:
            moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
        except ValueError:
            continue
        return DumpName(layout, match["host"], calendar.timegm(moment.timetuple()))
    return None


def kind_of_dump_file(name: str) -> str:
    """Return what a file in a dump's directory is.

    ``core``, ``core-incomplete`` (being written, or left so), ``dmesg`` (log of the kernel that crashed),
    ``dmesg-incomplete``, ``capture-log`` (log of the kernel that saved it), ``readme``, ``opalcore``,
    ``kernel`` (image, symbols) or ``other``.

    >>> [kind_of_dump_file(name) for name in ("vmcore.flat", "dump-incomplete", "dmesg.202602201404", "x")]
    ['core', 'core-incomplete', 'dmesg', 'other']
    """
    return next((kind for kind, pattern in _FILES if re.fullmatch(pattern, name)), "other")
