r"""Removes secrets from text, whatever file it came from.

Applied to every byte a root hands out, so that no secret reaches facts, evidence or events.
What is removed: values of keys that name a password, secret or token (kernel command lines, shell
assignments, mount options, command lines); user and password in URLs and in ``netroot=iscsi:``; GRUB
password hashes; ``systemd.set_credential``; private keys.

Sources: dracut.cmdline(7) (rd.iscsi.password, netroot), kdump-tools(5) (FTP_PASSWORD), SUSE kdump(5)
(KDUMP_SMTP_PASSWORD), grub info "Security", mount.cifs(8), systemd-creds(1).

>>> redact(b"root=/dev/vda1 rd.iscsi.password=hunter2 quiet")
(b'root=/dev/vda1 rd.iscsi.password=<removed> quiet', 1)
>>> redact(b'FTP_PASSWORD="s3 cret"')
(b'FTP_PASSWORD="<removed>"', 1)
>>> redact(b"net ftp://joe:pw@10.0.0.1/crash")
(b'net ftp://<removed>@10.0.0.1/crash', 1)
>>> redact(b"netroot=iscsi:joe:pw@10.0.0.1::3260::iqn.2001-04.com.example:disk")
(b'netroot=iscsi:<removed>@10.0.0.1::3260::iqn.2001-04.com.example:disk', 1)
>>> redact(b"password_pbkdf2 root grub.pbkdf2.sha512.10000.AB.CD")
(b'password_pbkdf2 root <removed>', 1)
>>> redact(b"mysqld --password s3cret --port 3306")
(b'mysqld --password <removed> --port 3306', 1)
>>> redact(b"Password for admin accounts expires in 3 days")
(b'Password for admin accounts expires in 3 days', 0)
"""

from __future__ import annotations

import re

MARK = b"<removed>"

# A cheap look at the bytes decides whether the rules below are worth running at all; a cheaper one, made of
# plain searches in folded bytes, whether that look is.
_SUSPICIOUS = re.compile(
    rb"(?<!store_by)pass|pass(?!:)|pwd|secret|token|credential|(?:api|auth)_?key|private|iscsi:|://[^\s/@]*@|psk"
    rb"|pbkdf2|authorization",
    re.IGNORECASE,
)
_PARTS = (b"pwd", b"cre", b"token", b"key", b"private", b"iscsi:", b"://", b"psk", b"pbkdf2", b"authoriz")
"""Every word above but pass has one of these in it."""
_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
# Deleting what is in none of the words halves the work, and can only join, never break, one of them.
_NOT_A_SECRET = b"store_bypass:"
"""Every /proc/PID/status says Speculation_Store_Bypass."""
_LETTERS = b"\npass" + _NOT_A_SECRET + b"".join(_PARTS)
_IN_NO_PART = bytes(set(range(256)) - set(_LETTERS + _LETTERS.upper()))

