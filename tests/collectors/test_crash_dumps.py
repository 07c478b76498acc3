"""crash_dumps: real files on a real filesystem, unreadable places, sosreports, and a server that is gone."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, Optional

import jsonschema
import pytest
from hosttree import TextTree, host_tree, root_of, text_root, write_tree
from vmcores import BLOCK, Kdump, elf, flattened, note

from lastwords import schemas
from lastwords.collectors.crash_dumps import MAX_DUMPS, CrashDumpsCollector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree, Node

PAGES = {number: bytes([number]) * BLOCK for number in range(1, 9)}
INFO = b"OSRELEASE=6.1.0-56\nBUILD-ID=" + b"ab" * 20 + b"\nPAGESIZE=4096\n"

SCHEMA = jsonschema.Draft202012Validator(schemas.load("crash_dumps"))
EVENT = jsonschema.Draft202012Validator(schemas.load("event"))


def check(facts: Facts) -> None:
    document = json.loads(json.dumps(facts))
    for event in document.pop("events"):
        EVENT.validate(event)
    SCHEMA.validate(document)


def collected(root: Root) -> Facts:
    """Return the last facts; every yield must fit the schema."""
    facts: Facts = {}
    for facts in CrashDumpsCollector().collect(root.recording("crash_dumps")):
        check(facts)
    return facts


def only_dump(root: Root) -> dict[str, Any]:
    (dump,) = collected(root)["dumps"]
    return dict(dump)


def test_this_host() -> None:
    facts = collected(live_root())
    crash = Path("/var/crash")
    place = facts["places"][0]
    assert (place["path"], place["exists"]) == ("/var/crash", crash.exists())
    if crash.exists() and os.access(crash, os.R_OK):
        assert {Path(dump["path"]).name for dump in facts["dumps"]} <= {path.name for path in crash.iterdir()}
    elif not crash.exists():
        assert facts["dumps"] == []
    pstore = Path("/sys/fs/pstore")
    if pstore.is_dir() and os.access(pstore, os.R_OK):
        assert len(facts["pstore"]["kernel"]) == sum(path.is_file() for path in pstore.iterdir())


def test_sparse_files_count_what_they_take(tmp_path: Path) -> None:
    folder = tmp_path / "var/crash/127.0.0.1-2026-02-20-04:05:06"
    folder.mkdir(parents=True)
    core = folder / "vmcore"
    core.write_bytes(b"\x7fELF" + bytes(60))
    os.truncate(core, 64 << 20)
    dump = only_dump(directory_root(str(tmp_path)))
    (file,) = dump["files"]
    assert (file["size"], dump["size"]) == (64 << 20, 64 << 20)
    assert file["allocated"] == core.stat().st_blocks * 512 == dump["used"]
    if core.stat().st_blocks * 512 == core.stat().st_size:
        pytest.skip("this filesystem has no sparse files")
    assert dump["used"] < dump["size"]


@pytest.mark.parametrize(
    ("content", "kind", "flat", "damage"),
    [
        (Kdump(PAGES, INFO).file(), "kdump", False, None),
        (flattened(Kdump(PAGES, INFO).file(), 5000), "kdump", True, None),
        (elf(PAGES, note(b"VMCOREINFO", 0, INFO)), "elf-core", False, None),
        (Kdump(PAGES, INFO).file()[:-100], "kdump", False, "cut off"),
        (flattened(Kdump(PAGES, INFO).file(), 5000, end=False), "kdump", True, "no end mark"),
        (elf(PAGES, note(b"VMCOREINFO", 0, INFO))[:-100], "elf-core", False, "cut off"),
        (Kdump(PAGES, INFO, status=8).file(), "kdump", False, "marked as incomplete"),
    ],
)
def test_dumps_whole_and_cut_by_their_own_headers(
    content: bytes, kind: str, flat: bool, damage: Optional[str], tmp_path: Path
) -> None:
    folder = tmp_path / "var/crash/202602201404"
    folder.mkdir(parents=True)
    (folder / "dump.202602201404").write_bytes(content)
    head = only_dump(directory_root(str(tmp_path)))["files"][0]["head"]
    assert (head["kind"], head["flattened"]) == (kind, flat)
    assert (head["release"], head["build_id"]) == ("6.1.0-56", "ab" * 20)
    assert head["level"] == (31 if kind == "kdump" else None)
    if damage is None:
        assert head["damage"] == []
    else:
        assert damage in head["damage"][0]


def test_what_kdump_tools_saves_when_makedumpfile_refuses_its_options(tmp_path: Path) -> None:
    folder = tmp_path / "var/crash/202602201404"
    folder.mkdir(parents=True)
    (folder / "dump.202602201404").write_text("makedumpfile: unrecognized option '--nosuchopt'\n")
    head = only_dump(directory_root(str(tmp_path)))["files"][0]["head"]
    assert (head["kind"], head["damage"]) == ("text", None)


def test_layouts_on_a_real_directory(tmp_path: Path) -> None:
    write_tree(host_tree("debian12"), tmp_path / "d")
    dump = only_dump(directory_root(str(tmp_path / "d")))
    assert (dump["layout"], dump["cores"], dump["unfinished"]) == ("debian", ["dump.202602201404"], [])
    core = next(each for each in dump["files"] if each["kind"] == "core")
    assert core["head"]["flattened"] is True and core["head"]["release"] == "6.1.0-18-amd64"
    assert core["size"] == 71303168
    assert dump["time_from"] == "header"


def test_a_dump_that_was_cut_short() -> None:
    text = """\
