"""Boots that failed, and crash dumps that could not be made: several lines of a log become one failure.

A boot is read from its first line to that of the next; it failed when a sign says so and it did not come up
after. Lines about kdump that stand together are one failure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Optional

from lastwords.formats.failures.init_signs import INIT
from lastwords.formats.failures.kdump_signs import KDUMP
from lastwords.formats.failures.loader_signs import LOADER
from lastwords.formats.failures.root_signs import INITRAMFS, ROOT
from lastwords.formats.failures.signs import (
    ASKED,
    ASKED_WORDS,
    CAUSE,
    COMMAND_LINE,
    ENDED,
    FAILED,
    HINT,
    MOUNTED,
    MOUNTED_WORDS,
    PROGRESS,
    STAGES,
    WAITS,
    Sign,
)
from lastwords.formats.kdump.crash_kernel import CRASH_KERNEL, ELFCOREHDR
from lastwords.formats.kdump.reservation import WORDS as MEMORY
from lastwords.formats.kdump.reservation import Told, memory_told
from lastwords.formats.log.messages import Message

SIGNS = (*LOADER, *INITRAMFS, *ROOT, *KDUMP, *INIT)
WORDS = tuple(
    sorted(
        {word for sign in SIGNS for word in sign.words}
        | {word for row in PROGRESS for word in row[1]}
        | {ELFCOREHDR, *MEMORY, *MOUNTED_WORDS, *ASKED_WORDS}
    )
)
"""Every line that matters holds one of these."""
KERNEL = (
    "nitramfs unpack",
    "not initramfs",
    "Failed to execute",
    "VFS: Cannot open root device",
    "Root-NFS",
    "crashkernel",
    "fadump",
    "kexec",
    "vmcore not initialized",
    "Linux version ",
    "Booting Linux on physical CPU",
    "Run /init as init",
    "Run /sbin/init",
    ELFCOREHDR,
    COMMAND_LINE,
    *MOUNTED_WORDS,
)
"""Of these, what the kernel says, besides what begins a report."""
SYSTEMD = (
    "Timed out waiting for device",
    "Dependency failed for",
    "Failed to mount ",
    "mergency",
    "File System Check",
    "Switching root",
    "Switch Root",
    "load SELinux",
    "reezing",
    "Multi-User",
    "multi-user.target",
    "Login Prompts",
)
"""And what systemd says of a boot that ends in emergency mode, or does not."""
TAGS = re.compile(
    r"kernel|\(?systemd[\w()-]*|dracut[\w-]*|kdump[\w.-]*|kexec[\w.-]*|mkdumprd|makedumpfile|load\.sh"
    r"|fsck[\w.]*"
    r"|initrd[\w.-]*|init|sulogin|mdadm|lvm|cryptsetup|mount[\w.]*|multipathd?|iscsi\w*|cloud-init"
)
"""Programs whose lines count in a log that tells who wrote them."""

_WORD = re.compile("|".join(re.escape(word) for word in WORDS))
LINE = 1000
"""Characters of a line that are looked at."""
_TOGETHER = 60
"""Lines of a log within which signs of kdump are one failure."""
_PROOFS = 12
_OVERLAY = re.compile(
    r"^\s*\[(?:\[[\d;]*m)? {1,2}OK {1,2}(?:\[0m)?\] |^.{0,40}?\[[^\]]{0,20}(?:TIME|DEPEND"
    r"|FAILED)[^\]]{0,8}\] |\x1b\[[0-9;]*(?:m|(?=…))|\[[0-9;]+m"
)
_CLOCK = re.compile(r"^\[(?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\] ?(?:\[ *\d+\.\d+\] ?)?")
"""What programs that read a serial line write before each line, and the kernel's own clock after it."""
_TAG = re.compile(r"^[\w.-]{1,40}\[\d+\]: ")
_OF_MACHINES_THAT_RAN = ("kernel_panic", "out_of_memory", "init_frozen")
"""What machines die of after they booted, too."""
_HANDED_OVER = ("Starting kernel", "EFI stub: Exiting boot services")
_SHELLS = ("emergency_mode", "dracut_emergency", "initramfs_shell")
"""That a shell was opened, whatever for."""
_LAYERS = ("crypt_failed", "pool_missing", "md_missing", "lvm_missing")
"""What lies between disks and a root filesystem."""
_DEVICES = (*_LAYERS, "net_root", "nfs_root", "devices_missing")
_EXPLAINED = {
    "vfs_root": ("initramfs_unpack", "nfs_root", "devices_missing", "root_read_error"),
    "root_missing": _DEVICES,
    "root_not_mounted": (*_DEVICES, "root_read_error"),
    "dracut_emergency": (*_DEVICES, "root_read_error"),
    "initramfs_shell": (*_DEVICES, "root_read_error", "root_not_mounted"),
    "no_init": ("initramfs_unpack",),
    "init_killed": ("no_init",),
    "capture_failed": ("capture_out_of_memory", "capture_target"),
}
"""The hints that tell why a failure of a class came about: the deeper, the earlier."""
_PLAIN_DISK = re.compile(r"/dev/(?:sd|hd|vd|xvd|nvme|mmcblk)[a-z0-9]+$")
"""A device that lies on no other: no volume or array has to do with its absence."""
_MAPPED = re.compile(r"(?:dm|md)-?\d+")
_INITRD = re.compile(r"sysroot|initrd-root|Initrd Root")
"""What systemd says in the initramfs only."""


