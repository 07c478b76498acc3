"""Logs of crashed kernels: where kdump was told to save them, and in dumps beside which it saved none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from vmcores import Kdump, corpus, corpus_dump, flattened, pages_of

from lastwords import schemas
from lastwords.collectors import kernel_log_dumps
from lastwords.collectors.kernel_log import KernelLogCollector
from lastwords.model import Facts
from lastwords.roots.base import Root
from lastwords.roots.bundle import bundle_root
from lastwords.roots.live import directory_root
from lastwords.roots.trees import DirectoryTree

SCHEMA = jsonschema.Draft202012Validator(schemas.load("kernel_log"))
NAME = "6.1-sysrq-c.kdump"
CRASHED = 1795444812
SECRET = "S3cretTargetPw"


def host(top: Path, files: dict[str, bytes]) -> Root:
    for path, data in files.items():
        target = top / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        os.utime(target, (CRASHED + 60, CRASHED + 60))
    return directory_root(str(top))


def collected(root: Root) -> Facts:
    facts: Facts = {}
    for facts in KernelLogCollector().collect(root):
        document = json.loads(json.dumps(facts))
        document.pop("events")
        SCHEMA.validate(document)
    return facts


def told(facts: Facts) -> list[tuple[str, str]]:
    """Return kind and path of each log that told of a panic."""
    kinds = {source["path"]: source["kind"] for source in facts["sources"]}
    return [(kinds[event["path"]], event["path"]) for event in facts["events"] if event["kind"] == "panic"]


@pytest.mark.parametrize(
    ("files", "saved"),
    [
        (
            {"/etc/kdump.conf": b"path /srv/dumps\n"},
            "/srv/dumps/127.0.0.1-2026-11-23-14:40:12/vmcore-dmesg.txt",
        ),
        (
            {"/etc/default/kdump-tools": b"USE_KDUMP=1\nKDUMP_COREDIR=/srv/dumps\n"},
            "/srv/dumps/202611231440/dmesg.202611231440",
        ),
        ({}, "/var/spool/abrt/vmcore-127.0.0.1-2026-11-23-14:40:12/vmcore-dmesg.txt"),
    ],
)
def test_saved_logs_are_read_where_dumps_go(files: dict[str, bytes], saved: str, tmp_path: Path) -> None:
    log = corpus(NAME.replace(".kdump", ".log")).read_bytes()
    elsewhere = "/srv/other/202611231440/dmesg.202611231440"
    facts = collected(host(tmp_path, {**files, saved: log, elsewhere: log}))
    assert told(facts) == [("crash_dmesg", saved)]


def dump_with_secret() -> bytes:
    """Return a real dump, in whose log a password stands in the command line."""
    dump = corpus_dump(NAME)
    plain = b"console=ttyS0 crashkernel=96M panic=5"
    changed = f"rd.iscsi.password={SECRET}".encode().ljust(len(plain))
    pages = {number: page.replace(plain, changed) for number, page in pages_of(dump).items()}
    return Kdump(pages, dump.file.info, timestamp=CRASHED).file()


@pytest.mark.parametrize("stream", [False, True])
def test_the_log_is_taken_out_of_a_dump_that_has_none_beside_it(stream: bool, tmp_path: Path) -> None:
    path = "/var/crash/202611231440/dump.202611231440"
    data = flattened(dump_with_secret()) if stream else dump_with_secret()
    kept: dict[str, bytes] = {}

    def store(name: str, content: bytes) -> str:
        kept[name] = content
        target = tmp_path / "bundle" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return name

    root = host(tmp_path / "host", {path: data}).recording("kernel_log", store)
    facts = collected(root)
    command = f"$ lastwords vmcore --dmesg {path}"
    assert told(facts) == [("crash_dump", command)]
    panic = next(event for event in facts["events"] if event["kind"] == "panic")
    assert panic["time"] == pytest.approx(CRASHED, abs=2)
    root.evidence.finish()
    # The bundle holds the log, without the secret, and no page of the memory.
    (log,) = (content for name, content in kept.items() if "dmesg" in name)
    lines = log.splitlines()
    assert len(lines) == len(corpus(NAME.replace(".kdump", ".log")).read_bytes().splitlines())
    assert b"sysrq triggered crash" in log and SECRET.encode() not in b"".join(kept.values())
    assert sum(map(len, kept.values())) < len(log) + 20000
    items = json.loads(json.dumps(root.evidence.items))
    bundle = bundle_root(
        DirectoryTree(str(tmp_path / "bundle")), items, taken_at=root.taken_at, where="a bundle"
    )
    again = collected(bundle)
    for each in (facts, again):
        (source,) = each["sources"]
        del source["bytes"]  # counted before the secret is removed
    assert again == facts


def test_a_log_beside_the_dump_is_enough(tmp_path: Path) -> None:
    folder = "/var/crash/202611231440"
    files = {
        f"{folder}/dump.202611231440": corpus(NAME).read_bytes(),
        f"{folder}/dmesg.202611231440": corpus(NAME.replace(".kdump", ".log")).read_bytes(),
    }
    facts = collected(host(tmp_path, files))
    assert told(facts) == [("crash_dmesg", f"{folder}/dmesg.202611231440")]
    assert {source["kind"] for source in facts["sources"]} == {"crash_dmesg"}
    # The log was written a minute later; the dump's header tells when the kernel died.
    panics = [event["time"] for event in facts["events"] if event["kind"] == "panic"]
    assert all(CRASHED - 5 <= time <= CRASHED for time in panics)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Usage: makedumpfile [OPTION]...\n", "expected a crash dump, found text"),
        (bytes(9000), "expected a crash dump, found nothing but zero bytes"),
        (b"KDUMP   " + b"\x06\0\0\0" + bytes(200), "the header"),
    ],
)
def test_what_is_no_dump_says_so(content: bytes, why: str, tmp_path: Path) -> None:
    facts = collected(host(tmp_path, {"/var/crash/202611231440/dump.202611231440": content}))
    (source,) = (each for each in facts["sources"] if each["kind"] == "crash_dump")
    assert why in source["error"] and source["lines"] is None and facts["events"] == []


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = corpus(NAME).read_bytes()
    files = {f"/var/crash/2026112314{n:02}/dump.2026112314{n:02}": data for n in range(9)}
    sources: list[dict[str, Any]] = collected(host(tmp_path / "many", files))["sources"]
    dumps = [each for each in sources if each["kind"] == "crash_dump"]
    read = [each["path"][-12:] for each in dumps if each["lines"]]
    assert read == ["202611231408", "202611231407", "202611231406", "202611231405"]
    assert [each["limit"] for each in dumps if not each["lines"]] == ["not read: more than 4 dumps"] * 5
    monkeypatch.setattr(kernel_log_dumps, "STREAM_LIMIT", 1 << 30)
    great = host(tmp_path / "great", {"/var/crash/202611231440/dump.202611231440": flattened(data)})
    os.truncate(tmp_path / "great/var/crash/202611231440/dump.202611231440", 2 << 30)
    (source,) = (each for each in collected(great)["sources"] if each["kind"] == "crash_dump")
    assert "a stream of over 1073741824 bytes" in source["error"]
