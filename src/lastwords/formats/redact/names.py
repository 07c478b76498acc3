"""Values of names that tell a secret: ``password=``, ``"token": "..."``, ``--api-key ...``, ``secret: ...``.

>>> redact_named(b'a=1 FTP_PASSWORD="s3 cret" b=2')
(b'a=1 FTP_PASSWORD="<removed>" b=2', 1)
>>> redact_named(b"credentials=/etc/smb.cred,password_file=/etc/pw,bypass=1,pwd=/root")
(b'credentials=/etc/smb.cred,password_file=/etc/pw,bypass=1,pwd=/root', 0)
"""

from __future__ import annotations

import re
from typing import Optional

MARK = b"<removed>"
REACH = 64
"""Bytes of a name that are looked at before and after the word that tells a secret."""

_NAME_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
# The word, the rest of the name, and what stands between name and value. The rest is matched in a lookahead
# so that none of it is given back: hostile text takes no longer than any other.
_NAMED = re.compile(
    rb"(?:pass(?:w(?:or)?d|phrase|wort|code|in|out)?|pwd|psk|secret|token|rootpw|sshpw|authorization"
    rb"|(?:api|auth|access|private)[_-]?key)"
    rb"(?=(?P<rest>[\w-]{0,64}))(?P=rest)"
    rb"(?:(?P<equals>(?P<ahead>[ \t]{0,8})[+:?]?=(?P<behind>[ \t]{0,8}))"
    rb"|(?P<pair>(?P<close>\\{0,3}[\"'])[ \t\n]{0,8}(?::|=>?)[ \t\n]{0,8})"
    rb"|(?P<colon>:[ \t]{1,8})|(?P<gap>[ \t]{1,8}|\0))"
)
"""For text in lower case: a search that ignores the case takes four times as long."""
_STRONG = re.compile(
    rb"passw(?:or)?d(?!less)|passphrase|passwort|passcode|secret(?![a-z])|token(?![a-z])|rootpw|sshpw|authorization"
    rb"|(?:api|auth|access|private|secret)[_-]?key"
)
# Short words are parts of others (bypass, compass): they count alone or set apart.
_WEAK = re.compile(
    rb"(?:^|[^a-z]|ftp|smtp|ssh|http|proxy|ldap|bind|db|sql|pg|user|root|admin|bmc|ipmi|wpa)"
    rb"(?:pass|pwd|psk)[\d_]*$|^-*pass(?:in|out)$"
)
_CAMEL = re.compile(rb"[a-z](?:Pass|Pwd|Psk)\d*$")
# Names of what is about a secret: where it lies, how long it is, who asks for it.
_ABOUT = re.compile(
    rb"(?:file|path|dir|cmd|command|script|type|len|length|min|max|age|days|warn|count|algorithm|alg|policy|user"
    rb"|name|prompt|timeout|retries|tries|echo|ttl|stdin|fd|store|agent|tokens|access_key_id|expir\w*)$"
    rb"|^-*(?:no|ask)[_-]"
)
_PLACE = re.compile(rb"(?:pwd|key)$")
"""Names whose value is a secret unless it is a path."""
_SAYS_NOTHING = re.compile(
    rb"yes|no|on|off|true|false|null|none|nil|\(null\)|\$\{\w+\}|\*+|\d+ kB|", re.IGNORECASE
)

_LINE_START = re.compile(rb"(?:\A|\n)[ \t]*(?:- )?\Z")
_FURTHER = re.compile(rb"[^\n]{0,512}?[ \t][\w.-]{1,64}=")
_ESCAPED = re.compile(rb"(?P<open>\\{1,3}[\"'])(?P<value>[^\n]*?)(?P=open)")
_QUOTED = re.compile(
    rb"(?:(?P<open>\")(?P<value>[^\"\\\n]*(?:\\[\s\S][^\"\\\n]*)*)|(?P<open2>')(?P<value2>[^'\n]*))"
)
_CLOSED = {
    b'"': re.compile(rb"(?P<value>[^\"\\\n]*(?:\\[\s\S][^\"\\\n]*)*)\""),
    b"'": re.compile(rb"(?P<value>[^'\n]*)'"),
}
# A quote inside a word belongs to it when the word goes on; else to what stands around the word.
_INNER = (
    rb"|\\(?!\\{0,3}[\"'])[\s\S]|\"(?![\s\0,;:)}\]]|\Z)(?:[^\"\\\n]*(?:\\[\s\S][^\"\\\n]*)*\")?"
    rb"|'(?![\s\0,;:)}\]]|\Z)(?:[^'\n]*')?"
)
_WORD = re.compile(rb"(?P<value>(?:[^\s\0\"'\\]+" + _INNER + rb")*)")
_OPTION = re.compile(rb"(?P<value>(?:[^\s\0\"'\\,]+" + _INNER + rb")*)")
_TO_NUL = re.compile(rb"(?P<value>[^\0]*)")
_TO_LINE_END = re.compile(rb"(?P<value>[^\s#][^\n]*?)(?=[ \t\r]*$|[ \t]+#)", re.MULTILINE)
_SCALAR = re.compile(rb"(?P<value>[\w.+-]+)(?=\s*[,}\]]|\s*\Z)")


