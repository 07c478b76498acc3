"""Would the next kernel crash be caught? First rules; a full verdict weighs every part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from lastwords.hookspecs import rule
from lastwords.model import Case, Finding, Proof, Severity

LOADED = "/sys/kernel/kexec_crash_loaded"
SIZE = "/sys/kernel/kexec_crash_size"
ROOM_SHARE = 20
"""A dump without user pages (makedumpfile -d 31) is rarely more than a twentieth of memory."""
SERVICES = {"rhel": "kdump.service", "suse": "kdump.service", "debian": "kdump-tools.service"}
PACKAGES = {
    "debian": "apt-get install kdump-tools",
    "rhel": "dnf install kexec-tools",
    "suse": "zypper install kdump kexec-tools",
}


def family(case: Case) -> Optional[str]:
    """Return which kdump set-up the host has or would have: rhel, debian, suse; None when not known."""
    configured = case.facts["kdump"].get("family")
    if configured:
        return str(configured)
    distribution = (case.facts.get("host") or {}).get("distribution") or {}
    words = f"{distribution.get('id')} {distribution.get('id_like')}".split()
    for name, marks in (
        ("rhel", ("rhel", "fedora", "centos")),
        ("debian", ("debian", "ubuntu")),
        ("suse", ("suse", "sles", "opensuse")),
    ):
        if set(marks) & set(words):
            return name
    return None


def in_container(case: Case) -> bool:
    """Return whether the case is a container: its kernel is another machine's business."""
    return bool(((case.facts.get("host") or {}).get("container") or {}).get("kind"))


def reserved(case: Case) -> Optional[int]:
    """Return the bytes reserved for a capture kernel, or None when not known."""
    size = case.facts["kdump"]["kexec"]["crash_size"]
    if size is None and case.facts["kdump"]["crashkernel"]["booted"] == []:
        return 0
    return int(size) if size is not None else None


def wanted(case: Case) -> bool:
    """Return whether somebody set kdump up here: its service is enabled or was started."""
    return any(unit.get("wanted_by") or unit.get("active_state") == "failed" for unit in _units(case))


def _units(case: Case) -> list[dict[str, Any]]:
    return case.facts["kdump"].get("units") or []


@rule("kdump-no-crashkernel", needs=("kdump",))
def no_crashkernel(case: Case) -> Iterator[Finding]:
    """No memory is reserved for a capture kernel, so the next kernel crash leaves no dump.

    The reservation is made at boot, by ``crashkernel=`` on the kernel command line; nothing can be
    reserved later. Critical when kdump is enabled on the host, since somebody relies on it; a warning when
    it was never set up. Silent in containers.
    """
    if in_container(case) or reserved(case) != 0:
        return
    facts = case.facts["kdump"]
    size = facts["kexec"]["crash_size"]
    booted = facts["crashkernel"]["booted"] or []
    asked = f"the kernel was booted with {booted[-1]}, but reserved nothing" if booted else ""
    tool = PACKAGES.get(family(case) or "", "the kdump package of the distribution")
    reboot = "Reboot: memory can be reserved at boot only."
    if family(case) == "rhel":
        steps = [f"$ {tool}", "$ kdumpctl reset-crashkernel --kernel=ALL", "$ systemctl enable kdump", reboot]
    elif family(case) == "debian":
        steps = [f"$ {tool}", "$ update-grub", reboot]
    else:
        steps = [f"Install kdump: {tool}", "Add crashkernel=256M to the kernel command line.", reboot]
    if booted:
        steps = ["See the kernel log of this boot for 'crashkernel' to learn why it was refused.", *steps[1:]]
    yield Finding(
        "kdump-no-crashkernel",
        Severity.CRITICAL if wanted(case) else Severity.WARNING,
        "No memory is reserved for a crash kernel",
        "The next kernel crash leaves no dump: " + (asked or "the kernel command line has no crashkernel=."),
        evidence=(
            Proof(SIZE, value="not there" if size is None else size, threshold="more than 0"),
            Proof("/proc/cmdline", value=" ".join(booted) or "no crashkernel=", threshold="crashkernel=..."),
        ),
        fix=tuple(steps),
    )


