"""Scenarios: one small file each, below ``lab/scenarios``. ``docs/lab.md`` explains every key."""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, replace
from typing import Optional

from lab.common import HERE, LabError
from lab.images import DEFAULT, IMAGES

SCENARIOS = os.path.join(HERE, "scenarios")
ENDS = ("alive", "down", "reboot")
LOADERS = ("direct", "grub")
KEYS = {
    "scenario": {"title", "image", "memory", "cpus", "nodes", "append", "module", "selection"},
    "setup": {"run"},
    "fault": {"run", "monitor", "ends", "deadline", "loader", "append"},
    "rescue": {"plan", "image"},
    "harvest": {"before", "sos", "boot", "spare"},
    "proof": {"console", "guest"},
    "truth": {
        "events",
        "title",
        "title_saved",
        "stage",
        "class",
        "victim",
        "group",
        "findings",
        "findings_live",
        "findings_disk",
        "findings_console",
        "findings_before",
        "dumped",
        "also",
        "never",
    },
}


TRUE_OF_ALL = ("boot-ended-abruptly",)
"""True wherever the machine booted again: its image was frozen while it ran, and a machine may be cut off."""


@dataclass(frozen=True)
class Truth:
    """What is known to be true of the machine at the end."""

    events: tuple[str, ...] = ()
    """Kinds of events that must be told of, on every input that has a kernel log."""
    title: str = ""
    """A pattern of what the report of the death is called, on every input that has a kernel log."""
    title_saved: str = ""
    """The same, where the console does not have the last words: on the disk, the dump, and inside after."""
    failure: tuple[str, str] = ("", "")
    """Stage and class of the boot that failed, which the console alone shows."""
    victim: str = ""
    """Name of the process that the kernel killed."""
    group: str = ""
    """The control group or unit that ran out of memory, where it was not the whole machine."""
    findings: tuple[str, ...] = ()
    """Ids that must be found on every input."""
    findings_before: tuple[str, ...] = ()
    """Ids that what was gathered before the fault must lead to: what was foretold."""
    dumped: Optional[bool] = None
    """Whether the crash left a whole dump: what was gathered before the fault must foretell it."""
    findings_live: tuple[str, ...] = ()
    """Ids that must be found on what was gathered inside the running machine."""
    findings_disk: tuple[str, ...] = ()
    """Ids that must be found on its disk."""
    findings_console: tuple[str, ...] = ()
    """Ids that must be found on its console alone."""
    also: tuple[str, ...] = ()
    """Ids that are true too, and may be found."""
    never: tuple[str, ...] = ()
    """Ids that must not be found, whatever their severity."""


@dataclass(frozen=True)
class Scenario:
    """A machine, what is done to it, and the truth about it."""

    name: str
    title: str
    image: str
    memory: int
    """Megabytes."""
    cpus: int
    nodes: int
    """NUMA nodes."""
    append: str
    """Appended to the kernel command line; the crashkernel of the image if the file says nothing."""
    module: bool
    """Carry labfault.ko in, compiled for its kernel."""
    selection: bool
    """Part of what ``make test`` runs."""
    setup: str
    fault: str
    monitor: str
    """QMP command given after the fault: ``inject-nmi``."""
    ends: str
    """``alive``: goes on running. ``down``: by itself or by panic. ``reboot``: restarted by the lab."""
    deadline: float
    loader: str
    """What boots it after ``reboot``: ``direct`` or ``grub``."""
    boot_append: str
    """Appended to the kernel command line after ``reboot``; the last of two root= counts."""
    plan: str
    """What a rescue machine mends the disk with after ``reboot``: the name of a plan, or empty."""
    rescue_image: str
    """What the rescue machine runs."""
    before: bool
    """Gather before the fault too, to compare whom lastwords would have named with whom the kernel took."""
    sos: bool
    boot: bool
    """Boot again after the fault, and gather then."""
    spare: str
    """Where set-up mounts the spare disk /dev/vdb, or empty."""
    proof: tuple[str, ...]
    """Patterns that the serial console must show."""
    guest_proof: str
    """Commands that must succeed inside, before gathering."""
    truth: Truth


