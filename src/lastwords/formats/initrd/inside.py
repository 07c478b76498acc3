"""What an initramfs holds: who built it and how, for which kernel, with which modules, and what it starts.

Source: dracut(8) and its 99base/module-setup.sh, initramfs-tools(7), mkinitcpio(8), mkinitrd of SUSE,
Documentation/driver-api/early-userspace/early_userspace_support.rst.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from typing import Optional

from lastwords.formats.boot.module_files import module_name
from lastwords.formats.boot.storage_modules import KNOWN_PROGRAMS
from lastwords.formats.initrd.cpio import Member
from lastwords.formats.initrd.execve import HEAD, MAX_DEPTH, format_of
from lastwords.formats.initrd.head import module_version

MAX_VERSIONS = 16
MAX_MODULES = 20_000
_LINKS = 40
"""Symbolic links that are followed before giving up; the kernel's limit too (fs/namei.c)."""
_TOP = re.compile(r"^(?:\./|/)+")
_KEPT = (
    (re.compile(r"(?:usr/)?lib/dracut/(?:modules|build-parameter)\.txt\Z"), 32 << 10),
    (re.compile(r"etc/cmdline\.d/[^/]+\.conf\Z"), 4 << 10),
    (re.compile(r"(?:etc|usr/lib)/initrd-release\Z"), 4 << 10),
    (re.compile(r"conf/(?:initramfs\.conf|arch\.conf|conf\.d/[^/]+)\Z"), 8 << 10),
    (
        # What is started first, and by what: as far as its name tells.
        re.compile(
            r"init\Z|(?:usr/)?(?:s?bin/(?:init|(?:ba|da|k?)sh|busybox)|lib/systemd/systemd|lib/klibc/bin/\w*sh)\Z"
        ),
        HEAD,
    ),
)
_DRACUT = re.compile(r"(?:usr/)?lib/dracut/dracut-(?P<version>.+)\Z")
_MICROCODE = re.compile(r"kernel/x86/microcode/(\w+)\.bin\Z")
_MODULE = re.compile(r"[^/]+\.ko(?:\.(?:gz|xz|zst|bz2|lzma))?\Z")
_KDUMP = re.compile(
    r"(?:usr/)?(?:lib/kdump/|s?bin/(?:kdump|makedumpfile|vmcore-dmesg)\Z|bin/kdump\.sh\Z)|kdump/"
)
_SQUASH = re.compile(r"(?:(?:squash(?:fs)?|erofs)-root|squash/root|squash)\.img\Z")
"""Of dracut 049 to 108."""
_BUSYBOX = re.compile(r"(?:usr/)?s?bin/busybox\Z|usr/lib/klibc/bin/busybox\Z")


@dataclass(frozen=True)
class Start:
    """What the kernel starts of an image, /init, and what comes of that."""

    kind: Optional[str]
    """``file`` or ``link``; None when there is no /init."""
    needs: Optional[str] = None
    """What the link points to, or the interpreter of the script."""
    found: bool = False
    """Whether it, and all that it needs to be started, are in the image."""
    error: Optional[str] = None
    """How it fails to start, as a name of errno: ENOENT, EACCES, ENOEXEC, ELOOP. None when the kernel sees no
    /init at all, when it starts, and when that is not known."""
    at: Optional[str] = None
    """The file that is the reason: missing, not executable, or nothing that can be started."""


