"""The parsers behind the collectors kdump and crash_dumps."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.kdump.conf import parse_kdump_conf
from lastwords.formats.kdump.dump_names import kind_of_dump_file, parse_dump_name
from lastwords.formats.kdump.iomem import crash_kernel_ranges, parse_iomem
from lastwords.formats.kdump.target import debian_targets, kdump_conf_targets, suse_targets
from lastwords.formats.system.packages import parse_dpkg_list, parse_dpkg_status, parse_rpm_list
from lastwords.formats.system.shell_vars import last_values, parse_shell_vars
from lastwords.formats.system.systemctl import parse_show, parse_status
from lastwords.formats.vmcore.head import HEAD_SIZE, parse_vmcore_head

# The start of a dump that makedumpfile 1.7.2 wrote of a crashed Debian 12 kernel.
REAL_HEAD = bytes.fromhex("4b44554d50202020060000004c696e7578").ljust(77, b"\0") + b"(none)"
REAL_HEAD = REAL_HEAD.ljust(142, b"\0") + b"6.1.0-56-cloud-amd64"
REAL_HEAD = REAL_HEAD.ljust(207, b"\0") + b"#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
REAL_HEAD = REAL_HEAD.ljust(272, b"\0") + b"x86_64"
REAL_HEAD = REAL_HEAD.ljust(337, b"\0") + b"(none)"
REAL_HEAD = REAL_HEAD.ljust(408, b"\0") + bytes.fromhex(
    "4c50046b00000000000000000000000001000000001000000100000004000000d0ff0000000000000000000000000000"
    "0000000001000000"
)


def flattened(inner: bytes, offset: int = 0) -> bytes:
    head = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
    return head.ljust(4096, b"\0") + struct.pack(">qq", offset, len(inner)) + inner


def elf(kind: int = 4, machine: int = 62, big: bool = False) -> bytes:
    start = b"\x7fELF\x02" + (b"\x02" if big else b"\x01") + b"\x01" + bytes(9)
    return start + struct.pack(">HH" if big else "<HH", kind, machine) + bytes(44)


def test_head_of_a_real_dump() -> None:
    head = parse_vmcore_head(REAL_HEAD)
    assert (head.kind, head.flattened, head.version) == ("kdump", False, 6)
    assert (head.release, head.machine) == ("6.1.0-56-cloud-amd64", "x86_64")
    assert (head.timestamp, head.compression, head.incomplete) == (1795444812, "zlib", False)


def test_head_of_a_stream_shows_the_dump_inside() -> None:
    data = flattened(REAL_HEAD)
    assert len(data) <= HEAD_SIZE
    head = parse_vmcore_head(data)
    assert head.flattened and head.release == "6.1.0-56-cloud-amd64"
    assert parse_vmcore_head(flattened(elf())).kind == "elf-core"
    # Cut before the first record, or another record first: a stream of who knows what.
    assert parse_vmcore_head(data[:4100]) == parse_vmcore_head(flattened(REAL_HEAD, 8192))
    assert parse_vmcore_head(data[:4100]).kind == "unknown"


@pytest.mark.parametrize(
    ("status", "compression", "incomplete"),
    [(0, None, False), (2, "lzo", False), (4, "snappy", False), (0x20, "zstd", False), (9, "zlib", True)],
)
def test_status_flags(status: int, compression: str, incomplete: bool) -> None:
    head = parse_vmcore_head(REAL_HEAD[:424] + struct.pack("<i", status) + REAL_HEAD[428:])
    assert (head.compression, head.incomplete) == (compression, incomplete)


def test_big_endian_dumps_of_s390x() -> None:
    data = REAL_HEAD[:8] + struct.pack(">i", 6) + REAL_HEAD[12:272] + b"s390x\0" + REAL_HEAD[278:408]
    data += struct.pack(">qqi", 1700000000, 0, 1) + bytes(40)
    head = parse_vmcore_head(data)
    assert (head.version, head.machine, head.timestamp) == (6, "s390x", 1700000000)
    assert parse_vmcore_head(elf(machine=22, big=True)).machine == "s390x"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (elf(), "elf-core"),
        (elf(kind=2), "elf"),
        (gzip.compress(b"x"), "gzip"),
        (lzma.compress(b"x"), "xz"),
        (b"LUKS\xba\xbe\0\2", "luks"),
        (b"Salted__abcdefgh", "encrypted"),
        (b"makedumpfile: unrecognized option '--nosuchopt'\n", "text"),
        (bytes(512), "zeros"),
        (b"", "empty"),
        (b"\x80\x81\x82", "unknown"),
        (b"KDUMP   ", "kdump"),
        (b"\x7fELF", "elf"),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    assert parse_vmcore_head(data).kind == kind


@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"KDUMP   ", b"\x7fELF", b"makedumpfile\0".ljust(4096, b"\0")]),
)
def test_garbage_has_some_kind(data: bytes, start: bytes) -> None:
    assert parse_vmcore_head(start + data).kind


@pytest.mark.parametrize(
    ("name", "layout", "host", "time"),
    [
        ("127.0.0.1-2026-02-20-04:05:06", "rhel", "127.0.0.1", 1771560306),
        ("127.0.0.1-2014.06.10-01:02:03", "rhel", "127.0.0.1", 1402362123),
        ("db-1.example.com-2026-02-20-04:05:06", "rhel", "db-1.example.com", 1771560306),
        ("202602201404", "debian", None, 1771596240),
        ("10.0.0.7-202602201404", "debian", "10.0.0.7", 1771596240),
        ("2026-02-20-14:04", "suse", None, 1771596240),
        ("2026-02-20-14-04", "suse", None, 1771596240),
        ("hana-a-2026-02-20-14-04", "suse", "hana-a", 1771596240),
    ],
)
def test_names_of_dumps(name: str, layout: str, host: str, time: int) -> None:
    found = parse_dump_name(name)
    assert found is not None
    assert (found.layout, found.host, found.time) == (layout, host, time)


@pytest.mark.parametrize(
    "name", ["scripts", "202613201404", "127.0.0.1-253:4f:53:00:00:05", "2026-02-20-25:04", "20260220"]
)
def test_other_names(name: str) -> None:
    assert parse_dump_name(name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vmcore", "core"),
        ("vmcore.flat", "core"),
        ("vmcore.1", "core"),
        ("dump.202602201404", "core"),
        ("dump.202602201404.xz", "core"),
        ("vmcore.202602201404", "core"),
        ("vmcore-incomplete", "core-incomplete"),
        ("dump-incomplete", "core-incomplete"),
        ("dump-incomplete.gz", "core-incomplete"),
        ("vmcore-dmesg.txt", "dmesg"),
        ("dmesg.202602201404", "dmesg"),
        ("dmesg", "dmesg"),
        ("vmcore-dmesg-incomplete.txt", "dmesg-incomplete"),
        ("kexec-dmesg.log", "capture-log"),
        ("README.txt", "readme"),
        ("System.map-5.14.21-default", "kernel"),
        ("notes", "other"),
    ],
)
def test_kinds_of_files(name: str, kind: str) -> None:
    assert kind_of_dump_file(name) == kind


def test_kdump_conf() -> None:
    text = "# c\n\n  path   /dumps # where\nlink_delay 60\ndefault shell\nnosuch x\nraw\n"
    found = [(each.line, each.name, each.value, each.status) for each in parse_kdump_conf(text)]
    assert found == [
        (3, "path", "/dumps", "known"),
        (4, "link_delay", "60", "obsolete"),
        (5, "default", "shell", "deprecated"),
        (6, "nosuch", "x", "unknown"),
        (7, "raw", "", "known"),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "device", "path"),
    [
        ("", "local", None, "/var/crash"),
        ("path /d", "local", None, "/d"),
        ("xfs /dev/vg/x\npath /d", "device", "/dev/vg/x", "/d"),
        ("nfs nas:/export", "nfs", "nas:/export", "/var/crash"),
        ("ssh root@nas\nsshkey /root/.ssh/k", "ssh", "root@nas", "/var/crash"),
        ("raw /dev/sdb1", "raw", "/dev/sdb1", None),
        ("virtiofs myfs", "virtiofs", "myfs", "/var/crash"),
        ('dracut_args --mount "nas:/e /mnt nfs4 defaults"', "mount", "nas:/e", "/var/crash"),
    ],
)
def test_targets_of_kdump_conf(text: str, kind: str, device: str, path: str) -> None:
    (target,) = kdump_conf_targets(parse_kdump_conf(text))
    assert (target.type, target.device, target.path) == (kind, device, path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("local", None, "/var/crash")]),
        ("KDUMP_COREDIR=/d", [("local", None, "/d")]),
        ("KDUMP_COREDIR=$X/d", [("unknown", None, "$X/d")]),
        ("NFS=nas:/e", [("nfs", "nas:/e", "/")]),
        ("SSH=u@h\nFTP=h:/p", [("ftp", "h", "/p"), ("ssh", "u@h", "/var/crash")]),
    ],
)
def test_targets_of_debian(text: str, expected: list[tuple[str, str, str]]) -> None:
    values = last_values(parse_shell_vars(text)[0])
    assert [(each.type, each.device, each.path) for each in debian_targets(values)] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ("local", None, "/var/crash")),
        ("/d", ("local", None, "/d")),
        ("file:///d", ("local", None, "/d")),
        ("nfs://nas/export/crash", ("nfs", "nas", "/export/crash")),
        ("cifs://<removed>@nas/share", ("cifs", "<removed>@nas", "/share")),
        ("ftp://nas", ("ftp", "nas", "/")),
        ("gopher://nas/x", ("unknown", "nas", "/x")),
    ],
)
def test_targets_of_suse(value: str, expected: tuple[str, str, str]) -> None:
    values = last_values(parse_shell_vars(f'KDUMP_SAVEDIR="{value}"')[0])
    (target,) = suse_targets(values)
    assert (target.type, target.device, target.path) == expected


def test_iomem_of_this_host() -> None:
    text = Path("/proc/iomem").read_text()
    found = parse_iomem(text)
    if found is None:
        assert "00000000-00000000" in text
    else:
        assert len(found) == len(text.splitlines())
        assert all(each.size > 0 for each in found)


def test_crash_kernel_high_and_low() -> None:
    text = "66000000-6a7fffff : Crash kernel\n100000000-87fffffff : System RAM\n"
    text += "  85f000000-873bfffff : Crash kernel\n"
    found = parse_iomem(text)
    assert found is not None
    assert [each.size >> 20 for each in crash_kernel_ranges(found)] == [72, 332]
    assert parse_iomem("garbage\n") is None


def test_dpkg_knows_what_is_removed() -> None:
    status = Path("/var/lib/dpkg/status")
    if not status.exists():
        pytest.skip("no dpkg here")
    with status.open(encoding="utf-8", errors="replace") as lines:
        assert [each.status for each in parse_dpkg_status(lines, {"dpkg"})] == ["installed"]
    text = "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n\n"
    text += "Package: b\nStatus: install ok unpacked\nVersion: 2\n"
    assert [(p.name, p.status) for p in parse_dpkg_status(text.split("\n"), {"a", "b"})] == [
        ("b", "unpacked")
    ]
    listed = ["rc  a  1  all  x", "iU  b:amd64  2  amd64  x", "ii  bc  3  all  x"]
    assert [(p.name, p.status) for p in parse_dpkg_list(listed, {"a", "b"})] == [("b", "unpacked")]


def test_rpm_lists_of_sosreports() -> None:
    lines = [
        "kexec-tools-2.0.15-51.el7_9.3.x86_64            Thu Jan  1 00:00:00 2026",
        "kexec-tools-eppic-2.0.15-51.el7.x86_64",
    ]
    assert [(p.name, p.version) for p in parse_rpm_list(lines, {"kexec-tools", "kdump"})] == [
        ("kexec-tools", "2.0.15-51.el7_9.3.x86_64")
    ]


def test_systemctl_status_of_several_units() -> None:
    text = """\
● kdump.service - Crash recovery kernel arming
     Loaded: loaded (/usr/lib/systemd/system/kdump.service; enabled; preset: enabled)
     Active: active (exited) since Sun 2026-03-01 09:00:30 UTC; 1 day 1h ago
    Process: 1021 ExecStart=/usr/bin/kdumpctl start (code=exited, status=0/SUCCESS)

Mar 01 09:00:30 db01 kdumpctl[1030]: kdump: Starting kdump: [OK]

○ nosuch.service
     Loaded: not-found (Reason: Unit nosuch.service not found.)
     Active: inactive (dead)
"""
    kdump, other = parse_status(text.splitlines())
    assert (kdump["ActiveState"], kdump["SubState"], kdump["UnitFileState"]) == (
        "active",
        "exited",
        "enabled",
    )
    assert (other["Id"], other["LoadState"]) == ("nosuch.service", "not-found")


@given(st.text(alphabet="●Id=.\n: ;()Loadedctivs", max_size=200))
def test_systemctl_garbage(text: str) -> None:
    for found in (parse_show(text.splitlines()), parse_status(text.splitlines())):
        assert all(isinstance(unit, dict) for unit in found)
