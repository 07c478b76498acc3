"""Golden hosts whose booting was changed, for tests of plans."""

from __future__ import annotations

import json
from pathlib import Path

from lastwords.model import Case

GOLDEN = Path(__file__).parent / "golden"


def golden_case(host: str = "rhel9") -> Case:
    """Return a golden host as a case."""
    facts = {}
    for path in (GOLDEN / host).glob("*.json"):
        document = json.loads(path.read_text())
        if "raised" not in document:
            facts[path.stem] = document
    return Case(facts, [], {}, "live", 1772445600.0)


def crowded_case(host: str = "rhel9") -> Case:
    """Return a host with three kernels more than it needs, and an unfinished image."""
    case = golden_case(host)
    boot = case.facts["boot"]
    oldest = boot["kernels"][-1]
    for number in range(3):
        other = json.loads(json.dumps(oldest))
        other.update(version=f"5.14.0-{70 - number}.el9.x86_64", running=False)
        boot["kernels"].append(other)
    leftover = {"path": "/boot/initramfs-5.img.new", "role": "initramfs", "use": "leftover", "version": None}
    boot["other_images"].append({**leftover, "size": 1, "mtime": 1.0})
    return case


def hostile_boot(text: str) -> Case:
    """Return a host whose kernels and files have a text in their names made to break out of a script."""
    case = crowded_case()
    boot = case.facts["boot"]
    for kernel in boot["kernels"]:
        kernel["version"] += text
        kernel["initramfs"]["path"] += text
    for config in boot["grub_configs"]:
        config["path"] += text
    for other in boot["other_images"]:
        other["path"] += text
    boot["default_entry"]["resolved"] = None
    case.facts["host"]["hostname"] = text
    return case


def wrong_root() -> Case:
    """Return a host whose entries name another root than its fstab."""
    case = golden_case()
    case.facts["boot"]["fstab"][0]["spec"] = "UUID=0b"
    case.facts["boot"]["device_parameters"] = [{"key": "root", "value": "UUID=0a", "device_exists": None}]
    return case
