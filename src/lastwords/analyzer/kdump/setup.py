"""What the facts say of one host's kdump: the questions that several rules ask, each answered once.

Every answer is None where the facts do not tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Optional

from lastwords.formats.boot.kernel_files import classify
from lastwords.formats.kdump.core_collector import CoreCollector, parse_core_collector, supported_kernel
from lastwords.formats.kdump.crashkernel import Asked, dialect_of, evaluate
from lastwords.formats.kdump.crashkernel_defaults import Default, default_of
from lastwords.model import Case, Facts

SERVICES = {
    "rhel": ("kdump.service",),
    "suse": ("kdump.service", "kdump-early.service"),
    "debian": ("kdump-tools.service",),
}
COLLECTORS = {"rhel": "makedumpfile -l --message-level 7 -d 31", "debian": "makedumpfile -c -d 31"}
"""What is run where the configuration names nothing."""
_SUSE_FORMATS = {
    "compressed": "-c",
    "lzo": "-l",
    "snappy": "-p",
    "zstd": "-z",
    "elf": "-E",
    "none": "",
    "raw": "",
}
_UNCOUNTED = 0.06
"""Share of its memory that a kernel takes before it counts MemTotal, at most, without the reservation."""


def facts_of(case: Case) -> Facts:
    """Return the facts of the collector ``kdump``."""
    return case.facts["kdump"]


def host(case: Case) -> Facts:
    """Return the facts of the collector ``host``; empty when there are none."""
    return case.facts.get("host") or {}


def family(case: Case) -> Optional[str]:
    """Return which kdump set-up the host has or would have: rhel, debian, suse."""
    configured = facts_of(case).get("family")
    if configured:
        return str(configured)
    distribution = host(case).get("distribution") or {}
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
    return bool((host(case).get("container") or {}).get("kind"))


def fadump(case: Case) -> bool:
    """Return whether the firmware of a POWER machine does what kdump does elsewhere."""
    return facts_of(case)["fadump"]["enabled"] is True


def reserved(case: Case) -> Optional[int]:
    """Return the bytes that the kernel has reserved for a crash."""
    if fadump(case):
        return _number(facts_of(case)["fadump"]["mem_reserved"])
    size = facts_of(case)["kexec"]["crash_size"]
    if size is None and facts_of(case)["crashkernel"]["booted"] == []:
        return 0
    return _number(size)


def granted(case: Case) -> Optional[int]:
    """Return all bytes of the reservation, with the part below 4 GiB that older kernels do not count."""
    ranges = facts_of(case)["kexec"]["reservations"]
    return max(reserved(case) or 0, sum(each["size"] for each in ranges)) if ranges else reserved(case)


def loaded(case: Case) -> Optional[bool]:
    """Return whether a crash would start a capture kernel."""
    kind, key = ("fadump", "registered") if fadump(case) else ("kexec", "crash_loaded")
    value = facts_of(case)[kind][key]
    return None if value is None else bool(value)


def units(case: Case) -> list[dict[str, Any]]:
    """Return the services of kdump that the facts tell of."""
    return facts_of(case).get("units") or []


def wanted(case: Case) -> bool:
    """Return whether somebody set kdump up here: its service is enabled or was started."""
    return any(unit.get("wanted_by") or unit.get("active_state") == "failed" for unit in units(case))


def release(case: Case) -> Optional[str]:
    """Return the release of the running kernel."""
    return host(case).get("kernel_release") or (case.facts.get("kernel") or {}).get("release")


def asked(case: Case) -> Optional[Asked]:
    """Return what the running kernel was asked to reserve.

    Where /proc/iomem hides how much memory there is, MemTotal tells it but for what the kernel took
    before; where that decides, the size is not known.
    """
    booted = facts_of(case)["crashkernel"]["booted"]
    if booted is None:
        return None
    return evaluated(case, booted)


def evaluated(case: Case, parameters: list[str]) -> Asked:
    """Return what this machine's kernel would make of some ``crashkernel=`` parameters."""
    dialect = dialect_of(release(case), host(case).get("architecture"))
    exact = facts_of(case)["kexec"].get("system_ram")
    if exact:
        return evaluate(parameters, exact, dialect)
    total = host(case).get("memory_total")
    if not total:
        return evaluate(parameters, None, dialect)
    least = total + (granted(case) or 0)
    low, high = (evaluate(parameters, ram, dialect) for ram in (least, int(least * (1 + _UNCOUNTED))))
    return low if low == high else replace(low, size=None, problem=None)


def ram(case: Case) -> Optional[int]:
    """Return the bytes of memory that the kernel has, the reservation included."""
    exact = facts_of(case)["kexec"].get("system_ram")
    total = host(case).get("memory_total")
    return int(exact) if exact else total + (granted(case) or 0) if total else None


def distribution_default(case: Case) -> Optional[tuple[Default, Optional[int]]]:
    """Return what this distribution reserves by default, and how many bytes that is on this machine."""
    about = host(case).get("distribution") or {}
    found = default_of(
        about.get("id"),
        about.get("id_like"),
        about.get("version_id"),
        host(case).get("architecture"),
        host(case).get("page_size"),
        fadump(case),
    )
    return (found, evaluated(case, ["crashkernel=" + found.parameter]).size) if found else None