def redact_named(data: bytes) -> tuple[bytes, int]:
    """Return *data* without the values of names that tell a secret, and how many were removed."""
    parts: list[bytes] = []
    count = at = 0
    values, folded = _Values(data), data.lower()
    match = _NAMED.search(folded)
    while match:
        secret = _secret(values, match, at)
        going_on = match.end("rest")
        if secret:
            start, going_on, quote = secret
            parts += (data[at:start], quote, MARK, quote, b"\n" * data.count(b"\n", start, going_on))
            at = going_on
            count += 1
        match = _NAMED.search(folded, going_on)
    return b"".join([*parts, data[at:]]), count


def _secret(values: _Values, match: re.Match[bytes], floor: int) -> Optional[tuple[int, int, bytes]]:
    """Return where the secret stands that a name announces, and what to quote the mark with, or None."""
    data, at = values.data, match.end()
    reach = data[max(floor, match.start() - REACH) : match.start()]
    start = match.start() - len(reach) + len(reach.rstrip(_NAME_LETTERS))
    name = data[start : match.end("rest")]
    begin = data[at : at + REACH].lstrip(b"\\\"'")
    if not _tells_a_secret(name) or begin.startswith(MARK):
        return None
    if _PLACE.search(name.lower()) and begin.startswith((b"/", b"file:")):
        return None
    found = values.value(match, start, name)
    if found is None:
        return None
    group = "value" if found["value"] is not None else "value2"
    if _SAYS_NOTHING.fullmatch(found[group]):
        return None
    # A number in JSON becomes a string.
    return (*found.span(group), match["close"] if found.re is _SCALAR else b"")


def _tells_a_secret(name: bytes) -> bool:
    lower = name.lower()
    if _ABOUT.search(lower):
        return False
    return bool(_STRONG.search(lower) or _WEAK.search(lower) or _CAMEL.search(name))


class _Values:
    """Finds the value of a name, by what stands before the name and between the two."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._unclosed: dict[bytes, int] = {}
        """By quote, the place up to which it is known not to be closed: no line is searched twice."""

    def value(self, match: re.Match[bytes], start: int, name: bytes) -> Optional[re.Match[bytes]]:
        """Return the match of the value, or None when the name announces none."""
        data, at = self.data, match.end()
        before = data[start - 1 : start] if start else b""
        if match["pair"] is not None:
            if before not in (b'"', b"'"):
                return None
            return _ESCAPED.match(data, at) or _QUOTED.match(data, at) or _SCALAR.match(data, at)
        if match["colon"] is not None:
            # "passwd: files" is nsswitch.conf(5), and a program called passwd writes to logs.
            alone = name.lower() in (b"passwd", b"pass", b"pwd")
            return _TO_LINE_END.match(data, at) if self._starts_line(start) and not alone else None
        if match["gap"] is not None:
            if not name.startswith(b"-") or before.strip(b" \t\n\0\"'") or data[at : at + 1] == b"-":
                return None
        # "password= x" is an assignment of nothing, unless it stands alone on its line.
        elif match["behind"] and not match["ahead"] and not self._stands_alone(start, at):
            return None
        if match["gap"] == b"\0" or before == b"\0" or (not start and _is_nul_separated(data)):
            return _TO_NUL.match(data, at)
        around = self._around(before, start, at) if match["gap"] is None else None
        plain = _OPTION if before == b"," else _WORD
        return around or _ESCAPED.match(data, at) or _QUOTED.match(data, at) or plain.match(data, at)

    def _starts_line(self, start: int) -> bool:
        return _LINE_START.search(self.data[max(0, start - REACH) : start]) is not None

    def _stands_alone(self, start: int, at: int) -> bool:
        return self._starts_line(start) and not _FURTHER.match(self.data, at)

    def _around(self, quote: bytes, start: int, at: int) -> Optional[re.Match[bytes]]:
        """Return the match up to the quote that closes the one before the name: ``"PASSWORD=a b"``."""
        if (
            quote not in _CLOSED
            or at < self._unclosed.get(quote, 0)
            or self.data[start - 2 : start - 1] == b"\\"
        ):
            return None
        found = _CLOSED[quote].match(self.data, at)
        if found is None:
            end = self.data.find(b"\n", at)
            self._unclosed[quote] = end if end >= 0 else len(self.data)
        return found


def _is_nul_separated(data: bytes) -> bool:
    end = data.find(b"\0", 0, 1 << 12)
    return end >= 0 and b"\n" not in data[:end]
