"""Debug symbols: whose they are, and what drgn says with them, held against what is read without."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from vmcores import Bytes, corpus

from lastwords.formats.vmcore.source import DumpError
from lastwords.formats.vmcore.vmlinux import build_id_of, how_to_get, usual_places

NAME = "6.1-sysrq-c.kdump"


def lastwords(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lastwords", "vmcore", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_build_ids_are_those_that_readelf_shows() -> None:
    if not shutil.which("readelf"):
        pytest.skip("needs readelf")
    seen = 0
    for path in ("/bin/sh", "/bin/ls", "/usr/bin/env"):
        told = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=False).stdout
        match = re.search(r"Build ID: ([0-9a-f]+)", told)
        if match:
            assert build_id_of(Bytes(Path(path).read_bytes())) == match[1]
            seen += 1
    if not seen:
        pytest.skip("no program here has a build id")


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x01\x01" + bytes(100), bytes(100)])
def test_what_is_no_vmlinux(data: bytes) -> None:
    with pytest.raises(DumpError):
        build_id_of(Bytes(data))


def test_names_from_a_dump_lead_nowhere_else() -> None:
    assert usual_places("../../etc", None) == []
    assert all(
        path.startswith(("/usr/lib/debug/", "/lib/modules/", "/boot/"))
        for path in usual_places("6.1", "ab12")
    )
    assert how_to_get(None, None) == "install the debug symbols of that very kernel"


def test_symbols_of_another_kernel_are_refused(tmp_path: Path) -> None:
    (line,) = lastwords("--bt", "--vmlinux", "/bin/sh", corpus(NAME), code=4).stderr.splitlines()
    assert "the dump is of 6.1.0-56-cloud-amd64" in line
    assert line.endswith("apt install linux-image-6.1.0-56-cloud-amd64-dbg")
    other = tmp_path / "vmlinux"
    banner = b"Linux version 6.1.0-55-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12"
    other.write_bytes(Path("/bin/sh").read_bytes().ljust((1 << 20) - 9, b"\0") + banner)
    (line,) = lastwords("--bt", "--vmlinux", other, corpus(NAME), code=4).stderr.splitlines()
    assert "these symbols are of 6.1.0-55-cloud-amd64, build id" in line
    (line,) = lastwords("--bt", "--vmlinux", corpus(NAME), corpus(NAME), code=4).stderr.splitlines()
    assert line.endswith("expected a vmlinux: a 64-bit ELF file")


def test_the_script_for_crash() -> None:
    first, *commands = lastwords("--crash-script", corpus(NAME)).stdout.splitlines()
    assert first.startswith("# crash") and first.endswith(f"vmlinux-6.1.0-56-cloud-amd64 {corpus(NAME)}")
    assert commands[0] == "sys" and commands[-1] == "quit" and "foreach UN bt" in commands


def test_with_and_without_symbols_the_same_is_told() -> None:
    """Needs a whole dump and its vmlinux: LASTWORDS_VMCORE, LASTWORDS_VMLINUX."""
    pytest.importorskip("drgn", reason="needs drgn")
    dump, vmlinux = os.environ.get("LASTWORDS_VMCORE"), os.environ.get("LASTWORDS_VMLINUX")
    if not dump or not vmlinux:
        pytest.skip("needs LASTWORDS_VMCORE and LASTWORDS_VMLINUX")
    documents: list[dict[str, Any]] = [
        json.loads(lastwords("--json", "--ps", "--bt", "--mount", *more, dump).stdout)
        for more in ([], ["--vmlinux", vmlinux])
    ]
    for task in documents[0]["tasks"]:  # computed without symbols only
        task.update(oom_points=None, oom_share=None)
    assert documents[0]["tasks"] == documents[1]["tasks"]
    assert documents[0]["mounts"] == documents[1]["mounts"]
    traces = [
        [
            [frame["address"] for frame in trace["frames"] if not frame["inlined"]]
            for trace in document["backtraces"]
        ]
        for document in documents
    ]
    assert traces[0] == traces[1]
