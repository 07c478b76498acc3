"""Would the capture kernel do its work: its initramfs, its configuration, its command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from lastwords.analyzer.kdump import steps
from lastwords.analyzer.kdump.setup import (
    COLLECTORS,
    capture_image,
    capture_release,
    captured_by_initramfs,
    core_collector,
    entries,
    fadump,
    family,
    host,
    in_container,
    inside,
    keeps_free_pages,
    loaded,
    made_on_load,
    named_release,
    outdated_collector,
    real_path,
    release,
    setting,
    wanted,
)
from lastwords.formats.kdump.conf import FILESYSTEMS
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

CONF = "/etc/kdump.conf"
KDUMP_TOOLS = "/etc/default/kdump-tools"
TARGETS = (*FILESYSTEMS, "raw", "nfs", "ssh", "virtiofs")
ACTIONS = {
    "failure_action": ("reboot", "halt", "poweroff", "shell", "dump_to_rootfs"),
    "default": ("reboot", "halt", "poweroff", "shell", "dump_to_rootfs"),
    "final_action": ("reboot", "halt", "poweroff"),
}
MAPPINGS = {"LVM": "dm_mod", "CRYPT": "dm_crypt", "mpath": "dm_multipath"}
"""The module behind each kind of device mapping."""


@rule("kdump-initramfs-stale", needs=("kdump",), shows="no-dump")
def initramfs_stale(case: Case) -> Iterator[Finding]:
    """The capture initramfs does not fit any more: made for another kernel, or before a change.

    Critical when it holds modules of another kernel only, or has another one's name: the capture kernel
    then finds no driver. A warning when only a link of Debian's kdump names another one, which it sets
    right when it loads. A warning when the kernel, or the configuration that goes into it (RHEL, SUSE),
    is newer: kdump restarts with a new one, but a crash before that meets the old one. Debian's reads
    its configuration when it runs, so that it needs no new initramfs.
    """
    image = capture_image(case, "initramfs")
    if in_container(case) or image is None or image["exists"] is not True or fadump(case):
        return
    path, kernel, wanted_release = real_path(image), capture_image(case, "kernel"), capture_release(case)
    versions = inside(case).get("kernel_versions") or []
    named = named_release(image)
    proofs = []
    if wanted_release and (wanted_release not in versions if versions else named and named != wanted_release):
        other = ", ".join(versions) or named
        # kdump-config sets its links right when it loads, but not what they point to.
        severity = Severity.WARNING if not versions and made_on_load(case, image) else Severity.CRITICAL
        title = "The crash kernel's initramfs is of another kernel"
        why = f"It was made for {other}, the crash kernel is {wanted_release}: its modules cannot be loaded."
        proofs = [Proof(path, value=other, threshold=wanted_release)]
    else:
        newer = _newer(case, image["mtime"], kernel)
        if not newer:
            return
        severity = Severity.WARNING
        title = "The crash kernel's initramfs is older than what goes into it"
        why = "It was made before the kernel or the configuration was last changed, and holds the old state."
        if setting(case, "force_no_rebuild") == "1":
            why += " force_no_rebuild keeps it from being made anew."
        proofs = [Proof(path, value=date(image["mtime"] or 0)), *newer]
    yield Finding(
        "kdump-initramfs-stale",
        severity,
        title,
        why,
        subject=path,
        evidence=tuple(proofs),
        fix=tuple(steps.rebuild(case)),
    )


def _newer(case: Case, made: float | None, kernel: dict[str, Any] | None) -> list[Proof]:
    if made is None:
        return []
    files = [(each["path"], each["mtime"]) for each in case.facts["kdump"]["files"]]
    files = [each for each in files if "/default/" not in each[0]] if captured_by_initramfs(case) else []
    if kernel and kernel["exists"]:
        files.append((real_path(kernel), kernel["mtime"]))
    return [Proof(path, value=date(mtime)) for path, mtime in files if mtime and mtime > made]


def date(seconds: float) -> str:
    """Return a time for people; the number as it is when no calendar has it."""
    try:
        return str(datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)) + " UTC"
    except (ValueError, OverflowError, OSError):
        return str(seconds)


@rule("kdump-initramfs-driver", needs=("kdump", "initramfs", "kernel"), shows="no-dump")
def initramfs_driver(case: Case) -> Iterator[Finding]:
    """The capture initramfs lacks a module that the disk of the dump needs.

    Held against it are the drivers from the filesystem's device down to the bus, the kinds of mapping
    (LVM, LUKS, multipath) and the filesystem itself, as far as the running kernel has them as modules.
    On Debian the filesystem that counts is the root: the rest is loaded from there.
    """
    modules = (inside(case).get("contents") or {}).get("modules")
    running = case.facts["kernel"]["modules"]
    if in_container(case) or modules is None or running is None:
        return
    places = {"/"}
    if captured_by_initramfs(case):
        places = {each["mountpoint"] for each in case.facts["kdump"]["targets"] or () if each["mountpoint"]}
    loadable = {each["name"] for each in running}
    for each in case.facts["kdump"].get("storage") or ():
        if each["mountpoint"] not in places:
            continue
        mapped = {
            MAPPINGS[kind.partition("-")[0]]
            for kind in each["mappings"]
            if kind.partition("-")[0] in MAPPINGS
        }
        missing = sorted(({*each["modules"], *mapped, each["type"]} & loadable) - set(modules))
        if not missing:
            continue
        image = capture_image(case, "initramfs")
        yield Finding(
            "kdump-initramfs-driver",
            Severity.CRITICAL,
            f"The crash kernel's initramfs lacks {', '.join(missing)}",
            f"{each['mounted']} needs it: the capture kernel waits for the disk in vain, and saves nothing.",
            subject=real_path(image) if image else "host",
            evidence=(
                Proof(
                    real_path(image) if image else "facts:initramfs",
                    value=f"{len(modules)} modules, none of these",
                ),
                Proof("/sys/class/block", value=" ".join((*each["devices"], *each["modules"]))),
            ),
            fix=tuple(steps.rebuild(case)),
        )


@rule("kdump-conf-invalid", needs=("kdump",), shows="no-dump")
def conf_invalid(case: Case) -> Iterator[Finding]:
    """kdumpctl refuses /etc/kdump.conf, or a file that the configuration names is not there.

    Unknown and obsolete directives, directives without a value or given twice, more than one target,
    an action that does not exist, ``force_rebuild`` with ``force_no_rebuild``; a script, a program or an
    ssh key that is missing. Silent while a capture kernel is loaded that is newer than the
    configuration: then kdumpctl has accepted it.
    """
    if in_container(case) or _accepted(case):
        return
    problems = [*_problems(case), *_not_there(case)]
    if not problems:
        return
    problem, first = problems[0]
    yield Finding(
        "kdump-conf-invalid",
        Severity.WARNING if loaded(case) else Severity.CRITICAL,
        f"kdump cannot work as it is configured: {problem}",
        "kdumpctl refuses it, and loads nothing when it is started next."
        if family(case) == "rhel"
        else "The capture kernel cannot save what it should.",
        subject=first.path,
        evidence=tuple(proof for _, proof in problems),
        fix=(f"Correct {first.path}" + (f", line {first.line}." if first.line else "."), *steps.reload(case)),
    )


def _accepted(case: Case) -> bool:
    image = capture_image(case, "initramfs")
    times = [each["mtime"] for each in case.facts["kdump"]["files"] if each["path"] == CONF]
    made = image["mtime"] if image else None
    return bool(loaded(case) and made and times and None not in times and max(times) <= made)


def _not_there(case: Case) -> Iterator[tuple[str, Proof]]:
    for each in case.facts["kdump"].get("named_files") or ():
        if each["exists"] is False:
            said = f"{each['setting'] or 'the default key'} {each['path']}"
            yield f"{each['path']} is not there", Proof(each["file"] or CONF, line=each["line"], excerpt=said)


def _problems(case: Case) -> Iterator[tuple[str, Proof]]:
    """Yield what kdumpctl says no to, in the order of the file. Source: check_config() of kdumpctl."""
    seen: set[str] = set()
    values: dict[str, str] = {}
    for path, entry in entries(case, "directives"):
        name, value = str(entry["name"]), str(entry["value"])
        said = f"{name} {value}".strip()

        def told(
            problem: str, path: str = path, line: int = entry["line"], said: str = said
        ) -> tuple[str, Proof]:
            return problem, Proof(path, line=line, excerpt=f"{said} ({problem})")

        other = {"force_rebuild": "force_no_rebuild", "force_no_rebuild": "force_rebuild"}.get(name)
        kind = "target" if name in TARGETS or (name == "dracut_args" and "--mount" in value) else name
        if entry["status"] == "unknown":
            yield told(f"Invalid kdump config option {name}")
        elif entry["status"] == "obsolete":
            yield told(f"Deprecated kdump config option: {name}")
        elif not value:
            yield told(f"Invalid kdump config value for option '{name}'")
        elif kind in seen:
            yield told(
                "More than one dump targets specified" if kind == "target" else f"{name} is given twice"
            )
        elif name in ACTIONS and value not in ACTIONS[name]:
            yield told(f"{name}: expected one of {', '.join(ACTIONS[name])}")
        elif name == "dracut_args" and len(re.findall(r"--mount\b", value)) > 1:
            yield told("Multiple mount targets specified in one dracut_args")
        elif other and value == "1" == values.get(other):
            yield told("force_rebuild and force_no_rebuild are enabled simultaneously")
        seen.add(kind)
        values[name] = value


@rule("kdump-core-collector", needs=("kdump",), shows="no-dump")
def core_collector_wrong(case: Case) -> Iterator[Finding]:
    """The program that writes the dump will fail, or write far more than needed.

    Critical: an option that makedumpfile does not know (it prints its usage, and Debian's kdump keeps
    that as the dump), or a raw or ssh target of kdump.conf without ``-F``. A warning: another program or
    no dump level, so that all of memory is written; a compression that the distribution's makedumpfile
    was built without, which it then leaves out.
    """
    collector = core_collector(case)
    if in_container(case) or collector is None or fadump(case):
        return
    severity, title, why = Severity.WARNING, "", ""
    kinds = {each["type"] for each in case.facts["kdump"]["targets"] or ()}
    unbuilt = _not_built_in(case)
    if collector.unknown:
        severity = Severity.CRITICAL
        title = f"makedumpfile does not know {' '.join(collector.unknown)}"
        why = "It prints its usage and saves nothing; kdump-tools even keeps that text as the dump."
    elif family(case) == "rhel" and kinds & {"raw", "ssh"} and not collector.flattened:
        if collector.program != "makedumpfile" or not setting(case, "core_collector"):
            return  # the default for such a target has -F
        severity = Severity.CRITICAL
        title = 'The dump target needs makedumpfile with "-F"'
        why = "A stream cannot be written to out of order: kdump refuses to start."
    elif not collector.filters:
        title = f"The dump will hold all of memory: {collector.program or 'nothing'} leaves no page out"
        why = "It takes as much room as the machine has memory, and as long as that takes to write."
    elif collector.compression in unbuilt:
        title = f"This makedumpfile was built without {collector.compression}"
        why = "It says so on the console only, and writes the dump uncompressed: several times as large."
    else:
        return
    name = {"debian": "MAKEDUMP_ARGS", "suse": "KDUMP_DUMPLEVEL"}.get(family(case) or "", "core_collector")
    where = {"debian": KDUMP_TOOLS, "suse": "/etc/sysconfig/kdump"}.get(family(case) or "", CONF)
    usual = {"debian": 'MAKEDUMP_ARGS="-c -d 31"', "suse": 'KDUMP_DUMPLEVEL="31"'}
    yield Finding(
        "kdump-core-collector",
        severity,
        title,
        why,
        evidence=(Proof(where, excerpt=f"{name} {setting(case, name) or ''}".strip()),),
        fix=(
            f"Set {usual.get(family(case) or '', 'core_collector ' + COLLECTORS['rhel'])} in {where}.",
            *steps.reload(case),
        ),
    )


def _not_built_in(case: Case) -> tuple[str, ...]:
    """Return the compressions that the distribution's own makedumpfile lacks: makedumpfile -v of each."""
    about = host(case).get("distribution") or {}
    if about.get("id") != "debian":
        return ()
    number = str(about.get("version_id") or "")
    return ("snappy", "zstd") if number.isdigit() and int(number) <= 12 else ("snappy",)


