"""Stack frames in a kernel report, one line at a time, of every architecture.

Sources: arch/x86/kernel/dumpstack.c (``printk_stack_address``, ``show_regs``),
arch/arm64/kernel/stacktrace.c, arch/arm/kernel/traps.c (``dump_backtrace_entry``) and process.c,
arch/powerpc/kernel/process.c, arch/s390/kernel/dumpstack.c, arch/riscv/kernel/stacktrace.c,
lib/vsprintf.c (``%pS``, ``%pB``), kernel/locking/lockdep.c (``print_lock``), and what
scripts/decode_stacktrace.sh makes of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.crash.rust_symbols import demangle

# Rust symbols are printed as <crate::path as Trait>::name; C ones may have .isra.0 and the like.
_NAME = r"(?:<[\w:<>, &*\[\];]{1,200}>[\w:.$<>]*|[A-Za-z_$][\w.$]*(?:::[\w$<>.]+)*)"
_SYMBOL = rf"\.?(?P<name>{_NAME})\+(?P<offset>0x[0-9a-f]+)(?:/(?P<size>0x[0-9a-f]+))?"
_MODULE = r"(?:\s*\[(?P<module>[A-Za-z_][\w-]*)(?: [0-9a-f]+)?\](?:\(\w+\))?)?"
_ADDRESS = r"(?:\(?\[?<[0-9a-f]{4,16}>\]?|\[[0-9a-f]{8,16}\]|\(\[<[0-9a-f]{4,16}>\]\)|#\d+ \[[0-9a-f]+\])"
_FILE = r"[\w./+-]+\.(?:[chS]|rs):\d+"

_LABEL = re.compile(r"<{1,2}(?P<end>/?)(?P<label>[#A-Z][#A-Z0-9_-]{1,9}|soft_?irq|irq|nmi)>{1,2}\s*")
_TRACE = re.compile(
    rf"\s*(?:\[[<0-9a-f]*[0-9a-f]{{8,16}}>?\]\s*)?(?:\([\w-]+\)\s*)?(?:{_ADDRESS}\s*)*"
    rf"(?:(?P<guess>\?)\s*)?(?:\(\([^)]{{1,20}}\)\)\s*)?(?:\[[0-9a-f]{{8,16}}\]\s*)?\(?{_SYMBOL}{_MODULE}\)?"
    r"(?P<unsure> \(unreliable\))?"
)
_INLINE = re.compile(rf"\s+(?:(?P<guess>\?)\s*)?(?P<name>{_NAME})\s+{_FILE}(?::\d+)?\s+\[inline\]")
# What scripts/decode_stacktrace.sh makes of a frame: its place in the source instead of the offset.
_DECODED = re.compile(
    rf"\s*(?:{_ADDRESS}\s*)*(?:(?P<guess>\?)\s*)?(?P<name>{_NAME}) \({_FILE}[^)]*\)"
    r"(?P<unsure>.* \(unreliable\)$)?(?: ?\(?(?P<module>[a-z]\w+)\)?)?"
)
_ARM_FROM = re.compile(
    rf"\s*(?:{_ADDRESS}\s*)?\(?(?P<callee>{_NAME})(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?(?:\s*\[[\w-]+\])?\)? from "
    rf"(?:{_ADDRESS}\s*)?\(?(?:{_SYMBOL}{_MODULE}\)?|(?P<decoded>{_NAME}) \({_FILE})"
)
_POINTER = re.compile(
    r"^\s*(?P<register>RIP|EIP|IP|NIP|PC|pc|epc|ERA|Krnl PSW)(?: is at\b|\s{0,4}:"
    r"|\s+(?=\[))\s*(?:(?P<mode>[0-9a-f]{4}):)?"
    r"(?P<rest>.*)$"
)
_POINTED = re.compile(rf"^\s*(?:{_ADDRESS}\s*|0x[0-9a-f]+\s+|[0-9a-f]{{8,16}}\b\s*)*\(?{_SYMBOL}{_MODULE}")
_NOWHERE = re.compile(r"\s*(?:\[<[0-9a-f]{4,16}>\] +){0,2}(?:0x[0-9a-f]|(?:\[< *)?\(null\))")
_POINTED_INLINE = re.compile(
    rf"^\s*(?:{_ADDRESS}\s*)*\(?(?P<name>{_NAME})\s+(?:{_FILE}\s+\[inline\]|\({_FILE})"
)
# PowerPC prints where a trace was interrupted.
_INTERRUPT = re.compile(
    rf"^\s*--- (?:interrupt|Exception): [0-9a-f]+ (?:\[?#?\d*\]? ?)?at "
    rf"(?:{_SYMBOL}{_MODULE}|(?P<decoded>{_NAME}) \({_FILE})"
)
_LOCK = re.compile(
    rf"(?:\{{[^}}]*\}}(?:-\{{\d+:\d+\}})?,? (?:at|\.\.\. acquire at):"
    rf"|\), at:)\s*(?:{_ADDRESS}\s*)*(?P<name>{_NAME})"
    rf"(?:\+(?P<offset>0x[0-9a-f]+)(?:/(?P<size>0x[0-9a-f]+))?| \({_FILE})"
)
_USER_MODES = ("0033", "0023", "0073", "002b", "001b")


@dataclass(frozen=True)
class Frame:
    """One entry of a call trace."""

    function: str
    """As written, with compiler suffixes such as ``.isra.0``."""
    offset: Optional[int] = None
    size: Optional[int] = None
    module: Optional[str] = None
    reliable: bool = True
    """False for ``?``: an address that was found on the stack, not by unwinding."""
    stack: str = "TASK"
    """Which stack: ``TASK``, ``IRQ``, ``NMI``, ``#DF`` ..."""
    source: str = "trace"
    """``pointer``: the instruction pointer; ``trace``: the call trace; ``callee``: whom a frame of it called;
    ``inline``: added by a tool; ``lock``: where a lock was taken; ``header``: named by the first line."""

    @property
    def name(self) -> str:
        """The function without what the compiler added."""
        return plain_name(self.function)


