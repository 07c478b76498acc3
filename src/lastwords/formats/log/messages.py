"""The messages of a log: its raw lines taken apart and put together again as the kernel wrote them.

:mod:`lastwords.formats.log.klog` knows the prefix of one line; here is what concerns several: records that
hold several lines (rsyslog's ``#012``, ``\\x0a`` in /dev/kmsg, dmesg's indented ones), records that span
several (journalctl ``-o export`` and ``json-pretty``, fragments of extended netconsole), and what was done
to a line on its way: CR/LF, NULs, terminal escapes, mail quoting.

Sources: systemd docs/JOURNAL_EXPORT_FORMATS, util-linux dmesg.c, rsyslog's
``$EscapeControlCharactersOnReceive``, kernel/printk/printk.c (``msg_print_ext_body``),
drivers/net/netconsole.c (``send_msg_fragmented``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Optional

from lastwords.formats import bounded, text_of
from lastwords.formats.log.klog import LogLine, parse_line

RawLine = tuple[int, int, bytes]
"""Number from 1, byte offset and bytes of a line."""

ENTRY_LINES = 40
"""Most lines that one message takes in a log of several lines a message (:attr:`Messages.lines_each`)."""
_FIELD_LIMIT = 1 << 16
_FRAGMENTED = 16
"""Messages whose fragments are waited for at a time, and most fragments of one, times four."""
_ENTRY_FIELDS = 256
_SAMPLE = 200
"""Lines by which a log is judged."""

_ESCAPES = re.compile(r"(?:\x1b|#033)(?:\[[0-9;?]{0,20}[@-~]|[()][0-9A-B])|\0")
# Not the ">" that marks a row of memory in a sanitizer's report.
_QUOTED = re.compile(r"(?:>(?=[ >\[<]|$) ?){1,8}")
_JOINED = re.compile(r"#012|\\x0a")
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")
_FRAGMENT = re.compile(
    r"(?P<head>\d{1,4},(?P<record>\d+),\d+,[^;]{0,100}?),ncfrag=(\d+)/(\d+)(?P<more>[^;]{0,60});"
)
DROPPED = re.compile(
    r"\*\* \d{1,10} (?:printk )?messages dropped \*\*|Missed \d{1,10} kernel messages"
    r"|(?:imjournal|imklog|imkmsg): ?\d{1,10} messages lost"
)
"""What tells that messages were lost here: printk, on the line of the next message up to 5.9; daemons."""
_DICTIONARY = re.compile(r" [A-Z_]+=")
_ENTRY = re.compile(rb"__(?:CURSOR|REALTIME_TIMESTAMP|MONOTONIC_TIMESTAMP)=")
# journalctl -o verbose: a line of time and cursor, then a field a line.
_VERBOSE = re.compile(
    rb"\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{6}))? (\S{1,8}) \[s=[0-9a-f]{1,32};[^\]]{1,200}\]"
)
_INDENTED = b"    "
_FIELD = re.compile(rb"([A-Z_][A-Z0-9_]{0,63})(?:=(.*))?", re.DOTALL)
_CARRIED = ("log", "message", "msg", "textPayload")
"""Where Docker, Elastic, others and Google put the line, in JSON."""
_MESSAGE_KEY = re.compile(rb'"(?:MESSAGE|log|message|msg|textPayload)"')
_OBJECT = re.compile(rb"(?:data: |\x1e|- )?(\{.*)", re.DOTALL)


@dataclass(frozen=True)
class Message:
    """One line that the kernel or a program wrote, without its prefix."""

    line: LogLine
    number: int
    """Line of the log it stands on, from 1; for a record of several lines that of the last."""
    offset: int
    """Byte offset of that line, after decompression."""
    bare: bool = False
    """It has no prefix though the lines before have: the rest of a wrapped line, or a program's output on
    the console. What the prefix would tell is taken from the line before."""

    @property
    def text(self) -> str:
        """The message itself."""
        return self.line.text

    @property
    def is_kernel(self) -> bool:
        """Whether the kernel wrote it. A log without prefixes is the kernel's."""
        return self.line.is_kernel is not False

    @property
    def stream(self) -> tuple[Optional[str], Optional[str]]:
        """Who wrote it: host, and task or CPU. Lines of one report have the same; others come between."""
        return self.line.host, self.line.caller


