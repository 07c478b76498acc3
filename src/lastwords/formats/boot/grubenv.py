"""GRUB's environment block: 1024 bytes of ``name=value`` lines, filled up with ``#``.

Source: grub info "Environment block", grub-core/lib/envblk.c (2.06).
"""

from __future__ import annotations

import re

from lastwords.formats import FormatError

SIGNATURE = "# GRUB Environment Block\n"
SIZE = 1024
"""Bytes. GRUB writes into the blocks of the file and never changes its size: another size is damage."""


def parse_grubenv(text: str) -> dict[str, str]:
    """Return the variables by name.

    A backslash stands for the character after it, so that a value may hold a line end. Lines that
    grub-editenv puts below the signature (``# WARNING: Do not edit ...``) are passed over.

    :raises FormatError: the signature is missing: GRUB ("invalid environment block") ignores all of it

    >>> parse_grubenv("# GRUB Environment Block\\nsaved_entry=0\\nboot_success=1\\n#####")
    {'saved_entry': '0', 'boot_success': '1'}
    """
    if not text.startswith(SIGNATURE):
        raise FormatError("environment block without its signature")
    found: dict[str, str] = {}
    for line in re.findall(r"((?:\\(?:.|\n)|[^\\\n])*)(?:\n|\Z)", text[len(SIGNATURE) :]):
        name, equals, value = line.partition("=")
        if equals and name and not name.startswith("#"):
            found[name] = re.sub(r"\\(.|\n)", r"\1", value)
    return found
