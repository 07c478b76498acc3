"""Boot: the entries of the boot loader with the state of all they need, how full /boot is, fstab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from lastwords.formats.sizes import size
from lastwords.reports.html.charts import Part, bar, share
from lastwords.reports.html.markup import Content, Markup, join, tag
from lastwords.reports.html.tables import Column, badge, fold, place, state, table, text
from lastwords.verdict import Verdict

SHOWN = 60
Facts = Mapping[str, Any]


def section(verdict: Verdict) -> Optional[Markup]:
    """Return entries, kernels, room, and what is mounted at boot."""
    facts = verdict.case.facts.get("boot")
    if facts is None:
        return None
    images = {
        image["path"]: image for image in (verdict.case.facts.get("initramfs") or {}).get("images") or ()
    }
    return join(
        _entries(facts, images),
        _kernels(facts, images),
        _room(facts.get("filesystems") or {}),
        _fstab(facts.get("fstab")),
    )


def _entries(facts: Facts, images: Mapping[str, Facts]) -> Content:
    default = ((facts.get("default_entry") or {}).get("resolved") or {}).get("which")
    rows: list[list[Content]] = []
    for entry in (facts.get("loader_entries") or ())[:SHOWN]:
        rows.append(_entry(entry, entry.get("id"), entry.get("file"), None, default, facts, images))
    for config in facts.get("grub_configs") or ():
        for item in config.get("menu") or ():
            if item.get("linux"):
                name = item.get("position")
                rows.append(_entry(item, name, config.get("path"), item.get("line"), default, facts, images))
    if not rows:
        return tag("p", "No entry of a boot loader was found.", class_="none")
    columns = [Column("Entry"), Column("Kernel"), Column("Initramfs"), Column("From")]
    caption = "Boot loader entries and what they need"
    return tag("h3", "Boot loader entries"), table(columns, rows[:SHOWN], caption=caption, css="titled")


def _entry(
    entry: Facts,
    name: Any,
    path: Any,
    line: Optional[int],
    default: Any,
    facts: Facts,
    images: Mapping[str, Facts],
) -> list[Content]:
    inside = " › ".join([*(entry.get("submenu") or ()), entry.get("title") or name or "?"])
    mark: Content = [" ", badge("default", "default")] if default is not None and name == default else None
    linux = entry.get("linux")
    initrds = [each for each in entry.get("initrd") or () if "$" not in each]
    return [
        [text(inside, 200), mark],
        _file(linux, facts, {}) if linux else tag("span", "none", class_="none"),
        [[_file(each, facts, images), " "] for each in initrds] or tag("span", "none", class_="none"),
        place(path, line),
    ]


def _file(path: str, facts: Facts, images: Mapping[str, Facts]) -> Content:
    """Return the state of a file that an entry names: its path may be one within the filesystem of /boot."""
    known = {file["path"] for file in facts.get("files") or ()}
    found = next((each for each in (path, "/boot" + path) if each in known), None)
    if found is None:
        unknown = not known or facts.get("files_omitted") or "(" in path
        return tag(
            "span", state(None if unknown else False, "", "missing"), " ", place(path.rsplit("/", 1)[-1])
        )
    return tag(
        "span", _image(images.get(found)) or badge("there", "good"), " ", place(found.rsplit("/", 1)[-1])
    )


def _image(image: Optional[Facts]) -> Optional[Markup]:
    if image is None or (image.get("complete") is None and image.get("damage") is None):
        return None
    return state(bool(image.get("complete")) and not image.get("damage"), "whole", "damaged")


def _kernels(facts: Facts, images: Mapping[str, Facts]) -> Content:
    kernels = facts.get("kernels") or ()
    if not kernels:
        return None
    rows: list[list[Content]] = []
    for kernel in kernels[:SHOWN]:
        parts = [kernel.get(part) or {} for part in ("vmlinuz", "initramfs", "modules")]
        image = images.get(parts[1].get("path") or "")
        cells: list[Content] = [state(part.get("exists"), "there", "missing") for part in parts]
        cells[1] = [
            _image(image) or cells[1],
            tag("p", text(image["damage"], 200)) if image and image.get("damage") else None,
        ]
        if parts[2].get("exists") and parts[2].get("modules_dep") is False:
            cells[2] = badge("no modules.dep", "warning")
        running: Content = [" ", badge("running", "default")] if kernel.get("running") else None
        sizes = [f"{size(part['size'])}" for part in parts[1:2] if part.get("size")]
        rows.append([[text(kernel["version"], 100), running], cells[0], cells[1], sizes, cells[2]])
    columns = [
        Column("Kernel"),
        Column("Image"),
        Column("Initramfs"),
        Column("Size", number=True),
        Column("Modules"),
    ]
    caption = "Installed kernels and their parts"
    return tag("h3", "Installed kernels"), table(columns, rows, caption=caption, css="titled")


def _room(filesystems: Facts) -> Content:
    made: list[Content] = []
    shown: list[Facts] = []
    for name in ("root", "boot", "efi"):
        item = filesystems.get(name) or {}
        usage = item.get("usage") or {}
        total, free = usage.get("size"), usage.get("available")
        # What is no filesystem of its own has the room of the one it is in.
        if not total or free is None or usage in shown or not (item["mounted"] or item["path"] == "/boot"):
            continue
        shown.append(usage)
        used = total - free
        css = "crit" if free < 0.1 * total else "warn" if free < 0.2 * total else "used"
        said = f"{size(free)} of {size(total)} free ({share(used, total)} used)"
        source = f" {item['type']} on {item['source']}" if item.get("source") and item.get("type") else ""
        made.append(tag("p", place(item.get("path")), text(source, 200), f": {said}", class_="above"))
        made.append(
            bar([Part("used", used, css, size(used)), Part("free", free, "free", size(free))], total, said)
        )
    return (tag("h3", "Room"), made) if made else None


def _fstab(entries: Optional[Sequence[Facts]]) -> Content:
    if not entries:
        return None
    columns = [
        Column("Mount point"),
        Column("What"),
        Column("Device"),
        Column("Type"),
        Column("Options"),
        Column("Line", number=True),
    ]
    rows = [
        [
            place(entry.get("file")),
            place(entry.get("spec")),
            state(entry.get("device_exists"), "there", "missing"),
            text(entry.get("type") or "", 30),
            text(entry.get("options") or "", 200),
            entry.get("line"),
        ]
        for entry in entries[:SHOWN]
    ]
    missing = sum(entry.get("device_exists") is False for entry in entries)
    word = f", {missing} with a device that is not there" if missing else ""
    return fold(
        f"/etc/fstab ({len(entries)} entries{word})",
        table(columns, rows, caption="/etc/fstab"),
        opened=missing > 0,
    )