@dataclass(frozen=True)
class Proof:
    """A line that tells of a failure."""

    sign: Sign
    text: str
    message: Message


@dataclass(frozen=True)
class Failure:
    """A boot, or a crash dump, that failed."""

    area: str
    """``boot`` or ``kdump``."""
    stage: str
    name: str
    """Its class: the key of :data:`lastwords.formats.failures.texts.TEXTS`."""
    device: Optional[str]
    """What was missing or broken, as the log names it."""
    proofs: tuple[Proof, ...]
    """The lines that tell of it, in order."""
    memory: Optional[int] = None
    """Of one of kdump, where the log tells: bytes that the machine has."""
    reserved: Optional[int] = None
    """And of them for the crash kernel."""
    begun: int = 0
    """Line at which that crash kernel began which failed; 0 where the log does not show it."""


@dataclass
class _Boot:
    stage: int = -1
    """How far it came: index in STAGES."""
    begun: Optional[Message] = None
    up: bool = False
    proofs: list[Proof] = field(default_factory=list)
    kernel: bool = False
    crash: bool = False
    """Its kernel is a crash kernel, started to save what another left."""
    seen: int = 0
    """Line at which its kernel began."""
    memory: Optional[int] = None
    """Bytes that its kernel has."""
    resets: int = 0
    """How often firmware began anew, without a kernel between."""
    entered: int = 0
    """Line at which what runs on the root filesystem began."""
    started: int = 0
    """Line at which a boot loader handed over to a kernel."""
    asked: bool = False
    """Its command line asks for a shell."""
    waits: Optional[Proof] = None
    """What it waits for."""


