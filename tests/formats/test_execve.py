"""What the kernel starts, and with what: scripts and programs by their first bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from initrds import program

from lastwords.formats.initrd.execve import HEAD, format_of


@pytest.mark.parametrize(
    ("head", "kind", "interpreter"),
    [
        (b"#!/bin/sh\necho", "script", "/bin/sh"),
        (b"#! \t/bin/sh -e\n", "script", "/bin/sh"),
        (b"#!sh", "script", "sh"),
        (b"#!\n/bin/sh\n", None, None),
        (b"#!" + b"/a" * 200 + b"\n", None, None),
        (b" #!/bin/sh\n", None, None),
        (b"\xef\xbb\xbf#!/bin/sh\n", None, None),
        (b"", None, None),
        (b"\x7fELF", "elf", None),
    ],
)
def test_scripts(head: bytes, kind: str, interpreter: str) -> None:
    how = format_of(head)
    assert (how.kind, how.interpreter) == (kind, interpreter)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_dynamic_linker_of_a_program(wide: bool, order: str) -> None:
    data = program("/lib/ld.so.1", wide=wide, order=order)
    assert format_of(data).interpreter == "/lib/ld.so.1"
    # What ends before is not known.
    assert format_of(data[:-1]).interpreter is None


def test_programs_of_this_machine(tmp_path: Path) -> None:
    with open("/bin/sh", "rb") as stream:
        how = format_of(stream.read(HEAD))
    assert how.kind == "elf"
    assert how.interpreter and os.path.exists(how.interpreter)
    if not shutil.which("cc"):
        pytest.skip("needs cc")
    target = tmp_path / "static"
    made = subprocess.run(
        ["cc", "-static", "-nostdlib", "-x", "c", "-o", str(target), "-"], input=b"void _start(void) {}\n"
    )
    assert made.returncode == 0
    assert format_of(target.read_bytes()[:HEAD]).interpreter is None


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        (b"echo\n", 0o755, 8),
        (b"", 0o755, 8),
        (b"#!\n", 0o755, 8),
        (b"#!/no/such\n", 0o755, 2),
        (b"#!/bin/sh\n", 0o644, 13),
        (b"#!/dev/null\n", 0o755, 13),
        (program("/no/such"), 0o755, 2),
    ],
)
def test_the_kernel_of_this_machine_says_so(tmp_path: Path, content: bytes, mode: int, error: int) -> None:
    """execve, as itself: what a shell would run in spite of ENOEXEC is not run."""
    path = tmp_path / "init"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(OSError) as problem:
        os.execv(path, ["init"])
    assert problem.value.errno == error
    how = format_of(content)
    assert (how.kind is None) is (error == 8)


@given(st.binary(max_size=300))
def test_no_program_raises(tail: bytes) -> None:
    for head in (b"\x7fELF", b"\x7fELF\2\1", b"\x7fELF\1\2", b"#!", b""):
        format_of(head + tail)
