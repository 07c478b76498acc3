"""The verdict on whole host trees: from files as a host has them, through the collectors, to the stage that fails."""

from __future__ import annotations

from typing import Any

import pytest
from golden_case import case_of
from hosttree import TAKEN_AT, TextTree, host_tree, root_of
from kdump_cases import DEBIAN_IMAGE, conf, entry, image, tools

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.analyzer.kdump.estimate import capture_need, dump_size
from lastwords.analyzer.kdump.readiness import WORDS, caught, readiness
from lastwords.model import Case, Facts, NoData, Skipped

PLUGINS = plugins.load()
NEEDED = ("host", "kernel", "kdump", "crash_dumps", "memory", "boot", "initramfs")
STAGES = ["able", "reserved", "configured", "initramfs", "loaded", "target", "room"]


def gathered(tree: TextTree, kind: str = "live") -> Case:
    """Return the case that the collectors make of a tree."""
    facts: dict[str, Facts] = {}
    for name in NEEDED:
        try:
            for yielded in PLUGINS.collectors()[name].collect(root_of(tree, kind).recording(name)):
                facts[name] = yielded
        except (NoData, Skipped):
            continue
    outcomes: dict[str, dict[str, Any]] = {name: {"outcome": "ok", "reason": None} for name in facts}
    return Case(facts, [], outcomes, kind, TAKEN_AT)


def verdict(host: str, change: str = "") -> tuple[str, list[str]]:
    """Return the verdict on a golden host with some files changed, and the stages that are not sure to hold."""
    stages = readiness(gathered(host_tree(host).add(change)))
    assert [stage.name for stage in stages] == STAGES
    for stage in stages:
        assert stage.said
        assert stage.state is not False or stage.findings or stage.name in ("loaded", "reserved"), stage
        for finding in stage.findings:
            assert finding.evidence
            assert finding.fix
    return WORDS[caught(stages)], [stage.name for stage in stages if stage.state is not True]


@pytest.mark.parametrize("host", ["debian12", "rhel9", "sles15"])
def test_where_kdump_works(host: str) -> None:
    assert verdict(host) == ("yes", [])


NOTHING_RESERVED = """\
=== /sys/kernel/kexec_crash_size
0
=== /sys/kernel/kexec_crash_loaded
0
=== /proc/iomem
00100000-7ffd9fff : System RAM
100000000-27fffffff : System RAM
"""
UNLOADED = "=== /sys/kernel/kexec_crash_loaded\n0\n"
SMALL = """\
=== /sys/kernel/kexec_crash_size
67108864
=== /proc/iomem
00100000-7ffd9fff : System RAM
  01000000-03bfffff : Kernel code
  77000000-7affffff : Crash kernel
100000000-27fffffff : System RAM
"""
TOOLS = """\
=== /etc/default/kdump-tools mtime=2025-09-03T11:02:30Z
USE_KDUMP=1
KDUMP_KERNEL=/var/lib/kdump/vmlinuz
KDUMP_INITRD=/var/lib/kdump/initrd.img
"""
CONF = "=== /etc/kdump.conf mtime=2024-01-01T00:00:00Z\n"
DEBIAN = {
    "no reservation": (
        "=== /proc/cmdline\nroot=/dev/vda1 ro\n" + NOTHING_RESERVED,
        "no",
        ["reserved", "loaded"],
    ),
    "no range for this memory": (
        "=== /proc/cmdline\nroot=/dev/vda1 crashkernel=64G-:512M\n" + NOTHING_RESERVED,
        "no",
        ["reserved", "loaded"],
    ),
    "not loaded": (UNLOADED, "no", ["loaded"]),
    "loading forbidden": (UNLOADED + "=== /proc/sys/kernel/kexec_load_disabled\n1\n", "no", ["loaded"]),
    "switched off": (TOOLS + "USE_KDUMP=0\n" + UNLOADED, "no", ["loaded"]),
    "target full": (
        "=== usage / size=31024349184 available=1000000 used=31023349184 mountpoint=/\n",
        "no",
        ["room"],
    ),
    "another kernel's initramfs": (
        "=== /var/lib/kdump/initrd.img link=/var/lib/kdump/initrd.img-6.1.0-17-amd64\n",
        "unknown",
        ["initramfs"],
    ),
    "no initramfs": ("=== /var/lib/kdump/initrd.img link=/var/lib/kdump/gone\n", "unknown", ["initramfs"]),
    "an older initramfs": (
        "=== /boot/vmlinuz-6.1.0-18-amd64 size=8152768 mtime=2026-01-01T00:00:00Z\n",
        "unknown",
        ["initramfs"],
    ),
    "too small a reservation": (SMALL, "no", ["reserved"]),
    "a target in memory": (TOOLS + "KDUMP_COREDIR=/run/crash\n", "no", ["target"]),
    "a collector that cannot work": (
        TOOLS + 'MAKEDUMP_ARGS="--nosuchopt"\n',
        "no",
        ["configured"],
    ),
    "a capture kernel without root": (
        TOOLS + 'KDUMP_CMDLINE="console=ttyS0"\n',
        "no",
        ["configured"],
    ),
    "the ordinary initramfs, which is too large": (
        "=== /etc/default/kdump-tools\nUSE_KDUMP=1\n",
        "no",
        ["reserved"],
    ),
    "a remote target": (TOOLS + 'NFS="nas:/crash"\n', "unknown", ["target", "room"]),
}


