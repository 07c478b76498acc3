"""The running kernel: build, command line, taint, lockdown, panic settings, modules, configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from lastwords.collectors.sysctls import SYSCTL, Runtime
from lastwords.formats.boot.cmdline import parse_cmdline
from lastwords.formats.boot.kconfig import parse_option
from lastwords.formats.crash.taint import decode_taint, vendor_of
from lastwords.formats.system.modules import parse_lsmod, parse_modules
from lastwords.formats.system.proc_version import parse_proc_version, parse_uname, parse_uts_version
from lastwords.hookspecs import Collector
from lastwords.model import Facts
from lastwords.roots.base import Root
from lastwords.roots.lines import Line

PANIC_SYSCTLS = (
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.panic_on_warn",
    "kernel.panic_on_rcu_stall",
    "kernel.max_rcu_stall_to_panic",
    "kernel.panic_on_io_nmi",
    "kernel.panic_on_unrecovered_nmi",
    "kernel.panic_on_stackoverflow",
    "kernel.panic_print",
    "kernel.panic_sys_info",
    "kernel.unknown_nmi_panic",
    "kernel.hung_task_panic",
    "kernel.hung_task_timeout_secs",
    "kernel.hung_task_warnings",
    "kernel.hung_task_all_cpu_backtrace",
    "kernel.hung_task_detect_count",
    "kernel.softlockup_panic",
    "kernel.softlockup_all_cpu_backtrace",
    "kernel.hardlockup_panic",
    "kernel.hardlockup_all_cpu_backtrace",
    "kernel.oops_all_cpu_backtrace",
    "kernel.watchdog",
    "kernel.nmi_watchdog",
    "kernel.soft_watchdog",
    "kernel.watchdog_thresh",
    "kernel.sysrq",
    "kernel.oops_limit",
    "kernel.warn_limit",
    "kernel.kptr_restrict",
    "kernel.dmesg_restrict",
    "kernel.printk",
    "kernel.printk_devkmsg",
    "kernel.ftrace_dump_on_oops",
    "kernel.traceoff_on_warning",
    "kernel.kexec_load_disabled",
    "kernel.modules_disabled",
    "kernel.core_pattern",
    "kernel.core_uses_pid",
    "fs.suid_dumpable",
)
"""What decides how the kernel dies and what it says: Documentation/admin-guide/sysctl/kernel.rst."""

OPTIONS = (
    "KEXEC",
    "KEXEC_FILE",
    "KEXEC_SIG",
    "KEXEC_SIG_FORCE",
    "KEXEC_BZIMAGE_VERIFY_SIG",
    "CRASH_DUMP",
    "CRASH_HOTPLUG",
    "PROC_VMCORE",
    "FA_DUMP",
    "RELOCATABLE",
    "RANDOMIZE_BASE",
    "DEBUG_INFO",
    "DEBUG_INFO_BTF",
    "DEBUG_INFO_REDUCED",
    "IKCONFIG",
    "IKCONFIG_PROC",
    "KALLSYMS",
    "KALLSYMS_ALL",
    "MEMCG",
    "MEMCG_SWAP",
    "PSI",
    "PSI_DEFAULT_DISABLED",
    "SWAP",
    "ZSWAP",
    "ZSWAP_DEFAULT_ON",
    "ZRAM",
    "MAGIC_SYSRQ",
    "MAGIC_SYSRQ_DEFAULT_ENABLE",
    "PANIC_ON_OOPS",
    "PANIC_TIMEOUT",
    "BOOTPARAM_SOFTLOCKUP_PANIC",
    "BOOTPARAM_HARDLOCKUP_PANIC",
    "BOOTPARAM_HUNG_TASK_PANIC",
    "SOFTLOCKUP_DETECTOR",
    "HARDLOCKUP_DETECTOR",
    "DETECT_HUNG_TASK",
    "DEFAULT_HUNG_TASK_TIMEOUT",
    "PSTORE",
    "PSTORE_RAM",
    "PSTORE_CONSOLE",
    "EFI",
    "EFI_VARS_PSTORE",
    "MODULES",
    "MODULE_SIG",
    "SECURITY_LOCKDOWN_LSM",
)
"""Configuration options that are always told, null where the configuration does not mention them."""
MORE_OPTIONS = re.compile(
    r"^(?:KEXEC_\w+|CRASH_\w+|DEBUG_INFO_\w+|PSTORE_\w+|BOOTPARAM_\w*PANIC\w*|HARDLOCKUP_DETECTOR_\w+"
    r"|\w*VMCORE\w*|SERIAL_8250_CONSOLE|NETCONSOLE\w*|EFI_VARS_PSTORE\w*|MEMCG_V1|LRU_GEN\w*)$"
)
"""Others that are told when the configuration mentions them."""
CONFIG_FILES = (
    "/proc/config.gz",
    "/boot/config-{release}",
    "/usr/lib/modules/{release}/config",
    "/lib/modules/{release}/config",
    "/lib/modules/{release}/build/.config",
)
"""Best first: what the kernel itself tells cannot be of another build."""
IMAGES = (
    "/boot/vmlinuz-{release}",
    "/boot/vmlinux-{release}",
    "/boot/image-{release}",
    "/boot/kernel-{release}",
    "/usr/lib/modules/{release}/vmlinuz",
    "/lib/modules/{release}/vmlinuz",
)
DEBUG_IMAGES = (
    "/usr/lib/debug/lib/modules/{release}/vmlinux",
    "/usr/lib/debug/usr/lib/modules/{release}/vmlinux",
    "/usr/lib/debug/boot/vmlinux-{release}",
    "/usr/lib/debug/boot/vmlinux-{release}.debug",
)
"""Where packages of debug symbols have the kernel: Red Hat, Fedora, Debian and Ubuntu, SUSE."""
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOCKDOWN = "/sys/kernel/security/lockdown"
MOKUTIL = ("mokutil", "--sb-state")
LSMOD = ("lsmod",)
UNAME = ("uname", "-a")
DPKG_INFO = "/var/lib/dpkg/info"
DPKG_LISTS = 200
"""Lists of packages that are searched at most."""
RPM_DATABASES = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
PACMAN_DATABASE = "/var/lib/pacman/local"


class KernelCollector(Collector):
    """Describes the running kernel and how it will behave when it dies."""

    name = "kernel"
    title = "the kernel: build, command line, taint, lockdown, panic settings, modules, configuration"
    reads = (
        "/proc/version",
        "/proc/cmdline",
        "/proc/modules",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/version",
        "/proc/sys/kernel/tainted",
        *("/proc/sys/" + key.replace(".", "/") for key in PANIC_SYSCTLS),
        LOCKDOWN,
        "/sys/firmware/efi",
        SECURE_BOOT,
        *(path.format(release="*") for path in (*CONFIG_FILES, *IMAGES, *DEBUG_IMAGES)),
        f"{DPKG_INFO}/dpkg.list",
        f"{DPKG_INFO}/*linux*.list",
        f"{DPKG_INFO}/*kernel*.list",
        *RPM_DATABASES,
        PACMAN_DATABASE,
    )
    runs = (("rpm", "-qf", "/boot/vmlinuz-*"), ("pacman", "-Qqo", "*/vmlinuz"), SYSCTL, LSMOD, UNAME, MOKUTIL)

    def collect(self, root: Root) -> Iterator[Facts]:
        runtime = Runtime(root)
        release, build = _identity(root)
        facts: dict[str, Any] = {
            "release": release,
            **build,
            "cmdline": _cmdline(root),
            "taint": _taint(runtime, build["version"]),
            "lockdown": _lockdown(root),
            "secure_boot": _secure_boot(root),
            "sysctls": {key: runtime.value(key) for key in PANIC_SYSCTLS},
            "modules": _modules(root),
            "config": _config(root, release),
            "debug_info": _debug_info(root, release),
            "package": {"image": None, "manager": None, "owner": None, "packaged": None},
        }
        # Package managers may wait for a lock or a damaged database: what is known already stays.
        yield facts
        facts["package"] = _package(root, release)
        yield facts


def _identity(root: Root) -> tuple[Optional[str], dict[str, Any]]:
    version = root.text("/proc/version")
    parsed = parse_proc_version(version or "")
    number, flags, date = parsed.number, parsed.flags, parsed.date
    release = (root.text("/proc/sys/kernel/osrelease") or "").strip() or parsed.release
    if version is None:
        uts = root.text("/proc/sys/kernel/version")
        if root.kind != "live" and (release is None or uts is None):
            output = root.run(UNAME)
            named, uname_version = parse_uname(output.text) if output else (None, None)
            release, uts = release or named, uts or uname_version
        number, flags, date = parse_uts_version(uts or "")
    build = {
        "number": number,
        "flags": list(flags) if number else None,
        "date": date,
        "builder": parsed.builder,
        "compiler": parsed.compiler,
    }
    return release, {"version": version.strip() if version else None, "build": build}


def _cmdline(root: Root) -> Optional[dict[str, Any]]:
    text = root.text("/proc/cmdline")
    if text is None:
        return None
    line = parse_cmdline(text)
    return {
        "raw": text.strip(),
        "parameters": [{"key": each.key, "value": each.value} for each in line.parameters],
        "init_arguments": list(line.init_arguments),
    }


def _taint(runtime: Runtime, version: Optional[str]) -> dict[str, Any]:
    value = runtime.value("kernel.tainted")
    if not isinstance(value, int):
        return {"value": None, "flags": None}
    flags = decode_taint(value, vendor_of(version or ""))
    return {"value": value, "flags": [each.__dict__ for each in flags]}


def _lockdown(root: Root) -> dict[str, Any]:
    """Tell the mode in brackets: ``none [integrity] confidentiality`` (security/lockdown/lockdown.c)."""
    text = root.text(LOCKDOWN)
    found = re.search(r"\[(\w+)\]", text or "")
    present = True if text is not None else root.exists(LOCKDOWN)
    return {"present": present, "mode": found[1] if found else None}


def _secure_boot(root: Root) -> dict[str, Any]:
    """Read the EFI variable: 4 bytes of attributes, then 1 for on (UEFI 2.10, 3.3)."""
    efi = root.exists("/sys/firmware/efi")
    if efi is not False:
        try:
            data = root.peek(SECURE_BOOT, 5)
        except OSError:
            data = b""
        if len(data) == 5:
            return {"efi": True, "enabled": data[4] == 1, "source": "efi_variable"}
        if root.kind != "live":
            output = root.run(MOKUTIL)
            text = output.text if output else ""
            found = re.search(r"^SecureBoot (enabled|disabled)", text, re.MULTILINE)
            if found:
                return {"efi": True, "enabled": found[1] == "enabled", "source": "mokutil"}
            if "EFI variables are not supported" in text:
                efi = False
    return {"efi": efi, "enabled": None, "source": None}


def _modules(root: Root) -> Optional[list[dict[str, Any]]]:
    text = root.text("/proc/modules")
    if text is not None:
        return [{**each.__dict__, "used_by": list(each.used_by)} for each in parse_modules(text)]
    output = root.run(LSMOD) if root.kind != "live" else None
    # Where lsmod failed, sos keeps its error in place of the table.
    if output is None or not re.search(r"^Module\s", output.text, re.MULTILINE):
        return None
    return [{**each.__dict__, "used_by": list(each.used_by)} for each in parse_lsmod(output.text)]


def _config(root: Root, release: Optional[str]) -> dict[str, Any]:
    for path in CONFIG_FILES:
        if "{release}" in path and not release:
            continue
        path = path.format(release=release)
        if root.stat(path) is None:
            continue
        options: dict[str, Optional[str]] = dict.fromkeys(OPTIONS)
        kept: list[Line] = []
        try:
            for line in root.lines(path):
                option = parse_option(line.text)
                if option and (option[0] in options or MORE_OPTIONS.match(option[0])):
                    options[option[0]] = option[1]
                    kept.append(line)
        except OSError:
            continue
        if kept:
            root.keep(path, kept)
            return {"source": path, "options": options}
    return {"source": None, "options": None}


def _debug_info(root: Root, release: Optional[str]) -> dict[str, Any]:
    """Tell whether debug symbols of the running kernel are installed; ``exists`` is None when not known."""
    found: list[Optional[bool]] = [None]
    if release:
        found = []
        for path in DEBUG_IMAGES:
            found.append(root.exists(path.format(release=release)))
            if found[-1]:
                return {"path": path.format(release=release), "exists": True}
    return {"path": None, "exists": None if None in found else False}


def _package(root: Root, release: Optional[str]) -> dict[str, Any]:
    """Tell whether a package manager knows the image of the running kernel.

    ``packaged`` is None when there is no image to ask for, or no package manager that can be asked.
    """
    found: dict[str, Any] = {"image": None, "manager": None, "owner": None, "packaged": None}
    if not release:
        return found
    images = [path.format(release=release) for path in IMAGES]
    image = next((path for path in images if root.stat(path)), None)
    if image is None:
        return found
    found["image"] = image
    if root.exists(f"{DPKG_INFO}/dpkg.list"):
        found["manager"] = "dpkg"
        found["owner"], found["packaged"] = _dpkg_owner(root, release, image)
    elif any(root.exists(path) for path in RPM_DATABASES):
        found["manager"] = "rpm"
        found["owner"], found["packaged"] = _asked(root, ("rpm", "-qf", image))
    elif root.exists(PACMAN_DATABASE):
        found["manager"] = "pacman"
        found["owner"], found["packaged"] = _asked(root, ("pacman", "-Qqo", image))
    return found


def _dpkg_owner(root: Root, release: str, image: str) -> tuple[Optional[str], Optional[bool]]:
    """Search the lists of packages that can hold a kernel; they hold one path a line (dpkg(1)).

    From Debian 14 on the package has it in /usr/lib/modules, and the image in /boot is a copy.
    """
    usual = f"{DPKG_INFO}/linux-image-{release}.list"
    others = (path for word in ("linux", "kernel") for path in root.glob(f"{DPKG_INFO}/*{word}*.list"))
    # Those that name the release come first: mostly the first list that is read has it.
    lists = sorted({*others}, key=lambda path: (path != usual, release not in path, path))
    known_as = (image, *(path.format(release=release) for path in IMAGES if "/modules/" in path))
    names = {each.encode() for path in known_as for each in (path, path.replace("/usr/lib/", "/lib/", 1))}
    for path in lists[:DPKG_LISTS]:
        try:
            line = next((each for each in root.lines(path) if each.data in names), None)
        except OSError:
            continue
        if line:
            root.keep(path, [line])
            return path[len(DPKG_INFO) + 1 : -len(".list")].partition(":")[0], True
    known = root.exists(usual) is False or bool(lists)
    return None, False if known and len(lists) <= DPKG_LISTS else None


def _asked(root: Root, argv: Sequence[str]) -> tuple[Optional[str], Optional[bool]]:
    output = root.run(argv)
    if output is None:
        return None, None
    if output.exit_code == 0:
        words = output.text.split()
        return (words[0], True) if words else (None, None)
    # rpm says no in words, and its other troubles with the same exit code; pacman says it on stderr.
    no = "is not owned by any package" in output.text if argv[0] == "rpm" else output.exit_code == 1
    return None, False if no else None
