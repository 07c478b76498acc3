"""What taints a kernel: the bits of ``/proc/sys/kernel/tainted`` and their letters in an oops.

Sources: taint_flags[] in kernel/panic.c and Documentation/admin-guide/tainted-kernels.rst (6.15); for
the bits that distributions took for themselves TAINT_* in include/linux/kernel.h of RHEL 6 to 9, and
patches.suse/supported-flag with SUSE support document 000016321.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Taint:
    """One bit that is set."""

    bit: int
    letter: Optional[str]
    """The letter behind ``Tainted:``; None for a bit that nothing is known of."""
    meaning: str


_KERNEL: dict[int, tuple[str, str]] = {
    0: ("P", "proprietary module was loaded"),
    1: ("F", "module was force loaded"),
    2: ("S", "running on hardware or with processors out of specification"),
    3: ("R", "module was force unloaded"),
    4: ("M", "processor reported a machine check exception"),
    5: ("B", "bad page or unexpected page flags were met"),
    6: ("U", "taint was requested by userspace"),
    7: ("D", "kernel died recently: there was an oops or BUG"),
    8: ("A", "ACPI table was overridden by the user"),
    9: ("W", "kernel issued a warning"),
    10: ("C", "staging driver was loaded"),
    11: ("I", "workaround for a bug in the platform firmware was applied"),
    12: ("O", "externally built (out-of-tree) module was loaded"),
    13: ("E", "unsigned module was loaded"),
    14: ("L", "soft lockup occurred"),
    15: ("K", "kernel was live patched"),
    16: ("X", "auxiliary taint, defined and used by distributions"),
    17: ("T", "kernel was built with the structure randomisation plugin"),
    18: ("N", "in-kernel test was run"),
    19: ("J", "userspace used a mutating debug operation of fwctl"),
}
_VENDOR: dict[str, dict[int, tuple[Optional[str], str]]] = {
    "redhat": {
        # Bits 26 and 27 changed their letter between minor releases.
        26: (None, "module supported by a partner and not by Red Hat was loaded"),
        27: (None, "driver or hardware whose support was removed is in use"),
        28: ("H", "hardware is unsupported"),
        29: ("T", "technology preview was loaded"),
        31: ("u", "unprivileged BPF was enabled"),
    },
    "suse": {
        16: ("X", "module supported by its vendor together with SUSE was loaded"),
        30: ("N", "unsupported module was loaded (SLE 11)"),
        31: ("N", "unsupported module was loaded"),
    },
}


def vendor_of(version: str) -> Optional[str]:
    """Return whose taint bits a kernel has beside the common ones, from its /proc/version.

    >>> vendor_of("Linux version 5.14.21-150500.55.52-default (geeko@buildhost) (gcc (SUSE Linux) 7.5.0)")
    'suse'
    """
    if "Red Hat" in version or ".el" in version.partition(" (")[0]:
        return "redhat"
    return "suse" if "SUSE" in version else None


def decode_taint(value: int, vendor: Optional[str] = None) -> list[Taint]:
    """Return the bits of a taint value, lowest first.

    :param vendor: ``redhat``, ``suse`` or None, as :func:`vendor_of` tells

    >>> [each.letter for each in decode_taint(12289)]
    ['P', 'O', 'E']
    >>> decode_taint(1 << 40)
    [Taint(bit=40, letter=None, meaning='unknown')]
    """
    special = _VENDOR.get(vendor or "", {})
    found = []
    for bit in range(value.bit_length() if value > 0 else 0):
        if value >> bit & 1:
            letter, meaning = special.get(bit) or _KERNEL.get(bit) or (None, "unknown")
            found.append(Taint(bit, letter, meaning))
    return found


_BY_LETTER = {letter: bit for bit, (letter, _) in reversed(_KERNEL.items())}


def taint_of_letters(letters: str) -> list[Taint]:
    """Return what the letters behind ``Tainted:`` stand for; G says only that no module is proprietary.

    >>> [(each.bit, each.letter) for each in taint_of_letters("GWO")]
    [(9, 'W'), (12, 'O')]
    """
    found = []
    for letter in dict.fromkeys(letters.replace("G", "").replace(" ", "")):
        bit = _BY_LETTER.get(letter)
        found.append(Taint(-1, letter, "unknown") if bit is None else Taint(bit, letter, _KERNEL[bit][1]))
    return found