def entries(case: Case, syntax: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path of each configuration file of that syntax with each of its entries."""
    for each in facts_of(case)["files"]:
        if each["syntax"] == syntax and not each["path"].startswith("/etc/default/grub"):
            for entry in each["entries"] or ():
                yield each["path"], entry


def setting(case: Case, name: str) -> Optional[str]:
    """Return the last value of a directive or variable; None when it is not set or only a shell knows it."""
    found = None
    for syntax in ("directives", "shell"):
        for _, entry in entries(case, syntax):
            if entry["name"] == name:
                found = entry["value"] if entry["status"] != "unresolved" else None
    return found


def core_collector(case: Case) -> Optional[CoreCollector]:
    """Return how the dump will be written; None when there is no configuration."""
    kind = facts_of(case)["family"]
    if kind == "suse":
        flags = _SUSE_FORMATS.get(setting(case, "KDUMP_DUMPFORMAT") or "lzo", "-l")
        return parse_core_collector(f"makedumpfile {flags} -d {setting(case, 'KDUMP_DUMPLEVEL') or 31}")
    if kind == "debian":
        arguments = setting(case, "MAKEDUMP_ARGS")
        return parse_core_collector(f"makedumpfile {arguments}" if arguments else COLLECTORS[kind])
    if kind == "rhel":
        return parse_core_collector(setting(case, "core_collector") or COLLECTORS[kind])
    return None


def outdated_collector(case: Case) -> Optional[tuple[str, tuple[int, int]]]:
    """Return the version of makedumpfile and the kernel it goes to, where the running one is newer."""
    for each in facts_of(case).get("packages") or ():
        latest = supported_kernel(each["version"]) if each["name"] == "makedumpfile" else None
        if latest and latest < _kernel_version(case):
            return each["version"], latest
    return None


def keeps_free_pages(case: Case) -> bool:
    """Return whether makedumpfile takes free pages for used ones: before 1.7.7, on 6.12 and later."""
    outdated = outdated_collector(case)
    return outdated is not None and outdated[1] < (6, 12) <= _kernel_version(case)


def _kernel_version(case: Case) -> tuple[int, int]:
    number = re.match(r"(\d+)\.(\d+)", release(case) or "")
    return (int(number[1]), int(number[2])) if number else (0, 0)


def capture_image(case: Case, role: str) -> Optional[dict[str, Any]]:
    """Return the capture kernel or its initramfs, as the tools will load it."""
    images = facts_of(case).get("images") or ()
    return next((each for each in images if each["role"] == role and each["origin"] != "found"), None)


def real_path(image: dict[str, Any]) -> str:
    """Return the path of an image itself, where the tools name a link to it."""
    target = str(image["target"] or image["path"])
    return target if target.startswith("/") else f"{image['path'].rpartition('/')[0]}/{target}"


def made_on_load(case: Case, image: dict[str, Any]) -> bool:
    """Return whether kdump makes the image, or the link to it, itself when it loads: Debian's does."""
    return family(case) == "debian" and str(image["path"]).startswith("/var/lib/kdump/")


def named_release(image: Optional[dict[str, Any]]) -> Optional[str]:
    """Return the kernel release in the name of an image."""
    kind = classify(real_path(image).rpartition("/")[2]) if image else None
    return kind.version if kind else None


def capture_release(case: Case) -> Optional[str]:
    """Return the release of the capture kernel: that in its name, else that of the running kernel."""
    kernel = capture_image(case, "kernel")
    return (named_release(kernel) if kernel and kernel["exists"] else None) or release(case)


def inside(case: Case) -> dict[str, Any]:
    """Return what the collector ``initramfs`` found in the capture initramfs; empty when nothing."""
    image = capture_image(case, "initramfs")
    path = real_path(image) if image else None
    images = (case.facts.get("initramfs") or {}).get("images") or ()
    return next((each for each in images if each["path"] == path), {})


def captured_by_initramfs(case: Case) -> bool:
    """Return whether the dump is saved from within the initramfs; Debian's boots the host's own system."""
    return family(case) != "debian"


def locked_down(case: Case) -> Optional[str]:
    """Return what forbids to load unsigned kernels: the mode of lockdown, or ``secure boot``."""
    kernel = case.facts.get("kernel") or {}
    mode = (kernel.get("lockdown") or {}).get("mode")
    if mode in ("integrity", "confidentiality"):
        return f"lockdown: {mode}"
    # Secure Boot alone forbids nothing: the kernel decides by lockdown, where it has that.
    if mode is None and (kernel.get("secure_boot") or {}).get("enabled"):
        return "secure boot"
    return None


def sysctl(case: Case, key: str) -> Optional[int]:
    """Return the value of a sysctl of the collectors ``kernel`` or ``oom``."""
    value = ((case.facts.get("kernel") or {}).get("sysctls") or {}).get(key)
    if value is None:
        value = (((case.facts.get("oom") or {}).get("sysctls") or {}).get(key) or {}).get("runtime")
    return _number(value)


def debug_kernel(case: Case) -> bool:
    """Return whether the capture kernel is a debugging build, which takes far more memory."""
    return bool(re.search(r"[+-](?:64k-)?debug$|\.debug$", capture_release(case) or ""))


def _number(value: Any) -> Optional[int]:
    return int(value) if isinstance(value, (int, float)) else None
