"""Make kdump work on this host: what its verdict says is missing, and nothing else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from lastwords.analyzer.kdump import readiness, setup, steps
from lastwords.analyzer.plans.script import NothingToDo, NotPlannable, quote, remove_file, write_file
from lastwords.hookspecs import Plan, Script
from lastwords.model import Case, Finding

KEPT = "/var/lib/lastwords/plan-kdump"
GRUB_DROP_IN = "/etc/default/grub.d/zz-lastwords-kdump.cfg"
GRUB = "/etc/default/grub"
SYSCTL = "/etc/sysctl.d/90-lastwords-kdump.conf"
KDUMP_TOOLS = "/etc/default/kdump-tools"
_VALUE = re.compile(r"[0-9A-Za-z:,@.-]+(?:,(?:high|low))?")

FUNCTIONS = {
    "keep": """\
# Keep a copy of a file before it is changed for the first time.
keep() {
    mkdir -p "$kept"
    copy="$kept/$(echo "$1" | tr / _)"
    if [ ! -e "$copy" ]; then
        cp -p "$1" "$copy"
    fi
}""",
    "bring_back": """\
# Bring back the copy of a file.
bring_back() {
    copy="$kept/$(echo "$1" | tr / _)"
    if [ -e "$copy" ]; then
        cp -p "$copy" "$1"
        rm "$copy"
    fi
    rmdir "$kept" 2>/dev/null || :
}""",
    "set_line": """\
# Set a line of a file: what matches is replaced, else the line is added.
set_line() {
    keep "$1"
    if grep -q "$2" "$1"; then
        sed -i "s|$2.*|$3|" "$1"
    else
        echo "$3" >> "$1"
    fi
}""",
    "unit": """\
# Call systemctl, where systemd runs (it does not in a chroot).
unit() {
    [ ! -d /run/systemd/system ] || systemctl "$@"
}""",
}

CALIBRATE = """\
# kdumptool reckons what this machine needs.
needed=$(kdumptool calibrate)
low=$(echo "$needed" | sed -n 's/^Low: *//p')
high=$(echo "$needed" | sed -n 's/^High: *//p')
value="${high}M,high crashkernel=${low}M,low\""""
SUSE_RESERVE = f"""\
keep {GRUB}
sed -i -e '/# lastwords plan kdump$/d' -e 's/ *crashkernel=[^" ]*//g' {GRUB}
line="\\$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=$value"
echo "GRUB_CMDLINE_LINUX_DEFAULT=\\"$line\\" # lastwords plan kdump" >> {GRUB}
grub2-mkconfig -o /boot/grub2/grub.cfg"""


@dataclass(frozen=True)
class Step:
    """One thing to do, and how to take it back."""

    says: str
    apply: str
    undo: str = ""


class KdumpPlan(Plan):
    """Installs, reserves, corrects, rebuilds and loads what the stages of readiness lack."""

    name = "kdump"
    title = "make kdump work: install it, reserve memory, correct what is wrong, load the crash kernel"
    needs = ("host", "kernel", "kdump", "crash_dumps", "memory", "boot", "initramfs", "oom")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--crashkernel", metavar="VALUE", help="reserve this much instead of the distribution's default"
        )

    def make(self, case: Case, arguments: argparse.Namespace) -> Script:
        if "kdump" not in case.facts:
            raise NotPlannable(
                "nothing is known of kdump on this host"
                + (": a log does not tell how it is set up, a bundle or sosreport of the host does")
                * (case.root_kind == "log")
            )
        if setup.in_container(case):
            raise NotPlannable("a container has no crash kernel of its own: plan this on its host")
        kind = setup.family(case)
        if kind is None:
            raise NotPlannable("expected Debian, Red Hat, SUSE or one of their family, found none of them")
        value = arguments.crashkernel
        if value is not None and (
            not _VALUE.fullmatch(value) or setup.evaluated(case, [f"crashkernel={value}"]).size == 0
        ):
            raise NotPlannable(f"--crashkernel {value}: the kernel of this host would reserve nothing for it")
        stages = readiness.readiness(case)
        found = {finding.id: finding for stage in stages for finding in stage.findings}
        damaged = setup.inside(case).get("complete") is False
        todo, by_hand = _steps(case, kind, found, value, damaged)
        if not todo and not by_hand:
            raise NothingToDo(
                "kdump is ready here: nothing to do"
                if readiness.caught(stages)
                else "nothing is known to be wrong with kdump here; unknown: "
                + ", ".join(stage.name for stage in stages if stage.state is None)
            )
        why = [f"{stage.name}: {readiness.WORDS[stage.state]}, {stage.said}" for stage in stages]
        why += [f"BY HAND: {finding.title}. {' '.join(finding.fix)}" for finding in by_hand]
        if any(step.says == steps.REBOOT for step in todo):
            why.append("It takes a reboot: this script does not do that.")
        why.append(
            "Then crash the machine once when nobody needs it, as a test: echo c > /proc/sysrq-trigger"
        )
        apply = "\n".join(f"# {step.says}\n{step.apply}" for step in todo) or ":"
        undo = "\n".join(step.undo for step in reversed(todo) if step.undo) or ":"
        return Script("Make kdump work", tuple(why), apply, undo, _functions(f"{apply}\n{undo}"))


