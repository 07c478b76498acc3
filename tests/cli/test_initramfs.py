"""``lastwords initramfs`` as a user sees it: good, damaged and wrong files, JSON by its schema, a machine to fit."""

from __future__ import annotations

import gzip
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from initrds import PACKED, RELEASE, archive, entry, microcode, root_files

from lastwords import schemas
from lastwords.cli.main import run
from lastwords.model import ExitCode

IMAGE = microcode() + gzip.compress(archive(root_files(), entry("dev/console", mode=0o020600, device=(5, 1))))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / f"initrd.img-{RELEASE}"
    path.write_bytes(IMAGE)
    return path


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_screen(
    image: Path, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["initramfs", str(image)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert f"made by initramfs-tools, for kernel {RELEASE}" in out
    assert "whole" in out and "Nothing to report" in out
    assert "cpio, early microcode" in out and "gzip" in out
    assert "/init, a script for /bin/sh" in out
    assert "1 device nodes" in out
    lines = out.splitlines()
    assert max(map(len, lines[2:])) <= int(columns)


def test_a_damaged_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "initrd.img-6.1.0-20-amd64"
    path.write_bytes(microcode() + PACKED["zstd"](archive(root_files()))[:-5000])
    assert run(["initramfs", "--fail-on", "critical", str(path)]) == ExitCode.FINDINGS
    out = capsys.readouterr().out
    assert "DAMAGED" in out
    assert "the kernel prints: Initramfs unpacking failed: ZSTD-compressed data is truncated" in out
    assert "initramfs-damaged" in out


def test_an_init_that_the_kernel_cannot_execute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"initrd.img-{RELEASE}"
    path.write_bytes(PACKED["zstd"](archive({**root_files(), "init": b"mount /dev/sda1 /root\n"})))
    assert run(["initramfs", "--fail-on", "critical", str(path)]) == ExitCode.FINDINGS
    said = capsys.readouterr().out
    assert re.search(r"starts +/init \(neither a script \(#!\) nor a program \(ELF\)\)", said)
    assert "initramfs-without-init" in said and "error -8" in said


def test_json_is_as_its_schema_says(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["initramfs", "--json", "--list", str(image), str(image)]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(schemas.load("initramfs")).validate(document)
    first = document["images"][0]
    assert [each["name"] for each in first["entries"]][:2] == ["kernel/x86/microcode/GenuineIntel.bin", "bin"]
    console = next(each for each in first["entries"] if each["name"] == "dev/console")
    assert (console["mode"], console["device"], console["segment"]) == ("crw-------", "5:1", 1)
    assert next(each for each in first["entries"] if each["name"] == "bin/true")["target"] == "sh"


def test_json_lines(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["initramfs", "--jsonl", str(image), str(image)]) == ExitCode.OK
    assert [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()] == [str(image)] * 2


def test_the_list_is_as_ls_prints_it(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["initramfs", "--list", str(image)]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("drwxr-xr-x")
    assert "crw-------" in lines[-1] and "5, 1" in lines[-1]
    assert any(line.endswith("bin/true -> sh") for line in lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"\x7fELF" + bytes(100), "unknown data at offset 0"),
        (None, "no such file"),
        ("dir", "found a directory"),
    ],
)
def test_what_is_no_image_gets_one_line(
    tmp_path: Path, content: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    if content == "dir":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    assert run(["initramfs", str(path)]) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1 and words in captured.err


def test_one_bad_file_does_not_stop_the_others(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["initramfs", "--jsonl", str(tmp_path / "gone"), str(image)]) == ExitCode.BAD_INPUT
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_standard_input() -> None:
    argv = [sys.executable, "-m", "lastwords", "initramfs", "--json", "-"]
    done = subprocess.run(argv, input=IMAGE, capture_output=True, check=True)
    (found,) = json.loads(done.stdout)["images"]
    assert (found["path"], found["complete"], found["version"]) == ("standard input", True, RELEASE)


def unified(image: bytes) -> bytes:
    """Return a unified kernel image with four sections, as systemd's ukify lays them out."""
    parts = {
        ".cmdline": b"root=/dev/vda quiet\0",
        ".uname": RELEASE.encode(),
        ".linux": bytes(2000),
        ".initrd": image,
    }
    head = bytearray(b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40) + b"PE\0\0")
    head += struct.pack("<HHIIIHH", 0x8664, len(parts), 0, 0, 0, 240, 0) + bytes(240)
    offset, table, body = 1024, b"", b""
    for name, data in parts.items():
        stored = data + bytes(-len(data) % 512)
        table += struct.pack("<8sIIII16x", name.encode(), len(data), 0x1000, len(stored), offset)
        body += stored
        offset += len(stored)
    return bytes(head + table).ljust(1024, b"\0") + body


def test_a_unified_kernel_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "linux.efi"
    path.write_bytes(unified(IMAGE))
    assert run(["initramfs", "--json", str(path)]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)["images"]
    assert found["unified"]["cmdline"] == "root=/dev/vda quiet"
    assert (found["version"], found["complete"], found["kernel_versions"]) == (RELEASE, True, [RELEASE])
    assert [each["name"] for each in found["unified"]["sections"]] == [
        ".cmdline",
        ".uname",
        ".linux",
        ".initrd",
    ]
    path.write_bytes(unified(b""))
    assert run(["initramfs", "--json", str(path)]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)["images"]
    assert (found["complete"], found["not_checked"]) == (None, "there is no initramfs in it")
    path.write_bytes(unified(IMAGE)[:-3000])
    assert run(["initramfs", "--json", str(path)]) == ExitCode.OK
    (found,) = json.loads(capsys.readouterr().out)["images"]
    assert (found["complete"], found["kernel_message"]) == (False, None)
    assert found["damage"].endswith("before the end of its section .initrd")


DISK = {
    "etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n",
    "etc/os-release": "ID=debian\n",
    f"boot/vmlinuz-{RELEASE}": "kernel",
    f"lib/modules/{RELEASE}/modules.dep": (
        "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko\nkernel/fs/jbd2/jbd2.ko:\n"
        "kernel/drivers/block/virtio_blk.ko:\n"
    ),
    f"lib/modules/{RELEASE}/modules.builtin": "kernel/drivers/nvme/host/nvme.ko\n",
}


@pytest.mark.parametrize(
    ("dropped", "wanted"), [((), None), (("virtio_blk",), "virtio_blk"), (("jbd2",), "jbd2")]
)
def test_an_image_is_held_against_a_mounted_disk(
    tmp_path: Path, dropped: tuple[str, ...], wanted: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in DISK.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    modules = [name for name in ("virtio_blk", "ext4", "jbd2") if name not in dropped]
    path = tmp_path / "boot" / f"initrd.img-{RELEASE}"
    path.write_bytes(PACKED["zstd"](archive(root_files(modules=modules))))
    code = run(["initramfs", "--root", str(tmp_path), "--fail-on", "critical", str(path)])
    out = capsys.readouterr().out
    assert code == (ExitCode.FINDINGS if wanted else ExitCode.OK)
    assert (f"lacks {wanted}" if wanted else "holds what this machine's root needs") in out