@rule("kdump-not-loaded", needs=("kdump",))
def not_loaded(case: Case) -> Iterator[Finding]:
    """Memory is reserved, but no capture kernel is loaded into it: the next crash just reboots or hangs.

    The kdump service loads it at boot; it may be disabled, have failed, or loading may be forbidden.
    Silent when nothing is reserved: that is ``kdump-no-crashkernel``.
    """
    facts = case.facts["kdump"]
    if in_container(case) or facts["kexec"]["crash_loaded"] is not False or not reserved(case):
        return
    service = SERVICES.get(family(case) or "", "kdump.service")
    proofs = [Proof(LOADED, value=0, threshold=1), Proof(SIZE, value=reserved(case))]
    steps = [f"$ systemctl status {service}", f"$ systemctl enable --now {service}", f"$ cat {LOADED}"]
    if facts["kexec"]["load_disabled"]:
        proofs.append(Proof("/proc/sys/kernel/kexec_load_disabled", value=1, threshold=0))
        steps = ["Reboot: kexec_load_disabled cannot be taken back.", *steps]
    yield Finding(
        "kdump-not-loaded",
        Severity.CRITICAL,
        "Memory is reserved for a crash kernel, but none is loaded",
        "The reserved memory is lost to the system and the next crash still leaves no dump.",
        evidence=tuple(proofs),
        fix=tuple(steps),
    )


@rule("kdump-service-failed", needs=("kdump",))
def service_failed(case: Case) -> Iterator[Finding]:
    """The service that loads the capture kernel has failed."""
    for unit in _units(case):
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


@rule("dump-target-full", needs=("crash_dumps",))
def target_full(case: Case) -> Iterator[Finding]:
    """The filesystem that dumps go to has too little room for one.

    Held against a twentieth of memory, which a dump of kernel pages rarely exceeds, and against nothing
    less than 64 MiB. Critical below a quarter of that. A target that cannot be measured (a remote one, an
    unmounted disk) is not judged.
    """
    memory = (case.facts.get("host") or {}).get("memory_total")
    needed = max((memory or 0) // ROOM_SHARE, 64 << 20)
    places = case.facts["crash_dumps"]["places"] or []
    configured = [place for place in places if place["origin"] == "configured"]
    for place in configured or [place for place in places if place["origin"] == "default"]:
        available = place["available"]
        if available is None or available >= needed or in_container(case):
            continue
        where = place["mountpoint"] or place["path"]
        yield Finding(
            "dump-target-full",
            Severity.CRITICAL if available < needed // 4 else Severity.WARNING,
            f"Too little room for a crash dump in {place['path']}",
            "The dump would be cut, and a cut dump can rarely be read.",
            subject=place["path"],
            evidence=(
                Proof(f"usage of {where}", value=f"{available} bytes free", threshold=f"{needed} or more"),
            ),
            fix=(
                f"$ du -xsh {place['path']}/*",
                "Move dumps that were looked at elsewhere, or give kdump another target.",
            ),
        )


@rule("panic-hangs", needs=("kernel", "kdump"))
def panic_hangs(case: Case) -> Iterator[Finding]:
    """``kernel.panic`` is 0 and nothing catches a crash: after a panic the machine stays down.

    With a capture kernel loaded the sysctl does not matter.
    """
    value = (case.facts["kernel"].get("sysctls") or {}).get("kernel.panic")
    loaded = case.facts["kdump"]["kexec"]["crash_loaded"]
    if value == 0 and loaded is False and not in_container(case):
        yield Finding(
            "panic-hangs",
            Severity.INFO,
            "After a panic this machine stays down until somebody resets it",
            "kernel.panic is 0, and no capture kernel would take over.",
            evidence=(Proof("/proc/sys/kernel/panic", value=0, threshold="seconds until reboot"),),
            fix=(
                "$ echo kernel.panic = 10 > /etc/sysctl.d/90-panic.conf",
                "$ sysctl -p /etc/sysctl.d/90-panic.conf",
            ),
        )


@rule("oops-not-caught", needs=("kernel", "kdump"))
def oops_not_caught(case: Case) -> Iterator[Finding]:
    """A capture kernel is loaded, but an oops does not panic, so kdump does not see it.

    The process that hit it is killed and the kernel goes on with whatever locks that held.
    """
    value = (case.facts["kernel"].get("sysctls") or {}).get("kernel.panic_on_oops")
    if value == 0 and case.facts["kdump"]["kexec"]["crash_loaded"]:
        yield Finding(
            "oops-not-caught",
            Severity.INFO,
            "An oops would not be dumped: kernel.panic_on_oops is 0",
            "kdump acts on a panic; most kernel bugs are an oops first, and a hang later.",
            evidence=(Proof("/proc/sys/kernel/panic_on_oops", value=0, threshold=1),),
            fix=(
                "$ echo kernel.panic_on_oops = 1 > /etc/sysctl.d/90-panic.conf",
                "$ sysctl -p /etc/sysctl.d/90-panic.conf",
            ),
        )