class Failures:
    """Feed it every message; :attr:`found` holds the failures as they end."""

    def __init__(self) -> None:
        self.found: list[Failure] = []
        self._boot = _Boot()
        self._kdump: list[Proof] = []
        self._told = Told()
        """What the kernels of the machine itself said of memory, last."""

    def feed(self, message: Message) -> bool:
        """Take one message in; return whether it is a sign."""
        raw = message.text[:LINE]
        if _WORD.search(raw) is None or not _counts(message):
            return False
        text = _plain(raw)
        self._progress(text, message)
        self._boot.crash |= CRASH_KERNEL.match(text) is not None
        if (told := memory_told(text)) is not None:
            self._memory(told)
        self._boot.asked |= ASKED.match(text) is not None
        if MOUNTED.match(text) is not None:
            self._boot.waits = None
        for sign in SIGNS:
            if any(word in text for word in sign.words) and (sign.pattern.search(text)) is not None:
                self._sign(Proof(sign, text[:300], message))
                return True
        return False

    def end(self) -> list[Failure]:
        """Return all failures, in order."""
        self._end_boot()
        self._end_kdump()
        self.found = [self._with_memory(each) if each.area == "kdump" else each for each in self.found]
        return sorted(self.found, key=lambda failure: failure.proofs[0].message.number)

    def _memory(self, told: Told) -> None:
        """Note what a kernel says: first what the crash kernel gets, where it has both."""
        if self._boot.crash:
            self._boot.memory = told.memory or self._boot.memory
        else:
            known = self._told
            self._told = Told(told.memory or known.memory, told.reserved or known.reserved)

    def _with_memory(self, failure: Failure) -> Failure:
        return replace(failure, memory=self._told.memory, reserved=failure.reserved or self._told.reserved)

    def _progress(self, text: str, message: Message) -> None:
        for name, words, pattern in PROGRESS:
            if not any(word in text for word in words) or pattern.search(text) is None:
                continue
            boot = self._boot
            if name == "up":
                boot.up = True
                return
            stage = STAGES.index(name)
            # A kernel starts a boot, unless firmware or loader did just before; these do after a kernel, also
            # one whose start the log has not. The first lines of an arm64 kernel say twice that it starts.
            ran = boot.kernel or any(proof.sign.stage not in STAGES[:2] for proof in boot.proofs)
            if ran and stage <= 2 and message.number - boot.seen > 1:
                self._end_boot()
                self._end_kdump()
                boot = self._boot
            boot.waits = None
            boot.seen = message.number if stage == 2 else boot.seen
            boot.entered = message.number if stage == 5 else boot.entered
            boot.started = message.number if text.startswith(_HANDED_OVER) else boot.started
            boot.kernel |= stage >= 2
            boot.resets += stage == 0 and boot.stage >= 0
            boot.stage = max(boot.stage, stage)
            boot.begun = boot.begun or message
            return

    def _sign(self, proof: Proof) -> None:
        if proof.sign.area == "kdump":
            last = self._kdump[-1].message.number if self._kdump else None
            if last is not None and proof.message.number - last > _TOGETHER:
                self._end_kdump()
            if len(self._kdump) < _PROOFS:
                self._kdump.append(proof)
            return
        boot = self._boot
        if boot.up and proof.sign.name in (*_OF_MACHINES_THAT_RAN, "init_killed", "no_init"):
            return  # it ran; its death is a report of its own
        if boot.up and proof.sign.weight == HINT:
            return
        if proof.sign.weight == ENDED:
            boot.proofs = [each for each in boot.proofs if each.sign.name != proof.sign.name]
            boot.waits = None
            return
        if proof.sign.weight == WAITS:
            boot.waits = proof
        if len(boot.proofs) < 4 * _PROOFS:
            boot.proofs.append(proof)

    def _end_boot(self) -> None:
        boot, self._boot = self._boot, _Boot()
        failed = _what_failed(boot)
        if failed:
            if boot.crash:
                self._end_capture(boot, failed)
                return
            names = {proof.sign.name for proof in failed}
            begun = boot.kernel or (boot.entered and names == {"init_frozen"})
            if not begun and names <= set(_OF_MACHINES_THAT_RAN):
                return  # a machine that ran for long has died: no boot is in sight
            self.found.append(_boot_failure(boot, failed))
        elif boot.resets and not boot.kernel and boot.begun is not None and not boot.up:
            sign = Sign("boot", STAGES[max(boot.stage, 0)], "kernel_not_started", (), re.compile(""), FAILED)
            self.found.append(
                Failure(
                    "boot",
                    sign.stage,
                    sign.name,
                    None,
                    (Proof(sign, boot.begun.text.strip()[:300], boot.begun),),
                )
            )

    def _end_capture(self, boot: _Boot, failed: list[Proof]) -> None:
        """Note a crash kernel that did not come up, unless it told itself why it saved nothing."""
        if any(
            proof.sign.stage == "capture" and proof.sign.weight != HINT and proof.message.number > boot.seen
            for proof in self._kdump
        ):
            return
        short = any(proof.sign.name == "out_of_memory" for proof in failed)
        name = "capture_out_of_memory" if short else "capture_boot"
        self.found.append(
            Failure("kdump", "capture", name, None, _some(failed), reserved=boot.memory, begun=boot.seen)
        )

    def _end_kdump(self) -> None:
        proofs, self._kdump = self._kdump, []
        if not any(proof.sign.weight != HINT for proof in proofs):
            return
        main = _explained(max(proofs, key=lambda proof: proof.sign.weight), proofs)
        proofs = [
            proof for proof in proofs if proof.sign.stage == main.sign.stage or proof.sign.weight != HINT
        ]
        self.found.append(
            Failure(
                "kdump",
                main.sign.stage,
                main.sign.name,
                _device(proofs, (main.sign.name,)),
                tuple(proofs),
                reserved=self._boot.memory if self._boot.crash else None,
                begun=self._boot.seen if self._boot.crash else 0,
            )
        )


def _what_failed(boot: _Boot) -> list[Proof]:
    """Return the proofs that a boot failed; none when it came up, or went on after each."""
    failed = [proof for proof in boot.proofs if proof.sign.weight > HINT and not _was_logged(proof)]
    if boot.kernel:
        # What a boot loader missed did not stop it: fonts, translations, modules. Unless the initramfs.
        failed = [p for p in failed if p.sign.stage not in STAGES[:2] or "/init" in p.text]
    # A boot loader that tried one medium after the other, and a root filesystem that came in the end.
    failed = [
        proof
        for proof in failed
        if not (proof.sign.stage in STAGES[:2] and proof.message.number < boot.started)
        and not (proof.sign.stage in STAGES[3:5] and proof.message.number < boot.entered)
    ]
    if boot.up:
        # A prompt after an unpack error, or a check of a disk that does not matter: no harm. One after
        # emergency mode: somebody mended it.
        stopped = any(proof.sign.name == "emergency_mode" for proof in failed)
        failed = [proof for proof in failed if stopped and proof.sign.stage == "init"]
    if boot.asked:
        failed = [proof for proof in failed if proof.sign.name not in _SHELLS or proof.sign.weight == CAUSE]
    if not failed and boot.waits is not None and not boot.up and not boot.entered:
        return [boot.waits]
    return failed