@rule("kdump-collector-old", needs=("kdump",), shows="no-dump")
def collector_old(case: Case) -> Iterator[Finding]:
    """makedumpfile is older than the kernel: it says so, and the dump may lack pages or hold too many.

    Mostly harmless. Before 1.7.7 it cannot tell free pages of 6.12 and later, so that a dump holds them.
    """
    found = outdated_collector(case)
    if in_container(case) or found is None or not wanted(case):
        return
    version, latest = found
    free = keeps_free_pages(case)
    yield Finding(
        "kdump-collector-old",
        Severity.INFO,
        f"makedumpfile {version} does not know this kernel",
        "It says 'The kernel version is not supported' in the capture kernel."
        + (" It takes free memory for used memory: dumps are far larger." if free else ""),
        evidence=(
            Proof("facts:kdump", value=f"makedumpfile {version}", threshold=f"one for {release(case)}"),
            Proof("facts:kdump", value=f"it knows kernels up to {latest[0]}.{latest[1]} at most"),
        ),
        fix=("Take makedumpfile of a newer release, such as backports.", "Test it with a crash."),
    )


@rule("kdump-capture-cmdline", needs=("kdump",), shows="no-dump")
def capture_cmdline(case: Case) -> Iterator[Finding]:
    """The capture kernel is started without ``root=``, and Debian's needs it to reach its own system."""
    if in_container(case) or family(case) != "debian":
        return
    given = setting(case, "KDUMP_CMDLINE")
    command = case.facts["kdump"]["kexec_command"]
    proofs = []
    if given and not re.search(r"(?:^|\s)root=", given):
        proofs.append(Proof(KDUMP_TOOLS, excerpt=f"KDUMP_CMDLINE={given}", threshold="root=..."))
    if command and not re.search(r"[\s\"']root=", command):
        proofs.append(Proof("/var/crash/kexec_cmd", excerpt=command, threshold="root=..."))
    if not proofs or (not given and not loaded(case)):
        return
    yield Finding(
        "kdump-capture-cmdline",
        Severity.CRITICAL,
        "The crash kernel is started without root=",
        "It gives up waiting for its root filesystem, and no dump is written.",
        evidence=tuple(proofs),
        fix=(
            "Leave KDUMP_CMDLINE empty: what is to be added goes into KDUMP_CMDLINE_APPEND.",
            *steps.reload(case),
        ),
    )


