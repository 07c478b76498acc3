"""``plan kdump``: for each family the steps that readiness lacks, and no others; what it edits it gives back."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kdump_cases as cases
import pytest
from golden_case import case_of

from lastwords import plugins
from lastwords.analyzer.plans.kdump import FUNCTIONS
from lastwords.analyzer.plans.script import NothingToDo, NotPlannable, render

PLAN = plugins.load().plans()["kdump"]
SHELLCHECK = shutil.which("shellcheck")
UNREADY: list[tuple[str, dict[str, Any]]] = [
    ("ubuntu2404", {}),
    ("rhel7", {}),
    ("rhel9", cases.booted()),
    ("sles15", cases.booted()),
    *(
        (str(changes.get("host", "rhel9")), {key: value for key, value in changes.items() if key != "host"})
        for _, changes, _, _ in cases.FIRES
    ),
]


def script(host: str, *argv: str, **changes: Any) -> str:
    """Return the script for a golden host with some facts changed."""
    events = changes.pop("events", [])
    case = case_of(host, changes, events)
    parser = argparse.ArgumentParser()
    PLAN.add_arguments(parser)
    return render(PLAN.make(case, parser.parse_args(argv)), case, "lastwords plan kdump")


def body(text: str, name: str) -> list[str]:
    """Return the lines of one function of a script, without comments."""
    inside = text.partition(f"\n{name}() {{\n")[2].partition("\n}\n")[0]
    return [line.strip() for line in inside.splitlines() if not line.strip().startswith("#")]


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed (tools/bring tests)")
def test_shellcheck_has_no_complaint(tmp_path: Path) -> None:
    paths = []
    for number, (host, changes) in enumerate(UNREADY):
        try:
            text = script(host, **changes)
        except NothingToDo:
            continue
        (tmp_path / f"{number}.sh").write_text(text)
        paths.append(f"{number}.sh")
    assert len(paths) > len(UNREADY) // 2
    command = [SHELLCHECK or "", "--enable=check-unassigned-uppercase", *paths]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("host", cases.HEALTHY)
def test_a_host_on_which_it_works_needs_nothing(host: str) -> None:
    changes = {"kernel__sysctls__kernel.panic_on_oops": 1}
    with pytest.raises(NothingToDo, match="kdump is ready here"):
        script(host, **changes)


def test_debian_from_nothing() -> None:
    text = script("ubuntu2404")
    apply, undo = body(text, "apply"), body(text, "undo")
    assert "DEBIAN_FRONTEND=noninteractive apt-get install -y kdump-tools" in apply
    assert any(line.endswith('crashkernel=512M-:192M"') for line in apply)
    assert "update-grub" in apply
    assert "update-grub" in undo
    assert "rm -f /etc/default/grub.d/zz-lastwords-kdump.cfg" in undo
    assert undo.index("update-grub") < undo.index("apt-get remove -y kdump-tools"), "the last step goes first"
    assert not any("restart" in line for line in apply), "nothing can be loaded before the reboot"
    assert "It takes a reboot" in text


def test_redhat_gets_its_own_tools_and_its_old_value_back() -> None:
    text = script("rhel9", **cases.booted("64G-:512M"))
    assert "kdumpctl reset-crashkernel --kernel=ALL" in body(text, "apply")
    assert "grubby --update-kernel=ALL --args=crashkernel=64G-:512M" in body(text, "undo")
    assert "--args=crashkernel=auto" in script("rhel7", **cases.booted())
    assert "kdumpctl rebuild" not in script("rhel7")


def test_suse_reckons_on_the_machine() -> None:
    text = script("sles15", **cases.booted())
    assert "needed=$(kdumptool calibrate)" in body(text, "apply")
    assert "bring_back /etc/default/grub" in body(text, "undo")
    assert "kdumptool" not in script("sles15", "--crashkernel", "512M", **cases.booted())


def test_a_value_of_ones_own() -> None:
    assert 'crashkernel=300M"' in script("ubuntu2404", "--crashkernel", "300M")
    for value in ("auto", "lots", "64G-:1G", "1M;reboot", "1M\nreboot"):
        with pytest.raises(NotPlannable, match="would reserve nothing"):
            script("ubuntu2404", "--crashkernel", value)


def test_more_than_was_too_little() -> None:
    changes = cases.granted((1 << 30, 64 << 20), kdump__kexec__kernel_size=60 << 20)
    assert 'crashkernel=192M"' in script("debian12", **changes)


def test_only_what_is_wrong_is_changed() -> None:
    text = script(**cases.tools("MAKEDUMP_ARGS", "--nosuchopt -d 31"))
    assert "set_line /etc/default/kdump-tools '^MAKEDUMP_ARGS=' 'MAKEDUMP_ARGS=\"-c -d 31\"'" in body(
        text, "apply"
    )
    assert "unit restart kdump-tools.service" in body(text, "apply")
    assert "apt-get" not in text
    assert "update-grub" not in text


def test_a_damaged_initramfs_is_made_anew() -> None:
    text = script("debian12", initramfs__images=cases.image(cases.DEBIAN_IMAGE, complete=False, damage="cut"))
    assert f"rm -f {cases.DEBIAN_IMAGE}" in body(text, "apply")
    assert "unit restart kdump-tools.service" in body(text, "apply")


def test_what_no_script_can_do_is_said() -> None:
    text = script("debian12", kdump__targets=[cases.target(mountpoint="/srv", mounted_type="tmpfs")])
    assert "BY HAND: A crash dump in /srv/dumps does not outlive" in text
    assert body(text, "apply") == body(text, "undo") == [":"]


def test_where_it_cannot_be() -> None:
    with pytest.raises(NotPlannable, match="a container"):
        script("ubuntu2404", host__container__kind="podman")
    with pytest.raises(NotPlannable, match="expected Debian, Red Hat, SUSE"):
        script("ubuntu2404", host__distribution={"id": "arch", "id_like": None})


EDITS = """
set -eu
kept=$PWD/kept
set_line file '^B=' 'B="2"'
set_line file '^C=' 'C="3"'
set_line file '^B=' 'B="9"'
cat file
bring_back file
cat file
bring_back file
[ ! -e "$kept" ]
"""


def test_edited_files_come_back_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("# B=0\nA=1\nB=1 # one\n")
    functions = "\n".join(FUNCTIONS.values())
    done = subprocess.run(["sh", "-c", functions + EDITS], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == '# B=0\nA=1\nB="9"\nC="3"\n' + "# B=0\nA=1\nB=1 # one\n"
