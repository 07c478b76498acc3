"""The initramfs collector: real images on a disk, and what cannot be read or is not there."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from hosttree import TextTree, text_root, write_tree

from lastwords import schemas
from lastwords.collectors import initramfs
from lastwords.collectors.initramfs import InitramfsCollector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.live import directory_root, live_root

VERSION = "6.1.0-18-amd64"


def every(root: Root) -> list[Facts]:
    """Return the facts after each yield; each must fit the schema."""
    found = []
    for facts in InitramfsCollector().collect(root.recording("initramfs")):
        found.append(json.loads(json.dumps(facts)))
        jsonschema.Draft202012Validator(schemas.load("initramfs")).validate(found[-1])
    return found


def archive(top: Path, *names: str) -> bytes:
    """Return an archive of such files by cpio(1)."""
    if not shutil.which("cpio"):
        pytest.skip("cpio is not installed")
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name * 200)
    listed = "\n".join(str(path.relative_to(top)) for path in sorted(top.rglob("*")))
    return subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input=listed.encode(),
        cwd=top,
        capture_output=True,
        check=True,
    ).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A mounted disk with a good image, a cut one, one of another kernel, a kdump image and a link."""
    early = archive(tmp_path / "early", "kernel/x86/microcode/GenuineIntel.bin")
    good = gzip.compress(archive(tmp_path / "good", f"usr/lib/modules/{VERSION}/modules.dep", "init"))
    other = gzip.compress(archive(tmp_path / "other", "lib/modules/6.1.0-17-amd64/modules.dep"))
    top = write_tree(
        TextTree().add(
            f"=== /proc/sys/kernel/osrelease\n{VERSION}\n=== /boot/initrd.img link=initrd.img-{VERSION}\n"
            f"=== /var/lib/kdump/initrd.img link=initrd.img-{VERSION}\n"
        ),
        tmp_path / "disk",
    )
    for path, data in {
        f"boot/initrd.img-{VERSION}": early + good,
        "boot/initrd.img-6.1.0-20-amd64": early + good[:-100],
        "boot/initrd.img-6.1.0-21-amd64": early + other,
        "boot/initrd.img-6.1.0-22-amd64": b"\x04\x22\x4d\x18" + good,
        "boot/initrd.img-6.1.0-22-amd64.new": b"",
        f"var/lib/kdump/initrd.img-{VERSION}": good,
        "boot/0123456789abcdef0123456789abcdef/6.9.0/initrd": good,
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
    return top


def test_what_is_found_in_images_on_a_disk(disk: Path) -> None:
    yields = every(directory_root(str(disk)))
    images = {image["path"]: image for image in yields[-1]["images"]}
    assert len(images) == 7
    good = images[f"/boot/initrd.img-{VERSION}"]
    assert (good["complete"], good["damage"], good["not_checked"]) == (True, None, None)
    assert (good["compression"], good["kernel_versions"], good["use"]) == ("gzip", [VERSION], "boot")
    assert [(s["kind"], s["microcode"]) for s in good["segments"]] == [("cpio", True), ("compressed", False)]
    assert sum(s["size"] for s in good["segments"]) <= good["size"]
    cut = images["/boot/initrd.img-6.1.0-20-amd64"]
    assert cut["complete"] is False and "cut gzip data" in cut["damage"]
    assert images["/boot/initrd.img-6.1.0-21-amd64"]["kernel_versions"] == ["6.1.0-17-amd64"]
    packed = images["/boot/initrd.img-6.1.0-22-amd64"]
    assert (packed["complete"], packed["compression"], packed["kernel_versions"]) == (
        False,
        "lz4-frame",
        None,
    )
    assert packed["kernel_message"] == "invalid magic at start of compressed archive"
    left = images["/boot/initrd.img-6.1.0-22-amd64.new"]
    assert (left["use"], left["version"], left["complete"], left["damage"]) == (
        "leftover",
        "6.1.0-22-amd64",
        False,
        "empty file",
    )
    assert images[f"/var/lib/kdump/initrd.img-{VERSION}"]["use"] == "kdump"
    assert images["/boot/0123456789abcdef0123456789abcdef/6.9.0/initrd"]["version"] == "6.9.0"


def test_headers_of_all_come_first_then_the_images_of_the_running_kernel(disk: Path) -> None:
    yields = every(directory_root(str(disk)))
    assert all(image["complete"] is None for image in yields[0]["images"])
    assert [image["compression"] for image in yields[0]["images"]].count("gzip") == 5
    assert yields[0]["images"][0]["not_checked"] == "not looked at before the time was over"
    done = [{image["path"] for image in facts["images"] if image["complete"] is not None} for facts in yields]
    assert done[1] == {f"/boot/initrd.img-{VERSION}"}
    assert done[2] == done[1] | {f"/var/lib/kdump/initrd.img-{VERSION}"}


def test_what_the_budget_does_not_allow_is_not_judged(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initramfs, "BUDGET", -1.0)
    for image in every(directory_root(str(disk)))[-1]["images"]:
        if image["size"]:
            assert image["complete"] is None
            assert image["segments"]
            assert image["not_checked"].startswith("no time left")


def test_large_images_are_followed_until_the_version_is_known(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initramfs, "WHOLE_LIMIT", 100)
    images = {image["path"]: image for image in every(directory_root(str(disk)))[-1]["images"]}
    good = images[f"/boot/initrd.img-{VERSION}"]
    assert (good["complete"], good["kernel_versions"]) == (None, [VERSION])
    assert good["not_checked"] == f"not followed to its end: {good['size']} bytes are too many"
    assert (good["members"], good["unpacked"]) == (None, None)
    # What the headers told is not lost.
    assert [segment["size"] is None for segment in good["segments"]] == [False, True]


def test_nothing_of_an_image_becomes_evidence(disk: Path) -> None:
    kept: dict[str, bytes] = {}

    def store(name: str, data: bytes) -> str:
        kept[name] = data
        return name

    root = directory_root(str(disk)).recording("initramfs", store)
    for _ in InitramfsCollector().collect(root):
        pass
    root.evidence.finish()
    assert sorted(kept) == ["evidence/nodes/initramfs.jsonl", "evidence/proc/sys/kernel/osrelease"]


def test_denied_images_are_null_with_the_reason() -> None:
    root = text_root(
        "=== /boot/initramfs-5.14.0.img denied size=1000\n=== /boot/initrd-6.4.0-default hex\n1f8b\n"
    )
    denied, small = every(root)[-1]["images"]
    assert (denied["segments"], denied["complete"], denied["compression"]) == (None, None, None)
    assert denied["not_checked"] == "permission denied"
    assert denied["size"] == 1000
    assert (small["complete"], small["compression"]) == (False, "gzip")


def test_no_image_is_no_data() -> None:
    with pytest.raises(NoData):
        every(text_root("=== /boot/vmlinuz-6.1\n"))


def test_this_host() -> None:
    if not [*Path("/boot").glob("initr*-*"), *Path("/var/lib/kdump").glob("init*")]:
        with pytest.raises(NoData):
            every(live_root())
        return
    for image in every(live_root())[-1]["images"]:
        assert image["complete"] is not False
        assert image["size"] == Path(image["path"]).stat().st_size
