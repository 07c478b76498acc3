"""What to do on each family of distributions: steps for people, commands behind ``$ ``."""

from __future__ import annotations

from typing import Optional

from lastwords.analyzer.kdump.setup import SERVICES, capture_release, distribution_default, family
from lastwords.model import Case

PACKAGES = {"debian": ("kdump-tools",), "rhel": ("kexec-tools",), "suse": ("kdump", "kexec-tools")}
INSTALL = {"debian": "apt-get install", "rhel": "dnf install", "suse": "zypper install"}
REBOOT = "Reboot: memory can be reserved at boot only."
FALLBACK = "256M"
"""For distributions that have no table: what most machines of up to 64 GiB do with."""


def install(case: Case) -> str:
    """Return the step that installs kdump."""
    kind = family(case)
    if kind is None:
        return "Install kdump: the kdump package of the distribution"
    return f"$ {INSTALL[kind]} {' '.join(packages(case))}"


def packages(case: Case) -> tuple[str, ...]:
    """Return the packages that bring kdump."""
    kind = family(case)
    if kind == "rhel" and _redhat_major(case) >= 10:
        return ("kdump-utils",)
    return PACKAGES.get(kind or "", ())


def parameter(case: Case) -> str:
    """Return the value that ``crashkernel=`` should have here."""
    found = distribution_default(case)
    return found[0].parameter if found else FALLBACK


def reserve(case: Case, value: Optional[str] = None) -> list[str]:
    """Return the steps that make the next boot reserve memory, without the reboot.

    :param value: for ``crashkernel=``; None for the distribution's default
    """
    kind = family(case)
    if kind == "rhel" and _redhat_major(case) >= 9:
        if value is None:
            return ["$ kdumpctl reset-crashkernel --kernel=ALL"]
        return [f"$ grubby --update-kernel=ALL --args=crashkernel={value}"]
    if kind == "rhel":
        fallback = "auto" if _redhat_major(case) in (7, 8) else parameter(case)
        return [f"$ grubby --update-kernel=ALL --args=crashkernel={value or fallback}"]
    if kind == "debian":
        path = "/etc/default/grub.d/kdump-tools.cfg"
        return [f"Set crashkernel={value or parameter(case)} in {path}.", "$ update-grub"]
    if kind == "suse":
        return [
            "$ kdumptool calibrate",
            "Put crashkernel=HIGH,high crashkernel=LOW,low as it says into GRUB_CMDLINE_LINUX_DEFAULT in"
            " /etc/default/grub."
            if value is None
            else f"Set crashkernel={value} in GRUB_CMDLINE_LINUX_DEFAULT of /etc/default/grub.",
            "$ grub2-mkconfig -o /boot/grub2/grub.cfg",
        ]
    return [f"Add crashkernel={value or parameter(case)} to the kernel command line."]


def service(case: Case) -> str:
    """Return the service that loads the capture kernel."""
    return SERVICES.get(family(case) or "", ("kdump.service",))[0]


def rebuild(case: Case) -> list[str]:
    """Return the steps that make the capture initramfs anew and load it."""
    kind = family(case)
    if kind == "rhel":
        # Before RHEL 8 a restart makes it anew when the configuration is newer.
        make = "kdumpctl rebuild" if _redhat_major(case) >= 8 else "touch /etc/kdump.conf"
        return [f"$ {make}", "$ systemctl restart kdump"]
    if kind == "debian":
        version = capture_release(case) or "$(uname -r)"
        # It makes the initramfs when it loads, if there is none.
        image = f"/var/lib/kdump/initrd.img-{version}"
        return [f"$ rm -f {image}", "$ kdump-config unload", "$ kdump-config load"]
    if kind == "suse":
        return ["$ mkdumprd -f", "$ systemctl restart kdump"]
    return ["Make the capture initramfs anew and load it."]


def reload(case: Case) -> list[str]:
    """Return the steps that load the capture kernel again after a change of its configuration."""
    return [f"$ systemctl restart {service(case)}", "$ cat /sys/kernel/kexec_crash_loaded"]


def _redhat_major(case: Case) -> int:
    about = (case.facts.get("host") or {}).get("distribution") or {}
    if about.get("id") == "fedora":
        return 10
    number = str(about.get("version_id") or "").partition(".")[0]
    return int(number) if number.isdigit() else 9
