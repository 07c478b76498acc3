"""Plans: their scripts are clean shell, quote what is hostile, do what they say and take it back."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden_case
import pytest
from boot_cases import crowded_case, hostile_boot, wrong_root

from lastwords import plugins
from lastwords.analyzer.plans.script import NothingToDo, NotPlannable, comment, render
from lastwords.model import Case

PLANS = plugins.load().plans()
SHELLCHECK = shutil.which("shellcheck")
HOSTILE = "a'b\"c;$(touch /tmp/lastwords-was-here)`id`\n# x \\"


def case_of(host: str = "rhel9") -> Case:
    return golden_case.case_of(host, {}, [])


def script(name: str, *argv: str, case: Case | None = None, root: str | None = None) -> str:
    parser = argparse.ArgumentParser()
    PLANS[name].add_arguments(parser)
    parser.set_defaults(root=root)
    case = case or case_of()
    return render(PLANS[name].make(case, parser.parse_args(argv)), case, f"lastwords plan {name}")


def processes(case: Case) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = case.facts["processes"]["records"]
    return found


def hostile_case() -> Case:
    case = case_of()
    for each in processes(case):
        if each["pid"] == 21034:
            continue
        if each["comm"] == "bash":
            each.update(comm=HOSTILE, cgroup="/", systemd_cgroup="/")
    case.facts["host"]["hostname"] = HOSTILE
    return case


SCRIPTS = [
    ("protect", ["sshd.service", "--adj", "-900"], None),
    ("protect", ["951", "--adj", "-1000"], None),
    ("protect", ["tuned"], None),
    ("protect", ["nginx"], None),
    ("protect", [r"systemd-fsck@dev-disk-by\x2duuid-1.service"], None),
    ("protect", ["20890"], hostile_case()),
    ("limit", ["postgresql.service", "2G"], None),
    ("limit", ["crond", "300M", "--swap", "0"], None),
    ("limit", ["user.slice", "1.5G"], None),
    ("limit", ["tomcat.service", "1G"], case_of("rhel7")),
    ("oom-to-vmcore", [], None),
    ("oom-to-vmcore", ["--always"], hostile_case()),
    ("kdump", [], case_of("ubuntu2404")),
    ("kdump", ["--crashkernel", "1G-:256M"], case_of("rhel7")),
    ("initramfs", [], None),
    ("initramfs", ["--kernel", "5.14.0-362.8.1.el9_3.x86_64"], None),
    ("initramfs", [], case_of("debian12")),
    ("initramfs", [], case_of("sles15")),
    ("initramfs", [], hostile_boot(HOSTILE)),
    ("clean-boot", ["--keep", "1"], crowded_case()),
    ("clean-boot", ["--keep", "1"], hostile_boot(HOSTILE)),
    ("bootloader", [], None),
    ("bootloader", [], hostile_boot(HOSTILE)),
    ("bootloader", ["--install", "/dev/sda"], case_of("debian12")),
    ("bootloader", ["--install", "efi"], case_of("ubuntu2404")),
    ("bootloader", ["--install", "efi", "--default", "5.14.0-362.8.1.el9_3.x86_64"], wrong_root()),
]
ON_DISK = ("initramfs", "clean-boot", "bootloader")


@pytest.fixture(
    params=[
        (*each, root)
        for each in SCRIPTS
        for root in (None, f"/mnt/{HOSTILE}")
        if not root or each[0] in ON_DISK
    ],
    ids=lambda param: " ".join([param[0], *param[1], "on a disk" if param[3] else ""]),
)
def text(request: pytest.FixtureRequest) -> str:
    name, argv, case, root = request.param
    return script(name, *argv, case=case, root=root)


def test_every_plan_is_tried_here() -> None:
    assert {name for name, *_ in SCRIPTS} == set(PLANS)


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed (tools/bring tests)")
def test_shellcheck_has_no_complaint(text: str) -> None:
    done = subprocess.run(
        [SHELLCHECK or "", "--enable=check-unassigned-uppercase", "-"],
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_frame_is_the_same(text: str) -> None:
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines
    for line in ("apply() {", "undo() {", "apply) apply ;;", "undo) undo ;;"):
        assert line in lines
    assert text.isprintable() or not set(text) - set("\n") & set(map(chr, range(32)))
    assert max(map(len, lines)) < 140
    assert subprocess.run(["sh", "-n"], input=text, text=True).returncode == 0


def test_a_service_gets_a_drop_in_and_the_present_value() -> None:
    text = script("protect", "tuned")
    assert "cat > /etc/systemd/system/tuned.service.d/90-lastwords-oom.conf" in text
    assert "[Service]\nOOMScoreAdjust=-900\n" in text
    assert "value=-900" in text


def test_undo_gives_back_what_the_unit_says() -> None:
    text = script("protect", "dbus-broker.service", "--adj", "-950")
    assert "value=-900" in text.partition("undo() {")[2]


def test_by_name_the_service_is_meant_and_not_the_sessions() -> None:
    text = script("protect", "sshd", "--adj", "-900")
    assert "unit=sshd.service" in text
    assert "sessions have it" in text


def test_on_debian_sshd_is_ssh() -> None:
    assert "unit=ssh.service" in script("protect", "sshd", "--adj", "-900", case=case_of("debian12"))


def test_a_protected_service_needs_nothing() -> None:
    with pytest.raises(NothingToDo, match=r"sshd\.service: nothing to do: .* -1000 already"):
        script("protect", "sshd")


def test_of_a_session_the_process_itself_is_meant() -> None:
    text = script("protect", "20890")
    assert "pid=20890\nname=bash\n" in text
    assert "systemctl" not in text


def test_a_disk_has_no_processes_but_units() -> None:
    case = case_of()
    for topic in ("processes", "memory", "oom"):
        del case.facts[topic]
    assert "unit=sshd.service" in script("protect", "sshd", case=case)
    assert "MemoryMax=2G" in script("limit", "mysqld", "2G", case=case)


@pytest.mark.parametrize(
    ("name", "argv", "words"),
    [
        ("protect", ["99999"], "process 99999: there is none"),
        ("protect", ["2"], "kernel thread"),
        ("protect", ["session-7.scope"], "made anew"),
        ("protect", ["user.slice"], "a slice has no OOMScoreAdjust"),
        ("protect", ["multi-user.target"], "expected one of service"),
        ("protect", ["a b;c.service"], "expected a unit"),
        ("protect", ["../../x.service"], "expected a unit"),
        ("limit", ["crond", "1K"], "expected a limit of 1M or more"),
        ("limit", ["2", "2G"], "belongs to no unit that lasts"),
    ],
)
def test_what_cannot_be_planned_says_why(name: str, argv: list[str], words: str) -> None:
    with pytest.raises(NotPlannable, match=words):
        script(name, *argv)


def test_several_units_of_one_name_must_be_told_apart() -> None:
    case = case_of()
    for number, each in enumerate(each for each in processes(case) if each["comm"] == "postmaster"):
        each["systemd_cgroup"] = f"/system.slice/postgresql@{number}.service"
    with pytest.raises(NotPlannable, match=r"postgresql@0\.service, postgresql@1\.service"):
        script("protect", "postmaster", case=case)


def test_a_limit_below_what_is_used_is_shouted() -> None:
    assert "MORE THAN THE LIMIT" in script("limit", "postgresql.service", "64M")
    assert "protects nothing" in script("limit", "postgresql.service", "100G")
    assert "MemoryLimit=1G" in script("limit", "tomcat.service", "1G", case=case_of("rhel7"))


def test_a_dump_needs_a_capture_kernel() -> None:
    case = case_of()
    assert "NO CAPTURE KERNEL" not in script("oom-to-vmcore", case=case)
    case.facts["kdump"]["kexec"]["crash_loaded"] = False
    assert "NO CAPTURE KERNEL" in script("oom-to-vmcore", case=case)
    case.facts["host"]["container"] = {"kind": "podman"}
    with pytest.raises(NotPlannable, match="container"):
        script("oom-to-vmcore", case=case)


@pytest.mark.parametrize("odd", ["x\nreboot", "x\rreboot", "x\x1b[2J", "x\u2028reboot", "x\x85reboot"])
def test_a_comment_stays_a_comment(odd: str) -> None:
    assert all(line.startswith("#") for line in comment(odd).splitlines())


# -- run for real -----------------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(["sleep", "600"], text=True) as process:
        yield process
        process.kill()


def as_root(text: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    (cwd / "plan.sh").write_text(text)
    return subprocess.run(["sh", "plan.sh", *words], capture_output=True, text=True, cwd=cwd)


@pytest.mark.skipif(os.geteuid() != 0, reason="the script asks for root")
def test_a_process_is_protected_and_given_back(child: subprocess.Popen[str], tmp_path: Path) -> None:
    place = Path(f"/proc/{child.pid}/oom_score_adj")
    try:
        place.write_text("-5")
    except OSError:
        pytest.skip("CAP_SYS_RESOURCE is missing here")
    place.write_text("7")
    case = case_of()
    record = next(each for each in processes(case) if each["comm"] == "bash")
    record.update(pid=child.pid, comm="sleep", cgroup="/", systemd_cgroup="/", oom_score_adj=7)
    text = script("protect", str(child.pid), "--adj", "-300", case=case)
    for _ in range(2):
        assert as_root(text, cwd=tmp_path).returncode == 0
        assert place.read_text().strip() == "-300"
    assert as_root(text, "undo", cwd=tmp_path).returncode == 0
    assert place.read_text().strip() == "7"


@pytest.mark.skipif(os.geteuid() != 0, reason="the script asks for root")
def test_another_process_under_that_id_is_left_alone(child: subprocess.Popen[str], tmp_path: Path) -> None:
    case = hostile_case()
    record = next(each for each in processes(case) if each["comm"] == HOSTILE)
    record["pid"] = child.pid
    done = as_root(script("protect", str(child.pid), case=case), cwd=tmp_path)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert not Path("/tmp/lastwords-was-here").exists()


IN_A_NAMESPACE = """
set -e
mount -t tmpfs none /etc/systemd
mount -t tmpfs none /run
mkdir -p /etc/systemd/system
sh plan.sh
sh plan.sh
find /etc/systemd/system -type f -exec cat {} +
sh plan.sh undo
sh plan.sh undo
echo left: $(find /etc/systemd/system -mindepth 1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the script asks for root")
@pytest.mark.parametrize(
    ("name", "argv", "written"),
    [
        ("protect", ["tuned"], "[Service]\nOOMScoreAdjust=-900\n"),
        ("protect", [r"a\x2db@c.service"], "[Service]\nOOMScoreAdjust=-900\n"),
        ("limit", ["user.slice", "2G"], "[Slice]\nMemoryMax=2G\n"),
    ],
)
def test_a_drop_in_is_written_and_removed(name: str, argv: list[str], written: str, tmp_path: Path) -> None:
    if subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
    ).returncode:
        pytest.skip("no mount namespace can be made here")
    (tmp_path / "plan.sh").write_text(script(name, *argv))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", IN_A_NAMESPACE], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert written in done.stdout
    assert done.stdout.endswith("left:\n")


# -- the command ------------------------------------------------------------------------------------


def lastwords(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lastwords", *argv], capture_output=True, text=True, timeout=120
    )


def test_the_command_prints_a_script_for_this_host(child: subprocess.Popen[str]) -> None:
    done = lastwords("plan", "protect", str(child.pid), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["plan"] == "protect"
    assert document["script"].startswith("#!/bin/sh\n")
    assert f"lastwords plan protect {child.pid}" in document["script"]


def test_the_command_works_on_a_mounted_disk(tmp_path: Path) -> None:
    for name in ("etc", "usr"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc/os-release").write_text('ID=debian\nPRETTY_NAME="Debian"\n')
    done = lastwords("plan", "protect", "sshd", "--root", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "unit=ssh.service" in done.stdout


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ([], 2),
        (["nosuch"], 2),
        (["protect"], 2),
        (["protect", "x", "--adj", "5"], 2),
        (["limit", "x", "lots"], 2),
        (["protect", "x", "--root", "/nonexistent"], 4),
        (["protect", "x", "--from", "/dev/null"], 4),
    ],
)
def test_what_cannot_be_is_refused(argv: list[str], code: int) -> None:
    done = lastwords("plan", *argv)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