@pytest.mark.parametrize("what", DEBIAN)
def test_debian(what: str) -> None:
    change, word, stages = DEBIAN[what]
    found, failing = verdict("debian12", change)
    assert (found, failing) == (word, stages)


REDHAT = {
    "an unknown directive": (
        CONF + "pth /var/crash\n" + UNLOADED,
        "no",
        ["configured", "loaded"],
    ),
    "a directory that is not there": (
        CONF + "path /gone\n",
        "unknown",
        ["target"],
    ),
    "a key that is not there": (
        CONF + "ssh a@b\nsshkey /root/.ssh/k\ncore_collector makedumpfile -F -d 31\n" + UNLOADED,
        "no",
        ["configured", "loaded", "target", "room"],
    ),
    "a configuration that was changed since": (
        "=== /etc/kdump.conf\npath /var/crash\n",
        "unknown",
        ["initramfs"],
    ),
    "all of memory": (
        CONF + "path /var/crash\ncore_collector cp\n",
        "unknown",
        ["configured"],
    ),
}


@pytest.mark.parametrize("what", REDHAT)
def test_redhat(what: str) -> None:
    change, word, stages = REDHAT[what]
    assert verdict("rhel9", change) == (word, stages)


def test_what_is_hidden_from_an_ordinary_user_stays_unknown() -> None:
    change = """\
=== /sys/kernel/kexec_crash_size denied
=== /sys/kernel/kexec_crash_loaded denied
=== /proc/iomem denied
=== /etc/default/kdump-tools denied
"""
    word, stages = verdict("debian12", change)
    assert word == "unknown"
    assert {"reserved", "configured", "loaded", "target", "room"} <= set(stages)


def test_a_container_gets_no_verdict() -> None:
    case = gathered(host_tree("debian12").add("=== /run/systemd/container\npodman\n"))
    assert readiness(case) == []
    assert caught([]) is None
    rules = [rule for name, rule in PLUGINS.rules().items() if name.startswith(("kdump-", "dump-target-"))]
    assert judge("x", case, rules).findings == []


def test_a_report_shows_every_stage() -> None:
    case = gathered(host_tree("debian12").add(UNLOADED))
    (finding,) = judge("x", case, [PLUGINS.rules()["kdump-readiness"]]).findings
    assert finding.title.startswith("The next kernel crash would leave no dump")
    told = [str(proof.excerpt).split(":")[0] for proof in finding.evidence[: len(STAGES)]]
    assert told == STAGES
    assert "a panic, an oops" in finding.why


def test_how_large_a_dump_will_be() -> None:
    """The parts of memory that a dump level leaves out are those that /proc/meminfo counts."""

    def of(host: str, **changes: Any) -> tuple[int, int]:
        size = dump_size(case_of(host, changes, []))
        return size.likely >> 20, size.most >> 20

    def debian(arguments: str) -> dict[str, Any]:
        return {key: value for key, value in tools("MAKEDUMP_ARGS", arguments).items() if key != "host"}

    usual = of("debian12")
    assert usual == (204, 612)
    assert of("debian12", **debian("-c -d 15"))[1] == 612 + (2024079360 >> 20), "free pages too"
    assert of("debian12", **debian("-E -d 31")) == (612, 612), "nothing is compressed"
    assert of("rhel9", **conf(entry("core_collector", "cp")))[0] == (17179315200 >> 20) - 256
    assert of("debian12", memory__meminfo=None) == (409, 409), "a twentieth"
    assert of("debian12", memory__meminfo=None, host__memory_total=None, kdump__kexec__system_ram=None) == (
        64,
        64,
    )
    newer = {"host__kernel_release": "6.12.9-amd64"}
    assert of("debian12", **newer)[1] > usual[1], "makedumpfile 1.7.2 takes its free pages for used ones"


def test_what_a_capture_kernel_takes() -> None:
    def of(host: str, **changes: Any) -> int | None:
        need = capture_need(case_of(host, changes, []))
        return need.total >> 20 if need else None

    kernel = {"kdump__kexec__kernel_size": 40 << 20}
    assert of("debian12", **kernel) == int(40 + 3 * 12.5 + 32)
    inside = {"initramfs__images": image(DEBIAN_IMAGE, unpacked=30 << 20)}
    assert of("debian12", **kernel, **inside) == int(40 + 12.5 + 30 + 32)
    assert of("debian12", kdump__kexec__kernel_size=None) is None
    assert of("debian12", **kernel, kdump__images=[]) is None
