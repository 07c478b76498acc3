"""Boots and crash dumps that failed, and those that only look so."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.failures.reader import SIGNS, Failure, Failures
from lastwords.formats.failures.texts import TEXTS
from lastwords.formats.log.messages import messages

START = "[    0.000000] Linux version 6.1.0-18-amd64 (gcc-12)\n"
UP = "Debian GNU/Linux 12 web ttyS0\n\nweb login: \n"


def found(text: str) -> list[Failure]:
    made = Failures()
    for message in messages((n, 0, line) for n, line in enumerate(text.encode().split(b"\n"), 1)):
        made.feed(message)
    return made.end()


@pytest.mark.parametrize(
    ("text", "stage", "name", "device"),
    [
        ("Entering rescue mode...\ngrub rescue> ", "loader", "loader_rescue", None),
        ("error: file `/boot/vmlinuz-6.1.0' not found.", "loader", "loader_file_missing", "/boot/vmlinuz-6.1.0"),
        (
            "error: file `/boot/initrd.img-6.1' not found.\n" + START + "VFS: Unable to mount root fs on (0,0)",
            "loader",
            "loader_file_missing",
            "/boot/initrd.img-6.1",
        ),
        (
            "error: file `/boot/grub/fonts/x.pf2' not found.\nerror: file `/boot/initrd.img-6.1' not found.\n",
            "loader",
            "loader_file_missing",
            "/boot/initrd.img-6.1",
        ),
        (
            START + "Initramfs unpacking failed: ZSTD-compressed data is truncated\n"
            "Failed to execute /init (error -2)\n",
            "initramfs",
            "initramfs_unpack",
            None,
        ),
        (
            "error: file `/boot/grub/all_video.mod' not found.\n" + START
            + "ALERT!  UUID=12ab-34cd does not exist.  Dropping to a shell!",
            "root mount",
            "root_missing",
            "UUID=12ab-34cd",
        ),
        (START + "No working init found.  Try passing init= option to kernel.", "init", "no_init", None),
        (
            START + "Gave up waiting for root file system device.  Common problems:\n"
            "ALERT!  UUID=12ab-34cd does not exist.  Dropping to a shell!",
            "root mount",
            "root_missing",
            "UUID=12ab-34cd",
        ),
        (
            START + '  Volume group "vg0" not found\n  Cannot process volume group vg0\n'
            "Gave up waiting for root file system device.\n",
            "root mount",
            "lvm_missing",
            "vg0",
        ),
        (
            START + "cryptsetup: ERROR: luks-1: cryptsetup failed, bad password or options?\n"
            "dracut-initqueue[201]: Warning: Could not boot.\n",
            "root mount",
            "crypt_failed",
            "luks-1",
        ),
        (START + "dracut-initqueue[9]: Warning: /dev/vg/root does not exist", "root mount", "dracut_emergency", "/dev/vg/root"),
        (
            START + "[   90.1] systemd[1]: Timed out waiting for device dev-sdb1.device - /dev/sdb1.\n"
            "You are in emergency mode. After logging in, type \"journalctl -xb\"",
            "init",
            "emergency_mode",
            "/dev/sdb1",
        ),
        (START + "/dev/sda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.", "init", "fsck_failed", "/dev/sda1"),
        (
            START + "[    9.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
            "init",
            "init_killed",
            None,
        ),
        (
            START + "[    3.000000] Run /init as init process\nLoading, please wait...\n"
            "[    9.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
            "initramfs",
            "init_killed",
            None,
        ),
        (
            START + "[    3.000000] Run /init as init process\nLoading, please wait...\n"
            "Begin: Running /scripts/init-bottom ... done.\n"
            "[    9.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000",
            "init",
            "init_killed",
            None,
        ),
        (
            START + "ERROR: device 'UUID=12ab-34cd' not found. Skipping fsck.\n"
            "ERROR: Failed to mount 'UUID=12ab-34cd' on real root\n"
            "You are now being dropped into an emergency shell.\nsh: can't access tty; job control turned off\n",
            "root mount",
            "root_missing",
            "UUID=12ab-34cd",
        ),
        (
            START + "ERROR: Root device mounted successfully, but /sbin/init does not exist.\n"
            "Bailing out, you are on your own now. Good luck.\n",
            "init",
            "no_init",
            "/sbin/init",
        ),
        (
            START + "[    4.000000] systemd[1]: Failed to switch root: Specified switch root path '/sysroot' does not"
            " seem to be an OS tree. os-release file is missing.\n",
            "init",
            "no_init",
            None,
        ),
        (
            START + "[!!!!!!] Failed to mount API filesystems.\n[    4.000000] systemd[1]: Freezing execution.\n",
            "init",
            "init_frozen",
            None,
        ),
        *(
            (
                START + "Begin: Running /scripts/init-bottom ... done.\n"
                f"run-init: {said}: No such file or directory\n"
                "Target filesystem doesn't have requested /sbin/init.\nNo init found. Try passing init= bootarg.\n",
                "init",
                "no_init",
                "/sbin/init",
            )
            for said in ("can't execute '/sbin/init'", "/sbin/init")
        ),
        (
            START + "[    3.000000] Failed to execute /init (error -8)\n[    3.000000] Run /sbin/init as init process\n"
            "[    3.000000] Kernel panic - not syncing: No working init found.  Try passing init= option to kernel.",
            "init",
            "no_init",
            None,
        ),
        (
            START + "[    2.000000] Kernel panic - not syncing: System is deadlocked on memory",
            "kernel",
            "out_of_memory",
            None,
        ),
        (
            START + "[    2.000000] Initramfs unpacking failed: junk within compressed archive\n"
            "[    3.000000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
            "initramfs",
            "initramfs_unpack",
            None,
        ),
        ("crashkernel reservation failed - No suitable area found.", "reservation", "crashkernel_no_room", None),
        ("crashkernel size resulted in zero bytes", "reservation", "crashkernel_range", None),
        ("cannot allocate crashkernel low memory (size:0x10000000)", "reservation", "crashkernel_low_memory", None),
        ("kexec_file_load failed: Required key not available", "load", "kexec_signature", None),
        ("Lockdown: kexec: kexec of unsigned images is restricted; see man kernel_lockdown.7", "load", "kexec_forbidden", None),
        ("kexec_load failed: Invalid argument", "load", "kexec_invalid", None),
        ("Invalid symlink : /var/lib/kdump/initrd.img ... failed!", "load", "kdump_initrd_missing", "/var/lib/kdump/initrd.img"),
        ("kdump.sh[12]: makedumpfile Failed.\nkdump[14]: saving vmcore failed, _exitcode:1", "capture", "capture_makedumpfile", None),
        ("cat: write error: No space left on device\nmakedumpfile failed, falling back to 'cp'", "capture", "capture_no_space", None),
        ("Oops. The network still isn't ready after waiting 10mins.", "capture", "capture_target", None),
    ],
)  # fmt: skip
def test_a_failure_has_stage_class_and_device(
    text: str, stage: str, name: str, device: Optional[str]
) -> None:
    (failure,) = found(text)
    assert (failure.stage, failure.name, failure.device) == (stage, name, device)
    assert failure.proofs[0].text


@pytest.mark.parametrize(
    "text",
    [
        START + UP,
        "error: file `/boot/grub/fonts/unicode.pf2' not found.\n" + START,
        START + "[    2.000000] Initramfs unpacking failed: junk within compressed archive\n" + UP,
        START + "[    2.000000] Initramfs unpacking failed: Decoding failed\n" + UP,
        START + "[    2.000000] Initramfs unpacking failed: Decoding failed\n",
        START + "[    2.000000] rootfs image is not initramfs (no cpio magic); looks like an initrd\n" + UP,
        START + UP + "[ 9999.000000] Kernel panic - not syncing: Fatal exception\n",
        "[ 9999.000000] Kernel panic - not syncing: Fatal exception\n",
        "[ 9999.000000] Kernel panic - not syncing: System is deadlocked on memory\n",
        START + UP + "[ 9999.000000] systemd[1]: Freezing execution.\n",
        "[ 9999.000000] systemd[1]: Freezing execution.\n",
        "Mar  1 02:14:07 web app[1]: ALERT!  /dev/x does not exist.  Dropping to a shell!\n",
        "Mar  1 02:14:07 web kernel: Command line: root=/dev/vda crashkernel=256M\n",
        "[    0.010000] Reserving 192MB of memory at 640MB for crashkernel (System RAM: 8191MB)\n",
        "Welcome to GRUB!\nLoading Linux 6.1.0 ...\nLoading initial ramdisk ...\n",
        "",
    ],
)
def test_no_failure_where_a_boot_came_up_or_none_is_in_sight(text: str) -> None:
    assert found(text) == []


def test_each_boot_of_a_log_is_its_own() -> None:
    missing = "ALERT!  /dev/vda1 does not exist.  Dropping to a shell!\n"
    names = [failure.name for failure in found((START + missing) * 2 + START + UP)]
    assert names == ["root_missing"] * 2


def test_names_are_not_written_large() -> None:
    assert TEXTS["crashkernel_syntax"].headline.startswith("crashkernel= ")
    assert TEXTS["capture_out_of_memory"].headline.startswith("The crash kernel ")


def test_every_class_has_its_words() -> None:
    of_whole_boots = {"kernel_not_started", "capture_boot", "capture_out_of_memory"}
    assert {sign.name for sign in SIGNS} | of_whole_boots == set(TEXTS)
    for text in TEXTS.values():
        assert text.title and text.why and text.fix


LINES = st.sampled_from([word for sign in SIGNS for word in sign.words])


@given(st.lists(st.tuples(LINES, st.text(max_size=30)), max_size=20))
def test_no_text_breaks_it(pieces: list[tuple[str, str]]) -> None:
    for failure in found("\n".join(word + rest for word, rest in pieces)):
        assert failure.name in TEXTS


def test_a_flood_of_signs_is_read_in_bounds() -> None:
    text = START + "dracut-initqueue[9]: Warning: /dev/a does not exist\n" * 20_000
    (failure,) = found(text)
    assert len(failure.proofs) <= 12


CRASH = START + "[    0.000000] Command line: root=/dev/vda1 elfcorehdr=900536K\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            CRASH + "[    4.900000] Kernel panic - not syncing: System is deadlocked on memory\n",
            "capture_out_of_memory",
        ),
        (CRASH + "[    4.900000] Kernel panic - not syncing: Fatal exception\n", "capture_boot"),
        (CRASH + "Gave up waiting for root file system device.\n(initramfs) \n", "capture_boot"),
        (
            CRASH + "kdump: saving vmcore failed\nGave up waiting for root file system device.\n",
            "capture_failed",
        ),
    ],
)
def test_a_crash_kernel_that_does_not_come_up_saves_no_dump(text: str, name: str) -> None:
    (failure,) = found(text)
    assert (failure.area, failure.stage, failure.name) == ("kdump", "capture", name)


@pytest.mark.parametrize(
    "panic",
    [
        "[  334.955777] Kernel panic - not syncing: System is deadlocked on memory\n",
        "[  334.955777] Kernel panic - not syncing: Fatal exception\n",
    ],
)
def test_a_console_that_begins_with_a_panic_is_not_that_of_the_crash_kernel_after_it(panic: str) -> None:
    """What a quiet console shows: the kernel that died told nothing of its start, that of kdump does."""
    saved = CRASH + "[   47.675838] kdump-tools[224]: kdump-tools: saved vmcore in /var/crash/202611261932.\n"
    assert found(panic + saved) == []


RHEL = "Mar  1 08:00:13 app07 kdumpctl: No kdump initial ramdisk found.\n"


def test_an_initramfs_that_kdump_builds_at_its_first_start_is_no_failure() -> None:
    built = "Mar  1 08:00:45 app07 kdumpctl: Starting kdump: [OK]\n"
    assert (
        found(RHEL + "Mar  1 08:00:14 app07 kdumpctl: Rebuilding /boot/initramfs-3.10kdump.img\n" + built)
        == []
    )
    failed = "Mar  1 08:00:14 app07 kdumpctl: Starting kdump: [FAILED]\n"
    (failure,) = found(RHEL + failed)
    assert (failure.area, failure.stage, failure.name) == ("kdump", "load", "kexec_load")
    assert [proof.sign.name for proof in failure.proofs] == ["kdump_initrd_missing", "kexec_load"]
