"""Boot loader entries, GRUB's files, EFI entries, fstab and names: held against the tools' own answers."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats import FormatError
from lastwords.formats.boot.bls import compare_versions, grub_order, parse_bls
from lastwords.formats.boot.efi_boot import parse_efibootmgr, parse_load_option, parse_numbers
from lastwords.formats.boot.fstab import mounted_on, parse_fstab
from lastwords.formats.boot.grub_cfg import MenuItem, find_item, parse_grub_cfg
from lastwords.formats.boot.grubenv import parse_grubenv
from lastwords.formats.boot.kernel_files import classify

QUICK = settings(max_examples=150, deadline=None)
ROOT = Path(__file__).parent.parent / "roots"


def needs(tool: str) -> str:
    """Return the path of a tool, or skip the test."""
    found = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


# -- fstab and mounts ------------------------------------------------------------------------------

FSTAB = """\
# comment
   # indented comment
/dev/vda1 / ext4 errors=remount-ro 0 1
UUID=6c1f /boot\\040dir\txfs defaults
LABEL=a\\011b /mnt/tab ext4 rw 1
//nas/x\\134y /mnt/back\\134slash cifs ro,nofail 0 0
incomplete /nowhere
none /tmp tmpfs size=10%,mode=1777 0 0 trailing words
"""


def test_fstab_reads_as_util_linux_does(tmp_path: Path) -> None:
    findmnt = needs("findmnt")
    path = tmp_path / "fstab"
    path.write_text(FSTAB.replace("incomplete /nowhere\n", ""))
    output = subprocess.run(
        [findmnt, "-F", str(path), "-P", "-o", "SOURCE,TARGET,FSTYPE,OPTIONS,FREQ,PASSNO"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    theirs = []
    for line in output.splitlines():
        values = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line))
        plain = {
            key: re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), value)
            for key, value in values.items()
        }
        theirs.append((plain["SOURCE"], plain["TARGET"], plain["FSTYPE"], plain["FREQ"], plain["PASSNO"]))
    ours = [(e.spec, e.file, e.type, str(e.dump), str(e.passno)) for e in parse_fstab(path.read_text())]
    assert ours == theirs
    assert [e.line for e in parse_fstab(path.read_text())] == [3, 4, 5, 6, 7]


def test_incomplete_lines_are_passed_over_and_missing_options_are_none() -> None:
    entries = parse_fstab(FSTAB + "tmpfs /t tmpfs\n")
    assert "/nowhere" not in [e.file for e in entries]
    assert entries[-1].options is None
    assert entries[3].spec == "//nas/x\\y"


def test_every_mount_of_this_host_is_read() -> None:
    text = Path("/proc/self/mounts").read_text()
    mounts = parse_fstab(text)
    assert len(mounts) == len(text.splitlines())
    root = mounted_on("/", mounts)
    if " / " in text:  # in a chroot there may be none
        assert root is not None and root.options and root.type != "rootfs"


def test_the_last_mount_hides_the_others() -> None:
    mounts = parse_fstab("a /boot autofs rw 0 0\n/dev/sda1 /boot vfat rw 0 0\n")
    found = mounted_on("/boot", mounts)
    assert found is not None and found.type == "vfat"


# -- GRUB's environment block ----------------------------------------------------------------------


def test_environment_block_of_the_real_tool(tmp_path: Path) -> None:
    editenv = needs("grub-editenv")
    path = tmp_path / "grubenv"
    subprocess.run([editenv, str(path), "create"], check=True)
    values = {
        "saved_entry": "Debian (6.1) x>y",
        "kernelopts": "root=/dev/mapper/a ro quiet",
        "odd": "back\\slash = 'q'",
    }
    for name, value in values.items():
        subprocess.run([editenv, str(path), "set", f"{name}={value}"], check=True)
    data = path.read_bytes()
    assert len(data) == 1024
    assert parse_grubenv(data.decode()) == values


def test_environment_block_without_signature_is_refused() -> None:
    for text in ("", "saved_entry=0\n", "\0" * 1024, "# GRUB Environment Blo"):
        with pytest.raises(FormatError, match="signature"):
            parse_grubenv(text)
    assert parse_grubenv("# GRUB Environment Block\n" + "#" * 999) == {}


# -- boot loader entries ---------------------------------------------------------------------------


def test_entry_joins_options_and_splits_initrds() -> None:
    text = "# c\ntitle\tA  B\nlinux /l\ninitrd /a /b\ninitrd /c\noptions x=1\noptions y\nunknown 1\nlinux\n"
    entry = parse_bls(text, "arch+3-1.conf")
    assert (entry.id, entry.title, entry.linux) == ("arch", "A  B", "/l")
    assert entry.initrd == ("/a", "/b", "/c")
    assert entry.options == "x=1 y"
    assert parse_bls("", "x.conf").linux is None


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ("1.0", "1.0", 0),
        ("1.0", "2.0", -1),
        ("2.0.1", "2.0", 1),
        ("5.14.0-427", "5.14.0-70", 1),
        ("1.0a", "1.0", 1),
        ("1.0~rc1", "1.0", -1),
        ("1.0~rc1", "1.0~rc2", -1),
        ("10", "9", 1),
        ("0010", "10", 0),
        ("a", "1", -1),
        ("1_2", "1.2", 0),
        ("9" * 5000, "1" + "0" * 5000, -1),
    ],
)
def test_versions_compare_as_rpm_compares_them(one: str, other: str, order: int) -> None:
    assert compare_versions(one, other) == order
    assert compare_versions(other, one) == -order


def test_menu_order_does_not_depend_on_the_order_of_the_files() -> None:
    ids = [f"m-{v}.el9.x86_64" for v in ("5.14.0-70.13.1", "5.14.0-427.13.1", "5.14.0-503.1", "5.14.0-7")]
    ids.append("m-0-rescue")
    wanted = [ids[2], ids[1], ids[0], ids[3], ids[4]]
    for seed in range(5):
        random.Random(seed).shuffle(ids)
        assert grub_order(ids) == wanted


# -- grub.cfg --------------------------------------------------------------------------------------

MAKE_CONFIG = r"""
set -e
mount --bind "$1/boot" /boot
mount --bind "$1/default" /etc/default
grub-mkconfig 2>/dev/null
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the real grub-mkconfig makes of two kernels, one without an initramfs; root only."""
    needs("grub-mkconfig")
    if os.geteuid():
        pytest.skip("needs root, for a mount namespace of its own")
    top = tmp_path_factory.mktemp("grub")
    (top / "boot" / "grub").mkdir(parents=True)
    (top / "default").mkdir()
    (top / "default" / "grub").write_text("GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX=\"quiet a='b c'\"\n")
    for version in ("6.1.0-17-amd64", "6.1.0-18-amd64"):
        (top / "boot" / f"vmlinuz-{version}").write_text("x")
        (top / "boot" / f"config-{version}").write_text("CONFIG_X=y\n")
    (top / "boot" / "initrd.img-6.1.0-18-amd64").write_text("x")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", MAKE_CONFIG, "sh", str(top)], capture_output=True, text=True
    )
    if "menuentry '" not in done.stdout:
        pytest.skip("grub-mkconfig does not work on this machine")
    return done.stdout


def test_configuration_of_the_real_generator(generated: str) -> None:
    config = parse_grub_cfg(generated)
    assert config.default == ["${next_entry}", "${saved_entry}"]
    kinds = [(item.position, item.kind) for item in config.items if not item.conditional]
    assert kinds[:2] == [("0", "menuentry"), ("1", "submenu")]
    below = [item for item in config.items if item.position.startswith("1>")]
    assert len(below) == 4
    newest, old = below[0], below[2]
    assert newest.linux and newest.linux.endswith("/vmlinuz-6.1.0-18-amd64")
    assert len(newest.initrd) == 1
    assert old.linux and old.linux.endswith("/vmlinuz-6.1.0-17-amd64")
    assert old.initrd == ()
    assert newest.options and newest.options.endswith("quiet a=b c")
    assert newest.id and newest.id.startswith("gnulinux-6.1.0-18-amd64-advanced-")
    by_id = find_item(config, f"{config.items[1].id}>{old.id}")
    assert by_id == "grub:1>2" == find_item(config, f"1>{old.title}")


def test_committed_configurations_pass_the_real_checker() -> None:
    check = needs("grub-script-check")
    seen = 0
    for path in sorted(ROOT.glob("*/boot.txt")):
        for head, body in re.findall(
            r"^=== (.*)\n((?:(?!=== ).*(?:\n|\Z))*)", path.read_text(), re.MULTILINE
        ):
            if head.split()[0].endswith("grub.cfg"):
                subprocess.run([check], input=body.encode(), check=True)
                seen += 1
    assert seen >= 5


def items(text: str) -> list[MenuItem]:
    """Return the entries of a configuration."""
    return parse_grub_cfg(text).items


def test_quotes_escapes_comments_and_continued_lines() -> None:
    text = (
        "menuentry 'it'\\''s \"one\"' --class x --id=\"i d\" { # linux /no\n"
        '  linux /vm\\ linuz "root=a b" \\\n    quiet ; initrd /i1 /i2\n# linux /commented\n}\n'
    )
    (item,) = items(text)
    assert (item.title, item.id) == ('it\'s "one"', "i d")
    assert (item.linux, item.options, item.initrd) == ("/vm linuz", "root=a b quiet", ("/i1", "/i2"))


def test_entries_inside_if_are_conditional_and_functions_are_not_run() -> None:
    text = (
        "function f {\n set default=9\n menuentry X { linux /x\n }\n}\n"
        'if [ "$grub_platform" = efi ]; then\n menuentry A { linux /a\n }\n'
        "else\n menuentry B { linux /b\n }\nfi\n"
        "menuentry C { linux16 /c\n if true; then initrd16 /ci; fi\n}\n"
    )
    config = parse_grub_cfg(text)
    assert [(item.title, item.conditional) for item in config.items] == [
        ("A", True),
        ("B", True),
        ("C", False),
    ]
    assert config.items[2].initrd == ("/ci",)
    assert config.default == []


def test_a_number_after_a_conditional_entry_is_not_told() -> None:
    config = parse_grub_cfg(
        "menuentry A { true\n}\nif x; then\nmenuentry B { true\n}\nfi\nmenuentry C { true\n}\n"
    )
    assert find_item(config, "0") == "grub:0"
    assert find_item(config, "1") is None
    assert find_item(config, "2") is None
    assert find_item(config, "C") == "grub:2"


def test_numbers_count_boot_loader_entries_where_blscfg_stands() -> None:
    config = parse_grub_cfg("menuentry A --id a { true\n}\nblscfg\nmenuentry Z --id z { true\n}\n")
    entries = [("m-6.2", "New"), ("m-6.1", None)]
    assert [find_item(config, str(n), entries) for n in range(5)] == [
        "grub:0",
        "bls:m-6.2",
        "bls:m-6.1",
        "grub:1",
        None,
    ]
    assert find_item(config, "m-6.1", entries) == "bls:m-6.1"
    assert find_item(config, "New", entries) == "bls:m-6.2"


def test_a_submenu_alone_and_steps_below_an_entry_choose_nothing() -> None:
    config = parse_grub_cfg("submenu 'S' { menuentry 'a>b' { true\n} }\n")
    assert find_item(config, "S") is None
    assert find_item(config, "S>a>>b") == "grub:0>0"
    assert find_item(config, "S>0>0") is None
    assert find_item(config, "") is None


@QUICK
@given(
    st.text("menuentry submenu{}'\"\\;\n #$default=setfi ifthen>0blscfg", max_size=300),
    st.text("0>a 1", max_size=8),
)
def test_garbage_configurations_do_not_raise(text: str, value: str) -> None:
    find_item(parse_grub_cfg(text), value)


def test_large_garbage_is_read_in_linear_time() -> None:
    start = time.process_time()
    for piece in (
        "menuentry a {\n",
        "'",
        '"',
        "${",
        "{ }\n",
        "\\",
        "submenu x {\n",
        "if x\n",
        "set default=1;",
    ):
        config = parse_grub_cfg(piece * (100_000 // len(piece)))
        assert len(config.items) <= 1000 >= len(config.default)
    assert time.process_time() - start < 20


# -- EFI -------------------------------------------------------------------------------------------

EFI18 = """\
BootCurrent: 0001
BootNext: 000A
Timeout: 0 seconds
BootOrder: 0001,0002,000a
Boot0001* Fedora\tHD(1,GPT,0A1B2C3D-0000-4000-8000-00000000CAFE,0x800,0x12c000)/\\EFI\\fedora\\shimx64.efi
Boot0002  no path
Boot000A* Updater\tHD(1,GPT,0a1b2c3d-0000-4000-8000-00000000cafe,0x800,0x1)/\\EFI\\fedora\\shimx64.efi \\f.efi
"""


def test_output_of_newer_efibootmgr() -> None:
    found = parse_efibootmgr(EFI18)
    assert (found.current, found.next, found.order) == ("0001", "000A", ("0001", "0002", "000A"))
    first, second, third = found.entries
    assert first.path == "\\EFI\\fedora\\shimx64.efi" == third.path
    assert first.partition == "0a1b2c3d-0000-4000-8000-00000000cafe"
    assert (second.active, second.path) == (False, None)


def test_efibootmgr_that_failed_tells_nothing() -> None:
    efibootmgr = needs("efibootmgr")
    if Path("/sys/firmware/efi").exists():
        pytest.skip("this machine has EFI")
    done = subprocess.run([efibootmgr, "-v"], capture_output=True, text=True)
    found = parse_efibootmgr(done.stdout + done.stderr)
    assert done.returncode != 0
    assert (found.current, found.order, found.entries) == (None, (), ())


def load_option(name: str, path: str) -> bytes:
    """Return a Boot#### variable as efivarfs shows it: a GPT partition and a file on it."""
    disk = struct.pack("<BBHIQQ", 4, 1, 42, 1, 2048, 1 << 20)
    disk += bytes.fromhex("3d2c1b0a 0000 0040 80 00 00000000cafe".replace(" ", "")) + b"\x02\x02"
    raw = path.encode("utf-16-le") + b"\0\0"
    file = struct.pack("<BBH", 4, 4, 4 + len(raw)) + raw
    nodes = disk + file + bytes.fromhex("7fff0400")
    return struct.pack("<IIH", 7, 1, len(nodes)) + name.encode("utf-16-le") + b"\0\0" + nodes + b"rest"


