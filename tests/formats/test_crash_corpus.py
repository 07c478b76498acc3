"""Held against real logs of other projects, where they lie beside the checkout; never copied into it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import pytest

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.analyzer.opening import open_case
from lastwords.formats.crash.reports import Report, find_reports
from lastwords.formats.crash.title import normalize
from lastwords.formats.failures.reader import Failure, Failures
from lastwords.formats.failures.signs import STAGES
from lastwords.formats.failures.texts import TEXTS
from lastwords.formats.log.messages import messages

CORPUS = Path(os.environ.get("LASTWORDS_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
CRASHES = CORPUS / "crash" / "syzkaller"
needs_corpus = pytest.mark.skipif(not CRASHES.is_dir(), reason=f"no corpus at {CORPUS}")
_FRAME = re.compile(r".* in ((?:<[a-zA-Z0-9_: ]+>)?[a-zA-Z0-9_:]+)")


@dataclass
class Case:
    """One log and what must be found first in it."""

    name: str
    log: bytes
    title: Optional[str] = None
    frame: Optional[str] = None
    corrupted: bool = False
    panicked: bool = False
    alts: set[str] = field(default_factory=set)


def cases() -> Iterator[Case]:
    for path in sorted(CRASHES.iterdir()):
        if not path.name.isdigit():
            continue
        head, _, log = path.read_bytes().replace(b"\r", b"").partition(b"\n\n")
        case = Case(path.name, log.partition(b"\n\nREPORT:")[0])
        for line in head.decode("latin-1").split("\n"):
            name, _, value = line.partition(": ")
            if name == "TITLE" and value.strip():
                case.title = normalize(value.strip())
            elif name == "ALT":
                case.alts.add(normalize(value.strip()))
            elif name in ("CORRUPTED", "PANICKED"):
                setattr(case, name.lower(), value.strip() == "Y")
            elif name == "FRAME":
                case.frame = value.strip()
        if case.title and case.frame is None and (match := _FRAME.match(case.title)) is not None:
            case.frame = match[1]
        yield case


def reports(log: bytes) -> list[Report]:
    return find_reports(messages((n, 0, line) for n, line in enumerate(log.split(b"\n"), 1)))


_PRINTK = re.compile(rb"^(?:.{0,60}?login: )?(?:<\d+>)?\[ *(\d+\.\d+)\](\[ *[TC]\d+\])? ?")


def rewritten(log: bytes, form: str) -> bytes:
    """Return a log with the prefixes that another tool would write."""
    seconds, lines = 0.0, []
    for n, line in enumerate(log.split(b"\n")):
        match = _PRINTK.match(line)
        caller = b""
        if match is not None:
            seconds, caller, line = float(match[1]), match[2] or b"", line[match.end() :]
        stamp = b"[%12.6f]" % seconds
        lines.append(
            {
                "priority": b"<4>" + stamp + caller + b" " + line,
                "no caller": stamp + b" " + line,
                "no time": line,
                "dmesg -T": b"[Sun Mar  1 02:14:07 2026] " + line,
                "rsyslog": b"Mar  1 02:14:07 web kernel: " + stamp + caller + b" " + line,
                "journal": b"2026-03-01T02:14:07+0000 web kernel: " + line,
                "netconsole": b"4,%d,%d,-;" % (n, seconds * 1e6) + line,
            }[form]
        )
    return b"\n".join(lines)


@needs_corpus
def test_reports_titles_and_frames() -> None:
    good: dict[str, list[bool]] = {}
    for case in cases():
        found = reports(case.log)
        first = found[0] if found else None
        if case.title is None:
            good.setdefault("silence", []).append(first is None)
            continue
        good.setdefault("detection", []).append(first is not None)
        right = first is not None and first.title == case.title
        good.setdefault("title", []).append(right)
        good.setdefault("fatal", []).append(first is not None and (first.fatal or not case.panicked))
        if not case.corrupted:
            good.setdefault("title of whole reports", []).append(right)
            good.setdefault("called corrupted", []).append(first is not None and first.corrupted is None)
            if case.frame:
                good.setdefault("frame", []).append(
                    (first is not None and first.frame == case.frame) or right
                )
            if right and first is not None:
                good.setdefault("alternatives", []).append(set(first.alts) == case.alts)
    share = {name: sum(each) / len(each) for name, each in good.items()}
    print(share)
    assert share["silence"] == 1.0
    least = {
        "detection": 0.995,
        "title": 0.99,
        "title of whole reports": 0.99,
        "frame": 0.995,
        "fatal": 0.98,
        "called corrupted": 0.98,
        "alternatives": 0.99,
    }
    assert {name: share[name] for name in least if share[name] < least[name]} == {}


@needs_corpus
@pytest.mark.parametrize(
    "form", ["priority", "no caller", "no time", "dmesg -T", "rsyslog", "journal", "netconsole"]
)
def test_titles_do_not_depend_on_the_prefix(form: str) -> None:
    same = total = 0
    for case in cases():
        if case.title is None or case.corrupted:
            continue
        plain, other = reports(case.log), reports(rewritten(case.log, form))
        total += 1
        same += bool(plain and other) and plain[0].title == other[0].title
    assert same / total >= 0.97


def failures(log: bytes) -> list[Failure]:
    made = Failures()
    for message in messages((n, 0, line) for n, line in enumerate(log.split(b"\n"), 1)):
        made.feed(message)
    return made.end()


BOOTS = {
    "boot-lab/badfstab.log": ("init", "emergency_mode", "/dev/disk/by-uuid/dead-beef"),
    "boot-lab/badroot-uuid.log": ("root mount", "root_missing", "UUID=11111111-2222-3333-4444-555555555555"),
    "boot-lab/dra-nodrv.log": ("root mount", "dracut_emergency", "/dev/vda"),
    "boot-lab/earlyonly.log": ("root mount", "vfs_root", "vda"),
    "boot-lab/flip-zstd.log": ("initramfs", "initramfs_unpack", None),
    "boot-lab/it-noinit.log": ("root mount", "vfs_root", "vda"),
    "boot-lab/lowmem-dra.log": ("kernel", "out_of_memory", None),
    "boot-lab/lowmem2-dra.log": None,
    "boot-lab/noroot.log": ("root mount", "root_not_given", None),
    "boot-lab/trunc-zstd.log": ("initramfs", "initramfs_unpack", None),
    "boot/doc_azure_fstab_emergency_mode.log": ("init", "emergency_mode", "dev-incorrect.device"),
    "boot/doc_csm_dracut_could_not_boot.log": ("root mount", "dracut_emergency", None),
    "boot/doc_rk3399_xen_dom0_nvme_root_missing.log": ("root mount", "root_missing", "/dev/nvme0n1p2"),
    "boot/doc_proxmox_installer_write_error_enospc.log": ("initramfs", "initramfs_unpack", None),
    "boot/doc_sgx_deadlocked_on_memory_panic.log": None,
    "boot/logspec_linux_boot_001.log": ("firmware", "kernel_not_started", None),
    "boot/logspec_linux_boot_002.log": ("root mount", "vfs_root", "/dev/ram0"),
    "boot/logspec_linux_boot_004.log": None,
    "boot/logspec_linux_boot_005.log": ("initramfs", "kernel_panic", None),
    "boot/logspec_linux_boot_006.log": None,
    "boot/logspec_linux_boot_008.log": ("initramfs", "init_killed", None),
    "boot/logspec_test_baseline_002.log": None,
    "boot/logspec_test_baseline_003.log": None,
    "boot/lava_kernel-panic.txt": ("initramfs", "init_killed", None),
    "boot/lisa_02890a69.log": None,
    "boot/lisa_1e6ef340.log": None,
    "boot/lisa_33ffb3e6.log": ("init", "kernel_panic", None),
    "boot/lisa_c634978c.log": None,
    "boot/lisa_e66a2e53.log": None,
    "boot/lkp_34": ("root mount", "vfs_root", "unknown-block(1,0)"),
    "boot/doc_arm64_makedumpfile_va_bits_unsupported.log": ("capture", "capture_makedumpfile", None),
    "boot/doc_arm_kexec_no_free_area.log": ("load", "kexec_no_space", None),
    "boot/doc_el8_kdump_service_failed_journal.log": ("load", "kexec_load", None),
    "boot/doc_el8_mainline_crashkernel_auto_rejected.log": ("reservation", "crashkernel_syntax", None),
    "boot/doc_loongarch_kexec_load_eaddrnotavail.log": ("load", "kexec_no_space", None),
    "boot/doc_openeuler_kdump_kallsyms_restrict.log": ("load", "kallsyms_hidden", None),
    "boot/doc_openeuler_kdump_mkdumprd_squash_fail.log": ("load", "initrd_build", None),
    "boot/doc_ppc64_makedumpfile_bus_error.log": ("capture", "capture_collector_died", None),
    "boot/doc_x86_proc_vmcore_enomem.log": ("capture", "capture_vmcore_read", None),
}


@needs_corpus
@pytest.mark.parametrize("name", BOOTS)
def test_boots_and_dumps_that_failed(name: str) -> None:
    found = failures((CORPUS / name).read_bytes())
    first = (found[0].stage, found[0].name, found[0].device) if found else None
    assert first == BOOTS[name]


@needs_corpus
@pytest.mark.parametrize("name", BOOTS)
def test_the_story_of_a_log_names_what_the_boot_failed_of(name: str) -> None:
    loaded = plugins.load()
    path = str(CORPUS / name)
    verdict = judge(path, open_case(path, loaded.collectors()), loaded.rules().values())
    told = [cause.title for cause in verdict.story.causes if cause.id in ("boot-failure", "no-root", "panic")]
    stage, failure, device = BOOTS[name] or ("", "", None)
    if stage not in STAGES:
        assert not [title for title in told if title.startswith("It did not boot")]
    elif failure in ("kernel_panic", "out_of_memory", "init_killed"):
        assert verdict.story.causes  # the panic is
    else:
        assert TEXTS[failure].title in told[0] and (device or "") in told[0]
