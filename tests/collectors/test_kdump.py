"""kdump: every family's configuration, what denied means, no secrets, and a target that hangs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hosttree import HOSTS, TextTree, host_tree, root_of, text_root, write_tree

from lastwords import schemas
from lastwords.collectors.kdump import KdumpCollector
from lastwords.model import Facts, NoData
from lastwords.roots.base import Root
from lastwords.roots.bundle import bundle_root
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.sosreport import sosreport_root
from lastwords.roots.trees import DirectoryTree, Node

SCHEMA = jsonschema.Draft202012Validator(schemas.load("kdump"))


def collected(root: Root) -> Facts:
    """Return the last facts; every yield must fit the schema."""
    facts: Facts = {}
    for facts in KdumpCollector().collect(root):
        SCHEMA.validate(json.loads(json.dumps(facts)))
    return facts


def target(text: str) -> dict[str, Any]:
    (found,) = collected(text_root(text).recording("kdump"))["targets"]
    return dict(found)


def test_this_host() -> None:
    root = live_root().recording("kdump")
    facts = collected(root)
    size = Path("/sys/kernel/kexec_crash_size")
    assert facts["kexec"]["crash_size"] == (int(size.read_text()) if size.exists() else None)
    words = Path("/proc/cmdline").read_text().split()
    assert facts["crashkernel"]["booted"] == [word for word in words if word.startswith("crashkernel=")]
    if shutil.which("dpkg-query"):
        asked = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"]
        told = subprocess.run(asked, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
        names = {"kexec-tools", "kdump-utils", "makedumpfile", "kdump-tools", "kdump"}
        expected = [
            line.split()[1:] for line in told if line.startswith("installed") and line.split()[1] in names
        ]
        assert [[each["name"], each["version"]] for each in facts["packages"]] == expected


def as_nobody(root: Root) -> tuple[Facts, list[dict[str, str]]]:
    """Collect in a child that has become an ordinary user; return the facts and what could not be read."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    collected(root.recording("warm-up"))  # what is imported late may not be readable to that user
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            own = root.recording("kdump")
            facts = collected(own)
            os.write(writing, json.dumps([facts, own.evidence.gaps]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    facts, gaps = json.loads(data)
    return facts, gaps


def test_an_ordinary_user_is_not_shown_the_reservation() -> None:
    facts, _ = as_nobody(live_root())
    assert facts["kexec"]["reservations"] is None


def test_what_is_denied_is_null_and_noted() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        os.chmod(folder, 0o755)
        write_tree(host_tree("sles15"), Path(folder))
        facts, gaps = as_nobody(directory_root(folder))
    assert facts["family"] == "suse"
    (file,) = facts["files"]
    assert file["entries"] is None and file["others"] is None and file["mtime"] is not None
    assert facts["targets"] is None
    assert {"path": "/etc/sysconfig/kdump", "reason": "permission denied"} in gaps


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        collected(sosreport_root(DirectoryTree(str(tmp_path)), "an empty one").recording("kdump"))


def test_a_disk_without_sys_says_nothing_of_the_kernel() -> None:
    facts = collected(
        text_root("=== /etc/kdump.conf\npath /var/crash\n", kind="directory").recording("kdump")
    )
    assert facts["kexec"]["supported"] is None
    assert facts["kexec"]["crash_loaded"] is None
    assert facts["crashkernel"] == {"booted": None, "configured": None}
    assert facts["packages"] is None
    assert facts["units"][0]["installed"] is False
    assert facts["units"][0]["active_state"] is None


def test_sysfs_of_newer_kernels() -> None:
    text = "=== /sys/kernel/kexec/crash_loaded\n1\n=== /sys/kernel/kexec/crash_size\n1048576\n"
    text += "=== /proc/cmdline\nquiet\n"
    kexec = collected(text_root(text).recording("kdump"))["kexec"]
    assert (kexec["supported"], kexec["crash_loaded"], kexec["crash_size"]) == (True, True, 1048576)


def test_parameters_in_order_and_fadump() -> None:
    text = """\
=== /proc/cmdline
root=/dev/sda2 crashkernel=512M crashkernel=332M,high crashkernel=72M,low fadump=on xcrashkernel=1 nofadump=x
=== /sys/kernel/fadump_enabled
1
=== /sys/kernel/fadump/registered
0
=== /sys/kernel/fadump/mem_reserved
1073741824
"""
    facts = collected(text_root(text).recording("kdump"))
    expected = ["crashkernel=512M", "crashkernel=332M,high", "crashkernel=72M,low"]
    assert facts["crashkernel"]["booted"] == expected
    assert facts["fadump"] == {
        "parameters": ["fadump=on"],
        "enabled": True,
        "registered": False,
        "mem_reserved": 1073741824,
    }


def test_parameters_of_the_next_boot() -> None:
    text = """\
=== /etc/default/grub
#GRUB_CMDLINE_LINUX="crashkernel=1M"
GRUB_CMDLINE_LINUX="crashkernel=auto rhgb"
=== /boot/loader/entries/x.conf
title x
options root=/dev/sda ro crashkernel=256M $tuned_params
=== /boot/grub2/grubenv
# GRUB Environment Block
kernelopts=root=/dev/sda crashkernel=192M
"""
    found = collected(text_root(text).recording("kdump"))["crashkernel"]["configured"]
    assert [(each["path"], each["line"], each["parameter"]) for each in found] == [
        ("/etc/default/grub", 2, "crashkernel=auto"),
        ("/boot/loader/entries/x.conf", 2, "crashkernel=256M"),
        ("/boot/grub2/grubenv", 2, "crashkernel=192M"),
    ]


MOUNTS = """\
=== /proc/self/mounts
/dev/mapper/vg-root / ext4 rw 0 0
/dev/mapper/vg-crash /srv/dumps xfs rw 0 0
nas:/export /mnt/nas nfs4 rw 0 0
=== /dev/mapper/vg-crash link=../dm-3
=== /dev/disk/by-uuid/0a1b link=../../dm-3
=== usage / size=100 available=10 used=90
=== usage /srv/dumps size=200 available=20 used=180
=== usage /mnt/nas size=300 available=30 used=270
"""


@pytest.mark.parametrize(
    ("conf", "directory", "available"),
    [
        ("path /var/crash", "/var/crash", 10),
        ("xfs /dev/mapper/vg-crash\npath /var/crash", "/srv/dumps/var/crash", 20),
        ("xfs UUID=0a1b\npath /", "/srv/dumps", 20),
        ("ext4 LABEL=nosuch", None, None),
        ("nfs nas:/export\npath /crash", "/mnt/nas/crash", 30),
        ("nfs nas:/exp", None, None),
        ("nfs other:/export", None, None),
        ("ssh root@nas", None, None),
        ("raw /dev/mapper/vg-crash", None, None),
        ('dracut_args --mount "nas:/export /mnt nfs4 defaults"\npath /d', "/mnt/nas/d", 30),
    ],
)
def test_where_the_target_can_be_seen(conf: str, directory: str, available: int) -> None:
    found = target(f"=== /etc/kdump.conf\n{conf}\n{MOUNTS}")
    assert (found["directory"], found["available"]) == (directory, available)


def test_suse_url_and_its_export() -> None:
    found = target(f'=== /etc/sysconfig/kdump\nKDUMP_SAVEDIR="nfs://nas/export/crash"\n{MOUNTS}')
    assert (found["type"], found["directory"], found["mounted"]) == ("nfs", "/mnt/nas/crash", "nas:/export")


class Trap(TextTree):
    """A host whose file server is gone: whoever looks below the mount point never comes back."""

    def lookup(self, path: str) -> Node:
        if path.startswith("/mnt/nas"):
            raise RuntimeError("never comes back")
        return super().lookup(path)


def test_a_target_that_hangs_costs_only_itself() -> None:
    tree = Trap()
    tree.add(
        f"=== /mnt dir\n=== /etc/kdump.conf\nnfs nas:/export\n{MOUNTS}=== /sys/kernel/kexec_crash_loaded\n1\n"
    )
    tree.add("=== /var/lib/dpkg/status\nPackage: kexec-tools\nStatus: install ok installed\nVersion: 2\n")
    yielded: list[Facts] = []
    with pytest.raises(RuntimeError):
        for facts in KdumpCollector().collect(root_of(tree).recording("kdump")):
            yielded.append(facts)
    last = yielded[-1]
    SCHEMA.validate(last)
    assert last["kexec"]["crash_loaded"] is True
    assert last["packages"] == [{"name": "kexec-tools", "version": "2", "status": "installed"}]
    assert last["targets"][0]["directory"] == "/mnt/nas/var/crash"
    assert last["targets"][0]["exists"] is None


STORAGE = """\
=== /proc/self/mounts
/dev/mapper/vg-root / xfs rw 0 0
/dev/vdb1 /srv/dumps ext4 rw 0 0
nas:/export /mnt/nas nfs4 rw 0 0
=== /etc/kdump.conf
path /srv/dumps
=== /dev/mapper/vg-root link=../dm-1
=== /sys/class/block/dm-1 link=../../devices/virtual/block/dm-1
=== /sys/devices/virtual/block/dm-1/dm/uuid
LVM-abc
=== /sys/devices/virtual/block/dm-1/slaves/dm-0 link=../../dm-0
=== /sys/class/block/dm-0 link=../../devices/virtual/block/dm-0
=== /sys/devices/virtual/block/dm-0/dm/uuid
CRYPT-LUKS2-0123456789abcdef-luks
=== /sys/devices/virtual/block/dm-0/slaves/sda2 link=../../../../pci0/0000:00:05.0/ata1/host0/block/sda/sda2
=== /sys/class/block/sda2 link=../../devices/pci0/0000:00:05.0/ata1/host0/0:0:0:0/block/sda/sda2
=== /sys/devices/pci0/0000:00:05.0/ata1/host0/0:0:0:0/driver link=../../../../../../bus/scsi/drivers/sd
=== /sys/bus/scsi/drivers/sd/module link=../../../../module/sd_mod
=== /sys/devices/pci0/0000:00:05.0/driver link=../../../bus/pci/drivers/ahci
=== /sys/bus/pci/drivers/ahci/module link=../../../../module/ahci
=== /sys/class/block/vdb1 link=../../devices/pci0/0000:00:06.0/virtio3/block/vdb/vdb1
=== /sys/devices/pci0/0000:00:06.0/virtio3/driver/module link=../../../../module/virtio-blk
"""


def test_what_a_dump_must_be_carried_through() -> None:
    root, dumps = collected(text_root(STORAGE).recording("kdump"))["storage"]
    assert (root["mountpoint"], root["type"], root["devices"]) == ("/", "xfs", ["dm-1", "dm-0", "sda2"])
    assert root["modules"] == ["sd_mod", "ahci"]
    assert root["mappings"] == ["LVM", "CRYPT-LUKS2"]
    assert (dumps["mountpoint"], dumps["modules"], dumps["mappings"]) == ("/srv/dumps", ["virtio_blk"], [])


def test_without_sysfs_it_is_not_known_what_a_dump_lies_on() -> None:
    assert collected(text_root("=== /etc dir\n" + MOUNTS).recording("kdump"))["storage"] is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("=== /etc/kdump.conf\nssh a@b\n", [(None, "/root/.ssh/kdump_id_rsa", False)]),
        ("=== /etc/kdump.conf\nssh a@b\nsshkey /k\n=== /k\nx", [("sshkey", "/k", True)]),
        (
            "=== /etc/kdump.conf\nkdump_pre /a\nextra_bins /bin/x sh\n=== /bin/x\n",
            [("kdump_pre", "/a", False), ("extra_bins", "/bin/x", True)],
        ),
        ('=== /etc/default/kdump-tools\nSSH="a@b"\nSSH_KEY=/k\n', [("SSH_KEY", "/k", False)]),
        (
            '=== /etc/sysconfig/kdump\nKDUMP_SAVEDIR=/x\nKDUMP_PRESCRIPT="/p"\n',
            [("KDUMP_PRESCRIPT", "/p", False)],
        ),
        ("=== /etc/kdump.conf\npath /a\n", []),
    ],
)
def test_files_that_must_be_there(text: str, found: list[tuple[str, str, bool]]) -> None:
    facts = collected(text_root("=== /root dir\n" + text).recording("kdump"))
    assert [(each["setting"], each["path"], each["exists"]) for each in facts["named_files"]] == found


