"""Plans for booting: the exact version, the right builder, what they refuse; and one that is really run."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from boot_cases import crowded_case, wrong_root
from boot_cases import golden_case as case_of

from lastwords import plugins
from lastwords.analyzer.plans.script import NothingToDo, NotPlannable, render
from lastwords.model import Case

PLANS = plugins.load().plans()
NEW, OLD = "5.14.0-427.13.1.el9_4.x86_64", "5.14.0-362.8.1.el9_3.x86_64"


def script(name: str, *argv: str, case: Case | None = None, root: str | None = None) -> str:
    parser = argparse.ArgumentParser()
    PLANS[name].add_arguments(parser)
    parser.set_defaults(root=root)
    case = case or case_of()
    return render(PLANS[name].make(case, parser.parse_args(argv)), case, f"lastwords plan {name}")


def test_each_family_gets_its_builder_with_the_version() -> None:
    text = script("initramfs")
    assert f"KERNEL={NEW}\n" in text
    assert 'inside dracut --force "$IMAGE" "$KERNEL"' in text
    assert "chroot" not in text
    assert f"KERNEL={OLD}\n" in script("initramfs", "--kernel", OLD)
    assert 'inside update-initramfs -c -k "$KERNEL"' in script("initramfs", case=case_of("debian12"))
    assert "IMAGE=/boot/initrd-" in script("initramfs", case=case_of("sles15"))
    arch = case_of()
    arch.facts["host"]["distribution"].update(id="arch", id_like="arch")
    arch.facts["boot"]["kernels"][0]["version"] = "linux"
    arch.facts["boot"]["kernels"][0]["modules"]["exists"] = False
    assert 'inside mkinitcpio -p "$KERNEL"' in script("initramfs", "--kernel", "linux", case=arch)
    arch.facts["host"]["architecture"] = "s390x"
    assert "inside zipl" in script("initramfs", "--kernel", "linux", case=arch)


@pytest.mark.parametrize(
    ("builders", "command"),
    [
        (["dracut"], "inside dracut --force"),
        (["initramfs-tools"], "inside update-initramfs"),
        (["dracut", "initramfs-tools"], "inside update-initramfs"),
        (None, "inside update-initramfs"),
    ],
)
def test_where_no_image_tells_what_made_it_the_builder_that_is_installed_counts(
    builders: list[str] | None, command: str
) -> None:
    debian = case_of("debian12")
    debian.facts["initramfs"]["images"] = []
    debian.facts["boot"]["builders"] = builders
    assert command in script("initramfs", case=debian)


def test_on_a_disk_it_is_done_inside_and_unmounted() -> None:
    text = script("initramfs", root="/mnt/sysimage")
    assert "DISK=/mnt/sysimage\n" in text
    for word in (
        "chroot",
        "trap leave EXIT",
        "mount --bind",
        "sys/firmware/efi/efivars",
        "boot/efi",
        "umount",
    ):
        assert word in text


def test_modules_that_the_image_lacks_are_added() -> None:
    case = case_of()
    drivers = [{"name": "xfs", "how": "module", "path": None, "needs": []}]
    case.facts["boot"]["kernels"][0]["modules"]["drivers"] = drivers
    (image,) = (
        each for each in case.facts["initramfs"]["images"] if each["version"] == NEW and each["use"] == "boot"
    )
    image.update(
        complete=True,
        kernel_versions=[NEW],
        contents={"builder": "dracut", "modules": [], "programs": ["lvm"], "squashed": False},
    )
    assert 'inside dracut --force --add-drivers xfs "$IMAGE" "$KERNEL"' in script("initramfs", case=case)
    image["contents"]["builder"] = "initramfs-tools"
    assert "grep -qx xfs" in script("initramfs", case=case)


def test_what_cannot_be_planned_gets_one_line() -> None:
    case = case_of()
    with pytest.raises(NotPlannable, match=r"kernel 9\.9: expected one that is installed: 5\.14"):
        script("initramfs", "--kernel", "9.9", case=case)
    case.facts["boot"]["kernels"][0]["modules"]["exists"] = False
    with pytest.raises(NotPlannable, match="install its package anew"):
        script("initramfs", case=case)
    for name in ("initramfs", "clean-boot", "bootloader"):
        empty = case_of()
        del empty.facts["boot"]
        with pytest.raises(NotPlannable, match="nothing is known of /boot"):
            script(name, case=empty)
    with pytest.raises(NothingToDo, match="nothing to remove"):
        script("clean-boot")
    for wrong in (["--install", "sda"], ["--default", "9.9"]):
        with pytest.raises(NotPlannable, match=wrong[0]):
            script("bootloader", *wrong)
    with pytest.raises(NotPlannable, match="only where grubby is"):
        case = case_of("debian12")
        script("bootloader", "--default", case.facts["boot"]["kernels"][0]["version"], case=case)


def test_kernels_that_are_needed_stay() -> None:
    text = script("clean-boot", "--keep", "1", case=crowded_case())
    assert f"version={NEW}" not in text
    places = [text.index(f"version=5.14.0-{number}.el9.x86_64") for number in (68, 69, 70)]
    assert places == sorted(places)  # the oldest first
    assert f"version={OLD}" in text
    case = crowded_case()
    case.facts["boot"]["default_entry"]["resolved"]["linux"] = f"/vmlinuz-{OLD}"
    assert f"version={OLD}" not in script("clean-boot", "--keep", "1", case=case)


def test_a_wrong_root_is_corrected_where_nothing_generates_it() -> None:
    assert "inside grubby --update-kernel=ALL --args=root=UUID=0b" in script("bootloader", case=wrong_root())
    assert "grubby" not in script("bootloader")
    assert "inside update-grub" in script("bootloader", case=case_of("debian12"))


LEFTOVERS = Path("boot/initramfs-5.img.new")
BORROWED = """
mount --bind /usr "$0/usr"
for each in bin lib lib64 sbin; do ln -sfn "usr/$each" "$0/$each"; done
"""


def disk_in(folder: Path) -> Path:
    """Return a tree that, with this machine's programs, is the disk of a host."""
    disk = folder / "disk"
    for name in ("etc", "boot", "proc", "sys", "dev", "run", "tmp", "var/tmp", "usr"):
        (disk / name).mkdir(parents=True)
    (disk / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    return disk


def with_programs(disk: Path, command: str) -> str:
    """Run a shell command in a namespace of its own, where the disk has this machine's /usr; return its output."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs root and unshare")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", BORROWED + command, disk], capture_output=True, text=True
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_plan_for_a_disk_is_really_run_and_taken_back(tmp_path: Path) -> None:
    """On a tree with this machine's programs: leftovers go aside and come back."""
    disk = disk_in(tmp_path)
    (disk / LEFTOVERS).write_text("cut")
    case = crowded_case()
    case.facts["boot"]["kernels"] = case.facts["boot"]["kernels"][:1]
    path = tmp_path / "plan.sh"
    path.write_text(script("clean-boot", case=case, root=str(disk)))
    for word, there in (("apply", False), ("apply", False), ("undo", True), ("undo", True)):
        command = f'sh "{path}" {word}; status=$?; grep -c "$0/" /proc/self/mounts; exit $status'
        said = with_programs(disk, command)
        assert said.splitlines()[-1] == "1"  # our own bind of /usr: the script left none
        assert (disk / LEFTOVERS).exists() is there


def test_kernels_that_were_removed_come_back_from_their_repository(tmp_path: Path) -> None:
    """With the real apt and dpkg, and packages of a repository on the disk itself."""
    if not all(map(shutil.which, ("apt-get", "dpkg-deb", "dpkg-scanpackages"))):
        pytest.skip("needs apt and dpkg-dev")
    disk = disk_in(tmp_path)
    case = crowded_case("debian12")
    kernels = case.facts["boot"]["kernels"]
    for number, kernel in enumerate(kernels[-3:]):
        kernel["version"] = f"6.1.0-{9 - number}-amd64"
    versions = [each["version"] for each in kernels]
    for name in ("var/lib/dpkg/updates", "var/lib/dpkg/info", "var/lib/apt/lists/partial", "var/log/apt"):
        (disk / name).mkdir(parents=True)
    for name in ("var/cache/apt/archives/partial", "etc/apt/apt.conf.d", "repository"):
        (disk / name).mkdir(parents=True)
    (disk / "var/lib/dpkg/status").touch()
    (disk / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/repository ./\n")
    (disk / "etc/apt/apt.conf.d/own").write_text('APT::Sandbox::User "root";\n')
    for version in versions:
        package = tmp_path / version
        (package / "DEBIAN").mkdir(parents=True)
        (package / "boot").mkdir()
        (package / f"boot/vmlinuz-{version}").write_text(version)
        control = f"Package: linux-image-{version}\nVersion: 1\nArchitecture: all\n"
        (package / "DEBIAN/control").write_text(
            control + "Maintainer: a@example.com\nDescription: a kernel\n"
        )
        subprocess.run(
            ["dpkg-deb", "--build", package, disk / f"repository/linux-image-{version}_1_all.deb"],
            check=True,
            capture_output=True,
        )
    packages = " ".join(f"linux-image-{version}" for version in versions)
    with_programs(
        disk,
        f'cd "$0/repository" && dpkg-scanpackages . >Packages && chroot "$0" sh -c '
        f'"PATH=$PATH:/usr/sbin:/sbin; apt-get -q update && apt-get -qy install {packages}"',
    )

    def there() -> list[str]:
        return sorted(path.name.partition("-")[2] for path in (disk / "boot").glob("vmlinuz-*"))

    assert there() == sorted(versions)
    path = tmp_path / "plan.sh"
    path.write_text(script("clean-boot", case=case, root=str(disk)))
    with_programs(disk, f'sh "{path}"')
    assert there() == sorted(versions[:-3])
    with_programs(disk, f'sh "{path}" undo')
    assert there() == sorted(versions)