def test_variables_of_the_firmware() -> None:
    entry = parse_load_option("000a", load_option("Fedora", "\\EFI\\fedora\\shimx64.efi"))
    assert (entry.number, entry.active, entry.name) == ("000A", True, "Fedora")
    assert entry.path == "\\EFI\\fedora\\shimx64.efi"
    assert entry.partition == "0a1b2c3d-0000-4000-8000-00000000cafe"
    assert parse_numbers(b"") == ()


@QUICK
@given(st.integers(0, 120), st.binary(max_size=40))
def test_damaged_variables_are_refused_or_read(cut: int, noise: bytes) -> None:
    data = load_option("Fedora", "\\EFI\\x.efi")
    for damaged in (data[:cut], data[:cut] + noise, noise):
        try:
            parse_load_option("0000", damaged)
        except FormatError:
            pass


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "role", "use", "version"),
    [
        ("vmlinuz-6.1.0-18-amd64", "vmlinuz", "boot", "6.1.0-18-amd64"),
        ("vmlinux-4.18.0-513.el8.ppc64le", "vmlinuz", "boot", "4.18.0-513.el8.ppc64le"),
        ("image-5.14.21-150500.55.52-default", "vmlinuz", "boot", "5.14.21-150500.55.52-default"),
        ("vmlinuz-linux", "vmlinuz", "boot", "linux"),
        ("initramfs-linux.img", "initramfs", "boot", "linux"),
        ("initramfs-linux-fallback.img", "initramfs", "fallback", "linux"),
        ("initramfs-3.10.0-1160.el7.x86_64kdump.img", "initramfs", "kdump", "3.10.0-1160.el7.x86_64"),
        ("initrd-5.14.21-150500.55.52-default-kdump", "initramfs", "kdump", "5.14.21-150500.55.52-default"),
        ("initrd.img-6.8.0-35-generic.new", "initramfs", "leftover", "6.8.0-35-generic"),
        ("initrd.img-5.10.0-8-amd64.old-dkms", "initramfs", "leftover", "5.10.0-8-amd64"),
        ("initramfs-5.14.0-70.el9.x86_64.img.bak", "initramfs", "leftover", "5.14.0-70.el9.x86_64"),
        ("initramfs-0-rescue-0123456789abcdef0123456789abcdef.img", "initramfs", "rescue", None),
        ("System.map-6.1.0-18-amd64", "system_map", "boot", "6.1.0-18-amd64"),
        ("config-6.1.0-18-amd64", "config", "boot", "6.1.0-18-amd64"),
    ],
)
def test_names_of_kernels_and_images(name: str, role: str, use: str, version: str | None) -> None:
    found = classify(name)
    assert found is not None
    assert (found.role, found.use, found.version) == (role, use, version)


@pytest.mark.parametrize(
    "name", ["grub2", "vmlinuz", "initrd", "initrd.img", "symvers-6.1.gz", "vmlinux-5.14.gz"]
)
def test_other_names_are_none(name: str) -> None:
    assert classify(name) is None


@QUICK
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    classify(text)
    classify("initramfs-" + text)
    parse_bls(text, text)
    parse_fstab(text)
    parse_efibootmgr("Boot0001* " + text)
    grub_order([text, text[::-1], "a-" + text])
    try:
        parse_grubenv("# GRUB Environment Block\n" + text)
    except FormatError:
        pass
