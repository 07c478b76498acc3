"""The oom collector: on this host, against systemd's own tools, on trees that lack, refuse or garble."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hosttree import HOSTS, TextTree, host_tree, root_of, text_root, write_tree

from lastwords import schemas
from lastwords.collectors.kernel import KernelCollector
from lastwords.collectors.oom import SYSCTLS, OomCollector
from lastwords.collectors.oom_units import Units, configuration
from lastwords.collectors.oom_writers import MAX_FILES, MAX_SIZE, find_writers
from lastwords.collectors.tuned import tuned_settings
from lastwords.hookspecs import Collector
from lastwords.roots.base import Root
from lastwords.roots.bundle import bundle_root
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree


def facts_of(root: Root) -> dict[str, Any]:
    facts: dict[str, Any] = list(OomCollector().collect(root))[-1]
    jsonschema.Draft202012Validator(schemas.load("oom")).validate(facts)
    return facts


def persisted(text: str, key: str = "vm.swappiness") -> Any:
    found = facts_of(text_root(text))["sysctls"][key]["persisted"]
    return (found["value"], found["file"], found["line"]) if found else None


def test_this_host() -> None:
    facts = facts_of(live_root().recording("oom"))
    for key, found in facts["sysctls"].items():
        path = Path("/proc/sys/" + key.replace(".", "/"))
        if found["runtime"] is None:
            assert not path.exists() or not os.access(path, os.R_OK)
        else:
            assert str(found["runtime"]).split() == path.read_text().split()
    assert facts["sysctls"]["vm.overcommit_memory"]["runtime"] in (0, 1, 2)


def test_a_root_without_anything_yields_nulls_and_not_zeros() -> None:
    facts = facts_of(text_root(""))
    assert {found["runtime"] for found in facts["sysctls"].values()} == {None}
    assert {found["differs"] for found in facts["sysctls"].values()} == {None}
    assert facts["sysctl_files"] == []  # the whole tree is known: there are none
    assert facts["sysctl_conf"] == "absent"
    assert [daemon["installed"] for daemon in facts["daemons"]] == [False] * 3


def test_each_yield_is_a_whole_document() -> None:
    for facts in OomCollector().collect(text_root("")):
        jsonschema.Draft202012Validator(schemas.load("oom")).validate(facts)


@pytest.mark.parametrize("collector", [KernelCollector(), OomCollector()], ids=lambda each: each.name)
@pytest.mark.parametrize("host", HOSTS)
def test_facts_can_be_derived_again_from_the_evidence(host: str, collector: Collector) -> None:
    stored = TextTree()

    def store(name: str, data: bytes) -> str:
        stored.add(f"=== /{name}\n")
        stored.content[f"/{name}"] = data
        return name

    root = root_of(host_tree(host)).recording(collector.name, store)
    facts = list(collector.collect(root))[-1]
    root.evidence.finish()
    bundle = bundle_root(stored, root.evidence.items, taken_at=root.taken_at, where="evidence")
    again = list(collector.collect(bundle.recording(collector.name)))[-1]
    for name in facts:
        # An EFI variable is binary, and no binary enters a bundle.
        if name != "secure_boot":
            assert again[name] == facts[name], name


# -- settings of the kernel -------------------------------------------------------------------------


def test_etc_hides_the_same_name_elsewhere_and_names_decide_the_order() -> None:
    text = (
        "=== /usr/lib/sysctl.d/90-x.conf\nvm.swappiness=1\n"
        "=== /etc/sysctl.d/10-a.conf\nvm.swappiness=2\n"
        "=== /run/sysctl.d/90-x.conf\n# nothing\n"
    )
    assert persisted(text) == ("2", "/etc/sysctl.d/10-a.conf", 1)
    files = facts_of(text_root(text))["sysctl_files"]
    assert [(each["path"], each["hides"]) for each in files] == [
        ("/etc/sysctl.d/10-a.conf", []),
        ("/run/sysctl.d/90-x.conf", ["/usr/lib/sysctl.d/90-x.conf"]),
    ]


def test_a_link_to_dev_null_masks() -> None:
    text = "=== /usr/lib/sysctl.d/10-x.conf\nvm.swappiness=1\n=== /etc/sysctl.d/10-x.conf link=/dev/null\n"
    assert persisted(text) is None
    files = facts_of(text_root(text))["sysctl_files"]
    assert files[0]["state"] == "masked"


LIB = "=== /usr/lib/sysctl.d/90-x.conf\nvm.swappiness=1\n=== /etc/sysctl.conf\nvm.swappiness=2\n"
SYSTEMD = "=== /usr/lib/systemd/systemd-sysctl size=20000\n"


@pytest.mark.parametrize(
    "text, part, value",
    [
        (LIB, "last", "2"),
        (LIB + SYSTEMD, "ignored", "1"),
        (LIB + SYSTEMD + "=== /etc/sysctl.d/99-sysctl.conf link=../sysctl.conf\n", "linked", "2"),
        (LIB + SYSTEMD + "=== /etc/sysctl.d/50-first.conf link=/etc/sysctl.conf\n", "linked", "1"),
        ("=== /usr/lib/sysctl.d/90-x.conf\nvm.swappiness=1\n", "absent", "1"),
    ],
)
def test_sysctl_conf_counts_where_the_boot_reads_it(text: str, part: str, value: str) -> None:
    facts = facts_of(text_root(text))
    assert facts["sysctl_conf"] == part
    assert facts["sysctls"]["vm.swappiness"]["persisted"]["value"] == value


def test_unreadable_files_are_named_and_the_rest_counts() -> None:
    text = (
        "=== /etc/sysctl.d/20-b.conf denied\n"
        "=== /etc/sysctl.d/10-a.conf\nvm.swappiness=3\n"
        "=== /etc/sysctl.d/30-c.conf link=gone\n"
    )
    facts = facts_of(text_root(text))
    assert [each["state"] for each in facts["sysctl_files"]] == ["read", "unreadable", "unreadable"]
    assert facts["sysctls"]["vm.swappiness"]["persisted"]["value"] == "3"


def test_all_overridden_assignments_are_told() -> None:
    text = (
        "=== /proc/sys/vm/swappiness\n60\n"
        "=== /proc/cmdline\nro sysctl.vm.swappiness=1 sysctl.vm/panic_on_oom=1\n"
        "=== /etc/sysctl.d/10-a.conf\nvm.swapp* = 2\n-vm/swappiness = 3\nvm.swappiness = 4 # why\n"
    )
    found = facts_of(text_root(text))["sysctls"]
    told = [
        (each["value"], each["file"], each["line"], each["effective"])
        for each in found["vm.swappiness"]["assignments"]
    ]
    assert told == [
        ("1", "/proc/cmdline", 1, False),
        ("2", "/etc/sysctl.d/10-a.conf", 1, False),
        ("3", "/etc/sysctl.d/10-a.conf", 2, False),
        ("4 # why", "/etc/sysctl.d/10-a.conf", 3, True),
    ]
    assert found["vm.swappiness"]["assignments"][1]["pattern"] == "vm.swapp*"
    assert found["vm.swappiness"]["assignments"][2]["ignore_errors"] is True
    assert found["vm.swappiness"]["differs"] is True
    assert found["vm.panic_on_oom"]["persisted"]["file"] == "/proc/cmdline"


def test_tuned_profiles_include_each_other_without_end() -> None:
    text = (
        "=== /etc/tuned/active_profile\na\n"
        "=== /etc/tuned/a/tuned.conf\n[main]\ninclude=b, -c\n[sysctl]\nvm.swappiness=10\nnet.x=1\n"
        "=== /usr/lib/tuned/a/tuned.conf\n[sysctl]\nvm.swappiness=99\n"
        "=== /usr/lib/tuned/profiles/b/tuned.conf\n[main]\ninclude=a\n[vm]\ndirty_ratio = >20\n"
    )
    found = tuned_settings(text_root(text), frozenset(SYSCTLS))
    assert found["profile"] == "a"
    assert [(each["key"], each["value"]) for each in found["assignments"]] == [
        ("vm.dirty_ratio", ">20"),
        ("vm.swappiness", "10"),
    ]


# -- units ------------------------------------------------------------------------------------------


def settings_of(text: str) -> list[tuple[str, str, str, str, bool]]:
    found = Units(text_root(text)).settings()
    return [(each["unit"], each["key"], each["value"], each["file"], each["effective"]) for each in found]


def test_a_drop_in_overrides_and_an_empty_value_resets() -> None:
    text = (
        "=== /usr/lib/systemd/system/a.service\n[Service]\nOOMScoreAdjust=-900\nMemoryMax=1G\n"
        "=== /run/systemd/system/a.service.d/50-x.conf\n[Service]\nOOMScoreAdjust=1\n"
        "=== /etc/systemd/system/a.service.d/50-x.conf\n[Service]\nOOMScoreAdjust=\n"
    )
    here = "/etc/systemd/system/a.service.d/50-x.conf"
    assert settings_of(text) == [
        ("a.service", "OOMScoreAdjust", "-900", "/usr/lib/systemd/system/a.service", False),
        ("a.service", "MemoryMax", "1G", "/usr/lib/systemd/system/a.service", True),
        ("a.service", "OOMScoreAdjust", "", here, True),
    ]


def test_the_more_important_file_hides_the_whole_other() -> None:
    text = (
        "=== /usr/lib/systemd/system/a.service\n[Service]\nOOMScoreAdjust=-900\n"
        "=== /etc/systemd/system/a.service\n[Service]\nExecStart=/bin/true\n"
        "=== /usr/lib/systemd/system/b.service\n[Service]\nMemoryMax=1G\n"
        "=== /etc/systemd/system/b.service link=/dev/null\n"
    )
    assert settings_of(text) == []


def test_settings_for_types_prefixes_templates_and_aliases() -> None:
    text = (
        "=== /usr/lib/systemd/system/a.service\n[Service]\nMemoryMax=1G\n"
        "=== /etc/systemd/system/service.d/10-all.conf\n[Service]\nMemoryMax=2G\n"
        "=== /etc/systemd/system/user-.slice.d/x.conf\n[Slice]\nMemoryHigh=3G\n"
        "=== /usr/lib/systemd/system/w@.service\n[Service]\nOOMPolicy=stop\n"
        "=== /etc/systemd/system/w@1.service.d/x.conf\n[Service]\nOOMPolicy=kill\n"
        "=== /usr/lib/systemd/system/real.service\n[Service]\nExecStart=/bin/true\n"
        "=== /etc/systemd/system/alias.service link=/usr/lib/systemd/system/real.service\n"
        "=== /etc/systemd/system/alias.service.d/x.conf\n[Service]\nMemoryLow=4G\n"
    )
    everything = settings_of(text)
    assert ("*.service", "MemoryMax", "2G", "/etc/systemd/system/service.d/10-all.conf", True) in everything
    own = [each for each in everything if each[0] == "a.service"]
    assert [(each[2], each[4]) for each in own] == [("1G", False), ("2G", True)]
    assert (
        "user-*.slice",
        "MemoryHigh",
        "3G",
        "/etc/systemd/system/user-.slice.d/x.conf",
        True,
    ) in everything
    instance = [each for each in everything if each[0] == "w@1.service" and each[1] == "OOMPolicy"]
    assert [(each[2], each[4]) for each in instance] == [("stop", False), ("kill", True)]
    assert [each[1:3] for each in everything if each[0] == "real.service" and each[1] == "MemoryLow"] == [
        ("MemoryLow", "4G")
    ]
    assert not any(each[0] == "alias.service" for each in everything)


def test_units_that_write_oom_score_adj_themselves_are_mentioned() -> None:
    text = (
        "=== /etc/systemd/system/a.service\n[Service]\n"
        "ExecStartPost=/bin/sh -c \\\n 'echo 5 >/proc/$MAINPID/oom_score_adj'\n"
    )
    mention = facts_of(text_root(text))["writers"]["mentions"][0]
    assert (mention["path"], mention["line"], mention["writes"]) == ("/etc/systemd/system/a.service", 3, True)


def cat_config(top: Path, name: str) -> list[str]:
    """Return the files that systemd itself would read, in its order."""
    command = ["systemd-analyze", f"--root={top}", "--no-pager", "cat-config", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    if done.returncode:
        pytest.skip("systemd-analyze: " + done.stderr.strip()[:80])
    return [
        "/" + line[2:].removeprefix(str(top)).lstrip("/")
        for line in done.stdout.splitlines()
        if line.startswith("# /")
    ]


def test_the_order_is_that_of_systemd(tmp_path: Path) -> None:
    body = "[OOM]\nSwapUsedLimit=1%\n"
    places = [
        "/etc/systemd/oomd.conf",
        "/etc/systemd/oomd.conf.d/50-b.conf",
        "/run/systemd/oomd.conf.d/50-b.conf",
        "/run/systemd/oomd.conf.d/10-a.conf",
        "/usr/lib/systemd/oomd.conf.d/60-c.conf",
        "/usr/local/lib/systemd/oomd.conf.d/60-c.conf",
        "/usr/lib/systemd/oomd.conf.d/README",
    ]
    write_tree(TextTree().add("".join(f"=== {place}\n{body}" for place in places)), tmp_path)
    found = configuration(directory_root(str(tmp_path)), "systemd/oomd.conf", None)
    assert [each["file"] for each in found] == cat_config(tmp_path, "systemd/oomd.conf")
    assert [each["effective"] for each in found] == [False] * (len(found) - 1) + [True]


def test_drop_ins_of_a_unit_come_in_the_order_of_systemd(tmp_path: Path) -> None:
    body = "[Service]\nMemoryMax=1G\n"
    places = [
        "/usr/lib/systemd/system/a.service",
        "/usr/lib/systemd/system/a.service.d/20.conf",
        "/run/systemd/system/a.service.d/10.conf",
        "/etc/systemd/system/a.service.d/20.conf",
        "/usr/local/lib/systemd/system/a.service.d/05.conf",
    ]
    write_tree(TextTree().add("".join(f"=== {place}\n{body}" for place in places)), tmp_path)
    found = Units(directory_root(str(tmp_path))).settings()
    assert [each["file"] for each in found] == cat_config(tmp_path, "systemd/system/a.service")


# -- killers in userspace ---------------------------------------------------------------------------

EARLYOOM = (
    "=== /usr/lib/systemd/system/earlyoom.service\n[Service]\nExecStart=/usr/bin/earlyoom $EARLYOOM_ARGS\n"
    "[Install]\nWantedBy=multi-user.target\n"
    "=== /usr/bin/earlyoom size=40000\n"
    '=== /etc/default/earlyoom\n# comment\nEARLYOOM_ARGS="-m 5 -s 10"\n'
)
UNIT = "system.slice/earlyoom.service"


def daemon(text: str, name: str = "earlyoom", kind: str = "live") -> dict[str, Any]:
    facts = facts_of(text_root(text, kind))
    found: dict[str, Any] = next(each for each in facts["daemons"] if each["name"] == name)
    return found


@pytest.mark.parametrize(
    "text, running",
    [
        ("", None),
        (f"=== /sys/fs/cgroup/{UNIT}/cgroup.procs\n812\n", True),
        (f"=== /sys/fs/cgroup/{UNIT}/cgroup.procs\n", False),
        ("=== /sys/fs/cgroup/system.slice dir\n", False),
        (f"=== /sys/fs/cgroup/systemd/{UNIT}/cgroup.procs\n812\n813\n", True),
        ("=== /sys/fs/cgroup/systemd/system.slice dir\n", False),
        (f"=== /sys/fs/cgroup/unified/{UNIT}/cgroup.procs\n812\n", True),
        ("=== $ systemctl is-active earlyoom.service exit=0\nactive\n", True),
        ("=== $ systemctl is-active earlyoom.service exit=3\ninactive\n", False),
        (
            "=== $ systemctl is-active earlyoom.service exit=1\nSystem has not been booted with systemd\n",
            None,
        ),
    ],
)
def test_running(text: str, running: object) -> None:
    found = daemon(EARLYOOM + text)
    assert found["installed"] is True
    assert found["units"][0]["running"] is running
    assert [(each["key"], each["value"], each["line"]) for each in found["settings"]] == [
        ("EARLYOOM_ARGS", "-m 5 -s 10", 2)
    ]


def test_enabled_as_systemctl_says(tmp_path: Path) -> None:
    write_tree(TextTree().add(EARLYOOM), tmp_path)

    def systemctl(verb: str) -> str:
        try:
            done = subprocess.run(
                ["systemctl", f"--root={tmp_path}", verb, "earlyoom.service"],
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            pytest.skip("systemctl is not installed")
        return done.stdout.strip()

    def enabled_and_masked() -> tuple[object, object]:
        unit = Units(directory_root(str(tmp_path)))
        facts = facts_of(directory_root(str(tmp_path)))
        found = next(each for each in facts["daemons"] if each["name"] == "earlyoom")["units"][0]
        assert found["masked"] is unit.masked("earlyoom.service")
        return found["enabled"], found["masked"]

    assert (systemctl("is-enabled"), enabled_and_masked()) == ("disabled", (False, False))
    systemctl("enable")
    assert (systemctl("is-enabled"), enabled_and_masked()) == ("enabled", (True, False))
    systemctl("disable")
    systemctl("mask")
    assert (systemctl("is-enabled"), enabled_and_masked()) == ("masked", (False, True))


def test_configuration_of_nohang() -> None:
    text = (
        "=== /etc/nohang/nohang.conf\n## This is the default configuration\n\n"
        "soft_threshold_min_mem = 5 %\n  hard_threshold_min_mem=2 %\nwarning_exe =\n"
        "@SOFT_ACTION_RE_NAME ^foo$ /// kill\n"
        "soft_threshold_min_mem = 8 %\n"
    )
    found = daemon(text, "nohang")["settings"]
    assert [(each["key"], each["value"], each["effective"]) for each in found] == [
        ("soft_threshold_min_mem", "5 %", False),
        ("hard_threshold_min_mem", "2 %", True),
        ("warning_exe", "", True),
        ("soft_threshold_min_mem", "8 %", True),
    ]


# -- who writes oom_score_adj -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, writes",
    [
        ("* * * * * root echo -17 > /proc/$(pidof sshd)/oom_adj", True),
        ('echo -1000 >>"/proc/$p/oom_score_adj"', True),
        ("echo 5 | tee /proc/$p/oom_score_adj >/dev/null", True),
        ("choom -n -500 -p 1", True),
        ("choom -p 1", False),
        ('open("/proc/self/oom_score_adj", "w").write("1000")', True),
        ('with open("/proc/1/oom_score_adj") as f:', False),
        ("sort /proc/[0-9]*/oom_score_adj > /tmp/list", False),
        ("cat /proc/1/oom_score_adj", False),
    ],
)
def test_writes_are_told_from_reads(line: str, writes: bool) -> None:
    found = find_writers(text_root(f"=== /etc/cron.d/x\n# oom_score_adj\n{line}\n"))["mentions"]
    assert [(each["line"], each["text"], each["writes"]) for each in found] == [(2, line, writes)]


def test_a_hostile_line_takes_no_time() -> None:
    line = "choom oom_adj > " + "$(a)`b`" * 9000 + "choom " * 9000
    found = find_writers(text_root(f"=== /etc/cron.d/x\n{line}\n"))["mentions"]
    assert [(each["names"], each["writes"], len(each["text"])) for each in found] == [("choom", False, 500)]


def test_programs_links_and_large_files_are_passed_over() -> None:
    text = (
        "=== /usr/local/bin/program hex\n7f454c460000006f6f6d5f73636f72655f61646a0a\n"
        f"=== /usr/local/bin/large size={MAX_SIZE + 1}\necho 1 > /proc/1/oom_score_adj\n"
        "=== /usr/local/bin/link link=/etc/shadow\n"
        "=== /etc/shadow\necho 1 > /proc/1/oom_score_adj\n"
        "=== /etc/cron.d/pipe fifo\n"
        "=== /etc/cron.d/none denied\n"
    )
    root = text_root(text).recording("oom")
    assert find_writers(root) == {
        "mentions": [],
        "skipped": [{"path": "/usr/local/bin/large", "reason": "size"}],
    }
    assert [gap["path"] for gap in root.evidence.gaps] == ["/etc/cron.d/none"]


def test_the_search_has_an_end() -> None:
    many = "".join(
        f"=== /usr/local/bin/tool{number:05}\nchoom -n 1 -p 1\n" for number in range(MAX_FILES + 50)
    )
    found = find_writers(text_root(many))
    assert found["skipped"][0]["reason"] == "limit"
    assert 0 < len(found["mentions"]) <= 200


def test_a_pipe_among_the_scripts_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    os.mkfifo(tmp_path / "etc/cron.d/pipe")
    (tmp_path / "etc/cron.d/job").write_text("echo 1 > /proc/1/oom_score_adj\n")
    found = find_writers(directory_root(str(tmp_path)))
    assert [each["path"] for each in found["mentions"]] == ["/etc/cron.d/job"]


# -- a sosreport --------------------------------------------------------------------------------------

SOS = """=== /sos_commands/kernel/sysctl_-a
vm.overcommit_memory = 2
vm.lowmem_reserve_ratio = 256	256	32	0	0
=== /sos_commands/systemd/systemctl_list-units
  UNIT                     LOAD   ACTIVE   SUB     DESCRIPTION
  earlyoom.service         loaded active   running Early OOM Daemon