def test_files_that_an_unreadable_configuration_names_are_not_known() -> None:
    assert collected(text_root("=== /etc/kdump.conf denied\n").recording("kdump"))["named_files"] is None


SECRETS = ("hunter2", "s3cr3t", "0pen-Sesame", "Sup3rGeheim", "qwerty")


def test_no_secret_reaches_facts_or_evidence() -> None:
    text = """\
=== /etc/kdump.conf
ssh crash@nas
sshkey /root/.ssh/kdump_id_rsa
=== /etc/sysconfig/kdump
KDUMP_SMTP_PASSWORD="0pen-Sesame"
KDUMP_SAVEDIR="ftp://joe:hunter2@nas/crash"
KDUMP_TRANSFER='curl -u joe --password s3cr3t'
=== /etc/default/kdump-tools
FTP_PASSWORD=Sup3rGeheim
=== /etc/default/grub
GRUB_CMDLINE_LINUX="crashkernel=1M rd.iscsi.password=qwerty"
=== /proc/cmdline
crashkernel=1M rd.iscsi.password=qwerty netroot=iscsi:joe:hunter2@10.0.0.1::3260::iqn.x:y
"""
    kept: dict[str, bytes] = {}

    def store(name: str, data: bytes) -> str:
        kept[name] = data
        return name

    root = text_root(text).recording("kdump", store)
    facts = json.dumps(collected(root))
    root.evidence.finish()
    everything = facts.encode() + b"".join(kept.values()) + json.dumps(root.evidence.items).encode()
    assert [secret for secret in SECRETS if secret.encode() in everything] == []
    assert "/root/.ssh/kdump_id_rsa" in facts
    assert b"<removed>" in kept["evidence/etc/default/kdump-tools"]


