"""The sos plugin gathers, without the command, whatever any collector reads or runs.

``pytest tests/sos/test_coverage.py --update-golden`` writes the lists in the plugin anew.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lastwords.formats.memory.proc_pid import parse_status
from lastwords.plugins import load
from lastwords.roots import sos_tables

PLUGIN = Path(__file__).parents[2] / "sos_plugins" / "lastwords.py"

LISTED = "listed"
TABLE = "table"
# What is not copied, and what stands for it: a listing, a table, or the reason why nothing has to.
NOT_COPIED = {
    "/proc/[[]*": TABLE,
    "/sys/fs/cgroup/*/system.slice/*": "the tables tell which groups there are",
    "/sys/fs/cgroup/system.slice/*": "as above",
    "/sys/fs/cgroup/memory.[*]": "as above",
    "/sys/fs/cgroup/*": TABLE,
    "/sys/kernel/mm/*": TABLE,
    "*/systemd/system/*": TABLE,
    "*/systemd/system.attached/*": TABLE,
    "*/systemd/system.control/*": TABLE,
    "/run/systemd/generator*/*": TABLE,
    "/etc/cron*": TABLE,
    "/etc/anacrontab": TABLE,
    "/var/spool/cron/*": TABLE,
    "/etc/rc.*": TABLE,
    "/etc/init.d/*": TABLE,
    "*/udev/rules.d/[*].rules": TABLE,
    "/usr/local/*bin/*": LISTED,
    "/usr/*bin/*": LISTED,
    "*/systemd/systemd-*": LISTED,
    "/dev/disk/*": LISTED,
    "/boot/*": LISTED,
    "/efi/*": LISTED,
    "/var/crash/kexec_cmd": TABLE,
    "/var/crash/*": LISTED,
    "/var/spool/abrt/*": LISTED,
    "/var/tmp/abrt/*": LISTED,
    "/var/lib/kdump/*": LISTED,
    "*/lib/modules/[*]": LISTED,
    "*/modules/*/vmlinuz": LISTED,
    "/usr/lib/debug/*": "half a gigabyte each; it can be installed anywhere",
    "/sys/class/block/*": "lsblk and lspci say the same",
    "/sys/class/net/*": "links to directories of devices; it is for roots on NFS only",
    "/sys/firmware/efi": LISTED,
    "/var/lib/dpkg/info/*": "file lists of packages, megabytes of them; dpkg -l names the packages",
    "/var/lib/dpkg/status": "dpkg -l says the same",
    "/sys/devices/[*][*]/*": "a walk over all devices takes sos minutes; lsblk and lsmod tell the drivers",
    "/var/lib/rpm": "only its presence counts, and rpm -q answers or not",
    "/usr/lib/sysimage/rpm": "as /var/lib/rpm",
    "/var/lib/pacman/*": "sos has no policy for Arch Linux",
}
# Small text below directories that are otherwise listed or in a table.
COPIED_ALL_THE_SAME = (
    "/boot/*.conf",
    "/efi/*.conf",
    "/boot/*.cfg",
    "/efi/*.cfg",
    "/boot/*grubenv",
    "/efi/*grubenv",
    "/boot/grub/menu.lst",
    "/boot/config-*",
    "/boot/sysctl.conf-*",
    "/boot/cmdline.txt",
    "*/kdump*.service",
    "*/system/*.wants/kdump*",
    "/sys/module/*",
)
LOGS = ("/var/log/*",)
NOT_RUN = {
    "systemctl show *service --all": "thousands of lines; what a report without our plugin has",
    "systemctl status --all": "as above",
    "systemctl list-units": "as above",
    "journalctl --no-pager --catalog *": "as above; the kernel's part is there with another command",
    "journalctl * UNIT=emergency.target *": "of boots that failed; sosreports are made of those that did not",
    "ps *": "what a report without our plugin has; the tables say more",
    "pacman *": "sos has no policy for Arch Linux",
}


def declared() -> tuple[set[str], set[str]]:
    collectors = load().collectors().values()
    reads = {path for collector in collectors for path in collector.reads}
    runs = {" ".join(argv) for collector in collectors for argv in collector.runs}
    return reads, runs


def constants() -> dict[str, Any]:
    """Return what the plugin's module assigns at its top after its classes' bases: only that needs sos."""
    source = PLUGIN.read_text()
    found: dict[str, Any] = {}
    exec(source[source.index("PLACES = (") : source.index("class Lastwords")], found)
    return found


def instead(path: str) -> str | None:
    """Return what stands for a path that is not copied; None for one that is."""
    if any(fnmatch.fnmatch(path, pattern) for pattern in COPIED_ALL_THE_SAME):
        return None
    return next((how for pattern, how in NOT_COPIED.items() if fnmatch.fnmatchcase(path, pattern)), None)


def is_log(path: str) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in LOGS)


def wanted() -> dict[str, tuple[str, ...]]:
    reads, runs = declared()
    copied = sorted(path for path in reads if instead(path) is None)
    return {
        "COPY_SPECS": tuple(path for path in copied if not is_log(path)),
        "LOGS": tuple(path for path in copied if is_log(path)),
        "COMMANDS": tuple(sorted(run for run in runs if not any(fnmatch.fnmatch(run, p) for p in NOT_RUN))),
    }


def written(name: str, values: tuple[str, ...]) -> str:
    """Return the source of a tuple of strings, within 79 columns."""
    if not values:
        return f"{name} = ()"
    lines = [f"{name} = ("]
    for value in values:
        rest = value
        while len(repr(rest)) > 72:
            cut = max(rest.rfind(mark, 0, 66) for mark in " ,/") + 1
            lines.append(f"    {rest[:cut]!r}")
            rest = rest[cut:]
        lines.append(f"    {rest!r},")
    return "\n".join([*lines, ")"])


def test_the_lists_are_complete(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        source = PLUGIN.read_text()
        for name, values in wanted().items():
            block = written(name, values).replace("\\", "\\\\")
            source = re.sub(rf"^{name} = \((?:\)|\n.*?^\))$", block, source, flags=re.MULTILINE | re.DOTALL)
        PLUGIN.write_text(source)
    have = constants()
    for name, values in wanted().items():
        assert have[name] == values, f"{name} of sos_plugins/lastwords.py: run this test with --update-golden"


def test_what_is_not_copied_is_there_in_another_way() -> None:
    have = constants()
    flat = [path.rstrip("/") for _, paths in have["LISTED_FLAT"] for path in paths.split()]
    for path in sorted(declared()[0]):
        how = instead(path)
        parent, _, name = path.rpartition("/")
        if how == LISTED:
            assert any(path.startswith(top + "/") for top in have["LISTED"]) or {path, parent} & set(flat), (
                path
            )
        if how == TABLE:
            # A command line is a switch that is off, and never read unless asked for.
            assert any(in_table(path, table) for table in have["TABLES"]) or name == "cmdline", path


def in_table(path: str, table: tuple[str, tuple[str, ...], tuple[int, int], str, str]) -> bool:
    """Return whether a table has the files that a glob matches."""
    _, places, _, names, _ = table
    name = path.rpartition("/")[2].replace("*", "x" if "." in path.rpartition("/")[2] else "x.service")
    name = re.sub(r"\[.*?\]", "0", name)
    inside = any(path == place or path.startswith(place + "/") for place in places)
    return inside and re.fullmatch(names, name) is not None


def test_no_dump_and_no_image_is_copied() -> None:
    for path in (*constants()["COPY_SPECS"], *constants()["LOGS"]):
        for harmful in (
            "/var/crash/202602201404/dump.202602201404",
            "/var/crash/127.0.0.1-2026-02-20-04:05:06/vmcore",
            "/boot/initrd.img-6.1.0-18-amd64",
            "/boot/initramfs-5.14.0-427.13.1.el9_4.x86_64kdump.img",
            "/boot/vmlinuz-6.1.0-18-amd64",
            "/usr/lib/modules/5.14.0/vmlinuz",
            "/proc/kcore",
            "/proc/4711/environ",
            "/proc/4711/cmdline",
            "/root/.ssh/kdump_id_rsa",
        ):
            assert not fnmatch.fnmatch(harmful, path), f"{path} copies {harmful}"


def test_the_analyzer_knows_the_tables() -> None:
    assert {table[0]: table[3] for table in constants()["TABLES"]} == sos_tables.TABLES


def test_no_argument_is_a_pattern_that_sos_expands() -> None:
    """sos 4.0 expands every argument in the current directory; so only what is meant as one may be."""
    have = constants()
    for command in have["COMMANDS"]:
        for word in command.split()[1:]:
            if re.search(r"[*?\[]", word):
                assert word.startswith("/"), command


def test_the_lines_of_status_that_are_wanted_say_all_that_the_parser_reads() -> None:
    pattern = next(table[4] for table in constants()["TABLES"] if table[0] == "proc_status")
    whole = Path("/proc/self/status").read_text()
    part = "".join(line for line in whole.splitlines(True) if re.match(pattern, line))
    assert len(part) < len(whole) / 2
    assert parse_status(part) == parse_status(whole)


def commands_of_tables() -> Iterator[tuple[str, str]]:
    source = PLUGIN.read_text()
    method = re.search(r"    def _table\(.*?\n\n", source, re.DOTALL)
    assert method
    space: dict[str, Any] = {}
    exec("import shlex\n" + re.sub(r"^    ", "", method[0], flags=re.MULTILINE), space)
    for name, places, depths, files, lines in constants()["TABLES"]:
        yield name, space["_table"](places, depths, files, lines)


@pytest.mark.parametrize(("name", "command"), list(commands_of_tables()))
def test_a_table_gathered_here_reads_back_as_the_files(name: str, command: str) -> None:
    done = subprocess.run(["sh", "-c", command], capture_output=True)
    files = sos_tables.parse_table(name, done.stdout)
    if not name.startswith("proc_"):
        return
    base = f"/proc/{Path('/proc/self').resolve().name}"
    if name == "proc_oom":
        assert files[f"{base}/oom_score_adj"] == Path("/proc/self/oom_score_adj").read_bytes()
    if name == "proc_cgroup":
        assert files[f"{base}/cgroup"] == Path("/proc/self/cgroup").read_bytes()
    if name == "proc_status":
        status = parse_status(files[f"{base}/status"].decode())
        assert status.comm == Path("/proc/self/comm").read_text().strip()
    if name == "proc_stat":
        assert files[f"{base}/stat"].split()[0] == base.rpartition("/")[2].encode()
    assert f"/proc/1/{sos_tables.TABLES[name].split('|')[0]}" in files
