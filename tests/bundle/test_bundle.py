"""Bundles: what is written is what is read; hostile and damaged ones are refused with one line."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hosttree import host_tree, root_of

from lastwords import plugins
from lastwords.analyzer.opening import open_case, open_tree
from lastwords.bundle.read import Bundle
from lastwords.bundle.write import FORMATS, BundleWriter, OutputError, destination, format_for, new_identity
from lastwords.gather.run import gather
from lastwords.model import LastwordsError

COLLECTORS = plugins.load().collectors()


def written(tmp_path: Path, form: str = "dir", host: str = "debian12") -> Path:
    """Return a bundle of a golden host."""
    identity = new_identity()
    writer = BundleWriter(destination(str(tmp_path), identity, form), form)
    gathered = gather(
        root_of(host_tree(host)),
        list(COLLECTORS.values()),
        store=writer.store,
        keep=lambda name, result: keep(writer, name, result),
    )
    return Path(writer.finish(gathered.manifest(identity, [], True), gathered.events))


def keep(writer: BundleWriter, name: str, result: Any) -> None:
    if result.document is not None:
        writer.add(f"facts/{name}.json", result.document)
    if result.records is not None:
        writer.add(f"facts/{name}.jsonl", result.records)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_read(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, form)
    opened = Bundle(open_tree(str(path)), str(path))
    assert opened.problems() == []
    assert set(opened.facts) == {n for n, e in opened.collectors.items() if e["facts"]}
    assert opened.facts["host"]["kernel_release"] == "6.1.0-18-amd64"
    assert list(tmp_path.iterdir()) == [path]


def test_the_directory_form_survives_sos_clean(bundle: Path) -> None:
    """Plain UTF-8 text, no NUL, short lines, final newlines: what the cleaner can work on."""
    for path in bundle.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            data.decode("utf-8")
            assert b"\0" not in data
            if path.suffix in (".json", ".jsonl") and data:
                assert data.endswith(b"\n")


def test_facts_are_derived_again_from_the_evidence(bundle: Path) -> None:
    plain = open_case(str(bundle), COLLECTORS)
    again = open_case(str(bundle), COLLECTORS, recollect=True)
    assert plain.notes == again.notes == []
    for name in plain.facts:
        assert again.facts[name] == plain.facts[name], name


def test_an_obfuscated_bundle_is_read_with_a_note(bundle: Path) -> None:
    for path in bundle.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"web12", b"host0"))
    case = open_case(str(bundle), COLLECTORS)
    assert case.facts["host"]["hostname"] == "host0"
    assert "sos clean" in case.notes[0]


def test_renamed_keys_and_files_of_an_obfuscated_bundle(bundle: Path) -> None:
    (bundle / "facts/memory.json").rename(bundle / "facts/obfuscateduser1.json")
    case = open_case(str(bundle), COLLECTORS)
    assert "memory" in case.facts
    assert len(case.notes) == 1


Change = Callable[[Path, dict[str, Any]], None]


def no_manifest(path: Path, manifest: dict[str, Any]) -> None:
    (path / "manifest.json").write_text("{}")


def no_json(path: Path, manifest: dict[str, Any]) -> None:
    (path / "manifest.json").write_text('{"format": "lastwords-bundle", ')


def deep_json(path: Path, manifest: dict[str, Any]) -> None:
    (path / "manifest.json").write_text('{"format": "lastwords-bundle", "a": ' + "[" * 100_000)


def future(path: Path, manifest: dict[str, Any]) -> None:
    manifest["version"] = "2.0"
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_manifest, "expected a bundle, a sosreport, a crash dump, a kernel log or a host"),
        (no_json, "manifest.json is no JSON"),
        (deep_json, "manifest.json is no JSON"),
        (future, "bundle version 2.0, this lastwords reads 1.0"),
    ],
)
def test_what_is_no_bundle_is_said_in_one_line(bundle: Path, change: Change, words: str) -> None:
    change(bundle, json.loads((bundle / "manifest.json").read_text()))
    with pytest.raises(LastwordsError) as caught:
        open_case(str(bundle), COLLECTORS)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_validate_names_everything_that_is_wrong(bundle: Path) -> None:
    (bundle / "facts/host.json").write_text('{"cpus": "many"}')
    (bundle / "evidence/proc/uptime").write_text("1.0 1.0\n")
    (bundle / "evidence/proc/stat").unlink()
    (bundle / "extra").write_text("x")
    (bundle / "events.jsonl").write_text("[]\n")
    problems = "\n".join(Bundle(open_tree(str(bundle)), "b").problems())
    for words in (
        "facts/host: $.cpus: 'many' is not of type 'integer', 'null'",
        "facts/host: $: 'kernel_release' is a required property",
        "evidence/proc/uptime is not as it was written",
        "evidence/proc/stat is missing",
        "extra: is not in the manifest",
        "events.jsonl:1: is no event",
    ):
        assert words in problems


def test_readers_accept_what_a_newer_minor_adds(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["version"] = "1.7"
    manifest["later"] = {"a": 1}
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    facts = json.loads((bundle / "facts/host.json").read_text())
    (bundle / "facts/host.json").write_text(json.dumps({**facts, "later": 1}, indent=1) + "\n")
    assert Bundle(open_tree(str(bundle)), "b").problems() == []


def packed(bundle: Path, path: Path, change: Callable[[tarfile.TarFile, bytes], None]) -> Path:
    """Pack a bundle as ours are, then let *change* add what it wants."""
    manifest = (bundle / "manifest.json").read_bytes()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(bundle / "manifest.json", "b/manifest.json")
        change(archive, manifest)
        for name in ("events.jsonl", "facts", "evidence"):
            archive.add(
                bundle / name, f"b/{name}", filter=lambda info: info if info.isreg() or info.isdir() else None
            )
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"x") -> Any:
    def add(archive: tarfile.TarFile, manifest: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        info.size = len(data) if kind == tarfile.REGTYPE else 0
        archive.addfile(info, io.BytesIO(data) if info.size else None)

    return add


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (member("b/../../etc/cron.d/x"), "leaves the archive"),
        (member("/etc/cron.d/x"), "leaves the archive"),
        (member("b/link", tarfile.SYMTYPE, "/etc/passwd"), "is a link or device"),
        (member("b/hard", tarfile.LNKTYPE, "b/manifest.json"), "is a link or device"),
        (member("b/fifo", tarfile.FIFOTYPE), "is a link or device"),
        (member("b/null", tarfile.CHRTYPE), "is a link or device"),
        (member("b/manifest.json"), "appears twice"),
        (member("other/x"), "found none of them"),
    ],
)
def test_hostile_archives_are_refused(bundle: Path, tmp_path: Path, change: Any, words: str) -> None:
    path = packed(bundle, tmp_path / "hostile.tar.gz", change)
    with pytest.raises(LastwordsError) as caught:
        open_case(str(path), COLLECTORS)
    # a hard link is a regular file to tar, but ours have none
    assert words in str(caught.value) or "appears twice" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_cut_of_an_archive_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "tar.zst", "rhel9")
    data = path.read_bytes()
    cut = tmp_path / "cut.tar.zst"
    for size in [0, 1, 3, 4, 5, 20, *range(100, len(data) - 1, max(1, len(data) // 40))]:
        cut.write_bytes(data[:size])
        with pytest.raises(LastwordsError) as caught:
            open_case(str(cut), COLLECTORS)
        assert "\n" not in str(caught.value)


def test_a_manifest_cannot_make_us_read_outside(bundle: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the analyst's own")
    manifest = json.loads((bundle / "manifest.json").read_text())
    item = next(i for i in manifest["collectors"]["host"]["evidence"] if i["path"] == "/etc/machine-id")
    item["stored"] = "../secret"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    os.unlink(bundle / "evidence/etc/machine-id")
    os.symlink(secret, bundle / "evidence/etc/machine-id")
    case = open_case(str(bundle), COLLECTORS, recollect=True)
    assert "analyst" not in json.dumps(case.facts)


def test_a_name_that_is_taken_by_other_bytes_gets_another(tmp_path: Path) -> None:
    writer = BundleWriter(str(tmp_path / "b"), "dir")
    assert writer.store("evidence/a", b"1") == "evidence/a"
    assert writer.store("evidence/a", b"1") == "evidence/a"
    assert writer.store("evidence/a", b"2").startswith("evidence/a.")
    assert writer.store("evidence/../../../up", b"3") == "evidence/up"
    assert len(writer.store("evidence/" + "x" * 5000, b"4")) < 255
    assert writer.store("evidence/a/b", b"5") != "evidence/a/b"
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_the_final_name_is_never_overwritten(tmp_path: Path) -> None:
    writer = BundleWriter(str(tmp_path / "b.tar"), "tar")
    (tmp_path / "b.tar").write_text("somebody was faster")
    with pytest.raises(OutputError, match="exists already"):
        writer.finish({}, [])
    assert (tmp_path / "b.tar").read_text() == "somebody was faster"
    assert [p.name for p in tmp_path.iterdir()] == ["b.tar"]


def test_opening_writes_nothing(bundle: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    shutil.copytree(bundle, bundle.parent / "copy")
    open_case(str(bundle), COLLECTORS)
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if "copy" not in str(p)}
    assert {p: t for p, t in after.items() if p != tmp_path} == {
        p: t for p, t in before.items() if p != tmp_path
    }


def test_a_form_that_needs_what_is_not_installed_is_refused_before_anything_is_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(
        OutputError, match=r"zstandard, which is not installed here: give a name that ends in \.tar\.xz"
    ):
        BundleWriter(str(tmp_path / "b.tar.zst"), "tar.zst")
    assert list(tmp_path.iterdir()) == [] and format_for(None) == "tar.xz"
