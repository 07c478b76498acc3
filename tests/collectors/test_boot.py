"""The boot collector: this host, and small trees where something is missing, denied, unknown or odd."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hosttree import TextTree, host_tree, root_of, text_root, write_tree

from lastwords import schemas
from lastwords.collectors.boot import BootCollector
from lastwords.formats.boot.efi_boot import GLOBAL
from lastwords.model import Facts, NoData
from lastwords.roots.archive import ArchiveTree
from lastwords.roots.base import Root
from lastwords.roots.live import directory_root, live_root
from lastwords.roots.sosreport import sosreport_root

ID = "0123456789abcdef0123456789abcdef"


def collect(root: Root) -> Facts:
    """Return the last facts; every yield must fit the schema."""
    facts: Facts = {}
    for facts in BootCollector().collect(root.recording("boot")):
        jsonschema.Draft202012Validator(schemas.load("boot")).validate(json.loads(json.dumps(facts)))
    return facts


def of(text: str) -> Facts:
    """Return the facts of a small tree."""
    return collect(text_root(text))


def kernel(facts: Facts, version: str) -> dict[str, Any]:
    """Return the facts of one kernel."""
    (found,) = [each for each in facts["kernels"] if each["version"] == version]
    assert isinstance(found, dict)
    return found


def test_this_host() -> None:
    facts = collect(live_root())
    assert facts["running"] == os.uname().release
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert facts["filesystems"]["root"]["mounted"] is ("/" in mounted)  # in a chroot it need not be
    found = os.statvfs("/")
    assert facts["filesystems"]["root"]["usage"]["size"] == found.f_blocks * found.f_frsize
    assert facts["filesystems"]["boot"]["mounted"] is os.path.ismount("/boot")
    assert {node["path"] for node in facts["files"]} == {f"/boot/{name}" for name in os.listdir("/boot")}
    running = kernel(facts, os.uname().release)
    assert running["running"] is True
    assert running["vmlinuz"]["exists"] is os.path.exists(f"/boot/vmlinuz-{os.uname().release}")
    assert facts["efi"]["present"] is os.path.exists("/sys/firmware/efi")


def test_a_root_without_anything_has_no_data() -> None:
    with pytest.raises(NoData):
        of("=== /etc/hostname\nx\n")


def test_a_denied_directory_is_not_an_empty_one() -> None:
    facts = of(
        "=== /boot dir denied\n=== /boot/vmlinuz-6.1\n=== /lib/modules/6.1 dir\n"
        "=== /lib/modules/6.1/modules.dep denied\n=== /proc/sys/kernel/osrelease\n6.1\n"
    )
    assert facts["files"] is None and facts["files_omitted"] is None
    (found,) = facts["kernels"]
    assert found["initramfs"] == {"path": None, "exists": None, "size": None, "mtime": None}
    assert found["modules"]["modules_dep"] is True


def test_denied_configuration_is_null_and_known_absence_is_not() -> None:
    facts = of(
        "=== /boot/grub/grub.cfg denied mode=0600 size=5000\n"
        "=== /boot/grub/grubenv denied\n=== /etc/fstab denied\n"
        "=== /etc/default/grub\nGRUB_DEFAULT=0\n"
    )
    (config,) = facts["grub_configs"]
    assert (config["size"], config["menu"], config["default"], config["blscfg"]) == (5000, None, None, None)
    assert facts["grub_environments"][0]["variables"] is None
    assert facts["fstab"] is None
    assert facts["loader_entries"] == []
    assert facts["default_entry"]["grub_default"] == "0"
    assert facts["default_entry"]["resolved"] is None


def test_dangling_links_and_unknown_styles() -> None:
    facts = of(
        "=== /boot/vmlinuz-6.1 link=../gone\n=== /boot/vmlinuz-6.2 link=../usr/lib/modules/6.2/vmlinuz\n"
        "=== /usr/lib/modules/6.2/vmlinuz size=1234 mtime=2024-01-01T00:00:00Z\n=== /lib link=usr/lib\n"
    )
    broken, good = kernel(facts, "6.1"), kernel(facts, "6.2")
    missing = {"exists": False, "size": None, "mtime": None}
    assert broken["vmlinuz"] == {"path": "/boot/vmlinuz-6.1", **missing, "image": None}
    assert good["vmlinuz"]["size"] == 1234
    assert good["initramfs"] == {"path": None, **missing}
    assert (broken["modules"]["exists"], good["modules"]["exists"]) == (False, True)
    assert good["modules"]["modules_dep"] is False


def test_entries_of_kernel_install() -> None:
    facts = of(
        f"=== /boot/{ID}/6.8.1/linux size=1\n=== /boot/{ID}/6.8.1/initrd size=2\n"
        f"=== /boot/{ID}/6.9.0/linux size=3\n"
        f"=== /boot/loader/entries/{ID}-6.8.1.conf\n"
        f"title A\nlinux /{ID}/6.8.1/linux\ninitrd /{ID}/6.8.1/initrd\n"
        f"=== /boot/loader/entries/{ID}-6.9.0.conf\ntitle B\nlinux /{ID}/6.9.0/linux\n"
        f"=== /boot/loader/loader.conf\n# x\ntimeout 3\ndefault {ID}-6.8*\n"
        "=== /boot/EFI/Linux/uki.efi size=9\n"
    )
    assert [each["version"] for each in facts["kernels"]] == ["6.9.0", "6.8.1"]
    assert kernel(facts, "6.8.1")["initramfs"]["path"] == f"/boot/{ID}/6.8.1/initrd"
    assert facts["loader_config"] == {
        "path": "/boot/loader/loader.conf",
        "default": f"{ID}-6.8*",
        "timeout": "3",
    }
    assert facts["default_entry"]["value"] == f"{ID}-6.8*"
    assert facts["default_entry"]["resolved"]["which"] == f"{ID}-6.8.1"
    assert [(each["role"], each["path"]) for each in facts["other_images"]] == [
        ("unified", "/boot/EFI/Linux/uki.efi")
    ]


BLS = "".join(
    f"=== /boot/loader/entries/m-{version}.conf\ntitle L {version}\nlinux /vmlinuz-{version}\n"
    for version in ("5.14.0-70.el9", "5.14.0-427.el9", "0-rescue")
)
SAVED = '=== /boot/grub2/grub.cfg\nset default="${saved_entry}"\nblscfg\n'
ENV = "=== /boot/grub2/grubenv\n# GRUB Environment Block\n"


@pytest.mark.parametrize(
    ("text", "value", "which"),
    [
        (BLS + SAVED + ENV, "0", "m-5.14.0-427.el9"),
        (BLS + SAVED + ENV + "saved_entry=1\n", "1", "m-5.14.0-70.el9"),
        (BLS + SAVED + ENV + "saved_entry=m-0-rescue\n", "m-0-rescue", "m-0-rescue"),
        (BLS + SAVED + ENV + "saved_entry=m-4.18.0\n", "m-4.18.0", None),
        (BLS + SAVED + ENV + "env_block=512+1\n", None, None),
        (BLS + SAVED + "=== /boot/grub2/grubenv denied\n", None, None),
        (BLS + SAVED + "=== /boot/grub2/grubenv\ngarbage\n", None, None),
        (BLS + SAVED, "0", "m-5.14.0-427.el9"),
        (BLS + SAVED.replace("${saved_entry}", "${something}") + ENV, None, None),
        (BLS + SAVED.replace("blscfg", "menuentry A --id a { linux /a\n}") + ENV, "0", "0"),
    ],
)
def test_the_default_entry(text: str, value: str | None, which: str | None) -> None:
    found = of(text)["default_entry"]
    assert found["value"] == value
    assert (found["resolved"] or {}).get("which") == which


def test_the_menu_of_the_efi_partition_counts_on_efi() -> None:
    menus = (
        "=== /boot/grub2/grub.cfg\nset default=0\nmenuentry Old { linux /old\n}\n"
        "=== /boot/efi/EFI/redhat/grub.cfg\nset default=0\nmenuentry New { linux /new\n}\n"
        "=== /sys/kernel dir\n"
    )
    assert of(menus)["default_entry"]["resolved"]["linux"] == "/old"
    assert of(menus + "=== /sys/firmware/efi dir\n")["default_entry"]["resolved"]["linux"] == "/new"


def test_a_damaged_environment_block_says_so() -> None:
    (block,) = of("=== /boot/grub/grubenv size=1024\n\n")["grub_environments"]
    assert block["variables"] is None
    assert "signature" in block["damage"]


def test_efi_variables_where_the_tool_is_missing() -> None:
    raw = "\\EFI\\debian\\shimx64.efi".encode("utf-16-le") + b"\0\0"
    nodes = struct.pack("<BBH", 4, 4, 4 + len(raw)) + raw + bytes.fromhex("7fff0400")
    option = struct.pack("<IIH", 7, 1, len(nodes)) + "debian".encode("utf-16-le") + b"\0\0" + nodes
    top = "=== /sys/firmware/efi/efivars/"
    facts = of(
        "=== /boot dir\n"
        f"{top}BootCurrent-{GLOBAL} hex\n060000000200\n{top}BootOrder-{GLOBAL} hex\n0700000002000A00\n"
        f"{top}Boot0002-{GLOBAL} hex\n{option.hex()}\n{top}Boot000A-{GLOBAL} hex\n0700\n"
    )
    efi = facts["efi"]
    assert (efi["present"], efi["source"]) == (True, "efivars")
    assert (efi["boot_current"], efi["boot_next"], efi["boot_order"]) == ("0002", None, ["0002", "000A"])
    assert [(each["number"], each["path"]) for each in efi["entries"]] == [
        ("0002", "\\EFI\\debian\\shimx64.efi")
    ]


def test_fstab_devices_are_judged_only_where_devices_are_known() -> None:
    fstab = (
        "=== /etc/fstab\nUUID=aa / ext4 defaults 0 1\nUUID=bb /data ext4 defaults 0 2\n"
        'LABEL="a/b" /x xfs rw\n/dev/sdz1 /y ext4\nnas:/z /z nfs\n'
    )
    unknown = of(fstab)
    assert [each["device_exists"] for each in unknown["fstab"]] == [None] * 5
    known = of(
        fstab + "=== /dev/sda1 fifo\n=== /dev/disk/by-uuid/aa link=../../sda1\n"
        "=== /dev/disk/by-label/a\\x2fb link=../../sda1\n"
    )
    assert [each["device_exists"] for each in known["fstab"]] == [True, False, True, False, None]


def test_many_files_are_bounded_and_counted() -> None:
    facts = of("".join(f"=== /boot/junk{number}\n" for number in range(700)))
    assert (len(facts["files"]), facts["files_omitted"]) == (500, 200)


def test_a_mounted_disk_has_no_running_kernel_and_no_firmware(tmp_path: Path) -> None:
    text = (
        "=== /boot/vmlinuz-6.1.0 size=10\n=== /boot/initrd.img-6.1.0\nx\n=== /proc dir\n"
        "=== /sys dir\n=== /dev dir\n"
        "=== /etc/fstab\nUUID=aa / ext4 defaults 0 1\n"
    )
    facts = collect(directory_root(str(write_tree(TextTree().add(text), tmp_path))))
    assert facts["running"] is None
    assert facts["efi"]["present"] is None
    assert facts["filesystems"]["root"]["mounted"] is None
    assert facts["fstab"][0]["device_exists"] is None
    (found,) = facts["kernels"]
    assert (found["running"], found["initramfs"]["exists"]) == (None, True)


def test_links_of_a_mounted_disk_do_not_leave_it(tmp_path: Path) -> None:
    text = (
        "=== /boot/grub/grub.cfg link=/etc/hostname\n=== /boot/vmlinuz-6.1 link=../../../../../etc/passwd\n"
    )
    facts = collect(directory_root(str(write_tree(TextTree().add(text), tmp_path))))
    assert facts["grub_configs"][0]["menu"] is None
    assert kernel(facts, "6.1")["vmlinuz"]["exists"] is False


LISTING = """\
/boot:
total 60000
drwxr-xr-x.  3 0 0     4096 May  2  2024 .
dr-xr-xr-x. 17 0 0      224 Nov 14  2023 ..
-rw-------.  1 0 0 61283905 May  2  2024 initramfs-5.14.0-427.13.1.el9_4.x86_64.img
-rwxr-xr-x.  1 0 0 13605704 Apr 10  2024 vmlinuz-5.14.0-427.13.1.el9_4.x86_64
-rwxr-xr-x.  1 0 0 13246296 Oct  3  2023 vmlinuz-5.14.0-362.8.1.el9_3.x86_64
drwx------.  2 0 0       45 May  2  2024 grub2
"""


def sosreport(files: dict[str, str], path: Path) -> Root:
    """Return a sosreport archive with these files as a root."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {
            **files,
            "version.txt": "sosreport: 4.7\n",
            "sos_reports/manifest.json": "{}",
        }.items():
            member = tarfile.TarInfo("sosreport-x/" + name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return sosreport_root(ArchiveTree(str(path), lambda _: True), str(path))


def test_a_sosreport_gives_listings_and_copied_files_only(tmp_path: Path) -> None:
    version = "5.14.0-427.13.1.el9_4.x86_64"
    root = sosreport(
        {
            "sos_commands/boot/ls_-lanR_.boot": LISTING,
            "sos_commands/boot/efibootmgr_-v": "BootCurrent: 0001\nBootOrder: 0001\nBoot0001* rhel\tHD(1)\n",
            f"boot/loader/entries/m-{version}.conf": f"title R\nlinux /vmlinuz-{version}\n",
            "etc/fstab": "/dev/mapper/rhel-root / xfs defaults 0 0\n",
        },
        tmp_path / "sos.tar.gz",
    )
    facts = collect(root)
    newer, older = facts["kernels"]
    assert (newer["version"], newer["running"]) == (version, None)
    assert newer["initramfs"]["size"] == 61283905
    assert older["initramfs"]["exists"] is False
    assert older["initramfs"]["path"] == "/boot/initramfs-5.14.0-362.8.1.el9_3.x86_64.img"
    assert newer["modules"] == {
        "path": f"/usr/lib/modules/{version}",
        "exists": None,
        "mtime": None,
        "modules_dep": None,
        "drivers": None,
    }
    assert [each["id"] for each in facts["loader_entries"]] == [f"m-{version}"]
    assert facts["grub_configs"] is None
    assert facts["efi"]["boot_current"] == "0001"
    assert facts["fstab"][0]["device_exists"] is None


def test_secrets_of_every_file_are_removed() -> None:
    root = root_of(host_tree("debian12")).recording("boot")
    text = json.dumps(list(BootCollector().collect(root)))
    assert "Gehe1m" not in text
    assert "password=<removed>" in text