def _explained(main: Proof, proofs: list[Proof]) -> Proof:
    """Return the hint that tells why a failure came about, or the failure itself."""
    device = _device([main], (main.sign.name,))
    for name in _EXPLAINED.get(main.sign.name, ()):
        if name in _LAYERS and device is not None and _PLAIN_DISK.match(device):
            continue
        for proof in proofs:
            if proof.sign.name == name and proof.sign.weight != WAITS:
                return proof
    return main


def _boot_failure(boot: _Boot, failed: list[Proof]) -> Failure:
    """Return what a boot failed of: of the causes the first, else what it said last of its end.

    A hint counts as the cause where it explains the failure.
    """
    names = {proof.sign.name for proof in failed}
    causes = [proof for proof in failed if proof.sign.weight == CAUSE]
    main = causes[0] if causes else failed[0]
    in_initrd = not boot.entered and (
        boot.stage == STAGES.index("initramfs") or any(_INITRD.search(proof.text) for proof in boot.proofs)
    )
    alike: tuple[str, ...] = ()
    if main.sign.name == "emergency_mode" and in_initrd:
        # systemd runs in the initramfs, too.
        hints = [proof for proof in boot.proofs if proof.sign.name == "root_missing"]
        shells = [proof for proof in failed if proof.sign.name in ("root_not_mounted", "dracut_emergency")]
        main, alike = (shells or hints or [main])[0], ("emergency_mode",)
    main = _explained(main, boot.proofs)
    name, stage = main.sign.name, main.sign.stage
    if name == "initramfs_unpack" and names == {"initramfs_unpack"}:
        main = failed[0]
    elif name == "kernel_panic" and boot.stage >= 0:
        stage = STAGES[max(boot.stage, 2)]
    elif name == "init_killed" and boot.stage >= 0:
        stage = "init" if boot.stage != 3 else "initramfs"
    elif name == "fsck_failed" and (in_initrd or any(p.sign.stage == "root mount" for p in failed)):
        stage = "root mount"
    elif name == "emergency_mode" and in_initrd:
        name, stage = "initramfs_shell", "initramfs"
    return Failure("boot", stage, name, _device(boot.proofs, (name, *alike)), _some(boot.proofs))


def _some(proofs: list[Proof]) -> tuple[Proof, ...]:
    """Return proofs without repetitions, the first of each class and the last, at most so many."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for proof in proofs:
        key = proof.sign.name, re.sub(r"\d+", "", proof.text)
        if key not in seen:
            seen.add(key)
            kept.append(proof)
    return tuple(kept[:_PROOFS])


def _device(proofs: list[Proof], names: tuple[str, ...]) -> Optional[str]:
    """Return the device that the signs of some classes name; else what others of the same stages name."""
    stages = {proof.sign.stage for proof in proofs if proof.sign.name in names}
    found: Optional[str] = None
    for own in (True, False):
        for proof in proofs:
            # What the kernel tried to run in vain is not what could not be unpacked.
            other = proof.sign.name not in names
            in_vain = other and proof.sign.name == "init_not_run"
            if other is own or in_vain or proof.sign.stage not in stages:
                continue
            match = proof.sign.pattern.search(proof.text)
            groups = match.groupdict() if match else {}
            for group in ("what", "device", "group", "volume", "mount", "target", "id"):
                if not groups.get(group):
                    continue
                device = str(groups[group]).strip(" .:'\"[]")[:200]
                # The kernel's number of a mapped device tells less than its name.
                if device and not (found and not device.startswith("/dev/")):
                    found = device
                if found and not _MAPPED.fullmatch(found):
                    return found
                break
        if found:
            return found
    return None


def _was_logged(proof: Proof) -> bool:
    """Return whether a logger wrote a line of the kernel: its disk was there, so no root was missing."""
    return proof.message.line.tag == "kernel" and proof.sign.stage in ("initramfs", "root mount")


def _counts(message: Message) -> bool:
    tag = message.line.tag
    return tag is None or message.line.is_kernel is True or TAGS.fullmatch(tag) is not None


def _plain(text: str) -> str:
    """Return a line without a terminal's clock, what systemd draws, colours, and a console's tag."""
    text = _OVERLAY.sub("", _CLOCK.sub("", text)).strip()
    return _TAG.sub("", text) if _TAG.match(text) and not text.startswith("dracut") else text