* systemd-oomd.service     loaded failed   failed  Userspace Out-Of-Memory (OOM) Killer
=== /sos_reports/sos.txt
=== /etc/sysctl.d/90-x.conf
vm.overcommit_memory = 1
=== /proc/1/comm
systemd
"""


def test_a_sosreport_with_little_of_proc(tmp_path: Path) -> None:
    top = write_tree(TextTree().add(SOS), tmp_path / "sosreport-db01")
    facts = facts_of(sosreport_root(DirectoryTree(str(top)), str(top)).recording("oom"))
    assert facts["sysctls"]["vm.overcommit_memory"]["runtime"] == 2
    assert facts["sysctls"]["vm.overcommit_memory"]["differs"] is True
    assert facts["sysctls"]["vm.lowmem_reserve_ratio"]["runtime"] == "256 256 32 0 0"
    assert facts["sysctls"]["vm.swappiness"]["runtime"] is None
    oomd, earlyoom, nohang = facts["daemons"]
    assert (earlyoom["units"][0]["running"], oomd["units"][0]["running"]) == (True, False)
    # What was not copied is unknown, not absent.
    assert nohang["installed"] is None
    assert nohang["units"][0] == {
        "unit": "nohang.service",
        "file": None,
        "masked": None,
        "enabled": None,
        "enabled_by": [],
        "running": None,
    }
    assert facts["sysctl_conf"] == "unknown"
