"""What GRUB's configuration offers to boot, read without executing it.

A line-by-line reading of GRUB's script language: quotes, escapes, comments, blocks, ``if``. Variables
are left as written. Entries inside an ``if`` are marked: whether they are shown is known at boot only.

Source: grub info "Shell-like scripting", grub-core/script and grub-core/normal/menu.c (2.06).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional

MAX_ITEMS = 1000
"""Entries and submenus that are kept; Ubuntu and SUSE make some ten."""
MAX_DEPTH = 64

_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r]|\\\n)+)|(?P<comment>#[^\n]*)|(?P<end>[\n;]|&&?|\|\|?)|(?P<brace>[{}](?=[\s;]|\Z))"
    r"|(?P<word>(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\(?:.|\n)|\$\{[^}\n]{0,200}\}|[^\s;&|'\"\\])+|['\"\\])",
    re.DOTALL,
)
_PIECE = re.compile(r"'([^']*)'|\"((?:\\.|[^\"\\])*)\"|\\(.|\n)|([^'\"\\]+)", re.DOTALL)
_LINUX = ("linux", "linux16", "linuxefi")
_INITRD = ("initrd", "initrd16", "initrdefi")
_TAKES_VALUE = ("--class", "--users", "--hotkey", "--source", "--id", "$menuentry_id_option")


@dataclass
class MenuItem:
    """One ``menuentry`` or ``submenu``."""

    kind: str
    """``menuentry`` or ``submenu``."""
    title: str
    id: Optional[str]
    position: str
    """Numbers from 0 at each level, as GRUB_DEFAULT takes them: ``0``, ``1>2``."""
    submenu: tuple[str, ...]
    """Titles of the submenus around it, outermost first."""
    conditional: bool
    """True when it, or a submenu around it, stands inside an ``if``."""
    line: int
    linux: Optional[str] = None
    """Path of the kernel, as GRUB is told."""
    options: Optional[str] = None
    """Kernel command line."""
    initrd: tuple[str, ...] = ()
    search: Optional[str] = None
    """UUID of the filesystem that its paths are on, where it searches for that."""
    chainloader: Optional[str] = None


@dataclass
class GrubConfig:
    """What a configuration file offers."""

    items: list[MenuItem] = field(default_factory=list)
    default: list[str] = field(default_factory=list)
    """Every value that ``set default=`` would give, in order, variables as written."""
    blscfg: Optional[int] = None
    """How many items of the top level stand before ``blscfg``, which adds the boot loader entries."""
    searches: list[str] = field(default_factory=list)
    """``search`` commands outside of entries: by what the filesystem is found."""
    configfiles: list[str] = field(default_factory=list)
    """Files that ``configfile`` or ``source`` names."""


def parse_grub_cfg(text: str) -> GrubConfig:
    r"""Return what the file offers; commands that have no part in it are passed over.

    >>> config = parse_grub_cfg('''set default="${saved_entry}"
    ... submenu 'Advanced' --id adv {
    ...   menuentry 'Linux 6.1' --class debian $menuentry_id_option 'l-6.1' {
    ...     linux /vmlinuz-6.1 root=/dev/vda1 ro  quiet
    ...     initrd /initrd.img-6.1
    ... } }''')
    >>> config.default, [(i.position, i.id, i.linux, i.options, i.initrd) for i in config.items]
    ... # doctest: +NORMALIZE_WHITESPACE
    (['${saved_entry}'], [('0', 'adv', None, None, ()),
                          ('0>0', 'l-6.1', '/vmlinuz-6.1', 'root=/dev/vda1 ro quiet', ('/initrd.img-6.1',))])
    """
    reader = _Reader()
    for line, words in _statements(text):
        reader.take(line, words)
    return reader.config


def find_item(
    config: GrubConfig, value: str, entries: Sequence[tuple[str, Optional[str]]] = ()
) -> Optional[str]:
    """Return what *value* of ``default`` chooses: ``grub:<position>``, ``bls:<id>``, or None when unsure.

    :param entries: id and title of the boot loader entries in their order, for a file with ``blscfg``

    >>> config = parse_grub_cfg("menuentry A --id a { true\\n}\\nsubmenu B { menuentry C --id c { true\\n} }")
    >>> find_item(config, "a"), find_item(config, "B>c"), find_item(config, "1>0"), find_item(config, "9")
    ('grub:0', 'grub:1>0', 'grub:1>0', None)
    """
    prefix: Optional[str] = ""
    chosen: Optional[str] = None
    # ">>" stands for a ">" of the title itself (grub-core/normal/menu.c, get_and_remove_first_entry).
    for depth, step in enumerate(re.split(r"(?<!>)>(?!>)", value)):
        if prefix is None:
            return None  # steps below an entry
        step = step.strip().replace(">>", ">")
        level = [item for item in config.items if item.position.rpartition(">")[0] == prefix]
        rows: list[tuple[str, str, Optional[str], bool, bool]] = [
            ("grub:" + item.position, item.title, item.id, item.conditional, item.kind == "submenu")
            for item in level
        ]
        if depth == 0 and config.blscfg is not None:
            shown: list[tuple[str, str, Optional[str], bool, bool]]
            shown = [("bls:" + id_, title or id_, id_, False, False) for id_, title in entries]
            rows[config.blscfg : config.blscfg] = shown
        row = _pick(rows, step)
        if row is None:
            return None
        chosen = row[0]
        prefix = chosen[len("grub:") :] if row[4] else None
    # A submenu alone is no entry: GRUB would enter it, and what its own default is cannot be told.
    return chosen if prefix is None else None


def _pick(
    rows: Sequence[tuple[str, str, Optional[str], bool, bool]], step: str
) -> Optional[tuple[str, str, Optional[str], bool, bool]]:
    if re.fullmatch(r"[0-9]{1,6}", step):
        index = int(step)
        # An entry that may not be shown shifts all that follow it.
        sure = index < len(rows) and not any(row[3] for row in rows[: index + 1])
        return rows[index] if sure else None
    return next((row for row in rows if step in (row[1], row[2])), None)


def searched_uuid(command: str) -> Optional[str]:
    """Return the UUID of the filesystem that a ``search`` makes the root of GRUB, or None.

    >>> searched_uuid("search --no-floppy --fs-uuid --set=root --hint-bios=hd0 0A1B-2C3D")
    '0A1B-2C3D'
    """
    found = re.search(r"\s(?:--fs-uuid|-u)\s(?:.*\s)?([0-9A-Fa-f-]{4,36})\s*\Z", command)
    return found[1] if found else None


class _Reader:
    """Follows the blocks of the script."""

    def __init__(self) -> None:
        self.config = GrubConfig()
        self._blocks: list[tuple[str, Optional[MenuItem]]] = []
        self._counts = [0]

    def take(self, line: int, words: list[str]) -> None:
        while words and words[0] in ("then", "else", "do"):
            words = words[1:]
        if not words:
            return
        command, arguments = words[0], words[1:]
        if command in ("if", "while", "until", "for"):
            self._push("if", None)
        elif command in ("fi", "done"):
            self._pop(("if",))
        elif command == "}":
            self._pop(("function", "menuentry", "submenu"))
        elif command == "function":
            self._push("function", None)
        elif command in ("menuentry", "submenu"):
            self._open(command, arguments, line)
        elif not self._inside("function"):
            self._command(command, arguments)

    def _push(self, kind: str, item: Optional[MenuItem]) -> None:
        if len(self._blocks) < MAX_DEPTH:
            self._blocks.append((kind, item))
            if kind == "submenu":
                self._counts.append(0)

    def _pop(self, kinds: tuple[str, ...]) -> None:
        """End the innermost block of these kinds, and those left open in it."""
        if any(kind in kinds for kind, _ in self._blocks):
            while True:
                kind, _ = self._blocks.pop()
                if kind == "submenu":
                    self._counts.pop()
                if kind in kinds:
                    return

    def _inside(self, kind: str) -> bool:
        return any(each == kind for each, _ in self._blocks)

    def _open(self, kind: str, arguments: list[str], line: int) -> None:
        around = [item for _, item in self._blocks if item is not None]
        title, id_ = _title_and_id(arguments)
        if len(self.config.items) >= MAX_ITEMS or any(item.kind == "menuentry" for item in around):
            self._push("function", None)
            return
        above = around[-1].position + ">" if around else ""
        item = MenuItem(
            kind=kind,
            title=title,
            id=id_,
            position=f"{above}{self._counts[-1]}",
            submenu=tuple(item.title for item in around),
            conditional=self._inside("if"),
            line=line,
        )
        if not self._inside("function"):
            self.config.items.append(item)
            self._counts[-1] += 1
        self._push(kind, item)

    def _command(self, command: str, arguments: list[str]) -> None:
        entry = next((item for kind, item in reversed(self._blocks) if kind == "menuentry"), None)
        if command == "set" and arguments and arguments[0].startswith("default="):
            if entry is None and len(self.config.default) < MAX_ITEMS:
                self.config.default.append(arguments[0].partition("=")[2])
        elif command == "blscfg":
            if self.config.blscfg is None:
                self.config.blscfg = self._counts[0]
        elif command == "search" or command.startswith("search."):
            line = " ".join([command, *arguments])
            if entry is not None:
                entry.search = searched_uuid(line) or entry.search
            elif len(self.config.searches) < MAX_ITEMS:
                self.config.searches.append(line)
        elif command in ("configfile", "source", "."):
            if entry is None and arguments and len(self.config.configfiles) < MAX_ITEMS:
                self.config.configfiles.append(arguments[0])
        elif entry is not None and arguments:
            if command in _LINUX:
                entry.linux, entry.options = arguments[0], " ".join(arguments[1:])
            elif command in _INITRD:
                entry.initrd = tuple(arguments)
            elif command == "chainloader":
                entry.chainloader = arguments[-1]


def _title_and_id(arguments: list[str]) -> tuple[str, Optional[str]]:
    title, id_ = "", None
    rest = iter(arguments)
    for word in rest:
        if word.startswith("--id="):
            id_ = word[len("--id=") :]
        elif word in _TAKES_VALUE:
            value = next(rest, None)
            if word in ("--id", "$menuentry_id_option"):
                id_ = value
        elif not word.startswith("--") and not title:
            title = word
    return title, id_


def _statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the commands with the line on which they start; ``{`` ends one, ``}`` is one of its own."""
    words: list[str] = []
    line = first = 1
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "word":
            if not words:
                first = line
            words.append(_unquote(token))
        elif kind in ("end", "brace"):
            if words:
                yield first, words
            words = []
            if token == "}":
                yield line, ["}"]
        line += token.count("\n")
    if words:
        yield first, words


def _unquote(token: str) -> str:
    def piece(match: re.Match[str]) -> str:
        single, double, escaped, plain = match.groups()
        if double is not None:
            return re.sub(r"\\([\"\\$])|\\\n", lambda m: m[1] or "", double)
        return "".join(part for part in (single, plain) if part) or (escaped or "").replace("\n", "")

    return _PIECE.sub(piece, token)
