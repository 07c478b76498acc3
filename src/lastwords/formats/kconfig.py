"""Kernel build configurations: ``/boot/config-*``, ``/proc/config.gz``, ``.config``."""

from __future__ import annotations

import re
from typing import Optional

_SET = re.compile(r"^CONFIG_(\w+)=(.*)$")
_UNSET = re.compile(r"^# CONFIG_(\w+) is not set$")


def parse_option(line: str) -> Optional[tuple[str, str]]:
    """Return name and value of the option a line sets, or None for any other line.

    The value is ``y``, ``m``, ``n`` (for ``is not set``), a number as written, or a string without its
    quotes. Source: Documentation/kbuild/kconfig.rst, scripts/kconfig/confdata.c.

    >>> parse_option("# CONFIG_KEXEC is not set"), parse_option('CONFIG_ZSWAP_COMPRESSOR_DEFAULT="lzo"')
    (('KEXEC', 'n'), ('ZSWAP_COMPRESSOR_DEFAULT', 'lzo'))
    """
    line = line.strip()
    match = _UNSET.match(line)
    if match:
        return match[1], "n"
    match = _SET.match(line)
    if match is None:
        return None
    value = match[2]
    if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return match[1], value
