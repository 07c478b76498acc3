"""Tells whether a file is a crash dump, by its first bytes: what reads dumps is costly to import."""

from __future__ import annotations

import os

from lastwords.formats.vmcore.head import HEAD_SIZE, KINDS, parse_vmcore_head
from lastwords.roots.streams import open_decompressed, read_head


def is_vmcore(path: str) -> bool:
    """Return whether a file starts as a crash dump does, packed or not; False when it cannot be read."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as raw, open_decompressed(raw) as stream:
            head = parse_vmcore_head(read_head(stream, HEAD_SIZE))
    except OSError:
        return False
    return head.kind in KINDS or head.flattened
