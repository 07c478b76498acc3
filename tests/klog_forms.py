"""Kernel messages written down in every form in which people hand them over."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence

Form = Callable[[Sequence[str]], bytes]
SECONDS = 511
STAMP = "2026-03-01T02:14:07"


def _prefixed(prefix: str, end: str = "\n") -> Form:
    def write(texts: Sequence[str]) -> bytes:
        lines = (prefix.format(sequence=1000 + n, micro=n) + text for n, text in enumerate(texts))
        return (end.join(lines) + end).encode()

    return write


def _joined(texts: Sequence[str]) -> bytes:
    """rsyslog with several lines to a record."""
    records = ["#012".join(texts[at : at + 7]) for at in range(0, len(texts), 7)]
    return _prefixed("Mar  1 02:14:07 web kernel: ")(records)


def _indented(texts: Sequence[str]) -> bytes:
    """dmesg, of records with several lines."""
    prefix = "[  511.000001] "
    lines = [(" " * len(prefix) if n % 3 else prefix) + text for n, text in enumerate(texts)]
    return ("\n".join(lines) + "\n").encode()


def _record(texts: Sequence[str]) -> bytes:
    lines = []
    for n, text in enumerate(texts):
        escaped = "".join(chr(c) if 32 <= c < 127 and c != 92 else f"\\x{c:02x}" for c in text.encode())
        lines += [
            f"4,{1000 + n},{SECONDS}{n:06d},-,caller=T77;{escaped}",
            " SUBSYSTEM=memory",
            " DEVICE=n1:2",
        ]
    return ("\n".join(lines) + "\n").encode()


def _fragments(texts: Sequence[str]) -> bytes:
    """Extended netconsole, long messages in parts."""
    lines = []
    for n, text in enumerate(texts):
        head = f"4,{1000 + n},{SECONDS}{n:06d},-"
        if len(text) <= 50:
            lines.append(f"{head};{text}")
            continue
        for at in range(0, len(text), 50):
            lines.append(f"{head},ncfrag={at}/{len(text.encode())};{text[at : at + 50]}")
    return ("\n".join(lines) + "\n").encode()


def _entry(n: int, text: str) -> dict[str, str]:
    return {
        "__CURSOR": f"s=1;i={n:x}",
        "__REALTIME_TIMESTAMP": str(1772331247000000 + n),
        "__MONOTONIC_TIMESTAMP": str(SECONDS * 1000000 + n),
        "_BOOT_ID": "0" * 32,
        "_TRANSPORT": "kernel",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "kernel",
        "_HOSTNAME": "web",
        "MESSAGE": text,
    }


def _verbose(texts: Sequence[str]) -> bytes:
    lines = []
    for n, text in enumerate(texts):
        fields = {name: value for name, value in _entry(n, text).items() if not name.startswith("__")}
        fields["_SOURCE_MONOTONIC_TIMESTAMP"] = str(SECONDS * 1000000 + n)
        lines.append(f"Sun 2026-03-01 02:14:07.{n:06d} UTC [s=1;i={n:x};b={'0' * 32};m=1;t=2;x=3]")
        lines += [f"    {name}={value}" for name, value in fields.items()]
    return ("\n".join(lines) + "\n").encode()


def _lava(texts: Sequence[str]) -> bytes:
    """A laboratory's log of a console."""
    entries = (
        {"dt": STAMP, "lvl": "target", "msg": f"[  511.{n:06d}] {text}"} for n, text in enumerate(texts)
    )
    return "".join(f"- {json.dumps(entry)}\n" for entry in entries).encode()


def _json(texts: Sequence[str]) -> bytes:
    return "".join(json.dumps(_entry(n, text)) + "\n" for n, text in enumerate(texts)).encode()


def _json_pretty(texts: Sequence[str]) -> bytes:
    return "".join(json.dumps(_entry(n, text), indent="\t") + "\n" for n, text in enumerate(texts)).encode()


def _export(texts: Sequence[str]) -> bytes:
    made = bytearray()
    for n, text in enumerate(texts):
        for name, value in _entry(n, text).items():
            if name == "MESSAGE" and n % 2:
                raw = value.encode()
                made += b"MESSAGE\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
            else:
                made += f"{name}={value}\n".encode()
        made += b"\n"
    return bytes(made)


def _human(texts: Sequence[str]) -> bytes:
    """dmesg --human."""
    lines = (("[  +0.000001] " if n % 9 else "[Mar01 02:14] ") + text for n, text in enumerate(texts))
    return ("\n".join(lines) + "\n").encode()


def _docker(texts: Sequence[str]) -> bytes:
    """A container's runtime that watched a console."""
    entries = ({"log": f"[  511.{n:06d}] {text}\n", "stream": "stdout"} for n, text in enumerate(texts))
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def _wrapped(texts: Sequence[str]) -> bytes:
    """Quoted in a mail whose lines were wrapped."""
    lines = []
    for text in texts:
        line = "[  511.000001] " + text
        parts = textwrap.wrap(
            line,
            76,
            drop_whitespace=True,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
        )
        lines += ["> " + part for part in parts] or ["> "]
    return ("\n".join(lines) + "\n").encode()


