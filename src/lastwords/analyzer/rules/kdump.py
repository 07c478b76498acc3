"""Would the next kernel crash be caught? Memory for the capture kernel, and that kernel in it."""

from __future__ import annotations

from collections.abc import Iterator

from lastwords.analyzer.kdump import steps
from lastwords.analyzer.kdump.estimate import EARLY, RUNTIME, capture_need, memory_of, mib
from lastwords.analyzer.kdump.setup import (
    SERVICES,
    asked,
    capture_image,
    debug_kernel,
    distribution_default,
    evaluated,
    fadump,
    family,
    granted,
    host,
    in_container,
    loaded,
    locked_down,
    made_on_load,
    reserved,
    setting,
    units,
    wanted,
)
from lastwords.formats.kdump.crashkernel import Asked
from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

LOADED = "/sys/kernel/kexec_crash_loaded"
REGISTERED = "/sys/kernel/fadump/registered"
SIZE = "/sys/kernel/kexec_crash_size"
CMDLINE = "/proc/cmdline"
FOUR_GIB = 1 << 32
PACKAGES_OF = {"kexec": {"kexec-tools"}, "makedumpfile": {"makedumpfile", "kexec-tools"}}
"""Packages that bring a program; Red Hat's kexec-tools brought makedumpfile, too."""


@rule("kdump-no-crashkernel", needs=("kdump",), shows="no-dump")
def no_crashkernel(case: Case) -> Iterator[Finding]:
    """No memory is reserved for a capture kernel, so the next kernel crash leaves no dump.

    The reservation is made at boot, by ``crashkernel=`` on the kernel command line; nothing can be
    reserved later. Says why there is none: never asked for, in the boot loader's files but not in the
    command line of this boot, no range for this machine's memory, a mistake in the parameter, ``auto`` on
    a kernel that does not know it, a fixed address that is in use, no free area of that size. Critical
    when kdump is enabled on the host, since somebody relies on it; a warning when it was never set up.
    Silent in containers.
    """
    if in_container(case) or reserved(case) != 0:
        return
    facts = case.facts["kdump"]
    size = facts["kexec"]["crash_size"]
    booted = facts["crashkernel"]["booted"] or []
    why, proofs, fix = _why_nothing(case, asked(case))
    yield Finding(
        "kdump-no-crashkernel",
        Severity.CRITICAL if wanted(case) else Severity.WARNING,
        "No memory is reserved for a crash kernel",
        "The next kernel crash leaves no dump: " + why,
        evidence=(
            Proof(SIZE, value="not there" if size is None else size, threshold="more than 0"),
            Proof(CMDLINE, value=" ".join(booted) or "no crashkernel=", threshold="crashkernel=..."),
            *proofs,
        ),
        fix=(*fix, steps.REBOOT),
    )


def _why_nothing(case: Case, made: Asked | None) -> tuple[str, list[Proof], list[str]]:
    """Return why nothing is reserved, its proofs, and what to do before the reboot."""
    configured = case.facts["kdump"]["crashkernel"]["configured"] or []
    if made is None or (made.parameter is None and made.problem is None):
        if configured:
            first = configured[0]
            place = Proof(first["path"], line=first["line"], excerpt=first["parameter"])
            in_loader = any("/boot" in each["path"] for each in configured)
            why = f"{first['parameter']} stands in {first['path']}, but this boot was without it."
            return why, [place], [] if in_loader else steps.reserve(case)[-1:]
        return "the kernel command line has no crashkernel=.", [], [steps.install(case), *steps.reserve(case)]
    look = "See the kernel log of this boot for 'crashkernel': it says why."
    told = f"the kernel was booted with {made.parameter or ' '.join(made.ignored)}, but reserved nothing"
    if made.parameter == "crashkernel=auto" and made.problem:
        why = f"{told}: auto means nothing to this kernel, only to Red Hat's of the releases 6 to 8."
    elif made.problem == "crashkernel size resulted in zero bytes":
        why = f"{told}: none of its ranges is for a machine of {memory_of(case)}."
    elif made.problem:
        why = f"{told}: {made.problem}."
    elif made.base:
        why = f"{told}: the fixed address {made.base:#x} is in use, and no other is tried."
    elif made.size:
        why = f"{told}: it found no free area of {mib(made.size)}."
    else:
        why = f"{told}."
    return why, [], [look, *steps.reserve(case, None if made.problem else steps.parameter(case))]