=== /var/crash/202602201404/dmesg.202602201404 mtime=2026-02-20T14:04:02Z
[    0.0] Linux
=== /var/crash/202602201404/dump-incomplete hex size=4986833
6d616b6564756d7066696c6500000000
=== /var/crash/202602201404/vmcore-incomplete size=1024 mtime=2026-02-20T14:05:02Z
"""
    facts = collected(text_root(text))
    (dump,) = facts["dumps"]
    assert dump["unfinished"] == ["dump-incomplete", "vmcore-incomplete"]
    heads = {each["name"]: each["head"] and each["head"]["kind"] for each in dump["files"]}
    assert heads == {"dmesg.202602201404": None, "dump-incomplete": "unknown", "vmcore-incomplete": "empty"}
    (event,) = facts["events"]
    assert event["kind"] == "dump" and event["summary"].startswith("unfinished crash dump")


def test_a_dump_that_is_an_error_message() -> None:
    """Debian's kdump-config tests only the last command of a pipe: the usage text became the dump."""
    text = "=== /var/crash/202602201404/dump.202602201404\nmakedumpfile: unrecognized option '--nosuchopt'\n"
    (file,) = only_dump(text_root(text))["files"]
    assert (file["kind"], file["head"]["kind"]) == ("core", "text")


@pytest.mark.parametrize(
    ("name", "mtime", "time", "told"),
    [
        # Written by a host seven hours west of Greenwich: the file tells what the name cannot.
        ("127.0.0.1-2026-02-20-04:05:06", "2026-02-20T11:05:40Z", 1771585540.0, "files"),
        # Copied here a month later: the name is nearer to the truth.
        ("127.0.0.1-2026-02-20-04:05:06", "2026-03-20T11:05:40Z", 1771560306, "name"),
        # Names that sos clean took for a MAC address.
        ("101.0.0.3-253:4f:53:00:00:05", "2026-02-20T11:05:40Z", 1771585540.0, "files"),
    ],
)
def test_when_it_was(name: str, mtime: str, time: float, told: str) -> None:
    dump = only_dump(text_root(f"=== /var/crash/{name}/vmcore-dmesg.txt mtime={mtime}\n[0] x\n"))
    assert (dump["time"], dump["time_from"]) == (time, told)


def test_the_header_knows_best() -> None:
    head = b"KDUMP   " + struct.pack("<i", 6) + bytes(396) + struct.pack("<qqi", 1771560000, 0, 1) + bytes(40)
    text = f"=== /var/crash/127.0.0.1-2026-02-20-04:05:06/vmcore hex\n{head.hex()}\n"
    dump = only_dump(text_root(text))
    assert (dump["time"], dump["time_from"]) == (1771560000, "header")