def load(name: str) -> list[Scenario]:
    """Return the scenarios of the file called *name*: one for each image that it names.

    :raises LabError: there is none, or it is wrong; says what was expected
    """
    path = os.path.join(SCENARIOS, f"{name}.ini")
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    try:
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream)
    except FileNotFoundError:
        raise LabError(f"no scenario {name!r}; python -m lab list") from None
    except configparser.Error as problem:
        raise LabError(str(problem)) from None
    for section in parser.sections():
        unknown = set(parser[section]) - KEYS.get(section, set())
        if section not in KEYS or unknown:
            raise LabError(
                f"{path}: [{section}] {sorted(unknown)}: unknown, expected {KEYS.get(section, KEYS)}"
            )

    def text(section: str, key: str, default: str = "") -> str:
        return parser.get(section, key, fallback=default).strip()

    def words(section: str, key: str) -> tuple[str, ...]:
        return tuple(text(section, key).split())

    def flag(section: str, key: str) -> bool:
        return _one_of(path, key, text(section, key, "no"), ("yes", "no")) == "yes"

    patterns = tuple(line for line in text("proof", "console").splitlines() if line)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as problem:
            raise LabError(f"{path}: console = {pattern}: {problem}") from None
    images = words("scenario", "image") or (DEFAULT.name,)
    first = Scenario(
        name=name,
        title=text("scenario", "title"),
        image=images[0],
        memory=0,
        cpus=int(text("scenario", "cpus", "1")),
        nodes=int(text("scenario", "nodes", "1")),
        append="",
        module=flag("scenario", "module"),
        selection=flag("scenario", "selection"),
        setup=text("setup", "run"),
        fault=text("fault", "run"),
        monitor=text("fault", "monitor"),
        ends=_one_of(path, "ends", text("fault", "ends", "alive"), ENDS),
        deadline=float(text("fault", "deadline", "120")),
        loader=_one_of(path, "loader", text("fault", "loader", "direct"), LOADERS),
        boot_append=text("fault", "append"),
        plan=text("rescue", "plan"),
        rescue_image="",
        before=flag("harvest", "before"),
        sos=flag("harvest", "sos"),
        boot=flag("harvest", "boot") or bool(text("rescue", "plan")),
        spare=text("harvest", "spare"),
        proof=patterns,
        guest_proof=text("proof", "guest"),
        truth=Truth(
            events=words("truth", "events"),
            title=text("truth", "title"),
            title_saved=text("truth", "title_saved"),
            failure=(text("truth", "stage"), text("truth", "class")),
            victim=text("truth", "victim"),
            group=text("truth", "group"),
            findings=words("truth", "findings"),
            findings_live=words("truth", "findings_live"),
            findings_before=words("truth", "findings_before"),
            dumped=flag("truth", "dumped") if parser.has_option("truth", "dumped") else None,
            findings_disk=words("truth", "findings_disk"),
            findings_console=words("truth", "findings_console"),
            also=(*words("truth", "also"), *TRUE_OF_ALL),
            never=words("truth", "never"),
        ),
    )
    if not first.title:
        raise LabError(f"{path}: [scenario] title: missing")
    if (first.fault or first.monitor) and not (first.proof or first.guest_proof):
        raise LabError(f"{path}: [proof]: missing; a fault is never assumed to have happened")
    if (first.truth.dumped is not None or first.truth.findings_before) and not first.before:
        raise LabError(f"{path}: [harvest]: expected before = yes: [truth] tells what must be foretold")
    if first.plan and first.ends != "reboot":
        raise LabError(f"{path}: [rescue]: expected ends = reboot: what is mended was seen to fail")
    scenarios = []
    for number, image_name in enumerate(images):
        image = IMAGES[_one_of(path, "image", image_name, tuple(IMAGES))]
        rescue_image = _one_of(path, "image", text("rescue", "image", image.name), tuple(IMAGES))
        scenarios.append(
            replace(
                first,
                name=name if len(images) == 1 else f"{name}@{image.name}",
                image=image.name,
                rescue_image=rescue_image,
                memory=int(text("scenario", "memory", str(image.memory))),
                append=text(
                    "scenario", "append", f"crashkernel={image.crashkernel}" if image.crashkernel else ""
                ),
                selection=first.selection and number == 0,
            )
        )
    return scenarios


def load_all() -> list[Scenario]:
    """Return every scenario, by name of the file and in the order of its images."""
    names = sorted(name[: -len(".ini")] for name in os.listdir(SCENARIOS) if name.endswith(".ini"))
    return [scenario for name in names for scenario in load(name)]


def _one_of(path: str, key: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise LabError(f"{path}: {key} = {value}: expected one of {', '.join(allowed)}")
    return value