@rule("kdump-crashkernel-repeated", needs=("kdump",), shows="no-dump")
def crashkernel_repeated(case: Case) -> Iterator[Finding]:
    """Several ``crashkernel=`` parameters stand on the command line and not all of them count.

    The last one without a suffix wins; next to it ``,high`` and ``,low`` mean nothing.
    """
    made = asked(case)
    if in_container(case) or made is None or not made.ignored or made.parameter is None:
        return
    lost = [each for each in made.ignored if each != made.parameter]
    if not lost:
        return
    yield Finding(
        "kdump-crashkernel-repeated",
        Severity.INFO,
        f"Of several crashkernel= only {made.parameter} counts",
        "The last one without a suffix wins. Whoever changes one of the others changes nothing.",
        evidence=(
            *(Proof(CMDLINE, excerpt=f"{each} (does not count)") for each in lost),
            Proof(SIZE, value=case.facts["kdump"]["kexec"]["crash_size"], threshold=made.size),
        ),
        fix=("Leave one of them on the kernel command line.",),
    )


@rule("kdump-next-boot-differs", needs=("kdump",), shows="no-dump")
def next_boot_differs(case: Case) -> Iterator[Finding]:
    """The boot loader's files would reserve something else at the next boot, or nothing at all.

    Only the files that a boot reads itself are compared: loader entries, grubenv and grub.cfg. When
    these cannot be read, or kernels are booted without a boot loader of their own, nothing is said.
    """
    facts = case.facts["kdump"]
    booted, configured = facts["crashkernel"]["booted"], facts["crashkernel"]["configured"]
    if in_container(case) or not booted or not reserved(case) or configured is None:
        return
    read = [each for each in configured if each["path"].startswith("/boot/")]
    others = [each for each in read if each["parameter"] not in booted]
    if not others or len(others) < len(read):
        return
    first = (others[0]["path"], others[0]["line"])
    made = evaluated(case, [each["parameter"] for each in read if (each["path"], each["line"]) == first])
    yield Finding(
        "kdump-next-boot-differs",
        Severity.WARNING if made.size == 0 else Severity.INFO,
        "The next boot reserves another amount of memory for a crash kernel",
        "The boot loader's files were changed after this boot"
        + (f", and the kernel will reserve nothing: {made.problem}." if made.problem else "."),
        evidence=(
            Proof(CMDLINE, value=" ".join(booted)),
            *(Proof(each["path"], line=each["line"], excerpt=each["parameter"]) for each in others[:3]),
        ),
        fix=("Reboot when it suits, and test that kdump still works then.",)
        if made.size != 0
        else (*steps.reserve(case), steps.REBOOT),
    )