def test_configured_places_and_copies_of_abrt() -> None:
    text = """\
=== /etc/kdump.conf
xfs /dev/vdb1
path /dumps
=== /proc/self/mounts
/dev/vda1 / ext4 rw 0 0
/dev/vdb1 /data xfs rw 0 0
=== /data/dumps/127.0.0.1-2026-02-20-04:05:06/vmcore-dmesg.txt
[0] x
=== /var/spool/abrt/vmcore-127.0.0.1-2026-01-02-03:04:05/vmcore size=0
=== /var/spool/abrt/ccpp-2026-01-02-03:04:05-77/coredump size=0
=== usage /data size=1000 available=400 used=600
"""
    facts = collected(text_root(text))
    places = {each["path"]: (each["origin"], each["available"]) for each in facts["places"]}
    assert places["/data/dumps"] == ("configured", 400)
    assert places["/var/crash"] == ("default", None)
    assert [(each["layout"], each["named_at"]) for each in facts["dumps"]] == [
        ("abrt", 1767323045),
        ("rhel", 1771560306),
    ]


def test_apport_and_archived_pstore() -> None:
    text = """\
=== /var/crash/_usr_bin_x.1000.crash uid=1000 size=10
=== /var/crash/_usr_bin_x.1000.upload size=0
=== /var/crash/linux-image-6.8.0-31-generic-202602250312.crash size=20
=== /sys/fs/pstore/dmesg-efi-1 size=1000
=== /var/lib/systemd/pstore/17/001/dmesg.txt size=5
"""
    facts = collected(text_root(text))
    assert [(each["kernel"], each["uid"], each["size"]) for each in facts["apport"]] == [
        (False, 1000, 10),
        (True, 0, 20),
    ]
    assert [each["path"] for each in facts["pstore"]["kernel"]] == ["/sys/fs/pstore/dmesg-efi-1"]
    assert [each["size"] for each in facts["pstore"]["archived"]] == [5]


def test_denied_is_null_and_noted() -> None:
    text = "=== /var/crash dir denied\n=== /sys/fs/pstore dir denied\n=== /var/lib/systemd/pstore dir\n"
    root = text_root(text).recording("crash_dumps")
    facts: Facts = {}
    for facts in CrashDumpsCollector().collect(root):
        check(facts)
    place = facts["places"][0]
    assert (place["exists"], place["listed"]) == (True, False)
    assert facts["dumps"] is None and facts["apport"] is None and facts["used"] is None
    assert facts["pstore"] == {"kernel": None, "archived": []}
    assert {"path": "/var/crash", "reason": "permission denied"} in root.evidence.gaps


def test_a_dump_that_cannot_be_looked_into() -> None:
    dump = only_dump(text_root("=== /var/crash/202602201404 dir denied\n"))
    assert (dump["listed"], dump["files"], dump["cores"], dump["size"]) == (False, None, None, None)
    assert (dump["time"], dump["time_from"]) == (1771596240, "name")


def test_other_things_in_the_directory_are_no_dumps() -> None:
    text = (
        "=== /var/crash/scripts/post.sh\necho\n=== /var/crash/kexec_cmd\nkexec\n=== /var/crash/x link=/etc\n"
    )
    assert collected(text_root(text))["dumps"] == []


def test_very_many_dumps_are_bounded() -> None:
    names = [f"20{year:02}01{day:02}0101" for year in range(10, 26) for day in range(1, 29)]
    text = "".join(f"=== /var/crash/{name}/dmesg.{name}\nx\n" for name in names)
    facts = collected(text_root(text))
    assert len(names) > MAX_DUMPS == len(facts["dumps"])
    assert facts["places"][0]["truncated"] is True
    assert facts["dumps"][-1]["path"].endswith(names[-1])