class Messages:
    """Makes messages of raw lines: feed it each, in order.

    >>> made = Messages()
    >>> line = b"> Mar  1 03:14:07 app07 kernel: Mem-Info:#012 active_anon:1#012 free:2\\r"
    >>> [(message.text, message.line.host) for message in made.feed(1, 0, line)]
    [('Mem-Info:', 'app07'), (' active_anon:1', 'app07'), (' free:2', 'app07')]
    """

    lines_each = 1
    """How many lines of the log a message takes, at most."""

    def __init__(self) -> None:
        self._before: Optional[LogLine] = None
        self._indent = 0
        self._number = 0
        self._entry: Optional[dict[str, str]] = None
        self._verbose = False
        self._field: Optional[tuple[str, bytearray]] = None
        self._object: list[bytes] = []
        self._fragments: dict[str, dict[int, str]] = {}

    def feed(self, number: int, offset: int, data: bytes) -> list[Message]:
        """Return the messages that end with this line: none, one, or several."""
        if number != self._number + 1:
            self._gap()
        self._number = number
        if self._field is not None:
            return self._binary(data)
        if data[-1:] == b"]" and (head := _VERBOSE.match(data)) is not None:
            before = self.end()
            self.lines_each, self._entry, self._verbose = ENTRY_LINES, _verbose_time(head), True
            return before
        if self._verbose:
            if data.startswith(_INDENTED) and self._entry is not None and len(self._entry) <= _ENTRY_FIELDS:
                if (field := _FIELD.fullmatch(data[4:])) is not None and field[2] is not None:
                    self._entry.setdefault(field[1].decode(), text_of(field[2][:_FIELD_LIMIT]))
                return []
            return [*self.end(), *self.feed(number, offset, data)]
        if self._entry is not None or _ENTRY.match(data):
            return self._of_export(number, offset, data.rstrip(b"\r"))
        if self._object or data[:1] in b"{d\x1e-":
            found = self._of_json(number, offset, data)
            if found is not None:
                return found
        return self._of_text(number, offset, text_of(data))

    def end(self) -> list[Message]:
        """Return the message that the end of the log cut, if any."""
        entry, self._entry, self._verbose = self._entry or {}, None, False
        return _of_entry(entry, self._number, 0)

    def _gap(self) -> None:
        """Lines were left out: nothing before this has to do with what comes."""
        self._before, self._indent = None, 0
        self._entry, self._field, self._object, self._verbose = None, None, [], False

    # -- text, a line a message or several messages a line ---------------------------------------------

    def _of_text(self, number: int, offset: int, raw: str) -> list[Message]:
        if "\x1b" in raw or "#033" in raw or "\0" in raw:
            raw = _ESCAPES.sub("", raw)
        raw = raw.strip("\r\n").replace("\r", " ")
        if raw[:1] == ">" and (quoted := _QUOTED.match(raw)) is not None:
            raw = raw[quoted.end() :]
        if ",ncfrag=" in raw and (fragment := _FRAGMENT.search(raw)) is not None:
            whole = self._fragment(fragment, raw)
            if whole is None:
                return []
            raw = whole
        if raw[:3] == "** " and (dropped := DROPPED.match(raw)) and raw[dropped.end() :].strip():
            rest = raw[dropped.end() :].lstrip()
            return [*self._of_text(number, offset, dropped[0]), *self._of_text(number, offset, rest)]
        line = parse_line(raw)
        if _has_prefix(line):
            if self._before is not None and (line.stamp, line.unix, line.monotonic) == (None, None, None):
                line = replace(line, stamp=self._before.stamp)  # dmesg --human tells full minutes
            self._before = line
            self._indent = len(raw) - len(line.text)
            return [Message(part, number, offset) for part in _parts(line)]
        before = self._before
        if before is None:
            return [Message(part, number, offset) for part in _parts(line)]
        if before.record and _DICTIONARY.match(raw):
            return []
        indented = self._indent > 0 and raw[: self._indent].isspace()
        text = raw[self._indent :] if indented else raw
        return [Message(replace(before, text=text), number, offset, bare=not indented)]

    def _fragment(self, match: re.Match[str], raw: str) -> Optional[str]:
        """Keep a fragment; return the whole line once all of it has come."""
        record, total = match["record"], int(match[4])
        parts = self._fragments.setdefault(record, {})
        parts[int(match[3])] = raw[match.end() :]
        whole = "".join(text for _, text in sorted(parts.items()))
        if len(whole.encode("utf-8", "replace")) < total:
            if len(self._fragments) > _FRAGMENTED:
                del self._fragments[next(iter(self._fragments))]
            elif len(parts) > 4 * _FRAGMENTED:
                del self._fragments[record]
            return None
        del self._fragments[record]
        return f"{raw[: match.start()]}{match['head']}{match['more']};{whole}"

    # -- the journal, as journalctl exports it -----------------------------------------------------------

    def _of_export(self, number: int, offset: int, data: bytes) -> list[Message]:
        self.lines_each = ENTRY_LINES
        entry = self._entry if self._entry is not None else {}
        match = _FIELD.fullmatch(data)
        if match is None or len(entry) > _ENTRY_FIELDS:
            self._entry = None
            # What is neither a field nor the blank line between entries: another kind of log begins.
            return _of_entry(entry, number, offset) if not data else self.feed(number, offset, data)
        self._entry = entry
        if match[2] is None:
            self._field = match[1].decode(), bytearray()
        else:
            entry[match[1].decode()] = text_of(match[2][:_FIELD_LIMIT])
        return []

    def _binary(self, data: bytes) -> list[Message]:
        """A field that may hold anything: 8 bytes of its length, its bytes, a line end."""
        assert self._field is not None
        name, value = self._field
        value += data + b"\n"
        size = int.from_bytes(value[:8], "little") if len(value) >= 8 else _FIELD_LIMIT
        if size > _FIELD_LIMIT or len(value) > _FIELD_LIMIT + 16:
            self._field = self._entry = None
        elif len(value) > size + 8:
            self._field = None
            if self._entry is not None:
                self._entry[name] = text_of(bytes(value[8 : 8 + size]))
        return []

    def _of_json(self, number: int, offset: int, data: bytes) -> Optional[list[Message]]:
        """Messages of a JSON object; None when it is none."""
        if self._object or data.rstrip() == b"{":
            self.lines_each = ENTRY_LINES
            self._object.append(data)
            if data.rstrip() != b"}":
                if len(self._object) > 4 * ENTRY_LINES:
                    self._object = []
                return []
            data, self._object = b"\n".join(self._object), []
        match = _OBJECT.match(data)
        if match is None or _MESSAGE_KEY.search(data) is None:
            return None
        try:
            fields: Any = json.loads(text_of(match[1]), strict=False)
        except (ValueError, RecursionError):
            return None
        if "MESSAGE" not in fields:
            # What carried a line from elsewhere: a container's runtime, a cloud's logging.
            carried = next((fields[key] for key in _CARRIED if isinstance(fields.get(key), str)), None)
            if carried is None:
                return None
            return [
                made
                for line in carried.split("\n")
                if line
                for made in self._of_text(number, offset, bounded(line))
            ]
        entry = {name: _value(value) for name, value in fields.items()}
        return _of_entry(entry, number, offset)


