"""Files of a kernel's modules directory: ``modules.dep``, ``modules.builtin``, ``modules.softdep``.

Source: modules.dep(5), depmod(8), modprobe.d(5), Documentation/kbuild/kbuild.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_SUFFIX = re.compile(r"\.ko(?:\.(?:gz|xz|zst|bz2|lzma))?\Z")


def module_name(path: str) -> str:
    """Return the name of the module in a file, as the kernel lists it.

    >>> module_name("kernel/drivers/block/virtio-blk.ko.xz")
    'virtio_blk'
    """
    return _SUFFIX.sub("", path.rpartition("/")[2]).replace("-", "_")


def parse_modules_dep(lines: Iterable[str]) -> dict[str, tuple[str, list[str]]]:
    """Return, for each module, its path and the modules it needs, by name.

    >>> parse_modules_dep(["kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\\n"])
    {'ext4': ('kernel/fs/ext4/ext4.ko', ['jbd2', 'crc16'])}
    """
    found = {}
    for line in lines:
        path, colon, needed = line.partition(":")
        if colon and path.strip():
            found[module_name(path.strip())] = (path.strip(), [module_name(each) for each in needed.split()])
    return found


def parse_softdep(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return, for each module, those that modprobe loads before it where they are there, by name.

    What is to follow a module (``post:``) is left out, since it works without.

    >>> parse_softdep(["# comment", "softdep btrfs pre: crc32c xxhash64-generic post: zstd pre: sha256"])
    {'btrfs': ['crc32c', 'xxhash64_generic', 'sha256']}
    """
    found: dict[str, list[str]] = {}
    for line in lines:
        words = line.split()
        if len(words) < 3 or words[0] != "softdep":
            continue
        before = False
        for word in words[2:]:
            if word in ("pre:", "post:"):
                before = word == "pre:"
            elif before:
                found.setdefault(module_name(words[1]), []).append(module_name(word))
    return found


def needed_by(name: str, dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """Return all modules that *name* needs, directly or not, in the order found; not itself.

    >>> needed_by("a", {"a": ["b", "c"], "b": ["c", "a"]})
    ['b', 'c']
    """
    found: dict[str, None] = {name: None}
    waiting = [name]
    while waiting:
        for each in dependencies.get(waiting.pop(0), ()):
            if each not in found:
                found[each] = None
                waiting.append(each)
    return [each for each in found if each != name]
