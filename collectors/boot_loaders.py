"""Boot loader entries, GRUB's configuration and environment, the entry that boots by default, EFI entries."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from lastwords.formats import FormatError
from lastwords.formats.boot.bls import BootEntry, grub_order, parse_bls
from lastwords.formats.boot.efi_boot import (
    GLOBAL,
    EfiBoot,
    EfiEntry,
    parse_efibootmgr,
    parse_load_option,
    parse_numbers,
)
from lastwords.formats.boot.grub_cfg import GrubConfig, find_item, parse_grub_cfg
from lastwords.formats.boot.grubenv import parse_grubenv
from lastwords.formats.system.shell_vars import parse_shell_vars
from lastwords.roots.base import Root

GRUB_CONFIGS = (
    "/boot/grub2/grub.cfg",
    "/boot/grub/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
    "/efi/EFI/*/grub.cfg",
)
GRUB_ENVIRONMENTS = (
    "/boot/grub2/grubenv",
    "/boot/grub/grubenv",
    "/boot/efi/EFI/*/grubenv",
    "/efi/EFI/*/grubenv",
)
GRUB_DEFAULTS = ("/etc/default/grub", "/etc/default/grub.d/*.cfg")
LOADER_ENTRIES = (
    "/boot/loader/entries/*.conf",
    "/efi/loader/entries/*.conf",
    "/boot/efi/loader/entries/*.conf",
)
LOADER_CONFIGS = ("/boot/loader/loader.conf", "/efi/loader/loader.conf", "/boot/efi/loader/loader.conf")
OTHER_LOADERS = {
    "grub-legacy": ("/boot/grub/menu.lst", "/boot/grub/grub.conf"),
    "extlinux": ("/boot/extlinux/extlinux.conf", "/boot/syslinux/syslinux.cfg"),
    "zipl": ("/etc/zipl.conf",),
    "petitboot": ("/etc/kboot.conf",),
    "u-boot": ("/boot/boot.scr", "/boot/extlinux.conf"),
}
CMDLINE = "/etc/kernel/cmdline"
MAX_ENTRIES = 64
CONFIG_LIMIT = 2 << 20
EFIVARS = "/sys/firmware/efi/efivars/"
EFIBOOTMGR = ("efibootmgr", "-v")

LOADER_FILES = (
    *GRUB_CONFIGS,
    *GRUB_ENVIRONMENTS,
    *GRUB_DEFAULTS,
    *LOADER_ENTRIES,
    *LOADER_CONFIGS,
    *(path for paths in OTHER_LOADERS.values() for path in paths),
    CMDLINE,
)


def loader_facts(root: Root, efi: Optional[bool]) -> dict[str, Any]:
    """Return what the boot loaders offer.

    :param efi: whether the firmware is EFI, None when not known
    """
    entries = _loader_entries(root)
    configs = _grub_configs(root)
    environments = _grub_environments(root)
    defaults = _grub_defaults(root)
    loader = _loader_config(root)
    return {
        "loader_entries": entries,
        "loader_config": loader,
        "grub_configs": None if configs is None else [facts for facts, _ in configs],
        "grub_environments": environments,
        "grub_defaults": defaults,
        "kernel_cmdline": _cmdline(root),
        "default_entry": _default_entry(entries, loader, configs, environments, defaults, efi),
        "other_loaders": [
            {"kind": kind, "path": path}
            for kind, paths in OTHER_LOADERS.items()
            for path in paths
            if root.exists(path)
        ],
    }


def _paths(root: Root, patterns: Sequence[str]) -> Optional[list[str]]:
    """Return what matches, each file once; None when nothing does but something may be there."""
    found: list[str] = []
    unknown = False
    for pattern in patterns:
        matches = root.glob(pattern)
        found += matches
        if not matches:
            unknown = unknown or not _surely_absent(root, pattern)
    return found if found or not unknown else None


def _surely_absent(root: Root, pattern: str) -> bool:
    here = ""
    for part in pattern.strip("/").split("/"):
        if re.search(r"[*?\[]", part):
            return root.listdir(here) is not None
        here += "/" + part
        there = root.exists(here)
        if there is not True:
            return there is False
    return False


def _loader_entries(root: Root) -> Optional[list[dict[str, Any]]]:
    paths = _paths(root, LOADER_ENTRIES)
    if paths is None:
        return None
    found = []
    for path in paths[:MAX_ENTRIES]:
        text = root.text(path, CONFIG_LIMIT)
        entry = parse_bls(text or "", path.rpartition("/")[2])
        found.append({"file": path, "readable": text is not None, **_entry_facts(entry)})
    return found


def _entry_facts(entry: BootEntry) -> dict[str, Any]:
    return {**entry.__dict__, "initrd": list(entry.initrd)}


def _grub_configs(root: Root) -> Optional[list[tuple[dict[str, Any], Optional[GrubConfig]]]]:
    paths = _paths(root, GRUB_CONFIGS)
    if paths is None:
        return None
    found = []
    for path in paths[:MAX_ENTRIES]:
        text = root.text(path, CONFIG_LIMIT)
        config = parse_grub_cfg(text) if text is not None else None
        node = root.stat(path)
        facts = {
            "path": path,
            "size": node.size if node else None,
            "mtime": node.mtime if node else None,
            "default": config.default if config else None,
            "blscfg": config.blscfg is not None if config else None,
            "searches": config.searches if config else None,
            "configfiles": config.configfiles if config else None,
            "menu": [
                {**item.__dict__, "submenu": list(item.submenu), "initrd": list(item.initrd)}
                for item in config.items
            ]
            if config
            else None,
        }
        found.append((facts, config))
    return found


def _grub_environments(root: Root) -> Optional[list[dict[str, Any]]]:
    paths = _paths(root, GRUB_ENVIRONMENTS)
    if paths is None:
        return None
    found = []
    for path in paths[:MAX_ENTRIES]:
        text = root.text(path, 1 << 16)
        node = root.stat(path)
        variables: Optional[dict[str, str]] = None
        damage = None
        if text is not None:
            try:
                variables = parse_grubenv(text)
            except FormatError as problem:
                damage = str(problem)
        found.append(
            {
                "path": path,
                "size": node.size if node else None,
                "mtime": node.mtime if node else None,
                "variables": variables,
                "damage": damage,
            }
        )
    return found


def _grub_defaults(root: Root) -> Optional[list[dict[str, Any]]]:
    paths = _paths(root, GRUB_DEFAULTS)
    if paths is None:
        return None
    found = []
    for path in paths[:MAX_ENTRIES]:
        text = root.text(path, CONFIG_LIMIT)
        assignments = None if text is None else [each.__dict__ for each in parse_shell_vars(text)[0]]
        found.append({"path": path, "assignments": assignments})
    return found


def _loader_config(root: Root) -> Optional[dict[str, Any]]:
    for path in LOADER_CONFIGS:
        text = root.text(path, CONFIG_LIMIT)
        if text is not None:
            values = dict(re.findall(r"^[ \t]*([\w-]+)[ \t]+(\S.*?)[ \t\r]*$", text, re.MULTILINE))
            return {"path": path, "default": values.get("default"), "timeout": values.get("timeout")}
    return None


def _cmdline(root: Root) -> Optional[str]:
    text = root.text(CMDLINE)
    return " ".join(text.split()) if text is not None else None


# -- the default -----------------------------------------------------------------------------------


def _default_entry(
    entries: Optional[list[dict[str, Any]]],
    loader: Optional[dict[str, Any]],
    configs: Optional[list[tuple[dict[str, Any], Optional[GrubConfig]]]],
    environments: Optional[list[dict[str, Any]]],
    defaults: Optional[list[dict[str, Any]]],
    efi: Optional[bool],
) -> dict[str, Any]:
    """Tell the entry that boots when nobody chooses; ``resolved`` is None where it cannot be told."""
    values = [
        each["value"]
        for file in defaults or ()
        for each in file["assignments"] or ()
        if each["name"] == "GRUB_DEFAULT" and each["literal"]
    ]
    grub_default = values[-1] if values else None
    blocks = [file["variables"] for file in environments or () if file["variables"] is not None]
    block: Optional[Mapping[str, str]] = blocks[0] if blocks else {} if environments == [] else None
    menus = [(facts["path"], config) for facts, config in configs or () if config and _has_menu(config)]
    # Where the firmware is EFI, its own partition's menu counts, if it has one.
    menus.sort(key=lambda menu: bool(efi) and "/EFI/" not in menu[0])
    menu = menus[0][1] if menus else None
    value: Optional[str]
    if menu is not None:
        steady = [each for each in menu.default if each not in ("${next_entry}", "$next_entry")]
        value = _substituted(steady[-1] if steady else "0", block)
    elif configs:
        value = _substituted("${saved_entry}" if grub_default == "saved" else grub_default, block)
    else:
        value = loader["default"] if loader else None
    return {
        "grub_default": grub_default,
        "saved_entry": block.get("saved_entry") if block else None,
        "next_entry": block.get("next_entry") if block else None,
        "value": value,
        "resolved": _resolved(value, menu, entries, grub=bool(configs)),
    }


def _has_menu(config: GrubConfig) -> bool:
    return bool(config.items) or config.blscfg is not None


def _substituted(value: Optional[str], block: Optional[Mapping[str, str]]) -> Optional[str]:
    if value in ("${saved_entry}", "$saved_entry"):
        # On btrfs, SUSE's GRUB keeps it outside of the file, in sectors that env_block names.
        if block is None or "env_block" in block:
            return None
        # Not set, it is no entry's name, and GRUB takes the first.
        return block.get("saved_entry") or "0"
    return None if value is None or "$" in value else value or "0"


def _resolved(
    value: Optional[str], menu: Optional[GrubConfig], entries: Optional[list[dict[str, Any]]], *, grub: bool
) -> Optional[dict[str, Any]]:
    if value is None:
        return None
    known = {entry["id"]: entry for entry in entries or () if entry["readable"]}
    if menu is not None:
        if menu.blscfg is not None and entries is None:
            return None
        ordered = [(id_, known[id_]["title"]) for id_ in grub_order(known)]
        kind, _, which = (find_item(menu, value, ordered) or "").partition(":")
    else:
        names = {value, value + ".conf"} if grub else {value}
        fitting = [id_ for id_ in known if any(fnmatch.fnmatchcase(id_ + ".conf", name) for name in names)]
        fitting = fitting or [id_ for id_ in known if not grub and fnmatch.fnmatchcase(id_, value)]
        kind, which = ("bls", fitting[0]) if len(fitting) == 1 else ("", "")
    if kind == "bls":
        entry = known[which]
        return {"kind": "bls", "which": which, "title": entry["title"], **_loads(entry)}
    item = next((item for item in menu.items if item.position == which), None) if menu and kind else None
    return {"kind": "grub", "which": which, "title": item.title, **_loads(item.__dict__)} if item else None


def _loads(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"linux": entry["linux"], "initrd": list(entry["initrd"]), "options": entry["options"]}


# -- EFI -------------------------------------------------------------------------------------------


def efi_facts(root: Root, present: Optional[bool]) -> dict[str, Any]:
    """Return the boot entries of the firmware, from efibootmgr(8) or else from its variables.

    The command comes first: of its output evidence can be kept, of binary variables none.
    """
    output = root.run(EFIBOOTMGR)
    if output is not None and output.exit_code in (0, None):
        found = parse_efibootmgr(output.text)
        if found.current or found.order or found.entries:
            return _facts_of(present, "efibootmgr", found)
    return _facts_of(present, *_efivars(root))


def _efivars(root: Root) -> tuple[Optional[str], Optional[EfiBoot]]:
    def variable(name: str) -> bytes:
        try:
            return root.peek(f"{EFIVARS}{name}-{GLOBAL}", 1 << 12)
        except OSError:
            return b""

    entries: list[EfiEntry] = []
    for path in root.glob(f"{EFIVARS}Boot[0-9A-F][0-9A-F][0-9A-F][0-9A-F]-{GLOBAL}")[:MAX_ENTRIES]:
        name = path.rpartition("/")[2].partition("-")[0]
        try:
            entries.append(parse_load_option(name[4:], variable(name)))
        except FormatError:
            continue
    current, following = parse_numbers(variable("BootCurrent")), parse_numbers(variable("BootNext"))
    order = parse_numbers(variable("BootOrder"))
    if not (current or order or entries):
        return None, None
    boot = EfiBoot(
        current[0] if current else None, following[0] if following else None, order, tuple(entries)
    )
    return "efivars", boot


def unread_efi(present: Optional[bool]) -> dict[str, Any]:
    """Return the facts as long as the boot entries were not read."""
    return _facts_of(present, None, None)


def _facts_of(present: Optional[bool], source: Optional[str], boot: Optional[EfiBoot]) -> dict[str, Any]:
    return {
        "present": present,
        "source": source,
        "boot_current": boot.current if boot else None,
        "boot_next": boot.next if boot else None,
        "boot_order": list(boot.order) if boot else None,
        "entries": [entry.__dict__ for entry in boot.entries] if boot else None,
    }