@rule("kdump-crashkernel-small", needs=("kdump",), shows="no-dump")
def crashkernel_small(case: Case) -> Iterator[Finding]:
    """The reserved memory is too small: the capture kernel runs out of it and saves nothing.

    It takes the code and data of the kernel, its initramfs image and what is unpacked from it, 16 MiB that
    a kernel sets aside early, and 16 MiB for its programs. Critical when that is not there, unless it is
    what the distribution reserves and kernel and initramfs alone would fit: then a warning. A warning, too,
    when it is less than half of what the distribution reserves on a machine of this size, or less than
    twice that with a debugging kernel; a note when it is less than that.
    """
    size = granted(case)
    if in_container(case) or not size or fadump(case):
        return
    need = capture_need(case)
    default = distribution_default(case)
    usual = (default[1] or 0) if default else 0
    proofs = [Proof(SIZE, value=size, threshold=f"{usual} or more" if usual else None)]
    if need and size < need.total:
        trusted = 0 < usual <= size and need.least <= size
        severity = Severity.WARNING if trusted else Severity.CRITICAL
        why = (
            f"Kernel {mib(need.kernel)}, initramfs {mib(need.initramfs)}, {mib(EARLY)} set aside early and "
            f"{mib(RUNTIME)} to run in make {mib(need.total)}: the capture kernel runs out of memory."
        )
        proofs.append(Proof("facts:kdump", value=f"the capture kernel takes {mib(need.total)}"))
    elif debug_kernel(case) and size < 2 * usual:
        severity = Severity.WARNING
        why = "The capture kernel is a debugging build, which takes far more than an ordinary one."
    elif size < usual:
        severity = Severity.WARNING if size < usual // 2 else Severity.INFO
        why = (
            f"With {memory_of(case)} the distribution reserves {mib(usual)}; drivers may take the difference."
        )
    else:
        return
    if default:
        proofs.append(Proof(default[0].source, excerpt=f"crashkernel={default[0].parameter}"))
    enough = max(need.total * 5 // 4 if need else 0, 2 * usual if debug_kernel(case) else usual)
    value = None if enough <= usual else f"{-(-enough // (64 << 20)) * 64}M"
    yield Finding(
        "kdump-crashkernel-small",
        severity,
        f"{mib(size)} may be too little for the crash kernel"
        if severity is not Severity.CRITICAL
        else f"{mib(size)} are too little for the crash kernel",
        why,
        evidence=tuple(proofs),
        fix=(*steps.reserve(case, value), steps.REBOOT),
    )


@rule("kdump-no-low-memory", needs=("kdump",), shows="no-dump")
def no_low_memory(case: Case) -> Iterator[Finding]:
    """All of the reserved memory lies above 4 GiB: drivers of the capture kernel find none for DMA.

    Devices that address 32 bits only, and the bounce buffers of others, need memory below. The kernel
    reserves some by itself next to ``crashkernel=X,high`` unless ``crashkernel=0,low`` forbids it.
    """
    ranges = case.facts["kdump"]["kexec"]["reservations"]
    machine = host(case).get("architecture")
    if in_container(case) or not ranges or machine not in ("x86_64", "aarch64"):
        return
    if any(each["start"] < FOUR_GIB for each in ranges):
        return
    yield Finding(
        "kdump-no-low-memory",
        Severity.WARNING,
        "The crash kernel has no memory below 4 GiB",
        "Drivers that need it for DMA fail in the capture kernel, often that of the disk the dump goes to.",
        evidence=tuple(
            Proof("/proc/iomem", excerpt=f"{each['start']:x}-{each['end']:x} : Crash kernel")
            for each in ranges
        ),
        fix=("Add crashkernel=256M,low next to the one with ,high.", steps.REBOOT),
    )


@rule("kdump-kernel-unable", needs=("kdump",), shows="no-dump")
def kernel_unable(case: Case) -> Iterator[Finding]:
    """The kernel was built without what kdump needs: loading a capture kernel, or being one.

    Critical where kdump is enabled, a note elsewhere.
    """
    if in_container(case):
        return
    options = ((case.facts.get("kernel") or {}).get("config") or {}).get("options")
    source = ((case.facts.get("kernel") or {}).get("config") or {}).get("source")
    missing = []
    if options:
        if "y" not in (options.get("KEXEC"), options.get("KEXEC_FILE")):
            missing.append("CONFIG_KEXEC")
        missing += [f"CONFIG_{name}" for name in ("CRASH_DUMP", "PROC_VMCORE") if options.get(name) != "y"]
    if case.facts["kdump"]["kexec"]["supported"] is False:
        proofs = [Proof(LOADED, value="not there")]
    elif missing and not loaded(case):
        proofs = []
    else:
        return
    yield Finding(
        "kdump-kernel-unable",
        Severity.CRITICAL if wanted(case) else Severity.INFO,
        "This kernel was built without kdump",
        "It can neither load a capture kernel nor be one, whatever is configured.",
        evidence=(
            *proofs,
            *(Proof(source or "facts:kernel", excerpt=f"{name} is not set") for name in missing),
        ),
        fix=("Boot a kernel with CONFIG_KEXEC, CONFIG_CRASH_DUMP and CONFIG_PROC_VMCORE.",),
    )


@rule("kdump-not-loaded", needs=("kdump",), shows="no-dump")
def not_loaded(case: Case) -> Iterator[Finding]:
    """Memory is reserved, but no capture kernel is loaded into it: the next crash just reboots or hangs.

    The kdump service loads it at boot. Says what stands against it as far as the facts show: loading
    forbidden until the next boot (``kernel.kexec_load_disabled``), lockdown that takes signed kernels
    only, kdump switched off in its configuration, the service disabled, masked or skipped. With
    firmware-assisted dump: it was not registered. Silent when nothing is reserved: that is
    ``kdump-no-crashkernel``.
    """
    if in_container(case) or loaded(case) is not False or not reserved(case):
        return
    unit = steps.service(case)
    proofs = [
        Proof(REGISTERED if fadump(case) else LOADED, value=0, threshold=1),
        Proof(SIZE, value=reserved(case)),
    ]
    fix: list[str] = []
    for proof, step in _against_loading(case):
        proofs.append(proof)
        fix += [step] if step else []
    fix += [f"$ systemctl status {unit}", f"$ systemctl enable --now {unit}", f"$ cat {LOADED}"]
    yield Finding(
        "kdump-not-loaded",
        Severity.CRITICAL,
        "Memory is reserved for firmware-assisted dump, but it is not registered"
        if fadump(case)
        else "Memory is reserved for a crash kernel, but none is loaded",
        "The reserved memory is lost to the system and the next crash still leaves no dump.",
        evidence=tuple(proofs),
        fix=tuple(fix),
    )


def _against_loading(case: Case) -> Iterator[tuple[Proof, str]]:
    """Yield what keeps the capture kernel from being loaded, and what to do about each."""
    kexec = case.facts["kdump"]["kexec"]
    if kexec["load_disabled"]:
        proof = Proof("/proc/sys/kernel/kexec_load_disabled", value=1, threshold=0)
        yield proof, "Reboot: kexec_load_disabled cannot be taken back. Let kdump load before it is set."
    if kexec["load_limit_panic"] == 0:
        yield Proof("/proc/sys/kernel/kexec_load_limit_panic", value=0), "Reboot: the limit cannot be raised."
    lock = locked_down(case)
    arguments = f"{setting(case, 'KEXEC_ARGS') or ''} {setting(case, 'KDUMP_KEXEC_ARGS') or ''}".split()
    if lock:
        step = "Load a kernel that the firmware's or the machine owner's keys have signed."
        if "-s" not in arguments and "-a" not in arguments:
            step = "Have kexec use the call that checks signatures: -s in KEXEC_ARGS or KDUMP_KEXEC_ARGS."
        yield Proof("/sys/kernel/security/lockdown", value=lock, threshold="signed kernels only"), step
    if family(case) == "debian" and setting(case, "USE_KDUMP") == "0":
        yield Proof("/etc/default/kdump-tools", excerpt="USE_KDUMP=0"), "Set USE_KDUMP=1."
    for each in units(case):
        if each["unit"] not in SERVICES.get(family(case) or "", ()):
            continue
        if each.get("masked"):
            yield (
                Proof(each.get("path") or each["unit"], value="masked"),
                f"$ systemctl unmask {each['unit']}",
            )
        elif each.get("wanted_by") == []:
            yield Proof(each.get("path") or each["unit"], value="not enabled"), ""
        elif each.get("result") == "exec-condition" or each.get("condition_result") is False:
            yield (
                Proof(f"$ systemctl status {each['unit']}", value="skipped: its conditions did not hold"),
                "",
            )


@rule("kdump-service-failed", needs=("kdump",), shows="no-dump")
def service_failed(case: Case) -> Iterator[Finding]:
    """The service that loads the capture kernel has failed."""
    for unit in units(case):
        if unit.get("active_state") == "failed":
            yield Finding(
                "kdump-service-failed",
                Severity.CRITICAL,
                f"{unit['unit']} has failed",
                "It loads the capture kernel; without it no crash is caught.",
                subject=unit["unit"],
                evidence=(
                    Proof(
                        f"$ systemctl status {unit['unit']}",
                        value=f"failed, result {unit.get('result')}, exit code {unit.get('exit_code')}",
                        threshold="active",
                    ),
                ),
                fix=(f"$ journalctl -b -u {unit['unit']}", f"$ systemctl restart {unit['unit']}"),
            )


@rule("kdump-not-enabled", needs=("kdump",), shows="no-dump")
def not_enabled(case: Case) -> Iterator[Finding]:
    """A capture kernel is loaded now, but nothing will load one at the next boot.

    Somebody loaded it by hand: the service is disabled or masked, or kdump-tools is switched off.
    """
    names = SERVICES.get(family(case) or "", ())
    ours = [each for each in units(case) if each["unit"] in names and each.get("installed") is not False]
    if in_container(case) or not loaded(case) or not ours:
        return
    states = [(each.get("masked"), each.get("wanted_by"), each.get("unit_file_state")) for each in ours]
    enabled = any(
        not masked and (wants or wants is None or state in ("enabled", "static", "enabled-runtime"))
        for masked, wants, state in states
    )
    off = family(case) == "debian" and setting(case, "USE_KDUMP") == "0"
    if enabled and not off:
        return
    yield Finding(
        "kdump-not-enabled",
        Severity.WARNING,
        "After the next boot no crash kernel will be loaded",
        "One is loaded now, but the service that loads it at boot is not enabled.",
        evidence=(
            *(Proof(each.get("path") or each["unit"], value="not enabled") for each in ours),
            *((Proof("/etc/default/kdump-tools", excerpt="USE_KDUMP=0"),) if off else ()),
        ),
        fix=(*(("Set USE_KDUMP=1 in /etc/default/kdump-tools.",) if off else ()),
             f"$ systemctl enable {names[0]}"),
    )  # fmt: skip


@rule("kdump-tools-missing", needs=("kdump",), shows="no-dump")
def tools_missing(case: Case) -> Iterator[Finding]:
    """kdump is enabled, but a program that it cannot do without is not installed: kexec or makedumpfile.

    Silent where the package manager says that it is: then only its file was not copied.
    """
    if in_container(case) or not wanted(case) or fadump(case):
        return
    needed = ("makedumpfile",) if loaded(case) else ("kexec", "makedumpfile")
    programs = case.facts["kdump"].get("programs") or ()
    missing = [each["name"] for each in programs if each["name"] in needed and each["installed"] is False]
    packages = {each["name"] for each in case.facts["kdump"].get("packages") or ()}
    missing = [name for name in missing if not packages & PACKAGES_OF[name]]
    if not missing:
        return
    yield Finding(
        "kdump-tools-missing",
        Severity.CRITICAL,
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
        "kexec loads the capture kernel, makedumpfile writes the dump.",
        evidence=tuple(Proof(f"/usr/sbin/{name}", value="not there") for name in missing),
        fix=(steps.install(case),),
    )


@rule("kdump-image-missing", needs=("kdump",), shows="no-dump")
def image_missing(case: Case) -> Iterator[Finding]:
    """The capture kernel or its initramfs is not where the tools look for it.

    Critical while none is loaded; a warning when one is, since it lives in memory until the next boot.
    Silent where kdump makes them when it loads them: below /var/lib/kdump on Debian.
    """
    if in_container(case) or not wanted(case):
        return
    for role in ("kernel", "initramfs"):
        image = capture_image(case, role)
        if image is None or image["exists"] is not False or made_on_load(case, image):
            continue
        yield Finding(
            "kdump-image-missing",
            Severity.WARNING if loaded(case) else Severity.CRITICAL,
            f"The crash kernel's {'image' if role == 'kernel' else 'initramfs'} {image['path']} is missing",
            "Without it nothing can be loaded"
            + (" after the next boot." if loaded(case) else ", and no crash is caught."),
            subject=image["path"],
            evidence=(
                Proof(
                    image["path"],
                    value=f"missing, points to {image['target']}" if image["target"] else "missing",
                ),
            ),
            fix=tuple(steps.rebuild(case))
            if image["origin"] == "default" or role == "initramfs"
            else (
                f"Correct the path in the configuration: {image['path']} is not there.",
                *steps.reload(case),
            ),
        )
