"""Values in the memory files of control groups, version 1 and 2.

Sources: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, mm/page_counter.c.
"""

from __future__ import annotations

import re
from typing import Optional, Union

NO_LIMIT = "max"
"""What version 2 writes for no limit; version 1 writes the largest multiple of the page size."""
_V1_NO_LIMIT = 0x7FFFFFFFFFFF0000
"""Pages are 64 KiB at most: no limit is never smaller. (Before 3.19 it was 2**63 - 1.)"""


def parse_limit(text: str) -> Optional[Union[int, str]]:
    """Return a limit in bytes, ``"max"`` when there is none, or None when it is no limit at all.

    >>> parse_limit("536870912\\n"), parse_limit("max"), parse_limit("9223372036854771712"), parse_limit("?")
    (536870912, 'max', 'max', None)
    """
    word = text.strip()
    if word == NO_LIMIT:
        return NO_LIMIT
    if not re.fullmatch(r"\d+", word):
        return None
    return NO_LIMIT if int(word) >= _V1_NO_LIMIT else int(word)