def lines_each(head: bytes) -> int:
    """Return how many lines of a log a message takes at most, as its beginning shows.

    >>> lines_each(b"__CURSOR=s=1\\n__REALTIME_TIMESTAMP=2\\n"), lines_each(b"[    0.000000] Linux version")
    (40, 1)
    """
    first = head.lstrip()[:64]
    if _ENTRY.match(first) or re.match(rb"\{\s*\n", first) or _VERBOSE.match(head.lstrip()[:300]):
        return ENTRY_LINES
    return 3 if re.match(rb"\d{1,4},\d{1,20},\d{1,20},", first) else 1  # /dev/kmsg tells device and subsystem


def is_tagged(head: bytes) -> bool:
    """Return whether the lines of a log tell which program wrote each, as its beginning shows.

    >>> is_tagged(b"Mar  1 03:14:07 app07 kernel: x\\nMar  1 03:14:07 app07 sshd[12]: y\\n")
    True
    >>> is_tagged(b"[    0.000000] Linux version 6.1.0\\n")
    False
    """
    lines = text_of(head).splitlines()[:_SAMPLE]
    tagged = sum(parse_line(line).tag is not None for line in lines)
    return tagged * 10 > len(lines) * 9


def messages(lines: Iterable[RawLine]) -> Iterator[Message]:
    """Yield the messages of all raw lines of a log."""
    made = Messages()
    for number, offset, data in lines:
        yield from made.feed(number, offset, data)
    yield from made.end()


