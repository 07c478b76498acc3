"""How the log of a crash kernel is told from that of any other.

It is told where the headers of the dead kernel's memory are: by ``elfcorehdr=`` on its command line (x86,
powerpc, s390, riscv), or by the device tree (arm64, loongarch: drivers/of/fdt.c).
"""

from __future__ import annotations

import re

ELFCOREHDR = "elfcorehdr"
"""Every such line holds it."""
CRASH_KERNEL = re.compile(
    rf"^(?:Kernel c|C)ommand line: .*\b{ELFCOREHDR}=|^(?:OF: fdt: )?Reserving \d+ ?Ki?B .* for {ELFCOREHDR}"
)