def _functions(body: str) -> str:
    """Return the functions that the script calls."""
    called = [name for name in FUNCTIONS if re.search(rf"^ *{name} ", body, re.MULTILINE)]
    if "set_line" in called and "keep" not in called:
        called.insert(0, "keep")
    texts = [FUNCTIONS[name] for name in called]
    return "\n\n".join([f"kept={KEPT}", *texts] if "$kept" in body + "".join(texts) else texts)


def _steps(
    case: Case, kind: str, found: dict[str, Finding], value: Optional[str], damaged: bool
) -> tuple[list[Step], list[Finding]]:
    """Return what to do, in its order, and what no script can do."""
    todo: list[Step] = []
    done: set[str] = set()

    def handle(names: set[str], *made: Optional[Step]) -> None:
        if names & set(found) and any(made):
            todo.extend(step for step in made if step)
            done.update(names & set(found))

    if not case.facts["kdump"]["files"]:
        todo.append(_install(case, kind))
    handle({"kdump-tools-missing"}, _install(case, kind))
    reserve = {"kdump-no-crashkernel", "kdump-crashkernel-small", "kdump-no-low-memory"}
    handle(reserve, _RESERVE[kind](case, value or _larger(found)))
    handle({"kdump-core-collector"}, _COLLECTOR[kind])
    if kind == "debian":
        handle({"kdump-capture-cmdline"}, _debian_line("KDUMP_CMDLINE", ""))
        if setup.setting(case, "USE_KDUMP") == "0":
            todo.append(_debian_line("USE_KDUMP", "1"))
    rebuild = {"kdump-initramfs-stale", "kdump-initramfs-driver"}
    if (setup.capture_image(case, "kernel") or {}).get("exists") is not False:
        rebuild.add("kdump-image-missing")
    if damaged or rebuild & set(found):
        todo.append(_rebuild(case))
        done |= rebuild
    if setup.sysctl(case, "kernel.panic_on_oops") == 0:
        todo.append(_panic_on_oops())
    load = {"kdump-not-loaded", "kdump-not-enabled", "kdump-service-failed"}
    reboot = bool(reserve & done) or bool(case.facts["kdump"]["kexec"]["load_disabled"] and load & set(found))
    if todo or load & set(found):
        todo.append(_service(case, reboot))
        done |= load
    if reboot:
        todo.append(Step(steps.REBOOT, 'echo "now reboot this machine"'))
    return todo, [finding for name, finding in found.items() if name not in done]


def _install(case: Case, kind: str) -> Step:
    names = " ".join(steps.packages(case))
    commands = {
        "debian": (
            f"DEBIAN_FRONTEND=noninteractive apt-get install -y {names}",
            f"apt-get remove -y {names}",
        ),
        "rhel": (f"dnf install -y {names}", f"dnf remove -y {names}"),
        "suse": (f"zypper --non-interactive install {names}", f"zypper --non-interactive remove {names}"),
    }
    present = {"debian": f"dpkg-query -W {names}", "rhel": f"rpm -q {names}", "suse": f"rpm -q {names}"}[kind]
    install, remove = commands[kind]
    apply = f"""\
if ! {present} >/dev/null 2>&1; then
    {install}
    mkdir -p "$kept"
    : > "$kept/installed"
fi"""
    undo = f"""\
if [ -e "$kept/installed" ]; then
    {remove}
    rm "$kept/installed"
    rmdir "$kept" 2>/dev/null || :
fi"""
    return Step("Install what is missing.", apply, undo)


def _larger(found: dict[str, Finding]) -> Optional[str]:
    """Return the size that the finding on a too small reservation asks for."""
    finding = found.get("kdump-crashkernel-small")
    sizes = [re.search(r"crashkernel=(\d+M)\b", step) for step in (finding.fix if finding else ())]
    return next((match[1] for match in sizes if match), None)