@dataclass
class Inside:
    """What was found so far."""

    versions: list[str] = field(default_factory=list)
    """Kernel releases with a directory of modules, in the order found."""
    modules: dict[str, str] = field(default_factory=dict)
    """Path of each kernel module by its name, dashes written as underscores."""
    indexed: bool = False
    """Whether modprobe's index of modules (``modules.dep``) is there."""
    firmware: int = 0
    devices: int = 0
    """Device nodes."""
    hard_links: int = 0
    """Names of files that have several."""
    microcode: list[str] = field(default_factory=list)
    """Processor vendors with early microcode: GenuineIntel, AuthenticAMD."""
    kdump: bool = False
    """Whether it is made to save a crash dump."""
    systemd: bool = False
    busybox: bool = False
    squashed: bool = False
    """Whether most of it is in a filesystem of its own within (dracut's squash), which is not opened."""
    programs: list[str] = field(default_factory=list)
    """Programs in it that put a root device together: lvm, cryptsetup, mdadm ..."""
    kept: dict[str, bytes] = field(default_factory=dict)
    """Content of the small files that tell how it was built."""
    _names: dict[str, str] = field(default_factory=dict)
    """What each name is: ``file``, ``dir``, ``other``, ``empty``, or ``>`` and where a link points."""
    _executable: set[str] = field(default_factory=set)
    """Names of files that somebody may execute; root may, then."""
    _sizes: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    """Names of hard links, by archive and inode."""
    _linked: dict[str, list[str]] = field(default_factory=dict)
    """The same, by each of the names."""

    def add(self, member: Member, archive: int) -> None:
        """Take in an entry of the archive with that number."""
        name = plain_name(member.name)
        self._place(name, member, archive)
        if stat.S_ISDIR(member.mode):
            self._directory(name)
            return
        if stat.S_ISCHR(member.mode) or stat.S_ISBLK(member.mode):
            self.devices += 1
        base = name.rpartition("/")[2]
        if "lib/modules/" in name:
            self._directory(name)
            if _MODULE.match(base) and len(self.modules) < MAX_MODULES:
                self.modules[module_name(base)] = name
            self.indexed = self.indexed or base in ("modules.dep", "modules.dep.bin")
        elif "lib/firmware/" in name:
            self.firmware += 1
        microcode = _MICROCODE.match(name)
        if microcode and microcode[1] not in self.microcode and len(self.microcode) < MAX_VERSIONS:
            self.microcode.append(microcode[1])
        dracut = _DRACUT.match(name)
        if dracut:
            self.kept["dracut-version"] = dracut["version"].encode("utf-8", "surrogateescape")
        if base in KNOWN_PROGRAMS and ("bin/" in name or "systemd/" in name) and base not in self.programs:
            self.programs.append(base)
        self.squashed = self.squashed or bool(_SQUASH.match(name))
        self.kdump = self.kdump or bool(_KDUMP.match(name))
        self.systemd = self.systemd or name in ("usr/lib/systemd/systemd", "lib/systemd/systemd")
        self.busybox = self.busybox or bool(_BUSYBOX.match(name))

    def content(self, name: str, data: bytes) -> None:
        """Take in the content of an entry that :func:`bytes_wanted` asked for."""
        name = plain_name(name)
        if self._names.get(name, "").startswith(">"):
            self._names[name] = ">" + data.decode("utf-8", "surrogateescape")
            return
        for each in self._linked.get(name, (name,)):
            if _wanted(each) and (data or each == name):
                self.kept[each] = data

    def target(self, name: str) -> Optional[str]:
        """Return where a symbolic link points, None for anything else."""
        there = self._names.get(plain_name(name), "")
        return there[1:] if there.startswith(">") else None

    def text(self, *names: str) -> Optional[str]:
        """Return the text of the first of these files that is there."""
        return next((self.kept[n].decode("utf-8", "replace") for n in names if n in self.kept), None)

    @property
    def builder(self) -> Optional[str]:
        """Return which tool made it: dracut, initramfs-tools, mkinitcpio, mkinitrd; None for another."""
        if "dracut-version" in self.kept or self.text("usr/lib/dracut/modules.txt", "lib/dracut/modules.txt"):
            return "dracut"
        if "conf/initramfs.conf" in self._names:
            return "initramfs-tools"
        if "buildconfig" in self._names or {"hooks", "init_functions"} <= set(self._names):
            return "mkinitcpio"
        if "mkinitrd.config" in self._names or "config/start.sh" in self._names:
            return "mkinitrd"
        return None

    def arguments(self) -> Optional[str]:
        """Return the arguments that dracut was run with, or None."""
        text = self.text("usr/lib/dracut/build-parameter.txt", "lib/dracut/build-parameter.txt")
        return " ".join(text.split()) if text is not None else None

    def version(self) -> Optional[str]:
        """Return the version of the builder, where the image tells."""
        release = re.search(r"^(?:VERSION|DRACUT_VERSION)=\"?([^\"\n]+)", self._release(), re.MULTILINE)
        given = self.text("dracut-version")
        if given is None and self.builder == "dracut" and release:
            given = release[1].rpartition("dracut-")[2]
        return given

    def hostonly(self) -> Optional[bool]:
        """Return whether it was made for the machine it was made on; None when it does not tell."""
        if any(f"{top}lib/dracut/hostonly-kernel-modules.txt" in self._names for top in ("usr/", "")):
            return True
        if self.builder == "dracut":
            given = re.findall(r"--(no-)?hostonly(?![\w-])|(?:^| )-(H|N)(?= |$)", self.arguments() or "")
            return not given[-1][0] and given[-1][1] != "N" if given else None
        if self.builder == "initramfs-tools":
            texts = [self.kept[name] for name in sorted(self.kept) if name.startswith("conf/conf.d/")]
            texts = [self.kept.get("conf/initramfs.conf", b""), *texts]
            chosen = re.findall(rb"^[ \t]*MODULES=[\"']?(\w+)", b"\n".join(texts), re.MULTILINE)
            return chosen[-1] in (b"dep", b"list") if chosen else None
        return None

    def _release(self) -> str:
        return self.text("usr/lib/initrd-release", "etc/initrd-release") or ""

    def start(self) -> Start:
        """Return what becomes of /init when the kernel starts it.

        A link needs what it points to, a script its interpreter, a program its dynamic linker; the last is
        known of programs with the usual names only.
        """
        there = self._names.get("init")
        if there is None:
            return Start(None)
        kind = "link" if there.startswith(">") else "file"
        needs = there[1:] if kind == "link" else None
        path, by_program = "/init", False
        for depth in range(MAX_DEPTH + 1):
            name = self._resolve(path)
            if name is None:
                # Without what a link points to the kernel sees no /init.
                return Start(kind, needs, False, "ENOENT" if depth else None, path if depth else None)
            if self._names[name] not in ("file", "empty") or name not in self._executable:
                return Start(kind, needs, True, "EACCES", path)
            if by_program:
                return Start(kind, needs, True)
            # What it holds is not known of all files.
            head = self.kept.get(name) or None if self._names[name] == "file" else b""
            if head is None:
                return Start(kind, needs, True)
            how = format_of(head)
            if how.kind is None:
                return Start(kind, needs, True, "ENOEXEC", path)
            if how.interpreter is None:
                return Start(kind, needs, True)
            path, by_program = how.interpreter, how.kind == "elf"
            if how.kind == "script" and needs is None:
                needs = path
        return Start(kind, needs, True, "ELOOP", "/init")

    def _place(self, name: str, member: Member, archive: int) -> None:
        if stat.S_ISLNK(member.mode):
            self._names[name] = ">"
        elif stat.S_ISREG(member.mode):
            # Of an earlier archive: the last one holds.
            self.kept.pop(name, None)
            self._linked.pop(name, None)
            if member.mode & 0o111:
                self._executable.add(name)
            else:
                self._executable.discard(name)
            self._names[name] = "file" if member.size else "empty"
            if member.links > 1:
                self.hard_links += 1
                names = self._sizes.setdefault((archive, member.inode), [])
                names.append(name)
                self._linked[name] = names
                if member.size:
                    # Of hard links only the last one carries the content; it is everybody's.
                    self._names.update(dict.fromkeys(names, "file"))
        else:
            self._names[name] = "dir" if stat.S_ISDIR(member.mode) else "other"

    def _directory(self, name: str) -> None:
        version = module_version(name)
        if version and version not in self.versions and len(self.versions) < MAX_VERSIONS:
            self.versions.append(version)

    def _resolve(self, path: str) -> Optional[str]:
        """Return the name that a path inside the image leads to, links followed, or None."""
        parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        at = ""
        for _ in range(_LINKS * 100):
            if not parts:
                return at
            part = parts.pop()
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            following = f"{at}/{part}" if at else part
            kind = self._names.get(following)
            if kind is None:
                return None
            if kind.startswith(">"):
                target = kind[1:]
                parts += [each for each in reversed(target.split("/")) if each not in ("", ".")]
                at = "" if target.startswith("/") else at
                if len(parts) > 4096:
                    return None
            else:
                at = following
        return None


def plain_name(name: str) -> str:
    """Return a name without what it may start with.

    >>> plain_name("./init"), plain_name(".")
    ('init', '.')
    """
    return _TOP.sub("", name) or name


def bytes_wanted(member: Member) -> int:
    """Return how many bytes of an entry's content are needed: a link's target, the start of some files."""
    if stat.S_ISLNK(member.mode):
        return 4096
    name = plain_name(member.name)
    if member.links > 1 and "bin/" in name:
        return HEAD  # as busybox is linked: it may be what another name for it was asked for
    return _wanted(name)


def _wanted(name: str) -> int:
    return next((most for pattern, most in _KEPT if pattern.match(name)), 0)
