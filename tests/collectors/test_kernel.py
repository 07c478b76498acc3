"""The kernel collector: on this host, in a sosreport, on trees that lack, refuse or garble."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hosttree import TextTree, text_root, write_tree

from lastwords import schemas
from lastwords.collectors.kernel import PANIC_SYSCTLS, KernelCollector
from lastwords.roots.base import Root
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree

RELEASE = "=== /proc/sys/kernel/osrelease\n6.1.0\n"


def facts_of(root: Root) -> dict[str, Any]:
    facts: dict[str, Any] = list(KernelCollector().collect(root))[-1]
    jsonschema.Draft202012Validator(schemas.load("kernel")).validate(facts)
    return facts


def test_this_host() -> None:
    facts = facts_of(live_root().recording("kernel"))
    assert facts["release"] == os.uname().release
    assert facts["version"] == Path("/proc/version").read_text().strip()
    assert f"#{facts['build']['number']}" == os.uname().version.split()[0]
    assert facts["taint"]["value"] == int(Path("/proc/sys/kernel/tainted").read_text())
    for key, value in facts["sysctls"].items():
        path = Path("/proc/sys/" + key.replace(".", "/"))
        if value is None:
            assert not path.exists() or not os.access(path, os.R_OK)
        else:
            assert str(value).split() == path.read_text().split()
    assert facts["secure_boot"]["efi"] is Path("/sys/firmware/efi").exists()
    assert (facts["modules"] is None) is not Path("/proc/modules").exists()


def test_a_root_without_anything_yields_nulls_and_not_zeros() -> None:
    facts = facts_of(text_root(""))
    assert facts["release"] is facts["version"] is facts["cmdline"] is facts["modules"] is None
    assert facts["taint"] == {"value": None, "flags": None}
    assert facts["build"]["flags"] is None
    assert set(facts["sysctls"].values()) == {None}
    assert facts["config"] == {"source": None, "options": None}
    assert facts["package"]["packaged"] is None
    # A whole tree without them: the root knows that they are not there.
    assert facts["lockdown"] == {"present": False, "mode": None}
    assert facts["secure_boot"] == {"efi": False, "enabled": None, "source": None}


def test_what_is_denied_is_a_gap_and_null() -> None:
    root = text_root(
        "=== /proc/cmdline denied\n=== /proc/sys/kernel/tainted denied\n=== /sys/kernel/security denied dir\n"
    )
    root = root.recording("kernel")
    facts = facts_of(root)
    assert facts["cmdline"] is facts["taint"]["value"] is None
    assert {"/proc/cmdline", "/proc/sys/kernel/tainted"} <= {gap["path"] for gap in root.evidence.gaps}


def test_secrets_are_not_in_the_command_line() -> None:
    facts = facts_of(
        text_root(
            "=== /proc/cmdline\nro rd.iscsi.password=hunter2 netroot=iscsi:joe:pw@10.0.0.1::3260::iqn\n"
        )
    )
    assert "hunter2" not in str(facts) and "joe:pw" not in str(facts)
    assert facts["cmdline"]["parameters"][1] == {"key": "rd.iscsi.password", "value": "<removed>"}


@pytest.mark.parametrize(
    "variable, enabled",
    [("0600000001", True), ("0600000000", False), ("06000000", None), ("", None)],
)
def test_secure_boot_is_the_byte_behind_the_attributes(variable: str, enabled: object) -> None:
    name = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    facts = facts_of(text_root(f"=== /sys/firmware/efi/efivars/{name} hex\n{variable}\n"))
    assert facts["secure_boot"] == {
        "efi": True,
        "enabled": enabled,
        "source": None if enabled is None else "efi_variable",
    }


def test_garbage_in_place_of_everything() -> None:
    paths = [
        "version",
        "cmdline",
        "modules",
        "config.gz",
        "sys/kernel/osrelease",
        "sys/kernel/tainted",
        "sys/kernel/sysrq",
    ]
    facts = facts_of(text_root("".join(f"=== /proc/{path} hex\nff00fe1f8b0800ff0a\n" for path in paths)))
    assert facts["taint"] == {"value": None, "flags": None}
    assert facts["modules"] == []
    assert facts["config"]["source"] is None


def test_a_cut_configuration_gives_way_to_the_next() -> None:
    # gzip's magic number and nothing of use behind it
    text = (
        RELEASE + "=== /proc/config.gz hex\n1f8b08000000000002ff\n"
        "=== /boot/config-6.1.0\nCONFIG_KEXEC=y\n# CONFIG_PSI is not set\n"
    )
    root = text_root(text).recording("kernel")
    config = facts_of(root)["config"]
    assert config["source"] == "/boot/config-6.1.0"
    assert (config["options"]["KEXEC"], config["options"]["PSI"], config["options"]["SWAP"]) == (
        "y",
        "n",
        None,
    )
    assert any(gap["path"] == "/proc/config.gz" for gap in root.evidence.gaps)


def test_only_the_options_asked_for_are_kept_as_evidence() -> None:
    lines = "".join(f"CONFIG_DRIVER_{number}=m\n" for number in range(5000))
    root = text_root(RELEASE + f"=== /boot/config-6.1.0\n{lines}CONFIG_KEXEC_JUMP=y\n").recording("kernel")
    assert facts_of(root)["config"]["options"]["KEXEC_JUMP"] == "y"
    kept = next(item for item in root.evidence.items if item["path"] == "/boot/config-6.1.0")
    assert kept["size"] == len("CONFIG_KEXEC_JUMP=y\n")
    assert kept["windows"] == [{"line": 5001, "offset": len(lines), "lines": 1}]


DPKG = RELEASE + "=== /boot/vmlinuz-6.1.0\n=== /var/lib/dpkg/info/dpkg.list\n/.\n"


@pytest.mark.parametrize(
    "text, expected",
    [
        (RELEASE, (None, None, None)),
        (RELEASE + "=== /boot/vmlinuz-6.1.0\n", (None, None, None)),
        (DPKG, ("dpkg", None, False)),
        (
            DPKG + "=== /var/lib/dpkg/info/linux-image-6.1.0.list\n/.\n/boot/vmlinuz-6.1.0-old\n",
            ("dpkg", None, False),
        ),
        (
            DPKG + "=== /var/lib/dpkg/info/proxmox-kernel-6.1.0-signed:amd64.list\n/.\n/boot/vmlinuz-6.1.0\n",
            ("dpkg", "proxmox-kernel-6.1.0-signed", True),
        ),
        (
            DPKG + "=== /var/lib/dpkg/info/linux-binary-6.1.0.list\n/.\n/usr/lib/modules/6.1.0/vmlinuz\n",
            ("dpkg", "linux-binary-6.1.0", True),
        ),
        (
            RELEASE
            + "=== /boot/vmlinuz-6.1.0\n=== /var/lib/rpm dir\n=== $ rpm -qf /boot/vmlinuz-6.1.0 exit=1\n"
            "file /boot/vmlinuz-6.1.0 is not owned by any package\n",
            ("rpm", None, False),
        ),
        (
            RELEASE
            + "=== /boot/vmlinuz-6.1.0\n=== /var/lib/rpm dir\n=== $ rpm -qf /boot/vmlinuz-6.1.0 exit=1\n"
            "error: rpmdb open failed\n",
            ("rpm", None, None),
        ),
        (
            RELEASE + "=== /usr/lib/modules/6.1.0/vmlinuz\n=== /var/lib/pacman/local dir\n"
            "=== $ pacman -Qqo /usr/lib/modules/6.1.0/vmlinuz exit=0\nlinux\n",
            ("pacman", "linux", True),
        ),
    ],
)
def test_who_owns_the_kernel(text: str, expected: tuple[object, ...]) -> None:
    package = facts_of(text_root(text))["package"]
    assert (package["manager"], package["owner"], package["packaged"]) == expected


def test_facts_are_there_before_a_package_manager_is_asked() -> None:
    first = next(iter(KernelCollector().collect(text_root(DPKG))))
    assert first["release"] == "6.1.0"
    assert first["package"]["packaged"] is None
    assert set(first) == set(schemas.load("kernel")["required"])


SOS = """=== /sos_commands/kernel/sysctl_-a
kernel.panic = 10
kernel.printk = 4	4	1	7
kernel.tainted = 4096
kernel.core_pattern = |/usr/lib/systemd/systemd-coredump %P
=== /sos_commands/kernel/lsmod
Module                  Size  Used by
xfs                  1900544  2
libcrc32c              16384  1 xfs
=== /sos_commands/kernel/uname_-a
Linux db01 5.14.0-427.el9.x86_64 #1 SMP PREEMPT_DYNAMIC Wed Apr 10 10:29:16 EDT 2024 x86_64 x86_64 GNU/Linux
=== /sos_commands/boot/mokutil_--sb-state
SecureBoot enabled
=== /sos_reports/sos.txt
=== /proc/sys/kernel/sysrq
16
"""


def test_a_sosreport_with_little_of_proc(tmp_path: Path) -> None:
    top = write_tree(TextTree().add(SOS), tmp_path / "sosreport-db01")
    facts = facts_of(sosreport_root(DirectoryTree(str(top)), str(top)).recording("kernel"))
    assert facts["release"] == "5.14.0-427.el9.x86_64"
    assert facts["build"]["date"] == "Wed Apr 10 10:29:16 EDT 2024"
    assert facts["version"] is None
    assert facts["sysctls"]["kernel.panic"] == 10
    assert facts["sysctls"]["kernel.printk"] == "4 4 1 7"
    assert facts["sysctls"]["kernel.sysrq"] == 16
    assert facts["sysctls"]["kernel.oops_limit"] is None
    assert [each["letter"] for each in facts["taint"]["flags"]] == ["O"]
    assert [(each["name"], each["used_by"], each["state"]) for each in facts["modules"]] == [
        ("xfs", [], None),
        ("libcrc32c", ["xfs"], None),
    ]
    assert facts["secure_boot"] == {"efi": True, "enabled": True, "source": "mokutil"}
    # What a sosreport did not copy is unknown, not absent.
    assert facts["lockdown"] == {"present": None, "mode": None}


def test_an_lsmod_that_failed_says_nothing_of_modules(tmp_path: Path) -> None:
    start, end = SOS.index("Module   "), SOS.index("=== /sos_commands/kernel/uname_-a")
    text = SOS[:start] + "libkmod: ERROR could not open /proc/modules\n" + SOS[end:]
    top = write_tree(TextTree().add(text), tmp_path / "sosreport-db01")
    assert facts_of(sosreport_root(DirectoryTree(str(top)), str(top)))["modules"] is None


def test_a_disk_in_rescue_mode_is_not_mistaken_for_this_host(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    facts = facts_of(directory_root(str(tmp_path)).recording("kernel"))
    assert facts["release"] is facts["version"] is None
    assert all(facts["sysctls"][key] is None for key in PANIC_SYSCTLS)