def _has_prefix(line: LogLine) -> bool:
    return line.is_kernel is not None or line.monotonic is not None


def _parts(line: LogLine) -> list[LogLine]:
    """The lines that one record holds. Only the lines that the kernel wrote are taken apart."""
    text = line.text
    if "#0" not in text and "\\x" not in text:
        return [line]
    parts = []
    for part in _JOINED.split(text):
        if line.record:
            part = bounded(_ESCAPED.sub(_unescaped, part))
        parts.append(replace(line, text=part.replace("#011", "\t")))
    return parts


def _unescaped(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace")


def _verbose_time(head: re.Match[bytes]) -> dict[str, str]:
    """The time in the first line of an entry as a field, where its zone can be told."""
    if head[3] != b"UTC":
        return {}
    try:
        stamp = datetime.fromisoformat(head[1].decode()).replace(tzinfo=timezone.utc)
    except ValueError:
        return {}
    return {"__REALTIME_TIMESTAMP": f"{int(stamp.timestamp())}{(head[2] or b'000000').decode()}"}


def _value(value: Any) -> str:
    """A journal field in JSON: text, bytes as numbers, or null when it was too long; several are a list."""
    if isinstance(value, list):
        if value and all(isinstance(item, int) and 0 <= item < 256 for item in value):
            return text_of(bytes(value))
        return _value(value[0]) if value and not isinstance(value[0], list) else ""
    return bounded(value) if isinstance(value, str) else ""


def _of_entry(entry: dict[str, str], number: int, offset: int) -> list[Message]:
    """The messages of a journal entry."""
    if "MESSAGE" not in entry:
        return []
    is_kernel = entry.get("_TRANSPORT", "kernel") == "kernel"
    tag = entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM")
    realtime = _micro(entry, "__REALTIME_TIMESTAMP")
    monotonic = _micro(entry, "_SOURCE_MONOTONIC_TIMESTAMP")
    priority = entry.get("PRIORITY", "")
    pid = entry.get("_PID") or entry.get("SYSLOG_PID") or ""
    line = LogLine(
        "",
        unix=realtime,
        monotonic=_micro(entry, "__MONOTONIC_TIMESTAMP") if monotonic is None else monotonic,
        host=entry.get("_HOSTNAME"),
        tag="kernel" if is_kernel else tag,
        pid=int(pid) if re.fullmatch(r"\d{1,10}", pid, re.ASCII) else None,
        priority=int(priority) if priority in tuple("01234567") else None,
        is_kernel=is_kernel,
    )
    return [
        Message(replace(line, text=_ESCAPES.sub("", text)), number, offset)
        for text in entry["MESSAGE"].split("\n")
    ]


def _micro(entry: dict[str, str], name: str) -> Optional[float]:
    value = entry.get(name, "")
    return int(value) / 1e6 if re.fullmatch(r"\d{1,18}", value, re.ASCII) else None
