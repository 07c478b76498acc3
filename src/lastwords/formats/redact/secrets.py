r"""Removes secrets from text, whatever file it came from.

Applied to every byte a root hands out, so that no secret reaches facts, evidence or events.
What is removed: values of keys that name a password, secret or token (kernel command lines, shell
assignments, mount options, JSON, YAML, command lines); passwords in URLs, ``netroot=iscsi:`` and
``user%password``; what programs take on their command line (:mod:`lastwords.formats.redact.commands`);
GRUB and crypt(3) password hashes; keys of dm-crypt and systemd credentials; private keys.

Sources: dracut.cmdline(7) (rd.iscsi.password, netroot), kdump-tools(5) (FTP_PASSWORD), SUSE kdump(5)
(KDUMP_SMTP_PASSWORD), grub and grub-legacy info "Security", syslinux menu.txt (MENU PASSWD),
mount.cifs(8), mount.ceph(8), crypt(5), systemd-creds(1), dm-init (kernel
Documentation/admin-guide/device-mapper/dm-init.rst), d-i preseeding (passwd/root-password).

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

from lastwords.formats.redact.commands import PROGRAMS, redact_switches
from lastwords.formats.redact.names import MARK, redact_named

# A cheap look at the bytes decides whether the rules below are worth running at all; a cheaper one, made of
# plain searches in folded bytes, whether that look is.
_SUSPICIOUS = re.compile(
    rb"pass(?!:)|pass(?<!store_bypass)|pwd|secret|token|credential|(?:api|auth|access|private)[ _-]?key"
    rb"|rootpw|sshpw"
    rb"|iscsi:|psk|pbkdf2|authorization|x-[\w-]{0,32}key|crypt\s|user(?:name)?=[^\s,%]{1,64}%|-u"
    rb"|\$\w{1,2}\$|eyj|(?:" + b"|".join(PROGRAMS) + rb")[\s\0]"
)
"""For text in lower case. Starts with a letter in all its branches, so that a search is quick."""
_PARTS = (
    *(b"pwd", b"cre", b"token", b"key", b"iscsi:", b"psk", b"pbkdf2", b"authoriz", b"rootpw", b"sshpw", b"@"),
    *(
        b"crypt",
        b"%",
        b"$",
        b"eyj",
        b"curl",
        b"mysql",
        b"maria",
        b"ldap",
        b"ipmi",
        b"bmc-",
        b"redis",
        b"mongo",
    ),
    *(b"fence_", b"login", b"snmp", b"freerdp", b"rdesktop", b"sqlplus", b"xpdp", b"mpdp", b"sqlldr", b"zip"),
    *(b"mosquitto", b"useradd", b"usermod", b"rar", b"7z"),
)
"""Every word above but pass has one of these in it."""
_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
# Deleting what is in none of the words saves work, and can only join, never break, one of them.
_NOT_A_SECRET = b"store_bypass:"
"""Every /proc/PID/status says Speculation_Store_Bypass."""
_LETTERS = b"\npass" + _NOT_A_SECRET + b"".join(_PARTS)
_IN_NO_PART = bytes(set(range(256)) - set(_LETTERS + _LETTERS.upper()))

_REST = rb"(?:[^\s\0\"'\\%s]|\\(?!\\{0,3}[\"']))+"
"""The rest of a word; a backslash before a quote is not of the word, but of the JSON around."""
# Repeats are bounded, or cannot be given back: no input makes these slow.
_KEPT_BEFORE = tuple(
    (word, re.compile(pattern + rb"(?!<removed>)" + secret, re.IGNORECASE | re.MULTILINE))
    for word, pattern, secret in (
        # joe%password, of old smbfs mounts and the tools of Samba
        (b"%", rb"((?<![\w-])user(?:name)?=[^\s,%\"']{1,64}%)", _REST % b","),
        (b"%", rb"(?-i:((?<![\w-])-U[ \t\0]{0,8}[^\s,%\"'\0-]{1,64}%))", _REST % b""),
        (b"credential", rb"(set_?credential(?:_binary|encrypted)?=[^\s:\"']{1,128}:)", _REST % b""),
        (b"credential", rb"(io\.systemd\.credential(?:\.binary)?:[^\s=\"']{1,128}=)", _REST % b","),
        (b"crypt", rb"((?<![\w-])crypt[ \t]{1,8}[\w:.()-]{1,64}[ \t]{1,8})", rb"[0-9a-f]{16,}(?=[ \t,]|$)"),
        (
            b"authorization",
            rb"(authorization[ \t]{0,8}:[ \t]{0,8})",
            rb"(?![ \t<])" + (_REST % b"").replace(b"\\s", b"\\n\\r"),
        ),
        (
            b"x-",
            rb"((?<![\w-])x-[\w-]{0,32}(?:token|key|secret|password)[ \t]{0,8}:[ \t]{0,8})",
            _REST % b"<",
        ),
        (
            b"chpasswd",
            rb"((?<![\w.-])[\w.-]{1,64}:)",
            rb"[^\s|:\"'<]{1,128}(?=[\"']?[ \t]{0,8}\|[ \t]{0,8}(?:sudo[ \t]{1,8})?chpasswd)",
        ),
        # GRUB 2, GRUB legacy, syslinux, kickstart
        (b"pbkdf2", rb"^([ \t]*password_pbkdf2[ \t]+\S+[ \t]+)", rb"\S+"),
        (b"password", rb"(?-i:^([ \t]*password[ \t]+(?:--md5|--encrypted)[ \t]+))", rb"\S+"),
        (b"passwd", rb"^([ \t]*menu[ \t]+(?:master[ \t]+)?passwd[ \t]+)", rb"\S+"),
        (b"rootpw", rb"^([ \t]*rootpw[ \t]+(?:--\w+[ \t]+)*)", rb"[^\s<-]\S*"),
    )
)
"""Secrets after something that is kept, the first group; and a word without which there is none."""
_BEFORE_AT = (
    # A password may have a slash in it, but then it is no port before a path.
    rb"(?<=//)[^\s/@:\"'<>]{0,256}:(?:[^\s/\"'<>]{1,256}|(?!\d{1,5}/)[^\s/\"'<>]{1,64}/[^\s\"'<>@]{0,128})@",
    # A token alone; the user alone says who, elsewhere.
    rb"(?:(?<=http://)|(?<=https://))[^\s/@:\"'<>]{1,256}@",
    rb"(?<=iscsi:)[^\s@\"'/:<]{1,256}:[^\s\"']{0,256}@",
)
_USERINFO = re.compile(b"|".join(_BEFORE_AT), re.IGNORECASE)
_BY_THEMSELVES = re.compile(
    rb"grub\.pbkdf2\.sha\d{1,4}\.[0-9A-Za-z.]+"
    rb"|\$(?:[1567y]|2[aby]|gy)\$(?:[./0-9A-Za-z=,]{1,64}\$){1,3}[./0-9A-Za-z]{22,}"  # crypt(5)
    rb"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON web tokens
)
_GRUB = re.compile(
    rb"^(?P<name>[ \t]*password[ \t]+(?:[^\s=-]\S*[ \t]+(?![/(]))?)(?P<value>[^\s=<-]\S*)"
    rb"(?P<menu>[ \t]+[/(]\S*)?[ \t]*$",
    re.MULTILINE,
)
_PAM = re.compile(rb"[ \t]*password[ \t]+(?:required|requisite|sufficient|optional|include|substack|\[)")
_KEY = re.compile(
    rb"(?P<begin>-----BEGIN [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----)(?!<removed>)(?P<key>.*?)"
    rb"(?P<end>-----END [A-Z ]{0,32}PRIVATE KEY(?: BLOCK)?-----|\Z)",
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
    return (b"@" in folded and b"//" in data) or _SUSPICIOUS.search(data.lower()) is not None


def redact(data: bytes) -> tuple[bytes, int]:
    """Return *data* without its secrets, and how many were removed. Redacting twice changes nothing.

    Lines stay lines: a secret of several leaves their ends.
    """
    if not suspicious(data):
        return data, 0
    data, count = _KEY.subn(_without_key, data)
    folded = data.lower()
    if b"@" in folded:
        data, times = _USERINFO.subn(MARK + b"@", data)
        count += times
    for word, pattern in _KEPT_BEFORE:
        if word in folded:
            data, times = pattern.subn(rb"\1" + MARK, data)
            count += times
    data, times = _BY_THEMSELVES.subn(MARK, data)
    count += times
    for remove in (redact_switches, redact_named):
        data, times = remove(data)
        count += times
    count += sum(_PAM.match(match[0]) is None for match in _GRUB.finditer(data))
    return _GRUB.sub(_without_grub_password, data), count


def _without_key(match: re.Match[bytes]) -> bytes:
    return match["begin"] + MARK + b"\n" * match["key"].count(b"\n") + match["end"]


def _without_grub_password(match: re.Match[bytes]) -> bytes:
    if _PAM.match(match[0]):
        return match[0]
    return match["name"] + MARK + (match["menu"] or b"")