@rule("kdump-capture-hangs", needs=("kdump",), shows="no-dump")
def capture_hangs(case: Case) -> Iterator[Finding]:
    """A crash of the capture kernel itself leaves the machine hanging: it has no ``panic=``.

    Red Hat appends ``panic=10`` by default, Debian nothing.
    """
    kind = family(case)
    if in_container(case) or not loaded(case) or fadump(case) or kind not in ("debian", "rhel"):
        return
    command = case.facts["kdump"]["kexec_command"]
    name, where = ("KDUMP_CMDLINE_APPEND", KDUMP_TOOLS)
    if kind == "rhel":
        name, where = ("KDUMP_COMMANDLINE_APPEND", "/etc/sysconfig/kdump")
        command = setting(case, name)
    if not command or re.search(r"(?:^|[\s\"'])panic=-?[1-9]", command):
        return
    yield Finding(
        "kdump-capture-hangs",
        Severity.INFO,
        "If the crash kernel crashes too, the machine hangs",
        "It is started without panic=, and then waits for somebody to reset it.",
        evidence=(
            Proof(
                "/var/crash/kexec_cmd" if kind == "debian" else where, excerpt=command, threshold="panic=..."
            ),
        ),
        fix=(f"Add panic=10 to {name} in {where}.", *steps.reload(case)),
    )


@rule("kdump-not-reloaded", needs=("kdump",), shows="no-dump")
def not_reloaded(case: Case) -> Iterator[Finding]:
    """Nothing tells the loaded capture kernel of memory and processors that come or go.

    Kernels from 6.6 on can do that themselves; else a rule of udev loads it anew. Without either a dump
    after such a change lacks memory or a processor's state.
    """
    facts = case.facts["kdump"]
    hotplug = facts["kexec"]["crash_hotplug"]
    if in_container(case) or not loaded(case) or fadump(case) or facts["udev_rules"] != []:
        return
    if hotplug["cpu"] and hotplug["memory"]:
        return
    yield Finding(
        "kdump-not-reloaded",
        Severity.INFO,
        "After memory or processors were added, a dump would lack them",
        "No rule of udev loads the crash kernel anew, and the running kernel does not keep it up to date.",
        evidence=(
            Proof("/usr/lib/udev/rules.d", value="no rule of kdump or kexec"),
            Proof("/sys/devices/system/cpu/crash_hotplug", value=hotplug["cpu"], threshold=True),
        ),
        fix=(f"After such a change: $ systemctl restart {steps.service(case)}",),
    )
