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

    apart: tuple[bytes, ...] = ()
    """Switches whose next word is the secret."""
    joined: tuple[bytes, ...] = ()
    """Switches that are followed by the secret in the same word."""
    user: bytes = b""
    """What stands between user and password when the word is both; without it nothing is removed."""


_CURL = (b"-u", b"-U", b"--user", b"--proxy-user")
_FAMILIES: dict[bytes, _Switches] = {
    rb"curl": _Switches(_CURL, (b"-u", b"-U", b"--user=", b"--proxy-user="), b":"),
    rb"sshpass": _Switches((b"-p",), (b"-p",)),
    rb"mysql\w*|mariadb[\w-]*|7z[ar]?|rar|unrar": _Switches((), (b"-p",)),
    rb"ldap(?:search|modify|add|delete|whoami|passwd|compare|modrdn)": _Switches((b"-w", b"-s"), (b"-w",)),
    rb"ipmitool|mosquitto_[ps]ub|zip|unzip": _Switches((b"-P",), (b"-P",)),
    rb"ipmi-[\w-]+|ipmi(?:console|power|detect)|bmc-[\w-]+|fence_\w+": _Switches((b"-p",), (b"-p",)),
    rb"redis-cli": _Switches((b"-a",)),
    rb"mongo\w*|useradd|usermod": _Switches((b"-p",), (b"-p",)),
    rb"login": _Switches((b"-p",)),  # docker login, podman login, oc login
    rb"snmp(?:get|getnext|walk|bulkget|bulkwalk|set|table|trap)": _Switches((b"-c", b"-A", b"-X")),
    rb"[xw]l?freerdp3?|rdesktop": _Switches((b"-p",), (b"/p:", b"-p")),
    rb"sqlplus|expdp|impdp|sqlldr": _Switches((), (b"",), b"/"),
}
_FAMILY = [(re.compile(pattern), switches) for pattern, switches in _FAMILIES.items()]

PROGRAMS = rb"(?<![\w.-])(?:" + b"|".join(_FAMILIES) + rb")(?=[\s\0])"
"""Pattern of a word that is one of the programs."""
_PROGRAM = re.compile(PROGRAMS)
_WORD = re.compile(rb"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\0]|[\"'])+")
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
    family: _Switches = _Switches()
    secret_next = False
    for match in (_BETWEEN_NULS if b"\0" in line else _WORD).finditer(line):
        word = match[0]
        known = next((s for p, s in _FAMILY if p.fullmatch(word.rpartition(b"/")[2])), None)
        clean = word
        if secret_next:
            secret_next = False
            clean = _without(word, b"", family.user)
        elif known:
            family = known
        elif word in _NEXT_COMMAND:
            family = _Switches()
        elif word in family.apart:
            secret_next = True
        else:
            for switch in family.joined:
                if word.startswith(switch) and len(word) > len(switch):
                    clean = _without(word, switch, family.user)
                    break
            if word.endswith(b";"):
                family = _Switches()
        if clean != word:
            parts += (line[at : match.start()], clean)
            at = match.end()
            count += 1
    return b"".join([*parts, line[at:]]), count


def _without(word: bytes, switch: bytes, user: bytes) -> bytes:
    """Return a word without its secret, which stands after the switch, or after user and separator."""
    rest = word[len(switch) :]
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
