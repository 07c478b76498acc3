"""Pages on the kernel and on what it boots from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lastwords.formats.sizes import size
from lastwords.model import Severity, dig
from lastwords.reports.page_parts import Block, Rows, alarm, each, said, table
from lastwords.verdict import Verdict

SHOWN = 20
PANIC = ("kernel.panic", "kernel.panic_on_oops", "kernel.panic_on_warn", "kernel.hung_task_timeout_secs",
         "kernel.core_pattern", "kernel.dmesg_restrict", "kernel.printk")  # fmt: skip


def boot(verdict: Verdict) -> Iterable[Block]:
    """Yield every kernel with what it needs, the default entry, filesystems and fstab."""
    facts = verdict.case.facts.get("boot")
    if not facts:
        return
    default = said(dig(facts, "default_entry", "resolved", "linux"), "")
    images = {image.get("path"): image for image in each(verdict.case.facts.get("initramfs"), "images")}
    rows: Rows = []
    for kernel in each(facts, "kernels"):
        version = said(kernel.get("version"))
        marks = [word for word, true in (("running", kernel.get("running")),
                 ("default", default.endswith("-" + version))) if true]  # fmt: skip
        rows.append(
            [
                version,
                " ".join(marks),
                _there(kernel.get("vmlinuz")),
                _image(kernel.get("initramfs") or {}, images),
                _there(kernel.get("modules")),
            ]
        )
    yield table("Kernels", rows, "version||vmlinuz|initramfs|modules")
    entry = facts.get("default_entry") or {}
    yield table(
        "Boots by default",
        [
            ["entry", said(dig(entry, "resolved", "title") or entry.get("value"))],
            ["kernel", default or "not known"],
            ["asks for", said(facts.get("kernel_cmdline"))],
        ],
    )
    rows = []
    for filesystem in (facts.get("filesystems") or {}).values():
        whole, free = dig(filesystem, "usage", "size"), dig(filesystem, "usage", "available")
        full = bool(whole and free is not None and free < whole // 10)
        rows.append(
            [
                said(dig(filesystem, "path")),
                said(dig(filesystem, "type"), ""),
                said(dig(filesystem, "source"), "not a filesystem of its own"),
                alarm(size(free), full),
                size(whole),
            ]
        )
    yield table("Filesystems", rows, "path|type|device|free|size", (3, 4))
    yield table(
        "/etc/fstab",
        [
            [
                said(line.get("file")),
                said(line.get("type")),
                alarm(said(line.get("spec")), line.get("device_exists") is False, Severity.CRITICAL),
                said(line.get("options"), ""),
            ]
            for line in each(facts, "fstab")[:SHOWN]
        ],
        "on|type|device|options",
    )


def _there(part: Any) -> Any:
    exists = dig(part, "exists")
    held = dig(part, "size")
    if exists is False:
        return alarm("missing", True, Severity.CRITICAL)
    return size(held) if held is not None else "there" if exists else "not known"


def _image(initramfs: dict[str, Any], images: dict[Any, dict[str, Any]]) -> Any:
    known = images.get(initramfs.get("path")) or {}
    if known.get("complete") is False:
        return alarm(f"damaged: {known.get('damage')}", True, Severity.CRITICAL)
    return _there(initramfs)


def kernel(verdict: Verdict) -> Iterable[Block]:
    """Yield what kernel runs, how it was built, started and tainted."""
    facts = verdict.case.facts.get("kernel")
    if not facts:
        return
    taint = facts.get("taint") or {}
    flags = [_flag(flag) for flag in each(taint, "flags")]
    yield table(
        "Runs",
        [
            ["release", said(facts.get("release"))],
            ["built", f"{said(dig(facts, 'build', 'date'))}, {said(dig(facts, 'build', 'compiler'))}"],
            ["package", said(dig(facts, "package", "owner"))],
            ["command line", said(dig(facts, "cmdline", "raw"))],
            [
                "tainted",
                alarm(", ".join(flags) if flags else said(taint.get("value")), bool(taint.get("value"))),
            ],
            ["lockdown", said(dig(facts, "lockdown", "mode"))],
            ["Secure Boot", said(dig(facts, "secure_boot", "enabled"))],
        ],
    )
    sysctls = facts.get("sysctls") or {}
    yield table("Settings", [[name, said(sysctls[name])] for name in PANIC if name in sysctls])
    modules = [module for module in each(facts, "modules") if module.get("taint")]
    yield table(
        "Modules that taint",
        [[said(m.get("name")), said(m.get("taint")), size(m.get("size"))] for m in modules[:SHOWN]],
        "module|taint|size",
        (2,),
    )


def _flag(flag: Any) -> str:
    if isinstance(flag, dict):
        return " ".join(said(flag[name]) for name in ("letter", "name", "meaning") if flag.get(name))
    return said(flag)
