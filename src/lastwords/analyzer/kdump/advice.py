"""How much to reserve where only a log tells that what was reserved, if anything, was not enough."""

from __future__ import annotations

from typing import NamedTuple, Optional

from lastwords.formats.failures.texts import RESERVE, TEXTS
from lastwords.formats.kdump.crashkernel import dialect_of, evaluate
from lastwords.formats.kdump.crashkernel_defaults import default_by_release
from lastwords.formats.sizes import size

TOO_LITTLE = frozenset(("capture_out_of_memory", "kexec_no_space", "capture_vmcore_read"))
"""Classes of failures that more memory mends."""
NOTHING = frozenset(
    (
        "crashkernel_missing",
        "crashkernel_not_reserved",
        "crashkernel_range",
        "crashkernel_syntax",
        "crashkernel_rejected",
    )
)
"""Classes of failures after which nothing is reserved."""
_STEP = 64 << 20
_LARGEST_PART = 2
"""The part of all memory that the crash kernel may have at most: half of it."""


class Advice(NamedTuple):
    """What to reserve."""

    value: str
    """For ``crashkernel=``."""
    why: str


def to_reserve(
    name: str, memory: Optional[int], reserved: Optional[int], release: Optional[str]
) -> Optional[Advice]:
    """Return how much to reserve after a failure of kdump, or None when too little is known.

    What was too little is doubled; it is never less than what the distribution reserves by default.

    :param name: class of the failure
    :param memory: bytes that the machine has; *reserved*: of them for the crash kernel
    :param release: of the kernel, which tells the distribution
    """
    default = default_by_release(release)
    asked = evaluate([f"crashkernel={default.parameter}"], memory, dialect_of(release, None))
    usual = asked.size or 0 if memory else 0
    if name in NOTHING and usual:
        return Advice(_value(usual), f"usual with {size(memory)} of memory")
    if name not in TOO_LITTLE or not (usual or reserved):
        return None
    if not reserved:
        return Advice(_value(usual), f"usual with {size(memory)} of memory; more if that is what it had")
    enough = max(usual, 2 * reserved)
    if memory and enough > memory // _LARGEST_PART:
        return None
    return Advice(_value(enough), f"{size(reserved)} were too little")


def with_size(
    name: str, memory: Optional[int], reserved: Optional[int], release: Optional[str]
) -> tuple[str, ...]:
    """Return how to mend a failure of kdump, with how much to reserve where enough is known for that.

    Parameters are those of :func:`to_reserve`.
    """
    fix = TEXTS[name].fix
    advice = to_reserve(name, memory, reserved, release)
    if advice is None:
        return fix
    plan = f"$ lastwords plan kdump --crashkernel {advice.value}  # on that host, or --from its report: how"
    rest = [step for step in fix if step != RESERVE]
    return (f"Reserve crashkernel={advice.value}: {advice.why}.", plan, *rest)


def _value(enough: int) -> str:
    return f"{-(-enough // _STEP) * (_STEP >> 20)}M"