@pytest.mark.parametrize("host", [*HOSTS, "storage"])
def test_facts_can_be_derived_again_from_the_evidence(host: str, tmp_path: Path) -> None:
    tree = TextTree().add(STORAGE) if host == "storage" else host_tree(host)

    def store(name: str, data: bytes) -> str:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return name

    root = root_of(tree).recording("kdump", store)
    facts = collected(root)
    root.evidence.finish()
    again = bundle_root(DirectoryTree(str(tmp_path)), root.evidence.items, taken_at=root.taken_at, where="it")
    assert collected(again.recording("kdump")) == facts


@pytest.mark.parametrize("host", HOSTS)
def test_a_mounted_disk_tells_the_same(host: str, tmp_path: Path) -> None:
    """All but what needs commands or the fill of a filesystem is the same on a directory."""
    facts = collected(directory_root(str(write_tree(host_tree(host), tmp_path))).recording("kdump"))
    golden = collected(root_of(host_tree(host)).recording("kdump"))
    for part in ("family", "files", "kexec", "crashkernel", "fadump", "images", "programs", "udev_rules"):
        assert facts[part] == golden[part]
    assert [unit["wanted_by"] for unit in facts["units"]] == [unit["wanted_by"] for unit in golden["units"]]


def test_a_sosreport(tmp_path: Path) -> None:
    files = {
        "version.txt": "sos report: 4.10.0\n",
        "etc/kdump.conf": "path /var/crash\ncore_collector makedumpfile -l -d 31\n",
        "proc/cmdline": "BOOT_IMAGE=x crashkernel=256M\n",
        "sys/kernel/kexec_crash_loaded": "0\n",
        "sos_commands/systemd/systemctl_show_service_--all": (
            "Type=simple\nResult=success\nId=crond.service\nActiveState=active\n\n"
            "Result=exit-code\nExecMainStatus=1\nId=kdump.service\nLoadState=loaded\nActiveState=failed\n"
            "SubState=failed\nUnitFileState=enabled\nConditionResult=yes\n\nId=kdumpx.service\nActiveState=active\n"
        ),
        "sos_commands/rpm/sh_-c_rpm_--nodigest_-qa_--qf": (
            "bash-5.1.8-9.el9.x86_64      Mon Jan  5 10:00:00 2026\n"
            "kexec-tools-2.0.27-8.el9.x86_64      Mon Jan  5 10:00:00 2026\n"
        ),
        "sos_commands/filesys/df_-al_-x_autofs": (
            "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/sda1 1000 400 600 40% /\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    kept: dict[str, bytes] = {}
    root = sosreport_root(DirectoryTree(str(tmp_path)), "a report")
    root = root.recording("kdump", lambda name, data: (kept.__setitem__(name, data), name)[1])
    facts = collected(root)
    unit = facts["units"][0]
    assert (unit["unit"], unit["active_state"], unit["result"], unit["exit_code"]) == (
        "kdump.service",
        "failed",
        "exit-code",
        1,
    )
    assert unit["installed"] is None and unit["wanted_by"] is None
    assert facts["units"][1]["active_state"] is None
    assert facts["packages"] == [{"name": "kexec-tools", "version": "2.0.27-8.el9.x86_64", "status": None}]
    assert facts["kexec"]["crash_loaded"] is False and facts["kexec"]["reservations"] is None
    assert facts["targets"][0]["available"] == 600 * 1024
    assert facts["programs"][0]["installed"] is None
    states = kept["evidence/commands/systemctl_show_service_--all.txt"]
    assert b"Id=kdump.service" in states and b"crond" not in states