FORMS: dict[str, Form] = {
    "bare": _prefixed(""),
    "printk": _prefixed("[  511.{micro:06d}] "),
    "printk and caller": _prefixed("[  511.{micro:06d}][ T1234] "),
    "printk and caller, apart": _prefixed("[  511.{micro:06d}] [    T1] "),
    "raw priority": _prefixed("<4>[  511.{micro:06d}] "),
    "raw priority alone": _prefixed("<4>"),
    "dmesg -T": _prefixed("[Sun Mar  1 02:14:07 2026] "),
    "dmesg -T, German": _prefixed("[So Mär  1 02:14:07 2026] "),
    "dmesg -T, Japanese": _prefixed("[日 3月  1 02:14:07 2026] "),
    "dmesg -T, Russian": _prefixed("[Вс мар  1 02:14:07 2026] "),
    "dmesg --time-format iso": _prefixed(STAMP + ",{micro:06d}+00:00 "),
    "dmesg -xT": _prefixed("kern  :err   : [Sun Mar  1 02:14:07 2026] "),
    "dmesg --human": _human,
    "dmesg --show-delta": _prefixed("[  511.{micro:06d} <    0.000001>] "),
    "ts": _prefixed("Mar  1 02:14:07 [  511.{micro:06d}] "),
    "grep": _prefixed("/var/log/messages-20260301:{sequence}:Mar  1 02:14:07 web kernel: "),
    "Docker": _docker,
    "Kubernetes": _prefixed(STAMP + ".000000001Z stdout F [  511.{micro:06d}] "),
    "dmesg -x": _prefixed("kern  :warn  : [  511.{micro:06d}] "),
    "syslog": _prefixed("Mar  1 02:14:07 web kernel: "),
    "syslog and printk": _prefixed("Mar  1 02:14:07 web kernel: [  511.{micro:06d}] "),
    "syslog, BusyBox": _prefixed("Mar  1 02:14:07 web kern.warn kernel: [  511.{micro:06d}] "),
    "syslog, ISO": _prefixed(STAMP + ".000000+00:00 web kernel: [  511.{micro:06d}] "),
    "syslog, RFC 5424": _prefixed("<4>1 " + STAMP + ".000000Z web kernel - - - "),
    "syslog, RFC 5424 with data": _prefixed(
        "1 " + STAMP + 'Z web kernel - - [o@1 a="b]"] [  511.{micro:06d}] '
    ),
    "syslog with year": _prefixed("Mar  1 2026 02:14:07 web kernel: "),
    "journal, no host": _prefixed("Mar 01 02:14:07 kernel: "),
    "journal, short-iso": _prefixed(STAMP + "+0000 web kernel: "),
    "journal, short-iso-precise": _prefixed(STAMP + ".{micro:06d}+0000 web kernel: "),
    "journal, short-full": _prefixed("Sun 2026-03-01 02:14:07 UTC web kernel: "),
    "journal, short-monotonic": _prefixed("[  511.{micro:06d}] web kernel: "),
    "journal, json": _json,
    "journal, json-pretty": _json_pretty,
    "journal, export": _export,
    "journal, verbose": _verbose,
    "LAVA": _lava,
    "LAVA, raw": _prefixed(STAMP + " <4>[  511.{micro:06d}] "),
    "GitLab": _prefixed(STAMP + ".000000Z 01O [  511.{micro:06d}] "),
    "logcat": _prefixed("03-01 02:14:07.000     0     0 W         : "),
    "logcat and printk": _prefixed("03-01 02:14:07.000     0     0 W kernel  : [  511.{micro:06d}] "),
    "conserver": _prefixed("[Sun Mar  1 02:14:07 2026][  511.{micro:06d}] "),
    "syslog, F5": _prefixed("Mar  1 02:14:07 web warning kernel: "),
    "syslog, relayed": _prefixed("Mar  1 02:14:09 relay Mar  1 02:14:07 web kernel: "),
    "syslog, indented": _prefixed("    Mar  1 02:14:07 web kernel: "),
    "syslog, numbered": _prefixed("  {sequence}\tMar  1 02:14:07 web kernel: "),
    "rsyslog, joined": _joined,
    "dmesg, indented": _indented,
    "/dev/kmsg": _record,
    "netconsole, extended": _prefixed("4,{sequence},511{micro:06d},-;"),
    "netconsole, extended, with release": _prefixed("6.1.0-18-amd64,4,{sequence},511{micro:06d},-;"),
    "netconsole, fragments": _fragments,
    "serial console": _prefixed("web login: [  511.{micro:06d}] ", "\r\n"),
    "CR and LF": _prefixed("[  511.{micro:06d}] ", "\r\n"),
    "colours": _prefixed("\x1b[32m[  511.{micro:06d}] \x1b[0m\x1b[33m", "\x1b[0m\n"),
    "NULs": _prefixed("\0\0[  511.{micro:06d}] "),
    "quoted": _prefixed("> > [  511.{micro:06d}] "),
    "quoted syslog": _prefixed(">Mar  1 02:14:07 web kernel: ".replace(">", "> ")),
    "MediaTek": _prefixed("[  511.{micro:06d}]  (3)[812:kworker/3:1]"),
}
WRAPPED: dict[str, Form] = {"quoted and wrapped": _wrapped}
