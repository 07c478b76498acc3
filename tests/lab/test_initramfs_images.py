"""Images by the real builders of two Debian releases: the same names as their own tools list; a real repair.

Uses what ``python -m lab.initramfs`` has made; LASTWORDS_LAB=1 makes it, and looks at every compression.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import initramfs
from lab.common import Unavailable

WISH = os.environ.get("LASTWORDS_LAB", "")
QUICK = ("zstd", "gzip", "microcode", "hostonly", "busybox", "all", "uki", "cat", "nobusybox", "nomicrocode")

pytestmark = [pytest.mark.timeout(3600), pytest.mark.skipif(WISH == "0", reason="LASTWORDS_LAB=0")]


def images(suite: str) -> list[str]:
    if WISH == "1":
        return initramfs.build(suite)
    found = initramfs.images(suite)
    if not found:
        pytest.skip(f"no images of {suite}: python -m lab.initramfs makes them")
    return [path for path in found if Path(path).name.split("-")[-2] in QUICK]


@pytest.mark.parametrize("suite", initramfs.SUITES)
def test_the_names_are_those_of_the_builders_own_tool(suite: str) -> None:
    try:
        paths = images(suite)
    except Unavailable as problem:
        pytest.skip(str(problem))
    different = [path for path in paths if sorted(initramfs.names_in(path)) != sorted(initramfs.listed(path))]
    assert different == []


REPAIR = r"""
set -e
mount -t tmpfs none "$2"
mkdir "$2/up" "$2/work" "$2/disk"
mount -t overlay none -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$2/disk"
version=$(ls "$2/disk/lib/modules")
image="$2/disk/boot/initrd.img-$version"
echo "/dev/vda / ext4 defaults 0 1" > "$2/disk/etc/fstab"
case $3 in
absent) rm -f "$image" ;;
*) head -c 3000000 "$4" > "$image" ;;
esac
if "$LASTWORDS" -m lastwords open --root "$2/disk" --only host,boot,initramfs --fail-on critical; then exit 9; fi
"$LASTWORDS" -m lastwords plan initramfs --root "$2/disk" > "$2/plan.sh"
sh "$2/plan.sh"
"$LASTWORDS" -m lastwords open --root "$2/disk" --only host,boot,initramfs --fail-on warning
if grep -q "$2/disk/" /proc/self/mounts; then exit 8; fi
sh "$2/plan.sh" undo
case $3 in
absent) test ! -e "$image" ;;
*) test "$(stat -c %s "$image")" = 3000000 ;;
esac
"""


@pytest.mark.parametrize("damage", ["absent", "cut"])
def test_a_disk_without_a_good_image_gets_one_by_the_plan(tmp_path: Path, damage: str) -> None:
    tree = initramfs.tree("bookworm")
    if os.geteuid() or not shutil.which("unshare") or not os.path.isdir(tree):
        pytest.skip("needs root and the tree that python -m lab.initramfs makes")
    image = next(path for path in initramfs.images("bookworm") if "tools-zstd" in path)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", REPAIR, "sh", tree, str(tmp_path), damage, image],
        capture_output=True,
        text=True,
        env={**os.environ, "LASTWORDS": sys.executable, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