class Trap(TextTree):
    """A host whose file server is gone: whoever looks below the mount point never comes back."""

    def lookup(self, path: str) -> Node:
        if path.startswith("/mnt/nas"):
            raise RuntimeError("never comes back")
        return super().lookup(path)


def test_a_server_that_is_gone_costs_only_its_own_dumps() -> None:
    tree = Trap()
    tree.add(
        "=== /mnt dir\n=== /etc/kdump.conf\nnfs nas:/export\n=== /proc/self/mounts\n/dev/vda1 / ext4 rw 0 0\n"
        "nas:/export /mnt/nas nfs4 rw 0 0\n=== /var/crash/202602201404/dmesg.202602201404\nx\n"
        "=== /var/tmp/abrt dir\n"
    )
    yielded: list[Facts] = []
    with pytest.raises(RuntimeError):
        for facts in CrashDumpsCollector().collect(root_of(tree).recording("crash_dumps")):
            yielded.append(facts)
    last = yielded[-1]
    assert [each["path"] for each in last["places"]] == ["/var/crash", "/var/spool/abrt", "/var/tmp/abrt"]
    assert len(last["dumps"]) == 1 and len(last["events"]) == 1


LISTING = """\
/var/crash:
total 0
drwxr-xr-x. 3 root root system_u:object_r:kdump_crash_t:s0   44 Feb 20 04:05 .
drwxr-xr-x. 20 root root system_u:object_r:var_t:s0          278 Feb 20 04:05 ..
drwxr-xr-x. 2 root root system_u:object_r:kdump_crash_t:s0   72 Feb 20 04:05 127.0.0.1-2026-02-20-04:05:06

/var/crash/127.0.0.1-2026-02-20-04:05:06:
total 188960
drwxr-xr-x. 2 root root system_u:object_r:kdump_crash_t:s0   72 Feb 20 04:05 .
drwxr-xr-x. 3 root root system_u:object_r:kdump_crash_t:s0   44 Feb 20 04:05 ..
-rw-------. 1 root root system_u:object_r:kdump_crash_t:s0    98765 Feb 20 04:05 kexec-dmesg.log
-rw-------. 1 root root system_u:object_r:kdump_crash_t:s0 193495812 Feb 20 04:05 vmcore
-rw-------. 1 root root system_u:object_r:kdump_crash_t:s0    69123 Feb 20 04:05 vmcore-dmesg.txt
"""


def report(top: Path, files: dict[str, str]) -> Root:
    for name, text in {
        "version.txt": "sos report: 4.10.0\n",
        "sos_commands/date/date": "x\n",
        **files,
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
        os.utime(top / name, (1772445600, 1772445600))
    return sosreport_root(DirectoryTree(str(top)), "a report")


def test_a_sosreport_with_a_listing(tmp_path: Path) -> None:
    files = {
        "sos_commands/kdump/ls_-alZR_.var.crash": LISTING,
        "var/crash/127.0.0.1-2026-02-20-04:05:06/vmcore-dmesg.txt": "[0] x\n",
    }
    facts = collected(report(tmp_path, files))
    (dump,) = facts["dumps"]
    sizes = {each["name"]: each["size"] for each in dump["files"]}
    assert sizes["vmcore"] == 193495812 and dump["listed"] is True
    core = next(each for each in dump["files"] if each["kind"] == "core")
    assert core["head"] is None and core["allocated"] is None
    assert dump["time_from"] == "files" and abs(dump["time"] - 1771560300) < 60
    assert facts["pstore"]["kernel"] is None


def test_a_sosreport_without_one_knows_the_copied_logs_only(tmp_path: Path) -> None:
    files = {"var/crash/127.0.0.1-2026-02-20-04:05:06/vmcore-dmesg.txt": "[0] x\n"}
    facts = collected(report(tmp_path, files))
    (dump,) = facts["dumps"]
    assert [each["name"] for each in dump["files"]] == ["vmcore-dmesg.txt"]
    assert (dump["listed"], dump["size"], dump["cores"]) == (False, None, None)
    assert facts["places"][0]["listed"] is False


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        collected(report(tmp_path, {}))
