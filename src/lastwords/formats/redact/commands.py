"""Passwords that programs take on their command line, by switches that do not name them.

``-p`` means a port to one program and a password to another: so the program decides. Sources: the manual
pages of the programs below.

>>> redact_switches(b"/usr/bin/curl -s -u joe:pw http://localhost/ -p x")
(b'/usr/bin/curl -s -u joe:<removed> http://localhost/ -p x', 1)
>>> redact_switches(b"ssh -p 22 db01; mysqldump -uroot -ps3cret --all-databases")
(b'ssh -p 22 db01; mysqldump -uroot -p<removed> --all-databases', 1)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARK = b"<removed>"


@dataclass(frozen=True)
class _Switches:
    """How a family of programs is told its password."""

    pattern: bytes
    """Start of a word: the secret is the rest of it, or the next word when there is none."""
    user: bytes = b""
    """What stands between user and password when the word is both; without it nothing is removed."""
    once: bool = False
    """What comes after the secret is another command."""

    def length(self, word: bytes) -> int:
        """Return how much of a word is the switch; -1 when it is none."""
        match = re.match(self.pattern, word)
        return match.end() if match else -1


_FAMILIES = {
    rb"curl": _Switches(rb"-[A-Za-z]*?[uU]|--(?:proxy-)?user=?", b":"),
    rb"sshpass": _Switches(rb"-p", once=True),
    rb"mysql(?:dump|admin|import|check|show|slap|pump|sh)?|mariadb(?:-\w+)?|7z[ar]?|(?:un)?rar": _Switches(
        rb"-p(?=.)"
    ),
    rb"ldap(?:search|modify|add|delete|whoami|passwd|compare|modrdn)": _Switches(rb"-w|-s$"),
    rb"ipmitool|mosquitto_[ps]ub|(?:un)?zip": _Switches(rb"-P"),
    rb"ipmi-[\w-]+|ipmi(?:console|power|detect)|bmc-[\w-]+|fence_\w+": _Switches(rb"-p"),
    rb"mongo(?:sh|dump|restore|export|import|stat|top|files)?|useradd|usermod": _Switches(rb"-p"),
    rb"redis-cli": _Switches(rb"-a$"),
    rb"login": _Switches(rb"-p$"),  # docker login, podman login, oc login
    rb"snmp(?:get|getnext|walk|bulkget|bulkwalk|set|table|trap)": _Switches(rb"-[cAX]$"),
    rb"[xw]l?freerdp3?|rdesktop": _Switches(rb"/p:|-p"),
    rb"sqlplus|expdp|impdp|sqlldr": _Switches(rb"(?=\w+/)", b"/"),
}
_FAMILY = [(re.compile(pattern), switches) for pattern, switches in _FAMILIES.items()]
_NONE = _Switches(rb"(?!)")

PROGRAMS = tuple(_FAMILIES)
"""Patterns of their names."""
_PROGRAM = re.compile(rb"(?:(?<=[\s\0/;|&\"'(=])|\A)(?:" + b"|".join(PROGRAMS) + rb")(?=[\s\0])")
# A quote inside a word that goes on belongs to the word; else it is of what stands around.
_WORD = re.compile(
    rb"(?:\"[^\"\n]*\"|'[^'\n]*')(?=[\s\0]|\Z)"
    rb"|(?:[^\s\0\"'\\]|\\(?!\\{0,3}[\"'])|[\"'](?![\s,;:)}\]]|\Z))+|[\"'\\]"
)
_BETWEEN_NULS = re.compile(rb"[^\0\n]+")
_NEXT_COMMAND = (b"|", b"||", b"&&", b";", b"&")


def redact_switches(data: bytes) -> tuple[bytes, int]:
    """Return *data* without the passwords on its command lines, and how many were removed."""
    parts: list[bytes] = []
    count = at = 0
    for match in _PROGRAM.finditer(data):
        if match.start() < at:
            continue
        end = data.find(b"\n", match.start())
        end = len(data) if end < 0 else end
        line, times = _redact_line(data[match.start() : end])
        parts += (data[at : match.start()], line)
        count += times
        at = end
    return b"".join([*parts, data[at:]]), count


def _redact_line(line: bytes) -> tuple[bytes, int]:
    parts: list[bytes] = []
    count = at = 0
    family = _NONE
    secret_next = False
    for match in (_BETWEEN_NULS if b"\0" in line else _WORD).finditer(line):
        word = clean = match[0]
        known = next((s for p, s in _FAMILY if p.fullmatch(word.rpartition(b"/")[2])), None)
        length = family.length(word)
        if secret_next and not word.startswith(b"-"):
            clean = _without(word, 0, family.user)
            family = _NONE if family.once else family
        elif known or word in _NEXT_COMMAND:
            family = known or _NONE
        elif 0 <= length < len(word):
            clean = _without(word, length, family.user)
            family = _NONE if family.once or word.endswith(b";") else family
        elif word.endswith(b";"):
            family = _NONE
        secret_next = length == len(word) and not secret_next
        if clean != word:
            parts += (line[at : match.start()], clean)
            at = match.end()
            count += 1
    return b"".join([*parts, line[at:]]), count


def _without(word: bytes, length: int, user: bytes) -> bytes:
    """Return a word without its secret, which stands after a switch so long, and after user and separator."""
    switch, rest = word[:length], word[length:]
    quote = rest[:1] if rest[:1] in (b'"', b"'") and rest[-1:] == rest[:1] else b""
    bare = rest.strip(quote) if quote else rest
    if bare.startswith(MARK):
        return word
    if not user:
        return switch + quote + MARK + quote
    name, between, secret = bare.partition(user)
    if not between or not secret or not name or secret.startswith(MARK):
        return word
    place = b"@" + secret.rpartition(b"@")[2] if user == b"/" and b"@" in secret else b""
    return switch + quote + name + between + MARK + place + quote