def plain_name(function: str) -> str:
    """Return a function's name without compiler suffixes.

    >>> plain_name("__alloc_pages_nodemask.constprop.0.isra.3")
    '__alloc_pages_nodemask'
    """
    if function.startswith("_R"):
        function = demangle(function)
    return function if function.startswith("<") else function.partition(".")[0]


def stack_label(text: str) -> tuple[Optional[str], str]:
    """Return the label that begins a line, and the rest of it.

    >>> stack_label(" <IRQ>  [<ffffffff813ebb96>] show_task+0x2d0/0x2dc")
    ('IRQ', '[<ffffffff813ebb96>] show_task+0x2d0/0x2dc')
    >>> stack_label(" </IRQ>")
    ('TASK', '')
    """
    stripped = text.lstrip()
    label = None
    while (match := _LABEL.match(stripped)) is not None:
        ends = match["end"] or match["label"] in ("EOI", "EOE")
        label = "TASK" if ends else match["label"].upper()
        stripped = stripped[match.end() :]
    return (label, stripped) if label else (None, text)


def is_candidate(text: str) -> bool:
    """Return whether a line may tell a frame: most do not, and this is quick."""
    return "+0x" in text or ".c:" in text or ".h:" in text or ".S:" in text or ".rs:" in text


def frames_of(text: str, stack: str = "TASK") -> list[Frame]:
    """Return the frames that a line of a trace tells, none for any other line.

    >>> frames_of(" ? lock_sock_nested+0x46/0x120 [e1000e]")[0]
    Frame(function='lock_sock_nested', offset=70, size=288, module='e1000e', reliable=False, stack='TASK', \
source='trace')
    >>> [f.function for f in frames_of("[<8028bd5c>] (dup_fd) from [<80132060>] (copy_fs+0x5/0x18)")]
    ['dup_fd', 'copy_fs']
    >>> frames_of("RIP: 0033:0x447529"), frames_of("IPv6: link becomes ready")
    ([], [])
    """
    if not is_candidate(text):
        return []
    if (match := _POINTER.match(text)) is not None:
        return _pointed(match, stack)
    if (match := _INTERRUPT.match(text)) is not None:
        return [_frame(match, stack, "pointer")]
    if (match := _ARM_FROM.match(text)) is not None:
        # The callee is the caller of the line before, except on the first line.
        return [Frame(match["callee"], stack=stack, source="callee"), _frame(match, stack, "trace")]
    if (match := _INLINE.match(text)) is not None:
        return [Frame(match["name"], reliable=not match["guess"], stack=stack, source="inline")]
    if (match := _DECODED.match(text)) is not None:
        return [_decoded(match, stack)]
    match = _TRACE.match(text)
    if match is None or not _ends_well(text[match.end() :]):
        return []
    return [_frame(match, stack, "trace")]


def is_pointer(text: str) -> bool:
    """Return whether a line tells an instruction pointer that is of no function: of a program, or NULL.

    >>> [is_pointer(line) for line in ("RIP: 0033:0x447529", "PC is at 0x0", "pc : [<8078e15c>] lr : [<0>]")]
    [True, True, False]
    """
    match = _POINTER.match(text)
    return match is not None and _NOWHERE.match(match["rest"]) is not None


def lock_of(text: str) -> Optional[Frame]:
    """Return where a lock was taken, of a line of lockdep, or None.

    >>> lock_of(" #0:  (&pipe->mutex/1){+.+.+.}, at: [<ffffffff81844c6b>] pipe_lock+0x5b/0x70").function
    'pipe_lock'
    """
    match = _LOCK.search(text)
    if match is None:
        return None
    offset, size = match["offset"], match["size"]
    return Frame(match["name"], _hex(offset), _hex(size), source="lock")


def _pointed(match: re.Match[str], stack: str) -> list[Frame]:
    if match["mode"] in _USER_MODES:
        return []
    rest = match["rest"]
    if match["register"] == "Krnl PSW" and "(" in rest:
        rest = rest[rest.index("(") + 1 :]
    found = _POINTED_INLINE.match(rest)
    if found is not None:
        return [Frame(found["name"], stack=stack, source="pointer")]
    found = _POINTED.match(rest)
    return [_frame(found, stack, "pointer")] if found is not None else []


def _frame(match: re.Match[str], stack: str, source: str) -> Frame:
    groups = match.groupdict()
    return Frame(
        groups["name"] or groups["decoded"],
        _hex(groups["offset"]),
        _hex(groups["size"]),
        groups["module"],
        not groups.get("guess") and not groups.get("unsure"),
        stack,
        source,
    )


def _decoded(match: re.Match[str], stack: str) -> Frame:
    reliable = not match["guess"] and not match["unsure"]
    return Frame(match["name"], module=match["module"], reliable=reliable, stack=stack)


def _ends_well(rest: str) -> bool:
    """Return whether nothing but notes follows the symbol: a sentence that names a function is no frame."""
    rest = rest.strip()
    return not rest or rest[0] in "([/" or bool(re.match(rf"{_FILE}|[A-Z]{{1,4}} ?$|\(unreliable\)", rest))


def _hex(text: Optional[str]) -> Optional[int]:
    return int(text, 16) if text and len(text) <= 18 else None