_NAME = (
    rb"[\w.-]*(?:password|passwd|passphrase|passwort|secret|token|api_?key|auth_?key|private_?key"
    rb"|ftp_pass|smtp_pass|(?<![a-z])pass|(?<![a-z])pwd|(?<![a-z])psk)[\w-]*"
)
# Names that hold a path, a switch or a count, not the secret itself.
_HARMLESS = re.compile(
    rb"(?:file|path|dir|cmd|command|type|len|length|min|max|age|days|warn|count|algorithm|alg|policy|user"
    rb"|name|prompt|timeout|retries|tries|echo)$|^(?:pass_?through|passive|bypass|compass)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    rb"(?P<name>(?<![\w.-])" + _NAME + rb")(?P<equals>[ \t]*[=][ \t]*)"
    rb"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s,;\"']+)",
    re.IGNORECASE,
)
_JSON = re.compile(rb"(?P<name>\"" + _NAME + rb"\")(?P<equals>\s*:\s*)\"(?P<value>[^\"\n]*)\"", re.IGNORECASE)
_YAML = re.compile(
    rb"^(?P<name>[ \t]*" + _NAME + rb")(?P<equals>:[ \t]+)(?P<value>\S[^\n]*)$", re.IGNORECASE | re.MULTILINE
)
_SWITCH = re.compile(
    rb"(?P<name>(?:^|(?<=[\s\0\"']))--?" + _NAME + rb")(?P<equals>[ \t\0]+)(?P<value>[^\s\0-][^\s\0]*)",
    re.IGNORECASE,
)
_URL = re.compile(rb"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@\"'<]+@", re.IGNORECASE)
_ISCSI = re.compile(rb"(?P<scheme>\biscsi:)(?!<removed>)[^\s@\"'/]+:[^\s@\"']*@", re.IGNORECASE)
_CREDENTIAL = re.compile(rb"(?P<name>systemd\.set_credential(?:_binary)?=[^\s:]+:)(?!<removed>)[^\s\"']+")
_GRUB = re.compile(
    rb"^(?P<name>\s*(?:password(?:_pbkdf2)?[ \t]+(?:--md5[ \t]+|--encrypted[ \t]+|[^\s]+[ \t]+)))"
    rb"(?!<removed>)(?P<value>grub\.pbkdf2\.\S+|\$\d\$\S+|(?<=[ \t])\S+)[ \t]*$",
    re.MULTILINE,
)
_GRUB_HASH = re.compile(rb"grub\.pbkdf2\.sha\d+\.[0-9A-Za-z.]+")
_HEADER = re.compile(
    rb"(?P<name>authorization:[ \t]*(?:basic|bearer|digest)[ \t]+)(?!<removed>)\S+", re.IGNORECASE
)
_KEY = re.compile(
    rb"(?P<begin>-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?P<end>-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def suspicious(data: bytes) -> bool:
    """Return whether *data* may hold a secret. False is certain, and found quickly.

    >>> suspicious(b"FTP_PassWord=x"), suspicious(b"Speculation_Store_Bypass:\\tvulnerable")
    (True, False)
    """
    folded = data.translate(_FOLD, _IN_NO_PART)
    if folded.count(b"pass") == folded.count(_NOT_A_SECRET):
        for part in _PARTS:
            if part in folded:
                break
        else:
            return False
    return _SUSPICIOUS.search(data) is not None


def redact(data: bytes) -> tuple[bytes, int]:
    """Return *data* without its secrets, and how many were removed. Redacting twice changes nothing."""
    if not suspicious(data):
        return data, 0
    count = 0

    def named(match: re.Match[bytes]) -> bytes:
        nonlocal count
        value = match["value"]
        bare = value.strip(b"\"'")
        name = match["name"].strip(b"\"' \t-")
        if bare in (b"", MARK) or _HARMLESS.search(name):
            return match[0]
        count += 1
        quote = match[0][match.end("equals") - match.start() :][:1]
        mark = quote + MARK + quote if quote in (b'"', b"'") else MARK
        return match["name"] + match["equals"] + mark

    def simple(pattern: re.Pattern[bytes], replacement: bytes) -> None:
        nonlocal data, count
        data, times = pattern.subn(replacement, data)
        count += times

    simple(_KEY, rb"\g<begin>" + MARK + rb"\g<end>") if MARK + b"-----END" not in data else None
    simple(_URL, rb"\g<scheme>" + MARK + rb"@") if _URL.search(data) else None
    simple(_ISCSI, rb"\g<scheme>" + MARK + rb"@")
    simple(_CREDENTIAL, rb"\g<name>" + MARK)
    simple(_HEADER, rb"\g<name>" + MARK)
    for pattern in (_ASSIGNED, _JSON, _SWITCH, _YAML):
        data = pattern.sub(named, data)
    simple(_GRUB, rb"\g<name>" + MARK)
    simple(_GRUB_HASH, MARK)
    return data, count