def _reserve_debian(case: Case, value: Optional[str]) -> Step:
    name = "GRUB_CMDLINE_LINUX_DEFAULT"
    lines = (
        "# lastwords plan kdump",
        f'{name}="$(echo "${name}" | sed \'s/ *crashkernel=[^ ]*//g\')"',
        f'{name}="${name} crashkernel={value or steps.parameter(case)}"',
    )
    return Step(
        "Reserve memory at the next boot.",
        f"{write_file(GRUB_DROP_IN, lines)}\nupdate-grub",
        f"{remove_file(GRUB_DROP_IN)}\nupdate-grub",
    )


def _reserve_rhel(case: Case, value: Optional[str]) -> Step:
    made = [step[2:] for step in steps.reserve(case, value) if step.startswith("$ ")]
    before = case.facts["kdump"]["crashkernel"]["booted"] or []
    undo = "grubby --update-kernel=ALL --remove-args=crashkernel"
    if before:
        undo += f"\ngrubby --update-kernel=ALL --args={quote(' '.join(before))}"
    return Step("Reserve memory at the next boot.", "\n".join(made), undo)


def _reserve_suse(case: Case, value: Optional[str]) -> Step:
    chosen = f"value={quote(value)}" if value else CALIBRATE
    return Step(
        "Reserve memory at the next boot.",
        f"{chosen}\n{SUSE_RESERVE}",
        f"bring_back {GRUB}\ngrub2-mkconfig -o /boot/grub2/grub.cfg",
    )


_RESERVE: dict[str, Callable[[Case, Optional[str]], Step]] = {
    "debian": _reserve_debian,
    "rhel": _reserve_rhel,
    "suse": _reserve_suse,
}


def _debian_line(name: str, value: str) -> Step:
    return Step(
        f"Set {name} in {KDUMP_TOOLS}.",
        f"set_line {KDUMP_TOOLS} '^{name}=' '{name}=\"{value}\"'",
        f"bring_back {KDUMP_TOOLS}\nunit restart kdump-tools",
    )


_COLLECTOR = {
    "debian": _debian_line("MAKEDUMP_ARGS", "-c -d 31"),
    "rhel": Step(
        "Have makedumpfile write the dump as usual.",
        f"set_line /etc/kdump.conf '^core_collector ' 'core_collector {setup.COLLECTORS['rhel']}'",
        "bring_back /etc/kdump.conf\nunit restart kdump",
    ),
    "suse": Step(
        "Have makedumpfile write the dump as usual.",
        "set_line /etc/sysconfig/kdump '^KDUMP_DUMPLEVEL=' 'KDUMP_DUMPLEVEL=\"31\"'",
        "bring_back /etc/sysconfig/kdump\nunit restart kdump",
    ),
}


def _rebuild(case: Case) -> Step:
    commands = [step[2:] for step in steps.rebuild(case) if step.startswith("$ ")]
    # What loads it is the service's step, which follows; nothing may be loaded now.
    commands = [
        f"{command} || :" if command.endswith(" unload") else command
        for command in commands
        if not command.startswith("systemctl restart") and not command.endswith(" load")
    ]
    return Step("Make the capture initramfs anew.", "\n".join(commands))


def _panic_on_oops() -> Step:
    lines = ("# lastwords plan kdump", "# kdump acts on a panic; most kernel bugs are an oops first.")
    return Step(
        "Let an oops panic, so that it is dumped.",
        f"{write_file(SYSCTL, (*lines, 'kernel.panic_on_oops = 1'))}\nsysctl -q -p {SYSCTL}",
        f"{remove_file(SYSCTL)}\nsysctl -q kernel.panic_on_oops=0",
    )


def _service(case: Case, reboot: bool) -> Step:
    name = steps.service(case)
    masked = any(each.get("masked") for each in setup.units(case) if each["unit"] == name)
    enabled = any(each.get("wanted_by") for each in setup.units(case) if each["unit"] == name)
    lines = [f"unit unmask {name}"] if masked else []
    lines.append(f"systemctl enable {name}")
    if not reboot:
        lines += [
            f"unit restart {name}",
            'echo "loaded: $(cat /sys/kernel/kexec_crash_loaded 2>/dev/null)"',
        ]
    undo = [] if enabled else [f"systemctl disable {name}"]
    undo += [f"unit mask {name}"] if masked else []
    return Step(
        "Have the crash kernel loaded at boot." if reboot else "Load the crash kernel, now and at boot.",
        "\n".join(lines),
        "\n".join(undo),
    )
