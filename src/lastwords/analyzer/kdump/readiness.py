"""The verdict: would the next kernel crash be caught? A short list of stages, each of which must hold.

A stage is what the facts measure and what the rules on it found: a critical finding makes it fail, a
warning leaves it in doubt, and what cannot be measured stays unknown. All that shows readiness, the
finding ``kdump-readiness`` and ``lastwords plan kdump``, is a view of this list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.kdump import setup
from lastwords.analyzer.kdump.estimate import dump_size, mib
from lastwords.analyzer.rules import dump_target, kdump, kdump_capture
from lastwords.formats.sizes import alike
from lastwords.hookspecs import Rule
from lastwords.model import Case, Finding, Proof, Severity

Measured = tuple[Optional[bool], str, str]
"""Whether it holds, what was seen, and where."""
WORDS = {True: "yes", False: "no", None: "unknown"}


@dataclass(frozen=True)
class Stage:
    """One thing that must hold for a crash to be caught, and whether it does."""

    name: str
    state: Optional[bool]
    """None when it is not known, or in doubt."""
    said: str
    """What was seen, in a few words."""
    path: str
    """Where it was seen."""
    findings: tuple[Finding, ...] = ()
    """What speaks against it, the gravest first: why, proof and fix."""

    @property
    def proof(self) -> Proof:
        """Return the stage as a proof."""
        return Proof(self.path, excerpt=f"{self.name}: {WORDS[self.state]}, {self.said}")


def readiness(case: Case) -> list[Stage]:
    """Return the stages in the order in which a crash needs them; none in a container."""
    return [] if setup.in_container(case) else [_judged(case, *each) for each in _STAGES]


def caught(stages: list[Stage]) -> Optional[bool]:
    """Return whether the next crash would be caught: no as soon as one stage fails."""
    states = [stage.state for stage in stages]
    return False if False in states else None if None in states or not states else True


def _judged(case: Case, name: str, measure: Callable[[Case], Measured], rules: tuple[Rule, ...]) -> Stage:
    findings = [
        finding
        for rule in rules
        if all(each in case.facts for each in rule.needs)
        for finding in rule.check(case)
        if finding.severity > Severity.INFO
    ]
    findings.sort(key=lambda finding: -finding.severity)
    state, said, path = measure(case)
    if findings:
        said = findings[0].title
        state = False if findings[0].severity is Severity.CRITICAL or state is False else None
    return Stage(name, state, said, path, tuple(findings))


def _reserved(case: Case) -> Measured:
    size = setup.reserved(case)
    total = setup.granted(case)
    return (
        None if size is None else size > 0,
        mib(total) if total else "nothing" if size == 0 else "not told",
        kdump.SIZE,
    )


def _able(case: Case) -> Measured:
    able = case.facts["kdump"]["kexec"]["supported"]
    said = {True: "the kernel can load one", False: "the kernel cannot load one", None: "not told"}
    return able, said[able], kdump.LOADED


def _loaded(case: Case) -> Measured:
    is_loaded = setup.loaded(case)
    said = {True: "a crash kernel is loaded", False: "no crash kernel is loaded", None: "not told"}
    return is_loaded, said[is_loaded], kdump.REGISTERED if setup.fadump(case) else kdump.LOADED


def _initramfs(case: Case) -> Measured:
    image = setup.capture_image(case, "initramfs")
    if image is None:
        return None, "not told", "facts:kdump"
    path = setup.real_path(image)
    whole = setup.inside(case).get("complete")
    if whole is False:
        return False, "damaged", path
    if image["exists"] is False and setup.made_on_load(case, image):
        return None, "made when it is loaded", path
    # One that was loaded lives in memory, whatever became of its file.
    there = None if image["exists"] is False and setup.loaded(case) else image["exists"]
    return there, mib(image["size"]) if image["size"] else "missing or unreadable", path


def _configured(case: Case) -> Measured:
    files = case.facts["kdump"]["files"]
    if not files:
        return None, "no configuration", "facts:kdump"
    collector = setup.core_collector(case)
    readable = all(each["entries"] is not None for each in files)
    told = f"{collector.program} -d {collector.level}" if collector else "read"
    return True if readable else None, told if readable else "not readable", files[0]["path"]


def _target(case: Case) -> Measured:
    targets = dump_target.targets(case)
    if not targets:
        return None, "not told", "facts:kdump"
    first = targets[0]
    place = first["directory"] or " ".join(filter(None, (first["device"], first["path"])))
    local = first["type"] in ("local", "device", "mount") and first["mountpoint"] is not None
    return True if local else None, f"{first['type']} {place}", first["file"] or "facts:kdump"


def _room(case: Case) -> Measured:
    size = dump_size(case)
    available = next((each["available"] for each in dump_target.targets(case)), None)
    left, likely, most = alike((available, size.likely, size.most))
    needed = f"{likely} likely, {most} at most"
    if available is None:
        return None, f"not told; a dump takes {needed}", "facts:kdump"
    return available >= size.likely, f"{left} free, a dump takes {needed}", "facts:kdump"


_STAGES: tuple[tuple[str, Callable[[Case], Measured], tuple[Rule, ...]], ...] = (
    ("able", _able, (kdump.kernel_unable, kdump.tools_missing)),
    ("reserved", _reserved, (kdump.no_crashkernel, kdump.crashkernel_small, kdump.no_low_memory)),
    (
        "configured",
        _configured,
        (kdump_capture.conf_invalid, kdump_capture.core_collector_wrong, kdump_capture.capture_cmdline),
    ),
    (
        "initramfs",
        _initramfs,
        (kdump.image_missing, kdump_capture.initramfs_stale, kdump_capture.initramfs_driver),
    ),
    ("loaded", _loaded, (kdump.not_loaded, kdump.service_failed, kdump.not_enabled)),
    (
        "target",
        _target,
        (
            dump_target.target_missing,
            dump_target.target_volatile,
            dump_target.target_not_in_fstab,
            dump_target.raw_in_use,
            dump_target.target_encrypted,
        ),
    ),
    ("room", _room, (dump_target.target_full,)),
)
