"""Boots that failed, and crash dumps that could not be made: several lines of a log become one failure.

A boot is read from its first line to that of the next; it failed when a sign says so and it did not come up
after. Lines about kdump that stand together are one failure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Optional

from lastwords.formats.failures.kdump_signs import KDUMP
from lastwords.formats.failures.signs import BOOT, CAUSE, FAILED, HINT, PROGRESS, STAGES, Sign
from lastwords.formats.kdump.crash_kernel import CRASH_KERNEL, ELFCOREHDR
from lastwords.formats.kdump.reservation import WORDS as MEMORY
from lastwords.formats.kdump.reservation import Told, memory_told
from lastwords.formats.log.messages import Message

SIGNS = (*BOOT, *KDUMP)
WORDS = tuple(
    sorted(
        {word for sign in SIGNS for word in sign.words}
        | {word for row in PROGRESS for word in row[1]}
        | {ELFCOREHDR, *MEMORY}
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
    "Linux version ",
    "Booting Linux on physical CPU",
    "Run /init as init",
    "Run /sbin/init",
    ELFCOREHDR,
)
"""Of these, what the kernel says, besides what begins a report."""
SYSTEMD = (
    "Timed out waiting for device",
    "Dependency failed for",
    "mergency",
    "Multi-User",
    "multi-user.target",
)
"""And what systemd says of a boot that ends in emergency mode, or does not."""
TAGS = re.compile(
    r"kernel|systemd|dracut|kdump|kexec|mkdumprd|makedumpfile|fsck|initrd|init|sulogin|mdadm|lvm|cryptsetup"
)
"""Programs whose lines count in a log that tells who wrote them."""

_WORD = re.compile("|".join(re.escape(word) for word in WORDS))
LINE = 1000
"""Characters of a line that are looked at."""
_TOGETHER = 60
"""Lines of a log within which signs of kdump are one failure."""
_PROOFS = 12
_OVERLAY = re.compile(
    r"^.{0,40}?\[[^\]]{0,20}(?:TIME|DEPEND|FAILED)[^\]]{0,8}\] |\x1b\[[0-9;]*(?:m|(?=…))|\[[0-9;]+m"
)
_TAG = re.compile(r"^[\w.-]{1,40}\[\d+\]: ")
_OF_MACHINES_THAT_RAN = ("kernel_panic", "out_of_memory", "init_frozen")
"""What machines die of after they booted, too."""


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
        self._boot.crash |= CRASH_KERNEL.match(text) is not None
        self._progress(text, message)
        if (told := memory_told(text)) is not None:
            self._memory(told)
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
                boot = self._boot
            boot.seen = message.number if stage == 2 else boot.seen
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
        if len(boot.proofs) < 4 * _PROOFS:
            boot.proofs.append(proof)

    def _end_boot(self) -> None:
        boot, self._boot = self._boot, _Boot()
        failed = [proof for proof in boot.proofs if proof.sign.weight != HINT and not _was_logged(proof)]
        if boot.kernel:
            # What a boot loader missed did not stop it: fonts, translations, modules. Unless the initramfs.
            failed = [p for p in failed if p.sign.stage not in STAGES[:2] or "/init" in p.text]
        if boot.up:
            # A prompt after an unpack error: it did no harm. One after emergency mode: somebody mended it.
            failed = [
                proof for proof in failed if proof.sign.stage == "init" and proof.sign.name != "no_init"
            ]
        if failed:
            if boot.crash:
                self._end_capture(boot, failed)
                return
            if not boot.kernel and all(p.sign.name in _OF_MACHINES_THAT_RAN for p in failed):
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
        if any(proof.sign.stage == "capture" and proof.message.number > boot.seen for proof in self._kdump):
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
        main = max(proofs, key=lambda proof: proof.sign.weight)
        proofs = [
            proof for proof in proofs if proof.sign.stage == main.sign.stage or proof.sign.weight != HINT
        ]
        self.found.append(
            Failure(
                "kdump",
                main.sign.stage,
                main.sign.name,
                _device(proofs, main.sign.name),
                tuple(proofs),
                reserved=self._boot.memory if self._boot.crash else None,
                begun=self._boot.seen if self._boot.crash else 0,
            )
        )


def _boot_failure(boot: _Boot, failed: list[Proof]) -> Failure:
    """Return what a boot failed of: of the causes the first, else what it said last of its end.

    A hint counts as the cause where it comes before the failure and explains it.
    """
    names = {proof.sign.name for proof in failed}
    causes = [proof for proof in failed if proof.sign.weight == CAUSE]
    main = causes[0] if causes else failed[0]
    if main.sign.name in ("vfs_root", "root_missing", "dracut_emergency", "initramfs_shell", "no_init"):
        explained = {
            "vfs_root": ("initramfs_unpack", "nfs_root"),
            "root_missing": ("crypt_failed", "lvm_missing", "md_missing"),
            "dracut_emergency": ("crypt_failed", "lvm_missing", "md_missing"),
            "initramfs_shell": ("crypt_failed", "lvm_missing", "md_missing"),
            "no_init": ("initramfs_unpack",),
        }[main.sign.name]
        before = [
            proof for proof in boot.proofs if proof.sign.weight == HINT and proof.sign.name in explained
        ]
        main = before[0] if before else main
    stage = main.sign.stage
    if main.sign.name == "initramfs_unpack" and names == {"initramfs_unpack"}:
        main = failed[0]
    if main.sign.name in ("kernel_panic", "init_killed") and 0 <= boot.stage < len(STAGES):
        stage = (
            STAGES[max(boot.stage, 2)]
            if main.sign.name == "kernel_panic"
            else ("init" if boot.stage != 3 else "initramfs")
        )
    return Failure("boot", stage, main.sign.name, _device(boot.proofs, main.sign.name), _some(boot.proofs))


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


def _device(proofs: list[Proof], name: str) -> Optional[str]:
    """Return the device that the signs of a class name; the last of several that were tried is the one."""
    stages = {proof.sign.stage for proof in proofs if proof.sign.name == name}
    for own in (True, False):
        for proof in proofs:
            # What the kernel tried to run in vain is not what could not be unpacked.
            other = proof.sign.name != name
            in_vain = other and proof.sign.name == "init_not_run"
            if other is own or in_vain or proof.sign.stage not in stages:
                continue
            match = proof.sign.pattern.search(proof.text)
            groups = match.groupdict() if match else {}
            for group in ("what", "device", "group", "volume", "mount", "target", "id"):
                if groups.get(group):
                    return str(groups[group]).strip(" .:'\"")[:200] or None
    return None


def _was_logged(proof: Proof) -> bool:
    """Return whether a logger wrote a line of the kernel: its disk was there, so no root was missing."""
    return proof.message.line.tag == "kernel" and proof.sign.stage in ("initramfs", "root mount")


def _counts(message: Message) -> bool:
    tag = message.line.tag
    return tag is None or message.line.is_kernel is True or TAGS.search(tag) is not None


def _plain(text: str) -> str:
    """Return a line without what systemd draws before it, colours, and the tag that a console shows."""
    text = _OVERLAY.sub("", text).strip()
    return _TAG.sub("", text) if _TAG.match(text) and not text.startswith("dracut") else text
